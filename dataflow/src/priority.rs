//! Who gets the processor first: those who answer questions, then the workers, then those who copy the state elsewhere.

/// How much workers stand back, and whoever works on events: what is seen some milliseconds later is still seen at
/// once, a question that waits as long is slow.
pub const WORK: i32 = 5;

/// How much those stand back who are in no hurry.
pub const COPIES: i32 = 15;

/// The calling thread gets the processor after others: of its time, for each step about four fifths of what it would
/// have got. Only on Linux; elsewhere it would be the whole process that stands back.
pub fn stand_back(steps: i32) {
    if cfg!(target_os = "linux") {
        // To ask for less is always allowed; if not, all goes on as it would.
        let _ = rustix::process::nice(steps);
    }
}
