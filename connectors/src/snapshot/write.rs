//! Writing a snapshot: the objects first, the manifest last.

use bytes::Bytes;
use jiff::Timestamp;
use segue_dataflow::apply::Playlist;
use segue_dataflow::catalogue::TrackRecord;
use segue_dataflow::day::Day;
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::neighbours::Row;
use segue_dataflow::snapshot::Snapshot;
use sha2::{Digest, Sha256};

use super::schema::{addition_row, entry_row, neighbour_row, playlist_row, track_row};
use super::table::{Cell, FileWriter};
use super::warm_image::stamp;
use super::{Error, FORMAT, Image, Layer, Manifest, Object, Store, TableName};
use crate::log::Landmark;
use crate::step::step;

/// Bytes at which a file ends and the next begins: what one request sends.
const OBJECT_BYTES: usize = 32 << 20;

impl Store {
    /// Copies a snapshot to another store as plain files at its root, each table whole: `playlists-0000.parquet`,
    /// …, and last of all a manifest of them, `snapshot.json`. All of it is checked while it is read.
    ///
    /// # Errors
    /// Those of [`Store::load`], and [`Error::Store`] of where it goes.
    pub fn export(&self, manifest: &Manifest, to: &Store) -> Result<Manifest, Error> {
        let restored = self.load(manifest, 1)?;
        let mut tables = Tables::new(to, "", false);
        restored.playlists(|id, playlist, ids, days| tables.playlist(id, Some(playlist), ids, days))?;
        restored.tracks(|id, track| tables.track(id, Some(track)))?;
        restored.rows(|track, row| tables.row(track, row))?;
        let layers = vec![Layer { epoch: manifest.epoch, objects: tables.finish()? }];
        let exported = Manifest { format: FORMAT, layers, ..manifest.clone() }.sealed();
        to.put("snapshot.json", exported.to_bytes().into())?;
        Ok(exported)
    }

    /// Writes a snapshot; when this returns, it is what a restart begins from. One that is not whole goes on
    /// top of `base`, the last one written. `log` is what its offsets are of.
    ///
    /// # Errors
    /// [`Error::Fenced`], [`Error::Taken`], [`Error::Store`]. What was written before stays, and is swept up by
    /// [`Store::retain`].
    pub fn write(
        &self,
        snapshot: &Snapshot,
        base: Option<&Manifest>,
        created_at: Timestamp,
        log: Option<Landmark>,
    ) -> Result<Manifest, Error> {
        let (epoch, generation) = (snapshot.as_of(), self.check_generation()?);
        let mut layers = match base {
            Some(base) if !snapshot.is_whole() => base.layers.iter().map(Layer::without_graph).collect(),
            _ => Vec::new(),
        };
        let folder = format!("data/{epoch:020}-{generation}/");
        let mut tables = Tables::new(self, &folder, self.images);
        // First, as rows are held back meanwhile.
        let graph = snapshot.rows(|track, row| tables.row(track, row))?;
        snapshot.playlists(|id, playlist, ids, days| tables.playlist(id, playlist, ids, days))?;
        snapshot.tracks(|id, track| tables.track(id, track))?;
        layers.push(Layer { epoch, objects: tables.finish()? });
        let totals = snapshot.totals();
        let manifest = Manifest {
            format: FORMAT,
            epoch,
            generation,
            created_at,
            next: snapshot.next().to_vec(),
            log,
            playlists: totals.playlists,
            entries: totals.entries,
            digest: totals.digest.to_string(),
            newest_days: totals.newest.days().map(|day| day.0).collect(),
            graph,
            layers,
            sha256: None,
        };
        let manifest = manifest.sealed();
        // Whoever has been replaced meanwhile must not add to what its successor goes on from.
        self.check_generation()?;
        let name = Store::name("manifests", epoch);
        step!("snapshot::manifest");
        let created = self.create(&name, &manifest.to_bytes().into())?;
        step!("snapshot::done");
        match created {
            true => Ok(manifest),
            false => Err(Error::Taken { path: name }),
        }
    }
}

