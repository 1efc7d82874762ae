//! Names and handles against the service in the process, without a kernel. Knows no FUSE.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use s3fs::config::Forced;
use s3fs::fs::{
    DirEntry, FsError, FsResult, Ino, Kind, NewNode, OpenMode, RenameMode, SetAttr, SetTime,
};
use s3fs::limits::Limits;
use s3fs::range::ByteRange;
use s3fs::sim::{Counters, Fault, How, Operation};
use s3fs::store::{ObjectHeaders, Tags};

#[path = "fs/ahead.rs"]
mod ahead;
#[path = "fs/appends.rs"]
mod appends;
#[path = "fs/bounds.rs"]
mod bounds;
#[path = "fs/deferred.rs"]
mod deferred;
#[path = "fs/directories.rs"]
mod directories;
#[path = "fs/fair.rs"]
mod fair;
#[path = "fs/grown.rs"]
mod grown;
#[path = "fs/halfway.rs"]
mod halfway;
#[path = "fs/held.rs"]
mod held;
#[path = "fs/identity.rs"]
mod identity;
#[path = "fs/killed.rs"]
mod killed;
#[path = "fs/late.rs"]
mod late;
#[path = "fs/names.rs"]
mod names;
#[path = "fs/numbers.rs"]
mod numbers;
#[path = "fs/old_markers.rs"]
mod old_markers;
#[path = "fs/others.rs"]
mod others;
#[path = "fs/prefix.rs"]
mod prefix;
#[path = "fs/recorded.rs"]
mod recorded;
#[path = "fs/sequences.rs"]
mod sequences;
#[allow(dead_code, reason = "each suite uses a part")]
#[path = "in_process/world.rs"]
mod world;

use world::{BUCKET, NEW, World};

const ROOT: Ino = Ino(1);
const READ: OpenMode = OpenMode {
    read: true,
    write: false,
    truncate: false,
    exclusive: false,
};

const DIRECTORY: NewNode = NewNode {
    kind: Kind::Directory,
    permissions: 0o755,
    ..NEW
};

fn name(text: &str) -> &OsStr {
    OsStr::new(text)
}

fn spent(world: &World, before: &Counters) -> BTreeMap<Operation, u64> {
    (world.sim.counters() - before).requests()
}

#[test]
fn looking_up_an_unknown_name_is_one_head_and_one_list_and_then_nothing() {
    let world = World::new();
    world.sim.put(BUCKET, "a", "abc");
    let before = world.sim.counters();
    assert_eq!(world.run(world.look("a")).unwrap().size, 3);
    assert!(matches!(world.run(world.look("b")), Err(FsError::NoEntry)));
    let twice = BTreeMap::from([(Operation::HeadObject, 2), (Operation::ListObjectsV2, 2)]);
    assert_eq!(spent(&world, &before), twice);
    assert_eq!(world.run(world.look("a")).unwrap().size, 3);
    assert!(world.run(world.look("b")).is_err());
    assert_eq!(spent(&world, &before), twice);
}

#[test]
fn a_directory_of_2500_entries_lists_in_three_requests() {
    let world = World::new();
    for n in 0..2500 {
        world.sim.put(BUCKET, &format!("f{n:04}"), "");
    }
    let before = world.sim.counters();
    let names = world.list();
    let expected: Vec<String> = (0..2500).map(|n| format!("f{n:04}")).collect();
    assert_eq!(names, expected);
    assert_eq!(
        spent(&world, &before),
        BTreeMap::from([(Operation::ListObjectsV2, 3)])
    );
}

