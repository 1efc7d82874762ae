//! What an object holds: a list of extents that share their bytes with every copy. Knows no key,
//! no request.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use md5::{Digest, Md5};

use crate::range::ByteRange;

/// Most bytes in one frame of a GET's body: large enough that the cost a frame is not felt.
const FRAME_BYTES_MAX: u64 = 1 << 20;

/// The byte at `offset` of the pattern `seed`; all bytes of pattern 0 are 0.
///
/// The eight bytes from a multiple of eight on are, in little-endian order, splitmix64's answer
/// to `seed` and the offset over eight: cheap, and no two offsets or seeds look alike.
pub const fn pattern_byte(seed: u64, offset: u64) -> u8 {
    pattern_word(seed, offset / 8).to_le_bytes()[(offset % 8) as usize]
}

const fn pattern_word(seed: u64, index: u64) -> u64 {
    if seed == 0 {
        return 0;
    }
    let mut word = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

fn pattern_bytes(seed: u64, offset: u64, len: usize) -> Bytes {
    if seed == 0 {
        return Bytes::from(vec![0; len]);
    }
    let skipped = (offset % 8) as usize;
    let mut bytes = Vec::with_capacity(skipped + len + 8);
    let mut index = offset / 8;
    while bytes.len() < skipped + len {
        bytes.extend_from_slice(&pattern_word(seed, index).to_le_bytes());
        index += 1;
    }
    Bytes::from(bytes).slice(skipped..skipped + len)
}

/// A file that holds bytes of a kept service; deleted with the last object that refers to it,
/// unless the service is stopping.
#[derive(Debug)]
pub(super) struct BlobFile {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) id: u64,
    pub(super) stopping: Arc<AtomicBool>,
}

impl Drop for BlobFile {
    fn drop(&mut self) {
        if !self.stopping.load(Ordering::Relaxed) {
            // What is left behind is swept at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Where an extent's bytes are.
#[derive(Clone, Debug)]
pub(super) enum Home {
    /// In memory.
    Memory(Bytes),
    /// In a file of a kept service.
    File(Arc<BlobFile>),
    /// Nowhere: [`pattern_byte`] makes them.
    Pattern(u64),
}

impl Home {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Memory(a), Self::Memory(b)) => a.as_ptr() == b.as_ptr() && a.len() == b.len(),
            (Self::File(a), Self::File(b)) => Arc::ptr_eq(a, b),
            (Self::Pattern(a), Self::Pattern(b)) => a == b,
            _ => false,
        }
    }
}

/// A maximal run of bytes with one home.
#[derive(Clone, Debug)]
pub(super) struct Extent {
    pub(super) home: Home,
    pub(super) offset: u64,
    pub(super) len: u64,
}

impl Extent {
    fn continues(&self, before: &Self) -> bool {
        self.home.is(&before.home)
            && (self.offset == before.offset + before.len || matches!(self.home, Home::Pattern(0)))
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let offset = self.offset + offset;
        match &self.home {
            Home::Memory(bytes) => {
                let start = offset as usize;
                Ok(bytes.slice(start..start + len))
            }
            Home::File(blob) => {
                let mut bytes = vec![0; len];
                blob.file.read_exact_at(&mut bytes, offset)?;
                Ok(bytes.into())
            }
            Home::Pattern(seed) => Ok(pattern_bytes(*seed, offset, len)),
        }
    }
}

/// The bytes of an object or of a part.
#[derive(Clone, Default, Debug)]
pub(super) struct Content {
    extents: Vec<Extent>,
    len: u64,
}

impl Content {
    /// `size` bytes of a pattern.
    pub(super) fn pattern(seed: u64, size: u64) -> Self {
        let mut content = Self::default();
        content.push(Extent {
            home: Home::Pattern(seed),
            offset: 0,
            len: size,
        });
        content
    }

