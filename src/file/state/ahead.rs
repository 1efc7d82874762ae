//! How the content of a file stands to the upload that its beginning is sent to ahead. Knows no
//! staging.

use super::State;
use crate::file::FileError;
use crate::file::eager::Eager;
use crate::range::ByteRange;

impl State {
    /// Whether a commit has met another writer: trying again cannot help.
    pub fn is_conflicting(&self) -> bool {
        let refused = self.refused.as_ref().and_then(|(_, error)| error.as_ref());
        self.is_dirty() && refused.is_some_and(FileError::is_conflict)
    }

    /// Whether any byte is nowhere but in an unfinished upload.
    pub fn has_sent(&self) -> bool {
        self.map.has_sent(ByteRange::new(0, self.map.len()))
    }

    /// Whether an edit of these bytes has to wait until the file is published as far as it is: they
    /// are in the upload alone, or they were copied there, and others are there alone.
    pub fn is_sent(&self, edited: ByteRange) -> bool {
        let copied = self.lent.as_ref().map(|lent| lent.copied);
        let copied = self.eager.as_ref().map(Eager::copied).or(copied);
        let is_copied = !edited.is_empty() && copied.is_some_and(|end| edited.start() < end);
        self.map.has_sent(edited) || is_copied && self.has_sent()
    }

    /// The bytes that an edit which cuts the file to `len` needs: those sent ahead, of which the
    /// upload cannot give back a part.
    pub fn cut(&self, len: u64) -> ByteRange {
        let lent = self.lent.as_ref().map(|lent| lent.len());
        let sent = self.eager.as_ref().map(Eager::len).or(lent).unwrap_or(0);
        let kept = if len > 0 && len < sent { sent } else { 0 };
        ByteRange::new(0, kept.min(self.map.len()))
    }
}
