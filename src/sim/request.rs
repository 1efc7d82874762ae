//! What a request asks for, told from its head; counters and log of requests. Knows no object.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Sub;

use http::{HeaderMap, Method, Uri};

use super::host::Address;

/// Requests the log keeps; the oldest go first.
const LOGGED_MAX: usize = 100_000;

/// An operation of the S3 API.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the names are those of the S3 API reference")]
pub enum Operation {
    GetObject,
    HeadObject,
    PutObject,
    CopyObject,
    RenameObject,
    DeleteObject,
    DeleteObjects,
    ListObjects,
    ListObjectsV2,
    CreateMultipartUpload,
    UploadPart,
    UploadPartCopy,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListParts,
    ListMultipartUploads,
    GetObjectTagging,
    PutObjectTagging,
    DeleteObjectTagging,
    CreateBucket,
    CreateSession,
    HeadBucket,
    ListBuckets,
    /// Any other.
    Other,
}

/// One request as the log keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SimRequest {
    /// What was asked for.
    pub operation: Operation,
    /// The bucket; may be empty.
    pub bucket: String,
    /// The key, decoded; may be empty.
    pub key: String,
    /// `partNumber`, as sent.
    pub part_number: Option<String>,
    /// `Range` or `x-amz-copy-source-range`, as sent.
    pub range: Option<String>,
    /// `x-amz-copy-source`, as sent.
    pub copy_source: Option<String>,
    /// Status of the answer; `None` when there was none.
    pub status: Option<u16>,
}

impl SimRequest {
    pub(super) fn new(method: &Method, uri: &Uri, headers: &HeaderMap, at: &Address) -> Self {
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|v| v.to_str().ok())
                .map(str::to_owned)
        };
        let (bucket, key) = (at.bucket.as_str(), at.key.as_str());
        let query: Vec<(&str, &str)> = uri
            .query()
            .unwrap_or("")
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .collect();
        let copy_source = text("x-amz-copy-source");
        let range = text(if copy_source.is_some() {
            "x-amz-copy-source-range"
        } else {
            "range"
        });
        let operation = if bucket.is_empty() {
            Operation::ListBuckets
        } else if key.is_empty() {
            of_bucket(method, &query)
        } else {
            of_object(method, &query, copy_source.is_some())
        };
        let part_number = query
            .iter()
            .find(|(name, _)| *name == "partNumber")
            .map(|(_, value)| (*value).into());
        Self {
            operation,
            bucket: bucket.into(),
            key: key.into(),
            part_number,
            range,
            copy_source,
            status: None,
        }
    }
}

fn of_bucket(method: &Method, query: &[(&str, &str)]) -> Operation {
    let asks = |word: &str| query.iter().any(|(name, _)| *name == word);
    let subresource = [
        "location",
        "versioning",
        "versions",
        "acl",
        "policy",
        "tagging",
    ];
    match method.as_str() {
        _ if subresource.into_iter().any(asks) => Operation::Other,
        "GET" if asks("uploads") => Operation::ListMultipartUploads,
        "GET" if asks("session") => Operation::CreateSession,
        "GET" if query.contains(&("list-type", "2")) => Operation::ListObjectsV2,
        "GET" => Operation::ListObjects,
        "HEAD" => Operation::HeadBucket,
        "PUT" => Operation::CreateBucket,
        "POST" if asks("delete") => Operation::DeleteObjects,
        _ => Operation::Other,
    }
}

fn of_object(method: &Method, query: &[(&str, &str)], copies: bool) -> Operation {
    let asks = |word: &str| query.iter().any(|(name, _)| *name == word);
    match (method.as_str(), asks("uploadId")) {
        ("GET", _) if asks("tagging") => Operation::GetObjectTagging,
        ("PUT", _) if asks("tagging") => Operation::PutObjectTagging,
        ("DELETE", _) if asks("tagging") => Operation::DeleteObjectTagging,
        _ if asks("tagging") || asks("acl") => Operation::Other,
        ("GET", true) => Operation::ListParts,
        ("GET", false) => Operation::GetObject,
        ("HEAD", _) => Operation::HeadObject,
        ("PUT", true) if copies => Operation::UploadPartCopy,
        ("PUT", true) => Operation::UploadPart,
        ("PUT", false) if asks("renameObject") => Operation::RenameObject,
        ("PUT", false) if copies => Operation::CopyObject,
        ("PUT", false) => Operation::PutObject,
        ("POST", true) => Operation::CompleteMultipartUpload,
        ("POST", false) if asks("uploads") => Operation::CreateMultipartUpload,
        ("DELETE", true) => Operation::AbortMultipartUpload,
        ("DELETE", false) => Operation::DeleteObject,
        _ => Operation::Other,
    }
}

