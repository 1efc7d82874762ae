//! What each operation costs in requests and object bytes, equal to its budget. Names and sizes
//! are known from a listing, as the budgets say; where an object is rebuilt under its own key its
//! headers are known too, which no listing tells: [`headers_that_only_a_listing_told_cost_a_head`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use s3fs::fs::Attr;
use s3fs::limits::{GIB, Limits, MIB};
use s3fs::range::ByteRange;
use s3fs::sim::{Counters, Operation, Pace};
use s3fs::store::ObjectHeaders;

#[allow(dead_code, reason = "each suite uses a part")]
#[path = "in_process/world.rs"]
mod world;

use world::{BUCKET, World};

const LIMITS: Limits = Limits::aws();
const LEAST: u64 = LIMITS.part_size_min;

/// What `step` costs when everything in the root has just been listed, and that `absent` is not
/// there is known.
fn cost(world: &World, absent: &str, step: impl AsyncFnOnce(&World)) -> Counters {
    world.list();
    let _ = world.run(world.look(absent));
    let before = world.sim.counters();
    world.run(step(world));
    world.sim.counters() - &before
}

/// What `step` costs when the object `a`, headers included, was just looked at.
fn cost_of_edit(world: &World, step: impl AsyncFnOnce(&World)) -> Counters {
    world.run(world.look("a")).unwrap();
    let before = world.sim.counters();
    world.run(step(world));
    world.sim.counters() - &before
}

fn requests(expected: &[(Operation, u64)]) -> BTreeMap<Operation, u64> {
    expected.iter().copied().collect()
}

fn multipart(copies: u64, uploads: u64) -> BTreeMap<Operation, u64> {
    let mut all = requests(&[
        (Operation::CreateMultipartUpload, 1),
        (Operation::UploadPartCopy, copies),
        (Operation::CompleteMultipartUpload, 1),
    ]);
    if uploads > 0 {
        all.insert(Operation::UploadPart, uploads);
    }
    all
}

fn bytes(cost: &Counters) -> (u64, u64) {
    (cost.total().bytes_up, cost.total().bytes_down)
}

#[test]
fn cp_up_to_the_threshold_is_one_copy_object() {
    let world = World::new();
    let size = LIMITS.copy_object_preferred_max;
    world.sim.put_pattern(BUCKET, "a", size, 1);
    let cost = cost(&world, "b", async |world| {
        world.concatenate(&["a"], "b").await.unwrap()
    });
    assert_eq!(cost.requests(), requests(&[(Operation::CopyObject, 1)]));
    assert_eq!(bytes(&cost), (0, 0));
    assert_eq!(world.sim.stat(BUCKET, "b").unwrap().size, size);
}

#[test]
fn cp_of_more_is_create_part_copies_and_complete() {
    let world = World::new();
    let size = 10 * GIB + 12_345;
    world.sim.put_pattern(BUCKET, "a", size, 1);
    let cost = cost(&world, "b", async |world| {
        world.concatenate(&["a"], "b").await.unwrap()
    });
    let parts = cost.of(Operation::UploadPartCopy).requests;
    assert!(
        parts <= size.div_ceil(LIMITS.copy_part_size),
        "{parts} parts"
    );
    assert_eq!(cost.requests(), multipart(parts, 0));
    assert_eq!(bytes(&cost), (0, 0));
    assert_eq!(world.sim.stat(BUCKET, "b").unwrap().size, size);
}

#[test]
fn cat_of_two_files_is_one_part_copy_each() {
    let world = World::new();
    world.sim.put_pattern(BUCKET, "a", 100 * MIB, 1);
    world.sim.put_pattern(BUCKET, "b", 100 * MIB, 2);
    let cost = cost(&world, "c", async |world| {
        world.concatenate(&["a", "b"], "c").await.unwrap()
    });
    assert_eq!(cost.requests(), multipart(2, 0));
    assert_eq!(bytes(&cost), (0, 0));
}

#[test]
fn an_append_sends_at_most_one_least_part_more() {
    for size in [LEAST, LEAST + 1, 64 * MIB, GIB, 10 * GIB + 1] {
        let world = World::new();
        world.sim.put_pattern(BUCKET, "a", size, 1);
        let cost = cost_of_edit(&world, async |world| {
            world.append("a", b"tail").await.unwrap()
        });
        let copies = cost.of(Operation::UploadPartCopy).requests;
        let gets = cost.of(Operation::GetObject).requests;
        let (up, down) = bytes(&cost);
        assert!((4..=4 + LEAST).contains(&up), "{size}: {up} bytes up");
        assert!(down < LEAST, "{size}: {down} bytes down");
        let mut expected = multipart(copies, 1);
        if gets > 0 {
            expected.insert(Operation::GetObject, gets);
        }
        assert_eq!(cost.requests(), expected, "{size}");
        assert_eq!(world.sim.stat(BUCKET, "a").unwrap().size, size + 4);
    }
}

