//! PutObject at the end of an object: the bytes that are added are all that is sent.

use bytes::Bytes;

use super::S3Bucket;
use super::fault::Effect;
use super::headers::is_pinned_by_id;
use super::put::Put;
use crate::object::{ObjectRange, ObjectVersion};
use crate::range::ByteRange;
use crate::store::{ObjectHeaders, Payload, Precondition, StoreError, StoreResult};

impl S3Bucket {
    /// `None` where the object has to be made anew.
    pub(super) async fn append_to_object(
        &self,
        base: &ObjectVersion,
        body: &Payload,
    ) -> StoreResult<Option<ObjectVersion>> {
        let offer = &self.connection.offers.appends;
        let most = self.connection.dialect.limits.append_max;
        if body.len() > most || !offer.is_there() || is_pinned_by_id(base) {
            return Ok(None);
        }
        let put = Put {
            key: &base.key,
            body,
            headers: &ObjectHeaders::default(),
            precondition: &Precondition::Unchanged(base.etag.clone()),
            offset: Some(base.size),
        };
        let failure = match self.put_once(put).await {
            Ok(version) => return Ok(Some(version)),
            Err(failure) => failure,
        };
        if failure.is_not_implemented() {
            offer.withdraw(&failure.into_error().to_string());
            return Ok(None);
        }
        // An object is appended to 10,000 times at most; one made anew may be again.
        if failure.has_code("TooManyParts") {
            return Ok(None);
        }
        let is_elsewhere = failure.has_code("InvalidWriteOffset") || failure.is_condition_failed();
        if is_elsewhere && failure.earlier == Effect::Maybe {
            // The answer to an earlier attempt was lost: its bytes may be what is there now.
            let appended = self.appended(base, body).await?;
            return appended
                .map(Some)
                .ok_or_else(|| self.overtaken(&base.key, failure));
        }
        if is_elsewhere {
            let (bucket, key) = (base.bucket.clone(), base.key.clone());
            return Err(StoreError::Stale { bucket, key });
        }
        Err(failure.into_error())
    }

    /// The version now under the key, if it ends in this body where the base ended. The same bytes
    /// that another client added at that moment cannot be told apart.
    async fn appended(
        &self,
        base: &ObjectVersion,
        body: &Payload,
    ) -> StoreResult<Option<ObjectVersion>> {
        let size = base.size + body.len();
        let found = self.published(&base.key, |now| now.size == size).await?;
        let Some(version) = found else {
            return Ok(None);
        };
        let source = ObjectRange {
            version: version.clone().into(),
            range: ByteRange::new(base.size, size),
        };
        let end: Bytes = self.get_object(&source).await?;
        let mut sent = body.buffers().iter().flat_map(|buffer| buffer.iter());
        let is_ours = end.iter().all(|byte| sent.next() == Some(byte));
        Ok(is_ours.then_some(version))
    }
}