#[test]
fn a_created_file_is_seen_here_at_once_and_in_the_store_after_close() {
    let world = World::new();
    let mode = OpenMode {
        write: true,
        ..READ
    };
    let (_, opened) = world
        .run(world.fs.create(ROOT, name("new"), NEW, mode))
        .unwrap();
    world
        .run(world.fs.write(opened.fh, 0, Bytes::from_static(b"hello")))
        .unwrap();
    assert_eq!(world.list(), ["new"]);
    assert_eq!(world.run(world.look("new")).unwrap().size, 5);
    assert!(world.sim.keys(BUCKET).is_empty());
    world.run(world.close(opened.fh)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "new").unwrap(), b"hello");
}

#[test]
fn a_file_unlinked_while_open_stays_readable_and_leaves_nothing_after_close() {
    let world = World::new();
    world.sim.put(BUCKET, "f", "content");
    let ino = world.run(world.look("f")).unwrap().ino;
    let fh = world.run(world.fs.open(ino, READ)).unwrap().fh;
    world.run(world.fs.unlink(ROOT, name("f"))).unwrap();
    assert!(world.sim.content(BUCKET, "f").is_none());
    assert!(world.list().is_empty());
    let read = world.run(world.fs.read(fh, ByteRange::new(0, 7))).unwrap();
    assert_eq!(&read[..], b"content");
    world.run(world.fs.release(fh)).unwrap();
    assert!(world.sim.keys(BUCKET).is_empty());
}

#[test]
fn unlinking_a_closed_file_is_one_delete() {
    let world = World::new();
    world.sim.put(BUCKET, "f", "content");
    world.list();
    let before = world.sim.counters();
    world.run(world.fs.unlink(ROOT, name("f"))).unwrap();
    assert_eq!(
        spent(&world, &before),
        BTreeMap::from([(Operation::DeleteObject, 1)])
    );
}

#[test]
fn an_implicit_directory_outlives_its_last_file_until_it_is_removed() {
    let world = World::new();
    world.sim.put(BUCKET, "d/f", "1");
    let dir = world.run(world.look("d")).unwrap().ino;
    let refused = world.run(world.fs.rmdir(ROOT, name("d")));
    assert!(matches!(refused, Err(FsError::NotEmpty)), "{refused:?}");
    world.run(world.fs.unlink(dir, name("f"))).unwrap();
    assert_eq!(world.list(), ["d"]);
    world.run(world.fs.rmdir(ROOT, name("d"))).unwrap();
    assert!(world.list().is_empty());
}

#[test]
fn a_directory_moves_with_everything_below_it() {
    let world = World::new();
    world
        .run(world.fs.mkdir(ROOT, name("d"), DIRECTORY))
        .unwrap();
    for key in ["d/a", "d/e/f", "d//g"] {
        world.sim.put(BUCKET, key, key);
    }
    world.run(world.rename("d", "n")).unwrap();
    assert_eq!(world.sim.keys(BUCKET), ["n/", "n//g", "n/a", "n/e/f"]);
    assert_eq!(world.list(), ["n"]);
}

#[test]
fn a_directory_rename_that_fails_anywhere_loses_nothing_and_can_be_repeated() {
    let objects = ["a", "b", "c", "e/f"];
    for nth in 1..=12 {
        let world = World::new();
        for object in objects {
            world.sim.put(BUCKET, &format!("d/{object}"), object);
        }
        world.run(world.look("d")).unwrap();
        let _ = world.run(world.look("n"));
        world
            .sim
            .fault(Fault::nth(nth, How::Status(403, "AccessDenied")));
        let first = world.run(world.rename("d", "n"));
        world.sim.clear_faults();
        for object in objects {
            let kept = ["d", "n"].map(|dir| world.sim.content(BUCKET, &format!("{dir}/{object}")));
            assert!(
                kept.iter().flatten().next().is_some(),
                "request {nth}: {object} is lost"
            );
        }
        if first.is_err() {
            world.run(world.rename("d", "n")).unwrap();
        }
        assert_eq!(
            world.sim.keys(BUCKET),
            ["n/a", "n/b", "n/c", "n/e/f"],
            "request {nth}"
        );
    }
}

