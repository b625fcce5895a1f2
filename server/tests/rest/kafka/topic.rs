//! What becomes of the topic while the server runs: it grows, it is made again, it fills with rubbish.

use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use rdkafka::admin::{NewPartitions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::json;

use super::{Topic, added, line, reached};
use crate::harness::{Server, segue, until};
use crate::twin::Twin;

#[test]
fn a_partition_is_added_and_dashboards_see_how_far_each_is() {
    let topic = Topic::new("grows", 1);
    let folder = tempfile::tempdir().unwrap();
    let group = ("SEGUE__KAFKA__PROPERTIES__GROUP__ID", "watched");
    let server = Server::start_with(folder.path(), &[&topic.variables()[..], &[group]].concat());
    let (mut twin, event) = (Twin::default(), added("p", "before"));
    server.events(&json!([event]));
    twin.apply(event.to_string().as_bytes());
    let (admin, options) = topic.admin();
    let new = NewPartitions::new("grows", 2);
    pollster::block_on(admin.create_partitions([&new], &options)).unwrap()[0].as_ref().unwrap();
    for n in 0..3 {
        let event = added("q", &n.to_string());
        topic.produce(&line(&event), &["-p", "1"]);
        twin.apply(event.to_string().as_bytes());
    }
    let state = reached(&server, 4);
    assert_eq!(state["offsets"], json!({"0": 1, "1": 3}));
    assert_eq!(state["digest"], twin.digest());
    for (partition, end) in [("0", "1"), ("1", "3")] {
        server.metric(&format!("segue_log_next_offset{{partition=\"{partition}\"}}"), end);
        server.metric(&format!("segue_log_lag_records{{partition=\"{partition}\"}}"), "0");
    }
    let observer: BaseConsumer = topic.client(&[("group.id", "watched")]).create().unwrap();
    let committed = |expected: [i64; 2]| {
        let mut list = TopicPartitionList::new();
        list.add_partition_range("grows", 0, 1);
        let committed = observer.committed_offsets(list, Duration::from_secs(10)).ok()?;
        let offsets: Vec<_> = committed.elements().iter().map(|element| element.offset()).collect();
        (offsets == expected.map(Offset::Offset)).then_some(())
    };
    until("the group's offsets", || committed([1, 3]));
    // What it was told last, dashboards know after its end.
    server.events(&json!([added("p", "last")]));
    let offsets = server.state()["offsets"].clone();
    let next = ["0", "1"].map(|partition| offsets[partition].as_i64().unwrap());
    assert_eq!(next.iter().sum::<i64>(), 5);
    assert_eq!(server.stop(), Some(0));
    until("the last offsets", || committed(next));
}

/// A server that is about to stop, on a topic of one partition, and the last line that it says.
struct Doomed {
    topic: Topic,
    folder: tempfile::TempDir,
    server: Server,
}

impl Doomed {
    fn new(name: &'static str) -> Self {
        let (topic, folder) = (Topic::new(name, 1), tempfile::tempdir().unwrap());
        let mut command = segue();
        command.stderr(File::create(folder.path().join("said")).unwrap());
        let server = Server::launch(command, folder.path(), &topic.variables());
        server.events(&json!([added("p", "1"), added("p", "2")]));
        Doomed { topic, folder, server }
    }

    fn last_words(self) -> String {
        assert_eq!(self.server.ended(), Some(1));
        let said = std::fs::read_to_string(self.folder.path().join("said")).unwrap();
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("segue: stopped: reading partition 0 of the log: "), "{said}");
        last.to_owned()
    }
}

#[test]
fn a_topic_that_is_made_again_stops_the_server() {
    let doomed = Doomed::new("again");
    doomed.topic.delete("again");
    doomed.topic.make(&NewTopic::new("again", 1, TopicReplication::Fixed(1)));
    // Whichever it met first: no topic, or another one.
    let said = doomed.last_words();
    assert!(said.contains("start from an empty state"), "{said}");
}

#[test]
fn a_topic_that_is_made_again_with_as_many_records_stops_the_server() {
    let doomed = Doomed::new("as-many");
    // Once it has looked at the topic.
    doomed.server.metric("segue_log_next_offset{partition=\"0\"}", "2");
    doomed.server.signal("STOP");
    doomed.topic.delete("as-many");
    doomed.topic.make(&NewTopic::new("as-many", 1, TopicReplication::Fixed(1)));
    doomed.topic.produce(&[line(&added("p", "1")), line(&added("p", "2"))].concat(), &[]);
    doomed.server.signal("CONT");
    let said = doomed.last_words();
    assert!(said.contains("the record at 0:0 is gone, or another one: this is another log"), "{said}");
}

#[test]
fn records_that_are_deleted_before_they_are_read_stop_the_server() {
    let doomed = Doomed::new("forgets");
    doomed.server.signal("STOP");
    // The first one answers a request that may be on its way, so that no other gets into the server.
    for tracks in [2..3, 3..9] {
        let lines: Vec<_> = tracks.flat_map(|track| line(&added("p", &track.to_string()))).collect();
        doomed.topic.produce(&lines, &[]);
    }
    doomed.topic.forget(7);
    doomed.server.signal("CONT");
    let said = doomed.last_words();
    assert!(said.contains(" is gone, the partition begins at 7: records were deleted"), "{said}");
}

#[test]
fn too_much_rubbish_stops_the_server_until_told_otherwise() {
    let topic = Topic::new("rubbish", 2);
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("said");
    let mut command = segue();
    command.stderr(File::create(&said).unwrap());
    let variables = topic.variables();
    let drain = ("SEGUE__SERVER__DRAIN_MS", "60000");
    let server = Server::launch(command, folder.path(), &[&variables[..], &[drain]].concat());
    server.events(&json!([added("p", "1")]));
    // A request that is not at its end keeps the server from being gone at once, so that its readiness shows.
    let mut request = TcpStream::connect(server.api.strip_prefix("http://").unwrap()).unwrap();
    request.write_all(b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{").unwrap();
    let rubbish: String = (0..501).map(|n| format!("k{n}\tno event {n}\n")).collect();
    topic.produce(rubbish.as_bytes(), &[]);
    let checks = until("it is told", || {
        let reply = server.admin("/readyz");
        (reply.status == 503).then_some(reply.body["checks"].clone())
    });
    let reason = until("the reason", || {
        let reason = server.admin("/readyz").body["checks"]["log"].as_str()?.to_owned();
        (reason != "ok").then_some(reason)
    });
    assert!(reason.contains("more than 500 of the last 10000 records of the log are no events"), "{checks}");
    drop(request);
    assert_eq!(server.ended(), Some(1));
    let said = std::fs::read_to_string(said).unwrap();
    assert!(said.contains("ERROR") && said.contains(&format!("segue: stopped: {reason}")), "{said}");

    // The operator has looked at them.
    let share = ("SEGUE__LIMITS__BAD_SHARE", "1");
    let server = Server::start_with(folder.path(), &[&variables[..], &[share]].concat());
    let state = reached(&server, 502);
    assert_eq!((&state["entries"], &state["dead_letters"]), (&json!(1), &json!(501)));
}
