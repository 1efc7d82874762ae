//! The nth request fails, for every n: what is under the key is the old object or the new one,
//! and no upload stays behind.

use s3fs::fs::{FsResult, WriteAt};
use s3fs::limits::MIB;
use s3fs::range::ByteRange;
use s3fs::sim::{Fault, How, Operation};

#[allow(dead_code, reason = "each suite uses a part")]
#[path = "in_process/world.rs"]
mod world;

use world::{BUCKET, World};

/// A step to fail, over the objects `a` (20 MiB of a pattern), `b` ("old") and `d/1`, `d/2`.
struct Scenario {
    name: &'static str,
    run: fn(&World) -> FsResult<()>,
    /// What must be there when the step says it succeeded.
    done: fn(&World) -> bool,
    /// What must be there when it says it failed, beside "old or new" for every key.
    kept: fn(&World) -> bool,
}

const SIZE: u64 = 20 * MIB;

fn world() -> World {
    let world = World::new();
    world.sim.put_pattern(BUCKET, "a", SIZE, 1);
    world.sim.put(BUCKET, "b", "old");
    world.sim.put(BUCKET, "d/1", "one");
    world.sim.put(BUCKET, "d/2", "two");
    world.list();
    world
}

fn size_of(world: &World, key: &str) -> Option<u64> {
    world.sim.stat(BUCKET, key).map(|stat| stat.size)
}

fn holds(world: &World, key: &str, text: &str) -> bool {
    world.sim.content(BUCKET, key).as_deref() == Some(text.as_bytes())
}

fn a_is_whole(world: &World, key: &str) -> bool {
    let expected = |at| s3fs::sim::pattern_byte(1, at);
    size_of(world, key) == Some(SIZE)
        && [0, SIZE / 2, SIZE - 1].into_iter().all(|at| {
            world.sim.content_of(BUCKET, key, ByteRange::at(at, 1)) == Some(vec![expected(at)])
        })
}

fn byte_at(world: &World, key: &str, at: u64) -> Option<u8> {
    world
        .sim
        .content_of(BUCKET, key, ByteRange::at(at, 1))?
        .first()
        .copied()
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "cp of one request",
        run: |world| world.run(world.concatenate(&["a"], "b")),
        done: |world| a_is_whole(world, "b"),
        kept: |world| {
            a_is_whole(world, "a") && (holds(world, "b", "old") || a_is_whole(world, "b"))
        },
    },
    Scenario {
        name: "cp of several parts",
        run: |world| world.run(world.concatenate(&["a", "a"], "b")),
        done: |world| size_of(world, "b") == Some(2 * SIZE),
        kept: |world| holds(world, "b", "old") || size_of(world, "b") == Some(2 * SIZE),
    },
    Scenario {
        name: "append",
        run: |world| world.run(world.append("a", b"!")),
        done: |world| byte_at(world, "a", SIZE) == Some(b'!'),
        kept: |world| {
            a_is_whole(world, "a")
                || (size_of(world, "a") == Some(SIZE + 1)
                    && byte_at(world, "a", SIZE) == Some(b'!'))
        },
    },
    Scenario {
        name: "overwrite",
        run: |world| world.run(world.overwrite("a", SIZE / 2, b"\0\0")),
        done: |world| byte_at(world, "a", SIZE / 2) == Some(0),
        kept: |world| a_is_whole(world, "a") || byte_at(world, "a", SIZE / 2) == Some(0),
    },
    Scenario {
        name: "a new file in one request",
        run: |world| world.run(world.write_new("b", b"new".to_vec())),
        done: |world| holds(world, "b", "new"),
        kept: |world| holds(world, "b", "old") || holds(world, "b", "new"),
    },
    Scenario {
        name: "a new file in several parts",
        run: |world| world.run(world.write_new("b", vec![3; 40 << 20])),
        done: |world| size_of(world, "b") == Some(40 * MIB),
        kept: |world| holds(world, "b", "old") || size_of(world, "b") == Some(40 * MIB),
    },
    Scenario {
        name: "rename of a file",
        run: |world| world.run(world.rename("a", "c")),
        done: |world| a_is_whole(world, "c") && size_of(world, "a").is_none(),
        kept: |world| a_is_whole(world, "a") || a_is_whole(world, "c"),
    },
    Scenario {
        name: "rename of a file over another",
        run: |world| world.run(world.rename("a", "b")),
        done: |world| a_is_whole(world, "b") && size_of(world, "a").is_none(),
        kept: |world| {
            (a_is_whole(world, "a") && holds(world, "b", "old")) || a_is_whole(world, "b")
        },
    },
    Scenario {
        name: "rename of a directory",
        run: |world| world.run(world.rename("d", "e")),
        done: |world| {
            holds(world, "e/1", "one")
                && holds(world, "e/2", "two")
                && size_of(world, "d/1").is_none()
                && size_of(world, "d/2").is_none()
        },
        kept: |world| {
            (holds(world, "d/1", "one") || holds(world, "e/1", "one"))
                && (holds(world, "d/2", "two") || holds(world, "e/2", "two"))
        },
    },
];

