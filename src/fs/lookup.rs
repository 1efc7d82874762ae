//! From names to inodes: lookup, forget, getattr. Asks the store only when memory cannot tell.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Instant;

use crate::file::Place;
use crate::fs::state::Found;
use crate::fs::{Fh, Fs, FsError, FsResult, Pinned, Trusted, entry_name};
use crate::namespace::knowledge::Known;
use crate::namespace::{Attr, Ino, Kind};
use crate::object::ObjectKey;
use crate::store::{ListRequest, ObjectStat, StoreError, StoreResult};

impl Fs {
    /// The entry `name` of `parent`; counts one lookup. 1 HEAD + 1 LIST when nothing is known.
    ///
    /// # Errors
    /// [`FsError::NoEntry`], errors of the name and of the store.
    pub async fn lookup(&self, parent: Ino, name: &OsStr) -> FsResult<Trusted<Attr>> {
        let name = entry_name(name)?;
        loop {
            let found = self.resolve(parent, &name).await?.ok_or(FsError::NoEntry)?;
            let mut state = self.state();
            // What is known may have been given up meanwhile; then the store is asked again.
            if let Some(trusted) = state.trusted(found.ino) {
                state.tree.count_lookup(found.ino);
                drop(state);
                return Ok(trusted);
            }
        }
    }

    /// The kernel forgot `count` lookups.
    pub fn forget(&self, ino: Ino, count: u64) {
        self.state().tree.forget(ino, count);
    }

    /// Attributes. An open file shows the version it was opened on and what was written since.
    ///
    /// # Errors
    /// [`FsError::NoEntry`] when the object is gone, errors of the store.
    pub async fn getattr(&self, ino: Ino, _fh: Option<Fh>) -> FsResult<Trusted<Attr>> {
        let _pin = self.pin(ino)?;
        let ttl = self.shared.bounds.attr_ttl;
        if let Some(known) = self.known_attr(ino, |at| at.elapsed() < ttl) {
            return Ok(known);
        }
        let _held = self.acquire(|state| state.path_shared(ino)).await?;
        if let Some(known) = self.known_attr(ino, |at| at.elapsed() < ttl) {
            return Ok(known);
        }
        let (place, kind) = {
            let state = self.state();
            let kind = state.tree.node(ino).ok_or(FsError::UnknownInode)?.kind();
            (state.place(ino)?, kind)
        };
        let asked = Instant::now();
        let found = match kind {
            Kind::File => self
                .head_if_any(&place)
                .await?
                .map_or(Found::Absent, Found::File),
            Kind::Directory => self.list_directory(&place).await?,
        };
        self.learn_inode(ino, asked, found)
    }

    fn known_attr(&self, ino: Ino, trusted: impl Fn(Instant) -> bool) -> Option<Trusted<Attr>> {
        let state = self.state();
        // A file without a name that is not open shows what was last known of it.
        let unlinked = state.tree.node(ino).is_some_and(|node| !node.is_linked());
        (unlinked || state.is_known(ino, trusted))
            .then(|| state.trusted(ino))
            .flatten()
    }

    fn learn_inode(&self, ino: Ino, asked: Instant, found: Found) -> FsResult<Trusted<Attr>> {
        let mut state = self.state();
        let node = state.tree.node(ino).ok_or(FsError::UnknownInode)?;
        if node.is_linked() {
            let (parent, name) = (node.parent(), Arc::clone(node.name()));
            if state.learn(parent, &name, asked, found)? != Some(ino) {
                return Err(FsError::NoEntry);
            }
        }
        state.trusted(ino).ok_or(FsError::NoEntry)
    }

