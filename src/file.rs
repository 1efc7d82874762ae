//! The content of one file while it is open or dirty: edits of an extent map, and its commit.
//! Knows its bucket and key; knows no inode, no name, no handle.

use std::collections::BTreeMap;
use std::ops::DerefMut as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::attributes::Attributes;
use crate::cache::{BlockCache, CacheBounds};
pub use crate::commit::Place;
use crate::commit::{CommitError, Committer};
use crate::config::Bounds;
use crate::extent::ExtentMap;
use crate::interrupt::Interrupted;
use crate::journal::{Batch, Journal, Key};
use crate::lock::Guarded;
use crate::object::{ObjectKey, ObjectVersion};
use crate::plan::PlanError;
use crate::range::ByteRange;
use crate::staging::{
    Staging, StagingBounds, StagingError, StagingFiles, StagingPool, wait_for_disk,
};
use crate::store::{Buckets, ObjectHeaders, ObjectStat, StoreError, Tags};

mod appends;
mod conditions;
mod copy;
mod disk;
mod eager;
mod hold;
mod kept;
mod markers;
mod outcome;
mod publish;
mod read;
mod record;
mod salvage;
mod state;
#[cfg(test)]
mod tests;

pub use hold::Hold;
pub use kept::{Kept, RestoreError};

use eager::Returnables;
use hold::Turn;
use record::{FILE, Stated};
use state::State;

/// What every file of a mount shares.
#[derive(Debug)]
pub struct Shared {
    /// The mount's buckets.
    pub buckets: Buckets,
    /// The block cache.
    pub cache: Arc<BlockCache>,
    /// The accounts of staged bytes.
    pub staging: Arc<StagingPool>,
    /// Runs plans.
    pub committer: Committer,
    /// The bounds of the mount.
    pub bounds: Bounds,
    /// Where background work runs.
    pub runtime: Handle,
    /// What the next process needs.
    pub journal: Arc<Journal>,
    /// The files with something to commit, by [`File::id`].
    dirty: Guarded<BTreeMap<u64, Weak<File>>>,
    /// What makes room when memory for staged bytes is short.
    returnables: Guarded<Returnables>,
}

impl Shared {
    /// What the files of a mount of `buckets` share; nothing is cached or staged yet, and nothing
    /// is kept for a next process.
    pub fn new(buckets: Buckets, bounds: Bounds, runtime: Handle) -> Arc<Self> {
        let journal = Arc::new(Journal::off());
        Self::with(buckets, bounds, runtime, (journal, None))
    }

    fn with(
        buckets: Buckets,
        bounds: Bounds,
        runtime: Handle,
        (journal, files): (Arc<Journal>, Option<StagingFiles>),
    ) -> Arc<Self> {
        let staging_bounds = StagingBounds {
            memory_bytes_max: bounds.staging_memory_bytes_max,
            disk_bytes_max: bounds.staging_disk_bytes_max,
            dir: bounds.staging_dir.clone(),
        };
        let staging = StagingPool::over(staging_bounds, files, journal.clone());
        let cache = CacheBounds {
            bytes_max: bounds.cache_bytes_max,
            block_bytes: bounds.block_bytes,
            prefetch_requests_max: bounds.prefetch_requests_max,
            read_requests_max: bounds.read_requests_max,
            ..CacheBounds::default()
        };
        Arc::new(Self {
            cache: BlockCache::new(cache, runtime.clone()),
            committer: Committer::new(
                buckets.clone(),
                staging.clone(),
                bounds.upload_requests_max,
                bounds.copy_requests_max,
                (runtime.clone(), journal.clone()),
            ),
            journal,
            buckets,
            staging,
            bounds,
            runtime,
            dirty: Guarded::default(),
            returnables: Guarded::default(),
        })
    }

    /// The files with something to commit.
    pub fn dirty_files(&self) -> Vec<Arc<File>> {
        let dirty = self.dirty.lock();
        dirty.values().filter_map(Weak::upgrade).collect()
    }

    fn enlist(&self, file: &Arc<File>) {
        let mut dirty = self.dirty.lock();
        dirty.insert(file.id, Arc::downgrade(file));
    }

    fn strike(&self, file: &File) {
        self.dirty.lock().remove(&file.id);
    }
}

/// What is known of an object that a file is opened on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// When the store was asked.
    pub at: Instant,
    /// The version.
    pub version: Arc<ObjectVersion>,
    /// Last-Modified.
    pub modified: SystemTime,
    /// What its metadata tells, as far as known.
    pub attributes: Option<Attributes>,
    /// Its headers, as far as known.
    pub headers: Option<Arc<ObjectHeaders>>,
}

