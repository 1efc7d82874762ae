//! What another client makes of a name or of an object while this one has a file of it: nothing of
//! the other's is overwritten, and what is only appended goes behind it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use s3fs::fs::{
    CopyRequest, Fh, FsError, FsResult, Ino, OpenMode, RenameMode, SetAttr, SetExtended, WriteAt,
};
use s3fs::limits::{Limits, MIB};
use s3fs::range::ByteRange;
use s3fs::sim::{Fault, How, Operation, Rules};
use s3fs::store::dialect::Dialect;

use crate::world::{BUCKET, NEW, World};
use crate::{DIRECTORY, READ, ROOT, spent};

const WRITE: OpenMode = OpenMode {
    read: true,
    write: true,
    ..READ
};

fn content(world: &World, key: &str) -> String {
    String::from_utf8(world.sim.content(BUCKET, key).unwrap()).unwrap()
}

fn is_stale(result: &FsResult<()>) -> bool {
    matches!(result, Err(FsError::File(error)) if error.is_stale())
}

/// Appends and does not close.
fn append_to(world: &World, name: &str, bytes: &'static [u8]) -> Fh {
    let fh = world.run(world.open_to_write(name, WRITE)).unwrap();
    let bytes = Bytes::from_static(bytes);
    world
        .run(world.fs.write(fh, WriteAt::End(0), bytes))
        .unwrap();
    fh
}

#[test]
fn what_another_client_made_where_nothing_was_is_not_overwritten() {
    let world = World::new();
    assert!(world.run(world.look("n")).is_err());
    world.sim.put(BUCKET, "n", "theirs");
    let closed = world.run(world.overwrite("n", 0, b"mine"));
    assert!(is_stale(&closed), "{closed:?}");
    assert_eq!(content(&world, "n"), "theirs");
    // What was written is saved, and the name shows the other's.
    assert!(saved(&world).contains(&b"mine".to_vec()));
    assert_eq!(world.run(world.look("n")).unwrap().size, 6);
}

#[test]
fn an_edit_of_an_empty_file_does_not_overwrite_what_another_client_stored() {
    let truncating = OpenMode {
        truncate: true,
        ..WRITE
    };
    let write = |world: &World, fh, at, bytes| {
        let bytes = Bytes::from_static(bytes);
        world
            .run(world.fs.write(fh, WriteAt::Offset(at), bytes))
            .unwrap();
    };
    // (what was there, how it is opened, whether it is stored once before, where is written)
    for (before, mode, is_synced, at) in [
        ("", WRITE, false, 0),
        ("", WRITE, false, 10),
        ("", truncating, true, 0),
        ("old", truncating, true, 0),
        // All of it is overwritten.
        ("old", WRITE, false, 0),
    ] {
        let what = format!("{before:?}, cut: {}, at {at}", mode.truncate);
        let world = World::new();
        world.sim.put(BUCKET, "f", before);
        let fh = world.run(world.open_to_write("f", mode)).unwrap();
        if is_synced {
            world.run(world.fs.fsync(fh)).unwrap();
        }
        world.sim.put(BUCKET, "f", "theirs, longer");
        write(&world, fh, at, b"mine");
        let closed = world.run(world.close(fh));
        assert!(is_stale(&closed), "{what}: {closed:?}");
        assert_eq!(content(&world, "f"), "theirs, longer", "{what}");
    }
}

#[test]
fn a_file_that_is_cut_to_nothing_replaces_whatever_is_there() {
    let world = World::new();
    for (name, cuts) in [("opened", false), ("cut", true)] {
        assert!(world.run(world.look(name)).is_err());
        world.sim.put(BUCKET, name, "theirs");
        if cuts {
            let cut = SetAttr {
                size: Some(0),
                ..SetAttr::default()
            };
            let fh = world.run(world.open_to_write(name, WRITE)).unwrap();
            let ino = world.run(world.look(name)).unwrap().ino;
            world.run(world.fs.setattr(ino, Some(fh), cut)).unwrap();
            let mine = Bytes::from_static(b"mine");
            world.run(world.fs.write(fh, 0, mine)).unwrap();
            world.run(world.close(fh)).unwrap();
        } else {
            world.run(world.write_new(name, b"mine".into())).unwrap();
        }
        assert_eq!(content(&world, name), "mine");
    }
}

