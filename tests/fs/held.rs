//! What moves or removes a file while it is published, and what is done elsewhere meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use s3fs::fs::{CopyRequest, Fh, FsError, FsResult, OpenMode, RenameMode};
use s3fs::limits::{Limits, MIB};
use s3fs::range::ByteRange;
use s3fs::sim::{Fault, How, Operation};

use crate::world::{BUCKET, NEW, World};
use crate::{DIRECTORY, READ, ROOT, name};

/// Within which a call that has nothing to do with a slow one is answered.
const SOON: Duration = Duration::from_secs(2);

const WRITE: OpenMode = OpenMode {
    write: true,
    ..READ
};

type Outcome = Arc<Mutex<Option<FsResult<()>>>>;

/// Starts work, whose outcome is told later.
fn begin(world: &World, work: impl Future<Output = FsResult<()>> + Send + 'static) -> Outcome {
    let outcome = Outcome::default();
    let told = Arc::clone(&outcome);
    world.spawn(async move {
        let done = work.await;
        *told.lock().unwrap() = Some(done);
    });
    outcome
}

fn is_done(outcome: &Outcome) -> bool {
    outcome.lock().unwrap().is_some()
}

fn requests(world: &World, operation: Operation) -> u64 {
    world.sim.counters().of(operation).requests
}

/// Closes a file whose first PUT is never answered; returns when the service has it.
fn close_slowly(world: &World, fh: Fh) -> Outcome {
    close_with(world, fh, How::Stall)
}

fn close_with(world: &World, fh: Fh, how: How) -> Outcome {
    let before = requests(world, Operation::PutObject);
    world.sim.fault(Fault::on(Operation::PutObject, how));
    let fs = Arc::clone(&world.fs);
    let closed = begin(world, async move { fs.flush(fh).await });
    world.wait_until(|| requests(world, Operation::PutObject) > before);
    closed
}

/// A file of a directory, written and not closed.
fn written(world: &World, directory: &str, file: &str) -> Fh {
    let parent = world.run(world.look(directory)).unwrap().ino;
    let created = world.fs.create(parent, name(file), NEW, WRITE);
    let fh = world.run(created).unwrap().1.fh;
    let bytes = Bytes::from_static(b"bytes");
    world.run(world.fs.write(fh, 0, bytes)).unwrap();
    fh
}

fn soon<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    assert!(begun.elapsed() < SOON, "{what} took {:?}", begun.elapsed());
    done
}

#[test]
fn nothing_waits_for_a_file_that_is_closed_slowly() {
    let world = World::new();
    world
        .run(world.fs.mkdir(ROOT, name("d"), DIRECTORY))
        .unwrap();
    let slow = written(&world, "d", "slow");
    let closed = close_slowly(&world, slow);
    let removed = soon("rmdir", || world.run(world.fs.rmdir(ROOT, name("d"))));
    assert!(matches!(removed, Err(FsError::NotEmpty)), "{removed:?}");
    soon("stat", || world.run(world.look("d/slow"))).unwrap();
    soon("ls", || world.list());
    soon("touch", || {
        world.run(world.write_new("d/other", b"x".into()))
    })
    .unwrap();
    assert!(!is_done(&closed));
    soon("mv", || world.run(world.rename("d", "e"))).unwrap();
    world.wait_until(|| is_done(&closed));
    closed.lock().unwrap().take().unwrap().unwrap();
    world.run(world.fs.release(slow)).unwrap();
    let keys = world.sim.keys(BUCKET);
    assert_eq!(keys, ["e/", "e/other", "e/slow"]);
    assert_eq!(world.sim.content(BUCKET, "e/slow").unwrap(), b"bytes");
}

#[test]
fn a_file_that_is_closed_slowly_is_renamed_at_once_and_published_under_its_new_name() {
    let world = World::new();
    world
        .run(world.fs.mkdir(ROOT, name("d"), DIRECTORY))
        .unwrap();
    let slow = written(&world, "d", "slow");
    let closed = close_slowly(&world, slow);
    let parent = world.run(world.look("d")).unwrap().ino;
    let (from, to) = ((parent, name("slow")), (ROOT, name("moved")));
    let renamed = world.fs.rename(from, to, RenameMode::NoReplace);
    soon("mv", || world.run(renamed)).unwrap();
    world.wait_until(|| is_done(&closed));
    closed.lock().unwrap().take().unwrap().unwrap();
    assert_eq!(world.sim.content(BUCKET, "moved").unwrap(), b"bytes");
    assert!(world.sim.content(BUCKET, "d/slow").is_none());
}

#[test]
fn a_file_that_is_closed_slowly_is_removed_at_once_and_leaves_nothing() {
    for old in [None, Some("old")] {
        let world = World::new();
        world
            .run(world.fs.mkdir(ROOT, name("d"), DIRECTORY))
            .unwrap();
        if let Some(old) = old {
            world.sim.put(BUCKET, "d/slow", old);
        }
        let slow = match old {
            None => written(&world, "d", "slow"),
            Some(_) => {
                let fh = world.run(world.open_to_write("d/slow", WRITE)).unwrap();
                let bytes = Bytes::from_static(b"bytes");
                world.run(world.fs.write(fh, 0, bytes)).unwrap();
                fh
            }
        };
        let closed = close_slowly(&world, slow);
        let parent = world.run(world.look("d")).unwrap().ino;
        soon("rm", || world.run(world.fs.unlink(parent, name("slow")))).unwrap();
        world.wait_until(|| is_done(&closed));
        closed.lock().unwrap().take().unwrap().unwrap();
        let read = world
            .run(world.fs.read(slow, ByteRange::new(0, 5)))
            .unwrap();
        assert_eq!(&read[..], b"bytes");
        world.run(world.fs.release(slow)).unwrap();
        assert_eq!(world.sim.keys(BUCKET), ["d/"]);
        assert!(world.sim.uploads(BUCKET).is_empty());
    }
}