    /// These bytes; a body of zeros costs nothing.
    pub(super) fn memory(bytes: Bytes) -> Self {
        let len = bytes.len() as u64;
        if is_zero(&bytes) {
            return Self::pattern(0, len);
        }
        let mut content = Self::default();
        content.push(Extent {
            home: Home::Memory(bytes),
            offset: 0,
            len,
        });
        content
    }

    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// Adds an extent, as part of the last one where it continues it: repeated appends by copy
    /// do not grow the list.
    pub(super) fn push(&mut self, extent: Extent) {
        if extent.len == 0 {
            return;
        }
        self.len += extent.len;
        match self.extents.last_mut() {
            Some(last) if extent.continues(last) => last.len += extent.len,
            _ => self.extents.push(extent),
        }
    }

    /// Adds what another content holds.
    pub(super) fn append(&mut self, other: &Self) {
        for extent in &other.extents {
            self.push(extent.clone());
        }
    }

    /// Some of the bytes, shared.
    pub(super) fn slice(&self, range: ByteRange) -> Self {
        let mut slice = Self::default();
        let mut start = 0;
        for extent in &self.extents {
            let whole = ByteRange::at(start, extent.len);
            if let Some(wanted) = whole.intersection(range) {
                slice.push(Extent {
                    home: extent.home.clone(),
                    offset: extent.offset + (wanted.start() - start),
                    len: wanted.len(),
                });
            }
            start = whole.end();
        }
        slice
    }

    /// The bytes, made when they are asked for.
    pub(super) fn into_frames(self) -> impl Iterator<Item = io::Result<Bytes>> + Send + Sync {
        self.extents.into_iter().flat_map(|extent| {
            let frames = extent.len.div_ceil(FRAME_BYTES_MAX);
            (0..frames).map(move |frame| {
                let offset = frame * FRAME_BYTES_MAX;
                extent.read(offset, (extent.len - offset).min(FRAME_BYTES_MAX) as usize)
            })
        })
    }

    /// All bytes at once.
    pub(super) fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.len as usize);
        for frame in self.clone().into_frames() {
            bytes.extend_from_slice(&frame?);
        }
        Ok(bytes)
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes
        .chunks(4096)
        .all(|block| block.iter().fold(0, |any, byte| any | byte) == 0)
}

/// Hex MD5 of some text: stands for the digest of bytes nobody wants to read.
pub(super) fn digest_of(text: &str) -> String {
    hex(&Md5::digest(text.as_bytes()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Content, pattern_byte};
    use crate::range::ByteRange;

    #[test]
    fn a_pattern_reads_the_same_whole_and_in_parts() {
        let content = Content::pattern(7, 3 << 20);
        let whole = content.bytes().unwrap();
        for range in [
            ByteRange::new(0, 1),
            ByteRange::new(5, 100),
            ByteRange::new(1_048_570, 2_100_001),
        ] {
            let part = content.slice(range).bytes().unwrap();
            assert_eq!(part, whole[range.start() as usize..range.end() as usize]);
        }
        assert!((0..1000).all(|o| whole[o as usize] == pattern_byte(7, o)));
    }

    #[test]
    fn copies_that_continue_each_other_are_one_extent() {
        let source = Content::memory(Bytes::from_static(b"abcdefghij"));
        let mut copy = source.slice(ByteRange::new(0, 4));
        copy.append(&source.slice(ByteRange::new(4, 10)));
        assert_eq!(copy.extents().len(), 1);
        assert_eq!(copy.bytes().unwrap(), b"abcdefghij");
        copy.append(&source.slice(ByteRange::new(9, 10)));
        assert_eq!(copy.extents().len(), 2);
    }

    #[test]
    fn a_body_of_zeros_takes_no_memory() {
        let content = Content::memory(Bytes::from(vec![0; 10_000]));
        assert!(matches!(content.extents()[0].home, super::Home::Pattern(0)));
        assert_eq!(content.bytes().unwrap(), vec![0; 10_000]);
    }
}