#[test]
fn what_is_set_on_a_directory_goes_with_the_marker_that_another_client_made_meanwhile() {
    let world = World::new();
    world.sim.put(BUCKET, "d/f", "x");
    let ino = world.run(world.look("d")).unwrap().ino;
    let (ours, theirs) = (OsStr::new("user.ours"), OsStr::new("user.theirs"));
    let set = |ino, set: SetAttr| world.run(world.fs.setattr(ino, None, set));
    let mode = SetAttr {
        mode: Some(0o700),
        ..SetAttr::default()
    };
    set(ino, mode).unwrap();
    let either = SetExtended::Either;
    world
        .run(world.fs.set_extended(ino, ours, b"1", either))
        .unwrap();
    // The other client, too, is a mount.
    let other = World::over(&world);
    let there = other.run(other.look("d")).unwrap().ino;
    let owner = SetAttr {
        mode: Some(0o755),
        uid: Some(7),
        ..SetAttr::default()
    };
    other.run(other.fs.setattr(there, None, owner)).unwrap();
    other
        .run(other.fs.set_extended(there, theirs, b"2", either))
        .unwrap();
    assert_eq!(other.run(other.fs.sync_all()).len(), 0);
    assert_eq!(world.run(world.fs.sync_all()).len(), 0);
    let world = World::over(&world);
    let both = world.run(world.look("d")).unwrap();
    assert_eq!((both.mode, both.uid), (0o700, 7));
    for (name, value) in [(ours, b"1"), (theirs, b"2")] {
        let kept = world.run(world.fs.extended(both.ino, name)).unwrap();
        assert_eq!(kept, value);
    }
}

#[test]
fn what_is_set_on_a_directory_is_added_to_what_another_client_has_set_meanwhile() {
    let world = World::new();
    let (ours, theirs, gone) = ("user.ours", "user.theirs", "user.gone");
    let either = SetExtended::Either;
    let mark = |world: &World, ino, name, value: &'static [u8]| {
        let set = world.fs.set_extended(ino, OsStr::new(name), value, either);
        world.run(set).unwrap();
    };
    let set = |world: &World, ino, set| {
        world.run(world.fs.setattr(ino, None, set)).unwrap();
    };
    let made = world.fs.mkdir(ROOT, OsStr::new("d"), DIRECTORY);
    let ino = world.run(made).unwrap().value.ino;
    mark(&world, ino, gone, b"0");
    assert_eq!(world.run(world.fs.sync_all()).len(), 0);
    // The other client sets an owner and another attribute.
    let other = World::over(&world);
    let there = other.run(other.look("d")).unwrap().ino;
    let owner = SetAttr {
        uid: Some(7),
        ..SetAttr::default()
    };
    set(&other, there, owner);
    mark(&other, there, theirs, b"2");
    assert_eq!(other.run(other.fs.sync_all()).len(), 0);
    // That is not known here.
    let mode = SetAttr {
        mode: Some(0o700),
        ..SetAttr::default()
    };
    set(&world, ino, mode);
    mark(&world, ino, ours, b"1");
    let removed = world.fs.remove_extended(ino, OsStr::new(gone));
    world.run(removed).unwrap();
    assert_eq!(world.run(world.fs.sync_all()).len(), 0);
    let both = world.run(world.look("d")).unwrap();
    assert_eq!((both.mode, both.uid), (0o700, 7));
    let fresh = World::over(&world);
    let both = fresh.run(fresh.look("d")).unwrap();
    assert_eq!((both.mode, both.uid), (0o700, 7));
    let names = fresh.run(fresh.fs.extended_names(both.ino)).unwrap();
    assert_eq!(names, [ours, theirs]);
}

