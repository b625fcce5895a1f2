//! Topics: making one, and counting its partitions.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode as Code;

use super::context::{Context, ask};
use super::settings::{RECORD_BYTES_MAX, Role};
use super::{ANSWER, OpenError, Settings};
use crate::log::PARTITIONS_MAX;

/// How long to wait before asking again.
const LATER: Duration = Duration::from_millis(20);

/// Makes a topic that keeps everything and takes the largest events, replicated as the brokers' default says.
/// False if there was one of that name already, which is left as it is.
///
/// # Errors
/// [`OpenError::NotCreated`] if the brokers refuse, [`OpenError::Unreachable`] if none answers, [`OpenError::Settings`].
pub fn create(settings: &Settings, topic: &str, partitions: u32) -> Result<bool, OpenError> {
    let refused = |reason: String| OpenError::NotCreated {
        address: settings.address(topic).display().to_string(),
        reason,
    };
    if !(1..=PARTITIONS_MAX).contains(&partitions) {
        return Err(refused(format!("{partitions} partitions are not in 1 to {PARTITIONS_MAX}")));
    }
    let asks: BaseConsumer<Context> = settings.create(Role::Admin, Context::default())?;
    ask(&asks, settings, topic)?;
    let admin: AdminClient<Context> = settings.create(Role::Admin, Context::default())?;
    let bytes = RECORD_BYTES_MAX.to_string();
    let new = NewTopic::new(topic, partitions as i32, TopicReplication::Fixed(-1))
        .set("cleanup.policy", "delete")
        .set("retention.ms", "-1")
        .set("retention.bytes", "-1")
        .set("max.message.bytes", &bytes);
    let options = AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER));
    let answers = pollster::block_on(admin.create_topics([&new], &options))
        .map_err(|error| refused(error.to_string()))?;
    match answers.into_iter().next() {
        Some(Ok(_)) => {
            // Each broker hears of it a little later than the one that made it.
            let begun = Instant::now();
            let is_known = || {
                let metadata = asks.fetch_metadata(Some(topic), ANSWER);
                metadata.is_ok_and(|found| found.topics().iter().any(|topic| !topic.partitions().is_empty()))
            };
            while !is_known() && begun.elapsed() < ANSWER {
                std::thread::park_timeout(LATER);
            }
            Ok(true)
        }
        Some(Err((_, Code::TopicAlreadyExists))) => Ok(false),
        Some(Err((_, code))) => Err(refused(code.to_string())),
        None => Err(refused("no answer".to_owned())),
    }
}

/// How many partitions a topic has.
pub(super) fn partitions(
    consumer: &BaseConsumer<Context>,
    settings: &Settings,
    topic: &str,
) -> Result<u32, OpenError> {
    let address = || settings.address(topic).display().to_string();
    let metadata = ask(consumer, settings, topic)?;
    match metadata.topics().iter().map(|topic| topic.partitions().len()).sum() {
        0 => Err(OpenError::NoTopic { address: address() }),
        n if n > PARTITIONS_MAX as usize => Err(OpenError::Partitions { address: address(), partitions: n }),
        n => Ok(n as u32),
    }
}
