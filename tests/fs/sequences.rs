//! Short sequences of calls that once went wrong, found by the reference model.

use bytes::Bytes;
use s3fs::fs::{OpenMode, SetExtended};
use s3fs::limits::Limits;
use s3fs::range::ByteRange;
use s3fs::sim::Operation;

use super::world::{BUCKET, NEW, World};
use super::{READ, ROOT, describe, name};

#[test]
fn what_a_read_had_to_publish_is_what_the_next_open_shows() {
    let limits = Limits {
        part_size_min: 4,
        upload_part_size: 16,
        ..Limits::aws()
    };
    let world = World::chosen(limits, |_| ());
    let mode = OpenMode {
        write: true,
        ..READ
    };
    world.run(async {
        let (_, opened) = world.fs.create(ROOT, name("f"), NEW, mode).await.unwrap();
        world.fs.fsync(opened.fh).await.unwrap();
        // Uploaded ahead, and published for the sake of the read.
        let bytes = Bytes::from(vec![1; 64]);
        world.fs.write(opened.fh, 0, bytes.clone()).await.unwrap();
        let all = ByteRange::at(0, 100);
        assert_eq!(world.fs.read(opened.fh, all).await.unwrap(), bytes);
        assert_eq!(world.read("f", all).await.unwrap(), bytes);
        assert_eq!(world.fs.read(opened.fh, all).await.unwrap(), bytes);
        world.close(opened.fh).await.unwrap();
    });
}

#[test]
fn new_attributes_of_an_empty_object_do_not_undo_what_another_client_put_there() {
    let world = World::new();
    world.sim.put(BUCKET, "f", "");
    let ino = world.run(world.look("f")).unwrap().ino;
    describe(&world, ino);
    world.sim.put(BUCKET, "f", "content of another");
    let refused = || world.sim.counters().of(Operation::PutObject).requests > 0;
    world.wait_until(refused);
    let kept = world.sim.content(BUCKET, "f").unwrap();
    assert_eq!(kept, b"content of another");
}

#[test]
fn an_attribute_that_is_refused_does_not_take_those_that_wait_with_it() {
    let world = World::new();
    world.sim.put(BUCKET, "d/f", "1");
    let ino = world.run(world.look("d")).unwrap().ino;
    let set = |attribute, how| world.run(world.fs.set_extended(ino, name(attribute), b"1", how));
    set("user.a", SetExtended::Either).unwrap();
    set("user.b", SetExtended::Replace).unwrap_err();
    world.wait_until(|| world.sim.stat(BUCKET, "d/").is_some());
}