/// What was written to files that could not be stored.
fn saved(world: &World) -> Vec<Vec<u8>> {
    let saved = std::fs::read_dir(world.staging.path()).unwrap();
    let saved = saved.filter_map(|entry| std::fs::read(entry.unwrap().path()).ok());
    saved.collect()
}

#[test]
fn the_name_of_a_file_that_met_another_client_is_theirs_before_its_last_close() {
    for creates in [None, Some(false), Some(true)] {
        let world = World::new();
        let fh = match creates {
            None => {
                world.sim.put(BUCKET, "f", "old");
                world.run(world.open_to_write("f", WRITE)).unwrap()
            }
            Some(exclusive) => {
                let mode = OpenMode { exclusive, ..WRITE };
                let created = world.fs.create(Ino(1), OsStr::new("f"), NEW, mode);
                world.run(created).unwrap().1.fh
            }
        };
        let mine = Bytes::from_static(b"M");
        world.run(world.fs.write(fh, 1, mine.clone())).unwrap();
        world.sim.put(BUCKET, "f", "theirs");
        let closed = world.run(world.fs.flush(fh));
        match creates {
            Some(true) => assert!(closed.is_err(), "{creates:?}"),
            _ => assert!(is_stale(&closed), "{closed:?}"),
        }
        // The last close of it has not come yet.
        assert_eq!(world.run(world.look("f")).unwrap().size, 6, "{creates:?}");
        world.run(world.overwrite("f", 0, b"T")).unwrap();
        assert_eq!(content(&world, "f"), "Theirs");
        // The file has no name any more, and is not published though there is room for it again.
        world.sim.delete(BUCKET, "f");
        assert!(is_stale(&world.run(world.fs.write(fh, 1, mine))));
        assert!(is_stale(&world.run(world.fs.fsync(fh))));
        let _ = world.run(world.fs.release(fh));
        assert_eq!(world.sim.keys(BUCKET), Vec::<String>::new());
        let is_mine = |bytes: &Vec<u8>| bytes.len() >= 2 && bytes[1] == b'M';
        assert!(saved(&world).iter().any(is_mine), "{creates:?}");
    }
}

#[test]
fn a_copy_whose_source_another_client_replaced_keeps_its_name() {
    let world = World::new();
    world.sim.put(BUCKET, "from", vec![b'f'; 100]);
    world.sim.put(BUCKET, "to", "old");
    let from = world.run(world.look("from")).unwrap().ino;
    let fh = world.run(world.open_to_write("to", WRITE)).unwrap();
    world.run(world.copy_whole(from, fh, 0)).unwrap();
    world.sim.put(BUCKET, "from", "other");
    assert!(is_stale(&world.run(world.fs.flush(fh))));
    // What cannot be stored can be replaced by what can.
    let ino = world.run(world.look("to")).unwrap().ino;
    let cut = SetAttr {
        size: Some(0),
        ..SetAttr::default()
    };
    world.run(world.fs.setattr(ino, Some(fh), cut)).unwrap();
    let new = Bytes::from_static(b"new");
    world.run(world.fs.write(fh, 0, new)).unwrap();
    world.run(world.close(fh)).unwrap();
    assert_eq!(content(&world, "to"), "new");
}

