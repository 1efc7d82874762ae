//! Which bytes of a file are copied by the store when parts may differ in size: the choice that
//! fetches the fewest. Knows runs and the least part; knows no object, no part count.

use std::cmp::Reverse;

use crate::range::ByteRange;

/// How many partial choices that end in the same run are kept. One can be worse in bytes copied so
/// far yet better in what it leaves for later, so the best alone will not do; more than a few
/// never arise in practice, and dropping one costs at most some bytes.
const CHOICES_MAX: usize = 16;

/// How far back the run copied before this one can be. Of three copyable runs in a row that are
/// not copied, the middle one could be: the uploads on its both sides, each holding another of
/// the three, are no smaller than the least part. So no best choice skips more than two.
const REACH: usize = 3;

/// The copied bytes of one run, as the last of a choice.
#[derive(Clone, Copy)]
struct Choice {
    /// The index of the run.
    run: usize,
    /// The choice this one continues.
    before: Option<usize>,
    /// Bytes at the start of the run that are fetched, to fill up the upload before it.
    head: u64,
    /// Bytes at the end of the run before in the choice that are fetched, likewise.
    tail_before: u64,
    /// Bytes copied up to the end of the run.
    copied: u64,
}

/// Bytes that must stay copied of `run`: a part, or anything if it is the file's end.
const fn keep(run: ByteRange, file_len: u64, part_size_min: u64) -> u64 {
    if run.end() == file_len {
        1
    } else {
        part_size_min
    }
}

/// Which of `runs` can hold a copied part, at the file's end or elsewhere.
pub(super) fn copyable(runs: &[ByteRange], file_len: u64, part_size_min: u64) -> Vec<ByteRange> {
    runs.iter()
        .copied()
        .filter(|run| run.len() >= keep(*run, file_len, part_size_min))
        .collect()
}

/// The ranges to copy, each within one of the copyable `runs` (disjoint, in order), such that the
/// bytes between two of them, and before the first, are none or at least `part_size_min`, and
/// that each has at least `part_size_min` bytes unless it ends the file. All other bytes of the
/// runs are fetched.
pub(super) fn choose(runs: &[ByteRange], file_len: u64, part_size_min: u64) -> Vec<ByteRange> {
    let mut choices: Vec<Choice> = Vec::new();
    // Where in `choices` those that end in each run start.
    let mut firsts: Vec<usize> = Vec::with_capacity(runs.len());
    for (index, run) in runs.iter().enumerate() {
        let mut found: Vec<Choice> = Vec::new();
        let most_head = run.len() - keep(*run, file_len, part_size_min);
        if index < REACH {
            let head = lacking(run.start(), part_size_min);
            let copied = run.len().saturating_sub(head);
            found.push(Choice {
                run: index,
                before: None,
                head,
                tail_before: 0,
                copied,
            });
        }
        let earliest = firsts
            .get(index.saturating_sub(REACH))
            .copied()
            .unwrap_or(choices.len());
        for (number, before) in choices.iter().enumerate().skip(earliest) {
            let run_before = runs[before.run];
            let lack = lacking(run.start() - run_before.end(), part_size_min);
            let spare = run_before.len() - before.head - part_size_min;
            let tail_before = lack.min(spare);
            let copied = (before.copied + run.len()).saturating_sub(lack);
            let head = lack - tail_before;
            found.push(Choice {
                run: index,
                before: Some(number),
                head,
                tail_before,
                copied,
            });
        }
        found.retain(|choice| choice.head <= most_head);
        firsts.push(choices.len());
        choices.extend(undominated(found));
    }
    // Of equal ones the first: it leaves the end of the file to one upload.
    let best = (0..choices.len()).max_by_key(|number| (choices[*number].copied, Reverse(*number)));
    traced(runs, &choices, best)
}

/// Bytes that an upload of `len` bytes, which others follow, lacks to be a part.
const fn lacking(len: u64, part_size_min: u64) -> u64 {
    if len == 0 {
        0
    } else {
        part_size_min.saturating_sub(len)
    }
}

/// Those that copy more than any other with as small a head.
fn undominated(mut choices: Vec<Choice>) -> Vec<Choice> {
    choices.sort_by(|a, b| b.copied.cmp(&a.copied).then(a.head.cmp(&b.head)));
    let mut least_head = None;
    choices.retain(|choice| {
        let better = least_head.is_none_or(|least| choice.head < least);
        if better {
            least_head = Some(choice.head);
        }
        better
    });
    choices.truncate(CHOICES_MAX);
    choices
}

/// The copied ranges of the choice that ends with `last`.
fn traced(runs: &[ByteRange], choices: &[Choice], last: Option<usize>) -> Vec<ByteRange> {
    let mut ranges = Vec::new();
    let (mut next, mut tail) = (last, 0);
    while let Some(number) = next {
        let choice = choices[number];
        let run = runs[choice.run];
        ranges.push(ByteRange::new(run.start() + choice.head, run.end() - tail));
        tail = choice.tail_before;
        next = choice.before;
    }
    ranges.reverse();
    ranges
}
