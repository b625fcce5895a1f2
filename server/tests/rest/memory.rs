//! Memory while something is away: it stays as it is.

use crate::harness::Server;

/// By so many bytes it may differ from one moment to another.
const SLACK: u64 = 24 << 20;

/// Bytes that a server has, look after look.
#[derive(Debug, Default)]
pub struct Memory(Vec<u64>);

impl Memory {
    pub fn look(&mut self, server: &Server) {
        self.0.push(server.counted("segue_resident_memory_bytes"));
    }

    /// That it stayed as it was at first.
    pub fn stayed(&self) {
        // The first quarter is for buffers and merges.
        let (first, later) = self.0.split_at((self.0.len() / 4).max(1));
        Self::grew_by_at_most(0, first, later);
    }

    /// That it never was so many bytes more than in `before`, beyond what it always may differ by.
    pub fn grew_since(&self, before: &Memory, bytes: u64) {
        Self::grew_by_at_most(bytes, &before.0, &self.0);
    }

    fn grew_by_at_most(bytes: u64, before: &[u64], after: &[u64]) {
        let most = |some: &[u64]| some.iter().max().copied().unwrap_or(0);
        assert!(before.iter().chain(after).all(|bytes| *bytes > 0), "{before:?} {after:?}");
        assert!(most(after) <= most(before) + bytes + SLACK, "{before:?} {after:?}");
    }
}
