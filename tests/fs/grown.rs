//! A file that is open here while another mount appends to it goes on with what was appended, and
//! with nothing else that becomes of the object.

use std::time::Duration;

use bytes::Bytes;
use s3fs::fs::{Fh, Ino, Invalidation, OpenMode, SetAttr, SetExtended, WriteAt};
use s3fs::limits::{Limits, MIB};
use s3fs::range::ByteRange;
use s3fs::sim::Operation;

use crate::world::{BUCKET, World};
use crate::{READ, spent};

/// A mount that reads and trusts nothing it knows, and another of the same bucket.
fn reader_and_writer() -> (World, World) {
    let reader = World::chosen(Limits::aws(), |config| {
        config.close_to_open = true;
        config.bounds.attr_ttl = Duration::ZERO;
        config.bounds.block_bytes = 4_096;
        config.bounds.readahead_bytes_max = 0;
    });
    let writer = World::over(&reader);
    (reader, writer)
}

fn open(world: &World, name: &str) -> (Ino, Fh) {
    let ino = world.run(world.look(name)).unwrap().ino;
    (ino, world.run(world.fs.open(ino, READ)).unwrap().fh)
}

/// The size that fstat(2) tells.
fn size(world: &World, (ino, fh): (Ino, Fh)) -> u64 {
    world
        .run(world.fs.getattr(ino, Some(fh)))
        .unwrap()
        .value
        .size
}

fn read(world: &World, fh: Fh, from: u64, to: u64) -> Result<String, String> {
    let read = world.run(world.fs.read(fh, ByteRange::new(from, to)));
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    read.map(text).map_err(|error| error.to_string())
}

#[test]
fn an_open_file_shows_what_another_mount_appends_to_it() {
    let (reader, writer) = reader_and_writer();
    reader.sim.put(BUCKET, "log", "one\n");
    let open = open(&reader, "log");
    assert_eq!(read(&reader, open.1, 0, 4).unwrap(), "one\n");
    for (line, at) in [(&b"two\n"[..], 4), (b"three\n", 8), (b"four\n", 14)] {
        writer.run(writer.append("log", line)).unwrap();
        let end = at + line.len() as u64;
        assert_eq!(size(&reader, open), end);
        let expected = str::from_utf8(line).unwrap();
        assert_eq!(read(&reader, open.1, at, end).unwrap(), expected);
        // The same file for whoever looks for it by name, and the kernel's page is not kept.
        assert_eq!(reader.run(reader.look("log")).unwrap().ino, open.0);
        let told = reader.fs.waiting_invalidation();
        assert_eq!(told, Some(Invalidation::Content(open.0)));
        reader.fs.content_written(open.0);
    }
    assert_eq!(
        read(&reader, open.1, 0, 99).unwrap(),
        "one\ntwo\nthree\nfour\n"
    );
}

#[test]
fn a_read_goes_on_in_the_version_that_an_append_made() {
    let (reader, writer) = reader_and_writer();
    reader.sim.put(BUCKET, "log", "0123456789".repeat(1_000));
    let (ino, fh) = open(&reader, "log");
    writer.run(writer.append("log", b"more")).unwrap();
    let before = reader.sim.counters();
    assert_eq!(read(&reader, fh, 9_996, 10_004).unwrap(), "6789more");
    let spent = spent(&reader, &before);
    assert_eq!(spent[&Operation::HeadObject], 1, "{spent:?}");
    assert_eq!(size(&reader, (ino, fh)), 10_004);
}

#[test]
fn a_read_goes_on_in_the_version_that_an_append_made_though_more_was_appended_here() {
    let (reader, writer) = reader_and_writer();
    reader.sim.put(BUCKET, "log", "AAAA");
    let (ino, fh) = open(&reader, "log");
    let mode = OpenMode {
        write: true,
        ..READ
    };
    let appending = reader.run(reader.fs.open(ino, mode)).unwrap().fh;
    let ours = Bytes::from_static(b"CC");
    let appended = reader.fs.write(appending, WriteAt::End(4), ours);
    reader.run(appended).unwrap();
    writer.run(writer.append("log", b"BB")).unwrap();
    assert_eq!(read(&reader, fh, 0, 20).unwrap(), "AAAABBCC");
    reader.run(reader.close(appending)).unwrap();
    assert_eq!(reader.sim.content(BUCKET, "log").unwrap(), b"AAAABBCC");
}

#[test]
fn a_file_may_grow_32_times_between_two_looks_and_not_more() {
    for (lines, goes_on) in [(32_u64, true), (33, false)] {
        let (reader, writer) = reader_and_writer();
        reader.sim.put(BUCKET, "log", "");
        let open = open(&reader, "log");
        for _ in 0..lines {
            writer.run(writer.append("log", b"line\n")).unwrap();
        }
        let named = reader.run(reader.look("log")).unwrap();
        assert_eq!((named.size, named.ino == open.0), (5 * lines, goes_on));
        let expected = if goes_on { 5 * lines } else { 0 };
        assert_eq!(size(&reader, open), expected);
    }
}

