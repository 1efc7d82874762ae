//! Compares what the mount shows and what the bucket holds with what is expected: every directory,
//! every name that may be there, every byte that can be read. Changes nothing.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use s3fs::attributes::{Attributes, extended};
use s3fs::fs::{Attr, FsError, FsResult, Kind};
use s3fs::range::ByteRange;
use s3fs::sim::Sim;

use super::driven::{Driven, READ};
use super::edits::Answer;
use super::expected::{Code, DIRECTORY_MODE, Expected, FILE_MODE, Meta, View};
use super::operation::Op;
use super::publish::same;
use super::world::BUCKET;

/// What unlinked files are kept under.
const UNLINKED: &str = ".s3fs-unlinked/";
/// The longest file, in bytes.
const FILE_BYTES_MAX: u64 = 100_000;
/// Names that may be in the top directory, and those that may be below.
const TOP: [&str; 3] = ["a", "b", "a-"];
const BELOW: [&str; 2] = ["a", "b"];

/// What is in the bucket under a key.
pub fn stored(sim: &Sim, key: &str) -> Option<(Vec<u8>, Meta)> {
    let metadata = sim.stat(BUCKET, key)?.headers.metadata;
    let told = Attributes::of_metadata(&metadata);
    let meta = Meta {
        kind: told.kind,
        mode: told.permissions,
        uid: told.uid,
        gid: told.gid,
        mtime: told.mtime,
        extended: extended::of_metadata(&metadata),
    };
    Some((sim.content(BUCKET, key)?, meta))
}

/// What a listing showed.
type Listed = BTreeMap<String, Attr>;

/// Compares everything.
///
/// # Panics
/// With the first difference.
pub fn compare(driven: &mut Driven, expected: &mut Expected) {
    compare_store(&driven.world.sim, expected);
    settle_kept(driven, expected);
    compare_directory(driven, expected, "", 0);
    compare_open(driven, expected);
    driven.forget();
    driven.world.sim.reset_counters();
}

fn compare_store(sim: &Sim, expected: &Expected) {
    let keys = sim.keys(BUCKET);
    let (hidden, keys): (Vec<_>, Vec<_>) =
        keys.into_iter().partition(|key| key.starts_with(UNLINKED));
    let known: Vec<_> = expected.store.keys().cloned().collect();
    assert_eq!(keys, known, "keys of the bucket");
    let unlinked = expected
        .inodes
        .values()
        .filter(|inode| inode.path.is_none());
    assert!(
        hidden.len() <= unlinked.count(),
        "kept for nobody: {hidden:?}"
    );
    for (key, object) in &expected.store {
        let (bytes, meta) = stored(sim, key).expect("it was listed");
        assert_eq!(bytes, object.bytes, "content of {key} in the bucket");
        assert!(
            same(&meta, &object.meta),
            "{key} in the bucket: {meta:?}, not {:?}",
            object.meta
        );
    }
}

/// Settles whether directories are kept of which that was left open.
fn settle_kept(driven: &Driven, expected: &mut Expected) {
    // Those above come first.
    let open: Vec<String> = expected.maybe_kept.iter().cloned().collect();
    for path in open {
        if expected.kept.contains(&path) || expected.walk(&path).is_err() {
            expected.maybe_kept.remove(&path);
        } else if expected.view(&path) != View::Directory {
            let found = driven.world.run(driven.look(&path));
            expected.maybe_kept.remove(&path);
            if found.is_ok_and(|attr| attr.kind == Kind::Directory) {
                expected.kept.insert(path);
            }
        }
    }
    expected.prune();
}

fn compare_directory(driven: &Driven, expected: &Expected, path: &str, depth: usize) {
    let listed = driven
        .world
        .run(list(driven, path))
        .unwrap_or_else(|error| panic!("{path:?} cannot be listed: {error}"));
    let at = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}/{name}"),
    };
    let mut names = expected.children(path);
    for name in listed.keys() {
        assert!(names.contains(name), "{name:?} in {path:?} is nowhere");
    }
    names.extend(
        if depth == 0 { TOP.as_slice() } else { &BELOW }
            .iter()
            .map(|name| (*name).to_owned()),
    );
    for name in names {
        let child = at(&name);
        let view = expected.view(&child);
        let found = driven.world.run(driven.look(&child));
        if view == View::Absent {
            assert!(
                matches!(found, Err(FsError::NoEntry)),
                "{child:?} is there: {found:?}"
            );
            continue;
        }
        let attr =
            found.unwrap_or_else(|error| panic!("{child:?}, a {view:?}, is not found: {error}"));
        compare_attr(expected, &child, &attr, "looked up");
        match listed.get(&name) {
            Some(attr) => compare_attr(expected, &child, attr, "listed"),
            None => assert!(expected.is_ghost(&child), "{child:?} is not listed"),
        }
        let shown = expected.shown(&child);
        let is_open = expected.open_at(&child).is_some();
        // To ask takes over what another client has done to an open file.
        if !(is_open && expected.others) {
            let kept = driven.world.run(extended_of(driven, &attr));
            assert_eq!(
                kept.unwrap(),
                shown.1.extended,
                "extended attributes of {child:?}"
            );
        }
        match view {
            View::Directory => compare_directory(driven, expected, &child, depth + 1),
            // Its close would publish it, and its open take over what another client has done.
            _ if is_open => {}
            _ => compare_content(driven, &child, &attr, &shown.0),
        }
    }
}