#[test]
fn a_copy_out_of_what_had_the_name_before_keeps_the_name_when_that_is_gone() {
    let world = World::chosen(Limits::aws(), |config| config.close_to_open = true);
    world.sim.put(BUCKET, "f", vec![b'o'; 100]);
    let old = world.run(world.open_to_write("f", READ)).unwrap();
    world.sim.put(BUCKET, "f", "theirs");
    // The name is looked up anew.
    let stale = world.run(world.open_to_write("f", WRITE));
    assert!(matches!(stale, Err(FsError::StaleInode)), "{stale:?}");
    let fh = world.run(world.open_to_write("f", WRITE)).unwrap();
    let request = CopyRequest {
        from: old,
        range: ByteRange::at(0, 100),
        to: fh,
        at: 0,
    };
    world.run(world.fs.copy_file_range(request)).unwrap();
    assert!(is_stale(&world.run(world.fs.flush(fh))));
    // Nobody else was at the object that the file is of.
    assert_eq!(world.run(world.look("f")).unwrap().size, 100);
    let _ = world.run(world.fs.release(fh));
    assert_eq!(content(&world, "f"), "theirs");
}

#[test]
fn a_commit_that_met_another_client_at_its_source_and_its_own_object_loses_its_name() {
    for creates in [false, true] {
        let world = World::new();
        world.sim.put(BUCKET, "from", vec![b'f'; 100]);
        let from = world.run(world.look("from")).unwrap().ino;
        let fh = if creates {
            let mode = OpenMode {
                exclusive: true,
                ..WRITE
            };
            let created = world.fs.create(Ino(1), OsStr::new("to"), NEW, mode);
            world.run(created).unwrap().1.fh
        } else {
            world.sim.put(BUCKET, "to", "old");
            world.run(world.open_to_write("to", WRITE)).unwrap()
        };
        world.run(world.copy_whole(from, fh, 0)).unwrap();
        world.sim.put(BUCKET, "from", "other");
        world.sim.put(BUCKET, "to", "theirs");
        let closed = world.run(world.fs.flush(fh));
        match creates {
            true => assert_eq!(
                closed.unwrap_err().to_string(),
                "s3://bucket/to: exists already"
            ),
            false => assert!(is_stale(&closed), "{closed:?}"),
        }
        // The last close of it has not come yet.
        assert_eq!(world.run(world.look("to")).unwrap().size, 6, "{creates}");
        let _ = world.run(world.fs.release(fh));
        assert_eq!(content(&world, "to"), "theirs");
    }
}

#[test]
fn a_cut_to_nothing_that_a_rename_has_stored_replaces_nothing_later() {
    let world = World::new();
    world.sim.put(BUCKET, "old", "");
    let fh = world.run(world.open_to_write("old", WRITE)).unwrap();
    let ino = world.run(world.look("old")).unwrap().ino;
    let cut = SetAttr {
        size: Some(0),
        ..SetAttr::default()
    };
    world.run(world.fs.setattr(ino, Some(fh), cut)).unwrap();
    let (old, new) = ((Ino(1), OsStr::new("old")), (Ino(1), OsStr::new("new")));
    world
        .run(world.fs.rename(old, new, RenameMode::Replace))
        .unwrap();
    world.sim.put(BUCKET, "new", "theirs");
    let mine = Bytes::from_static(b"mine");
    world.run(world.fs.write(fh, 0, mine)).unwrap();
    assert!(is_stale(&world.run(world.close(fh))));
    assert_eq!(content(&world, "new"), "theirs");
}

#[test]
fn an_append_goes_behind_what_another_client_made_where_nothing_was() {
    let world = World::new();
    assert!(world.run(world.look("n")).is_err());
    world.sim.put(BUCKET, "n", "theirs\n");
    world.run(world.append("n", b"mine\n")).unwrap();
    assert_eq!(content(&world, "n"), "theirs\nmine\n");
    assert_eq!(world.run(world.look("n")).unwrap().size, 12);
    // And so does nothing at all.
    assert!(world.run(world.look("touched")).is_err());
    world.sim.put(BUCKET, "touched", "theirs");
    world.run(world.append("touched", b"")).unwrap();
    assert_eq!(content(&world, "touched"), "theirs");
}

