//! Tests of staging: against a byte vector, at the bounds, and under concurrency.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::{BLOCK_BYTES, Staging, StagingBounds, StagingError, StagingFiles, StagingPool};
use crate::journal::{self, Batch, Journal, Key};
use crate::range::ByteRange;

const BLOCK: usize = BLOCK_BYTES as usize;

fn bounds(dir: &Path, memory_bytes_max: u64, disk_bytes_max: u64) -> StagingBounds {
    StagingBounds {
        memory_bytes_max,
        disk_bytes_max,
        dir: dir.to_path_buf(),
    }
}

fn pool(dir: &Path, memory_bytes_max: u64, disk_bytes_max: u64) -> Arc<StagingPool> {
    StagingPool::new(bounds(dir, memory_bytes_max, disk_bytes_max))
}

fn off() -> Arc<Journal> {
    Arc::new(Journal::off())
}

fn bytes(staging: &Staging, range: ByteRange) -> Vec<u8> {
    super::read(staging.hold(range)).unwrap().concat()
}

/// Stages bytes, those on the disk at once; nothing of them when that fails.
fn append(staging: &mut Staging, bytes: &[u8]) -> Result<u64, StagingError> {
    let (at, writes) = staging.append(bytes)?;
    if let Err(error) = super::write(&writes) {
        staging.release(ByteRange::at(at, bytes.len() as u64));
        return Err(error);
    }
    Ok(at)
}

