//! What the kernel has in its caches and is not to go by any more. Does no I/O: a thread of the
//! session writes the notices to the kernel.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use tokio::sync::Notify;

use crate::fs::Fs;
use crate::lock::Guarded;
use crate::namespace::Ino;

/// Something for the kernel to ask for again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Invalidation {
    /// The attributes of an inode. Its notice waits for no lock of the kernel's.
    Attributes(Ino),
    /// The attributes and the cached pages. Its notice waits for reads that are being answered.
    Content(Ino),
    /// What a name in a directory stands for. Its notice waits for the directory's lock.
    Entry(Ino, OsString),
    /// The same of a name that nothing uses, for its memory's sake. All else goes before it.
    Unused(Ino, OsString),
    /// A directory, if nothing uses it. By the notice of an entry a process that works in it would
    /// lose its path.
    UnusedDirectory(Ino),
}

/// The notices that are still to be written: at most one of each kind for an inode or a name.
#[derive(Debug, Default)]
pub(super) struct Invalidations {
    queue: Guarded<Queue>,
    wanted: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    pending: BTreeSet<Invalidation>,
    is_closed: bool,
}

impl Invalidations {
    pub(super) fn add(&self, invalidations: impl IntoIterator<Item = Invalidation>) {
        self.queue.lock().pending.extend(invalidations);
        self.wanted.notify_one();
    }

    pub(super) fn len(&self) -> usize {
        self.queue.lock().pending.len()
    }

    fn waiting(&self) -> Option<Invalidation> {
        let mut queue = self.queue.lock();
        match queue.is_closed {
            true => None,
            false => queue.pending.pop_first(),
        }
    }

    async fn next(&self) -> Option<Invalidation> {
        loop {
            if let Some(next) = self.waiting() {
                return Some(next);
            }
            if self.queue.lock().is_closed {
                return None;
            }
            // What was added since has left a permit.
            self.wanted.notified().await;
        }
    }

    fn take_attributes(&self) -> Vec<Ino> {
        let mut found = Vec::new();
        self.queue.lock().pending.retain(|invalidation| {
            if let Invalidation::Attributes(ino) = invalidation {
                found.push(*ino);
            }
            !matches!(invalidation, Invalidation::Attributes(_))
        });
        found
    }

    fn close(&self) {
        self.queue.lock().is_closed = true;
        self.wanted.notify_one();
    }
}

impl Fs {
    /// For how long a name that was not found may be trusted not to exist.
    pub fn absent_ttl(&self, parent: Ino, name: &OsStr) -> Duration {
        let ttl = self.shared.bounds.attr_ttl;
        let Ok(name) = self.entry_name(name) else {
            return ttl;
        };
        let known = self.state().names_in(parent).absent_since(&name);
        known.map_or(Duration::ZERO, |at| ttl.saturating_sub(at.elapsed()))
    }

    /// Waits for the next thing that the kernel is not to go by any more; `None` when the
    /// filesystem has ended. One task may wait.
    pub async fn next_invalidation(&self) -> Option<Invalidation> {
        self.invalidations.next().await
    }

    /// The next of these, if one waits.
    pub fn waiting_invalidation(&self) -> Option<Invalidation> {
        self.invalidations.waiting()
    }

    /// The inodes whose attributes the kernel is to ask for again before it gets another answer.
    pub fn take_stale_attributes(&self) -> Vec<Ino> {
        self.invalidations.take_attributes()
    }

    /// The kernel can be asked to forget directories that nothing uses.
    pub fn has_pruning(&self) {
        self.state().bounded.has_pruning = true;
    }

    /// There will be nothing more for the kernel to be told.
    pub fn end_invalidations(&self) {
        self.invalidations.close();
    }
}
