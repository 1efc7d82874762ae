//! Multipart uploads: create, parts, complete, abort.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use percent_encoding::percent_decode_str;
use s3s::dto::*;
use s3s::{S3Response, S3Result, s3_error};

use super::super::buckets::{OpenUpload, Stored, UploadedPart, WriteCondition, now};
use super::super::content::{Content, digest_of, hex};
use super::super::rules::{PartCopies, Ranges, Rules, Suffix};
use super::super::state::State;
use super::Reply;
use super::copies::{refused, source, source_condition, take_time_to_copy};
use super::keys::{self, sent_key, sent_source_key};
use super::objects::{SentDigests, kept_headers, receive};
use crate::limits::{Limits, PartCopy};
use crate::range::ByteRange;
use crate::store::{ObjectHeaders, Tags};

pub(super) fn create(
    state: &State,
    input: CreateMultipartUploadInput,
) -> Reply<CreateMultipartUploadOutput> {
    let mut buckets = state.buckets();
    let id = format!("{:016x}", buckets.id());
    let bucket = buckets.bucket_mut(&input.bucket)?;
    let customer_key = keys::digest(sent_key!(input))?;
    let mut headers = kept_headers!(state, input)?;
    if !state.rules.uploads.tags {
        headers.tags = Tags::default();
    }
    let upload = OpenUpload {
        headers,
        customer_key: customer_key.clone(),
        initiated: now(),
        parts: BTreeMap::new(),
    };
    bucket
        .uploads
        .insert((input.key.clone(), id.clone()), upload);
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        sse_customer_algorithm: customer_key.as_ref().map(|_| "AES256".into()),
        sse_customer_key_md5: customer_key,
        ..Default::default()
    }))
}

/// Looks for an upload and at the key for it (Amazon S3 API reference, UploadPart: the same as
/// CreateMultipartUpload was sent).
fn check_upload(state: &State, at: (&str, &str, &str), key_sent: keys::Sent<'_>) -> S3Result<()> {
    let (bucket, key, id) = at;
    let mut buckets = state.buckets();
    let upload = buckets.bucket_mut(bucket)?.upload(key, id);
    let upload = upload.map_err(|_| refused(state.rules.uploads.gone_to_part))?;
    keys::check(upload.customer_key.as_deref(), key_sent)
}

fn part_number(number: i32, limits: &Limits) -> S3Result<u32> {
    match u32::try_from(number) {
        Ok(number) if (1..=limits.part_count_max).contains(&number) => Ok(number),
        _ => Err(s3_error!(
            InvalidArgument,
            "Part number must be an integer between 1 and {}, inclusive",
            limits.part_count_max
        )),
    }
}

pub(super) async fn part(state: &State, input: UploadPartInput) -> Reply<UploadPartOutput> {
    let number = part_number(input.part_number, &state.rules.limits)?;
    let at = (&*input.bucket, &*input.key, &*input.upload_id);
    check_upload(state, at, sent_key!(input))?;
    let sent = SentDigests {
        md5: input.content_md5.filter(|_| state.rules.requests.digests),
        crc32: input.checksum_crc32,
    };
    let len_max = state.rules.limits.part_size_max;
    let received = receive(input.body, input.content_length, len_max, &sent).await?;
    let etag = state.etag(hex(&received.md5));
    let content = state.keep(received.bytes)?;
    let part = UploadedPart {
        content,
        etag: etag.clone(),
        modified: now(),
    };
    let mut buckets = state.buckets();
    let upload = buckets
        .bucket_mut(&input.bucket)?
        .upload(&input.key, &input.upload_id)?;
    upload.parts.insert(number, part);
    let e_tag = Some(ETag::Strong(etag));
    Ok(S3Response::new(UploadPartOutput {
        e_tag,
        ..Default::default()
    }))
}

/// The range of a source that is copied: of all forms there are AWS takes `bytes=first-last`
/// within the source, and nothing else (API reference, UploadPartCopy).
fn source_range(text: Option<&str>, size: u64, rules: &Ranges) -> S3Result<ByteRange> {
    let Some(text) = text else {
        return Ok(ByteRange::new(0, size));
    };
    let spelled = if rules.bare && !text.starts_with("bytes=") {
        format!("bytes={text}")
    } else {
        text.to_owned()
    };
    match Range::parse(&spelled) {
        Ok(Range::Int {
            first,
            last: Some(last),
        }) if first <= last && last < size => Ok(ByteRange::new(first, last + 1)),
        Ok(Range::Int {
            first,
            last: Some(_),
        }) if rules.clamped && first < size => Ok(ByteRange::new(first, size)),
        Ok(Range::Int { first, last: None }) if rules.open && first < size => {
            Ok(ByteRange::new(first, size))
        }
        Ok(Range::Suffix { length }) if rules.suffix == Suffix::Last => {
            Ok(ByteRange::new(size.saturating_sub(length), size))
        }
        Ok(Range::Suffix { length }) if rules.suffix == Suffix::FromStart && length < size => {
            Ok(ByteRange::new(0, length + 1))
        }
        Ok(Range::Int { last: Some(_), .. }) if rules.beyond_is_empty => Ok(ByteRange::new(0, 0)),
        Err(_) if rules.beyond_is_empty && is_backwards(&spelled) => Ok(ByteRange::new(0, 0)),
        _ if rules.odd_is_whole => Ok(ByteRange::new(0, size)),
        Ok(Range::Int { last: Some(_), .. }) => Err(s3_error!(
            InvalidArgument,
            "Range specified is not valid for source object of size: {}",
            size
        )),
        _ => Err(s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first \
             and last are the zero-based offsets of the first and last bytes to copy"
        )),
    }
}

