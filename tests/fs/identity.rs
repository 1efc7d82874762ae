//! An inode is one version of an object while it is open, and the kernel is given what is left of
//! the trust time, not the whole of it.

use super::*;
use s3fs::file::FileError;
use s3fs::fs::{Invalidation, PageCache, Trusted};
use s3fs::store::StoreError;

/// Names are trusted for this long, or not at all.
fn trusting(ttl: Duration) -> World {
    World::chosen(Limits::aws(), |config| {
        config.close_to_open = true;
        config.bounds.attr_ttl = ttl;
        config.bounds.block_bytes = 4;
        config.bounds.readahead_bytes_max = 0;
    })
}

/// open(2) of a path, as the kernel does it: looked up once more when the inode is stale.
async fn open(world: &World, path: &str) -> (Ino, s3fs::fs::Opened) {
    let ino = world.look(path).await.unwrap().ino;
    match world.fs.open(ino, READ).await {
        Err(FsError::StaleInode) => {
            let ino = world.look(path).await.unwrap().ino;
            (ino, world.fs.open(ino, READ).await.unwrap())
        }
        opened => (ino, opened.unwrap()),
    }
}

fn is_stale<T>(result: &FsResult<T>) -> bool {
    matches!(
        result,
        Err(FsError::File(
            FileError::Stale { .. } | FileError::Store(StoreError::Stale { .. })
        ))
    )
}

#[test]
fn a_handle_is_of_one_version_whoever_opens_the_file_again() {
    let world = trusting(Duration::from_secs(600));
    world.sim.put(BUCKET, "f", "AAAAAAAA");
    let (old, first) = world.run(open(&world, "f"));
    let read = |fh, from, to| world.run(world.fs.read(fh, ByteRange::new(from, to)));
    assert_eq!(&read(first.fh, 0, 4).unwrap()[..], b"AAAA");
    world.sim.put(BUCKET, "f", "BBBBBBBB");
    let (new, second) = world.run(open(&world, "f"));
    assert_ne!(old, new, "the pages of both versions would be mixed");
    assert_eq!(&read(second.fh, 0, 8).unwrap()[..], b"BBBBBBBB");
    assert_eq!(&read(first.fh, 0, 4).unwrap()[..], b"AAAA");
    assert!(is_stale(&read(first.fh, 4, 8)));
    // Each shows its own.
    world.sim.put(BUCKET, "f", "CCC");
    let (third, _) = world.run(open(&world, "f"));
    assert_eq!(
        world.run(world.fs.getattr(third, None)).unwrap().value.size,
        3
    );
    assert_eq!(
        world.run(world.fs.getattr(old, None)).unwrap().value.size,
        8
    );
}

#[test]
fn a_handle_goes_on_reading_its_version_where_the_bucket_keeps_it() {
    let world = World::versioned();
    world.sim.put(BUCKET, "f", "AAAAAAAA");
    let ino = world.run(world.look("f")).unwrap().ino;
    let first = world.run(world.fs.open(ino, READ)).unwrap();
    world.sim.put(BUCKET, "f", "BB");
    // A listing finds the other version.
    world.list();
    let other = world.run(world.look("f")).unwrap();
    assert_eq!((other.size, other.ino == ino), (2, false));
    let second = world.run(world.fs.open(other.ino, READ)).unwrap();
    for (fh, expected) in [(first.fh, &b"AAAAAAAA"[..]), (second.fh, b"BB")] {
        let read = world.run(world.fs.read(fh, ByteRange::new(0, 8))).unwrap();
        assert_eq!(&read[..], expected);
    }
}

#[test]
fn a_file_that_another_client_made_longer_is_looked_up_again_before_it_is_opened() {
    let world = trusting(Duration::from_secs(600));
    world.sim.put(BUCKET, "t", "short");
    let ino = world.run(world.look("t")).unwrap().ino;
    world.sim.put(BUCKET, "t", "new and longer content");
    let opened = world.run(world.fs.open(ino, READ));
    assert!(matches!(opened, Err(FsError::StaleInode)), "{opened:?}");
    assert_eq!(world.fs.take_stale_attributes(), [ino]);
    let now = world.run(world.look("t")).unwrap();
    assert_eq!((now.ino, now.size), (ino, 22));
    let opened = world.run(world.fs.open(ino, READ)).unwrap();
    assert_eq!(opened.cache, PageCache::Drop);
}

#[test]
fn pages_are_kept_only_while_nothing_was_written_since() {
    let world = trusting(Duration::ZERO);
    world.sim.put(BUCKET, "f", "AAAAAAAAAA");
    let cache = || {
        let (ino, opened) = world.run(open(&world, "f"));
        world.run(world.close(opened.fh)).unwrap();
        (ino, opened.cache)
    };
    assert_eq!(cache().1, PageCache::Drop);
    assert_eq!(cache().1, PageCache::Keep);
    world.run(world.overwrite("f", 0, b"X")).unwrap();
    assert_eq!(world.sim.content(BUCKET, "f").unwrap(), b"XAAAAAAAAA");
    world.sim.put(BUCKET, "f", "AAAAAAAAAA");
    assert_eq!(cache().1, PageCache::Drop, "the pages begin with X");
    // Nor while a writer has it open, whose next bytes may come at any time.
    let ino = world.run(world.look("f")).unwrap().ino;
    let mode = OpenMode {
        write: true,
        ..READ
    };
    let writer = world.run(world.fs.open(ino, mode)).unwrap().fh;
    world
        .run(world.fs.write(writer, 0, Bytes::from_static(b"Y")))
        .unwrap();
    world.run(world.fs.fsync(writer)).unwrap();
    assert_eq!(cache().1, PageCache::Drop);
    assert_eq!(cache().1, PageCache::Drop);
}

