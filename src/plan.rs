//! The planner: how to make an object of an extent map within a store's limits, for the fewest
//! bytes through the client, then the least elapsed time, then the fewest requests. Pure.

use std::sync::Arc;

use crate::extent::{Extent, ExtentMap};
use crate::limits::{Limits, PartCopy};
use crate::object::{ObjectRange, ObjectVersion};
use crate::range::ByteRange;

mod ahead;
mod copied;
mod division;
mod equal;
#[cfg(test)]
mod tests;

pub use ahead::{PartAhead, is_better_anew, next_ahead, plan_onto};

/// How a map becomes an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Plan {
    /// The map is the base object: no bytes to send. Whoever wants it to have other headers copies
    /// it onto itself.
    Unchanged,
    /// One PutObject with the bytes of this map; object extents in it are fetched first.
    Put(ExtentMap),
    /// One PutObject that adds the bytes of this map to the end of the base.
    Append(ExtentMap),
    /// One CopyObject of the whole of this version.
    CopyObject(Arc<ObjectVersion>),
    /// A multipart upload; part numbers are positions plus one.
    Multipart(Vec<Part>),
}

/// One part of a multipart upload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// One UploadPartCopy.
    Copy(ObjectRange),
    /// One UploadPart with the bytes of this map; object extents in it are fetched first.
    Upload(ExtentMap),
    /// Nothing to do: the upload has it.
    Stored(ExtentMap),
}

/// What a plan costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    /// Bytes sent to the store.
    pub up: u64,
    /// Object bytes fetched from the store.
    pub down: u64,
    /// Requests, fetches included.
    pub requests: u64,
}

/// Why no plan exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    /// The object would be larger than the store allows.
    #[error("{size} bytes are more than the {max} bytes an object may have")]
    ObjectTooLarge {
        /// Bytes of the file.
        size: u64,
        /// Bytes the store allows.
        max: u64,
    },
    /// No division into the allowed number of parts of allowed size exists.
    #[error("{size} bytes do not fit into {parts_max} parts")]
    TooManyParts {
        /// Bytes of the file.
        size: u64,
        /// Parts the store allows.
        parts_max: u32,
    },
}

/// The cheapest way to make `map` an object. `base` is the object now under the key, when known.
///
/// # Errors
/// A map that fits no object of the store; decided before anything is sent.
pub fn plan(
    map: &ExtentMap,
    base: Option<&ObjectVersion>,
    limits: &Limits,
) -> Result<Plan, PlanError> {
    let whole = whole_object(map);
    let unchanged = match base {
        Some(base) if map.is_empty() => base.size == 0,
        base => whole.is_some() && whole.as_deref() == base,
    };
    if unchanged {
        return Ok(Plan::Unchanged);
    }
    let size = map.len();
    check_size(size, limits)?;
    if size == 0 {
        return Ok(Plan::Put(ExtentMap::new()));
    }
    let whole = whole.filter(|_| size <= limits.copy_object_max);
    if let Some(version) = &whole
        && (size <= limits.copy_object_preferred_max || limits.part_copy == PartCopy::None)
    {
        return Ok(Plan::CopyObject(Arc::clone(version)));
    }
    let tail = base.and_then(|base| tail(map, base, limits));
    let anew = match (parts_of(map, limits, limits.part_count_max), whole) {
        (Ok(parts), Some(version)) if parts.len() == 1 => Ok(Plan::CopyObject(version)),
        (Err(_), Some(version)) => Ok(Plan::CopyObject(version)),
        (Ok(parts), _) => Ok(put_or_multipart(map, parts, limits)),
        (Err(_), None) if size <= limits.put_max => Ok(Plan::Put(map.clone())),
        (Err(error), None) => Err(error),
    };
    match (tail, anew) {
        (Some(tail), Ok(anew))
            if upload_cost(&tail).client_bytes() > anew.cost().client_bytes() =>
        {
            Ok(anew)
        }
        (Some(tail), _) => Ok(Plan::Append(tail)),
        (None, anew) => anew,
    }
}