impl Seen {
    /// What HEAD answered when it was asked at `at`.
    pub fn of_stat(stat: &ObjectStat, at: Instant) -> Self {
        Self {
            at,
            version: Arc::clone(&stat.version),
            modified: stat.modified,
            attributes: Some(Attributes::of_metadata(&stat.headers.metadata)),
            headers: Some(Arc::new(stat.headers.clone())),
        }
    }
}

/// What is known of a file without asking the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileStat {
    /// Bytes.
    pub size: u64,
    /// When the content was last changed, as far as known.
    pub modified: SystemTime,
    /// What its metadata tells, or will tell with the next commit.
    pub attributes: Attributes,
    /// Whether its headers are known.
    pub is_described: bool,
    /// Whether there is something to commit.
    pub dirty: bool,
    /// Whether that is content, and not only headers.
    pub has_new_content: bool,
    /// A commit of just this content has failed.
    pub refused: bool,
    /// The object version the file was last in step with; `None` when it was never published.
    pub version: Option<Arc<ObjectVersion>>,
    /// When it came to be in step with that.
    pub version_at: Option<Instant>,
    /// Whether anything was changed since it is in memory.
    pub was_edited: bool,
}

/// Whether a commit may take the place of what another client made or replaced meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Creation {
    /// The last writer wins: the file was cut to nothing since it was last in step with an object.
    Replace,
    /// No, because it was made where nothing was known to be, or is an edit of a version; the
    /// commit fails with "stale".
    IfAbsent,
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
    /// The handle was opened on a version that another client has since replaced, or on nothing
    /// where another client has since made an object.
    #[error("{key}: made or replaced by another writer since it was opened")]
    Stale {
        /// The object.
        key: ObjectKey,
    },
}

impl From<StagingError> for FileError {
    fn from(error: StagingError) -> Self {
        Self::Staging(Arc::new(error))
    }
}

impl From<Interrupted> for FileError {
    fn from(interrupted: Interrupted) -> Self {
        StoreError::from(interrupted).into()
    }
}

impl From<CommitError> for FileError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => error.into(),
            CommitError::Plan(error) => error.into(),
            CommitError::Staging(error) => error.into(),
        }
    }
}

impl FileError {
    /// Whether another writer made an object where this was to be a new one, or replaced what this
    /// goes back to: trying again cannot help.
    pub const fn is_conflict(&self) -> bool {
        self.is_stale() || matches!(self, Self::Store(StoreError::Exists { .. }))
    }

    /// Whether another writer replaced what this goes back to.
    pub const fn is_stale(&self) -> bool {
        matches!(
            self,
            Self::Stale { .. }
                | Self::Store(StoreError::Stale { .. } | StoreError::Overtaken { .. })
        )
    }

    /// Whether the store did not say what it did: what was asked for may have been done, or be done
    /// yet.
    const fn is_unanswered(&self) -> bool {
        matches!(
            self,
            Self::Store(
                StoreError::Unreachable { .. }
                    | StoreError::Failed { .. }
                    | StoreError::NoSuchUpload { .. }
                    | StoreError::Interrupted(_)
            )
        )
    }
}

/// What became of the bytes of a file that could not be committed.
#[derive(Debug)]
pub enum Salvaged {
    /// There were none: the content was cut, extended, or copied from objects.
    Nothing,
    /// They are in this file; the note beside it names an unfinished upload when some are nowhere
    /// but there.
    Bytes {
        /// The file.
        path: PathBuf,
        /// The store's id of the upload, which stays.
        upload: Option<String>,
    },
}

/// The content of one file.
///
/// Locks, in the order they may be taken: `publishing` (held across the store calls of a commit),
/// then `state`, then `staging`, then the list of dirty files or that of what can be given back.
/// Only `publishing` is ever held across a wait, and the state of one file at a time.
#[derive(Debug)]
pub struct File {
    id: u64,
    shared: Arc<Shared>,
    /// Held by a commit, by what moves or removes the object ([`Hold`]), of several files in
    /// ascending order of [`Self::id`], and by whoever copies out of this file: what is copied out
    /// must be registered with the copying file before the object it lives in can be replaced.
    publishing: Arc<tokio::sync::Mutex<()>>,
    /// The commit that runs, and who wants to hold the file.
    turn: Guarded<Turn>,
    state: Guarded<State>,
    staging: Arc<Guarded<Staging>>,
    /// Who has it open for reading alone.
    readers: AtomicUsize,
    /// Told whenever an eager part is done or given up.
    progress: Notify,
}

