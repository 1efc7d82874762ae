//! HEAD, GET and PUT of whole objects.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue};
use md5::{Digest, Md5};
use s3s::crypto::{Checksum as _, Crc32};
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Response, S3Result, s3_error};

use super::super::buckets::{Stored, WriteCondition, names, now};
use super::super::content::{digest_of, hex};
use super::super::rules::{Conditions, MarkerHeaders};
use super::super::state::State;
use super::keys::{self, sent_key};
use super::{Reply, tags};
use crate::range::ByteRange;
use crate::store::ObjectHeaders;

/// Most bytes reserved for a body before it is there.
const BODY_RESERVED_MAX: u64 = 64 << 20;

/// The headers kept with an object; the fields have the same names in each input.
macro_rules! kept_headers {
    ($state:expr, $input:expr) => {
        $crate::sim::service::objects::checked_headers(
            $state,
            &$input.key,
            ObjectHeaders {
                content_type: $input.content_type,
                content_encoding: $input.content_encoding,
                content_disposition: $input.content_disposition,
                content_language: $input.content_language,
                cache_control: $input.cache_control,
                expires: $input
                    .expires
                    .as_ref()
                    .map($crate::sim::service::objects::http_date),
                storage_class: $input.storage_class.map(|class| class.as_str().to_owned()),
                metadata: $input.metadata.into_iter().flatten().collect(),
                tags: $crate::sim::service::tags::of_header($state, $input.tagging.as_deref())?,
            },
        )
    };
}
pub(super) use kept_headers;

pub(super) fn checked_headers(
    state: &State,
    key: &str,
    mut headers: ObjectHeaders,
) -> S3Result<ObjectHeaders> {
    let rules = &state.rules;
    let is_marker = key.ends_with('/');
    match rules.writes.marker_headers {
        MarkerHeaders::Type if is_marker => {
            return Ok(ObjectHeaders {
                content_type: headers.content_type,
                ..ObjectHeaders::default()
            });
        }
        MarkerHeaders::None if is_marker => return Ok(ObjectHeaders::default()),
        _ => {}
    }
    let start = if rules.requests.metadata_names_whole {
        "x-amz-meta-".len()
    } else {
        0
    };
    let metadata = headers
        .metadata
        .iter()
        .map(|(name, value)| (start + name.len() + value.len()) as u64);
    if metadata.sum::<u64>() > state.rules.limits.metadata_bytes_max {
        return Err(s3_error!(MetadataTooLarge));
    }
    // aws-chunked is a coding of the transfer, not of the object.
    let kept = headers.content_encoding.as_deref().map(|codings| {
        let codings = codings.split(',').map(str::trim);
        codings
            .filter(|coding| *coding != "aws-chunked")
            .collect::<Vec<_>>()
            .join(",")
    });
    headers.content_encoding = kept.filter(|codings| !codings.is_empty());
    for dropped in rules.writes.dropped_headers {
        match *dropped {
            "content-encoding" => headers.content_encoding = None,
            "content-language" => headers.content_language = None,
            "expires" => headers.expires = None,
            other => unreachable!("no rule drops {other}"),
        }
    }
    headers.storage_class = headers.storage_class.filter(|class| class != "STANDARD");
    Ok(headers)
}

