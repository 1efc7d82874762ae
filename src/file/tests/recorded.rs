//! What is recorded of a change is all of it: a process that was killed after any of them is found
//! as it was.

use std::fs::File as Descriptor;
use std::io::Write as _;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Model, Op, Toy, block_on, op, run, toy_limits};
use crate::config::Bounds;
use crate::file::record::FILE;
use crate::file::state::State;
use crate::file::{File, Kept, Shared};
use crate::journal::{Journal, Key, LogFiles, Values};

/// The log as it is now, by its values.
fn recorded(kept: &Kept) -> Values {
    let copied = |log: BorrowedFd<'_>| {
        let log = Descriptor::from(log.try_clone_to_owned().unwrap());
        let mut bytes = vec![0; log.metadata().unwrap().len() as usize];
        log.read_exact_at(&mut bytes, 0).unwrap();
        let mut copy = crate::journal::memory("copy").unwrap();
        copy.write_all(&bytes).unwrap();
        copy
    };
    let [one, other, ..] = kept.descriptors();
    let (_, values) = Journal::resume(LogFiles([copied(one), copied(other)])).unwrap();
    values
}

/// Asserts that what is recorded of a file is what it is.
fn check(file: &File, kept: &Kept) {
    // Recorded under this lock.
    let state = file.state.lock();
    let values = recorded(kept);
    let key = Key {
        kind: FILE,
        id: file.id,
    };
    let (found, places) = State::restore(&values[&key], &file.shared.buckets).unwrap();
    assert_eq!(found.map, state.map);
    assert_eq!(found.attributes, state.attributes);
    assert_eq!(found.to_be_found(), state.to_be_found());
    for (index, place) in file.staging.lock().places() {
        assert_eq!(places.get(&index), Some(&place));
    }
}

async fn check_after_each(ops: Vec<Op>) {
    let dir = tempfile::tempdir().unwrap();
    let kept = Kept::create(dir.path()).unwrap();
    let bounds = Bounds {
        // A few blocks of a page.
        staging_memory_bytes_max: 32 << 10,
        staging_disk_bytes_max: 16 << 20,
        ..Bounds::default()
    };
    let own = kept.try_clone().unwrap();
    let toy = Toy::with(toy_limits(), bounds, |buckets, bounds, runtime| {
        Shared::keeping(buckets, bounds, runtime, own).unwrap()
    });
    let files: [Arc<File>; 3] = ["a", "b", "c"].map(|key| toy.create(key));
    let mut model = Model::default();
    for (count, op) in ops.iter().enumerate() {
        run(op, &files, &mut model).await;
        files.iter().for_each(|file| check(file, &kept));
        files[count % 3].describe(|headers, attributes| {
            attributes.permissions = Some(count as u16);
            if count % 2 == 0 {
                headers.content_type = Some(count.to_string());
            }
        });
        files.iter().for_each(|file| check(file, &kept));
        tokio::task::yield_now().await;
        files.iter().for_each(|file| check(file, &kept));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_found_after_any_edit_is_what_was_there(
        ops in proptest::collection::vec(op(), 1..40)
    ) {
        block_on(check_after_each(ops));
    }
}
