//! From where to where a directory is renamed. Asks no store.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::file::Place;
use crate::fs::stopped::{Begun, Names};
use crate::namespace::names::KEY_BYTES_MAX;
use crate::object::{ObjectKey, ObjectVersion};
use crate::store::{StoreError, StoreResult};

/// The two ends of a directory rename; both keys end in `/`.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) from: Place,
    pub(super) to: Place,
    /// How far an earlier rename of these names came that this one continues.
    pub(super) earlier: Option<Begun>,
}

impl Ends {
    pub(super) fn names(&self) -> Names {
        (name(&self.from), name(&self.to))
    }

    /// Whether an object is below the old name.
    pub(super) fn hold(&self, place: &Place) -> bool {
        place.bucket.name() == self.from.bucket.name()
            && place.key.as_str().starts_with(self.from.key.as_str())
    }

    /// Whether the store may have been asked to delete originals before.
    pub(super) const fn may_have_deleted(&self) -> bool {
        matches!(self.earlier, Some(Begun::UnderWay | Begun::Stopped))
    }

    /// The object below the old name that one below the new name would be a copy of.
    pub(super) fn original(&self, copy: &ObjectKey) -> ObjectKey {
        let rest = copy.as_str().strip_prefix(self.to.key.as_str());
        ObjectKey::new(format!("{}{}", self.from.key, rest.unwrap_or_default()))
    }

    /// The directories between the old name and these objects, the innermost first.
    pub(super) fn directories_above(&self, objects: &[Arc<ObjectVersion>]) -> Vec<ObjectKey> {
        let mut directories = BTreeSet::new();
        for key in objects.iter().map(|object| object.key.as_str()) {
            let slashes = key.match_indices('/').map(|(at, _)| &key[..=at]);
            let top = self.from.key.as_str().len();
            directories.extend(slashes.filter(|directory| directory.len() > top));
        }
        directories.into_iter().rev().map(ObjectKey::new).collect()
    }

    /// Where an object below the old name goes.
    pub(super) fn target(&self, key: &ObjectKey) -> StoreResult<Place> {
        let rest = key
            .as_str()
            .strip_prefix(self.from.key.as_str())
            .unwrap_or_default();
        let key = ObjectKey::new(format!("{}{rest}", self.to.key));
        if key.as_str().len() > KEY_BYTES_MAX {
            return Err(StoreError::KeyTooLong {
                bucket: self.to.bucket.name().clone(),
                key,
            });
        }
        Ok(Place {
            bucket: Arc::clone(&self.to.bucket),
            key,
        })
    }
}

pub(super) fn name(place: &Place) -> String {
    format!("{}/{}", place.bucket.name(), place.key)
}