fn overwrite(staging: &mut Staging, at: u64, bytes: &[u8]) -> Result<(), StagingError> {
    super::write(&staging.overwrite(at, bytes))
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[derive(Clone, Debug)]
enum Edit {
    Append { len: usize },
    Overwrite { at: usize, len: usize },
    Freeze,
    Release { at: usize, len: usize },
}

fn edit() -> impl Strategy<Value = Edit> {
    let lens = || prop_oneof![0..200_usize, 0..3 * BLOCK];
    prop_oneof![
        6 => lens().prop_map(|len| Edit::Append { len }),
        3 => (any::<usize>(), lens()).prop_map(|(at, len)| Edit::Overwrite { at, len }),
        1 => Just(Edit::Freeze),
        3 => (any::<usize>(), lens()).prop_map(|(at, len)| Edit::Release { at, len }),
    ]
}

/// What is staged, by address; `None` where nothing was appended or it was released.
#[derive(Default)]
struct Model {
    bytes: Vec<Option<u8>>,
    frozen_end: usize,
    stamp: u8,
}

impl Model {
    fn new_bytes(&mut self, len: usize) -> Vec<u8> {
        self.stamp = self.stamp.wrapping_add(1);
        (0..len)
            .map(|i| self.stamp.wrapping_mul(31).wrapping_add(i as u8))
            .collect()
    }

    /// The live run at or after `at`, at most `len` long; wraps around at the end.
    fn live_run(&self, at: usize, len: usize, from: usize) -> ByteRange {
        let span = self.bytes.len() - from;
        let start = (0..span)
            .map(|i| from + (at % span.max(1) + i) % span)
            .find(|&at| self.bytes[at].is_some())
            .unwrap_or(from);
        let end = (start..self.bytes.len())
            .take(len)
            .take_while(|&at| self.bytes[at].is_some())
            .last()
            .map_or(start, |last| last + 1);
        ByteRange::new(start as u64, end as u64)
    }

    fn live_runs(&self) -> Vec<ByteRange> {
        let mut runs = Vec::new();
        let mut at = 0;
        while at < self.bytes.len() {
            let len = self.bytes[at..]
                .iter()
                .take_while(|byte| byte.is_some())
                .count();
            runs.extend((len > 0).then(|| ByteRange::at(at as u64, len as u64)));
            at += len + 1;
        }
        runs
    }

    fn expected(&self, range: ByteRange) -> Vec<u8> {
        let run = &self.bytes[range.start() as usize..range.end() as usize];
        run.iter().map(|byte| byte.unwrap()).collect()
    }
}

fn apply(edit: &Edit, staging: &mut Staging, model: &mut Model) {
    match *edit {
        Edit::Append { len } => {
            let new = model.new_bytes(len);
            match append(staging, &new) {
                Ok(at) => {
                    assert!(
                        at as usize >= model.bytes.len(),
                        "an address was given twice"
                    );
                    model.bytes.resize(at as usize, None);
                    model.bytes.extend(new.into_iter().map(Some));
                }
                Err(StagingError::Full { wanted, .. }) => assert_eq!(wanted, len as u64),
                Err(error) => panic!("{error}"),
            }
        }
        Edit::Overwrite { at, len } => {
            let from = model.frozen_end.min(model.bytes.len());
            let run = model.live_run(at, len, from);
            let new = model.new_bytes(run.len() as usize);
            overwrite(staging, run.start(), &new).unwrap();
            for (at, byte) in (run.start() as usize..).zip(new) {
                model.bytes[at] = Some(byte);
            }
        }
        Edit::Freeze => {
            let next = staging.freeze();
            assert_eq!(next % BLOCK_BYTES, 0);
            model.frozen_end = next as usize;
        }
        Edit::Release { at, len } => {
            let at = at % (model.bytes.len() + 1);
            let end = (at + len).min(model.bytes.len());
            staging.release(ByteRange::new(at as u64, end as u64));
            staging.settle();
            model.bytes[at..end].fill(None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn staged_bytes_read_back_and_the_bounds_hold_whatever_is_done(
        edits in prop::collection::vec(edit(), 1..60),
        memory_blocks in 0..6_u64,
        disk_blocks in 0..6_u64,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (memory_max, disk_max) = (memory_blocks * BLOCK_BYTES / 2, disk_blocks * BLOCK_BYTES);
        let given = StagingFiles::create(dir.path()).unwrap();
        let own = given.try_clone().unwrap();
        let bounds = bounds(dir.path(), memory_max, disk_max);
        let pool = StagingPool::over(bounds.clone(), Some(own), off());
        let mut staging = Staging::new(&pool);
        let mut model = Model::default();
        let mut shared = Vec::new();
        for edit in &edits {
            apply(edit, &mut staging, &mut model);
            let runs = model.live_runs();
            for run in &runs {
                prop_assert_eq!(bytes(&staging, *run), model.expected(*run));
            }
            let staged: u64 = runs.iter().map(|run| run.len()).sum();
            prop_assert!(pool.memory_bytes() <= memory_max && pool.disk_bytes() <= disk_max);
            prop_assert!(pool.memory_bytes() + pool.disk_bytes() >= staged);
            if let (Edit::Freeze, Some(run)) = (edit, runs.last()) {
                shared.push((super::read(staging.hold(*run)).unwrap(), model.expected(*run)));
            }
        }
        for (read_before, expected) in shared {
            prop_assert_eq!(read_before.concat(), expected, "a frozen byte changed");
        }
        // The same bytes are there for whoever is told where the blocks are.
        let places = staging.places().into_iter().collect();
        let runs = model.live_runs();
        let restored = StagingPool::over(bounds, Some(given), off());
        let found = Staging::restore(&restored, &places, &runs).unwrap().unwrap();
        restored.end_restoring();
        for run in &runs {
            prop_assert_eq!(bytes(&found, *run), model.expected(*run));
        }
        prop_assert!(restored.memory_bytes() <= memory_max && restored.disk_bytes() <= disk_max);
        drop(found);
        prop_assert_eq!((restored.memory_bytes(), restored.disk_bytes()), (0, 0));
        drop(staging);
        prop_assert_eq!((pool.memory_bytes(), pool.disk_bytes()), (0, 0));
        prop_assert_eq!(files(dir.path()).len(), 0);
    }
}

#[test]
fn a_few_bytes_do_not_take_the_memory_of_a_block() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool(dir.path(), BLOCK_BYTES, 0);
    let mut small: Vec<_> = (0..4).map(|_| Staging::new(&pool)).collect();
    for staging in &mut small {
        append(staging, b"tiny").unwrap();
    }
    assert_eq!(pool.memory_bytes(), 4 * 4096);
}

#[test]
fn what_memory_has_no_room_for_goes_to_a_file_only_its_owner_can_read() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool(dir.path(), BLOCK_BYTES, 4 * BLOCK_BYTES);
    let mut staging = Staging::new(&pool);
    let written: Vec<u8> = (0..3 * BLOCK).map(|i| (i / 7) as u8).collect();
    let at = append(&mut staging, &written).unwrap();
    assert_eq!(
        (pool.memory_bytes(), pool.disk_bytes()),
        (BLOCK_BYTES, 2 * BLOCK_BYTES)
    );
    assert_eq!(
        bytes(&staging, ByteRange::at(at, written.len() as u64)),
        written
    );
    // Without a name nobody else can open it at all.
    assert!(files(dir.path()).is_empty());
    let file = pool.spill.opened().unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_block_that_memory_has_no_more_room_for_stays_and_bytes_go_on_in_the_spill_file() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool(dir.path(), 8192, 4 * BLOCK_BYTES);
    let mut staging = Staging::new(&pool);
    append(&mut staging, &[1; 8000]).unwrap();
    assert_eq!((pool.memory_bytes(), pool.disk_bytes()), (8192, 0));
    assert_eq!(staging.append_in_memory(&[2; 1000]).unwrap(), None);
    let at = append(&mut staging, &[2; 1000]).unwrap();
    assert_eq!(at, BLOCK_BYTES);
    assert_eq!((pool.memory_bytes(), pool.disk_bytes()), (8192, 4096));
    overwrite(&mut staging, 7999, &[3]).unwrap();
    overwrite(&mut staging, at, &[3]).unwrap();
    assert_eq!(append(&mut staging, &[4; 4000]).unwrap(), at + 1000);
    let read = |from: u64| bytes(&staging, ByteRange::at(from, 2));
    assert_eq!((read(7998), read(at)), (vec![1, 3], vec![3, 2]));
}

#[test]
fn released_blocks_give_their_disk_room_back_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool(dir.path(), 0, 4 * BLOCK_BYTES);
    let mut staging = Staging::new(&pool);
    append(&mut staging, &vec![7; 4 * BLOCK]).unwrap();
    let file = pool.spill.opened().unwrap();
    let allocated = file.metadata().unwrap().blocks();
    staging.release(ByteRange::at(0, 3 * BLOCK_BYTES));
    assert_eq!(pool.disk_bytes(), 4 * BLOCK_BYTES, "before it is settled");
    staging.settle();
    assert_eq!(pool.disk_bytes(), BLOCK_BYTES);
    assert_eq!(file.metadata().unwrap().blocks(), allocated / 4);
    append(&mut staging, &vec![8; 3 * BLOCK]).unwrap();
}

#[test]
fn bytes_that_fit_nowhere_are_refused_and_nothing_of_them_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool(dir.path(), BLOCK_BYTES, BLOCK_BYTES);
    let mut staging = Staging::new(&pool);
    let first = append(&mut staging, b"kept").unwrap();
    let refused = append(&mut staging, &vec![9; 2 * BLOCK]).unwrap_err();
    assert!(matches!(refused, StagingError::Full { wanted, .. } if wanted == 2 * BLOCK_BYTES));
    assert_eq!(append(&mut staging, b"next").unwrap(), first + 4);
    assert_eq!(bytes(&staging, ByteRange::at(first, 8)), b"keptnext");
    drop(staging);
    assert_eq!((pool.memory_bytes(), pool.disk_bytes()), (0, 0));
}

