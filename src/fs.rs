//! The filesystem's operations, free of the kernel's wire format: what `fuse` calls. Holds open
//! handles and the lock order. Knows no errno and no client library.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use crate::config::{Config, NewObjects, ShownSource};
use crate::file::{FileError, Shared};
use crate::interrupt::Interrupted;
use crate::journal::JournalError;
use crate::lock::Guarded;
use crate::namespace::names::{NAME_BYTES_MAX, NameError, UNLINKED_DIR};
pub use crate::namespace::{Attr, Ino, Kind};
use crate::range::ByteRange;
use crate::store::{Buckets, StoreError};

mod acquire;
mod allocate;
mod attributes;
mod bounded;
mod deferred;
mod extended;
mod handles;
mod invalidate;
mod kept;
mod learn;
mod listed;
mod locks;
mod lookup;
mod make;
mod open;
mod publish;
mod readdir;
mod registry;
mod remove;
mod rename;
mod rename_directory;
mod shown;
mod state;
mod stopped;

use handles::Handles;
pub use invalidate::Invalidation;
use invalidate::Invalidations;
use kept::Stated;
pub use kept::kept_sources;
use locks::Locks;
use state::State;
use stopped::Stopped;

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
    /// Others work in the directory, and go on for longer than it is waited for.
    #[error("in use by other operations")]
    Busy,
    /// There is no such place in the file.
    #[error("no such offset")]
    NoSuchOffset,
    /// There is no such extended attribute.
    #[error("no such attribute")]
    NoAttribute,
    /// The store keeps no more metadata with an object.
    #[error("no room for more metadata")]
    NoRoom,
    /// The name or the whole key is too long.
    #[error("name too long")]
    NameTooLong,
    /// The inode is not what its name stands for any more, or its size, owner or mode are others
    /// than the kernel was given: the path is to be looked up again.
    #[error("changed since it was looked up")]
    StaleInode,
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
    /// The handle could not be restored by this process.
    #[error("what was open is lost: this process could not restore it from the one before")]
    Lost,
    /// The inode is not known any more.
    #[error("unknown inode")]
    UnknownInode,
    /// A directory was moved in part: every object exists under its old or its new name, and
    /// repeating the command finishes it.
    #[error(
        "rename of s3://{from} to s3://{to} stopped: {copied} objects copied, {}: {source}",
        rename_directory::rest(*left)
    )]
    RenamedInPart {
        /// The old name.
        from: String,
        /// The new name.
        to: String,
        /// Objects that this call has copied to the new name and was to delete then.
        copied: u64,
        /// Objects still under the old name, if the store tells.
        left: Option<u64>,
        /// The first failure.
        source: Box<StoreError>,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file's content.
    #[error(transparent)]
    File(#[from] FileError),
    /// What the next process would need cannot be kept.
    #[error(transparent)]
    NotKept(Arc<JournalError>),
}

impl From<Interrupted> for FsError {
    fn from(interrupted: Interrupted) -> Self {
        StoreError::from(interrupted).into()
    }
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
    /// Cut to nothing first.
    pub truncate: bool,
    /// O_EXCL.
    pub exclusive: bool,
}

/// Where a write goes. Each says so itself: fcntl(2) may change a descriptor's O_APPEND at any
/// time, and what was changed in a mapping stays where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteAt {
    /// To this position.
    Offset(u64),
    /// Behind the last byte, which the kernel takes to be here: O_APPEND.
    End(u64),
}

impl From<u64> for WriteAt {
    fn from(offset: u64) -> Self {
        Self::Offset(offset)
    }
}

impl OpenMode {
    /// Whether what is done by a handle opened so can change the content.
    pub const fn can_change(self) -> bool {
        self.write || self.truncate
    }
}

/// An open file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Its handle.
    pub fh: Fh,
    /// What the kernel may do with the pages it has.
    pub cache: PageCache,
}

/// What the kernel may do with the pages of an inode that is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageCache {
    /// Keep them: the content is what the last open saw.
    Keep,
    /// Drop them.
    Drop,
    /// Go round them with this handle: it is of another inode, which has the name by now.
    Bypass,
}

/// What setattr(2) and its kin ask to change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SetAttr {
    /// Size: truncate.
    pub size: Option<u64>,
    /// Permission bits.
    pub mode: Option<u16>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Last access.
    pub atime: Option<SetTime>,
    /// Last change of content.
    pub mtime: Option<SetTime>,
    /// The new size takes the set-id bits away: whoever sets it is not root.
    pub kills_set_id: bool,
}

/// What a new entry is, and whose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewNode {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, the umask taken off.
    pub permissions: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The number of a device, else 0.
    pub rdev: u32,
}

/// A time to set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetTime {
    /// The time now.
    Now,
    /// This time.
    At(SystemTime),
}

/// How an extended attribute is set: setxattr(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetExtended {
    /// Whether it is there or not.
    Either,
    /// XATTR_CREATE.
    Create,
    /// XATTR_REPLACE.
    Replace,
}

/// What fallocate(2) does to a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fallocate {
    /// Makes the file reach to its end, unless the size is to be kept.
    Allocate {
        /// FALLOC_FL_KEEP_SIZE.
        keep_size: bool,
    },
    /// Makes zeros of it: FALLOC_FL_ZERO_RANGE, and FALLOC_FL_PUNCH_HOLE, which keeps the size.
    Zero {
        /// FALLOC_FL_KEEP_SIZE.
        keep_size: bool,
    },
}

