//! An upload that is sent while its file grows: which part is next, and what is left to do when the
//! file is complete. Knows maps and limits; sends nothing.

use crate::extent::{Extent, ExtentMap};
use crate::limits::{Limits, PartCopy};
use crate::object::ObjectRange;
use crate::plan::{Part, Plan, PlanError, plan_after};
use crate::range::ByteRange;

/// Extents of a part that is sent ahead, at most: looking at them costs every write that much.
const EXTENTS_MAX: usize = 1024;

/// A part of an upload that was begun before the file was complete.
#[derive(Clone, Copy, Debug)]
pub struct PartAhead<'a> {
    /// Its bytes in the file.
    pub range: ByteRange,
    /// What the store has of it; `None` when it has nothing.
    pub stored: Option<&'a ExtentMap>,
}

/// Part `number` of an upload whose parts before it hold the bytes before `start`, if it can be
/// sent though the file grows: bytes of an object are copied, as long as all parts before were;
/// what was written is uploaded when `behind` times a part's bytes are there.
pub fn next_ahead(
    map: &ExtentMap,
    (start, is_copied): (u64, bool),
    number: u32,
    behind: u64,
    limits: &Limits,
) -> Option<Part> {
    if number >= limits.part_count_max || start >= map.len() {
        return None;
    }
    let size = limits.eager_part_size(number);
    let (_, first) = map.walk(ByteRange::new(start, map.len())).next()?;
    let object_len = match &first {
        Extent::Object { len, .. } if is_copied && limits.part_copy == PartCopy::Ranges => *len,
        Extent::Object { .. } => return None,
        Extent::Dirty { .. } | Extent::Sent { .. } | Extent::Hole { .. } => 0,
    };
    let written = start + object_len;
    if map.len() - written < behind * size || !is_written(map, ByteRange::at(written, size)) {
        return None;
    }
    let copied_len = match limits.parts_equal {
        true if object_len >= size => size,
        false if object_len >= limits.part_size_min.max(1) => object_len
            .min(limits.copy_part_size.max(size))
            .min(limits.part_size_max),
        true | false => 0,
    };
    if copied_len > 0
        && let Extent::Object {
            version, offset, ..
        } = first
    {
        let range = ByteRange::at(offset, copied_len);
        return Some(Part::Copy(ObjectRange { version, range }));
    }
    Some(Part::Upload(map.slice(ByteRange::at(start, size))))
}

fn is_written(map: &ExtentMap, range: ByteRange) -> bool {
    let mut extents = map.walk(range).take(EXTENTS_MAX);
    let mut end = range.start();
    extents.all(|(at, extent)| {
        end = at + extent.len();
        matches!(extent, Extent::Dirty { .. })
    }) && end == range.end()
}