/// Whether a range ends before it begins.
fn is_backwards(text: &str) -> bool {
    let range = text.strip_prefix("bytes=");
    let ends = range.and_then(|range| range.split_once('-'));
    let number = |text: &str| text.parse::<u64>().ok();
    ends.and_then(|(first, last)| Some(number(last)? < number(first)?)) == Some(true)
}

pub(super) async fn part_copy(
    state: &State,
    input: UploadPartCopyInput,
) -> Reply<UploadPartCopyOutput> {
    let rules = &state.rules.copies;
    if state.rules.limits.part_copy == PartCopy::None {
        return Err(s3_error!(NotImplemented));
    }
    let number = part_number(input.part_number, &state.rules.limits)?;
    let at = (&*input.bucket, &*input.key, &*input.upload_id);
    check_upload(state, at, sent_key!(input))?;
    if rules.part_copies == PartCopies::EmptyParts {
        return empty_part(state, at, number);
    }
    let condition = source_condition!(input);
    let key_sent = sent_source_key!(input);
    let source = source(
        state,
        named(input.copy_source, rules.part_source_decoded_twice),
        (condition, rules.part_conditions),
        key_sent,
    )?;
    let size = source.stored.content.len();
    let asked = input.copy_source_range.as_deref();
    check_source_size(state, size, asked.is_some())?;
    let range = source_range(asked, size, &rules.ranges)?;
    if range.len() > state.rules.limits.part_size_max {
        return Err(s3_error!(
            InvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy source"
        ));
    }
    take_time_to_copy(state, range.len()).await;
    let etag = state.etag(digest_of(&format!("{} {range}", source.stored.etag)));
    let content = source.stored.content.slice(range);
    let part = UploadedPart {
        content,
        etag: etag.clone(),
        modified: now(),
    };
    let modified = part.modified;
    let mut buckets = state.buckets();
    let upload = buckets
        .bucket_mut(&input.bucket)?
        .upload(&input.key, &input.upload_id)?;
    upload.parts.insert(number, part);
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(CopyPartResult {
            e_tag: Some(ETag::Strong(etag)),
            last_modified: Some(modified.into()),
            ..Default::default()
        }),
        copy_source_version_id: source.version_id,
        ..Default::default()
    }))
}

/// The source that the store takes the request to name.
fn named(source: CopySource, is_decoded_twice: bool) -> CopySource {
    match source {
        CopySource::Bucket {
            bucket,
            key,
            version_id,
        } if is_decoded_twice => {
            let decoded = percent_decode_str(&key).decode_utf8_lossy();
            CopySource::Bucket {
                bucket,
                key: decoded.into(),
                version_id,
            }
        }
        once => once,
    }
}

/// What a source must have for a part to be copied from it.
fn check_source_size(state: &State, size: u64, is_ranged: bool) -> S3Result<()> {
    let rules = &state.rules.copies;
    if rules.part_source_refused_max.is_some_and(|max| size <= max) {
        return Err(s3_error!(InvalidRequest, "Source object is too small"));
    }
    if is_ranged && size > 0 && size <= rules.ranged_source_refused_max {
        return Err(s3_error!(
            InvalidRequest,
            "The specified copy source is not supported as a byte-range copy source"
        ));
    }
    Ok(())
}

/// What a gateway makes of a part copy that it takes for an UploadPart.
fn empty_part(
    state: &State,
    (bucket, key, id): (&str, &str, &str),
    number: u32,
) -> Reply<UploadPartCopyOutput> {
    let etag = state.etag(hex(&Md5::digest(b"")));
    let part = UploadedPart {
        content: Content::default(),
        etag: etag.clone(),
        modified: now(),
    };
    let mut buckets = state.buckets();
    let upload = buckets.bucket_mut(bucket)?.upload(key, id)?;
    upload.parts.insert(number, part);
    let mut response = S3Response::new(UploadPartCopyOutput::default());
    if let Ok(value) = format!("\"{etag}\"").parse() {
        response.headers.insert(http::header::ETAG, value);
    }
    Ok(response)
}

