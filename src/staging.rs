//! The home of dirty bytes: memory first, then a spill file; a bounded total over all files.
//! Knows addresses, not positions in files, and nothing of objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::range::ByteRange;

mod block;
mod memory;
mod pool;
mod spill;

pub use block::{BlockPlace, DiskWrite, Staged};
pub use pool::{StagingBounds, StagingFiles, StagingPool};

use block::{Block, Disk, Home};

/// Addresses of one block: what is frozen, spilled and given back as one. Small under test, so
/// that little input has many blocks.
const BLOCK_BYTES: u64 = if cfg!(test) { 16 * 1024 } else { 256 * 1024 };

/// Why bytes could not be staged or read back.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// Memory and disk bounds are both used up.
    #[error(
        "no room to stage {wanted} bytes: {memory_bytes_max} of memory and {disk_bytes_max} of \
         disk are in use; wait for uploads to finish or raise the limits"
    )]
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
        dir: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The staged bytes of one file: an append-only space of addresses, backed by blocks.
///
/// Invariants: a block in `blocks` has at least one live byte; every live byte is below `next`;
/// `frozen_end <= next`, and `frozen_end` is the start of a block, so no block is frozen in part.
#[derive(Debug)]
pub struct Staging {
    /// By index: a block's addresses start at its index times [`BLOCK_BYTES`].
    blocks: BTreeMap<u64, Block>,
    /// The address of the next byte.
    next: u64,
    /// Addresses below are immutable.
    frozen_end: u64,
    /// Blocks that came to be where they are since [`Self::take_moved`].
    moved: Vec<u64>,
    /// Where blocks were that are gone, or somewhere else by now: not free before
    /// [`Self::settle`].
    limbo: Vec<Home>,
    pool: Arc<StagingPool>,
}

impl Drop for Staging {
    fn drop(&mut self) {
        let blocks = std::mem::take(&mut self.blocks).into_values();
        self.limbo.extend(blocks.map(Block::into_home));
        let limbo = std::mem::take(&mut self.limbo);
        self.pool.leave(limbo);
    }
}

impl Staging {
    /// Empty staging of one file.
    pub fn new(pool: &Arc<StagingPool>) -> Self {
        Self {
            blocks: BTreeMap::new(),
            next: 0,
            frozen_end: 0,
            moved: Vec::new(),
            limbo: Vec::new(),
            pool: Arc::clone(pool),
        }
    }

    /// The staging of a file that a process before this one had, all of it frozen: its blocks, of
    /// which these addresses count, in order and none touching the next. `None` when an address is
    /// in no block.
    ///
    /// # Errors
    /// [`StagingError::Spill`] when memory cannot be mapped.
    pub fn restore(
        pool: &Arc<StagingPool>,
        places: &BTreeMap<u64, BlockPlace>,
        live: &[ByteRange],
    ) -> Result<Option<Self>, StagingError> {
        let mut staging = Self::new(pool);
        let mut by_block: BTreeMap<u64, Vec<ByteRange>> = BTreeMap::new();
        for (index, range) in live.iter().flat_map(|range| blocks_of(*range)) {
            by_block.entry(index).or_default().push(range);
        }
        for (index, live) in by_block {
            let Some(&place) = places.get(&index) else {
                return Ok(None);
            };
            let block = Block::restore(index * BLOCK_BYTES, place, live, pool)?;
            staging.blocks.insert(index, block);
        }
        let last = places.keys().next_back();
        staging.next = last.map_or(0, |last| (last + 1) * BLOCK_BYTES);
        staging.frozen_end = staging.next;
        Ok(Some(staging))
    }

    /// Whether the blocks of all these addresses are there.
    pub fn are_kept(places: &BTreeMap<u64, BlockPlace>, range: ByteRange) -> bool {
        blocks_of(range).all(|(index, _)| places.contains_key(&index))
    }

    /// Where the blocks are, by index.
    pub fn places(&self) -> Vec<(u64, BlockPlace)> {
        let blocks = self.blocks.iter();
        let place = |(index, block): (&u64, &Block)| Some((*index, block.place()?));
        blocks.filter_map(place).collect()
    }

    /// Where those blocks are that came to be there since the last call of this.
    pub fn take_moved(&mut self) -> Vec<(u64, BlockPlace)> {
        let moved = std::mem::take(&mut self.moved).into_iter();
        let place = |index| Some((index, self.blocks.get(&index)?.place()?));
        moved.filter_map(place).collect()
    }

