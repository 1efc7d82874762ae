//! The marker object of a directory has no bytes, only what is set on the directory: that is added
//! to a marker that another client has made meanwhile. Knows no directory.

use std::time::Instant;

use crate::attributes::{Kind, extended};
use crate::extent::ExtentMap;
use crate::file::state::State;
use crate::file::{Creation, File, FileError, Seen};
use crate::store::StoreError;

impl State {
    /// Whether the object is the marker of a directory.
    pub fn is_marker(&self) -> bool {
        self.place.key.as_str().ends_with('/')
    }

    /// Whether this is the marker of a directory that had none.
    fn is_new_marker(&self) -> bool {
        self.is_marker() && self.base.is_none() && self.creation == Creation::IfAbsent
    }

    /// Adds what was set here to the marker that is there now.
    fn join(&mut self, now: &Seen) {
        let (attributes, own) = (self.attributes, self.extended());
        self.describe_as(now);
        let mut all = self.extended();
        all.extend(own);
        self.change_metadata(|metadata| {
            extended::write_to(&all, metadata);
            attributes.write_to(metadata, Kind::Directory);
        });
        self.base = Some(now.version.clone());
        self.based_at = Some(now.at);
        self.map = ExtentMap::of_object(now.version.clone());
        self.creation = Creation::Replace;
    }
}

impl File {
    /// After a conflict: adds what is set on a directory that had no marker to the one that is
    /// there now. Whether there is one. To be called with `publishing` held.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn join_marker(&self) -> Result<bool, FileError> {
        if !self.state().is_new_marker() {
            return Ok(false);
        }
        let place = self.place();
        let asked = Instant::now();
        let stat = match place.bucket.head(&place.key).await {
            Ok(stat) => stat,
            Err(StoreError::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let mut state = self.state();
        let is_new = state.is_new_marker();
        if is_new {
            state.join(&Seen::of_stat(&stat, asked));
        }
        Ok(is_new)
    }
}
