//! A file's content as a map of extents: which bytes of the file live where. Holds integers and
//! object versions, no bytes and no handles; cannot wait and cannot fail except by value.

use std::sync::Arc;

use crate::object::ObjectVersion;
use crate::range::ByteRange;

/// A run of bytes of a file with one home.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Extent {
    /// Bytes of an immutable object version.
    Object {
        /// The version; any bucket, any key.
        version: Arc<ObjectVersion>,
        /// Where in the object the run starts.
        offset: u64,
        /// Bytes.
        len: u64,
    },
    /// Bytes written and not yet committed.
    Dirty {
        /// Where in the file's staging the run starts.
        offset: u64,
        /// Bytes.
        len: u64,
    },
    /// Zeros stored nowhere.
    Hole {
        /// Bytes.
        len: u64,
    },
}

impl Extent {
    /// Bytes.
    pub const fn len(&self) -> u64 {
        match self {
            Self::Object { len, .. } | Self::Dirty { len, .. } | Self::Hole { len } => *len,
        }
    }
}

/// A sequence of maximal runs that covers a file from its first byte to its last.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExtentMap {
    extents: Vec<Extent>,
}

#[allow(clippy::todo, unused_variables)]
impl ExtentMap {
    /// The content of an empty file.
    pub fn new() -> Self {
        todo!()
    }
    /// The content of a file that is one whole object version.
    pub fn of_object(version: Arc<ObjectVersion>) -> Self {
        todo!()
    }
    /// Bytes in the file.
    pub fn len(&self) -> u64 {
        todo!()
    }
    /// Whether the file is empty.
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    /// The extents in order; no two neighbours could be one.
    pub fn extents(&self) -> impl Iterator<Item = &Extent> + '_ {
        self.extents.iter()
    }
    /// The extents that cover `range` (clamped to the file's end), cut to it, each with its
    /// position in the file.
    pub fn walk(&self, range: ByteRange) -> impl Iterator<Item = (u64, Extent)> + '_ {
        std::iter::empty()
    }
    /// Puts `len` dirty bytes, found at `staging_offset`, at position `at`; a gap between the end
    /// of the file and `at` becomes a hole.
    pub fn write(&mut self, at: u64, staging_offset: u64, len: u64) {
        todo!()
    }
    /// Cuts the file to `len`, or extends it by a hole.
    pub fn truncate(&mut self, len: u64) {
        todo!()
    }
    /// Makes a range a hole. Never changes the file's length.
    pub fn punch(&mut self, range: ByteRange) {
        todo!()
    }
    /// Puts the whole of `from` at position `at`, over what is there; a gap becomes a hole.
    pub fn splice(&mut self, at: u64, from: &Self) {
        todo!()
    }
    /// The part of the map that `range` covers (clamped to the file's end), as a map of its own.
    pub fn slice(&self, range: ByteRange) -> Self {
        todo!()
    }
    /// Puts the whole of `from` behind the last byte.
    pub fn append(&mut self, from: &Self) {
        todo!()
    }
    /// Whether any extent is dirty.
    pub fn has_dirty(&self) -> bool {
        todo!()
    }
    /// The distinct object versions the map refers to, in order of first appearance.
    pub fn versions(&self) -> Vec<Arc<ObjectVersion>> {
        todo!()
    }
    /// Every invariant of the type; called after each edit in tests and by debug assertions.
    pub fn check(&self) {
        todo!()
    }
}
