//! What the record of open files costs, and what staging holds for them.

use std::sync::Arc;

use bytes::Bytes;
use s3fs::fs::{CopyRequest, DirEntry, Fh, FsError, OpenMode};
use s3fs::range::ByteRange;
use s3fs::sim::{Fault, How, Operation};

use super::world::{BUCKET, NEW, World};
use super::{READ, ROOT, name};

const BOTH: OpenMode = OpenMode {
    write: true,
    ..READ
};

fn made(world: &World, path: &str) -> Fh {
    let made = world.run(world.fs.create(ROOT, name(path), NEW, BOTH));
    let fh = made.unwrap().1.fh;
    world.fs.told(fh, 2);
    fh
}

fn write(world: &World, fh: Fh, at: u64, bytes: Vec<u8>) {
    let written = world.fs.write(fh, at, Bytes::from(bytes));
    world.run(written).unwrap();
}

/// Copies the first byte of a file to so many positions of another, none of which join.
fn copy_often(world: &World, count: u64) -> Fh {
    let to = made(world, "to");
    let from = world.run(async {
        let ino = world.look("from").await.unwrap().ino;
        world.fs.open(ino, READ).await.unwrap().fh
    });
    for at in 0..count {
        let request = CopyRequest {
            from,
            range: ByteRange::at(0, 1),
            to,
            at,
        };
        world.run(world.fs.copy_file_range(request)).unwrap();
    }
    to
}

#[test]
fn a_copy_costs_the_journal_what_it_changes() {
    let recorded = |count| {
        let world = World::new();
        world.sim.put(BUCKET, "from", "content");
        let before = world.journal_bytes();
        copy_often(&world, count);
        world.journal_bytes() - before
    };
    let (few, many) = (recorded(100), recorded(200));
    assert!(many < 3 * few, "{few} bytes of 100 copies, {many} of 200");
}

#[test]
fn edits_of_every_kind_are_found_by_the_next_process() {
    let mut world = World::new();
    world.sim.put(BUCKET, "from", "content");
    let fh = copy_often(&world, 20);
    world.run(async {
        let fs = &world.fs;
        fs.write(fh, 30, Bytes::from_static(b"written"))
            .await
            .unwrap();
        let punched = s3fs::fs::Fallocate::Zero { keep_size: true };
        let punch = fs.fallocate(fh, ByteRange::at(5, 10), punched);
        punch.await.unwrap();
        let size = s3fs::fs::SetAttr {
            size: Some(35),
            ..Default::default()
        };
        let ino = world.look("to").await.unwrap().ino;
        fs.setattr(ino, Some(fh), size).await.unwrap();
        let size = s3fs::fs::SetAttr {
            size: Some(40),
            ..size
        };
        fs.setattr(ino, Some(fh), size).await.unwrap();
    });
    world.kill();
    let expected = b"ccccc\0\0\0\0\0\0\0\0\0\0ccccc\0\0\0\0\0\0\0\0\0\0writt\0\0\0\0\0";
    let all = ByteRange::at(0, 100);
    assert_eq!(world.run(world.fs.read(fh, all)).unwrap(), &expected[..]);
    world.run(world.fs.flush(fh)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "to").unwrap(), expected);
}

#[test]
fn a_thousand_failed_fsyncs_take_no_more_room_than_one() {
    let world = World::new();
    let fh = made(&world, "f");
    write(&world, fh, 0, vec![1; 300_000]);
    let refused = How::Status(403, "AccessDenied");
    let never = Fault::on(Operation::PutObject, refused);
    world.sim.fault(never.times(u64::MAX));
    let fs = Arc::clone(&world.fs);
    let rewrite = |n: u64| {
        write(&world, fh, 100_000 + n % 3 * 5000, vec![n as u8; 4000]);
        let failed = world.run(fs.fsync(fh));
        assert!(failed.is_err());
        world.staged_bytes()
    };
    let few = (0..10).map(rewrite).max();
    let many = (10..1000).map(rewrite).max();
    assert!(many <= few, "{few:?} bytes at first, then {many:?}");
    world.sim.clear_faults();
    world.run(fs.fsync(fh)).unwrap();
    assert_eq!(world.staged_bytes(), 0);
    let content = world.sim.content(BUCKET, "f").unwrap();
    assert_eq!(content[100_000..104_000], [999_u64 as u8; 4000]);
    assert_eq!(content[104_000..105_000], [1; 1000]);
}

#[test]
fn a_record_that_cannot_be_read_costs_what_it_was_of_and_nothing_else() {
    /// The kinds of records: `file::record`, `fs::kept`.
    const FILE: u8 = 1;
    let mut world = World::new();
    let (lost, other) = (made(&world, "lost"), made(&world, "other"));
    write(&world, lost, 0, b"lost".into());
    write(&world, other, 0, b"kept".into());
    world.kill_and_spoil(FILE, 1);
    let all = ByteRange::at(0, 100);
    assert!(matches!(
        world.run(world.fs.read(lost, all)),
        Err(FsError::Lost)
    ));
    assert!(matches!(
        world.run(world.fs.flush(lost)),
        Err(FsError::Lost)
    ));
    assert_eq!(world.run(world.fs.read(other, all)).unwrap(), "kept");
    // Nor does the process after this one meet it.
    world.kill();
    world.run(world.fs.flush(other)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "other").unwrap(), b"kept");
    assert_eq!(world.sim.keys(BUCKET), ["other"]);
}

#[test]
fn records_of_every_kind_may_be_unreadable_and_the_mount_goes_on() {
    for kind in [1, 16, 17, 18, 19, 20] {
        let mut world = World::new();
        world.sim.put(BUCKET, "d/f", "content");
        let directory = world.run(world.fs.opendir(ROOT)).unwrap().fh;
        world.fs.told(directory, 4);
        let mut take = |_: &DirEntry| true;
        let listed = world.fs.readdir(directory, 0, true, &mut take);
        world.run(listed).unwrap();
        world.run(world.look("d/f")).unwrap();
        let fh = made(&world, "open");
        write(&world, fh, 0, b"content".into());
        world.kill_and_spoil(kind, usize::MAX);
        let _ = world.run(world.fs.flush(fh));
        world.run(world.write_new("new", b"new".into())).unwrap();
        let all = ByteRange::at(0, 100);
        assert_eq!(world.run(world.read("d/f", all)).unwrap(), "content");
        world.kill();
        assert_eq!(world.run(world.read("new", all)).unwrap(), "new", "{kind}");
    }
}
