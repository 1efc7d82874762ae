//! From names to inodes: lookup, forget, getattr. Asks the store only when memory cannot tell.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Instant;

use crate::file::{Place, Seen};
use crate::fs::state::{Found, State, seen_of};
use crate::fs::{Fh, Fs, FsError, FsResult, Pinned, Trusted};
use crate::namespace::knowledge::{Known, Named};
use crate::namespace::tree::{Node, NodeState};
use crate::namespace::{Attr, Ino, names};
use crate::object::ObjectKey;
use crate::store::{ListRequest, ObjectStat, StoreError, StoreResult};

impl Fs {
    /// The entry `name` of `parent`; counts one lookup. 1 HEAD + 1 LIST when nothing is known.
    ///
    /// # Errors
    /// [`FsError::NoEntry`], errors of the name and of the store.
    pub async fn lookup(&self, parent: Ino, name: &OsStr) -> FsResult<Trusted<Attr>> {
        self.check_kept()?;
        let name = self.entry_name(name)?;
        loop {
            let found = self.resolve(parent, &name).await?.ok_or(FsError::NoEntry)?;
            let mut state = self.state();
            let ino = state.renumber(found.ino);
            // What is known may have been given up meanwhile; then the store is asked again.
            if let Some(trusted) = state.report(ino) {
                state.tree.count_lookup(ino);
                drop(state);
                return Ok(trusted);
            }
        }
    }

    /// The kernel forgot `count` lookups.
    pub fn forget(&self, ino: Ino, count: u64) {
        self.state().tree.forget(ino, count);
    }

