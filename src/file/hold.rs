//! Who may publish a file: one commit at a time, and none while something moves or removes its
//! object. Knows no plan.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use crate::commit::Place;
use crate::file::{File, FileError};
use crate::interrupt::{self, Interrupted};
use crate::object::ObjectVersion;
use crate::range::ByteRange;

/// The commit that runs, and those who want the file for themselves.
#[derive(Debug, Default)]
pub(super) struct Turn {
    running: CancellationToken,
    /// They wait for `publishing`.
    holders: usize,
}

impl Turn {
    /// The token of the commit that runs, or has run last.
    pub fn running(&self) -> CancellationToken {
        self.running.clone()
    }
}

/// A file whose object is about to be moved or removed: nothing of it is published until this is
/// dropped.
#[derive(Debug)]
#[must_use]
pub struct Hold {
    file: Arc<File>,
    _publishing: OwnedMutexGuard<()>,
}

/// Counts among the holders while it waits.
struct Waiting<'a>(&'a File);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.turn.lock().holders -= 1;
    }
}

impl File {
    /// Waits until the file is free. A commit that runs ends as if it had been interrupted; its
    /// caller waits for the holder, and commits again what there is to commit then. Several files
    /// are held in ascending order of [`Self::id`].
    ///
    /// # Errors
    /// [`Interrupted`].
    pub async fn hold(self: &Arc<Self>) -> Result<Hold, Interrupted> {
        let running = {
            let mut turn = self.turn.lock();
            turn.holders += 1;
            turn.running.clone()
        };
        let _waiting = Waiting(self);
        running.cancel();
        let publishing = Arc::clone(&self.publishing).lock_owned();
        let _publishing = interrupt::or(publishing).await?;
        let file = Arc::clone(self);
        Ok(Hold { file, _publishing })
    }

    /// The token of a commit, for whoever has locked `publishing`; `None` when the file is wanted
    /// by a holder.
    pub(super) fn begin_commit(&self) -> Option<CancellationToken> {
        let mut turn = self.turn.lock();
        if turn.holders > 0 {
            return None;
        }
        turn.running = interrupt::child();
        Some(turn.running.clone())
    }

    /// Publishes what is in an unfinished upload alone: that is of one key. To be called before the
    /// file is held, and before anything is locked.
    ///
    /// # Errors
    /// Those of [`Self::commit`].
    pub async fn publish_sent_ahead(self: &Arc<Self>) -> Result<(), FileError> {
        self.publish_sent(|state| ByteRange::new(0, state.map.len()))
            .await
    }
}

impl File {
    /// Whether there may be an object of the file: not before the first commit of a new one.
    pub fn may_be_published(&self) -> bool {
        let state = self.state();
        state.base.is_some() || !state.unsettled.is_empty()
    }
}

impl Hold {
    /// Holds several files; each counts once.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub async fn all(files: impl IntoIterator<Item = Arc<File>>) -> Result<Vec<Self>, Interrupted> {
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort_by_key(|file| file.id);
        files.dedup_by_key(|file| file.id);
        let mut held = Vec::with_capacity(files.len());
        for file in files {
            held.push(file.hold().await?);
        }
        Ok(held)
    }

    /// The file.
    pub const fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Whether bytes are in an unfinished upload alone.
    pub fn is_sent_ahead(&self) -> bool {
        self.file.state().has_sent()
    }

    /// The file was unlinked: it stays readable and writable, and commits do nothing from now on.
    /// Nothing of it may be in an unfinished upload alone.
    pub fn orphan(&self) {
        let mut state = self.file.state();
        state.orphan = true;
        self.file.give_up_ahead(&mut state);
    }

    /// The object was moved by us: `version`, at `place`, has the bytes of the version `from`. An
    /// edit that is not published stays. Whether the file was in step with that version; else
    /// nothing is changed.
    #[must_use]
    pub fn relocate(
        &self,
        place: Place,
        from: Option<&ObjectVersion>,
        version: Option<Arc<ObjectVersion>>,
    ) -> bool {
        self.file.relocate(place, from, version)
    }

    /// A file that was never published is to be another client's if that comes first.
    pub fn publish_exclusively(&self) {
        self.file.state().creation = crate::file::Creation::Exclusive;
    }
}
