//! What is sent to the store while a file is written, and what becomes of it: seen by callers, by
//! other clients, and by who looks for bytes that could not be stored.

use std::path::PathBuf;

use bytes::Bytes;
use s3fs::fs::{CopyRequest, Fh, FsError, OpenMode};
use s3fs::limits::{Limits, MIB};
use s3fs::range::ByteRange;
use s3fs::sim::{Fault, How, Operation};

use super::world::{BUCKET, NEW, World};
use super::{READ, ROOT, name};

const BOTH: OpenMode = OpenMode {
    write: true,
    ..READ
};

const WRITES: [Operation; 4] = [
    Operation::PutObject,
    Operation::CreateMultipartUpload,
    Operation::UploadPart,
    Operation::CompleteMultipartUpload,
];

/// Parts of 1 MiB; the limits are AWS's otherwise.
fn small_parts() -> Limits {
    Limits {
        part_size_min: MIB,
        upload_part_size: MIB,
        ..Limits::aws()
    }
}

/// So much memory and disk for staged bytes.
fn bounded(memory: u64, disk: u64) -> World {
    World::chosen(small_parts(), |config| {
        config.bounds.staging_memory_bytes_max = memory;
        config.bounds.staging_disk_bytes_max = disk;
    })
}

fn content(mib: u64) -> Vec<u8> {
    let words = (0..mib * MIB / 4).map(|at| (at as u32).wrapping_mul(0x9e37_79b9));
    words.flat_map(u32::to_le_bytes).collect()
}

fn made(world: &World, path: &str, mode: OpenMode) -> Fh {
    let made = world.run(world.fs.create(ROOT, name(path), NEW, mode));
    made.unwrap().1.fh
}

fn write(world: &World, fh: Fh, from: usize, content: &[u8]) {
    for (number, run) in content.chunks(128 << 10).enumerate() {
        let at = (from + number * (128 << 10)) as u64;
        let written = world.fs.write(fh, at, Bytes::copy_from_slice(run));
        world.run(written).unwrap();
    }
}

/// What was saved: the files without their notes, and the notes.
fn saved(world: &World) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let entries = std::fs::read_dir(world.staging.path()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.partition(|path| path.extension().is_none())
}

#[test]
fn a_half_written_object_shows_to_nobody_though_its_header_is_written_last() {
    let world = World::new();
    let fh = made(&world, "f", BOTH);
    let mut content = content(30);
    write(&world, fh, 0, &content);
    write(&world, fh, 0, b"mp4!");
    content[..4].copy_from_slice(b"mp4!");
    // Read back, and copied, too.
    let read = world.run(world.fs.read(fh, ByteRange::at(0, 8))).unwrap();
    assert_eq!(read, content[..8]);
    let to = made(&world, "copy", BOTH);
    let request = CopyRequest {
        from: fh,
        range: ByteRange::at(0, 30 * MIB),
        to,
        at: 0,
    };
    assert_eq!(
        u64::from(world.run(world.fs.copy_file_range(request)).unwrap()),
        30 * MIB
    );
    assert_eq!(world.sim.keys(BUCKET), Vec::<String>::new());
    world.run(world.close(fh)).unwrap();
    assert_eq!(world.sim.keys(BUCKET), ["f"]);
    world.run(world.close(to)).unwrap();
    for key in ["f", "copy"] {
        assert!(world.sim.content(BUCKET, key).unwrap() == content, "{key}");
    }
    assert_eq!(world.sim.uploads(BUCKET), []);
}