#[test]
fn an_append_goes_behind_what_another_client_made_of_the_object() {
    let cases: [(&str, &str, Option<&str>); 4] = [
        ("grown", "line\nother\n", Some("line\nother\nmore\n")),
        ("new", "N\n", Some("N\nmore\n")),
        ("emptied", "", Some("more\n")),
        ("same", "line\n", Some("line\nmore\n")),
    ];
    let world = World::new();
    for (name, theirs, expected) in cases {
        world.run(world.write_new(name, b"line\n".into())).unwrap();
        let fh = append_to(&world, name, b"more\n");
        world.sim.put(BUCKET, name, theirs.to_owned());
        let before = world.sim.counters();
        world.run(world.close(fh)).unwrap();
        assert_eq!(Some(content(&world, name).as_str()), expected, "{name}");
        let heads = spent(&world, &before).remove(&Operation::HeadObject);
        let is_other = name != "same";
        assert_eq!(heads, is_other.then_some(1), "{name}");
        // What is read on goes on from there.
        assert!(world.run(world.append(name, b"end\n")).is_ok());
        assert!(content(&world, name).ends_with("more\nend\n"));
    }
    // Where it is gone a new object has what was appended.
    let fh = append_to(&world, "grown", b"again\n");
    world.sim.delete(BUCKET, "grown");
    world.run(world.close(fh)).unwrap();
    assert_eq!(content(&world, "grown"), "again\n");
}

#[test]
fn an_append_to_an_empty_object_goes_behind_what_another_client_wrote() {
    let world = World::new();
    world.run(world.write_new("log", Vec::new())).unwrap();
    let fh = append_to(&world, "log", b"mine\n");
    world.sim.put(BUCKET, "log", "theirs\n");
    world.run(world.close(fh)).unwrap();
    assert_eq!(content(&world, "log"), "theirs\nmine\n");
}

#[test]
fn an_append_keeps_the_attributes_that_another_client_gave_the_object() {
    let world = World::new();
    let other = World::over(&world);
    world.run(world.write_new("log", b"one\n".into())).unwrap();
    let fh = append_to(&world, "log", b"mine\n");
    let ino = other.run(other.look("log")).unwrap().ino;
    let mode = SetAttr {
        mode: Some(0o600),
        ..SetAttr::default()
    };
    other.run(other.fs.setattr(ino, None, mode)).unwrap();
    other.run(other.append("log", b"theirs\n")).unwrap();
    world.run(world.close(fh)).unwrap();
    assert_eq!(content(&world, "log"), "one\ntheirs\nmine\n");
    let stored = world.sim.stat(BUCKET, "log").unwrap().headers.metadata;
    assert_eq!(stored["mode"], (0o100_600).to_string());
    assert_eq!(world.run(world.look("log")).unwrap().mode, 0o600);
}

#[test]
fn an_append_does_not_take_those_who_read_to_another_clients_object() {
    let world = World::new();
    world.sim.put(BUCKET, "log", "AAAAAAAA");
    let ino = world.run(world.look("log")).unwrap().ino;
    let reader = world.run(world.fs.open(ino, READ)).unwrap().fh;
    let read = |from, to| world.run(world.fs.read(reader, ByteRange::new(from, to)));
    assert_eq!(&read(0, 4).unwrap()[..], b"AAAA");
    // Of another mount: it has grown, and both go on.
    let other = World::over(&world);
    other.run(other.append("log", b"BB")).unwrap();
    let fh = append_to(&world, "log", b"CC");
    world.run(world.close(fh)).unwrap();
    assert_eq!(content(&world, "log"), "AAAAAAAABBCC");
    assert_eq!(&read(4, 12).unwrap()[..], b"AAAABBCC");
    // Another object.
    let fh = append_to(&world, "log", b"DD");
    world.sim.put(BUCKET, "log", "EEEEEEEEEEEEEEEEEEEE");
    let closed = world.run(world.close(fh));
    assert!(is_stale(&closed), "{closed:?}");
    assert_eq!(content(&world, "log"), "EEEEEEEEEEEEEEEEEEEE");
    let rest = read(4, 20);
    assert!(rest.as_ref().is_err() || &rest.unwrap()[..] == b"AAAABBCCDD");
    world.run(world.fs.release(reader)).unwrap();
    // Nobody reads: it goes behind.
    let fh = append_to(&world, "log", b"FF");
    world.sim.put(BUCKET, "log", "GG");
    world.run(world.close(fh)).unwrap();
    assert_eq!(content(&world, "log"), "GGFF");
}

