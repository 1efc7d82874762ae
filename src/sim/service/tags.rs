//! GetObjectTagging, PutObjectTagging, DeleteObjectTagging, and tags in headers.

use std::collections::BTreeMap;

use http::HeaderValue;
use percent_encoding::percent_decode_str;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Response, S3Result, s3_error};

use super::super::buckets::Stored;
use super::super::state::State;
use super::Reply;
use crate::store::Tags;

/// Most tags of an object, and most characters, as UTF-16 counts them, of a name and of a value
/// (Amazon S3 user guide, "Managing object tags").
const TAGS_MAX: usize = 10;
const NAME_CHARS_MAX: usize = 128;
const VALUE_CHARS_MAX: usize = 256;

pub(super) fn get(state: &State, input: &GetObjectTaggingInput) -> Reply<GetObjectTaggingOutput> {
    let (stored, version_id) =
        state
            .buckets()
            .find(&input.bucket, &input.key, input.version_id.as_deref())?;
    let tags = stored.headers.tags.told().into_iter().flatten();
    let tag_set = tags.map(|(name, value)| Tag {
        key: Some(name.clone()),
        value: Some(value.clone()),
    });
    Ok(S3Response::new(GetObjectTaggingOutput {
        tag_set: tag_set.collect(),
        version_id,
    }))
}

pub(super) fn put(state: &State, input: PutObjectTaggingInput) -> Reply<PutObjectTaggingOutput> {
    let pairs = input.tagging.tag_set.into_iter();
    let pairs = pairs.map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()));
    let tags = checked(pairs, state.rules.requests.tag_characters)?;
    let version_id =
        state
            .buckets()
            .set_tags(&input.bucket, &input.key, input.version_id.as_deref(), tags)?;
    Ok(S3Response::new(PutObjectTaggingOutput { version_id }))
}

pub(super) fn delete(
    state: &State,
    input: &DeleteObjectTaggingInput,
) -> Reply<DeleteObjectTaggingOutput> {
    let version_id = state.buckets().set_tags(
        &input.bucket,
        &input.key,
        input.version_id.as_deref(),
        BTreeMap::new(),
    )?;
    Ok(S3Response::new(DeleteObjectTaggingOutput { version_id }))
}

/// The tags in `x-amz-tagging`: a query, as forms are encoded.
pub(super) fn of_header(state: &State, sent: Option<&str>) -> S3Result<Tags> {
    let pairs = sent
        .unwrap_or("")
        .split('&')
        .filter(|pair| !pair.is_empty());
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        let text = percent_decode_str(&text).decode_utf8();
        text.map(|text| text.into_owned())
            .map_err(|_| s3_error!(InvalidArgument))
    };
    let pairs: S3Result<Vec<_>> = pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect();
    let is_certain = state.rules.requests.header_tag_characters;
    Ok(Tags::These(checked(pairs?, is_certain)?))
}

fn checked(
    pairs: impl IntoIterator<Item = (String, String)>,
    is_certain: bool,
) -> S3Result<BTreeMap<String, String>> {
    let allowed =
        |c: char| !is_certain || c.is_alphanumeric() || c == ' ' || "+-=._:/@".contains(c);
    let mut tags = BTreeMap::new();
    for (name, value) in pairs {
        let fits = (1..=NAME_CHARS_MAX).contains(&name.encode_utf16().count())
            && value.encode_utf16().count() <= VALUE_CHARS_MAX;
        if !fits || !name.chars().chain(value.chars()).all(allowed) || name.starts_with("aws:") {
            return Err(s3_error!(InvalidTag));
        }
        if tags.insert(name, value).is_some() {
            return Err(s3_error!(
                InvalidTag,
                "Cannot provide multiple Tags with the same key"
            ));
        }
    }
    if tags.len() > TAGS_MAX {
        let code = S3ErrorCode::Custom("BadRequest".into());
        let mut error = S3Error::with_message(code, "Object tags cannot be greater than 10");
        error.set_status_code(http::StatusCode::BAD_REQUEST);
        return Err(error);
    }
    Ok(tags)
}

/// The answer, with the number of the object's tags where it has any.
pub(super) fn with_count<T>(output: T, stored: &Stored) -> S3Response<T> {
    let mut response = S3Response::new(output);
    let count = stored.headers.tags.told().map_or(0, BTreeMap::len);
    if count > 0 {
        response
            .headers
            .insert("x-amz-tagging-count", HeaderValue::from(count));
    }
    response
}
