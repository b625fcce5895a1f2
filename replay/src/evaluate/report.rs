//! The report: every category, the mean over those with seeds, and what segue has more than each other method,
//! for people and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::baselines::Baselines;
use super::bootstrap::Bootstrap;
pub use super::bootstrap::Estimate;
use super::metrics::Scores;
use super::protocol::Protocol;
use super::split::{Lacking, Split};
use super::{EvaluateArgs, baselines};

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whose rules.
    pub protocol: Protocol,
    /// Chose the held-out playlists.
    pub seed: u64,
    /// Whether the categories show the titles that they are named after.
    pub titles: bool,
    /// How many playlists are held out.
    pub held_out: usize,
    /// What the methods knew.
    pub index: Index,
    /// Those for which the data suffice.
    pub categories: Vec<Row>,
    /// Over the categories with seeds; none if there is no such.
    pub mean: Option<Compared>,
    /// Those for which the data do not suffice.
    pub lacking: Vec<Lacking>,
}

/// What the methods knew.
#[derive(Clone, Debug, Serialize)]
pub struct Index {
    /// Playlists.
    pub playlists: usize,
    /// Entries of them.
    pub entries: usize,
    /// Different tracks in them.
    pub tracks: usize,
}

/// One category.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// From 1, as the challenge counts them.
    pub category: usize,
    /// What is shown.
    pub name: &'static str,
    /// How many playlists are asked about.
    pub queries: usize,
    /// The share of the hidden tracks that some playlist of the index holds: nobody can find the others.
    pub reachable: f64,
    /// What was found.
    #[serde(flatten)]
    pub compared: Compared,
}

/// The methods side by side.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// By name of the method.
    pub methods: BTreeMap<&'static str, Metrics>,
    /// segue's minus the other's on the same queries, by name of the other.
    pub segue_minus: BTreeMap<&'static str, Metrics>,
}

/// All metrics of one method.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Metrics {
    /// See [`Scores::r_precision`].
    pub r_precision: Estimate,
    /// See [`Scores::r_precision_artists`].
    pub r_precision_artists: Estimate,
    /// See [`Scores::ndcg`].
    pub ndcg: Estimate,
    /// See [`Scores::clicks`]; fewer are better.
    pub clicks: Estimate,
}

/// The name of what is evaluated.
pub(super) const SEGUE: &str = "segue";

