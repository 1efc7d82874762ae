//! CopyObject and UploadPartCopy: bytes that the store moves by itself, from a version and no
//! other.

use aws_sdk_s3::types::MetadataDirective;

use super::S3Bucket;
use super::call::{Attempt, Failure};
use super::fault::{Condition, Effect, Fault};
use super::headers::{
    ETAG_OF_NOTHING, conditions, copy_source, etag, etag_of, set_expires, version_id, with_headers,
};
use super::markers::is_marker;
use super::wire::sendable;
use crate::object::{ETag, ObjectKey, ObjectRange, ObjectVersion};
use crate::store::{
    CopyHeaders, ObjectHeaders, PartNumber, Precondition, StoreError, StoreResult, StoredPart,
    Tags, Upload,
};

impl S3Bucket {
    pub(super) async fn copy_object(
        &self,
        source: &ObjectVersion,
        key: &ObjectKey,
        headers: &CopyHeaders,
        precondition: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        let is_watched = self.is_source_to_be_watched(source);
        if is_watched {
            self.look_at_source(source).await?;
        }
        self.look_at_destination(key, precondition).await?;
        let copied = self
            .copy_with_conditions(source, key, headers, precondition)
            .await;
        let copied = copied.map_err(|error| self.of_pair(source, error));
        let version = copied.map_err(|error| of_marker(source, error))?;
        if !is_watched {
            return Ok(version);
        }
        self.look_at_copied(source, key).await?;
        self.verified("CopyObject", key, source.size).await
    }

    /// Looks at the source after a copy, unless the copy took its place.
    async fn look_at_copied(&self, source: &ObjectVersion, key: &ObjectKey) -> StoreResult<()> {
        if source.bucket == self.name && source.key == *key {
            return Ok(());
        }
        self.look_at_source(source).await
    }

    async fn copy_with_conditions(
        &self,
        source: &ObjectVersion,
        key: &ObjectKey,
        headers: &CopyHeaders,
        precondition: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        let sent = self.sendable(precondition);
        let failure = match self.copy_once(source, key, headers, sent).await {
            Ok(version) => return Ok(version),
            Err(failure) => failure,
        };
        if *sent == Precondition::None {
            return Err(failure.into_error());
        }
        if failure.is_not_implemented() {
            self.withdraw_conditions(&failure.into_error());
            self.look_at_destination(key, precondition).await?;
            return Ok(self
                .copy_once(source, key, headers, &Precondition::None)
                .await?);
        }
        if failure.is_condition_failed() && failure.earlier == Effect::Maybe {
            let is_copy =
                |now: &ObjectVersion| now.size == source.size && now.etag.matches(&source.etag);
            if let Some(version) = self.published(key, is_copy).await? {
                return Ok(version);
            }
        }
        let is_either = failure.is_condition_failed()
            || failure
                .fault
                .answer()
                .is_some_and(|answer| answer.status == 404);
        if is_either {
            return Err(self.source_or_destination(source, failure).await);
        }
        Err(failure.into_error())
    }

