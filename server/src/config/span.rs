//! Lengths of time, as people write them.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::time::Duration;

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub struct Span(pub Duration);

impl Display for Span {
    /// As it may be written.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{:#}", SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX))
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Seconds(u32),
            Text(String),
        }
        let text = match Given::deserialize(from)? {
            Given::Seconds(seconds) => seconds.to_string(),
            Given::Text(text) => text,
        };
        let seconds = text.parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()));
        let spelled = || text.parse::<SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
        let every = seconds.or_else(spelled).filter(|every| !every.is_zero());
        let wrong = || format!("{text:?} is no length of time such as 500ms, 90s or 5m");
        every.map(Span).ok_or_else(|| serde::de::Error::custom(wrong()))
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer"], "description": "such as 500ms, 90s or 5m; a bare number is seconds"})
    }
}
