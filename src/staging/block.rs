//! One block of staged bytes: growing in memory, frozen in memory, or spilled. Knows its
//! addresses; knows nothing of other blocks.

use std::sync::Arc;

use bytes::Bytes;

use super::memory::Slot;
use super::pool::{Charge, ROOM_BYTES, Room, StagingPool};
use super::spill::SpillSlot;
use super::{BLOCK_BYTES, StagingError};
use crate::journal::codec::Record;
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
pub(super) enum Home {
    /// Nowhere yet.
    None,
    /// In memory, open to appends and overwrites.
    Growing(ChargedBuffer),
    /// In memory that readers may share.
    Frozen {
        /// The slot's bytes.
        bytes: Bytes,
        /// Which slot.
        slot: u64,
    },
    /// In a slot of the spill file that readers may share.
    Spilled(Arc<SpillSlot>),
}

/// Staged bytes; they stay where they are as long as this is held.
#[derive(Debug)]
pub struct Staged(Held);

#[derive(Debug)]
enum Held {
    Memory(Bytes),
    Disk {
        slot: Arc<SpillSlot>,
        at: u64,
        len: usize,
    },
}

impl Staged {
    /// Whether the disk has to be read for them.
    pub(super) const fn is_on_disk(&self) -> bool {
        matches!(self.0, Held::Disk { .. })
    }

    /// The bytes. May wait for the disk.
    ///
    /// # Errors
    /// [`StagingError::Spill`].
    pub(super) fn read(self) -> Result<Bytes, StagingError> {
        match self.0 {
            Held::Memory(bytes) => Ok(bytes),
            Held::Disk { slot, at, len } => {
                let mut buffer = vec![0; len];
                slot.read(at, &mut buffer)?;
                Ok(Bytes::from(buffer))
            }
        }
    }
}

/// Whether bytes may go to the spill file.
#[derive(Debug)]
pub(super) enum Disk<'d> {
    /// They may; here is what is to be written there.
    Later(Vec<DiskWrite<'d>>),
    /// They may not: then nothing is done.
    Spared,
}

/// Bytes that are to be written to the spill file, when nothing is locked any more.
#[derive(Debug)]
pub struct DiskWrite<'d> {
    slot: Arc<SpillSlot>,
    at: u64,
    bytes: &'d [u8],
}

impl DiskWrite<'_> {
    /// Writes them. Waits for the disk.
    ///
    /// # Errors
    /// [`StagingError::Spill`].
    pub(super) fn make(&self) -> Result<(), StagingError> {
        self.slot.write(self.at, self.bytes)
    }
}

/// Where a block is, as the next process has to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlockPlace {
    /// A slot of the memory file.
    Memory(u64),
    /// A slot of the spill file.
    Disk(u64),
}

impl Record for BlockPlace {
    fn write(&self, to: &mut Vec<u8>) {
        let number = match self {
            Self::Memory(slot) => slot << 1,
            Self::Disk(slot) => slot << 1 | 1,
        };
        number.write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let number = u64::read(from)?;
        Some(match number & 1 {
            0 => Self::Memory(number >> 1),
            _ => Self::Disk(number >> 1),
        })
    }
}

/// A slot of memory and the charge for its pages; a [`Bytes`] made of it gives the memory back when
/// the last reader drops it.
#[derive(Debug)]
pub(super) struct ChargedBuffer {
    /// Before the charge, so that memory is free when it is not charged any more.
    slot: Slot,
    len: usize,
    charge: Charge,
}

impl AsRef<[u8]> for ChargedBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.slot.bytes()[..self.len]
    }
}

impl ChargedBuffer {
    /// Memory for `first` bytes, if possible with pages for the whole block where more are likely
    /// to come; `None` when the pool has no room for them.
    fn new(pool: &Arc<StagingPool>, first: usize, are_more_likely: bool) -> Option<Self> {
        let needed = (first as u64).next_multiple_of(ROOM_BYTES);
        let rounded = needed.next_power_of_two().min(BLOCK_BYTES);
        let mut charge = Charge::new(pool, Room::Memory);
        let is_large = are_more_likely || rounded >= BLOCK_BYTES / 2;
        let most = if is_large { BLOCK_BYTES } else { rounded };
        let mut slot = pool.memory.take(rounded, most)?;
        // Pages that it has are charged too, or given back.
        if slot.touched() <= rounded || !charge.grow(slot.touched()) {
            if !charge.grow(rounded) && !charge.grow(needed) {
                return None;
            }
            slot.cut(charge.bytes());
        }
        pool.trim();
        Some(Self {
            slot,
            len: 0,
            charge,
        })
    }

