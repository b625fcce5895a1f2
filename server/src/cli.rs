//! The command line: what `segue` can do, and how it says so.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use segue_replay::cli::{GenerateArgs, ReplayArgs};
use segue_replay::evaluate::EvaluateArgs;

use crate::config::{Config, Error, Layer, Loaded, load};
use crate::demo::DemoArgs;

/// A streaming-first music recommender: playlist events in, recommendations out, milliseconds later.
///
/// Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 failed, 2 wrong
/// use. Configuration (of all but demo, replay and generate): flag, then SEGUE__SECTION__KEY, then the file, then what
/// is built in.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    /// How the log is written to standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: embedded log in the data folder, REST API, admin port.
    Serve(ServeArgs),
    /// Everything embedded, with a data set and a page to open.
    Demo(DemoArgs),
    /// Stream data sets as events.
    Replay(ReplayArgs),
    /// Make up a data set.
    Generate(GenerateArgs),
    /// Measure recommendations on playlists that are held out, beside plain methods.
    Evaluate(EvaluateCommand),
    /// Look at what was refused, and why, while the server runs or not; send it again.
    DeadLetters(DeadLettersCommand),
    /// Take a snapshot, list those there are, check one, copy one to plain files.
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Check or show the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Run the server.
#[derive(Args, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    pub source: ConfigArgs,
    /// Port of the API, on the address of `server.bind` (0: a free one).
    #[arg(long)]
    pub port: Option<u16>,
    /// Folder of log, dead letters and snapshots (`server.data_dir`).
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Worker threads (`dataflow.workers`).
    #[arg(long, value_name = "N")]
    pub workers: Option<u16>,
    /// Write the addresses to this file, as JSON {"api","admin"}, once they are open.
    #[arg(long, value_name = "PATH")]
    pub ready_file: Option<PathBuf>,
}

/// Measure recommendations.
#[derive(Args, Debug)]
pub struct EvaluateCommand {
    #[command(flatten)]
    pub args: EvaluateArgs,
    #[command(flatten)]
    pub source: ConfigArgs,
}

/// Where configuration is from.
#[derive(Args, Debug)]
pub struct ConfigArgs {
    /// A TOML file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Snapshots: copies of the state that a server starts from.
#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Have the running server take one now.
    Create(SnapshotArgs),
    /// Print those that are stored, the newest first.
    List(SnapshotArgs),
    /// Read one as a restart would: hashes of all objects, digest of the state. Exit code 1 if it is not in
    /// order.
    Verify(VerifyArgs),
    /// Copy one to a folder as plain Parquet files, each table whole: playlists, entries, additions, tracks and, if
    /// it has them, neighbours. All of it is checked on the way.
    Export(ExportArgs),
}

/// Where they are.
#[derive(Args, Debug)]
pub struct SnapshotArgs {
    #[command(flatten)]
    pub place: PlaceArgs,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// Which one.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Its epoch; the newest if none is given.
    pub epoch: Option<u64>,
    #[command(flatten)]
    pub of: SnapshotArgs,
}

/// Which one, and where to.
#[derive(Args, Debug)]
pub struct ExportArgs {
    #[command(flatten)]
    pub which: VerifyArgs,
    /// The folder to write to; it is made if it is not there, and must be empty.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Look at what was refused.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DeadLettersCommand {
    #[command(subcommand)]
    pub command: Option<DeadLettersSubcommand>,
    #[command(flatten)]
    pub bare: DeadLettersArgs,
}

/// What to do with it.
#[derive(Debug, Subcommand)]
pub enum DeadLettersSubcommand {
    /// Print it, the oldest first; so does the bare command.
    List(DeadLettersArgs),
    /// Print one of them, with all that is kept of its record.
    Show(ShowLetterArgs),
    /// Put chosen ones onto the log again if this version takes them for events, and say what became of each.
    ///
    /// They come last there: what they say overrides what was said since. Through the running server, or to
    /// Kafka. The letters stay. Exit code 1 if one was not sent.
    Redrive(RedriveArgs),
}

