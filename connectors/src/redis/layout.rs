//! What stands in Redis: names of keys and JSON values, as `docs/redis.md` tells readers.
//!
//! A value begins with the epoch as-of which it is true: scripts read it there. Anything that readers would have to
//! learn anew gets another version, and keys of the one before expire by themselves.

use serde::Serialize;

/// Version of names and values.
const VERSION: &str = "v1";

/// Names of keys.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Prefix and version, with a colon after each.
    root: String,
}

/// A chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chart {
    /// The tracks that most playlists hold.
    Popular,
    /// The tracks that are added more than they were.
    Trending,
}

/// A track that shares playlists with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Beside<'a> {
    /// Its URI.
    pub uri: &'a str,
    /// How many of the sampled playlists hold both.
    pub shared: u32,
}

/// `{"sampled":…,"neighbours":[{"uri":…,"shared":…}]}`, to be [dated].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row<'a> {
    /// How many playlists were counted; 0 of a row that is gone.
    pub sampled: u32,
    /// Most shared first.
    pub neighbours: Vec<Beside<'a>>,
}

impl Layout {
    /// Of keys that begin so.
    pub fn new(prefix: &str) -> Self {
        Layout { root: format!("{prefix}:{VERSION}:") }
    }

    /// The key of a track's row.
    pub fn row(&self, uri: &str) -> String {
        format!("{}neighbours:{uri}", self.root)
    }

    /// The track whose row has this key; none if it is another key.
    pub fn track<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&*self.root)?.strip_prefix("neighbours:")
    }

    /// The key of a chart.
    pub fn chart(&self, chart: Chart) -> String {
        let name = match chart {
            Chart::Popular => "popular",
            Chart::Trending => "trending",
        };
        format!("{}chart:{name}", self.root)
    }

    /// The key that is there as long as nothing was lost.
    pub fn state(&self) -> String {
        format!("{}state", self.root)
    }

    /// Matches the keys of all rows, and no other: what has a meaning in patterns stands for itself.
    pub(super) fn rows(&self) -> String {
        let mut pattern = String::new();
        for letter in self.row("").chars() {
            if matches!(letter, '*' | '?' | '[' | ']' | '^' | '\\') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern + "*"
    }
}

/// The JSON text of an object as-of an epoch, from that of the rest of it.
pub fn dated(epoch: u64, rest: &str) -> String {
    format!("{{\"epoch\":{epoch},{}", rest.strip_prefix('{').unwrap_or(rest))
}

/// JSON text; none of the values here fails to be that.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// What a row that is gone leaves for a while, so that a write from before it finds something newer.
pub fn gone(epoch: u64) -> String {
    dated(epoch, &json(&Row { sampled: 0, neighbours: Vec::new() }))
}

/// What the key of the state has.
pub fn state(epoch: u64) -> String {
    format!("{{\"epoch\":{epoch}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_stay_as_they_are_documented() {
        let layout = Layout::new("segue");
        let key = layout.row("spotify:track:4uLU6hMCjMI75M1A2tKUQC");
        assert_eq!(key, "segue:v1:neighbours:spotify:track:4uLU6hMCjMI75M1A2tKUQC");
        assert_eq!(layout.track(&key), Some("spotify:track:4uLU6hMCjMI75M1A2tKUQC"));
        let others = [layout.chart(Chart::Popular), layout.chart(Chart::Trending), layout.state()];
        assert_eq!(others, ["segue:v1:chart:popular", "segue:v1:chart:trending", "segue:v1:state"]);
        others.iter().for_each(|key| assert_eq!(layout.track(key), None));
        assert_eq!(Layout::new("a*[b]").rows(), "a\\*\\[b\\]:v1:neighbours:*");

        let neighbours = vec![Beside { uri: "t:\"ü\"", shared: 65 }, Beside { uri: "t:2", shared: 2 }];
        let row = dated(1_700_000_000_123, &json(&Row { sampled: 74, neighbours }));
        let expected = r#"{"epoch":1700000000123,"sampled":74,"neighbours":[{"uri":"t:\"ü\"","shared":65},{"uri":"t:2","shared":2}]}"#;
        assert_eq!(row, expected);
        assert_eq!(gone(7), r#"{"epoch":7,"sampled":0,"neighbours":[]}"#);
        assert_eq!(dated(7, r#"{"chart":[]}"#), r#"{"epoch":7,"chart":[]}"#);
        assert_eq!(state(7), r#"{"epoch":7}"#);
    }
}
