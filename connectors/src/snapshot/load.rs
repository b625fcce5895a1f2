//! Reading a snapshot: every object is checked against its hash, and the state against its digest.

use bytes::Bytes;
use rustc_hash::FxHashSet;
use segue_dataflow::day::Day;
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::snapshot::{GraphRows, Playlists, Restored, Tracks};

use super::table::FileRows;
use super::warm_image::stamp;
use super::write::hash;
use super::{Error, Image, Layer, Manifest, Object, Store, TableName, schema};

impl Store {
    /// The state that a manifest describes, for so many workers.
    ///
    /// # Errors
    /// [`Error::Corrupt`] names the object that is not what it should be; [`Error::Store`].
    pub fn load(&self, manifest: &Manifest, workers: usize) -> Result<Restored, Error> {
        let name = Store::name("manifests", manifest.epoch);
        // The two are of about the same size.
        let (playlists, tracks) = std::thread::scope(|scope| {
            let tracks = scope
                .spawn(|| Ok::<_, Error>((self.load_tracks(manifest, workers)?, self.load_graph(manifest)?)));
            let playlists = self.load_playlists(manifest, workers);
            (playlists, tracks.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let (tracks, graph) = tracks?;
        let restored = Restored::new(manifest.epoch, manifest.next.clone(), playlists?, tracks)
            .map_err(|malformed| (&*name, malformed))?;
        let totals = restored.totals();
        let found = (totals.playlists, totals.entries, totals.digest.to_string());
        if found != (manifest.playlists, manifest.entries, manifest.digest.clone()) {
            let detail = format!(
                "its objects have {} playlists, {} entries, digest {}; it says {}, {}, {}",
                found.0, found.1, found.2, manifest.playlists, manifest.entries, manifest.digest
            );
            return Err(Error::corrupt(&name, &detail));
        }
        Ok(restored.with_graph(graph))
    }

    /// Reads a snapshot as [`Store::load`] does without images, and then the images: all must be as the manifest
    /// says.
    ///
    /// # Errors
    /// Those of [`Store::load`].
    pub fn verify(&self, manifest: &Manifest) -> Result<(), Error> {
        self.without_images().load(manifest, 1)?;
        let mut images = manifest.objects().filter_map(|object| object.image.as_ref());
        images.try_for_each(|image| self.checked(&image.path, image.bytes, &image.sha256).map(drop))
    }

    fn load_playlists(&self, manifest: &Manifest, workers: usize) -> Result<Playlists, Error> {
        let mut playlists = Playlists::new(workers);
        playlists.newest(&manifest.newest_days.iter().copied().map(Day).collect());
        let mut newest = Newest::default();
        for (older, layer) in manifest.layers.iter().enumerate().rev() {
            self.playlists(layer, &mut |object, id, playlist| {
                let wanted = newest.is_first(id.0, older);
                match playlist.filter(|_| wanted) {
                    Some((uri, title, ids, days)) => {
                        playlists.add(uri, title, ids, days).map_err(|e| Error::from((object, e)))
                    }
                    None => Ok(()),
                }
            })?;
        }
        Ok(playlists)
    }

    fn load_tracks(&self, manifest: &Manifest, workers: usize) -> Result<Tracks, Error> {
        let mut tracks = Tracks::new(workers);
        let mut newest = Newest::default();
        for (older, layer) in manifest.layers.iter().enumerate().rev() {
            self.tracks(layer, |id, track| {
                if newest.is_first(id.0, older) {
                    track.iter().for_each(|track| tracks.add(track));
                }
            })?;
        }
        Ok(tracks)
    }

    /// The rows of the graph, of which all that are about one track follow one another.
    fn load_graph(&self, manifest: &Manifest) -> Result<GraphRows, Error> {
        let mut graph = GraphRows::new(manifest.graph.unwrap_or_default());
        let Some(layer) = manifest.layers.last().filter(|_| manifest.graph.is_some()) else {
            return Ok(graph);
        };
        let mut rows = Rows::new(self, layer, TableName::Neighbours);
        let mut about = None::<(TrackId, u32)>;
        let mut neighbours = Vec::new();
        while let Some((object, row)) = rows.next()? {
            let (track, other, shared) = schema::neighbour(row).map_err(|e| Error::corrupt(object, &e))?;
            if about.is_none_or(|(before, _)| before != track) {
                about.iter().for_each(|(track, sampled)| graph.add(*track, *sampled, &neighbours));
                neighbours.clear();
                about = Some((track, 0));
            }
            match &mut about {
                Some((_, sampled)) if track == other => *sampled = shared,
                _ => neighbours.push((other, shared)),
            }
        }
        about.iter().for_each(|(track, sampled)| graph.add(*track, *sampled, &neighbours));
        Ok(graph)
    }

    fn tracks(
        &self,
        layer: &Layer,
        mut each: impl FnMut(TrackId, Option<&segue_dataflow::catalogue::TrackRecord>),
    ) -> Result<(), Error> {
        let mut rows = Rows::new(self, layer, TableName::Tracks);
        while let Some((object, row)) = rows.next()? {
            let (id, track) = schema::track(row).map_err(|e| Error::corrupt(object, &e))?;
            if track.as_ref().is_some_and(|track| TrackId::of(&track.uri) != id) {
                return Err(Error::corrupt(object, &format!("{id:?} is not the id of its URI")));
            }
            each(id, track.as_ref());
        }
        Ok(())
    }

    /// Hands each playlist, its tracks and their days to `each`; none if it is gone.
    #[expect(clippy::type_complexity, reason = "it stands here only")]
    fn playlists(
        &self,
        layer: &Layer,
        each: &mut dyn FnMut(
            &str,
            PlaylistId,
            Option<(&str, Option<&str>, &[TrackId], &[Day])>,
        ) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut rows = Rows::new(self, layer, TableName::Playlists);
        let mut entries = Rows::new(self, layer, TableName::Entries);
        let mut additions = Additions { rows: Rows::new(self, layer, TableName::Additions), next: None };
        additions.advance()?;
        let mut days = Vec::new();
        let mut tracks = Vec::new();
        while let Some((object, row)) = rows.next()? {
            let wrong = |e| Error::corrupt(object, &e);
            let id = PlaylistId(row.id(0).map_err(wrong)?);
            let uri: Option<Box<str>> = row.text(1).map_err(wrong)?.map(Into::into);
            let title: Option<Box<str>> = row.text(2).map_err(wrong)?.map(Into::into);
            let length = row.number(3).map_err(wrong)?.unwrap_or(0);
            tracks.clear();
            for _ in 0..length {
                let Some((object, entry)) = entries.next()? else {
                    return Err(Error::corrupt(object, &format!("entries of {id:?} are missing")));
                };
                let wrong = |e| Error::corrupt(object, &e);
                if entry.id(0).map_err(wrong)? != id.0 {
                    return Err(Error::corrupt(object, &format!("an entry of {id:?} is missing")));
                }
                tracks.push(TrackId(entry.id(1).map_err(wrong)?));
            }
            additions.of(id, &tracks, &mut days)?;
            match uri {
                Some(uri) if PlaylistId::of(&uri) != id => {
                    return Err(Error::corrupt(object, &format!("{id:?} is not the id of {uri:?}")));
                }
                Some(uri) => each(object, id, Some((&uri, title.as_deref(), &tracks, &days)))?,
                None => each(object, id, None)?,
            }
        }
        match entries.next()? {
            Some((object, _)) => Err(Error::corrupt(object, &"it has entries of no playlist")),
            None if additions.next.is_some() => Err(additions.wrong()),
            None => Ok(()),
        }
    }

    /// The rows of an object: of its image if it has one that fits, else of the file itself.
    fn rows(&self, object: &Object) -> Result<FileRows, Error> {
        let image = object.image.as_ref().filter(|_| self.images).map(|image| self.image(object, image));
        match image {
            Some(Ok(rows)) => return Ok(rows),
            Some(Err(error)) => tracing::warn!("{error}; the Parquet file is read instead"),
            None => {}
        }
        let bytes = self.checked(&object.path, object.bytes, &object.sha256)?;
        let wrong = |e| Error::corrupt(&object.path, &e);
        FileRows::new(bytes, &object.table.schema().map_err(wrong)?).map_err(wrong)
    }

    fn image(&self, object: &Object, image: &Image) -> Result<FileRows, Error> {
        let Image { path, bytes, sha256, .. } = image;
        if image.stamp != stamp() {
            let detail = format!("it is of another build: {}, this is {}", image.stamp, stamp());
            return Err(Error::corrupt(path, &detail));
        }
        let bytes = self.checked(path, *bytes, sha256)?;
        FileRows::of_image(&bytes, &object.table.columns())
            .ok_or_else(|| Error::corrupt(path, &"it is no image of such a table"))
    }

    /// The bytes of an object, if there are so many with this hash.
    fn checked(&self, path: &str, length: u64, sha256: &str) -> Result<Bytes, Error> {
        let bytes = self.get(path).map_err(|error| match error {
            object_store::Error::NotFound { .. } => Error::corrupt(path, &"it is missing"),
            error => Error::store(format!("reading {path}"))(error),
        })?;
        if bytes.len() as u64 != length {
            return Err(Error::corrupt(path, &format!("it has {} bytes, not {length}", bytes.len())));
        }
        let found = hash(&bytes);
        if found != sha256 {
            return Err(Error::corrupt(path, &format!("its SHA-256 is {found}, not {sha256}")));
        }
        Ok(bytes)
    }
}

/// The ids of the newer layers: the newest row of an id counts, so the newest layer comes first.
#[derive(Default)]
struct Newest(FxHashSet<u64>);

impl Newest {
    /// Whether no newer layer had the id. Layers older than the last are none.
    fn is_first(&mut self, id: u64, older: usize) -> bool {
        !self.0.contains(&id) && (older == 0 || self.0.insert(id))
    }
}

/// When the entries of a layer were added, in their order.
struct Additions<'a> {
    rows: Rows<'a>,
    next: Option<(PlaylistId, TrackId, Day)>,
}

impl Additions<'_> {
    fn advance(&mut self) -> Result<(), Error> {
        self.next = None;
        if let Some((object, row)) = self.rows.next()? {
            let found = schema::addition(row).map_err(|e| Error::corrupt(object, &e))?;
            self.next = Some(found.ok_or_else(|| Error::corrupt(object, &"an addition has no day"))?);
        }
        Ok(())
    }

    fn wrong(&self) -> Error {
        let object = self.rows.now.as_ref().map_or("", |(object, ..)| &object.path);
        Error::corrupt(object, &"it has additions of no entry")
    }

    /// The days of a playlist's tracks; of none if none is there.
    fn of(&mut self, id: PlaylistId, tracks: &[TrackId], days: &mut Vec<Day>) -> Result<(), Error> {
        days.clear();
        let mut tracks = (0..).zip(tracks);
        while let Some((_, track, day)) = self.next.filter(|(playlist, ..)| *playlist == id) {
            let (place, _) = tracks.find(|(_, there)| **there == track).ok_or_else(|| self.wrong())?;
            days.resize(place, Day::default());
            days.push(day);
            self.advance()?;
        }
        if !days.is_empty() {
            let left = tracks.count();
            days.resize(days.len() + left, Day::default());
        }
        Ok(())
    }
}

/// The rows of one table of a layer, over all its objects, of which one is in memory at a time.
struct Rows<'a> {
    store: &'a Store,
    objects: Box<dyn Iterator<Item = &'a Object> + 'a>,
    now: Option<(&'a Object, FileRows, u64)>,
}

impl<'a> Rows<'a> {
    fn new(store: &'a Store, layer: &'a Layer, table: TableName) -> Self {
        let objects = Box::new(layer.objects.iter().filter(move |object| object.table == table));
        Rows { store, objects, now: None }
    }

    /// The next row, and the object that it is in.
    fn next(&mut self) -> Result<Option<(&'a str, &mut FileRows)>, Error> {
        loop {
            if let Some((object, rows, read)) = &mut self.now {
                if rows.next().map_err(|e| Error::corrupt(&object.path, &e))? {
                    *read += 1;
                    break;
                }
                if *read != object.rows {
                    return Err(Error::corrupt(
                        &object.path,
                        &format!("it has {read} rows, not {}", object.rows),
                    ));
                }
            }
            let Some(object) = self.objects.next() else {
                self.now = None;
                return Ok(None);
            };
            let rows = self.store.rows(object)?;
            self.now = Some((object, rows, 0));
        }
        Ok(self.now.as_mut().map(|(object, rows, _)| (object.path.as_str(), rows)))
    }
}
