//! What is deleted: manifests beyond those kept, then objects that no manifest needs.

use std::collections::BTreeSet;

use super::{Error, Store};
use crate::step::step;

/// Manifests that are always kept.
const KEPT_MIN: usize = 2;

impl Store {
    /// Keeps the `keep` newest snapshots (two at least) and what they need. Objects of snapshots that are being
    /// written, or are newer than all manifests, are let be. Gives the numbers of manifests and objects deleted.
    ///
    /// # Errors
    /// [`Error::Fenced`], [`Error::Store`]; if a manifest cannot be read, nothing that it may need is deleted.
    pub fn retain(&self, keep: usize) -> Result<(usize, usize), Error> {
        self.check_generation()?;
        let mut kept = self.epochs()?;
        let dropped = kept.split_off(keep.max(KEPT_MIN).min(kept.len()));
        let Some(newest) = kept.first().copied() else { return Ok((0, 0)) };
        let mut needed = BTreeSet::new();
        for epoch in &kept {
            needed.extend(self.manifest(*epoch)?.paths().map(str::to_owned));
        }
        // A manifest goes before its objects, so that none is there without them.
        for epoch in &dropped {
            step!("retention::manifest");
            self.delete(&Store::name("manifests", *epoch))?;
        }
        let old = |path: &String| {
            let folder = path.strip_prefix("data/").and_then(|rest| rest.split_once('-'));
            folder.and_then(|(epoch, _)| epoch.parse::<u64>().ok()).is_some_and(|epoch| epoch <= newest)
        };
        let unneeded: Vec<String> =
            self.list("data")?.into_iter().filter(|path| old(path) && !needed.contains(path)).collect();
        for path in &unneeded {
            step!("retention::object");
            self.delete(path)?;
        }
        Ok((dropped.len(), unneeded.len()))
    }
}
