//! What a store carries out after its client has given the request up and asked again undoes
//! nothing that was done since.

use std::ffi::OsStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use s3fs::sim::{Fault, How, Operation};

use crate::ROOT;
use crate::world::{BUCKET, World};

/// How late the request is carried out.
const LATE: Duration = Duration::from_millis(300);

fn content(world: &World, key: &str) -> Option<String> {
    let content = world.sim.content(BUCKET, key)?;
    Some(String::from_utf8(content).unwrap())
}

/// The next request of an operation is carried out late; `work` asks again.
fn late(world: &World, operation: Operation, work: impl FnOnce()) {
    let requests = |world: &World| {
        let asked = world.sim.requests();
        let of_it = asked.iter().filter(|asked| asked.operation == operation);
        of_it.count()
    };
    let before = requests(world);
    world.sim.fault(Fault::on(operation, How::Late(LATE)));
    work();
    assert!(requests(world) >= before + 2, "it was not asked again");
}

fn after_that() {
    std::thread::sleep(LATE * 3);
}

#[test]
fn a_late_write_of_a_file_that_was_cut_to_nothing_replaces_nothing_stored_since() {
    // (what was there, by what it is replaced in between)
    for (before, by_other) in [(Some("old"), true), (Some("old"), false), (None, true)] {
        let world = World::new();
        if let Some(before) = before {
            world.sim.put(BUCKET, "f", before);
        }
        late(&world, Operation::PutObject, || {
            world.run(world.write_new("f", b"first".into())).unwrap();
        });
        assert_eq!(content(&world, "f").unwrap(), "first");
        if by_other {
            world.sim.put(BUCKET, "f", "second");
        } else {
            world.run(world.write_new("f", b"second".into())).unwrap();
        }
        after_that();
        assert_eq!(content(&world, "f").unwrap(), "second", "{before:?}");
    }
}

#[test]
fn a_late_delete_deletes_nothing_stored_since() {
    for by_other in [true, false] {
        let world = World::new();
        world.sim.put(BUCKET, "f", "old");
        late(&world, Operation::DeleteObject, || {
            world.run(world.fs.unlink(ROOT, OsStr::new("f"))).unwrap();
        });
        if by_other {
            world.sim.put(BUCKET, "f", "second");
        } else {
            world.run(world.write_new("f", b"second".into())).unwrap();
        }
        after_that();
        assert_eq!(content(&world, "f").as_deref(), Some("second"));
    }
}

#[test]
fn what_was_cut_to_nothing_replaces_another_clients_object_as_often_as_there_is_one() {
    for before in [Some("old"), None] {
        let world = World::new();
        if let Some(before) = before {
            world.sim.put(BUCKET, "f", before);
        }
        let _ = world.run(world.look("f"));
        let times = AtomicU32::new(0);
        world.sim.on_request(move |sim, request| {
            let is_put = request.operation == Operation::PutObject;
            if is_put && times.fetch_add(1, Ordering::SeqCst) < 6 {
                let number = times.load(Ordering::SeqCst);
                sim.put(BUCKET, "f", format!("theirs {number}"));
            }
        });
        world.run(world.write_new("f", b"ours".into())).unwrap();
        world.sim.clear_hook();
        assert_eq!(content(&world, "f").unwrap(), "ours");
    }
}

#[test]
fn a_delete_takes_away_whatever_has_the_name() {
    let world = World::new();
    world.sim.put(BUCKET, "f", "old");
    world.run(world.look("f")).unwrap();
    world.sim.put(BUCKET, "f", "theirs");
    world.run(world.fs.unlink(ROOT, OsStr::new("f"))).unwrap();
    assert_eq!(content(&world, "f"), None);
}