    /// The inode under a name, pinned; `None` when there is nothing.
    pub(super) async fn resolve(
        &self,
        parent: Ino,
        name: &Arc<str>,
    ) -> FsResult<Option<Pinned<'_>>> {
        let ttl = self.shared.bounds.attr_ttl;
        let _pin = self.pin(parent)?;
        if let Some(answer) = self.remembered(parent, name)? {
            return Ok(answer);
        }
        let _held = self.acquire(|state| state.path_shared(parent)).await?;
        if let Some(answer) = self.remembered(parent, name)? {
            return Ok(answer);
        }
        let (place, was) = {
            let state = self.state();
            let child = state
                .tree
                .child(parent, name)
                .and_then(|ino| state.tree.node(ino));
            (
                state.child_place(parent, name)?,
                child.map(|node| node.kind()),
            )
        };
        log::trace!("{}: not known, or longer than {ttl:?} ago", place.key);
        let asked = Instant::now();
        let found = self.ask(&place, was).await?;
        let mut state = self.state();
        let ino = state.learn(parent, name, asked, found)?;
        Ok(ino.map(|ino| self.pinned(&mut state, ino)))
    }

    fn remembered(&self, parent: Ino, name: &Arc<str>) -> FsResult<Option<Option<Pinned<'_>>>> {
        let ttl = self.shared.bounds.attr_ttl;
        let mut state = self.state();
        let answer = state.remembered(parent, name, |at| at.elapsed() < ttl)?;
        Ok(answer.map(|found| found.map(|ino| self.pinned(&mut state, ino))))
    }

    /// What is under a name: the directory, when both an object and keys below it are there.
    async fn ask(&self, place: &Place, was: Option<Kind>) -> FsResult<Found> {
        let directory = Place {
            bucket: Arc::clone(&place.bucket),
            key: with_slash(place.key.as_str()),
        };
        if was == Some(Kind::Directory) {
            // Most likely still one, whatever else is there: one request less.
            if let found @ Found::Directory(_) = self.list_directory(&directory).await? {
                return Ok(found);
            }
            return Ok(self
                .head_if_any(place)
                .await?
                .map_or(Found::Absent, Found::File));
        }
        let (object, below) =
            tokio::try_join!(self.head_if_any(place), self.list_directory(&directory))?;
        Ok(match (object, below) {
            (object, found @ Found::Directory(_)) => {
                if object.is_some() {
                    log::warn!("{}: hidden by the keys below {}", place.key, directory.key);
                }
                found
            }
            (Some(stat), _) => Found::File(stat),
            (None, _) => Found::Absent,
        })
    }

    /// The object of a place, if there is one.
    pub(super) async fn head_if_any(&self, place: &Place) -> StoreResult<Option<ObjectStat>> {
        match place.bucket.head(&place.key).await {
            Ok(stat) => Ok(Some(stat)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether there are keys below a directory's key.
    async fn list_directory(&self, place: &Place) -> StoreResult<Found> {
        let prefix = place.key.as_str().to_owned();
        let request = ListRequest {
            prefix,
            page_max: Some(1),
            ..ListRequest::default()
        };
        let page = place.bucket.list(&request).await?;
        Ok(match page.objects.first() {
            Some(first) if first.key == place.key => Found::Directory(Some(first.modified)),
            Some(_) => Found::Directory(None),
            None => Found::Absent,
        })
    }

    /// The object of a file that is not open: what is known and fresh, else what HEAD tells.
    /// Only HEAD tells the headers.
    pub(super) async fn object(
        &self,
        ino: Ino,
        place: &Place,
        headers: bool,
    ) -> FsResult<ObjectStat> {
        let ttl = self.shared.bounds.attr_ttl;
        let known = self
            .state()
            .tree
            .file_mut(ino)
            .and_then(|file| file.known.clone());
        if let Some(known) = known.filter(|known| known.is_fresh(ttl))
            && (known.headers.is_some() || !headers)
            && let Some(version) = known.version(place.bucket.name(), &place.key)
        {
            let headers = known.headers.as_deref().cloned().unwrap_or_default();
            return Ok(ObjectStat {
                version,
                modified: known.modified,
                headers,
            });
        }
        let asked = Instant::now();
        let found = self.head_if_any(place).await?;
        let mut state = self.state();
        match found {
            Some(stat) => {
                if let Some(file) = state.tree.file_mut(ino) {
                    file.known = Some(Known::of_stat(&stat, asked));
                }
                Ok(stat)
            }
            None => {
                if let Some(file) = state.tree.file_mut(ino) {
                    file.known = None;
                }
                Err(FsError::NoEntry)
            }
        }
    }
}

/// The key of the directory whose file's key this would be.
pub(super) fn with_slash(key: &str) -> ObjectKey {
    ObjectKey::new(format!("{key}/"))
}
