//! Event files: one event a line, in segue's own schema.
//!
//! A line that is no event is a fault with its place and its rejection; the lines around it still come.

use std::ops::ControlFlow;
use std::path::Path;

use segue_dataflow::event::{EVENT_BYTES_MAX, decode};

use super::{Counted, Fault, Sink, file, shown};

/// How often (in bytes of text) the sink is told how far the reading is.
const READ_STEP_BYTES: u64 = 1 << 20;

/// Reads the file `path` to its end, `line` being room for one line.
pub fn read(path: &Path, line: &mut Vec<u8>, sink: &mut Counted<'_>) -> ControlFlow<()> {
    let unreadable = |line, column, source| Fault::Unreadable { path: shown(path), line, column, source };
    let (mut file, position) = match file::open(path) {
        Ok(opened) => opened,
        Err(error) => {
            sink.fault(unreadable(1, 0, error));
            return ControlFlow::Continue(());
        }
    };
    let (mut number, mut offset, mut told, mut next) = (0, 0, 0, READ_STEP_BYTES);
    loop {
        match file::next_line(&mut *file, EVENT_BYTES_MAX, line) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                sink.fault(unreadable(number + 1, line.len(), error));
                break;
            }
        }
        number += 1;
        offset += line.len() as u64 + 1;
        if offset >= next {
            next = offset + READ_STEP_BYTES;
            sink.read(position.get() - told);
            told = position.get();
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match decode(line) {
            Ok(event) => sink.event(&event)?,
            Err(rejection) => sink.fault(Fault::Line { path: shown(path), line: number, rejection }),
        }
    }
    sink.read(position.get() - told);
    ControlFlow::Continue(())
}