#[test]
fn a_large_object_grows_by_parts_and_an_open_file_with_it() {
    let (reader, writer) = reader_and_writer();
    reader.sim.put_pattern(BUCKET, "log", 64 * MIB, 1);
    let open = open(&reader, "log");
    for count in 1..3 {
        writer.run(writer.append("log", b"line\n")).unwrap();
        let end = 64 * MIB + 5 * count;
        assert_eq!(size(&reader, open), end);
        assert_eq!(read(&reader, open.1, end - 5, end).unwrap(), "line\n");
    }
}

#[test]
fn a_file_that_is_renamed_or_given_a_mode_has_still_grown() {
    let (reader, writer) = reader_and_writer();
    reader.sim.put(BUCKET, "a", "one");
    let open = open(&reader, "a");
    writer.run(writer.append("a", b"two")).unwrap();
    let ino = writer.run(writer.look("a")).unwrap().ino;
    let mode = SetAttr {
        mode: Some(0o600),
        ..SetAttr::default()
    };
    writer.run(writer.fs.setattr(ino, None, mode)).unwrap();
    writer.run(writer.rename("a", "b")).unwrap();
    writer.run(writer.rename("b", "a")).unwrap();
    assert_eq!(read(&reader, open.1, 0, 6).unwrap(), "onetwo");
    writer.run(writer.append("a", b"three")).unwrap();
    assert_eq!(size(&reader, open), 11);
    assert_eq!(read(&reader, open.1, 0, 11).unwrap(), "onetwothree");
}

#[test]
fn a_listing_does_not_part_an_open_file_from_what_was_appended() {
    let (reader, writer) = reader_and_writer();
    reader.sim.put(BUCKET, "log", "one");
    let open = open(&reader, "log");
    writer.run(writer.append("log", b"two")).unwrap();
    reader.list();
    assert_eq!(size(&reader, open), 6);
    assert_eq!(read(&reader, open.1, 0, 6).unwrap(), "onetwo");
}

#[test]
fn what_is_no_append_is_another_file() {
    type Edit = fn(&World);
    let edits: [(&str, Edit); 5] = [
        ("written anew", |writer| {
            writer
                .run(writer.write_new("f", b"ONE and more".to_vec()))
                .unwrap();
        }),
        ("its beginning overwritten, and appended to", |writer| {
            writer.run(writer.overwrite("f", 0, b"O")).unwrap();
            writer.run(writer.append("f", b"and more")).unwrap();
        }),
        ("cut, and appended to", |writer| {
            writer.run(writer.truncate("f", 2)).unwrap();
            writer.run(writer.append("f", b"X and more")).unwrap();
        }),
        ("put with the metadata of an append", |writer| {
            writer.run(writer.append("f", b"more")).unwrap();
            let headers = writer.sim.stat(BUCKET, "f").unwrap().headers;
            writer.sim.put_with(BUCKET, "f", "another, longer", headers);
        }),
        (
            "put as long as after an append, with a later time",
            |writer| {
                writer.run(writer.append("f", b"more")).unwrap();
                let mut headers = writer.sim.stat(BUCKET, "f").unwrap().headers;
                headers.metadata.insert("ctime".into(), "2000000000".into());
                writer.sim.put_with(BUCKET, "f", "another", headers);
            },
        ),
    ];
    for (what, edit) in edits {
        let (reader, writer) = reader_and_writer();
        reader.sim.put(BUCKET, "f", "one");
        let open = open(&reader, "f");
        edit(&writer);
        let read = read(&reader, open.1, 0, 20);
        assert!(read.is_err(), "{what}: {read:?}");
        assert_eq!(size(&reader, open), 3, "{what}");
        let named = reader.run(reader.look("f")).unwrap();
        assert_ne!(named.ino, open.0, "{what}");
    }
}

#[test]
fn extended_attributes_up_to_the_bound_of_the_store_leave_room_for_times_and_a_shorter_note() {
    let (reader, writer) = reader_and_writer();
    reader.sim.put(BUCKET, "f", "one");
    let ino = writer.run(writer.look("f")).unwrap().ino;
    let set = |len: usize| {
        let value = vec![b'x'; len];
        let set = SetExtended::Either;
        let set = writer.fs.set_extended(ino, "user.x".as_ref(), &value, set);
        writer.run(set).is_ok()
    };
    assert!((0..2_048).rev().any(set));
    for _ in 0..20 {
        writer.run(writer.append("f", b"more")).unwrap();
    }
    let stored = writer.sim.stat(BUCKET, "f").unwrap().headers;
    assert!((2_000..=2_048).contains(&stored.metadata_bytes()));
    assert!((1..20).contains(&stored.growth().len()));
    assert_eq!(reader.run(reader.look("f")).unwrap().size, 83);
}
