//! What copies read, and copies of whole objects. Those of parts are in `uploads`.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Response, S3Result, s3_error};

use super::super::buckets::{Stored, WriteCondition, now};
use super::super::content::digest_of;
use super::super::rules::{Conditions, CopiedTags, Refusal};
use super::super::state::State;
use super::Reply;
use super::keys::{self, sent_key, sent_source_key};
use super::objects::{ReadCondition, is_cold, kept_headers, told, whole_etag};
use crate::store::{ObjectHeaders, Tags};

macro_rules! source_condition {
    ($input:expr) => {
        $crate::sim::service::objects::ReadCondition {
            if_match: $input.copy_source_if_match,
            if_none_match: $input.copy_source_if_none_match,
            if_modified_since: $input.copy_source_if_modified_since,
            if_unmodified_since: $input.copy_source_if_unmodified_since,
        }
    };
}
pub(super) use source_condition;

/// The error that refuses a request.
pub(super) fn refused(refusal: Refusal) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::Custom(refusal.code.into()));
    if let Ok(status) = StatusCode::from_u16(refusal.status) {
        error.set_status_code(status);
    }
    error
}

/// The version a copy reads.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) version_id: Option<String>,
    pub(super) stored: Arc<Stored>,
}

pub(super) fn source(
    state: &State,
    source: CopySource,
    (condition, rule): (ReadCondition, Conditions),
    key_sent: keys::Sent<'_>,
) -> S3Result<Source> {
    let CopySource::Bucket {
        bucket,
        key,
        version_id,
    } = source
    else {
        return Err(s3_error!(NotImplemented));
    };
    let (stored, found) = match state.buckets().find(&bucket, &key, version_id.as_deref()) {
        // A delete marker named as the source (API reference, CopyObject).
        Err(error) if *error.code() == S3ErrorCode::MethodNotAllowed => {
            let status = state.rules.copies.marker_named;
            return Err(refused(Refusal::new(status, "InvalidRequest")));
        }
        other => other?,
    };
    let directory = state.rules.copies.directory;
    let refusal = directory.filter(|_| key.ends_with('/'));
    // What is not found has no condition to fail.
    match refusal {
        Some(refusal) if refusal.status == 404 => return Err(refused(refusal)),
        _ => condition.check_by(rule, &stored)?,
    }
    if let Some(refusal) = refusal {
        return Err(refused(refusal));
    }
    keys::check(stored.customer_key.as_deref(), key_sent)?;
    if is_cold(state, &stored) {
        return Err(refused(state.rules.copies.cold));
    }
    Ok(Source {
        bucket: bucket.into(),
        key: key.into(),
        version_id: found,
        stored,
    })
}

impl Source {
    /// Whether it is what the key holds that it is copied to.
    fn is_at(&self, place: (&str, &str)) -> bool {
        self.version_id.is_none() && (self.bucket.as_str(), self.key.as_str()) == place
    }
}

/// Takes the time the service takes to copy.
pub(super) async fn take_time_to_copy(state: &State, bytes: u64) {
    if let Some(bandwidth) = state.pace().copy_bandwidth {
        tokio::time::sleep(Duration::from_secs_f64(bytes as f64 / bandwidth as f64)).await;
    }
}

/// What AWS says of a copy of an object onto itself that changes nothing.
const UNCHANGED: &str = "This copy request is illegal because it is trying to copy an object to \
     itself without changing the object's metadata, storage class, website redirect location or \
     encryption attributes.";

/// The headers a copy gets, of those sent and those the source has.
fn copied_headers(
    (sent, kept): (ObjectHeaders, ObjectHeaders),
    (replaces, replaces_tags): (bool, bool),
    rule: CopiedTags,
) -> ObjectHeaders {
    let (sent_tags, kept_tags) = (sent.tags.clone(), kept.tags.clone());
    let tags = match (rule, replaces, replaces_tags) {
        (CopiedTags::ByDirective, _, true) => sent_tags,
        (CopiedTags::WithMetadata, true, _) => Tags::default(),
        (CopiedTags::ByDirective, _, false) | (CopiedTags::WithMetadata, false, _) => kept_tags,
    };
    // A copy that names no class gets the default one (API reference, CopyObject).
    let storage_class = sent.storage_class.clone();
    ObjectHeaders {
        storage_class,
        tags,
        ..if replaces { sent } else { kept }
    }
}

pub(super) async fn copy(
    state: &State,
    input: CopyObjectInput,
    condition: WriteCondition,
) -> Reply<CopyObjectOutput> {
    let rule = state.rules.copies.object_conditions;
    let key_sent = sent_source_key!(input);
    let about_source = source_condition!(input);
    let source = source(state, input.copy_source, (about_source, rule), key_sent)?;
    let customer_key = keys::digest(sent_key!(input))?;
    let size = source.stored.content.len();
    if size > state.rules.limits.copy_object_max {
        return Err(s3_error!(
            InvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy source"
        ));
    }
    let replaces = input
        .metadata_directive
        .as_ref()
        .is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
    let at = (input.bucket.as_str(), input.key.as_str());
    if source.is_at(at) && !replaces && input.storage_class.is_none() {
        return Err(s3_error!(InvalidRequest, "{}", UNCHANGED));
    }
    let replaces_tags = input
        .tagging_directive
        .as_ref()
        .is_some_and(|directive| directive.as_str() == TaggingDirective::REPLACE);
    let names_class = input.storage_class.is_some();
    let sent = kept_headers!(state, input)?;
    let kept = source.stored.headers.clone();
    let rules = &state.rules.copies;
    let source_class = kept.storage_class.clone();
    let mut headers = copied_headers((sent, kept), (replaces, replaces_tags), rules.tags);
    if rules.class_kept && !names_class {
        headers.storage_class = source_class;
    }
    take_time_to_copy(state, size).await;
    let digest = copy_digest(&source.stored, rules.numbered_etag_kept);
    let digest = whole_etag(digest, customer_key.as_deref());
    let etag = state.etag_at(&input.key, digest);
    let modified = now();
    let content = source.stored.content.clone();
    let stored = Stored {
        content,
        etag: etag.clone(),
        headers,
        customer_key: customer_key.clone(),
        modified,
    };
    let version_id = state
        .buckets()
        .publish(&input.bucket, &input.key, stored, &condition)?;
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(CopyObjectResult {
            e_tag: told(&etag),
            last_modified: Some(modified.into()),
            ..Default::default()
        }),
        copy_source_version_id: source.version_id,
        version_id,
        sse_customer_algorithm: customer_key.as_ref().map(|_| "AES256".into()),
        sse_customer_key_md5: customer_key,
        ..Default::default()
    }))
}

/// The digest of the content is the source's, unless that was made in parts.
fn copy_digest(stored: &Stored, is_kept: bool) -> String {
    if stored.etag.contains('-') && !is_kept {
        digest_of(&stored.etag)
    } else {
        stored.etag.clone()
    }
}
