//! The circuit breaker, on the embedded log.

use std::fs::File;

use bytes::Bytes;
use segue_connectors::embedded::{Embedded, Options, folder_of};
use segue_connectors::log::{Log, Record};
use serde_json::json;

use crate::harness::{Server, segue, until};

#[test]
fn too_many_bad_records_stop_the_server_and_as_many_as_may_be_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let log = Embedded::open(&folder_of(&folder.path().join("data")), Options::default()).unwrap().log;
    let write = |good: usize, bad: usize| {
        let event =
            r#"{"type":"track_added","playlist":"p","track":{"uri":"t"},"at":"2024-05-01T12:00:00Z"}"#;
        let records = std::iter::repeat_n("{", bad).chain(std::iter::repeat_n(event, good));
        let records = records.map(|text| Record { key: "p", payload: Bytes::from_static(text.as_bytes()) });
        log.append(&records.collect::<Vec<_>>()).unwrap();
    };
    // 5 % of the first 10,000, and of any others.
    write(9_500, 500);
    write(9_500, 500);
    drop(log);
    let server = Server::start(folder.path());
    assert_eq!(server.state()["dead_letters"], 1_000);
    assert_eq!(server.stop(), Some(0));

    let log = Embedded::open(&folder_of(&folder.path().join("data")), Options::default()).unwrap().log;
    let records: Vec<_> =
        (0..501).map(|_| Record { key: "p", payload: Bytes::from_static(b"worse") }).collect();
    log.append(&records).unwrap();
    drop(log);
    let said = folder.path().join("said");
    let mut command = segue();
    command.stderr(File::create(&said).unwrap());
    let server = Server::launch(command, folder.path(), &[]);
    assert_eq!(server.ended(), Some(1));
    let said = std::fs::read_to_string(said).unwrap();
    for part in [
        "ERROR reading partition 0 of the log: more than 500 of the last 10000 records",
        "the last at 0:20500 (malformed_json: ",
        "segue: stopped: ",
        "start with SEGUE__LIMITS__BAD_SHARE=1",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let server = Server::start_with(folder.path(), &[("SEGUE__LIMITS__BAD_SHARE", "0.06")]);
    let state = until("all letters", || Some(server.state()).filter(|state| state["dead_letters"] == 1_501));
    assert_eq!(state["offsets"], json!({"0": 20_501}));
}