    /// Makes room for `more` bytes: twice the memory, or as many pages as are needed when the
    /// pool has no more. `false`, and nothing changed, when it has not even that.
    fn reserve(&mut self, more: usize, pool: &StagingPool) -> bool {
        let needed = ((self.len + more) as u64).next_multiple_of(ROOM_BYTES);
        let taken = self.charge.bytes();
        if needed <= taken {
            return true;
        }
        let doubled = needed.max(taken * 2).next_power_of_two().min(BLOCK_BYTES);
        let grown = self.charge.grow(doubled) || self.charge.grow(needed);
        if grown {
            pool.trim();
        }
        grown
    }

    fn append(&mut self, data: &[u8]) {
        self.slot.write(self.len, data);
        self.len += data.len();
    }
}

impl Block {
    /// An empty block at `start`.
    pub(super) const fn new(start: u64) -> Self {
        Self {
            start,
            end: start,
            live: Vec::new(),
            home: Home::None,
        }
    }

    /// The block that a process before this one had at `start`, with these addresses, at least one,
    /// in order. It is frozen.
    ///
    /// # Errors
    /// [`StagingError::Spill`] when its memory cannot be mapped.
    pub(super) fn restore(
        start: u64,
        place: BlockPlace,
        live: Vec<ByteRange>,
        pool: &Arc<StagingPool>,
    ) -> Result<Self, StagingError> {
        let end = live.last().map_or(start, |last| last.end());
        let room = (end - start).next_multiple_of(ROOM_BYTES);
        let home = match place {
            BlockPlace::Memory(slot) => {
                let mapped = pool.memory.claim(slot, room);
                let buffer = ChargedBuffer {
                    slot: mapped.map_err(|source| StagingError::Spill {
                        dir: pool.bounds().dir.clone(),
                        source,
                    })?,
                    len: index_in_buffer(end - start),
                    charge: Charge::of(pool, Room::Memory, room),
                };
                let bytes = Bytes::from_owner(buffer);
                Home::Frozen { bytes, slot }
            }
            BlockPlace::Disk(slot) => {
                let charge = Charge::of(pool, Room::Disk, room);
                Home::Spilled(Arc::new(pool.spill.claim(slot, charge)))
            }
        };
        Ok(Self {
            start,
            end,
            live,
            home,
        })
    }

    /// Where its bytes are; `None` before the first.
    pub(super) fn place(&self) -> Option<BlockPlace> {
        match &self.home {
            Home::None => None,
            Home::Growing(memory) => Some(BlockPlace::Memory(memory.slot.index())),
            Home::Frozen { slot, .. } => Some(BlockPlace::Memory(*slot)),
            Home::Spilled(slot) => Some(BlockPlace::Disk(slot.index())),
        }
    }

    /// Whether no live byte is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Whether so many more bytes fit into it where it is, which they do on the disk.
    pub(super) fn reserve(&mut self, more: usize, pool: &StagingPool) -> bool {
        match &mut self.home {
            Home::Growing(memory) => memory.reserve(more, pool),
            Home::None | Home::Frozen { .. } | Home::Spilled(_) => true,
        }
    }

