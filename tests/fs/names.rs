//! Names that no key has, and keys that are no names. Knows no FUSE.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use s3fs::fs::{FsError, Kind, OpenMode, RenameMode};
use s3fs::range::ByteRange;
use s3fs::sim::Rules;
use s3fs::store::dialect::Dialect;

use super::world::{BUCKET, NEW, World};
use super::{DIRECTORY, READ, ROOT, name};

fn sorted(world: &World) -> Vec<String> {
    let mut names = world.list();
    names.sort();
    names
}

/// The name of the object `x` beside the directory `x`.
const BESIDE: &str = "x\u{201b}file";

#[test]
fn an_object_and_a_directory_of_one_name_both_show() {
    let world = World::new();
    for key in ["x", "x!", "x/y", "x0", "a//b", "..", ".s3fs-unlinked/1"] {
        world.sim.put(BUCKET, key, key);
    }
    let looked_up = || {
        assert_eq!(world.run(world.look("x")).unwrap().kind, Kind::Directory);
        let object = world.run(world.look(BESIDE)).unwrap();
        assert_eq!((object.kind, object.size), (Kind::File, 1));
        assert!(world.run(world.look("x!\u{201b}file")).is_err());
    };
    looked_up();
    assert_eq!(sorted(&world), ["a", "x", "x!", "x0", BESIDE]);
    looked_up();
    world.run(world.append(BESIDE, b" and more")).unwrap();
    assert_eq!(world.sim.content(BUCKET, "x").unwrap(), b"x and more");
    let made = world.run(world.fs.mkdir(ROOT, name("x"), DIRECTORY));
    assert!(matches!(made, Err(FsError::Exists)), "{made:?}");
    let removed = world.run(world.fs.unlink(ROOT, name("x")));
    assert!(matches!(removed, Err(FsError::IsDirectory)), "{removed:?}");
    assert!(world.sim.content(BUCKET, "x").is_some());
    world.run(world.fs.unlink(ROOT, name(BESIDE))).unwrap();
    assert!(world.sim.content(BUCKET, "x").is_none());
    assert_eq!(world.sim.content(BUCKET, "x/y").unwrap(), b"x/y");
    assert_eq!(sorted(&world), ["a", "x", "x!", "x0"]);
}

#[test]
fn an_object_beside_a_directory_is_renamed_and_replaced_like_any_file() {
    let world = World::new();
    for key in ["x", "x/y", "new"] {
        world.sim.put(BUCKET, key, key);
    }
    world.run(world.rename(BESIDE, "moved")).unwrap();
    assert_eq!(sorted(&world), ["moved", "new", "x"]);
    assert_eq!(world.sim.content(BUCKET, "moved").unwrap(), b"x");
    // Back again: nothing can be put beside a directory but by making or replacing a file there.
    let refused = world.run(world.rename("moved", BESIDE));
    assert!(
        matches!(refused, Err(FsError::NotPermitted { .. })),
        "{refused:?}"
    );
    world
        .run(world.write_new(BESIDE, b"made".to_vec()))
        .unwrap();
    assert_eq!(world.sim.content(BUCKET, "x").unwrap(), b"made");
    world.run(world.rename("new", BESIDE)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "x").unwrap(), b"new");
    assert_eq!(sorted(&world), ["moved", "x", BESIDE]);
    world.run(world.rename("x", "d")).unwrap();
    assert_eq!(world.sim.keys(BUCKET), ["d/y", "moved", "x"]);
    assert_eq!(world.run(world.look("x")).unwrap().kind, Kind::File);
    assert_eq!(sorted(&world), ["d", "moved", "x"]);
}

#[test]
fn removing_the_directory_beside_an_object_gives_it_its_name_back() {
    for marker in [false, true] {
        let world = World::new();
        world.sim.put(BUCKET, "x", "object");
        world.sim.put(BUCKET, "x/y", "");
        if marker {
            world.sim.put(BUCKET, "x/", "");
        }
        let directory = world.run(world.look("x")).unwrap().ino;
        world.run(world.fs.unlink(directory, name("y"))).unwrap();
        // The directory stays until it is removed, and so does the other name of the object.
        assert_eq!(sorted(&world), ["x", BESIDE], "{marker}");
        assert_eq!(world.run(world.look(BESIDE)).unwrap().size, 6);
        world.run(world.fs.rmdir(ROOT, name("x"))).unwrap();
        assert_eq!(world.list(), ["x"], "{marker}");
        let object = world.run(world.read("x", ByteRange::new(0, 6))).unwrap();
        assert_eq!(&object[..], b"object");
    }
}

