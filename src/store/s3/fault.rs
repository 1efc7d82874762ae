//! What one attempt at a request ended in, and whether another makes sense. Knows no operation's
//! parameters; what the last one means is in `meaning`.

use std::error::Error;
use std::io;

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
    /// The region that requests are signed for.
    pub region: &'a str,
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
                // A bucket that was just made is redirected for a while (Amazon S3 user guide,
                // "Making requests using DNS redirection").
                307 | 408 | 429 | 500 | 502 | 503 | 504 => Next::Again,
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
