//! Multipart uploads: create, parts, complete, abort.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use s3s::dto::*;
use s3s::{S3Response, S3Result, s3_error};

use super::super::buckets::{OpenUpload, Stored, UploadedPart, WriteCondition, now};
use super::super::content::{Content, digest_of, hex};
use super::super::state::State;
use super::Reply;
use super::objects::{
    SentDigests, kept_headers, receive, source, source_condition, take_time_to_copy,
};
use crate::limits::{Limits, PartCopy};
use crate::range::ByteRange;
use crate::store::ObjectHeaders;

pub(super) fn create(
    state: &State,
    input: CreateMultipartUploadInput,
) -> Reply<CreateMultipartUploadOutput> {
    let mut buckets = state.buckets();
    let id = format!("{:016x}", buckets.id());
    let bucket = buckets.bucket_mut(&input.bucket)?;
    let upload = OpenUpload {
        headers: kept_headers!(state, input)?,
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
        ..Default::default()
    }))
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
    let number = part_number(input.part_number, &state.limits)?;
    state
        .buckets()
        .bucket_mut(&input.bucket)?
        .upload(&input.key, &input.upload_id)?;
    let sent = SentDigests {
        md5: input.content_md5,
        crc32: input.checksum_crc32,
    };
    let len_max = state.limits.part_size_max;
    let received = receive(input.body, input.content_length, len_max, &sent).await?;
    let etag = hex(&received.md5);
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

/// `bytes=first-last` within the source, and nothing else (API reference, UploadPartCopy).
fn source_range(text: Option<&str>, size: u64) -> S3Result<ByteRange> {
    let Some(text) = text else {
        return Ok(ByteRange::new(0, size));
    };
    match Range::parse(text) {
        Ok(Range::Int {
            first,
            last: Some(last),
        }) if last < size => Ok(ByteRange::new(first, last + 1)),
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

pub(super) async fn part_copy(
    state: &State,
    input: UploadPartCopyInput,
) -> Reply<UploadPartCopyOutput> {
    if state.limits.part_copy == PartCopy::None {
        return Err(s3_error!(NotImplemented));
    }
    let number = part_number(input.part_number, &state.limits)?;
    state
        .buckets()
        .bucket_mut(&input.bucket)?
        .upload(&input.key, &input.upload_id)?;
    let condition = source_condition!(input);
    let source = source(state, input.copy_source, &condition)?;
    let range = source_range(
        input.copy_source_range.as_deref(),
        source.stored.content.len(),
    )?;
    if range.len() > state.limits.part_size_max {
        return Err(s3_error!(
            InvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy source"
        ));
    }
    take_time_to_copy(state, range.len()).await;
    let etag = digest_of(&format!("{} {range}", source.stored.etag));
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

/// Puts the parts of a Complete request together; returns the content and its ETag.
fn assemble(
    upload: &OpenUpload,
    named: &[CompletedPart],
    limits: &Limits,
) -> S3Result<(Content, String)> {
    if named.is_empty() {
        return Err(s3_error!(MalformedXML));
    }
    if !named.is_sorted_by(|a, b| a.part_number < b.part_number) {
        return Err(s3_error!(InvalidPartOrder));
    }
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
    Ok((content, format!("{}-{}", hex(&md5.finalize()), named.len())))
}

pub(super) fn complete(
    state: &State,
    input: CompleteMultipartUploadInput,
    condition: &WriteCondition,
) -> Reply<CompleteMultipartUploadOutput> {
    let named = input
        .multipart_upload
        .and_then(|upload| upload.parts)
        .unwrap_or_default();
    let mut buckets = state.buckets();
    let bucket = buckets.bucket_mut(&input.bucket)?;
    let upload = bucket.upload(&input.key, &input.upload_id)?;
    let (content, etag) = assemble(upload, &named, &state.limits)?;
    let size = input.mpu_object_size.filter(|_| state.conditions);
    if size.is_some_and(|size| size != content.len() as i64) {
        return Err(s3_error!(
            InvalidRequest,
            "The provided 'x-amz-mp-object-size' header does not match the size of the parts"
        ));
    }
    let headers: ObjectHeaders = upload.headers.clone();
    let stored = Stored {
        content,
        etag: etag.clone(),
        headers,
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
