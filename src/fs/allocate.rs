//! fallocate(2) and lseek(2): zeros that are stored nowhere until a commit makes them bytes of an
//! object, and where they are. Room is not reserved: a bucket has no end.

use crate::fs::{Fallocate, Fh, Fs, FsError, FsResult, Seek};
use crate::range::ByteRange;

impl Fs {
    /// fallocate(2).
    ///
    /// # Errors
    /// [`FsError::BadHandle`]; [`FsError::File`]: too large for an object.
    pub async fn fallocate(&self, fh: Fh, range: ByteRange, how: Fallocate) -> FsResult<()> {
        let handle = self.handles.writable(fh)?;
        match how {
            Fallocate::Allocate { keep_size: true } => return Ok(()),
            Fallocate::Allocate { keep_size: false } => handle.file.extend(range.end()).await?,
            Fallocate::Zero { keep_size } => handle.file.zero(range, !keep_size).await?,
        }
        Ok(())
    }

    /// lseek(2) with SEEK_DATA or SEEK_HOLE. Only what was written or cut here and is not yet
    /// committed has holes: an object is all bytes.
    ///
    /// # Errors
    /// [`FsError::BadHandle`]; [`FsError::NoSuchOffset`] at or behind the end of the file, or when
    /// no data follows.
    pub fn seek(&self, fh: Fh, at: u64, what: Seek) -> FsResult<u64> {
        let handle = self.handles.file(fh)?;
        let found = handle.file.seek(at, what == Seek::Hole);
        found.ok_or(FsError::NoSuchOffset)
    }
}
