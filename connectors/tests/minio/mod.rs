//! A real MinIO for tests.

#[path = "../services/mod.rs"]
mod services;

use std::ops::Deref;

use segue_connectors::snapshot::Settings;
use services::Service;

/// With a bucket.
pub struct Minio(Service);

impl Deref for Minio {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.0
    }
}

impl Minio {
    pub fn start() -> Self {
        Minio(Service::start("minio"))
    }

    /// A prefix of its own.
    pub fn settings(&self, prefix: &str) -> Settings {
        let names = ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ALLOW_HTTP"];
        let options = names.map(|name| (name.to_ascii_lowercase(), self.var(name))).into();
        let url = format!("s3://{}/{prefix}", self.var("MINIO_BUCKET"));
        Settings { url, options, ..Settings::default() }
    }
}
