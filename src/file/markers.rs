//! The marker object of a directory has no bytes, only what is set on the directory. Every marker
//! has the same entity tag, so no condition of a write tells one from another: the marker is looked
//! at before it is replaced, and what was changed here is added to it. Knows no directory.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::attributes::{Attributes, Kind, extended};
use crate::extent::ExtentMap;
use crate::file::state::State;
use crate::file::{File, FileError, Seen};
use crate::store::StoreError;

impl State {
    /// Whether the object is the marker of a directory.
    pub fn is_marker(&self) -> bool {
        self.place.key.as_str().ends_with('/')
    }

    /// The metadata of the object are these, if they are known.
    pub fn note_seen(&mut self, seen: &Seen) {
        if let Some(headers) = seen.headers.as_deref() {
            self.note_stored(&headers.metadata);
        }
    }

    /// The metadata of the object are these, as they were seen or stored.
    pub fn note_stored(&mut self, metadata: &BTreeMap<String, String>) {
        if self.is_marker() {
            self.stored.clone_from(metadata);
        }
    }

    /// Adds what was changed here to the marker that is there now.
    fn join(&mut self, now: &Seen) {
        let told = |metadata: &BTreeMap<_, _>| {
            (
                Attributes::of_metadata(metadata),
                extended::of_metadata(metadata),
            )
        };
        let found = now
            .headers
            .as_deref()
            .map(|headers| told(&headers.metadata));
        let before = told(&self.stored);
        if found.as_ref() != Some(&before) {
            let (before, before_extended) = before;
            let (own, own_extended) = (self.attributes.changed_since(&before), self.extended());
            self.describe_as(now);
            let mut all = self.extended();
            let is_left = |name: &String| {
                own_extended.contains_key(name) || !before_extended.contains_key(name)
            };
            all.retain(|name, _| is_left(name));
            let own_extended = own_extended.iter();
            let changed =
                own_extended.filter(|(name, value)| before_extended.get(*name) != Some(*value));
            all.extend(changed.map(|(name, value)| (name.clone(), value.clone())));
            self.change_metadata(|metadata| {
                extended::write_to(&all, metadata);
                own.write_to(metadata, Kind::Directory);
            });
        }
        self.base = Some(now.version.clone());
        self.based_at = Some(now.at);
        self.map = ExtentMap::of_object(now.version.clone());
    }

    /// There is no marker any more.
    fn lose_marker(&mut self) {
        self.base = None;
        self.based_at = None;
        self.map = ExtentMap::new();
    }
}

impl File {
    /// Whether the object is the marker of a directory, and known to be there.
    pub(super) fn has_marker(&self) -> bool {
        let state = self.state();
        state.is_marker() && state.base.is_some()
    }

    /// Adds what was changed on a directory to the marker that is there now. Whether there is one.
    /// To be called with `publishing` held.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn join_marker(&self) -> Result<bool, FileError> {
        if !self.state().is_marker() {
            return Ok(false);
        }
        let place = self.place();
        let asked = Instant::now();
        match place.bucket.head(&place.key).await {
            Ok(stat) => self.state().join(&Seen::of_stat(&stat, asked)),
            Err(StoreError::NotFound { .. }) => {
                self.state().lose_marker();
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }
}