#[test]
fn a_spill_file_that_cannot_be_made_is_an_error_that_names_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let pool = pool(&missing, 4096, BLOCK_BYTES);
    let mut staging = Staging::new(&pool);
    append(&mut staging, &[1; 4096]).unwrap();
    let error = append(&mut staging, &[2; 1]).unwrap_err();
    assert!(
        matches!(&error, StagingError::Spill { dir, .. } if *dir == missing),
        "{error}"
    );
    assert_eq!(bytes(&staging, ByteRange::at(0, 4096)), [1; 4096]);
    assert_eq!(pool.disk_bytes(), 0);
}

#[test]
fn a_disk_that_fails_is_an_error_and_the_bytes_in_memory_stay() {
    // Writing to /dev/full fails with ENOSPC.
    let dir = tempfile::tempdir().unwrap();
    let bounds = bounds(dir.path(), 4096, BLOCK_BYTES);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let files = StagingFiles {
        memory: journal::memory("test").unwrap(),
        spill: full.unwrap(),
    };
    let pool = StagingPool::over(bounds, Some(files), off());
    let mut staging = Staging::new(&pool);
    append(&mut staging, &[1; 4096]).unwrap();
    let error = append(&mut staging, &[2; 1]).unwrap_err();
    assert!(matches!(&error, StagingError::Spill { .. }), "{error}");
    assert_eq!(bytes(&staging, ByteRange::at(0, 4096)), [1; 4096]);
    drop(staging);
    assert_eq!(pool.memory_bytes(), 0);
}

