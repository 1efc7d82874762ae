//! What a commit met that failed because of another client: whether it was at the file's own
//! object. Publishes nothing.

use crate::commit::Place;
use crate::file::{Creation, File, FileError};
use crate::store::{Precondition, StoreError};

impl File {
    /// Whether a commit failed because another client has made, replaced or removed the object of
    /// this very file, as the commit itself has found out.
    pub fn is_overtaken(&self, error: &FileError) -> bool {
        let own = self.place();
        match error {
            FileError::Stale { key } => *key == own.key,
            FileError::Store(
                StoreError::Overtaken { bucket, key } | StoreError::Exists { bucket, key },
            ) => (bucket, key) == (own.bucket.name(), &own.key),
            _ => false,
        }
    }

    /// The error of a commit that met another client: that of the file's own object if the other
    /// client was at that, and not only at an object that bytes are copied from. Which of them the
    /// store finds first is chance, and one before under the same name is another object.
    pub(super) async fn own_conflict(&self, error: FileError) -> FileError {
        let error = self.by_creation(error);
        if !error.is_conflict() || self.is_overtaken(&error) || self.is_in_place().await {
            return error;
        }
        let place = self.place();
        let (bucket, key) = (place.bucket.name().clone(), place.key);
        self.by_creation(StoreError::Overtaken { bucket, key }.into())
    }

    /// Whether what a commit asks of the object that it is of is so, as far as can be told.
    async fn is_in_place(&self) -> bool {
        let (place, precondition) = {
            let state = self.state();
            let place = match &state.base {
                // A file that was moved here without its object still goes back to that.
                Some(base) => Place {
                    bucket: self.shared.buckets.bucket(&base.bucket),
                    key: base.key.clone(),
                },
                None => state.place.clone(),
            };
            (place, state.precondition())
        };
        if precondition == Precondition::None {
            return true;
        }
        match (place.bucket.head(&place.key).await, precondition) {
            (Ok(_), Precondition::Absent) => false,
            (Ok(stat), Precondition::Unchanged(etag)) => stat.version.etag.matches(&etag),
            (Err(StoreError::NotFound { .. }), Precondition::Unchanged(_)) => false,
            // The failure that led here is reported if this fails, too.
            (Ok(_) | Err(_), _) => true,
        }
    }

    /// An error in the words of how the file was made: "exists" is what O_EXCL asks for, and
    /// nothing else does.
    fn by_creation(&self, error: FileError) -> FileError {
        match (self.state().creation, error) {
            (
                Creation::IfAbsent | Creation::Replace,
                FileError::Store(StoreError::Exists { key, .. }),
            ) => FileError::Stale { key },
            (Creation::Exclusive, FileError::Store(StoreError::Overtaken { bucket, key })) => {
                StoreError::Exists { bucket, key }.into()
            }
            (_, error) => error,
        }
    }
}