#[test]
fn without_a_directory_beside_it_the_other_name_of_an_object_is_no_name() {
    let world = World::new();
    world.sim.put(BUCKET, "x", "object");
    world
        .run(world.fs.mkdir(ROOT, name("d"), DIRECTORY))
        .unwrap();
    assert!(matches!(
        world.run(world.look(BESIDE)),
        Err(FsError::NoEntry)
    ));
    let made = [
        world.run(world.write_new(BESIDE, b"lost".to_vec())),
        world
            .run(world.fs.mkdir(ROOT, name(BESIDE), DIRECTORY))
            .map(|_| ()),
        world.run(world.rename("d", BESIDE)),
        world.run(world.rename("x", BESIDE)),
    ];
    for made in made {
        assert!(
            matches!(made, Err(FsError::NotPermitted { .. })),
            "{made:?}"
        );
    }
    assert_eq!(world.sim.keys(BUCKET), ["d/", "x"]);
    assert_eq!(world.sim.content(BUCKET, "x").unwrap(), b"object");
}

#[test]
fn a_key_of_1024_bytes_can_be_made_and_none_longer() {
    let world = World::new();
    let directory = "d".repeat(255);
    let mut parent = ROOT;
    for _ in 0..4 {
        parent = world
            .run(world.fs.mkdir(parent, name(&directory), DIRECTORY))
            .unwrap()
            .value
            .ino;
    }
    // 4 times 256 bytes: the last marker has 1,024, and nothing fits below it.
    assert_eq!(world.sim.keys(BUCKET).last().map(String::len), Some(1024));
    let create = OpenMode {
        write: true,
        ..READ
    };
    let made = world.run(world.fs.create(parent, name("f"), NEW, create));
    assert!(matches!(made, Err(FsError::NameTooLong)), "{made:?}");
    let long = world.run(world.fs.lookup(ROOT, name(&"n".repeat(256))));
    assert!(matches!(long, Err(FsError::NameTooLong)), "{long:?}");
}

#[test]
fn names_of_any_bytes_are_made_listed_renamed_and_removed() {
    let world = World::new();
    let names: [&[u8]; 8] = [
        b"caf\xe9",
        "caf\u{201b}E9".as_bytes(),
        b"\xff\xfe",
        b"new\nline",
        b"\x01\x7f",
        b" ",
        b"a+b%2F?&<>\"'\\*",
        &[0xff; 200],
    ];
    let create = OpenMode {
        write: true,
        ..READ
    };
    let listed = || -> BTreeSet<OsString> { world.list_raw().into_iter().collect() };
    for (bytes, next) in names.iter().zip(names.iter().cycle().skip(1)) {
        let (old, new) = (OsStr::from_bytes(bytes), OsStr::from_bytes(next));
        let fh = world
            .run(world.fs.create(ROOT, old, NEW, create))
            .unwrap()
            .1
            .fh;
        world.run(world.close(fh)).unwrap();
        assert_eq!(listed(), BTreeSet::from([old.to_owned()]));
        let renamed = world
            .fs
            .rename((ROOT, old), (ROOT, new), RenameMode::Replace);
        world.run(renamed).unwrap();
        assert_eq!(listed(), BTreeSet::from([new.to_owned()]));
        world.run(world.fs.unlink(ROOT, new)).unwrap();
        assert!(world.sim.keys(BUCKET).is_empty());
    }
}

#[test]
fn a_name_with_a_backslash_is_one_where_the_store_takes_that_for_a_slash() {
    let world = World::of(Rules::seaweedfs(), Dialect::seaweedfs(), false);
    let names = ["a\\b", "a\u{201b}5Cb", "d\\", "\\e"];
    for (at, file) in names.iter().enumerate() {
        let content = at.to_string().into_bytes();
        world.run(world.write_new(file, content)).unwrap();
    }
    world.run(world.rename("d\\", "f\\g")).unwrap();
    let directory = name("dir\\ectory");
    world
        .run(world.fs.mkdir(ROOT, directory, DIRECTORY))
        .unwrap();
    let again = World::over_as(&world, Dialect::seaweedfs());
    let mut expected = ["\\e", "a\\b", "a\u{201b}5Cb", "dir\\ectory", "f\\g"];
    expected.sort_unstable();
    assert_eq!(sorted(&again), expected);
    let read = again.sim.content(BUCKET, "a\u{201b}5Cb").unwrap();
    assert_eq!(read, b"0");
    assert_eq!(again.run(again.look("f\\g")).unwrap().size, 1);
    world.run(world.fs.unlink(ROOT, name("a\\b"))).unwrap();
    let keys = world.sim.keys(BUCKET);
    assert_eq!(keys.len(), 4);
    assert!(keys.iter().all(|key| !key.contains('\\')), "{keys:?}");
}
