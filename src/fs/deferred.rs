//! Changed attributes of files that nobody writes to: several changes in a row, as tar(1) and
//! rsync(1) make them, become one copy of the object onto itself. Knows no name.

use std::num::NonZeroUsize;
use std::time::Instant;

use futures_util::{StreamExt, stream};
use lru::LruCache;

use crate::file::FileError;
use crate::fs::state::State;
use crate::fs::{Fs, FsError, FsResult, Ino};
use crate::interrupt;
use crate::namespace::InodeId;
use crate::object::ObjectKey;

/// Failures kept for those who ask; the oldest is given up beyond that, and stays in the log.
const LATE_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// Why changed attributes could not be stored, until somebody was told.
#[derive(Debug)]
pub(super) struct Late(LruCache<InodeId, (ObjectKey, FsError)>);

impl Default for Late {
    fn default() -> Self {
        Self(LruCache::new(LATE_MAX))
    }
}

impl Late {
    /// The failures that no caller was told.
    pub(super) fn unreported(&self) -> Vec<(ObjectKey, FileError)> {
        let failed = self.0.iter().filter_map(|(_, failed)| match failed {
            (key, FsError::File(error)) => Some((key.clone(), error.clone())),
            // The file is gone.
            _ => None,
        });
        failed.collect()
    }
}

impl State {
    /// Nobody was told of this failure.
    pub(super) fn note_late(&mut self, ino: Ino, key: ObjectKey, error: FsError) {
        self.late.0.put(self.tree.id(ino), (key, error));
    }

    /// The failure of an inode, which is told once, and not to another that has its number by now.
    pub(super) fn take_late(&mut self, ino: Ino) -> FsResult<()> {
        let late = self.late.0.pop(&self.tree.id(ino));
        late.map_or(Ok(()), |(_, error)| Err(error))
    }
}

impl Fs {
    /// Stores changed attributes, each a while after the first change. Runs until it is dropped.
    pub async fn store_attributes(&self) {
        self.end_closed().await;
        loop {
            self.attributes_changed.notified().await;
            while let Some(first) = self.first_deferred() {
                let due = first + self.shared.bounds.attributes_delay;
                tokio::time::sleep_until(due.into()).await;
                let due = Instant::now() - self.shared.bounds.attributes_delay;
                self.store_deferred(|since| since <= due).await;
            }
        }
    }

    fn first_deferred(&self) -> Option<Instant> {
        let state = self.state();
        let deferred = state.open.iter().filter_map(|(_, open)| open.deferred);
        deferred.min()
    }

    /// Whether so many files wait that one more is not to.
    pub(super) fn defers_no_more(&self) -> bool {
        let state = self.state();
        let deferred = state
            .open
            .iter()
            .filter(|(_, open)| open.deferred.is_some());
        deferred.count() >= self.shared.bounds.attributes_waiting_max
    }

    /// Stores the attributes of the files that wait since then.
    pub(super) async fn store_deferred(&self, is_due: impl Fn(Instant) -> bool) {
        let due: Vec<Ino> = {
            let state = self.state();
            let open = state.open.iter();
            open.filter(|(_, open)| open.deferred.is_some_and(&is_due))
                .map(|(ino, _)| ino)
                .collect()
        };
        let stores = due.into_iter().map(|ino| self.store_one(ino));
        let requests_max = self.shared.bounds.copy_requests_max;
        let mut stores = stream::iter(stores).buffer_unordered(requests_max);
        while stores.next().await.is_some() {}
    }

    async fn store_one(&self, ino: Ino) {
        let since = {
            let mut state = self.state();
            let Some(open) = state.open.file_mut(ino) else {
                return;
            };
            let since = open.deferred.take();
            // Its close publishes both, or has told that it cannot.
            if open.handles > 0 && open.file.stat().has_new_content {
                return;
            }
            open.is_storing = true;
            since
        };
        let stored = self.commit(ino).await;
        {
            let mut state = self.state();
            let Some(open) = state.open.file_mut(ino) else {
                return;
            };
            open.is_storing = false;
            if stored.is_err() && interrupt::is_interrupted() {
                // That ends a caller's wait: the attributes go on waiting.
                open.deferred = since;
                self.attributes_changed.notify_one();
                return;
            }
            let key = open.file.place().key;
            if let Err(error) = stored {
                log::error!("{key}: its changed attributes could not be stored: {error}");
                state.note_late(ino, key, error);
            }
        }
        self.end_if_closed(ino).await;
    }
}
