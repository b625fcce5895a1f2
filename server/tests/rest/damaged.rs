//! One byte of an object in MinIO is another: a restart names the object and goes on from the snapshot before, whatever
//! object it is; of a warm image, it reads the file instead.

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use segue_connectors::snapshot::Settings;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::away::Place;
use crate::harness::{Server, segue};
use crate::minio::Minio;
use crate::snapshots::{same, started, text, tracks};

/// A bucket, without segue.
struct Bucket {
    objects: Box<dyn ObjectStore>,
    runtime: Runtime,
}

impl Bucket {
    fn open(settings: &Settings) -> Self {
        let builder = AmazonS3Builder::new().with_url(&settings.url);
        let with = |builder: AmazonS3Builder, (name, value): (&String, &String)| {
            builder.with_config(name.parse().unwrap(), value)
        };
        let objects = Box::new(settings.options.iter().fold(builder, with).build().unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Bucket { objects, runtime: runtime.unwrap() }
    }

    fn get(&self, path: &Path) -> Vec<u8> {
        let got = async { self.objects.get(path).await?.bytes().await };
        self.runtime.block_on(got).unwrap().to_vec()
    }

    fn put(&self, path: &Path, bytes: Vec<u8>) {
        self.runtime.block_on(self.objects.put(path, bytes.into())).unwrap();
    }
}

/// Starts a server, and ends it; tells what it said until it was ready.
fn restarted(folder: &std::path::Path, variables: &[(&str, &str)], state: &Value) -> String {
    let (server, said) = started(folder, variables);
    same(&server.state(), state);
    server.signal("KILL");
    assert_eq!(server.ended(), None);
    said
}

#[test]
fn a_damaged_byte_in_any_kind_of_object_is_named_and_the_snapshot_before_used() {
    let (minio, folder) = (Minio::start(), tempfile::tempdir().unwrap());
    let (place, bucket) = (Place::of(&minio, "damaged", "24h"), Bucket::open(&minio.settings("damaged")));
    // Whole ones, which share nothing.
    let alone = [("SEGUE__SNAPSHOTS__LAYERS", "1"), ("SEGUE__SNAPSHOTS__AT_END", "false")];
    let files = [&place.variables()[..], &alone].concat();
    let images = [&files[..], &[("SEGUE__SNAPSHOTS__WARM_IMAGE", "true")]].concat();
    let server = Server::start_with(folder.path(), &images);
    let [_, newest] = [(0, 1_000), (1_000, 1_100)].map(|(from, to)| {
        server.events(&tracks(from, to));
        let taken = server.post_admin("/snapshots");
        assert_eq!((taken.status, &taken.body["entries"]), (201, &json!(to)), "{}", taken.body);
        taken.body["epoch"].as_u64().unwrap()
    });
    server.events(&tracks(1_100, 1_150));
    let state = server.state();
    server.signal("KILL");
    drop(server);
    let said = restarted(folder.path(), &images, &state);
    assert!(!said.contains("WARN") && said.contains("entries=1100"), "{said}");

    let tables = ["playlists", "entries", "additions", "tracks"];
    let object = |table: &str, kind: &str| format!("data/{newest:020}-1/{table}-0000.{kind}");
    let mut kinds = vec![format!("manifests/{newest:020}.json")];
    kinds.extend(tables.into_iter().flat_map(|table| ["parquet", "image"].map(|kind| object(table, kind))));
    for name in kinds {
        let path = Path::from(format!("damaged/{name}"));
        let good = bucket.get(&path);
        let mut damaged = good.clone();
        damaged[good.len() / 2] ^= 4;
        bucket.put(&path, damaged);
        let is_image = name.ends_with(".image");
        let said = restarted(folder.path(), if is_image { &images } else { &files }, &state);
        let warning = said.lines().find(|line| line.contains("WARN")).expect("a warning");
        let (told, entries) = match is_image {
            true => ("the Parquet file is read instead", "entries=1100"),
            false => ("is passed over", "entries=1000"),
        };
        assert!(warning.contains(told) && warning.contains(&name), "{warning}");
        assert!(said.contains(entries), "{name}: {said}");
        let mut verify = segue();
        verify.args(["snapshot", "verify", "--data-dir"]).arg(folder.path().join("data"));
        let verified = verify.envs(images.iter().copied()).output().unwrap();
        assert_eq!(verified.status.code(), Some(1), "{name}");
        let both = [text(&verified.stdout), text(&verified.stderr)].concat();
        assert!(both.contains(&name), "{name}: {both}");
        bucket.put(&path, good);
    }
    let said = restarted(folder.path(), &files, &state);
    assert!(!said.contains("WARN") && said.contains("entries=1100"), "{said}");
}