/// A method's scores, query by query.
type Scored = (&'static str, Vec<Scores>);

impl Report {
    /// Of the scores of all methods, segue's among them.
    pub(super) fn new(
        args: &EvaluateArgs,
        split: &Split<'_>,
        baselines: &Baselines<'_>,
        methods: &[Scored],
    ) -> Self {
        let bootstrap = Bootstrap::new(args.seed, split.held_out.len());
        let places = |category: usize| -> Vec<usize> {
            let of = split.queries.iter().enumerate().filter(|(_, query)| query.category == category);
            of.map(|(place, _)| place).collect()
        };
        let asked: Vec<(usize, Vec<usize>)> = (0..split.categories.len())
            .map(|category| (category, places(category)))
            .filter(|(_, places)| !places.is_empty())
            .collect();
        let compare = |groups: &[&Vec<usize>]| Compared::new(split, methods, groups, &bootstrap);
        let row = |(category, places): &(usize, Vec<usize>)| {
            let truth = || places.iter().flat_map(|place| &split.queries[*place].truth);
            let known = truth().filter(|track| baselines.knows(**track)).count();
            Row {
                category: split.categories[*category].number,
                name: split.categories[*category].name,
                queries: places.len(),
                reachable: known as f64 / truth().count() as f64,
                compared: compare(&[places]),
            }
        };
        let seeded = asked.iter().filter(|(category, _)| split.categories[*category].seeds > 0);
        let seeded: Vec<&Vec<usize>> = seeded.map(|(_, places)| places).collect();
        Report {
            protocol: args.protocol,
            seed: args.seed,
            titles: !args.no_titles,
            held_out: split.held_out.len(),
            index: Index {
                playlists: split.index.len(),
                entries: split.index.iter().map(|playlist| playlist.tracks.len()).sum(),
                tracks: baselines.tracks(),
            },
            categories: asked.iter().map(row).collect(),
            mean: (!seeded.is_empty()).then(|| compare(&seeded)),
            lacking: split.lacking.clone(),
        }
    }
}

impl Compared {
    /// Of these queries: the mean of the groups' means.
    fn new(split: &Split<'_>, methods: &[Scored], groups: &[&Vec<usize>], bootstrap: &Bootstrap) -> Self {
        let metrics = |scores: &dyn Fn(usize) -> Scores| {
            let estimate = |metric: fn(Scores) -> f64| {
                let of = |place: &usize| (split.queries[*place].playlist, metric(scores(*place)));
                let groups: Vec<_> = groups.iter().map(|group| group.iter().map(of).collect()).collect();
                bootstrap.estimate(&groups)
            };
            Metrics {
                r_precision: estimate(|scores| scores.r_precision),
                r_precision_artists: estimate(|scores| scores.r_precision_artists),
                ndcg: estimate(|scores| scores.ndcg),
                clicks: estimate(|scores| scores.clicks),
            }
        };
        let ours = methods.iter().find(|(name, _)| *name == SEGUE).map(|(_, scores)| scores);
        let alone = |(name, scores): &Scored| (*name, metrics(&|place| scores[place]));
        let beside = |(name, scores): &Scored| {
            let ours = ours.filter(|_| *name != SEGUE)?;
            Some((*name, metrics(&|place| ours[place] - scores[place])))
        };
        Compared {
            methods: methods.iter().map(alone).collect(),
            segue_minus: methods.iter().filter_map(beside).collect(),
        }
    }
}

impl Metrics {
    /// For the table.
    fn cells(&self) -> [String; 4] {
        let share = |e: Estimate| format!("{:.4} ± {:.4}", e.mean, e.se).replace("0.", ".");
        let clicks = format!("{:.2} ± {:.2}", self.clicks.mean, self.clicks.se);
        [share(self.r_precision), share(self.r_precision_artists), share(self.ndcg), clicks]
    }
}

/// A row of the table with a line for each method; `about` says what it is about.
fn row(table: &mut Table, about: [String; 3], methods: &BTreeMap<&'static str, Metrics>) {
    let order = baselines::ALL.iter().map(|baseline| baseline.name()).chain([SEGUE]);
    let mut lines = [const { String::new() }; 5];
    for (name, metrics) in order.filter_map(|name| Some((name, methods.get(name)?))) {
        let [a, b, c, d] = metrics.cells();
        for (line, cell) in lines.iter_mut().zip([name.to_owned(), a, b, c, d]) {
            line.push_str(if line.is_empty() { "" } else { "\n" });
            line.push_str(&cell);
        }
    }
    table.add_row(about.into_iter().chain(lines));
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Index { playlists, entries, tracks } = self.index;
        writeln!(
            f,
            "{} playlists held out of {}, seed {}; the others have {entries} entries of {tracks} tracks{}.",
            self.held_out,
            self.held_out + playlists,
            self.seed,
            if self.titles { "" } else { "; no titles are shown" }
        )?;
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY);
        table.set_header(["shown", "asked", "known", "", "R-precision", "with artists", "NDCG", "clicks"]);
        for Row { category, name, queries, reachable, compared } in &self.categories {
            let about =
                [format!("{category} {name}"), queries.to_string(), format!("{:.0} %", 100.0 * reachable)];
            row(&mut table, about, &compared.methods);
        }
        if let Some(mean) = &self.mean {
            let about = |what: &str| [what.to_owned(), String::new(), String::new()];
            row(&mut table, about("mean, with seeds"), &mean.methods);
            row(&mut table, about("segue minus"), &mean.segue_minus);
        }
        for column in [1, 2, 4, 5, 6, 7] {
            let _ = table.column_mut(column).map(|column| column.set_cell_alignment(CellAlignment::Right));
        }
        writeln!(f, "{table}")?;
        self.lacking.iter().try_for_each(|lacking| writeln!(f, "not measured: {lacking}"))
    }
}
