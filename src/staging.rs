//! The home of dirty bytes: memory first, then a spill file; a bounded total over all files.
//! Knows addresses, not positions in files, and nothing of objects.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::range::ByteRange;

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

/// Why bytes could not be staged or read back.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// Memory and disk bounds are both used up.
    #[error("no room to stage {wanted} bytes: {memory_bytes_max} of memory and {disk_bytes_max} of disk are in use; wait for uploads to finish or raise the limits")]
    Full {
        /// Bytes asked for.
        wanted: u64,
        /// The bound on memory.
        memory_bytes_max: u64,
        /// The bound on disk.
        disk_bytes_max: u64,
    },
    /// The spill file failed.
    #[error("spill file in {dir}: {source}")]
    Spill {
        /// Where it is.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What all files share: the accounts of memory and disk.
#[derive(Debug)]
pub struct StagingPool;

/// The staged bytes of one file: an append-only space of addresses, backed by blocks.
#[derive(Debug)]
pub struct Staging;

#[allow(clippy::todo, unused_variables)]
impl StagingPool {
    /// A pool with nothing in it.
    pub fn new(bounds: StagingBounds) -> Arc<Self> {
        todo!()
    }
    /// Bytes in memory now.
    pub fn memory_bytes(&self) -> u64 {
        todo!()
    }
    /// Bytes in spill files now.
    pub fn disk_bytes(&self) -> u64 {
        todo!()
    }
    /// Whether `len` more bytes fit into memory now. A hint: others may take the room.
    pub fn has_memory_for(&self, len: u64) -> bool {
        todo!()
    }
}

#[allow(clippy::todo, unused_variables)]
impl Staging {
    /// Empty staging of one file.
    pub fn new(pool: &Arc<StagingPool>) -> Self {
        todo!()
    }
    /// Stores bytes at new addresses, in memory while the pool has room, else in the spill file;
    /// returns the first address. On error nothing is stored.
    ///
    /// # Errors
    /// [`StagingError`].
    pub fn append(&mut self, data: &[u8]) -> Result<u64, StagingError> {
        todo!()
    }
    /// Replaces bytes at addresses appended since the last [`Self::freeze`].
    ///
    /// # Errors
    /// [`StagingError::Spill`].
    ///
    /// # Panics
    /// If an address is frozen, released or was never appended.
    pub fn overwrite(&mut self, address: u64, data: &[u8]) -> Result<(), StagingError> {
        todo!()
    }
    /// The bytes at `range`, without copying those in frozen memory blocks.
    ///
    /// # Errors
    /// [`StagingError::Spill`].
    pub fn read(&self, range: ByteRange) -> Result<Vec<Bytes>, StagingError> {
        todo!()
    }
    /// Makes every address so far immutable and returns the address the next append gets, which
    /// starts a new block. Reads of frozen memory blocks share the memory.
    pub fn freeze(&mut self) -> u64 {
        todo!()
    }
    /// These addresses are referred to no more; blocks with no address left give their room back.
    pub fn release(&mut self, range: ByteRange) {
        todo!()
    }
}