#[test]
fn an_edit_that_is_more_than_appends_is_told_of_the_other_client() {
    let world = World::new();
    for name in ["before", "after"] {
        world.run(world.write_new(name, b"line\n".into())).unwrap();
        let fh = world.run(world.open_to_write(name, WRITE)).unwrap();
        let mut writes = [(WriteAt::End(0), "more\n"), (WriteAt::Offset(0), "L")];
        if name == "before" {
            writes.reverse();
        }
        for (at, bytes) in writes {
            world.run(world.fs.write(fh, at, bytes.into())).unwrap();
        }
        world.sim.put(BUCKET, name, "theirs");
        let closed = world.run(world.close(fh));
        assert!(is_stale(&closed), "{name}: {closed:?}");
        assert_eq!(content(&world, name), "theirs");
    }
}

#[test]
fn an_append_to_a_large_object_is_planned_again_by_parts() {
    let world = World::new();
    world.sim.put_pattern(BUCKET, "log", 16 * MIB, 1);
    let fh = append_to(&world, "log", b"mine\n");
    world.sim.put_pattern(BUCKET, "log", 17 * MIB, 2);
    let before = world.sim.counters();
    world.run(world.close(fh)).unwrap();
    assert_eq!(world.sim.stat(BUCKET, "log").unwrap().size, 17 * MIB + 5);
    assert!(world.sim.uploads(BUCKET).is_empty());
    let copied = spent(&world, &before).remove(&Operation::UploadPartCopy);
    assert!(copied.is_some(), "copied by the store");
}

#[test]
fn an_append_in_place_goes_behind_what_another_client_added() {
    for theirs in ["line\nother\n", "LINE\n"] {
        let world = World::of(Rules::express(), Dialect::express(), false);
        world.run(world.write_new("own", b"line\n".into())).unwrap();
        let is_first = AtomicBool::new(true);
        world.sim.on_request(move |sim, request| {
            if request.operation == Operation::PutObject && is_first.swap(false, Ordering::SeqCst) {
                sim.put(BUCKET, "own", theirs);
            }
        });
        world.run(world.append("own", b"more\n")).unwrap();
        assert_eq!(content(&world, "own"), format!("{theirs}more\n"));
    }
}

/// The other's line came in between, so what is there is not what was sent.
#[test]
fn a_line_whose_answer_was_lost_is_not_appended_twice() {
    for is_followed in [false, true] {
        let world = World::new();
        world.run(world.write_new("log", b"line\n".into())).unwrap();
        world
            .sim
            .fault(Fault::on(Operation::PutObject, How::ResetAfter));
        let times = AtomicBool::new(true);
        world.sim.on_request(move |sim, request| {
            let is_ours = sim.content(BUCKET, "log").unwrap().ends_with(b"mine\n");
            if is_followed
                && request.operation == Operation::PutObject
                && is_ours
                && times.swap(false, Ordering::SeqCst)
            {
                sim.put(BUCKET, "log", "line\nmine\nother\n");
            }
        });
        world.run(world.append("log", b"mine\n")).unwrap();
        let other = if is_followed { "other\n" } else { "" };
        assert_eq!(content(&world, "log"), format!("line\nmine\n{other}"));
    }
}

