//! The content of one file while it is open or dirty: clean, dirty, committing or failed. Knows
//! its bucket and key; knows no inode, no name, no handle.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::cache::BlockCache;
use crate::config::Bounds;
use crate::extent::ExtentMap;
use crate::object::{ObjectKey, ObjectVersion};
use crate::plan::PlanError;
use crate::range::ByteRange;
use crate::readahead::Window;
use crate::staging::{StagingError, StagingPool};
use crate::store::{Bucket, Buckets, ObjectStat, StoreError};

/// What every file of a mount shares.
#[derive(Debug)]
pub struct Shared {
    /// The mount's buckets.
    pub buckets: Buckets,
    /// The block cache.
    pub cache: Arc<BlockCache>,
    /// The accounts of staged bytes.
    pub staging: Arc<StagingPool>,
    /// The bounds of the mount.
    pub bounds: Bounds,
    /// Where background work runs.
    pub runtime: tokio::runtime::Handle,
}

/// Where a file is published.
#[derive(Clone, Debug)]
pub struct Place {
    /// The bucket.
    pub bucket: Arc<dyn Bucket>,
    /// The key.
    pub key: ObjectKey,
}

/// What is known of a file without asking the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileStat {
    /// Bytes.
    pub size: u64,
    /// When the content was last changed, as far as known.
    pub modified: SystemTime,
    /// Whether there is something to commit.
    pub dirty: bool,
    /// The object version the file was last in step with; `None` when it was never published.
    pub version: Option<Arc<ObjectVersion>>,
}

/// Whether a new file may take the place of an object that another client made meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Creation {
    /// The last writer wins.
    Replace,
    /// O_EXCL: the commit fails with "exists" where the store can tell.
    Exclusive,
}

/// Why an operation on a file's content failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FileError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The content fits no object.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The bytes could not be staged or read back.
    #[error(transparent)]
    Staging(Arc<StagingError>),
    /// The handle was opened on a version that another client has since replaced.
    #[error("{key}: replaced by another writer since it was opened")]
    Stale {
        /// The object.
        key: ObjectKey,
    },
}

/// The content of one file.
#[derive(Debug)]
pub struct File;

#[allow(clippy::todo, unused_variables)]
impl File {
    /// A clean file: what HEAD told.
    pub fn of_object(shared: &Arc<Shared>, place: Place, stat: &ObjectStat) -> Arc<Self> {
        todo!()
    }
    /// A new, empty file that the first commit publishes even if nothing is written.
    pub fn create(shared: &Arc<Shared>, place: Place, creation: Creation) -> Arc<Self> {
        todo!()
    }
    /// What is known without asking.
    pub fn stat(&self) -> FileStat {
        todo!()
    }
    /// Where it is published now.
    pub fn place(&self) -> Place {
        todo!()
    }
    /// Bytes of the file, fewer at its end.
    ///
    /// # Errors
    /// [`FileError`]; [`FileError::Store`] with `Stale` when the object was replaced.
    pub async fn read(
        self: &Arc<Self>,
        range: ByteRange,
        window: &std::sync::Mutex<Window>,
    ) -> Result<Bytes, FileError> {
        todo!()
    }
    /// Puts bytes at a position, beyond the end too.
    ///
    /// # Errors
    /// [`FileError::Staging`] when there is no room.
    pub async fn write(self: &Arc<Self>, at: u64, data: &[u8]) -> Result<(), FileError> {
        todo!()
    }
    /// Puts bytes behind the last one, whatever other handles do; returns where they went.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn append(self: &Arc<Self>, data: &[u8]) -> Result<u64, FileError> {
        todo!()
    }
    /// Cuts or extends.
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn truncate(self: &Arc<Self>, len: u64) -> Result<(), FileError> {
        todo!()
    }
    /// Copies `range` of `source` (clamped to its end) to position `at`, on the server when this
    /// file is committed. Commits `source` first when that range is dirty. Returns bytes copied.
    ///
    /// # Errors
    /// [`FileError`], of either file.
    pub async fn copy_from(
        self: &Arc<Self>,
        at: u64,
        source: &Arc<Self>,
        range: ByteRange,
    ) -> Result<u64, FileError> {
        todo!()
    }
    /// Makes everything written so far durable in the store; nothing to do when clean. Waits for
    /// a commit under way.
    ///
    /// # Errors
    /// [`FileError`]; the staged bytes are kept and the next commit tries again, except after
    /// `Stale`.
    pub async fn commit(self: &Arc<Self>) -> Result<(), FileError> {
        todo!()
    }
    /// Whether the content not yet committed takes bytes from this object (other than the file's
    /// own place): whoever deletes or replaces it must commit this file first.
    pub fn refers_to(&self, place: &Place) -> bool {
        todo!()
    }
    /// The object was renamed or hidden by us: `version` holds the same bytes at `place`.
    pub fn relocate(&self, place: Place, version: Option<Arc<ObjectVersion>>) {
        todo!()
    }
    /// What an open found in the store. A clean file takes it over; handles opened on the version
    /// before are stale from then on. A dirty file keeps its own content.
    pub fn revalidate(&self, stat: &ObjectStat) {
        todo!()
    }
    /// Counts the versions the file was switched to by [`Self::revalidate`]; a handle whose count
    /// differs is stale.
    pub fn epoch(&self) -> u64 {
        todo!()
    }
    /// Gives up what is not committed (the file was unlinked), and any upload under way.
    pub async fn discard(self: &Arc<Self>) {
        todo!()
    }
    /// The content as a map, for tests.
    pub fn map(&self) -> ExtentMap {
        todo!()
    }
}
