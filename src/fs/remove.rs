//! Removing entries: unlink and rmdir, and where the bytes of unlinked but open files go.

use std::ffi::OsStr;
use std::slice;
use std::sync::Arc;
use std::time::Instant;

use crate::commit::{Carried, CommitError};
use crate::file::{File, FileError, Hold, Place};
use crate::fs::locks::Access;
use crate::fs::registry::{Hiding, OpenFile};
use crate::fs::state::{State, both};
use crate::fs::{ATTEMPTS_MAX, Fs, FsError, FsResult, Ino};
use crate::interrupt;
use crate::namespace::tree::NodeState;
use crate::object::ObjectVersion;
use crate::store::{
    ListRequest, ListedObject, ObjectHeaders, Precondition, StoreError, StoreResult,
};

/// A file that has lost its name while open, and what to do if that does not come about after all.
#[derive(Debug)]
pub(super) struct Orphaned {
    ino: Ino,
    file: Arc<File>,
    /// Where its bytes are from now on, and in place of which version; `None` when it needs none of
    /// an object that can go.
    hidden: Option<Hidden>,
}

/// A place, the copy there, and what it is a copy of.
type Hidden = (Place, Arc<ObjectVersion>, Arc<ObjectVersion>);

impl Fs {
    /// Removes a file. While it is open its bytes stay readable: in a bucket without versions the
    /// store copies them to a reserved place until the last close.
    ///
    /// # Errors
    /// [`FsError::NoEntry`], [`FsError::IsDirectory`]; errors of the store and of files whose
    /// content takes bytes from this one and could not be committed. Nothing is removed then.
    pub async fn unlink(&self, parent: Ino, name: &OsStr) -> FsResult<()> {
        let name = self.entry_name(name)?;
        self.check_entry(parent, &name)?;
        for _ in 0..ATTEMPTS_MAX {
            let found = self.resolve(parent, &name).await?.ok_or(FsError::NoEntry)?;
            if let Some(gone) = self.unlink_inode((parent, &name), found.ino).await? {
                self.end_buried(gone).await;
                return Ok(());
            }
        }
        Err(FsError::Busy)
    }

    /// Returns what nobody has open, to be ended when nothing is locked; `None` when it is to be
    /// tried again.
    async fn unlink_inode(
        &self,
        (parent, name): (Ino, &Arc<str>),
        ino: Ino,
    ) -> FsResult<Option<Option<OpenFile>>> {
        // What may be an upload is done before anything is locked, and looked for again after.
        let place = self.state().place(ino)?;
        let is_leaving = |other: &Place| *other == place;
        let files = self.state().files(&[ino]);
        for file in files {
            file.publish_sent_ahead().await?;
        }
        let lost = self.shared.commit_dependents_on(&is_leaving).await?;
        let _held = self
            .acquire(|state| state.path_and(ino, Access::Exclusive))
            .await?;
        {
            let state = self.state();
            if state.tree.child(parent, name) != Some(ino) {
                return Err(FsError::NoEntry);
            }
            if state.node(ino)?.is_directory() {
                return Err(FsError::IsDirectory);
            }
            if state.place(ino)? != place {
                return Ok(None);
            }
        }
        let file = self.state().files(&[ino]).pop();
        let held = match &file {
            Some(file) => Some(file.hold().await?),
            None => None,
        };
        let is_sent_ahead = held.as_ref().is_some_and(Hold::is_sent_ahead);
        if is_sent_ahead || self.shared.has_dependents_on(&is_leaving, &lost) {
            return Ok(None);
        }
        let may_be_there = file.is_none_or(|file| file.may_be_published());
        let object = may_be_there.then_some(&place);
        let gone = self.take_away((parent, name), ino, held.as_ref(), object);
        Ok(Some(gone.await?))
    }

    /// Removes an entry, with its object if it may have one.
    async fn take_away(
        &self,
        (parent, name): (Ino, &Arc<str>),
        ino: Ino,
        held: Option<&Hold>,
        object: Option<&Place>,
    ) -> FsResult<Option<OpenFile>> {
        let orphaned = self.orphan(ino, held).await?;
        let known = self.state().known_version(ino);
        if let Some(place) = object
            && let Err(error) = delete_known(place, known).await
        {
            self.readopt(orphaned).await;
            return Err(error.into());
        }
        let mut state = self.state();
        state.entry_removed(parent, name);
        state.names_in(parent).note_absent(name, Instant::now());
        Ok(state.detach_buried(ino, orphaned))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// [`FsError::NoEntry`], [`FsError::NotDirectory`], [`FsError::NotEmpty`]; errors of the store.
    pub async fn rmdir(&self, parent: Ino, name: &OsStr) -> FsResult<()> {
        let name = self.entry_name(name)?;
        self.check_entry(parent, &name)?;
        let found = self.resolve(parent, &name).await?.ok_or(FsError::NoEntry)?;
        let gone = self.rmdir_inode((parent, &name), found.ino).await?;
        self.end_buried(gone).await;
        Ok(())
    }

    async fn rmdir_inode(
        &self,
        (parent, name): (Ino, &Arc<str>),
        ino: Ino,
    ) -> FsResult<Option<OpenFile>> {
        {
            // What is known needs no lock, for which others would have to wait.
            let state = self.state();
            if state.node(ino)?.is_directory() && state.has_own_entries(ino) {
                return Err(FsError::NotEmpty);
            }
        }
        self.renew_marker(ino).await?;
        let wanted = |state: &State| {
            Ok(both(
                state.path_shared(parent)?,
                state.path_and(ino, Access::Exclusive)?,
            ))
        };
        let _held = self.acquire(wanted).await?;
        let place = {
            let state = self.state();
            if state.tree.child(parent, name) != Some(ino) {
                return Err(FsError::NoEntry);
            }
            if !state.node(ino)?.is_directory() {
                return Err(FsError::NotDirectory);
            }
            state.place(ino)?
        };
        let has_marker = self.check_empty(ino, &place).await?;
        let marker = self.state().files(&[ino]).pop();
        let held = match marker {
            Some(marker) => Some(marker.hold().await?),
            None => None,
        };
        let object = has_marker.then_some(&place);
        self.take_away((parent, name), ino, held.as_ref(), object)
            .await
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
            fold: true,
            page_max: Some(2),
            continuation: None,
        };
        let page = place.bucket.list(&request).await?;
        let is_below = !page.prefixes.is_empty();
        if is_below || page.objects.iter().any(|object| object.key != place.key) {
            return Err(FsError::NotEmpty);
        }
        let Some(marker) = page.objects.first() else {
            return Ok(false);
        };
        if marker.size > 0 {
            let ListedObject { key, size, .. } = marker;
            log::warn!("{key}: the object of this directory holds {size} bytes: not removed");
            return Err(FsError::NotEmpty);
        }
        Ok(true)
    }

