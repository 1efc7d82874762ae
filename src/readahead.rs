//! How far ahead of a reader to fetch: grows while it reads sequentially, nothing when it jumps.
//! Pure: decides, fetches nothing.

use crate::limits::MIB;
use crate::range::ByteRange;

/// The first window of a sequential reader. Doubling from here reaches 32 MiB after as many bytes
/// were read.
const WINDOW_BYTES_MIN: u64 = MIB / 2;

/// How far from the expected position a read of an established sequence may start, at most. The
/// kernel sends readahead asynchronously and the threads of the session take requests up in any
/// order; a request is at most 1 MiB (256 pages, the kernel's default limit).
const REORDER_BYTES_MAX: u64 = 2 * MIB;

/// The readahead window of one reader (one open handle).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// How far ahead of `expected` to fetch; 0 until the reader is known to be sequential.
    size: u64,
    /// The most `size` grows to.
    bytes_max: u64,
    /// Where the next read starts if the reader goes on; `None` before the first.
    expected: Option<u64>,
    /// The end of what the sequence has read or was told to fetch; never before `expected`.
    fetched_end: u64,
}

impl Window {
    /// A reader that has read nothing; it may be at most `bytes_max` bytes ahead.
    pub const fn new(bytes_max: u64) -> Self {
        Self {
            size: 0,
            bytes_max,
            expected: None,
            fetched_end: 0,
        }
    }

    /// Notes a read and says which bytes to fetch ahead now, if any; never twice the same while
    /// the reader goes forward. May reach beyond the end of the file: the window does not know it.
    pub fn read(&mut self, range: ByteRange) -> Option<ByteRange> {
        if range.is_empty() {
            return None;
        }
        let Some(expected) = self.expected.filter(|at| self.continues(*at, range)) else {
            *self = Self {
                expected: Some(range.end()),
                ..Self::new(self.bytes_max)
            };
            self.fetched_end = range.end();
            return None;
        };
        if range.end() <= expected {
            return None;
        }
        self.expected = Some(range.end());
        self.fetched_end = self.fetched_end.max(range.end());
        // Half a window at a time: the requests are large, and the other half is on its way or
        // there while the reader consumes it.
        if self.fetched_end - range.end() > self.size / 2 {
            return None;
        }
        self.size = (self.size * 2).max(WINDOW_BYTES_MIN).min(self.bytes_max);
        let start = self.fetched_end;
        self.fetched_end = start.max(range.end().saturating_add(self.size));
        (start < self.fetched_end).then(|| ByteRange::new(start, self.fetched_end))
    }

    /// Not all that [`Self::read`] said could be fetched, only what lies before `end`; the rest is
    /// said again when the reader goes on.
    pub fn cut(&mut self, end: u64) {
        let read_end = self.expected.unwrap_or(0);
        self.fetched_end = self.fetched_end.min(end).max(read_end);
    }

    /// Whether `range` belongs to the sequence: it starts where the last read ended, give or take
    /// two requests of its own size (a pair that arrived in exchanged order), or more once the
    /// window is open.
    fn continues(&self, expected: u64, range: ByteRange) -> bool {
        let tolerated = range
            .len()
            .saturating_mul(2)
            .max(self.size / 2)
            .min(REORDER_BYTES_MAX);
        range.start().abs_diff(expected) <= tolerated
    }
}

#[cfg(test)]
mod tests {
    use super::{ByteRange, MIB, WINDOW_BYTES_MIN, Window};

    const KIB: u64 = 1024;

    /// Reads `len` bytes from `start` on, `step` at a time; returns what is to be fetched ahead.
    fn scan(window: &mut Window, start: u64, len: u64, step: u64) -> Vec<ByteRange> {
        (start..start + len)
            .step_by(usize::try_from(step).unwrap())
            .filter_map(|at| window.read(ByteRange::at(at, step)))
            .collect()
    }

    #[test]
    fn a_sequential_scan_fetches_each_byte_once_and_the_window_grows_to_its_bound() {
        let mut window = Window::new(32 * MIB);
        let fetched = scan(&mut window, 0, 256 * MIB, 128 * KIB);
        let mut end = 256 * KIB;
        for range in &fetched {
            assert_eq!(range.start(), end, "a gap or the same bytes twice");
            end = range.end();
        }
        assert!(end >= 256 * MIB);
        assert_eq!(window.size, 32 * MIB);
        let steady = fetched.last().unwrap();
        assert!(
            steady.len() >= 16 * MIB,
            "steady requests are large, not {steady}"
        );
    }

