//! Making files durable: flush, fsync, and the commit of all that is dirty at the end of a mount.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::file::{File, FileError};
use crate::fs::registry::OpenFile;
use crate::fs::state::State;
use crate::fs::{Fh, Fs, FsError, FsResult, Ino};
use crate::object::ObjectKey;

impl Fs {
    /// A close(2): commits. Comes at every close of a descriptor; a clean file costs nothing, and
    /// attributes alone that wait to be stored go on waiting.
    ///
    /// # Errors
    /// [`FsError::File`]; the bytes are kept and the next flush tries again.
    pub async fn flush(&self, fh: Fh) -> FsResult<()> {
        let handle = self.handles.file(fh)?;
        let waits = {
            let state = self.state();
            state.open.file(handle.ino).is_some_and(OpenFile::waits)
        };
        // A reader's close says nothing of what others write.
        let committed = if waits || !handle.mode.can_change() {
            Ok(())
        } else {
            self.commit(handle.ino).await
        };
        committed.and(self.state().take_late(handle.ino))
    }

    /// Whether there is anything to publish.
    pub fn is_unpublished(&self, fh: Fh) -> bool {
        self.handles
            .file(fh)
            .is_ok_and(|handle| handle.file.stat().dirty)
    }

    /// Whether a file was created or cut to nothing, and neither written to nor committed since.
    pub fn is_still_empty(&self, fh: Fh) -> bool {
        self.handles.file(fh).is_ok_and(|handle| {
            let stat = handle.file.stat();
            stat.dirty && stat.size == 0
        })
    }

    /// Whether what a killed process has written is saved instead of published.
    pub fn saves_killed(&self) -> bool {
        self.save_killed
    }

    /// fsync(2), fdatasync(2): commits.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn fsync(&self, fh: Fh) -> FsResult<()> {
        let ino = self.handles.file(fh)?.ino;
        self.commit(ino).await.and(self.state().take_late(ino))
    }

    /// fsync(2) of a directory: names are in the store already; attributes that wait are stored.
    ///
    /// # Errors
    /// [`FsError::BadHandle`]; why the directory's own attributes could not be stored.
    pub async fn fsyncdir(&self, fh: Fh) -> FsResult<()> {
        let ino = self.handles.directory(fh)?.ino;
        self.store_deferred(|_| true).await;
        // They may be on their way already.
        self.commit(ino).await.and(self.state().take_late(ino))
    }

    /// Commits every dirty file, several at a time; what ends a mount. Returns the keys that could
    /// not be committed, and those whose attributes could not be stored without anybody being told.
    pub async fn sync_all(&self) -> Vec<(ObjectKey, FileError)> {
        let open: Vec<Ino> = self.state().open.iter().map(|(ino, _)| ino).collect();
        let mut failed = self.sync_each(open).await;
        failed.extend(self.unreported());
        failed
    }

    /// The keys whose attributes could not be stored without a caller that was told.
    pub fn unreported(&self) -> Vec<(ObjectKey, FileError)> {
        self.state().late.unreported()
    }

    /// Commits what nobody has open of the source with this directory in the root; of all sources
    /// when there is no such directory. Returns what could not be committed.
    pub async fn sync_closed(&self, name: Option<&str>) -> Vec<(ObjectKey, FileError)> {
        let closed: Vec<Ino> = {
            let state = self.state();
            let top = name.and_then(|name| state.tree.child(Ino::ROOT, name));
            let source = top.and_then(|top| state.tree.top(top));
            let is_of_it = |ino| source.is_none() || state.tree.source(ino) == source;
            let closed = state.open.iter();
            let closed = closed.filter(|(ino, open)| open.handles == 0 && is_of_it(*ino));
            closed.map(|(ino, _)| ino).collect()
        };
        self.sync_each(closed).await
    }

    async fn sync_each(&self, open: Vec<Ino>) -> Vec<(ObjectKey, FileError)> {
        let commits = open.into_iter().map(|ino| async move {
            let key = self
                .state()
                .open
                .file(ino)
                .map(|open| open.file.place().key);
            match (self.commit(ino).await, key) {
                (Err(FsError::File(error)), Some(key)) => Some((key, error)),
                // Any other error means that the file is gone.
                (Err(_) | Ok(()), _) => {
                    self.forget_committed(ino);
                    None
                }
            }
        });
        let commits_max = self.shared.bounds.copy_requests_max;
        let commits = stream::iter(commits).buffer_unordered(commits_max);
        commits.filter_map(std::future::ready).collect().await
    }

    /// Gives up the content of all files that nobody has open and that are stored.
    pub(super) fn forget_closed(&self) {
        let closed: Vec<Ino> = {
            let state = self.state();
            let closed = state.open.iter().filter(|(_, open)| open.handles == 0);
            closed.map(|(ino, _)| ino).collect()
        };
        for ino in closed {
            self.forget_committed(ino);
        }
    }

    /// Gives up the content of a file that nobody has open and that is stored.
    pub(super) fn forget_committed(&self, ino: Ino) {
        let mut state = self.state();
        let is_done = |open: &OpenFile| open.handles == 0 && !open.file.stat().dirty;
        let left = state.open.file(ino).is_some_and(is_done);
        if left {
            state.drop_file(ino);
        }
    }

    /// As [`Self::commit`].
    pub(super) async fn commit_named(&self, file: &Arc<File>) -> FsResult<()> {
        let ino = {
            let state = self.state();
            let mut open = state.open.iter();
            let it = open.find(|(_, open)| Arc::ptr_eq(&open.file, file));
            it.map(|(ino, _)| ino)
        };
        match ino {
            Some(ino) => self.commit(ino).await,
            None => Ok(()),
        }
    }

    /// Commits a file if it is dirty and has a name. Whatever takes bytes from the object it
    /// replaces is committed before, by the `File`.
    pub(super) async fn commit(&self, ino: Ino) -> FsResult<()> {
        let dirty = |open: &OpenFile| !open.orphan && open.file.stat().dirty;
        if !self.state().open.file(ino).is_some_and(dirty) {
            return Ok(());
        }
        let Some(file) = self.state().files(&[ino]).pop() else {
            return Ok(());
        };
        // Nothing is locked meanwhile but the file's own commits.
        let committed = file.commit().await;
        let mut state = self.state();
        let now = state.open.file(ino);
        let now = now.filter(|open| Arc::ptr_eq(&open.file, &file));
        if let Some(handles) = now.map(|open| open.handles) {
            state.learn_content(ino, &file);
            let is_file = state.tree.file(ino).is_some();
            let error = committed.as_ref().err();
            let is_overtaken = error.is_some_and(|error| file.is_overtaken(error));
            if is_file && handles > 0 && is_overtaken {
                // The other client's file has the name now, and not only after the last close.
                state.lose_name(ino);
            }
        }
        drop(state);
        Ok(committed?)
    }
}

impl State {
    /// The content of inodes, as far as it is in memory.
    pub(super) fn files(&self, inos: &[Ino]) -> Vec<Arc<File>> {
        let open = inos.iter().filter_map(|ino| self.open.file(*ino));
        open.map(|open| Arc::clone(&open.file)).collect()
    }
}
