//! Snapshots in a folder, in memory, in a store that fails, and in a real MinIO.

mod corrupt;
mod export;
mod faults;
mod fence;
mod formats;
mod images;
#[path = "../minio/mod.rs"]
mod minio;
mod reads;
mod round_trip;
mod running;
