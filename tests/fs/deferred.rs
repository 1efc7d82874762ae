//! Changed attributes while they are being stored. Knows no FUSE.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use s3fs::fs::{FsError, FsResult, Ino, OpenMode, SetAttr};
use s3fs::interrupt;
use s3fs::limits::Limits;
use s3fs::sim::{Fault, How, Operation};
use tokio_util::sync::CancellationToken;

use super::world::{BUCKET, NEW, World};
use super::{DIRECTORY, READ, ROOT, name};

const WRITE: OpenMode = OpenMode {
    write: true,
    ..READ
};

/// Longer than a call takes that does not wait for the store.
const HELD_MAX: Duration = Duration::from_secs(10);

/// Holds the requests of an operation back until the flag is set.
fn hold_back(world: &World, held: Operation) -> Arc<AtomicBool> {
    let may_go_on = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&may_go_on);
    world.sim.on_request(move |_, request| {
        if request.operation == held {
            let came = Instant::now();
            tokio::task::block_in_place(|| {
                while !flag.load(Ordering::Relaxed) && came.elapsed() < HELD_MAX {
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        }
    });
    may_go_on
}

fn chmod(world: &World, ino: Ino) {
    let set = SetAttr {
        mode: Some(0o600),
        ..SetAttr::default()
    };
    world.run(world.fs.setattr(ino, None, set)).unwrap();
}

fn count(world: &World, operation: Operation) -> u64 {
    world.sim.counters().of(operation).requests
}

/// What `ls -l` and the close of a reader do while attributes are being stored: they do not wait.
fn look_at(world: &World, ino: Ino) {
    let started = Instant::now();
    let names = world.run(world.fs.extended_names(ino)).unwrap();
    assert!(names.is_empty(), "{names:?}");
    let value = world.run(world.fs.extended(ino, name("user.none")));
    assert!(matches!(value, Err(FsError::NoAttribute)), "{value:?}");
    let fh = world.run(world.fs.open(ino, WRITE)).unwrap().fh;
    world.run(world.close(fh)).unwrap();
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");
}

#[test]
fn who_looks_at_attributes_that_are_being_stored_waits_for_nothing_and_takes_no_failure_away() {
    let world = World::new();
    world.sim.put(BUCKET, "f", "content");
    let ino = world.run(world.look("f")).unwrap().ino;
    let may_go_on = hold_back(&world, Operation::CopyObject);
    chmod(&world, ino);
    world.wait_until(|| count(&world, Operation::CopyObject) > 0);
    look_at(&world, ino);
    let refused = Fault::on(Operation::CopyObject, How::Status(403, "AccessDenied"));
    world.sim.fault(refused.times(100));
    may_go_on.store(true, Ordering::Relaxed);
    world.wait_until(|| {
        let attr = world.run(world.look("f"));
        attr.is_ok_and(|attr| attr.mode == 0o644)
    });
    let fh = world.run(world.fs.open(ino, WRITE)).unwrap().fh;
    let synced = world.run(world.fs.fsync(fh));
    assert!(synced.is_err(), "the failure is reported once");
    world.run(world.fs.fsync(fh)).unwrap();
    world.run(world.close(fh)).unwrap();
}

#[test]
fn a_failure_is_not_told_to_another_file_that_has_the_inode_number_by_now() {
    let world = World::chosen(Limits::aws(), |config| {
        config.close_to_open = true;
        config.bounds.attr_ttl = Duration::ZERO;
    });
    world.sim.put(BUCKET, "f", "content");
    let before = world.run(world.look("f")).unwrap();
    chmod(&world, before.ino);
    world.sim.put(BUCKET, "f", "another's");
    let top = world.run(world.fs.opendir(ROOT)).unwrap().fh;
    let _ = world.run(world.fs.fsyncdir(top));
    world.fs.releasedir(top);
    world.run(world.look("f")).unwrap();
    world.fs.forget(before.ino, u64::MAX);
    let now = world.run(world.look("f")).unwrap();
    assert_eq!(now.ino, before.ino);
    assert_ne!(now.generation, before.generation);
    let fh = world.run(world.fs.open(now.ino, WRITE)).unwrap().fh;
    world.run(world.fs.flush(fh)).unwrap();
    world.run(world.close(fh)).unwrap();
}

#[test]
fn attributes_that_are_looked_at_while_they_are_stored_are_stored() {
    let world = World::new();
    world.sim.put(BUCKET, "f", "content");
    let ino = world.run(world.look("f")).unwrap().ino;
    let may_go_on = hold_back(&world, Operation::CopyObject);
    chmod(&world, ino);
    world.wait_until(|| count(&world, Operation::CopyObject) > 0);
    look_at(&world, ino);
    assert_eq!(world.run(world.look("f")).unwrap().mode, 0o600);
    may_go_on.store(true, Ordering::Relaxed);
    let mode = || {
        world
            .sim
            .stat(BUCKET, "f")
            .unwrap()
            .headers
            .metadata
            .get("mode")
            .cloned()
    };
    world.wait_until(|| mode().is_some());
    assert_eq!(world.run(world.look("f")).unwrap().mode, 0o600);
    assert_eq!(count(&world, Operation::CopyObject), 1);
}

#[test]
fn fsync_of_a_directory_waits_for_its_attributes_that_are_being_stored() {
    let world = World::new();
    let made = world.fs.mkdir(ROOT, name("d"), DIRECTORY);
    let ino = world.run(made).unwrap().value.ino;
    let before = count(&world, Operation::PutObject);
    let may_go_on = hold_back(&world, Operation::PutObject);
    chmod(&world, ino);
    world.wait_until(|| count(&world, Operation::PutObject) > before);
    let flag = Arc::clone(&may_go_on);
    let releasing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        flag.store(true, Ordering::Relaxed);
    });
    let fh = world.run(world.fs.opendir(ino)).unwrap().fh;
    world.run(world.fs.fsyncdir(fh)).unwrap();
    let stored = world.sim.stat(BUCKET, "d/").unwrap().headers;
    assert_eq!(stored.metadata["mode"], (0o40_600).to_string());
    releasing.join().unwrap();
}