#[test]
fn one_look_does_not_end_sending_ahead() {
    let world = bounded(6 * MIB, 20 * MIB);
    let fh = made(&world, "f", BOTH);
    let content = content(60);
    let (before, after) = content.split_at(10 * MIB as usize);
    let (stored, more) = before.split_at(5 * MIB as usize);
    write(&world, fh, 0, stored);
    // What the store has gives back its memory to what comes then; else that may go to the disk.
    world.wait_until(|| world.sim.counters().of(Operation::UploadPart).requests >= 4);
    write(&world, fh, stored.len(), more);
    let read = world
        .run(world.read("f", ByteRange::at(3 * MIB, 1)))
        .unwrap();
    assert_eq!(read[0], content[3 * MIB as usize]);
    write(&world, fh, before.len(), after);
    world.run(world.close(fh)).unwrap();
    assert!(world.sim.content(BUCKET, "f").unwrap() == content);
    world.wait_until(|| world.sim.uploads(BUCKET).is_empty());
    // What the look published is copied by the store.
    assert!(world.sim.counters().of(Operation::UploadPartCopy).requests > 0);
}

#[test]
fn a_sync_in_the_middle_does_not_end_sending_ahead_either() {
    let world = bounded(6 * MIB, 20 * MIB);
    let fh = made(&world, "f", BOTH);
    let content = content(60);
    let (before, after) = content.split_at(10 * MIB as usize + 12_345);
    write(&world, fh, 0, before);
    world.run(world.fs.fsync(fh)).unwrap();
    write(&world, fh, before.len(), after);
    world.run(world.close(fh)).unwrap();
    assert!(world.sim.content(BUCKET, "f").unwrap() == content);
    world.wait_until(|| world.sim.uploads(BUCKET).is_empty());
}

#[test]
fn an_empty_file_that_another_handle_can_write_to_is_not_published_by_a_release() {
    let world = World::new();
    let first = world.run(world.open_to_write("f", BOTH)).unwrap();
    let other = world.run(world.open_to_write("f", BOTH)).unwrap();
    // Its flush was put off.
    world.run(world.fs.release(first)).unwrap();
    assert_eq!(world.sim.keys(BUCKET), Vec::<String>::new());
    world.run(world.fs.release(other)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "f").unwrap(), b"");
}

#[test]
fn what_another_handle_has_written_since_the_flush_is_not_published_by_a_release() {
    let world = World::new();
    let first = made(&world, "f", BOTH);
    let other = world.run(world.open_to_write("f", BOTH)).unwrap();
    write(&world, first, 0, b"whole");
    world.run(world.fs.flush(first)).unwrap();
    // The kernel ends a handle when close(2) has returned already.
    write(&world, other, 0, b"half");
    world.run(world.fs.release(first)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "f").unwrap(), b"whole");
    write(&world, other, 4, b"s");
    world.run(world.close(other)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "f").unwrap(), b"halfs");
}

#[test]
fn a_readers_open_and_close_commit_nothing() {
    let world = World::new();
    let fh = made(&world, "f", BOTH);
    write(&world, fh, 0, b"not yet");
    let read = world.run(world.read("f", ByteRange::at(0, 100))).unwrap();
    assert_eq!(read, b"not yet"[..]);
    assert_eq!(world.sim.keys(BUCKET), Vec::<String>::new());
    world.run(world.close(fh)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "f").unwrap(), b"not yet");
}

#[test]
fn what_was_meant_to_be_sent_ahead_is_saved_when_the_store_is_dead() {
    let world = bounded(4 * MIB, 64 * MIB);
    for operation in WRITES {
        let dead = Fault::on(operation, How::Status(400, "InvalidRequest"));
        world.sim.fault(dead.times(100_000));
    }
    let fh = made(&world, "f", BOTH);
    let content = content(20);
    write(&world, fh, 0, &content);
    assert!(world.run(world.close(fh)).is_err());
    let (files, notes) = saved(&world);
    assert_eq!((files.len(), notes.len()), (1, 1));
    assert!(std::fs::read(&files[0]).unwrap() == content);
    assert!(matches!(world.run(world.look("f")), Err(FsError::NoEntry)));
}

