//! Appends to objects in their place, where the store has them: what is sent, what the times are,
//! and when the object is made anew instead.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use s3fs::fs::{SetAttr, SetTime};
use s3fs::limits::MIB;
use s3fs::sim::{Operation, Rules};
use s3fs::store::ObjectHeaders;
use s3fs::store::dialect::Dialect;

use crate::spent;
use crate::world::{BUCKET, World};

fn directory_bucket() -> World {
    World::of(Rules::express(), Dialect::express(), false)
}

/// Appends, and tells which requests changed something.
fn append(world: &World, name: &str, bytes: &'static [u8]) -> BTreeMap<Operation, u64> {
    let before = world.sim.counters();
    world.run(world.append(name, bytes)).unwrap();
    let mut spent = spent(world, &before);
    spent.retain(|operation, _| {
        !matches!(
            operation,
            Operation::HeadObject | Operation::ListObjectsV2 | Operation::GetObject
        )
    });
    spent
}

fn put() -> BTreeMap<Operation, u64> {
    BTreeMap::from([(Operation::PutObject, 1)])
}

fn set(world: &World, name: &str, set: SetAttr) {
    let ino = world.run(world.look(name)).unwrap().ino;
    world.run(world.fs.setattr(ino, None, set)).unwrap();
}

/// Metadata of an object that says when it was changed.
fn timed() -> ObjectHeaders {
    ObjectHeaders {
        metadata: BTreeMap::from([
            ("mtime".to_owned(), "1000000000".to_owned()),
            ("uid".to_owned(), "7".to_owned()),
        ]),
        ..ObjectHeaders::default()
    }
}

#[test]
fn an_append_in_place_is_one_request_that_carries_what_is_new() {
    let world = directory_bucket();
    world.sim.put_pattern(BUCKET, "plain", 64 * MIB, 1);
    world.run(world.write_new("own", b"line\n".into())).unwrap();
    for name in ["plain", "own", "own"] {
        let before = world.sim.counters();
        assert_eq!(append(&world, name, b"more\n"), put(), "{name}");
        let total = (world.sim.counters() - &before).total();
        assert_eq!((total.bytes_up, total.bytes_down), (5, 0), "{name}");
    }
    let content = world.sim.content(BUCKET, "own").unwrap();
    assert_eq!(content, b"line\nmore\nmore\n");
    assert_eq!(world.sim.stat(BUCKET, "plain").unwrap().size, 64 * MIB + 5);
}

#[test]
fn the_time_of_an_append_in_place_is_when_the_store_took_it() {
    let world = directory_bucket();
    world.run(world.write_new("own", b"line\n".into())).unwrap();
    let stored = world.sim.stat(BUCKET, "own").unwrap().modified;
    let written = world.run(world.look("own")).unwrap().modified;
    let other = World::over(&world);
    assert_eq!(other.run(other.look("own")).unwrap().modified, written);
    assert_ne!(written, stored, "Last-Modified has whole seconds");

    assert_eq!(append(&world, "own", b"more\n"), put());
    let other = World::over(&world);
    let appended = other.run(other.look("own")).unwrap();
    let stored = world.sim.stat(BUCKET, "own").unwrap().modified;
    assert_eq!((appended.modified, appended.size), (stored, 10));
    // And other attributes do not bring the old time back.
    let mode = Some(0o600);
    let chmod = SetAttr {
        mode,
        ..SetAttr::default()
    };
    set(&other, "own", chmod);
    assert!(other.run(other.fs.sync_all()).is_empty());
    let third = World::over(&world);
    let seen = third.run(third.look("own")).unwrap();
    assert_eq!(seen.mode & 0o777, 0o600);
    assert!(seen.modified >= stored, "{:?}", seen.modified);
}

#[test]
fn a_time_that_was_set_is_stored_with_the_append_that_would_hide_it() {
    let world = directory_bucket();
    world.run(world.write_new("own", b"line\n".into())).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let touch = SetAttr {
        mtime: Some(SetTime::At(time)),
        ..SetAttr::default()
    };
    set(&world, "own", touch);
    assert!(world.run(world.fs.sync_all()).is_empty());
    let other = World::over(&world);
    assert_eq!(other.run(other.look("own")).unwrap().modified, time);
    assert_eq!(append(&world, "own", b"more\n"), put());
    let other = World::over(&world);
    let age = SystemTime::now().duration_since(other.run(other.look("own")).unwrap().modified);
    assert!(age.unwrap() < Duration::from_secs(60));
}

#[test]
fn an_object_whose_time_another_program_stored_is_made_anew_once() {
    let world = directory_bucket();
    world.sim.put_with(BUCKET, "theirs", "0123456789", timed());
    // Anew: any program sees the time.
    assert_eq!(append(&world, "theirs", b"a"), put());
    let stored = world.sim.stat(BUCKET, "theirs").unwrap();
    assert_ne!(stored.headers.metadata["mtime"], "1000000000");
    assert_eq!(stored.headers.metadata["mtime-size"], "11");
    let anew = stored.headers;
    // In place: the metadata stays.
    assert_eq!(append(&world, "theirs", b"b"), put());
    let stored = world.sim.stat(BUCKET, "theirs").unwrap();
    assert_eq!((stored.headers, stored.size), (anew, 12));
}

#[test]
fn other_attributes_go_with_the_append_that_follows_them() {
    let world = directory_bucket();
    world.run(world.write_new("own", b"line\n".into())).unwrap();
    let chown = SetAttr {
        uid: Some(7),
        ..SetAttr::default()
    };
    set(&world, "own", chown);
    world.run(world.append("own", b"more\n")).unwrap();
    let stored = world.sim.stat(BUCKET, "own").unwrap();
    assert_eq!(
        (stored.headers.metadata["uid"].as_str(), stored.size),
        ("7", 10)
    );
}
