//! What one attempt at a request ended in, whether another makes sense, and what the last one
//! means. Every decision about an error code is here. Knows no operation's parameters.

use std::error::Error;
use std::io;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::object::{BucketName, ObjectKey};
use crate::store::StoreError;

/// An error answer of the store.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub status: u16,
    /// Empty where the store sent none, as in every answer to a HEAD.
    pub code: String,
    pub message: String,
    /// Where the store says the bucket is.
    pub region: Option<String>,
    pub request_id: Option<String>,
}

/// How one attempt failed.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The store refused.
    Answer(Answer),
    /// The store answered success in a way that cannot be true.
    Nonsense { status: u16, what: String },
    /// No whole answer came. `sent` is false when the request cannot have reached the store.
    Silence { reason: String, sent: bool },
    /// There are no credentials, or they could not be fetched.
    NoCredentials { reason: String, passing: bool },
    /// The request cannot be built of these parameters.
    Unsendable { reason: String },
    /// The operation knows what it means; no other attempt is made.
    Settled(StoreError),
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Nothing: the answer will not change.
    Stop,
    /// Pause, then send again.
    Again,
    /// Fetch new credentials (or take over the store's clock, which the client library has done
    /// by then), then send again, once.
    Renew,
}

/// Whether the request may have had its effect although the attempt failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    /// It had none.
    None,
    /// Unknown.
    Maybe,
}

/// What a request is about: the words of its errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub operation: &'static str,
    pub bucket: &'a BucketName,
    pub key: Option<&'a ObjectKey>,
    pub condition: Condition<'a>,
    pub endpoint: &'a str,
}

/// What a request makes a condition of; tells what 404, 412 and 416 mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Condition<'a> {
    /// Nothing.
    None,
    /// The version it reads or copies from.
    Source {
        bucket: &'a BucketName,
        key: &'a ObjectKey,
    },
    /// No object under its key.
    Absent,
    /// The same object under its key as before.
    Unchanged,
}

impl Subject<'_> {
    /// `s3://bucket` or `s3://bucket/key`.
    pub fn resource(&self) -> String {
        match self.key {
            Some(key) => format!("s3://{}/{key}", self.bucket),
            None => format!("s3://{}", self.bucket),
        }
    }
}

impl Answer {
    /// Reads the parts of an error answer that have a meaning.
    fn read(response: &HttpResponse, code: Option<&str>, message: Option<&str>) -> Self {
        let header = |name: &str| response.headers().get(name).map(str::to_owned);
        let body = response
            .body()
            .bytes()
            .and_then(|body| std::str::from_utf8(body).ok());
        let element = |name: &str| body.and_then(|body| element(body, name)).map(str::to_owned);
        Self {
            status: response.status().as_u16(),
            code: code
                .map(str::to_owned)
                .or_else(|| element("Code"))
                .unwrap_or_default(),
            message: message
                .map(str::to_owned)
                .or_else(|| element("Message"))
                .unwrap_or_default(),
            region: header("x-amz-bucket-region").or_else(|| element("Region")),
            request_id: header("x-amz-request-id"),
        }
    }

    /// Whether a condition of the request did not hold. OSS answers 304 to copies whose source
    /// condition fails, and 409 `FileAlreadyExists` where others answer 412.
    pub fn is_condition_failed(&self) -> bool {
        matches!(
            self.code.as_str(),
            "PreconditionFailed" | "FileAlreadyExists"
        ) || (self.code.is_empty() && self.status == 412)
            || self.status == 304
    }

    /// Whether the store has not got what the request asked for.
    pub fn is_not_implemented(&self) -> bool {
        matches!(
            self.code.as_str(),
            "NotImplemented" | "MethodNotAllowed" | "XNotImplemented"
        ) || self.status == 501
            || self.status == 405
    }

    fn next(&self) -> Next {
        match self.code.as_str() {
            "ExpiredToken"
            | "InvalidToken"
            | "ExpiredTokenException"
            | "TokenRefreshRequired"
            | "RequestTimeTooSkewed" => Next::Renew,
            "TooManyRequests"
            | "ErrTooManyRequest"
            | "RequestLimitExceeded"
            | "Busy"
            | "Throttling"
            | "ThrottlingException"
            | "BandwidthLimitExceeded"
            | "ServiceUnavailable"
            | "InternalError"
            | "RequestTimeout"
            | "IncompleteBody"
            | "OperationAborted"
            | "ConditionalRequestConflict" => Next::Again,
            code if code.starts_with("SlowDown") => Next::Again,
            _ => match self.status {
                408 | 429 | 500 | 502 | 503 | 504 => Next::Again,
                _ => Next::Stop,
            },
        }
    }
}

