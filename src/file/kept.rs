//! What outlives a process that is killed: the descriptors that the next one restores from, and how
//! the files of the one before come about again. Knows no inode.

use std::fs::File as Descriptor;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::commit::{OpenUpload, Place};
use crate::config::Bounds;
use crate::extent::{Extent, ExtentMap};
use crate::file::eager::Eager;
use crate::file::record::FILE;
use crate::file::state::State;
use crate::file::{File, Shared};
use crate::journal::{Batch, Journal, JournalError, Key, LogFiles, Values};
use crate::range::ByteRange;
use crate::staging::{Staging, StagingError, StagingFiles};
use crate::store::{Buckets, Upload};

/// The memory and the file that hold all that the next process needs, from the first request on:
/// no descriptor is added later.
#[derive(Debug)]
pub struct Kept {
    log: LogFiles,
    staging: StagingFiles,
}

impl Kept {
    /// How many descriptors there are.
    pub const DESCRIPTORS: usize = 4;

    /// Empty; the spill file in this directory.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn create(staging_dir: &Path) -> Result<Self, RestoreError> {
        let log = LogFiles::create().map_err(JournalError::from)?;
        let staging = StagingFiles::create(staging_dir)?;
        Ok(Self { log, staging })
    }

    /// The same by other descriptors.
    ///
    /// # Errors
    /// dup(2)'s.
    pub fn try_clone(&self) -> Result<Self, RestoreError> {
        let log = self.log.try_clone().map_err(JournalError::from)?;
        let staging = self.staging.try_clone().map_err(JournalError::from)?;
        Ok(Self { log, staging })
    }

    /// What somebody has to hold, in this order, for the next process.
    pub fn descriptors(&self) -> [BorrowedFd<'_>; Self::DESCRIPTORS] {
        let [one, other] = &self.log.0;
        let StagingFiles { memory, spill } = &self.staging;
        [one, other, memory, spill].map(AsFd::as_fd)
    }

    /// Of the descriptors that the process before had, in their order.
    pub fn of_descriptors(descriptors: [OwnedFd; Self::DESCRIPTORS]) -> Self {
        let [one, other, memory, spill] = descriptors.map(Descriptor::from);
        Self {
            log: LogFiles([one, other]),
            staging: StagingFiles { memory, spill },
        }
    }
}

/// Why nothing can be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The staged bytes.
    #[error(transparent)]
    Staging(#[from] StagingError),
}

impl Shared {
    /// As [`Self::new`], and what a next process needs is kept.
    ///
    /// # Errors
    /// [`RestoreError::Journal`].
    pub fn keeping(
        buckets: Buckets,
        bounds: Bounds,
        runtime: Handle,
        kept: Kept,
    ) -> Result<Arc<Self>, RestoreError> {
        let journal = Arc::new(Journal::begin(kept.log)?);
        Ok(Self::with(
            buckets,
            bounds,
            runtime,
            (journal, Some(kept.staging)),
        ))
    }

    /// Goes on with what the process before kept, which is returned too.
    ///
    /// # Errors
    /// [`RestoreError::Journal`].
    pub fn resuming(
        buckets: Buckets,
        bounds: Bounds,
        runtime: Handle,
        kept: Kept,
    ) -> Result<(Arc<Self>, Values), RestoreError> {
        let (journal, values) = Journal::resume(kept.log)?;
        let files = (Arc::new(journal), Some(kept.staging));
        Ok((Self::with(buckets, bounds, runtime, files), values))
    }

    /// What was kept is another process's from now on: nothing of it is changed any more.
    pub fn hand_over(&self) {
        self.journal.hand_over();
    }

    fn resume_upload(&self, place: &Place, upload: (u64, Upload)) -> OpenUpload {
        OpenUpload::resume(place, upload, (&self.runtime, &self.journal))
    }

    /// Forgets a file of the process before, unless it was restored.
    pub fn forget_file(&self, id: u64) {
        let mut batch = Batch::default();
        batch.delete(Key { kind: FILE, id });
        self.journal.write(&batch);
    }

