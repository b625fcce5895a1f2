//! Ids: xxh3-64 of a UTF-8 string, with one seed for each kind of thing.
//!
//! No id is ever handed out, so workers, processes and restarts have nothing to agree on. Snapshots,
//! partitions and digests depend on these functions: they are fixed for ever, and a golden test says so.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

macro_rules! id {
    ($name:ident, $seed:literal, $of:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl $name {
            /// The id of the thing with this name.
            pub fn of($of: &str) -> Self {
                Self(xxh3_64_with_seed($of.as_bytes(), $seed))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:016x})"), self.0)
            }
        }

        impl From<$name> for u64 {
            fn from(id: $name) -> u64 {
                id.0
            }
        }
    };
}

id!(TrackId, 1, uri, "A track: xxh3-64 of its URI, seed 1.");
id!(PlaylistId, 2, uri, "A playlist: xxh3-64 of its URI, seed 2.");
id!(ArtistId, 3, uri, "An artist: xxh3-64 of the URI, seed 3.");
id!(TitleId, 4, normalised, "A title: xxh3-64 of its normal form (see [`crate::title`]), seed 4.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_fixed_for_ever() {
        let golden = [
            u64::from(TrackId::of("spotify:track:4iJyoBOLtHqaGxP12qzhQI")),
            u64::from(PlaylistId::of("mpd:playlist:7")),
            u64::from(ArtistId::of("spotify:artist:1uNFoZAHBGtllmzznpCI3s")),
            u64::from(TitleId::of("chill.hits")),
            u64::from(TrackId::of("")),
        ];
        assert_eq!(
            golden.map(|id| format!("{id:016x}")),
            [
                "d4e6f7481b98749c",
                "b8c58cfc8fadb42f",
                "9a0a0ce31f5dfe37",
                "786076dc95180a08",
                "4dc5b0cc826f6703"
            ]
        );
    }
}
