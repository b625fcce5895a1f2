//! Artists and albums, each kept once and known to cards by a number.

use std::hash::BuildHasher;
use std::num::NonZeroU32;

use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashSet};

use serde::Serialize;

use super::uri::{Packed, Prefixes};
use crate::edit::Party;
use crate::ids::ArtistId;

/// The number of an artist or album.
pub type PartyNo = u32;

/// Artists and albums in use. The unused ones are swept out each time their number has doubled.
#[derive(Default)]
pub struct Parties {
    /// All of them, packed, one after the other: a box for each would take as much again.
    packed: Vec<u8>,
    /// By number, where each begins; none where there is no such party any more.
    begins: Vec<Option<NonZeroU32>>,
    /// By number, the id that it has as an artist.
    ids: Vec<ArtistId>,
    numbers: HashTable<PartyNo>,
    free: Vec<PartyNo>,
    /// A sweep is due once there are more.
    sweep_at: usize,
    /// What URIs begin with, those of tracks too.
    pub(super) prefixes: Prefixes,
}

/// URI and name.
type Fields<'a> = (Packed<'a>, Option<&'a str>);

/// Parties that are few are not worth a sweep.
const SWEEP_MIN: usize = 1024;

/// What is packed usually takes no more bytes than this.
const ROOM: usize = 256;

/// Packs a value, for `taken` to take it.
pub fn packed<T>(value: &impl Serialize, taken: impl FnOnce(&[u8]) -> T) -> T {
    match postcard::to_slice(value, &mut [0; ROOM]) {
        Ok(packed) => taken(packed),
        // Packing fails only where memory does.
        Err(_) => taken(&postcard::to_allocvec(value).unwrap_or_default()),
    }
}

fn hash(packed: &[u8]) -> u64 {
    FxBuildHasher.hash_one(packed)
}

/// A place in what is packed. Parties beyond the first 4 GiB would have none, and so no names.
fn place(begin: usize) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(begin + 1).unwrap_or(0))
}

/// The packed party with this number, and what is packed after it.
fn from<'a>(packed: &'a [u8], begins: &[Option<NonZeroU32>], number: PartyNo) -> &'a [u8] {
    let begin = begins.get(number as usize).copied().flatten();
    begin.and_then(|begin| packed.get(begin.get() as usize - 1..)).unwrap_or_default()
}

/// Only what is packed for the party that comes first.
fn first(packed: &[u8]) -> &[u8] {
    let rest = postcard::take_from_bytes::<Fields<'_>>(packed).map_or(0, |(_, rest)| rest.len());
    &packed[..packed.len() - rest]
}

impl Parties {
    /// The number of a party; it stays as long as [`Parties::sweep`] is told that it is used.
    pub fn number(&mut self, party: &Party) -> PartyNo {
        let fields: Fields<'_> = (self.prefixes.pack(&party.uri), party.name.as_deref());
        packed(&fields, |wanted| {
            self.find(wanted).unwrap_or_else(|| self.insert(wanted, ArtistId::of(&party.uri)))
        })
    }

    /// Packed parties tell where they end: none begins like another.
    fn find(&self, wanted: &[u8]) -> Option<PartyNo> {
        let is = |no: &PartyNo| from(&self.packed, &self.begins, *no).starts_with(wanted);
        self.numbers.find(hash(wanted), is).copied()
    }

    fn insert(&mut self, wanted: &[u8], id: ArtistId) -> PartyNo {
        let Parties { packed, begins, ids, numbers, free, .. } = self;
        let number = free.pop().unwrap_or(begins.len() as PartyNo);
        if number as usize == begins.len() {
            begins.push(None);
            ids.push(id);
        }
        (begins[number as usize], ids[number as usize]) = (place(packed.len()), id);
        packed.extend_from_slice(wanted);
        numbers.insert_unique(hash(wanted), number, |no| hash(first(from(packed, begins, *no))));
        number
    }

    /// The party with this number.
    pub fn get(&self, number: PartyNo) -> Option<Party> {
        let packed = from(&self.packed, &self.begins, number);
        let ((uri, name), _): (Fields<'_>, _) = postcard::take_from_bytes(packed).ok()?;
        Some(Party { uri: self.prefixes.unpack(uri), name: name.map(Into::into) })
    }

    /// The id of the artist with this number.
    pub fn artist(&self, number: PartyNo) -> Option<ArtistId> {
        self.ids.get(number as usize).copied()
    }

    /// All that are there are in use: a sweep takes as long as a look at all tracks.
    pub fn all_used(&mut self) {
        self.sweep_at = 2 * self.numbers.len();
    }

    /// Whether it is time to [`Parties::sweep`].
    pub fn is_due(&self) -> bool {
        self.numbers.len() > self.sweep_at.max(SWEEP_MIN)
    }

    /// Drops all parties but these.
    pub fn sweep(&mut self, used: &FxHashSet<PartyNo>) {
        let Parties { packed, begins, numbers, free, .. } = self;
        let mut kept = Vec::new();
        numbers.retain(|no| {
            let begin = used.contains(no).then_some(kept.len());
            if begin.is_some() {
                kept.extend_from_slice(first(from(packed, begins, *no)));
            } else {
                free.push(*no);
            }
            begins[*no as usize] = begin.and_then(place);
            begin.is_some()
        });
        *packed = kept;
        self.all_used();
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
            assert_eq!(parties.artist(number), Some(ArtistId::of(&party(n).uri)));
            assert_eq!(parties.number(&party(n)), number);
        }
        assert!(parties.begins.len() <= SWEEP_MIN + 1, "{}", parties.begins.len());
        assert!(parties.packed.len() < 40 * SWEEP_MIN, "{}", parties.packed.len());
        assert_eq!((parties.get(kept), parties.number(&party(1))), (Some(party(1)), kept));
        assert_eq!(parties.get(1_000_000), None);
    }
}
