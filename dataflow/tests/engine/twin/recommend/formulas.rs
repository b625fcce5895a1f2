//! The constants and formulas of docs/scoring.md, written from its text, in f64; nothing of the engine's. What the
//! engine adds up as integers is rounded to the same units: near-ties would fall either way otherwise.

/// Of weights.
const WEIGHT: f64 = 65_536.0;
/// Of similarities: 2^36.
const SIMILARITY: f64 = 68_719_476_736.0;
/// Of votes: 2^28 for the most similar playlist, as far as samples tell.
const VOTE: f64 = 268_435_456.0;
/// Of what a playlist counts in G, and of a title's match.
const COUNT: f64 = 1_048_576.0;
/// Of z: 2^24.
const WORTH: f64 = 16_777_216.0;
/// A title that matches in full.
pub const MATCH: u64 = COUNT as u64;

/// A row of the table in section 1. ρ and β: here, and at 1 M playlists.
#[derive(Clone, Copy)]
pub struct Row {
    k: u32,
    pub e: f64,
    rho: [f64; 2],
    beta: [f64; 2],
    pub delta: f64,
    pub b_t: f64,
    pub theta: f64,
}

const fn row(k: u32, e: f64, rho: [f64; 2], beta: [f64; 2], [delta, b_t, theta]: [f64; 3]) -> Row {
    Row { k, e, rho, beta, delta, b_t, theta }
}

const TABLE: [Row; 5] = [
    row(1, 0.3, [1.1, 1.1], [0.7, 0.5], [0.0, 3.0, 0.15]),
    row(5, 0.5, [1.4, 1.7], [0.7, 0.5], [0.05, 3.0, 0.05]),
    row(10, 0.5, [1.4, 1.8], [0.8, 0.6], [0.05, 3.0, 0.05]),
    row(25, 0.5, [1.5, 2.0], [1.0, 1.0], [0.05, 1.0, 0.05]),
    row(100, 0.5, [1.5, 2.0], [1.0, 1.0], [0.05, 1.0, 0.05]),
];
/// 10 seeds and more that are a random part of the list.
const RANDOM: Row = row(10, 0.5, [1.6, 2.2], [2.0, 2.0], [0.15, 0.0, 0.0]);
/// Plain kNN.
const PLAIN: Row = row(1, 0.5, [2.0, 2.0], [0.0, 0.0], [0.0, 0.0, 0.0]);
/// δ without seeds.
pub const ALONE: f64 = -0.1;

/// What holds for one question.
pub struct Constants {
    pub row: Row,
    large: bool,
    /// K
    pub k: u32,
    /// N
    pub n: u32,
}

impl Constants {
    pub fn new(k: u32, n: u32, large: bool, random: bool, plain: bool) -> Self {
        let after = TABLE.iter().position(|row| row.k > k).unwrap_or(TABLE.len());
        let row = match after {
            _ if plain => PLAIN,
            _ if random && k >= 10 => RANDOM,
            0 => TABLE[0],
            5 => TABLE[4],
            _ => between(&TABLE[after - 1], &TABLE[after], k),
        };
        Constants { row, large, k, n }
    }

    /// Step 4: v, of a playlist that was sampled with chance 2^-halved.
    pub fn vote(&self, similarity: u64, greatest: u64, halved: i32, title: u64) -> u64 {
        if similarity == 0 {
            return 0;
        }
        let (sigma, t) = (similarity as f64 / greatest as f64, title as f64 / MATCH as f64);
        let rare = 0.5_f64.powi(halved).sqrt().recip();
        (sigma.powf(self.row.rho[usize::from(self.large)]) * rare * (1.0 + self.row.b_t * t) * VOTE).round()
            as u64
    }

    /// Step 5: exp(β √(c/K)) n^-δ, over e^β so that a score stays a share.
    pub fn prior(&self, by_artist: u32, holding: u32) -> f64 {
        let beta = self.row.beta[usize::from(self.large)];
        let close = (f64::from(by_artist) / f64::from(self.k.max(1))).sqrt();
        (beta * close).exp() / beta.exp() / f64::from(holding).powf(self.row.delta)
    }

    /// Step 6, K = 0: n^.1, over N^.1.
    pub fn prior_alone(&self, holding: u32, plain: bool) -> f64 {
        if plain { 1.0 } else { (f64::from(holding) / f64::from(self.n)).powf(-ALONE) }
    }
}

/// e, ρ, β, δ by ln K; b_T and θ stay until the next row.
fn between(low: &Row, high: &Row, k: u32) -> Row {
    let ln = |k: u32| f64::from(k).ln();
    let way = (ln(k) - ln(low.k)) / (ln(high.k) - ln(low.k));
    let mix = |a: f64, b: f64| a * (1.0 - way) + b * way;
    let both = |a: [f64; 2], b: [f64; 2]| [mix(a[0], b[0]), mix(a[1], b[1])];
    let (rho, beta) = (both(low.rho, high.rho), both(low.beta, high.beta));
    row(k, mix(low.e, high.e), rho, beta, [mix(low.delta, high.delta), low.b_t, low.theta])
}

/// Step 2: w = ln((N + 1) / n)².
pub fn weight(n: u32, holding: u32) -> u64 {
    if holding == 0 {
        return 0;
    }
    ((f64::from(n + 1) / f64::from(holding)).ln().powi(2) * WEIGHT).round() as u64
}

/// Step 2: a = w · max(0, z).
pub fn weigh(weight: u64, z: f64) -> u64 {
    (weight as f64 * ((z * WORTH).round() / WORTH).max(0.0)).round() as u64
}

/// Step 2: b_i, i from 1.
pub fn b(i: usize, k: usize, ordered: bool) -> f64 {
    if k >= 50 && ordered { 1.0 + (i as f64 - 1.0) / (k as f64 - 1.0) } else { 1.0 }
}

/// Step 2: (50 / L)^2e.
pub fn count(length: usize, e: f64) -> f64 {
    ((50.0 / length as f64).powf(2.0 * e) * COUNT).round()
}

/// Step 3: ζ ā 50 / (50 + n).
pub fn stand_in(mean: f64, holding: u64) -> u64 {
    (0.2 * mean * 50.0 / (50.0 + holding as f64)).round() as u64
}

/// Steps 3 and 4: Σ a / L^e.
pub fn similarity(weights: u64, length: usize, e: f64) -> u64 {
    (weights as f64 / (length as f64).powf(e) * (SIMILARITY / WEIGHT)).round() as u64
}

/// Step 6: ½ (idf_w / Σ idf)².
pub fn word(idf: f64, all: f64) -> u64 {
    if all > 0.0 { (0.5 * (idf / all).powi(2) * COUNT).round() as u64 } else { 0 }
}
