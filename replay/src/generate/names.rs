//! Readable names and lasting URIs for the numbers of the made-up world.
//!
//! Pure functions of the numbers. No name needs escaping in JSON, which the slice writer relies on.

use std::fmt::Write;

use segue_dataflow::event::{Named, Track};

use super::genres::GENRES;
use super::words::{ADJECTIVES, FIRST_SYLLABLES, LAST_SYLLABLES, NOUNS, TITLE_AFTER, TITLE_BEFORE, VERBS};
use super::world::{ArtistNo, TrackNo};
use crate::dice::scatter;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Takes random choices out of 64 bits.
struct Bits(u64);

impl Bits {
    fn below(&mut self, n: usize) -> usize {
        let choice = self.0 % n as u64;
        self.0 = scatter(self.0);
        choice as usize
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

/// Appends `segue:KIND:` and 22 letters that only this number has, as long as real ones are.
fn uri(out: &mut String, kind: &str, code: u64) {
    out.push_str("segue:");
    out.push_str(kind);
    out.push(':');
    for half in [scatter(code), scatter(!code)] {
        let mut left = half;
        for _ in 0..11 {
            out.push(char::from(BASE62[(left % 62) as usize]));
            left /= 62;
        }
    }
}

impl TrackNo {
    /// Appends its URI.
    pub fn uri(self, out: &mut String) {
        uri(out, "track", self.code());
    }

    /// Appends its name.
    pub fn name(self, out: &mut String) {
        let mut bits = Bits(scatter(self.code() ^ 0x7a3e));
        let own = &GENRES[usize::from(self.genre)].nouns;
        let shape = bits.below(8);
        let noun = if bits.below(2) == 0 { bits.of(own) } else { bits.of(&NOUNS) };
        let words: [&str; 4] = match shape {
            0 => [noun, "", "", ""],
            1 => [bits.of(&VERBS), " the ", noun, ""],
            2 => [noun, " of the ", bits.of(&NOUNS), ""],
            3 => [noun, " and ", bits.of(own), ""],
            4 => [bits.of(&VERBS), " My ", noun, ""],
            5 => ["The ", bits.of(&ADJECTIVES), " ", noun],
            _ => [bits.of(&ADJECTIVES), " ", noun, ""],
        };
        words.iter().for_each(|word| out.push_str(word));
    }

    /// The track with all its names.
    pub fn describe(self) -> Track<'static> {
        let made = |write: &dyn Fn(&mut String)| {
            let mut text = String::new();
            write(&mut text);
            text.into()
        };
        let artist = self.artist();
        let album = self.album(artist);
        Track {
            uri: made(&|out| self.uri(out)),
            name: Some(made(&|out| self.name(out))),
            artist: Some(Named {
                uri: made(&|out| artist.uri(out)),
                name: Some(made(&|out| artist.name(out))),
            }),
            album: Some(Named {
                uri: made(&|out| artist.album_uri(album, out)),
                name: Some(made(&|out| artist.album_name(album, out))),
            }),
            duration_ms: Some(self.duration_ms()),
        }
    }
}

impl ArtistNo {
    /// Appends its URI.
    pub fn uri(self, out: &mut String) {
        uri(out, "artist", self.code());
    }

    /// Appends its name.
    pub fn name(self, out: &mut String) {
        let mut bits = Bits(scatter(self.code() ^ 0xa47));
        let own = &GENRES[usize::from(self.genre)].nouns;
        let shape = bits.below(8);
        let (a, b) = (bits.of(&FIRST_SYLLABLES), bits.of(&LAST_SYLLABLES));
        let (c, d) = (bits.of(&FIRST_SYLLABLES), bits.of(&LAST_SYLLABLES));
        let words: [&str; 5] = match shape {
            0 => ["The ", bits.of(&ADJECTIVES), " ", bits.of(&NOUNS), "s"],
            1 => [a, b, " ", "& the ", bits.of(own)],
            2 => [a, b, d, "", ""],
            3 => [a, b, " ", bits.of(own), ""],
            _ => [a, b, " ", c, d],
        };
        words.iter().for_each(|word| out.push_str(word));
    }

    /// Appends the URI of its album `album`.
    pub fn album_uri(self, album: u32, out: &mut String) {
        uri(out, "album", self.code() | u64::from(album + 1) << 40);
    }

    /// Appends the name of its album `album`.
    pub fn album_name(self, album: u32, out: &mut String) {
        let mut bits = Bits(scatter(self.code() ^ u64::from(album + 1) << 40));
        let own = &GENRES[usize::from(self.genre)].nouns;
        let words =
            [bits.of(&ADJECTIVES), " ", bits.of(own), if bits.below(6) == 0 { " (Deluxe)" } else { "" }];
        words.iter().for_each(|word| out.push_str(word));
    }
}

/// The title of rank `rank` of a genre, in the spelling `spelling`: the word of the genre, soon with
/// another after it, then with one before it as well.
pub fn title(genre: u8, rank: usize, spelling: u64) -> String {
    let own = &GENRES[usize::from(genre)].titles;
    let (word, combination) = (own[rank % own.len()], rank / own.len());
    let mut title = String::new();
    if combination > TITLE_AFTER.len() {
        let before = (combination - 1) / TITLE_AFTER.len() - 1;
        title.push_str(TITLE_BEFORE[before % TITLE_BEFORE.len()]);
        title.push(' ');
    }
    title.push_str(word);
    if combination > 0 {
        title.push(' ');
        title.push_str(TITLE_AFTER[(combination - 1) % TITLE_AFTER.len()]);
    }
    spell(&title, spelling)
}

/// How people write the same title. Lower case, single spaces and no punctuation lead back to it.
fn spell(title: &str, spelling: u64) -> String {
    let mut bits = Bits(spelling);
    let mut spelled = match bits.below(20) {
        0..=8 => capitals(title),
        9..=16 => title.to_owned(),
        17 | 18 => title.to_uppercase(),
        _ => {
            let mut chars = title.chars();
            chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
        }
    };
    match bits.below(100) {
        0 => spelled.push('!'),
        1 => spelled.push('.'),
        2 => spelled.push(' '),
        3 => spelled.push_str("..."),
        4 => spelled.push_str("!!!"),
        5 => spelled = format!("*{spelled}*"),
        6 => spelled = format!("~{spelled}~"),
        _ => {}
    }
    spelled
}

fn capitals(title: &str) -> String {
    let mut spelled = String::new();
    for (i, word) in title.split(' ').enumerate() {
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        let gap = if i > 0 { " " } else { "" };
        // Writing to a `String` does not fail.
        let _ = write!(spelled, "{gap}{}{rest}", first.to_uppercase());
    }
    spelled
}