/// All parts of the upload of `map`, of which the first were sent ahead: those that hold what the
/// file has there now are [`Part::Stored`], the others are sent again under their numbers.
///
/// # Errors
/// As [`plan`](super::plan()).
///
/// # Panics
/// As [`plan_after`]; and if bytes that are in the upload alone are not where they were sent.
pub fn plan_onto(
    map: &ExtentMap,
    ahead: &[PartAhead<'_>],
    limits: &Limits,
) -> Result<Vec<Part>, PlanError> {
    let sent = ahead.last().map_or(0, |last| last.range.end());
    let mut parts: Vec<Part> = ahead
        .iter()
        .map(|part| {
            let now = map.slice(part.range);
            match part.stored {
                Some(stored) if *stored == now => Part::Stored(now),
                Some(_) | None => Part::of(map, part.range, limits),
            }
        })
        .collect();
    parts.extend(plan_after(map, sent, ahead.len() as u32, limits)?);
    let all = ByteRange::new(0, map.len());
    let is_lost = |part: &Part| matches!(part, Part::Upload(map) if map.has_sent(all));
    assert!(
        !parts.iter().any(is_lost),
        "bytes that are in the upload alone are to be sent again"
    );
    Ok(parts)
}

/// Whether making `map` anew costs fewer bytes through the client than sending what is missing of
/// `parts`, or they hold more in memory than any plan does: a copied part that was changed.
pub fn is_better_anew(parts: &[Part], anew: &Plan, limits: &Limits) -> bool {
    let onto = Plan::Multipart(parts.to_vec());
    let part_max = limits.eager_part_size(parts.len() as u32);
    let is_large = |part: &Part| matches!(part, Part::Upload(map) if map.len() > 2 * part_max);
    anew.cost().client_bytes() < onto.cost().client_bytes() || parts.iter().any(is_large)
}

#[cfg(test)]
mod tests {
    use super::{PartAhead, next_ahead, plan_onto};
    use crate::extent::ExtentMap;
    use crate::extent::tests::oracle::object;
    use crate::limits::Limits;
    use crate::plan::{Part, Plan};
    use crate::range::ByteRange;

    fn limits() -> Limits {
        Limits {
            part_size_min: 5,
            part_size_max: 100,
            copy_part_size: 30,
            upload_part_size: 10,
            object_size_max: 10_000,
            ..Limits::aws()
        }
    }

    /// The parts sent while a file of this map is not complete.
    fn sent(map: &ExtentMap, limits: &Limits) -> Vec<Part> {
        let (mut parts, mut start, mut is_copied) = (Vec::new(), 0, true);
        while let Some(part) =
            next_ahead(map, (start, is_copied), parts.len() as u32 + 1, 2, limits)
        {
            start += part.len();
            is_copied &= matches!(part, Part::Copy(_));
            parts.push(part);
        }
        parts
    }

    fn lens(parts: &[Part]) -> Vec<(char, u64)> {
        let kind = |part: &Part| match part {
            Part::Copy(_) => 'C',
            Part::Upload(_) => 'U',
            Part::Stored(_) => 'S',
        };
        parts.iter().map(|part| (kind(part), part.len())).collect()
    }

    #[test]
    fn what_was_published_is_copied_and_what_follows_is_uploaded() {
        let mut map = ExtentMap::of_object(object(0, 63));
        map.write(63, 0, 19);
        assert_eq!(sent(&map, &limits()), []);
        map.write(82, 19, 20);
        let parts = sent(&map, &limits());
        // The three bytes that no part can be copied of go with those that follow.
        assert_eq!(
            lens(&parts),
            [('C', 30), ('C', 30), ('U', 10), ('U', 10), ('U', 10)]
        );
        let mut equal = limits();
        equal.parts_equal = true;
        let parts = sent(&map, &equal);
        let size = equal.eager_part_size(1);
        assert!(parts.iter().all(|part| part.len() == size), "{parts:?}");
    }

    #[test]
    fn a_hole_or_an_object_in_the_middle_is_left_to_the_end() {
        let mut map = ExtentMap::new();
        map.write(0, 0, 40);
        map.truncate(41);
        map.write(41, 100, 60);
        assert_eq!(sent(&map, &limits()).len(), 4);
        let mut map = ExtentMap::new();
        map.write(0, 0, 20);
        map.append(&ExtentMap::of_object(object(0, 50)));
        map.write(70, 20, 100);
        assert_eq!(lens(&sent(&map, &limits())), [('U', 10), ('U', 10)]);
    }

    #[test]
    fn what_changed_since_it_was_sent_is_sent_again_and_nothing_else() {
        let limits = limits();
        let mut map = ExtentMap::new();
        map.write(0, 0, 50);
        let parts = sent(&map, &limits);
        let contents: Vec<ExtentMap> = parts.iter().map(Part::content).collect();
        map.write(3, 100, 2);
        map.send(ByteRange::at(10, 10));
        map.write(50, 50, 7);
        let sent_map = map.slice(ByteRange::at(10, 10));
        let mut at = 0;
        let mut ahead = Vec::new();
        for (number, content) in contents.iter().enumerate() {
            let stored = match number {
                1 => Some(&sent_map),
                2 => None,
                _ => Some(content),
            };
            let range = ByteRange::at(at, content.len());
            at += content.len();
            ahead.push(PartAhead { range, stored });
        }
        let onto = plan_onto(&map, &ahead, &limits).unwrap();
        let kinds: String = lens(&onto).iter().map(|(kind, _)| *kind).collect();
        assert!(kinds.starts_with("USUS"), "{kinds}");
        assert_eq!(Plan::Multipart(onto).content(None), map);
    }
}
