//! How far it is: a bar on a terminal, a line every few seconds elsewhere. Both on stderr.

use std::fmt::Display;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// Where there is no terminal, a line is written this often.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// A bar is redrawn so many times a second.
const REDRAWS_PER_S: u8 = 8;

/// Shows events, their rate, and the time left by the bytes of the sources.
pub struct Progress {
    bar: Option<ProgressBar>,
    bytes: u64,
    bytes_all: u64,
    events: u64,
    next_line: Duration,
    quiet: bool,
}

/// How long it will take, once that can be told.
fn left(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    let _ = match state.pos() {
        0 => out.write_str("?"),
        _ => write!(out, "{:#}", HumanDuration(state.eta())),
    };
}

impl Progress {
    /// For sources of so many bytes on disk.
    pub fn new(bytes_all: u64) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_S);
            // Fits into 80 columns.
            let style =
                ProgressStyle::with_template("{bar:20} {percent:>3}% of the sources  {msg}  eta {left}");
            let bar = ProgressBar::with_draw_target(Some(bytes_all), target);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("left", left))
        });
        Progress { bar, bytes: 0, bytes_all, events: 0, next_line: LINE_EVERY, quiet: false }
    }

    /// Shows nothing.
    pub fn hidden() -> Self {
        Progress { bar: None, bytes: 0, bytes_all: 0, events: 0, next_line: LINE_EVERY, quiet: true }
    }

    /// So many more bytes of the sources were read.
    pub fn read(&mut self, bytes: u64, elapsed: Duration) {
        self.bytes += bytes;
        if let Some(bar) = &self.bar {
            bar.set_position(self.bytes);
        }
        self.show(elapsed);
    }

    /// So many more events were taken by the target.
    pub fn sent(&mut self, events: u64, elapsed: Duration) {
        self.events += events;
        self.show(elapsed);
    }

    /// A line above the bar.
    pub fn say(&self, line: &dyn Display) {
        match &self.bar {
            _ if self.quiet => {}
            Some(bar) => bar.println(line.to_string()),
            None => eprintln!("{line}"),
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn show(&mut self, elapsed: Duration) {
        let events_per_s = self.events as f64 / elapsed.as_secs_f64().max(1e-3);
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} events, {events_per_s:.0}/s", self.events));
        } else if elapsed >= self.next_line && !self.quiet {
            self.next_line = elapsed + LINE_EVERY;
            let share = self.bytes as f64 / self.bytes_all.max(1) as f64;
            let left = if share > 0.0 {
                format!(", about {:.0} s left", elapsed.as_secs_f64() * (1.0 / share - 1.0).max(0.0))
            } else {
                String::new()
            };
            let percent = 100.0 * share;
            eprintln!(
                "{} events, {events_per_s:.0}/s, {percent:.0} % of the sources read{left}",
                self.events
            );
        }
    }
}
