//! What a plan is judged by: the limits, the content of the map, the cost of the naive plan, and
//! the best division there is. Knows nothing of how the planner works.

use std::sync::Arc;

use crate::extent::{Extent, ExtentMap};
use crate::limits::{Limits, PartCopy};
use crate::object::ObjectVersion;
use crate::plan::{Part, Plan, PlanError, plan, plan_after};
use crate::range::ByteRange;

/// Some limits of a few bytes for every input; all combinations occur.
pub fn decode_limits(bytes: [u8; 11]) -> Limits {
    let [
        least,
        largest,
        count,
        equal,
        copy,
        single_copy,
        put,
        size,
        t0,
        t1,
        t2,
    ] = bytes;
    let pick = |from: &[u64], byte: u8| from[usize::from(byte) % from.len()];
    let part_size_min = pick(&[0, 1, 2, 3, 5, 8], least);
    let part_count_max = [1, 2, 3, 4, 5, 8, 100][usize::from(count) % 7];
    Limits {
        part_size_min,
        part_size_max: part_size_min.max(1) * pick(&[2, 3, 10], largest),
        part_count_max,
        parts_equal: equal % 2 == 1,
        part_copy: if copy % 3 == 2 {
            PartCopy::None
        } else {
            PartCopy::Ranges
        },
        copy_object_max: pick(&[0, 10, 60, 1_000], single_copy),
        put_max: pick(&[0, 10, 60, 1_000], put),
        append_max: pick(&[0, 1_000], put / 4),
        object_size_max: pick(&[20, 60, 1_000], size),
        metadata_bytes_max: 2_048,
        backslash_is_slash: false,
        copy_object_preferred_max: u64::from(t0 % 30),
        copy_part_size: u64::from(t1 % 30),
        upload_part_size: u64::from(t2 % 30),
    }
}

/// Plans `map`, and panics unless the answer is right in every way that can be told without
/// knowing how it was found.
pub fn judge(
    map: &ExtentMap,
    base: Option<&Arc<ObjectVersion>>,
    limits: &Limits,
) -> Result<Plan, PlanError> {
    let planned = plan(map, base.map(AsRef::as_ref), limits);
    match &planned {
        Ok(Plan::Unchanged) => {}
        Ok(plan) => {
            assert!(
                map.len() <= limits.object_size_max,
                "a plan for too large an object"
            );
            check_legal(plan, limits);
            check_cost(plan, map, base, limits);
        }
        Err(PlanError::ObjectTooLarge { size, max }) => {
            assert_eq!((*size, *max), (map.len(), limits.object_size_max));
            assert!(size > max);
        }
        Err(PlanError::TooManyParts { size, parts_max }) => {
            assert_eq!((*size, *parts_max), (map.len(), limits.part_count_max));
            assert!(*size > limits.put_max, "one PUT would do");
            assert!(
                *size > limits.part_size_max * u64::from(*parts_max),
                "the parts would do"
            );
        }
    }
    if let Ok(plan) = &planned {
        let content = plan.content(base);
        content.check();
        assert_eq!(&content, map, "the plan makes another file");
    }
    planned
}

/// Begins an upload of `map` as an eager one does, sends some parts of it, and judges the plan for
/// the rest.
pub fn judge_after(map: &ExtentMap, parts_sent_max: u32, limits: &Limits) {
    let (mut uploaded, mut done) = (0, 0);
    while done < parts_sent_max.min(limits.part_count_max) {
        let size = limits.eager_part_size(done + 1);
        if uploaded + size > map.len() {
            break;
        }
        uploaded += size;
        done += 1;
    }
    let Ok(rest) = plan_after(map, uploaded, done, limits) else {
        return;
    };
    let mut content = map.slice(ByteRange::new(0, uploaded));
    let mut parts: Vec<u64> = (1..=done)
        .map(|number| limits.eager_part_size(number))
        .collect();
    for part in &rest {
        content.append(&part.content());
        parts.push(part.len());
    }
    check_parts(&parts, limits);
    assert_eq!(&content, map);
}

/// Every request of the plan is within the limits.
fn check_legal(plan: &Plan, limits: &Limits) {
    match plan {
        Plan::Unchanged => {}
        Plan::Put(map) => assert!(map.len() <= limits.put_max || map.is_empty()),
        Plan::Append(map) => {
            assert!(!map.is_empty() && map.len() <= limits.append_max);
            assert!(
                map.len() <= limits.upload_part_size,
                "parts would be faster"
            );
        }
        Plan::CopyObject(version) => assert!(version.size <= limits.copy_object_max),
        Plan::Multipart(parts) => {
            check_sizes(parts, limits);
            let lens: Vec<u64> = parts.iter().map(Part::len).collect();
            check_parts(&lens, limits);
            for part in parts {
                if let Part::Copy(from) = part {
                    assert_eq!(limits.part_copy, PartCopy::Ranges);
                    assert!(from.version.range().contains(from.range));
                }
            }
        }
    }
}

