//! What the next process needs of an upload that was started ahead. Knows no request.

use crate::extent::ExtentMap;
use crate::journal::codec::record;
use crate::range::ByteRange;
use crate::store::{ObjectHeaders, PartNumber, StoredPart};

/// What is kept of an upload that was started ahead.
#[derive(Clone, Debug, Default)]
pub(in crate::file) struct KeptEager {
    /// The store's id and the headers it was started with, once it was.
    pub upload: Option<(String, ObjectHeaders)>,
    /// The parts, with what is stored of each: nothing of those on their way.
    pub parts: Vec<KeptPart>,
    /// Bytes of the file's beginning that are copied from an object.
    pub copied: u64,
}

/// A part's bytes in the file, and what is stored of it.
type KeptPart = (ByteRange, Option<(StoredPart, ExtentMap)>);

impl KeptEager {
    /// Bytes of the file that the parts cover.
    pub fn len(&self) -> u64 {
        self.parts.last().map_or(0, |(range, _)| range.end())
    }

    /// So many bytes behind the last part are on their way as the next.
    pub fn send_part(&mut self, len: u64, is_copied: bool) {
        let range = ByteRange::at(self.len(), len);
        self.parts.push((range, None));
        if is_copied {
            self.copied = range.end();
        }
    }

    /// A part.
    pub fn part(&mut self, number: PartNumber) -> Option<&mut KeptPart> {
        self.parts.get_mut((number.0 as usize).checked_sub(1)?)
    }
}

record!(KeptEager {
    upload,
    parts,
    copied
});
