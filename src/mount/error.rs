//! Why a mount cannot be made, changed or ended, in words for whoever asked for it.

use std::io;
use std::path::PathBuf;

use crate::file::RestoreError;
use crate::store::StoreError;
use crate::store::s3::ConnectError;

/// Why there is no mount.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The store, a bucket or the credentials.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store's configuration.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The mount point does not exist.
    #[error("{}: no such directory; make it first", path.display())]
    PointMissing {
        /// The mount point.
        path: PathBuf,
    },
    /// The mount point is no directory.
    #[error("{}: not a directory", path.display())]
    PointNotDirectory {
        /// The mount point.
        path: PathBuf,
    },
    /// The mount point has entries that would be hidden.
    #[error("{}: directory not empty; mount over it with -o nonempty", path.display())]
    PointNotEmpty {
        /// The mount point.
        path: PathBuf,
    },
    /// A mount of this program is there.
    #[error("{}: already mounted; umount it first", path.display())]
    AlreadyMounted {
        /// The mount point.
        path: PathBuf,
    },
    /// The mount point cannot be looked at.
    #[error("{}: {source}", path.display())]
    PointUnusable {
        /// The mount point.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The FUSE device cannot be opened.
    #[error("/dev/fuse: {source}; is the fuse module loaded (modprobe fuse)?")]
    Device {
        /// Why.
        source: io::Error,
    },
    /// mount(2) refused.
    #[error("{}: mount: {source}", path.display())]
    Refused {
        /// The mount point.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not root, and no fusermount3.
    #[error("fusermount3 not found; install the package fuse3, or mount as root")]
    HelperMissing,
    /// fusermount3 could not be run or talked to.
    #[error("{}: fusermount3: {source}", path.display())]
    HelperFailed {
        /// The mount point.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// fusermount3 refused.
    #[error("fusermount3: {said}")]
    HelperRefused {
        /// The mount point.
        path: PathBuf,
        /// What it said.
        said: String,
    },
    /// No mount of this program is there.
    #[error("{}: no s3fs is mounted there", path.display())]
    NotMounted {
        /// Where.
        path: PathBuf,
    },
    /// It is unmounted, and what was written could not all be stored.
    #[error("unmounted, and not stored: {}", failed.join("; "))]
    NotStored {
        /// The keys, each with the reason.
        failed: Vec<String>,
    },
    /// It is unmounted, and its daemon has ended without a word.
    #[error(
        "{}: unmounted, and its daemon ended before everything was stored: {source}; its log says \
         why",
        path.display()
    )]
    DaemonLost {
        /// Where it was.
        path: PathBuf,
        /// How that shows.
        source: io::Error,
    },
    /// umount(8) refused, and has said why.
    #[error("umount: exit status {code}")]
    UmountRefused {
        /// Its exit status.
        code: u8,
    },
    /// Spill files cannot be made.
    #[error("{}: {source}; name another with -o staging_dir=DIR", dir.display())]
    StagingDir {
        /// Where.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What another process kept cannot be gone on with, or nothing can be kept.
    #[error(transparent)]
    Kept(#[from] RestoreError),
    /// Nothing is kept of it for another process.
    #[error("a demo, or a mount without a control socket, ends with its process")]
    NotKept,
    /// A program that a mount is to go on in would be read through that mount.
    #[error("the program is inside the mount, which does not answer meanwhile; copy it elsewhere")]
    ProgramInside,
    /// What another program kept is in another form.
    #[error(
        "one program keeps its state in format {kept}, the other knows format {known}: unmount, \
         and mount again"
    )]
    OtherFormat {
        /// The form it is in; 0 when that is not said.
        kept: u32,
        /// The one that can be gone on with.
        known: u32,
    },
    /// Nobody answers for a mount that is to go on in another program.
    #[error("{}: its daemon does not answer: {source}; unmount, and mount again", path.display())]
    NotAnswered {
        /// The mount point.
        path: PathBuf,
        /// How that shows.
        source: io::Error,
    },
    /// A mount stays with the program that serves it.
    #[error("{}: {said}", path.display())]
    NotUpgraded {
        /// The mount point.
        path: PathBuf,
        /// Why, as the daemon says.
        said: String,
    },
    /// The kernel and this program did not come to terms.
    #[error("FUSE session: {source}")]
    Session {
        /// Why.
        source: io::Error,
    },
}
