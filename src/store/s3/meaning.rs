//! What a call that failed for good means: the code of the answer first, then its status. Sends
//! nothing and tries nothing again.

use std::time::Duration;

use super::fault::{Answer, Condition, Fault, Subject};
use crate::object::{BucketName, ObjectKey};
use crate::store::StoreError;

/// For a store of which nothing more is known.
const PROBE: &str = "give its provider=NAME; s3fs probe shows what it does";

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
    if let Some(advice) = advice(&answer) {
        return wrong_dialect(subject, answer, advice);
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
        "PreconditionFailed" | "FileAlreadyExists" | "InvalidRange" => {
            condition_failed(subject, answer, attempts)
        }
        "InvalidObjectState" | "ObjectNotInActiveTierError" | "OperationNotSupported" => {
            with_source(subject, answer, attempts, |bucket, key, code| {
                StoreError::Archived { bucket, key, code }
            })
        }
        "ObjectLockedByBucketPolicy" | "FileImmutable" => locked(subject, answer),
        // Amazon S3 user guide, "Using server-side encryption with customer-provided keys".
        "InvalidRequest" if word.contains("server side encryption") => {
            access_denied(subject, answer)
        }
        "InvalidRequest" if word.contains("encryption parameters") => {
            access_denied(subject, answer)
        }
        "InvalidRequest" if word.contains("worm") => locked(subject, answer),
        "EntityTooLarge" | "MaxMessageLengthExceeded" | "MetadataTooLarge" => {
            too_large(subject, answer, attempts)
        }
        // Too many tags have no code of their own: "Object tags cannot be greater than 10".
        "BadRequest" if word.contains("tags cannot be") => too_large(subject, answer, attempts),
        "InvalidTag" | "InvalidTagError" => invalid_tags(subject, answer),
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
        "RequestTimeTooSkewed" => failed(subject, answer, attempts),
        code if is_denial(code) => access_denied(subject, answer),
        _ => status_meaning(subject, answer, attempts),
    }
}

/// Whether a code says that the credentials do not allow it, or are not accepted.
fn is_denial(code: &str) -> bool {
    [
        "AccessDenied",
        "AllAccessDisabled",
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
        "InvalidSecurity",
        "AccountProblem",
        "ExpiredToken",
        "InvalidToken",
        "ExpiredTokenException",
        "Unauthorized",
        "UnauthorizedAccess",
        "Forbidden",
        "InvalidPayer",
    ]
    .contains(&code)
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
        return match region == subject.region {
            true => StoreError::Redirected {
                bucket,
                region,
                endpoint: subject.endpoint.to_owned(),
            },
            false => StoreError::WrongRegion { bucket, region },
        };
    }
    match answer.status {
        404 => not_found(subject),
        304 | 412 | 416 => condition_failed(subject, answer, attempts),
        // The answer to a HEAD has no room for the words above.
        400 if subject.operation == "HeadObject" && answer.code.is_empty() => {
            access_denied(subject, answer)
        }
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

fn wrong_dialect(subject: &Subject<'_>, answer: Answer, advice: &'static str) -> StoreError {
    StoreError::WrongDialect {
        operation: subject.operation,
        resource: subject.resource(),
        code: answer.code,
        message: answer.message,
        advice,
    }
}

/// What to change about a mount whose requests the store refuses for their form.
fn advice(answer: &Answer) -> Option<&'static str> {
    let word = answer.message.to_ascii_lowercase();
    match answer.code.as_str() {
        // Alibaba OSS, with the bucket in the path.
        "SecondLevelDomainForbidden" => {
            Some("name the bucket in the host: leave out use_path_request_style")
        }
        "EntityTooSmall" => Some("its parts must be larger: give multipart_size=MIB"),
        "MissingContentLength" | "MissingContentMD5" | "XAmzContentSHA256Mismatch" => Some(PROBE),
        // Backblaze B2 and Alibaba OSS have no code of their own for these.
        "InvalidArgument" | "InvalidRequest"
            if word.contains("unsupported header") || word.contains("aws-chunked") =>
        {
            Some(PROBE)
        }
        _ => None,
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

fn invalid_tags(subject: &Subject<'_>, answer: Answer) -> StoreError {
    let (operation, resource) = (subject.operation, subject.resource());
    StoreError::InvalidTags {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::meaning;
    use crate::object::{BucketName, ObjectKey};
    use crate::store::s3::fault::{Answer, Condition, Fault, Subject};

    /// The error of a PutObject that was answered so, as it is shown.
    fn shown(status: u16, code: &str, message: &str) -> String {
        let (bucket, key) = (BucketName::new("b"), ObjectKey::new("k"));
        let subject = Subject {
            operation: "PutObject",
            bucket: &bucket,
            key: Some(&key),
            condition: Condition::None,
            endpoint: "http://h",
            region: "r",
        };
        let answer = Answer {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
            ..Answer::default()
        };
        meaning(&subject, Fault::Answer(answer), 1, Duration::ZERO).to_string()
    }

    #[test]
    fn a_request_that_the_store_refuses_for_its_form_names_the_option_to_change() {
        for (status, code, message, option) in [
            (
                403,
                "SecondLevelDomainForbidden",
                "",
                "use_path_request_style",
            ),
            (400, "EntityTooSmall", "", "multipart_size=MIB"),
            (411, "MissingContentLength", "", "provider=NAME"),
            (400, "XAmzContentSHA256Mismatch", "", "provider=NAME"),
            (
                400,
                "InvalidArgument",
                "aws-chunked encoding is not supported",
                "provider=NAME",
            ),
            (
                400,
                "InvalidArgument",
                "Unsupported header 'x-amz-checksum-crc32'",
                "provider=NAME",
            ),
        ] {
            let shown = shown(status, code, message);
            assert!(shown.contains(code) && shown.contains(option), "{shown}");
        }
        let other = shown(400, "InvalidArgument", "something else");
        assert!(!other.contains("provider"), "{other}");
    }
}
