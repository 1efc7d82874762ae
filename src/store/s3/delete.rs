//! DeleteObject and DeleteObjects, with a condition where the store keeps it.

use std::collections::HashSet;

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, stream};
use md5::{Digest, Md5};

use super::S3Bucket;
use super::call::{Attempt, Failure};
use super::fault::{Condition, Effect, Fault};
use super::wire::{is_in_xml, sendable};
use crate::object::{ETag, ObjectKey, ObjectVersion};
use crate::store::{StoreError, StoreResult};

/// Deletes of single objects under way at a time, in place of one request for many.
const SINGLE_DELETES_MAX: usize = 16;

/// What is to be deleted: whatever has the key, or an object as it is known.
#[derive(Clone, Debug)]
pub(super) struct Doomed {
    key: ObjectKey,
    if_match: Option<ETag>,
}

impl Doomed {
    pub fn whatever(key: &ObjectKey) -> Self {
        Self {
            key: key.clone(),
            if_match: None,
        }
    }
}

impl S3Bucket {
    /// One version, where the store can tell it from another.
    pub(super) fn doomed(&self, version: &ObjectVersion) -> Doomed {
        let can_tell = self.connection.dialect.delete_conditions;
        Doomed {
            key: version.key.clone(),
            if_match: can_tell.then(|| version.etag.clone()),
        }
    }

    /// Deletes an object; another client's stays.
    pub(super) async fn delete_unless_replaced(&self, doomed: &Doomed) -> StoreResult<()> {
        match self.delete_object(doomed).await {
            Err(StoreError::Stale { .. }) => Ok(()),
            outcome => outcome,
        }
    }

    /// `Ok` when the key holds no such object any more; [`StoreError::Stale`] when it held another
    /// before the first attempt.
    pub(super) async fn delete_object(&self, doomed: &Doomed) -> StoreResult<()> {
        let Doomed { key, if_match } = doomed;
        let condition = match if_match {
            Some(_) => Condition::Unchanged,
            None => Condition::None,
        };
        let call = self.call("DeleteObject").key(key).condition(condition);
        let deleted = self.run(call, |attempt| async move {
            let request = attempt.client.delete_object().bucket(self.name.as_str());
            let if_match = if_match.as_ref().map(|etag| etag.as_str().to_owned());
            let request = request.key(sendable(key)).set_if_match(if_match);
            request.send().await?;
            Ok(())
        });
        let Err(failure) = deleted.await else {
            return Ok(());
        };
        // An earlier attempt whose answer was lost has deleted it, and what is there came after.
        let may_be_deleted = failure.earlier == Effect::Maybe;
        match failure.into_error() {
            StoreError::NotFound { .. } => Ok(()),
            StoreError::Stale { .. } if may_be_deleted => Ok(()),
            error => Err(error),
        }
    }

    pub(super) async fn delete_objects(
        &self,
        doomed: Vec<Doomed>,
    ) -> StoreResult<Vec<(ObjectKey, StoreError)>> {
        if !self.connection.offers.bulk_delete.is_there() {
            return Ok(self.delete_singly(doomed).await);
        }
        let (doomed, single): (Vec<_>, Vec<_>) =
            doomed.into_iter().partition(|doomed| fits_xml(&doomed.key));
        let mut kept = self.delete_singly(single).await;
        for doomed in doomed.chunks(self.connection.dialect.delete_many_max) {
            kept.extend(self.delete_in_bulk(doomed).await?);
        }
        Ok(kept)
    }

    async fn delete_in_bulk(&self, doomed: &[Doomed]) -> StoreResult<Vec<(ObjectKey, StoreError)>> {
        let call = self.call("DeleteObjects");
        match self
            .run(call, |attempt| self.delete_attempt(doomed, attempt))
            .await
        {
            Ok(done) => Ok(self.delete_singly(done.value).await),
            Err(failure) if lacks_bulk_delete(&failure) => {
                self.connection
                    .offers
                    .bulk_delete
                    .withdraw(&failure.into_error().to_string());
                Ok(self.delete_singly(doomed.to_vec()).await)
            }
            // One key that the store cannot read there spoils the request for all.
            Err(failure) if failure.has_code("MalformedXML") => {
                Ok(self.delete_singly(doomed.to_vec()).await)
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    /// Returns what the store says it did not delete, but that which another took the place of.
    async fn delete_attempt(
        &self,
        doomed: &[Doomed],
        attempt: Attempt,
    ) -> Result<Vec<Doomed>, Fault> {
        let unsendable = |error: aws_sdk_s3::error::BuildError| Fault::Unsendable {
            reason: error.to_string(),
        };
        let mut list = Delete::builder().quiet(true);
        for Doomed { key, if_match } in doomed {
            let if_match = if_match.as_ref().map(|etag| etag.as_str().to_owned());
            let object = ObjectIdentifier::builder().key(key.as_str());
            let object = object.set_e_tag(if_match).build();
            list = list.objects(object.map_err(unsendable)?);
        }
        let answer = attempt
            .client
            .delete_objects()
            .bucket(self.name.as_str())
            .delete(list.build().map_err(unsendable)?)
            .customize()
            .mutate_request(with_content_md5)
            .send()
            .await?;
        let failed = answer
            .errors()
            .iter()
            .filter(|error| !matches!(error.code(), Some("NoSuchKey" | "PreconditionFailed")))
            .filter_map(|error| error.key());
        let failed: HashSet<&str> = failed.collect();
        let is_left = |doomed: &&Doomed| failed.contains(doomed.key.as_str());
        Ok(doomed.iter().filter(is_left).cloned().collect())
    }

    /// Deletes one by one; returns those that were not deleted, with why.
    async fn delete_singly(&self, doomed: Vec<Doomed>) -> Vec<(ObjectKey, StoreError)> {
        stream::iter(doomed)
            .map(|doomed| async move {
                let outcome = self.delete_unless_replaced(&doomed).await;
                outcome.err().map(|error| (doomed.key, error))
            })
            .buffer_unordered(SINGLE_DELETES_MAX)
            .filter_map(std::future::ready)
            .collect()
            .await
    }
}

/// Whether XML has all characters of a key, and no reader takes blanks off its ends. A lenient one
/// might take one key for another.
fn fits_xml(key: &ObjectKey) -> bool {
    let key = key.as_str();
    key.chars().all(is_in_xml) && key.trim() == key
}

/// Exchanges the checksum headers the library insists on for the Content-MD5 that every store
/// knows: OSS, COS and OBS ignore the former, JuiceFS and Swift demand the latter, B2 refused
/// `x-amz-checksum-crc32`.
pub(super) fn with_content_md5(request: &mut HttpRequest) {
    let digest = Md5::digest(request.body().bytes().unwrap_or_default());
    let headers = request.headers_mut();
    let checksums: Vec<String> = headers
        .iter()
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with("x-amz-checksum-") || name.starts_with("x-amz-sdk-check"))
        .collect();
    for name in checksums {
        headers.remove(name);
    }
    headers.insert("content-md5", STANDARD.encode(digest));
}

/// Whether the store has no DeleteObjects that this client could use.
fn lacks_bulk_delete(failure: &Failure<'_>) -> bool {
    failure.is_not_implemented()
        || [
            "MissingContentMD5",
            "InvalidDigest",
            "MissingContentLength",
            "InvalidArgument",
        ]
        .iter()
        .any(|code| failure.has_code(code))
}
