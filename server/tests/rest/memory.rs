//! Memory while something is away: it stays as it is.

use crate::harness::Server;

/// By so many bytes it may differ from one moment to another.
const SLACK: u64 = 24 << 20;

/// Bytes that a server has, look after look.
#[derive(Default)]
pub struct Memory(Vec<u64>);

impl Memory {
    pub fn look(&mut self, server: &Server) {
        self.0.push(server.counted("segue_resident_memory_bytes"));
    }

    /// That it never was so much greater than at first, beyond what it always may differ by.
    pub fn grew_by_at_most(&self, bytes: u64) {
        // The first quarter is for buffers and merges.
        let most = |some: &[u64]| some.iter().max().copied().unwrap_or(0);
        let (first, later) = self.0.split_at(self.0.len() / 4);
        assert!(later.iter().all(|bytes| *bytes > 0) && !later.is_empty(), "{:?}", self.0);
        assert!(most(later) <= most(first).max(later[0]) + bytes + SLACK, "{first:?} {later:?}");
    }
}
