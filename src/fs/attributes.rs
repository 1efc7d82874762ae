//! setattr: size, mode, owner, times. Attributes are edits of a file as its bytes are: they travel
//! with its next commit, and those of a closed file are committed a little later.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::attributes::{Attributes, SET_ID};
use crate::file::{Creation, File, Place, Seen};
use crate::fs::lookup::Want;
use crate::fs::state::{State, seen_of};
use crate::fs::{Fh, Fs, FsError, FsResult, Ino, SetAttr, SetTime, Trusted};
use crate::namespace::Attr;
use crate::namespace::tree::{Node, NodeState};
use crate::store::is_archive;

mod old_markers;

impl Fs {
    /// Changes attributes.
    ///
    /// Of a file that is not open a new size is durable on return; other attributes are seen at
    /// once and are durable after [`Bounds::attributes_delay`](crate::config::Bounds), fsync(2) or
    /// the end of the mount. If they cannot be stored, the next call on the file that can fail so
    /// tells why.
    ///
    /// # Errors
    /// [`FsError::NotPermitted`] on the top directory of a bucket, which has no object;
    /// [`FsError::IsDirectory`], [`FsError::BadHandle`], [`FsError::File`].
    pub async fn setattr(&self, ino: Ino, fh: Option<Fh>, set: SetAttr) -> FsResult<Trusted<Attr>> {
        let _pin = self.pin(ino)?;
        self.state().take_late(ino)?;
        if let Some(size) = set.size {
            self.set_size(ino, fh, size, set.kills_set_id).await?;
        }
        if set.is_empty() {
            // file_remove_privs(), fs/inode.c: the kernel is about to write, and asks for the
            // set-id bits to go.
            if self.getattr(ino, fh).await?.value.mode & SET_ID != 0 {
                self.describe(ino, |attributes| {
                    attributes.drop_set_id();
                })
                .await?;
            }
        } else if set.describes() {
            if self.state().is_top(ino) {
                let shown = self.getattr(ino, fh).await?.value;
                self.set_top(ino, &shown, set)?;
            } else {
                let is_directory = self.state().node(ino)?.is_directory();
                self.describe(ino, |attributes| set.write_to(attributes, is_directory))
                    .await?;
                self.state().times_set(ino, &set);
            }
        }
        self.getattr(ino, fh).await
    }

    /// Changes the attributes of a file or directory, to be stored with others.
    pub(super) async fn describe(
        &self,
        ino: Ino,
        change: impl FnOnce(&mut Attributes),
    ) -> FsResult<()> {
        let file = self.described(ino).await?;
        file.describe(|_, attributes| change(attributes));
        self.close_described(ino).await
    }

    /// The content of a file, or a directory's marker, whose headers are known; one handle more
    /// counted, which [`Self::close_described`] ends.
    pub(super) async fn described(&self, ino: Ino) -> FsResult<Arc<File>> {
        if self.state().node(ino)?.is_directory() {
            self.marker(ino).await
        } else {
            self.content(ino, Want::Headers).await
        }
    }

    /// Lets changed headers wait for others; stores them now when enough are waiting.
    pub(super) async fn close_described(&self, ino: Ino) -> FsResult<()> {
        {
            let mut state = self.state();
            let parent = state.node(ino)?.parent();
            state.note_carrier(parent);
        }
        let stored = if self.defers_no_more() {
            self.commit(ino).await
        } else {
            let mut state = self.state();
            let is_directory = state.node(ino)?.is_directory();
            if let Some(open) = state.open.file_mut(ino)
                && !open.orphan
                && (is_directory || open.file.stat().version.is_some())
            {
                open.deferred.get_or_insert_with(Instant::now);
                self.attributes_changed.notify_one();
            }
            Ok(())
        };
        self.close(ino).await;
        stored
    }

    /// Ends [`Self::described`] when nothing was changed.
    pub(super) async fn close_unchanged(&self, ino: Ino, file: &Arc<File>) {
        let is_new_marker = {
            let state = self.state();
            let open = state.open.file(ino);
            let is_unchanged =
                open.is_some_and(|open| open.handles == 1 && open.deferred.is_none());
            is_unchanged && state.node(ino).is_ok_and(Node::is_directory)
        };
        if is_new_marker && file.stat().version.is_none() {
            // A marker that is not needed after all.
            file.discard().await;
        }
        self.close(ino).await;
    }

    /// The marker object of a directory as a file of no bytes.
    async fn marker(&self, ino: Ino) -> FsResult<Arc<File>> {
        self.renew_marker(ino).await?;
        let ttl = self.shared.bounds.attr_ttl;
        let known = {
            let mut state = self.state();
            if let Some(open) = state.open.file_mut(ino) {
                open.handles += 1;
                return Ok(Arc::clone(&open.file));
            }
            match &state.node(ino)?.state {
                NodeState::Directory(directory) => directory.marker.clone(),
                NodeState::File(_) => None,
            }
        };
        let _held = self.acquire(|state| state.path_shared(ino)).await?;
        let place = self.state().place(ino)?;
        let is_described = |seen: &Seen| seen.headers.is_some();
        let known = known.filter(|known| known.is_fresh(ttl));
        let seen = known.and_then(|known| seen_of(&known, &place));
        let seen = match seen.filter(is_described) {
            Some(seen) => Some(seen),
            None => {
                let asked = Instant::now();
                let found = self.head_if_any(&place).await?;
                found.map(|stat| Seen::of_stat(&stat, asked))
            }
        };
        let make = || match &seen {
            Some(seen) => File::of_object(&self.shared, place.clone(), seen),
            None => self.new_marker(place.clone()),
        };
        Ok(self.state().open_file(ino, make))
    }

