//! The accounts of staged bytes over all files: memory and disk, each bounded. Knows no block.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::StagingError;
use super::block::Home;
use super::memory::Memory;
use super::spill::SpillFile;
use crate::journal::{self, Journal};
use crate::lock::Guarded;

/// What room is taken and charged in: a page of memory, and what filesystems allocate.
pub(super) const ROOM_BYTES: u64 = 4096;

/// The bounds on staged bytes, over all files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StagingBounds {
    /// Bytes in memory.
    pub memory_bytes_max: u64,
    /// Bytes in spill files.
    pub disk_bytes_max: u64,
    /// Where the spill file is made; only its owner can read it.
    pub dir: PathBuf,
}

/// The files that hold all staged bytes: memory, and a file without a name on disk.
#[derive(Debug)]
pub struct StagingFiles {
    /// memfd_create(2)'s.
    pub memory: File,
    /// The spill file.
    pub spill: File,
}

impl StagingFiles {
    /// Empty ones, the spill file in this directory.
    ///
    /// # Errors
    /// [`StagingError::Spill`] of that directory.
    pub fn create(dir: &Path) -> Result<Self, StagingError> {
        let memory = journal::memory("s3fs-staging").map_err(|source| StagingError::Spill {
            dir: dir.to_path_buf(),
            source,
        })?;
        let spill = SpillFile::create(dir)?;
        Ok(Self { memory, spill })
    }

    /// The same files by other descriptors.
    ///
    /// # Errors
    /// dup(2)'s.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        Ok(Self {
            memory: self.memory.try_clone()?,
            spill: self.spill.try_clone()?,
        })
    }
}

/// What all files share: the accounts of memory and disk. Room is charged as it is taken: for
/// memory the size of the buffers, for disk whole pages, so both are at least the bytes staged.
#[derive(Debug)]
pub struct StagingPool {
    bounds: StagingBounds,
    memory_bytes: AtomicU64,
    disk_bytes: AtomicU64,
    memory_returned: Notify,
    pub(super) memory: Arc<Memory>,
    pub(super) spill: Arc<SpillFile>,
    journal: Arc<Journal>,
    /// What was left by files that are gone, while the journal could not say so.
    left: Guarded<Vec<Home>>,
}

impl StagingPool {
    /// A pool with nothing in it; its files are made when they are needed.
    #[cfg(test)]
    pub(super) fn new(bounds: StagingBounds) -> Arc<Self> {
        Self::over(bounds, None, Arc::new(Journal::off()))
    }

    /// A pool in these files, or in some that are made when they are needed, whose blocks are
    /// recorded in `journal`. What a process before this one has in them is to be taken over by
    /// [`Staging::restore`](super::Staging::restore), and then [`Self::end_restoring`] called.
    pub fn over(
        bounds: StagingBounds,
        files: Option<StagingFiles>,
        journal: Arc<Journal>,
    ) -> Arc<Self> {
        let (memory, spill) = files.map(|files| (files.memory, files.spill)).unzip();
        Arc::new(Self {
            memory: Memory::new(memory),
            spill: SpillFile::new(bounds.dir.clone(), spill),
            bounds,
            memory_bytes: AtomicU64::new(0),
            disk_bytes: AtomicU64::new(0),
            memory_returned: Notify::new(),
            journal,
            left: Guarded::default(),
        })
    }

    /// Frees what blocks have left, if the journal has all records: those that referred to it are
    /// not the last of their files.
    pub(super) fn settle(&self, limbo: &mut Vec<Home>) {
        if self.journal.is_complete() {
            limbo.append(&mut self.left.lock());
            limbo.clear();
        }
    }

    /// As [`Self::settle`], of a file that is gone; what cannot be freed now is with the next.
    pub(super) fn leave(&self, mut limbo: Vec<Home>) {
        self.settle(&mut limbo);
        if !limbo.is_empty() {
            let mut left = self.left.lock();
            left.extend(limbo);
        }
    }

    /// Bytes in memory now.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// Bytes in spill files now.
    pub fn disk_bytes(&self) -> u64 {
        self.disk_bytes.load(Ordering::Relaxed)
    }