    /// Adds bytes, for which there must be room where the block is. The first go to memory, or to
    /// the disk when that has no room. On error nothing is added. `false`, and nothing is added,
    /// when that needs the disk which is to be spared.
    ///
    /// # Panics
    /// If the block is frozen in memory, or the bytes do not fit.
    pub(super) fn append<'d>(
        &mut self,
        data: &'d [u8],
        pool: &Arc<StagingPool>,
        disk: &mut Disk<'d>,
    ) -> Result<bool, StagingError> {
        let appended = ByteRange::at(self.end, data.len() as u64);
        assert!(
            appended.end() - self.start <= BLOCK_BYTES,
            "bytes do not fit into the block"
        );
        if let Home::None = self.home {
            let memory = ChargedBuffer::new(pool, data.len(), self.start > 0);
            self.home = memory.map_or(Home::None, Home::Growing);
        }
        match (&mut self.home, disk) {
            (Home::Growing(memory), _) => {
                let has_room = memory.reserve(data.len(), pool);
                assert!(has_room, "a block whose next bytes have no room");
                memory.append(data);
            }
            (Home::None | Home::Spilled(_), Disk::Spared) => return Ok(false),
            (home @ (Home::None | Home::Spilled(_)), Disk::Later(writes)) => {
                let slot = match home {
                    Home::Spilled(slot) => Arc::clone(slot),
                    _ => Arc::new(pool.spill.take(Charge::new(pool, Room::Disk))?),
                };
                charge_disk(&slot, appended.end() - self.start, pool)?;
                *home = Home::Spilled(Arc::clone(&slot));
                writes.push(DiskWrite {
                    slot,
                    at: appended.start() - self.start,
                    bytes: data,
                });
            }
            (Home::Frozen { .. }, _) => panic!("appended to a frozen block"),
        }
        self.end = appended.end();
        match self.live.last_mut() {
            Some(last) if last.end() == appended.start() => {
                *last = ByteRange::new(last.start(), appended.end());
            }
            _ => self.live.push(appended),
        }
        Ok(true)
    }

    /// Takes back the bytes at `end` and later.
    pub(super) fn truncate(&mut self, end: u64) {
        let end = end.clamp(self.start, self.end);
        self.release(ByteRange::new(end, self.end));
        if let Home::Growing(memory) = &mut self.home {
            memory.len = memory.len.min(index_in_buffer(end - self.start));
        }
        self.end = end;
    }

    /// Whether its bytes are in the spill file.
    pub(super) const fn is_on_disk(&self) -> bool {
        matches!(self.home, Home::Spilled(_))
    }

    /// Replaces live bytes; what is to be written for that, if they are on the disk.
    ///
    /// # Panics
    /// If the block is frozen in memory, or an address is not live.
    pub(super) fn overwrite<'d>(
        &mut self,
        range: ByteRange,
        data: &'d [u8],
    ) -> Option<DiskWrite<'d>> {
        self.assert_live(range);
        let at = range.start() - self.start;
        match &mut self.home {
            Home::Growing(memory) => {
                memory.slot.write(index_in_buffer(at), data);
                None
            }
            Home::Spilled(slot) => Some(DiskWrite {
                slot: Arc::clone(slot),
                at,
                bytes: data,
            }),
            Home::None | Home::Frozen { .. } => panic!("overwrote a frozen block"),
        }
    }

    /// Live bytes; shared when the block is frozen in memory or on the disk, else copied.
    ///
    /// # Panics
    /// If an address is not live.
    pub(super) fn hold(&self, range: ByteRange) -> Staged {
        self.assert_live(range);
        let from = range.start() - self.start;
        let (at, len) = (index_in_buffer(from), index_in_buffer(range.len()));
        let memory = match &self.home {
            Home::None => Bytes::new(),
            Home::Growing(memory) => Bytes::copy_from_slice(&memory.as_ref()[at..at + len]),
            Home::Frozen { bytes, .. } => bytes.slice(at..at + len),
            Home::Spilled(slot) => {
                let slot = Arc::clone(slot);
                return Staged(Held::Disk {
                    slot,
                    at: from,
                    len,
                });
            }
        };
        Staged(Held::Memory(memory))
    }

    /// Ends appends and overwrites; memory can be shared from now on.
    pub(super) fn freeze(&mut self) {
        let home = std::mem::replace(&mut self.home, Home::None);
        self.home = match home {
            Home::Growing(memory) => Home::Frozen {
                slot: memory.slot.index(),
                bytes: Bytes::from_owner(memory),
            },
            Home::None | Home::Frozen { .. } | Home::Spilled(_) => home,
        };
    }

    /// These addresses are live no more.
    pub(super) fn release(&mut self, range: ByteRange) {
        if range.is_empty() {
            return;
        }
        let first = self
            .live
            .partition_point(|live| live.end() <= range.start());
        let end = self.live.partition_point(|live| live.start() < range.end());
        if first >= end {
            return;
        }
        let (head, tail) = (self.live[first], self.live[end - 1]);
        let rest = [
            head.clamp_end(range.start()),
            ByteRange::new(tail.end().min(range.end()), tail.end()),
        ];
        let rest = rest.into_iter().filter(|live| !live.is_empty());
        self.live.splice(first..end, rest);
    }

    /// Ends the block.
    pub(super) fn into_home(self) -> Home {
        self.home
    }

    fn assert_live(&self, range: ByteRange) {
        assert!(
            self.live.iter().any(|live| live.contains(range)),
            "addresses {range} are not live"
        );
    }
}

/// Charges `bytes` of disk, in whole pages, in place of what was charged.
fn charge_disk(slot: &SpillSlot, bytes: u64, pool: &StagingPool) -> Result<(), StagingError> {
    let wanted = bytes.next_multiple_of(ROOM_BYTES);
    if slot.charge(wanted) {
        return Ok(());
    }
    let bounds = pool.bounds();
    Err(StagingError::Full {
        wanted,
        memory_bytes_max: bounds.memory_bytes_max,
        disk_bytes_max: bounds.disk_bytes_max,
    })
}

/// An offset or a length within a block.
pub(super) fn index_in_buffer(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a block is smaller than the address space")
}