/// The parts that finish a multipart upload of `map` whose first `done` parts hold the bytes
/// before `uploaded`; their numbers go on from `done` + 1. Nothing is left to do when those are
/// all the bytes of the map.
///
/// # Errors
/// As [`plan`].
///
/// # Panics
/// If `uploaded` is beyond the end of the map, or is not `done` equal parts where the limits want
/// equal parts: the caller uploaded what no plan of this map starts with.
pub fn plan_after(
    map: &ExtentMap,
    uploaded: u64,
    done: u32,
    limits: &Limits,
) -> Result<Vec<Part>, PlanError> {
    assert!(uploaded <= map.len(), "more was uploaded than the file has");
    check_size(map.len(), limits)?;
    let rest = map.slice(ByteRange::new(uploaded, map.len()));
    let count_max = limits.part_count_max.saturating_sub(done);
    if limits.parts_equal && done > 0 {
        let size = uploaded / u64::from(done);
        assert_eq!(
            size * u64::from(done),
            uploaded,
            "the parts uploaded are not equal"
        );
        if rest.len().div_ceil(size) > u64::from(count_max) {
            return Err(too_many_parts(map, limits));
        }
        return Ok(equal::parts(&rest, size, limits));
    }
    parts_of(&rest, limits, count_max).map_err(|_| too_many_parts(map, limits))
}

impl Plan {
    /// What running the plan costs.
    pub fn cost(&self) -> Cost {
        match self {
            Self::Unchanged => Cost::default(),
            Self::CopyObject(_) => Cost {
                requests: 1,
                ..Cost::default()
            },
            Self::Put(map) | Self::Append(map) => upload_cost(map),
            Self::Multipart(parts) => {
                let create_and_complete = Cost {
                    requests: 2,
                    ..Cost::default()
                };
                parts
                    .iter()
                    .fold(create_and_complete, |cost, part| cost.plus(part.cost()))
            }
        }
    }

    /// The content of the object the plan makes, as a map; `base` as given to [`plan`]. The
    /// executor compares it with what it was asked to publish before it completes an upload.
    pub fn content(&self, base: Option<&Arc<ObjectVersion>>) -> ExtentMap {
        match self {
            Self::Unchanged => base.cloned().map(ExtentMap::of_object).unwrap_or_default(),
            Self::CopyObject(version) => ExtentMap::of_object(Arc::clone(version)),
            Self::Put(map) => map.clone(),
            Self::Append(tail) => {
                let mut content = base.cloned().map(ExtentMap::of_object).unwrap_or_default();
                content.append(tail);
                content
            }
            Self::Multipart(parts) => {
                let mut content = ExtentMap::new();
                for part in parts {
                    content.append(&part.content());
                }
                content
            }
        }
    }
}

impl Part {
    /// Bytes in the part.
    pub const fn len(&self) -> u64 {
        match self {
            Self::Copy(from) => from.range.len(),
            Self::Upload(map) | Self::Stored(map) => map.len(),
        }
    }

    /// Whether the part has no byte; never so in a plan.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The content of the part, as a map.
    pub fn content(&self) -> ExtentMap {
        match self {
            Self::Copy(from) => ExtentMap::of_object(Arc::clone(&from.version)).slice(from.range),
            Self::Upload(map) | Self::Stored(map) => map.clone(),
        }
    }

    fn cost(&self) -> Cost {
        match self {
            Self::Copy(_) => Cost {
                requests: 1,
                ..Cost::default()
            },
            Self::Upload(map) => upload_cost(map),
            Self::Stored(_) => Cost::default(),
        }
    }

    /// The part that is to hold the bytes `range` of `map`: copied when they are of one object
    /// and parts may be copied, else uploaded.
    fn of(map: &ExtentMap, range: ByteRange, limits: &Limits) -> Self {
        if limits.part_copy == PartCopy::Ranges
            && let Some((
                _,
                Extent::Object {
                    version,
                    offset,
                    len,
                },
            )) = map.walk(range).next()
            && len == range.len()
        {
            return Self::Copy(ObjectRange {
                version,
                range: ByteRange::at(offset, len),
            });
        }
        Self::Upload(map.slice(range))
    }
}

