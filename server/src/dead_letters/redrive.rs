//! `segue dead-letters redrive`: records that were refused are put onto the log again, as they were, where
//! this version of segue takes them for events. They come last there: after all that was said since.

use anyhow::{Context, bail};
use bytes::Bytes;
use segue_connectors::dead_letters::DeadLetter;
use segue_connectors::kafka::Kafka;
use segue_connectors::log::{Log, Record};
use segue_dataflow::event::decode;
use serde::Serialize;
use serde_json::Value;

use super::{Numbered, Reader};
use crate::cli::RedriveArgs;
use crate::print;
use crate::serve::Addresses;

/// Letters that are read at a time: whole, they may be large.
const PAGE: usize = 8;

/// What became of one letter.
#[derive(Serialize)]
struct Redriven {
    number: u64,
    sent: bool,
    /// Where it is now, or why it was not sent.
    detail: String,
}

/// Where records go.
enum Target {
    Topic(Box<Kafka>),
    Server { url: String, agent: Box<ureq::Agent> },
}

/// Redrives the chosen letters and prints what became of each; false if one was not sent.
///
/// # Errors
/// If letters cannot be read, or none can be sent any more.
pub fn redrive(args: &RedriveArgs) -> anyhow::Result<bool> {
    let config = args.place.load()?;
    let reader = Reader::open(&config)?;
    let target = match &reader {
        _ if !config.kafka.brokers.is_empty() => Target::Topic(Box::new(Kafka::open(&config.kafka)?)),
        Reader::Server(there) => {
            let agent = Box::new(Addresses::agent());
            Target::Server { url: format!("http://{}/v1/events", there.api), agent }
        }
        Reader::Here(_) => {
            let folder = config.server.data_dir.display();
            bail!("no server runs on {folder}: start it, it is what takes the records")
        }
    };
    let mut all_sent = true;
    let mut told = |redriven: Redriven| {
        all_sent &= redriven.sent;
        let Redriven { number, sent, detail } = &redriven;
        print(&match args.json {
            true => serde_json::to_string(&redriven)?,
            false => format!("{number}\t{}\t{detail}", if *sent { "sent" } else { "not sent" }),
        })
    };
    for chosen in &args.letters {
        let mut next = chosen.first;
        while next <= chosen.last {
            let limit = usize::try_from(chosen.last - next).unwrap_or(PAGE).saturating_add(1).min(PAGE);
            let page = reader.page(next, limit, usize::MAX)?;
            let there = page.into_iter().take_while(|found| found.number <= chosen.last);
            let there: Vec<Numbered> = there.collect();
            if there.is_empty() && next == chosen.first {
                told(Redriven { number: next, sent: false, detail: "there is no such letter".to_owned() })?;
            }
            let Some(last) = there.last() else { break };
            next = last.number + 1;
            for Numbered { number, letter } in there {
                let sent = target.send(&letter).with_context(|| format!("dead letter {number}"))?;
                let (sent, detail) = sent.map_or_else(|why| (false, why), |place| (true, place));
                told(Redriven { number, sent, detail })?;
            }
        }
    }
    Ok(all_sent)
}

impl Target {
    /// Where the record is now, or why it was not sent.
    fn send(&self, letter: &DeadLetter) -> anyhow::Result<Result<String, String>> {
        let record: Bytes = letter.raw.to_bytes();
        if letter.raw.bytes > record.len() as u64 {
            return Ok(Err(format!("only {} of its {} bytes are kept", record.len(), letter.raw.bytes)));
        }
        let event = match decode(&record) {
            Ok(event) => event,
            Err(rejection) => return Ok(Err(format!("still no event: {rejection}"))),
        };
        match self {
            Target::Topic(log) => {
                let positions = log.append(&[Record { key: event.key(), payload: record.clone() }])?;
                Ok(Ok(positions.first().map(ToString::to_string).unwrap_or_default()))
            }
            Target::Server { url, agent } => {
                let sent = agent.post(url).content_type("application/json").send(&*record);
                let mut reply = sent.with_context(|| format!("sending to {url}"))?;
                let body: Value = serde_json::from_slice(&reply.body_mut().read_to_vec()?)?;
                let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
                Ok(match reply.status().as_u16() {
                    202 => Ok(text("token")),
                    status => Err(format!("{status} {}: {}", text("code"), text("detail"))),
                })
            }
        }
    }
}