    #[test]
    fn the_reader_is_never_more_than_the_bound_ahead() {
        let mut window = Window::new(5 * MIB);
        for at in (0..64 * MIB).step_by(1 << 17) {
            let read = ByteRange::at(at, 128 * KIB);
            if let Some(ahead) = window.read(read) {
                assert!(ahead.end() <= read.end() + 5 * MIB);
            }
        }
    }

    #[test]
    fn the_second_read_of_a_sequence_opens_the_window() {
        let mut window = Window::new(32 * MIB);
        assert_eq!(window.read(ByteRange::at(0, 128 * KIB)), None);
        let ahead = window.read(ByteRange::at(128 * KIB, 128 * KIB)).unwrap();
        assert_eq!(ahead, ByteRange::at(256 * KIB, WINDOW_BYTES_MIN));
    }

    #[test]
    fn random_access_fetches_nothing_ahead() {
        let mut window = Window::new(32 * MIB);
        let mut at = 12_345;
        for _ in 0..1000 {
            at = (at * 48_271) % 0x7fff_ffff;
            assert_eq!(window.read(ByteRange::at(at * 16 * KIB, 4 * KIB)), None);
        }
    }

    #[test]
    fn a_jump_closes_the_window_until_the_reader_goes_on() {
        for jump_to in [0, 512 * MIB] {
            let mut window = Window::new(32 * MIB);
            scan(&mut window, 64 * MIB, 64 * MIB, 128 * KIB);
            assert_eq!(window.read(ByteRange::at(jump_to, 4 * KIB)), None);
            assert_eq!(window.size, 0);
            let ahead = window
                .read(ByteRange::at(jump_to + 4 * KIB, 4 * KIB))
                .unwrap();
            assert_eq!(ahead, ByteRange::at(jump_to + 8 * KIB, WINDOW_BYTES_MIN));
        }
    }

    #[test]
    fn requests_in_exchanged_order_do_not_close_the_window() {
        let mut window = Window::new(8 * MIB);
        let step = 128 * KIB;
        let mut fetched = Vec::new();
        for pair in (0..64 * MIB).step_by(1 << 18) {
            fetched.extend(window.read(ByteRange::at(pair + step, step)));
            fetched.extend(window.read(ByteRange::at(pair, step)));
        }
        assert_eq!(window.size, 8 * MIB);
        assert!(fetched.windows(2).all(|two| two[0].end() == two[1].start()));
    }

    #[test]
    fn reading_the_same_bytes_again_fetches_nothing() {
        let mut window = Window::new(32 * MIB);
        scan(&mut window, 0, 8 * MIB, 128 * KIB);
        let before = window.clone();
        assert_eq!(
            window.read(ByteRange::at(8 * MIB - 128 * KIB, 128 * KIB)),
            None
        );
        assert_eq!(window, before);
    }

    #[test]
    fn a_bound_of_zero_turns_readahead_off() {
        let mut window = Window::new(0);
        assert_eq!(scan(&mut window, 0, 8 * MIB, 128 * KIB), []);
    }

    #[test]
    fn what_could_not_be_fetched_is_said_again_when_the_reader_goes_on() {
        let mut window = Window::new(4 * MIB);
        scan(&mut window, 0, MIB, 128 * KIB);
        let before = window.fetched_end;
        window.cut(before - 100 * KIB);
        let ahead = scan(&mut window, MIB, MIB, 128 * KIB)[0];
        assert_eq!(ahead.start(), before - 100 * KIB);
        window.cut(0);
        let ahead = window.read(ByteRange::at(2 * MIB, 128 * KIB)).unwrap();
        assert_eq!(
            ahead.start(),
            2 * MIB + 128 * KIB,
            "never behind the reader"
        );
    }

    #[test]
    fn an_empty_read_says_nothing_about_the_reader() {
        let mut window = Window::new(32 * MIB);
        scan(&mut window, 0, MIB, 128 * KIB);
        let before = window.clone();
        assert_eq!(window.read(ByteRange::at(500 * MIB, 0)), None);
        assert_eq!(window, before);
    }
}