/// The number of the next file.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Drop for File {
    fn drop(&mut self) {
        // Before the staged bytes give way to others.
        let mut batch = Batch::default();
        batch.delete(Key {
            kind: FILE,
            id: self.id,
        });
        self.shared.journal.write(&batch);
    }
}

impl File {
    /// A clean file on an object.
    pub fn of_object(shared: &Arc<Shared>, place: Place, seen: &Seen) -> Arc<Self> {
        Self::with_state(shared, State::of_object(place, seen))
    }

    /// A new, empty file that the first commit publishes even if nothing is written.
    pub fn create(
        shared: &Arc<Shared>,
        place: Place,
        creation: Creation,
        (headers, attributes): (ObjectHeaders, Attributes),
    ) -> Arc<Self> {
        let file = Self::with_state(shared, State::created(place, creation, headers, attributes));
        shared.enlist(&file);
        file
    }

    fn with_state(shared: &Arc<Shared>, state: State) -> Arc<Self> {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let staging = Staging::new(&shared.staging);
        let file = Self::with_id(shared, id, state, staging);
        // Recorded from the beginning.
        file.state().deref_mut();
        file
    }

    fn with_id(shared: &Arc<Shared>, id: u64, state: State, staging: Staging) -> Arc<Self> {
        NEXT_ID.fetch_max(id + 1, Ordering::Relaxed);
        Arc::new(Self {
            id,
            shared: shared.clone(),
            publishing: Arc::default(),
            turn: Guarded::default(),
            state: Guarded::new(state),
            staging: Arc::new(Guarded::new(staging)),
            readers: AtomicUsize::new(0),
            progress: Notify::new(),
        })
    }

    /// What it is kept under for the next process.
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// What is known without asking.
    pub fn stat(&self) -> FileStat {
        let state = self.state();
        FileStat {
            size: state.map.len(),
            modified: state.modified,
            attributes: state.attributes,
            is_described: state.is_described,
            dirty: state.is_dirty(),
            has_new_content: state.has_new_content(),
            refused: state.is_refused(),
            version: state.base.clone(),
            version_at: state.based_at,
            was_edited: state.edits > 0,
        }
    }

    /// Where it is published now.
    pub fn place(&self) -> Place {
        self.state().place.clone()
    }

    /// The headers its object has, or that its next commit sends.
    pub fn headers(&self) -> ObjectHeaders {
        let state = self.state();
        let mut headers = state.headers_of_growth();
        if state.is_appendable && state.place.bucket.limits().append_max > 0 {
            headers.note_size(state.map.len());
        }
        headers
    }