impl Fault {
    /// What to do after it.
    pub fn next(&self) -> Next {
        match self {
            Self::Answer(answer) => answer.next(),
            Self::Nonsense { .. } | Self::Silence { .. } => Next::Again,
            Self::NoCredentials { passing: true, .. } => Next::Again,
            Self::NoCredentials { .. } | Self::Unsendable { .. } | Self::Settled(_) => Next::Stop,
        }
    }

    /// Whether the request may have had its effect.
    pub fn effect(&self) -> Effect {
        match self {
            Self::Answer(answer) if matches!(answer.status, 200..300 | 500 | 502 | 504) => {
                Effect::Maybe
            }
            Self::Nonsense { .. } | Self::Silence { sent: true, .. } => Effect::Maybe,
            _ => Effect::None,
        }
    }

    /// The answer, if there was one.
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answer(answer) => Some(answer),
            _ => None,
        }
    }

    /// A word for the log.
    pub fn brief(&self) -> String {
        match self {
            Self::Answer(answer) => format!("{} {}", answer.status, answer.code),
            Self::Nonsense { status, what } => format!("{status} {what}"),
            Self::Silence { reason, .. } => format!("no answer ({reason})"),
            Self::NoCredentials { reason, .. } => format!("no credentials ({reason})"),
            Self::Unsendable { reason } => format!("not sent ({reason})"),
            Self::Settled(error) => error.to_string(),
        }
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Fault
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        match &error {
            SdkError::ServiceError(refused) => {
                let meta = refused.err().meta();
                let answer = Answer::read(refused.raw(), meta.code(), meta.message());
                if answer.status < 300 && answer.code.is_empty() {
                    let what = format!("unreadable answer ({})", innermost(refused.err()));
                    return Self::Nonsense {
                        status: answer.status,
                        what,
                    };
                }
                Self::Answer(answer)
            }
            SdkError::ResponseError(unreadable) => {
                let answer = Answer::read(unreadable.raw(), None, None);
                if answer.status < 300 {
                    let what = format!("unreadable answer ({})", innermost(&error));
                    return Self::Nonsense {
                        status: answer.status,
                        what,
                    };
                }
                Self::Answer(answer)
            }
            SdkError::ConstructionFailure(_) => Self::Unsendable {
                reason: innermost(&error),
            },
            _ => no_answer(&error),
        }
    }
}

fn no_answer(error: &(dyn Error + 'static)) -> Fault {
    let mut sent = true;
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(credentials) = error.downcast_ref::<CredentialsError>() {
            let passing = !matches!(
                credentials,
                CredentialsError::CredentialsNotLoaded(_)
                    | CredentialsError::InvalidConfiguration(_)
            );
            return Fault::NoCredentials {
                reason: innermost(credentials),
                passing,
            };
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            sent &= error.kind() != io::ErrorKind::ConnectionRefused;
        }
        cause = error.source();
    }
    Fault::Silence {
        reason: innermost(error),
        sent,
    }
}

/// The last cause's text: the outer ones only name layers of the client library.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

/// The text of the first element of that name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim())
}

/// What a call that failed for good means.
pub(super) fn meaning(
    subject: &Subject<'_>,
    fault: Fault,
    attempts: u32,
    elapsed: Duration,
) -> StoreError {
    let operation = subject.operation;
    let resource = subject.resource();
    match fault {
        Fault::Settled(error) => error,
        Fault::NoCredentials { reason, .. } => StoreError::NoCredentials { reason },
        Fault::Silence { reason, .. } => {
            let endpoint = subject.endpoint.to_owned();
            StoreError::Unreachable {
                operation,
                resource,
                endpoint,
                reason,
                attempts,
                elapsed,
            }
        }
        Fault::Nonsense { status, what } => StoreError::Failed {
            operation,
            resource,
            status,
            code: "bad answer".to_owned(),
            message: what,
            attempts,
        },
        Fault::Unsendable { reason } => StoreError::Failed {
            operation,
            resource,
            status: 0,
            code: "not sent".to_owned(),
            message: reason,
            attempts,
        },
        Fault::Answer(answer) => answer_meaning(subject, answer, attempts),
    }
}

