//! Small files beside large ones: none waits for a commit of many parts. Knows no FUSE.

use std::sync::Arc;
use std::time::{Duration, Instant};

use s3fs::fs::{Fh, OpenMode, SetAttr};
use s3fs::interrupt;
use s3fs::limits::Limits;
use s3fs::sim::{Operation, Pace};
use tokio_util::sync::CancellationToken;

use super::READ;
use super::world::{BUCKET, World};

const PART: u64 = 1024;
/// As many as an object has at most: of 1 TiB, with parts of 100 MiB.
const PARTS: u64 = 10_000;
/// What a request takes: of 2 seconds for a part of 100 MiB, a hundredth.
const DELAY: Duration = Duration::from_millis(20);
const WRITE: OpenMode = OpenMode {
    read: false,
    write: true,
    ..READ
};

fn toy() -> World {
    let limits = Limits {
        part_size_min: 1,
        put_max: PART,
        copy_object_max: PART,
        copy_object_preferred_max: PART,
        upload_part_size: PART,
        copy_part_size: PART,
        ..Limits::aws()
    };
    let world = World::chosen(limits, |_| ());
    world
        .sim
        .put(BUCKET, "source", vec![7; (PARTS * PART) as usize]);
    world.sim.put(BUCKET, "tiny", "x");
    world.list();
    world
}

fn count(world: &World, operation: Operation) -> u64 {
    world.sim.counters().of(operation).requests
}

/// A file that is to be all zeros, 10,000 parts of them.
fn large_upload(world: &World) -> Fh {
    let fh = world.run(world.open_to_write("uploaded", WRITE)).unwrap();
    let ino = world.run(world.look("uploaded")).unwrap().ino;
    let set = SetAttr {
        size: Some(PARTS * PART),
        ..SetAttr::default()
    };
    world.run(world.fs.setattr(ino, Some(fh), set)).unwrap();
    fh
}

/// A file that is to be a copy of 10,000 parts.
fn large_copy(world: &World) -> Fh {
    let fh = world.run(world.open_to_write("copied", WRITE)).unwrap();
    let source = world.run(world.look("source")).unwrap().ino;
    world.run(world.copy_whole(source, fh, 0)).unwrap();
    fh
}

fn flush(world: &World, fh: Fh) -> CancellationToken {
    let (fs, token) = (Arc::clone(&world.fs), CancellationToken::new());
    let own = token.clone();
    world.spawn(async move { interrupt::scope(own, fs.flush(fh)).await });
    token
}

#[test]
fn small_files_are_closed_while_large_ones_are_committed() {
    let world = toy();
    let (uploaded, copied) = (large_upload(&world), large_copy(&world));
    world.sim.set_pace(Pace {
        delay: DELAY,
        ..Pace::default()
    });
    flush(&world, uploaded);
    flush(&world, copied);
    let parts =
        || [Operation::UploadPart, Operation::UploadPartCopy].map(|part| count(&world, part));
    world.wait_until(|| parts().iter().all(|parts| *parts > 50));
    let (before, started) = (parts(), Instant::now());
    let mut slowest = Duration::ZERO;
    for number in 0..50 {
        let begun = Instant::now();
        world
            .run(world.write_new(&format!("written-{number}"), b"x".into()))
            .unwrap();
        slowest = slowest.max(begun.elapsed());
        let begun = Instant::now();
        world
            .run(world.concatenate(&["tiny"], &format!("copied-{number}")))
            .unwrap();
        slowest = slowest.max(begun.elapsed());
    }
    let (after, elapsed) = (parts(), started.elapsed());
    let rates = [0, 1].map(|at| (after[at] - before[at]) as f64 / elapsed.as_secs_f64());
    println!("slowest {slowest:?}; parts a second {rates:?} in {elapsed:?}");
    assert!(after.iter().all(|parts| *parts < PARTS), "they are done");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    // 8 uploads and 16 copies at a time, each of 20 ms, are 400 and 800; less on a busy machine.
    assert!(rates[0] > 80.0 && rates[1] > 160.0, "{rates:?}");
}

#[test]
fn a_large_commit_that_is_interrupted_sends_no_more_parts() {
    let world = toy();
    let uploaded = large_upload(&world);
    world.sim.set_pace(Pace {
        delay: DELAY,
        ..Pace::default()
    });
    let token = flush(&world, uploaded);
    world.wait_until(|| count(&world, Operation::UploadPart) > 50);
    token.cancel();
    world.wait_until(|| world.sim.uploads(BUCKET).is_empty());
    let sent = count(&world, Operation::UploadPart);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(count(&world, Operation::UploadPart), sent);
    // And the slots are free.
    world.run(world.write_new("small", b"x".into())).unwrap();
}
