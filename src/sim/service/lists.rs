//! Lists of buckets, objects, uploads and parts, page by page.

use std::ops::Bound;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::*;
use s3s::{S3Response, S3Result, s3_error};

use super::super::buckets::{BucketState, Buckets};
use super::super::listing::{Entry, Query, encode, page};
use super::super::rules::{Delimiter, Encoding, ListRules, UploadKeys};
use super::super::state::State;
use super::Reply;
use super::objects::told;

/// Most entries on a page.
const PAGE_MAX: i32 = 1000;

pub(super) fn buckets(state: &State) -> Reply<ListBucketsOutput> {
    let buckets = state.buckets();
    let listed = buckets.by_name.iter().map(|(name, bucket)| Bucket {
        name: Some(name.clone()),
        creation_date: Some(bucket.created.into()),
        ..Default::default()
    });
    let buckets = Some(listed.collect());
    Ok(S3Response::new(ListBucketsOutput {
        buckets,
        ..Default::default()
    }))
}

fn page_max(asked: Option<i32>) -> S3Result<usize> {
    let asked = asked.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    usize::try_from(asked).map_err(|_| s3_error!(InvalidArgument))
}

/// How names are written in an answer.
struct Spelling {
    encoded: bool,
}

impl Spelling {
    fn new(encoding: Option<&EncodingType>, rules: &ListRules) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None => Ok(Self { encoded: false }),
            Some(_) if rules.encoding == Encoding::Ignored => Ok(Self { encoded: false }),
            Some(EncodingType::URL) => Ok(Self { encoded: true }),
            Some(_) => Err(s3_error!(InvalidArgument)),
        }
    }

    fn name(&self, name: &str) -> String {
        if self.encoded {
            encode(name)
        } else {
            name.to_owned()
        }
    }
}

/// The delimiter as far as it means anything.
fn delimiter<'a>(
    asked: Option<&'a str>,
    prefix: Option<&str>,
    rules: &ListRules,
) -> S3Result<&'a str> {
    let prefix = prefix.unwrap_or("");
    match rules.delimiter {
        Delimiter::Any => Ok(asked.unwrap_or("")),
        Delimiter::Ignored => Ok(""),
        Delimiter::Slash if asked.is_some_and(|asked| asked != "/") => {
            Err(s3_error!(InvalidArgument, "The delimiter must be /"))
        }
        Delimiter::Slash if !prefix.is_empty() && !prefix.ends_with('/') => {
            Err(s3_error!(InvalidArgument, "The prefix must end in /"))
        }
        Delimiter::Slash => Ok(asked.unwrap_or("")),
    }
}

/// Where a page starts: where the request says, unless names shall be encoded and that loses it.
fn position<'a>(asked: &'a str, spelling: &Spelling, rules: &ListRules) -> &'a str {
    if spelling.encoded && rules.encoding == Encoding::FirstPageForEver {
        ""
    } else {
        asked
    }
}

/// The bucket, with one more listing counted.
fn listed<'a>(buckets: &'a mut Buckets, name: &str) -> S3Result<&'a BucketState> {
    let bucket = buckets.bucket_mut(name)?;
    bucket.listings += 1;
    Ok(bucket)
}

fn split(entries: Vec<Entry>, spelling: &Spelling) -> (Vec<Object>, Vec<CommonPrefix>) {
    let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::Prefix(prefix) => {
                prefixes.push(CommonPrefix {
                    prefix: Some(spelling.name(&prefix)),
                });
            }
            Entry::Object(key, stored) => {
                let class = stored
                    .headers
                    .storage_class
                    .as_deref()
                    .unwrap_or("STANDARD");
                objects.push(Object {
                    key: Some(spelling.name(&key)),
                    e_tag: told(&stored.etag),
                    last_modified: Some(stored.modified.into()),
                    size: Some(stored.content.len() as i64),
                    storage_class: Some(class.to_owned().into()),
                    ..Default::default()
                });
            }
        }
    }
    (objects, prefixes)
}

pub(super) fn objects(state: &State, input: ListObjectsInput) -> Reply<ListObjectsOutput> {
    let rules = &state.rules.lists;
    let spelling = Spelling::new(input.encoding_type.as_ref(), rules)?;
    let max = page_max(input.max_keys)?;
    let query = Query {
        prefix: input.prefix.as_deref().unwrap_or(""),
        delimiter: delimiter(input.delimiter.as_deref(), input.prefix.as_deref(), rules)?,
        after: position(input.marker.as_deref().unwrap_or(""), &spelling, rules),
        max,
        rules,
        has_directories: state.rules.writes.directories,
    };
    let (entries, truncated) = page(listed(&mut state.buckets(), &input.bucket)?, &query);
    // Without a delimiter the last key is the next marker (API reference, ListObjects).
    let next_marker = entries
        .last()
        .filter(|_| truncated && !query.delimiter.is_empty())
        .map(|entry| spelling.name(entry.name()));
    let (contents, common_prefixes) = split(entries, &spelling);
    Ok(S3Response::new(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(spelling.name(query.prefix)),
        marker: Some(spelling.name(query.after)),
        delimiter: input.delimiter.as_deref().map(|text| spelling.name(text)),
        max_keys: Some(max as i32),
        is_truncated: Some(truncated),
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        next_marker,
        encoding_type: input.encoding_type.filter(|_| spelling.encoded),
        ..Default::default()
    }))
}

