//! The table of open handles of files and directories. Knows no store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::file::File;
use crate::fs::kept::{drop_handle, keep_handle, keep_numbers};
use crate::fs::readdir::Stream;
use crate::fs::{Fh, FsError, FsResult, OpenMode};
use crate::journal::Journal;
use crate::journal::codec::record;
use crate::lock::{Guarded, Locked};
use crate::namespace::Ino;
use crate::readahead::Window;

/// An open file.
#[derive(Debug)]
pub(super) struct FileHandle {
    pub(super) ino: Ino,
    /// The inode that the kernel has opened: another one if that has lost its name to this file.
    pub(super) found: Ino,
    pub(super) file: Arc<File>,
    pub(super) mode: OpenMode,
    /// How far this reader is read ahead.
    pub(super) window: Guarded<Window>,
}

/// What is kept of a handle that the kernel knows of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct KeptHandle {
    pub(super) ino: Ino,
    /// The request that it answers.
    pub(super) request: u64,
    /// How the file was opened; `None` of a directory.
    pub(super) file: Option<OpenMode>,
}

record!(KeptHandle { ino, request, file });

record!(OpenMode {
    read,
    write,
    truncate,
    exclusive
});

impl FileHandle {
    pub(super) fn new(ino: Ino, file: Arc<File>, mode: OpenMode, window: Window) -> Self {
        if !mode.write {
            file.add_reader();
        }
        Self {
            ino,
            found: ino,
            file,
            mode,
            window: Guarded::new(window),
        }
    }
}

impl Drop for FileHandle {
    fn drop(&mut self) {
        if !self.mode.write {
            self.file.remove_reader();
        }
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
#[derive(Debug)]
pub(super) struct Handles {
    open: Guarded<HashMap<Fh, Handle>>,
    next: AtomicU64,
    /// Numbers below this may have been given out, as far as the next process is to know.
    kept: Guarded<u64>,
    /// Handles by the requests that the process before was about to answer with them.
    told_before: HashMap<u64, (Ino, Fh)>,
    /// Those of the process before that could not be restored.
    lost: HashSet<Fh>,
    journal: Arc<Journal>,
}

impl Handles {
    pub(super) fn new(journal: Arc<Journal>) -> Self {
        Self {
            open: Guarded::default(),
            next: AtomicU64::new(0),
            kept: Guarded::new(0),
            told_before: HashMap::new(),
            lost: HashSet::new(),
            journal,
        }
    }

    /// Numbers up to this one may have been given out by the process before.
    pub(super) fn restore(&mut self, next: u64) {
        *self.next.get_mut() = next;
    }

    /// A handle that the process before had.
    pub(super) fn restore_file(&mut self, fh: Fh, kept: &KeptHandle, handle: FileHandle) {
        self.told_before.insert(kept.request, (kept.ino, fh));
        self.open().insert(fh, Handle::File(Arc::new(handle)));
    }

    /// The same of a directory.
    pub(super) fn restore_directory(&mut self, fh: Fh, kept: &KeptHandle, stream: Stream) {
        let (ino, stream) = (kept.ino, tokio::sync::Mutex::new(stream));
        self.told_before.insert(kept.request, (ino, fh));
        let handle = Arc::new(DirectoryHandle { ino, stream });
        self.open().insert(fh, Handle::Directory(handle));
    }

    /// A handle that the process before had and that cannot be restored.
    pub(super) fn restore_lost(&mut self, fh: Fh) {
        self.lost.insert(fh);
    }

    /// Why there is no such handle.
    fn missing(&self, fh: Fh) -> FsError {
        match self.lost.contains(&fh) {
            true => FsError::Lost,
            false => FsError::BadHandle,
        }
    }

    pub(super) fn told_before(&self, request: u64) -> Option<(Ino, Fh)> {
        let (ino, fh) = *self.told_before.get(&request)?;
        self.open().contains_key(&fh).then_some((ino, fh))
    }

    /// Keeps a handle for the next process.
    pub(super) fn told(&self, fh: Fh, request: u64) {
        let kept = match self.open().get(&fh) {
            Some(Handle::File(handle)) => KeptHandle {
                ino: handle.ino,
                request,
                file: Some(handle.mode),
            },
            Some(Handle::Directory(handle)) => KeptHandle {
                ino: handle.ino,
                request,
                file: None,
            },
            None => return,
        };
        keep_handle(&self.journal, fh, &kept);
    }

    fn open(&self) -> Locked<'_, HashMap<Fh, Handle>> {
        self.open.lock()
    }

    fn insert(&self, handle: Handle) -> Fh {
        let fh = Fh(self.next.fetch_add(1, Ordering::Relaxed) + 1);
        let mut kept = self.kept.lock();
        if fh.0 >= *kept {
            *kept = keep_numbers(&self.journal, fh.0);
        }
        drop(kept);
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
            Some(Handle::Directory(_)) | None => Err(self.missing(fh)),
        }
    }

    /// The handle, if it was opened for reading.
    pub(super) fn readable(&self, fh: Fh) -> FsResult<Arc<FileHandle>> {
        self.file(fh).and_then(|handle| match handle.mode.read {
            true => Ok(handle),
            false => Err(FsError::BadHandle),
        })
    }

    /// Whether any handle of an inode was opened for writing.
    pub(super) fn can_write(&self, ino: Ino) -> bool {
        let open = self.open();
        open.values().any(|handle| match handle {
            Handle::File(handle) => handle.ino == ino && handle.mode.write,
            Handle::Directory(_) => false,
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
            Some(Handle::File(_)) | None => Err(self.missing(fh)),
        }
    }

    pub(super) fn remove_file(&self, fh: Fh) -> FsResult<Arc<FileHandle>> {
        let handle = self.file(fh)?;
        self.open().remove(&fh);
        drop_handle(&self.journal, fh);
        Ok(handle)
    }

    pub(super) fn remove_directory(&self, fh: Fh) -> Option<Ino> {
        let handle = self.directory(fh).ok()?;
        self.open().remove(&fh);
        drop_handle(&self.journal, fh);
        Some(handle.ino)
    }
}
