//! Events into a file or to stdout, gzip by name.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Batch, Receipt, Target, TargetError};

/// Bytes that are written at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// Writes event files.
pub struct FileTarget {
    name: String,
    out: Out,
}

enum Out {
    Plain(Box<dyn Write>),
    Gz(Box<GzEncoder<BufWriter<File>>>),
}

impl FileTarget {
    /// A new file, or an old one replaced; to go on in an old one, `append`.
    pub fn open(path: &Path, append: bool) -> Result<Self, TargetError> {
        let name = path.display().to_string();
        let mut options = File::options();
        options.create(true).write(true).append(append).truncate(!append);
        let file =
            options.open(path).map_err(|source| TargetError::Write { target: name.clone(), source })?;
        let out = if path.extension().is_some_and(|e| e == "gz") {
            let file = BufWriter::with_capacity(BUFFER_BYTES, file);
            Out::Gz(Box::new(GzEncoder::new(file, Compression::fast())))
        } else {
            Out::Plain(Box::new(file))
        };
        Ok(FileTarget { name, out })
    }

    fn failed(&self, source: io::Error) -> TargetError {
        TargetError::Write { target: self.name.clone(), source }
    }
}

/// Standard output.
pub fn stdout() -> FileTarget {
    FileTarget { name: "stdout".to_owned(), out: Out::Plain(Box::new(io::stdout())) }
}

impl Target for FileTarget {
    fn send(&mut self, batch: &Batch, _interrupted: &AtomicBool) -> Result<Receipt, TargetError> {
        let written = match &mut self.out {
            Out::Plain(out) => out.write_all(batch.ndjson()),
            Out::Gz(out) => out.write_all(batch.ndjson()),
        };
        written.map_err(|e| self.failed(e))?;
        Ok(Receipt::all(batch))
    }

    fn finish(&mut self, _interrupted: &AtomicBool) -> Result<(), TargetError> {
        let finished = match &mut self.out {
            Out::Plain(out) => out.flush(),
            Out::Gz(out) => out.try_finish().and_then(|()| out.get_mut().flush()),
        };
        finished.map_err(|e| self.failed(e))
    }
}
