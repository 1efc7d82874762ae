//! Directories of stores that have more of them than objects: what a copy of one is in the hands of
//! [`Naive`], that the filesystem moves it, and what becomes of one that only uploads are below.

use std::ffi::OsStr;
use std::time::Duration;

use s3fs::config::Provider;
use s3fs::fs::{FsError, Ino, Kind, NewNode};
use s3fs::sim::{Operation, Rules, Sim};
use s3fs::store::ObjectHeaders;
use s3fs::store::dialect::Dialect;

use crate::naive::{Naive, refused};
use crate::world::{BUCKET, NEW, World};

const MARKER: &str = "dir/sub/";

/// Status of a copy of [`MARKER`] in the hands of the naive client.
fn copied(world: &World, if_match: Option<&str>) -> u16 {
    let naive = Naive::new(&world.sim);
    let copy = naive.client.copy_object().bucket(BUCKET).key("wrong/");
    let copy = copy.copy_source(format!("{BUCKET}/{MARKER}"));
    let copy = copy.set_copy_source_if_match(if_match.map(str::to_owned));
    refused(world.run(copy.send()).unwrap_err()).0
}

#[test]
fn a_directory_is_moved_though_the_store_does_not_copy_it() {
    let etag = "\"d41d8cd98f00b204e9800998ecf8427e\"";
    // Where it is not known what is kept of a directory, a new one that has a mode is looked at;
    // and so is what was stored instead, when it is not kept. JuiceFS has none to keep.
    for (rules, provider, expected, (puts, heads)) in [
        (Rules::juicefs(), Provider::Minio, [500, 412], (1, 4)),
        (Rules::juicefs(), Provider::Gcs, [500, 412], (1, 8)),
        (Rules::seaweedfs(), Provider::Seaweedfs, [404, 404], (1, 3)),
        (Rules::seaweedfs(), Provider::Other, [404, 404], (2, 9)),
    ] {
        let has_mode = rules.name != Rules::juicefs().name;
        let world = World::of(rules, Dialect::of(provider), false);
        let mode = has_mode.then(|| ("mode".to_owned(), "16832".to_owned()));
        let headers = ObjectHeaders {
            metadata: mode.into_iter().collect(),
            ..ObjectHeaders::default()
        };
        world.sim.put_with(BUCKET, MARKER, "", headers);
        world.sim.put(BUCKET, "dir/sub/a", "a");
        let statuses = [copied(&world, None), copied(&world, Some(etag))];
        assert_eq!(statuses, expected, "{provider:?}");
        let before = world.sim.counters();
        world.run(world.rename("dir", "moved")).unwrap();
        let cost = world.sim.counters() - &before;
        // The directory is tried once, and looked at once before it is made anew.
        let requests = |operation| cost.of(operation).requests;
        let expected = (2, puts, heads);
        let asked = (
            requests(Operation::CopyObject),
            requests(Operation::PutObject),
            requests(Operation::HeadObject),
        );
        assert_eq!(asked, expected, "{provider:?}");
        let kept = world.sim.keys(BUCKET);
        assert_eq!(kept, ["moved/sub/", "moved/sub/a"], "{provider:?}");
        let moved = world.run(world.look("moved/sub")).unwrap();
        assert_eq!(moved.mode, if has_mode { 0o700 } else { 0o755 });
    }
}

/// A directory bucket folds uploads under way too. What is not there can be made and removed, and
/// ENOTEMPTY ends with the upload.
#[test]
fn a_directory_above_an_upload_is_not_empty_until_the_upload_ends() {
    let builder = Sim::builder().rules(Rules::express()).bucket(BUCKET);
    let world = World::built(builder, Dialect::express(), |config| {
        config.bounds.attr_ttl = Duration::ZERO;
    });
    let naive = Naive::new(&world.sim);
    let id = world.run(naive.create("dir/sub/f"));
    let (dir, sub) = (OsStr::new("dir"), OsStr::new("sub"));
    let rmdir = |parent: Ino, name: &OsStr| world.run(world.fs.rmdir(parent, name));

    assert_eq!(world.list(), ["dir"]);
    let found = world.run(world.look("dir")).unwrap();
    assert_eq!(found.kind, Kind::Directory);
    // Right above the upload: below it nothing is folded.
    let missing = world.run(world.look("dir/sub"));
    assert!(matches!(missing, Err(FsError::NoEntry)), "{missing:?}");
    let refused = rmdir(Ino(1), dir);
    assert!(matches!(refused, Err(FsError::NotEmpty)), "{refused:?}");

    let directory = NewNode {
        kind: Kind::Directory,
        permissions: 0o755,
        ..NEW
    };
    world
        .run(world.fs.mkdir(found.ino, sub, directory))
        .unwrap();
    assert_eq!(world.sim.keys(BUCKET), ["dir/sub/"]);
    rmdir(found.ino, sub).unwrap();

    let abort = naive.client.abort_multipart_upload().bucket(BUCKET);
    let abort = abort.key("dir/sub/f").upload_id(id);
    world.run(abort.send()).unwrap();
    rmdir(Ino(1), dir).unwrap();
    assert!(world.list().is_empty());
    assert!(world.sim.keys(BUCKET).is_empty());
}
