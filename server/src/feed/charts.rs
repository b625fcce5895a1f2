//! The charts as they were told last, and what has changed of them since.

use segue_dataflow::ids::TrackId;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::charts::Charts;
use crate::http::show;

/// Places of a chart that are followed.
pub const LENGTH: usize = 100;

/// The places of all charts.
#[derive(Default)]
pub struct Places(Vec<Chart>);

struct Chart {
    name: &'static str,
    places: Vec<Place>,
}

/// A track in a chart, as the route of the chart shows it.
struct Place {
    track: TrackId,
    shown: Map<String, Value>,
}

impl Places {
    /// As the charts are.
    pub fn of(charts: &Charts) -> Self {
        Places(vec![
            Chart::new("popular", show::chart(&charts.popular).into_iter().map(|place| json!(place))),
            Chart::new("trending", show::trending(&charts.trending).into_iter().map(|place| json!(place))),
        ])
    }

    /// What has changed since `old`, an event a track: its place, and its rank in `old`; or that it has none.
    pub fn since(&self, old: &Places, as_of: &RawValue) -> Vec<(TrackId, Value)> {
        let mut events = Vec::new();
        for Chart { name, places } in &self.0 {
            let before =
                old.0.iter().find(|chart| chart.name == *name).map_or(&[][..], |chart| &chart.places);
            let find = |all: &[Place], track| all.iter().position(|place| place.track == track);
            for Place { track, shown } in places {
                let was = find(before, *track).map(|place| &before[place]);
                if was.is_none_or(|was| was.shown != *shown) {
                    let was = was.map(|was| was.shown["rank"].clone()).unwrap_or_default();
                    events.push((*track, event(as_of, name, shown.clone(), was)));
                }
            }
            for Place { track, shown } in before.iter().filter(|place| find(places, place.track).is_none()) {
                let left = Map::from_iter([
                    ("rank".to_owned(), Value::Null),
                    ("track".to_owned(), shown["track"].clone()),
                ]);
                events.push((*track, event(as_of, name, left, shown["rank"].clone())));
            }
        }
        events
    }
}

impl Chart {
    fn new(name: &'static str, places: impl Iterator<Item = Value>) -> Self {
        let place = |shown: Value| {
            let track = TrackId::of(shown["track"]["uri"].as_str()?);
            if let Value::Object(shown) = shown { Some(Place { track, shown }) } else { None }
        };
        Chart { name, places: places.filter_map(place).collect() }
    }
}

fn event(as_of: &RawValue, chart: &str, mut shown: Map<String, Value>, was: Value) -> Value {
    shown.insert("as_of".to_owned(), json!(as_of));
    shown.insert("chart".to_owned(), json!(chart));
    shown.insert("was".to_owned(), was);
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charts(popular: &[&str]) -> Places {
        let place = |(rank, uri): (usize, &&str)| json!({"rank": rank, "track": {"uri": uri}, "playlists": 10 - rank});
        Places(vec![Chart::new("popular", (1..).zip(popular).map(place))])
    }

    #[test]
    fn what_moves_comes_or_leaves_is_told() {
        let as_of = RawValue::from_string("{\"epoch\":5}".to_owned()).expect("JSON");
        let (old, new) = (charts(&["a", "b", "c", "d"]), charts(&["a", "c", "e", "d"]));
        let told: Vec<Value> = new.since(&old, &as_of).into_iter().map(|(_, event)| event).collect();
        let event = |uri: &str, rank: Option<usize>, was: Option<usize>| {
            let mut event = json!({"as_of": {"epoch": 5}, "chart": "popular", "rank": rank, "was": was, "track": {"uri": uri}});
            if let Some(rank) = rank {
                event["playlists"] = json!(10 - rank);
            }
            event
        };
        assert_eq!(
            told,
            [event("c", Some(2), Some(3)), event("e", Some(3), None), event("b", None, Some(2))]
        );
        assert!(new.since(&new, &as_of).is_empty());
        assert_eq!(new.since(&Places::default(), &as_of).len(), 4);
    }
}