pub(super) fn http_date(time: &Timestamp) -> String {
    let mut text = Vec::new();
    match time.format(TimestampFormat::HttpDate, &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}

/// The headers of an answer that shows an object; HEAD and GET have fields of the same names.
macro_rules! shown {
    ($output:ident, $stored:expr, $version:expr, $len:expr, $range:expr) => {{
        let headers = $stored.headers.clone();
        let expires = headers
            .expires
            .and_then(|text| Timestamp::parse(TimestampFormat::HttpDate, &text).ok());
        $output {
            accept_ranges: Some("bytes".into()),
            // What AWS answers for an object that was given no type.
            content_type: Some(
                headers
                    .content_type
                    .unwrap_or_else(|| "binary/octet-stream".into()),
            ),
            content_encoding: headers.content_encoding,
            content_disposition: headers.content_disposition,
            content_language: headers.content_language,
            cache_control: headers.cache_control,
            expires,
            storage_class: headers.storage_class.map(StorageClass::from),
            metadata: Some(headers.metadata.into_iter().collect()),
            content_length: Some($len as i64),
            content_range: $range,
            e_tag: told(&$stored.etag),
            last_modified: Some($stored.modified.into()),
            sse_customer_algorithm: $stored.customer_key.as_ref().map(|_| "AES256".into()),
            sse_customer_key_md5: $stored.customer_key.clone(),
            version_id: $version,
            ..Default::default()
        }
    }};
}

/// Conditions on what is read; those of a copy's source fail with 412 where a GET answers 304.
#[derive(Debug)]
pub(super) struct ReadCondition {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

impl ReadCondition {
    /// The same without what a rule ignores, and what an unchanged source is answered.
    pub(super) fn check_by(mut self, rule: Conditions, stored: &Stored) -> S3Result<()> {
        match rule {
            Conditions::Ignored | Conditions::Refused => return Ok(()),
            Conditions::KeptNotModified => return self.check(stored, S3ErrorCode::NotModified),
            Conditions::NoneMatchOnly => {
                (self.if_match, self.if_unmodified_since) = (None, None);
            }
            Conditions::Kept | Conditions::QuotedNever => {}
        }
        self.check(stored, S3ErrorCode::PreconditionFailed)
    }

    /// Entity tags go before dates (RFC 9110 section 13.2.2).
    pub(super) fn check(&self, stored: &Stored, unchanged: S3ErrorCode) -> S3Result<()> {
        let modified = Timestamp::from(stored.modified);
        let holds = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => names(condition, &stored.etag),
            (None, Some(since)) => modified <= *since,
            (None, None) => true,
        };
        if !holds {
            return Err(s3_error!(PreconditionFailed));
        }
        let changed = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => !names(condition, &stored.etag),
            (None, Some(since)) => modified > *since,
            (None, None) => true,
        };
        if changed {
            Ok(())
        } else {
            Err(unchanged.into())
        }
    }
}

macro_rules! read_condition {
    ($input:expr) => {
        ReadCondition {
            if_match: $input.if_match,
            if_none_match: $input.if_none_match,
            if_modified_since: $input.if_modified_since,
            if_unmodified_since: $input.if_unmodified_since,
        }
    };
}

fn range_of(range: Option<Range>, size: u64) -> S3Result<(ByteRange, Option<String>)> {
    let Some(range) = range else {
        return Ok((ByteRange::new(0, size), None));
    };
    let asked = range.check(size).map_err(|_| {
        let mut error = s3_error!(InvalidRange);
        let mut headers = HeaderMap::new();
        if let Ok(value) = format!("bytes */{size}").parse() {
            headers.insert(http::header::CONTENT_RANGE, value);
        }
        error.set_headers(headers);
        error
    })?;
    let text = format!(
        "bytes {}-{}/{size}",
        asked.start,
        asked.end.saturating_sub(1)
    );
    Ok((ByteRange::new(asked.start, asked.end), Some(text)))
}

pub(super) fn head(state: &State, input: HeadObjectInput) -> Reply<HeadObjectOutput> {
    let found = {
        let buckets = state.buckets();
        let found = buckets.find(&input.bucket, &input.key, input.version_id.as_deref());
        let directory = buckets.bucket(&input.bucket)?.directory(&input.key);
        let directory = directory.filter(|_| state.rules.writes.directories);
        found.or_else(|error| directory.map(|found| (found, None)).ok_or(error))
    };
    let (stored, version) = found?;
    keys::check(stored.customer_key.as_deref(), sent_key!(input))?;
    read_condition!(input).check(&stored, S3ErrorCode::NotModified)?;
    let (range, shown_range) = range_of(input.range, stored.content.len())?;
    let output = shown!(HeadObjectOutput, stored, version, range.len(), shown_range);
    Ok(tags::with_count(output, &stored))
}

