//! Directories of stores that have their own: what the mount says of them is one thing, whatever
//! is asked. Knows no FUSE.

use std::time::Duration;

use s3fs::fs::{FsError, Kind, NewNode, SetAttr};
use s3fs::sim::{Operation, Rules, Sim};
use s3fs::store::StoreError;
use s3fs::store::dialect::Dialect;

use super::world::{BUCKET, World};
use super::{DIRECTORY, ROOT, name, spent};

const PRIVATE: NewNode = NewNode {
    permissions: 0o700,
    uid: 7,
    gid: 8,
    ..DIRECTORY
};

/// A mount that believes what it knows for no time.
fn of(rules: Rules, dialect: Dialect) -> World {
    let builder = Sim::builder().rules(rules).bucket(BUCKET);
    World::built(builder, dialect, |config| {
        config.bounds.attr_ttl = Duration::ZERO;
    })
}

fn seaweedfs() -> World {
    of(Rules::seaweedfs(), Dialect::seaweedfs())
}

#[test]
fn a_directory_that_the_store_lists_is_there_whatever_is_asked_and_goes_by_rmdir() {
    let world = seaweedfs();
    for key in ["p/f", "deep/er/f"] {
        world.sim.put(BUCKET, key, "by another client");
        world.sim.delete(BUCKET, key);
    }
    assert_eq!(world.list(), ["deep", "p"]);
    for directory in ["p", "deep"] {
        let found = world.run(world.look(directory)).unwrap();
        assert_eq!(found.kind, Kind::Directory);
        let made = world.run(world.fs.mkdir(ROOT, name(directory), DIRECTORY));
        assert!(matches!(made, Err(FsError::Exists)), "{made:?}");
    }
    let removed = world.run(world.fs.rmdir(ROOT, name("deep")));
    assert!(matches!(removed, Err(FsError::NotEmpty)), "{removed:?}");
    let deep = world.run(world.look("deep")).unwrap().ino;
    world.run(world.fs.rmdir(deep, name("er"))).unwrap();
    for directory in ["deep", "p"] {
        world.run(world.fs.rmdir(ROOT, name(directory))).unwrap();
        let found = world.run(world.look(directory));
        assert!(matches!(found, Err(FsError::NoEntry)), "{found:?}");
    }
    assert!(world.list().is_empty());
    world
        .run(world.fs.mkdir(ROOT, name("p"), DIRECTORY))
        .unwrap();
    assert_eq!(world.list(), ["p"]);
}

#[test]
fn a_directory_that_lost_its_last_file_here_goes_by_rmdir() {
    let world = seaweedfs();
    world.sim.put(BUCKET, "p/f", "x");
    let directory = world.run(world.look("p")).unwrap().ino;
    world.run(world.fs.unlink(directory, name("f"))).unwrap();
    assert_eq!(world.list(), ["p"]);
    world.run(world.fs.rmdir(ROOT, name("p"))).unwrap();
    assert!(world.list().is_empty());
    assert!(world.run(world.look("p")).is_err());
    world
        .run(world.fs.mkdir(ROOT, name("p"), DIRECTORY))
        .unwrap();
}

#[test]
fn a_directory_that_was_renamed_leaves_nothing_under_its_old_name() {
    let world = seaweedfs();
    for key in ["d/a/b/f", "d/g", "d/c/f"] {
        world.sim.put(BUCKET, key, key);
    }
    let made = world.fs.mkdir(ROOT, name("own"), DIRECTORY);
    let own = world.run(made).unwrap().value.ino;
    world
        .run(world.fs.mkdir(own, name("empty"), PRIVATE))
        .unwrap();
    for (from, to) in [("d", "e"), ("own", "other")] {
        world.run(world.rename(from, to)).unwrap();
        assert!(world.run(world.look(from)).is_err());
        world
            .run(world.fs.mkdir(ROOT, name(from), DIRECTORY))
            .unwrap();
        world.run(world.fs.rmdir(ROOT, name(from))).unwrap();
    }
    assert_eq!(world.list(), ["e", "other"]);
    let moved = world.run(world.look("other/empty")).unwrap();
    assert_eq!((moved.mode, moved.uid), (0o700, 7));
    assert_eq!(world.sim.content(BUCKET, "e/a/b/f").unwrap(), b"d/a/b/f");
}

#[test]
fn a_directory_has_the_owner_and_mode_it_was_given_where_markers_keep_no_metadata() {
    for dialect in [Dialect::seaweedfs(), Dialect::strict()] {
        let world = of(Rules::seaweedfs(), dialect);
        let made = world.fs.mkdir(ROOT, name("d"), PRIVATE);
        world.run(made).unwrap();
        world.sim.put(BUCKET, "implicit/f", "x");
        let implicit = world.run(world.look("implicit")).unwrap().ino;
        let set = SetAttr {
            mode: Some(0o750),
            uid: Some(7),
            gid: Some(8),
            ..SetAttr::default()
        };
        world.run(world.fs.setattr(implicit, None, set)).unwrap();
        world.wait_until(|| world.sim.stat(BUCKET, "implicit/").is_some());
        let again = World::over(&world);
        for (directory, mode) in [("d", 0o700), ("implicit", 0o750)] {
            let attr = again.run(again.look(directory)).unwrap();
            assert_eq!((attr.mode, attr.uid, attr.gid), (mode, 7, 8), "{directory}");
        }
        let kept = world.sim.stat(BUCKET, "d/").unwrap().headers;
        let content_type = kept.content_type.unwrap();
        assert!(
            content_type.starts_with("application/x-directory; x-amz-meta-"),
            "{content_type}"
        );
    }
}

#[test]
fn the_first_directory_alone_is_looked_at_where_it_is_not_known_what_is_kept() {
    let world = of(Rules::aws(), Dialect::strict());
    let make = |directory| {
        let before = world.sim.counters();
        let made = world.fs.mkdir(ROOT, name(directory), PRIVATE);
        world.run(made).unwrap();
        spent(&world, &before)[&Operation::HeadObject]
    };
    let (first, second) = (make("first"), make("second"));
    assert_eq!(first, second + 1);
    let kept = world.sim.stat(BUCKET, "second/").unwrap().headers;
    assert_eq!(kept.metadata["uid"], "7");
}

#[test]
fn no_directory_is_made_where_its_mode_would_be_lost() {
    let world = of(Rules::juicefs(), Dialect::minio());
    for directory in ["a", "b"] {
        let made = world.run(world.fs.mkdir(ROOT, name(directory), PRIVATE));
        assert!(
            matches!(made, Err(FsError::Store(StoreError::NotOffered { .. }))),
            "{made:?}"
        );
        assert!(world.list().is_empty());
    }
    let made = world.fs.mkdir(ROOT, name("c"), DIRECTORY);
    world.run(made).unwrap();
    assert_eq!(world.run(world.look("c")).unwrap().mode, 0o755);
}
