//! Inodes, names, directories and attributes, and how names and keys map to each other. Never
//! bytes.

use std::time::SystemTime;

pub use crate::attributes::Kind;

pub mod carriers;
pub mod knowledge;
pub mod listing;
pub mod names;
pub mod number;
pub mod tree;

/// The number of an inode, st_ino and the kernel's node number alike: stable while the kernel knows
/// it, and of the same name the same in the next mount ([`number`]). The root is 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ino(pub u64);

impl Ino {
    /// The root of the mount (FUSE_ROOT_ID).
    pub const ROOT: Self = Self(1);
}

/// An inode, unlike any other that had its number before or has it later.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct InodeId {
    /// Its number.
    pub ino: Ino,
    /// Which of the inodes of that number it is.
    pub generation: u32,
}

/// What stat(2) tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attr {
    /// The inode.
    pub ino: Ino,
    /// Which of the inodes of that number it is.
    pub generation: u32,
    /// What it is.
    pub kind: Kind,
    /// Bytes; 0 for directories.
    pub size: u64,
    /// Last change of content.
    pub modified: SystemTime,
    /// Last access.
    pub accessed: SystemTime,
    /// Last change of content or attributes.
    pub changed: SystemTime,
    /// Permission bits, those of set-id and sticky included.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The number of a device.
    pub rdev: u32,
    /// Names it has: 0 once it is unlinked. Of a directory 2 and its known subdirectories.
    pub links: u32,
}

/// What the kernel goes by until it asks again: how far to read, and whom to let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reported {
    /// Bytes.
    pub size: u64,
    /// What it is and its permission bits, as st_mode has them apart.
    pub mode: (Kind, u16),
    /// Owner and group.
    pub owner: (u32, u32),
}

impl Reported {
    /// Of these attributes.
    pub const fn of(attr: &Attr) -> Self {
        Self {
            size: attr.size,
            mode: (attr.kind, attr.mode),
            owner: (attr.uid, attr.gid),
        }
    }
}

/// Times of an inode that are newer here than in the store, which is not written for their sake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LocalTimes {
    /// Last access; a read writes nothing.
    pub accessed: Option<SystemTime>,
    /// Last change of a directory's entries.
    pub modified: Option<SystemTime>,
    /// Last change of attributes or name.
    pub changed: Option<SystemTime>,
}