#[test]
fn renaming_onto_an_open_file_leaves_its_reader_the_old_bytes() {
    let world = World::new();
    world.sim.put(BUCKET, "old", "old");
    world.sim.put(BUCKET, "new", "newer");
    let ino = world.run(world.look("old")).unwrap().ino;
    let fh = world.run(world.fs.open(ino, READ)).unwrap().fh;
    world.run(world.rename("new", "old")).unwrap();
    let read = world.run(world.fs.read(fh, ByteRange::new(0, 10))).unwrap();
    assert_eq!(&read[..], b"old");
    world.run(world.fs.release(fh)).unwrap();
    assert_eq!(world.sim.keys(BUCKET), ["old"]);
    assert_eq!(world.sim.content(BUCKET, "old").unwrap(), b"newer");
    assert_eq!(world.run(world.look("old")).unwrap().size, 5);
}

#[test]
fn without_replace_a_rename_onto_a_name_that_exists_changes_nothing() {
    let world = World::new();
    world.sim.put(BUCKET, "a", "a");
    world.sim.put(BUCKET, "b", "b");
    let (from, to) = ((ROOT, name("a")), (ROOT, name("b")));
    let refused = world.run(world.fs.rename(from, to, RenameMode::NoReplace));
    assert!(matches!(refused, Err(FsError::Exists)), "{refused:?}");
    assert_eq!(world.sim.keys(BUCKET), ["a", "b"]);
}

fn metadata(world: &World, key: &str) -> BTreeMap<String, String> {
    world.sim.stat(BUCKET, key).unwrap().headers.metadata
}

/// chmod, chown and utimens of one file, as three calls.
fn describe(world: &World, ino: Ino) {
    let time = UNIX_EPOCH + Duration::new(1_700_000_000, 12);
    let calls = [
        SetAttr {
            uid: Some(7),
            gid: Some(8),
            ..SetAttr::default()
        },
        SetAttr {
            mode: Some(0o640),
            ..SetAttr::default()
        },
        SetAttr {
            mtime: Some(SetTime::At(time)),
            ..SetAttr::default()
        },
    ];
    for set in calls {
        world.run(world.fs.setattr(ino, None, set)).unwrap();
    }
}

const DESCRIBED: [(&str, &str); 4] = [
    ("gid", "8"),
    ("mode", "33184"),
    ("mtime", "1700000000.000000012"),
    ("uid", "7"),
];

fn assert_described(world: &World, key: &str) {
    let metadata = metadata(world, key);
    for (name, value) in DESCRIBED {
        assert_eq!(
            metadata.get(name).map(String::as_str),
            Some(value),
            "{name}"
        );
    }
}

#[test]
fn changed_attributes_of_a_closed_file_are_one_copy_and_are_seen_at_once() {
    let world = World::new();
    world.sim.put(BUCKET, "f", "content");
    let ino = world.run(world.look("f")).unwrap().ino;
    let before = world.sim.counters();
    describe(&world, ino);
    let attr = world.run(world.look("f")).unwrap();
    assert_eq!((attr.mode, attr.uid, attr.gid), (0o640, 7, 8));
    assert!(spent(&world, &before).is_empty(), "not before the others");
    world.wait_until(|| !spent(&world, &before).is_empty());
    assert_eq!(
        spent(&world, &before),
        BTreeMap::from([(Operation::CopyObject, 1)])
    );
    assert_described(&world, "f");
    assert_eq!(world.sim.content(BUCKET, "f").unwrap(), b"content");
}

#[test]
fn changed_attributes_go_with_a_rename() {
    let world = World::new();
    world.sim.put(BUCKET, "f", "content");
    let ino = world.run(world.look("f")).unwrap().ino;
    let _ = world.run(world.look("g"));
    let before = world.sim.counters();
    describe(&world, ino);
    world.run(world.rename("f", "g")).unwrap();
    let expected = [(Operation::CopyObject, 1), (Operation::DeleteObject, 1)];
    assert_eq!(spent(&world, &before), BTreeMap::from(expected));
    assert_described(&world, "g");
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(spent(&world, &before), BTreeMap::from(expected), "later");
}

