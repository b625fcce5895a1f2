//! What the engine tells about its graph, on a worker's thread: it is only noted.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use segue_dataflow::ids::TrackId;
use segue_dataflow::neighbours::GraphStep;

/// Notes which rows have changed, so many at the most.
pub struct Inbox {
    told: Mutex<Told>,
    news: Condvar,
    most: usize,
}

/// What was told since somebody asked last.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Tracks whose rows have changed; one may be here twice.
    pub tracks: Vec<TrackId>,
    /// The newest step.
    pub through: u64,
    /// How many more have changed than there was room for.
    pub lost: usize,
    /// That was all.
    pub closed: bool,
}

impl Inbox {
    /// With room for so many tracks.
    pub fn new(most: usize) -> Self {
        Inbox { told: Mutex::default(), news: Condvar::new(), most }
    }

    /// Notes a step.
    pub fn step(&self, step: &GraphStep) {
        let mut told = self.told.lock();
        told.through = step.epoch;
        if told.tracks.len() + step.rows.len() > self.most {
            // Whoever has lost some looks at all.
            told.lost += told.tracks.len() + step.rows.len();
            told.tracks = Vec::new();
        } else {
            told.tracks.extend(step.rows.iter().map(|changed| changed.track));
        }
        self.news.notify_one();
    }

    /// That was all.
    pub fn close(&self) {
        self.told.lock().closed = true;
        self.news.notify_one();
    }

    /// What was told, once there is something or the time has come.
    pub fn wait(&self, until: Instant) -> Told {
        let mut told = self.told.lock();
        while told.tracks.is_empty() && told.lost == 0 && !told.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                break;
            }
            self.news.wait_for(&mut told, left);
        }
        let Told { through, closed, .. } = *told;
        std::mem::replace(&mut told, Told { through, closed, ..Told::default() })
    }
}

#[cfg(test)]
mod tests {
    use segue_dataflow::neighbours::Changed;

    use super::*;

    fn step(epoch: u64, tracks: std::ops::Range<u64>) -> GraphStep {
        let rows = tracks.map(|track| Changed { track: TrackId(track), old: None, new: None }).collect();
        GraphStep { epoch, rows }
    }

    #[test]
    fn it_has_room_for_so_many_and_says_what_it_has_lost() {
        let inbox = Inbox::new(10);
        let wait = || inbox.wait(Instant::now());
        assert_eq!(wait(), Told::default());
        (1..4).for_each(|epoch| inbox.step(&step(epoch, 0..3)));
        let told = wait();
        assert_eq!((told.tracks.len(), told.through, told.lost), (9, 3, 0));
        assert_eq!(wait(), Told { through: 3, ..Told::default() });
        (4..9).for_each(|epoch| inbox.step(&step(epoch, 0..3)));
        let told = wait();
        assert_eq!((told.tracks.len(), told.through, told.lost), (3, 8, 12));
        inbox.step(&step(9, 0..100));
        assert_eq!(wait(), Told { through: 9, lost: 100, ..Told::default() });
        inbox.close();
        let later = Instant::now() + Duration::from_secs(3_600);
        assert_eq!(inbox.wait(later), Told { through: 9, closed: true, ..Told::default() });
    }
}