    /// Gives up the uploads that no file goes on with. To be called when all files are restored.
    pub fn end_restoring(&self, values: &Values) {
        self.staging.end_restoring();
        for (number, bucket, upload) in OpenUpload::kept(values, &self.buckets) {
            let is_wanted = self.dirty_files().iter().any(|file| {
                let state = file.state();
                state.eager.as_ref().and_then(Eager::upload_id) == Some(&upload.id)
            });
            if !is_wanted {
                log::info!(
                    "{}: an upload of the process before is given up",
                    upload.key
                );
                let key = upload.key.clone();
                let place = Place { bucket, key };
                drop(self.resume_upload(&place, (number, upload)));
            }
        }
    }
}

impl File {
    /// A file that the process before had open or dirty, by [`Self::id`]; `None` when its record
    /// cannot be read, or its bytes are not where that says.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn restore(
        shared: &Arc<Shared>,
        id: u64,
        values: &Values,
    ) -> Result<Option<Arc<Self>>, RestoreError> {
        let key = Key { kind: FILE, id };
        let kept = values.get(&key);
        let Some((mut state, places)) = kept.and_then(|kept| State::restore(kept, &shared.buckets))
        else {
            return Ok(None);
        };
        let mut live = dirty_addresses(&state.map);
        let are_kept = |range: &ByteRange| Staging::are_kept(&places, *range);
        state.unsettled.retain_added(are_kept);
        live.extend(state.unsettled.added_addresses());
        let staging = Staging::restore(&shared.staging, &places, &joined(live))?;
        let Some(staging) = staging else {
            return Ok(None);
        };
        state.frozen = staging.frozen_end();
        if let Some(eager) = state.lent.take() {
            let upload = eager.upload.as_ref().and_then(|(id, headers)| {
                let mut kept = OpenUpload::kept(values, &shared.buckets);
                let (number, _, upload) = kept.find(|(_, _, upload)| upload.id == *id)?;
                let resumed = shared.resume_upload(&state.place, (number, upload));
                Some(resumed.with_headers(headers.clone()))
            });
            // Nothing is in an upload that the file was cut short of.
            let fits = eager.len() <= state.map.len();
            let restored = upload.filter(|_| fits);
            state.eager = restored.map(|upload| Eager::restore(eager, upload, &state.map));
        }
        let file = Self::with_id(shared, id, state, staging);
        let is_dirty = file.state().is_dirty();
        if is_dirty {
            shared.enlist(&file);
        }
        // Recorded anew, as it is now.
        file.enter_all(&mut file.state());
        Ok(Some(file))
    }

    /// The numbers of all files that were kept.
    pub fn kept(values: &Values) -> impl Iterator<Item = u64> + '_ {
        let (kind, first) = (FILE, 0);
        let last = Key { kind, id: u64::MAX };
        values
            .range(Key { kind, id: first }..=last)
            .map(|(key, _)| key.id)
    }
}

impl State {
    /// Gives back the frozen bytes that the map does not refer to any more, unless they may be read
    /// just now: then as soon as they are not.
    pub(super) fn release_displaced(&mut self, staging: &mut Staging) {
        let is_running = self.eager.as_ref().is_some_and(Eager::is_running);
        if !self.has_displaced || self.readers > 0 || is_running {
            return;
        }
        self.has_displaced = false;
        let mut referred = dirty_addresses(&self.map);
        referred.extend(self.unsettled.added_addresses());
        let mut from = 0;
        for range in joined(referred) {
            staging.release(ByteRange::new(from, range.start().min(self.frozen)));
            from = range.end().min(self.frozen);
        }
        staging.release(ByteRange::new(from, self.frozen));
    }
}

/// The staging addresses that a map refers to, in order, touching ones joined.
pub(super) fn dirty_addresses(map: &ExtentMap) -> Vec<ByteRange> {
    let ranges = map.extents().filter_map(|extent| match extent {
        Extent::Dirty { offset, len } => Some(ByteRange::at(*offset, *len)),
        Extent::Object { .. } | Extent::Sent { .. } | Extent::Hole { .. } => None,
    });
    joined(ranges.collect())
}

fn joined(mut ranges: Vec<ByteRange>) -> Vec<ByteRange> {
    ranges.sort_by_key(|range| range.start());
    let mut joined: Vec<ByteRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end() >= range.start() => {
                *last = ByteRange::new(last.start(), last.end().max(range.end()));
            }
            _ => joined.push(range),
        }
    }
    joined
}
