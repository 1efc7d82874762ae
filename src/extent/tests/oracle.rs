//! What an extent map is compared with: the same edits made to plain bytes. Knows no plan.

use std::sync::Arc;

use crate::extent::{Extent, ExtentMap};
use crate::object::{BucketName, ETag, ObjectKey, ObjectVersion};
use crate::range::ByteRange;

/// The files stay shorter than this, so that edits meet.
const POSITIONS: u64 = 64;

/// One edit of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edit {
    /// Writes fresh bytes.
    Write { at: u64, len: u64 },
    /// Cuts or extends.
    Truncate { len: u64 },
    /// Punches a hole.
    Punch { range: ByteRange },
    /// Copies bytes of object version `object` to a position.
    Splice {
        at: u64,
        object: u8,
        range: ByteRange,
    },
    /// Copies bytes of the file to another position of itself.
    Move { at: u64, range: ByteRange },
    /// Appends bytes of object version `object`.
    Append { object: u8, range: ByteRange },
    /// Leaves bytes to the unfinished upload alone.
    Send { range: ByteRange },
    /// Keeps only some bytes.
    Slice { range: ByteRange },
}

impl Edit {
    /// Some edit for every input; near inputs give near edits, so that a failing one can shrink.
    pub fn decode([kind, a, b, c]: [u8; 4]) -> Self {
        let (at, from, len) = (
            u64::from(a) % POSITIONS,
            u64::from(b) % POSITIONS,
            u64::from(c) % (POSITIONS / 4),
        );
        let range = ByteRange::at(from, len);
        let object = a / 64;
        match kind % 10 {
            0 | 1 => Self::Write { at, len },
            2 => Self::Truncate { len: at },
            3 => Self::Punch { range },
            4 | 5 => Self::Splice {
                at,
                object: b / 64,
                range,
            },
            6 => Self::Move { at, range },
            7 => Self::Append { object, range },
            8 => Self::Send { range },
            _ => Self::Slice {
                range: ByteRange::at(from, len + POSITIONS / 2),
            },
        }
    }
}

/// Object version `number`, of `size` bytes.
pub fn object(number: u8, size: u64) -> Arc<ObjectVersion> {
    Arc::new(ObjectVersion {
        bucket: BucketName::new("b"),
        key: ObjectKey::new(format!("k{number}")),
        etag: ETag::new(format!("\"{number}\"")),
        version_id: None,
        size,
    })
}

/// A byte of a source, never 0 so that it is told from a hole, and hardly the same for two
/// neighbours or two sources.
fn byte(source: u64, at: u64) -> u8 {
    let mixed = (source.wrapping_mul(0x9e37_79b9) ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8 | 1
}

/// Byte `at` of an object version.
fn object_byte(version: &ObjectVersion, at: u64) -> u8 {
    let name = version
        .etag
        .as_str()
        .bytes()
        .fold(1, |sum: u64, b| sum * 31 + u64::from(b));
    byte(name, at)
}

/// Byte `at` of the staging.
fn staged_byte(at: u64) -> u8 {
    byte(0, at)
}

/// Byte `at` of the unfinished upload.
fn sent_byte(at: u64) -> u8 {
    byte(1, at)
}

/// The bytes a map stands for.
pub fn materialise(map: &ExtentMap) -> Vec<u8> {
    let mut bytes = Vec::new();
    for extent in map.extents() {
        match extent {
            Extent::Object {
                version,
                offset,
                len,
            } => {
                bytes.extend((*offset..offset + len).map(|at| object_byte(version, at)));
            }
            Extent::Dirty { offset, len } => {
                bytes.extend((*offset..offset + len).map(staged_byte));
            }
            Extent::Sent { offset, len } => {
                bytes.extend((*offset..offset + len).map(sent_byte));
            }
            Extent::Hole { len } => bytes.extend((0..*len).map(|_| 0)),
        }
    }
    bytes
}

/// A map and the bytes it must stand for.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The map under test.
    pub map: ExtentMap,
    /// What it must stand for.
    pub bytes: Vec<u8>,
    staged: u64,
}

