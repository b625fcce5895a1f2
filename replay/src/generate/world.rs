//! The made-up world: genres, scenes, and the tracks that belong to them.
//!
//! A track *is* its number: genre and rank in it. From the number follow its artist, album, names and
//! URIs, so the world takes no memory and is the same for every seed.
//!
//! - The [`HITS`] most popular tracks belong to a genre too, but are heard everywhere.
//! - Every other rank of the popularity curve exists once in each genre, scaled by the genre's share, so
//!   that all genres together follow the curve.
//! - Beyond the best known of a genre, tracks belong to one of its [`SCENES`] scenes, rank modulo scenes.

use super::curve::Curve;
use super::genres::GENRES;
use crate::dice::{Dice, scatter, unit};

/// So many tracks are hits.
pub const HITS: u32 = 256;
/// Scenes in a genre.
pub const SCENES: u32 = 32;
/// From this rank in its genre on, a track belongs to a scene.
const SCENE_FROM: u32 = HITS + 512;
/// What a playlist that does not play a hit's genre makes of that hit: it takes it with this probability.
const FOREIGN_HIT: f64 = 0.35;
/// A tail track comes from the playlist's scene with this probability.
const IN_SCENE: f64 = 0.8;

/// A track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackNo {
    /// Its genre, as a place in the list of genres.
    pub genre: u8,
    /// Its rank in the genre, or among the hits if below 256.
    pub rank: u32,
}

/// An artist: genre and number in it, the best known first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtistNo {
    /// Its genre.
    pub genre: u8,
    /// Its number.
    pub number: u32,
}

/// What one playlist plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taste {
    /// Most of its tracks are of this genre.
    pub main: u8,
    /// Many of the others are of this one, often the same.
    pub second: u8,
    /// The scene it knows, in each genre.
    pub scene: u32,
}

/// Draws tracks.
#[derive(Clone, Debug)]
pub struct World {
    curve: Curve,
    hits_share: f64,
}

/// The genre at the share `u` of all entries.
fn genre_at(u: f64) -> u8 {
    let mut left = u;
    let passed = GENRES.iter().take_while(|genre| {
        left -= genre.share;
        left >= 0.0
    });
    passed.count().min(GENRES.len() - 1) as u8
}

/// The genre of a hit: spread evenly by share over the ranks (multiples of the golden ratio).
fn hit_genre(rank: u32) -> u8 {
    genre_at((f64::from(rank) * 0.618_033_988_749_895).fract())
}

impl Taste {
    /// A taste, so that each genre is main and second as often as its share says.
    pub fn draw(dice: &mut Dice) -> Self {
        let main = genre_at(dice.unit());
        let scene = dice.below(SCENES as usize) as u32;
        let second = match dice.unit() {
            u if u < 0.4 => main,
            u if u < 0.8 => {
                // A genre of the same family, by share.
                let family = GENRES[usize::from(main)].family;
                let share: f64 = GENRES.iter().filter(|g| g.family == family).map(|g| g.share).sum();
                let mut left = dice.unit() * share;
                let found = GENRES.iter().position(|g| {
                    g.family == family && {
                        left -= g.share;
                        left < 0.0
                    }
                });
                found.map_or(main, |g| g as u8)
            }
            _ => genre_at(dice.unit()),
        };
        Taste { main, second, scene }
    }

    fn genre(&self, dice: &mut Dice) -> u8 {
        match dice.unit() {
            u if u < 0.7 => self.main,
            u if u < 0.9 => self.second,
            _ => genre_at(dice.unit()),
        }
    }
}

impl World {
    /// The world.
    pub fn new() -> Self {
        let curve = Curve::new();
        let hits_share = curve.share(f64::from(HITS));
        World { curve, hits_share }
    }

    /// One track for a playlist of this taste.
    pub fn draw(&self, taste: Taste, dice: &mut Dice) -> TrackNo {
        let mut rank = self.curve.rank(dice.unit());
        if rank < f64::from(HITS) {
            loop {
                let hit = rank as u32;
                let genre = hit_genre(hit);
                if genre == taste.main || genre == taste.second || dice.chance(FOREIGN_HIT) {
                    return TrackNo { genre, rank: hit };
                }
                rank = self.curve.rank(dice.unit() * self.hits_share);
            }
        }
        let genre = taste.genre(dice);
        let mut rank = HITS + ((rank - f64::from(HITS)) * GENRES[usize::from(genre)].share) as u32;
        if rank >= SCENE_FROM && dice.chance(IN_SCENE) {
            rank = rank - rank % SCENES + taste.scene;
        }
        TrackNo { genre, rank }
    }
}

/// Artists of a genre that made its first `rank` tracks are `ARTISTS_AT · rank^ARTISTS_POWER`.
const ARTISTS_AT: f64 = 0.287;
const ARTISTS_POWER: f64 = 0.9;
/// How strongly the best known artists make the best known tracks of a genre, and the others.
const STARS: f64 = 2.75;
const STARS_IN_TAIL: f64 = 1.6;
const STARS_TO: u32 = 4096;

impl TrackNo {
    /// Whether it is heard everywhere.
    pub fn is_hit(self) -> bool {
        self.rank < HITS
    }

    /// A number of its own.
    pub fn code(self) -> u64 {
        u64::from(self.genre) << 32 | u64::from(self.rank)
    }

    /// Who made it.
    pub fn artist(self) -> ArtistNo {
        let artists = (ARTISTS_AT * f64::from(self.rank).powf(ARTISTS_POWER)).max(1.0);
        let stars = if self.rank < STARS_TO { STARS } else { STARS_IN_TAIL };
        let mut number = (artists * unit(scatter(self.code())).powf(stars)) as u32;
        if self.rank >= SCENE_FROM {
            number = number - number % SCENES + self.rank % SCENES;
        }
        ArtistNo { genre: self.genre, number }
    }

    /// Which of its artist's albums it is on.
    pub fn album(self, artist: ArtistNo) -> u32 {
        let bits = scatter(self.code() ^ 0xa1b0);
        (unit(bits) * artist.albums()) as u32
    }

    /// How long it lasts.
    pub fn duration_ms(self) -> u32 {
        let bits = scatter(self.code() ^ 0xd0_0a);
        150_000 + (bits % 70_000) as u32 + (bits >> 32) as u32 % 70_000
    }
}

impl ArtistNo {
    /// A number of its own.
    pub fn code(self) -> u64 {
        u64::from(self.genre) << 32 | u64::from(self.number)
    }

    /// Albums, the last of them a share of one: known artists have more.
    fn albums(self) -> f64 {
        1.0 + 18.0 / (1.0 + f64::from(self.number) / 64.0).sqrt()
    }
}