    /// What became of the blocks was recorded: the room of what was released, and the places that
    /// blocks have left, may be used again. Not before the journal has the record, or the next
    /// process would find other bytes where it expects these.
    pub fn settle(&mut self) {
        self.pool.settle(&mut self.limbo);
    }

    /// Where new addresses begin that are not frozen.
    pub const fn frozen_end(&self) -> u64 {
        self.frozen_end
    }

    /// Stores bytes at new addresses, in memory while the pool has room, else in the spill file;
    /// returns the first address, and what is to be written by [`write()`] before they are read or
    /// frozen. On error nothing is stored.
    ///
    /// # Errors
    /// [`StagingError`].
    pub fn append<'d>(
        &mut self,
        data: &'d [u8],
    ) -> Result<(u64, Vec<DiskWrite<'d>>), StagingError> {
        let mut disk = Disk::Later(Vec::new());
        let appended = self.append_within(data, &mut disk)?;
        let start = appended.expect("the disk may be used");
        match disk {
            Disk::Later(writes) => Ok((start, writes)),
            Disk::Spared => Ok((start, Vec::new())),
        }
    }

    /// As [`Self::append`], in memory; `None`, and nothing is stored, when that has no room.
    ///
    /// # Errors
    /// [`StagingError`].
    pub fn append_in_memory(&mut self, data: &[u8]) -> Result<Option<u64>, StagingError> {
        self.append_within(data, &mut Disk::Spared)
    }

    fn append_within<'d>(
        &mut self,
        data: &'d [u8],
        disk: &mut Disk<'d>,
    ) -> Result<Option<u64>, StagingError> {
        let first = self.room_in_block().min(data.len());
        let block = self.blocks.get_mut(&(self.next / BLOCK_BYTES));
        if block.is_some_and(|block| !block.reserve(first, &self.pool)) {
            if let Disk::Spared = disk {
                return Ok(None);
            }
            // What is in it stays there: addresses are plentiful.
            self.next = self.next.next_multiple_of(BLOCK_BYTES);
        }
        let start = self.next;
        let mut rest = data;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.room_in_block().min(rest.len()));
            let appended = self.append_to_block(now, disk);
            if !matches!(appended, Ok(true)) {
                self.unappend(start);
            }
            let has_room = appended.map_err(|error| match error {
                StagingError::Full {
                    memory_bytes_max,
                    disk_bytes_max,
                    ..
                } => StagingError::Full {
                    wanted: data.len() as u64,
                    memory_bytes_max,
                    disk_bytes_max,
                },
                spill @ StagingError::Spill { .. } => spill,
            })?;
            if !has_room {
                return Ok(None);
            }
            rest = later;
        }
        Ok(Some(start))
    }

    /// Bytes that the block of the next address has addresses for.
    fn room_in_block(&self) -> usize {
        block::index_in_buffer(BLOCK_BYTES - self.next % BLOCK_BYTES)
    }

    /// Replaces bytes at addresses appended since the last [`Self::freeze`]: those in memory, and
    /// what is returned is to be written by [`write()`].
    ///
    /// # Panics
    /// If an address is frozen, released or was never appended.
    pub fn overwrite<'d>(&mut self, address: u64, data: &'d [u8]) -> Vec<DiskWrite<'d>> {
        assert!(
            data.is_empty() || address >= self.frozen_end,
            "address {address} is frozen"
        );
        let mut rest = data;
        let mut writes = Vec::new();
        for (index, range) in blocks_of(ByteRange::at(address, data.len() as u64)) {
            let (now, later) = rest.split_at(block::index_in_buffer(range.len()));
            let block = self
                .blocks
                .get_mut(&index)
                .expect("overwritten addresses are live");
            writes.extend(block.overwrite(range, now));
            rest = later;
        }
        writes
    }

    /// Whether any of these addresses, which are live, is in the spill file.
    pub fn is_on_disk(&self, range: ByteRange) -> bool {
        blocks_of(range).any(|(index, _)| self.blocks.get(&index).is_some_and(Block::is_on_disk))
    }

    /// The bytes at `range`, for [`read`] or [`fetch`] to read what is on the disk when nothing is
    /// locked any more; those in frozen memory blocks are not copied. Memory that is shared so
    /// counts against the pool until the last of the buffers is dropped; bytes read back from the
    /// spill file, or copied from a block not yet frozen, do not.
    ///
    /// # Panics
    /// If an address was released or never appended.
    pub fn hold(&self, range: ByteRange) -> Vec<Staged> {
        blocks_of(range)
            .map(|(index, range)| {
                let block = self.blocks.get(&index);
                block.expect("addresses that are read are live").hold(range)
            })
            .collect()
    }

    /// Makes every address so far immutable and returns the address the next append gets, which
    /// starts a new block. Reads of frozen memory blocks share the memory.
    pub fn freeze(&mut self) -> u64 {
        let unfrozen = self.frozen_end / BLOCK_BYTES..;
        for block in self.blocks.range_mut(unfrozen).map(|(_, block)| block) {
            block.freeze();
        }
        self.next = self.next.next_multiple_of(BLOCK_BYTES);
        self.frozen_end = self.next;
        self.next
    }

    /// These addresses are referred to no more; blocks with no address left give their room back
    /// with the next [`Self::settle`].
    /// Addresses released before, or never appended, do not count.
    pub fn release(&mut self, range: ByteRange) {
        let indices = range.start() / BLOCK_BYTES..range.end().div_ceil(BLOCK_BYTES);
        let mut emptied = Vec::new();
        for (&index, block) in self.blocks.range_mut(indices) {
            block.release(range);
            if block.is_empty() {
                emptied.push(index);
            }
        }
        for index in emptied {
            // The last block may have been open to more: addresses are plentiful, skip its rest.
            let block_end = (index + 1) * BLOCK_BYTES;
            if self.next / BLOCK_BYTES == index {
                self.next = block_end;
            }
            self.drop_block(index);
        }
    }

    /// Appends bytes that fit into the block of the next address.
    fn append_to_block<'d>(
        &mut self,
        data: &'d [u8],
        disk: &mut Disk<'d>,
    ) -> Result<bool, StagingError> {
        let index = self.next / BLOCK_BYTES;
        let block = self.blocks.entry(index);
        let block = block.or_insert_with(|| Block::new(index * BLOCK_BYTES));
        let before = block.place();
        let appended = block.append(data, &self.pool, disk);
        if block.place() != before {
            self.moved.push(index);
        }
        if matches!(appended, Ok(true)) {
            self.next += data.len() as u64;
        }
        appended
    }

    /// Takes back what was appended at `start` and later.
    fn unappend(&mut self, start: u64) {
        self.next = start;
        let tail = self.blocks.split_off(&(start / BLOCK_BYTES));
        for (index, mut block) in tail {
            block.truncate(start);
            let keep = !block.is_empty();
            self.blocks.insert(index, block);
            if !keep {
                self.drop_block(index);
            }
        }
    }

    /// Ends a block.
    fn drop_block(&mut self, index: u64) {
        self.limbo
            .extend(self.blocks.remove(&index).map(Block::into_home));
    }
}

