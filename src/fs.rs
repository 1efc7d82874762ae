//! The filesystem's operations, free of the kernel's wire format: what `fuse` calls. Holds open
//! handles and the lock order. Knows no errno and no client library.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::config::Config;
use crate::file::{FileError, Shared};
pub use crate::namespace::{Attr, Ino, Kind};
use crate::object::ObjectKey;
use crate::range::ByteRange;
use crate::store::StoreError;

/// The number of an open file or directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fh(pub u64);

/// Why an operation failed, by meaning; `fuse` makes an errno of it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FsError {
    /// No entry of that name.
    #[error("no such entry")]
    NoEntry,
    /// The entry exists.
    #[error("exists already")]
    Exists,
    /// A directory where a file was meant.
    #[error("is a directory")]
    IsDirectory,
    /// A file where a directory was meant.
    #[error("is not a directory")]
    NotDirectory,
    /// The directory has entries.
    #[error("directory not empty")]
    NotEmpty,
    /// The name cannot be part of a key.
    #[error("the name is not UTF-8")]
    NameNotUtf8,
    /// The name or the whole key is too long.
    #[error("name too long")]
    NameTooLong,
    /// The mount is read-only.
    #[error("read-only mount")]
    ReadOnly,
    /// Not allowed whoever asks: an attribute that cannot be changed, a reserved name, the
    /// top-level directories of a mount of several sources.
    #[error("not permitted: {what}")]
    NotPermitted {
        /// What was asked for.
        what: &'static str,
    },
    /// Makes no sense: a directory moved into itself, an overlap.
    #[error("invalid: {what}")]
    Invalid {
        /// What was asked for.
        what: &'static str,
    },
    /// Not offered.
    #[error("not supported: {what}")]
    NotSupported {
        /// What was asked for.
        what: &'static str,
    },
    /// The handle is not open, or not for this.
    #[error("bad file handle")]
    BadHandle,
    /// The inode is not known any more.
    #[error("unknown inode")]
    UnknownInode,
    /// A directory was moved in part: every object exists under its old or its new name, and
    /// repeating the command finishes it.
    #[error("rename stopped half way: {moved} objects moved, {left} left; repeat it to finish: {source}")]
    RenamedInPart {
        /// Objects under the new name only.
        moved: u64,
        /// Objects still under the old name.
        left: u64,
        /// The first failure.
        source: StoreError,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file's content.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The result of an operation.
pub type FsResult<T> = Result<T, FsError>;

/// An attribute or name, and how long it may be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trusted<T> {
    /// What.
    pub value: T,
    /// For how long.
    pub ttl: Duration,
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenMode {
    /// For reading.
    pub read: bool,
    /// For writing.
    pub write: bool,
    /// Every write goes to the end.
    pub append: bool,
    /// Cut to nothing first.
    pub truncate: bool,
    /// O_EXCL.
    pub exclusive: bool,
}

/// An open file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Its handle.
    pub fh: Fh,
    /// Whether the kernel may keep the pages it has: the content is what the last open saw.
    pub keep_cache: bool,
}

/// What setattr(2) and its kin ask to change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SetAttr {
    /// Size: truncate.
    pub size: Option<u64>,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Last access.
    pub atime: Option<SetTime>,
    /// Last change of content.
    pub mtime: Option<SetTime>,
}

/// A time to set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetTime {
    /// The time now.
    Now,
    /// This time.
    At(SystemTime),
}

/// Whether a rename may replace its target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RenameMode {
    /// It may.
    Replace,
    /// RENAME_NOREPLACE.
    NoReplace,
}

/// One directory entry, as readdir gives it out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirEntry {
    /// Where the entry after this one is.
    pub next_offset: u64,
    /// Its name.
    pub name: std::ffi::OsString,
    /// Its attributes. With `plus` the inode counts as looked up once more, except `.` and `..`.
    pub attr: Attr,
}

/// What statfs(2) tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatFs {
    /// Bytes of a block.
    pub block_bytes: u32,
    /// Blocks in all, free and available: a bucket has no end.
    pub blocks: u64,
    /// Longest name in bytes.
    pub name_bytes_max: u32,
}

/// Both ends of a copy_file_range(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CopyRequest {
    /// The handle read from.
    pub from: Fh,
    /// The bytes read.
    pub range: ByteRange,
    /// The handle written to.
    pub to: Fh,
    /// Where they go.
    pub at: u64,
}

