//! Blocks of object versions in memory, each fetched once however many ask for it. Keyed by
//! version: it evicts, and never needs to invalidate. Knows no file.

use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::interrupt;
use crate::limits::MIB;
use crate::lock::{Guarded, Locked};
use crate::object::{ObjectRange, ObjectVersion};
use crate::range::ByteRange;
use crate::store::{Bucket, StoreResult};

mod state;

use state::{Fetch, Found, Purpose, State};

/// The bounds of a block cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheBounds {
    /// Bytes held and under fetch; 0 turns caching off.
    pub bytes_max: u64,
    /// Bytes of one block: what a read is rounded to.
    pub block_bytes: u64,
    /// Bytes of one GET: how many missing neighbours are fetched together. At least one block.
    pub request_bytes_max: u64,
    /// GETs for readahead under way at a time; more wait. 0 turns readahead off.
    pub prefetch_requests_max: usize,
    /// GETs that readers wait for under way at a time, through the cache or past it; more wait in
    /// their order. At least one.
    pub read_requests_max: usize,
}

impl Default for CacheBounds {
    fn default() -> Self {
        Self {
            bytes_max: 96 * MIB,
            block_bytes: MIB,
            // Large enough that the time to the first byte is small against the transfer.
            request_bytes_max: 8 * MIB,
            prefetch_requests_max: 8,
            read_requests_max: 64,
        }
    }
}

/// The block cache of a mount.
///
/// What one GET brought is a run: it is held, and evicted, as a whole and without copying, so
/// the bytes counted are the bytes of memory held. Runs under fetch count in full from the start.
/// A buffer returned to a reader keeps its run's memory until it is dropped, evicted or not.
///
/// Lock order: the state's lock is innermost, and never held over a call to a bucket or the
/// runtime.
#[derive(Debug)]
pub struct BlockCache {
    bounds: CacheBounds,
    runtime: Handle,
    prefetches: Semaphore,
    reads: Semaphore,
    state: Guarded<State>,
}

/// How to come by some bytes of a read.
enum Step {
    Held(Bytes),
    Await(Fetch, ByteRange),
    /// Past the cache: runs under fetch leave no room for more.
    Bypass(ByteRange),
}

/// A run under fetch. Dropping it ends the fetch, with or without an answer, for everyone.
struct Fetching {
    cache: Arc<BlockCache>,
    fetch: Fetch,
    announce: watch::Sender<Option<StoreResult<Bytes>>>,
    answer: Option<StoreResult<Bytes>>,
}

impl Fetching {
    async fn run(mut self, bucket: Arc<dyn Bucket>) {
        let source = self.fetch.source();
        let answer = {
            let _permit = tokio::select! {
                biased;
                permit = self.cache.permit_when(self.fetch.due()) => permit,
                permit = self.cache.prefetches.acquire() => permit.ok(),
            };
            bucket.get(source).await
        };
        let len = answer
            .as_ref()
            .map_or(source.range.len(), |bytes| bytes.len() as u64);
        assert_eq!(len, source.range.len(), "a bucket returned another range");
        self.answer = Some(answer);
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        let held = self.answer.as_ref().and_then(|answer| answer.as_ref().ok());
        self.cache.lock().settle(&self.fetch, held);
        self.announce.send_replace(self.answer.take());
    }
}

impl BlockCache {
    /// An empty cache, which fetches on `runtime`.
    ///
    /// # Panics
    /// If blocks have no bytes.
    pub fn new(bounds: CacheBounds, runtime: Handle) -> Arc<Self> {
        assert!(bounds.block_bytes > 0, "a block has bytes");
        Arc::new(Self {
            bounds,
            runtime,
            prefetches: Semaphore::new(bounds.prefetch_requests_max),
            reads: Semaphore::new(bounds.read_requests_max),
            state: Guarded::new(State::new(bounds.block_bytes)),
        })
    }

    /// Bytes held and under fetch now.
    pub fn bytes(&self) -> u64 {
        self.lock().bytes()
    }

    /// The bytes of `source`, in order. Blocks that are missing are fetched, neighbours in one
    /// request; a block that somebody else is fetching is waited for. Completes at once when all
    /// blocks are held. A caller that gives up does not end the fetch for others.
    ///
    /// # Errors
    /// Those of [`Bucket::get`]; nothing is cached then, and everyone who waited gets the error.
    ///
    /// # Panics
    /// If `source` reaches beyond its version.
    pub async fn read(
        self: &Arc<Self>,
        bucket: &Arc<dyn Bucket>,
        source: &ObjectRange,
    ) -> StoreResult<Vec<Bytes>> {
        let version = &source.version;
        assert!(
            version.range().contains(source.range),
            "a read beyond the version's end"
        );
        let steps = self.steps(bucket, source);
        let mut buffers = Vec::with_capacity(steps.len());
        for step in steps {
            let (fetched, range) = match step {
                Step::Held(bytes) => {
                    buffers.push(bytes);
                    continue;
                }
                Step::Await(fetch, range) => (interrupt::or(fetch.bytes(range)).await?, range),
                Step::Bypass(range) => (None, range),
            };
            buffers.push(match fetched {
                Some(answer) => answer?,
                // No answer: the fetch was given up (its runtime ends, or it panicked).
                None => {
                    let source = ObjectRange {
                        version: Arc::clone(version),
                        range,
                    };
                    let _permit = self.permit_when(ready(())).await;
                    bucket.get(&source).await?
                }
            });
        }
        Ok(buffers)
    }