#[test]
fn a_commit_during_a_directory_rename_is_not_lost_with_what_was_copied_before() {
    let world = World::new();
    world.sim.put(BUCKET, "source", "from the source");
    world.sim.put(BUCKET, "rd/D", "old");
    let file = world.run(world.open_to_write("rd/D", WRITE)).unwrap();
    let source = world.run(world.look("source")).unwrap().ino;
    let opened = world.run(world.fs.open(source, READ)).unwrap().fh;
    let request = CopyRequest {
        from: opened,
        range: ByteRange::new(0, 15),
        to: file,
        at: 0,
    };
    world.run(world.fs.copy_file_range(request)).unwrap();
    world.run(world.close(opened)).unwrap();
    let may_go_on = Arc::new(AtomicBool::new(false));
    world.sim.on_request({
        let may_go_on = Arc::clone(&may_go_on);
        move |_, request| {
            if request.operation == Operation::DeleteObject {
                tokio::task::block_in_place(|| {
                    while !may_go_on.load(Ordering::Relaxed) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                });
            }
        }
    });
    let fs = Arc::clone(&world.fs);
    let renamed = begin(&world, async move {
        let (from, to) = ((ROOT, name("rd")), (ROOT, name("re")));
        fs.rename(from, to, RenameMode::Replace).await
    });
    world.wait_until(|| requests(&world, Operation::DeleteObject) > 0);
    // What takes bytes from it is committed before it goes.
    let fs = Arc::clone(&world.fs);
    let unlinked = begin(&world, async move { fs.unlink(ROOT, name("source")).await });
    std::thread::sleep(Duration::from_millis(300));
    may_go_on.store(true, Ordering::Relaxed);
    world.wait_until(|| is_done(&renamed) && is_done(&unlinked));
    renamed.lock().unwrap().take().unwrap().unwrap();
    unlinked.lock().unwrap().take().unwrap().unwrap();
    world.run(world.close(file)).unwrap();
    assert_eq!(world.sim.keys(BUCKET), ["re/D"]);
    assert_eq!(
        world.sim.content(BUCKET, "re/D").unwrap(),
        b"from the source"
    );
}

#[test]
fn what_was_sent_ahead_under_an_old_name_is_published_under_the_new_one_only() {
    for (moved, to) in [(("d/f", "e/f"), "e/f"), (("d", "e"), "e/f")] {
        let limits = Limits {
            part_size_min: MIB,
            upload_part_size: MIB,
            ..Limits::aws()
        };
        let world = World::chosen(limits, |_| {});
        for directory in ["d", "e"] {
            world
                .run(world.fs.mkdir(ROOT, name(directory), DIRECTORY))
                .unwrap();
        }
        let fh = written(&world, "d", "f");
        let content = vec![7; 6 * MIB as usize];
        for (number, run) in content.chunks(MIB as usize).enumerate() {
            let bytes = Bytes::copy_from_slice(run);
            let at = number as u64 * MIB;
            world.run(world.fs.write(fh, at, bytes)).unwrap();
        }
        world.wait_until(|| requests(&world, Operation::UploadPart) > 1);
        world.run(world.rename(moved.0, moved.1)).unwrap();
        world.run(world.close(fh)).unwrap();
        assert!(world.sim.content(BUCKET, to).unwrap() == content, "{to}");
        assert!(world.sim.content(BUCKET, "d/f").is_none());
        world.wait_until(|| world.sim.uploads(BUCKET).is_empty());
    }
}

#[test]
fn what_the_store_did_without_an_answer_is_not_left_under_the_old_name() {
    type Change = fn(&World) -> FsResult<()>;
    let changes: [(Change, &[&str]); 3] = [
        (
            |world| world.run(world.rename("d/f", "moved")),
            &["d/", "moved"],
        ),
        (|world| world.run(world.rename("d", "e")), &["e/", "e/f"]),
        (
            |world| {
                let parent = world.run(world.look("d"))?.ino;
                world.run(world.fs.unlink(parent, name("f")))
            },
            &["d/"],
        ),
    ];
    for (change, keys) in changes {
        let world = World::new();
        world
            .run(world.fs.mkdir(ROOT, name("d"), DIRECTORY))
            .unwrap();
        let fh = written(&world, "d", "f");
        let closed = close_with(&world, fh, How::StallAfter);
        world.wait_until(|| world.sim.content(BUCKET, "d/f").is_some());
        change(&world).unwrap();
        world.wait_until(|| is_done(&closed));
        closed.lock().unwrap().take().unwrap().unwrap();
        let read = world.run(world.fs.read(fh, ByteRange::new(0, 5))).unwrap();
        assert_eq!(&read[..], b"bytes");
        world.run(world.fs.release(fh)).unwrap();
        assert_eq!(world.sim.keys(BUCKET), keys);
    }
}
