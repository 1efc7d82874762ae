//! The accounts of staged bytes over all files: memory and disk, each bounded. Knows no block.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// What room is taken and charged in: a page of memory, and what filesystems allocate.
pub(super) const ROOM_BYTES: u64 = 4096;

/// The bounds on staged bytes, over all files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StagingBounds {
    /// Bytes in memory.
    pub memory_bytes_max: u64,
    /// Bytes in spill files.
    pub disk_bytes_max: u64,
    /// Where spill files are made; only their owner can read them.
    pub dir: PathBuf,
}

/// What all files share: the accounts of memory and disk. Room is charged as it is taken: for
/// memory the size of the buffers, for disk whole pages, so both are at least the bytes staged.
#[derive(Debug)]
pub struct StagingPool {
    bounds: StagingBounds,
    memory_bytes: AtomicU64,
    disk_bytes: AtomicU64,
    memory_returned: Notify,
}

impl StagingPool {
    /// A pool with nothing in it.
    pub fn new(bounds: StagingBounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            memory_bytes: AtomicU64::new(0),
            disk_bytes: AtomicU64::new(0),
            memory_returned: Notify::new(),
        })
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