/// What an error answer means: the code first, then the status (a quota is 403 on Ceph and 400 on
/// MinIO; a full store 507).
fn answer_meaning(subject: &Subject<'_>, answer: Answer, attempts: u32) -> StoreError {
    if subject.operation == "UploadPartCopy" && refuses_part_copy(&answer) {
        return copy_refused(subject, answer);
    }
    let word = answer.message.to_ascii_lowercase();
    match answer.code.as_str() {
        "NoSuchBucket" => StoreError::NoSuchBucket {
            bucket: subject.bucket.clone(),
        },
        "NoSuchKey" | "NoSuchVersion" | "NotFound" | "NoSuchObject" => not_found(subject),
        "NoSuchUpload" => with_key(subject, answer, attempts, |bucket, key, _| {
            StoreError::NoSuchUpload { bucket, key }
        }),
        "PreconditionFailed" | "FileAlreadyExists" => condition_failed(subject, answer, attempts),
        "InvalidRange" => condition_failed(subject, answer, attempts),
        "InvalidObjectState" | "ObjectNotInActiveTierError" | "OperationNotSupported" => {
            with_source(subject, answer, attempts, |bucket, key, code| {
                StoreError::Archived { bucket, key, code }
            })
        }
        "ObjectLockedByBucketPolicy" | "FileImmutable" => locked(subject, answer),
        "InvalidRequest" if word.contains("worm") => locked(subject, answer),
        "EntityTooLarge" | "MaxMessageLengthExceeded" => too_large(subject, answer, attempts),
        "InvalidRequest" if word.contains("maximum allowable size") => {
            too_large(subject, answer, attempts)
        }
        "KeyTooLongError" | "KeyTooLong" | "InvalidObjectName" => {
            with_key(subject, answer, attempts, |bucket, key, _| {
                StoreError::KeyTooLong { bucket, key }
            })
        }
        "QuotaExceeded" | "XMinioAdminBucketQuotaExceeded" | "TooManyBuckets" => {
            StoreError::Quota {
                bucket: subject.bucket.clone(),
                code: answer.code,
            }
        }
        "XMinioStorageFull" | "InsufficientStorage" => StoreError::Full {
            bucket: subject.bucket.clone(),
            code: answer.code,
        },
        "ConditionalRequestConflict" | "OperationAborted" => StoreError::Conflict {
            operation: subject.operation,
            resource: subject.resource(),
            code: answer.code,
        },
        "NotImplemented" | "MethodNotAllowed" | "XNotImplemented" => not_offered(subject, answer),
        "SecondLevelDomainForbidden" | "RequestTimeTooSkewed" => failed(subject, answer, attempts),
        "AccessDenied"
        | "AllAccessDisabled"
        | "SignatureDoesNotMatch"
        | "InvalidAccessKeyId"
        | "InvalidSecurity"
        | "AccountProblem"
        | "ExpiredToken"
        | "InvalidToken"
        | "ExpiredTokenException"
        | "Unauthorized"
        | "UnauthorizedAccess"
        | "Forbidden"
        | "InvalidPayer" => access_denied(subject, answer),
        _ => status_meaning(subject, answer, attempts),
    }
}

/// What an error answer with a code that tells nothing, or none, means.
fn status_meaning(subject: &Subject<'_>, answer: Answer, attempts: u32) -> StoreError {
    if let (300..500, Some(region)) = (answer.status, &answer.region)
        && (answer.status == 301
            || matches!(
                answer.code.as_str(),
                "PermanentRedirect" | "AuthorizationHeaderMalformed" | "TemporaryRedirect" | ""
            ))
        && !matches!(answer.status, 403 | 404 | 412 | 416)
    {
        let (bucket, region) = (subject.bucket.clone(), region.clone());
        return StoreError::WrongRegion { bucket, region };
    }
    match answer.status {
        404 => not_found(subject),
        304 | 412 | 416 => condition_failed(subject, answer, attempts),
        401 | 403 => access_denied(subject, answer),
        413 => too_large(subject, answer, attempts),
        405 | 501 => not_offered(subject, answer),
        507 => StoreError::Full {
            bucket: subject.bucket.clone(),
            code: code_or_status(&answer),
        },
        _ => failed(subject, answer, attempts),
    }
}

