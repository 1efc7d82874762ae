//! Which blocks the cache holds or has under fetch, and the accounts of their bytes. Cannot wait;
//! knows no bucket.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use lru::LruCache;
use tokio::sync::watch;

use crate::object::{ObjectRange, ObjectVersion};
use crate::range::ByteRange;
use crate::store::StoreResult;

/// One block of one version; blocks are 0-based.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct BlockKey {
    version: Arc<ObjectVersion>,
    block: u64,
}

/// A run held, by the order of arrival.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct RunId(u64);

/// Where a block is.
#[derive(Debug)]
enum Home {
    Held(RunId),
    Fetching(Fetch),
}

/// A run under fetch, as those see it who wait for it.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    run: ByteRange,
    answer: watch::Receiver<Option<StoreResult<Bytes>>>,
}

impl Fetch {
    /// A fetch of `run` whose end is announced on `answer`.
    pub(super) const fn new(
        run: ByteRange,
        answer: watch::Receiver<Option<StoreResult<Bytes>>>,
    ) -> Self {
        Self { run, answer }
    }

    /// Waits for the bytes at `range`, which is in the run; `None` if the fetch was given up.
    pub(super) async fn bytes(mut self, range: ByteRange) -> Option<StoreResult<Bytes>> {
        let answer = self.answer.wait_for(Option::is_some).await.ok()?;
        let answer = answer.as_ref()?;
        Some(
            answer
                .as_ref()
                .map(|bytes| cut(bytes, self.run, range))
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
/// `fetching_bytes` that of the runs under fetch. Runs start and end at a block's bounds or at
/// the version's end.
#[derive(Debug)]
pub(super) struct State {
    block_bytes: u64,
    homes: HashMap<BlockKey, Home>,
    runs: LruCache<RunId, Run>,
    next_run: u64,
    held_bytes: u64,
    fetching_bytes: u64,
}

impl State {
    /// No blocks.
    pub(super) fn new(block_bytes: u64) -> Self {
        Self {
            block_bytes,
            homes: HashMap::new(),
            runs: LruCache::unbounded(),
            next_run: 0,
            held_bytes: 0,
            fetching_bytes: 0,
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
    /// block is missing. Counts as use.
    pub(super) fn find(
        &mut self,
        version: &Arc<ObjectVersion>,
        range: ByteRange,
    ) -> Option<(Found, ByteRange)> {
        match self.homes.get(&self.key(version, range.start()))? {
            Home::Held(id) => {
                let run = self.runs.get(id)?;
                let seen = range.intersection(run.source.range)?;
                Some((Found::Held(cut(&run.bytes, run.source.range, seen)), seen))
            }
            Home::Fetching(fetch) => {
                let seen = range.intersection(fetch.run)?;
                Some((Found::Fetching(fetch.clone()), seen))
            }
        }
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

    /// Makes room to fetch `len` bytes, evicting the runs least recently used; `false` when more
    /// than `fetching_max` would be under fetch.
    pub(super) fn reserve(&mut self, len: u64, fetching_max: u64, bytes_max: u64) -> bool {
        if self.fetching_bytes + len > fetching_max {
            return false;
        }
        while self.bytes() + len > bytes_max {
            let Some((_, run)) = self.runs.pop_lru() else {
                return false;
            };
            self.held_bytes -= run.source.range.len();
            self.forget(&run.source);
        }
        true
    }

    /// Enters a run of missing blocks as under fetch.
    pub(super) fn begin(&mut self, source: &ObjectRange, fetch: &Fetch) {
        self.fetching_bytes += source.range.len();
        for key in self.keys(source) {
            let before = self.homes.insert(key, Home::Fetching(fetch.clone()));
            debug_assert!(before.is_none(), "a block is fetched twice");
        }
    }

    /// The fetch of a run ended: it is held if there are bytes, else gone.
    pub(super) fn settle(&mut self, source: &ObjectRange, bytes: Option<&Bytes>) {
        self.fetching_bytes -= source.range.len();
        let Some(bytes) = bytes else {
            return self.forget(source);
        };
        let id = RunId(self.next_run);
        self.next_run += 1;
        self.held_bytes += source.range.len();
        for key in self.keys(source) {
            self.homes.insert(key, Home::Held(id));
        }
        self.runs.put(
            id,
            Run {
                source: source.clone(),
                bytes: bytes.clone(),
            },
        );
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
