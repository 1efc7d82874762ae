//! A file cut into parts of one size, the last alone smaller: the rule of stores that refuse any
//! other upload. Knows limits and extents; sends nothing.

use crate::extent::{Extent, ExtentMap};
use crate::limits::{Limits, PartCopy};
use crate::plan::Part;
use crate::range::ByteRange;

/// How many of the places where an extent starts are tried as multiples of the part size, half of
/// them the first and half the last: with more edits than that no size suits them all.
const BOUNDARIES_MAX: usize = 16;

/// How many part sizes are tried for each such place.
const SIZES_PER_BOUNDARY_MAX: u64 = 64;

/// What a part size leads to; the least is the best.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Outcome {
    /// Bytes by which the largest uploaded part, which is held in memory, exceeds the size aimed
    /// at.
    excess: u64,
    /// Object bytes fetched.
    fetched: u64,
    parts: u64,
    size: u64,
}

/// The parts of `map` when each but the last has `size` bytes.
pub(super) fn parts(map: &ExtentMap, size: u64, limits: &Limits) -> Vec<Part> {
    let len = map.len();
    (0..len.div_ceil(size))
        .map(|number| {
            let start = number * size;
            let range = ByteRange::new(start, len.min(start + size));
            Part::of(map, range, limits)
        })
        .collect()
}

/// The best of the sizes tried: the least, those the limits aim at, and those that let an extent
/// start where a part does, or just behind.
///
/// At least one must exist: the map's length is within `count_max` of the largest parts.
pub(super) fn part_size(map: &ExtentMap, limits: &Limits, count_max: u32) -> u64 {
    let len = map.len();
    let least = len
        .div_ceil(u64::from(count_max).max(1))
        .max(limits.part_size_min)
        .max(1);
    let most = limits
        .copy_part_size
        .max(limits.upload_part_size)
        .min(limits.part_size_max);
    let most = most.max(least);
    let runs = object_runs(map, limits);
    let mut sizes = vec![least];
    for target in [limits.upload_part_size, limits.copy_part_size] {
        let target = target.max(least).min(most);
        sizes.push(target);
        sizes.push(len.div_ceil(len.div_ceil(target).max(1)));
    }
    for boundary in boundaries(&runs) {
        let fewest = boundary.div_ceil(most).max(1);
        let counts = fewest..=(boundary / least).min(fewest.saturating_add(SIZES_PER_BOUNDARY_MAX));
        sizes.extend(counts.map(|count| boundary / count));
    }
    sizes
        .into_iter()
        .filter(|size| (least..=most).contains(size))
        .map(|size| outcome(&runs, len, size, limits.upload_part_size.max(least)))
        .min()
        .map_or(least, |best| best.size)
}

/// The runs of object bytes, when parts may be copied at all.
fn object_runs(map: &ExtentMap, limits: &Limits) -> Vec<ByteRange> {
    if limits.part_copy == PartCopy::None {
        return Vec::new();
    }
    map.walk(ByteRange::new(0, map.len()))
        .filter(|(_, extent)| matches!(extent, Extent::Object { .. }))
        .map(|(at, extent)| ByteRange::at(at, extent.len()))
        .collect()
}

/// Where the first and the last runs start and end.
fn boundaries(runs: &[ByteRange]) -> Vec<u64> {
    let ends: Vec<u64> = runs
        .iter()
        .flat_map(|run| [run.start(), run.end()])
        .collect();
    let half = BOUNDARIES_MAX / 2;
    let first = ends.iter().take(half);
    let last = ends.iter().skip(half.max(ends.len().saturating_sub(half)));
    first.chain(last).copied().filter(|end| *end > 0).collect()
}

fn outcome(runs: &[ByteRange], len: u64, size: u64, upload_size: u64) -> Outcome {
    let parts = len.div_ceil(size);
    let last_start = parts.saturating_sub(1) * size;
    let (mut objects, mut copied, mut copied_parts) = (0, 0, 0);
    for run in runs {
        let first = run.start().div_ceil(size);
        // The last part of the file may be short.
        let end = if run.end() == len {
            parts
        } else {
            run.end() / size
        };
        objects += run.len();
        if first < end {
            copied += len.min(end * size) - first * size;
            copied_parts += end - first;
        }
    }
    let last_copied = runs
        .last()
        .is_some_and(|run| run.end() == len && run.start() <= last_start);
    let largest_upload = if copied_parts + u64::from(!last_copied) < parts {
        size
    } else if last_copied {
        0
    } else {
        len - last_start
    };
    let excess = largest_upload.saturating_sub(upload_size);
    Outcome {
        excess,
        fetched: objects - copied,
        parts,
        size,
    }
}
