//! The results: printed as they come, and as a page.

use std::fmt::Write as _;

#[derive(Default)]
pub struct Table {
    rows: String,
}

/// The value below which a share of all lies.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
        .get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

pub fn ms(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1e3)
}

impl Table {
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts the rows of one size.
    pub fn size(&mut self, playlists: u64) {
        self.line(&format!(
            "\n## {playlists} playlists\n\n| what | measured | budget | |\n|---|---|---|---|"
        ));
    }

    /// What was measured, and what it should be.
    pub fn row(&mut self, what: &str, measured: impl AsRef<str>, budget: &str, note: &str) {
        self.line(&format!("| {what} | {} | {budget} | {note} |", measured.as_ref()));
    }

    /// How long something took.
    pub fn seconds(&mut self, what: &str, seconds: f64) {
        self.row(what, format!("{seconds:.1} s"), "", "");
    }

    /// Something beside its reference.
    pub fn ratio(&mut self, what: &str, ours: f64, reference: f64, budget: f64, show: fn(f64) -> String) {
        let ratio = ours / reference;
        let measured = format!("{ratio:.2} × ({} to {})", show(ours), show(reference));
        self.row(what, measured, &format!("≤ {budget} ×"), verdict(ratio <= budget));
    }

    /// Something beside its bound.
    pub fn bound(&mut self, what: &str, value: f64, bound: f64, show: fn(f64) -> String) {
        self.row(what, show(value), &format!("≤ {}", show(bound)), verdict(value <= bound));
    }

    /// More about the row before.
    pub fn note(&mut self, note: &str) {
        self.row("", note, "", "");
    }

    fn line(&mut self, line: &str) {
        println!("{line}");
        let _ = writeln!(self.rows, "{line}"); // a String takes all
    }

    /// The page with all rows, the machine and the command.
    pub fn page(&self) -> String {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model =
            cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kb = memory
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
        format!(
            "# Benchmarks\n\nMade by `make bench`, on {cores} cores ({}), {:.0} GiB, {}.\n\
             Ratios are of two things measured in one run. Generated playlists, seed 1.\n{}",
            model.trim_matches([' ', '\t', ':']),
            kb.unwrap_or(0.0) / 1_048_576.0_f64,
            std::env::consts::OS,
            self.rows,
        )
    }
}

fn verdict(kept: bool) -> &'static str {
    if kept { "kept" } else { "**missed**" }
}
