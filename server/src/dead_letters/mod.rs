//! `segue dead-letters`: what was refused, and why. From the topic, from the folder, or from the server that
//! has the folder open.

mod redrive;

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use segue_connectors::dead_letters::{DeadLetter, DeadLetters, Kept, RAW_BYTES_MAX};
use segue_connectors::embedded::OpenError;
use segue_connectors::kafka;
use segue_connectors::kafka::dead_letters::DeadLetterTopic;
use serde::{Deserialize, Serialize};

use crate::cli::{DeadLettersArgs, ShowLetterArgs};
use crate::config::Config;
use crate::print;
use crate::serve::Addresses;
pub use redrive::redrive;

/// Letters that one page has at the most: 64 KiB of its record each, and what JSON makes of that.
pub const PAGE_LETTERS_MAX: usize = 100;
/// Bytes that a page may have.
const PAGE_BYTES_MAX: u64 = 256 << 20;

/// A letter and its number.
#[derive(Serialize, Deserialize)]
pub struct Numbered {
    /// 0 is the oldest.
    pub number: u64,
    /// The letter.
    pub letter: DeadLetter,
}

/// The dead letters under a data folder.
pub fn folder_of(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("dead_letters")
}

/// A page of letters, with at most so many bytes of each record.
///
/// # Errors
/// If they cannot be read.
pub fn page(
    letters: &DeadLetters,
    from: u64,
    limit: usize,
    raw_bytes_max: usize,
) -> anyhow::Result<Vec<Numbered>> {
    let page = letters.list(from, limit.min(PAGE_LETTERS_MAX), raw_bytes_max)?;
    Ok(page.into_iter().map(|(number, letter)| Numbered { number, letter }).collect())
}

/// Where letters are read from.
enum Reader {
    Here(DeadLetters),
    /// The server that has them open.
    Server(Addresses),
}

impl Reader {
    fn open(config: &Config) -> anyhow::Result<Self> {
        if !config.kafka.brokers.is_empty() {
            let topic = DeadLetterTopic::open(&config.kafka)?;
            match topic.look() {
                Err(kafka::OpenError::NoTopic { address }) => {
                    bail!("{address}: there are no dead letters here")
                }
                there => there?,
            }
            return Ok(Reader::Here(DeadLetters::Topic(Box::new(topic))));
        }
        let folder = folder_of(&config.server.data_dir);
        anyhow::ensure!(folder.exists(), "{}: there are no dead letters here", folder.display());
        match DeadLetters::open(&folder) {
            Ok((letters, _)) => Ok(Reader::Here(letters)),
            Err(locked @ OpenError::Locked { .. }) => {
                let there = Addresses::of(&config.server.data_dir).with_context(|| locked.to_string())?;
                Ok(Reader::Server(there))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Letters from this number on: at least one if there is one, and more as they come.
    fn page(&self, from: u64, limit: usize, raw_bytes_max: usize) -> anyhow::Result<Vec<Numbered>> {
        match self {
            Reader::Here(letters) => page(letters, from, limit, raw_bytes_max),
            Reader::Server(there) => ask(there, from, limit),
        }
    }

    /// One letter, with all that is kept of its record.
    fn get(&self, number: u64) -> anyhow::Result<Option<DeadLetter>> {
        let found = self.page(number, 1, usize::MAX)?.into_iter().next();
        Ok(found.filter(|found| found.number == number).map(|found| found.letter))
    }
}

/// A page from the running server.
fn ask(there: &Addresses, from: u64, limit: usize) -> anyhow::Result<Vec<Numbered>> {
    let limit = limit.min(PAGE_LETTERS_MAX);
    let url = format!("http://{}/dead-letters?from={from}&limit={limit}", there.admin);
    let mut reply =
        Addresses::agent().get(&url).call().with_context(|| format!("asking the running server, {url}"))?;
    let body = reply.body_mut().with_config().limit(PAGE_BYTES_MAX).read_to_vec()?;
    serde_json::from_slice(&body).with_context(|| format!("reading the answer of {url}"))
}

/// Prints a list.
///
/// # Errors
/// If there are none, or what is there cannot be read.
pub fn list(args: &DeadLettersArgs) -> anyhow::Result<()> {
    let reader = Reader::open(&args.place.load()?)?;
    let (mut next, mut left) = (args.from, args.limit);
    while left > 0 {
        let page = reader.page(next, left, RAW_BYTES_MAX)?;
        let Some(last) = page.last() else { break };
        next = last.number + 1;
        left -= page.len().min(left);
        page.iter().try_for_each(|letter| line(letter, args.json))?;
    }
    Ok(())
}

fn line(numbered: &Numbered, json: bool) -> anyhow::Result<()> {
    if json {
        return print(&serde_json::to_string(numbered)?);
    }
    let Numbered { number, letter } = numbered;
    let field = letter.field.as_deref().map(|field| format!(" in {field}")).unwrap_or_default();
    let DeadLetter { source, position, code, detail, .. } = letter;
    print(&format!("{number}\t{source}\t{position}\t{code}{field}: {detail}"))?;
    match &letter.raw.kept {
        Kept::Text(text) => print(&format!("\t{text}")),
        Kept::Base64(text) => print(&format!("\tbase64 {text}")),
    }
}

/// Prints one letter: what is known of it, an empty line, and the bytes of its record as they are.
///
/// # Errors
/// If it is not there, or cannot be read.
pub fn show(args: &ShowLetterArgs) -> anyhow::Result<()> {
    let number = args.number;
    let letter = Reader::open(&args.place.load()?)?.get(number)?;
    let letter = letter.with_context(|| format!("there is no dead letter {number}"))?;
    if args.json {
        return print(&serde_json::to_string(&Numbered { number, letter })?);
    }
    let kept = letter.raw.to_bytes();
    if !args.raw {
        let DeadLetter { code, field, detail, source, position, at_ms, raw } = &letter;
        print(&format!("number: {number}\nsource: {source}\nposition: {position}\ncode: {code}"))?;
        field.iter().try_for_each(|field| print(&format!("field: {field}")))?;
        let at = jiff::Timestamp::from_millisecond(*at_ms).map_or(at_ms.to_string(), |at| at.to_string());
        let cut = if raw.bytes > kept.len() as u64 { ", the beginning of which follows" } else { "" };
        print(&format!("reason: {detail}\nat: {at}\nbytes: {}{cut}\n", raw.bytes))?;
    }
    let mut out = std::io::stdout();
    out.write_all(&kept).and_then(|()| out.flush()).context("writing to standard output")
}
