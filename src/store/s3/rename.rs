//! RenameObject: an object gets another key in one request, where the store can.

use percent_encoding::utf8_percent_encode;

use super::S3Bucket;
use super::call::{Attempt, Failure};
use super::fault::{Condition, Effect, Fault};
use super::headers::{SOURCE_ESCAPED, conditions, is_pinned_by_id};
use super::markers::is_marker;
use super::wire::sendable;
use crate::object::{ObjectKey, ObjectVersion};
use crate::store::{Precondition, StoreResult};

impl S3Bucket {
    /// `None` where it has to be done by a copy and a delete.
    pub(super) async fn rename_object(
        &self,
        source: &ObjectVersion,
        key: &ObjectKey,
        precondition: &Precondition,
    ) -> StoreResult<Option<ObjectVersion>> {
        let offer = &self.connection.offers.renames;
        let is_within = source.bucket == self.name && !is_pinned_by_id(source);
        // Keys that end in a slash are refused (Amazon S3 user guide, "Renaming objects in
        // directory buckets").
        if !(self.connection.dialect.renames && offer.is_there() && is_within)
            || is_marker(&source.key)
            || is_marker(key)
        {
            return Ok(None);
        }
        self.look_at_destination(key, precondition).await?;
        let renamed = ObjectVersion {
            bucket: self.name.clone(),
            key: key.clone(),
            etag: source.etag.clone(),
            version_id: None,
            size: source.size,
        };
        match self.rename_once(source, key, precondition).await {
            Ok(()) => Ok(Some(renamed)),
            Err(failure) if failure.is_not_implemented() => {
                offer.withdraw(&failure.into_error().to_string());
                Ok(None)
            }
            // Not of this object or in this bucket, as where versions are kept: nothing was done.
            Err(failure) if failure.is_malformed() && failure.earlier == Effect::None => Ok(None),
            Err(failure) => {
                let is_ours =
                    |now: &ObjectVersion| now.size == source.size && now.etag.matches(&source.etag);
                if failure.earlier == Effect::Maybe
                    && let Some(version) = self.published(key, is_ours).await?
                {
                    return Ok(Some(version));
                }
                if *precondition != Precondition::None && failure.is_condition_failed() {
                    return Err(self.source_or_destination(source, failure).await);
                }
                Err(failure.into_error())
            }
        }
    }

    async fn rename_once<'a>(
        &'a self,
        source: &'a ObjectVersion,
        key: &'a ObjectKey,
        precondition: &Precondition,
    ) -> Result<(), Failure<'a>> {
        let condition = match precondition {
            Precondition::None => Condition::Source {
                bucket: &source.bucket,
                key: &source.key,
            },
            other => other.into(),
        };
        let call = self.call("RenameObject").key(key).condition(condition);
        self.run(call, |attempt| {
            self.rename_attempt(source, key, precondition, attempt)
        })
        .await?;
        Ok(())
    }

    async fn rename_attempt(
        &self,
        source: &ObjectVersion,
        key: &ObjectKey,
        precondition: &Precondition,
        attempt: Attempt,
    ) -> Result<(), Fault> {
        let (if_none_match, if_match) = conditions(precondition);
        let from = utf8_percent_encode(source.key.as_str(), SOURCE_ESCAPED);
        let request = attempt.client.rename_object();
        request
            .bucket(self.name.as_str())
            .key(sendable(key))
            .rename_source(format!("/{from}"))
            .source_if_match(source.etag.as_str())
            .set_destination_if_none_match(if_none_match)
            .set_destination_if_match(if_match)
            .send()
            .await?;
        Ok(())
    }
}