/// Which parts a Complete request has to name, and in which order.
fn check_named(upload: &OpenUpload, named: &[CompletedPart], rules: &Rules) -> S3Result<()> {
    if named.is_empty() {
        return Err(s3_error!(MalformedXML));
    }
    let is_sorted = named.is_sorted_by(|a, b| a.part_number < b.part_number);
    if rules.uploads.ordered && !is_sorted {
        return Err(s3_error!(InvalidPartOrder));
    }
    let mut counted = (1..).zip(named);
    if rules.uploads.consecutive && counted.any(|(n, part)| part.part_number != Some(n)) {
        return Err(s3_error!(InvalidPartOrder));
    }
    if rules.uploads.all_parts_named && named.len() != upload.parts.len() {
        return Err(s3_error!(InvalidPart));
    }
    Ok(())
}

/// Puts the parts of a Complete request together; returns the content and its ETag.
fn assemble(
    upload: &OpenUpload,
    named: &[CompletedPart],
    rules: &Rules,
) -> S3Result<(Content, String)> {
    check_named(upload, named, rules)?;
    let limits = &rules.limits;
    let mut content = Content::default();
    let mut md5 = Md5::new();
    let mut first_len = 0;
    for (index, part) in named.iter().enumerate() {
        let number = part
            .part_number
            .and_then(|number| u32::try_from(number).ok());
        let number = number.ok_or_else(|| s3_error!(MalformedXML))?;
        let stored = upload
            .parts
            .get(&number)
            .ok_or_else(|| s3_error!(InvalidPart))?;
        let etag = part.e_tag.as_ref().map(ETag::value);
        if etag != Some(stored.etag.as_str()) {
            return Err(s3_error!(InvalidPart));
        }
        let len = stored.content.len();
        let is_last = index + 1 == named.len();
        if !is_last && len < limits.part_size_min {
            return Err(s3_error!(EntityTooSmall));
        }
        if index == 0 {
            first_len = len;
        }
        let unequal = if is_last {
            len > first_len
        } else {
            len != first_len
        };
        if limits.parts_equal && unequal {
            return Err(s3_error!(
                InvalidPart,
                "All non-trailing parts must have the same length."
            ));
        }
        content.append(&stored.content);
        md5.update(stored.etag.as_bytes());
    }
    if content.len() > limits.object_size_max {
        return Err(s3_error!(EntityTooLarge));
    }
    let digest = hex(&md5.finalize());
    let etag = if rules.uploads.numbered_etag {
        format!("{digest}-{}", named.len())
    } else {
        digest
    };
    Ok((content, etag))
}

pub(super) fn complete(
    state: &State,
    input: CompleteMultipartUploadInput,
    condition: &WriteCondition,
) -> Reply<CompleteMultipartUploadOutput> {
    let mut named = input
        .multipart_upload
        .and_then(|upload| upload.parts)
        .unwrap_or_default();
    let rules = &state.rules.uploads;
    if !rules.ordered {
        named.sort_by_key(|part| part.part_number);
    }
    let mut buckets = state.buckets();
    let bucket = buckets.bucket_mut(&input.bucket)?;
    let upload = bucket.upload(&input.key, &input.upload_id);
    let upload = upload.map_err(|_| refused(rules.gone_to_complete))?;
    let (content, etag) = assemble(upload, &named, &state.rules)?;
    let etag = state.etag(etag);
    let size = input.mpu_object_size.filter(|_| rules.object_size);
    if size.is_some_and(|size| size != content.len() as i64) {
        return Err(s3_error!(
            InvalidRequest,
            "The provided 'x-amz-mp-object-size' header does not match the size of the parts"
        ));
    }
    let headers: ObjectHeaders = upload.headers.clone();
    let customer_key = upload.customer_key.clone();
    let stored = Stored {
        content,
        etag: etag.clone(),
        headers,
        customer_key,
        modified: now(),
    };
    let version_id = buckets.publish(&input.bucket, &input.key, stored, condition)?;
    let upload = (input.key.clone(), input.upload_id);
    buckets.bucket_mut(&input.bucket)?.uploads.remove(&upload);
    Ok(S3Response::new(CompleteMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(ETag::Strong(etag)),
        version_id,
        ..Default::default()
    }))
}

pub(super) fn abort(
    state: &State,
    input: &AbortMultipartUploadInput,
) -> Reply<AbortMultipartUploadOutput> {
    let mut buckets = state.buckets();
    let bucket = buckets.bucket_mut(&input.bucket)?;
    let upload = (input.key.clone(), input.upload_id.clone());
    match bucket.uploads.remove(&upload) {
        Some(_) => Ok(S3Response::new(AbortMultipartUploadOutput::default())),
        None => Err(s3_error!(NoSuchUpload)),
    }
}