#[test]
#[should_panic(expected = "is frozen")]
fn frozen_addresses_cannot_be_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let mut staging = Staging::new(&pool(dir.path(), BLOCK_BYTES, 0));
    append(&mut staging, b"frozen").unwrap();
    staging.freeze();
    overwrite(&mut staging, 0, b"x").unwrap();
}

#[test]
fn reads_of_frozen_memory_share_it_and_hold_its_room_until_they_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool(dir.path(), BLOCK_BYTES, 0);
    let mut staging = Staging::new(&pool);
    append(&mut staging, &[5; 4096]).unwrap();
    staging.freeze();
    let first = super::read(staging.hold(ByteRange::at(0, 4096))).unwrap();
    let second = super::read(staging.hold(ByteRange::at(0, 4096))).unwrap();
    assert_eq!(first[0].as_ptr(), second[0].as_ptr());
    drop((staging, second));
    assert_eq!(pool.memory_bytes(), 4096);
    drop(first);
    assert_eq!(pool.memory_bytes(), 0);
}

#[test]
fn an_append_that_fits_by_the_pools_word_does_not_spill() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool(dir.path(), 3 * BLOCK_BYTES / 2 + 4096, BLOCK_BYTES);
    let mut staging = Staging::new(&pool);
    while pool.has_memory_for(1000) {
        append(&mut staging, &[0; 1000]).unwrap();
    }
    assert_eq!(pool.disk_bytes(), 0);
    assert_eq!(pool.memory_bytes(), 3 * BLOCK_BYTES / 2 + 4096);
}

#[tokio::test]
async fn whoever_waits_for_memory_wakes_even_if_it_came_back_before_the_first_poll() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool(dir.path(), 4096, 0);
    let mut staging = Staging::new(&pool);
    append(&mut staging, b"all the memory there is").unwrap();
    let returned = pool.memory_returned();
    assert!(!pool.has_memory_for(1));
    drop(staging);
    returned.await;
    assert!(pool.has_memory_for(1));
}