/// A layer while it is written: its tables.
struct Tables<'a> {
    playlists: Files<'a>,
    entries: Files<'a>,
    additions: Files<'a>,
    tracks: Files<'a>,
    neighbours: Files<'a>,
}

impl<'a> Tables<'a> {
    /// Names of objects begin with `folder`; perhaps each has an image.
    fn new(store: &'a Store, folder: &'a str, image: bool) -> Self {
        let files = |table| Files { store, folder, table, image, file: None, objects: Vec::new() };
        Tables {
            playlists: files(TableName::Playlists),
            entries: files(TableName::Entries),
            additions: files(TableName::Additions),
            tracks: files(TableName::Tracks),
            neighbours: files(TableName::Neighbours),
        }
    }

    fn playlist(
        &mut self,
        id: PlaylistId,
        playlist: Option<&Playlist>,
        ids: &[TrackId],
        days: &[Day],
    ) -> Result<(), Error> {
        let shown = playlist.map(|p| (&*p.uri, p.title.as_deref(), p.entries));
        self.playlists.push(playlist_row(id, shown))?;
        ids.iter().try_for_each(|track| self.entries.push(entry_row(id, *track)))?;
        let kept = ids.iter().zip(days).filter(|(_, day)| **day != Day::default());
        kept.into_iter().try_for_each(|(track, day)| self.additions.push(addition_row(id, *track, *day)))
    }

    fn track(&mut self, id: TrackId, track: Option<&TrackRecord>) -> Result<(), Error> {
        self.tracks.push(track_row(id, track))
    }

    fn row(&mut self, track: TrackId, row: &Row) -> Result<(), Error> {
        let mut all = [(track, row.sampled())].into_iter().chain(row.neighbours());
        all.try_for_each(|(other, shared)| self.neighbours.push(neighbour_row(track, other, shared)))
    }

    fn finish(self) -> Result<Vec<Object>, Error> {
        let mut objects = Vec::new();
        for files in [self.playlists, self.entries, self.additions, self.tracks, self.neighbours] {
            objects.extend(files.finish()?);
        }
        Ok(objects)
    }
}

/// The files of one table.
struct Files<'a> {
    store: &'a Store,
    folder: &'a str,
    table: TableName,
    image: bool,
    file: Option<FileWriter>,
    objects: Vec<Object>,
}

impl Files<'_> {
    fn push<const N: usize>(&mut self, row: [Cell<'_>; N]) -> Result<(), Error> {
        let written = |e| Error::corrupt(self.folder, &e);
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(self.table.writer(self.image).map_err(written)?),
        };
        file.push(row).map_err(written)?;
        if file.bytes() >= OBJECT_BYTES { self.put() } else { Ok(()) }
    }

    fn put(&mut self) -> Result<(), Error> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let name = format!("{}{}-{:04}", self.folder, self.table.as_str(), self.objects.len());
        let path = format!("{name}.parquet");
        let (file, rows, image) = file.finish().map_err(|e| Error::corrupt(&path, &e))?;
        let image = image.map(|bytes| self.image(format!("{name}.image"), bytes)).transpose()?;
        let (bytes, sha256) = (file.len() as u64, hash(&file));
        let object = Object { table: self.table, path, rows, bytes, sha256, image };
        step!("snapshot::object");
        self.store.put(&object.path, file)?;
        self.objects.push(object);
        Ok(())
    }

    fn image(&self, path: String, bytes: Bytes) -> Result<Image, Error> {
        let image = Image { stamp: stamp(), path, bytes: bytes.len() as u64, sha256: hash(&bytes) };
        step!("snapshot::image");
        self.store.put(&image.path, bytes)?;
        Ok(image)
    }

    fn finish(mut self) -> Result<Vec<Object>, Error> {
        self.put()?;
        Ok(self.objects)
    }
}

/// SHA-256, 64 hex digits.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
