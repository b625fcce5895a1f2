//! The graph as plain differential dataflow: join, count, reduce, over the same sample.

use std::cmp::Reverse;

use differential_dataflow::AsCollection;
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::sample;
use segue_dataflow::settings::Neighbours;
use timely::dataflow::operators::capture::Extract;
use timely::dataflow::operators::{Capture, ToStream};

/// An entry that came (1) or went (-1) in an epoch.
pub type Update = ((PlaylistId, TrackId), u64, isize);

/// The changes of the neighbours that entries have: ((track, other, shared), epoch, 1 or -1).
pub fn neighbours(entries: Vec<Update>, rules: Neighbours) -> Vec<((TrackId, TrackId, u32), u64, isize)> {
    let changes = timely::example(move |scope| {
        let entries = entries.into_iter().to_stream(scope).as_collection();
        let held = entries.clone().map(|(_, track)| track).count();
        let sampled = entries
            .clone()
            .map(|(playlist, track)| (track, playlist))
            .join(held)
            .filter(move |(_, (playlist, holding))| {
                let holding = *holding as u32;
                holding >= rules.min_support
                    && playlist.0 <= sample::last(sample::level(holding, rules.sample))
            })
            .map(|(track, (playlist, _))| (playlist, track));
        sampled
            .join(entries)
            .map(|(_, pair)| pair)
            .filter(|(track, other)| track != other)
            .count()
            .filter(|(_, shared)| *shared >= 2)
            .map(|((track, other), shared)| (track, (Reverse(shared as u32), other)))
            .reduce(move |_, all, best| {
                best.extend(all.iter().take(rules.keep as usize).map(|(other, _)| (**other, 1)));
            })
            .map(|(track, (Reverse(shared), other))| (track, other, shared))
            .inner
            .capture()
    });
    changes.extract().into_iter().flat_map(|(_, changes)| changes).collect()
}
