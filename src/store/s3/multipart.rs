//! Multipart uploads: create, upload a part, complete, abort, list. Copied parts are in `copy`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, EncodingType};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::S3Bucket;
use super::call::{Attempt, Failure, LOG_TARGET};
use super::fault::{Effect, Fault};
use super::headers::{conditions, etag, set_expires, version_id, with_headers};
use super::list::decoded;
use super::payload;
use super::wire::sendable;
use crate::object::{ObjectKey, ObjectVersion};
use crate::store::dialect::{MultipartETag, SizeCheck};
use crate::store::{
    ObjectHeaders, PartNumber, Payload, Precondition, StoreError, StoreResult, StoredPart, Upload,
};

/// HEADs of copied sources under way at a time.
const SOURCE_HEADS_MAX: usize = 8;
/// Attempts to find uploads that nobody knows of.
const STRAY_ATTEMPTS_MAX: u32 = 2;
/// How far the start of an upload may be outside the time it was asked for: timestamps have
/// whole seconds.
const INITIATED_SLACK: Duration = Duration::from_secs(2);

/// An upload under way, as listed.
pub(super) struct ListedUpload {
    pub upload: Upload,
    initiated: SystemTime,
}

impl S3Bucket {
    pub(super) async fn create_multipart_upload(
        &self,
        key: &ObjectKey,
        headers: &ObjectHeaders,
    ) -> StoreResult<Upload> {
        let begun = SystemTime::now();
        let call = self.call("CreateMultipartUpload").key(key);
        match self
            .run(call, |attempt| self.create_attempt(key, headers, attempt))
            .await
        {
            Ok(done) => {
                if done.earlier == Effect::Maybe {
                    self.abort_strays(key, Some(&done.value), (begun, done.elapsed))
                        .await;
                }
                Ok(done.value)
            }
            Err(failure) => {
                if failure.earlier == Effect::Maybe || failure.fault.effect() == Effect::Maybe {
                    let elapsed = begun.elapsed().unwrap_or_default();
                    self.abort_strays(key, None, (begun, elapsed)).await;
                }
                Err(failure.into_error())
            }
        }
    }

    async fn create_attempt(
        &self,
        key: &ObjectKey,
        headers: &ObjectHeaders,
        attempt: Attempt,
    ) -> Result<Upload, Fault> {
        let request = attempt
            .client
            .create_multipart_upload()
            .bucket(self.name.as_str())
            .set_tagging(self.tagging(&headers.tags));
        let answer = with_headers!(request.key(sendable(key)), headers)
            .customize()
            .mutate_request(set_expires(headers))
            .send()
            .await?;
        match answer.upload_id() {
            Some(id) if !id.is_empty() => Ok(Upload {
                key: key.clone(),
                id: id.to_owned(),
            }),
            _ => {
                let what = "CreateMultipartUpload without an UploadId".to_owned();
                Err(Fault::Nonsense { status: 200, what })
            }
        }
    }

    /// Aborts what attempts whose answers were lost left behind: uploads of exactly this key that
    /// are not `ours`, began while we asked, and have no part.
    async fn abort_strays(
        &self,
        key: &ObjectKey,
        ours: Option<&Upload>,
        (begun, elapsed): (SystemTime, Duration),
    ) {
        if let Err(error) = self
            .find_and_abort_strays(key, ours, (begun, elapsed))
            .await
        {
            log::warn!(
                target: LOG_TARGET,
                "s3://{}/{key}: a multipart upload may be left behind: {error}",
                self.name,
            );
        }
    }

    async fn find_and_abort_strays(
        &self,
        key: &ObjectKey,
        ours: Option<&Upload>,
        (begun, elapsed): (SystemTime, Duration),
    ) -> StoreResult<()> {
        // Directory buckets take a prefix only if it ends in a slash (ListMultipartUploads).
        let whole = self.connection.dialect.listing.is_sorted;
        let below = if whole { key.as_str() } else { key.directory() };
        let listed = self.list_uploads(below, STRAY_ATTEMPTS_MAX).await?;
        // Our own upload tells the store's clock.
        let last = listed.iter().find(|listed| Some(&listed.upload) == ours);
        let last = last.map_or(begun + elapsed, |listed| listed.initiated);
        let first = last - elapsed - INITIATED_SLACK;
        for stray in listed {
            let is_stray = stray.upload.key == *key
                && Some(&stray.upload) != ours
                && (first..=last + INITIATED_SLACK).contains(&stray.initiated);
            if is_stray && self.is_without_parts(&stray.upload).await? {
                self.abort_multipart_upload(&stray.upload).await?;
            }
        }
        Ok(())
    }

