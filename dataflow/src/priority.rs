//! Who gets the processor first: those who answer questions, then the workers, then those who copy the state elsewhere.

/// How important work on events is, of 99 (on Linux nice 5): what is seen some milliseconds later is still seen at
/// once, a question that waits as long is slow.
pub const WORK: u8 = 34;

/// How important that is which is in no hurry, of 99 (on Linux nice 15).
pub const COPIES: u8 = 9;

/// The calling thread gets the processor after others, and takes it from none when it wakes: workers wake a thousand
/// times a second, and a question would be interrupted as often. Only on Linux.
pub fn stand_back(importance: u8) {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
            thread_native_id,
        };

        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
        if let Ok(importance) = importance.try_into().map(ThreadPriority::Crossplatform) {
            // To ask for less is always allowed; if not, all goes on as it would.
            let _ = set_thread_priority_and_policy(thread_native_id(), importance, policy);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// How nice this thread is, and its policy: proc_pid_stat(5), fields 19 and 41.
    fn standing() -> (i64, u32) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("procfs");
        let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
        let fields: Vec<&str> = fields.split_whitespace().collect();
        (fields[16].parse().expect("a number"), fields[38].parse().expect("a number"))
    }

    #[test]
    fn a_thread_stands_back_and_others_do_not() {
        const BATCH: u32 = 3;
        let own = standing();
        for (importance, nice) in [(WORK, 5), (COPIES, 15)] {
            let behind = std::thread::spawn(move || {
                stand_back(importance);
                standing()
            });
            assert_eq!(behind.join().expect("no panic"), (nice.max(own.0), BATCH));
            assert_eq!(standing(), own);
        }
    }
}
