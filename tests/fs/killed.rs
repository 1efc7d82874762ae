//! What another process finds that goes on for one that was killed. The reference model kills it
//! at random (`model`); here is what that does not come by.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use s3fs::fs::{DirEntry, Fh, FsError, FsResult, Kind, NewNode, OpenMode, RenameMode};
use s3fs::limits::Limits;
use s3fs::range::ByteRange;
use s3fs::sim::{Fault, How, Operation, Rules, State};
use s3fs::store::dialect::Dialect;

use super::world::{BUCKET, NEW, World};
use super::{READ, ROOT, name};

const BOTH: OpenMode = OpenMode {
    write: true,
    ..READ
};

/// Makes a file and has the kernel know of it.
fn made(world: &World, path: &str, request: u64) -> Fh {
    let made = world.run(world.fs.create(ROOT, name(path), NEW, BOTH));
    let fh = made.unwrap().1.fh;
    world.fs.told(fh, request);
    fh
}

fn write(world: &World, fh: Fh, at: u64, bytes: Vec<u8>) {
    world
        .run(world.fs.write(fh, at, Bytes::from(bytes)))
        .unwrap();
}

/// Has the service do the next request of an operation late: before one of another, which comes
/// later. `is_done` tells by what is stored that it was done.
fn do_late(
    world: &World,
    (late, before): (Operation, Operation),
    is_done: impl Fn(&State) -> bool + Send + Sync + 'static,
) {
    let (came, next_came) = (AtomicBool::new(false), AtomicBool::new(false));
    world.sim.on_request(move |sim, request| {
        let operation = request.operation;
        tokio::task::block_in_place(|| {
            if operation == late && !came.swap(true, Ordering::Relaxed) {
                wait_for(|| next_came.load(Ordering::Relaxed));
            } else if operation == before && came.load(Ordering::Relaxed) {
                next_came.store(true, Ordering::Relaxed);
                wait_for(|| is_done(sim));
            }
        });
    });
}

fn wait_for(happened: impl Fn() -> bool) {
    let start = Instant::now();
    while !happened() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Opens a file that is there, and has the kernel know of it.
fn opened(world: &World, path: &str, mode: OpenMode, request: u64) -> Fh {
    let ino = world.run(world.look(path)).unwrap().ino;
    let fh = world.run(world.fs.open(ino, mode)).unwrap().fh;
    world.fs.told(fh, request);
    fh
}

/// Kills the process while it waits for the answer to a request that was done.
fn kill_over<T: Send + 'static>(
    world: &mut World,
    operation: Operation,
    work: impl Future<Output = T> + Send + 'static,
) {
    let count = |world: &World| world.sim.counters().of(operation).requests;
    let before = count(world);
    world.sim.fault(Fault::on(operation, How::ResetAfter));
    world.sim.fault(Fault::on(operation, How::Stall).times(100));
    world.spawn(work);
    world.wait_until(|| count(world) > before + 1);
    world.kill();
    world.sim.clear_faults();
}

/// A rename that the kernel sends again.
fn rename_again(world: &World, (from, to): (&str, &str), mode: RenameMode) -> FsResult<()> {
    let (from, to) = ((ROOT, name(from)), (ROOT, name(to)));
    let source = world.fs.known_child(from.0, from.1);
    world.run(async {
        match world.fs.rename(from, to, mode).await {
            Err(FsError::NoEntry) if world.fs.settle_rename(source, to).await? => Ok(()),
            renamed => renamed,
        }
    })
}

/// Flushes, and kills the process when the service has a request of that operation.
fn kill_while_flushed(world: &mut World, fh: Fh, operation: Operation) {
    let count = |world: &World| world.sim.counters().of(operation).requests;
    let before = count(world);
    let fs = Arc::clone(&world.fs);
    world.spawn(async move { fs.flush(fh).await });
    world.wait_until(|| count(world) > before);
    world.kill();
}

#[test]
fn what_a_killed_process_sent_and_the_store_does_late_is_no_conflict() {
    let mut world = World::new();
    world.run(world.write_new("f", b"old".into())).unwrap();
    let fh = opened(&world, "f", BOTH, 2);
    write(&world, fh, 3, b" and new".into());
    let put = Operation::PutObject;
    do_late(&world, (put, put), |sim| {
        sim.stat(BUCKET, "f").unwrap().size > 3
    });
    kill_while_flushed(&mut world, fh, put);
    write(&world, fh, 11, b"er".into());
    world.run(world.fs.flush(fh)).unwrap();
    let content = world.sim.content(BUCKET, "f").unwrap();
    assert_eq!(content, b"old and newer");
}

