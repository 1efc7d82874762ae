//! Removing entries: unlink and rmdir, and where the bytes of unlinked but open files go.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Instant;

use crate::commit::{Carried, CommitError};
use crate::file::{File, FileError, Place};
use crate::fs::locks::Access;
use crate::fs::registry::{Hiding, OpenFile};
use crate::fs::state::{State, both};
use crate::fs::{Fs, FsError, FsResult, Ino, entry_name};
use crate::namespace::tree::NodeState;
use crate::object::ObjectVersion;
use crate::store::{ListRequest, ObjectHeaders, Precondition, StoreError};

/// A file that has lost its name while open, and what to do if that does not come about after all.
#[derive(Debug)]
pub(super) struct Orphaned {
    ino: Ino,
    file: Arc<File>,
    /// Where its bytes are from now on; `None` when it needs none of an object that can go.
    hidden: Option<(Place, Arc<ObjectVersion>)>,
}

impl Fs {
    /// Removes a file. While it is open its bytes stay readable: in a bucket without versions the
    /// store copies them to a reserved place until the last close.
    ///
    /// # Errors
    /// [`FsError::NoEntry`], [`FsError::IsDirectory`]; errors of the store and of files whose
    /// content takes bytes from this one and could not be committed. Nothing is removed then.
    pub async fn unlink(&self, parent: Ino, name: &OsStr) -> FsResult<()> {
        let name = entry_name(name)?;
        self.check_entry(parent, &name)?;
        let found = self.resolve(parent, &name).await?.ok_or(FsError::NoEntry)?;
        let ino = found.ino;
        let _held = self
            .acquire(|state| state.path_and(ino, Access::Exclusive))
            .await?;
        let place = {
            let state = self.state();
            if state.tree.child(parent, &name) != Some(ino) {
                return Err(FsError::NoEntry);
            }
            if state.node(ino)?.is_directory() {
                return Err(FsError::IsDirectory);
            }
            state.place(ino)?
        };
        let published = self.state().is_published(ino);
        let orphaned = self.orphan(ino).await?;
        if published
            || orphaned
                .as_ref()
                .is_some_and(|gone| gone.file.stat().version.is_some())
        {
            let deleted = match self.shared.commit_dependents(&place).await {
                Ok(()) => place.bucket.delete(&place.key).await.map_err(FsError::from),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = deleted {
                self.readopt(orphaned).await;
                return Err(error);
            }
        }
        let gone = {
            let mut state = self.state();
            state.entry_removed(parent, &name);
            state.names.note_absent(parent, &name, Instant::now());
            state.detach_buried(ino, orphaned)
        };
        self.end_buried(gone).await;
        Ok(())
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// [`FsError::NoEntry`], [`FsError::NotDirectory`], [`FsError::NotEmpty`]; errors of the store.
    pub async fn rmdir(&self, parent: Ino, name: &OsStr) -> FsResult<()> {
        let name = entry_name(name)?;
        self.check_entry(parent, &name)?;
        let found = self.resolve(parent, &name).await?.ok_or(FsError::NoEntry)?;
        let ino = found.ino;
        let wanted = |state: &State| {
            Ok(both(
                state.path_shared(parent)?,
                state.path_and(ino, Access::Exclusive)?,
            ))
        };
        let _held = self.acquire(wanted).await?;
        let place = {
            let state = self.state();
            if state.tree.child(parent, &name) != Some(ino) {
                return Err(FsError::NoEntry);
            }
            if !state.node(ino)?.is_directory() {
                return Err(FsError::NotDirectory);
            }
            state.place(ino)?
        };
        let has_marker = self.check_empty(ino, &place).await?;
        let orphaned = self.orphan(ino).await?;
        if has_marker && let Err(error) = place.bucket.delete(&place.key).await {
            self.readopt(orphaned).await;
            return Err(error.into());
        }
        let gone = {
            let mut state = self.state();
            state.entry_removed(parent, &name);
            state.names.note_absent(parent, &name, Instant::now());
            state.detach_buried(ino, orphaned)
        };
        self.end_buried(gone).await;
        Ok(())
    }

    /// Fails unless a directory holds nothing, in the store and here; tells whether it has a
    /// marker. 1 LIST.
    pub(super) async fn check_empty(&self, ino: Ino, place: &Place) -> FsResult<bool> {
        if self.state().has_own_entries(ino) {
            return Err(FsError::NotEmpty);
        }
        let prefix = place.key.as_str().to_owned();
        let request = ListRequest {
            prefix,
            page_max: Some(2),
            ..ListRequest::default()
        };
        let page = place.bucket.list(&request).await?;
        if page.objects.iter().any(|object| object.key != place.key) {
            return Err(FsError::NotEmpty);
        }
        Ok(!page.objects.is_empty())
    }

    /// Makes an open file one without a name, whose bytes survive the end of its object; `None`
    /// when it is not in memory. To be followed by [`Self::bury`] or [`Self::readopt`].
    pub(super) async fn orphan(&self, ino: Ino) -> FsResult<Option<Orphaned>> {
        let Some((file, open)) = self
            .state()
            .open
            .file(ino)
            .map(|open| (Arc::clone(&open.file), open.handles > 0))
        else {
            return Ok(None);
        };
        file.orphan().await?;
        let mut orphaned = Orphaned {
            ino,
            file,
            hidden: None,
        };
        if open {
            match self.hide(ino, &orphaned.file).await {
                Ok(hidden) => orphaned.hidden = hidden,
                Err(error) => {
                    self.readopt(Some(orphaned)).await;
                    return Err(error);
                }
            }
        }
        Ok(Some(orphaned))
    }

    /// Copies the object an open file reads to a reserved key, unless the file reads nothing of it
    /// or the bucket keeps the version. If another writer replaced the object its bytes are gone
    /// already, and readers will be told.
    async fn hide(
        &self,
        ino: Ino,
        file: &Arc<File>,
    ) -> FsResult<Option<(Place, Arc<ObjectVersion>)>> {
        let Some(version) = file.stat().version else {
            return Ok(None);
        };
        if version.version_id.is_some() || !file.map().versions().contains(&version) {
            return Ok(None);
        }
        // A process that was killed may have made the copy.
        let hiding = self
            .state()
            .open
            .file(ino)
            .and_then(|open| open.hiding.clone());
        if let Some(Hiding { place, of }) = hiding {
            if place.holds(&version) {
                return Ok(Some((place, version)));
            }
            let copy = self.head_if_any(&place).await?.map(|stat| stat.version);
            let copy = copy.filter(|copy| of == version.etag && copy.size == version.size);
            if let Some(copy) = copy {
                return Ok(Some((place, copy)));
            }
        }
        let place = self.state().note_hiding(ino, &version)?;
        // Nobody reads the headers of the copy.
        let headers = ObjectHeaders::default();
        let committer = &self.shared.committer;
        let carried = Carried::These(&headers);
        let copy = committer.copy_object(&version, carried, &place, &Precondition::None);
        match copy.await {
            Ok(copy) => Ok(Some((place, copy))),
            Err(CommitError::Store(StoreError::Stale { .. } | StoreError::NotFound { .. })) => {
                Ok(None)
            }
            Err(error) => Err(FileError::from(error).into()),
        }
    }

    /// The file keeps its name after all.
    pub(super) async fn readopt(&self, orphaned: Option<Orphaned>) {
        let Some(orphaned) = orphaned else { return };
        orphaned.file.adopt();
        if let Some(open) = self.state().open.file_mut(orphaned.ino) {
            open.hiding = None;
        }
        if let Some((place, _)) = orphaned.hidden
            && let Err(error) = place.bucket.delete(&place.key).await
        {
            log::warn!("{}: not needed, and not deleted: {error}", place.key);
        }
    }

    /// The object of an orphaned file is gone: it reads its copy from now on. What nobody has open
    /// ends here.
    pub(super) async fn bury(&self, orphaned: Option<Orphaned>) {
        let gone = orphaned.and_then(|orphaned| self.state().bury(orphaned));
        self.end_buried(gone).await;
    }

    /// To follow [`State::bury`].
    pub(super) async fn end_buried(&self, gone: Option<OpenFile>) {
        if let Some(gone) = gone {
            self.end_orphan(&gone).await;
        }
    }
}

impl State {
    /// A name is gone, and with it the inode's; returns what nobody has open. All at once, for the
    /// next process.
    pub(super) fn detach_buried(
        &mut self,
        ino: Ino,
        orphaned: Option<Orphaned>,
    ) -> Option<OpenFile> {
        self.tree.detach(ino);
        orphaned.and_then(|orphaned| self.bury(orphaned))
    }

    /// The object of an orphaned file is gone: it reads its copy from now on. Returns it if nobody
    /// has it open.
    pub(super) fn bury(&mut self, orphaned: Orphaned) -> Option<OpenFile> {
        let Orphaned { ino, file, hidden } = orphaned;
        let open = self.open.file_mut(ino)?;
        open.orphan = true;
        open.deferred = None;
        open.hiding = None;
        if let Some((place, version)) = hidden {
            file.relocate(place.clone(), Some(version));
            open.hidden = Some(place);
        }
        if open.handles > 0 {
            return None;
        }
        self.drop_file(ino)
    }

    /// Notes where a version is about to be copied to, for the next process.
    fn note_hiding(&mut self, ino: Ino, version: &ObjectVersion) -> FsResult<Place> {
        let mut place = self.hidden_place(ino)?;
        if let Some(open) = self.open.file_mut(ino) {
            if let Some(before) = open.hiding.take() {
                place = before.place;
            }
            open.hiding = Some(Hiding {
                place: place.clone(),
                of: version.etag.clone(),
            });
        }
        Ok(place)
    }

    /// Whether there may be an object of a file: not before the first commit of a new one.
    fn is_published(&self, ino: Ino) -> bool {
        self.open
            .file(ino)
            .is_none_or(|open| open.file.stat().version.is_some())
    }

    /// Whether a directory shows entries that the store may know nothing of.
    pub(super) fn has_own_entries(&self, ino: Ino) -> bool {
        self.tree
            .children(ino)
            .any(|(_, child)| self.open.file(child).is_some() || self.tree.is_retained(child))
    }

    /// An entry of a directory is about to go. A directory without a marker would go with its last
    /// one, under the user's feet; to ask whether it was the last would cost a LIST, so the
    /// directory is kept for the session instead, until somebody removes it; and so are those
    /// above.
    pub(super) fn entry_removed(&mut self, parent: Ino, name: &Arc<str>) {
        self.names.forget(parent, name);
        self.entries_changed(parent);
        for directory in self.tree.ancestors(parent) {
            let marked = match self.tree.node(directory).map(|node| &node.state) {
                Some(NodeState::Directory(node)) => node.marker.is_some(),
                Some(NodeState::File(_)) | None => true,
            };
            if !marked {
                self.tree.retain(directory);
            }
        }
    }
}
