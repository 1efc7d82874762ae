//! Directories of servers whose keys are files: what a copy of one is in the hands of [`Naive`],
//! and that the filesystem moves it.

use s3fs::config::Provider;
use s3fs::sim::{Operation, Rules};
use s3fs::store::ObjectHeaders;
use s3fs::store::dialect::Dialect;

use crate::naive::{Naive, refused};
use crate::world::{BUCKET, World};

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