#[test]
fn a_new_file_that_the_store_makes_late_is_not_in_its_own_way() {
    let mut world = World::new();
    let exclusive = OpenMode {
        exclusive: true,
        ..BOTH
    };
    let made = world.run(world.fs.create(ROOT, name("f"), NEW, exclusive));
    let fh = made.unwrap().1.fh;
    world.fs.told(fh, 2);
    write(&world, fh, 0, b"new".into());
    let put = Operation::PutObject;
    do_late(&world, (put, put), |sim| sim.stat(BUCKET, "f").is_some());
    kill_while_flushed(&mut world, fh, put);
    // Killed once more, before it has asked for anything.
    world.kill();
    world.run(world.fs.flush(fh)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "f").unwrap(), b"new");
    write(&world, fh, 3, b"er".into());
    world.run(world.fs.flush(fh)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "f").unwrap(), b"newer");
}

#[test]
fn a_file_that_the_store_replaces_late_by_what_it_was_to_be_is_read_on() {
    let mut world = World::new();
    world.run(world.write_new("f", b"old".into())).unwrap();
    let fh = opened(&world, "f", BOTH, 2);
    write(&world, fh, 3, b" and new".into());
    let (put, get) = (Operation::PutObject, Operation::GetObject);
    // To publish, the old bytes are fetched: another one than the one that is to wait.
    let all = ByteRange::at(0, 100);
    assert_eq!(
        world.run(world.fs.read(fh, all)).unwrap(),
        &b"old and new"[..]
    );
    do_late(&world, (put, get), |sim| {
        sim.stat(BUCKET, "f").unwrap().size > 3
    });
    kill_while_flushed(&mut world, fh, put);
    let read = world.run(world.fs.read(fh, all));
    assert_eq!(read.unwrap(), &b"old and new"[..]);
}

#[test]
fn an_append_in_place_that_was_done_is_not_in_conflict_with_itself() {
    for is_late in [false, true] {
        let mut world = World::of(Rules::express(), Dialect::express(), false);
        world.run(world.write_new("f", b"line\n".into())).unwrap();
        let fh = opened(&world, "f", BOTH, 2);
        write(&world, fh, 5, b"more\n".into());
        let put = Operation::PutObject;
        let is_done = |sim: &State| sim.stat(BUCKET, "f").unwrap().size == 10;
        if is_late {
            do_late(&world, (put, put), is_done);
            kill_while_flushed(&mut world, fh, put);
        } else {
            world.sim.fault(Fault::on(put, How::ResetAfter));
            let never = Fault::on(Operation::HeadObject, How::Stall);
            world.sim.fault(never.times(100));
            kill_while_flushed(&mut world, fh, Operation::HeadObject);
            world.sim.clear_faults();
            assert!(is_done(&world.sim));
        }
        write(&world, fh, 10, b"again\n".into());
        world.run(world.fs.flush(fh)).unwrap();
        let content = world.sim.content(BUCKET, "f").unwrap();
        assert_eq!(content, b"line\nmore\nagain\n", "late: {is_late}");
    }
}

#[test]
fn an_append_in_place_that_another_client_made_is_a_conflict() {
    // The same size, and other bytes at the end; or another object with the same.
    for theirs in ["line\nless\n", "LINE\nmore\n"] {
        let mut world = World::of(Rules::express(), Dialect::express(), false);
        world.run(world.write_new("f", b"line\n".into())).unwrap();
        let fh = opened(&world, "f", BOTH, 2);
        write(&world, fh, 5, b"more\n".into());
        let put = Operation::PutObject;
        world.sim.fault(Fault::on(put, How::Stall));
        kill_while_flushed(&mut world, fh, put);
        world.sim.put(BUCKET, "f", theirs);
        let flushed = world.run(world.fs.flush(fh));
        let is_told = matches!(&flushed, Err(FsError::File(error)) if error.is_conflict());
        assert!(is_told, "{flushed:?}");
        assert_eq!(world.sim.content(BUCKET, "f").unwrap(), theirs.as_bytes());
    }
}