#[test]
fn the_accounts_are_exact_when_many_threads_stage_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool(dir.path(), 3 * BLOCK_BYTES, 3 * BLOCK_BYTES);
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let pool = &pool;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..40 {
                    let mut staging = Staging::new(pool);
                    for _ in 0..random.usize(1..6) {
                        let _ = append(&mut staging, &vec![1; random.usize(0..BLOCK)]);
                        staging.freeze();
                    }
                    staging.release(ByteRange::at(0, random.u64(0..3 * BLOCK_BYTES)));
                    assert!(pool.memory_bytes() <= 3 * BLOCK_BYTES);
                    assert!(pool.disk_bytes() <= 3 * BLOCK_BYTES);
                }
            });
        }
    });
    assert_eq!((pool.memory_bytes(), pool.disk_bytes()), (0, 0));
    assert!(files(dir.path()).is_empty());
}

#[test]
fn pages_of_blocks_that_ended_are_used_again_and_never_beyond_the_bound() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool(dir.path(), 4 * BLOCK_BYTES, 0);
    let mut first = Staging::new(&pool);
    append(&mut first, &vec![1; 4 * BLOCK]).unwrap();
    drop(first);
    assert_eq!(pool.memory.idle_bytes(), 4 * BLOCK_BYTES);
    let mut small: Vec<_> = (0..8).map(|_| Staging::new(&pool)).collect();
    for staging in &mut small {
        append(staging, b"tiny").unwrap();
        assert!(pool.memory_bytes() + pool.memory.idle_bytes() <= 4 * BLOCK_BYTES);
    }
    let mut large = Staging::new(&pool);
    append(&mut large, &vec![2; BLOCK]).unwrap();
    assert_eq!(large.places().len(), 1);
    assert!(pool.memory_bytes() + pool.memory.idle_bytes() <= 4 * BLOCK_BYTES);
    assert!(pool.memory.idle_bytes() > 0, "no page was kept");
}

#[test]
fn a_slot_is_not_used_again_before_nothing_refers_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool(dir.path(), 4 * BLOCK_BYTES, 0);
    let mut staging = Staging::new(&pool);
    append(&mut staging, &vec![1; BLOCK]).unwrap();
    let was = staging.places()[0].1;
    staging.release(ByteRange::at(0, BLOCK_BYTES));
    append(&mut staging, &vec![2; BLOCK]).unwrap();
    assert_ne!(staging.places()[0].1, was);
    staging.settle();
    append(&mut staging, &vec![3; BLOCK]).unwrap();
    assert_eq!(staging.places()[1].1, was);
}

#[test]
fn no_slot_is_used_again_while_the_journal_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let log = journal::LogFiles::create().unwrap();
    let journal = Arc::new(Journal::begin(log).unwrap());
    let bounds = bounds(dir.path(), 4 * BLOCK_BYTES, 0);
    let pool = StagingPool::over(bounds, None, Arc::clone(&journal));
    let mut staging = Staging::new(&pool);
    let mut gone = Staging::new(&pool);
    append(&mut staging, &vec![1; BLOCK]).unwrap();
    append(&mut gone, &vec![2; BLOCK]).unwrap();
    let was = [staging.places()[0].1, gone.places()[0].1];
    journal.fail_writes(true);
    let mut batch = Batch::default();
    batch.delete(Key { kind: 1, id: 1 });
    journal.write(&batch);
    staging.release(ByteRange::at(0, BLOCK_BYTES));
    staging.settle();
    drop(gone);
    append(&mut staging, &vec![3; 2 * BLOCK]).unwrap();
    let now = staging.places();
    assert!(now.iter().all(|(_, place)| !was.contains(place)));
    assert_eq!(pool.memory_bytes(), 4 * BLOCK_BYTES);
    journal.fail_writes(false);
    journal.check().unwrap();
    staging.settle();
    assert_eq!(pool.memory_bytes(), 2 * BLOCK_BYTES);
}

#[test]
fn releasing_nothing_within_a_block_leaves_it_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut staging = Staging::new(&pool(dir.path(), BLOCK_BYTES, 0));
    append(&mut staging, b"content").unwrap();
    staging.release(ByteRange::at(3, 0));
    assert_eq!(bytes(&staging, ByteRange::at(0, 7)), b"content");
}
