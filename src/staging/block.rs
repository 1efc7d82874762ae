//! One block of staged bytes: growing in memory, frozen in memory, or spilled. Knows its
//! addresses; knows nothing of other blocks.

use std::sync::Arc;

use bytes::Bytes;

use super::pool::{Charge, ROOM_BYTES, Room, StagingPool};
use super::spill::SpillFile;
use super::{BLOCK_BYTES, StagingError};
use crate::range::ByteRange;

/// Bytes at consecutive addresses, at most [`BLOCK_BYTES`] of them.
#[derive(Debug)]
pub(super) struct Block {
    /// The address of the first byte.
    start: u64,
    /// One more than the address of the last byte appended.
    end: u64,
    /// The addresses not released: in order, none empty, no two touching.
    live: Vec<ByteRange>,
    home: Home,
}

/// Where the bytes are.
#[derive(Debug)]
enum Home {
    /// In memory, open to appends and overwrites.
    Growing(ChargedBuffer),
    /// In memory that readers may share.
    Frozen(Bytes),
    /// In the spill file, at their addresses.
    Spilled(Charge),
}

/// A buffer and the charge for its capacity; a [`Bytes`] made of it gives the memory back when
/// the last reader drops it.
#[derive(Debug)]
struct ChargedBuffer {
    buffer: Vec<u8>,
    charge: Charge,
}

impl AsRef<[u8]> for ChargedBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl ChargedBuffer {
    /// Makes room for `more` bytes: twice the memory, or as many pages as are needed when the
    /// pool has no more. `false`, and nothing changed, when it has not even that.
    fn reserve(&mut self, more: usize) -> bool {
        let needed = ((self.buffer.len() + more) as u64).next_multiple_of(ROOM_BYTES);
        let taken = self.charge.bytes();
        if needed <= taken {
            return true;
        }
        let doubled = needed.max(taken * 2).next_power_of_two().min(BLOCK_BYTES);
        let grown = self.charge.grow(doubled) || self.charge.grow(needed);
        if grown {
            let capacity = index_in_buffer(self.charge.bytes());
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
        grown
    }
}

impl Block {
    /// An empty block at `start`.
    pub(super) fn new(start: u64, pool: &Arc<StagingPool>) -> Self {
        let charge = Charge::new(pool, Room::Memory);
        let home = Home::Growing(ChargedBuffer {
            buffer: Vec::new(),
            charge,
        });
        Self {
            start,
            end: start,
            live: Vec::new(),
            home,
        }
    }

    /// Whether no live byte is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Adds bytes; moves the block to the spill file, which it makes when there is none, when
    /// memory has no room. On error nothing is added.
    ///
    /// # Panics
    /// If the block is frozen in memory, or the bytes do not fit.
    pub(super) fn append(
        &mut self,
        data: &[u8],
        pool: &Arc<StagingPool>,
        spill: &mut Option<SpillFile>,
    ) -> Result<(), StagingError> {
        let appended = ByteRange::at(self.end, data.len() as u64);
        assert!(
            appended.end() - self.start <= BLOCK_BYTES,
            "bytes do not fit into the block"
        );
        if let Home::Growing(memory) = &mut self.home
            && !memory.reserve(data.len())
        {
            self.move_to_disk(data.len(), pool, spill)?;
        }
        match &mut self.home {
            Home::Growing(memory) => memory.buffer.extend_from_slice(data),
            Home::Spilled(charge) => {
                charge_disk(charge, appended.end() - self.start, pool)?;
                open(spill.as_ref()).write(appended.start(), data)?;
            }
            Home::Frozen(_) => panic!("appended to a frozen block"),
        }
        self.end = appended.end();
        match self.live.last_mut() {
            Some(last) if last.end() == appended.start() => {
                *last = ByteRange::new(last.start(), appended.end());
            }
            _ => self.live.push(appended),
        }
        Ok(())
    }

    /// Moves a growing block to the spill file, where it gets room for `more` bytes. On error it
    /// stays in memory.
    fn move_to_disk(
        &mut self,
        more: usize,
        pool: &Arc<StagingPool>,
        spill: &mut Option<SpillFile>,
    ) -> Result<(), StagingError> {
        let Home::Growing(memory) = &self.home else {
            return Ok(());
        };
        let room = (memory.buffer.len() + more) as u64;
        let mut charge = Charge::new(pool, Room::Disk);
        charge_disk(&mut charge, room, pool)?;
        let file = match spill {
            Some(file) => file,
            None => spill.insert(SpillFile::create(&pool.bounds().dir)?),
        };
        if let Err(error) = file.write(self.start, &memory.buffer) {
            // What was written before the error takes room until it is punched out.
            file.reclaim(ByteRange::at(self.start, room), charge);
            return Err(error);
        }
        self.home = Home::Spilled(charge);
        Ok(())
    }

