//! A log ends when it is told to, whatever its broker does.

use std::sync::mpsc::sync_channel;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use segue_connectors::log::Log;

use crate::broker::Broker;
use crate::harness::{eventually, open};
use crate::suite::LONG;

#[test]
fn a_commit_that_nobody_answers_does_not_hold_it_up() {
    let broker = Broker::start();
    let mut settings = broker.topic("ends", 1);
    settings.properties.insert("group.id".to_owned(), "watched".to_owned());
    let log = open(&settings);
    let observer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("group.id", "watched")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition("ends", 0);
    log.commit(&[1]);
    eventually("its coordinator is known", || {
        let found = observer.committed_offsets(list.clone(), LONG).ok()?;
        (found.elements()[0].offset() == Offset::Offset(1)).then_some(())
    });
    broker.signal("STOP");
    log.commit(&[2]);
    let (tell, told) = sync_channel(1);
    std::thread::spawn(move || {
        drop(log);
        tell.send(()).unwrap();
    });
    let ended = told.recv_timeout(LONG);
    // The observer is closed too.
    broker.signal("CONT");
    ended.expect("it ends");
}
