//! A real Redis for tests, looked at with `redis-cli`: a client that is not ours.

#[path = "../services/mod.rs"]
mod services;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::process::{Command, Output};

use serde_json::Value;
use services::Service;

/// With its address.
pub struct Redis {
    service: Service,
    pub url: String,
}

impl Deref for Redis {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl Redis {
    pub fn start() -> Self {
        let service = Service::start("redis");
        Redis { url: service.var("REDIS_URL"), service }
    }

    fn cli(&self, arguments: &[&str]) -> Output {
        let cli = Command::new("redis-cli").args(["-u", &self.url]).args(arguments).output();
        cli.expect("redis-cli is there")
    }

    /// Whether a section of what it says of itself has this in it.
    #[allow(dead_code, reason = "not every test asks")]
    pub fn says(&self, section: &str, what: &str) -> bool {
        String::from_utf8_lossy(&self.cli(&["INFO", section]).stdout).contains(what)
    }

    /// What it answers to a command.
    pub fn ask(&self, command: &[&str]) -> Value {
        let cli = self.cli(&[&["--json"], command].concat());
        serde_json::from_slice(&cli.stdout).unwrap_or_else(|_| panic!("{command:?}: {cli:?}"))
    }

    /// All keys whose names match, with their values.
    pub fn all(&self, pattern: &str) -> BTreeMap<String, Value> {
        const ALL: &str = "local all = {} \
            for _, key in ipairs(redis.call('KEYS', ARGV[1])) do \
                all[#all + 1] = key all[#all + 1] = redis.call('GET', key) \
            end return all";
        let all = self.ask(&["EVAL", ALL, "0", pattern]);
        let all: Vec<&str> =
            all.as_array().expect("a list").iter().map(|text| text.as_str().expect("text")).collect();
        let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        all.chunks(2).map(|pair| (pair[0].to_owned(), value(pair[1]))).collect()
    }
}