impl Model {
    /// Makes one edit of both.
    pub fn apply(&mut self, edit: Edit) {
        match edit {
            Edit::Write { at, len } => {
                self.map.write(at, self.staged, len);
                let bytes: Vec<u8> = (self.staged..self.staged + len).map(staged_byte).collect();
                self.put(at, &bytes);
                // Every other write goes on where the one before ended in the staging.
                self.staged += len + at % 2;
            }
            Edit::Truncate { len } => {
                self.map.truncate(len);
                self.bytes.resize(usize::try_from(len).unwrap(), 0);
            }
            Edit::Punch { range } => {
                self.map.punch(range);
                self.bytes_in(range).1.fill(0);
            }
            Edit::Splice { at, object, range } => {
                let from = whole(object).slice(range);
                self.map.splice(at, &from);
                self.put(at, &materialise(&from));
            }
            Edit::Move { at, range } => {
                let from = self.map.slice(range);
                self.map.splice(at, &from);
                let bytes = self.bytes_in(range).1.to_vec();
                self.put(at, &bytes);
            }
            Edit::Append { object, range } => {
                let from = whole(object).slice(range);
                self.map.append(&from);
                self.put(self.bytes.len() as u64, &materialise(&from));
            }
            Edit::Send { range } => {
                let range = range.clamp_end(self.map.len());
                self.map.send(range);
                let bytes: Vec<u8> = (range.start()..range.end()).map(sent_byte).collect();
                self.put(range.start(), &bytes);
            }
            Edit::Slice { range } => {
                self.map = self.map.slice(range);
                self.bytes = self.bytes_in(range).1.to_vec();
            }
        }
    }

    /// Compares both, in every way a map can be read.
    pub fn check(&self) {
        self.map.check();
        assert_eq!(self.map.len(), self.bytes.len() as u64);
        assert_eq!(self.map.is_empty(), self.bytes.is_empty());
        assert_eq!(materialise(&self.map), self.bytes);
        let dirty = self
            .map
            .extents()
            .any(|extent| matches!(extent, Extent::Dirty { .. }));
        assert_eq!(self.map.has_dirty(), dirty);
        let sent = self
            .map
            .extents()
            .any(|extent| matches!(extent, Extent::Sent { .. }));
        let all = ByteRange::new(0, self.map.len());
        assert_eq!(self.map.has_sent(all), sent);
    }

    /// Compares what `range` covers of both.
    pub fn check_range(&mut self, range: ByteRange) {
        let slice = self.map.slice(range);
        slice.check();
        let (start, bytes) = self.bytes_in(range);
        let bytes = bytes.to_vec();
        assert_eq!(materialise(&slice), bytes);
        let walked: Vec<(u64, Extent)> = self.map.walk(range).collect();
        assert!(walked.iter().map(|(_, extent)| extent).eq(slice.extents()));
        let mut next = start;
        for (at, extent) in walked {
            assert_eq!(at, next);
            next += extent.len();
        }
    }

    /// The bytes of `range` that the file has, and where they start.
    fn bytes_in(&mut self, range: ByteRange) -> (u64, &mut [u8]) {
        let range = range.clamp_end(self.bytes.len() as u64);
        let (start, end) = (range.start() as usize, range.end() as usize);
        let bytes = self.bytes.get_mut(start..end).unwrap_or_default();
        (range.start(), bytes)
    }

    fn put(&mut self, at: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let at = usize::try_from(at).unwrap();
        let end = at + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[at..end].copy_from_slice(bytes);
    }
}

/// An object version as a map. Odd ones are short, so that their end is met.
fn whole(number: u8) -> ExtentMap {
    ExtentMap::of_object(object(
        number,
        if number.is_multiple_of(2) {
            POSITIONS
        } else {
            POSITIONS / 3
        },
    ))
}
