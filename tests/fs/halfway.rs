//! Directory renames whose caller was interrupted, and which are repeated. Knows no FUSE.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use s3fs::fs::{FsError, FsResult, RenameMode};
use s3fs::interrupt;
use s3fs::sim::{Fault, How, Operation};
use s3fs::store::StoreError;
use tokio_util::sync::CancellationToken;

use super::world::{BUCKET, World};
use super::{DIRECTORY, ROOT, name};

const MODES: [RenameMode; 2] = [RenameMode::Replace, RenameMode::NoReplace];

/// A directory `d` of three files.
fn three_files() -> World {
    let world = World::new();
    for file in ["a", "b", "c"] {
        world.sim.put(BUCKET, &format!("d/{file}"), file);
    }
    world
}

fn rename(world: &World, mode: RenameMode) -> FsResult<()> {
    let (from, to) = ((ROOT, name("d")), (ROOT, name("n")));
    world.run(world.fs.rename(from, to, mode))
}

/// Renames `d` to `n`, and interrupts the caller once the service has a request of that operation.
fn interrupt_over(world: &World, operation: Operation) {
    let outcome = Arc::new(Mutex::new(None));
    let token = CancellationToken::new();
    let (fs, own, slot) = (Arc::clone(&world.fs), token.clone(), Arc::clone(&outcome));
    world.spawn(async move {
        let (from, to) = ((ROOT, name("d")), (ROOT, name("n")));
        let renamed = interrupt::scope(own, fs.rename(from, to, RenameMode::Replace)).await;
        *slot.lock().unwrap() = Some(renamed);
    });
    world.wait_until(|| world.sim.counters().of(operation).requests > 0);
    token.cancel();
    world.wait_until(|| outcome.lock().unwrap().is_some());
    let renamed = outcome.lock().unwrap().take().unwrap();
    assert!(
        matches!(renamed, Err(FsError::Store(StoreError::Interrupted(_)))),
        "{renamed:?}"
    );
}

/// Interrupts the rename while the service copies, which it goes on to do.
fn interrupt_copies(world: &World) {
    let may_copy = Arc::new(AtomicBool::new(false));
    world.sim.on_request({
        let may_copy = Arc::clone(&may_copy);
        move |_, request| {
            if request.operation == Operation::CopyObject {
                tokio::task::block_in_place(|| {
                    while !may_copy.load(Ordering::Relaxed) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                });
            }
        }
    });
    interrupt_over(world, Operation::CopyObject);
    may_copy.store(true, Ordering::Relaxed);
    world.wait_until(|| {
        world
            .sim
            .keys(BUCKET)
            .iter()
            .any(|key| key.starts_with("n/"))
    });
    world.sim.clear_hook();
}

#[test]
fn an_interrupted_directory_rename_can_be_repeated_though_the_store_copies_late() {
    for mode in MODES {
        let world = three_files();
        interrupt_copies(&world);
        rename(&world, mode).unwrap();
        assert_eq!(world.sim.keys(BUCKET), ["n/a", "n/b", "n/c"]);
        // It is done: another directory is not moved into this one.
        let made = world.fs.mkdir(ROOT, name("d"), DIRECTORY);
        world.run(made).unwrap();
        assert!(rename(&world, mode).is_err());
    }
}

#[test]
fn a_directory_rename_whose_deletes_were_interrupted_can_be_repeated() {
    for mode in MODES {
        let world = three_files();
        world
            .sim
            .fault(Fault::on(Operation::DeleteObjects, How::Stall));
        interrupt_over(&world, Operation::DeleteObjects);
        assert_eq!(world.sim.keys(BUCKET).len(), 6);
        let copies = world.sim.counters().of(Operation::CopyObject).requests;
        rename(&world, mode).unwrap();
        assert_eq!(world.sim.keys(BUCKET), ["n/a", "n/b", "n/c"]);
        let repeated = world.sim.counters().of(Operation::CopyObject).requests - copies;
        assert_eq!(repeated, 0, "the copies are there");
    }
}

#[test]
fn a_directory_that_is_not_what_an_interrupted_rename_left_is_not_merged() {
    for mode in MODES {
        let world = three_files();
        interrupt_copies(&world);
        world.sim.put(BUCKET, "n/theirs", "another client's");
        let refused = rename(&world, mode);
        let is_refused = match mode {
            RenameMode::Replace => matches!(refused, Err(FsError::NotEmpty)),
            RenameMode::NoReplace => matches!(refused, Err(FsError::Exists)),
        };
        assert!(is_refused, "{refused:?}");
        assert_eq!(world.sim.content(BUCKET, "d/a").unwrap(), b"a");
    }
}

#[test]
fn a_directory_made_after_an_interrupted_rename_is_not_taken_for_its_copies() {
    let world = three_files();
    world
        .sim
        .fault(Fault::on(Operation::CopyObject, How::Stall).times(3));
    interrupt_over(&world, Operation::CopyObject);
    world.sim.clear_faults();
    let made = world.fs.mkdir(ROOT, name("n"), DIRECTORY);
    world.run(made).unwrap();
    let refused = rename(&world, RenameMode::NoReplace);
    assert!(matches!(refused, Err(FsError::Exists)), "{refused:?}");
}

#[test]
fn a_repeated_rename_replaces_nothing_that_is_not_its_own_copy() {
    for mode in MODES {
        let world = three_files();
        world
            .sim
            .fault(Fault::on(Operation::DeleteObjects, How::Stall));
        interrupt_over(&world, Operation::DeleteObjects);
        world.sim.put(BUCKET, "n/b", "changed since");
        let refused = rename(&world, mode).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("0 objects copied, 3 left under the old name; `mv -T OLD NEW`"));
        assert!(said.contains("n/b: exists already"), "{said}");
        assert_eq!(world.sim.content(BUCKET, "n/b").unwrap(), b"changed since");
        for file in ["a", "b", "c"] {
            assert!(world.sim.content(BUCKET, &format!("n/{file}")).is_some());
        }
        world.sim.delete(BUCKET, "n/b");
        rename(&world, mode).unwrap();
        assert_eq!(world.sim.keys(BUCKET), ["n/a", "n/b", "n/c"]);
        assert_eq!(world.sim.content(BUCKET, "n/b").unwrap(), b"b");
    }
}

#[test]
fn a_rename_of_a_directory_replaces_nothing_that_another_client_made_under_the_new_name() {
    let world = World::new();
    world.sim.put(BUCKET, "d/f", "ours");
    world.sim.put(BUCKET, "d/g", "ours");
    assert!(world.run(world.look("e")).is_err());
    world.sim.put(BUCKET, "e/f", "theirs");
    assert!(world.run(world.rename("d", "e")).is_err());
    assert_eq!(world.sim.content(BUCKET, "e/f").unwrap(), b"theirs");
    assert_eq!(world.sim.keys(BUCKET), ["d/f", "d/g", "e/f"]);
}
