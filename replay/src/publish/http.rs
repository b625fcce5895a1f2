//! Events to a segue server: `POST /v1/events` in NDJSON batches, tried again while the server is busy.
//!
//! Invariant: a batch is sent until it is answered with what became of its events, so batches arrive in order; one whose answer
//! was lost arrives twice, which changes nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use ureq::Agent;
use ureq::http::Response;

use super::pace::{Clock, SystemClock};
use super::{Batch, Receipt, Rejected, Target, TargetError};

/// Milliseconds for which a batch is tried again before the server counts as gone.
pub const RETRY_MS_MAX: u64 = 60_000;
/// Milliseconds for which [`Target::finish`] waits until the last event is visible.
pub const VISIBLE_MS_MAX: u64 = 60_000;

const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that takes a batch answers within this, however slow its disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// One look at a token waits so long in the server, so that an interrupt is noticed in between.
const TOKEN_WAIT_MS: u64 = 500;
/// Of an answer that says no, so many characters are shown.
const BODY_CHARS_SHOWN: usize = 300;
/// Bytes that an answer may have: a batch of rejections fits.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// Sends to one server.
pub struct HttpTarget {
    agent: Agent,
    base: String,
    clock: SystemClock,
    token: Option<String>,
    retry_ms_max: u64,
}

#[derive(Deserialize)]
struct Accepted {
    accepted: u64,
    #[serde(default)]
    rejected: Vec<Rejected>,
    token: Option<String>,
}

#[derive(Deserialize)]
struct Visible {
    visible: bool,
}

/// What came of one request.
struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    body: String,
}

impl HttpTarget {
    /// A target at the base URL `http://host:port`.
    pub fn new(base: impl Into<String>) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(ANSWER_TIMEOUT))
            .build()
            .new_agent();
        let clock = SystemClock::default();
        HttpTarget { agent, base: base.into(), clock, token: None, retry_ms_max: RETRY_MS_MAX }
    }

    /// The same, but a server that does not answer is given up after `ms`.
    pub fn retry_ms_max(self, ms: u64) -> Self {
        HttpTarget { retry_ms_max: ms, ..self }
    }

    /// Tries until there is an answer that is neither 503 nor 429.
    fn insist(
        &mut self,
        interrupted: &AtomicBool,
        request: impl Fn(&Agent) -> Result<Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer, TargetError> {
        let started = self.clock.elapsed();
        let mut backoff = FIRST_BACKOFF;
        loop {
            let (last, asked) = match request(&self.agent).and_then(Answer::read) {
                Ok(answer) if !matches!(answer.status, 429 | 503) => return Ok(answer),
                Ok(answer) => (format!("status {}", answer.status), answer.retry_after),
                Err(error) => (error.to_string(), None),
            };
            let wait = asked.unwrap_or(backoff);
            backoff = (backoff * 2).min(BACKOFF_MAX);
            let now = self.clock.elapsed();
            if (now + wait - started).as_millis() as u64 > self.retry_ms_max {
                let tried_s = (now - started).as_secs();
                return Err(TargetError::Unavailable { target: self.base.clone(), tried_s, last });
            }
            self.clock.wait_until(now + wait, interrupted);
            if interrupted.load(Ordering::Relaxed) {
                return Err(TargetError::Interrupted);
            }
        }
    }

    fn not_segue(&self, what: impl Into<String>) -> TargetError {
        TargetError::NotSegue { target: self.base.clone(), what: what.into() }
    }

    fn check<'a, T: Deserialize<'a>>(&self, answer: &'a Answer, status: u16) -> Result<T, TargetError> {
        if answer.status != status {
            let body = answer.body.chars().take(BODY_CHARS_SHOWN).collect();
            return Err(TargetError::Refused { target: self.base.clone(), status: answer.status, body });
        }
        serde_json::from_str(&answer.body).map_err(|e| self.not_segue(e.to_string()))
    }
}

impl Answer {
    fn read(mut response: Response<ureq::Body>) -> Result<Self, ureq::Error> {
        let retry_after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after: retry_after.map(Duration::from_secs),
            body: response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string()?,
        })
    }
}

impl Target for HttpTarget {
    fn send(&mut self, batch: &Batch, interrupted: &AtomicBool) -> Result<Receipt, TargetError> {
        let url = format!("{}/v1/events", self.base);
        let answer = self.insist(interrupted, |agent| {
            agent.post(&url).header("content-type", "application/x-ndjson").send(batch.ndjson())
        })?;
        // A server may call a request bad of which it refused every event; it says so of each all the same.
        let all_refused = match answer.status {
            400 => serde_json::from_str(&answer.body).ok().filter(|all: &Accepted| all.accepted == 0),
            _ => None,
        };
        let Accepted { accepted, rejected, token } = match all_refused {
            Some(refused) => refused,
            None => self.check(&answer, 202)?,
        };
        if accepted + rejected.len() as u64 != batch.events() as u64 {
            let (sent, refused) = (batch.events(), rejected.len());
            return Err(self.not_segue(format!("{sent} events sent, {accepted} accepted, {refused} refused")));
        }
        self.token = token.or(self.token.take());
        Ok(Receipt { accepted, rejected })
    }

    fn finish(&mut self, interrupted: &AtomicBool) -> Result<(), TargetError> {
        let Some(token) = self.token.take() else { return Ok(()) };
        let url = format!("{}/v1/tokens/{token}?wait_ms={TOKEN_WAIT_MS}", self.base);
        let started = self.clock.elapsed();
        while !interrupted.load(Ordering::Relaxed) {
            let answer = self.insist(interrupted, |agent| agent.get(&url).call())?;
            if self.check::<Visible>(&answer, 200)?.visible {
                return Ok(());
            }
            let waited = self.clock.elapsed() - started;
            if waited.as_millis() as u64 > VISIBLE_MS_MAX {
                let last = "the events were accepted, but cannot be seen yet".to_owned();
                let tried_s = waited.as_secs();
                return Err(TargetError::Unavailable { target: self.base.clone(), tried_s, last });
            }
        }
        Ok(())
    }
}
