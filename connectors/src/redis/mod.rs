//! Redis as a copy of what the engine knows, for clients of any language: one GET, and no older value ever wins.
//!
//! [`layout`] is what stands there; `scripts` are what the server does in one go; [`Connection`] is the way there. It
//! blocks, for a bounded time, and is to be dropped after an error: whoever has it opens another, later.

mod connection;
pub mod layout;
mod scripts;

use std::time::Duration;

pub use connection::{Connection, Write};
use redis::IntoConnectionInfo;

/// How to reach a Redis, and how long things last there.
#[derive(Clone)]
pub struct Settings {
    /// `redis://[user:password@]host[:port][/database]`, `rediss://…` for TLS, or `unix:///socket`.
    pub url: String,
    /// What all keys begin with.
    pub prefix: String,
    /// A key that is not written or touched for so long is gone.
    pub expire: Duration,
    /// How long to wait for the server each time.
    pub timeout: Duration,
}

/// Why something was not done, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address is none. It is not repeated, as a password may be in it.
    #[error("not an address such as redis://host:6379 or rediss://user:password@host: {0}")]
    Address(String),
    /// The server cannot be reached or does not answer in time.
    #[error("{doing}: {why}")]
    Away {
        /// What was to be done.
        doing: &'static str,
        /// What came of it.
        why: String,
    },
    /// The server says no.
    #[error("{doing}: the server says: {why}")]
    Refused {
        /// What was to be done.
        doing: &'static str,
        /// In its words.
        why: String,
    },
}

/// Looks whether this is an address.
///
/// # Errors
/// Says what is wrong, without the address.
pub fn check(url: &str) -> Result<(), Error> {
    url.into_connection_info().map(drop).map_err(|error| Error::Address(error.to_string()))
}

/// The address as people may see it: without a password, wherever it stands.
pub fn shown(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() || parsed.query().is_some() => {
            parsed.set_query(None);
            let hidden = parsed.password().is_none() || parsed.set_password(Some("***")).is_ok();
            if hidden { parsed.into() } else { "***".to_owned() }
        }
        // Perhaps a password where none is looked for.
        _ if url.contains('@') => "***".to_owned(),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_and_passwords_kept() {
        for url in [
            "redis://localhost",
            "redis://:secret@localhost:6380/3",
            "rediss://me:secret@[::1]",
            "unix:///run/redis.sock",
            "unix:///run/redis.sock?user=me&pass=secret",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
            assert!(!shown(url).contains("secret"), "{url}");
        }
        for url in ["localhost", "http://me:secret@localhost", "redis://me:secret@", "me:secret@localhost"] {
            let refused = check(url).expect_err("no address").to_string();
            assert!(!refused.contains("secret") && !shown(url).contains("secret"), "{refused}");
        }
        assert_eq!(shown("redis://me:secret@host/1"), "redis://me:***@host/1");
        assert_eq!(shown("redis://host/1"), "redis://host/1");
    }
}
