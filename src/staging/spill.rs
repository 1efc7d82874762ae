//! The file that takes the blocks of one staging that memory has no room for, each at its own
//! address. Knows no accounts.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{FallocateFlags, fallocate};

use super::StagingError;
use super::pool::Charge;
use crate::range::ByteRange;

/// Spill files of this process so far: the last part of their names.
static MADE: AtomicU64 = AtomicU64::new(0);

/// A spill file; removed when dropped.
#[derive(Debug)]
pub(super) struct SpillFile {
    file: File,
    path: PathBuf,
    /// Room of released blocks that the filesystem would not take back before the file is gone.
    unreclaimed: Vec<Charge>,
}

impl SpillFile {
    /// A new, empty file in `dir` that only its owner can read.
    pub(super) fn create(dir: &Path) -> Result<Self, StagingError> {
        loop {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let path = dir.join(format!("s3fs-staging-{}-{number}", std::process::id()));
            let opened = OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            match opened {
                Ok(file) => {
                    return Ok(Self {
                        file,
                        path,
                        unreclaimed: Vec::new(),
                    });
                }
                // Left by a process that died and had the same id: not ours to overwrite.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => {
                    return Err(StagingError::Spill {
                        dir: dir.to_path_buf(),
                        source,
                    });
                }
            }
        }
    }

    /// Writes all of `data` at `address`.
    pub(super) fn write(&self, address: u64, data: &[u8]) -> Result<(), StagingError> {
        self.file
            .write_all_at(data, address)
            .map_err(|source| self.error(source))
    }

    /// Reads `buffer.len()` bytes at `address`.
    pub(super) fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), StagingError> {
        self.file
            .read_exact_at(buffer, address)
            .map_err(|source| self.error(source))
    }

    /// Gives the disk room of `range` back, and `charge` with it. Where the filesystem cannot
    /// punch holes the room stays taken, and charged, until the file is removed.
    pub(super) fn reclaim(&mut self, range: ByteRange, charge: Charge) {
        let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let punched = match (i64::try_from(range.start()), i64::try_from(range.len())) {
            (Ok(start), Ok(len)) => fallocate(&self.file, mode, start, len).is_ok(),
            _ => false,
        };
        if !punched {
            self.unreclaimed.push(charge);
        }
    }

    /// A spill file on a disk that is full.
    #[cfg(test)]
    pub(super) fn full_disk(dir: &Path) -> Self {
        let mut full = Self::create(dir).expect("an empty file");
        full.file = OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("/dev/full");
        full
    }

    fn error(&self, source: io::Error) -> StagingError {
        let dir = self.path.parent().unwrap_or(&self.path).to_path_buf();
        StagingError::Spill { dir, source }
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            log::warn!("{}: cannot be removed: {error}", self.path.display());
        }
    }
}
