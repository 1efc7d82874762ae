//! Which blocks the cache holds or has under fetch, and the accounts of their bytes. Cannot wait;
//! knows no bucket.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use lru::LruCache;
use tokio::sync::{Notify, watch};

use crate::object::{ObjectRange, ObjectVersion};
use crate::range::ByteRange;
use crate::store::StoreResult;

/// One block of one version; blocks are 0-based.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct BlockKey {
    version: Arc<ObjectVersion>,
    block: u64,
}

/// A run, by the order in which they were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct RunId(u64);

/// Where a block is.
#[derive(Debug)]
enum Home {
    Held(RunId),
    Fetching(Fetch),
}

/// Why a run is fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// Somebody waits for it.
    Read,
    /// Somebody is expected to come for it.
    Prefetch,
}

/// A run under fetch, as those see it who wait for it.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    run: RunId,
    source: ObjectRange,
    purpose: Purpose,
    /// Told when somebody waits.
    awaited: Arc<Notify>,
    answer: watch::Receiver<Option<StoreResult<Bytes>>>,
}

impl Fetch {
    /// What is fetched.
    pub(super) const fn source(&self) -> &ObjectRange {
        &self.source
    }

    /// Completes when the request must not wait for others any longer: somebody waits for it.
    pub(super) async fn due(&self) {
        if self.purpose == Purpose::Prefetch {
            self.awaited.notified().await;
        }
    }

    /// Waits for the bytes at `range`, which is in the run; `None` if the fetch was given up.
    pub(super) async fn bytes(mut self, range: ByteRange) -> Option<StoreResult<Bytes>> {
        self.awaited.notify_one();
        let answer = self.answer.wait_for(Option::is_some).await.ok()?;
        let answer = answer.as_ref()?;
        let run = self.source.range;
        Some(
            answer
                .as_ref()
                .map(|bytes| cut(bytes, run, range))
                .map_err(Clone::clone),
        )
    }
}

/// What is there of a range.
pub(super) enum Found {
    /// These bytes.
    Held(Bytes),
    /// Bytes to wait for.
    Fetching(Fetch),
}

/// What one GET brought.
#[derive(Debug)]
struct Run {
    source: ObjectRange,
    bytes: Bytes,
}

/// The blocks and the accounts.
///
/// Invariants: a block has one home, in one run; `held_bytes` is the sum of the runs held,
/// `fetching_bytes` that of the runs under fetch, `ahead_bytes` that of the runs `ahead`. Runs
/// start and end at a block's bounds or at the version's end.
#[derive(Debug)]
pub(super) struct State {
    block_bytes: u64,
    homes: HashMap<BlockKey, Home>,
    runs: LruCache<RunId, Run>,
    /// The runs, held or under fetch, that were fetched ahead of a reader that has not yet come
    /// to their end.
    ahead: HashSet<RunId>,
    next_run: u64,
    held_bytes: u64,
    fetching_bytes: u64,
    ahead_bytes: u64,
}

impl State {
    /// No blocks.
    pub(super) fn new(block_bytes: u64) -> Self {
        Self {
            block_bytes,
            homes: HashMap::new(),
            runs: LruCache::unbounded(),
            ahead: HashSet::new(),
            next_run: 0,
            held_bytes: 0,
            fetching_bytes: 0,
            ahead_bytes: 0,
        }
    }

    /// Bytes held and under fetch.
    pub(super) const fn bytes(&self) -> u64 {
        self.held_bytes + self.fetching_bytes
    }

    /// The block that holds the byte at `position`.
    pub(super) fn block_at(&self, version: &ObjectVersion, position: u64) -> ByteRange {
        let start = position - position % self.block_bytes;
        ByteRange::new(
            start,
            start.saturating_add(self.block_bytes).min(version.size),
        )
    }

    /// Whether the block of the byte at `position` is held or under fetch.
    pub(super) fn has(&self, version: &Arc<ObjectVersion>, position: u64) -> bool {
        self.homes.contains_key(&self.key(version, position))
    }

    /// What is there of `range` from its start on, and how far that goes; `None` if the first
    /// block is missing. Counts as use, but what was fetched ahead and is now read to its end is
    /// the first to go: the reader moves on, and what waits for other readers must stay.
    pub(super) fn find(
        &mut self,
        version: &Arc<ObjectVersion>,
        range: ByteRange,
    ) -> Option<(Found, ByteRange)> {
        let (found, id, run, seen) = match self.homes.get(&self.key(version, range.start()))? {
            Home::Held(id) => {
                let run = self.runs.get(id)?;
                let seen = range.intersection(run.source.range)?;
                let bytes = cut(&run.bytes, run.source.range, seen);
                (Found::Held(bytes), *id, run.source.range, seen)
            }
            Home::Fetching(fetch) => {
                let run = fetch.source.range;
                let seen = range.intersection(run)?;
                (Found::Fetching(fetch.clone()), fetch.run, run, seen)
            }
        };
        if seen.end() == run.end() && self.pass(id, run) {
            self.runs.demote(&id);
        }
        Some((found, seen))
    }

