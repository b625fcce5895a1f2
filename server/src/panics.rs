//! Shared fate: a thread that is there for as long as the process takes it with it when it panics. What it did would not
//! be done any more, and nobody would know.

use crate::FAILED;

/// How the names of these threads begin: timely's workers, and ours around them.
const NEEDED: [&str; 9] = [
    "timely:",
    "reader-",
    "pump-",
    "dead-letters",
    "segue-log",
    "snapshot",
    "changes",
    "redis",
    "prequential",
];

/// From now on such a panic ends the process, which starts again from the log.
pub fn end_the_process() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        let current = std::thread::current();
        if current.name().is_some_and(|name| NEEDED.iter().any(|needed| name.starts_with(needed))) {
            #[expect(
                clippy::disallowed_methods,
                reason = "the other threads would wait for ever; the log survives it"
            )]
            std::process::exit(i32::from(FAILED));
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;
    use std::time::Duration;

    use segue_dataflow::settings::Settings;
    use segue_dataflow::workers::{Answers, Engine, Observer, Options, Progress};

    use super::*;

    /// Panics on a worker's thread.
    struct Panics;

    impl Observer for Panics {
        fn complete(&self, _progress: &Progress) {
            panic!("a worker's panic");
        }

        fn refused(&self, _seq: u64, _detail: String) {}
    }

    #[test]
    #[ignore = "ends its process; the test below runs it in one of its own"]
    fn a_panic() {
        end_the_process();
        let other = std::thread::spawn(|| panic!("another thread's panic")).join();
        assert!(other.is_err());
        let (epoch_gap, settings) = (Duration::from_millis(1), Settings::default());
        let (heartbeat, answers) = (Duration::from_secs(1), Answers::Workers);
        let options = Options { workers: 2, epoch_gap, heartbeat, settings, answers };
        let _engine = Engine::start(options, Arc::new(|| 1), Arc::new(Panics), None).expect("timely starts");
        std::thread::park_timeout(Duration::from_secs(60));
        panic!("the process lives on");
    }

    #[test]
    fn a_worker_that_panics_ends_the_process() {
        let mut child = Command::new(std::env::current_exe().expect("this test"));
        let child = child.args(["--ignored", "--nocapture", "--exact", "panics::tests::a_panic"]).output();
        let child = child.expect("it runs");
        let said = String::from_utf8_lossy(&child.stderr);
        assert_eq!(child.status.code(), Some(i32::from(FAILED)), "{said}");
        let at = |what: &str| said.find(what).unwrap_or_else(|| panic!("not said: {what}\n{said}"));
        assert!(at("another thread's panic") < at("a worker's panic"), "{said}");
    }
}
