//! Artists and albums, each kept once and known to cards by a number.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashSet};

use super::uri::{Packed, Prefixes};
use crate::edit::Party;

/// The number of an artist or album.
pub type PartyNo = u32;

/// Artists and albums in use. The unused ones are swept out each time their number has doubled.
#[derive(Default)]
pub struct Parties {
    /// Packed, by number; empty where there is none.
    all: Vec<Box<[u8]>>,
    numbers: HashTable<PartyNo>,
    free: Vec<PartyNo>,
    sweep_at: usize,
    /// What URIs begin with, those of tracks too.
    pub(super) prefixes: Prefixes,
}

/// URI and name.
type Fields<'a> = (Packed<'a>, Option<&'a str>);

/// Parties that are few are not worth a sweep.
const SWEEP_MIN: usize = 1024;

fn hash(packed: &[u8]) -> u64 {
    FxBuildHasher.hash_one(packed)
}

impl Parties {
    /// The number of a party; it stays as long as [`Parties::sweep`] is told that it is used.
    pub fn number(&mut self, party: &Party) -> PartyNo {
        let fields: Fields<'_> = (self.prefixes.pack(&party.uri), party.name.as_deref());
        // Packing fails only where memory does.
        let packed = postcard::to_allocvec(&fields).unwrap_or_default().into_boxed_slice();
        let all = &mut self.all;
        if let Some(known) = self.numbers.find(hash(&packed), |no| all[*no as usize] == packed) {
            return *known;
        }
        let number = self.free.pop().unwrap_or(all.len() as PartyNo);
        if number as usize == all.len() {
            all.push(Box::default());
        }
        let hashed = hash(&packed);
        all[number as usize] = packed;
        self.numbers.insert_unique(hashed, number, |no| hash(&all[*no as usize]));
        number
    }

    /// The party with this number.
    pub fn get(&self, number: PartyNo) -> Option<Party> {
        let (uri, name): Fields<'_> = postcard::from_bytes(self.all.get(number as usize)?).ok()?;
        Some(Party { uri: self.prefixes.unpack(uri), name: name.map(Into::into) })
    }

    /// Whether it is time to [`Parties::sweep`].
    pub fn is_due(&self) -> bool {
        self.numbers.len() > self.sweep_at.max(SWEEP_MIN)
    }

    /// Drops all parties but these.
    pub fn sweep(&mut self, used: &FxHashSet<PartyNo>) {
        let Parties { all, numbers, free, sweep_at, .. } = self;
        numbers.retain(|no| {
            let keep = used.contains(no);
            if !keep {
                all[*no as usize] = Box::default();
                free.push(*no);
            }
            keep
        });
        *sweep_at = 2 * numbers.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(n: u32) -> Party {
        Party { uri: format!("a:{n}").into(), name: n.is_multiple_of(2).then(|| format!("{n}").into()) }
    }

    #[test]
    fn a_party_is_kept_once_and_its_number_is_given_again_after_it() {
        let mut parties = Parties::default();
        let kept = parties.number(&party(1));
        for n in 0..10_000 {
            if parties.is_due() {
                parties.sweep(&[kept].into_iter().collect());
            }
            let number = parties.number(&party(n));
            assert_eq!(parties.get(number), Some(party(n)));
            assert_eq!(parties.number(&party(n)), number);
        }
        assert!(parties.all.len() <= SWEEP_MIN + 1, "{}", parties.all.len());
        assert_eq!((parties.get(kept), parties.number(&party(1))), (Some(party(1)), kept));
        assert_eq!(parties.get(1_000_000), None);
    }
}
