//! Buckets whose policy allows nothing outside the prefix that is mounted. Knows no FUSE.

use s3fs::fs::FsError;
use s3fs::sim::Sim;
use s3fs::store::dialect::Dialect;

use super::world::{BUCKET, World};
use super::{DIRECTORY, ROOT, name};

#[test]
fn everything_works_where_only_the_mounted_prefix_is_allowed() {
    let builder = Sim::builder().only_below(BUCKET, "home/ann/");
    let world = World::built(builder, Dialect::aws(), |config| {
        config.sources[0].prefix = "home/ann/".to_owned();
    });
    let absent = world.run(world.look("absent"));
    assert!(matches!(absent, Err(FsError::NoEntry)), "{absent:?}");
    world.run(world.write_new("f", b"hello".to_vec())).unwrap();
    world.run(world.append("f", b" again")).unwrap();
    world
        .run(world.fs.mkdir(ROOT, name("d"), DIRECTORY))
        .unwrap();
    world.run(world.rename("f", "d/g")).unwrap();
    world.run(world.concatenate(&["d/g"], "copy")).unwrap();
    assert_eq!(world.list(), ["copy", "d"]);
    assert_eq!(
        world.sim.keys(BUCKET),
        ["home/ann/copy", "home/ann/d/", "home/ann/d/g"]
    );
    let is_outside = |request: &s3fs::sim::SimRequest| {
        !request.key.is_empty() && !request.key.starts_with("home/ann/")
    };
    assert!(!world.sim.requests().iter().any(is_outside));
}