/// A mounted filesystem.
#[derive(Debug)]
pub struct Fs;

#[allow(clippy::todo, unused_variables)]
impl Fs {
    /// A filesystem over `shared.buckets` that shows `config.sources`.
    pub fn new(config: &Config, shared: Arc<Shared>) -> Self {
        todo!()
    }
    /// How long a name that does not exist may be trusted not to exist.
    pub fn negative_ttl(&self) -> Duration {
        todo!()
    }
    /// The entry `name` of `parent`; counts one lookup. 1 HEAD + 1 LIST when nothing is known.
    pub async fn lookup(&self, parent: Ino, name: &OsStr) -> FsResult<Trusted<Attr>> {
        todo!()
    }
    /// The kernel forgot `count` lookups.
    pub fn forget(&self, ino: Ino, count: u64) {
        todo!()
    }
    /// Attributes.
    pub async fn getattr(&self, ino: Ino, fh: Option<Fh>) -> FsResult<Trusted<Attr>> {
        todo!()
    }
    /// Changes attributes.
    pub async fn setattr(&self, ino: Ino, fh: Option<Fh>, set: SetAttr) -> FsResult<Trusted<Attr>> {
        todo!()
    }
    /// Makes a directory (a marker object); counts one lookup.
    pub async fn mkdir(&self, parent: Ino, name: &OsStr) -> FsResult<Trusted<Attr>> {
        todo!()
    }
    /// Removes an empty directory.
    pub async fn rmdir(&self, parent: Ino, name: &OsStr) -> FsResult<()> {
        todo!()
    }
    /// Removes a file.
    pub async fn unlink(&self, parent: Ino, name: &OsStr) -> FsResult<()> {
        todo!()
    }
    /// Renames a file or a directory.
    pub async fn rename(
        &self,
        from: (Ino, &OsStr),
        to: (Ino, &OsStr),
        mode: RenameMode,
    ) -> FsResult<()> {
        todo!()
    }
    /// Makes a file and opens it; counts one lookup. Nothing is sent before the first commit.
    pub async fn create(
        &self,
        parent: Ino,
        name: &OsStr,
        mode: OpenMode,
    ) -> FsResult<(Trusted<Attr>, Opened)> {
        todo!()
    }
    /// Opens a file.
    pub async fn open(&self, ino: Ino, mode: OpenMode) -> FsResult<Opened> {
        todo!()
    }
    /// Reads; fewer bytes at the end of the file.
    pub async fn read(&self, fh: Fh, range: ByteRange) -> FsResult<Bytes> {
        todo!()
    }
    /// Writes all of `data` (at the end when the handle appends).
    pub async fn write(&self, fh: Fh, at: u64, data: Bytes) -> FsResult<()> {
        todo!()
    }
    /// A close(2): commits.
    pub async fn flush(&self, fh: Fh) -> FsResult<()> {
        todo!()
    }
    /// fsync(2), fdatasync(2): commits.
    pub async fn fsync(&self, fh: Fh) -> FsResult<()> {
        todo!()
    }
    /// The last close: the handle ends. Commits what no flush has (mmap).
    pub async fn release(&self, fh: Fh) -> FsResult<()> {
        todo!()
    }
    /// copy_file_range(2); returns bytes copied, at most what fits 32 bits.
    pub async fn copy_file_range(&self, request: CopyRequest) -> FsResult<u32> {
        todo!()
    }
    /// Opens a directory.
    pub async fn opendir(&self, ino: Ino) -> FsResult<Fh> {
        todo!()
    }
    /// Entries from `offset` on, given to `take` until it answers `false` (no room) or the
    /// directory ends. With `plus` every entry taken counts one lookup, except `.` and `..`.
    pub async fn readdir(
        &self,
        fh: Fh,
        offset: u64,
        plus: bool,
        take: &mut (dyn FnMut(&DirEntry) -> bool + Send),
    ) -> FsResult<()> {
        todo!()
    }
    /// Closes a directory.
    pub fn releasedir(&self, fh: Fh) {
        todo!()
    }
    /// The filesystem as a whole.
    pub fn statfs(&self) -> StatFs {
        todo!()
    }
    /// Commits every dirty file; what ends a mount. Returns the keys that could not be committed.
    pub async fn sync_all(&self) -> Vec<(ObjectKey, FileError)> {
        todo!()
    }
}