    async fn copy_once<'a>(
        &'a self,
        source: &'a ObjectVersion,
        key: &'a ObjectKey,
        headers: &CopyHeaders,
        precondition: &Precondition,
    ) -> Result<ObjectVersion, Failure<'a>> {
        let condition = match precondition {
            Precondition::None => Condition::Source {
                bucket: &source.bucket,
                key: &source.key,
            },
            other => other.into(),
        };
        let call = self
            .call("CopyObject")
            .key(key)
            .condition(condition)
            .copied(source.size);
        let done = self
            .run(call, |attempt| {
                self.copy_attempt(source, key, headers, precondition, attempt)
            })
            .await?;
        Ok(done.value)
    }

    async fn copy_attempt(
        &self,
        source: &ObjectVersion,
        key: &ObjectKey,
        headers: &CopyHeaders,
        precondition: &Precondition,
        attempt: Attempt,
    ) -> Result<ObjectVersion, Fault> {
        let (if_none_match, if_match) = conditions(precondition);
        let kept;
        let (directive, headers) = match headers {
            CopyHeaders::Keep { storage_class } => {
                kept = ObjectHeaders {
                    storage_class: storage_class.clone(),
                    tags: Tags::Untold,
                    ..ObjectHeaders::default()
                };
                (MetadataDirective::Copy, &kept)
            }
            CopyHeaders::Replace(headers) => (MetadataDirective::Replace, headers),
        };
        let request = attempt
            .client
            .copy_object()
            .bucket(self.name.as_str())
            .key(sendable(key))
            .copy_source(copy_source(source))
            .set_copy_source_if_match(self.source_condition(source))
            .set_if_none_match(if_none_match)
            .set_if_match(if_match)
            .metadata_directive(directive)
            .set_tagging_directive(self.tagging_directive(&headers.tags))
            .set_tagging(self.tagging(&headers.tags));
        let answer = with_headers!(request, headers)
            .customize()
            .mutate_request(set_expires(headers))
            .mutate_request(self.of_source(&source.bucket))
            .send()
            .await?;
        let sent = answer
            .copy_object_result()
            .and_then(|result| result.e_tag());
        let copied = etag_of(sent, source.size);
        let Some(etag) = copied.filter(|etag| !is_of_nothing(etag, source.size)) else {
            let what = format!("CopyObject answered 200 with ETag {sent:?}");
            return Err(Fault::Nonsense { status: 200, what });
        };
        Ok(ObjectVersion {
            bucket: self.name.clone(),
            key: key.clone(),
            etag,
            version_id: version_id(answer.version_id()),
            size: source.size,
        })
    }

    pub(super) async fn upload_part_copy(
        &self,
        upload: &Upload,
        number: PartNumber,
        source: &ObjectRange,
    ) -> StoreResult<StoredPart> {
        let version = &*source.version;
        if source.range.is_empty() {
            return Err(refused(version, "empty range"));
        }
        if self.connection.dialect.decodes_part_source_twice && version.key.as_str().contains('%') {
            return Err(refused(version, "a percent sign in the key"));
        }
        let call = self
            .call("UploadPartCopy")
            .key(&upload.key)
            .condition(Condition::Source {
                bucket: &version.bucket,
                key: &version.key,
            })
            .copied(source.range.len());
        let copied = self
            .run_simply(call, |attempt| {
                self.copy_part_attempt(upload, number, source, attempt)
            })
            .await;
        let etag = copied.map_err(|error| self.of_pair(version, error))?;
        Ok(StoredPart {
            number,
            etag,
            size: source.range.len(),
        })
    }

    /// What an error of a copy means that reaches another bucket: the two may lie in regions that
    /// the store does not copy between (Alibaba OSS answers AccessDenied then), or the policy of
    /// one may not know the other's. Whoever may read here and write there still can.
    fn of_pair(&self, source: &ObjectVersion, error: StoreError) -> StoreError {
        if let StoreError::CopyRefused { code, .. } = &error {
            self.connection.note_refusal(source, &self.name, code);
            return error;
        }
        let code = match &error {
            StoreError::AccessDenied { code, .. } => code,
            StoreError::Failed {
                status: 400, code, ..
            } => code,
            _ => return error,
        };
        if source.bucket == self.name {
            return error;
        }
        self.connection.note_refusal(source, &self.name, code);
        refused(source, code)
    }

    async fn copy_part_attempt(
        &self,
        upload: &Upload,
        number: PartNumber,
        source: &ObjectRange,
        attempt: Attempt,
    ) -> Result<ETag, Fault> {
        let version = &*source.version;
        let answer = attempt
            .client
            .upload_part_copy()
            .bucket(self.name.as_str())
            .key(sendable(&upload.key))
            .upload_id(&upload.id)
            .part_number(i32::try_from(number.0).unwrap_or(i32::MAX))
            .copy_source(copy_source(version))
            .set_copy_source_if_match(self.source_condition(version))
            .set_copy_source_range(copy_range(source))
            .customize()
            .mutate_request(self.of_source(&version.bucket))
            .send()
            .await?;
        let Some(result) = answer.copy_part_result() else {
            // `rclone serve s3` takes it for an UploadPart with an empty body.
            return Err(Fault::Settled(refused(version, "no CopyPartResult")));
        };
        match etag(result.e_tag()) {
            Some(etag) if is_of_nothing(&etag, source.range.len()) => {
                Err(Fault::Settled(refused(version, "an empty part")))
            }
            Some(etag) => Ok(etag),
            None => {
                let what = "UploadPartCopy without an ETag".to_owned();
                Err(Fault::Nonsense { status: 200, what })
            }
        }
    }
}

/// `x-amz-copy-source-range`; none for a whole object, because AWS takes ranges of sources above
/// 5 MiB only.
fn copy_range(source: &ObjectRange) -> Option<String> {
    let is_whole = source.range == source.version.range();
    (!is_whole).then(|| format!("bytes={}-{}", source.range.start(), source.range.end() - 1))
}

/// Whether a gateway made it of an empty body because it did not know the copy's source header.
fn is_of_nothing(etag: &ETag, size: u64) -> bool {
    size > 0 && etag.matches(&ETag::new(ETAG_OF_NOTHING))
}

/// What an error of a copy means when its source marks a directory: SeaweedFS finds none (404),
/// and the gateway of JuiceFS, where it has no entity tag, finds another (412) or fails (500).
/// Whoever stores it anew looks whether it is there.
fn of_marker(source: &ObjectVersion, error: StoreError) -> StoreError {
    let is_marker = source.size == 0 && is_marker(&source.key);
    match error {
        StoreError::Stale { .. } | StoreError::NotFound { .. } | StoreError::Failed { .. }
            if is_marker =>
        {
            refused(source, "a directory")
        }
        error => error,
    }
}

fn refused(source: &ObjectVersion, code: &str) -> StoreError {
    StoreError::CopyRefused {
        bucket: source.bucket.clone(),
        key: source.key.clone(),
        code: code.to_owned(),
    }
}
