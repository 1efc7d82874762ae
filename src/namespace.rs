//! Inodes, names, directories and attributes, and how names and keys map to each other. Never
//! bytes.

use std::time::SystemTime;

pub mod knowledge;
pub mod listing;
pub mod names;
pub mod tree;

/// The number of an inode: stable while the kernel knows it; the root is 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ino(pub u64);

impl Ino {
    /// The root of the mount (FUSE_ROOT_ID).
    pub const ROOT: Self = Self(1);
}

/// What an inode is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A regular file: an object.
    File,
    /// A directory: a common prefix, a marker object, or a source of the mount.
    Directory,
}

/// What stat(2) tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attr {
    /// The inode.
    pub ino: Ino,
    /// What it is.
    pub kind: Kind,
    /// Bytes; 0 for directories.
    pub size: u64,
    /// Last change of content.
    pub modified: SystemTime,
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}
