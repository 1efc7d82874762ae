//! A bucket for tests of the cache: patterns for objects, and a gate before every answer. Knows
//! only GET.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::limits::Limits;
use crate::object::{BucketName, ObjectKey, ObjectRange, ObjectVersion};
use crate::range::ByteRange;
use crate::store::{
    Bucket, CopyHeaders, ListPage, ListRequest, ObjectHeaders, ObjectStat, PartNumber, Payload,
    Precondition, StoreError, StoreResult, StoredPart, Upload,
};

/// Answers GETs with bytes that tell their version and position; counts them, and can hold them
/// back or fail them.
#[derive(Debug)]
pub(super) struct PatternBucket {
    name: BucketName,
    gets: Mutex<Vec<ByteRange>>,
    pub(super) under_way: AtomicUsize,
    pub(super) gate: Semaphore,
    pub(super) failing: AtomicBool,
}

/// Permits enough for every GET of a test.
pub(super) const OPEN: usize = 1 << 20;

impl PatternBucket {
    pub(super) fn with_permits(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            name: BucketName::new("pattern"),
            gets: Mutex::default(),
            under_way: AtomicUsize::new(0),
            gate: Semaphore::new(permits),
            failing: AtomicBool::new(false),
        })
    }

    pub(super) fn gets(&self) -> Vec<ByteRange> {
        self.gets.lock().unwrap().clone()
    }
}

fn byte_at(version: &ObjectVersion, position: u64) -> u8 {
    let salt = version
        .etag
        .as_str()
        .bytes()
        .fold(0_u64, |sum, byte| sum * 7 + u64::from(byte));
    (((position + salt) * 131) >> 3) as u8
}

pub(super) fn expected(source: &ObjectRange) -> Vec<u8> {
    (source.range.start()..source.range.end())
        .map(|at| byte_at(&source.version, at))
        .collect()
}

#[async_trait]
impl Bucket for PatternBucket {
    fn name(&self) -> &BucketName {
        &self.name
    }
    async fn get(&self, source: &ObjectRange) -> StoreResult<Bytes> {
        self.gets.lock().unwrap().push(source.range);
        self.under_way.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        if self.failing.load(Ordering::SeqCst) {
            return Err(super::stale());
        }
        Ok(Bytes::from(expected(source)))
    }
    fn limits(&self) -> &Limits {
        unimplemented!()
    }

    fn keeps_preconditions(&self) -> bool {
        true
    }
    async fn check(&self, _: &str) -> StoreResult<()> {
        unimplemented!()
    }
    async fn head(&self, _: &ObjectKey) -> StoreResult<ObjectStat> {
        unimplemented!()
    }
    async fn list(&self, _: &ListRequest) -> StoreResult<ListPage> {
        unimplemented!()
    }
    async fn put(
        &self,
        _: &ObjectKey,
        _: Payload,
        _: &ObjectHeaders,
        _: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        unimplemented!()
    }
    async fn copy(
        &self,
        _: &ObjectVersion,
        _: &ObjectKey,
        _: &CopyHeaders,
        _: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        unimplemented!()
    }
    async fn create_upload(&self, _: &ObjectKey, _: &ObjectHeaders) -> StoreResult<Upload> {
        unimplemented!()
    }
    async fn upload_part(&self, _: &Upload, _: PartNumber, _: Payload) -> StoreResult<StoredPart> {
        unimplemented!()
    }
    async fn copy_part(
        &self,
        _: &Upload,
        _: PartNumber,
        _: &ObjectRange,
    ) -> StoreResult<StoredPart> {
        unimplemented!()
    }
    async fn complete_upload(
        &self,
        _: &Upload,
        _: &[StoredPart],
        _: &[Arc<ObjectVersion>],
        _: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        unimplemented!()
    }
    async fn abort_upload(&self, _: &Upload) -> StoreResult<()> {
        unimplemented!()
    }
    async fn uploads(&self, _: &str) -> StoreResult<Vec<Upload>> {
        unimplemented!()
    }
    async fn tags(&self, _: &ObjectVersion) -> StoreResult<BTreeMap<String, String>> {
        unimplemented!()
    }
    async fn set_tags(&self, _: &ObjectKey, _: &BTreeMap<String, String>) -> StoreResult<()> {
        unimplemented!()
    }
    async fn delete(&self, _: &ObjectKey) -> StoreResult<()> {
        unimplemented!()
    }
    async fn delete_many(&self, _: &[ObjectKey]) -> StoreResult<Vec<(ObjectKey, StoreError)>> {
        unimplemented!()
    }
}
