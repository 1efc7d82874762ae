//! New entries: create, mkdir, symlink, mknod.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::attributes::{Attributes, SET_GID};
use crate::config::Forced;
use crate::file::{Creation, File};
use crate::fs::lookup::{Want, with_slash};
use crate::fs::state::{State, directory_state, file_state};
use crate::fs::{Fs, FsError, FsResult, Ino, NewNode, OpenMode, Opened, Trusted};
use crate::lock::Guarded;
use crate::namespace::knowledge::{DIRECTORY_CONTENT_TYPE, Known};
use crate::namespace::names::{self, KEY_BYTES_MAX};
use crate::namespace::{Attr, Kind};
use crate::range::ByteRange;
use crate::readahead::Window;
use crate::store::{ObjectHeaders, Payload, Precondition, StoreError, Tags};

impl Fs {
    /// Makes a file and opens it; counts one lookup. Nothing is sent before the first commit: the
    /// file is seen here at once, and by others from then on.
    ///
    /// # Errors
    /// [`FsError::StaleInode`] when something is there, which the kernel did not know;
    /// [`FsError::Exists`] with an exclusive `mode`; errors of the name and of the store.
    pub async fn create(
        &self,
        parent: Ino,
        name: &OsStr,
        new: NewNode,
        mode: OpenMode,
    ) -> FsResult<(Trusted<Attr>, Opened)> {
        self.check_kept()?;
        let name = self.entry_name(name)?;
        self.check_entry(parent, &name)?;
        loop {
            if self.resolve(parent, &name).await?.is_some() {
                if mode.exclusive {
                    return Err(FsError::Exists);
                }
                // Only what it has looked up does the kernel ask for permission to open.
                return Err(FsError::StaleInode);
            }
            let beside = match names::is_beside(&name) {
                true => self.directory_beside(parent, &name).await?,
                false => None,
            };
            let _held = self.acquire(|state| state.path_shared(parent)).await?;
            let mut state = self.state();
            if state.tree.child(parent, &name).is_some() {
                continue; // Made meanwhile.
            }
            // With the directory there, the object's key is as good as any.
            let known = beside.as_ref().map_or(&*name, |_| names::in_key(&name));
            let place = state.child_place(parent, known)?;
            let creation = match mode {
                OpenMode {
                    exclusive: true, ..
                } => Creation::Exclusive,
                OpenMode { truncate: true, .. } => Creation::Replace,
                // That nothing is there may be a thing of the past.
                _ => Creation::IfAbsent,
            };
            let described = (
                self.file_headers(new.kind, names::in_key(&name)),
                state.attributes_of_new(parent, new),
            );
            let ino = state.insert(parent, &name, file_state(None));
            let file = state.open_file(ino, || {
                File::create(&self.shared, place, creation, described)
            });
            state.entries_changed(parent);
            state.tree.count_lookup(ino);
            let trusted = state.report(ino).expect("an open file has attributes");
            drop(state);
            return Ok((trusted, self.opened(ino, file, mode)));
        }
    }

    /// Makes a file with this content, in the store on return; counts one lookup. What it is
    /// `new.kind` says: a symbolic link's content is its target.
    ///
    /// # Errors
    /// [`FsError::Exists`]; errors of the name and of the store. Nothing is there then.
    pub async fn make(
        &self,
        parent: Ino,
        name: &OsStr,
        new: NewNode,
        content: &[u8],
    ) -> FsResult<Trusted<Attr>> {
        let mode = OpenMode {
            read: false,
            write: true,
            truncate: false,
            exclusive: true,
        };
        let (attr, Opened { fh, .. }) = self.create(parent, name, new, mode).await?;
        let handle = self.handles.file(fh)?;
        let written = handle.file.write(0, content).await.map_err(FsError::from);
        let flushed = match written {
            Ok(()) => self.flush(fh).await,
            failed => failed,
        };
        if let Err(error) = flushed {
            // Nobody but the caller was told of it yet: it goes without a trace.
            let ino = attr.value.ino;
            let held = handle.file.hold().await;
            let orphaned = match &held {
                Ok(held) => self.orphan(ino, Some(held)).await.unwrap_or_default(),
                Err(_) => None,
            };
            let gone = self.state().detach_buried(ino, orphaned);
            drop(held);
            self.end_buried(gone).await;
            let _ = self.release(fh).await;
            // The kernel gets no entry from a failed request, so it will never forget this lookup.
            self.forget(attr.value.ino, 1);
            return Err(error);
        }
        let made = self.state().report(attr.value.ino);
        self.release(fh).await?;
        made.ok_or(FsError::UnknownInode)
    }

