//! The file that takes the blocks that memory has no room for, each in a slot of its own. It has no
//! name: its room is free when nobody holds a descriptor of it. Knows no addresses.

use crate::lock::{Guarded, Locked};
use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::fcntl::{FallocateFlags, fallocate};

use super::pool::Charge;
use super::{BLOCK_BYTES, StagingError};

/// A spill file, made when it is first needed unless it is given.
#[derive(Debug)]
pub(super) struct SpillFile {
    file: OnceLock<File>,
    dir: PathBuf,
    free: Guarded<Free>,
}

#[derive(Debug, Default)]
struct Free {
    /// Slots that were ever used.
    count: u64,
    /// Free ones; with the charge for their room where the filesystem would not take it back.
    slots: BTreeMap<u64, Option<Charge>>,
}

impl SpillFile {
    /// A spill file in `dir` that only its owner can read.
    pub(super) fn new(dir: PathBuf, file: Option<File>) -> Self {
        Self {
            file: file.map_or_else(OnceLock::new, OnceLock::from),
            dir,
            free: Guarded::default(),
        }
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

    /// A slot that nobody has.
    pub(super) fn take(&self) -> Result<u64, StagingError> {
        self.file()?;
        let mut free = self.free();
        // What is charged for it is charged anew by its taker.
        if let Some((index, _)) = free.slots.pop_first() {
            return Ok(index);
        }
        free.count += 1;
        Ok(free.count - 1)
    }

    /// The slot that a process before this one had.
    pub(super) fn claim(&self, index: u64) {
        let mut free = self.free();
        let between = free.count..index;
        free.slots.extend(between.map(|free| (free, None)));
        free.slots.remove(&index);
        free.count = free.count.max(index + 1);
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
    pub(super) fn write(&self, slot: u64, at: u64, data: &[u8]) -> Result<(), StagingError> {
        self.file()?
            .write_all_at(data, slot * BLOCK_BYTES + at)
            .map_err(|source| self.error(source))
    }

    /// Reads `buffer.len()` bytes of a slot.
    pub(super) fn read(&self, slot: u64, at: u64, buffer: &mut [u8]) -> Result<(), StagingError> {
        self.file()?
            .read_exact_at(buffer, slot * BLOCK_BYTES + at)
            .map_err(|source| self.error(source))
    }

    /// Gives the disk room of a slot back, and `charge` with it. Where the filesystem cannot punch
    /// holes the room stays taken, and charged, until the slot is used again.
    pub(super) fn give_back(&self, slot: u64, charge: Charge) {
        let kept = (!self.punch(slot)).then_some(charge);
        self.free().slots.insert(slot, kept);
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