    fn new_marker(&self, place: Place) -> Arc<File> {
        let described = (self.marker_headers(), Attributes::default());
        File::create(&self.shared, place, Creation::IfAbsent, described)
    }

    /// The top directory of a source has no object of its own. Times set on it are shown until the
    /// mount ends, for the sake of rsync(1) and tar(1).
    fn set_top(&self, ino: Ino, shown: &Attr, set: SetAttr) -> FsResult<()> {
        let differs = |wanted: Option<u32>, now: u32| wanted.is_some_and(|wanted| wanted != now);
        if differs(set.mode.map(u32::from), u32::from(shown.mode))
            || differs(set.uid, shown.uid)
            || differs(set.gid, shown.gid)
        {
            return Err(FsError::NotPermitted {
                what: "owner and mode of the top directory; mount with uid, gid and mp_umask",
            });
        }
        if let Some(directory) = self.state().tree.directory_mut(ino) {
            let (times, now) = (&mut directory.times, SystemTime::now());
            let time = |set: Option<SetTime>| set.map(|set| set.time(now));
            times.modified = time(set.mtime).or(times.modified);
            times.accessed = time(set.atime).or(times.accessed);
            times.changed = Some(now);
        }
        Ok(())
    }

    /// Cuts or extends a file. One that was in an archive and is cut to nothing gets the storage
    /// class of new files: who writes it again could not read it there.
    pub(super) async fn set_len(&self, file: &Arc<File>, size: u64) -> FsResult<()> {
        file.set_len(size).await?;
        let class = file.headers().storage_class;
        if size == 0 && class.as_deref().is_some_and(is_archive) {
            let new = self.new_objects.storage_class.clone();
            file.describe(|headers, _| headers.storage_class = new);
        }
        Ok(())
    }

    async fn set_size(
        &self,
        ino: Ino,
        fh: Option<Fh>,
        size: u64,
        kills_set_id: bool,
    ) -> FsResult<()> {
        if let Some(fh) = fh {
            let handle = self.handles.writable(fh)?;
            self.set_len(&handle.file, size).await?;
            if kills_set_id {
                drop_set_id(&handle.file);
            }
            return Ok(());
        }
        if self.state().node(ino)?.is_directory() {
            return Err(FsError::IsDirectory);
        }
        let file = self.content(ino, Want::Headers).await?;
        let mut done = self.set_len(&file, size).await;
        if kills_set_id {
            drop_set_id(&file);
        }
        let alone = {
            let state = self.state();
            state.open.file(ino).is_some_and(|open| open.handles == 1)
        };
        // With other handles open, their close publishes, together with what they write.
        if done.is_ok() && alone {
            done = self.commit(ino).await;
        }
        self.close(ino).await;
        // By now that may have been the last.
        done.and(self.state().take_late(ino))
    }

    /// A write by somebody who is not root takes the set-id bits away: write(2).
    pub fn kill_set_id(&self, fh: Fh) {
        if let Ok(handle) = self.handles.file(fh) {
            drop_set_id(&handle.file);
        }
    }
}

impl State {
    pub(super) fn is_top(&self, ino: Ino) -> bool {
        self.tree.top(ino).is_some() || self.tree.is_synthetic(ino)
    }

    /// Times that were set by hand count more than those seen here before.
    fn times_set(&mut self, ino: Ino, set: &SetAttr) {
        let times = match self.tree.node_mut(ino).map(|node| &mut node.state) {
            Some(NodeState::File(node)) => &mut node.times,
            Some(NodeState::Directory(node)) => &mut node.times,
            None => return,
        };
        if set.atime.is_some() {
            times.accessed = None;
        }
        if set.mtime.is_some() {
            times.modified = None;
        }
    }
}

fn drop_set_id(file: &Arc<File>) {
    if file.stat().attributes.drop_set_id() {
        file.describe(|_, attributes| attributes.drop_set_id());
    }
}

impl SetAttr {
    /// Whether nothing is to change.
    fn is_empty(&self) -> bool {
        self.size.is_none() && !self.describes()
    }

    /// Whether more than the size is to change.
    fn describes(&self) -> bool {
        let Self {
            size: _,
            kills_set_id: _,
            mode,
            uid,
            gid,
            atime,
            mtime,
        } = self;
        mode.is_some() || uid.is_some() || gid.is_some() || atime.is_some() || mtime.is_some()
    }

    fn write_to(self, attributes: &mut Attributes, is_directory: bool) {
        if !is_directory && (self.uid.is_some() || self.gid.is_some()) {
            attributes.drop_set_id();
        }
        let now = SystemTime::now();
        let time = |set: Option<SetTime>| set.map(|set| set.time(now));
        attributes.permissions = self.mode.or(attributes.permissions);
        attributes.uid = self.uid.or(attributes.uid);
        attributes.gid = self.gid.or(attributes.gid);
        attributes.atime = time(self.atime).or(attributes.atime);
        attributes.mtime = time(self.mtime).or(attributes.mtime);
    }
}

impl SetTime {
    fn time(self, now: SystemTime) -> SystemTime {
        match self {
            Self::Now => now,
            Self::At(time) => time,
        }
    }
}
