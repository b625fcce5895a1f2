//! A real broker for tests.

#[path = "../services/mod.rs"]
mod services;

use std::ops::Deref;

use segue_connectors::kafka::{Settings, topics};
use services::Service;

/// With its address.
pub struct Broker {
    service: Service,
    pub address: String,
}

impl Deref for Broker {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl Broker {
    pub fn start() -> Self {
        let service = Service::start("kafka");
        Broker { address: service.var("KAFKA_BROKERS"), service }
    }

    pub fn settings(&self, topic: &str) -> Settings {
        Settings { brokers: self.address.clone(), topic: topic.to_owned(), ..Settings::default() }
    }

    /// A new topic.
    #[allow(dead_code, reason = "some tests leave that to what they test")]
    pub fn topic(&self, topic: &str, partitions: u32) -> Settings {
        let settings = self.settings(topic);
        assert!(topics::create(&settings, topic, partitions).expect("a broker"), "{topic} was there before");
        settings
    }
}
