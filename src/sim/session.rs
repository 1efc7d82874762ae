//! Sessions of directory buckets: temporary credentials, each for one bucket, that requests have to
//! carry there. Knows no object.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::{Request, Response};
use s3s::access::{S3Access, S3AccessContext};
use s3s::dto::{Timestamp, TimestampFormat};
use s3s::{Body, S3Result, s3_error};

use super::answer;

/// How directory buckets, and no others, are named (Amazon S3 user guide, "Directory bucket naming
/// rules").
const DIRECTORY_END: &str = "--x-s3";
/// The service that their requests are signed for, of which the protocol layer knows nothing.
const SIGNED_FOR: &str = "/s3express/aws4_request";
/// How long a session lasts (Amazon S3 API reference, CreateSession). Clients renew it before; that
/// they do is not looked at.
const LASTING: Duration = Duration::from_secs(300);

/// Whether a bucket is a directory bucket.
pub(super) fn is_directory(bucket: &str) -> bool {
    bucket.ends_with(DIRECTORY_END)
}

/// The id of the key in an Authorization header; empty when there is none.
pub(super) fn key_id(authorization: &str) -> &str {
    let credential = authorization
        .split_once("Credential=")
        .map(|(_, rest)| rest);
    credential
        .and_then(|scope| scope.split('/').next())
        .unwrap_or("")
}

/// The sessions so far: bucket and token, by the id of the key.
#[derive(Default, Debug)]
pub(super) struct Sessions(Mutex<BTreeMap<String, (String, String)>>);

impl Sessions {
    /// Starts one; the answer to CreateSession.
    pub(super) fn create(&self, bucket: &str) -> Response<Body> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = sessions.len();
        let (key_id, token) = (format!("session{number}"), format!("token{number}"));
        let until = Timestamp::from(SystemTime::now() + LASTING);
        let mut expiration = Vec::new();
        until
            .format(TimestampFormat::DateTime, &mut expiration)
            .expect("a time of this century has that form");
        let answer = format!(
            "<CreateSessionResult><Credentials><AccessKeyId>{key_id}</AccessKeyId>\
             <SecretAccessKey>sessionsecret</SecretAccessKey><SessionToken>{token}</SessionToken>\
             <Expiration>{}</Expiration></Credentials></CreateSessionResult>",
            String::from_utf8_lossy(&expiration),
        );
        sessions.insert(key_id, (bucket.into(), token));
        answer::xml(answer)
    }

    /// Whether there is such a one.
    pub(super) fn has(&self, bucket: &str, key_id: &str, token: &str) -> bool {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = sessions.get(key_id);
        found.is_some_and(|(of, has)| (of.as_str(), has.as_str()) == (bucket, token))
    }
}

/// What the gate has let in by the key's id alone: the protocol layer refuses the service that such
/// requests are signed for, so their signature is not looked at.
#[derive(Clone, Copy)]
struct Vouched;

/// Takes the signature off a request that the gate has looked at.
pub(super) fn vouched(mut request: Request<Body>) -> Request<Body> {
    let authorization = request.headers().get(http::header::AUTHORIZATION);
    let signed = authorization.and_then(|header| header.to_str().ok());
    if signed.is_some_and(|signed| signed.contains(SIGNED_FOR)) {
        request.headers_mut().remove(http::header::AUTHORIZATION);
        request.extensions_mut().insert(Vouched);
    }
    request
}

/// Lets in who has signed, and what was vouched for.
pub(super) struct Access;

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, asked: &mut S3AccessContext<'_>) -> S3Result<()> {
        let is_vouched = asked.extensions_mut().get::<Vouched>().is_some();
        if is_vouched || asked.credentials().is_some() {
            return Ok(());
        }
        Err(s3_error!(AccessDenied, "Signature is required"))
    }
}