/// Which data: of the folder, unless the configuration says that it is elsewhere.
#[derive(Args, Debug)]
pub struct PlaceArgs {
    #[command(flatten)]
    pub source: ConfigArgs,
    /// Folder of log, dead letters and snapshots (`server.data_dir`).
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Which one.
#[derive(Args, Debug)]
pub struct ShowLetterArgs {
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Its number in the list.
    pub number: u64,
    /// Only the bytes of its record.
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,
    /// As a JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Which ones.
#[derive(Args, Debug)]
pub struct RedriveArgs {
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Their numbers in the list: `7`, or `7-12`.
    #[arg(required = true, value_name = "NUMBERS")]
    pub letters: Vec<Numbers>,
    /// One JSON object a line: {"number","sent","detail"}.
    #[arg(long)]
    pub json: bool,
}

/// Numbers in a row.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// The first of them.
    pub first: u64,
    /// The last of them.
    pub last: u64,
}

impl std::str::FromStr for Numbers {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Numbers { first, last }),
            _ => Err("neither a number nor two with a `-` between, the smaller one first"),
        }
    }
}

/// What of it.
#[derive(Args, Debug)]
pub struct DeadLettersArgs {
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Pass over the first N.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub from: u64,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// Check or show the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether it can be used, and if not, why.
    Check(ConfigArgs),
    /// Show every key, its value (*** for a secret) and where the value is from.
    Show(ShowArgs),
    /// Print a JSON Schema of the configuration file: every key, its default, its range and what it is for.
    Schema,
}

/// Show the configuration.
#[derive(Args, Debug)]
pub struct ShowArgs {
    #[command(flatten)]
    pub source: ConfigArgs,
    /// One JSON object a line: {"key","value","origin"}.
    #[arg(long)]
    pub json: bool,
}

impl ConfigArgs {
    /// Puts all layers together; `flags` win.
    ///
    /// # Errors
    /// Names the origin and the key of what is wrong.
    pub fn load(&self, flags: Vec<Layer>) -> Result<Loaded, Error> {
        let mut layers = self.config.iter().map(|path| Layer::file(path)).collect::<Result<Vec<_>, _>>()?;
        layers.extend(Layer::variables(std::env::vars()));
        layers.extend(flags);
        load(&layers)
    }
}

impl PlaceArgs {
    /// The configuration with this folder.
    ///
    /// # Errors
    /// Names the origin and the key of what is wrong.
    pub fn load(&self) -> Result<Config, Error> {
        Ok(self.source.load(data_dir(self.data_dir.as_ref()))?.0)
    }
}

impl ServeArgs {
    /// The configuration with this command's flags.
    ///
    /// # Errors
    /// Names the origin and the key of what is wrong.
    pub fn load(&self) -> Result<Config, Error> {
        let mut flags = data_dir(self.data_dir.as_ref());
        flags.extend(self.workers.map(|n| Layer::flag("workers", "dataflow.workers", i64::from(n))));
        let (mut config, _) = self.source.load(flags)?;
        if let Some(port) = self.port {
            config.server.bind.set_port(port);
        }
        Ok(config)
    }
}

/// `--data-dir` as a layer.
fn data_dir(folder: Option<&PathBuf>) -> Vec<Layer> {
    let text = folder.map(|folder| folder.to_string_lossy().into_owned());
    text.map(|text| Layer::flag("data-dir", "server.data_dir", text)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words after `segue` of every command in the shell blocks of a page.
    fn commands(page: &str) -> Vec<Vec<String>> {
        let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
        let lines = blocks
            .flat_map(|block| block.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<String>>());
        let words = |line: String| {
            let end = [" #", " | ", " > "].into_iter().filter_map(|end| line.find(end)).min();
            let line = line[..end.unwrap_or(line.len())].trim_end_matches(" &").to_owned();
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let at = words.iter().position(|word| word == "segue")?;
            words[..at].iter().all(|word| word.contains('=')).then(|| words[at..].to_vec())
        };
        lines.filter_map(words).collect()
    }

    #[test]
    fn every_command_in_the_documents_is_one() {
        let pages = [
            include_str!("../../README.md"),
            include_str!("../../docs/snapshots.md"),
            include_str!("../../docs/evaluate.md"),
            include_str!("../../docs/redis.md"),
        ];
        let all: Vec<_> = pages.into_iter().flat_map(commands).collect();
        assert!(all.len() >= 12, "{all:?}");
        for words in all {
            let parsed = Cli::try_parse_from(&words);
            assert!(parsed.is_ok(), "{words:?}: {}", parsed.err().map(|e| e.to_string()).unwrap_or_default());
        }
    }
}