#[test]
fn attributes_set_while_a_file_is_written_travel_with_its_commit() {
    for size in [10, 40 << 20] {
        let world = World::new();
        let mode = OpenMode {
            write: true,
            ..READ
        };
        let created = world.fs.create(ROOT, name("f.html"), NEW, mode);
        let (made, opened) = world.run(created).unwrap();
        let content = Bytes::from(vec![1; size]);
        world.run(world.fs.write(opened.fh, 0, content)).unwrap();
        describe(&world, made.value.ino);
        world.run(world.close(opened.fh)).unwrap();
        assert_described(&world, "f.html");
        let stat = world.sim.stat(BUCKET, "f.html").unwrap();
        assert_eq!(stat.headers.content_type.as_deref(), Some("text/html"));
        let copies = world.sim.counters().of(Operation::CopyObject).requests;
        // What was uploaded ahead was begun with other attributes.
        assert_eq!(copies, u64::from(size > 10), "{size}");
    }
}

#[test]
fn attributes_that_cannot_be_stored_are_told_to_the_next_who_can_hear_it() {
    let world = World::new();
    world.sim.put(BUCKET, "f", "content");
    let ino = world.run(world.look("f")).unwrap().ino;
    let refused = How::Status(403, "AccessDenied");
    world
        .sim
        .fault(Fault::on(Operation::CopyObject, refused).times(1_000));
    describe(&world, ino);
    world.wait_until(|| world.sim.counters().of(Operation::CopyObject).requests > 0);
    // The end of a mount is one who can: its exit status tells.
    assert_eq!(world.run(world.fs.sync_all()).len(), 1);
    world.run(world.look("f")).unwrap();
    let opened = world.run(world.fs.open(ino, READ)).unwrap();
    let told = world.run(world.fs.fsync(opened.fh));
    assert!(told.is_err(), "nobody was told");
    assert!(world.run(world.fs.sync_all()).is_empty(), "told once");
    world.run(world.close(opened.fh)).unwrap();
    assert_eq!(world.run(world.look("f")).unwrap().mode, 0o644);
}

#[test]
fn attributes_of_a_directory_are_stored_with_its_marker() {
    let world = World::new();
    world.sim.put(BUCKET, "d/f", "1");
    let ino = world.run(world.look("d")).unwrap().ino;
    let before = world.sim.counters();
    describe(&world, ino);
    world.wait_until(|| world.sim.stat(BUCKET, "d/").is_some());
    assert_eq!(spent(&world, &before).get(&Operation::PutObject), Some(&1));
    let mode = metadata(&world, "d/").remove("mode");
    assert_eq!(mode.as_deref(), Some("16800"));
    let again = World::over(&world);
    let attr = again.run(again.look("d")).unwrap();
    assert_eq!((attr.mode, attr.uid, attr.gid), (0o640, 7, 8));
}

#[test]
fn a_link_and_a_pipe_are_what_they_were_on_the_next_mount() {
    let world = World::new();
    let of = |kind| NewNode { kind, ..NEW };
    let made = world
        .fs
        .symlink(ROOT, name("l"), of(Kind::Symlink), name("to/nowhere"));
    assert_eq!(world.run(made).unwrap().value.size, 10);
    let made = world.fs.make(ROOT, name("p"), of(Kind::Fifo), &[]);
    world.run(made).unwrap();
    let again = World::over(&world);
    let link = again.run(again.look("l")).unwrap();
    assert_eq!((link.kind, link.size), (Kind::Symlink, 10));
    let target = again.run(again.fs.readlink(link.ino)).unwrap();
    assert_eq!(&target[..], b"to/nowhere");
    assert_eq!(again.run(again.look("p")).unwrap().kind, Kind::Fifo);
}

