//! What a crash left half written at the end of the store's journal: found, judged, cut off and reported.
//!
//! The store drops an unfinished tail in silence, refuses to open over some kinds of torn tail, and would
//! drop whole batches after a damaged spot. None of that will do for a log, so its journals are read here
//! first. A journal is a row of batches, numbers little-endian, then zeros up to its allocated length:
//!
//! ```text
//! batch = 1 count:u32 seqno:u64  item × count  end
//! item  = 2 type:u8 compression:u8 keyspace:u64 key_len:u16 value_len:u32 stored_len:u32 key value
//!       | 4 keyspace:u64
//! end   = 3 xxh3-64 of the items:u64 "FJL" 3
//! ```
//!
//! Invariant: nothing that may have been acknowledged is cut. A batch is written only after the one before
//! was synced, so a crash or a full disk can damage one batch, the last. If a good batch follows the
//! damage, it is no torn tail but corruption: opening is refused and nothing is changed.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3Default;

use super::folder::{OpenError, at};

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const MAGIC: [u8; 4] = *b"FJL\x03";
/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;

/// The end of a journal that a crash left half written. It was cut off; no part of it was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub path: PathBuf,
    /// Where the cut is: bytes of the file that are left.
    pub kept_bytes: u64,
    /// Bytes cut off, not counting zeros at the end.
    pub cut_bytes: u64,
}

impl fmt::Display for TornTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TornTail { path, kept_bytes, cut_bytes } = self;
        write!(f, "{}: torn tail of {cut_bytes} bytes cut off at byte {kept_bytes}", path.display())
    }
}

/// Checks all journals of a store that nobody has open, and cuts off a torn tail.
pub(super) fn mend(store: &Path) -> Result<Option<TornTail>, OpenError> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(store).map_err(at(store, "listing"))? {
        let path = entry.map_err(at(store, "listing"))?.path();
        if path.extension() == Some(OsStr::new("jnl")) {
            let number = path.file_stem().and_then(OsStr::to_str).and_then(|stem| stem.parse::<u64>().ok());
            let number = number.ok_or_else(|| corrupt(&path, "not the name of a journal".to_owned()))?;
            journals.push((number, path));
        }
    }
    journals.sort_unstable();
    let mut damage: Option<(PathBuf, Tail)> = None;
    let mut seqno = None;
    for (_, path) in journals {
        let (last, tail) = read_journal(&path, seqno).map_err(at(&path, "reading"))?;
        if let Some((damaged, Tail { from, .. })) = &damage
            && (last > seqno || tail.is_some())
        {
            return Err(corrupt(damaged, format!("damaged at byte {from}, and there is a later journal")));
        }
        if let Some(tail) = tail {
            if let Some(next) = tail.next_batch(last) {
                return Err(corrupt(
                    &path,
                    format!("damaged at byte {}, and good again at byte {next}", tail.from),
                ));
            }
            damage = Some((path, tail));
        }
        seqno = last;
    }
    let Some((path, tail)) = damage else { return Ok(None) };
    OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_len(tail.from).and_then(|()| file.sync_all()))
        .map_err(at(&path, "cutting off a torn tail"))?;
    let torn = TornTail { path, kept_bytes: tail.from, cut_bytes: tail.bytes.len() as u64 };
    tracing::warn!("{torn}");
    Ok(Some(torn))
}

fn corrupt(path: &Path, detail: String) -> OpenError {
    OpenError::Corrupt { path: path.to_owned(), detail }
}

/// What follows the last good batch, without the zeros at the end of the file.
struct Tail {
    from: u64,
    bytes: Vec<u8>,
}

impl Tail {
    /// Where the next good batch begins, if one follows that is newer than the last good one.
    fn next_batch(&self, last: Option<u64>) -> Option<u64> {
        (1..self.bytes.len())
            .find(|&at| read_batch(&mut &self.bytes[at..]).is_ok_and(|seqno| Some(seqno) > last))
            .map(|at| self.from + at as u64)
    }
}

/// The sequence number of the last good batch, which is `before` if there is none, and what follows it.
fn read_journal(path: &Path, before: Option<u64>) -> io::Result<(Option<u64>, Option<Tail>)> {
    let mut file = BufReader::with_capacity(READ_BYTES, File::open(path)?);
    let (mut from, mut last) = (0, before);
    loop {
        match read_batch(&mut file) {
            Ok(seqno) if Some(seqno) > last => {
                from = file.stream_position()?;
                last = Some(seqno);
            }
            Ok(_) => break,
            Err(error) => match error.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => break,
                _ => return Err(error),
            },
        }
    }
    let used = used_bytes(&mut file, from)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(used).read_to_end(&mut bytes)?;
    Ok((last, (!bytes.is_empty()).then_some(Tail { from, bytes })))
}

/// Bytes from here up to the last one that is not zero.
fn used_bytes(file: &mut BufReader<File>, from: u64) -> io::Result<u64> {
    file.seek(SeekFrom::Start(from))?;
    let mut chunk = vec![0; READ_BYTES];
    let (mut seen, mut used) = (0, 0);
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(used);
        }
        if let Some(last) = chunk[..read].iter().rposition(|byte| *byte != 0) {
            used = seen + last as u64 + 1;
        }
        seen += read as u64;
    }
}

/// Reads one batch and gives its sequence number, or [`io::ErrorKind::InvalidData`].
fn read_batch(from: &mut impl Read) -> io::Result<u64> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    if read::<1>(from)? != [START] {
        return Err(wrong());
    }
    let count = u32::from_le_bytes(read(from)?);
    let seqno = u64::from_le_bytes(read(from)?);
    let mut items = Hashed { from, hash: Xxh3Default::new() };
    for _ in 0..count {
        match read::<1>(&mut items)? {
            [ITEM] => {
                let [_type, _compression] = read(&mut items)?;
                let _keyspace: [u8; 8] = read(&mut items)?;
                let key_bytes = u16::from_le_bytes(read(&mut items)?);
                let _value_bytes: [u8; 4] = read(&mut items)?;
                let stored_bytes = u32::from_le_bytes(read(&mut items)?);
                let bytes = u64::from(key_bytes) + u64::from(stored_bytes);
                if io::copy(&mut items.by_ref().take(bytes), &mut io::sink())? < bytes {
                    return Err(wrong());
                }
            }
            [CLEAR] => {
                let _keyspace: [u8; 8] = read(&mut items)?;
            }
            _ => return Err(wrong()),
        }
    }
    let Hashed { from, hash } = items;
    if read(from)? != [END] || u64::from_le_bytes(read(from)?) != hash.digest() || read(from)? != MAGIC {
        return Err(wrong());
    }
    Ok(seqno)
}

fn read<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A reader that hashes what goes through.
struct Hashed<'a, R> {
    from: &'a mut R,
    hash: Xxh3Default,
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}
