//! PutObject: a whole object in one request.

use md5::{Digest, Md5};

use super::S3Bucket;
use super::call::{Attempt, Failure};
use super::fault::{Effect, Fault};
use super::headers::{conditions, etag_of, set_expires, version_id, with_headers};
use super::payload;
use super::wire::sendable;
use crate::object::{ETag, ObjectKey, ObjectVersion};
use crate::store::{ObjectHeaders, Payload, Precondition, StoreResult};

impl S3Bucket {
    pub(super) async fn put_object(
        &self,
        key: &ObjectKey,
        body: &Payload,
        headers: &ObjectHeaders,
        precondition: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        self.look_at_destination(key, precondition).await?;
        let sent = self.sendable(precondition);
        match self.put_once(key, body, headers, sent).await {
            Ok(version) => Ok(version),
            Err(failure) if failure.is_condition_failed() && failure.earlier == Effect::Maybe => {
                // The answer to an earlier attempt was lost: it may be what is there now.
                match self.published(key, |stat| is_body(stat, body)).await? {
                    Some(version) => Ok(version),
                    None => Err(failure.into_error()),
                }
            }
            Err(failure) if failure.is_not_implemented() && *sent != Precondition::None => {
                self.withdraw_conditions(&failure.into_error());
                self.look_at_destination(key, precondition).await?;
                Ok(self
                    .put_once(key, body, headers, &Precondition::None)
                    .await?)
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    async fn put_once<'a>(
        &'a self,
        key: &'a ObjectKey,
        body: &Payload,
        headers: &ObjectHeaders,
        precondition: &Precondition,
    ) -> Result<ObjectVersion, Failure<'a>> {
        let call = self
            .call("PutObject")
            .key(key)
            .condition(precondition.into())
            .carried(body.len());
        let done = self
            .run(call, |attempt| {
                self.put_attempt(key, body, headers, precondition, attempt)
            })
            .await?;
        Ok(done.value)
    }

    async fn put_attempt(
        &self,
        key: &ObjectKey,
        body: &Payload,
        headers: &ObjectHeaders,
        precondition: &Precondition,
        attempt: Attempt,
    ) -> Result<ObjectVersion, Fault> {
        let (if_none_match, if_match) = conditions(precondition);
        let request = attempt
            .client
            .put_object()
            .bucket(self.name.as_str())
            .key(sendable(key))
            .set_if_none_match(if_none_match)
            .set_if_match(if_match)
            .set_tagging(self.tagging(&headers.tags))
            .content_length(i64::try_from(body.len()).unwrap_or(i64::MAX))
            .body(payload::body(body, attempt.progress));
        let answer = with_headers!(request, headers)
            .customize()
            .mutate_request(set_expires(headers))
            .disable_payload_signing()
            .send()
            .await?;
        let Some(etag) = etag_of(answer.e_tag(), body.len()) else {
            let what = "PUT without an ETag".to_owned();
            return Err(Fault::Nonsense { status: 200, what });
        };
        Ok(ObjectVersion {
            bucket: self.name.clone(),
            key: key.clone(),
            etag,
            version_id: version_id(answer.version_id()),
            size: body.len(),
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
