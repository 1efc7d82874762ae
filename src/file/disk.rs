//! Edits that need the spill file: it is written when nothing is locked, so a slow disk holds up
//! nobody but who writes. Knows no store.

use std::sync::Arc;

use crate::file::publish::Reading;
use crate::file::state::{State, Step};
use crate::file::{File, FileError, edited};
use crate::range::ByteRange;
use crate::staging::{self, Staging, StagingError};

/// Bytes that are staged and that nothing refers to yet: given up when this is dropped, which is
/// not to be done while the state is locked.
pub(super) struct Fresh {
    file: Arc<File>,
    addresses: ByteRange,
    is_put: bool,
    /// Frozen addresses that nothing refers to would be given back meanwhile.
    _reading: Reading,
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if !self.is_put {
            self.file.staging.lock().release(self.addresses);
        }
    }
}

impl Fresh {
    /// Puts them at a position.
    pub fn put(
        &mut self,
        state: &mut State,
        staging: &mut Staging,
        at: u64,
    ) -> Result<(), FileError> {
        state.put(staging, at, self.addresses)?;
        self.is_put = true;
        Ok(())
    }
}

impl File {
    /// Stages bytes, in memory or on the disk. May wait for that: nothing may be locked.
    pub(super) fn stage(self: &Arc<Self>, bytes: &[u8]) -> Result<Fresh, FileError> {
        let reading = self.reading(self.state().for_edit());
        let mut appended = self.staging.lock().append(bytes);
        if let Err(StagingError::Full { .. }) = appended {
            // What was released may not have been given back yet.
            self.shared.staging.reclaim();
            appended = self.staging.lock().append(bytes);
        }
        let (address, writes) = appended?;
        let fresh = Fresh {
            file: Arc::clone(self),
            addresses: ByteRange::at(address, bytes.len() as u64),
            is_put: false,
            _reading: reading,
        };
        staging::write(&writes)?;
        Ok(fresh)
    }

    /// As [`Self::write`], with a wait for the disk: nothing may be locked. `None` when
    /// [`Self::publish_sent`] has to be called first; then a part may have been done.
    pub(super) fn write_by_disk(
        self: &Arc<Self>,
        mut at: u64,
        bytes: &[u8],
    ) -> Result<Option<()>, FileError> {
        let end = edited(at, bytes.len() as u64).end();
        while at < end {
            let rest = &bytes[bytes.len() - (end - at) as usize..];
            let step = self.try_edit(
                |_| edited(at, rest.len() as u64),
                |state, staging| state.step(staging, at, rest),
            );
            let done = match step.transpose()? {
                None => return Ok(None),
                Some(Step::InPlace(addresses, writes)) => {
                    staging::write(&writes)?;
                    // What was frozen meanwhile may have been read before: once more, elsewhere.
                    match self.state().is_replaceable(at, addresses) {
                        true => addresses.len(),
                        false => 0,
                    }
                }
                Some(Step::Fresh(len)) => {
                    let mut fresh = self.stage(&rest[..len as usize])?;
                    let put = self.try_edit(
                        |_| edited(at, len),
                        |state, staging| fresh.put(state, staging, at),
                    );
                    if put.transpose()?.is_none() {
                        return Ok(None);
                    }
                    len
                }
            };
            at += done;
        }
        self.upload_ahead();
        Ok(Some(()))
    }

    /// As [`Self::append`], with a wait for the disk: nothing may be locked.
    pub(super) fn append_by_disk(self: &Arc<Self>, bytes: &[u8]) -> Result<u64, FileError> {
        let mut fresh = self.stage(bytes)?;
        let appended = self.try_edit(
            |_| ByteRange::at(0, 0),
            |state, staging| state.append(|state, at| fresh.put(state, staging, at).map(Some)),
        );
        let appended = appended.expect("an edit of nothing waits for nothing")?;
        self.upload_ahead();
        Ok(appended.expect("bytes that are staged need no disk"))
    }
}
