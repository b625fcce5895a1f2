//! Who gets the processor first: those who answer questions, then the workers, then those who copy the state elsewhere.

/// How much workers stand back, and whoever works on events: what is seen some milliseconds later is still seen at
/// once, a question that waits as long is slow.
pub const WORK: i32 = 5;

/// How much those stand back who are in no hurry.
pub const COPIES: i32 = 15;

/// The calling thread gets the processor after others: of its time, for each step about four fifths of what it would
/// have got. And it takes it from none when it wakes, as workers do many times while a question is answered. Only on Linux; elsewhere it would be the whole process that stands back.
#[cfg(target_os = "linux")]
pub fn stand_back(steps: i32) {
    use rustix::process::{getpriority_process, setpriority_process};
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
        thread_native_id,
    };

    /// Not nice at all, of 99.
    const ORDINARY: u8 = 48;

    let batch = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
    // To ask for less is always allowed; if not, all goes on as it would.
    let own = getpriority_process(None).unwrap_or(0);
    if let Ok(ordinary) = ORDINARY.try_into().map(ThreadPriority::Crossplatform) {
        // It has to set how nice the thread is as well, after the policy.
        let _ = set_thread_priority_and_policy(thread_native_id(), ordinary, batch);
    }
    let _ = setpriority_process(None, own + steps);
}

/// Only on Linux; elsewhere it would be the whole process that stands back.
#[cfg(not(target_os = "linux"))]
pub fn stand_back(_steps: i32) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// How nice this thread is, and its policy: proc_pid_stat(5), fields 19 and 41.
    fn standing() -> (i32, u32) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("procfs");
        let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
        let fields: Vec<&str> = fields.split_whitespace().collect();
        (fields[16].parse().expect("a number"), fields[38].parse().expect("a number"))
    }

    #[test]
    fn a_thread_stands_back_and_others_do_not() {
        const BATCH: u32 = 3;
        const NICEST: i32 = 19;
        let own = standing();
        for steps in [WORK, COPIES] {
            let behind = std::thread::spawn(move || {
                stand_back(steps);
                standing()
            });
            assert_eq!(behind.join().expect("no panic"), ((own.0 + steps).min(NICEST), BATCH));
            assert_eq!(standing(), own);
        }
    }
}
