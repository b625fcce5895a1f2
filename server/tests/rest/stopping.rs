//! Stopping: what is in flight is finished, nothing new is begun, and whoever asks twice does not wait.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::harness::{Server, until};

/// Longer than any test: only what is tested ends the wait.
const SLOW: [(&str, &str); 2] = [("SEGUE__SERVER__DRAIN_MS", "600000"), ("SEGUE__LIMITS__BODY_MS", "600000")];

/// A request whose body the server waits for, in a server that was told to stop; and that body.
fn in_flight(server: &Server) -> (TcpStream, String) {
    let event = json!({"v": 1, "type": "track_added", "playlist": "p", "track": {"uri": "t"}, "at": "2024-05-01T12:00:00Z"}).to_string();
    let mut stream = TcpStream::connect(server.api.trim_start_matches("http://")).unwrap();
    let length = event.len();
    write!(
        stream,
        "POST /v1/events HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    )
    .unwrap();
    // It is said when the body is first looked at.
    let mut said = [0; 25];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.signal("TERM");
    let stopping = until("not ready", || Some(server.admin("/readyz")).filter(|reply| reply.status == 503));
    assert_eq!(stopping.body["checks"]["serving"], "the server is stopping");
    (stream, event)
}

#[test]
fn what_is_in_flight_is_finished_and_nothing_new_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &SLOW);
    let (mut stream, event) = in_flight(&server);
    let address = server.api.trim_start_matches("http://").to_owned();
    until("refused", || TcpStream::connect(&address).err());
    stream.write_all(event.as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 202 ") && said.contains(r#""accepted":1"#), "{said}");
    assert_eq!(server.ended(), Some(0));
    assert_eq!(Server::start(folder.path()).state()["entries"], 1);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &SLOW);
    let _in_flight = in_flight(&server);
    server.signal("INT");
    assert_eq!(server.ended(), Some(130));
    assert_eq!(Server::start(folder.path()).state()["entries"], 0);
}