/// Writes what is to be on the disk. Waits for it: nothing may be locked.
///
/// # Errors
/// [`StagingError::Spill`]. Any of the bytes may be there then.
pub fn write(writes: &[DiskWrite<'_>]) -> Result<(), StagingError> {
    writes.iter().try_for_each(DiskWrite::make)
}

/// Reads staged bytes. May wait for the disk: nothing may be locked.
///
/// # Errors
/// [`StagingError::Spill`].
pub fn read(staged: Vec<Staged>) -> Result<Vec<Bytes>, StagingError> {
    staged.into_iter().map(Staged::read).collect()
}

/// As [`read`]. Those on the disk are read on a thread that may wait for it.
///
/// # Errors
/// [`StagingError::Spill`].
pub async fn fetch(staged: Vec<Staged>) -> Result<Vec<Bytes>, StagingError> {
    let is_on_disk = staged.iter().any(Staged::is_on_disk);
    match is_on_disk {
        true => wait_for_disk(move || read(staged)).await,
        false => read(staged),
    }
}

/// Has work done on a thread that may wait for the disk.
pub async fn wait_for_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// The blocks that hold `range`, each with its part of it.
fn blocks_of(range: ByteRange) -> impl Iterator<Item = (u64, ByteRange)> {
    (range.start() / BLOCK_BYTES..range.end().div_ceil(BLOCK_BYTES)).filter_map(move |index| {
        let block = ByteRange::at(index * BLOCK_BYTES, BLOCK_BYTES);
        Some((index, block.intersection(range)?))
    })
}

#[cfg(test)]
mod tests;