/// Requests and object bytes of one operation.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Count {
    /// Requests received, those that were failed on purpose included.
    pub requests: u64,
    /// Object bytes received: bodies of PutObject and UploadPart.
    pub bytes_up: u64,
    /// Object bytes sent: bodies of GetObject.
    pub bytes_down: u64,
    /// Most requests that were under way at a time.
    pub in_flight_max: u64,
}

/// Requests and object bytes since the start or the last reset. The XML of requests and answers
/// is not counted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    by_operation: BTreeMap<Operation, Count>,
}

impl Counters {
    /// Of one operation.
    pub fn of(&self, operation: Operation) -> Count {
        self.by_operation
            .get(&operation)
            .copied()
            .unwrap_or_default()
    }

    /// Of all operations together.
    pub fn total(&self) -> Count {
        self.by_operation
            .values()
            .fold(Count::default(), |total, count| Count {
                requests: total.requests + count.requests,
                bytes_up: total.bytes_up + count.bytes_up,
                bytes_down: total.bytes_down + count.bytes_down,
                in_flight_max: total.in_flight_max.max(count.in_flight_max),
            })
    }

    /// The operations that were asked for, with their number of requests.
    pub fn requests(&self) -> BTreeMap<Operation, u64> {
        let asked = self
            .by_operation
            .iter()
            .filter(|(_, count)| count.requests > 0);
        asked
            .map(|(operation, count)| (*operation, count.requests))
            .collect()
    }
}

impl Sub<&Counters> for Counters {
    type Output = Counters;

    /// What happened between two snapshots of one service; the most under way are those up to the
    /// later one.
    fn sub(mut self, earlier: &Counters) -> Counters {
        for (operation, count) in &mut self.by_operation {
            let before = earlier.of(*operation);
            count.requests -= before.requests;
            count.bytes_up -= before.bytes_up;
            count.bytes_down -= before.bytes_down;
        }
        self
    }
}

/// Counters and log behind one lock.
#[derive(Default, Debug)]
pub(super) struct Ledger {
    counters: Counters,
    /// Requests under way.
    in_flight: BTreeMap<Operation, u64>,
    log: VecDeque<SimRequest>,
    /// Number of the oldest request in the log.
    first: u64,
}

impl Ledger {
    /// Counts and logs a request; returns its number.
    pub(super) fn arrive(&mut self, request: &SimRequest) -> u64 {
        let in_flight = self.in_flight.entry(request.operation).or_default();
        *in_flight += 1;
        let by_operation = &mut self.counters.by_operation;
        let count = by_operation.entry(request.operation).or_default();
        count.requests += 1;
        count.in_flight_max = count.in_flight_max.max(*in_flight);
        if self.log.len() == LOGGED_MAX {
            self.log.pop_front();
            self.first += 1;
        }
        self.log.push_back(request.clone());
        self.first + self.log.len() as u64 - 1
    }

    /// A request is not under way any more, whatever became of it.
    pub(super) fn leave(&mut self, operation: Operation) {
        if let Some(in_flight) = self.in_flight.get_mut(&operation) {
            *in_flight = in_flight.saturating_sub(1);
        }
    }

    pub(super) fn answer(&mut self, number: u64, status: u16) {
        let index = number.checked_sub(self.first);
        if let Some(request) = index.and_then(|index| self.log.get_mut(index as usize)) {
            request.status = Some(status);
        }
    }

    pub(super) fn up(&mut self, operation: Operation, bytes: u64) {
        self.counters
            .by_operation
            .entry(operation)
            .or_default()
            .bytes_up += bytes;
    }

    pub(super) fn down(&mut self, operation: Operation, bytes: u64) {
        self.counters
            .by_operation
            .entry(operation)
            .or_default()
            .bytes_down += bytes;
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters.clone()
    }

    pub(super) fn log(&self) -> Vec<SimRequest> {
        self.log.iter().cloned().collect()
    }

    pub(super) fn reset(&mut self) {
        self.counters = Counters::default();
        self.first += self.log.len() as u64;
        self.log.clear();
    }
}
