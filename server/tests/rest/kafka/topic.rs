//! What becomes of the topic while the server runs: it grows, it is made again, it fills with rubbish.

use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use rdkafka::admin::{NewPartitions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
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
    let observer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", topic.variables()[0].1)
        .set("group.id", "watched")
        .create()
        .unwrap();
    until("the group's offsets", || {
        let mut list = TopicPartitionList::new();
        list.add_partition_range("grows", 0, 1);
        let committed = observer.committed_offsets(list, Duration::from_secs(10)).ok()?;
        let offsets: Vec<_> = committed.elements().iter().map(|element| element.offset()).collect();
        (offsets == [Offset::Offset(1), Offset::Offset(3)]).then_some(())
    });
}

#[test]
fn a_topic_that_is_made_again_stops_the_server() {
    let topic = Topic::new("again", 1);
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("said");
    let mut command = segue();
    command.stderr(File::create(&said).unwrap());
    let server = Server::launch(command, folder.path(), &topic.variables());
    server.events(&json!([added("p", "1"), added("p", "2")]));
    let (admin, options) = topic.admin();
    pollster::block_on(admin.delete_topics(&["again"], &options)).unwrap()[0].as_ref().unwrap();
    until("the name is free", || {
        let new = NewTopic::new("again", 1, TopicReplication::Fixed(1));
        pollster::block_on(admin.create_topics([&new], &options)).unwrap()[0].as_ref().ok().map(drop)
    });
    assert_eq!(server.ended(), Some(1));
    let said = std::fs::read_to_string(said).unwrap();
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("segue: stopped: reading partition 0 of the log: "), "{said}");
    // Whichever it met first: no topic, or another one.
    assert!(last.contains("start from an empty state"), "{said}");
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
