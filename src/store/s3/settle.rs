//! What a HEAD settles: whether a source or a destination is what it has to be where the store
//! keeps no conditions, and whether a write whose answer was lost was done.

use super::S3Bucket;
use super::call::Failure;
use super::fault::Condition;
use super::headers::is_pinned_by_id;
use crate::object::{BucketName, ObjectKey, ObjectVersion};
use crate::store::dialect::Conditions;
use crate::store::{Precondition, StoreError, StoreResult};

impl<'a> From<&Precondition> for Condition<'a> {
    fn from(precondition: &Precondition) -> Self {
        match precondition {
            Precondition::None => Self::None,
            Precondition::Absent => Self::Absent,
            Precondition::Unchanged(_) => Self::Unchanged,
        }
    }
}

const NO_PRECONDITION: &Precondition = &Precondition::None;

impl S3Bucket {
    /// Another bucket of the same store.
    fn sibling(&self, name: &BucketName) -> Self {
        Self {
            name: name.clone(),
            connection: self.connection.clone(),
        }
    }

    /// What of a precondition is sent: nothing if the store knows none, or has said so.
    pub(super) fn sendable<'p>(&self, precondition: &'p Precondition) -> &'p Precondition {
        let dialect = &self.connection.dialect;
        let is_known = match precondition {
            Precondition::Absent if dialect.forbid_overwrite.is_some() => true,
            Precondition::Absent => dialect.write_conditions != Conditions::None,
            Precondition::None | Precondition::Unchanged(_) => !matches!(
                dialect.write_conditions,
                Conditions::AbsentOnly | Conditions::None
            ),
        };
        if is_known && self.connection.offers.write_conditions.is_there() {
            precondition
        } else {
            NO_PRECONDITION
        }
    }

    /// Sends no conditions on writes from now on.
    pub(super) fn withdraw_conditions(&self, why: &StoreError) {
        self.connection
            .offers
            .write_conditions
            .withdraw(&why.to_string());
    }

    /// Whether the store keeps preconditions of writes.
    pub(super) fn keeps_conditions(&self) -> bool {
        self.connection.dialect.write_conditions == Conditions::Honoured
            && self.connection.offers.write_conditions.is_there()
    }

    /// Where the store may not keep the precondition, looks whether it holds now. Another writer
    /// can still come in between.
    pub(super) async fn look_at_destination(
        &self,
        key: &ObjectKey,
        precondition: &Precondition,
    ) -> StoreResult<()> {
        if self.keeps_conditions() || *precondition == Precondition::None {
            return Ok(());
        }
        let (bucket, key) = (self.name.clone(), key.clone());
        match (precondition, self.head_object(&key).await) {
            (Precondition::None, _) => Ok(()),
            (Precondition::Absent, Ok(_)) => Err(StoreError::Exists { bucket, key }),
            (Precondition::Absent, Err(StoreError::NotFound { .. })) => Ok(()),
            (Precondition::Unchanged(etag), Ok(stat)) if stat.version.etag.matches(etag) => Ok(()),
            (Precondition::Unchanged(_), Ok(_) | Err(StoreError::NotFound { .. })) => {
                Err(StoreError::Stale { bucket, key })
            }
            (_, Err(error)) => Err(error),
        }
    }

    /// The condition that a copy's source be this version, if the store knows conditions.
    pub(super) fn source_condition(&self, source: &ObjectVersion) -> Option<String> {
        let is_known = self.connection.dialect.copy_conditions != Conditions::None;
        is_known.then(|| source.etag.as_str().to_owned())
    }

    /// Whether a copy from this version needs [`Self::look_at_source`] as well.
    pub(super) fn is_source_to_be_watched(&self, source: &ObjectVersion) -> bool {
        self.connection.dialect.copy_conditions != Conditions::Honoured && !is_pinned_by_id(source)
    }

    /// Looks whether the source's key still holds the version.
    pub(super) async fn look_at_source(&self, source: &ObjectVersion) -> StoreResult<()> {
        let (bucket, key) = (source.bucket.clone(), source.key.clone());
        match self.sibling(&source.bucket).head_object(&source.key).await {
            Ok(now)
                if now.version.etag.matches(&source.etag) && now.version.size == source.size =>
            {
                Ok(())
            }
            Ok(_) | Err(StoreError::NotFound { .. }) => Err(StoreError::Stale { bucket, key }),
            Err(error) => Err(error),
        }
    }

    /// The version now under the key if `is_ours` says so.
    pub(super) async fn published(
        &self,
        key: &ObjectKey,
        is_ours: impl FnOnce(&ObjectVersion) -> bool,
    ) -> StoreResult<Option<ObjectVersion>> {
        match self.head_object(key).await {
            Ok(stat) => Ok(is_ours(&stat.version).then(|| (*stat.version).clone())),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the failure of a write means after an attempt whose answer was lost, when what is
    /// there is another writer's: that attempt may have been done before.
    pub(super) fn overtaken(&self, key: &ObjectKey, failure: Failure<'_>) -> StoreError {
        match failure.is_condition_failed() || failure.has_code("InvalidWriteOffset") {
            true => StoreError::Overtaken {
                bucket: self.name.clone(),
                key: key.clone(),
            },
            false => failure.into_error(),
        }
    }

    /// The version now under the key, which must have that size: what was published just now by
    /// a store whose copies are not taken on trust.
    pub(super) async fn verified(
        &self,
        operation: &'static str,
        key: &ObjectKey,
        size: u64,
    ) -> StoreResult<ObjectVersion> {
        let stat = self.head_object(key).await?;
        if stat.version.size == size {
            return Ok((*stat.version).clone());
        }
        Err(StoreError::Failed {
            operation,
            resource: format!("s3://{}/{key}", self.name),
            status: 200,
            code: "wrong size".to_owned(),
            message: format!(
                "{} bytes were published instead of {size}",
                stat.version.size
            ),
            attempts: 1,
        })
    }

    /// Of a copy with a precondition: the error of the source if that is what changed, else that
    /// of the destination. The store's answer is the same for both.
    pub(super) async fn source_or_destination(
        &self,
        source: &ObjectVersion,
        failure: Failure<'_>,
    ) -> StoreError {
        match self.look_at_source(source).await {
            Err(error @ StoreError::Stale { .. }) if !is_pinned_by_id(source) => error,
            _ => failure.into_error(),
        }
    }
}