    /// Attributes. An open file shows the version it was opened on and what was written since, also
    /// when another has its name by now: the kernel does not say whether a descriptor is asked for
    /// (fstat(2)) or a path.
    ///
    /// # Errors
    /// [`FsError::StaleInode`] when the object is gone, errors of the store.
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
        let (place, was) = {
            let state = self.state();
            (state.place(ino)?, Was::of(state.node(ino)?))
        };
        let asked = Instant::now();
        let found = match was {
            Was::Directory(marker) => self.ask_directory(&place, marker).await?,
            Was::File | Was::Unknown => self
                .head_if_any(&place)
                .await?
                .map_or(Found::Absent, Found::File),
        };
        self.learn_inode(ino, asked, found)
    }

    fn known_attr(&self, ino: Ino, trusted: impl Fn(Instant) -> bool) -> Option<Trusted<Attr>> {
        let mut state = self.state();
        // A file without a name that is not open shows what was last known of it.
        let unlinked = state.tree.node(ino).is_some_and(|node| !node.is_linked());
        (unlinked || (state.is_known(ino, trusted) && state.is_told(ino)))
            .then(|| state.report(ino))
            .flatten()
    }

    fn learn_inode(&self, ino: Ino, asked: Instant, found: Found) -> FsResult<Trusted<Attr>> {
        let mut state = self.state();
        let node = state.tree.node(ino).ok_or(FsError::UnknownInode)?;
        if node.is_linked() {
            let (parent, name) = (node.parent(), Arc::clone(node.name()));
            let named = state.learn(parent, &name, asked, found)?;
            if named != Some(ino) && state.open.file(ino).is_none() {
                return Err(FsError::StaleInode);
            }
        }
        state.report(ino).ok_or(FsError::StaleInode)
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
        if names::is_beside(name) && self.directory_beside(parent, name).await?.is_none() {
            return Ok(None);
        }
        let _held = self.acquire(|state| state.path_shared(parent)).await?;
        if let Some(answer) = self.remembered(parent, name)? {
            return Ok(answer);
        }
        let (place, was) = {
            let mut state = self.state();
            let place = state.child_place(parent, names::in_key(name))?;
            (place, state.was(parent, name, |at| at.elapsed() < ttl))
        };
        log::trace!("{}: not known, or longer than {ttl:?} ago", place.key);
        let asked = Instant::now();
        let found = if names::is_beside(name) {
            let object = self.head_if_any(&place).await?;
            object.map_or(Found::Absent, Found::File)
        } else {
            self.ask(&place, was).await?
        };
        let mut state = self.state();
        let ino = state.learn(parent, name, asked, found)?;
        Ok(ino.map(|ino| self.pinned(&mut state, ino)))
    }

    /// The directory that an object under such a name is beside; `None` when there is none, and so
    /// no such name.
    pub(super) async fn directory_beside(
        &self,
        parent: Ino,
        name: &str,
    ) -> FsResult<Option<Pinned<'_>>> {
        let directory = Arc::from(names::in_key(name));
        let Some(found) = Box::pin(self.resolve(parent, &directory)).await? else {
            return Ok(None);
        };
        let is_directory = self.state().tree.directory_mut(found.ino).is_some();
        Ok(is_directory.then_some(found))
    }

    fn remembered(&self, parent: Ino, name: &Arc<str>) -> FsResult<Option<Option<Pinned<'_>>>> {
        let ttl = self.shared.bounds.attr_ttl;
        let mut state = self.state();
        let answer = state.remembered(parent, name, |at| at.elapsed() < ttl)?;
        Ok(answer.map(|found| found.map(|ino| self.pinned(&mut state, ino))))
    }

    /// What is under a name: the directory, when both an object and keys below it are there. The
    /// object has another name then.
    async fn ask(&self, place: &Place, was: Was) -> FsResult<Found> {
        let directory = Place {
            bucket: Arc::clone(&place.bucket),
            key: with_slash(place.key.as_str()),
        };
        let object = async || {
            let asked = Instant::now();
            let found = self.head_if_any(place).await?;
            StoreResult::Ok(match found {
                None => Found::Absent,
                Some(stat) => match Known::of_stat(&stat, asked) {
                    known if known.is_old_marker => Found::Directory(Some(known)),
                    _ => Found::File(stat),
                },
            })
        };
        match was {
            // Just listed, as an object without keys below it.
            Was::File => Ok(object().await?),
            Was::Directory(marker) => {
                // Most likely still one, whatever else is there: one request less.
                match self.ask_directory(&directory, marker).await? {
                    found @ Found::Directory(_) => Ok(found),
                    _ => Ok(object().await?),
                }
            }
            Was::Unknown => {
                let (object, below) =
                    tokio::try_join!(object(), self.list_directory(&directory, None))?;
                Ok(match (below, object) {
                    (Found::Directory(None), marker @ Found::Directory(_)) => marker,
                    (found @ Found::Directory(_), _) => found,
                    (_, object) => object,
                })
            }
        }
    }

    /// The object of a place, if there is one.
    pub(super) async fn head_if_any(&self, place: &Place) -> StoreResult<Option<ObjectStat>> {
        match place.bucket.head(&place.key).await {
            Ok(stat) => Ok(Some(stat)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is known of a directory, whose marker `before` may have its key without the slash.
    async fn ask_directory(&self, place: &Place, before: Option<Known>) -> StoreResult<Found> {
        let old_marker = before.as_ref().filter(|known| known.is_old_marker);
        let old_marker = old_marker.map(|_| without_slash(place));
        let found = self.list_directory(place, before).await?;
        let (Found::Absent | Found::Directory(None), Some(old_marker)) = (&found, old_marker)
        else {
            return Ok(found);
        };
        let asked = Instant::now();
        let stat = self.head_if_any(&old_marker).await?;
        let known = stat.map(|stat| Known::of_stat(&stat, asked));
        let known = known.filter(|known| known.is_old_marker);
        Ok(known.map_or(found, |known| Found::Directory(Some(known))))
    }

    /// Whether there are keys below a directory's key, and what its marker tells. HEAD is asked for
    /// that only if it is not the marker known `before`.
    ///
    /// Whether a directory is there is asked by folded listings only, as readdir does: SeaweedFS
    /// shows in them, and nowhere else, one that lost its last object.
    async fn list_directory(&self, place: &Place, before: Option<Known>) -> StoreResult<Found> {
        let prefix = place.key.as_str().to_owned();
        let request = ListRequest {
            prefix,
            fold: true,
            page_max: Some(1),
            continuation: None,
        };
        let asked = Instant::now();
        let page = place.bucket.list(&request).await?;
        let Some(first) = page.objects.first().filter(|first| first.key == place.key) else {
            return Ok(match page.objects.is_empty() && page.prefixes.is_empty() {
                true => Found::Absent,
                false => Found::Directory(None),
            });
        };
        let listed = Known::of_listed(first, asked).after(before.as_ref());
        if listed.is_told || !self.state().carriers.are_wanted() {
            return Ok(Found::Directory(Some(listed)));
        }
        let asked = Instant::now();
        let marker = self.head_if_any(place).await?;
        Ok(Found::Directory(
            marker.map(|stat| Known::of_stat(&stat, asked)),
        ))
    }

    /// The object of a file that has a name: what is known and fresh, as far as that goes, else
    /// what HEAD tells.
    ///
    /// # Errors
    /// [`FsError::StaleInode`] when the object is gone, or is another than the one that the file
    /// is open on.
    pub(super) async fn object(&self, ino: Ino, place: &Place, want: Want) -> FsResult<Seen> {
        let ttl = self.shared.bounds.attr_ttl;
        let known = {
            let mut state = self.state();
            state.learn_own_content(ino);
            state.tree.file(ino).and_then(|file| file.known.clone())
        };
        if let Some(known) = known.filter(|known| known.is_fresh(ttl))
            && match want {
                Want::Anything => true,
                Want::Headers => known.headers.is_some(),
                Want::Current => false,
            }
            && let Some(seen) = seen_of(&known, place)
        {
            return Ok(seen);
        }
        let asked = Instant::now();
        let found = self.head_if_any(place).await?;
        let mut state = self.state();
        let Some(stat) = found else {
            state.learn_absence(ino, asked);
            return Err(FsError::StaleInode);
        };
        match state.learn_object(ino, Known::of_stat(&stat, asked)) {
            named if named == ino => Ok(Seen::of_stat(&stat, asked)),
            _ => Err(FsError::StaleInode),
        }
    }
}

impl State {
    /// What a name was when the store was last asked, and its marker if it was a directory.
    fn was(&mut self, parent: Ino, name: &Arc<str>, trusted: impl Fn(Instant) -> bool) -> Was {
        if let Some(child) = self.tree.child(parent, name) {
            let is_fresh = self.is_known(child, trusted);
            return match self.tree.node(child).map(Was::of) {
                // What was an object may have keys below it by now.
                Some(Was::File) if !is_fresh => Was::Unknown,
                Some(was) => was,
                None => Was::Unknown,
            };
        }
        let known = self.names_in(parent).name(name);
        match known.map(|known| (&known.named, known.at)) {
            Some((Named::File(_), at)) if trusted(at) => Was::File,
            Some((Named::Directory(marker), _)) => Was::Directory(marker.clone()),
            _ => Was::Unknown,
        }
    }
}

/// How much has to be known of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    /// Version and size, as trusted.
    Anything,
    /// The headers too, as trusted.
    Headers,
    /// All of it, as it is now.
    Current,
}

/// What is remembered of a name that has to be asked for again.
#[derive(Debug)]
enum Was {
    Unknown,
    File,
    Directory(Option<Known>),
}

impl Was {
    fn of(node: &Node) -> Self {
        match &node.state {
            NodeState::Directory(directory) => Self::Directory(directory.marker.clone()),
            NodeState::File(_) => Self::File,
        }
    }
}

/// The key of the directory whose file's key this would be.
pub(super) fn with_slash(key: &str) -> ObjectKey {
    ObjectKey::new(format!("{key}/"))
}

/// The place of the object that marks a directory by the key without the slash.
pub(super) fn without_slash(directory: &Place) -> Place {
    let key = directory.key.as_str();
    Place {
        bucket: Arc::clone(&directory.bucket),
        key: ObjectKey::new(key.strip_suffix('/').unwrap_or(key)),
    }
}