#[test]
fn an_unlinked_file_that_is_open_keeps_its_bytes() {
    for operation in [Operation::CopyObject, Operation::DeleteObject] {
        let mut world = World::new();
        world.sim.put(BUCKET, "f", "content");
        let fh = opened(&world, "f", BOTH, 2);
        let fs = Arc::clone(&world.fs);
        kill_over(&mut world, operation, async move {
            fs.unlink(ROOT, name("f")).await
        });
        let is_gone = world.sim.content(BUCKET, "f").is_none();
        assert_eq!(is_gone, operation == Operation::DeleteObject);
        world.run(world.fs.unlink(ROOT, name("f"))).unwrap();
        let read = world.run(world.fs.read(fh, ByteRange::at(0, 100)));
        assert_eq!(read.unwrap(), "content", "{operation:?}");
        world.run(world.fs.release(fh)).unwrap();
        assert_eq!(world.sim.keys(BUCKET), Vec::<String>::new());
    }
}

#[test]
fn a_file_that_is_open_keeps_its_bytes_though_another_has_got_its_name() {
    for operation in [Operation::CopyObject, Operation::DeleteObject] {
        let mut world = World::new();
        world.sim.put(BUCKET, "a", "new");
        world.sim.put(BUCKET, "b", "old");
        world.run(world.look("a")).unwrap();
        let fh = opened(&world, "b", BOTH, 2);
        let fs = Arc::clone(&world.fs);
        kill_over(&mut world, operation, async move {
            let (from, to) = ((ROOT, name("a")), (ROOT, name("b")));
            fs.rename(from, to, RenameMode::Replace).await
        });
        rename_again(&world, ("a", "b"), RenameMode::Replace).unwrap();
        let read = world.run(world.fs.read(fh, ByteRange::at(0, 100)));
        assert_eq!(read.unwrap(), "old", "{operation:?}");
        let all = ByteRange::at(0, 100);
        assert_eq!(world.run(world.read("b", all)).unwrap(), "new");
        world.run(world.fs.release(fh)).unwrap();
        assert_eq!(world.sim.keys(BUCKET), ["b"]);
    }
}

#[test]
fn a_directory_rename_goes_on_wherever_the_process_was_killed() {
    let operations = [Operation::CopyObject, Operation::DeleteObjects];
    for (operation, mode) in operations.into_iter().flat_map(|operation| {
        [RenameMode::Replace, RenameMode::NoReplace].map(|mode| (operation, mode))
    }) {
        let mut world = World::new();
        for key in ["d/a", "d/b", "d/c", "d/e/f"] {
            world.sim.put(BUCKET, key, "content");
        }
        let fh = opened(&world, "d/a", BOTH, 2);
        let fs = Arc::clone(&world.fs);
        kill_over(&mut world, operation, async move {
            fs.rename((ROOT, name("d")), (ROOT, name("n")), mode).await
        });
        rename_again(&world, ("d", "n"), mode).unwrap();
        assert_eq!(world.sim.keys(BUCKET), ["n/a", "n/b", "n/c", "n/e/f"]);
        let read = world.run(world.fs.read(fh, ByteRange::at(0, 100)));
        assert_eq!(read.unwrap(), "content", "{operation:?}");
        write(&world, fh, 7, b" and more".into());
        world.run(world.fs.flush(fh)).unwrap();
        let content = world.sim.content(BUCKET, "n/a").unwrap();
        assert_eq!(content, b"content and more");
        // It is at its end: another directory is not moved into this one.
        let new = NewNode {
            kind: Kind::Directory,
            ..NEW
        };
        world.run(world.fs.mkdir(ROOT, name("d"), new)).unwrap();
        let merged = rename_again(&world, ("d", "n"), RenameMode::Replace);
        assert!(matches!(merged, Err(FsError::NotEmpty)), "{merged:?}");
    }
}

#[test]
fn parts_that_were_sent_ahead_are_not_sent_again() {
    let limits = Limits {
        part_size_min: 4,
        upload_part_size: 1024,
        ..Limits::aws()
    };
    let mut world = World::chosen(limits, |_| ());
    let fh = made(&world, "f", 2);
    let content: Vec<u8> = (0..10_000_u32).map(|n| (n / 7) as u8).collect();
    write(&world, fh, 0, content.clone());
    let sent = |world: &World| world.sim.counters().of(Operation::UploadPart).requests;
    world.wait_until(|| sent(&world) >= 8);
    let before = sent(&world);
    world.kill();
    world.run(world.fs.flush(fh)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "f").unwrap(), content);
    assert!(sent(&world) - before <= 2, "{} more", sent(&world) - before);
    assert_eq!(world.sim.uploads(BUCKET), []);
}