#[test]
fn an_open_file_shows_its_new_size_or_that_it_is_gone_after_the_trust_time() {
    let world = trusting(Duration::ZERO);
    world.sim.put(BUCKET, "f", "AAAA");
    let (ino, opened) = world.run(open(&world, "f"));
    world.sim.put(BUCKET, "f", "BBBBBBBB");
    let attr = world.run(world.look("f")).unwrap();
    assert_eq!(attr.size, 8);
    assert_ne!(attr.ino, ino);
    let fstat = world.run(world.fs.getattr(ino, Some(opened.fh))).unwrap();
    assert_eq!((fstat.value.size, fstat.value.links), (4, 0));
    world.sim.delete(BUCKET, "f");
    assert!(matches!(world.run(world.look("f")), Err(FsError::NoEntry)));
    assert!(matches!(
        world.run(world.fs.next_invalidation()),
        Some(Invalidation::Entry(ROOT, _))
    ));
}

#[test]
fn the_kernel_is_given_what_is_left_of_the_trust_time() {
    let ttl = Duration::from_secs(600);
    let world = trusting(ttl);
    world.sim.put(BUCKET, "d/f", "x");
    let parent = world.run(world.look("d")).unwrap().ino;
    let lookup = || world.run(world.fs.lookup(parent, name("f"))).unwrap();
    let missing = || {
        let found = world.run(world.fs.lookup(parent, name("none")));
        assert!(matches!(found, Err(FsError::NoEntry)));
        world.fs.absent_ttl(parent, name("none"))
    };
    let listed = || {
        let fh = world.run(world.fs.opendir(parent)).unwrap().fh;
        let mut ttl = None;
        let mut take = |entry: &s3fs::fs::DirEntry| {
            let Trusted { ttl: left, .. } = entry.attr;
            ttl = (entry.name == "f").then_some(left).or(ttl);
            true
        };
        world.run(world.fs.readdir(fh, 0, true, &mut take)).unwrap();
        world.fs.releasedir(fh);
        ttl.unwrap()
    };
    lookup();
    missing();
    std::thread::sleep(Duration::from_millis(50));
    let less = ttl - Duration::from_millis(50);
    assert!(lookup().ttl <= less);
    assert!(missing() <= less);
    // An open file is not known for ever.
    let opened = world.run(world.fs.open(lookup().value.ino, READ)).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert!(lookup().ttl <= less);
    assert!(listed() <= ttl);
    std::thread::sleep(Duration::from_millis(50));
    assert!(listed() < ttl);
    world.run(world.close(opened.fh)).unwrap();
}

#[test]
fn a_file_that_is_renamed_over_while_it_is_opened_is_opened_as_the_one_that_has_its_name() {
    let world = trusting(Duration::from_secs(600));
    world.sim.put(BUCKET, "doc", "old");
    let old = world.run(world.look("doc")).unwrap().ino;
    world
        .run(world.write_new("tmp", b"newer".to_vec()))
        .unwrap();
    world.run(world.rename("tmp", "doc")).unwrap();
    // The path walk of an open has found the old inode before.
    let opened = world.run(world.fs.open(old, READ)).unwrap();
    assert_eq!(opened.cache, PageCache::Bypass);
    assert_eq!(world.fs.take_stale_attributes(), [old]);
    let shown = world.run(world.fs.getattr(old, Some(opened.fh))).unwrap();
    assert_eq!((shown.value.ino, shown.value.size), (old, 5));
    let read = world.run(world.fs.read(opened.fh, ByteRange::new(0, 9)));
    assert_eq!(&read.unwrap()[..], b"newer");
    // To the kernel it is one file, whatever has the name later.
    let write_newest = world.write_new("tmp", b"the newest".to_vec());
    world.run(write_newest).unwrap();
    world.run(world.rename("tmp", "doc")).unwrap();
    let again = world.run(world.fs.open(old, READ)).unwrap();
    let read = world.run(world.fs.read(again.fh, ByteRange::new(0, 9)));
    assert_eq!(&read.unwrap()[..], b"newer");
    world.run(world.close(again.fh)).unwrap();
    let shown = world.run(world.fs.getattr(old, Some(opened.fh))).unwrap();
    assert_eq!(shown.value.size, 5);
    world.run(world.close(opened.fh)).unwrap();
    let opened = world.run(world.fs.open(old, READ)).unwrap();
    let read = world.run(world.fs.read(opened.fh, ByteRange::new(0, 10)));
    assert_eq!(&read.unwrap()[..], b"the newest");
    world.run(world.close(opened.fh)).unwrap();
    // What changes a file is looked up again.
    let mode = OpenMode {
        write: true,
        ..READ
    };
    let written = world.run(world.fs.open(old, mode));
    assert!(matches!(written, Err(FsError::StaleInode)), "{written:?}");
    let set = SetAttr {
        size: Some(0),
        ..SetAttr::default()
    };
    let cut = world.run(world.fs.setattr(old, None, set));
    assert!(matches!(cut, Err(FsError::StaleInode)), "{cut:?}");
    let marked = world
        .fs
        .set_extended(old, name("user.x"), b"1", s3fs::fs::SetExtended::Either);
    let marked = world.run(marked);
    assert!(matches!(marked, Err(FsError::StaleInode)), "{marked:?}");
}

