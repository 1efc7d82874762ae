//! What a test reaches without HTTP: objects, uploads, counters, faults, pace.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use md5::{Digest, Md5};
use s3s::S3Error;

use super::buckets::{Stored, WriteCondition, now};
use super::content::{Content, digest_of, hex};
use super::fault::Fault;
use super::request::{Counters, SimRequest};
use super::state::State;
use crate::range::ByteRange;
use crate::store::ObjectHeaders;

/// What a test wants to know of an object without asking over HTTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SimStat {
    /// Bytes.
    pub size: u64,
    /// The ETag without its quotes.
    pub etag: String,
    /// The headers kept with the content.
    pub headers: ObjectHeaders,
    /// Last-Modified.
    pub modified: SystemTime,
    /// The version id in a bucket that keeps versions.
    pub version_id: Option<String>,
    /// Extents the content is made of.
    pub extents: usize,
    /// The MD5 of the key it is encrypted with, in base64, where requests carry that.
    pub customer_key: Option<String>,
}

/// An upload that was neither completed nor aborted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SimUpload {
    /// The key it would publish.
    pub key: String,
    /// Its id.
    pub id: String,
    /// Sizes of its parts, by number.
    pub parts: Vec<(u32, u64)>,
}

impl State {
    /// Makes a bucket.
    ///
    /// # Panics
    /// When there is one of that name.
    pub fn create_bucket(&self, bucket: &str) {
        expect(self.buckets().create(bucket, false));
    }

    /// Stores an object, as another client would; returns its ETag without quotes.
    ///
    /// # Panics
    /// When there is no such bucket.
    pub fn put(&self, bucket: &str, key: &str, bytes: impl Into<Vec<u8>>) -> String {
        self.put_with(bucket, key, bytes, ObjectHeaders::default())
    }

    /// Stores an object with headers, metadata, tags and storage class; returns its ETag without
    /// quotes.
    ///
    /// # Panics
    /// When there is no such bucket.
    pub fn put_with(
        &self,
        bucket: &str,
        key: &str,
        bytes: impl Into<Vec<u8>>,
        headers: ObjectHeaders,
    ) -> String {
        let bytes = bytes.into();
        let etag = hex(&Md5::digest(&bytes));
        let content = expect(self.keep(bytes));
        self.publish(
            bucket,
            key,
            Stored {
                content,
                etag: self.etag_at(key, etag),
                headers,
                customer_key: None,
                modified: now(),
            },
        )
    }

    /// The tags of an object; `None` when there is none.
    pub fn tags(&self, bucket: &str, key: &str) -> Option<BTreeMap<String, String>> {
        self.stat(bucket, key)?.headers.tags.told().cloned()
    }

    /// Stores an object of `size` bytes of a pattern, which takes no memory: the byte at offset
    /// `o` is `pattern_byte(seed, o)`. Returns its ETag without quotes.
    ///
    /// # Panics
    /// When there is no such bucket.
    pub fn put_pattern(&self, bucket: &str, key: &str, size: u64, seed: u64) -> String {
        self.put_pattern_with(bucket, key, (size, seed), ObjectHeaders::default())
    }

    /// As [`Self::put_pattern`], with headers, metadata, tags and storage class.
    ///
    /// # Panics
    /// When there is no such bucket.
    pub fn put_pattern_with(
        &self,
        bucket: &str,
        key: &str,
        (size, seed): (u64, u64),
        headers: ObjectHeaders,
    ) -> String {
        let content = Content::pattern(seed, size);
        let etag = digest_of(&format!("pattern {seed} {size}"));
        self.publish(
            bucket,
            key,
            Stored {
                content,
                etag: self.etag_at(key, etag),
                headers,
                customer_key: None,
                modified: now(),
            },
        )
    }

    fn publish(&self, bucket: &str, key: &str, stored: Stored) -> String {
        let etag = stored.etag.clone();
        let condition = WriteCondition::default();
        expect(self.buckets().publish(bucket, key, stored, &condition));
        etag
    }

    /// Deletes an object, as another client would.
    ///
    /// # Panics
    /// When there is no such bucket.
    pub fn delete(&self, bucket: &str, key: &str) {
        expect(self.buckets().delete(bucket, key, None));
    }

    /// All bytes of an object; `None` when there is none.
    pub fn content(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let size = self.stat(bucket, key)?.size;
        self.content_of(bucket, key, ByteRange::new(0, size))
    }

    /// Some bytes of an object; `None` when there is none.
    pub fn content_of(&self, bucket: &str, key: &str, range: ByteRange) -> Option<Vec<u8>> {
        let (stored, _) = self.buckets().find(bucket, key, None).ok()?;
        stored.content.slice(range).bytes().ok()
    }

    /// All keys of a bucket in byte order.
    ///
    /// # Panics
    /// When there is no such bucket.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let buckets = self.buckets();
        let bucket = expect(buckets.bucket(bucket));
        bucket
            .objects
            .keys()
            .filter(|key| bucket.current(key).is_some())
            .cloned()
            .collect()
    }

    /// What is known of an object; `None` when there is none.
    pub fn stat(&self, bucket: &str, key: &str) -> Option<SimStat> {
        let (stored, version_id) = self.buckets().find(bucket, key, None).ok()?;
        Some(SimStat {
            size: stored.content.len(),
            etag: stored.etag.clone(),
            headers: stored.headers.clone(),
            modified: stored.modified,
            version_id,
            extents: stored.content.extents().len(),
            customer_key: stored.customer_key.clone(),
        })
    }

    /// Has listings show every key there is, as if all had been written long ago.
    pub fn settle(&self) {
        for bucket in self.buckets().by_name.values_mut() {
            bucket.born.clear();
        }
    }

    /// The uploads under way in a bucket.
    ///
    /// # Panics
    /// When there is no such bucket.
    pub fn uploads(&self, bucket: &str) -> Vec<SimUpload> {
        let buckets = self.buckets();
        let open = expect(buckets.bucket(bucket)).uploads.iter();
        open.map(|((key, id), upload)| SimUpload {
            key: key.clone(),
            id: id.clone(),
            parts: upload
                .parts
                .iter()
                .map(|(n, part)| (*n, part.content.len()))
                .collect(),
        })
        .collect()
    }

    /// Requests and bytes so far.
    pub fn counters(&self) -> Counters {
        self.ledger().counters()
    }

    /// The requests so far, oldest first; the last 100,000.
    pub fn requests(&self) -> Vec<SimRequest> {
        self.ledger().log()
    }

    /// Starts counters and log anew.
    pub fn reset_counters(&self) {
        self.ledger().reset();
    }

    /// Arms a fault.
    pub fn fault(&self, fault: Fault) {
        self.faults().arm(fault);
    }

    /// Disarms all faults.
    pub fn clear_faults(&self) {
        self.faults().clear();
    }

    /// Has `hook` called for every request before it is applied, on the service's threads: it
    /// may change objects through the state it is given.
    pub fn on_request(&self, hook: impl Fn(&Self, &SimRequest) + Send + Sync + 'static) {
        self.set_hook(Some(Arc::new(hook)));
    }

    /// Takes the hook away.
    pub fn clear_hook(&self) {
        self.set_hook(None);
    }
}

/// A test's own mistake ends the test.
fn expect<T>(result: Result<T, S3Error>) -> T {
    result.unwrap_or_else(|error| panic!("the simulated service refused: {error:?}"))
}
