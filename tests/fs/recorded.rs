//! What the record of open files costs, and what staging holds for them.

use std::sync::Arc;

use bytes::Bytes;
use s3fs::fs::{CopyRequest, DirEntry, Fh, FsError, OpenMode, SetAttr};
use s3fs::limits::Limits;
use s3fs::range::ByteRange;
use s3fs::sim::{Fault, How, Operation};

use super::world::{BUCKET, NEW, World};
use super::{READ, ROOT, name};

const BOTH: OpenMode = OpenMode {
    write: true,
    ..READ
};

/// Parts of so many bytes; the limits are AWS's otherwise.
fn parts_of(bytes: u64) -> Limits {
    Limits {
        part_size_min: 4,
        upload_part_size: bytes,
        ..Limits::aws()
    }
}

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
fn a_change_of_mode_costs_the_journal_what_it_changes() {
    let recorded = |count: u16| {
        let world = World::new();
        world.sim.put(BUCKET, "from", "content");
        copy_often(&world, count.into());
        let before = world.journal_bytes();
        world.run(async {
            let ino = world.look("to").await.unwrap().ino;
            for number in 0..count {
                let mode = SetAttr {
                    mode: Some(0o600 + number % 64),
                    ..SetAttr::default()
                };
                world.fs.setattr(ino, None, mode).await.unwrap();
            }
        });
        world.journal_bytes() - before
    };
    let (few, many) = (recorded(80), recorded(160));
    assert!(many < 3 * few, "{few} bytes of 80 changes, {many} of 160");
}

#[test]
fn a_part_that_is_sent_ahead_costs_the_journal_what_it_changes() {
    let recorded = |count: u64| {
        let world = World::chosen(parts_of(1024), |_| ());
        let fh = made(&world, "f");
        let before = world.journal_bytes();
        for number in 0..count + 2 {
            write(&world, fh, number * 1024, vec![number as u8; 1024]);
        }
        let sent = || world.sim.counters().of(Operation::UploadPart).requests;
        world.wait_until(|| sent() >= count);
        world.journal_bytes() - before
    };
    let (few, many) = (recorded(40), recorded(80));
    assert!(many < 3 * few, "{few} bytes of 40 parts, {many} of 80");
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
        let size = SetAttr {
            size: Some(35),
            ..Default::default()
        };
        let ino = world.look("to").await.unwrap().ino;
        fs.setattr(ino, Some(fh), size).await.unwrap();
        let size = SetAttr {
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

/// What is done to a file of parts of 1 KiB; the last tells how it ends.
async fn do_step(world: &World, fh: Fh, step: usize) {
    let sent = || world.sim.counters().of(Operation::UploadPart).requests;
    let put = |at: u64, len: usize, byte: u8| {
        let put = world.fs.write(fh, at, Bytes::from(vec![byte; len]));
        async { put.await.unwrap() }
    };
    let set = |size, mode| {
        let set = SetAttr {
            size,
            mode,
            ..SetAttr::default()
        };
        async move {
            let ino = world.look("f").await.unwrap().ino;
            world.fs.setattr(ino, Some(fh), set).await.unwrap();
        }
    };
    match step {
        0 => {
            for number in 0..8 {
                put(number * 1024, 1024, number as u8).await;
            }
        }
        1 | 4 | 7 => {
            // Those that are on their way, if any more are.
            for _ in 0..30 {
                let before = sent();
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                if before == sent() && before > 0 {
                    break;
                }
            }
        }
        2 => set(None, Some(0o600)).await,
        3 => {
            for number in 8..24 {
                put(number * 1024, 1024, number as u8).await;
            }
        }
        5 => put(2048, 10, 77).await,
        6 => {
            set(Some(10_000), None).await;
            put(10_000, 9000, 55).await;
        }
        8 => set(None, Some(0o640)).await,
        _ => world.fs.flush(fh).await.unwrap(),
    }
}

#[test]
fn a_file_that_is_sent_ahead_goes_on_wherever_its_process_was_killed() {
    const STEPS: usize = 9;
    let mut content: Vec<u8> = (0..10_000).map(|at| (at / 1024) as u8).collect();
    content[2048..2058].fill(77);
    content.resize(19_000, 55);
    for memory in [16 << 10, 16 << 20] {
        for killed_before in 0..=STEPS {
            let mut world = World::chosen(parts_of(1024), |config| {
                config.bounds.staging_memory_bytes_max = memory;
            });
            let fh = made(&world, "f");
            for step in 0..=STEPS {
                if step == killed_before {
                    world.kill();
                }
                world.run(do_step(&world, fh, step));
            }
            assert!(
                world.sim.content(BUCKET, "f").unwrap() == content,
                "killed before {killed_before}"
            );
            let stored = world.sim.stat(BUCKET, "f").unwrap();
            assert_eq!(stored.headers.metadata["mode"], (0o100_640).to_string());
            // One may be unknown: here a killed process goes on for a moment after its last record.
            let left = world.sim.uploads(BUCKET);
            assert!(left.len() <= 1, "killed before {killed_before}: {left:?}");
        }
    }
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