#[test]
fn another_file_of_the_name_is_not_opened_by_who_was_let_in_to_the_old_one_only() {
    let world = trusting(Duration::from_secs(600));
    world.sim.put(BUCKET, "doc", "old");
    let old = world.run(world.look("doc")).unwrap().ino;
    let secret = NewNode {
        permissions: 0o600,
        ..NEW
    };
    let mode = OpenMode {
        write: true,
        ..READ
    };
    let (_, made) = world
        .run(world.fs.create(ROOT, name("tmp"), secret, mode))
        .unwrap();
    world.run(world.close(made.fh)).unwrap();
    world.run(world.rename("tmp", "doc")).unwrap();
    let opened = world.run(world.fs.open(old, READ));
    assert!(matches!(opened, Err(FsError::StaleInode)), "{opened:?}");
}

#[test]
fn a_directory_that_another_was_renamed_over_is_looked_up_again() {
    let world = trusting(Duration::from_secs(600));
    for path in ["from", "to"] {
        world
            .run(world.fs.mkdir(ROOT, name(path), DIRECTORY))
            .unwrap();
    }
    let old = world.run(world.look("to")).unwrap().ino;
    world.run(world.write_new("from/f", b"x".to_vec())).unwrap();
    world.run(world.rename("from", "to")).unwrap();
    let below = world.run(world.fs.lookup(old, name("f")));
    assert!(matches!(below, Err(FsError::StaleInode)), "{below:?}");
    let opened = world.run(world.fs.opendir(old));
    assert!(matches!(opened, Err(FsError::StaleInode)), "{opened:?}");
    assert_eq!(world.run(world.look("to/f")).unwrap().size, 1);
}

#[test]
fn a_directory_is_renamed_that_has_an_open_file_which_another_client_has_replaced() {
    let world = trusting(Duration::ZERO);
    world.sim.put(BUCKET, "d/f", "old");
    let (_, old) = world.run(open(&world, "d/f"));
    world.sim.put(BUCKET, "d/f", "newer");
    let (_, new) = world.run(open(&world, "d/f"));
    world.run(world.rename("d", "e")).unwrap();
    assert_eq!(world.sim.keys(BUCKET), ["e/f"]);
    let read = |fh| world.run(world.fs.read(fh, ByteRange::new(0, 5)));
    assert_eq!(&read(new.fh).unwrap()[..], b"newer");
    assert!(is_stale(&read(old.fh)));
}

/// The store has the new object of a fsync(2), and its answer is on the way.
#[test]
fn what_the_mount_itself_is_publishing_is_not_taken_for_another_clients() {
    let world = trusting(Duration::ZERO);
    world.sim.put(BUCKET, "f", vec![b'o'; 40]);
    let write = OpenMode {
        write: true,
        ..READ
    };
    let (ino, reader) = world.run(open(&world, "f"));
    let writer = world.run(world.fs.open(ino, write)).unwrap().fh;
    for round in 0..3 {
        let new = Bytes::from(vec![b'0' + round; 4]);
        world.run(world.fs.write(writer, 0, new)).unwrap();
        let before = world.sim.stat(BUCKET, "f").unwrap().etag;
        let late = How::AnswerAfter(Duration::from_millis(1500));
        world.sim.fault(Fault::on(Operation::PutObject, late));
        let fs = std::sync::Arc::clone(&world.fs);
        let (synced, outcome) = std::sync::mpsc::channel();
        world.spawn(async move { synced.send(fs.fsync(writer).await) });
        world.wait_until(|| world.sim.stat(BUCKET, "f").unwrap().etag != before);
        // What was not written, and is in no cache.
        let at = 8 + 8 * u64::from(round);
        let range = ByteRange::new(at, at + 8);
        let read = world.run(world.fs.read(reader.fh, range));
        assert_eq!(&read.unwrap()[..], b"oooooooo");
        assert_eq!(world.run(open(&world, "f")).0, ino, "the same inode");
        world.run(world.concatenate(&["f"], "copy")).unwrap();
        outcome.recv().unwrap().unwrap();
        let copied = world.sim.content(BUCKET, "copy").unwrap();
        assert_eq!(copied, world.sim.content(BUCKET, "f").unwrap());
    }
    assert!(world.run(world.close(writer)).is_ok());
}
