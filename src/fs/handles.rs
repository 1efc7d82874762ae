//! The table of open handles of files and directories. Knows no store.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::file::{File, FileError};
use crate::fs::readdir::Stream;
use crate::fs::{Fh, FsError, FsResult, OpenMode};
use crate::namespace::Ino;
use crate::readahead::Window;

/// An open file.
#[derive(Debug)]
pub(super) struct FileHandle {
    pub(super) ino: Ino,
    pub(super) file: Arc<File>,
    pub(super) mode: OpenMode,
    /// How far this reader is read ahead.
    pub(super) window: Mutex<Window>,
    /// The file's epoch when it was opened.
    epoch: u64,
}

impl FileHandle {
    pub(super) fn new(ino: Ino, file: Arc<File>, mode: OpenMode, window: Window) -> Self {
        let epoch = file.epoch();
        Self {
            ino,
            file,
            mode,
            window: Mutex::new(window),
            epoch,
        }
    }

    /// Fails when another open has since found the object replaced: what this handle shows or
    /// edits is the version before.
    pub(super) fn check_not_stale(&self) -> FsResult<()> {
        if self.epoch == self.file.epoch() {
            return Ok(());
        }
        Err(FsError::File(FileError::Stale {
            key: self.file.place().key,
        }))
    }
}

/// An open directory.
#[derive(Debug)]
pub(super) struct DirectoryHandle {
    pub(super) ino: Ino,
    pub(super) stream: tokio::sync::Mutex<Stream>,
}

#[derive(Debug)]
enum Handle {
    File(Arc<FileHandle>),
    Directory(Arc<DirectoryHandle>),
}

/// The open handles of a mount; numbers are never used again.
#[derive(Debug, Default)]
pub(super) struct Handles {
    open: Mutex<HashMap<Fh, Handle>>,
    next: AtomicU64,
}

impl Handles {
    fn open(&self) -> MutexGuard<'_, HashMap<Fh, Handle>> {
        self.open
            .lock()
            .expect("nothing panics while the handles are looked up")
    }

    fn insert(&self, handle: Handle) -> Fh {
        let fh = Fh(self.next.fetch_add(1, Ordering::Relaxed) + 1);
        self.open().insert(fh, handle);
        fh
    }

    pub(super) fn insert_file(&self, handle: FileHandle) -> Fh {
        self.insert(Handle::File(Arc::new(handle)))
    }

    pub(super) fn insert_directory(&self, handle: DirectoryHandle) -> Fh {
        self.insert(Handle::Directory(Arc::new(handle)))
    }

    pub(super) fn file(&self, fh: Fh) -> FsResult<Arc<FileHandle>> {
        match self.open().get(&fh) {
            Some(Handle::File(handle)) => Ok(Arc::clone(handle)),
            Some(Handle::Directory(_)) | None => Err(FsError::BadHandle),
        }
    }

    /// The handle, if it was opened for reading.
    pub(super) fn readable(&self, fh: Fh) -> FsResult<Arc<FileHandle>> {
        self.file(fh).and_then(|handle| match handle.mode.read {
            true => Ok(handle),
            false => Err(FsError::BadHandle),
        })
    }

    /// The handle, if it was opened for writing.
    pub(super) fn writable(&self, fh: Fh) -> FsResult<Arc<FileHandle>> {
        self.file(fh).and_then(|handle| match handle.mode.write {
            true => Ok(handle),
            false => Err(FsError::BadHandle),
        })
    }

    pub(super) fn directory(&self, fh: Fh) -> FsResult<Arc<DirectoryHandle>> {
        match self.open().get(&fh) {
            Some(Handle::Directory(handle)) => Ok(Arc::clone(handle)),
            Some(Handle::File(_)) | None => Err(FsError::BadHandle),
        }
    }

    pub(super) fn remove_file(&self, fh: Fh) -> FsResult<Arc<FileHandle>> {
        let handle = self.file(fh)?;
        self.open().remove(&fh);
        Ok(handle)
    }

    pub(super) fn remove_directory(&self, fh: Fh) -> Option<Ino> {
        let handle = self.directory(fh).ok()?;
        self.open().remove(&fh);
        Some(handle.ino)
    }
}