/// Requests the step sends when nothing fails.
fn requests_of(scenario: &Scenario) -> u64 {
    let world = world();
    let before = world.sim.counters();
    (scenario.run)(&world).unwrap();
    assert!((scenario.done)(&world), "{}: not done", scenario.name);
    (world.sim.counters() - &before).total().requests
}

/// One request is refused for good: the step may fail, and then cleans up after itself.
#[test]
fn every_failing_request_leaves_the_old_object_or_the_new_one() {
    for scenario in SCENARIOS {
        for nth in 1..=requests_of(scenario) {
            let world = world();
            world
                .sim
                .fault(Fault::nth(nth, How::Status(400, "InvalidRequest")));
            let _ = check(&world, scenario, &format!("request {nth} refused"));
            end(&world, scenario);
            assert!(
                world.sim.uploads(BUCKET).is_empty(),
                "{} {nth}: an upload",
                scenario.name
            );
        }
    }
}

/// One request gets no answer, or a wrong one: it is sent again, or settled, and the step succeeds.
#[test]
fn every_request_that_is_lost_once_is_made_up_for() {
    let ways = [
        How::Status(503, "SlowDown"),
        How::Status(500, "InternalError"),
        How::Reset,
        How::ResetAfter,
        How::CutBody(0),
    ];
    for scenario in SCENARIOS {
        for nth in 1..=requests_of(scenario) {
            for how in ways {
                let world = world();
                world.sim.fault(Fault::nth(nth, how));
                let what = format!("{how:?} at request {nth}");
                succeed(&world, scenario, &what);
            }
        }
    }
}

/// An upload is refused for good, and the commit is not: it makes another one.
#[test]
fn an_upload_that_is_spent_or_gone_is_made_anew() {
    let spent = How::Status(409, "ConditionalRequestConflict");
    let gone = How::Status(404, "NoSuchUpload");
    for scenario in SCENARIOS {
        for (operation, how) in [
            (Operation::CompleteMultipartUpload, spent),
            (Operation::CompleteMultipartUpload, gone),
            (Operation::UploadPart, gone),
            (Operation::UploadPartCopy, gone),
        ] {
            let world = world();
            world.sim.fault(Fault::on(operation, how));
            let what = format!("{how:?} to {operation:?}");
            succeed(&world, scenario, &what);
        }
    }
}

/// An answer that says 200 and means an error never counts as done.
#[test]
fn an_error_inside_a_200_is_not_taken_for_success() {
    for scenario in SCENARIOS {
        for operation in [
            Operation::CopyObject,
            Operation::UploadPartCopy,
            Operation::CompleteMultipartUpload,
        ] {
            for how in [How::ErrorIn200, How::EmptyCopyResult] {
                let world = world();
                world.sim.fault(Fault::on(operation, how).times(1_000));
                let what = format!("{how:?} to every {operation:?}");
                let _ = check(&world, scenario, &what);
                world.sim.clear_faults();
                end(&world, scenario);
                assert!(
                    world.sim.uploads(BUCKET).is_empty(),
                    "{}, {what}: an upload",
                    scenario.name
                );
            }
        }
    }
}

#[test]
fn a_failed_commit_can_be_repeated_and_then_succeeds() {
    let world = world();
    world.run(async {
        let mode = s3fs::fs::OpenMode {
            read: false,
            write: true,
            truncate: false,
            exclusive: false,
        };
        let fh = world.open_to_write("a", mode).await.unwrap();
        world
            .fs
            .write(fh, WriteAt::End(0), bytes::Bytes::from_static(b"!"))
            .await
            .unwrap();
        for operation in [Operation::UploadPart, Operation::CompleteMultipartUpload] {
            world
                .sim
                .fault(Fault::on(operation, How::Status(400, "InvalidRequest")));
            assert!(world.fs.flush(fh).await.is_err());
            assert!(a_is_whole(&world, "a"));
            assert!(world.sim.uploads(BUCKET).is_empty());
        }
        world.fs.flush(fh).await.unwrap();
        world.fs.release(fh).await.unwrap();
    });
    assert_eq!(byte_at(&world, "a", SIZE), Some(b'!'));
}

/// The end of the mount. Bytes that were sent ahead are nowhere but in their upload: a commit that
/// fails keeps it, and the next one publishes it.
fn end(world: &World, scenario: &Scenario) {
    let failed = world.run(world.fs.sync_all());
    assert!(failed.is_empty(), "{}: {failed:?}", scenario.name);
}

/// Runs the step; what it leaves must fit what it says.
fn check(world: &World, scenario: &Scenario, what: &str) -> FsResult<()> {
    let outcome = (scenario.run)(world);
    let fits = if outcome.is_ok() {
        (scenario.done)(world)
    } else {
        (scenario.kept)(world)
    };
    assert!(
        fits,
        "{}, {what}: {outcome:?}, keys {:?}",
        scenario.name,
        world.sim.keys(BUCKET)
    );
    outcome
}

/// As [`check`], of a step that must succeed and leave no upload.
fn succeed(world: &World, scenario: &Scenario, what: &str) {
    let outcome = check(world, scenario, what);
    assert!(outcome.is_ok(), "{}, {what}: {outcome:?}", scenario.name);
    let uploads = world.sim.uploads(BUCKET);
    assert!(uploads.is_empty(), "{}, {what}", scenario.name);
}