pub(super) fn get(state: &State, input: GetObjectInput) -> Reply<GetObjectOutput> {
    let (stored, version) =
        state
            .buckets()
            .find(&input.bucket, &input.key, input.version_id.as_deref())?;
    keys::check(stored.customer_key.as_deref(), sent_key!(input))?;
    if is_cold(state, &stored) {
        return Err(s3_error!(InvalidObjectState));
    }
    read_condition!(input).check(&stored, S3ErrorCode::NotModified)?;
    let (range, shown_range) = range_of(input.range, stored.content.len())?;
    let frames = futures_util::stream::iter(stored.content.slice(range).into_frames());
    let mut output = shown!(GetObjectOutput, stored, version, range.len(), shown_range);
    output.body = Some(StreamingBlob::wrap(frames));
    Ok(tags::with_count(output, &stored))
}

/// A body that was received whole, and its MD5.
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    pub(super) md5: [u8; 16],
}

/// What the client says of a body, in base64.
#[derive(Debug)]
pub(super) struct SentDigests {
    pub(super) md5: Option<String>,
    pub(super) crc32: Option<String>,
}

/// Reads a body of known length into one buffer.
pub(super) async fn receive(
    body: Option<StreamingBlob>,
    len: Option<i64>,
    len_max: u64,
    sent: &SentDigests,
) -> S3Result<Received> {
    let len = len.and_then(|len| u64::try_from(len).ok());
    let len = len.ok_or_else(|| s3_error!(MissingContentLength))?;
    if len > len_max {
        return Err(s3_error!(EntityTooLarge));
    }
    let mut bytes = Vec::with_capacity(len.min(BODY_RESERVED_MAX) as usize);
    let mut md5 = Md5::new();
    if let Some(mut body) = body {
        while let Some(frame) = body.next().await {
            let incomplete = |error| S3Error::with_source(S3ErrorCode::IncompleteBody, error);
            let frame = frame.map_err(incomplete)?;
            md5.update(&frame);
            bytes.extend_from_slice(&frame);
        }
    }
    if bytes.len() as u64 != len {
        return Err(s3_error!(IncompleteBody));
    }
    let md5: [u8; 16] = md5.finalize().into();
    check_digest(sent.md5.as_deref(), || md5)?;
    check_digest(sent.crc32.as_deref(), || Crc32::checksum(&bytes))?;
    Ok(Received { bytes, md5 })
}

/// An entity tag as answers tell it.
pub(super) fn told(etag: &str) -> Option<ETag> {
    (!etag.is_empty()).then(|| ETag::Strong(etag.to_owned()))
}

fn check_digest<const N: usize>(sent: Option<&str>, digest: impl Fn() -> [u8; N]) -> S3Result<()> {
    let Some(sent) = sent else { return Ok(()) };
    match STANDARD.decode(sent) {
        Ok(sent) if sent == digest() => Ok(()),
        Ok(sent) if sent.len() == N => Err(s3_error!(BadDigest)),
        _ => Err(s3_error!(InvalidDigest)),
    }
}

pub(super) async fn put(
    state: &State,
    input: PutObjectInput,
    condition: WriteCondition,
) -> Reply<PutObjectOutput> {
    if input.write_offset_bytes.is_some() && !state.rules.writes.appends {
        return Err(s3_error!(NotImplemented));
    }
    let sent = SentDigests {
        md5: input.content_md5.filter(|_| state.rules.requests.digests),
        crc32: input.checksum_crc32,
    };
    let received = receive(
        input.body,
        input.content_length,
        state.rules.limits.put_max,
        &sent,
    )
    .await?;
    if let Some(offset) = input.write_offset_bytes {
        return append(
            state,
            (&input.bucket, &input.key),
            offset,
            received,
            &condition,
        );
    }
    let customer_key = keys::digest(sent_key!(input))?;
    let digest = whole_etag(hex(&received.md5), customer_key.as_deref());
    let etag = state.etag_at(&input.key, digest);
    let stored = Stored {
        etag: etag.clone(),
        headers: kept_headers!(state, input)?,
        customer_key: customer_key.clone(),
        modified: now(),
        content: state.keep(received.bytes)?,
    };
    let version_id = state
        .buckets()
        .publish(&input.bucket, &input.key, stored, &condition)?;
    Ok(S3Response::new(PutObjectOutput {
        e_tag: told(&etag),
        version_id,
        sse_customer_algorithm: customer_key.as_ref().map(|_| "AES256".into()),
        sse_customer_key_md5: customer_key,
        ..Default::default()
    }))
}

