//! copy_file_range: the copying file's map takes over extents of the other's, so that the store
//! does the copying at commit.

use std::sync::Arc;

use crate::commit::Place;
use crate::extent::{Extent, ExtentMap};
use crate::file::disk::Fresh;
use crate::file::kept::dirty_addresses;
use crate::file::{File, FileError, edited};
use crate::interrupt;
use crate::limits::MIB;
use crate::object::{ObjectRange, ObjectVersion};
use crate::range::ByteRange;
use crate::staging::{self, Staged};

/// How often a source that is written to meanwhile is committed before its staged bytes are copied
/// all the same.
const SOURCE_COMMITS_MAX: u32 = 2;

/// Bytes that are copied within staging at a time.
const COPY_BYTES: u64 = MIB;

/// Bytes fetched at a time when an object's bytes have to be taken into staging.
const LOCALISE_BYTES: u64 = 8 * MIB;

/// What a copy takes at a time.
struct Taken {
    /// Objects' bytes and holes, with holes for what is staged.
    stored: ExtentMap,
    /// Staged bytes, which are staged once more, and their positions.
    staged: Vec<(u64, Vec<Staged>)>,
}

impl File {
    /// Copies `range` of `source` (clamped to its end) to position `at`; the store copies when
    /// this file is committed. Staged bytes of the source are staged once more while there is room
    /// for them; else the source is committed first. Returns bytes copied, fewer when it fails
    /// after some.
    ///
    /// # Errors
    /// [`FileError`], of either file.
    pub async fn copy_from(
        self: &Arc<Self>,
        at: u64,
        source: &Arc<Self>,
        range: ByteRange,
    ) -> Result<u64, FileError> {
        source.make_copyable(range).await?;
        // What a copy within one file adds to its end is not copied again.
        let range = range.clamp_end(source.stat().size);
        let mut copied = 0;
        loop {
            let rest = ByteRange::new(range.start() + copied, range.end());
            match self.copy_some(at + copied, source, rest).await {
                Ok(0) => return Ok(copied),
                Ok(len) => copied += len,
                // The next call meets it again.
                Err(_) if copied > 0 => return Ok(copied),
                Err(error) => return Err(error),
            }
        }
    }

    /// Commits the file when there is no room for a second copy of what is staged of a range.
    async fn make_copyable(self: &Arc<Self>, range: ByteRange) -> Result<(), FileError> {
        for _ in 0..SOURCE_COMMITS_MAX {
            let staged = dirty_addresses(&self.slice(range));
            let staged = staged.iter().map(|addresses| addresses.len()).sum();
            if staged == 0 || self.shared.staging.has_room_for(staged) || self.state().orphan {
                break;
            }
            self.commit().await?;
        }
        Ok(())
    }

    /// Copies bytes from the start of a range; how many. None at the end of the source.
    async fn copy_some(
        self: &Arc<Self>,
        at: u64,
        source: &Arc<Self>,
        range: ByteRange,
    ) -> Result<u64, FileError> {
        loop {
            let range = range.clamp_end(source.stat().size);
            self.publish_sent(|_| edited(at, range.len())).await?;
            self.wait_for_memory(COPY_BYTES.min(range.len())).await?;
            // Nobody can replace the source's object between here and the edit below, which
            // makes this file one that is committed before the source's object is replaced.
            let publishing = interrupt::or(source.publishing.lock()).await?;
            let Some(Taken { stored, staged }) = source.taken(range) else {
                drop(publishing);
                let first = ByteRange::at(range.start(), 1);
                source
                    .commit_for(&|state| state.map.has_sent(first))
                    .await?;
                continue;
            };
            let len = stored.len();
            let mut staged = self.stage_again(staged).await?;
            let written = self.try_edit(
                |_| edited(at, len),
                |state, staging| {
                    state.splice(staging, at, &stored)?;
                    for (from, fresh) in &mut staged {
                        fresh.put(state, staging, at + *from)?;
                    }
                    Ok(())
                },
            );
            drop(publishing);
            if let Some(written) = written {
                self.upload_ahead();
                return written.map(|()| len);
            }
        }
    }

