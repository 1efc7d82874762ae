//! Memory for blocks: slots of one size in a memory file, mapped, so that the next process finds
//! the bytes when this one is killed. Knows no addresses and no accounts.
//!
//! A slot that is given back keeps its pages, so that a stream of blocks does not have every page
//! made and cleared by the kernel again; how many such pages there may be, the pool says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::sync::{Arc, OnceLock};

use memmap2::{MmapMut, MmapOptions};
use nix::fcntl::{FallocateFlags, fallocate};

use super::BLOCK_BYTES;
use super::block::index_in_buffer;
use super::pool::ROOM_BYTES;
use crate::journal;
use crate::lock::{Guarded, Locked};

/// Slots at most: each is a mapping, of which the kernel allows a process 65,530
/// (vm.max_map_count).
const SLOTS_MAX: u64 = 16 * 1024;

/// The memory file and its free slots.
#[derive(Debug)]
pub(super) struct Memory {
    file: OnceLock<File>,
    free: Guarded<Free>,
}

#[derive(Debug, Default)]
struct Free {
    /// Slots that were ever used.
    count: u64,
    /// Free ones without a mapping, and without pages.
    unmapped: BTreeSet<u64>,
    /// Free ones by how many bytes of them have pages.
    mapped: BTreeMap<u64, Vec<Mapped>>,
    /// Bytes of `mapped` that have pages.
    touched: u64,
}

#[derive(Debug)]
struct Mapped {
    index: u64,
    map: MmapMut,
}

/// Memory of one block; free again when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    memory: Arc<Memory>,
    /// `None` only while it is dropped.
    mapped: Option<Mapped>,
    /// Bytes from its start that may have pages: whole pages.
    touched: u64,
}

impl Memory {
    /// Slots in a file, which is made when it is first needed unless it is given.
    pub(super) fn new(file: Option<File>) -> Arc<Self> {
        Arc::new(Self {
            file: file.map_or_else(OnceLock::new, OnceLock::from),
            free: Guarded::default(),
        })
    }