/// Adds a body to the end of an object, whose headers stay.
fn append(
    state: &State,
    (bucket, key): (&str, &str),
    offset: i64,
    received: Received,
    condition: &WriteCondition,
) -> Reply<PutObjectOutput> {
    let tail = state.keep(received.bytes)?;
    let mut buckets = state.buckets();
    let (base, _) = buckets.find(bucket, key, None)?;
    if u64::try_from(offset) != Ok(base.content.len()) {
        let code = S3ErrorCode::Custom("InvalidWriteOffset".into());
        let mut error = S3Error::new(code);
        error.set_status_code(http::StatusCode::BAD_REQUEST);
        return Err(error);
    }
    let mut grown = Stored::clone(&base);
    grown.content.append(&tail);
    grown.etag = state.etag(digest_of(&format!("{} {}", base.etag, hex(&received.md5))));
    grown.modified = now();
    let output = PutObjectOutput {
        e_tag: Some(ETag::Strong(grown.etag.clone())),
        size: i64::try_from(grown.content.len()).ok(),
        ..Default::default()
    };
    buckets.publish(bucket, key, grown, condition)?;
    Ok(S3Response::new(output))
}

/// The conditions on a write, as far as the service looks at them.
pub(super) fn write_condition(
    state: &State,
    headers: &HeaderMap,
    rule: Conditions,
) -> S3Result<WriteCondition> {
    let condition = |name| match headers.get(name) {
        None => Ok(None),
        Some(value) => ETagCondition::parse_http_header(value.as_bytes())
            .map(Some)
            .map_err(|_| s3_error!(InvalidArgument)),
    };
    let if_match = http::header::IF_MATCH;
    let (if_match, if_none_match) = match rule {
        Conditions::Kept | Conditions::KeptNotModified => (
            condition(if_match)?,
            condition(http::header::IF_NONE_MATCH)?,
        ),
        Conditions::QuotedNever => (
            headers.get(if_match).map(as_sent),
            condition(http::header::IF_NONE_MATCH)?,
        ),
        Conditions::NoneMatchOnly => (None, condition(http::header::IF_NONE_MATCH)?),
        Conditions::Ignored | Conditions::Refused => (None, None),
    };
    let header = state.rules.writes.forbid_overwrite;
    let forbids = header.and_then(|name| headers.get(name));
    Ok(WriteCondition {
        if_match,
        if_none_match,
        absent_is_412: state.rules.writes.absent_is_412,
        finds_directories: state.rules.writes.directories,
        forbids_overwrite: forbids.is_some_and(|value| value == "true"),
    })
}

/// An entity tag with its quotes, which no object has.
fn as_sent(value: &HeaderValue) -> ETagCondition {
    match String::from_utf8_lossy(value.as_bytes()).as_ref() {
        "*" => ETagCondition::Any,
        text => ETagCondition::ETag(ETag::Strong(text.to_owned())),
    }
}

/// Whether an object has to be restored before it can be read.
pub(super) fn is_cold(state: &State, stored: &Stored) -> bool {
    let class = stored.headers.storage_class.as_deref();
    class.is_some_and(|class| state.rules.copies.cold_classes.contains(&class))
}

/// The ETag of an object is no digest of its content when that is encrypted with a customer's key
/// (Amazon S3 API reference, Object, ETag).
pub(super) fn whole_etag(digest: String, customer_key: Option<&str>) -> String {
    match customer_key {
        None => digest,
        Some(key) => digest_of(&format!("{digest} {key}")),
    }
}
