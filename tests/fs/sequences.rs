//! Short sequences of calls that once went wrong, found by the reference model.

use std::time::Duration;

use bytes::Bytes;
use s3fs::config::AttributeSource;
use s3fs::fs::{CopyRequest, DirEntry, Fh, Ino, OpenMode, RenameMode, SetAttr, SetExtended};
use s3fs::limits::Limits;
use s3fs::range::ByteRange;
use s3fs::sim::Operation;
use s3fs::store::ObjectHeaders;

use super::world::{BUCKET, NEW, World};
use super::{DIRECTORY, READ, ROOT, describe, name};

const WRITE: OpenMode = OpenMode {
    write: true,
    ..READ
};

#[test]
fn what_a_read_had_to_publish_is_what_the_next_open_shows() {
    let limits = Limits {
        part_size_min: 4,
        upload_part_size: 16,
        ..Limits::aws()
    };
    let world = World::chosen(limits, |_| ());
    world.run(async {
        let (_, opened) = world.fs.create(ROOT, name("f"), NEW, WRITE).await.unwrap();
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

#[test]
fn a_directory_that_replaces_an_empty_one_keeps_its_own_attributes() {
    let world = World::new();
    world.sim.put(BUCKET, "d/f", "1");
    let made = world.fs.mkdir(ROOT, name("e"), DIRECTORY);
    let replaced = world.run(made).unwrap().value.ino;
    // These wait to be stored when the directory goes.
    describe(&world, replaced);
    world.run(world.rename("d", "e")).unwrap();
    let synced = async {
        let fh = world.fs.opendir(ROOT).await.unwrap().fh;
        world.fs.fsyncdir(fh).await.unwrap();
        world.fs.releasedir(fh);
    };
    world.run(synced);
    assert_eq!(world.sim.keys(BUCKET), ["e/f"]);
    assert_eq!(world.run(world.look("e")).unwrap().mode, 0o755);
}

/// Opens the only file below `d`.
async fn open_below(world: &World, file: &str, mode: OpenMode) -> Fh {
    let directory = world.look("d").await.unwrap().ino;
    let found = world.fs.lookup(directory, name(file)).await.unwrap();
    world.fs.open(found.value.ino, mode).await.unwrap().fh
}

#[test]
fn a_directory_is_not_moved_under_an_open_file_that_was_replaced() {
    let world = World::new();
    world.sim.put(BUCKET, "d/f", "ours");
    world.sim.put(BUCKET, "d/g", "1");
    world.run(open_below(&world, "f", READ));
    world.sim.put(BUCKET, "d/f", "another's");
    assert!(world.run(world.rename("d", "e")).is_err());
    assert_eq!(world.sim.keys(BUCKET), ["d/f", "d/g"]);
}

#[test]
fn an_open_file_that_was_removed_moves_with_its_directory() {
    let world = World::new();
    world.sim.put(BUCKET, "d/f", "1");
    world.sim.put(BUCKET, "d/g", "1");
    let fh = world.run(open_below(&world, "f", WRITE));
    world.sim.delete(BUCKET, "d/f");
    world.run(world.rename("d", "e")).unwrap();
    world.run(async {
        let nothing = SetAttr {
            size: Some(0),
            ..SetAttr::default()
        };
        let ino = world.look("e/f").await.unwrap().ino;
        world.fs.setattr(ino, Some(fh), nothing).await.unwrap();
        let written = world.fs.write(fh, 0, Bytes::from_static(b"all")).await;
        written.unwrap();
        world.close(fh).await.unwrap();
    });
    assert_eq!(world.sim.keys(BUCKET), ["e/f", "e/g"]);
}

#[test]
fn an_empty_file_that_another_client_has_filled_is_renamed_as_it_is_now() {
    let world = World::new();
    world.sim.put(BUCKET, "f", "");
    world.list();
    world.sim.put(BUCKET, "f", "content of another");
    world.run(world.rename("f", "g")).unwrap();
    let moved = world.sim.content(BUCKET, "g").unwrap();
    assert_eq!(moved, b"content of another");
}

/// Copies the 7 bytes of an open file to another; returns that one's handle.
async fn copied_to(world: &World, from: Fh, to: &str) -> Fh {
    let to = world.open_to_write(to, WRITE).await.unwrap();
    let request = CopyRequest {
        from,
        range: ByteRange::at(0, 100),
        to,
        at: 0,
    };
    assert_eq!(world.fs.copy_file_range(request).await.unwrap(), 7);
    to
}

#[test]
fn a_copy_of_a_removed_file_outlives_the_last_handle_of_that() {
    let world = World::new();
    world.sim.put(BUCKET, "f", "content");
    world.run(async {
        let ino = world.look("f").await.unwrap().ino;
        let from = world.fs.open(ino, READ).await.unwrap().fh;
        world.fs.unlink(ROOT, name("f")).await.unwrap();
        let to = copied_to(&world, from, "g").await;
        world.close(from).await.unwrap();
        world.close(to).await.unwrap();
    });
    assert_eq!(world.sim.keys(BUCKET), ["g"]);
    assert_eq!(world.sim.content(BUCKET, "g").unwrap(), b"content");
}

#[test]
fn an_edit_from_the_start_can_be_given_up_when_another_client_replaced_its_object() {
    let limits = Limits {
        part_size_min: 4,
        upload_part_size: 16,
        ..Limits::aws()
    };
    let world = World::chosen(limits, |_| ());
    world.sim.put(BUCKET, "f", vec![0; 100]);
    world.run(async {
        let ino = world.look("f").await.unwrap().ino;
        let fh = world.fs.open(ino, WRITE).await.unwrap().fh;
        let bytes = Bytes::from(vec![1; 64]);
        world.fs.write(fh, 0, bytes).await.unwrap();
        world.sim.put(BUCKET, "f", "content of another");
        assert!(world.close(fh).await.is_err());
        // What was written is in a file of its own, and the name shows what the store has.
        let now = world.read("f", ByteRange::at(0, 100)).await.unwrap();
        assert_eq!(now, "content of another");
        assert!(world.fs.sync_all().await.is_empty());
    });
    assert_eq!(world.sim.uploads(BUCKET), []);
}

/// A filesystem that trusts nothing it knows.
fn distrustful() -> World {
    World::chosen(Limits::aws(), |config| {
        config.bounds.attr_ttl = Duration::ZERO;
        config.attributes = AttributeSource::Objects;
    })
}

#[test]
fn a_marker_that_another_client_removes_is_missed_while_a_file_below_is_open() {
    let world = distrustful();
    world.sim.put(BUCKET, "d/f", "1");
    let fh = world.run(open_below(&world, "f", READ));
    let ino = world.run(world.look("d")).unwrap().ino;
    describe(&world, ino);
    world.wait_until(|| world.sim.stat(BUCKET, "d/").is_some());
    world.sim.delete(BUCKET, "d/");
    assert_eq!(world.run(world.look("d")).unwrap().mode, 0o755);
    // Nothing is left of it in the store, but a file is open below.
    world.sim.delete(BUCKET, "d/f");
    world.run(world.look("d")).unwrap();
    world.run(world.close(fh)).unwrap();
    assert!(world.run(world.look("d")).is_err());
}

#[test]
fn a_directory_renamed_while_its_attributes_wait_can_be_removed_by_another_client() {
    let world = distrustful();
    let made = world.fs.mkdir(ROOT, name("d"), DIRECTORY);
    let ino = world.run(made).unwrap().value.ino;
    describe(&world, ino);
    world.run(world.rename("d", "e")).unwrap();
    world.sim.delete(BUCKET, "e/");
    assert!(world.run(world.look("e")).is_err());
}

#[test]
fn what_was_kept_of_a_removed_file_goes_with_it_though_a_copy_of_it_is_refused() {
    let world = World::new();
    world.sim.put(BUCKET, "f", "content");
    world.sim.put(BUCKET, "g", "12345678 and more");
    world.run(async {
        let ino = world.look("f").await.unwrap().ino;
        let from = world.fs.open(ino, READ).await.unwrap().fh;
        let ino = world.look("g").await.unwrap().ino;
        let to = world.fs.open(ino, WRITE).await.unwrap().fh;
        world.fs.unlink(ROOT, name("f")).await.unwrap();
        let request = CopyRequest {
            from,
            range: ByteRange::at(0, 100),
            to,
            at: 0,
        };
        world.fs.copy_file_range(request).await.unwrap();
        world.sim.put(BUCKET, "g", "another's");
        world.close(from).await.unwrap();
        assert_eq!(world.sim.keys(BUCKET), ["g"]);
        let all = ByteRange::at(0, 100);
        let shown = world.fs.read(to, ByteRange::at(0, 7)).await.unwrap();
        assert_eq!(shown, "content");
        assert!(world.close(to).await.is_err());
        assert_eq!(world.read("g", all).await.unwrap(), "another's");
    });
}

#[test]
fn the_directories_above_one_that_lost_its_last_file_are_kept_too() {
    let world = distrustful();
    world.sim.put(BUCKET, "d/e/f", "1");
    world.run(async {
        let above = world.look("d").await.unwrap().ino;
        let directory = world.fs.lookup(above, name("e")).await.unwrap().value.ino;
        world.fs.unlink(directory, name("f")).await.unwrap();
        world.fs.forget(directory, 1);
        assert_eq!(world.look("d").await.unwrap().ino, above);
        world.fs.lookup(above, name("e")).await.unwrap();
        world.fs.rmdir(above, name("e")).await.unwrap();
        world.fs.rmdir(ROOT, name("d")).await.unwrap();
        assert!(world.look("d").await.is_err());
    });
}

/// The mode that a listing of a directory tells of a name.
async fn listed_mode(world: &World, directory: Ino, name: &str) -> Option<u16> {
    let fh = world.fs.opendir(directory).await.unwrap().fh;
    let mut mode = None;
    let mut take = |entry: &DirEntry| {
        if entry.name == name {
            mode = Some(entry.attr.value.mode);
        }
        true
    };
    world.fs.readdir(fh, 0, true, &mut take).await.unwrap();
    world.fs.releasedir(fh);
    mode
}

#[test]
fn a_renamed_directory_is_listed_with_its_attributes() {
    let world = World::chosen(Limits::aws(), |config| {
        config.bounds.attr_ttl = Duration::ZERO;
    });
    world.sim.put(BUCKET, "d/f", "1");
    world.sim.put(BUCKET, "e/f", "1");
    let ino = world.run(world.look("d")).unwrap().ino;
    describe(&world, ino);
    world.run(async {
        let to = world.look("e").await.unwrap().ino;
        let from = (ROOT, name("d"));
        let moved = world.fs.rename(from, (to, name("d")), RenameMode::Replace);
        moved.await.unwrap();
        world.fs.forget(ino, 1);
        assert_eq!(listed_mode(&world, to, "d").await, Some(0o640));
    });
}

#[test]
fn an_open_file_is_listed_as_the_one_of_the_same_size_that_has_replaced_it() {
    let world = World::chosen(Limits::aws(), |config| {
        config.bounds.attr_ttl = Duration::ZERO;
        config.attributes = AttributeSource::Objects;
    });
    world.sim.put(BUCKET, "d/f", "1");
    world.run(async {
        let ino = world.look("d/f").await.unwrap().ino;
        let fh = world.fs.open(ino, READ).await.unwrap().fh;
        let mut headers = ObjectHeaders::default();
        headers.metadata.insert("mode".into(), "33184".into());
        world.sim.put_with(BUCKET, "d/f", "2", headers);
        let directory = world.look("d").await.unwrap().ino;
        assert_eq!(listed_mode(&world, directory, "f").await, Some(0o640));
        world.close(fh).await.unwrap();
    });
}

#[test]
fn a_directory_that_is_kept_is_listed_as_it_is_now() {
    let world = distrustful();
    let listed = || world.run(listed_mode(&world, ROOT, "d"));
    world.sim.put(BUCKET, "d/f", "1");
    world.run(async {
        let directory = world.look("d").await.unwrap().ino;
        world.fs.unlink(directory, name("f")).await.unwrap();
    });
    let ino = world.run(world.look("d")).unwrap().ino;
    describe(&world, ino);
    world.wait_until(|| world.sim.stat(BUCKET, "d/").is_some());
    assert_eq!(listed(), Some(0o640));
    world.sim.delete(BUCKET, "d/");
    assert_eq!(listed(), Some(0o755));
}

#[test]
fn a_file_is_rewritten_though_another_takes_bytes_from_a_version_that_is_gone() {
    let world = World::new();
    world.sim.put(BUCKET, "f", "content");
    world.run(async {
        let ino = world.look("f").await.unwrap().ino;
        let from = world.fs.open(ino, READ).await.unwrap().fh;
        let to = copied_to(&world, from, "g").await;
        world.close(from).await.unwrap();
        world.sim.put(BUCKET, "f", "content of another");
        let cut = OpenMode {
            truncate: true,
            ..WRITE
        };
        let again = world.fs.open(ino, cut).await.unwrap().fh;
        let bytes = Bytes::from_static(b"ours");
        world.fs.write(again, 0, bytes).await.unwrap();
        world.close(again).await.unwrap();
        // Whoever wrote the copy is told.
        assert!(world.close(to).await.is_err());
    });
    assert_eq!(world.sim.content(BUCKET, "f").unwrap(), b"ours");
}

#[test]
fn what_a_removed_file_took_from_the_one_that_has_its_name_now_is_kept() {
    let world = World::new();
    world.run(async {
        let (_, opened) = world.fs.create(ROOT, name("f"), NEW, WRITE).await.unwrap();
        let to = opened.fh;
        let written = world.fs.write(to, 0, Bytes::from_static(b"ours and "));
        written.await.unwrap();
        world.fs.unlink(ROOT, name("f")).await.unwrap();
        world.write_new("f", b"theirs".to_vec()).await.unwrap();
        let ino = world.look("f").await.unwrap().ino;
        assert_eq!(world.copy_whole(ino, to, 9).await.unwrap(), 6);
        world.overwrite("f", 0, b"newer").await.unwrap();
        let read = world.fs.read(to, ByteRange::at(0, 100)).await.unwrap();
        assert_eq!(read, b"ours and theirs"[..]);
        world.close(to).await.unwrap();
    });
}