    /// Takes back the bytes at `end` and later.
    pub(super) fn truncate(&mut self, end: u64) {
        let end = end.clamp(self.start, self.end);
        self.release(ByteRange::new(end, self.end));
        if let Home::Growing(memory) = &mut self.home {
            memory.buffer.truncate(index_in_buffer(end - self.start));
        }
        self.end = end;
    }

    /// Replaces live bytes.
    ///
    /// # Panics
    /// If the block is frozen in memory, or an address is not live.
    pub(super) fn overwrite(
        &mut self,
        range: ByteRange,
        data: &[u8],
        spill: Option<&SpillFile>,
    ) -> Result<(), StagingError> {
        self.assert_live(range);
        let at = index_in_buffer(range.start() - self.start);
        match &mut self.home {
            Home::Growing(memory) => memory.buffer[at..at + data.len()].copy_from_slice(data),
            Home::Spilled(_) => open(spill).write(range.start(), data)?,
            Home::Frozen(_) => panic!("overwrote a frozen block"),
        }
        Ok(())
    }

    /// Live bytes; shared when the block is frozen in memory, else copied.
    ///
    /// # Panics
    /// If an address is not live.
    pub(super) fn read(
        &self,
        range: ByteRange,
        spill: Option<&SpillFile>,
    ) -> Result<Bytes, StagingError> {
        self.assert_live(range);
        let at = index_in_buffer(range.start() - self.start);
        let len = index_in_buffer(range.len());
        match &self.home {
            Home::Growing(memory) => Ok(Bytes::copy_from_slice(&memory.buffer[at..at + len])),
            Home::Frozen(bytes) => Ok(bytes.slice(at..at + len)),
            Home::Spilled(_) => {
                let mut buffer = vec![0; len];
                open(spill).read(range.start(), &mut buffer)?;
                Ok(Bytes::from(buffer))
            }
        }
    }

    /// Ends appends and overwrites; memory can be shared from now on.
    pub(super) fn freeze(&mut self) {
        let home = std::mem::replace(&mut self.home, Home::Frozen(Bytes::new()));
        self.home = match home {
            Home::Growing(memory) => Home::Frozen(Bytes::from_owner(memory)),
            Home::Frozen(_) | Home::Spilled(_) => home,
        };
    }

    /// These addresses are live no more.
    pub(super) fn release(&mut self, range: ByteRange) {
        if range.is_empty() {
            return;
        }
        self.live = std::mem::take(&mut self.live)
            .into_iter()
            .flat_map(|live| {
                let after = live.start().max(range.end()).min(live.end());
                [
                    live.clamp_end(range.start()),
                    ByteRange::new(after, live.end()),
                ]
            })
            .filter(|live| !live.is_empty())
            .collect();
    }

    /// Ends the block and gives its room back; memory when the last reader is done with it.
    pub(super) fn give_back(self, spill: &mut SpillFile) {
        if let Home::Spilled(charge) = self.home {
            spill.reclaim(ByteRange::at(self.start, BLOCK_BYTES), charge);
        }
    }

    fn assert_live(&self, range: ByteRange) {
        assert!(
            self.live.iter().any(|live| live.contains(range)),
            "addresses {range} are not live"
        );
    }
}

/// Charges `bytes` of disk, in whole pages, in place of what was charged.
fn charge_disk(charge: &mut Charge, bytes: u64, pool: &StagingPool) -> Result<(), StagingError> {
    let wanted = bytes.next_multiple_of(ROOM_BYTES);
    if charge.grow(wanted.max(charge.bytes())) {
        return Ok(());
    }
    let bounds = pool.bounds();
    Err(StagingError::Full {
        wanted,
        memory_bytes_max: bounds.memory_bytes_max,
        disk_bytes_max: bounds.disk_bytes_max,
    })
}

/// The spill file of a block that is in it.
fn open(spill: Option<&SpillFile>) -> &SpillFile {
    spill.expect("a spilled block is in a spill file")
}

/// An offset or a length within a block.
pub(super) fn index_in_buffer(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a block is smaller than the address space")
}