impl Cost {
    /// Object bytes through the client, both ways.
    pub const fn client_bytes(self) -> u64 {
        self.up + self.down
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            up: self.up + other.up,
            down: self.down + other.down,
            requests: self.requests + other.requests,
        }
    }
}

/// The distinct versions that parts are copied from.
pub fn sources_of(parts: &[Part]) -> Vec<Arc<ObjectVersion>> {
    let mut versions: Vec<Arc<ObjectVersion>> = Vec::new();
    for part in parts {
        let of_part = match part {
            Part::Copy(source) => vec![source.version.clone()],
            Part::Stored(content) => content.versions(),
            Part::Upload(_) => Vec::new(),
        };
        for version in of_part {
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
    }
    versions
}

/// What one request that sends the bytes of `map` costs, with one fetch an object extent.
fn upload_cost(map: &ExtentMap) -> Cost {
    map.extents().fold(
        Cost {
            up: map.len(),
            down: 0,
            requests: 1,
        },
        |cost, extent| match extent {
            Extent::Object { len, .. } => cost.plus(Cost {
                up: 0,
                down: *len,
                requests: 1,
            }),
            Extent::Dirty { .. } | Extent::Sent { .. } | Extent::Hole { .. } => cost,
        },
    )
}

/// The version that `map` is the whole of; never an empty one.
fn whole_object(map: &ExtentMap) -> Option<Arc<ObjectVersion>> {
    match map.extents().next()? {
        Extent::Object { version, len, .. } if *len == version.size && *len == map.len() => {
            Some(Arc::clone(version))
        }
        _ => None,
    }
}

/// What `map` has behind the whole of `base`, if that can be added to it in one request that takes
/// no longer than a part.
fn tail(map: &ExtentMap, base: &ObjectVersion, limits: &Limits) -> Option<ExtentMap> {
    let starts_with_base = matches!(
        map.extents().next(),
        Some(Extent::Object { version, offset: 0, len })
            if **version == *base && *len == base.size
    );
    let tail = ByteRange::new(base.size.min(map.len()), map.len());
    let is_small = tail.len() <= limits.append_max.min(limits.upload_part_size);
    (starts_with_base && !tail.is_empty() && is_small).then(|| map.slice(tail))
}

/// `parts` are the cheapest parts. A PUT of the same client bytes is one request instead of
/// several, and takes no longer when it is no larger than a part.
fn put_or_multipart(map: &ExtentMap, parts: Vec<Part>, limits: &Limits) -> Plan {
    let few = parts.len() == 1 || map.len() <= limits.upload_part_size;
    let multipart = Plan::Multipart(parts);
    let put_bytes = upload_cost(map).client_bytes();
    if few && map.len() <= limits.put_max && put_bytes <= multipart.cost().client_bytes() {
        return Plan::Put(map.clone());
    }
    multipart
}

/// The cheapest division of `map` into at most `count_max` parts.
fn parts_of(map: &ExtentMap, limits: &Limits, count_max: u32) -> Result<Vec<Part>, PlanError> {
    if map.len().div_ceil(limits.part_size_max.max(1)) > u64::from(count_max) {
        return Err(too_many_parts(map, limits));
    }
    if limits.parts_equal {
        return Ok(equal::parts(
            map,
            equal::part_size(map, limits, count_max),
            limits,
        ));
    }
    let ranges = division::divide(map, limits, count_max);
    Ok(ranges
        .into_iter()
        .map(|range| Part::of(map, range, limits))
        .collect())
}

const fn check_size(size: u64, limits: &Limits) -> Result<(), PlanError> {
    if size > limits.object_size_max {
        return Err(PlanError::ObjectTooLarge {
            size,
            max: limits.object_size_max,
        });
    }
    Ok(())
}

const fn too_many_parts(map: &ExtentMap, limits: &Limits) -> PlanError {
    PlanError::TooManyParts {
        size: map.len(),
        parts_max: limits.part_count_max,
    }
}
