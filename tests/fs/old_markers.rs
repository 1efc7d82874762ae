//! Directories as s3fs-fuse once made them: an object under the key without a slash. Knows no FUSE.

use std::collections::BTreeMap;

use s3fs::fs::{FsError, Kind, SetAttr};
use s3fs::sim::{Fault, How, Operation};
use s3fs::store::ObjectHeaders;

use super::world::{BUCKET, NEW, World};
use super::{ROOT, name};

/// A bucket with an empty directory `old`, one with a file in it, `full`, and a file `file` in all
/// but its content type the same.
fn written_long_ago() -> World {
    let world = World::new();
    let headers = |mode: u32| ObjectHeaders {
        content_type: Some("application/x-directory".to_owned()),
        metadata: BTreeMap::from([
            ("mode".to_owned(), mode.to_string()),
            ("uid".to_owned(), "7".to_owned()),
        ]),
        ..ObjectHeaders::default()
    };
    for key in ["old", "full"] {
        world.sim.put_with(BUCKET, key, "", headers(0o040_750));
    }
    world.sim.put(BUCKET, "full/f", "content");
    world.sim.put_with(BUCKET, "file", "", headers(0o100_640));
    world
}

fn shown(world: &World, name: &str) -> (Kind, u16, u32) {
    let attr = world.run(world.look(name)).unwrap();
    (attr.kind, attr.mode, attr.uid)
}

#[test]
fn old_directory_objects_are_directories_with_their_attributes() {
    for lists_first in [true, false] {
        let world = written_long_ago();
        world.run(world.fs.look_for_attributes());
        if lists_first {
            assert_eq!(world.list(), ["file", "full", "old"]);
        }
        assert_eq!(shown(&world, "file"), (Kind::File, 0o640, 7));
        for directory in ["old", "full"] {
            let expected = (Kind::Directory, 0o750, 7);
            assert_eq!(shown(&world, directory), expected, "{directory}");
        }
        assert_eq!(world.list(), ["file", "full", "old"]);
        world
            .run(world.write_new("old/new", b"new".to_vec()))
            .unwrap();
        assert_eq!(world.list(), ["file", "full", "old"]);
        assert_eq!(
            world.sim.keys(BUCKET),
            ["file", "full", "full/f", "old", "old/new"]
        );
    }
}

#[test]
fn an_old_directory_object_goes_with_its_directory() {
    let world = written_long_ago();
    world.run(world.fs.rmdir(ROOT, name("old"))).unwrap();
    assert_eq!(world.sim.keys(BUCKET), ["file", "full", "full/f"]);
    world.run(world.rename("full", "moved")).unwrap();
    assert_eq!(world.sim.keys(BUCKET), ["file", "moved/", "moved/f"]);
    assert_eq!(shown(&world, "moved"), (Kind::Directory, 0o750, 7));
}

/// SeaweedFS takes the key with the slash for the one without.
#[test]
fn an_old_directory_object_stays_where_its_marker_cannot_be_made() {
    let world = written_long_ago();
    world.run(world.look("full")).unwrap();
    let refused = How::Status(412, "PreconditionFailed");
    world.sim.fault(Fault::on(Operation::CopyObject, refused));
    let moved = world.run(world.rename("full", "moved"));
    assert!(
        matches!(moved, Err(FsError::NotSupported { .. })),
        "{moved:?}"
    );
    assert_eq!(world.sim.keys(BUCKET), ["file", "full", "full/f", "old"]);
    assert_eq!(shown(&world, "full"), (Kind::Directory, 0o750, 7));
}

#[test]
fn a_changed_old_directory_object_is_a_marker_as_others_are() {
    let world = written_long_ago();
    let ino = world.run(world.look("full")).unwrap().ino;
    let set = SetAttr {
        mode: Some(0o700),
        ..SetAttr::default()
    };
    world.run(world.fs.setattr(ino, None, set)).unwrap();
    let fh = world.run(world.fs.opendir(ino)).unwrap().fh;
    world.run(world.fs.fsyncdir(fh)).unwrap();
    world.fs.releasedir(fh);
    assert_eq!(world.sim.keys(BUCKET), ["file", "full/", "full/f", "old"]);
    let stored = world.sim.stat(BUCKET, "full/").unwrap().headers.metadata;
    assert_eq!(stored["uid"], "7");
    assert_eq!(stored["mode"], 0o040_700_u32.to_string());
    // What is made in it needs nothing more.
    let made = world.run(world.fs.make(ino, name("g"), NEW, b"x"));
    made.unwrap();
    assert_eq!(shown(&world, "full"), (Kind::Directory, 0o700, 7));
}
