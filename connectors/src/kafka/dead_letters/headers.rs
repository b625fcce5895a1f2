//! What stands with a letter: headers, all text. `topic`, `partition`, `offset` of a record of the log, otherwise
//! `source` and `position`; `code` for programs, `field` if it is one, `reason` for people; `at_ms`; `bytes`, the
//! length of the record: where the topic does not take so many, the value is its beginning.

use std::collections::BTreeMap;

use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use xxhash_rust::xxh3::xxh3_64;

use crate::dead_letters::{DeadLetter, Origin, RAW_BYTES_MAX, Raw, Refused, cut};
use crate::log::Position;

/// The headers of a letter; `topic` is that of the events.
pub(super) fn of(refused: &Refused, topic: &str) -> OwnedHeaders {
    let mut all = match &refused.origin {
        Origin::Log(Position { partition, offset }) => vec![
            ("topic", topic.to_owned()),
            ("partition", partition.to_string()),
            ("offset", offset.to_string()),
        ],
        Origin::Sent { source, position } => vec![("source", cut(source)), ("position", cut(position))],
    };
    all.push(("code", refused.code.to_string()));
    all.extend(refused.field.as_deref().map(|field| ("field", cut(field))));
    all.push(("reason", cut(&refused.detail)));
    all.push(("at_ms", refused.at_ms.to_string()));
    all.push(("bytes", refused.payload.as_ref().map_or(0, bytes::Bytes::len).to_string()));
    let into = OwnedHeaders::new_with_capacity(all.len());
    all.iter().fold(into, |into, (key, value)| into.insert(Header { key, value: Some(value) }))
}

/// The headers that are text.
pub(super) fn read<'a>(message: &'a BorrowedMessage<'_>) -> BTreeMap<&'a str, &'a str> {
    let all = message.headers().into_iter().flat_map(|headers| headers.iter());
    all.filter_map(|header| Some((header.key, std::str::from_utf8(header.value?).ok()?))).collect()
}

/// None if these are not the headers of a letter.
pub(super) fn letter(
    headers: &BTreeMap<&str, &str>,
    payload: &[u8],
    raw_bytes_max: usize,
) -> Option<DeadLetter> {
    let text = |name| headers.get(name).map(|text| (*text).to_owned());
    let (source, position) = match text("topic") {
        Some(topic) => (topic, format!("{}:{}", headers.get("partition")?, headers.get("offset")?)),
        None => (text("source")?, text("position")?),
    };
    let mut raw = Raw::of(payload, raw_bytes_max);
    raw.bytes = headers.get("bytes")?.parse().ok()?;
    Some(DeadLetter {
        code: serde_json::from_value(text("code")?.into()).ok()?,
        field: text("field"),
        detail: text("reason")?,
        source,
        position,
        at_ms: headers.get("at_ms")?.parse().ok()?,
        raw,
    })
}

/// What tells a record from all others: position and content, as positions come again where a topic was made
/// again.
pub(super) fn mark(
    partition: impl std::fmt::Display,
    offset: impl std::fmt::Display,
    payload: Option<&[u8]>,
) -> String {
    // Of what is there whole or cut, so that both have the same.
    let payload = payload.unwrap_or_default();
    let beginning = &payload[..payload.len().min(RAW_BYTES_MAX)];
    format!("{partition}:{offset} {:016x}", xxh3_64(beginning))
}