#[test]
fn an_overwrite_sends_at_most_two_least_parts_more() {
    for (size, at) in [
        (64 * MIB, 30 * MIB),
        (GIB, GIB / 2 + 1),
        (GIB, 1),
        (GIB, GIB - 5),
    ] {
        let world = World::new();
        world.sim.put_pattern(BUCKET, "a", size, 1);
        let cost = cost_of_edit(&world, async |world| {
            world.overwrite("a", at, b"four").await.unwrap()
        });
        let (up, down) = bytes(&cost);
        assert!(up <= 4 + 2 * LEAST, "{size} at {at}: {up} bytes up");
        assert!(down <= 2 * LEAST, "{size} at {at}: {down} bytes down");
        assert_eq!(cost.of(Operation::UploadPart).requests, 1, "{size} at {at}");
        assert_eq!(
            cost.of(Operation::CompleteMultipartUpload).requests,
            1,
            "{size} at {at}"
        );
        assert_eq!(cost.of(Operation::HeadObject).requests, 0, "{size} at {at}");
        assert_eq!(
            cost.of(Operation::ListObjectsV2).requests,
            0,
            "{size} at {at}"
        );
        assert_eq!(world.sim.stat(BUCKET, "a").unwrap().size, size);
    }
}

#[test]
fn a_truncate_sends_less_than_one_least_part() {
    for (size, cut) in [
        (GIB, GIB - 1),
        (GIB, 256 * MIB + 1),
        (GIB, LEAST),
        (GIB, 7 * MIB),
    ] {
        let world = World::new();
        world.sim.put_pattern(BUCKET, "a", size, 1);
        let cost = cost_of_edit(&world, async |world| {
            world.truncate("a", cut).await.unwrap()
        });
        let (up, down) = bytes(&cost);
        assert!(
            up < LEAST && down < LEAST,
            "{size} to {cut}: {up} up, {down} down"
        );
        let copies = cost.of(Operation::UploadPartCopy).requests;
        assert_eq!(cost.requests(), multipart(copies, 0), "{size} to {cut}");
        assert_eq!(world.sim.stat(BUCKET, "a").unwrap().size, cut);
    }
}

/// CreateMultipartUpload takes all headers anew, and LIST tells none.
#[test]
fn headers_that_only_a_listing_told_cost_a_head() {
    let world = World::new();
    world.sim.put_pattern(BUCKET, "a", GIB, 1);
    let cost = cost(&world, "-", async |world| {
        world.append("a", b"tail").await.unwrap()
    });
    let copies = cost.of(Operation::UploadPartCopy).requests;
    let mut expected = multipart(copies, 1);
    expected.insert(Operation::HeadObject, 1);
    assert_eq!(cost.requests(), expected);
}

#[test]
fn mv_of_a_file_is_a_copy_and_a_delete() {
    let world = World::new();
    world.sim.put_pattern(BUCKET, "a", 100 * MIB, 1);
    let cost = cost(&world, "b", async |world| {
        world.rename("a", "b").await.unwrap()
    });
    let expected = requests(&[(Operation::CopyObject, 1), (Operation::DeleteObject, 1)]);
    assert_eq!(cost.requests(), expected);
    assert_eq!(bytes(&cost), (0, 0));
}

#[test]
fn mv_of_a_directory_is_a_copy_each_in_parallel_and_a_delete_a_thousand() {
    const OBJECTS: u64 = 10_000;
    const IN_A_LOOP: u64 = 200;
    let world = World::new();
    for number in 0..OBJECTS {
        world.sim.put(BUCKET, &format!("d/{number:05}"), "x");
    }
    for number in 0..IN_A_LOOP {
        world.sim.put(BUCKET, &format!("l{number:05}"), "x");
    }
    // What a request costs over a network; here it would cost next to nothing.
    world.sim.set_pace(Pace {
        delay: Duration::from_millis(5),
        ..Pace::default()
    });
    let started = Instant::now();
    let moved = cost(&world, "e", async |world| {
        world.rename("d", "e").await.unwrap();
    });
    let together = started.elapsed() / OBJECTS as u32;
    assert_eq!(moved.of(Operation::CopyObject).requests, OBJECTS);
    assert_eq!(moved.of(Operation::DeleteObjects).requests, OBJECTS / 1_000);
    assert_eq!(moved.of(Operation::DeleteObject).requests, 0);
    assert!(moved.of(Operation::ListObjectsV2).requests <= 2 + OBJECTS / 1_000);
    assert_eq!(bytes(&moved), (0, 0));
    let in_flight = moved.of(Operation::CopyObject).in_flight_max;
    assert!((16..=32).contains(&in_flight), "{in_flight} at a time");
    assert_eq!(world.sim.keys(BUCKET).len() as u64, OBJECTS + IN_A_LOOP);
    let started = Instant::now();
    for number in 0..IN_A_LOOP {
        let (from, to) = (format!("l{number:05}"), format!("m{number:05}"));
        world.run(world.rename(&from, &to)).unwrap();
    }
    let one_by_one = started.elapsed() / IN_A_LOOP as u32;
    let ratio = one_by_one.as_secs_f64() / together.as_secs_f64();
    println!("an object takes {ratio:.1} times as long one by one");
    assert!(
        ratio > 4.0,
        "{one_by_one:?} one by one, {together:?} together"
    );
}