    /// Stages what another file has staged, without the lock of either.
    async fn stage_again(
        self: &Arc<Self>,
        staged: Vec<(u64, Vec<Staged>)>,
    ) -> Result<Vec<(u64, Fresh)>, FileError> {
        if staged.is_empty() {
            return Ok(Vec::new());
        }
        let file = Arc::clone(self);
        let stage = move || {
            let mut fresh = Vec::new();
            for (mut from, held) in staged {
                for bytes in staging::read(held)? {
                    fresh.push((from, file.stage(&bytes)?));
                    from += bytes.len() as u64;
                }
            }
            Ok(fresh)
        };
        staging::wait_for_disk(stage).await
    }

    /// What is at the beginning of a range: all of it, or as much as is staged at a time. `None`
    /// when the first byte is in an unfinished upload alone.
    fn taken(&self, range: ByteRange) -> Option<Taken> {
        let state = self.state();
        let (mut stored, mut staged, mut staged_len) = (ExtentMap::new(), Vec::new(), 0);
        for (at, extent) in state.map.walk(range) {
            match extent {
                Extent::Object { .. } | Extent::Hole { .. } => {
                    stored.append(&state.map.slice(ByteRange::at(at, extent.len())));
                }
                Extent::Dirty { offset, len } => {
                    let len = len.min(COPY_BYTES - staged_len);
                    let staging = self.staging.lock();
                    let from = stored.len();
                    stored.truncate(from + len);
                    staged.push((from, staging.hold(ByteRange::at(offset, len))));
                    staged_len += len;
                }
                Extent::Sent { .. } if stored.is_empty() => return None,
                Extent::Sent { .. } => break,
            }
            if staged_len == COPY_BYTES {
                break;
            }
        }
        Some(Taken { stored, staged })
    }

    /// Fetches the bytes the content takes from `place` into staging: for when that object is
    /// about to be replaced and this file cannot be committed before. What is gone already stays as
    /// it is, and is an error.
    pub(super) async fn localise(self: &Arc<Self>, place: &Place) -> Result<(), FileError> {
        // Whoever copied out of this file meanwhile would take over what is about to be replaced.
        let _publishing = interrupt::or(self.publishing.lock()).await?;
        let map = self.map();
        let mut gone = Ok(());
        for (at, extent) in map.walk(ByteRange::new(0, map.len())) {
            if let Extent::Object {
                version,
                offset,
                len,
            } = extent
                && place.holds(&version)
            {
                let mut done = 0;
                while done < len {
                    let stride = LOCALISE_BYTES.min(len - done);
                    let source = ByteRange::at(offset + done, stride);
                    match self.localise_run(at + done, &version, source).await {
                        Err(error) if error.is_stale() => gone = Err(error),
                        done => done?,
                    }
                    done += stride;
                }
            }
        }
        gone
    }

    async fn localise_run(
        self: &Arc<Self>,
        at: u64,
        version: &Arc<ObjectVersion>,
        range: ByteRange,
    ) -> Result<(), FileError> {
        let source = ObjectRange {
            version: version.clone(),
            range,
        };
        let bucket = self.shared.buckets.bucket(&version.bucket);
        let fetched = bucket.get(&source).await;
        let taken = ExtentMap::of_object(version.clone()).slice(range);
        let now = ByteRange::at(at, range.len());
        // What was overwritten meanwhile stays as it is now; nobody kept its object for us.
        if self.slice(now) != taken {
            return Ok(());
        }
        let (file, fetched) = (Arc::clone(self), fetched?);
        let mut fresh = staging::wait_for_disk(move || file.stage(&fetched)).await?;
        // What is in an upload alone is published, so nothing of that has to be copied anew.
        let edited = self.try_edit(
            |_| ByteRange::at(0, 0),
            |state, staging| {
                if state.map.slice(now) == taken {
                    fresh.put(state, staging, at)?;
                }
                Ok(())
            },
        );
        edited.expect("an edit of nothing waits for nothing")
    }
}