    /// Whether `len` more bytes, appended to one file, fit into memory now. A hint: others may
    /// take the room.
    pub fn has_memory_for(&self, len: u64) -> bool {
        // A buffer that cannot double grows by as many pages as it needs, so this is enough.
        let room = len.checked_next_multiple_of(ROOM_BYTES).unwrap_or(u64::MAX);
        self.memory_bytes().saturating_add(room) <= self.bounds.memory_bytes_max
    }

    /// Whether `len` more bytes fit into memory and disk now. A hint: others may take the room.
    pub fn has_room_for(&self, len: u64) -> bool {
        let bounds = &self.bounds;
        let max = bounds
            .memory_bytes_max
            .saturating_add(bounds.disk_bytes_max);
        let taken = self.memory_bytes().saturating_add(self.disk_bytes());
        taken.saturating_add(len) <= max
    }

    /// Completes when memory is given back next, counted from the call of this method, not from
    /// the first poll. So that no return is missed, call it before looking for room:
    ///
    /// ```ignore
    /// loop {
    ///     let returned = pool.memory_returned();
    ///     if pool.has_memory_for(len) {
    ///         break;
    ///     }
    ///     returned.await;
    /// }
    /// ```
    pub fn memory_returned(&self) -> Notified<'_> {
        self.memory_returned.notified()
    }

    /// Everything that is wanted of the files was taken over: the rest of their room is free.
    pub fn end_restoring(&self) {
        self.memory.end_claims();
        self.spill.end_claims();
    }

    /// Gives back the room on the disk of what was released. Waits for it: nothing may be locked.
    pub fn reclaim(&self) {
        self.spill.reclaim();
    }

    /// The disk takes nothing until this is dropped.
    #[cfg(test)]
    pub fn stall_disk(&self) -> crate::lock::Locked<'_, ()> {
        self.spill.stalls.lock()
    }

    /// The pages of free slots give way to what is charged.
    pub(super) fn trim(&self) {
        let room = self.bounds.memory_bytes_max;
        self.memory.trim(room.saturating_sub(self.memory_bytes()));
    }

    /// The bounds.
    pub(super) const fn bounds(&self) -> &StagingBounds {
        &self.bounds
    }

    const fn account(&self, room: Room) -> (&AtomicU64, u64) {
        match room {
            Room::Memory => (&self.memory_bytes, self.bounds.memory_bytes_max),
            Room::Disk => (&self.disk_bytes, self.bounds.disk_bytes_max),
        }
    }
}

/// Which account is charged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Room {
    /// Memory.
    Memory,
    /// Disk.
    Disk,
}

/// Room taken from a pool, given back when dropped.
#[derive(Debug)]
pub(super) struct Charge {
    pool: Arc<StagingPool>,
    room: Room,
    bytes: u64,
}

impl Charge {
    /// A charge of nothing.
    pub(super) fn new(pool: &Arc<StagingPool>, room: Room) -> Self {
        Self {
            pool: Arc::clone(pool),
            room,
            bytes: 0,
        }
    }

    /// A charge of bytes that are there already, whatever the bound says.
    pub(super) fn of(pool: &Arc<StagingPool>, room: Room, bytes: u64) -> Self {
        pool.account(room).0.fetch_add(bytes, Ordering::Relaxed);
        Self {
            pool: Arc::clone(pool),
            room,
            bytes,
        }
    }

    /// Bytes charged.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it a charge of `bytes`, at least as many as now; `false`, and nothing changed, when
    /// the bound does not allow it.
    pub(super) fn grow(&mut self, bytes: u64) -> bool {
        let more = bytes - self.bytes;
        let (account, bytes_max) = self.pool.account(self.room);
        let taken = account.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            taken.checked_add(more).filter(|sum| *sum <= bytes_max)
        });
        if taken.is_ok() {
            self.bytes = bytes;
        }
        taken.is_ok()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.pool
            .account(self.room)
            .0
            .fetch_sub(self.bytes, Ordering::Relaxed);
        if self.room == Room::Memory && self.bytes > 0 {
            self.pool.memory_returned.notify_waiters();
        }
    }
}