/// Does the work of a call, and interrupts the caller once the service has that many requests of
/// each of these operations.
fn interrupt_over<T: Send + 'static>(
    world: &World,
    awaited: &[(Operation, u64)],
    work: impl Future<Output = FsResult<T>> + Send + 'static,
) {
    let token = CancellationToken::new();
    let (own, outcome) = (token.clone(), Arc::new(Mutex::new(None)));
    let slot = Arc::clone(&outcome);
    world.spawn(async move {
        let done = interrupt::scope(own, work).await;
        *slot.lock().unwrap() = Some(done.is_err());
    });
    let has_come = |(operation, requests): &(Operation, u64)| count(world, *operation) >= *requests;
    world.wait_until(|| awaited.iter().all(has_come));
    token.cancel();
    world.wait_until(|| outcome.lock().unwrap().is_some());
    assert_eq!(*outcome.lock().unwrap(), Some(true), "it was interrupted");
}

#[test]
fn an_interrupted_fsync_leaves_attributes_to_be_stored() {
    let world = World::chosen(Limits::aws(), |config| {
        config.bounds.attributes_delay = Duration::from_secs(3);
    });
    world.sim.put(BUCKET, "f", "content");
    world.sim.put(BUCKET, "g", "content");
    let made = world.fs.mkdir(ROOT, name("d"), DIRECTORY);
    let directory = world.run(made).unwrap().value.ino;
    let puts = count(&world, Operation::PutObject);
    let look = |name| world.run(world.look(name)).unwrap().ino;
    let (file, open) = (look("f"), look("g"));
    let fh = world.run(world.fs.open(open, WRITE)).unwrap().fh;
    for operation in [Operation::PutObject, Operation::CopyObject] {
        world.sim.fault(Fault::on(operation, How::Stall));
    }
    // Of the directory, and of a file that waits as well.
    chmod(&world, directory);
    chmod(&world, file);
    let directory = world.run(world.fs.opendir(directory)).unwrap().fh;
    let awaited = [(Operation::PutObject, puts + 1), (Operation::CopyObject, 1)];
    let fs = Arc::clone(&world.fs);
    interrupt_over(
        &world,
        &awaited,
        async move { fs.fsyncdir(directory).await },
    );
    // Of a file that is closed then.
    world.sim.clear_faults();
    let copies = count(&world, Operation::CopyObject);
    world
        .sim
        .fault(Fault::on(Operation::CopyObject, How::Stall));
    chmod(&world, open);
    let fs = Arc::clone(&world.fs);
    interrupt_over(&world, &[(Operation::CopyObject, copies + 1)], async move {
        fs.fsync(fh).await
    });
    world.sim.clear_faults();
    world.run(world.close(fh)).unwrap();
    let mode = |key| {
        let stat = world.sim.stat(BUCKET, key).unwrap();
        stat.headers.metadata.get("mode").cloned()
    };
    let is_stored = |key, mode_wanted: u32| mode(key) == Some(mode_wanted.to_string());
    world.wait_until(|| is_stored("d/", 0o40_600));
    world.wait_until(|| is_stored("f", 0o100_600) && is_stored("g", 0o100_600));
}

/// What is changed while a close publishes is left to that close, which has begun before.
#[test]
fn what_is_set_while_the_last_handle_is_being_closed_is_stored_too() {
    let size = SetAttr {
        size: Some(5),
        ..SetAttr::default()
    };
    let mode = SetAttr {
        mode: Some(0o600),
        ..SetAttr::default()
    };
    for set in [size, mode] {
        let world = World::new();
        let created = world.fs.create(ROOT, name("f"), NEW, WRITE);
        let (attr, opened) = world.run(created).unwrap();
        let before = world.run(world.fs.getattr(attr.value.ino, None)).unwrap();
        let late = How::AnswerAfter(Duration::from_millis(1_500));
        world.sim.fault(Fault::on(Operation::PutObject, late));
        let is_closed = Arc::new(AtomicBool::new(false));
        let (fs, flag) = (Arc::clone(&world.fs), Arc::clone(&is_closed));
        // Its flush has left it to another descriptor of the process.
        world.spawn(async move {
            fs.release(opened.fh).await.unwrap();
            flag.store(true, Ordering::Relaxed);
        });
        world.wait_until(|| count(&world, Operation::PutObject) > 0);
        let now = world.run(world.fs.setattr(attr.value.ino, None, set));
        let expected = (
            now.unwrap().value.size,
            set.mode.unwrap_or(before.value.mode),
        );
        assert!(!is_closed.load(Ordering::Relaxed));
        world.wait_until(|| is_closed.load(Ordering::Relaxed));
        let shown = world.run(world.fs.getattr(attr.value.ino, None)).unwrap();
        assert_eq!((shown.value.size, shown.value.mode), expected);
        let stored = world.sim.stat(BUCKET, "f").unwrap();
        assert_eq!(stored.size, expected.0);
        let mode = (0o100_000 | u32::from(expected.1)).to_string();
        assert_eq!(stored.headers.metadata["mode"], mode);
    }
}