/// What lseek(2) looks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seek {
    /// SEEK_DATA.
    Data,
    /// SEEK_HOLE.
    Hole,
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
    /// Its attributes, and for how long they may be trusted. With `plus` the inode counts as looked
    /// up once more, except `.` and `..`.
    pub attr: Trusted<Attr>,
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

/// Bytes of a block that statfs(2) tells of.
const STATFS_BLOCK_BYTES: u32 = 4096;

/// How often an operation begins again because others changed what it had prepared.
const ATTEMPTS_MAX: usize = 16;

/// A mounted filesystem.
///
/// Locks, in the order they may be taken; only the first two are ever held while the store is
/// asked:
/// 1. the stream of one open directory (`readdir`);
/// 2. the inode locks (`locks::Locks`), all that an operation needs at once, in ascending order
///    of inode numbers; a `File` locks itself below these. A directory is waited for alone for a
///    second at most;
/// 3. `state`: inodes, names and open files;
/// 4. `handles` and `stopped`, alone.
#[derive(Debug)]
pub struct Fs {
    shared: Arc<Shared>,
    locks: Locks,
    state: Guarded<State>,
    handles: Handles,
    close_to_open: bool,
    save_killed: bool,
    new_objects: NewObjects,
    /// Told when changed attributes begin to wait.
    attributes_changed: Notify,
    /// What the kernel is not to go by any more.
    invalidations: Arc<Invalidations>,
    /// Directory renames that stopped half way, and may be repeated.
    stopped: Stopped,
}

impl Fs {
    /// A filesystem over `shared.buckets` that shows `config.sources`.
    pub fn new(config: &Config, shared: Arc<Shared>) -> Self {
        Self {
            locks: Locks::default(),
            state: Guarded::new(State::new(config, &shared.buckets)),
            handles: Handles::new(Arc::clone(&shared.journal)),
            close_to_open: config.close_to_open,
            save_killed: config.save_killed,
            new_objects: config.store.new_objects.clone(),
            attributes_changed: Notify::new(),
            invalidations: Arc::default(),
            stopped: Stopped::new(Arc::clone(&shared.journal)),
            shared,
        }
    }

    /// The buckets; more can be added.
    pub fn buckets(&self) -> &Buckets {
        &self.shared.buckets
    }

    /// Shows one more source as a directory of the root, which must be of none; returns its name.
    /// One that is shown with the same defaults already stays as it is.
    ///
    /// # Panics
    /// If `shared.buckets` lacks its bucket.
    pub async fn add_source(&self, shown: &ShownSource) -> Arc<str> {
        let (name, place, at) = {
            let mut state = self.state();
            if let Some(name) = state.name_of(shown) {
                return name;
            }
            let (name, place) = state.add_source(shown, &self.shared.buckets);
            let at = state.tops().len() - 1;
            if let Some(ino) = state.tree.child(Ino::ROOT, &name) {
                kept::keep_source(&self.shared.journal, at, (ino, &name), shown);
            }
            (name, place, at)
        };
        self.look_for_attributes_of(at, &place).await;
        name
    }

    /// Inodes that are known.
    pub fn inodes(&self) -> usize {
        self.state().tree.len()
    }

    /// The filesystem as a whole.
    pub fn statfs(&self) -> StatFs {
        StatFs {
            block_bytes: STATFS_BLOCK_BYTES,
            blocks: self.shared.bounds.shown_bytes / u64::from(STATFS_BLOCK_BYTES),
            name_bytes_max: NAME_BYTES_MAX as u32,
        }
    }

    fn state(&self) -> Stated<'_> {
        Stated::new(self.state.lock(), &self.shared.journal, &self.invalidations)
    }

    /// The name as the table keeps it.
    fn entry_name(&self, name: &OsStr) -> FsResult<Arc<str>> {
        Ok(Arc::from(self.state().tree.spelling.component(name)?))
    }

    /// Whether entries can be made, removed and renamed here, and under this name.
    fn check_entry(&self, parent: Ino, name: &str) -> FsResult<()> {
        let state = self.state();
        if state.tree.is_synthetic(parent) {
            return Err(FsError::NotPermitted {
                what: "the top directory of a mount of several sources shows the sources only",
            });
        }
        if state.tree.top(parent).is_some() && name == UNLINKED_DIR {
            return Err(FsError::NotPermitted {
                what: "this name is reserved",
            });
        }
        Ok(())
    }

    /// Keeps an inode in the table until dropped.
    fn pin(&self, ino: Ino) -> FsResult<Pinned<'_>> {
        let mut state = self.state();
        state.tree.node(ino).ok_or(FsError::UnknownInode)?;
        Ok(self.pinned(&mut state, ino))
    }

    fn pinned(&self, state: &mut State, ino: Ino) -> Pinned<'_> {
        state.tree.pin(ino);
        Pinned { fs: self, ino }
    }
}

/// An inode that stays in the table. Not to be dropped while the state is locked.
#[derive(Debug)]
struct Pinned<'a> {
    fs: &'a Fs,
    ino: Ino,
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        self.fs.state().tree.unpin(self.ino);
    }
}

impl From<NameError> for FsError {
    fn from(error: NameError) -> Self {
        match error {
            NameError::TooLong => Self::NameTooLong,
            NameError::NotAName => Self::Invalid {
                what: "a name that is no name",
            },
        }
    }
}