    /// The permit for a GET that a reader waits for, from the moment that one does.
    async fn permit_when(&self, due: impl Future<Output = ()>) -> Option<SemaphorePermit<'_>> {
        due.await;
        self.reads.acquire().await.ok()
    }

    /// Starts fetching the blocks of `source` that are missing, and returns how many of its bytes,
    /// from its start on, are there or under way now. Those beyond the version's end count; those
    /// behind the first block that finds no room do not: what is fetched ahead and not yet read
    /// takes at most three quarters of the cache, so that reads have room and readers do not evict
    /// what waits for others. Errors are left for the reader to meet.
    pub fn prefetch(self: &Arc<Self>, bucket: &Arc<dyn Bucket>, source: &ObjectRange) -> u64 {
        let CacheBounds {
            bytes_max,
            request_bytes_max,
            prefetch_requests_max,
            ..
        } = self.bounds;
        let ahead_max = if prefetch_requests_max == 0 {
            0
        } else {
            bytes_max / 4 * 3
        };
        let version = &source.version;
        let wanted = source.range.clamp_end(version.size);
        let mut begun = Vec::new();
        let mut state = self.lock();
        let mut rest = wanted;
        while !rest.is_empty() {
            let mut seen = state.block_at(version, rest.start());
            if !state.has(version, rest.start()) {
                let room = ahead_max.saturating_sub(state.ahead_bytes());
                seen = state.missing(version, rest, request_bytes_max.min(room));
                if seen.len() > room || !state.reserve(seen.len(), bytes_max) {
                    break;
                }
                begun.push(self.begin(&mut state, version, seen, Purpose::Prefetch));
            }
            rest = ByteRange::new(seen.end().min(rest.end()), rest.end());
        }
        drop(state);
        self.spawn(bucket, begun);
        source.range.len() - rest.len()
    }

    /// Finds or starts fetching all that `source` needs.
    fn steps(self: &Arc<Self>, bucket: &Arc<dyn Bucket>, source: &ObjectRange) -> Vec<Step> {
        let bytes_max = self.bounds.bytes_max;
        let mut steps = Vec::new();
        let mut begun = Vec::new();
        let mut state = self.lock();
        let mut rest = source.range;
        while !rest.is_empty() {
            let (step, seen) = match state.find(&source.version, rest) {
                Some((Found::Held(bytes), seen)) => (Step::Held(bytes), seen),
                Some((Found::Fetching(fetch), seen)) => (Step::Await(fetch, seen), seen),
                None => {
                    let run = state.missing(&source.version, rest, self.bounds.request_bytes_max);
                    let seen = ByteRange::new(rest.start(), run.end().min(rest.end()));
                    if state.reserve(run.len(), bytes_max) {
                        let fetching = self.begin(&mut state, &source.version, run, Purpose::Read);
                        let fetch = fetching.fetch.clone();
                        begun.push(fetching);
                        (Step::Await(fetch, seen), seen)
                    } else {
                        (Step::Bypass(seen), seen)
                    }
                }
            };
            steps.push(step);
            rest = ByteRange::new(seen.end(), rest.end());
        }
        drop(state);
        self.spawn(bucket, begun);
        steps
    }

    /// Enters a run as under fetch.
    fn begin(
        self: &Arc<Self>,
        state: &mut State,
        version: &Arc<ObjectVersion>,
        run: ByteRange,
        purpose: Purpose,
    ) -> Fetching {
        let (announce, answer) = watch::channel(None);
        let source = ObjectRange {
            version: Arc::clone(version),
            range: run,
        };
        let fetch = state.begin(source, purpose, answer);
        Fetching {
            cache: Arc::clone(self),
            fetch,
            announce,
            answer: None,
        }
    }

    /// Fetches runs on tasks of their own, so that a reader that goes away takes nobody with it.
    /// Not to be called under the lock: a runtime that is shutting down drops the task at once.
    fn spawn(&self, bucket: &Arc<dyn Bucket>, begun: Vec<Fetching>) {
        for fetching in begun {
            self.runtime.spawn(fetching.run(Arc::clone(bucket)));
        }
    }

    fn lock(&self) -> Locked<'_, State> {
        self.state.lock()
    }
}

#[cfg(test)]
mod tests;
