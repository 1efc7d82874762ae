//! How far ahead of a reader to fetch: grows while it reads sequentially, nothing when it jumps.
//! Pure: decides, fetches nothing.

use crate::range::ByteRange;

/// The readahead window of one reader (one open handle).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window;

#[allow(clippy::todo, unused_variables)]
impl Window {
    /// A reader that has read nothing; it may be at most `bytes_max` bytes ahead.
    pub fn new(bytes_max: u64) -> Self {
        todo!()
    }
    /// Notes a read and says which bytes to fetch ahead now, if any; never twice the same while
    /// the reader goes forward.
    pub fn read(&mut self, range: ByteRange) -> Option<ByteRange> {
        todo!()
    }
}