#[test]
fn truncating_a_closed_file_is_durable_on_return() {
    let world = World::new();
    world.sim.put(BUCKET, "f", "content");
    world.run(world.truncate("f", 3)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "f").unwrap(), b"con");
}

#[test]
fn what_could_not_be_stored_is_saved_at_the_last_close() {
    let world = World::new();
    world.sim.put(BUCKET, "a", "as before");
    let refused = How::Status(400, "InvalidRequest");
    world
        .sim
        .fault(Fault::on(Operation::PutObject, refused).times(1_000));
    let before = world.sim.counters();
    assert!(world.run(world.overwrite("a", 3, b"ours")).is_err());
    let puts = (world.sim.counters() - &before).of(Operation::PutObject);
    assert_eq!(puts.requests, 1, "the release tried again");
    assert!(world.run(world.write_new("n", b"new".to_vec())).is_err());
    // Each with a note beside it.
    let (notes, kept): (Vec<_>, Vec<_>) = std::fs::read_dir(world.staging.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .partition(|path| path.extension().is_some_and(|end| end == "txt"));
    assert_eq!(notes.len(), 2);
    let mut saved: Vec<_> = kept
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    saved.sort();
    assert_eq!(saved, [b"\0\0\0ours".to_vec(), b"new".to_vec()]);
    world.sim.clear_faults();
    assert!(world.run(world.fs.sync_all()).is_empty());
    let shown = world.run(world.read("a", ByteRange::at(0, 100))).unwrap();
    assert_eq!(&*shown, b"as before");
    assert!(matches!(world.run(world.look("n")), Err(FsError::NoEntry)));
    assert_eq!(world.sim.keys(BUCKET), ["a"]);
}

#[test]
fn a_copy_not_yet_durable_survives_whatever_is_done_to_its_source_here() {
    type Change = fn(&World) -> FsResult<()>;
    let changes: [(&str, Change); 6] = [
        ("renamed", |world| world.run(world.rename("a", "c"))),
        ("renamed with its directory", |world| {
            world.run(world.rename("d", "e"))
        }),
        ("replaced by a rename", |world| {
            world.run(world.rename("other", "a"))
        }),
        ("overwritten", |world| {
            world.run(world.overwrite("a", 0, b"!"))
        }),
        ("cut", |world| world.run(world.truncate("a", 3))),
        ("removed", |world| {
            world.run(world.fs.unlink(ROOT, name("a")))
        }),
    ];
    for (what, change) in changes {
        let world = World::new();
        let size = 12 << 20;
        let source = if what.contains("directory") {
            "d/a"
        } else {
            "a"
        };
        world.sim.put_pattern(BUCKET, source, size, 1);
        world.sim.put(BUCKET, "other", "other");
        let expected = world.sim.content(BUCKET, source).unwrap();
        let write = OpenMode {
            write: true,
            ..READ
        };
        let copy = world.run(async {
            let copy = world.open_to_write("b", write).await.unwrap();
            let from = match source.split_once('/') {
                None => world.look(source).await.unwrap().ino,
                Some((dir, file)) => {
                    let dir = world.look(dir).await.unwrap().ino;
                    world.fs.lookup(dir, name(file)).await.unwrap().value.ino
                }
            };
            world.copy_whole(from, copy, 0).await.unwrap();
            copy
        });
        change(&world).unwrap_or_else(|error| panic!("{what}: {error}"));
        let closed = world.run(world.close(copy));
        assert!(closed.is_ok(), "{what}: {closed:?}");
        assert!(
            world.sim.content(BUCKET, "b").unwrap() == expected,
            "{what}: the copy has other bytes"
        );
    }
}

#[test]
fn what_was_removed_is_not_saved_at_the_end_of_the_mount() {
    let world = World::new();
    let create = OpenMode {
        write: true,
        ..READ
    };
    let write = async |file: &str| {
        let fh = world.open_to_write(file, create).await.unwrap();
        world.fs.write(fh, 0, Bytes::from_static(b"bytes")).await
    };
    world.run(write("removed")).unwrap();
    world.run(world.fs.unlink(ROOT, name("removed"))).unwrap();
    let saved = || std::fs::read_dir(world.staging.path()).unwrap().count();
    assert!(world.run(world.fs.save_unstored()).is_empty());
    assert_eq!(saved(), 0);
    world.run(write("kept")).unwrap();
    let said = world.run(world.fs.save_unstored());
    assert!(
        said[0].contains("the bytes written to it are in"),
        "{said:?}"
    );
    assert_eq!(saved(), 2);
}

#[test]
fn an_open_file_that_is_replaced_keeps_reading_its_version_where_the_bucket_has_it() {
    for (world, is_versioned) in [(World::versioned(), true), (World::new(), false)] {
        world.sim.put(BUCKET, "f", "old content");
        let ino = world.run(world.look("f")).unwrap().ino;
        let fh = world.run(world.fs.open(ino, READ)).unwrap().fh;
        world.sim.put(BUCKET, "f", "another");
        let read = world.run(world.fs.read(fh, ByteRange::new(0, 100)));
        if is_versioned {
            assert_eq!(&read.unwrap()[..], b"old content");
        } else {
            let is_stale = matches!(&read, Err(FsError::File(error)) if error.is_stale());
            assert!(is_stale, "{read:?}");
        }
        world.run(world.close(fh)).unwrap();
    }
}

#[test]
fn mv_keeps_what_belongs_to_an_object_and_cp_gives_the_copy_its_own() {
    let headers = ObjectHeaders {
        content_type: Some("text/x-own".to_owned()),
        cache_control: Some("no-cache".to_owned()),
        storage_class: Some("STANDARD_IA".to_owned()),
        metadata: BTreeMap::from([("own".to_owned(), "word".to_owned())]),
        tags: Tags::These(BTreeMap::from([("team".to_owned(), "a".to_owned())])),
        ..ObjectHeaders::default()
    };
    // One copy, and several parts.
    for size in [1_000, 300 << 20] {
        let world = World::new();
        world
            .sim
            .put_pattern_with(BUCKET, "f", (size, 1), headers.clone());
        world.run(world.rename("f", "g")).unwrap();
        let moved = world.sim.stat(BUCKET, "g").unwrap().headers;
        assert_eq!(moved, headers, "mv of {size} bytes");
        world.run(world.concatenate(&["g"], "h")).unwrap();
        let copied = world.sim.stat(BUCKET, "h").unwrap().headers;
        assert_eq!(copied.tags, Tags::default(), "cp of {size} bytes");
        assert_eq!(copied.metadata.get("own"), None);
        assert_eq!(copied.storage_class, None);
        world.run(world.append("g", b"tail")).unwrap();
        let mut edited = world.sim.stat(BUCKET, "g").unwrap().headers;
        for word in ["mtime", "ctime", "grown-from"] {
            assert!(edited.metadata.remove(word).is_some());
        }
        assert_eq!(edited, headers, "append to {size} bytes");
    }
}

#[test]
fn new_objects_get_the_class_and_the_tags_of_the_mount_and_rewritten_ones_keep_theirs() {
    let tags = |word: &str| BTreeMap::from([("team".to_owned(), word.to_owned())]);
    let world = World::chosen(Limits::aws(), |config| {
        let new = &mut config.store.new_objects;
        new.storage_class = Some("STANDARD_IA".to_owned());
        new.tags = tags("ours");
    });
    let stored = |key: &str| {
        let headers = world.sim.stat(BUCKET, key).unwrap().headers;
        (headers.storage_class, headers.tags)
    };
    let infrequent = Some("STANDARD_IA".to_owned());
    // One PUT, several parts, and a copy.
    world
        .run(world.write_new("small", b"abc".to_vec()))
        .unwrap();
    world
        .run(world.write_new("large", vec![7; 40 << 20]))
        .unwrap();
    world.run(world.concatenate(&["small"], "copy")).unwrap();
    for key in ["small", "large", "copy"] {
        assert_eq!(
            stored(key),
            (infrequent.clone(), Tags::These(tags("ours"))),
            "{key}"
        );
    }
    // What has to be read to be shown is not put where reading costs, or is not possible.
    world
        .run(world.fs.mkdir(ROOT, name("dir"), DIRECTORY))
        .unwrap();
    let link = NewNode {
        kind: Kind::Symlink,
        ..NEW
    };
    let made = world.fs.symlink(ROOT, name("link"), link, name("small"));
    world.run(made).unwrap();
    for key in ["dir/", "link"] {
        assert_eq!(stored(key), (None, Tags::These(tags("ours"))), "{key}");
    }
    // Of an object in the usual class HEAD tells no class.
    let theirs = ObjectHeaders {
        tags: Tags::These(tags("theirs")),
        ..ObjectHeaders::default()
    };
    world.sim.put_pattern_with(BUCKET, "old", (10, 1), theirs);
    world.run(world.write_new("old", b"anew".to_vec())).unwrap();
    assert_eq!(stored("old"), (None, Tags::These(tags("theirs"))));
    world.run(world.append("old", b"tail")).unwrap();
    world.run(world.rename("old", "moved")).unwrap();
    assert_eq!(stored("moved"), (None, Tags::These(tags("theirs"))));
}

#[test]
fn a_file_that_is_unlinked_before_its_first_close_is_never_uploaded() {
    let world = World::new();
    let mode = OpenMode {
        write: true,
        ..READ
    };
    let created = world.fs.create(ROOT, name("temporary"), NEW, mode);
    let (_, opened) = world.run(created).unwrap();
    let before = world.sim.counters();
    world.run(world.fs.unlink(ROOT, name("temporary"))).unwrap();
    let content = Bytes::from(vec![7; 40 << 20]);
    world.run(world.fs.write(opened.fh, 0, content)).unwrap();
    let read = world.run(world.fs.read(opened.fh, ByteRange::at(30 << 20, 2)));
    assert_eq!(&read.unwrap()[..], [7, 7]);
    world.run(world.fs.fsync(opened.fh)).unwrap();
    world.run(world.close(opened.fh)).unwrap();
    assert!(spent(&world, &before).is_empty());
    assert!(world.sim.keys(BUCKET).is_empty());
}

#[test]
fn shown_owners_and_modes_are_not_what_is_stored() {
    let world = World::chosen(Limits::aws(), |config| {
        config.ownership.forced = Forced {
            uid: Some(33),
            gid: Some(34),
            mode: None,
        };
    });
    let metadata = |mode: &str| {
        let words = [("mode", mode), ("uid", "0"), ("gid", "50")];
        BTreeMap::from(words.map(|(name, value)| (name.to_owned(), value.to_owned())))
    };
    let headers = |mode: &str| ObjectHeaders {
        metadata: metadata(mode),
        ..ObjectHeaders::default()
    };
    let set_gid = (0o042_775).to_string();
    world
        .sim
        .put_pattern_with(BUCKET, "d/", (0, 1), headers(&set_gid));
    let private = (0o100_600).to_string();
    world
        .sim
        .put_pattern_with(BUCKET, "f", (10, 1), headers(&private));
    let shown = |name: &str| {
        let attr = world.run(world.look(name)).unwrap();
        (attr.mode, attr.uid, attr.gid)
    };
    assert_eq!(shown("f"), (0o600, 33, 34));
    assert_eq!(shown("d"), (0o2775, 33, 34));
    let directory = world.run(world.look("d")).unwrap().ino;
    let new = NewNode {
        uid: 1000,
        gid: 1000,
        ..DIRECTORY
    };
    let made = world.run(world.fs.mkdir(directory, name("e"), new));
    let attr = made.unwrap().value;
    assert_eq!((attr.mode, attr.uid, attr.gid), (0o2755, 33, 34));
    world.run(world.append("f", b"more")).unwrap();
    let stored = |key: &str| {
        let mut words = world.sim.stat(BUCKET, key).unwrap().headers.metadata;
        ["mode", "uid", "gid"].map(|word| words.remove(word).unwrap())
    };
    assert_eq!(stored("f"), [&private, "0", "50"]);
    // The group that a set-group-ID directory gives is the one that is stored with it.
    assert_eq!(stored("d/e/"), ["17901", "1000", "50"]);
}

#[test]
fn what_is_written_anew_over_an_archived_object_is_in_the_class_of_new_files() {
    for new in [None, Some("STANDARD_IA")] {
        let world = World::chosen(Limits::aws(), |config| {
            config.store.new_objects.storage_class = new.map(str::to_owned);
        });
        let write = OpenMode {
            read: false,
            write: true,
            ..READ
        };
        let anew = OpenMode {
            truncate: true,
            ..write
        };
        for (key, before, after, mode) in [
            ("a", "DEEP_ARCHIVE", new, anew),
            ("b", "GLACIER", new, anew),
            ("c", "GLACIER", new, write),
            ("d", "GLACIER_IR", Some("GLACIER_IR"), anew),
        ] {
            let headers = ObjectHeaders {
                storage_class: Some(before.to_owned()),
                ..ObjectHeaders::default()
            };
            world.sim.put_pattern_with(BUCKET, key, (9, 1), headers);
            let overwritten = world.run(async {
                if !mode.truncate {
                    world.truncate(key, 0).await?;
                }
                let fh = world.open_to_write(key, mode).await?;
                let fresh = Bytes::from_static(b"fresh");
                world.fs.write(fh, 0_u64, fresh).await?;
                world.close(fh).await
            });
            overwritten.unwrap();
            let stored = world.sim.stat(BUCKET, key).unwrap();
            assert_eq!(stored.headers.storage_class.as_deref(), after, "{key}");
            assert_eq!(stored.size, 5);
        }
    }
}

#[test]
fn a_directory_whose_marker_holds_bytes_is_not_removed() {
    let world = World::new();
    world.sim.put(BUCKET, "d/", "content");
    let removed = world.run(world.fs.rmdir(ROOT, name("d")));
    assert!(matches!(removed, Err(FsError::NotEmpty)), "{removed:?}");
    world
        .run(world.fs.mkdir(ROOT, name("e"), DIRECTORY))
        .unwrap();
    let replaced = world.run(world.rename("e", "d"));
    assert!(matches!(replaced, Err(FsError::NotEmpty)), "{replaced:?}");
    assert_eq!(world.sim.content(BUCKET, "d/").unwrap(), b"content");
    // Renamed, it takes them along.
    world.run(world.rename("d", "f")).unwrap();
    assert_eq!(world.sim.content(BUCKET, "f/").unwrap(), b"content");
}

#[test]
fn a_removed_directory_that_somebody_works_in_is_empty() {
    let world = World::new();
    let made = world.run(world.fs.mkdir(ROOT, name("d"), DIRECTORY));
    let ino = made.unwrap().value.ino;
    world.run(world.fs.rmdir(ROOT, name("d"))).unwrap();
    let fh = world.run(world.fs.opendir(ino)).unwrap().fh;
    let mut names = Vec::new();
    let mut take = |entry: &DirEntry| {
        names.push(entry.name.clone());
        true
    };
    world
        .run(world.fs.readdir(fh, 0, false, &mut take))
        .unwrap();
    world.fs.releasedir(fh);
    assert_eq!(names, [".", ".."]);
}