    async fn is_without_parts(&self, upload: &Upload) -> StoreResult<bool> {
        let call = self
            .call("ListParts")
            .key(&upload.key)
            .attempts_max(STRAY_ATTEMPTS_MAX);
        self.run_simply(call, |attempt| async move {
            let request = attempt
                .client
                .list_parts()
                .bucket(self.name.as_str())
                .max_parts(1);
            let request = request.key(sendable(&upload.key)).upload_id(&upload.id);
            Ok(request.send().await?.parts().is_empty())
        })
        .await
    }

    pub(super) async fn upload_one_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        body: &Payload,
    ) -> StoreResult<StoredPart> {
        let call = self.call("UploadPart").key(&upload.key).carried(body.len());
        self.run_simply(call, |attempt| async move {
            let answer = attempt
                .client
                .upload_part()
                .bucket(self.name.as_str())
                .key(sendable(&upload.key))
                .upload_id(&upload.id)
                .part_number(i32::try_from(number.0).unwrap_or(i32::MAX))
                .content_length(i64::try_from(body.len()).unwrap_or(i64::MAX))
                .body(payload::body(body, attempt.progress))
                .customize()
                .disable_payload_signing()
                .send()
                .await?;
            match etag(answer.e_tag()) {
                Some(etag) => Ok(StoredPart {
                    number,
                    etag,
                    size: body.len(),
                }),
                None => {
                    let what = "UploadPart without an ETag".to_owned();
                    Err(Fault::Nonsense { status: 200, what })
                }
            }
        })
        .await
    }

    pub(super) async fn complete_multipart_upload(
        &self,
        upload: &Upload,
        parts: &[StoredPart],
        sources: &[Arc<ObjectVersion>],
        precondition: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        self.look_at_sources(sources).await?;
        self.look_at_destination(&upload.key, precondition).await?;
        let are_verified = match self.connection.dialect.size_check {
            SizeCheck::ByStore => true,
            SizeCheck::ByParts => self.look_at_parts(upload, parts, sources).await?,
        };
        let version = self
            .complete_with_conditions(upload, parts, precondition)
            .await?;
        match version {
            Some(version) if are_verified => Ok(version),
            _ => {
                let size = parts.iter().map(|part| part.size).sum();
                self.verified("CompleteMultipartUpload", &upload.key, size)
                    .await
            }
        }
    }

    /// Compares what the store has of an upload with what was sent; `false` when it cannot tell.
    async fn look_at_parts(
        &self,
        upload: &Upload,
        parts: &[StoredPart],
        sources: &[Arc<ObjectVersion>],
    ) -> StoreResult<bool> {
        let offer = &self.connection.offers.list_parts;
        if !offer.is_there() {
            return Ok(false);
        }
        let stored = match self.list_parts(upload).await {
            Ok(stored) => stored,
            Err(error @ StoreError::NotOffered { .. }) => {
                offer.withdraw(&error.to_string());
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        for part in parts {
            let bytes = stored.get(&part.number).copied().unwrap_or(0);
            if bytes == part.size {
                continue;
            }
            let (number, size) = (part.number.0, part.size);
            // Any copied part may be wrong; an uploaded one has the size it was sent with.
            let source = sources.first().map(|source| (&source.bucket, &source.key));
            let (bucket, key) = source.unwrap_or((&self.name, &upload.key));
            return Err(StoreError::CopyRefused {
                bucket: bucket.clone(),
                key: key.clone(),
                code: format!("part {number} has {bytes} bytes instead of {size}"),
            });
        }
        Ok(true)
    }

    /// The size of every part the store has of an upload.
    async fn list_parts(&self, upload: &Upload) -> StoreResult<HashMap<PartNumber, u64>> {
        let mut parts = HashMap::new();
        let mut after: Option<String> = None;
        loop {
            let marker = &after;
            let call = self.call("ListParts").key(&upload.key);
            let answer = self
                .run_simply(call, |attempt| async move {
                    let request = attempt.client.list_parts().bucket(self.name.as_str());
                    let request = request.key(sendable(&upload.key)).upload_id(&upload.id);
                    let answer = request.set_part_number_marker(marker.clone()).send().await;
                    answer.map_err(|error| match error.into() {
                        // moto's has another root element: no attempt would read it.
                        Fault::Nonsense { what, .. } => Fault::Settled(StoreError::NotOffered {
                            operation: "ListParts",
                            resource: format!("s3://{}/{}", self.name, upload.key),
                            code: what,
                        }),
                        fault => fault,
                    })
                })
                .await?;
            let known = parts.len();
            for part in answer.parts() {
                let number = part
                    .part_number()
                    .and_then(|number| u32::try_from(number).ok());
                let size = part.size().and_then(|size| u64::try_from(size).ok());
                if let (Some(number), Some(size)) = (number, size) {
                    parts.insert(PartNumber(number), size);
                }
            }
            // A page that brings nothing new ends the list, whatever the store says.
            if !answer.is_truncated().unwrap_or(false) || parts.len() == known {
                return Ok(parts);
            }
            after = parts.keys().max().map(|last| last.0.to_string());
        }
    }

    async fn look_at_sources(&self, sources: &[Arc<ObjectVersion>]) -> StoreResult<()> {
        let watched: HashSet<Arc<ObjectVersion>> = sources
            .iter()
            .filter(|source| self.is_source_to_be_watched(source))
            .cloned()
            .collect();
        stream::iter(watched)
            .map(|source| async move { self.look_at_source(&source).await })
            .buffer_unordered(SOURCE_HEADS_MAX)
            .try_collect()
            .await
    }

    /// Returns the version published; none when the store did not tell its entity tag.
    async fn complete_with_conditions(
        &self,
        upload: &Upload,
        parts: &[StoredPart],
        precondition: &Precondition,
    ) -> StoreResult<Option<ObjectVersion>> {
        let sent = self.sendable(precondition);
        match self.complete_once(upload, parts, sent).await {
            Ok(version) => Ok(version),
            Err(failure)
                if failure.earlier == Effect::Maybe
                    && (failure.has_code("NoSuchUpload") || failure.is_condition_failed()) =>
            {
                // The answer to an earlier attempt was lost: it may have published the object.
                let is_ours = |now: &ObjectVersion| self.is_made_of(now, parts, precondition);
                match self.published(&upload.key, is_ours).await? {
                    None => Err(self.overtaken(&upload.key, failure)),
                    version => Ok(version),
                }
            }
            Err(failure) if failure.is_not_implemented() && *sent != Precondition::None => {
                self.withdraw_conditions(&failure.into_error());
                self.look_at_destination(&upload.key, precondition).await?;
                Ok(self
                    .complete_once(upload, parts, &Precondition::None)
                    .await?)
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    /// Whether the object can only be what these parts make.
    fn is_made_of(
        &self,
        now: &ObjectVersion,
        parts: &[StoredPart],
        precondition: &Precondition,
    ) -> bool {
        let is_old = matches!(precondition, Precondition::Unchanged(old) if old.matches(&now.etag));
        let count = now
            .etag
            .as_str()
            .trim_matches('"')
            .rsplit_once('-')
            .map(|(_, count)| count);
        let is_count_right = match (self.connection.dialect.multipart_etag, count) {
            (_, Some(count)) => count == parts.len().to_string(),
            (MultipartETag::Numbered, None) => false,
            (MultipartETag::Opaque, None) => true,
        };
        let size: u64 = parts.iter().map(|part| part.size).sum();
        !is_old && is_count_right && now.size == size
    }

    async fn complete_once<'a>(
        &'a self,
        upload: &'a Upload,
        parts: &[StoredPart],
        precondition: &Precondition,
    ) -> Result<Option<ObjectVersion>, Failure<'a>> {
        let size = parts.iter().map(|part| part.size).sum();
        let call = self
            .call("CompleteMultipartUpload")
            .key(&upload.key)
            .condition(precondition.into())
            .copied(size);
        let done = self
            .run(call, |attempt| {
                self.complete_attempt(upload, parts, precondition, attempt)
            })
            .await?;
        Ok(done.value)
    }

    async fn complete_attempt(
        &self,
        upload: &Upload,
        parts: &[StoredPart],
        precondition: &Precondition,
        attempt: Attempt,
    ) -> Result<Option<ObjectVersion>, Fault> {
        let (if_none_match, if_match) = conditions(precondition);
        let size: u64 = parts.iter().map(|part| part.size).sum();
        let list = parts.iter().map(|part| {
            CompletedPart::builder()
                .part_number(i32::try_from(part.number.0).unwrap_or(i32::MAX))
                .e_tag(part.etag.as_str())
                .build()
        });
        let list = CompletedMultipartUpload::builder()
            .set_parts(Some(list.collect()))
            .build();
        let is_size_sent = self.connection.dialect.size_check == SizeCheck::ByStore;
        let outcome = attempt
            .client
            .complete_multipart_upload()
            .bucket(self.name.as_str())
            .key(sendable(&upload.key))
            .upload_id(&upload.id)
            .multipart_upload(list)
            .set_mpu_object_size(is_size_sent.then(|| i64::try_from(size).unwrap_or(i64::MAX)))
            .set_if_none_match(if_none_match)
            .set_if_match(if_match)
            .send()
            .await;
        let answer = match outcome.map_err(Fault::from) {
            Ok(answer) => answer,
            // Amazon S3 API reference: such an upload has to be made anew.
            Err(Fault::Answer(refused)) if refused.code == "ConditionalRequestConflict" => {
                let (bucket, key) = (self.name.clone(), upload.key.clone());
                return Err(Fault::Settled(StoreError::UploadSpent { bucket, key }));
            }
            Err(fault) => return Err(fault),
        };
        Ok(etag(answer.e_tag()).map(|etag| ObjectVersion {
            bucket: self.name.clone(),
            key: upload.key.clone(),
            etag,
            version_id: version_id(answer.version_id()),
            size,
        }))
    }

    pub(super) async fn abort_multipart_upload(&self, upload: &Upload) -> StoreResult<()> {
        let call = self.call("AbortMultipartUpload").key(&upload.key);
        let outcome = self
            .run_simply(call, |attempt| async move {
                let request = attempt
                    .client
                    .abort_multipart_upload()
                    .bucket(self.name.as_str());
                request
                    .key(sendable(&upload.key))
                    .upload_id(&upload.id)
                    .send()
                    .await?;
                Ok(())
            })
            .await;
        match outcome {
            Err(StoreError::NoSuchUpload { .. } | StoreError::NotFound { .. }) => Ok(()),
            outcome => outcome,
        }
    }

    pub(super) async fn list_multipart_uploads(
        &self,
        prefix: &str,
    ) -> StoreResult<Vec<ListedUpload>> {
        self.list_uploads(prefix, u32::MAX).await
    }

    async fn list_uploads(
        &self,
        prefix: &str,
        attempts_max: u32,
    ) -> StoreResult<Vec<ListedUpload>> {
        let call = self.call("ListMultipartUploads").attempts_max(attempts_max);
        let answer = self
            .run_simply(call, |attempt| async move {
                let request = attempt
                    .client
                    .list_multipart_uploads()
                    .bucket(self.name.as_str());
                Ok(request
                    .prefix(prefix)
                    .encoding_type(EncodingType::Url)
                    .send()
                    .await?)
            })
            .await?;
        let is_encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let uploads = answer.uploads().iter().filter_map(|listed| {
            let key = decoded(listed.key()?, is_encoded)?;
            let initiated = listed
                .initiated()
                .and_then(|time| SystemTime::try_from(*time).ok());
            Some(ListedUpload {
                upload: Upload {
                    key: ObjectKey::new(key.as_ref()),
                    id: listed.upload_id()?.to_owned(),
                },
                initiated: initiated.unwrap_or(SystemTime::UNIX_EPOCH),
            })
        });
        Ok(uploads.collect())
    }
}
