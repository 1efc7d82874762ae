//! Tests of the journal: what is left of it wherever its writer is killed.

use std::os::unix::fs::FileExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::codec::{Record as _, whole};
use super::{Batch, HEADER_BYTES, Journal, JournalError, Key, LogFiles, Values, replay};

#[derive(Clone, Debug)]
enum Op {
    Put(u64, Vec<u8>),
    Add(u64, Vec<u8>),
    Delete(u64),
}

fn ops() -> impl Strategy<Value = Vec<Vec<Op>>> {
    let value = || prop::collection::vec(any::<u8>(), 0..40);
    let op = prop_oneof![
        3 => (0..6_u64, value()).prop_map(|(id, value)| Op::Put(id, value)),
        3 => (0..6_u64, value()).prop_map(|(id, value)| Op::Add(id, value)),
        1 => (0..6_u64).prop_map(Op::Delete),
    ];
    prop::collection::vec(prop::collection::vec(op, 1..4), 1..60)
}

fn key(id: u64) -> Key {
    Key { kind: 7, id }
}

fn batch(ops: &[Op], expected: &mut Values) -> Batch {
    let mut batch = Batch::default();
    for op in ops {
        match op {
            Op::Put(id, value) => {
                batch.put(key(*id), |to| to.extend(value));
                expected.insert(key(*id), value.clone());
            }
            Op::Add(id, value) => {
                batch.add(key(*id), |to| to.extend(value));
                expected.entry(key(*id)).or_default().extend(value);
            }
            Op::Delete(id) => {
                batch.delete(key(*id));
                expected.remove(&key(*id));
            }
        }
    }
    batch
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_found_however_often_the_log_was_written_anew(batches in ops()) {
        let files = LogFiles::create().unwrap();
        let mut journal = Journal::begin(files.try_clone().unwrap()).unwrap();
        let mut expected = Values::new();
        for (n, ops) in batches.iter().enumerate() {
            journal.write(&batch(ops, &mut expected));
            journal.check().unwrap();
            if n % 17 == 16 {
                let (resumed, found) = Journal::resume(files.try_clone().unwrap()).unwrap();
                prop_assert_eq!(&found, &expected);
                journal = resumed;
            }
        }
        let (_, found) = Journal::resume(files).unwrap();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_log_cut_anywhere_gives_the_values_after_one_of_its_records(batches in ops()) {
        let files = LogFiles::create().unwrap();
        let journal = Journal::begin(files.try_clone().unwrap()).unwrap();
        let mut log = journal.log().unwrap();
        log.compacted_at = u64::MAX;
        drop(log);
        let mut expected = Values::new();
        let mut states = vec![(HEADER_BYTES, expected.clone())];
        for ops in &batches {
            journal.write(&batch(ops, &mut expected));
            states.push((journal.log().unwrap().end, expected.clone()));
        }
        let whole = super::contents(&files.0[0]).unwrap();
        for cut in HEADER_BYTES as usize..=whole.len() {
            let (_, state) = states.iter().rfind(|(end, _)| *end <= cut as u64).unwrap();
            prop_assert_eq!(&replay(&whole[..cut]), state, "cut at {}", cut);
            // What was not written yet may read as zeros: a page that a write has not come to.
            let mut torn = whole.clone();
            torn[cut..].fill(0);
            // As far as zeros are what it would have been.
            let same = whole[cut..].iter().position(|byte| *byte != 0);
            let end = same.map_or(whole.len(), |same| cut + same) as u64;
            let (_, state) = states.iter().rfind(|(at, _)| *at <= end).unwrap();
            prop_assert_eq!(&replay(&torn), state, "torn at {}", cut);
        }
    }
}

#[test]
fn a_log_killed_while_it_is_written_anew_is_the_old_one_until_the_new_one_is_whole() {
    let files = LogFiles::create().unwrap();
    let journal = Journal::begin(files.try_clone().unwrap()).unwrap();
    let mut expected = Values::new();
    let ops = [Op::Put(1, b"one".to_vec()), Op::Put(2, b"two".to_vec())];
    journal.write(&batch(&ops, &mut expected));
    // The next log, all of it but its header.
    let half = [0; 100];
    files.0[1].write_all_at(&half, 0).unwrap();
    let (_, found) = Journal::resume(files.try_clone().unwrap()).unwrap();
    assert_eq!(found, expected);
    // Whole, and the old one not yet cut.
    let old = super::header(1);
    files.0[0].write_all_at(&old, 0).unwrap();
    let (_, found) = Journal::resume(files).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn memory_that_holds_no_log_is_refused() {
    let refused = Journal::resume(LogFiles::create().unwrap());
    assert!(matches!(refused, Err(JournalError::Unknown)));
}

#[test]
fn a_log_stays_within_twice_what_it_keeps() {
    let files = LogFiles::create().unwrap();
    let journal = Journal::begin(files).unwrap();
    let mut expected = Values::new();
    for n in 0..10_000_u64 {
        let op = [Op::Put(n % 5, n.to_le_bytes().to_vec())];
        journal.write(&batch(&op, &mut expected));
        assert!(journal.log().unwrap().end <= super::COMPACTED_BYTES_MIN);
    }
}

#[test]
fn what_cannot_be_written_waits_and_is_written_when_it_can_be() {
    let files = LogFiles::create().unwrap();
    let journal = Journal::begin(files.try_clone().unwrap()).unwrap();
    journal.fail_writes(true);
    let mut expected = Values::new();
    journal.write(&batch(&[Op::Put(1, b"one".to_vec())], &mut expected));
    journal.write(&batch(&[Op::Add(1, b"more".to_vec())], &mut expected));
    assert!(matches!(journal.check(), Err(JournalError::Log(_))));
    journal.fail_writes(false);
    assert!(!journal.is_complete());
    journal.check().unwrap();
    assert!(journal.is_complete());
    let (_, found) = Journal::resume(files).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn values_read_back_as_they_were_written() {
    type Value = (Option<String>, Vec<(u64, bool)>, SystemTime);
    let before = UNIX_EPOCH - Duration::new(5, 7);
    let value: Value = (Some("text".to_owned()), vec![(1, true)], before);
    let mut bytes = Vec::new();
    value.write(&mut bytes);
    assert_eq!(whole(&bytes), Some(value.clone()));
    bytes.pop();
    assert_eq!(whole::<Value>(&bytes), None);
}