#[test]
fn an_upload_of_a_commit_that_was_under_way_is_given_up() {
    let limits = Limits {
        part_size_min: 4,
        put_max: 100,
        upload_part_size: 4096,
        ..Limits::aws()
    };
    let mut world = World::chosen(limits, |_| ());
    let fh = made(&world, "f", 2);
    write(&world, fh, 0, vec![7; 4000]);
    let never = Fault::on(Operation::CompleteMultipartUpload, How::Stall);
    world.sim.fault(never.times(100));
    let fs = Arc::clone(&world.fs);
    world.spawn(async move { fs.flush(fh).await });
    world.wait_until(|| {
        let counters = world.sim.counters();
        counters.of(Operation::CompleteMultipartUpload).requests > 0
    });
    world.kill();
    world.sim.clear_faults();
    world.wait_until(|| world.sim.uploads(BUCKET).is_empty());
    world.run(world.fs.flush(fh)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "f").unwrap(), vec![7; 4000]);
}

#[test]
fn what_a_killed_process_has_published_is_not_in_conflict_with_itself() {
    let mut world = World::new();
    let exclusive = OpenMode {
        exclusive: true,
        ..BOTH
    };
    let made = world.run(world.fs.create(ROOT, name("f"), NEW, exclusive));
    let fh = made.unwrap().1.fh;
    world.fs.told(fh, 2);
    write(&world, fh, 0, b"content".to_vec());
    let lost = Fault::on(Operation::PutObject, How::ResetAfter);
    world.sim.fault(lost);
    let fs = Arc::clone(&world.fs);
    // It tries again, and is killed before it can find out.
    world
        .sim
        .fault(Fault::on(Operation::HeadObject, How::Stall).times(100));
    world.spawn(async move { fs.flush(fh).await });
    world.wait_until(|| world.sim.content(BUCKET, "f").is_some());
    world.kill();
    world.sim.clear_faults();
    write(&world, fh, 7, b" and more".to_vec());
    world.run(world.fs.flush(fh)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "f").unwrap(), b"content and more");
}

#[test]
fn a_listing_goes_on_where_it_was_though_what_was_listed_is_removed() {
    let mut world = World::new();
    let mut names: BTreeSet<String> = (0..2500).map(|n| format!("f{n:04}")).collect();
    names.extend(["f".to_owned(), "g".to_owned()]);
    for path in &names {
        world.sim.put(BUCKET, path, "");
    }
    let fh = world.run(world.fs.opendir(ROOT)).unwrap().fh;
    world.fs.told(fh, 2);
    let (mut offset, mut listed, mut calls) = (0, Vec::new(), 0);
    let mut removed = BTreeSet::new();
    loop {
        let (mut taken, mut next) = (Vec::new(), offset);
        let mut take = |entry: &DirEntry| {
            if taken.len() == 70 {
                return false;
            }
            taken.push(entry.name.to_str().unwrap().to_owned());
            next = entry.next_offset;
            true
        };
        world
            .run(world.fs.readdir(fh, offset, true, &mut take))
            .unwrap();
        if taken.is_empty() {
            break;
        }
        offset = next;
        for path in taken.iter().filter(|path| !path.starts_with('.')) {
            // Most of some pages go, and little of others.
            if path.len() == 5 && path.as_bytes()[4] < b'2' + (calls % 8) as u8 {
                world.run(world.fs.unlink(ROOT, name(path))).unwrap();
                removed.insert(path.clone());
            }
        }
        listed.extend(taken);
        assert!(listed.len() < 2 * names.len(), "it does not come to an end");
        calls += 1;
        if calls % 3 == 0 {
            world.kill();
        }
    }
    let all = listed.iter().filter(|path| !path.starts_with('.'));
    let all: Vec<&String> = all.collect();
    assert_eq!(all.len(), names.len(), "some twice or not at all");
    assert_eq!(all.into_iter().cloned().collect::<BTreeSet<_>>(), names);
    let left: Vec<String> = names.difference(&removed).cloned().collect();
    assert_eq!(world.sim.keys(BUCKET), left);
}

