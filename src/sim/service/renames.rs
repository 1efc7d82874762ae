//! RenameObject, which the protocol layer takes for a PutObject.

use http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;
use s3s::dto::*;
use s3s::{S3Response, S3Result, s3_error};

use super::super::buckets::{Stored, WriteCondition};
use super::super::state::State;
use super::Reply;

/// Whether a PUT asks for it.
pub(super) fn is_asked_for(uri: &Uri) -> bool {
    let mut query = uri.query().unwrap_or("").split('&');
    query.any(|pair| pair.split('=').next() == Some("renameObject"))
}

pub(super) fn rename(
    state: &State,
    input: &PutObjectInput,
    headers: &HeaderMap,
    condition: &WriteCondition,
) -> Reply<PutObjectOutput> {
    let from = source(headers)?;
    let mut buckets = state.buckets();
    if !state.rules.writes.renames || buckets.bucket(&input.bucket)?.versioned {
        return Err(s3_error!(NotImplemented));
    }
    if from.ends_with('/') || input.key.ends_with('/') || from == input.key {
        return Err(s3_error!(InvalidRequest));
    }
    let (stored, _) = buckets.find(&input.bucket, &from, None)?;
    let wanted = headers.get("x-amz-rename-source-if-match");
    let wanted = wanted.and_then(|wanted| wanted.to_str().ok());
    if wanted.is_some_and(|wanted| wanted.trim_matches('"') != stored.etag) {
        return Err(s3_error!(PreconditionFailed));
    }
    let stored = Stored::clone(&stored);
    buckets.publish(&input.bucket, &input.key, stored, condition)?;
    buckets.delete(&input.bucket, &from, None)?;
    Ok(S3Response::new(PutObjectOutput::default()))
}

/// The key, with a slash before it or none.
fn source(headers: &HeaderMap) -> S3Result<String> {
    let sent = headers.get("x-amz-rename-source");
    let sent = sent.and_then(|sent| sent.to_str().ok());
    let sent = sent.ok_or_else(|| s3_error!(InvalidRequest))?;
    let key = percent_decode_str(sent).decode_utf8();
    let key = key.map_err(|_| s3_error!(InvalidRequest))?;
    Ok(key.strip_prefix('/').unwrap_or(&key).to_owned())
}