    fn free(&self) -> Locked<'_, Free> {
        self.free.lock()
    }

    fn file(&self) -> io::Result<&File> {
        if self.file.get().is_none() {
            let made = journal::memory("s3fs-staging")?;
            // Another thread may have been faster.
            let _ = self.file.set(made);
        }
        self.file
            .get()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// A slot for `wanted` bytes, if there is one with pages for as many, and at most for `most`.
    /// `None` when there is none to be had.
    pub(super) fn take(self: &Arc<Self>, wanted: u64, most: u64) -> Option<Slot> {
        let mut free = self.free();
        let fitting = free.mapped.range(wanted..=most).next();
        let best = fitting.or_else(|| free.mapped.range(..wanted).next_back());
        if let Some(touched) = best.map(|(touched, _)| *touched)
            && let Some(mapped) = free.pop(touched)
        {
            return Some(self.slot(mapped, touched));
        }
        if free.count == SLOTS_MAX && free.unmapped.is_empty() {
            let touched = *free.mapped.keys().next_back()?;
            let mapped = free.pop(touched)?;
            return Some(self.slot(mapped, touched));
        }
        let index = free.unmapped.pop_first().unwrap_or(free.count);
        match self.map(index) {
            Ok(map) => {
                free.count = free.count.max(index + 1);
                Some(self.slot(Mapped { index, map }, 0))
            }
            Err(error) => {
                log::warn!("memory for staged bytes: {error}; they go to the disk");
                if index < free.count {
                    free.unmapped.insert(index);
                }
                None
            }
        }
    }

    /// The slot that a process before this one had, `touched` bytes of it.
    ///
    /// # Errors
    /// mmap(2)'s.
    pub(super) fn claim(self: &Arc<Self>, index: u64, touched: u64) -> io::Result<Slot> {
        let mut free = self.free();
        let between = free.count..index;
        free.unmapped.extend(between);
        free.unmapped.remove(&index);
        free.count = free.count.max(index + 1);
        let map = self.map(index)?;
        Ok(self.slot(Mapped { index, map }, touched))
    }

    /// Gives back the memory of all slots that were not claimed.
    pub(super) fn end_claims(&self) {
        let free = self.free();
        for index in &free.unmapped {
            self.punch(*index, 0, BLOCK_BYTES);
        }
        if let Some(file) = self.file.get() {
            // What is behind the last one; it grows again when it is needed.
            let _ = file.set_len(free.count * BLOCK_BYTES);
        }
    }

    /// Bytes of free slots that have pages.
    #[cfg(test)]
    pub(super) fn idle_bytes(&self) -> u64 {
        self.free().touched
    }

    /// Gives back memory of free slots until at most so many bytes of them have pages.
    pub(super) fn trim(&self, bytes_max: u64) {
        let mut free = self.free();
        while free.touched > bytes_max {
            let Some((&touched, _)) = free.mapped.iter().next_back() else {
                return;
            };
            let Some(mapped) = free.pop(touched) else {
                return;
            };
            self.punch(mapped.index, 0, touched);
            free.unmapped.insert(mapped.index);
        }
    }

    fn slot(self: &Arc<Self>, mapped: Mapped, touched: u64) -> Slot {
        Slot {
            memory: Arc::clone(self),
            mapped: Some(mapped),
            touched,
        }
    }

    fn map(&self, index: u64) -> io::Result<MmapMut> {
        let (start, file) = (index * BLOCK_BYTES, self.file()?);
        if file.metadata()?.len() < start + BLOCK_BYTES {
            file.set_len(start + BLOCK_BYTES)?;
        }
        let mut options = MmapOptions::new();
        options.offset(start).len(index_in_buffer(BLOCK_BYTES));
        // SAFETY: the file is memory that only this program has. It never shrinks below a slot that
        // is mapped, and each slot has one mapping at a time: its index is in no list of free ones
        // while there is one. The process that maps it after this one was killed is alone too.
        unsafe { options.map_mut(file) }
    }

    /// Gives back the memory of a part of a slot, which reads as zeros then.
    fn punch(&self, index: u64, from: u64, to: u64) {
        let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let start = i64::try_from(index * BLOCK_BYTES + from);
        if let (Some(file), Ok(start)) = (self.file.get(), start)
            && let Err(error) = fallocate(file, mode, start, (to - from) as i64)
        {
            log::warn!("memory of staged bytes cannot be given back: {error}");
        }
    }
}

impl Free {
    fn pop(&mut self, touched: u64) -> Option<Mapped> {
        let slots = self.mapped.get_mut(&touched)?;
        let mapped = slots.pop();
        if slots.is_empty() {
            self.mapped.remove(&touched);
        }
        self.touched -= touched;
        mapped
    }
}

impl Slot {
    /// Which slot.
    pub(super) fn index(&self) -> u64 {
        self.mapped().index
    }

    /// Bytes that have pages.
    pub(super) const fn touched(&self) -> u64 {
        self.touched
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.mapped().map
    }

    /// Puts bytes at an offset.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        self.touched = self.touched.max((end as u64).next_multiple_of(ROOM_BYTES));
        let mapped = self
            .mapped
            .as_mut()
            .expect("a slot has a mapping until it is dropped");
        mapped.map[at..end].copy_from_slice(bytes);
    }

    /// Gives back the pages from an offset on.
    pub(super) fn cut(&mut self, at: u64) {
        if at < self.touched {
            self.memory.punch(self.index(), at, self.touched);
            self.touched = at;
        }
    }

    fn mapped(&self) -> &Mapped {
        let mapped = self.mapped.as_ref();
        mapped.expect("a slot has a mapping until it is dropped")
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(mapped) = self.mapped.take() {
            let mut free = self.memory.free();
            free.touched += self.touched;
            free.mapped.entry(self.touched).or_default().push(mapped);
        }
    }
}