#[test]
fn a_new_file_of_less_than_a_part_is_one_put() {
    let world = World::new();
    let cost = cost(&world, "a", async |world| {
        world.write_new("a", vec![1; 100_000]).await.unwrap();
    });
    assert_eq!(cost.requests(), requests(&[(Operation::PutObject, 1)]));
    assert_eq!(bytes(&cost), (100_000, 0));
}

#[test]
fn a_cold_read_is_one_get() {
    let world = World::new();
    world.sim.put_pattern(BUCKET, "a", GIB, 1);
    let cost = cost(&world, "-", async |world| {
        let bytes = world
            .read("a", ByteRange::at(500 * MIB + 5, 4096))
            .await
            .unwrap();
        assert_eq!(bytes.len(), 4096);
    });
    assert_eq!(cost.requests(), requests(&[(Operation::GetObject, 1)]));
    let (up, down) = bytes(&cost);
    assert_eq!(up, 0);
    assert!(down <= MIB, "{down} bytes down");
}

#[test]
fn a_stat_asks_nothing_while_the_listing_is_trusted_else_one_head_and_one_list() {
    let world = World::new();
    world.sim.put(BUCKET, "a", "a");
    let known = cost(&world, "-", async |world| {
        assert_eq!(world.look("a").await.unwrap().size, 1)
    });
    assert_eq!(known.requests(), requests(&[]));
    let world = World::new();
    world.sim.put(BUCKET, "a", "a");
    let before = world.sim.counters();
    world.run(world.look("a")).unwrap();
    let unknown = world.sim.counters() - &before;
    assert!(unknown.of(Operation::HeadObject).requests <= 1);
    assert!(unknown.of(Operation::ListObjectsV2).requests <= 1);
    assert_eq!(bytes(&unknown), (0, 0));
}

/// `ls -l`: the listing, then each entry by its name.
fn ls_l(world: &World) -> Vec<Attr> {
    let names = world.list();
    let look = |name: &String| world.run(world.look(name)).unwrap();
    names.iter().map(look).collect()
}

fn carrying(mode: &str) -> ObjectHeaders {
    ObjectHeaders {
        metadata: BTreeMap::from([("mode".to_owned(), mode.to_owned())]),
        ..ObjectHeaders::default()
    }
}

#[test]
fn ls_l_of_10_000_plain_objects_is_ten_lists_and_no_head() {
    let world = World::new();
    for number in 0..10_000 {
        world.sim.put(BUCKET, &format!("{number:05}"), "");
    }
    world.run(world.fs.look_for_attributes());
    let before = world.sim.counters();
    assert_eq!(ls_l(&world).len(), 10_000);
    let cost = world.sim.counters() - &before;
    assert_eq!(cost.requests(), requests(&[(Operation::ListObjectsV2, 10)]));
}

#[test]
fn ls_l_where_objects_carry_attributes_is_one_head_each_in_parallel_and_then_none() {
    let world = World::new();
    for number in 0..2_000 {
        let name = format!("{number:05}");
        world.sim.put_with(BUCKET, &name, "x", carrying("33152"));
    }
    world.run(world.fs.look_for_attributes());
    // So that requests that may be under way together are.
    world.sim.set_pace(Pace {
        delay: Duration::from_millis(2),
        ..Pace::default()
    });
    let before = world.sim.counters();
    assert!(ls_l(&world).iter().all(|attr| attr.mode == 0o600));
    let cost = world.sim.counters() - &before;
    let expected = [
        (Operation::ListObjectsV2, 2),
        (Operation::HeadObject, 2_000),
    ];
    assert_eq!(cost.requests(), requests(&expected));
    let in_flight = world.sim.counters().of(Operation::HeadObject).in_flight_max;
    assert!((2..=32).contains(&in_flight), "{in_flight} at a time");
    // What was asked once is known while the objects are the same.
    let before = world.sim.counters();
    ls_l(&world);
    let cost = world.sim.counters() - &before;
    assert_eq!(cost.requests(), requests(&[(Operation::ListObjectsV2, 2)]));
}

#[test]
fn a_missing_name_is_one_head_and_one_list_and_then_nothing() {
    let world = World::new();
    let before = world.sim.counters();
    for _ in 0..3 {
        assert!(world.run(world.look("missing")).is_err());
    }
    let cost = world.sim.counters() - &before;
    let expected = [(Operation::HeadObject, 1), (Operation::ListObjectsV2, 1)];
    assert_eq!(cost.requests(), requests(&expected));
}

#[test]
fn ls_of_2500_entries_is_three_lists() {
    let world = World::new();
    for number in 0..2500 {
        world.sim.put(BUCKET, &format!("{number:04}"), "");
    }
    let before = world.sim.counters();
    assert_eq!(world.list().len(), 2500);
    let cost = world.sim.counters() - &before;
    assert_eq!(cost.requests(), requests(&[(Operation::ListObjectsV2, 3)]));
}
