//! copy_file_range: the copying file's map takes over extents of the other's, so that the store
//! does the copying at commit.

use std::sync::Arc;

use bytes::Bytes;

use crate::commit::Place;
use crate::extent::{Extent, ExtentMap};
use crate::file::{File, FileError};
use crate::interrupt;
use crate::limits::MIB;
use crate::object::{ObjectRange, ObjectVersion};
use crate::range::ByteRange;

/// How often a source that somebody keeps writing to is committed before its staged bytes are
/// copied instead.
const SOURCE_COMMITS_MAX: u32 = 2;

/// Bytes fetched at a time when an object's bytes have to be taken into staging.
const LOCALISE_BYTES: u64 = 8 * MIB;

/// Staged bytes and their position.
type Staged = (u64, Bytes);

impl File {
    /// Copies `range` of `source` (clamped to its end) to position `at`; the store copies when
    /// this file is committed. Commits `source` first when that range is dirty. Returns bytes
    /// copied.
    ///
    /// # Errors
    /// [`FileError`], of either file.
    pub async fn copy_from(
        self: &Arc<Self>,
        at: u64,
        source: &Arc<Self>,
        range: ByteRange,
    ) -> Result<u64, FileError> {
        let mut commits = 0;
        loop {
            self.settle_before(at).await?;
            source.settle_before(range.start()).await?;
            // Nobody can replace the source's object between here and the edit below, which
            // makes this file one that is committed before the source's object is replaced.
            let publishing = interrupt::or(source.publishing.lock()).await?;
            let copied = {
                let state = source.state();
                if state.is_ahead_of(range.start()) {
                    continue;
                }
                state.map.slice(range)
            };
            if copied.has_dirty() && commits < SOURCE_COMMITS_MAX && !source.state().orphan {
                drop(publishing);
                source.commit().await?;
                commits += 1;
                continue;
            }
            if let Some(taken) = self.take(at, &copied, source) {
                return taken.map(|()| copied.len());
            }
        }
    }

    /// Puts `copied`, a slice of `source`'s content, at position `at`; dirty bytes in it are
    /// staged once more, as this file's own. `None` when what is there must settle first.
    fn take(
        self: &Arc<Self>,
        at: u64,
        copied: &ExtentMap,
        source: &Arc<Self>,
    ) -> Option<Result<(), FileError>> {
        let (stored, staged) = match source.staged_apart(copied) {
            Ok(split) => split,
            Err(error) => return Some(Err(error)),
        };
        self.try_edit(at, |state, staging| {
            state.splice(staging, at, &stored)?;
            for (from, bytes) in staged {
                state.write(staging, at + from, &bytes)?;
            }
            Ok(())
        })
    }

    /// `copied` with holes for its dirty runs, and the bytes of these with their positions.
    fn staged_apart(&self, copied: &ExtentMap) -> Result<(ExtentMap, Vec<Staged>), FileError> {
        let mut stored = copied.clone();
        let mut staged = Vec::new();
        for (mut at, extent) in copied.walk(ByteRange::new(0, copied.len())) {
            if let Extent::Dirty { offset, len } = extent {
                stored.punch(ByteRange::at(at, len));
                let staging = self.staging.lock();
                for bytes in staging.read(ByteRange::at(offset, len))? {
                    let len = bytes.len() as u64;
                    staged.push((at, bytes));
                    at += len;
                }
            }
        }
        Ok((stored, staged))
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
        let edited = self.try_edit(at, |state, staging| {
            // What was overwritten meanwhile stays as it is now; nobody kept its object for us.
            let now = ByteRange::at(at, range.len());
            if state.map.slice(now) == taken {
                state.write(staging, at, &fetched?)?;
            }
            Ok(())
        });
        edited.expect("what was uploaded ahead takes no bytes from an object")
    }
}
