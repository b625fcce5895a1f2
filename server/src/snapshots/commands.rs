//! `segue snapshot`: take one in a running server; look at what is stored, check it, copy it to plain files.

use anyhow::Context;
use segue_connectors::snapshot::{Manifest, Settings, Store};
use serde_json::{Value, json};

use super::recovery;
use crate::cli::{ExportArgs, SnapshotArgs, VerifyArgs};
use crate::print;
use crate::serve::Addresses;

/// What there is to say of a snapshot.
pub fn shown(manifest: &Manifest) -> Value {
    let Manifest { epoch, generation, created_at, next, playlists, entries, digest, layers, graph, .. } =
        manifest;
    let (layers, bytes) = (layers.len(), manifest.bytes());
    json!({
        "epoch": epoch, "generation": generation, "created_at": created_at, "next": next, "playlists": playlists,
        "entries": entries, "digest": digest, "layers": layers, "graph": graph, "bytes": bytes,
    })
}

/// All of a store, the newest first; one that cannot be read says why.
///
/// # Errors
/// If the store does not answer.
pub fn all(store: &Store) -> anyhow::Result<Vec<Value>> {
    let show = |epoch| match store.manifest(epoch) {
        Ok(manifest) => shown(&manifest),
        Err(error) => json!({"epoch": epoch, "error": error.to_string()}),
    };
    Ok(store.epochs()?.into_iter().map(show).collect())
}

fn store(args: &SnapshotArgs) -> anyhow::Result<Store> {
    recovery::look(&args.place.load()?)?.context("snapshots.url is \"off\": there are none")
}

/// Has the running server take one.
///
/// # Errors
/// If there is none, or it cannot.
pub fn create(args: &SnapshotArgs) -> anyhow::Result<()> {
    let folder = args.place.load()?.server.data_dir;
    let there = Addresses::of(&folder).with_context(|| {
        format!("no server runs on {}: only a running one can take a snapshot", folder.display())
    })?;
    let url = format!("http://{}/snapshots", there.admin);
    let reply = Addresses::agent().post(&url).send_empty();
    let mut reply = reply.with_context(|| format!("asking {url}"))?;
    let (ok, text) = (reply.status().is_success(), reply.body_mut().read_to_string()?);
    anyhow::ensure!(ok, "{}", text.trim_end());
    print_one(&serde_json::from_str(&text)?, args.json)
}

/// Prints what is stored, the newest first.
///
/// # Errors
/// If the store does not answer.
pub fn list(args: &SnapshotArgs) -> anyhow::Result<()> {
    all(&store(args)?)?.iter().try_for_each(|one| print_one(one, args.json))
}

/// Reads a snapshot as a restart would: hashes of all objects, and the digest of the state. False if it is not in
/// order.
///
/// # Errors
/// If there is none, or the store does not answer.
pub fn verify(args: &VerifyArgs) -> anyhow::Result<bool> {
    let store = store(&args.of)?;
    let epoch = epoch(args, &store)?;
    let read = store.manifest(epoch).and_then(|manifest| store.verify(&manifest).map(|()| manifest));
    match read {
        Ok(manifest) => print_one(&shown(&manifest), args.of.json).map(|()| true),
        Err(error) if error.is_about_one_snapshot() => {
            print_one(&json!({"epoch": epoch, "error": error.to_string()}), args.of.json).map(|()| false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Copies a snapshot to a folder, each table whole; all of it is checked as [`verify`] does.
///
/// # Errors
/// If there is none, it is not in order, or the folder is not there for it.
pub fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let ExportArgs { which, out } = args;
    let store = store(&which.of)?;
    let manifest = store.manifest(epoch(which, &store)?)?;
    let is_used = std::fs::read_dir(out).is_ok_and(|mut files| files.next().is_some());
    anyhow::ensure!(!is_used, "{}: there is something in it; choose a folder that is empty", out.display());
    let to = Settings { url: recovery::url_of(out)?, ..Settings::default() };
    let exported = store.export(&manifest, &Store::open(&to, tokio::runtime::Handle::current())?)?;
    print_one(&shown(&exported), which.of.json)
}

/// The one that was asked for, or the newest.
fn epoch(args: &VerifyArgs, store: &Store) -> anyhow::Result<u64> {
    let newest = || store.epochs()?.first().copied().context("there are no snapshots yet");
    args.epoch.map_or_else(newest, Ok)
}

fn print_one(one: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        return print(&one.to_string());
    }
    if let Some(error) = one["error"].as_str() {
        return print(&format!("{}  NOT IN ORDER: {error}", one["epoch"]));
    }
    let text = |name: &str| one[name].as_str().map_or_else(|| one[name].to_string(), str::to_owned);
    print(&format!(
        "{}  {}  {} playlists, {} entries, digest {}, {} layers, {} bytes",
        text("epoch"),
        text("created_at"),
        text("playlists"),
        text("entries"),
        text("digest"),
        text("layers"),
        text("bytes"),
    ))
}
