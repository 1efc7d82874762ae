//! What a provider refuses by the head of a request alone, before anything is applied: one
//! function a rule. Knows no object.

use http::{HeaderMap, Method, Uri};

use super::host::Address;
use super::request::{Operation, SimRequest};
use super::rules::{Conditions, CustomerKeys, LengthWanted, Refusal};
use super::session;
use super::state::State;

/// A request before it is unpacked.
pub(super) struct Head<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) address: &'a Address,
    pub(super) asked: &'a SimRequest,
}

impl Head<'_> {
    fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn has_any(&self, start: &str) -> bool {
        let mut names = self.headers.keys();
        names.any(|name| name.as_str().starts_with(start))
    }

    /// The bucket that a copy takes from.
    fn source(&self) -> Option<&str> {
        let source = self.asked.copy_source.as_deref()?;
        source.trim_start_matches('/').split('/').next()
    }

    fn writes(&self) -> bool {
        matches!(
            self.asked.operation,
            Operation::PutObject
                | Operation::CopyObject
                | Operation::CompleteMultipartUpload
                | Operation::DeleteObject
        )
    }
}

/// Why the provider refuses a request; `None` when it does not.
pub(super) fn refusal(state: &State, head: &Head<'_>) -> Option<Refusal> {
    let rules: [fn(&State, &Head<'_>) -> Option<Refusal>; 14] = [
        addressing, length, client, checksums, sessions, owners, regions, payer, policy, tags,
        keys, conditions, classes, paths,
    ];
    rules
        .iter()
        .find_map(|rule| rule(state, head))
        .or_else(|| pace(state, head))
}

fn addressing(state: &State, head: &Head<'_>) -> Option<Refusal> {
    let rules = &state.rules.requests;
    if !rules.dotted_buckets && head.address.bucket.contains('.') {
        return Some(Refusal::new(400, "InvalidBucketName"));
    }
    rules.path_style.filter(|_| head.address.is_path_style)
}

fn length(state: &State, head: &Head<'_>) -> Option<Refusal> {
    let wants = match state.rules.requests.length_wanted {
        LengthWanted::Never => false,
        LengthWanted::ByBodies => matches!(
            head.asked.operation,
            Operation::PutObject | Operation::UploadPart | Operation::UploadPartCopy
        ),
        LengthWanted::Always => matches!(head.method.as_str(), "PUT" | "POST"),
    };
    (wants && !head.has("content-length") && !head.has("transfer-encoding"))
        .then_some(Refusal::new(411, "MissingContentLength"))
}

/// What AWS's own clients send, and nobody else.
fn client(state: &State, head: &Head<'_>) -> Option<Refusal> {
    let rules = &state.rules.requests;
    let query = head.uri.query().unwrap_or("");
    if query.split('&').any(|pair| pair.starts_with("x-id=")) && rules.operation_id.is_some() {
        return rules.operation_id;
    }
    let authorization = head.text("authorization").unwrap_or("");
    // Google's front end rewrites the header, so that what was signed is not what arrives.
    (!rules.signed_accept_encoding && authorization.contains("accept-encoding"))
        .then_some(Refusal::new(403, "SignatureDoesNotMatch"))
}

fn checksums(state: &State, head: &Head<'_>) -> Option<Refusal> {
    let digest = head.text("x-amz-content-sha256").unwrap_or("");
    let rules = &state.rules.requests;
    let in_headers = head.has_any("x-amz-checksum-") || head.has("x-amz-sdk-checksum-algorithm");
    let sent = (in_headers && !rules.checksum_headers)
        || head.has("x-amz-trailer")
        || digest.starts_with("STREAMING-");
    rules.checksums.filter(|_| sent)
}

fn owners(state: &State, head: &Head<'_>) -> Option<Refusal> {
    let is_other = |name| head.text(name).is_some_and(|owner| owner != state.owner);
    state.rules.requests.other_owner.filter(|_| {
        is_other("x-amz-expected-bucket-owner") || is_other("x-amz-source-expected-bucket-owner")
    })
}

/// Requests to a directory bucket are of a session of that bucket, but for copies and what is
/// about the bucket, which are signed with the credentials that sessions are made by.
fn sessions(state: &State, head: &Head<'_>) -> Option<Refusal> {
    let bucket = head.address.bucket.as_str();
    let key_id = session::key_id(head.text("authorization").unwrap_or(""));
    let is_allowed = match head.asked.operation {
        Operation::CreateSession
        | Operation::HeadBucket
        | Operation::CopyObject
        | Operation::UploadPartCopy => key_id == state.access_key.0,
        _ => {
            let token = head.text("x-amz-s3session-token").unwrap_or("");
            state.sessions.has(bucket, key_id, token)
        }
    };
    let refusal = state.rules.requests.no_session;
    refusal.filter(|_| has_sessions(state, bucket) && !is_allowed)
}

/// Whether requests to a bucket are of sessions.
pub(super) fn has_sessions(state: &State, bucket: &str) -> bool {
    state.rules.requests.no_session.is_some() && session::is_directory(bucket)
}

fn regions(state: &State, head: &Head<'_>) -> Option<Refusal> {
    let source = state.region(head.source()?);
    let is_other = source != state.region(&head.address.bucket);
    state.rules.requests.other_region.filter(|_| is_other)
}

/// Amazon S3 user guide, "Using Requester Pays buckets": 403 without the header.
fn payer(state: &State, head: &Head<'_>) -> Option<Refusal> {
    let pays = |bucket: &str| state.requester_pays.contains(bucket);
    let wanted = state.rules.requests.requester_pays
        && (pays(&head.address.bucket) || head.source().is_some_and(pays));
    (wanted && head.text("x-amz-request-payer") != Some("requester"))
        .then_some(Refusal::new(403, "AccessDenied"))
}

/// A policy with a condition on `s3:prefix`, as tenants and home folders have (Amazon S3 user
/// guide, "Controlling access to a bucket with user policies"). Who may not list all may not learn
/// either that a key is absent (S3 API reference, HeadObject, "Permissions").
fn policy(state: &State, head: &Head<'_>) -> Option<Refusal> {
    let below = state.listable.get(&head.address.bucket)?;
    let key = head.address.key.as_str();
    let query = head.uri.query().unwrap_or("").split('&');
    let listed = query.filter_map(|pair| pair.strip_prefix("prefix=")).next();
    let listed = percent_encoding::percent_decode_str(listed.unwrap_or("")).decode_utf8_lossy();
    let is_absent = |key: &str| {
        state
            .buckets()
            .find(&head.address.bucket, key, None)
            .is_err()
    };
    let is_allowed = match head.asked.operation {
        Operation::ListObjectsV2 | Operation::ListObjects => listed.starts_with(below),
        Operation::HeadObject | Operation::GetObject => key.starts_with(below) && !is_absent(key),
        _ => key.is_empty() || key.starts_with(below),
    };
    (!is_allowed).then_some(Refusal::new(403, "AccessDenied"))
}

fn tags(state: &State, head: &Head<'_>) -> Option<Refusal> {
    let asks = matches!(
        head.asked.operation,
        Operation::GetObjectTagging | Operation::PutObjectTagging | Operation::DeleteObjectTagging
    );
    let sends = head
        .text("x-amz-tagging")
        .is_some_and(|tags| !tags.is_empty());
    (!state.rules.requests.tags && (asks || sends)).then_some(Refusal::new(501, "NotImplemented"))
}

fn keys(state: &State, head: &Head<'_>) -> Option<Refusal> {
    let sent = head.has_any("x-amz-server-side-encryption-customer-")
        || head.has_any("x-amz-copy-source-server-side-encryption-customer-");
    let taken = match state.rules.requests.customer_keys {
        CustomerKeys::Offered => true,
        CustomerKeys::NotForPartCopies => head.asked.operation != Operation::UploadPartCopy,
        CustomerKeys::None => false,
    };
    (sent && !taken).then_some(state.rules.requests.customer_keys_refused)
}

fn classes(state: &State, head: &Head<'_>) -> Option<Refusal> {
    let class = head.text("x-amz-storage-class").unwrap_or("STANDARD");
    let refused = state.rules.requests.storage_classes;
    refused.filter(|_| class != "STANDARD")
}

/// Whether a file would be a directory too.
fn paths(state: &State, head: &Head<'_>) -> Option<Refusal> {
    let refused = state.rules.writes.paths?;
    let makes = head.writes() && head.asked.operation != Operation::DeleteObject;
    let buckets = state.buckets();
    let bucket = buckets.bucket(&head.address.bucket).ok()?;
    let key = head.address.key.as_str();
    let below = format!("{key}/");
    let mut following = bucket.objects.range(below.clone()..);
    let is_directory = following
        .next()
        .is_some_and(|(next, _)| next.starts_with(&below));
    let mut above = key.match_indices('/').map(|(at, _)| &key[..at]);
    let is_in_file = above.any(|file| bucket.current(file).is_some());
    (makes && (is_directory && !key.ends_with('/') || is_in_file)).then_some(refused)
}

fn conditions(state: &State, head: &Head<'_>) -> Option<Refusal> {
    let writes = &state.rules.writes;
    let rule = match head.asked.operation {
        Operation::PutObject => writes.put_conditions,
        Operation::CopyObject => writes.copy_conditions,
        Operation::CompleteMultipartUpload => writes.complete_conditions,
        Operation::DeleteObject => writes.delete_conditions,
        _ => return None,
    };
    (rule == Conditions::Refused && (head.has("if-match") || head.has("if-none-match")))
        .then_some(Refusal::new(501, "NotImplemented"))
}

fn pace(state: &State, head: &Head<'_>) -> Option<Refusal> {
    (head.writes() && !state.may_write(&head.address.bucket, &head.address.key))
        .then_some(Refusal::new(429, "TooManyRequests"))
}
