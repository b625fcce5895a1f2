//! Generations: the fence between two servers that write to one prefix. Each start claims the next number;
//! whoever sees a greater one than its own has been replaced, and stops.

use bytes::Bytes;
use serde_json::json;
use uuid::Uuid;

use super::{Error, Manifest, Store};
use crate::step::step;

const FOLDER: &str = "generations";

impl Store {
    /// Claims the next generation, so that this store may be written to.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn claim(&mut self) -> Result<u64, Error> {
        // Not two claims are alike: so a claim that is read back is ours or is not.
        let claim = Bytes::from(json!({"claim": Uuid::now_v7().to_string()}).to_string());
        loop {
            let there = self.numbers(FOLDER)?;
            let next = there.last().map_or(1, |newest| newest + 1);
            step!("generation::claim");
            if self.create(&Store::name(FOLDER, next), &claim)? {
                step!("generation::claimed");
                self.generation = Some(next);
                // Those before it say nothing any more; one that is left over does no harm.
                there.iter().try_for_each(|old| self.delete(&Store::name(FOLDER, *old)))?;
                return Ok(next);
            }
        }
    }

    /// Whether this store wrote it, since it was claimed.
    pub fn is_own(&self, manifest: &Manifest) -> bool {
        self.generation == Some(manifest.generation)
    }

    /// The generation that writes here, if it is still the newest.
    ///
    /// # Errors
    /// [`Error::Fenced`], [`Error::Store`].
    pub fn check_generation(&self) -> Result<u64, Error> {
        let own = self.generation.unwrap_or(0);
        match self.numbers(FOLDER)?.last() {
            Some(newer) if *newer > own => Err(Error::Fenced { own, newer: *newer }),
            _ => Ok(own),
        }
    }
}
