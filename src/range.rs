//! A half-open range of byte positions. Knows nothing of objects, files or requests.

use std::fmt;

/// The bytes `start..end` of something; `start <= end` always.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ByteRange {
    start: u64,
    end: u64,
}

impl ByteRange {
    /// The bytes `start..end`.
    ///
    /// # Panics
    /// If `start > end`: a programmer's error.
    pub const fn new(start: u64, end: u64) -> Self {
        assert!(start <= end, "a byte range ends before it starts");
        Self { start, end }
    }

    /// `len` bytes from `start` on.
    ///
    /// # Panics
    /// If the end does not fit in 64 bits.
    pub const fn at(start: u64, len: u64) -> Self {
        match start.checked_add(len) {
            Some(end) => Self { start, end },
            None => panic!("a byte range ends beyond 2^64"),
        }
    }

    /// The position of the first byte.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// One more than the position of the last byte.
    pub const fn end(self) -> u64 {
        self.end
    }

    /// The number of bytes.
    pub const fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether it holds no byte.
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The bytes common to both; `None` when there are none.
    pub fn intersection(self, other: Self) -> Option<Self> {
        let start = self.start.max(other.start);
        let end = self.end.min(other.end);
        (start < end).then_some(Self { start, end })
    }

    /// Whether every byte of `other` is in this range.
    pub const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// This range cut off at `end`; empty when it starts there or later.
    pub fn clamp_end(self, end: u64) -> Self {
        let start = self.start.min(end);
        Self {
            start,
            end: self.end.min(end).max(start),
        }
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

impl fmt::Debug for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::ByteRange;

    #[test]
    fn two_ranges_that_only_touch_have_no_common_byte() {
        let left = ByteRange::new(0, 5);
        assert_eq!(left.intersection(ByteRange::new(5, 9)), None);
        assert_eq!(
            left.intersection(ByteRange::new(4, 9)),
            Some(ByteRange::new(4, 5))
        );
    }

    #[test]
    fn clamping_before_the_start_leaves_nothing() {
        assert!(ByteRange::new(10, 20).clamp_end(5).is_empty());
        assert_eq!(ByteRange::new(10, 20).clamp_end(15), ByteRange::new(10, 15));
    }
}
