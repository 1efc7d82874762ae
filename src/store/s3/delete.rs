//! DeleteObject and DeleteObjects.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, stream};
use md5::{Digest, Md5};

use super::S3Bucket;
use super::call::{Attempt, Failure};
use super::fault::Fault;
use super::wire::{is_in_xml, sendable};
use crate::object::ObjectKey;
use crate::store::{StoreError, StoreResult};

/// Deletes of single objects under way at a time, in place of one request for many.
const SINGLE_DELETES_MAX: usize = 16;

impl S3Bucket {
    pub(super) async fn delete_object(&self, key: &ObjectKey) -> StoreResult<()> {
        let call = self.call("DeleteObject").key(key);
        let outcome = self
            .run_simply(call, |attempt| async move {
                let request = attempt.client.delete_object().bucket(self.name.as_str());
                request.key(sendable(key)).send().await?;
                Ok(())
            })
            .await;
        match outcome {
            Err(StoreError::NotFound { .. }) => Ok(()),
            outcome => outcome,
        }
    }

    pub(super) async fn delete_objects(
        &self,
        keys: &[ObjectKey],
    ) -> StoreResult<Vec<(ObjectKey, StoreError)>> {
        if !self.connection.offers.bulk_delete.is_there() {
            return Ok(self.delete_singly(keys.to_vec()).await);
        }
        let (keys, single): (Vec<_>, Vec<_>) = keys.iter().cloned().partition(fits_xml);
        let mut kept = self.delete_singly(single).await;
        for keys in keys.chunks(self.connection.dialect.delete_many_max) {
            kept.extend(self.delete_in_bulk(keys).await?);
        }
        Ok(kept)
    }

    async fn delete_in_bulk(
        &self,
        keys: &[ObjectKey],
    ) -> StoreResult<Vec<(ObjectKey, StoreError)>> {
        let call = self.call("DeleteObjects");
        match self
            .run(call, |attempt| self.delete_attempt(keys, attempt))
            .await
        {
            Ok(done) => Ok(self.delete_singly(done.value).await),
            Err(failure) if lacks_bulk_delete(&failure) => {
                self.connection
                    .offers
                    .bulk_delete
                    .withdraw(&failure.into_error().to_string());
                Ok(self.delete_singly(keys.to_vec()).await)
            }
            // One key that the store cannot read there spoils the request for all.
            Err(failure) if failure.has_code("MalformedXML") => {
                Ok(self.delete_singly(keys.to_vec()).await)
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    /// Returns the keys that the store says it did not delete.
    async fn delete_attempt(
        &self,
        keys: &[ObjectKey],
        attempt: Attempt,
    ) -> Result<Vec<ObjectKey>, Fault> {
        let unsendable = |error: aws_sdk_s3::error::BuildError| Fault::Unsendable {
            reason: error.to_string(),
        };
        let mut list = Delete::builder().quiet(true);
        for key in keys {
            let object = ObjectIdentifier::builder().key(key.as_str()).build();
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
            .filter(|error| error.code() != Some("NoSuchKey"));
        Ok(failed
            .filter_map(|error| error.key())
            .map(ObjectKey::new)
            .collect())
    }

    /// Deletes one by one; returns those that were not deleted, with why.
    async fn delete_singly(&self, keys: Vec<ObjectKey>) -> Vec<(ObjectKey, StoreError)> {
        stream::iter(keys)
            .map(|key| async move {
                let outcome = self.delete_object(&key).await;
                outcome.err().map(|error| (key, error))
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