    /// Makes an open file, which is held, one without a name, whose bytes survive the end of its
    /// object; `None` when it is not in memory. To be followed by [`State::bury`] or
    /// [`Self::readopt`].
    pub(super) async fn orphan(&self, ino: Ino, held: Option<&Hold>) -> FsResult<Option<Orphaned>> {
        let Some(held) = held else {
            return Ok(None);
        };
        held.orphan();
        let mut orphaned = Orphaned {
            ino,
            file: Arc::clone(held.file()),
            hidden: None,
        };
        let open = self.state().open.file(ino).map_or(0, |open| open.handles);
        if open > 0 {
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
    async fn hide(&self, ino: Ino, file: &Arc<File>) -> FsResult<Option<Hidden>> {
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
                return Ok(Some((place, Arc::clone(&version), version)));
            }
            let copy = self.head_if_any(&place).await?.map(|stat| stat.version);
            let copy = copy.filter(|copy| of == version.etag && copy.size == version.size);
            if let Some(copy) = copy {
                return Ok(Some((place, copy, version)));
            }
        }
        let place = self.state().note_hiding(ino, &version)?;
        // Nobody reads the headers of the copy.
        let headers = ObjectHeaders::default();
        let committer = &self.shared.committer;
        let carried = Carried::These(&headers);
        let copy = committer.copy_object(&version, carried, &place, &Precondition::None);
        match copy.await {
            Ok(copy) => Ok(Some((place, copy, version))),
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
        if let Some((place, _, _)) = orphaned.hidden {
            let deleted = async move {
                if let Err(error) = place.bucket.delete(&place.key).await {
                    log::warn!("{}: not needed, and not deleted: {error}", place.key);
                }
            };
            interrupt::tidy_up(&self.shared.runtime, deleted).await;
        }
    }

    /// To follow [`State::bury`].
    pub(super) async fn end_buried(&self, gone: Option<OpenFile>) {
        if let Some(gone) = gone {
            self.end_orphan(&gone).await;
        }
    }
}

/// Deletes whatever object is at a place, of which this version is known. A request that the store
/// carries out late deletes no other version, where the store has conditions on deletes.
async fn delete_known(place: &Place, mut known: Option<Arc<ObjectVersion>>) -> StoreResult<()> {
    while let Some(version) = known {
        match place.bucket.delete_version(&version).await {
            Err(StoreError::Stale { .. }) => {}
            deleted => return deleted,
        }
        known = match place.bucket.head(&place.key).await {
            Ok(now) => Some(now.version).filter(|now| !now.etag.matches(&version.etag)),
            Err(StoreError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
    }
    place.bucket.delete(&place.key).await
}

/// Takes an object away that was copied elsewhere, unless another client has stored another there.
pub(super) async fn delete_moved(from: &Place, of: &Arc<ObjectVersion>) -> StoreResult<()> {
    if !from.holds(of) {
        // A killed process has copied it: which version, is not known any more.
        return from.bucket.delete(&from.key).await;
    }
    let kept = from.bucket.delete_moved(slice::from_ref(of)).await?;
    kept.into_iter()
        .next()
        .map_or(Ok(()), |(_, error)| Err(error))
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
        if let Some((place, copy, of)) = hidden {
            if !file.relocate(place.clone(), Some(&of), Some(copy)) {
                log::error!("{}: an unlinked file reads another version", place.key);
            }
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

    /// The version of the object of an inode, or of its marker, that was last known to be there.
    fn known_version(&self, ino: Ino) -> Option<Arc<ObjectVersion>> {
        let place = self.place(ino).ok()?;
        let open = self
            .open
            .file(ino)
            .and_then(|open| open.file.stat().version);
        let known = match &self.tree.node(ino)?.state {
            NodeState::File(file) => file.known.as_ref(),
            NodeState::Directory(directory) => directory.marker.as_ref(),
        };
        let known = known.and_then(|known| known.version(place.bucket.name(), &place.key));
        open.filter(|version| place.holds(version)).or(known)
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
        self.names_in(parent).forget(name);
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
