//! S3's verbs on one bucket, as the filesystem needs them, and their errors by meaning. Knows no
//! client library, no file, no inode.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use crate::limits::Limits;
use crate::object::{BucketName, ETag, ObjectKey, ObjectRange, ObjectVersion};

mod dated;
pub mod dialect;
pub mod error;
pub mod grown;
pub mod permission;
pub mod probe;
pub mod retry;
pub mod s3;

pub use error::{StoreError, StoreResult};

/// Position of a part in an upload, 1-based.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PartNumber(pub u32);

/// The headers that travel with an object's content: what a reader of the object sees beside the
/// bytes, and what an edit must not lose.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ObjectHeaders {
    /// Content-Type.
    pub content_type: Option<String>,
    /// Content-Encoding.
    pub content_encoding: Option<String>,
    /// Content-Disposition.
    pub content_disposition: Option<String>,
    /// Content-Language.
    pub content_language: Option<String>,
    /// Cache-Control.
    pub cache_control: Option<String>,
    /// Expires, as the store sent it.
    pub expires: Option<String>,
    /// x-amz-storage-class; `None` is the bucket's default.
    pub storage_class: Option<String>,
    /// `x-amz-meta-*`, names without the prefix, in lower case.
    pub metadata: BTreeMap<String, String>,
    /// The object's tags.
    pub tags: Tags,
}

/// The tags of an object, as far as they are told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tags {
    /// There are some, HEAD does not tell which: whoever stores the object anew has to ask
    /// ([`Bucket::tags`]), or to copy them. A PUT or an upload sends none.
    Untold,
    /// These. A store tells nobody of tags whom the policy does not allow to read them; they look
    /// as if there were none.
    These(BTreeMap<String, String>),
}

impl Tags {
    /// The tags, when they are told.
    pub const fn told(&self) -> Option<&BTreeMap<String, String>> {
        match self {
            Self::Untold => None,
            Self::These(tags) => Some(tags),
        }
    }
}

impl Default for Tags {
    fn default() -> Self {
        Self::These(BTreeMap::new())
    }
}

/// What HEAD tells of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectStat {
    /// The version now under the key.
    pub version: Arc<ObjectVersion>,
    /// Last-Modified; whole seconds.
    pub modified: SystemTime,
    /// The headers that travel with the content.
    pub headers: ObjectHeaders,
}

/// One object in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedObject {
    /// The whole key.
    pub key: ObjectKey,
    /// Its entity tag; some stores leave it out of listings.
    pub etag: Option<ETag>,
    /// Bytes.
    pub size: u64,
    /// Last-Modified.
    pub modified: SystemTime,
    /// Its storage class; `None` when that is STANDARD or not told.
    pub storage_class: Option<String>,
}

/// What to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListRequest {
    /// Only keys that start with this.
    pub prefix: String,
    /// Fold keys at the first `/` after the prefix into common prefixes.
    pub fold: bool,
    /// Most keys and prefixes a page; the store's own maximum (1,000) when `None`.
    pub page_max: Option<u32>,
    /// Where the previous page ended.
    pub continuation: Option<String>,
}

/// One page of a listing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListPage {
    /// Objects, in the store's order.
    pub objects: Vec<ListedObject>,
    /// Common prefixes, each ending in `/`, in the store's order. A store that does not fold by
    /// itself may have had one of them on the page before as well.
    pub prefixes: Vec<String>,
    /// What continues the listing; `None` on the last page.
    pub continuation: Option<String>,
}

/// The body of a PUT or of a part: bytes in several buffers, sent without joining them.
#[derive(Clone, Default, Debug)]
pub struct Payload {
    buffers: Vec<Bytes>,
    len: u64,
}

impl Payload {
    /// An empty body.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes behind the last.
    pub fn push(&mut self, bytes: Bytes) {
        self.len += bytes.len() as u64;
        if !bytes.is_empty() {
            self.buffers.push(bytes);
        }
    }

    /// Bytes in all.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no byte.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The buffers in order.
    pub fn buffers(&self) -> &[Bytes] {
        &self.buffers
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        let mut payload = Self::new();
        payload.push(bytes);
        payload
    }
}

/// What must hold of the destination for a write to be published.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Precondition {
    /// Nothing: the last writer wins.
    #[default]
    None,
    /// No object under the key.
    Absent,
    /// The object under the key still has this entity tag.
    Unchanged(ETag),
}

/// Which headers the copy of an object gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CopyHeaders {
    /// The source's, its metadata and its tags.
    Keep {
        /// The source's storage class: a copy that names none gets the bucket's default (Amazon
        /// S3 API reference, CopyObject).
        storage_class: Option<String>,
    },
    /// These; the source's tags where they are [`Tags::Untold`].
    Replace(ObjectHeaders),
}

