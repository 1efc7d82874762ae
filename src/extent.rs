//! A file's content as a map of extents: which bytes of the file live where. Holds integers and
//! object versions, no bytes and no handles; cannot wait and cannot fail except by value.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::object::ObjectVersion;
use crate::range::ByteRange;

#[cfg(test)]
pub(crate) mod tests;

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
    /// Bytes that are nowhere but in the file's unfinished multipart upload, where they can be
    /// neither read nor changed.
    Sent {
        /// Where in the upload the run starts: where it is in the file.
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
    /// Bytes in the run; never 0 in a map.
    pub const fn len(&self) -> u64 {
        match *self {
            Self::Object { len, .. }
            | Self::Dirty { len, .. }
            | Self::Sent { len, .. }
            | Self::Hole { len } => len,
        }
    }

    /// Whether the run has no byte; never so in a map.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes `within` of the run, counted from its start.
    fn cut(&self, within: ByteRange) -> Self {
        debug_assert!(
            within.end() <= self.len(),
            "a cut beyond the end of an extent"
        );
        let len = within.len();
        match self {
            Self::Object {
                version, offset, ..
            } => Self::Object {
                version: Arc::clone(version),
                offset: offset + within.start(),
                len,
            },
            Self::Dirty { offset, .. } => Self::Dirty {
                offset: offset + within.start(),
                len,
            },
            Self::Sent { offset, .. } => Self::Sent {
                offset: offset + within.start(),
                len,
            },
            Self::Hole { .. } => Self::Hole { len },
        }
    }

    /// Both runs as one, when `next`, lying right behind this one in the file, goes on where this
    /// one ends.
    fn joined(&self, next: &Self) -> Option<Self> {
        let joined_len = self.len() + next.len();
        match (self, next) {
            (
                Self::Object {
                    version,
                    offset,
                    len,
                },
                Self::Object {
                    version: next_version,
                    offset: next_offset,
                    ..
                },
            ) if offset + len == *next_offset && version == next_version => Some(Self::Object {
                version: Arc::clone(version),
                offset: *offset,
                len: joined_len,
            }),
            (
                Self::Dirty { offset, len },
                Self::Dirty {
                    offset: next_offset,
                    ..
                },
            ) if offset + len == *next_offset => Some(Self::Dirty {
                offset: *offset,
                len: joined_len,
            }),
            (
                Self::Sent { offset, len },
                Self::Sent {
                    offset: next_offset,
                    ..
                },
            ) if offset + len == *next_offset => Some(Self::Sent {
                offset: *offset,
                len: joined_len,
            }),
            (Self::Hole { .. }, Self::Hole { .. }) => Some(Self::Hole { len: joined_len }),
            _ => None,
        }
    }
}

/// A sequence of maximal runs that covers a file from its first byte to its last.
///
/// Invariants, all checked by [`ExtentMap::check`]:
///
/// 1. The extents cover `0..len`, each byte once.
/// 2. No extent is empty.
/// 3. No two neighbours could be one: not two holes, not two dirty runs contiguous in staging, not
///    two sent runs contiguous in the upload, not two runs contiguous in one object version. So
///    maps of the same bytes in the same homes are equal.
/// 4. A run of an object lies within its version's size.
///
/// An edit costs O(log n) for a map of n extents, plus O(log n) for each extent that it puts in or
/// takes out. Positions, lengths and staging offsets must be below 2^63 (off_t); then no sum
/// overflows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExtentMap {
    /// Each extent under the position in the file of its first byte.
    extents: BTreeMap<u64, Extent>,
    len: u64,
}

impl ExtentMap {
    /// The content of an empty file.
    pub const fn new() -> Self {
        Self {
            extents: BTreeMap::new(),
            len: 0,
        }
    }

    /// The content of a file that is one whole object version.
    pub fn of_object(version: Arc<ObjectVersion>) -> Self {
        let len = version.size;
        let mut map = Self::new();
        map.place(
            0,
            Extent::Object {
                version,
                offset: 0,
                len,
            },
        );
        map
    }

