//! `segue dead-letters`: what was refused, and why; from the folder, or from the server that has it open.

use std::path::Path;

use anyhow::Context;
use segue_connectors::dead_letters::{DeadLetter, DeadLetters, Kept};
use segue_connectors::embedded::OpenError;
use serde::{Deserialize, Serialize};

use crate::cli::{DeadLettersArgs, data_dir};
use crate::print;
use crate::serve::Addresses;

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

/// A page of letters.
///
/// # Errors
/// If they cannot be read.
pub fn page(letters: &DeadLetters, from: u64, limit: usize) -> anyhow::Result<Vec<Numbered>> {
    let page = letters.list(from, limit.min(PAGE_LETTERS_MAX))?;
    Ok(page.into_iter().map(|(number, letter)| Numbered { number, letter }).collect())
}

/// Prints them.
///
/// # Errors
/// If there is no such folder, or what is there cannot be read.
pub fn list(args: &DeadLettersArgs) -> anyhow::Result<()> {
    let (config, _) = args.source.load(data_dir(args.data_dir.as_ref()))?;
    let folder = folder_of(&config.server.data_dir);
    anyhow::ensure!(folder.exists(), "{}: there are no dead letters here", folder.display());
    let read: Box<dyn Fn(u64, usize) -> anyhow::Result<Vec<Numbered>>> = match DeadLetters::open(&folder) {
        Ok((letters, _)) => Box::new(move |from, limit| page(&letters, from, limit)),
        Err(locked @ OpenError::Locked { .. }) => {
            let there = Addresses::of(&config.server.data_dir).with_context(|| locked.to_string())?;
            Box::new(move |from, limit| ask(&there, from, limit))
        }
        Err(error) => return Err(error.into()),
    };
    let (mut next, mut left) = (args.from, args.limit);
    while left > 0 {
        let page = read(next, left)?;
        let Some(last) = page.last() else { break };
        next = last.number + 1;
        left -= page.len().min(left);
        page.iter().try_for_each(|letter| show(letter, args.json))?;
    }
    Ok(())
}

/// A page from the running server.
fn ask(there: &Addresses, from: u64, limit: usize) -> anyhow::Result<Vec<Numbered>> {
    let limit = limit.min(PAGE_LETTERS_MAX);
    let url = format!("http://{}/dead-letters?from={from}&limit={limit}", there.admin);
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
    let mut reply = agent.get(&url).call().with_context(|| format!("asking the running server, {url}"))?;
    let body = reply.body_mut().with_config().limit(PAGE_BYTES_MAX).read_to_vec()?;
    serde_json::from_slice(&body).with_context(|| format!("reading the answer of {url}"))
}

fn show(numbered: &Numbered, json: bool) -> anyhow::Result<()> {
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