/// A multipart upload under way.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Upload {
    /// The key it will publish.
    pub key: ObjectKey,
    /// The store's id for it.
    pub id: String,
}

/// A part the store has taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredPart {
    /// Its number.
    pub number: PartNumber,
    /// Its entity tag, to be sent back verbatim.
    pub etag: ETag,
    /// Bytes.
    pub size: u64,
}

/// Whether objects of a storage class have to be restored before they can be read: AWS's two, and
/// those of Alibaba OSS and Huawei OBS. (`ARCHIVE` is read at once at Google, so it is not one.)
pub fn is_archive(storage_class: &str) -> bool {
    [
        "GLACIER",
        "DEEP_ARCHIVE",
        "ColdArchive",
        "DeepColdArchive",
        "COLD",
    ]
    .contains(&storage_class)
}

/// One bucket of one store.
///
/// Every method is bounded in time, retries what may be retried without a second effect, and
/// fails by meaning ([`StoreError`]). A method that returns `Ok` has checked the answer: a copy
/// has its ETag, a body its whole length.
#[async_trait]
pub trait Bucket: fmt::Debug + Send + Sync {
    /// The bucket's name.
    fn name(&self) -> &BucketName;

    /// What the store allows.
    fn limits(&self) -> &Limits;

    /// Whether the store itself keeps a precondition of a write, so that it costs no more requests.
    fn keeps_preconditions(&self) -> bool;

    /// Whether the bucket can be reached, and listed below a prefix; what a mount asks first. A
    /// policy may allow no more than the prefix that is mounted.
    ///
    /// # Errors
    /// By meaning: no such bucket, access denied, the right region, unreachable.
    async fn check(&self, prefix: &str) -> StoreResult<()>;

    /// The object now under `key`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none.
    async fn head(&self, key: &ObjectKey) -> StoreResult<ObjectStat>;

    /// Bytes of a version: all of `source.range` or an error. An empty range sends no request.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the key no longer holds that version.
    async fn get(&self, source: &ObjectRange) -> StoreResult<Bytes>;

    /// One page of keys.
    ///
    /// # Errors
    /// By meaning.
    async fn list(&self, request: &ListRequest) -> StoreResult<ListPage>;