fn check_parts(lens: &[u64], limits: &Limits) {
    assert!(
        lens.len() <= limits.part_count_max as usize,
        "too many parts"
    );
    let Some((last, others)) = lens.split_last() else {
        return;
    };
    assert!(
        (1..=limits.part_size_max).contains(last),
        "the last part of {lens:?}"
    );
    for len in others {
        assert!(
            *len >= limits.part_size_min && *len >= 1,
            "a short part in {lens:?}"
        );
        assert!(*len <= limits.part_size_max, "a large part in {lens:?}");
        if limits.parts_equal {
            assert!(
                *len == others[0] && last <= len,
                "unequal parts in {lens:?}"
            );
        }
    }
}

/// Where the part count leaves room, no part is larger than the size aimed at, or than two least
/// parts where a stretch is too short to be cut. (Equal parts follow another rule.)
fn check_sizes(parts: &[Part], limits: &Limits) {
    let len: u64 = parts.iter().map(Part::len).sum();
    let least = limits.part_size_min.max(1);
    if limits.parts_equal || len > u64::from(limits.part_count_max) * least {
        return;
    }
    for part in parts {
        let target = match part {
            Part::Copy(_) => limits.copy_part_size,
            Part::Upload(_) => limits.upload_part_size,
            Part::Stored(_) => panic!("a plan of nothing before"),
        };
        assert!(
            part.len() <= target.max(2 * least - 1),
            "larger than need be: {part:?}"
        );
    }
}

/// Object bytes in the map: the naive plan fetches them all.
fn object_bytes(map: &ExtentMap) -> u64 {
    map.extents()
        .map(|extent| if is_object(extent) { extent.len() } else { 0 })
        .sum()
}

const fn is_object(extent: &Extent) -> bool {
    matches!(extent, Extent::Object { .. })
}

/// The cost is no more than that of fetching all and uploading all, and is what the requests add
/// up to; in a plan of parts no byte is fetched but to fill up an upload.
fn check_cost(plan: &Plan, map: &ExtentMap, base: Option<&Arc<ObjectVersion>>, limits: &Limits) {
    let cost = plan.cost();
    if let Plan::Append(tail) = plan {
        assert_eq!((cost.up, cost.down), (tail.len(), object_bytes(tail)));
        let base = base.expect("an append without a base");
        assert_eq!(self::tail(map, base).as_ref(), Some(tail));
        return;
    }

    assert!(
        cost.up <= map.len() && cost.down <= object_bytes(map),
        "dearer than the naive plan"
    );
    let not_object = map.len() - object_bytes(map);
    assert_eq!(
        cost.up - cost.down,
        not_object,
        "a byte is uploaded twice or not at all"
    );
    if let Some(fetched) = least_fetched(map, limits) {
        assert_eq!(cost.down, fetched, "a cheaper division exists: {plan:?}");
    }
    if let Some(tail) = base.and_then(|base| tail(map, base))
        && tail.len() <= limits.append_max.min(limits.upload_part_size)
    {
        let appended = tail.len() + object_bytes(&tail);
        assert!(cost.client_bytes() < appended, "an append is cheaper");
    }
}

/// What follows the bytes of `base`, all of them, in their place.
fn tail(map: &ExtentMap, base: &Arc<ObjectVersion>) -> Option<ExtentMap> {
    let start = map.slice(base.range().clamp_end(map.len()));
    let tail = map.slice(ByteRange::new(start.len(), map.len()));
    let is_grown = start == ExtentMap::of_object(base.clone()) && !tail.is_empty();
    (is_grown && base.size > 0).then_some(tail)
}

/// The fewest object bytes that any plan can fetch, found by trying every division; `None` where
/// the part count or equal parts forbid some.
fn least_fetched(map: &ExtentMap, limits: &Limits) -> Option<u64> {
    let len = map.len();
    if limits.parts_equal || u64::from(limits.part_count_max) * limits.part_size_min.max(1) < len {
        return None;
    }
    if len == 0 {
        return Some(0);
    }
    let mut homes: Vec<Option<usize>> = Vec::new();
    for (number, extent) in map.extents().enumerate() {
        homes.extend((0..extent.len()).map(|_| is_object(extent).then_some(number)));
    }
    let len = homes.len();
    // For each position: the least fetched before it, over all divisions with a part ending there.
    let mut least: Vec<Option<usize>> = vec![None; len + 1];
    least[0] = Some(0);
    for end in 1..=len {
        let shortest = if end == len {
            1
        } else {
            limits.part_size_min.max(1) as usize
        };
        let longest = (limits.part_size_max as usize).min(end);
        for size in shortest..=longest {
            let part = &homes[end - size..end];
            let Some(before) = least[end - size] else {
                continue;
            };
            let copied = limits.part_copy == PartCopy::Ranges
                && part[0].is_some()
                && part.iter().all(|home| *home == part[0]);
            let fetched = if copied {
                0
            } else {
                part.iter().flatten().count()
            };
            least[end] =
                Some(least[end].map_or(before + fetched, |least| least.min(before + fetched)));
        }
    }
    let whole = map.extents().count() == 1
        && map.extents().all(
            |extent| matches!(extent, Extent::Object { version, len, .. } if version.size == *len),
        );
    if whole && map.len() <= limits.copy_object_max {
        return Some(0);
    }
    least[len].map(|fetched| fetched as u64)
}
