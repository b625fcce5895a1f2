//! URIs as they are kept. An id of 22 digits to base 62, such as Spotify's, is a number of 128 bits; and what
//! stands before it is the same for millions. So `spotify:track:4uLU6hMCjMI75M1A2tKUQC` takes 18 bytes.

use serde::{Deserialize, Serialize};

const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Digits of such an id.
const LENGTH: usize = 22;
/// So many digits fit 64 bits.
const CHUNK: usize = 10;
/// 62 to the power of [`CHUNK`].
const CHUNK_ONE: u128 = 62_u128.pow(CHUNK as u32);
/// Other beginnings are kept with each URI: these are for those that come again and again.
const PREFIXES_MAX: usize = 256;

/// A URI as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Packed<'a> {
    /// As it is.
    Plain(&'a str),
    /// The number of what it begins with, and its id, little-endian.
    Numbered(u8, [u8; 16]),
}

impl Default for Packed<'_> {
    fn default() -> Self {
        Packed::Plain("")
    }
}

/// What URIs begin with.
#[derive(Default)]
pub struct Prefixes(Vec<Box<str>>);

impl Prefixes {
    /// The URI as it is to be kept.
    pub fn pack<'a>(&mut self, uri: &'a str) -> Packed<'a> {
        let numbered = || {
            let (prefix, id) = uri.split_at_checked(uri.len().checked_sub(LENGTH)?)?;
            Some((prefix, number(id.as_bytes())?))
        };
        let packed = numbered().and_then(|(prefix, id)| {
            let known = self.0.iter().position(|known| **known == *prefix);
            let place = known.or_else(|| {
                (self.0.len() < PREFIXES_MAX).then(|| {
                    self.0.push(prefix.into());
                    self.0.len() - 1
                })
            })?;
            Some(Packed::Numbered(u8::try_from(place).ok()?, id.to_le_bytes()))
        });
        packed.unwrap_or(Packed::Plain(uri))
    }

    /// The URI.
    pub fn unpack(&self, packed: Packed<'_>) -> Box<str> {
        match packed {
            Packed::Plain(uri) => uri.into(),
            Packed::Numbered(place, id) => {
                let prefix = self.0.get(usize::from(place)).map_or("", |prefix| &**prefix);
                let mut uri = String::with_capacity(prefix.len() + LENGTH);
                uri.push_str(prefix);
                uri.extend(digits(u128::from_le_bytes(id)).map(char::from));
                uri.into_boxed_str()
            }
        }
    }
}

/// What each byte is as a digit; what is none is [`NONE`].
const VALUES: [u8; 256] = {
    let (mut values, mut digit) = ([NONE; 256], 0);
    while digit < DIGITS.len() {
        values[DIGITS[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};
const NONE: u8 = u8::MAX;

/// The number that these digits are, if they are digits and it fits 128 bits. In chunks, as [`digits`].
fn number(digits: &[u8]) -> Option<u128> {
    digits.rchunks(CHUNK).rev().try_fold(0_u128, |number, chunk| {
        let mut low = 0_u64;
        for digit in chunk {
            let value = VALUES[usize::from(*digit)];
            if value == NONE {
                return None;
            }
            low = low * 62 + u64::from(value);
        }
        // The first chunk comes after nothing.
        number.checked_mul(CHUNK_ONE)?.checked_add(low.into())
    })
}

/// The digits of a number. Dividing 128 bits is slow, so they come in chunks of 64.
fn digits(number: u128) -> [u8; LENGTH] {
    let (high, low) = (number / CHUNK_ONE, number % CHUNK_ONE);
    let chunks = [low, high % CHUNK_ONE, high / CHUNK_ONE];
    let mut digits = [0; LENGTH];
    for (places, chunk) in digits.rchunks_mut(CHUNK).zip(chunks) {
        let mut left = chunk as u64;
        for place in places.iter_mut().rev() {
            *place = DIGITS[(left % 62) as usize];
            left /= 62;
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_uri_comes_back() {
        let mut prefixes = Prefixes::default();
        let spotify = "spotify:track:4uLU6hMCjMI75M1A2tKUQC";
        let largest = String::from_utf8(digits(u128::MAX).to_vec()).expect("digits");
        let ids = [&largest, "0000000000000000000000", "0000000000000000000001", "4uLU6hMCjMI75M1A2tKUQC"];
        for id in ids {
            let uri = format!("a:{id}");
            let packed = prefixes.pack(&uri);
            assert!(matches!(packed, Packed::Numbered(0, _)), "{uri}");
            assert_eq!(*prefixes.unpack(packed), *uri);
        }
        assert!(matches!(prefixes.pack(spotify), Packed::Numbered(1, _)));
        // A digit too many or too few, one that is none, a number too large, no ASCII, nothing at all.
        for uri in
            ["track:4uLU6hMCjMI75M1A2tKUQ-", "ZZZZZZZZZZZZZZZZZZZZZZ", "ZZZ", "ü-4uLU6hMCjMI75M1A2tKUQü", ""]
        {
            assert_eq!(prefixes.pack(uri), Packed::Plain(uri));
            assert_eq!(*prefixes.unpack(Packed::Plain(uri)), *uri);
        }
        for n in 0..300 {
            let uri = format!("{n}:{largest}");
            let packed = prefixes.pack(&uri);
            assert_eq!(*prefixes.unpack(packed), *uri);
        }
        assert_eq!(prefixes.0.len(), PREFIXES_MAX);
        let packed = prefixes.pack(spotify);
        assert_eq!(*prefixes.unpack(packed), *spotify);
    }
}
