//! What the generator makes, counted beside the published figures of the Million Playlist Dataset.
//!
//! `cargo run --release -p segue-replay --example full_size [playlists]`; a million take about half a
//! minute a core, and no disk.

use std::collections::HashMap;
use std::time::Instant;

use segue_replay::generate::{Playlists, TrackNo};

fn normalised(title: &str) -> String {
    let kept: String = title.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '&').collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn main() {
    let n: u64 = std::env::args().nth(1).map_or(1_000_000, |n| n.parse().expect("a number of playlists"));
    let started = Instant::now();
    let (mut tracks, mut titles, mut raw) = (HashMap::<TrackNo, u32>::new(), HashMap::new(), HashMap::new());
    let mut lengths = vec![0_u64; 251];
    for playlist in Playlists::new(1, n) {
        lengths[playlist.tracks.len()] += 1;
        *titles.entry(normalised(&playlist.title)).or_insert(0_u32) += 1;
        *raw.entry(playlist.title).or_insert(0_u32) += 1;
        for track in playlist.tracks {
            *tracks.entry(track).or_default() += 1;
        }
    }
    println!("{n} playlists in {:.1} s", started.elapsed().as_secs_f64());

    let mut counts: Vec<u32> = tracks.values().copied().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let entries: u64 = counts.iter().map(|&c| u64::from(c)).sum();
    println!("entries {entries} (66,346,428), a playlist {:.2} (66.35)", entries as f64 / n as f64);
    let quantile = |q: f64| {
        let mut left = (q * n as f64) as u64;
        lengths
            .iter()
            .position(|&l| {
                l > left || {
                    left -= l;
                    false
                }
            })
            .unwrap_or(250)
    };
    let quantiles = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99].map(quantile);
    println!("lengths {quantiles:?} (6, 11, 15, 26, 49, 92, 148, 184, 232)");
    println!(
        "tracks {} (2,262,292); the first {}, the 20th {} (46,574, 30,485)",
        counts.len(),
        counts[0],
        counts[19]
    );
    for (times, published) in [
        (1, 1_073_419),
        (2, 323_249),
        (3, 163_849),
        (4, 102_434),
        (5, 70_696),
        (10, 23_875),
        (20, 7_600),
        (30, 3_941),
    ] {
        println!("  {times} times: {} ({published})", counts.iter().filter(|&&c| c == times).count());
    }
    let head: u64 = counts[..counts.len() * 74 / 1000].iter().map(|&c| u64::from(c)).sum();
    println!("7.4 % of the tracks carry {:.1} % (88.6 %)", 100.0 * head as f64 / entries as f64);

    let (mut artists, mut albums) = (HashMap::new(), HashMap::new());
    for (track, count) in &tracks {
        *artists.entry(track.artist()).or_insert(0) += count;
        *albums.entry((track.artist(), track.album(track.artist()))).or_insert(0) += count;
    }
    println!("artists {} (295,860), the first {:?} (847,160)", artists.len(), artists.values().max());
    println!("albums {} (734,684)", albums.len());
    let mut by_title: Vec<u32> = titles.values().copied().collect();
    by_title.sort_unstable_by(|a, b| b.cmp(a));
    let covered: u32 = by_title.iter().take(100).sum();
    println!("titles {} (92,944), normalised {} (17,381)", raw.len(), titles.len());
    println!("the 100 most usual cover {:.1} % (26 %)", 100.0 * f64::from(covered) / n as f64);
}
