//! Encryption with keys that requests carry (SSE-C): an object is read by its own key alone.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use s3s::{S3Result, s3_error};

/// Bytes of a key (Amazon S3 user guide, "Using server-side encryption with customer-provided
/// keys": 256 bits).
const KEY_BYTES: usize = 32;

/// The three headers of a key, in the order algorithm, key, digest.
pub(super) type Sent<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);

/// The digest of the key that was sent, which is all that is kept of it; `None` when none was.
pub(super) fn digest(sent: Sent<'_>) -> S3Result<Option<String>> {
    let (algorithm, key, digest) = match sent {
        (None, None, None) => return Ok(None),
        (Some(algorithm), Some(key), Some(digest)) => (algorithm, key, digest),
        _ => return Err(s3_error!(InvalidArgument, "A header of the key is missing")),
    };
    if algorithm != "AES256" {
        return Err(s3_error!(InvalidEncryptionAlgorithmError));
    }
    let key = STANDARD.decode(key).unwrap_or_default();
    if key.len() != KEY_BYTES || STANDARD.encode(Md5::digest(&key)) != digest {
        return Err(s3_error!(
            InvalidArgument,
            "The calculated MD5 hash of the key did not match the hash that was provided."
        ));
    }
    Ok(Some(digest.to_owned()))
}

/// Whether an object or upload of the key `wanted` may be used by who sent `sent`.
pub(super) fn check(wanted: Option<&str>, sent: Sent<'_>) -> S3Result<()> {
    let sent = digest(sent)?;
    match (wanted, sent.as_deref()) {
        (None, None) => Ok(()),
        (Some(wanted), Some(sent)) if wanted == sent => Ok(()),
        (Some(_), Some(_)) => Err(s3_error!(AccessDenied)),
        (Some(_), None) => Err(s3_error!(
            InvalidRequest,
            "The object was stored using a form of Server Side Encryption. The correct \
             parameters must be provided to retrieve the object."
        )),
        (None, Some(_)) => Err(s3_error!(
            InvalidRequest,
            "The encryption parameters are not applicable to this object."
        )),
    }
}

/// The headers of a key in an input.
macro_rules! sent_key {
    ($input:expr) => {
        (
            $input.sse_customer_algorithm.as_deref(),
            $input.sse_customer_key.as_deref(),
            $input.sse_customer_key_md5.as_deref(),
        )
    };
}
pub(super) use sent_key;

/// The headers of the source's key in an input.
macro_rules! sent_source_key {
    ($input:expr) => {
        (
            $input.copy_source_sse_customer_algorithm.as_deref(),
            $input.copy_source_sse_customer_key.as_deref(),
            $input.copy_source_sse_customer_key_md5.as_deref(),
        )
    };
}
pub(super) use sent_source_key;