#[test]
fn what_was_written_before_staging_was_full_is_saved_when_the_store_is_dead() {
    let world = bounded(2 * MIB, 4 * MIB);
    for operation in WRITES {
        let dead = Fault::on(operation, How::Status(400, "InvalidRequest"));
        world.sim.fault(dead.times(100_000));
    }
    let fh = made(&world, "f", BOTH);
    let content = content(20);
    let mut taken = 0;
    for run in content.chunks(128 << 10) {
        let run = Bytes::copy_from_slice(run);
        let len = run.len();
        match world.run(world.fs.write(fh, taken as u64, run)) {
            Ok(()) => taken += len,
            Err(_) => break,
        }
    }
    assert!((2 << 20..=6 << 20).contains(&taken), "{taken} bytes");
    assert!(world.run(world.close(fh)).is_err());
    let (files, _) = saved(&world);
    assert!(std::fs::read(&files[0]).unwrap() == content[..taken]);
}

#[test]
fn a_name_that_another_client_took_shows_theirs_and_ours_is_saved() {
    let world = World::chosen(small_parts(), |_| ());
    let exclusive = OpenMode {
        exclusive: true,
        ..BOTH
    };
    let fh = made(&world, "f", exclusive);
    let content = content(20);
    write(&world, fh, 0, &content);
    world.sim.put(BUCKET, "f", "theirs");
    let closed = world.run(world.close(fh));
    assert!(
        matches!(&closed, Err(FsError::File(error)) if error.is_conflict()),
        "{closed:?}"
    );
    let (files, notes) = saved(&world);
    assert_eq!((files.len(), notes.len()), (1, 1));
    assert!(std::fs::read(&files[0]).unwrap() == content);
    assert_eq!(world.run(world.look("f")).unwrap().size, 6);
    let read = world.run(world.read("f", ByteRange::at(0, 100))).unwrap();
    assert_eq!(read, b"theirs"[..]);
    world.wait_until(|| world.sim.uploads(BUCKET).is_empty());
}

#[test]
fn what_is_in_an_upload_alone_is_named_when_it_cannot_be_published() {
    let world = bounded(4 * MIB, 8 * MIB);
    let fh = made(&world, "f", BOTH);
    write(&world, fh, 0, &content(30));
    let dead = Fault::on(
        Operation::CompleteMultipartUpload,
        How::Status(400, "InvalidRequest"),
    );
    world.sim.fault(dead.times(100_000));
    assert!(world.run(world.close(fh)).is_err());
    let (_, notes) = saved(&world);
    let note = std::fs::read_to_string(&notes[0]).unwrap();
    let uploads = world.sim.uploads(BUCKET);
    assert_eq!(uploads.len(), 1);
    for text in ["\nin the upload: ", "\nupload: ", "\npart: 2 "] {
        assert!(note.contains(text), "{text}: {note}");
    }
    assert!(matches!(world.run(world.look("f")), Err(FsError::NoEntry)));
    assert!(world.run(world.fs.sync_all()).is_empty());
    assert_eq!(world.sim.uploads(BUCKET), uploads);
}

#[test]
fn the_next_process_knows_what_is_in_an_upload_alone_and_what_changed_since() {
    let mut world = bounded(6 * MIB, 8 * MIB);
    let fh = made(&world, "f", BOTH);
    world.fs.told(fh, 2);
    let mut content = content(30);
    write(&world, fh, 0, &content);
    // The first part is changed after it was sent.
    write(&world, fh, 7, b"changed");
    content[7..14].copy_from_slice(b"changed");
    let sent = |world: &World| world.sim.counters().of(Operation::UploadPart).requests;
    world.wait_until(|| sent(&world) >= 28);
    let before = sent(&world);
    world.kill();
    assert_eq!(world.sim.keys(BUCKET), Vec::<String>::new());
    let read = world.run(world.fs.read(fh, ByteRange::at(0, 20))).unwrap();
    assert_eq!(read, content[..20]);
    assert_eq!(world.sim.keys(BUCKET), Vec::<String>::new());
    world.run(world.fs.flush(fh)).unwrap();
    assert!(world.sim.content(BUCKET, "f").unwrap() == content);
    // The first, the last, and one that was on its way.
    assert!(sent(&world) - before <= 4, "{} more", sent(&world) - before);
    world.wait_until(|| world.sim.uploads(BUCKET).is_empty());
}
