//! That what a mount has under way and in memory is bounded whatever is asked of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use s3fs::fs::{Invalidation, OpenMode};
use s3fs::limits::Limits;
use s3fs::range::ByteRange;
use s3fs::sim::Operation;

use super::world::{BUCKET, NEW, World};
use super::{READ, ROOT, name};

#[test]
fn readers_of_random_blocks_have_no_more_requests_under_way_than_the_bound() {
    // With a cache that has room for some of what is read at once, and with none.
    for cache_bytes_max in [512 << 10, 0] {
        let world = World::chosen(Limits::aws(), |config| {
            config.bounds.cache_bytes_max = cache_bytes_max;
            config.bounds.readahead_bytes_max = 0;
            config.bounds.read_requests_max = 4;
        });
        let content: Vec<u8> = (0..16 << 20_u32).map(|at| (at >> 12) as u8).collect();
        world.sim.put(BUCKET, "f", content);
        world.sim.on_request(|_, _| {
            tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(2)));
        });
        world.run(async {
            let ino = world.look("f").await.unwrap().ino;
            let fh = world.fs.open(ino, READ).await.unwrap().fh;
            let reading = (0..64_u64).map(|reader| {
                let fs = Arc::clone(&world.fs);
                tokio::spawn(async move {
                    let mut random = fastrand::Rng::with_seed(reader);
                    for _ in 0..8 {
                        let at = random.u64(0..4096) << 12;
                        let read = fs.read(fh, ByteRange::at(at, 4096)).await.unwrap();
                        assert_eq!(read, vec![(at >> 12) as u8; 4096]);
                    }
                })
            });
            for reader in reading.collect::<Vec<_>>() {
                reader.await.unwrap();
            }
        });
        let in_flight = world.sim.counters().of(Operation::GetObject).in_flight_max;
        // One that was answered may still be under way for the service when the next one comes.
        assert!((2..=8).contains(&in_flight), "{in_flight} at a time");
        assert!(world.cached_bytes() <= cache_bytes_max);
    }
}

#[test]
fn a_write_that_needs_the_disk_waits_for_it_on_another_thread() {
    let world = World::chosen(Limits::aws(), |config| {
        config.bounds.staging_memory_bytes_max = 64 << 10;
    });
    let mode = OpenMode {
        write: true,
        ..READ
    };
    let made = world.run(world.fs.create(ROOT, name("f"), NEW, mode));
    let fh = made.unwrap().1.fh;
    let at_once = |at: u64, bytes: &[u8]| world.fs.try_write(fh, at.into(), bytes);
    let waiting = |at: u64, bytes: &[u8]| {
        let bytes = Bytes::copy_from_slice(bytes);
        world.run(world.fs.write(fh, at, bytes)).unwrap();
    };
    assert!(matches!(at_once(0, &[1; 60_000]), Some(Ok(()))));
    // No room in memory; then in a block that is on the disk already.
    for (at, bytes) in [(60_000, [2; 60_000]), (10, [3; 60_000])] {
        assert!(at_once(at, &bytes).is_none());
        waiting(at, &bytes);
    }
    let mut expected = [[1; 60_000], [2; 60_000]].concat();
    expected[10..60_010].fill(3);
    let all = ByteRange::at(0, 1 << 20);
    assert_eq!(world.run(world.fs.read(fh, all)).unwrap(), expected);
    world.run(world.fs.flush(fh)).unwrap();
    assert_eq!(world.sim.content(BUCKET, "f").unwrap(), expected);
    // Room on the disk is given back on another thread, too.
    world.wait_until(|| world.staged_bytes() == 0);
}

#[test]
fn inodes_beyond_the_bound_are_given_back_but_those_that_are_open() {
    let world = World::chosen(Limits::aws(), |config| config.bounds.inodes_max = 500);
    for number in 0..5000 {
        world.sim.put(BUCKET, &format!("f{number:04}"), "content");
    }
    // As the kernel does, for which each name counts once here.
    let fs = Arc::clone(&world.fs);
    world.spawn(async move {
        while let Some(invalidation) = fs.next_invalidation().await {
            if let Invalidation::Unused(parent, name) = invalidation
                && let Some(ino) = fs.known_child(parent, &name)
            {
                fs.forget(ino, 1);
            }
        }
    });
    let open = world.run(async {
        let ino = world.look("f0000").await.unwrap().ino;
        world.fs.open(ino, READ).await.unwrap().fh
    });
    let ino = world.fs.known_child(ROOT, name("f0000"));
    assert_eq!(world.list().len(), 5000);
    world.wait_until(|| world.fs.inodes() <= 500);
    assert_eq!(world.fs.known_child(ROOT, name("f0000")), ino);
    let all = ByteRange::at(0, 100);
    assert_eq!(world.run(world.fs.read(open, all)).unwrap(), "content");
    // What was given back is there as before.
    assert_eq!(world.run(world.look("f0001")).unwrap().size, 7);
    world.fs.end_invalidations();
}

#[test]
fn directories_beyond_the_bound_are_given_back_but_those_that_something_uses() {
    let world = World::chosen(Limits::aws(), |config| config.bounds.inodes_max = 100);
    for number in 0..1000 {
        let (outer, inner) = (number / 10, number % 10);
        world
            .sim
            .put(BUCKET, &format!("d{outer}/e{inner}/f"), "content");
    }
    world.fs.has_pruning();
    let in_use = world.run(world.look("d7/e7")).unwrap().ino;
    // As the kernel does, for which each lookup counts once here.
    let fs = Arc::clone(&world.fs);
    world.spawn(async move {
        while let Some(invalidation) = fs.next_invalidation().await {
            match invalidation {
                Invalidation::UnusedDirectory(ino) if ino != in_use => fs.forget(ino, u64::MAX),
                _ => {}
            }
        }
    });
    for number in 0..1000 {
        let (outer, inner) = (number / 10, number % 10);
        world
            .run(world.look(&format!("d{outer}/e{inner}")))
            .unwrap();
    }
    world.wait_until(|| world.fs.inodes() <= 100);
    assert_eq!(world.run(world.look("d7/e7")).unwrap().ino, in_use);
    assert!(world.run(world.look("d3/e3")).is_ok());
    world.fs.end_invalidations();
}