    /// Changes headers and attributes; the next commit sends them, with the content if that is
    /// changed too. They must be known ([`FileStat::is_described`]).
    pub fn describe<T>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut ObjectHeaders, &mut Attributes) -> T,
    ) -> T {
        let mut state = self.state();
        let changed = state.for_edit().describe(change);
        self.shared.enlist(self);
        changed
    }

    /// Puts bytes at a position, beyond the end too.
    ///
    /// # Errors
    /// [`FileError::Staging`] when there is no room; [`FileError::Plan`] when the file would be
    /// larger than an object may be. When what is there already had to be published first, any.
    pub async fn write(self: &Arc<Self>, at: u64, bytes: &[u8]) -> Result<(), FileError> {
        loop {
            if let Some(written) = self.try_write(at, bytes) {
                return written;
            }
            let len = bytes.len() as u64;
            self.wait_for_memory(len).await?;
            self.publish_sent(|_| edited(at, len)).await?;
            let (file, data) = (Arc::clone(self), Bytes::copy_from_slice(bytes));
            let write = move || file.write_by_disk(at, &data);
            if wait_for_disk(write).await?.is_some() {
                return Ok(());
            }
        }
    }

    /// As [`Self::write`], if that needs no wait; else `None`, and it is to be done by that.
    pub fn try_write(self: &Arc<Self>, at: u64, bytes: &[u8]) -> Option<Result<(), FileError>> {
        let len = bytes.len() as u64;
        if self.is_short_of_memory(len) {
            return None;
        }
        let write = |state: &mut State, staging: &mut Staging| state.write(staging, at, bytes);
        let written = self.try_edit(|_| edited(at, len), write)?.transpose()?;
        if written.is_ok() {
            self.upload_ahead();
        }
        Some(written)
    }

    /// Puts bytes behind the last one, whatever other handles do; returns where they went.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn append(self: &Arc<Self>, bytes: &[u8]) -> Result<u64, FileError> {
        if let Some(appended) = self.try_append(bytes) {
            return appended;
        }
        self.wait_for_memory(bytes.len() as u64).await?;
        let (file, data) = (Arc::clone(self), Bytes::copy_from_slice(bytes));
        wait_for_disk(move || file.append_by_disk(&data)).await
    }

    /// As [`Self::append`], if that needs no wait; else nothing is done, and `None`.
    pub fn try_append(self: &Arc<Self>, bytes: &[u8]) -> Option<Result<u64, FileError>> {
        if self.is_short_of_memory(bytes.len() as u64) {
            return None;
        }
        let append = |state: &mut State, staging: &mut Staging| {
            state.append(|state, at| state.write(staging, at, bytes))
        };
        let appended = self
            .try_edit(|_| ByteRange::at(0, 0), append)?
            .transpose()?;
        if appended.is_ok() {
            self.upload_ahead();
        }
        Some(appended)
    }

    /// Cuts or extends.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn truncate(self: &Arc<Self>, len: u64) -> Result<(), FileError> {
        let cut = |state: &mut State, staging: &mut Staging| state.truncate(staging, len);
        self.edit(|state| state.cut(len), cut).await
    }

    /// As [`Self::truncate`], and a change even when the length stays as it is: ftruncate(2).
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn set_len(self: &Arc<Self>, len: u64) -> Result<(), FileError> {
        if len == 0 {
            let mut state = self.state();
            // As O_TRUNC: whatever is there is to be replaced.
            if state.creation == Creation::IfAbsent {
                state.creation = Creation::Replace;
            }
        }
        let cut = |state: &mut State, staging: &mut Staging| {
            state.truncate(staging, len)?;
            state.touch();
            Ok(())
        };
        self.edit(|state| state.cut(len), cut).await
    }

    /// Makes zeros of a range, of which nothing is stored until a commit; with `extend` the file
    /// reaches at least to the range's end afterwards, else it keeps its length.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn zero(self: &Arc<Self>, range: ByteRange, extend: bool) -> Result<(), FileError> {
        let zero = |state: &mut State, staging: &mut Staging| state.zero(staging, range, extend);
        self.edit(|_| range, zero).await
    }

    /// Cuts off nothing, and extends to `len` if the file is shorter.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn extend(self: &Arc<Self>, len: u64) -> Result<(), FileError> {
        let extend = |state: &mut State, staging: &mut Staging| {
            state.truncate(staging, len.max(state.map.len()))
        };
        self.edit(|_| ByteRange::at(0, 0), extend).await
    }

    /// Where the next byte at or after `at` is that is a hole, or is not; the end of the file
    /// counts as a hole. `None` when there is none, or `at` is not within the file.
    pub fn seek(&self, at: u64, hole: bool) -> Option<u64> {
        self.state().seek(at, hole)
    }

    /// The object was renamed or hidden by us: `version`, at `place`, has the bytes of the version
    /// `from`. Whether the file was in step with that; else nothing is changed.
    #[must_use]
    pub fn relocate(
        self: &Arc<Self>,
        place: Place,
        from: Option<&ObjectVersion>,
        version: Option<Arc<ObjectVersion>>,
    ) -> bool {
        let mut state = self.state();
        let is_moved = state.relocate(place, from, version);
        if is_moved {
            self.give_up_ahead(&mut state);
        }
        is_moved
    }

    /// As [`Self::describe`], for the headers alone; nothing is changed when `change` fails.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn change_headers<E>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut ObjectHeaders) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut state = self.state();
        state.for_edit().change_headers(change)?;
        self.shared.enlist(self);
        Ok(())
    }

    /// The tags were changed in the store.
    pub fn note_tags(&self, tags: Tags) {
        self.state().for_edit().note_tags(tags);
    }

    /// The headers to be committed when nothing else is, and the count of edits that
    /// [`Self::described`] wants when they have been published by other means.
    pub fn pending_headers(&self) -> Option<(ObjectHeaders, u64)> {
        let state = self.state();
        let is_pending = state.base.is_some() && state.has_only_headers();
        is_pending.then(|| (state.headers_of_growth(), state.edits))
    }

    /// These headers, as they were at that count of edits, have been published.
    pub fn described(&self, (headers, edits): &(ObjectHeaders, u64)) {
        let mut state = self.state();
        state.note_described(headers, *edits);
        if !state.is_dirty() {
            self.shared.strike(self);
        }
    }

    /// Another client has replaced or removed the object of a clean file: it goes on without a
    /// name. Its bytes are readable as long as the store has them; it cannot be changed.
    pub fn supersede(&self) {
        self.state().superseded = true;
    }

    /// Whether [`Self::supersede`] was called.
    pub fn is_superseded(&self) -> bool {
        self.state().superseded
    }

    /// What is now known of the object of a clean file, which is the version that the file is of:
    /// its headers may be others. A dirty file keeps its own.
    pub fn refresh(&self, seen: &Seen) {
        self.state().refresh(seen);
    }

    /// Whether the content not yet committed takes bytes from this object, other than the file's
    /// own.
    pub fn refers_to(&self, place: &Place) -> bool {
        self.state().refers_to(place)
    }

    /// The file keeps its name after all: commits publish again.
    pub fn adopt(&self) {
        self.state().orphan = false;
    }

    /// Gives up what is not committed, and any upload under way: the last handle of an unlinked
    /// file was closed, or its content cannot be saved. The file is of no use afterwards.
    pub async fn discard(self: &Arc<Self>) {
        let running = self.turn.lock().running();
        running.cancel();
        let _publishing = self.publishing.lock().await;
        let eager = {
            let mut state = self.state();
            state.orphan = true;
            state.map = ExtentMap::new();
            state.edits_published = state.edits;
            self.shared.strike(self);
            state.eager.take()
        };
        self.progress.notify_waiters();
        if let Some(eager) = eager {
            eager.give_up().await;
        }
    }

    /// The content as a map.
    pub fn map(&self) -> ExtentMap {
        self.state().map.clone()
    }

    fn state(&self) -> Stated<'_> {
        Stated::new(self, self.state.lock())
    }

    /// Changes bytes of the content, and enlists the file among the dirty ones before anyone can
    /// see it.
    async fn edit<T>(
        self: &Arc<Self>,
        edited: impl Fn(&State) -> ByteRange + Sync,
        mut change: impl FnMut(&mut State, &mut Staging) -> Result<T, FileError>,
    ) -> Result<T, FileError> {
        loop {
            self.publish_sent(&edited).await?;
            if let Some(result) = self.try_edit(&edited, &mut change) {
                return result;
            }
        }
    }

    /// As [`Self::edit`]; `None` when [`Self::publish_sent`] has to be called first. Only the edits
    /// of [`State`] that note themselves may be made, so that a record costs what was changed.
    fn try_edit<T>(
        self: &Arc<Self>,
        edited: impl Fn(&State) -> ByteRange,
        change: impl FnOnce(&mut State, &mut Staging) -> Result<T, FileError>,
    ) -> Option<Result<T, FileError>> {
        let mut state = self.state();
        if state.superseded {
            let key = state.place.key.clone();
            return Some(Err(FileError::Stale { key }));
        }
        if state.is_sent(edited(&state)) {
            return None;
        }
        let mut staging = self.staging.lock();
        let result = change(state.for_edit(), &mut staging);
        if state.is_dirty() {
            self.shared.enlist(self);
        }
        drop(staging);
        let state = state.for_edit();
        if let Some(eager) = state.given_up.take() {
            self.give_up(state, eager);
        }
        Some(result)
    }

    /// What happens when bytes are wanted that are in an unfinished upload alone: the file is
    /// published as far as it is. Bytes sent ahead are there alone only when memory was short.
    async fn publish_sent(
        self: &Arc<Self>,
        edited: impl Fn(&State) -> ByteRange + Sync,
    ) -> Result<(), FileError> {
        self.learn_outcome().await?;
        let is_sent = |state: &State| state.is_sent(edited(state));
        while is_sent(&self.state()) {
            self.commit_for(&is_sent).await?;
        }
        Ok(())
    }

    /// Slices of the content that other code copies from or reads.
    fn slice(&self, range: ByteRange) -> ExtentMap {
        self.state().map.slice(range)
    }
}

/// `len` bytes at a position that may be too far for an object, which is found out later.
const fn edited(at: u64, len: u64) -> ByteRange {
    ByteRange::new(at, at.saturating_add(len))
}

/// Zeros, as [`Bytes`], for what is read from holes.
fn zeros(len: u64) -> impl Iterator<Item = Bytes> {
    crate::commit::zeros(len)
}
