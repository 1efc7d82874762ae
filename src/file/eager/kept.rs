//! What the next process needs of an upload that was started ahead. Knows no request.

use crate::extent::ExtentMap;
use crate::journal::codec::record;
use crate::range::ByteRange;
use crate::store::{ObjectHeaders, StoredPart};

/// What is kept of an upload that was started ahead.
#[derive(Clone, Debug)]
pub(in crate::file) struct KeptEager {
    /// The store's id and the headers it was started with, once it was.
    pub upload: Option<(String, ObjectHeaders)>,
    /// The parts, with what is stored of each: nothing of those on their way.
    pub parts: Vec<(ByteRange, Option<(StoredPart, ExtentMap)>)>,
    /// Bytes of the file's beginning that are copied from an object.
    pub copied: u64,
}

impl KeptEager {
    /// Bytes of the file that the parts cover.
    pub fn len(&self) -> u64 {
        self.parts.last().map_or(0, |(range, _)| range.end())
    }
}

record!(KeptEager {
    upload,
    parts,
    copied
});
