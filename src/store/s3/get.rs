//! HEAD and GET: what is under a key, and bytes of a version, whole or not at all.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use bytes::{Bytes, BytesMut};

use super::S3Bucket;
use super::call::{Attempt, Done, Failure, Progress};
use super::fault::{Condition, Fault};
use super::headers::{etag, etag_of, of_head, version_id};
use super::markers;
use super::wire::sendable;
use crate::object::{ObjectKey, ObjectRange, ObjectVersion};
use crate::range::ByteRange;
use crate::store::{ObjectStat, StoreError, StoreResult};

impl S3Bucket {
    /// What is under a key. Where a policy allows listing only below a prefix, HEAD of an absent
    /// key is 403 (S3 API reference, HeadObject, "Permissions"): then a listing of that very key,
    /// which is allowed if the mount is, tells whether there is an object.
    pub(super) async fn head_object(&self, key: &ObjectKey) -> StoreResult<ObjectStat> {
        let failure = match self.ask_head(key).await {
            Ok(done) => return Ok(done.value),
            Err(failure) => failure,
        };
        let answer = failure.fault.answer();
        if answer.is_some_and(|answer| answer.status == 403) && self.is_not_listed(key).await {
            let (bucket, key) = (self.name.clone(), key.clone());
            return Err(StoreError::NotFound { bucket, key });
        }
        Err(failure.into_error())
    }

    async fn ask_head<'a>(&'a self, key: &'a ObjectKey) -> Result<Done<ObjectStat>, Failure<'a>> {
        let call = self.call("HeadObject").key(key);
        self.run(call, |attempt| async move {
            let request = attempt.client.head_object().bucket(self.name.as_str());
            let answer = request.key(sendable(key)).send().await?;
            let size = answer
                .content_length()
                .and_then(|size| u64::try_from(size).ok());
            let etag = size.and_then(|size| etag_of(answer.e_tag(), size));
            let (Some(etag), Some(size)) = (etag, size) else {
                let what = "HEAD without an ETag or a length".to_owned();
                return Err(Fault::Nonsense { status: 200, what });
            };
            if markers::is_bare(key, &etag) {
                let (bucket, key) = (self.name.clone(), key.clone());
                return Err(Fault::Settled(StoreError::NotFound { bucket, key }));
            }
            let modified = answer
                .last_modified()
                .and_then(|time| SystemTime::try_from(*time).ok())
                .unwrap_or(SystemTime::UNIX_EPOCH);
            let version = Arc::new(ObjectVersion {
                bucket: self.name.clone(),
                key: key.clone(),
                etag,
                version_id: version_id(answer.version_id()),
                size,
            });
            let mut headers = of_head(&answer, size, self.connection.dialect.tagging);
            if markers::is_marker(key) {
                markers::unpack(&mut headers);
            }
            Ok(ObjectStat {
                version,
                modified,
                headers,
            })
        })
        .await
    }

    pub(super) async fn get_object(&self, source: &ObjectRange) -> StoreResult<Bytes> {
        if source.range.is_empty() {
            return Ok(Bytes::new());
        }
        let version = &*source.version;
        let call = self
            .call("GetObject")
            .key(&version.key)
            .condition(Condition::Source {
                bucket: &version.bucket,
                key: &version.key,
            })
            .carried(source.range.len());
        // What attempts cut short have brought: the next one asks for the rest only.
        let received = Mutex::new(BytesMut::new());
        let received = &received;
        self.run_simply(call, |attempt| async move {
            let mut buffer = Unfinished::take_from(received);
            let rest = ByteRange::new(
                source.range.start() + buffer.bytes.len() as u64,
                source.range.end(),
            );
            self.fetch(version, rest, attempt, &mut buffer.bytes)
                .await?;
            Ok(std::mem::take(&mut buffer.bytes).freeze())
        })
        .await
    }

    /// Appends the bytes of `rest` to `buffer`; on error those that came.
    async fn fetch(
        &self,
        version: &ObjectVersion,
        rest: ByteRange,
        attempt: Attempt,
        buffer: &mut BytesMut,
    ) -> Result<(), Fault> {
        if rest.is_empty() {
            return Ok(());
        }
        let answer = attempt
            .client
            .get_object()
            .bucket(self.name.as_str())
            .key(sendable(&version.key))
            .set_version_id(version.version_id.as_ref().map(|id| id.as_str().to_owned()))
            .if_match(version.etag.as_str())
            .range(format!("bytes={}-{}", rest.start(), rest.end() - 1))
            .send()
            .await?;
        check_answer(version, rest, &answer)?;
        buffer.reserve(usize::try_from(rest.len()).unwrap_or(0));
        receive(answer, rest.len(), &attempt.progress, buffer).await
    }
}

/// Bytes of a body that go home when the attempt that collects them is dropped.
struct Unfinished<'a> {
    bytes: BytesMut,
    home: &'a Mutex<BytesMut>,
}

impl<'a> Unfinished<'a> {
    fn take_from(home: &'a Mutex<BytesMut>) -> Self {
        let bytes = std::mem::take(&mut *home.lock().unwrap_or_else(PoisonError::into_inner));
        Self { bytes, home }
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
    }
}

/// The answer must be of that version and that range: some stores ignore conditions, some ranges.
fn check_answer(
    version: &ObjectVersion,
    rest: ByteRange,
    answer: &GetObjectOutput,
) -> Result<(), Fault> {
    let stale = || {
        let (bucket, key) = (version.bucket.clone(), version.key.clone());
        Err(Fault::Settled(StoreError::Stale { bucket, key }))
    };
    match etag(answer.e_tag()) {
        None => {
            let what = "GET without an ETag".to_owned();
            return Err(Fault::Nonsense { status: 200, what });
        }
        Some(sent) if !sent.matches(&version.etag) => return stale(),
        Some(_) => {}
    }
    match answer.content_range() {
        Some(sent) => {
            let asked = format!("bytes {}-{}/", rest.start(), rest.end() - 1);
            match sent.strip_prefix(&asked) {
                Some(size) if size == "*" || size == version.size.to_string() => Ok(()),
                Some(_) => stale(),
                None => {
                    let what = format!("range {rest} asked, {sent:?} answered");
                    Err(Fault::Nonsense { status: 206, what })
                }
            }
        }
        None if rest == version.range() => Ok(()),
        None => {
            let what = format!("range {rest} asked, the whole object answered");
            Err(Fault::Nonsense { status: 200, what })
        }
    }
}

async fn receive(
    mut answer: GetObjectOutput,
    len: u64,
    progress: &Progress,
    buffer: &mut BytesMut,
) -> Result<(), Fault> {
    let end = buffer.len() as u64 + len;
    progress.moved();
    while let Some(frame) = answer.body.next().await {
        let frame = frame.map_err(|error| Fault::Silence {
            reason: format!("body: {error}"),
            sent: true,
        })?;
        progress.moved();
        if buffer.len() as u64 + frame.len() as u64 > end {
            let what = "a body longer than the range asked".to_owned();
            return Err(Fault::Nonsense { status: 200, what });
        }
        buffer.extend_from_slice(&frame);
    }
    if (buffer.len() as u64) < end {
        let missing = end - buffer.len() as u64;
        let reason = format!("body ended {missing} bytes early");
        return Err(Fault::Silence { reason, sent: true });
    }
    Ok(())
}
