//! A file cut into parts of different sizes. Knows limits and extents; sends nothing.

use crate::extent::{Extent, ExtentMap};
use crate::limits::{Limits, PartCopy};
use crate::plan::copied;
use crate::range::ByteRange;

/// Consecutive bytes of a file that become parts of one kind.
#[derive(Clone, Copy)]
enum Stretch {
    Copied(ByteRange),
    Uploaded(ByteRange),
}

/// Part sizes to aim at.
#[derive(Clone, Copy)]
struct Targets {
    copy: u64,
    upload: u64,
}

/// Cuts `map` into at most `count_max` parts: as few fetched bytes as the part count allows, then
/// parts as near to the sizes aimed at as it allows.
///
/// At least one such division must exist: the size is within `count_max` of the largest parts.
pub(super) fn divide(map: &ExtentMap, limits: &Limits, count_max: u32) -> Vec<ByteRange> {
    let len = map.len();
    let runs = copyable_runs(map, limits);
    let count_max = u64::from(count_max);
    let largest = Targets {
        copy: limits.part_size_max,
        upload: limits.part_size_max,
    };
    let fits = |stretches: &[Stretch]| count(stretches, len, largest, limits) <= count_max;

    let mut stretches = stretches(&runs, len, limits);
    if !fits(&stretches) {
        // Each copied run costs parts, its own and those of the uploads it keeps apart, so the
        // shortest runs are given up (fetched) first, as few of them as will do.
        let mut by_len: Vec<usize> = (0..runs.len()).collect();
        by_len.sort_by_key(|index| runs[*index].len());
        let (mut too_few, mut enough) = (0, runs.len());
        stretches = self::stretches(&[], len, limits);
        while enough - too_few > 1 {
            let middle = too_few.midpoint(enough);
            let mut kept = by_len[middle..].to_vec();
            kept.sort_unstable();
            let kept: Vec<ByteRange> = kept.into_iter().map(|index| runs[index]).collect();
            let candidate = self::stretches(&kept, len, limits);
            if fits(&candidate) {
                enough = middle;
                stretches = candidate;
            } else {
                too_few = middle;
            }
        }
    }
    let targets = targets(&stretches, len, limits, count_max);
    let mut ranges = Vec::new();
    for stretch in stretches {
        cut(stretch, len, targets, limits, &mut ranges);
    }
    ranges
}

/// The runs of object bytes that can hold a copied part.
fn copyable_runs(map: &ExtentMap, limits: &Limits) -> Vec<ByteRange> {
    if limits.part_copy == PartCopy::None {
        return Vec::new();
    }
    let all = ByteRange::new(0, map.len());
    let runs: Vec<ByteRange> = map
        .walk(all)
        .filter(|(_, extent)| matches!(extent, Extent::Object { .. }))
        .map(|(at, extent)| ByteRange::at(at, extent.len()))
        .collect();
    copied::copyable(&runs, map.len(), limits.part_size_min.max(1))
}

/// The whole file as stretches, given the runs that may be copied.
fn stretches(runs: &[ByteRange], len: u64, limits: &Limits) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    let mut at = 0;
    for range in copied::choose(runs, len, limits.part_size_min.max(1)) {
        if range.start() > at {
            stretches.push(Stretch::Uploaded(ByteRange::new(at, range.start())));
        }
        stretches.push(Stretch::Copied(range));
        at = range.end();
    }
    if at < len {
        stretches.push(Stretch::Uploaded(ByteRange::new(at, len)));
    }
    stretches
}

/// The sizes to aim at: those of `limits` where the part count allows, else grown; copied parts
/// grow first, for an uploaded part is held in memory.
fn targets(stretches: &[Stretch], len: u64, limits: &Limits, count_max: u64) -> Targets {
    let max = limits.part_size_max;
    let (copy, upload) = (
        limits.copy_part_size.min(max),
        limits.upload_part_size.min(max),
    );
    let fits = |targets: Targets| count(stretches, len, targets, limits) <= count_max;
    if fits(Targets { copy: max, upload }) {
        let copy = least(copy, max, |copy| fits(Targets { copy, upload }));
        return Targets { copy, upload };
    }
    let upload = least(upload, max, |upload| fits(Targets { copy: max, upload }));
    Targets { copy: max, upload }
}

/// The least size from `low` to `high` that fits, if a larger one always fits when a smaller one
/// does; `high` when none does.
fn least(low: u64, high: u64, fits: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (low, high);
    while low < high {
        let middle = low.midpoint(high);
        if fits(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    high
}

fn count(stretches: &[Stretch], len: u64, targets: Targets, limits: &Limits) -> u64 {
    stretches
        .iter()
        .map(|stretch| parts_in(*stretch, len, targets, limits))
        .sum()
}

/// How many parts a stretch becomes: as many as bring them to the size aimed at or just below,
/// but none smaller than the least part. The sizes aimed at are within the largest part.
fn parts_in(stretch: Stretch, len: u64, targets: Targets, limits: &Limits) -> u64 {
    let (range, target) = match stretch {
        Stretch::Copied(range) => (range, targets.copy),
        Stretch::Uploaded(range) => (range, targets.upload),
    };
    let least_size = limits.part_size_min.max(1);
    // The last part of the file may be short.
    let most = if range.end() == len {
        range.len().div_ceil(least_size)
    } else {
        range.len() / least_size
    };
    range.len().div_ceil(target.max(1)).min(most)
}

/// Cuts a stretch into parts as equal as can be.
fn cut(stretch: Stretch, len: u64, targets: Targets, limits: &Limits, ranges: &mut Vec<ByteRange>) {
    let (Stretch::Copied(range) | Stretch::Uploaded(range)) = stretch;
    let parts = parts_in(stretch, len, targets, limits);
    let even = range.len() / parts;
    // Equal parts below the least can only be at the end of the file: all but the last get it.
    let (size, larger) = if even < limits.part_size_min && parts > 1 {
        (limits.part_size_min, 0)
    } else {
        (even, range.len() % parts)
    };
    let mut at = range.start();
    for number in 0..parts {
        let end = if number + 1 == parts {
            range.end()
        } else {
            at + size + u64::from(number < larger)
        };
        ranges.push(ByteRange::new(at, end));
        at = end;
    }
}
