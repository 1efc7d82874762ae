//! New entries: create and mkdir.

use std::ffi::OsStr;
use std::time::{Instant, SystemTime};

use crate::file::{Creation, File};
use crate::fs::lookup::with_slash;
use crate::fs::state::{directory_state, file_state};
use crate::fs::{Fs, FsError, FsResult, Ino, OpenMode, Opened, Trusted, entry_name};
use crate::namespace::names::KEY_BYTES_MAX;
use crate::namespace::{Attr, Kind};
use crate::store::{ObjectHeaders, Payload, Precondition, StoreError};

/// The content type of a marker object, as s3fs-fuse and others write it.
const DIRECTORY_CONTENT_TYPE: &str = "application/x-directory";

impl Fs {
    /// Makes a file and opens it; counts one lookup. Nothing is sent before the first commit: the
    /// file is seen here at once, and by others from then on. Opens the file that is there, unless
    /// `mode` is exclusive.
    ///
    /// # Errors
    /// [`FsError::Exists`], [`FsError::IsDirectory`]; errors of the name and of the store.
    pub async fn create(
        &self,
        parent: Ino,
        name: &OsStr,
        mode: OpenMode,
    ) -> FsResult<(Trusted<Attr>, Opened)> {
        let name = entry_name(name)?;
        self.check_entry(parent, &name)?;
        loop {
            if let Some(found) = self.resolve(parent, &name).await? {
                if mode.exclusive {
                    return Err(FsError::Exists);
                }
                let opened = self.open(found.ino, mode).await?;
                let mut state = self.state();
                let trusted = state.trusted(found.ino).ok_or(FsError::UnknownInode)?;
                state.tree.count_lookup(found.ino);
                drop(state);
                return Ok((trusted, opened));
            }
            let _held = self.acquire(|state| state.path_shared(parent)).await?;
            let mut state = self.state();
            if state.tree.child(parent, &name).is_some() {
                continue; // Made meanwhile.
            }
            let place = state.child_place(parent, &name)?;
            let creation = if mode.exclusive {
                Creation::Exclusive
            } else {
                Creation::Replace
            };
            let ino = state.insert(parent, &name, file_state(None));
            let file = state.open_file(ino, || File::create(&self.shared, place, creation));
            state.tree.count_lookup(ino);
            let trusted = state.trusted(ino).expect("an open file has attributes");
            drop(state);
            return Ok((trusted, self.opened(ino, file, mode)));
        }
    }

    /// Makes a directory (a marker object); counts one lookup.
    ///
    /// # Errors
    /// [`FsError::Exists`]; errors of the name and of the store.
    pub async fn mkdir(&self, parent: Ino, name: &OsStr) -> FsResult<Trusted<Attr>> {
        let name = entry_name(name)?;
        self.check_entry(parent, &name)?;
        if self.resolve(parent, &name).await?.is_some() {
            return Err(FsError::Exists);
        }
        let _held = self.acquire(|state| state.path_shared(parent)).await?;
        let place = self.state().child_place(parent, &name)?;
        let marker = with_slash(place.key.as_str());
        if marker.as_str().len() > KEY_BYTES_MAX {
            return Err(FsError::NameTooLong);
        }
        let headers = ObjectHeaders {
            content_type: Some(DIRECTORY_CONTENT_TYPE.into()),
            ..ObjectHeaders::default()
        };
        let put = place
            .bucket
            .put(&marker, Payload::new(), &headers, &Precondition::Absent);
        match put.await {
            Ok(_) => {}
            Err(StoreError::Exists { .. }) => {
                // Somebody else was faster: the next lookup asks.
                self.state().names.forget(parent, &name);
                return Err(FsError::Exists);
            }
            Err(error) => return Err(error.into()),
        }
        let mut state = self.state();
        let found = state.tree.child(parent, &name);
        let directory = |ino: &Ino| {
            state
                .tree
                .node(*ino)
                .is_some_and(|node| node.kind() == Kind::Directory)
        };
        let ino = match found.filter(directory) {
            Some(ino) => ino,
            None => {
                let made = directory_state(Instant::now(), Some(SystemTime::now()));
                state.insert(parent, &name, made)
            }
        };
        state.tree.count_lookup(ino);
        state.trusted(ino).ok_or(FsError::UnknownInode)
    }
}