#[test]
fn inodes_that_the_kernel_counts_on_have_their_numbers_and_names() {
    let mut world = World::new();
    world.sim.put(BUCKET, "d/f", "content");
    world.sim.put(BUCKET, "e", "other");
    let looked = |world: &World| {
        let of = |path| world.run(world.look(path)).unwrap().ino;
        (of("d"), of("d/f"), of("e"))
    };
    let before = looked(&world);
    world.kill();
    // By number alone, as the kernel asks.
    let size = |ino| world.run(world.fs.getattr(ino, None)).unwrap().value.size;
    assert_eq!((size(before.1), size(before.2)), (7, 5));
    assert_eq!(looked(&world), before);
    world.kill();
    // "d" and "d/f" were told twice, or with the other on the way: none is forgotten too early.
    world.fs.forget(before.2, 1);
    assert!(world.run(world.fs.getattr(before.2, None)).is_ok());
    world.fs.forget(before.2, 1);
    let forgotten = world.run(world.fs.getattr(before.2, None));
    assert!(matches!(forgotten, Err(FsError::UnknownInode)));
}

#[test]
fn a_handle_that_the_kernel_never_learnt_of_is_not_kept() {
    let mut world = World::new();
    world.sim.put(BUCKET, "f", "content");
    let ino = world.run(world.look("f")).unwrap().ino;
    let told = world.run(world.fs.open(ino, READ)).unwrap().fh;
    world.fs.told(told, 2);
    let untold = world.run(world.fs.open(ino, READ)).unwrap().fh;
    world.kill();
    let all = ByteRange::at(0, 100);
    assert_eq!(world.run(world.fs.read(told, all)).unwrap(), "content");
    let unknown = world.run(world.fs.read(untold, all));
    assert!(matches!(unknown, Err(FsError::BadHandle)));
    assert_eq!(world.fs.told_before(2), Some((ino, told)));
    world.run(world.look("f")).unwrap();
    let later = world.run(world.fs.open(ino, READ)).unwrap().fh;
    assert!(later > untold, "a number was given out twice");
    // The last close of the file is the last close: another process may replace what it shows.
    world.run(world.fs.release(told)).unwrap();
    world.run(world.fs.release(later)).unwrap();
    assert_eq!(world.fs.told_before(2), None);
}

#[test]
fn a_file_whose_last_close_was_under_way_is_stored() {
    let mut world = World::new();
    let fh = made(&world, "f", 2);
    write(&world, fh, 0, b"content".to_vec());
    let never = Fault::on(Operation::PutObject, How::Stall);
    world.sim.fault(never.times(100));
    let fs = Arc::clone(&world.fs);
    world.spawn(async move { fs.release(fh).await });
    world.wait_until(|| world.sim.counters().of(Operation::PutObject).requests > 0);
    world.kill();
    world.sim.clear_faults();
    assert!(matches!(
        world.run(world.fs.release(fh)),
        Err(FsError::BadHandle)
    ));
    world.wait_until(|| world.sim.content(BUCKET, "f").is_some());
}

#[test]
fn bytes_on_disk_are_found_too() {
    let mut world = World::chosen(Limits::aws(), |config| {
        config.bounds.staging_memory_bytes_max = 64 << 10;
    });
    let fh = made(&world, "f", 2);
    let content: Vec<u8> = (0..700_000_u32).map(|n| (n / 11) as u8).collect();
    for (n, run) in content.chunks(4096).enumerate() {
        write(&world, fh, n as u64 * 4096, run.to_vec());
    }
    world.kill();
    world.kill();
    let all = ByteRange::at(0, 1 << 20);
    assert_eq!(world.run(world.fs.read(fh, all)).unwrap(), content);
    world.run(world.fs.flush(fh)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "f").unwrap(), content);
}

#[test]
fn bytes_that_were_moving_to_the_disk_are_not_those_of_another_file() {
    let mut world = World::chosen(Limits::aws(), |config| {
        config.bounds.staging_memory_bytes_max = 64 << 10;
    });
    let (fh, other) = (made(&world, "f", 2), made(&world, "other", 4));
    write(&world, fh, 0, vec![1; 40 << 10]);
    let fs = Arc::clone(&world.fs);
    world.kill_before_records_of(async move {
        // Memory has no room for more of it: that goes to the disk.
        let more = Bytes::from(vec![2; 40 << 10]);
        fs.write(fh, 40 << 10, more).await.unwrap();
        let theirs = Bytes::from(vec![3; 40 << 10]);
        fs.write(other, 0, theirs).await.unwrap();
    });
    let all = ByteRange::at(0, 1 << 20);
    let read = world.run(world.fs.read(fh, all)).unwrap();
    assert_eq!(read, vec![1; 40 << 10]);
    world.run(world.fs.flush(fh)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "f").unwrap(), vec![1; 40 << 10]);
}
