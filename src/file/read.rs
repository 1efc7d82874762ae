//! Reading a file's content: a walk over its map, staged bytes from staging, object bytes through
//! the cache.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::extent::Extent;
use crate::file::{File, FileError, zeros};
use crate::lock::Guarded;
use crate::object::{ObjectRange, ObjectVersion};
use crate::range::ByteRange;
use crate::readahead::Window;
use crate::staging::{self, Staged};
use crate::store::StoreError;

/// The version a file was in step with.
type Base = Option<Arc<ObjectVersion>>;

/// A run of a read, before the store was asked.
pub(super) enum Run {
    Zeros(u64),
    Staged(Vec<Staged>),
    Object(ObjectRange),
}

impl File {
    /// Bytes of the file, fewer at its end.
    ///
    /// # Errors
    /// [`FileError`]; [`FileError::Store`] with `Stale` when the object was replaced.
    pub async fn read(
        self: &Arc<Self>,
        range: ByteRange,
        window: &Guarded<Window>,
    ) -> Result<Bytes, FileError> {
        self.read_ahead(range, window);
        loop {
            self.learn_outcome().await?;
            let Some((runs, base)) = self.runs(range) else {
                self.commit_for(&|state| state.map.has_sent(range)).await?;
                continue;
            };
            match self.collect(runs).await {
                // Our own commit may have replaced the object between the walk and the request.
                Err(FileError::Store(StoreError::Stale { .. }))
                    if self.is_replaced(base.as_ref()).await => {}
                Err(error) => return Err(error),
                Ok(buffers) => return Ok(joined(buffers)),
            }
        }
    }

    /// The runs of a read, and the version the file was in step with when they were taken; `None`
    /// when some are in an unfinished upload alone, so that the file has to be published first.
    fn runs(&self, range: ByteRange) -> Option<(Vec<Run>, Base)> {
        let state = self.state();
        let mut runs = Vec::new();
        for (_, extent) in state.map.walk(range) {
            runs.push(match extent {
                Extent::Object {
                    version,
                    offset,
                    len,
                } => Run::Object(ObjectRange {
                    version,
                    range: ByteRange::at(offset, len),
                }),
                Extent::Sent { .. } => return None,
                Extent::Hole { len } => Run::Zeros(len),
                Extent::Dirty { offset, len } => {
                    let staging = self.staging.lock();
                    Run::Staged(staging.hold(ByteRange::at(offset, len)))
                }
            });
        }
        Some((runs, state.base.clone()))
    }

    /// The bytes of runs.
    pub(super) async fn collect(&self, runs: Vec<Run>) -> Result<Vec<Bytes>, FileError> {
        let mut buffers = Vec::new();
        for run in runs {
            match run {
                Run::Zeros(len) => buffers.extend(zeros(len)),
                Run::Staged(staged) => buffers.extend(staging::fetch(staged).await?),
                Run::Object(source) => {
                    let bucket = self.shared.buckets.bucket(&source.version.bucket);
                    buffers.extend(self.shared.cache.read(&bucket, &source).await?);
                }
            }
        }
        Ok(buffers)
    }

    /// Has the cache fetch what the reader is going to ask for.
    fn read_ahead(&self, range: ByteRange, window: &Guarded<Window>) {
        let ahead = window.lock().read(range);
        let Some(ahead) = ahead else { return };
        let mut at = ahead.start();
        for extent in self.slice(ahead).extents() {
            if let Extent::Object {
                version,
                offset,
                len,
            } = extent
            {
                let range = ByteRange::at(*offset, *len);
                let source = ObjectRange {
                    version: version.clone(),
                    range,
                };
                let bucket = self.shared.buckets.bucket(&version.bucket);
                let there = self.shared.cache.prefetch(&bucket, &source);
                if there < *len {
                    let mut window = window.lock();
                    return window.cut(at + there);
                }
            }
            at += extent.len();
        }
    }
}

/// One buffer of several; the usual single one is not copied.
fn joined(mut buffers: Vec<Bytes>) -> Bytes {
    if buffers.len() == 1 {
        return buffers.remove(0);
    }
    let mut all = BytesMut::with_capacity(buffers.iter().map(Bytes::len).sum());
    buffers
        .iter()
        .for_each(|bytes| all.extend_from_slice(bytes));
    all.freeze()
}