/// No answer at all came to the first close; the next one finds the line there.
#[test]
fn a_line_of_a_close_that_failed_without_an_answer_is_not_appended_twice() {
    for theirs in ["", "other\n"] {
        let mut world = World::new();
        world.run(world.write_new("log", b"line\n".into())).unwrap();
        let fh = append_to(&world, "log", b"mine\n");
        world.sim.fault(Fault {
            times: 100,
            ..Fault::on(Operation::PutObject, How::ResetAfter)
        });
        // Every answer is lost, those of the store's own second look among them.
        world.sim.fault(Fault {
            times: 100,
            ..Fault::on(Operation::HeadObject, How::Reset)
        });
        assert!(world.run(world.fs.fsync(fh)).is_err());
        world.sim.clear_faults();
        let now = content(&world, "log");
        assert_eq!(now, "line\nmine\n");
        if !theirs.is_empty() {
            world.sim.put(BUCKET, "log", format!("{now}{theirs}"));
        }
        let bytes = Bytes::from_static(b"end\n");
        world
            .run(world.fs.write(fh, WriteAt::End(0), bytes))
            .unwrap();
        if theirs.is_empty() {
            world.fs.told(fh, 1);
            world.kill();
        }
        world.run(world.close(fh)).unwrap();
        assert_eq!(content(&world, "log"), format!("line\nmine\n{theirs}end\n"));
    }
}

/// Appends lines of this name by a client of its own.
fn log_lines(world: &World, name: &'static str, lines: u32) {
    for number in 0..lines {
        let line: &'static [u8] = Box::leak(format!("{name}{number:03}\n").into_bytes().into());
        world.run(world.append("log", line)).unwrap();
    }
}

#[test]
fn of_200_lines_that_two_clients_append_each_is_there_once() {
    let world = World::new();
    let other = World::over(&world);
    std::thread::scope(|scope| {
        scope.spawn(|| log_lines(&world, "a", 100));
        scope.spawn(|| log_lines(&other, "b", 100));
    });
    let log = content(&world, "log");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 200, "{log}");
    assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), 200, "{log}");
    for client in ["a", "b"] {
        let own = lines.iter().filter(|line| line.starts_with(client));
        assert!(own.is_sorted(), "{log}");
    }
}

/// What the store holds after a rename, when another client stores something between the copy and
/// the delete.
fn renamed_beside_another(
    rules: Rules,
    dialect: Dialect,
    directory: bool,
) -> Vec<(String, String)> {
    let world = World::of(rules, dialect, false);
    let (from, to) = if directory { ("d", "e") } else { ("d/f", "e") };
    for key in ["d/f", "d/g"] {
        world.sim.put(BUCKET, key, "mine");
    }
    let is_first = AtomicBool::new(true);
    world.sim.on_request(move |sim, request| {
        let is_delete = matches!(
            request.operation,
            Operation::DeleteObject | Operation::DeleteObjects
        );
        if is_delete && is_first.swap(false, Ordering::SeqCst) {
            sim.put(BUCKET, "d/f", "theirs");
        }
    });
    world.run(world.rename(from, to)).unwrap();
    world.sim.clear_hook();
    let keys = world.sim.keys(BUCKET).into_iter();
    keys.map(|key| (key.clone(), content(&world, &key)))
        .collect()
}

#[test]
fn what_another_client_stores_while_a_file_is_renamed_stays_where_deletes_have_conditions() {
    let mut rules = Rules::seaweedfs();
    rules.writes.renames = false;
    let honouring = [
        (Rules::aws(), Dialect::aws()),
        (rules, Dialect::seaweedfs()),
    ];
    for (rules, dialect) in honouring {
        let held = |directory| renamed_beside_another(rules.clone(), dialect.clone(), directory);
        let expected = |objects: &[(&str, &str)]| {
            let objects = objects.iter().copied();
            let objects = objects.map(|(key, bytes)| (key.to_owned(), bytes.to_owned()));
            objects.collect::<Vec<_>>()
        };
        assert_eq!(
            held(false),
            expected(&[("d/f", "theirs"), ("d/g", "mine"), ("e", "mine")])
        );
        assert_eq!(
            held(true),
            expected(&[("d/f", "theirs"), ("e/f", "mine"), ("e/g", "mine")])
        );
    }
}
