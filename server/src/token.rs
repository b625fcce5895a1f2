//! Tokens: "these events", in a form that a client can hand back to ask whether answers include them.

use std::fmt;
use std::str::FromStr;

use segue_connectors::log::Position;
use segue_dataflow::workers::Progress;

/// By partition, the offset after the last event meant. Shown as `v1-partition.offset-…`; of no
/// events, `v1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token(Vec<(u32, u64)>);

/// No token of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("token is not one that this server gave out")]
pub struct BadToken;

impl Token {
    /// For the events at these positions.
    pub fn of(positions: &[Position]) -> Self {
        let mut token = Token::default();
        for Position { partition, offset } in positions {
            match token.0.iter_mut().find(|(there, _)| there == partition) {
                Some((_, next)) => *next = (*next).max(offset + 1),
                None => token.0.push((*partition, offset + 1)),
            }
        }
        token.0.sort_unstable();
        token
    }

    /// Whether answers include the events.
    pub fn is_visible(&self, progress: &Progress) -> bool {
        let next = |partition: u32| progress.next.get(partition as usize).copied().unwrap_or(0);
        self.0.iter().all(|(partition, wanted)| next(*partition) >= *wanted)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v1")?;
        self.0.iter().try_for_each(|(partition, next)| write!(f, "-{partition}.{next}"))
    }
}

impl FromStr for Token {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let parts = text.strip_prefix("v1").ok_or(BadToken)?;
        if parts.is_empty() {
            return Ok(Token::default());
        }
        let parts = parts.strip_prefix('-').ok_or(BadToken)?.split('-').map(|part| {
            let (partition, next) = part.split_once('.').ok_or(BadToken)?;
            Ok((partition.parse().map_err(|_| BadToken)?, next.parse().map_err(|_| BadToken)?))
        });
        parts.collect::<Result<_, _>>().map(Token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_and_knows_when_it_is_visible() {
        let at = |partition, offset| Position { partition, offset };
        let token = Token::of(&[at(1, 4), at(0, 7), at(1, 3)]);
        assert_eq!(token.to_string(), "v1-0.8-1.5");
        assert_eq!("v1-0.8-1.5".parse(), Ok(token.clone()));
        let visible = |next: &[u64]| token.is_visible(&Progress { as_of: 1, next: next.to_vec() });
        assert!(visible(&[8, 5]) && visible(&[9, 9, 1]));
        assert!(!visible(&[8, 4]) && !visible(&[8]) && !visible(&[]));
        // No events at all are always visible.
        assert_eq!((Token::of(&[]).to_string(), "v1".parse()), ("v1".to_owned(), Ok(Token::default())));
        assert!(Token::default().is_visible(&Progress::default()));
        for bad in ["", "v", "v1-", "v10.1", "v2-0.1", "v1-0", "v1-x.1", "v1-0.1-", "v1-0.-1"] {
            assert_eq!(bad.parse::<Token>(), Err(BadToken), "{bad:?}");
        }
    }
}
