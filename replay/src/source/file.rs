//! Files as text: plain or gzip by name, one slice at a time in memory, or line by line.
//!
//! Neither way holds more than a named limit, whatever the file claims to be.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

/// Bytes of text that one slice may have. Published ones have 33 MB.
pub const SLICE_BYTES_MAX: u64 = 1 << 30;

/// Bytes that are read from disk at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// How many bytes of a file were read so far, as they lie on disk.
pub type Position = Rc<Cell<u64>>;

/// Opens a file for reading its text; `.gz` is unpacked. A folder or a broken file fails at the first read.
pub fn open(path: &Path) -> io::Result<(Box<dyn BufRead>, Position)> {
    let position = Position::default();
    let file = Counting { file: File::open(path)?, position: Rc::clone(&position) };
    let file = BufReader::with_capacity(BUFFER_BYTES, file);
    let file: Box<dyn BufRead> = if path.extension().is_some_and(|e| e == "gz") {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    };
    Ok((file, position))
}

struct Counting {
    file: File,
    position: Position,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read(buffer)?;
        self.position.set(self.position.get() + bytes as u64);
        Ok(bytes)
    }
}

/// How a file was taken into memory.
pub enum Slurped {
    /// All of it is there.
    Whole,
    /// More than [`SLICE_BYTES_MAX`].
    TooLarge,
    /// Only the beginning is there.
    Broken(io::Error),
}

/// Replaces `text` by the text of the file, or by as much of it as can be read.
pub fn slurp(path: &Path, text: &mut Vec<u8>) -> Slurped {
    text.clear();
    match open(path).and_then(|(file, _)| file.take(SLICE_BYTES_MAX + 1).read_to_end(text)) {
        Err(error) => Slurped::Broken(error),
        Ok(_) if text.len() as u64 > SLICE_BYTES_MAX => Slurped::TooLarge,
        Ok(_) => Slurped::Whole,
    }
}

/// Replaces `line` by the next line without its end, at most `max` bytes and one more of it; the rest of a
/// longer line is passed over. False at the end of the file.
pub fn next_line(file: &mut dyn BufRead, max: usize, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let buffer = file.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = buffer.iter().position(|&b| b == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        line.extend_from_slice(&part[..part.len().min(max + 1 - line.len())]);
        let used = part.len() + usize::from(end.is_some());
        file.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_length_in_bounded_memory() {
        let mut text: &[u8] = b"one\n\nlonger than that\nlast";
        let mut line = Vec::new();
        let mut lines = Vec::new();
        while next_line(&mut text, 5, &mut line).unwrap() {
            lines.push(String::from_utf8(line.clone()).unwrap());
        }
        assert_eq!(lines, ["one", "", "longer", "last"]);
    }
}
