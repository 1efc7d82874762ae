//! PutObject: a whole object in one request, or more bytes at the end of one.

use md5::{Digest, Md5};

use super::S3Bucket;
use super::call::{Attempt, Failure};
use super::fault::{Effect, Fault};
use super::headers::{conditions, etag_of, set_expires, version_id, with_headers};
use super::payload;
use super::wire::sendable;
use crate::object::{ETag, ObjectKey, ObjectVersion};
use crate::store::{ObjectHeaders, Payload, Precondition, StoreResult};

/// What a PutObject sends.
#[derive(Clone, Copy)]
pub(super) struct Put<'a> {
    pub key: &'a ObjectKey,
    pub body: &'a Payload,
    /// Those of an object that is appended to stay.
    pub headers: &'a ObjectHeaders,
    pub precondition: &'a Precondition,
    /// Where in the object the body begins; `None` for a whole object.
    pub offset: Option<u64>,
}

impl S3Bucket {
    pub(super) async fn put_whole(
        &self,
        key: &ObjectKey,
        body: &Payload,
        headers: &ObjectHeaders,
        precondition: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        self.look_at_destination(key, precondition).await?;
        let sent = self.sendable(precondition);
        let put = Put {
            key,
            body,
            headers,
            precondition: sent,
            offset: None,
        };
        match self.put_once(put).await {
            Ok(version) => Ok(version),
            Err(failure) if failure.is_condition_failed() && failure.earlier == Effect::Maybe => {
                // The answer to an earlier attempt was lost: it may be what is there now.
                let published = self.published(key, |stat| is_body(stat, body)).await?;
                published.ok_or_else(|| self.overtaken(key, failure))
            }
            Err(failure)
                if failure.is_condition_failed()
                    && *sent == Precondition::Absent
                    && self.is_bare_marker(key).await? =>
            {
                let put = Put {
                    precondition: &Precondition::None,
                    ..put
                };
                Ok(self.put_once(put).await?)
            }
            Err(failure) if failure.is_not_implemented() && *sent != Precondition::None => {
                self.withdraw_conditions(&failure.into_error());
                self.look_at_destination(key, precondition).await?;
                let put = Put {
                    precondition: &Precondition::None,
                    ..put
                };
                Ok(self.put_once(put).await?)
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    pub(super) async fn put_once<'a>(&'a self, put: Put<'a>) -> Result<ObjectVersion, Failure<'a>> {
        let call = self
            .call("PutObject")
            .key(put.key)
            .condition(put.precondition.into())
            .carried(put.body.len());
        let done = self
            .run(call, |attempt| self.put_attempt(put, attempt))
            .await?;
        Ok(done.value)
    }

    async fn put_attempt(&self, put: Put<'_>, attempt: Attempt) -> Result<ObjectVersion, Fault> {
        let Put {
            key,
            body,
            headers,
            precondition,
            offset,
        } = put;
        let size = offset.unwrap_or(0) + body.len();
        let (if_none_match, if_match) = conditions(precondition);
        let request = attempt
            .client
            .put_object()
            .bucket(self.name.as_str())
            .key(sendable(key))
            .set_if_none_match(if_none_match)
            .set_if_match(if_match)
            .set_write_offset_bytes(offset.and_then(|offset| i64::try_from(offset).ok()))
            .set_tagging(self.tagging(&headers.tags))
            .content_length(i64::try_from(body.len()).unwrap_or(i64::MAX))
            .body(payload::body(body, attempt.progress));
        let answer = with_headers!(request, headers)
            .customize()
            .mutate_request(set_expires(headers))
            .disable_payload_signing()
            .send()
            .await?;
        let Some(etag) = etag_of(answer.e_tag(), size) else {
            let what = "PUT without an ETag".to_owned();
            return Err(Fault::Nonsense { status: 200, what });
        };
        if offset.is_some()
            && let Some(told) = answer.size().and_then(|size| u64::try_from(size).ok())
            && told != size
        {
            let what = format!("an append that made {told} bytes instead of {size}");
            return Err(Fault::Nonsense { status: 200, what });
        }
        Ok(ObjectVersion {
            bucket: self.name.clone(),
            key: key.clone(),
            etag,
            version_id: version_id(answer.version_id()),
            size,
        })
    }
}

/// Whether the object is that body. Where the entity tag is no MD5 (encryption by a key service)
/// the answer is no, and the caller hears of a conflict with itself rather than none at all.
fn is_body(version: &ObjectVersion, body: &Payload) -> bool {
    let mut digest = Md5::new();
    for buffer in body.buffers() {
        digest.update(buffer);
    }
    let digest = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    version.size == body.len() && version.etag.matches(&ETag::new(digest))
}