    /// The run to fetch for the start of `range`, whose first block is missing: the missing
    /// blocks of the range up to the first that is not, at most `bytes_max` and at least one.
    pub(super) fn missing(
        &self,
        version: &Arc<ObjectVersion>,
        range: ByteRange,
        bytes_max: u64,
    ) -> ByteRange {
        let mut run = self.block_at(version, range.start());
        while run.end() < range.end() && !self.has(version, run.end()) {
            let longer = ByteRange::new(run.start(), self.block_at(version, run.end()).end());
            if longer.len() > bytes_max {
                break;
            }
            run = longer;
        }
        run
    }

    /// Makes room to fetch `len` bytes, evicting the runs least recently used; `false` when runs
    /// under fetch leave none.
    pub(super) fn reserve(&mut self, len: u64, bytes_max: u64) -> bool {
        if self.fetching_bytes.saturating_add(len) > bytes_max {
            return false;
        }
        while self.bytes() + len > bytes_max {
            let Some((id, run)) = self.runs.pop_lru() else {
                return false;
            };
            self.held_bytes -= run.source.range.len();
            self.pass(id, run.source.range);
            self.forget(&run.source);
        }
        true
    }

    /// Bytes fetched ahead, there or under way, of readers that have not come to their end.
    pub(super) const fn ahead_bytes(&self) -> u64 {
        self.ahead_bytes
    }

    /// Enters a run of missing blocks as under fetch; its end will be announced on `answer`.
    pub(super) fn begin(
        &mut self,
        source: ObjectRange,
        purpose: Purpose,
        answer: watch::Receiver<Option<StoreResult<Bytes>>>,
    ) -> Fetch {
        let run = RunId(self.next_run);
        self.next_run += 1;
        self.fetching_bytes += source.range.len();
        if purpose == Purpose::Prefetch {
            self.ahead.insert(run);
            self.ahead_bytes += source.range.len();
        }
        let fetch = Fetch {
            run,
            source,
            purpose,
            awaited: Arc::new(Notify::new()),
            answer,
        };
        for key in self.keys(&fetch.source) {
            let before = self.homes.insert(key, Home::Fetching(fetch.clone()));
            debug_assert!(before.is_none(), "a block is fetched twice");
        }
        fetch
    }

    /// The fetch of a run ended: it is held if there are bytes, else gone.
    pub(super) fn settle(&mut self, fetch: &Fetch, bytes: Option<&Bytes>) {
        let source = &fetch.source;
        self.fetching_bytes -= source.range.len();
        let Some(bytes) = bytes else {
            self.pass(fetch.run, source.range);
            return self.forget(source);
        };
        self.held_bytes += source.range.len();
        for key in self.keys(source) {
            self.homes.insert(key, Home::Held(fetch.run));
        }
        let run = Run {
            source: source.clone(),
            bytes: bytes.clone(),
        };
        self.runs.put(fetch.run, run);
    }

    /// The run is ahead of nobody any more. Returns whether it was.
    fn pass(&mut self, id: RunId, run: ByteRange) -> bool {
        let was_ahead = self.ahead.remove(&id);
        if was_ahead {
            self.ahead_bytes -= run.len();
        }
        was_ahead
    }

    fn forget(&mut self, source: &ObjectRange) {
        for key in self.keys(source) {
            self.homes.remove(&key);
        }
    }

    fn key(&self, version: &Arc<ObjectVersion>, position: u64) -> BlockKey {
        BlockKey {
            version: Arc::clone(version),
            block: position / self.block_bytes,
        }
    }

    /// The keys of all blocks of a run.
    fn keys(&self, source: &ObjectRange) -> impl Iterator<Item = BlockKey> + use<> {
        let version = Arc::clone(&source.version);
        let end = source.range.end().div_ceil(self.block_bytes);
        (source.range.start() / self.block_bytes..end).map(move |block| BlockKey {
            version: Arc::clone(&version),
            block,
        })
    }
}

/// The bytes at `range` of a run.
fn cut(bytes: &Bytes, run: ByteRange, range: ByteRange) -> Bytes {
    let offset = |position| usize::try_from(position - run.start());
    let (Ok(start), Ok(end)) = (offset(range.start()), offset(range.end())) else {
        unreachable!("a run is in memory");
    };
    bytes.slice(start..end)
}