pub(super) fn objects_v2(state: &State, input: ListObjectsV2Input) -> Reply<ListObjectsV2Output> {
    let rules = &state.rules.lists;
    let spelling = Spelling::new(input.encoding_type.as_ref(), rules)?;
    let max = page_max(input.max_keys)?;
    let resumed = match &input.continuation_token {
        // Of version 1 these two are not.
        _ if !rules.v2 => Some(String::new()),
        None => None,
        Some(token) => Some(
            URL_SAFE_NO_PAD
                .decode(token)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| s3_error!(InvalidArgument))?,
        ),
    };
    let query = Query {
        prefix: input.prefix.as_deref().unwrap_or(""),
        delimiter: delimiter(input.delimiter.as_deref(), input.prefix.as_deref(), rules)?,
        after: position(
            resumed
                .as_deref()
                .or(input.start_after.as_deref())
                .unwrap_or(""),
            &spelling,
            rules,
        ),
        max,
        rules,
        has_directories: state.rules.writes.directories,
    };
    let (entries, truncated) = page(listed(&mut state.buckets(), &input.bucket)?, &query);
    let next = entries
        .last()
        .filter(|_| truncated && rules.v2)
        .map(|entry| URL_SAFE_NO_PAD.encode(entry.name()));
    let key_count = rules.v2.then_some(entries.len() as i32);
    let (contents, common_prefixes) = split(entries, &spelling);
    Ok(S3Response::new(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(spelling.name(query.prefix)),
        delimiter: input.delimiter.as_deref().map(|text| spelling.name(text)),
        start_after: input.start_after.as_deref().map(|text| spelling.name(text)),
        max_keys: Some(max as i32),
        key_count,
        is_truncated: Some(truncated),
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        continuation_token: input.continuation_token,
        next_continuation_token: next,
        encoding_type: input.encoding_type.filter(|_| spelling.encoded),
        ..Default::default()
    }))
}

pub(super) fn uploads(
    state: &State,
    input: ListMultipartUploadsInput,
) -> Reply<ListMultipartUploadsOutput> {
    if input.delimiter.is_some() {
        return Err(s3_error!(NotImplemented));
    }
    // Directory buckets want the same of the prefix here (ListMultipartUploads, Prefix).
    delimiter(None, input.prefix.as_deref(), &state.rules.lists)?;
    let mut spelling = Spelling::new(input.encoding_type.as_ref(), &state.rules.lists)?;
    let encoding_type = match state.rules.lists.upload_keys {
        UploadKeys::AsObjects => input.encoding_type.filter(|_| spelling.encoded),
        UploadKeys::EncodedUnsaid => None,
        UploadKeys::PlainSaid => {
            spelling.encoded = false;
            input.encoding_type
        }
        UploadKeys::Plain => {
            spelling.encoded = false;
            None
        }
    };
    let max = page_max(input.max_uploads)?;
    let prefix = input.prefix.as_deref().unwrap_or("");
    let buckets = state.buckets();
    let bucket = buckets.bucket(&input.bucket)?;
    let key_marker = input.key_marker.clone().unwrap_or_default();
    // Without an upload id all uploads of the marked key are passed over.
    let id_marker = input
        .upload_id_marker
        .clone()
        .unwrap_or_else(|| "\u{10ffff}".into());
    let after = (key_marker, id_marker);
    let from = match input.key_marker {
        Some(_) => Bound::Excluded(&after),
        None => Bound::Unbounded,
    };
    let mut matching = bucket
        .uploads
        .range::<(String, String), _>((from, Bound::Unbounded))
        .filter(|((key, _), _)| key.starts_with(prefix));
    let listed: Vec<_> = matching.by_ref().take(max).collect();
    let truncated = matching.next().is_some();
    let last = listed
        .last()
        .filter(|_| truncated)
        .map(|((key, id), _)| (key, id.clone()));
    let uploads = listed.iter().map(|((key, id), upload)| MultipartUpload {
        key: Some(spelling.name(key)),
        upload_id: Some(id.clone()),
        initiated: Some(upload.initiated.into()),
        ..Default::default()
    });
    Ok(S3Response::new(ListMultipartUploadsOutput {
        bucket: Some(input.bucket.clone()),
        prefix: Some(spelling.name(prefix)),
        uploads: Some(uploads.collect()),
        max_uploads: Some(max as i32),
        is_truncated: Some(truncated),
        next_key_marker: last.as_ref().map(|(key, _)| spelling.name(key)),
        next_upload_id_marker: last.map(|(_, id)| id),
        encoding_type,
        ..Default::default()
    }))
}

pub(super) fn parts(state: &State, input: ListPartsInput) -> Reply<ListPartsOutput> {
    let max = page_max(input.max_parts)?;
    let after = input.part_number_marker.unwrap_or(0).max(0) as u32;
    let mut buckets = state.buckets();
    let upload = buckets
        .bucket_mut(&input.bucket)?
        .upload(&input.key, &input.upload_id)?;
    let mut following = upload
        .parts
        .range((Bound::Excluded(after), Bound::Unbounded));
    let listed: Vec<_> = following.by_ref().take(max).collect();
    let truncated = following.next().is_some();
    let last = listed
        .last()
        .filter(|_| truncated)
        .map(|(number, _)| **number as i32);
    let parts = listed.iter().map(|(number, part)| Part {
        part_number: Some(**number as i32),
        e_tag: Some(ETag::Strong(part.etag.clone())),
        size: Some(part.content.len() as i64),
        last_modified: Some(part.modified.into()),
        ..Default::default()
    });
    Ok(S3Response::new(ListPartsOutput {
        parts: Some(parts.collect()),
        is_truncated: Some(truncated),
        max_parts: Some(max as i32),
        next_part_number_marker: last,
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        ..Default::default()
    }))
}
