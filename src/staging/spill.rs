//! The file that takes the blocks that memory has no room for, each in a slot of its own. It has no
//! name: its room is free when nobody holds a descriptor of it. Knows no addresses.

use crate::lock::{Guarded, Locked};
use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use nix::fcntl::{FallocateFlags, fallocate};
use tokio::runtime::Handle;

use super::pool::Charge;
use super::{BLOCK_BYTES, StagingError};

/// A spill file, made when it is first needed unless it is given.
#[derive(Debug)]
pub(super) struct SpillFile {
    file: OnceLock<File>,
    dir: PathBuf,
    free: Guarded<Free>,
    /// While it is locked, the disk takes nothing.
    #[cfg(test)]
    pub(super) stalls: Guarded<()>,
}

#[derive(Debug, Default)]
struct Free {
    /// Slots that were ever used.
    count: u64,
    /// Free ones; with the charge for their room as long as that was not given back.
    slots: BTreeMap<u64, Option<Charge>>,
    /// Free ones whose room is to be given back.
    unpunched: Vec<u64>,
    is_punching: bool,
}

/// A slot of the spill file, and the charge for its room: free again when it is dropped.
#[derive(Debug)]
pub(super) struct SpillSlot {
    spill: Arc<SpillFile>,
    index: u64,
    charge: Guarded<Option<Charge>>,
}

impl SpillSlot {
    /// Which slot.
    pub(super) const fn index(&self) -> u64 {
        self.index
    }

    /// Charges as many bytes at least; `false`, and nothing changed, when the bound does not allow
    /// it.
    pub(super) fn charge(&self, bytes: u64) -> bool {
        let mut charge = self.charge.lock();
        charge
            .as_mut()
            .is_some_and(|charge| charge.grow(bytes.max(charge.bytes())))
    }

    /// Writes all of `data` at an offset.
    pub(super) fn write(&self, at: u64, data: &[u8]) -> Result<(), StagingError> {
        self.spill.write(self.index, at, data)
    }

    /// Reads `buffer.len()` bytes at an offset.
    pub(super) fn read(&self, at: u64, buffer: &mut [u8]) -> Result<(), StagingError> {
        self.spill.read(self.index, at, buffer)
    }
}

impl Drop for SpillSlot {
    fn drop(&mut self) {
        let charge = self.charge.lock().take();
        self.spill.give_back(self.index, charge);
    }
}

impl SpillFile {
    /// A spill file in `dir` that only its owner can read.
    pub(super) fn new(dir: PathBuf, file: Option<File>) -> Arc<Self> {
        Arc::new(Self {
            file: file.map_or_else(OnceLock::new, OnceLock::from),
            dir,
            free: Guarded::default(),
            #[cfg(test)]
            stalls: Guarded::default(),
        })
    }

    /// A file without a name in `dir`.
    pub(super) fn create(dir: &Path) -> Result<File, StagingError> {
        let create = || {
            let file = tempfile::tempfile_in(dir)?;
            file.set_permissions(Permissions::from_mode(0o600))?;
            Ok(file)
        };
        create().map_err(|source| StagingError::Spill {
            dir: dir.to_path_buf(),
            source,
        })
    }

    fn free(&self) -> Locked<'_, Free> {
        self.free.lock()
    }

    fn file(&self) -> Result<&File, StagingError> {
        if self.file.get().is_none() {
            // Another thread may have been faster.
            let _ = self.file.set(Self::create(&self.dir)?);
        }
        let missing = || self.error(io::ErrorKind::NotFound.into());
        self.file.get().ok_or_else(missing)
    }

    /// A slot that nobody has; it is charged to `charge`.
    pub(super) fn take(self: &Arc<Self>, charge: Charge) -> Result<SpillSlot, StagingError> {
        self.file()?;
        let mut free = self.free();
        // What is charged for it is charged anew by its taker.
        let index = match free.slots.pop_first() {
            Some((index, _)) => index,
            None => {
                free.count += 1;
                free.count - 1
            }
        };
        Ok(self.slot(index, charge))
    }

    /// The slot that a process before this one had.
    pub(super) fn claim(self: &Arc<Self>, index: u64, charge: Charge) -> SpillSlot {
        let mut free = self.free();
        let between = free.count..index;
        free.slots.extend(between.map(|free| (free, None)));
        free.slots.remove(&index);
        free.count = free.count.max(index + 1);
        self.slot(index, charge)
    }

    fn slot(self: &Arc<Self>, index: u64, charge: Charge) -> SpillSlot {
        SpillSlot {
            spill: Arc::clone(self),
            index,
            charge: Guarded::new(Some(charge)),
        }
    }

    /// Gives back the room of all slots that were not claimed.
    pub(super) fn end_claims(&self) {
        let free = self.free();
        for index in free.slots.keys() {
            self.punch(*index);
        }
        if let Some(file) = self.file.get() {
            // What is behind the last one; it grows again when it is needed.
            let _ = file.set_len(free.count * BLOCK_BYTES);
        }
    }

    /// Writes all of `data` into a slot.
    fn write(&self, slot: u64, at: u64, data: &[u8]) -> Result<(), StagingError> {
        #[cfg(test)]
        let _passed = self.stalls.lock();
        self.file()?
            .write_all_at(data, slot * BLOCK_BYTES + at)
            .map_err(|source| self.error(source))
    }

    /// Reads `buffer.len()` bytes of a slot.
    fn read(&self, slot: u64, at: u64, buffer: &mut [u8]) -> Result<(), StagingError> {
        self.file()?
            .read_exact_at(buffer, slot * BLOCK_BYTES + at)
            .map_err(|source| self.error(source))
    }

    /// A slot is free: it may be used again, and its disk room is given back, and the charge with
    /// it, on a thread that may wait for the disk.
    fn give_back(self: &Arc<Self>, slot: u64, charge: Option<Charge>) {
        {
            let mut free = self.free();
            free.slots.insert(slot, charge);
            free.unpunched.push(slot);
            if std::mem::replace(&mut free.is_punching, true) {
                return;
            }
        }
        let spill = Arc::clone(self);
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || spill.reclaim())),
            Err(_) => spill.reclaim(),
        }
    }

    /// Gives back the disk room of free slots. Where the filesystem cannot punch holes the room
    /// stays taken, and charged, until the slot is used again.
    pub(super) fn reclaim(&self) {
        loop {
            let (slot, charge) = {
                let mut free = self.free();
                let Some(slot) = free.unpunched.pop() else {
                    free.is_punching = false;
                    return;
                };
                // Out of reach while it is punched, unless it is in use again by now.
                let Some(charge) = free.slots.remove(&slot) else {
                    continue;
                };
                (slot, charge)
            };
            let kept = charge.filter(|_| !self.punch(slot));
            self.free().slots.insert(slot, kept);
        }
    }

    fn punch(&self, slot: u64) -> bool {
        let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match (self.file.get(), i64::try_from(slot * BLOCK_BYTES)) {
            (Some(file), Ok(start)) => fallocate(file, mode, start, BLOCK_BYTES as i64).is_ok(),
            (None, _) => true,
            (Some(_), Err(_)) => false,
        }
    }

    fn error(&self, source: io::Error) -> StagingError {
        let dir = self.dir.clone();
        StagingError::Spill { dir, source }
    }

    /// The file, as soon as there is one.
    #[cfg(test)]
    pub(super) fn opened(&self) -> Option<&File> {
        self.file.get()
    }
}
