//! Artists and albums, each kept once and known to cards by a number.

use std::hash::BuildHasher;
use std::num::NonZeroU32;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use serde::Serialize;

use super::uri::{Packed, Prefixes};
use crate::edit::Party;
use crate::ids::ArtistId;

/// The number of an artist or album.
pub type PartyNo = u32;

/// Artists and albums in use. The unused ones are swept out each time their number has doubled, in steps: those that
/// are named meanwhile are kept.
#[derive(Default)]
pub struct Parties {
    /// By number; none where there is no such party any more.
    places: Vec<Option<Place>>,
    /// By number, the id that it has as an artist.
    ids: Vec<ArtistId>,
    /// All of them, packed, one after the other: a box for each would take as much again. While a sweep packs them anew,
    /// those with the smaller numbers are in the second.
    packed: [Vec<u8>; 2],
    /// Those before this number are.
    moved: usize,
    numbers: HashTable<PartyNo>,
    free: Vec<PartyNo>,
    /// A sweep is due once there are more.
    sweep_at: usize,
    sweep: Option<Sweep>,
    /// What URIs begin with, those of tracks too.
    pub(super) prefixes: Prefixes,
}

/// Where a party begins, and 1.
type Place = NonZeroU32;

/// A sweep that has begun.
#[derive(Default)]
struct Sweep {
    /// The next part of the tracks to be looked at.
    part: usize,
    /// By number, whether it has been seen to be named since the sweep began.
    named: Vec<bool>,
}

/// URI and name.
type Fields<'a> = (Packed<'a>, Option<&'a str>);

/// Parties that are few are not worth a sweep.
const SWEEP_MIN: usize = 1024;

/// Parties that are packed anew in one step.
const MOVED: usize = 2048;

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
fn place(begin: usize) -> Option<Place> {
    NonZeroU32::new(u32::try_from(begin + 1).unwrap_or(0))
}

/// Only what is packed for the party that comes first.
fn first(packed: &[u8]) -> &[u8] {
    let rest = postcard::take_from_bytes::<Fields<'_>>(packed).map_or(0, |(_, rest)| rest.len());
    &packed[..packed.len() - rest]
}

impl Parties {
    /// The number of a party; it stays as long as sweeps find that it is named.
    pub fn number(&mut self, party: &Party) -> PartyNo {
        let fields: Fields<'_> = (self.prefixes.pack(&party.uri), party.name.as_deref());
        let number = packed(&fields, |wanted| {
            self.find(wanted).unwrap_or_else(|| self.insert(wanted, ArtistId::of(&party.uri)))
        });
        self.mark([number].into_iter());
        number
    }

    /// The packed party with this number, and what is packed after it.
    fn from(&self, number: PartyNo) -> &[u8] {
        let place = self.places.get(number as usize).copied().flatten();
        place.and_then(|at| self.packed[self.side(number)].get(at.get() as usize - 1..)).unwrap_or_default()
    }

    /// Where it is packed.
    fn side(&self, number: PartyNo) -> usize {
        usize::from((number as usize) < self.moved)
    }

    /// Packed parties tell where they end: none begins like another.
    fn find(&self, wanted: &[u8]) -> Option<PartyNo> {
        self.numbers.find(hash(wanted), |no| self.from(*no).starts_with(wanted)).copied()
    }

    fn insert(&mut self, wanted: &[u8], id: ArtistId) -> PartyNo {
        let number = self.free.pop().unwrap_or(self.places.len() as PartyNo);
        if number as usize == self.places.len() {
            self.places.push(None);
            self.ids.push(id);
        }
        self.ids[number as usize] = id;
        self.pack(number, wanted, self.side(number));
        let mut numbers = std::mem::take(&mut self.numbers);
        numbers.insert_unique(hash(wanted), number, |no| hash(first(self.from(*no))));
        self.numbers = numbers;
        number
    }

    fn pack(&mut self, number: PartyNo, party: &[u8], side: usize) {
        self.places[number as usize] = place(self.packed[side].len());
        self.packed[side].extend_from_slice(party);
    }

    /// The party with this number.
    pub fn get(&self, number: PartyNo) -> Option<Party> {
        let ((uri, name), _): (Fields<'_>, _) = postcard::take_from_bytes(self.from(number)).ok()?;
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

    /// The part of the tracks that a sweep is to look at next, to [`Parties::mark`] what they name; none if no sweep is
    /// due. What is named anew meanwhile counts by itself, so each part is looked at once.
    pub fn sweep_part(&mut self) -> Option<usize> {
        if self.sweep.is_none() && self.numbers.len() > self.sweep_at.max(SWEEP_MIN) {
            self.sweep = Some(Sweep::default());
        }
        let sweep = self.sweep.as_mut()?;
        sweep.part += 1;
        Some(sweep.part - 1)
    }

    /// These are named.
    pub fn mark(&mut self, numbers: impl Iterator<Item = PartyNo>) {
        let Some(Sweep { named, .. }) = &mut self.sweep else { return };
        named.resize(self.places.len(), false);
        numbers.for_each(|no| named.get_mut(no as usize).into_iter().for_each(|named| *named = true));
    }

    /// Once all is marked: drops some of those that nobody names, and packs the others anew.
    pub fn drop_unmarked(&mut self) {
        let Some(sweep) = self.sweep.take() else { return };
        for _ in 0..MOVED {
            if self.moved == self.places.len() {
                self.packed = [std::mem::take(&mut self.packed[1]), Vec::new()];
                self.moved = 0;
                return self.all_used();
            }
            let number = self.moved as PartyNo;
            let party = first(self.from(number)).to_vec();
            self.moved += 1;
            if sweep.named.get(number as usize).is_some_and(|named| *named) {
                self.pack(number, &party, 1);
            } else if self.places[number as usize].take().is_some() {
                if let Ok(entry) = self.numbers.find_entry(hash(&party), |no| *no == number) {
                    entry.remove();
                }
                self.free.push(number);
            }
        }
        self.sweep = Some(sweep);
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
            if parties.sweep_part().is_some() {
                parties.mark([kept].into_iter());
                parties.drop_unmarked();
            }
            let number = parties.number(&party(n));
            assert_eq!(parties.get(number), Some(party(n)));
            assert_eq!(parties.artist(number), Some(ArtistId::of(&party(n).uri)));
            assert_eq!(parties.number(&party(n)), number);
        }
        assert!(parties.places.len() <= SWEEP_MIN + 1, "{}", parties.places.len());
        let bytes: usize = parties.packed.iter().map(Vec::len).sum();
        assert!(bytes < 40 * SWEEP_MIN, "{bytes}");
        assert_eq!((parties.get(kept), parties.number(&party(1))), (Some(party(1)), kept));
        assert_eq!(parties.get(1_000_000), None);
    }
}