fn compare_attr(expected: &Expected, path: &str, attr: &Attr, how: &str) {
    let (bytes, meta) = expected.shown(path);
    let is_directory = expected.view(path) == View::Directory;
    let kind = match is_directory {
        true => Kind::Directory,
        false => meta.kind.unwrap_or(Kind::File),
    };
    let usual = if is_directory {
        DIRECTORY_MODE
    } else {
        FILE_MODE
    };
    let known = (
        kind,
        meta.mode.unwrap_or(usual),
        meta.uid.unwrap_or(0),
        meta.gid.unwrap_or(0),
    );
    let shown = (attr.kind, attr.mode, attr.uid, attr.gid);
    assert_eq!(shown, known, "kind, mode and owner of {path:?}, {how}");
    if is_directory {
        // Entries that come and go change it too.
        assert!(
            meta.mtime.is_none_or(|time| attr.modified >= time),
            "time of {path:?}, {how}"
        );
    } else {
        assert_eq!(attr.size, bytes.len() as u64, "size of {path:?}, {how}");
        assert!(
            meta.mtime.is_none_or(|time| attr.modified == time),
            "time of {path:?}, {how}: {:?}, not {:?}",
            attr.modified,
            meta.mtime
        );
    }
}

async fn list(driven: &Driven, path: &str) -> FsResult<Listed> {
    let fs = &driven.world.fs;
    let ino = driven.look(path).await?.ino;
    let fh = fs.opendir(ino).await?.fh;
    let mut listed = Listed::new();
    let mut offset = 0;
    loop {
        let before = offset;
        let mut take = |entry: &s3fs::fs::DirEntry| {
            offset = entry.next_offset;
            let name = entry
                .name
                .to_str()
                .expect("a name of the model's")
                .to_owned();
            if name != "." && name != ".." {
                driven.counted(entry.attr.value.ino);
                // An object beside a directory has a name of its own.
                if !name.contains('\u{201b}') {
                    assert!(
                        listed.insert(name, entry.attr.value).is_none(),
                        "listed twice"
                    );
                }
            }
            true
        };
        fs.readdir(fh, before, true, &mut take).await?;
        if offset == before {
            break;
        }
    }
    fs.releasedir(fh);
    Ok(listed)
}

async fn extended_of(driven: &Driven, attr: &Attr) -> FsResult<extended::Extended> {
    let fs = &driven.world.fs;
    let mut all = extended::Extended::new();
    for name in fs.extended_names(attr.ino).await? {
        let value = fs.extended(attr.ino, OsStr::new(&name)).await?;
        all.insert(name, value);
    }
    Ok(all)
}

fn compare_content(driven: &Driven, path: &str, attr: &Attr, bytes: &[u8]) {
    let world = &driven.world;
    let read = world.run(async {
        if attr.kind == Kind::Symlink {
            return world.fs.readlink(attr.ino).await;
        }
        let fh = world.fs.open(attr.ino, READ).await?.fh;
        let read = world.fs.read(fh, ByteRange::at(0, FILE_BYTES_MAX)).await;
        world.fs.release(fh).await?;
        read
    });
    let read = read.unwrap_or_else(|error| panic!("{path:?} cannot be read: {error}"));
    assert_eq!(read, bytes, "content of {path:?}");
}

/// Reads through every handle, and looks at what it is of.
fn compare_open(driven: &mut Driven, expected: &mut Expected) {
    for number in 0..driven.handles.len() {
        let op = Op::Read {
            handle: number,
            at: 0,
            len: FILE_BYTES_MAX,
        };
        let sim = &driven.world.sim;
        let known = expected.on_handle(&op, sim);
        let read = driven.run(&op, Vec::new());
        assert_answer(&read, &known, &op);
        let (fh, ino) = driven.handles[number];
        let attr = driven.world.run(driven.world.fs.getattr(ino, Some(fh)));
        let attr = attr
            .unwrap_or_else(|error| panic!("handle {number}: {error}"))
            .value;
        let inode = &expected.inodes[&expected.handles[number].inode];
        assert_eq!(
            attr.size,
            inode.cells.len() as u64,
            "size by handle {number}"
        );
        let links = u32::from(inode.path.is_some());
        assert_eq!(attr.links, links, "links by handle {number}");
    }
    expected.absorb(&driven.world.sim);
}

/// # Panics
/// When an answer is not as expected.
pub fn assert_answer(real: &Result<Answer, Code>, known: &Result<Answer, Code>, op: &Op) {
    let is_as_expected = match (real, known) {
        (Ok(Answer::Bytes(read)), Ok(Answer::BytesOrStale(bytes))) => read == bytes,
        (Err(Code::Stale), Ok(Answer::BytesOrStale(_))) => true,
        (real, known) => real == known,
    };
    assert!(
        is_as_expected,
        "{op:?}\n  answered {real:?}\n  expected {known:?}"
    );
}