/// Whether the store cannot copy these bytes as a part, whoever asks: Garage has objects "too
/// small" for it, AWS sources "not supported as a byte-range copy source"; GCS has no such
/// operation.
fn refuses_part_copy(answer: &Answer) -> bool {
    let word = answer.message.to_ascii_lowercase();
    let about_source = word.contains("too small")
        || word.contains("byte-range copy source")
        || word.contains("maximum allowable size");
    answer.is_not_implemented() || (answer.status == 400 && about_source)
}

fn copy_refused(subject: &Subject<'_>, answer: Answer) -> StoreError {
    let code = code_or_status(&answer);
    let (bucket, key) = match (subject.condition, subject.key) {
        (Condition::Source { bucket, key }, _) => (bucket, key.clone()),
        (_, Some(key)) => (subject.bucket, key.clone()),
        (_, None) => (subject.bucket, ObjectKey::new("")),
    };
    StoreError::CopyRefused {
        bucket: bucket.clone(),
        key,
        code,
    }
}

fn not_found(subject: &Subject<'_>) -> StoreError {
    match (subject.condition, subject.key) {
        (Condition::Source { bucket, key }, _) => StoreError::Stale {
            bucket: bucket.clone(),
            key: key.clone(),
        },
        (Condition::Unchanged, Some(key)) => StoreError::Stale {
            bucket: subject.bucket.clone(),
            key: key.clone(),
        },
        (_, Some(key)) => StoreError::NotFound {
            bucket: subject.bucket.clone(),
            key: key.clone(),
        },
        (_, None) => StoreError::NoSuchBucket {
            bucket: subject.bucket.clone(),
        },
    }
}

fn condition_failed(subject: &Subject<'_>, answer: Answer, attempts: u32) -> StoreError {
    match (subject.condition, subject.key) {
        (Condition::Source { bucket, key }, _) => StoreError::Stale {
            bucket: bucket.clone(),
            key: key.clone(),
        },
        (Condition::Absent, Some(key)) => StoreError::Exists {
            bucket: subject.bucket.clone(),
            key: key.clone(),
        },
        (Condition::Unchanged, Some(key)) => StoreError::Stale {
            bucket: subject.bucket.clone(),
            key: key.clone(),
        },
        (Condition::None | Condition::Absent | Condition::Unchanged, _) => {
            failed(subject, answer, attempts)
        }
    }
}

fn access_denied(subject: &Subject<'_>, answer: Answer) -> StoreError {
    let (operation, resource) = (subject.operation, subject.resource());
    StoreError::AccessDenied {
        operation,
        resource,
        code: code_or_status(&answer),
    }
}

fn not_offered(subject: &Subject<'_>, answer: Answer) -> StoreError {
    let (operation, resource) = (subject.operation, subject.resource());
    StoreError::NotOffered {
        operation,
        resource,
        code: code_or_status(&answer),
    }
}

fn locked(subject: &Subject<'_>, answer: Answer) -> StoreError {
    let (operation, resource) = (subject.operation, subject.resource());
    StoreError::Locked {
        operation,
        resource,
        code: answer.code,
    }
}

fn too_large(subject: &Subject<'_>, answer: Answer, attempts: u32) -> StoreError {
    with_key(subject, answer, attempts, |bucket, key, code| {
        StoreError::TooLarge { bucket, key, code }
    })
}

fn failed(subject: &Subject<'_>, answer: Answer, attempts: u32) -> StoreError {
    StoreError::Failed {
        operation: subject.operation,
        resource: subject.resource(),
        status: answer.status,
        code: answer.code,
        message: answer.message,
        attempts,
    }
}

fn code_or_status(answer: &Answer) -> String {
    if answer.code.is_empty() {
        answer.status.to_string()
    } else {
        answer.code.clone()
    }
}

type KeyError = fn(BucketName, ObjectKey, String) -> StoreError;

fn with_key(subject: &Subject<'_>, answer: Answer, attempts: u32, error: KeyError) -> StoreError {
    match subject.key {
        Some(key) => error(subject.bucket.clone(), key.clone(), code_or_status(&answer)),
        None => failed(subject, answer, attempts),
    }
}

fn with_source(
    subject: &Subject<'_>,
    answer: Answer,
    attempts: u32,
    error: KeyError,
) -> StoreError {
    match subject.condition {
        Condition::Source { bucket, key } => {
            error(bucket.clone(), key.clone(), code_or_status(&answer))
        }
        _ => with_key(subject, answer, attempts, error),
    }
}