    /// Makes a symbolic link; counts one lookup.
    ///
    /// # Errors
    /// As [`Self::make`].
    pub async fn symlink(
        &self,
        parent: Ino,
        name: &OsStr,
        new: NewNode,
        target: &OsStr,
    ) -> FsResult<Trusted<Attr>> {
        self.make(parent, name, new, target.as_encoded_bytes())
            .await
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// [`FsError::Invalid`] when it is none; errors of the store.
    pub async fn readlink(&self, ino: Ino) -> FsResult<bytes::Bytes> {
        let attr = self.getattr(ino, None).await?.value;
        if attr.kind != Kind::Symlink {
            return Err(FsError::Invalid {
                what: "not a symbolic link",
            });
        }
        let _pin = self.pin(ino)?;
        let file = self.content(ino, Want::Headers).await?;
        let window = Guarded::new(Window::new(0));
        let read = file.read(ByteRange::at(0, PATH_BYTES_MAX), &window).await;
        self.close(ino).await;
        Ok(read?)
    }

    /// Makes a directory (a marker object); counts one lookup.
    ///
    /// # Errors
    /// [`FsError::Exists`]; errors of the name and of the store.
    pub async fn mkdir(&self, parent: Ino, name: &OsStr, new: NewNode) -> FsResult<Trusted<Attr>> {
        self.check_kept()?;
        let name = self.entry_name(name)?;
        self.check_entry(parent, &name)?;
        if self.resolve(parent, &name).await?.is_some() {
            return Err(FsError::Exists);
        }
        let _held = self.acquire(|state| state.path_shared(parent)).await?;
        let (place, attributes) = {
            let mut state = self.state();
            let attributes = state.attributes_of_new(parent, new);
            (state.child_place(parent, &name)?, attributes)
        };
        let marker = with_slash(place.key.as_str());
        if marker.as_str().len() > KEY_BYTES_MAX {
            return Err(FsError::NameTooLong);
        }
        let mut headers = self.marker_headers();
        attributes.write_to(&mut headers.metadata, Kind::Directory);
        let (bucket, absent) = (&place.bucket, Precondition::Absent);
        let mut put = bucket.put(&marker, Payload::new(), &headers, &absent).await;
        if matches!(put, Err(StoreError::NotOffered { .. }))
            && self.state().are_default(parent, &attributes)
        {
            // The store keeps nothing of a directory, and shown it is the same.
            headers.metadata.clear();
            put = bucket.put(&marker, Payload::new(), &headers, &absent).await;
        }
        let version = match put {
            Ok(version) => version,
            Err(StoreError::Exists { .. } | StoreError::Overtaken { .. }) => {
                // Somebody else was faster: the next lookup asks.
                self.state().names_in(parent).forget(&name);
                return Err(FsError::Exists);
            }
            Err(error) => return Err(error.into()),
        };
        self.forget_stopped(&place);
        let known = Known::guessed(&version, Some(Arc::new(headers)), Instant::now());
        let mut state = self.state();
        let found = state.tree.child(parent, &name);
        let is_directory = |ino: &Ino| {
            state
                .tree
                .node(*ino)
                .is_some_and(|node| node.is_directory())
        };
        let ino = match found.filter(is_directory) {
            Some(ino) => ino,
            None => {
                let made = directory_state(Instant::now(), Some(known));
                state.insert(parent, &name, made)
            }
        };
        state.entries_changed(parent);
        state.tree.count_lookup(ino);
        state.report(ino).ok_or(FsError::UnknownInode)
    }

    /// The headers of a new marker object.
    pub(super) fn marker_headers(&self) -> ObjectHeaders {
        ObjectHeaders {
            content_type: Some(DIRECTORY_CONTENT_TYPE.into()),
            tags: Tags::These(self.new_objects.tags.clone()),
            ..ObjectHeaders::default()
        }
    }

    /// The headers of a new file of that name.
    fn file_headers(&self, kind: Kind, name: &str) -> ObjectHeaders {
        // Anything else is read to be shown, which some classes do not allow.
        let class = self.new_objects.storage_class.as_ref();
        ObjectHeaders {
            content_type: content_type(name),
            storage_class: class.filter(|_| kind == Kind::File).cloned(),
            tags: Tags::These(self.new_objects.tags.clone()),
            ..ObjectHeaders::default()
        }
    }
}

/// Longest target of a symbolic link in bytes (PATH_MAX of Linux).
const PATH_BYTES_MAX: u64 = 4096;

/// What the content of a file of that name is, most likely.
pub(super) fn content_type(name: &str) -> Option<String> {
    let guessed = mime_guess::from_path(name).first_raw();
    guessed.map(str::to_owned)
}

impl State {
    /// What a new entry of a directory is stored with.
    fn attributes_of_new(&mut self, parent: Ino, new: NewNode) -> Attributes {
        self.note_carrier(parent);
        let now = Some(SystemTime::now());
        let NewNode {
            kind,
            mut permissions,
            uid,
            mut gid,
            rdev,
        } = new;
        // A set-group-ID directory gives its group to what is made in it, and directories the bit
        // (inode(7)); the kernel leaves that to the filesystem.
        if let Some(parent) = self
            .stored_attr(parent)
            .filter(|attr| attr.mode & SET_GID != 0)
        {
            gid = parent.gid;
            if kind == Kind::Directory {
                permissions |= SET_GID;
            }
        }
        Attributes {
            kind: Some(kind),
            permissions: Some(permissions),
            uid: Some(uid),
            gid: Some(gid),
            rdev: (rdev != 0).then_some(rdev),
            mtime: now,
            atime: now,
            ctime: now,
        }
    }

    /// Whether a directory that has none of these stored shows the same as one that has.
    fn are_default(&self, parent: Ino, attributes: &Attributes) -> bool {
        let ownership = self.ownership(parent);
        let Forced { uid, gid, mode } = ownership.forced;
        (mode.is_some() || attributes.permissions == Some(ownership.dir_mode))
            && (uid.is_some() || attributes.uid == Some(ownership.uid))
            && (gid.is_some() || attributes.gid == Some(ownership.gid))
    }

    /// The entries of a directory changed.
    pub(super) fn entries_changed(&mut self, parent: Ino) {
        if let Some(directory) = self.tree.directory_mut(parent) {
            directory.times.modified = Some(SystemTime::now());
        }
    }
}
