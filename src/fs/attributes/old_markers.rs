//! Directories marked by an object under their key without the slash, as s3fs-fuse once made them.
//! They are shown as they are, and get the usual marker before they are changed.

use std::sync::Arc;
use std::time::Instant;

use crate::file::Place;
use crate::fs::lookup::without_slash;
use crate::fs::remove::delete_moved;
use crate::fs::state::State;
use crate::fs::{Fs, FsError, FsResult, Ino};
use crate::namespace::knowledge::Known;
use crate::namespace::tree::NodeState;
use crate::store::{CopyHeaders, Precondition, StoreError};

impl Fs {
    /// Gives a directory whose marker has the key without the slash the usual one. 1 HEAD, 1 COPY
    /// and 1 DELETE, once.
    pub(in crate::fs) async fn renew_marker(&self, ino: Ino) -> FsResult<()> {
        let (old, place) = {
            let state = self.state();
            if !state.has_old_marker(ino) {
                return Ok(());
            }
            (state.marker_place(ino)?, state.place(ino)?)
        };
        let Some(stat) = self.head_if_any(&old).await? else {
            return Ok(());
        };
        if !Known::of_stat(&stat, Instant::now()).is_old_marker {
            return Ok(());
        }
        let headers = CopyHeaders::Keep {
            storage_class: stat.headers.storage_class.clone(),
        };
        let absent = Precondition::Absent;
        let copied = place
            .bucket
            .copy(&stat.version, &place.key, &headers, &absent);
        let marker = match copied.await {
            Ok(version) => {
                let headers = Some(Arc::new(stat.headers.clone()));
                Some(Known::guessed(&version, headers, Instant::now()))
            }
            Err(StoreError::Exists { .. } | StoreError::Overtaken { .. }) => {
                // Another client, or a process that was killed, has made one; or the store takes
                // the key with the slash for the old one, as SeaweedFS does, and there is none.
                if self.head_if_any(&place).await?.is_none() {
                    return Err(FsError::NotSupported {
                        what: "a change of a directory of an old s3fs-fuse in this store",
                    });
                }
                None
            }
            Err(error) => return Err(error.into()),
        };
        delete_moved(&old, &stat.version).await?;
        if let Some(directory) = self.state().tree.directory_mut(ino) {
            directory.marker_at = marker.as_ref().map(|marker| marker.at);
            directory.marker = marker;
        }
        Ok(())
    }
}

impl State {
    fn has_old_marker(&self, ino: Ino) -> bool {
        match self.tree.node(ino).map(|node| &node.state) {
            Some(NodeState::Directory(directory)) => {
                let marker = directory.marker.as_ref();
                marker.is_some_and(|marker| marker.is_old_marker)
            }
            Some(NodeState::File(_)) | None => false,
        }
    }

    /// Where the object of a directory is that tells its attributes.
    pub(in crate::fs) fn marker_place(&self, ino: Ino) -> FsResult<Place> {
        let place = self.place(ino)?;
        Ok(match self.has_old_marker(ino) {
            true => without_slash(&place),
            false => place,
        })
    }
}
