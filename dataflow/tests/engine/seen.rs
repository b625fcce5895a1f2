//! What has happened while a test compared, and how often: what it is there for must not fail to happen.

use std::collections::BTreeMap;

use segue_dataflow::ids::TrackId;

/// How often what has happened.
pub type Seen = BTreeMap<&'static str, usize>;

/// It has happened so many times more.
pub fn see(seen: &mut Seen, what: &'static str, times: usize) {
    *seen.entry(what).or_default() += times;
}

/// What became of the tracks that have rows, and of how often their samples are halved.
pub fn crossed(before: &BTreeMap<TrackId, u32>, now: &BTreeMap<TrackId, u32>, seen: &mut Seen) {
    let stayed = || before.iter().filter_map(|(track, level)| Some((level, now.get(track)?)));
    see(seen, "samples were halved", stayed().filter(|(before, now)| now > before).count());
    see(seen, "samples were doubled", stayed().filter(|(before, now)| now < before).count());
    see(seen, "rows came", now.len() - stayed().count());
    see(seen, "rows went", before.len() - stayed().count());
}

/// Each of these must have happened more often than that, in all runs together.
pub fn assert_seen(all: impl Iterator<Item = Seen>, least: &[(&str, usize)]) {
    let mut sums = Seen::new();
    all.flatten().for_each(|(what, times)| see(&mut sums, what, times));
    println!("{sums:?}");
    for (what, least) in least {
        assert!(sums.get(what).is_some_and(|times| times > least), "hardly ever: {what}, in {sums:?}");
    }
}
