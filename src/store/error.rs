//! What can go wrong with a request to a store, by meaning. Knows no errno and no client library.

use std::time::Duration;

use super::permission;
use crate::interrupt::Interrupted;
use crate::object::{BucketName, ObjectKey};

/// The result of a request to a store.
pub type StoreResult<T> = Result<T, StoreError>;

/// Why a request failed, after the retries that made sense.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// No object under the key.
    #[error("s3://{bucket}/{key}: no such object")]
    NotFound {
        /// Where.
        bucket: BucketName,
        /// What.
        key: ObjectKey,
    },
    /// The bucket does not exist.
    #[error("bucket \"{bucket}\": no such bucket; check its name and the endpoint")]
    NoSuchBucket {
        /// The bucket asked for.
        bucket: BucketName,
    },
    /// The bucket is in another region than the one asked.
    #[error("bucket \"{bucket}\" is in region {region}; mount it with -o region={region}")]
    WrongRegion {
        /// The bucket asked for.
        bucket: BucketName,
        /// Where it is.
        region: String,
    },
    /// The bucket is in the region asked for, and the endpoint does not serve it: not yet, if the
    /// bucket is new.
    #[error(
        "bucket \"{bucket}\" is in region {region}, as asked for, but {endpoint} redirects \
         requests for it: if the bucket is new, try again later; else leave out url=, or name the \
         endpoint of that region"
    )]
    Redirected {
        /// The bucket asked for.
        bucket: BucketName,
        /// Where it is.
        region: String,
        /// The endpoint asked.
        endpoint: String,
    },
    /// The credentials do not allow it, or are not accepted.
    #[error(
        "{operation} on {resource}: access denied ({code}); {}",
        permission::advice(operation, code)
    )]
    AccessDenied {
        /// The S3 operation.
        operation: &'static str,
        /// `s3://bucket` or `s3://bucket/key`.
        resource: String,
        /// The store's error code, or the status.
        code: String,
    },
    /// No credentials were found.
    #[error("no credentials found: {reason}")]
    NoCredentials {
        /// What was tried.
        reason: String,
    },
    /// The object's storage class does not allow reading it now.
    #[error("s3://{bucket}/{key}: archived ({code}); restore it first")]
    Archived {
        /// Where.
        bucket: BucketName,
        /// What.
        key: ObjectKey,
        /// The store's error code.
        code: String,
    },
    /// The object version asked for is no longer what the key holds.
    #[error("s3://{bucket}/{key}: replaced by another writer")]
    Stale {
        /// Where.
        bucket: BucketName,
        /// What.
        key: ObjectKey,
    },
    /// The answer to a write was lost, and what is there now is another writer's.
    #[error(
        "s3://{bucket}/{key}: replaced by another writer; whether this write was done before is \
         not known, because its answer was lost"
    )]
    Overtaken {
        /// Where.
        bucket: BucketName,
        /// What.
        key: ObjectKey,
    },
    /// An object is there already.
    #[error("s3://{bucket}/{key}: exists already")]
    Exists {
        /// Where.
        bucket: BucketName,
        /// What.
        key: ObjectKey,
    },
    /// The store cannot copy this range as a part; fetch and upload it.
    #[error("s3://{bucket}/{key}: the store refuses to copy from it ({code})")]
    CopyRefused {
        /// The source's bucket.
        bucket: BucketName,
        /// The source.
        key: ObjectKey,
        /// The store's error code.
        code: String,
    },
    /// The store takes no such tags: a character it does not allow, a name twice or too long.
    #[error("{operation} on {resource}: the store takes no such tags ({code})")]
    InvalidTags {
        /// The S3 operation.
        operation: &'static str,
        /// `s3://bucket/key`.
        resource: String,
        /// The store's error code.
        code: String,
    },
    /// The object, part or body is larger than the store takes, or its metadata or tags are more.
    #[error("s3://{bucket}/{key}: too large for the store ({code})")]
    TooLarge {
        /// Where.
        bucket: BucketName,
        /// What.
        key: ObjectKey,
        /// The store's error code.
        code: String,
    },
    /// The key is longer than the store takes.
    #[error("s3://{bucket}/{key}: the key is too long for the store")]
    KeyTooLong {
        /// Where.
        bucket: BucketName,
        /// What.
        key: ObjectKey,
    },
    /// The multipart upload is not there (any more).
    #[error("s3://{bucket}/{key}: the multipart upload is gone")]
    NoSuchUpload {
        /// Where.
        bucket: BucketName,
        /// What.
        key: ObjectKey,
    },
    /// The multipart upload met another request on its key while it was completed, and has to be
    /// made anew.
    #[error("s3://{bucket}/{key}: the multipart upload met another request on the key")]
    UploadSpent {
        /// Where.
        bucket: BucketName,
        /// What.
        key: ObjectKey,
    },
    /// The store is full.
    #[error("s3://{bucket}: no space left ({code})")]
    Full {
        /// Where.
        bucket: BucketName,
        /// The store's error code.
        code: String,
    },
    /// A quota is used up.
    #[error("s3://{bucket}: quota used up ({code})")]
    Quota {
        /// Where.
        bucket: BucketName,
        /// The store's error code.
        code: String,
    },
    /// A retention rule forbids it.
    #[error("{operation} on {resource}: locked by a retention rule ({code})")]
    Locked {
        /// The S3 operation.
        operation: &'static str,
        /// `s3://bucket/key`.
        resource: String,
        /// The store's error code.
        code: String,
    },
    /// The store does not offer the operation.
    #[error("{operation} on {resource}: not offered by the store ({code})")]
    NotOffered {
        /// The S3 operation.
        operation: &'static str,
        /// `s3://bucket` or `s3://bucket/key`.
        resource: String,
        /// The store's error code.
        code: String,
    },
    /// The store refuses the form of a request: it is not of the provider it was taken for.
    #[error(
        "{operation} on {resource}: the store takes no such request ({code}: {message}); {advice}"
    )]
    WrongDialect {
        /// The S3 operation.
        operation: &'static str,
        /// `s3://bucket` or `s3://bucket/key`.
        resource: String,
        /// The store's error code.
        code: String,
        /// The store's message.
        message: String,
        /// What to change.
        advice: &'static str,
    },
    /// Another request on the same key got in the way, repeatedly.
    #[error("{operation} on {resource}: in conflict with another request ({code})")]
    Conflict {
        /// The S3 operation.
        operation: &'static str,
        /// `s3://bucket/key`.
        resource: String,
        /// The store's error code.
        code: String,
    },
    /// The endpoint cannot be reached, or does not answer in time.
    #[error(
        "{operation} on {resource}: no answer from {endpoint} ({reason}), {attempts} attempts in \
         {elapsed:?}"
    )]
    Unreachable {
        /// The S3 operation.
        operation: &'static str,
        /// `s3://bucket` or `s3://bucket/key`.
        resource: String,
        /// The endpoint's address.
        endpoint: String,
        /// The last reason.
        reason: String,
        /// Requests sent.
        attempts: u32,
        /// Time since the first.
        elapsed: Duration,
    },
    /// The caller was told to end before the store had answered. What was asked for may have been
    /// done.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The store answered an error that has no other meaning here, or an answer that makes no
    /// sense, after all retries.
    #[error("{operation} on {resource}: {status} {code} ({message}), {attempts} attempts")]
    Failed {
        /// The S3 operation.
        operation: &'static str,
        /// `s3://bucket` or `s3://bucket/key`.
        resource: String,
        /// The HTTP status.
        status: u16,
        /// The store's error code, or what is wrong with the answer.
        code: String,
        /// The store's message.
        message: String,
        /// Requests sent.
        attempts: u32,
    },
}

impl StoreError {
    /// Whether the request cannot be repeated, but what it belonged to can, in an upload of its
    /// own. A lifecycle rule may abort one that was under way.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::UploadSpent { .. } | Self::NoSuchUpload { .. })
    }
}
