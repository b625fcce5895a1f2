//! A log ends when it is told to, whatever its broker does.

use std::sync::mpsc::sync_channel;

use segue_connectors::log::Log;

use crate::broker::Broker;
use crate::harness::{committed, open};
use crate::suite::LONG;

#[test]
fn a_commit_that_nobody_answers_does_not_hold_it_up() {
    let broker = Broker::start();
    let mut settings = broker.topic("ends", 1);
    settings.properties.insert("group.id".to_owned(), "watched".to_owned());
    let log = open(&settings);
    log.commit(&[1]);
    // So its coordinator is known.
    committed(&settings, &[1]);
    broker.signal("STOP");
    log.commit(&[2]);
    let (tell, told) = sync_channel(1);
    std::thread::spawn(move || {
        drop(log);
        tell.send(()).unwrap();
    });
    told.recv_timeout(LONG).expect("it ends");
    broker.signal("CONT");
}
