//! What the kernel has in its caches and is not to go by any more. Does no I/O: a thread of the
//! session writes the notices to the kernel.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use tokio::sync::Notify;

use crate::fs::Fs;
use crate::fs::handles::FileHandle;
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
    /// One of pages was written.
    written: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    pending: BTreeSet<Invalidation>,
    /// The inodes whose notices of pages are being written.
    writing: BTreeSet<Ino>,
    is_closed: bool,
}

impl Queue {
    /// Takes out what is about to be written; `false` if it is not there.
    fn take(&mut self, next: &Invalidation) -> bool {
        let is_there = self.pending.remove(next);
        if let (true, Invalidation::Content(ino)) = (is_there, next) {
            self.writing.insert(*ino);
        }
        is_there
    }
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
        if queue.is_closed {
            return None;
        }
        let is_free = |next: &&Invalidation| match next {
            Invalidation::Content(ino) => !queue.writing.contains(ino),
            _ => true,
        };
        let next = queue.pending.iter().find(is_free).cloned()?;
        queue.take(&next);
        Some(next)
    }

    async fn claim_content(&self, ino: Ino) -> bool {
        loop {
            let written = self.written.notified();
            {
                let mut queue = self.queue.lock();
                if !queue.writing.contains(&ino) {
                    return queue.take(&Invalidation::Content(ino));
                }
            }
            written.await;
        }
    }

    fn content_written(&self, ino: Ino) {
        self.queue.lock().writing.remove(&ino);
        self.written.notify_waiters();
        // Another one of the inode may wait.
        self.wanted.notify_one();
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

    /// Whether there is a notice of an inode's pages to be written, which is up to the caller then.
    /// Waits until no other one of that inode is being written.
    pub async fn claim_content(&self, ino: Ino) -> bool {
        self.invalidations.claim_content(ino).await
    }

    /// The notice of an inode's pages is written.
    pub fn content_written(&self, ino: Ino) {
        self.invalidations.content_written(ino);
    }

    /// Bytes were appended, which the kernel has put into its pages where it took the file to end:
    /// for a write it does not ask how long the file is (fuse_cache_write_iter, fs/fuse/file.c of
    /// Linux 6.18).
    pub(super) fn appended(&self, handle: &FileHandle, taken: u64, at: u64) {
        if taken != at {
            self.invalidations.add([Invalidation::Content(handle.ino)]);
        }
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

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const PAGES: Invalidation = Invalidation::Content(Ino(7));

    fn poll<T>(work: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        work.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_notice_of_pages_is_written_by_one_thread_and_waited_for_by_the_others() {
        let notices = Invalidations::default();
        assert_eq!(
            poll(pin!(notices.claim_content(Ino(7)))),
            Poll::Ready(false)
        );
        notices.add([PAGES]);
        assert_eq!(notices.waiting(), Some(PAGES));
        let mut claim = pin!(notices.claim_content(Ino(7)));
        assert!(poll(claim.as_mut()).is_pending());
        // Another change of the file meanwhile is another notice.
        notices.add([PAGES]);
        assert_eq!(notices.waiting(), None);
        notices.content_written(Ino(7));
        assert_eq!(poll(claim), Poll::Ready(true));
        assert_eq!(notices.waiting(), None);
        notices.content_written(Ino(7));
        assert_eq!(
            poll(pin!(notices.claim_content(Ino(7)))),
            Poll::Ready(false)
        );
    }
}