    /// Stores an object in one request.
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`StoreError::Stale`] when the precondition fails.
    async fn put(
        &self,
        key: &ObjectKey,
        body: Payload,
        headers: &ObjectHeaders,
        precondition: &Precondition,
    ) -> StoreResult<ObjectVersion>;

    /// Copies a whole version, of this bucket or another of the same store, to `key` in one
    /// request.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the source's key no longer holds that version.
    async fn copy(
        &self,
        source: &ObjectVersion,
        key: &ObjectKey,
        headers: &CopyHeaders,
        precondition: &Precondition,
    ) -> StoreResult<ObjectVersion>;

    /// Gives a version another key of this bucket in one request, with its headers and tags and
    /// without its old key; `None` where the store cannot, and nothing was done.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the source's key no longer holds that version;
    /// [`StoreError::Exists`] when the precondition fails.
    async fn rename(
        &self,
        _source: &ObjectVersion,
        _key: &ObjectKey,
        _precondition: &Precondition,
    ) -> StoreResult<Option<ObjectVersion>> {
        Ok(None)
    }

    /// Adds bytes to the end of a version, in one request that leaves its headers as they are;
    /// `None` where the store cannot, and nothing was done.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the key no longer holds that version.
    async fn append(
        &self,
        _base: &ObjectVersion,
        _body: Payload,
    ) -> StoreResult<Option<ObjectVersion>> {
        Ok(None)
    }

    /// Starts a multipart upload.
    ///
    /// # Errors
    /// By meaning.
    async fn create_upload(&self, key: &ObjectKey, headers: &ObjectHeaders) -> StoreResult<Upload>;

    /// Uploads a part.
    ///
    /// # Errors
    /// By meaning.
    async fn upload_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        body: Payload,
    ) -> StoreResult<StoredPart>;

    /// Copies bytes of a version, of this bucket or another of the same store, as a part.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the source's key no longer holds that version;
    /// [`StoreError::CopyRefused`] when the store cannot copy this range and the bytes have to be
    /// fetched and uploaded.
    async fn copy_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        source: &ObjectRange,
    ) -> StoreResult<StoredPart>;

    /// Publishes an upload as the object, made of `parts` in order, and verifies its size.
    /// `sources` are the versions parts were copied from: where the store does not honour
    /// conditions on part copies they are looked at once more before anything is published.
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`StoreError::Stale`] when the precondition fails or a source
    /// changed, [`StoreError::CopyRefused`] when a part is not what it was said to be; nothing is
    /// published then and the upload is still there.
    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[StoredPart],
        sources: &[Arc<ObjectVersion>],
        precondition: &Precondition,
    ) -> StoreResult<ObjectVersion>;

    /// Gives an upload up. `Ok` when it is gone, also when it was gone before.
    ///
    /// # Errors
    /// By meaning; the upload may still be there.
    async fn abort_upload(&self, upload: &Upload) -> StoreResult<()>;

    /// The uploads under way whose keys start with `prefix`; at most one page (1,000).
    ///
    /// # Errors
    /// By meaning.
    async fn uploads(&self, prefix: &str) -> StoreResult<Vec<Upload>>;

    /// The tags of a version; none where the store offers no tags.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the version is gone. Without a version id the tags are those of
    /// what the key holds now.
    async fn tags(&self, version: &ObjectVersion) -> StoreResult<BTreeMap<String, String>>;

    /// Makes these the tags of what `key` holds now, in place of all it had.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::NotOffered`] where the store offers no tags;
    /// [`StoreError::InvalidTags`], [`StoreError::TooLarge`] when it takes no such tags, or not so
    /// many (AWS: 10, names up to 128 characters, values up to 256).
    async fn set_tags(&self, key: &ObjectKey, tags: &BTreeMap<String, String>) -> StoreResult<()>;

    /// Deletes an object. `Ok` when it is gone, also when it was gone before.
    ///
    /// # Errors
    /// By meaning.
    async fn delete(&self, key: &ObjectKey) -> StoreResult<()>;

    /// Deletes an object that is this version, where the store has a condition for that: a request
    /// that the store carries out late then deletes nothing that was stored since. Elsewhere as
    /// [`Self::delete`].
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the key held another version, or none, before this was asked for.
    async fn delete_version(&self, version: &ObjectVersion) -> StoreResult<()> {
        self.delete(&version.key).await
    }

    /// Deletes objects, at most 1,000 in a call. Returns those that were not deleted, with why.
    ///
    /// # Errors
    /// When the request as a whole failed; any of them may be gone then.
    async fn delete_many(&self, keys: &[ObjectKey]) -> StoreResult<Vec<(ObjectKey, StoreError)>>;

    /// Deletes objects that were copied elsewhere, at most 1,000 in a call. What another client
    /// has stored under such a key since stays, where the store has a condition for that, and is
    /// not among those that are returned.
    ///
    /// # Errors
    /// As [`Self::delete_many`].
    async fn delete_moved(
        &self,
        versions: &[Arc<ObjectVersion>],
    ) -> StoreResult<Vec<(ObjectKey, StoreError)>> {
        let keys: Vec<ObjectKey> = versions.iter().map(|version| version.key.clone()).collect();
        self.delete_many(&keys).await
    }

    /// All objects were moved away from below these keys, which end in slashes, the innermost
    /// first: takes away the directories that are left of them, where the store has any
    /// (SeaweedFS). What holds anything stays.
    ///
    /// # Errors
    /// By meaning.
    async fn delete_emptied(&self, _directories: &[ObjectKey]) -> StoreResult<()> {
        Ok(())
    }
}

/// The buckets of a mount, by name: how the holder of an [`ObjectVersion`] reaches its bytes.
/// Clones are the same buckets.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    by_name: Arc<RwLock<BTreeMap<BucketName, Arc<dyn Bucket>>>>,
}

impl Buckets {
    /// The given buckets.
    pub fn new(buckets: impl IntoIterator<Item = Arc<dyn Bucket>>) -> Self {
        let named = |bucket: Arc<dyn Bucket>| (bucket.name().clone(), bucket);
        Self {
            by_name: Arc::new(RwLock::new(buckets.into_iter().map(named).collect())),
        }
    }

    /// One more bucket; the one of that name that is there already stays.
    pub fn add(&self, bucket: Arc<dyn Bucket>) {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name.entry(bucket.name().clone()).or_insert(bucket);
    }

    /// The bucket of that name.
    ///
    /// # Panics
    /// If the mount has no such bucket: no version of one can have been made.
    pub fn bucket(&self, name: &BucketName) -> Arc<dyn Bucket> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let bucket = by_name.get(name);
        Arc::clone(bucket.expect("a version of a bucket that is not mounted"))
    }

    /// The bucket of that name, if the mount has it.
    pub fn named(&self, name: &BucketName) -> Option<Arc<dyn Bucket>> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.get(name).map(Arc::clone)
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<dyn Bucket>> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.values().map(Arc::clone).collect()
    }
}