    /// Bytes in the file.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file is empty.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The extents in order; no two neighbours could be one.
    pub fn extents(&self) -> impl Iterator<Item = &Extent> + '_ {
        self.extents.values()
    }

    /// The extents that cover `range` (clamped to the file's end), cut to it, each with its
    /// position in the file.
    pub fn walk(&self, range: ByteRange) -> impl Iterator<Item = (u64, Extent)> + '_ {
        let range = range.clamp_end(self.len);
        let first = self
            .extents
            .range(..=range.start())
            .next_back()
            .map_or(0, |(&at, _)| at);
        self.extents
            .range(first..range.end().max(first))
            .filter_map(move |(&at, extent)| {
                let common = ByteRange::at(at, extent.len()).intersection(range)?;
                let within = ByteRange::at(common.start() - at, common.len());
                Some((common.start(), extent.cut(within)))
            })
    }

    /// Puts `len` dirty bytes, found at `staging_offset`, at position `at`; a gap between the end
    /// of the file and `at` becomes a hole. Writing nothing changes nothing.
    pub fn write(&mut self, at: u64, staging_offset: u64, len: u64) {
        self.put(
            at,
            [Extent::Dirty {
                offset: staging_offset,
                len,
            }],
            len,
        );
    }

    /// The bytes of a range, all within the file, are in the unfinished upload alone.
    pub fn send(&mut self, range: ByteRange) {
        debug_assert!(range.end() <= self.len, "only what is there can be sent");
        let (offset, len) = (range.start(), range.len());
        self.put(offset, [Extent::Sent { offset, len }], len);
    }

    /// Cuts the file to `len`, or extends it by a hole.
    pub fn truncate(&mut self, len: u64) {
        if len < self.len {
            self.split(len);
            drop(self.extents.split_off(&len));
            self.len = len;
        } else {
            self.extend_to(len);
        }
        self.check_around(ByteRange::at(len, 0));
    }

    /// Makes a range a hole. Never changes the file's length.
    pub fn punch(&mut self, range: ByteRange) {
        let range = range.clamp_end(self.len);
        self.put(
            range.start(),
            [Extent::Hole { len: range.len() }],
            range.len(),
        );
    }

    /// Puts the whole of `from` at position `at`, over what is there; a gap becomes a hole.
    /// Putting an empty map changes nothing.
    pub fn splice(&mut self, at: u64, from: &Self) {
        self.put(at, from.extents().cloned(), from.len);
    }

    /// The part of the map that `range` covers (clamped to the file's end), as a map of its own.
    pub fn slice(&self, range: ByteRange) -> Self {
        let range = range.clamp_end(self.len);
        let extents = self
            .walk(range)
            .map(|(at, extent)| (at - range.start(), extent))
            .collect();
        Self {
            extents,
            len: range.len(),
        }
    }

    /// Puts the whole of `from` behind the last byte.
    pub fn append(&mut self, from: &Self) {
        self.splice(self.len, from);
    }

    /// Whether any extent is dirty.
    pub fn has_dirty(&self) -> bool {
        self.extents()
            .any(|extent| matches!(extent, Extent::Dirty { .. }))
    }

    /// Whether any byte of a range is in the unfinished upload alone.
    pub fn has_sent(&self, range: ByteRange) -> bool {
        self.walk(range)
            .any(|(_, extent)| matches!(extent, Extent::Sent { .. }))
    }

    /// The distinct object versions the map refers to, in order of first appearance.
    pub fn versions(&self) -> Vec<Arc<ObjectVersion>> {
        let mut seen = HashSet::new();
        self.extents()
            .filter_map(|extent| match extent {
                Extent::Object { version, .. } => seen.insert(version).then(|| Arc::clone(version)),
                Extent::Dirty { .. } | Extent::Sent { .. } | Extent::Hole { .. } => None,
            })
            .collect()
    }

    /// Every invariant of the type; called after each edit in tests. Debug builds check after each
    /// edit what it touched: the whole would make many edits of a big map quadratic.
    ///
    /// # Panics
    /// When an invariant does not hold.
    pub fn check(&self) {
        assert_eq!(
            self.extents.keys().next().copied().unwrap_or(0),
            0,
            "invariant 1: start"
        );
        let last = self.extents.iter().next_back();
        let end = last.map_or(0, |(at, extent)| at + extent.len());
        assert_eq!(end, self.len, "invariant 1: end");
        Self::check_run(self.extents.iter());
    }

    /// Puts extents of `len` bytes in all at position `at`, over what is there.
    fn put(&mut self, at: u64, extents: impl IntoIterator<Item = Extent>, len: u64) {
        if len == 0 {
            return;
        }
        let range = ByteRange::at(at, len);
        self.extend_to(at);
        self.clear(range);
        let mut next = at;
        for extent in extents {
            let here = next;
            next += extent.len();
            self.place(here, extent);
        }
        debug_assert_eq!(
            next,
            range.end(),
            "the extents have the length they were said to have"
        );
        self.join(range.end());
        self.check_around(range);
    }

    /// Makes room: after it no extent has a byte in `range`, or on both sides of one of its ends.
    fn clear(&mut self, range: ByteRange) {
        self.split(range.start());
        self.split(range.end());
        while let Some((&at, _)) = self.extents.range(range.start()..range.end()).next() {
            self.extents.remove(&at);
        }
    }

    /// Adds a hole up to `len`, if the file is shorter.
    fn extend_to(&mut self, len: u64) {
        if len > self.len {
            self.place(
                self.len,
                Extent::Hole {
                    len: len - self.len,
                },
            );
        }
    }

    /// Cuts the extent with bytes on both sides of `at` in two.
    fn split(&mut self, at: u64) {
        let Some((&start, extent)) = self.extents.range_mut(..at).next_back() else {
            return;
        };
        let (here, all) = (at - start, extent.len());
        if here < all {
            let right = extent.cut(ByteRange::new(here, all));
            *extent = extent.cut(ByteRange::new(0, here));
            self.extents.insert(at, right);
        }
    }

    /// Puts `extent` at `at`, where there is room, and joins it to the one before.
    fn place(&mut self, at: u64, extent: Extent) {
        if extent.is_empty() {
            return;
        }
        self.len = self.len.max(at + extent.len());
        self.extents.insert(at, extent);
        self.join(at);
    }

    /// Joins the extent that starts at `at` to the one before, when they could be one.
    fn join(&mut self, at: u64) {
        let Some(right) = self.extents.get(&at) else {
            return;
        };
        let Some((&start, left)) = self.extents.range(..at).next_back() else {
            return;
        };
        if start + left.len() == at
            && let Some(joined) = left.joined(right)
        {
            self.extents.remove(&at);
            self.extents.insert(start, joined);
        }
    }

    /// In debug builds: the invariants of the extents in `range` and their neighbours.
    fn check_around(&self, range: ByteRange) {
        if cfg!(debug_assertions) {
            let before = self.extents.range(..range.start()).next_back();
            let rest = self.extents.range(range.start()..);
            let touched = rest.take_while(|(at, _)| **at <= range.end());
            Self::check_run(before.into_iter().chain(touched));
        }
    }

    fn check_run<'a>(run: impl Iterator<Item = (&'a u64, &'a Extent)>) {
        let mut before: Option<(u64, &Extent)> = None;
        for (&at, extent) in run {
            assert!(
                !extent.is_empty(),
                "invariant 2: the extent at {at} is empty"
            );
            if let Some((start, left)) = before {
                assert_eq!(start + left.len(), at, "invariant 1: a gap or an overlap");
                assert!(
                    left.joined(extent).is_none(),
                    "invariant 3: {left:?}, {extent:?}"
                );
            }
            if let Extent::Object {
                version,
                offset,
                len,
            } = extent
            {
                assert!(
                    offset + len <= version.size,
                    "invariant 4: the extent at {at}"
                );
            }
            before = Some((at, extent));
        }
    }
}
