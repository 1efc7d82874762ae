//! Writes: in place where staged bytes may be replaced, else at new addresses. Knows no disk.

use super::State;
use crate::file::FileError;
use crate::file::record::Edit;
use crate::range::ByteRange;
use crate::staging::{DiskWrite, Staging};

/// What the beginning of a write needs.
#[derive(Debug)]
pub(in crate::file) enum Step<'d> {
    /// It is in place, at these addresses, when this is written.
    InPlace(ByteRange, Vec<DiskWrite<'d>>),
    /// New addresses for so many bytes.
    Fresh(u64),
}

impl State {
    /// Puts bytes at a position; `None` when that needs the disk: it is to be done by
    /// [`Self::step`] then, since a part of it may have been done.
    pub fn write(
        &mut self,
        staging: &mut Staging,
        at: u64,
        bytes: &[u8],
    ) -> Result<Option<()>, FileError> {
        if bytes.is_empty() {
            return Ok(Some(()));
        }
        let range = self.checked_range(at, bytes.len() as u64)?;
        let runs = self.replaceable(range);
        let is_on_disk = |(_, addresses): &(u64, ByteRange)| staging.is_on_disk(*addresses);
        if runs.iter().any(is_on_disk) {
            return Ok(None);
        }
        self.touch();
        let mut done = range.start();
        for (start, addresses) in runs {
            let new = bytes_at(bytes, at, ByteRange::new(done, start));
            if self.stage(staging, done, new)?.is_none() {
                return Ok(None);
            }
            let len = addresses.len();
            let new = bytes_at(bytes, at, ByteRange::at(start, len));
            staging.overwrite(addresses.start(), new);
            done = start + len;
        }
        let rest = bytes_at(bytes, at, ByteRange::new(done, range.end()));
        self.stage(staging, done, rest)
    }

    /// The beginning of a write that needs the disk, of one byte at least.
    pub fn step<'d>(
        &mut self,
        staging: &mut Staging,
        at: u64,
        bytes: &'d [u8],
    ) -> Result<Step<'d>, FileError> {
        let range = self.checked_range(at, bytes.len() as u64)?;
        let first = self.replaceable(range).into_iter().next();
        let Some((start, addresses)) = first else {
            return Ok(Step::Fresh(range.len()));
        };
        if start > at {
            return Ok(Step::Fresh(start - at));
        }
        self.touch();
        let new = bytes_at(bytes, at, ByteRange::at(at, addresses.len()));
        let writes = staging.overwrite(addresses.start(), new);
        Ok(Step::InPlace(addresses, writes))
    }

    /// Puts staged bytes that nothing refers to yet at a position.
    pub fn put(
        &mut self,
        staging: &mut Staging,
        at: u64,
        addresses: ByteRange,
    ) -> Result<(), FileError> {
        self.checked_range(at, addresses.len())?;
        self.touch();
        self.refer(staging, at, addresses);
        Ok(())
    }

    /// Stages bytes at new addresses in memory and puts them at `at`; `None` when that has no room.
    fn stage(
        &mut self,
        staging: &mut Staging,
        at: u64,
        bytes: &[u8],
    ) -> Result<Option<()>, FileError> {
        if bytes.is_empty() {
            return Ok(Some(()));
        }
        let Some(address) = staging.append_in_memory(bytes)? else {
            return Ok(None);
        };
        self.refer(staging, at, ByteRange::at(address, bytes.len() as u64));
        Ok(Some(()))
    }

    fn refer(&mut self, staging: &mut Staging, at: u64, addresses: ByteRange) {
        let (address, len) = (addresses.start(), addresses.len());
        self.displace(staging, ByteRange::at(at, len));
        self.map.write(at, address, len);
        self.recorded.edits.push(Edit::Write { at, address, len });
    }
}

/// The bytes of `range` out of `bytes`, which start at position `at`.
fn bytes_at(bytes: &[u8], at: u64, range: ByteRange) -> &[u8] {
    &bytes[(range.start() - at) as usize..(range.end() - at) as usize]
}
