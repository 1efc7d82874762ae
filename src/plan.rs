//! The planner: how to make an object of an extent map within a store's limits, for the fewest
//! bytes through the client, then the least elapsed time, then the fewest requests. Pure.

use std::sync::Arc;

use crate::extent::ExtentMap;
use crate::limits::Limits;
use crate::object::{ObjectRange, ObjectVersion};

/// How a map becomes an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Plan {
    /// The map is the base object; nothing to send.
    Unchanged,
    /// One PutObject with the bytes of this map; object extents in it are fetched first.
    Put(ExtentMap),
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
    let _ = (map, base, limits);
    Ok(Plan::Unchanged)
}

impl Plan {
    /// What running the plan costs.
    pub fn cost(&self) -> Cost {
        Cost::default()
    }

    /// The content of the object the plan makes, as a map; `base` as given to [`plan`]. The
    /// executor compares it with what it was asked to publish before it completes an upload.
    pub fn content(&self, base: Option<&Arc<ObjectVersion>>) -> ExtentMap {
        let _ = base;
        ExtentMap::default()
    }
}

/// The parts that finish an upload whose first `number` parts cover the first `uploaded` bytes.
///
/// # Errors
/// As [`plan`].
pub fn plan_after(
    map: &ExtentMap,
    uploaded: u64,
    number: u32,
    limits: &Limits,
) -> Result<Vec<Part>, PlanError> {
    let _ = (map, uploaded, number, limits);
    Ok(Vec::new())
}
