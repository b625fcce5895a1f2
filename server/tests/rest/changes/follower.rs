//! A reader of the change feed, and the copy that it makes of graph and charts.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use serde_json::Value;

use crate::harness::Server;

/// An event: id, name, data.
#[derive(Debug)]
pub struct Event {
    pub id: Option<String>,
    pub name: String,
    pub data: Value,
}

/// An open connection.
pub struct Follower(BufReader<ureq::BodyReader<'static>>);

impl Follower {
    /// Opens one.
    ///
    /// # Errors
    /// Status and problem if it is refused.
    pub fn open(server: &Server, query: &str, last: Option<&str>) -> Result<Self, (u16, Value)> {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent: ureq::Agent = config.timeout_recv_body(Some(Duration::from_secs(300))).build().into();
        let mut request = agent.get(format!("{}/v1/changes{query}", server.api));
        if let Some(id) = last {
            request = request.header("last-event-id", id);
        }
        let (parts, mut body) = request.call().expect("an answer").into_parts();
        if parts.status != 200 {
            let text = body.read_to_string().expect("text");
            return Err((parts.status.as_u16(), serde_json::from_str(&text).expect("a problem")));
        }
        assert_eq!(parts.headers["content-type"], "text/event-stream");
        assert!(parts.headers.contains_key("x-request-id"));
        Ok(Follower(BufReader::new(body.into_reader())))
    }

    /// The next line as it is.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        line
    }

    /// Waits for an event; none at the end.
    pub fn next(&mut self) -> Option<Event> {
        let (mut id, mut name, mut data) = (None, None, None);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.strip_suffix('\n')?;
            match line.split_once(": ") {
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("event", value)) => name = Some(value.to_owned()),
                Some(("data", value)) => data = Some(serde_json::from_str(value).expect("JSON")),
                _ if line.is_empty() && name.is_some() => {
                    return Some(Event { id, name: name?, data: data? });
                }
                _ => assert!(line.is_empty() || line == ":", "{line:?}"),
            }
        }
    }
}

/// By track, how many playlists were counted, and what shares how many of them.
pub type Graph = BTreeMap<String, (u64, BTreeMap<String, u64>)>;

/// What was told, put together.
#[derive(Default)]
pub struct Copy {
    pub graph: Graph,
    /// By chart, tracks by rank.
    charts: BTreeMap<String, BTreeMap<String, Value>>,
    /// The id to go on from.
    pub last: Option<String>,
    /// How far it is: of all, of rows, of charts.
    pub marks: Option<[u64; 3]>,
    /// Rows that were told whole, by changes, as gone.
    pub told: [usize; 3],
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

impl Copy {
    /// Takes an event in.
    pub fn take(&mut self, event: &Event) {
        if event.id.is_some() {
            self.last.clone_from(&event.id);
        }
        let data = &event.data;
        let epoch = |of: &Value| of["epoch"].as_u64().unwrap_or(u64::MAX);
        match &*event.name {
            "neighbours" => self.row(data),
            "chart" => {
                // Nothing comes that was promised to be there already.
                let as_of = epoch(&data["as_of"]);
                assert!(self.marks.is_none_or(|[.., charts]| as_of > charts), "{:?} {data}", self.marks);
                let chart = self.charts.entry(text(&data["chart"])).or_default();
                let uri = text(&data["track"]["uri"]);
                let before = chart.remove(&uri).map_or(Value::Null, |place| place["rank"].clone());
                assert!(
                    data["was"].is_null() || before.is_null() || data["was"] == before,
                    "{before} {data}"
                );
                if !data["rank"].is_null() {
                    chart.insert(uri, data.clone());
                }
            }
            "progress" => {
                let marks = [&data["as_of"], &data["graph"], &data["charts"]].map(epoch);
                assert_eq!(marks[0], marks[1].min(marks[2]), "{data}");
                let before = self.marks.replace(marks).unwrap_or_default();
                assert!(before.iter().zip(marks).all(|(before, now)| *before <= now), "{before:?} {marks:?}");
            }
            _ => panic!("{event:?}"),
        }
    }

    fn row(&mut self, data: &Value) {
        assert!(data["as_of"]["at"].as_str().expect("a time").ends_with('Z'));
        // Nothing comes that was promised to be there already.
        let as_of = data["as_of"]["epoch"].as_u64().expect("an epoch");
        assert!(self.marks.is_none_or(|[_, graph, _]| as_of > graph), "{:?} {data}", self.marks);
        let all = |of: &Value| -> BTreeMap<String, u64> {
            let all = of.as_array().expect("a list").iter();
            all.map(|n| (text(&n["track"]), n["shared"].as_u64().expect("a number"))).collect()
        };
        let (track, sampled) = (text(&data["track"]), data["sampled"].as_u64().expect("a number"));
        if let Some(changed) = data.get("changed") {
            let row = self.graph.get_mut(&track).expect("a row to change");
            row.0 = sampled;
            row.1.extend(all(changed));
            for gone in data["gone"].as_array().expect("a list") {
                assert!(row.1.remove(gone.as_str().expect("a URI")).is_some(), "{data}");
            }
            self.told[1] += 1;
        } else if data["neighbours"].is_null() {
            self.graph.remove(&track);
            self.told[2] += 1;
        } else {
            self.graph.insert(track, (sampled, all(&data["neighbours"])));
            self.told[0] += 1;
        }
    }

    /// A chart as its route shows it.
    pub fn chart(&self, name: &str) -> Vec<Value> {
        let places = self.charts.get(name).into_iter().flat_map(BTreeMap::values);
        let mut places: Vec<Value> = places.cloned().collect();
        places.sort_by_key(|place| place["rank"].as_u64());
        for place in &mut places {
            let place = place.as_object_mut().expect("an object");
            place.retain(|name, _| !["as_of", "chart", "was"].contains(&name.as_str()));
        }
        places
    }

    /// Reads on until everything through this epoch is there.
    pub fn follow(&mut self, follower: &mut Follower, through: u64) {
        while self.marks.is_none_or(|[as_of, ..]| as_of < through) {
            self.take(&follower.next().expect("an event"));
        }
    }
}
