//! Directory renames that are not at their end: those that stopped half way, and those over which
//! a process was killed. Only these may go on into a directory that has entries. Asks no store.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use crate::fs::kept::read_one;
use crate::journal::codec::Record;
use crate::journal::{Batch, Journal, Key, Values};
use crate::lock::{Guarded, Locked};

/// Renames that are remembered; the oldest is given up beyond that.
const STOPPED_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// What they are kept under, all at once; the other kinds of keys are in `kept`.
const RENAMES: Key = Key { kind: 22, id: 0 };

/// From where to where: buckets and keys.
pub(super) type Names = (String, String);

/// How far a rename came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Begun {
    /// A process is at it, or was killed over it: its caller was told nothing.
    UnderWay,
    /// Half way, and its caller was told.
    Stopped,
    /// Undone before any delete was sent. The store may still make copies that it was asked for.
    TakenBack,
}

impl Record for Begun {
    fn write(&self, to: &mut Vec<u8>) {
        let number: u8 = match self {
            Self::Stopped => 0,
            Self::UnderWay => 1,
            Self::TakenBack => 2,
        };
        number.write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        match u8::read(from)? {
            0 => Some(Self::Stopped),
            1 => Some(Self::UnderWay),
            2 => Some(Self::TakenBack),
            _ => None,
        }
    }
}

/// The renames that are not at their end, by where from and where to.
#[derive(Debug)]
pub(super) struct Stopped {
    renames: Guarded<LruCache<Names, Begun>>,
    journal: Arc<Journal>,
}

impl Stopped {
    pub(super) fn new(journal: Arc<Journal>) -> Self {
        Self {
            renames: Guarded::new(LruCache::new(STOPPED_MAX)),
            journal,
        }
    }

    /// Those of the process before.
    pub(super) fn restore(&self, values: &Values) {
        let kept = read_one::<Vec<(Names, Begun)>>(values, &self.journal, RENAMES);
        let mut renames = self.renames();
        for (names, begun) in kept.into_iter().flatten() {
            renames.put(names, begun);
        }
    }

    /// How far a rename of these names came before.
    pub(super) fn begun(&self, names: &Names) -> Option<Begun> {
        self.renames().peek(names).copied()
    }

    pub(super) fn note(&self, names: Names, begun: Begun) {
        let mut renames = self.renames();
        renames.put(names, begun);
        self.keep(&renames);
    }

    /// Forgets those of which one end is there.
    pub(super) fn forget_of(&self, end: &str) {
        let mut renames = self.renames();
        let ending = renames
            .iter()
            .filter(|((from, to), _)| from == end || to == end);
        let ending: Vec<Names> = ending.map(|(names, _)| names.clone()).collect();
        for names in &ending {
            renames.pop(names);
        }
        if !ending.is_empty() {
            self.keep(&renames);
        }
    }

    fn keep(&self, renames: &LruCache<Names, Begun>) {
        let mut batch = Batch::default();
        if renames.is_empty() {
            batch.delete(RENAMES);
        } else {
            // The oldest first, as they came.
            let all = renames.iter().rev();
            let all: Vec<(Names, Begun)> =
                all.map(|(names, begun)| (names.clone(), *begun)).collect();
            batch.put(RENAMES, |to| all.write(to));
        }
        self.journal.write(&batch);
    }

    fn renames(&self) -> Locked<'_, LruCache<Names, Begun>> {
        self.renames.lock()
    }
}
