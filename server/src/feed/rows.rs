//! How a changed row is told: whole, or what has changed of it where that is less.

use std::cmp::Reverse;
use std::io::Write;

use segue_dataflow::ids::TrackId;
use segue_dataflow::neighbours::Row;
use serde::Serialize;
use serde_json::value::RawValue;

/// `{"as_of","track","sampled",…}`
#[derive(Serialize)]
struct Told<'a> {
    as_of: &'a RawValue,
    track: &'a str,
    sampled: u32,
    #[serde(flatten)]
    how: How,
}

/// How a row is told.
#[derive(Serialize)]
#[serde(untagged)]
enum How {
    /// Instead of whatever was there; none: there is no row any more.
    Whole { neighbours: Option<Vec<Neighbour>> },
    /// What has changed.
    Changes { changed: Vec<Neighbour>, gone: Vec<Box<str>> },
}

#[derive(Serialize)]
struct Neighbour {
    track: Box<str>,
    shared: u32,
}

/// Writes rows as JSON.
pub struct Teller<'a, U> {
    /// The epoch as it is to be written.
    pub as_of: &'a RawValue,
    /// The URI of a track that is in a row.
    pub uri: U,
}

impl<U: Fn(TrackId) -> Option<Box<str>>> Teller<'_, U> {
    /// Writes a row as it is.
    pub fn whole(&self, track: &str, row: &Row, to: &mut Vec<u8>) {
        let neighbours = Some(self.named(row.neighbours()));
        self.write(track, row.sampled(), How::Whole { neighbours }, to);
    }

    /// Writes that a row has changed; as [`whole`](Self::whole), or what is new of it.
    pub fn changed(&self, track: &str, old: &Row, new: &Row, to: &mut Vec<u8>) {
        let (changed, gone) = differ(old, new);
        if changed.len() + gone.len() >= new.neighbours().count() {
            return self.whole(track, new, to);
        }
        let (changed, gone) =
            (self.named(changed.into_iter()), gone.into_iter().filter_map(&self.uri).collect());
        self.write(track, new.sampled(), How::Changes { changed, gone }, to);
    }

    /// Writes that a row is gone.
    pub fn gone(&self, track: &str, to: &mut Vec<u8>) {
        self.write(track, 0, How::Whole { neighbours: None }, to);
    }

    fn named(&self, all: impl Iterator<Item = (TrackId, u32)>) -> Vec<Neighbour> {
        all.filter_map(|(track, shared)| Some(Neighbour { track: (self.uri)(track)?, shared })).collect()
    }

    fn write(&self, track: &str, sampled: u32, how: How, to: &mut Vec<u8>) {
        // Strings and numbers always become JSON, and memory takes it.
        let _ = serde_json::to_writer(to.by_ref(), &Told { as_of: self.as_of, track, sampled, how });
    }
}

/// The neighbours that are new or share another number, and those that are gone.
fn differ(old: &Row, new: &Row) -> (Vec<(TrackId, u32)>, Vec<TrackId>) {
    let rank = |(track, shared): (TrackId, u32)| (Reverse(shared), track);
    let (mut before, mut after) =
        (old.neighbours().map(rank).peekable(), new.neighbours().map(rank).peekable());
    let (mut changed, mut gone) = (Vec::new(), Vec::new());
    loop {
        match (before.peek(), after.peek()) {
            (Some(one), Some(other)) if one == other => {
                before.next();
                after.next();
            }
            (Some(one), other) if other.is_none_or(|other| one < other) => {
                gone.extend(before.next().map(|(_, track)| track));
            }
            (_, Some(_)) => {
                changed.extend(after.next().map(|(Reverse(shared), track)| (track, shared)));
            }
            (_, None) => break,
        }
    }
    gone.retain(|track| changed.iter().all(|(other, _)| other != track));
    (changed, gone)
}

/// Whether a reader could tell the rows apart.
pub fn same(old: &Row, new: &Row) -> bool {
    old.sampled() == new.sampled() && old.neighbours().eq(new.neighbours())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use serde_json::{Value, json};

    use super::*;

    type Shared = BTreeMap<String, u64>;

    fn shared(row: &Row) -> Shared {
        row.neighbours().map(|(track, shared)| (track.0.to_string(), shared.into())).collect()
    }

    /// As a reader takes it in.
    fn take(there: &mut Shared, told: &Value) {
        let all = |of: &Value| {
            let all = of.as_array().expect("a list").iter();
            let one = |n: &Value| {
                (n["track"].as_str().expect("a URI").to_owned(), n["shared"].as_u64().expect("a number"))
            };
            all.map(one).collect::<Shared>()
        };
        if told.get("changed").is_some() {
            there.extend(all(&told["changed"]));
            for track in told["gone"].as_array().expect("a list") {
                assert!(there.remove(track.as_str().expect("a URI")).is_some());
            }
        } else {
            *there = all(&told["neighbours"]);
        }
    }

    #[test]
    fn what_is_told_makes_the_new_row_of_the_old_one() {
        let (mut rng, mut changes, mut whole) = (ChaCha8Rng::seed_from_u64(3), 0, 0);
        let as_of = RawValue::from_string("{}".to_owned()).expect("JSON");
        for _ in 0..2_000 {
            let keep = rng.random_range(1..20);
            let mut counts: Vec<u32> = (0..30).map(|_| rng.random_range(0..9)).collect();
            let row = |counts: &[u32], sampled| {
                let all = (0..).map(TrackId).zip(counts).map(|(track, count)| (Reverse(*count), track));
                Row::new(keep, 0, sampled, all.collect())
            };
            let old = row(&counts, 9);
            (0..rng.random_range(0..6))
                .for_each(|_| counts[rng.random_range(0..30)] = rng.random_range(0..9));
            let new = row(&counts, 8);
            let uri = |track: TrackId| Some(track.0.to_string().into_boxed_str());
            let (mut text, mut there) = (Vec::new(), shared(&old));
            Teller { as_of: &as_of, uri }.changed("t", &old, &new, &mut text);
            let told: Value = serde_json::from_slice(&text).expect("JSON");
            assert_eq!((&told["track"], &told["sampled"]), (&json!("t"), &json!(8)));
            take(&mut there, &told);
            assert_eq!(there, shared(&new), "{told}");
            (changes, whole) =
                if told.get("changed").is_some() { (changes + 1, whole) } else { (changes, whole + 1) };
        }
        assert!(changes > 500 && whole > 50, "{changes} {whole}");
        let mut text = Vec::new();
        Teller { as_of: &as_of, uri: |_| None }.gone("t", &mut text);
        let told: Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(told, json!({"as_of": {}, "track": "t", "sampled": 0, "neighbours": null}));
    }
}
