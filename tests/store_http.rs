//! What the S3 client sends, and what it makes of answers: each hazard of a provider as a canned
//! HTTP answer. Knows no real store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use s3fs::config::{Provider, StaticCredentials, StoreConfig};
use s3fs::object::{BucketName, ETag, ObjectKey, ObjectRange, ObjectVersion};
use s3fs::range::ByteRange;
use s3fs::store::dialect::{Conditions, Dialect};
use s3fs::store::retry::Timeouts;
use s3fs::store::s3::S3Store;
use s3fs::store::{
    Bucket, CopyHeaders, ListRequest, ObjectHeaders, PartNumber, Payload, Precondition, StoreError,
    StoredPart, Tags, Upload,
};

#[path = "store_http/append.rs"]
mod append;
#[path = "store_http/options.rs"]
mod options;
#[path = "store_http/rules.rs"]
mod rules;
#[path = "scripted/server.rs"]
mod server;

use server::{Answer, Scripted, answer, text};

const KEEP: CopyHeaders = CopyHeaders::Keep {
    storage_class: None,
};
const E: &str = "etag: \"e\"\r\n";
const COPIED: &str = "<CopyPartResult><LastModified>2017-09-04T04:45:45</LastModified>\
    <ETag>\"p\"</ETag></CopyPartResult>";

async fn connect(endpoint: &str, dialect: Dialect) -> Arc<dyn Bucket> {
    let config = StoreConfig {
        endpoint: Some(endpoint.to_owned()),
        path_style: true,
        credentials: Some(StaticCredentials {
            access_key_id: "id".to_owned(),
            secret_access_key: "secret".to_owned(),
        }),
        ..StoreConfig::default()
    };
    let timeouts = Timeouts {
        first_byte: Duration::from_millis(400),
        stalled_body: Duration::from_millis(200),
        total: Duration::from_secs(20),
        attempts_max: 3,
        backoff_first: Duration::from_millis(1),
        ..Timeouts::default()
    };
    let store = S3Store::connect_within(&config, dialect, timeouts)
        .await
        .unwrap();
    store.bucket(&BucketName::new("bkt"))
}

async fn scripted(script: Vec<Answer>) -> (Scripted, Arc<dyn Bucket>) {
    let server = Scripted::start(script).await;
    let bucket = connect(&server.endpoint, Dialect::aws()).await;
    (server, bucket)
}

fn key() -> ObjectKey {
    ObjectKey::new("k")
}

fn version(key: &str, size: u64) -> Arc<ObjectVersion> {
    Arc::new(ObjectVersion {
        bucket: BucketName::new("bkt"),
        key: ObjectKey::new(key),
        etag: ETag::new("\"e\""),
        version_id: None,
        size,
    })
}

fn bytes_of(size: u64, start: u64, end: u64) -> ObjectRange {
    ObjectRange {
        version: version("k", size),
        range: ByteRange::new(start, end),
    }
}

fn upload() -> Upload {
    Upload {
        key: key(),
        id: "u".to_owned(),
    }
}

fn parts() -> [StoredPart; 1] {
    [StoredPart {
        number: PartNumber(1),
        etag: ETag::new("\"p\""),
        size: 9,
    }]
}

fn error(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>")
}

async fn copy_part(bucket: &dyn Bucket) -> Result<StoredPart, StoreError> {
    bucket
        .copy_part(&upload(), PartNumber(1), &bytes_of(9, 1, 5))
        .await
}

async fn put_new(bucket: &dyn Bucket) -> Result<ObjectVersion, StoreError> {
    let body = Payload::from(Bytes::from_static(b"hello"));
    bucket
        .put(
            &key(),
            body,
            &ObjectHeaders::default(),
            &Precondition::Absent,
        )
        .await
}

async fn complete(bucket: &dyn Bucket) -> Result<ObjectVersion, StoreError> {
    bucket
        .complete_upload(&upload(), &parts(), &[], &Precondition::None)
        .await
}

#[tokio::test]
async fn a_part_copy_is_encoded_pinned_and_has_a_length() {
    let (server, bucket) = scripted(vec![answer(200, "", COPIED)]).await;
    let source = ObjectRange {
        version: version("a b+c%/\u{e9}&?#", 9),
        range: ByteRange::new(1, 5),
    };
    let part = bucket
        .copy_part(&upload(), PartNumber(1), &source)
        .await
        .unwrap();
    assert_eq!((part.etag.as_str(), part.size), ("\"p\"", 4));
    let request = &server.received()[0];
    let source = request.header("x-amz-copy-source");
    assert_eq!(source, Some("bkt/a%20b%2Bc%25/%C3%A9%26%3F%23"));
    assert_eq!(request.header("x-amz-copy-source-range"), Some("bytes=1-4"));
    assert_eq!(request.header("x-amz-copy-source-if-match"), Some("\"e\""));
    assert_eq!(request.header("content-length"), Some("0"));
}

#[tokio::test]
async fn a_copy_dated_with_a_trailing_blank_succeeds() {
    let body = COPIED.replace("04:45:45", "04:45:45.000Z ");
    let (_server, bucket) = scripted(vec![answer(200, "", &body)]).await;
    copy_part(&*bucket).await.unwrap();
}

#[tokio::test]
async fn a_part_copy_without_an_etag_is_asked_again_and_fails() {
    let body = "<CopyPartResult></CopyPartResult>";
    let (server, bucket) = scripted(vec![answer(200, "", body); 3]).await;
    let failed = copy_part(&*bucket).await;
    assert!(
        matches!(failed, Err(StoreError::Failed { attempts: 3, .. })),
        "{failed:?}"
    );
    assert_eq!(server.received().len(), 3);
}

#[tokio::test]
async fn a_part_copy_taken_for_an_upload_of_nothing_is_refused() {
    let empty = COPIED.replace("\"p\"", "\"D41D8CD98F00B204E9800998ECF8427E\"");
    for body in ["", empty.as_str()] {
        let (_server, bucket) = scripted(vec![answer(200, "", body)]).await;
        let refused = copy_part(&*bucket).await;
        assert!(
            matches!(refused, Err(StoreError::CopyRefused { .. })),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_part_copy_the_store_cannot_do_is_refused_and_a_changed_source_is_stale() {
    let small = error("InvalidRequest").replace(">m<", ">Source object is too small<");
    for (status, body) in [(400, small), (501, error("NotImplemented"))] {
        let (_server, bucket) = scripted(vec![answer(status, "", &body)]).await;
        let refused = copy_part(&*bucket).await;
        assert!(
            matches!(refused, Err(StoreError::CopyRefused { .. })),
            "{refused:?}"
        );
    }
    for (status, body) in [
        (412, error("PreconditionFailed")),
        (304, String::new()),
        (404, error("NoSuchKey")),
    ] {
        let (_server, bucket) = scripted(vec![answer(status, "", &body)]).await;
        let stale = copy_part(&*bucket).await;
        assert!(matches!(stale, Err(StoreError::Stale { .. })), "{stale:?}");
    }
}

#[tokio::test]
async fn an_error_inside_a_success_is_that_error() {
    let busy = answer(200, "", &error("SlowDown"));
    let (_server, bucket) = scripted(vec![busy, answer(200, "", COPIED)]).await;
    copy_part(&*bucket).await.unwrap();
    let denied = answer(200, "", &error("AccessDenied"));
    let (_server, bucket) = scripted(vec![denied]).await;
    let denied = copy_part(&*bucket).await;
    assert!(
        matches!(denied, Err(StoreError::AccessDenied { .. })),
        "{denied:?}"
    );
}

#[tokio::test]
async fn a_copy_of_an_object_without_a_result_fails() {
    let (_server, bucket) = scripted(vec![answer(200, "", ""); 3]).await;
    let source = version("k", 9);
    let key = ObjectKey::new("to");
    let failed = bucket.copy(&source, &key, &KEEP, &Precondition::None).await;
    assert!(
        matches!(failed, Err(StoreError::Failed { .. })),
        "{failed:?}"
    );
}

#[tokio::test]
async fn too_many_requests_are_sent_again() {
    let good = answer(206, &format!("{E}content-range: bytes 0-4/9\r\n"), "hello");
    let (server, bucket) = scripted(vec![answer(429, "", ""), good]).await;
    assert_eq!(bucket.get(&bytes_of(9, 0, 5)).await.unwrap(), "hello");
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn a_body_cut_short_is_resumed_where_it_ended() {
    let cut = Answer::Bytes(text(
        206,
        &format!("{E}content-range: bytes 0-4/9\r\n"),
        5,
        "he",
    ));
    let rest = answer(206, &format!("{E}content-range: bytes 2-4/9\r\n"), "llo");
    let (server, bucket) = scripted(vec![cut, rest]).await;
    assert_eq!(bucket.get(&bytes_of(9, 0, 5)).await.unwrap(), "hello");
    let second = &server.received()[1];
    assert_eq!(second.header("range"), Some("bytes=2-4"));
    assert_eq!(second.header("if-match"), Some("\"e\""));
}

#[tokio::test]
async fn a_stalled_body_is_given_up_and_resumed() {
    let stall = Answer::Stall(text(
        206,
        &format!("{E}content-range: bytes 0-4/9\r\n"),
        5,
        "he",
    ));
    let rest = answer(206, &format!("{E}content-range: bytes 2-4/9\r\n"), "llo");
    let (_server, bucket) = scripted(vec![stall, rest]).await;
    let begun = Instant::now();
    assert_eq!(bucket.get(&bytes_of(9, 0, 5)).await.unwrap(), "hello");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn bytes_of_another_version_or_range_are_never_returned() {
    let other = answer(
        206,
        "etag: \"f\"\r\ncontent-range: bytes 0-4/9\r\n",
        "hello",
    );
    let (_server, bucket) = scripted(vec![other]).await;
    let stale = bucket.get(&bytes_of(9, 0, 5)).await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })), "{stale:?}");

    let (_server, bucket) = scripted(vec![answer(200, E, "hello six"); 3]).await;
    let failed = bucket.get(&bytes_of(9, 0, 5)).await;
    assert!(
        matches!(failed, Err(StoreError::Failed { .. })),
        "{failed:?}"
    );

    let (server, bucket) = scripted(vec![answer(200, E, "hello six")]).await;
    assert_eq!(bucket.get(&bytes_of(9, 0, 9)).await.unwrap(), "hello six");
    assert_eq!(bucket.get(&bytes_of(9, 3, 3)).await.unwrap(), "");
    assert_eq!(server.received().len(), 1, "an empty range sends nothing");
}

#[tokio::test]
async fn bulk_deletes_carry_a_content_md5_and_no_other_checksum() {
    use md5::Digest;
    let body = "<DeleteResult></DeleteResult>";
    let (server, bucket) = scripted(vec![answer(200, "", body)]).await;
    assert!(bucket.delete_many(&[key()]).await.unwrap().is_empty());
    let request = &server.received()[0];
    let digest = md5::Md5::digest(&request.body);
    let digest = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
    assert_eq!(request.header("content-md5"), Some(digest.as_str()));
    assert!(
        request
            .headers
            .iter()
            .all(|(name, _)| !name.contains("checksum"))
    );
}

#[tokio::test]
async fn keys_are_deleted_one_by_one_where_there_is_no_bulk_delete() {
    let gone = answer(204, "", "");
    let script = vec![
        answer(501, "", &error("NotImplemented")),
        gone.clone(),
        gone,
    ];
    let (server, bucket) = scripted(script).await;
    assert!(bucket.delete_many(&[key()]).await.unwrap().is_empty());
    assert!(bucket.delete_many(&[key()]).await.unwrap().is_empty());
    assert!(server.received()[2].line.starts_with("DELETE "));
}

#[tokio::test]
async fn an_unknown_store_is_sent_no_header_and_no_request_about_tags() {
    let headers = ObjectHeaders {
        tags: Tags::These([("n".to_owned(), "v".to_owned())].into()),
        ..ObjectHeaders::default()
    };
    let made = "<InitiateMultipartUploadResult><UploadId>u</UploadId>\
        </InitiateMultipartUploadResult>";
    let copied = "<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>";
    let head = || Answer::Bytes(text(200, &format!("{E}x-amz-tagging-count: 1\r\n"), 9, ""));
    let script = vec![
        answer(200, E, ""),
        answer(200, "", made),
        head(),
        answer(200, "", copied),
        head(),
        head(),
        head(),
    ];
    let server = Scripted::start(script).await;
    let bucket = connect(&server.endpoint, Dialect::strict()).await;
    let none = Precondition::None;
    bucket
        .put(&key(), Payload::new(), &headers, &none)
        .await
        .unwrap();
    bucket.create_upload(&key(), &headers).await.unwrap();
    let replace = CopyHeaders::Replace(headers);
    let source = version("source", 9);
    bucket.copy(&source, &key(), &replace, &none).await.unwrap();
    let stat = bucket.head(&key()).await.unwrap();
    assert_eq!(stat.headers.tags, Tags::default());
    assert!(bucket.tags(&source).await.unwrap().is_empty());
    let received = server.received();
    assert_eq!(received.len(), 7);
    let mut names = received.iter().flat_map(|request| &request.headers);
    assert!(names.all(|(name, _)| !name.contains("tagging")));
}

#[tokio::test]
async fn an_object_whose_tag_set_the_store_does_not_find_has_no_tags() {
    let (_server, bucket) = scripted(vec![answer(404, "", &error("NoSuchTagSet"))]).await;
    assert!(bucket.tags(&version("k", 9)).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_endpoint_nobody_listens_at_is_named_in_bounded_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let bucket = connect(&endpoint, Dialect::aws()).await;
    match bucket.check("").await {
        Err(StoreError::Unreachable {
            endpoint: named,
            attempts: 3,
            ..
        }) => {
            assert_eq!(named, endpoint);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_complete_whose_answer_was_lost_is_settled_by_what_is_there() {
    let lost = || vec![Answer::Drop, answer(404, "", &error("NoSuchUpload"))];
    let mut script = lost();
    script.push(Answer::Bytes(text(200, "etag: \"x-1\"\r\n", 9, "")));
    let (_server, bucket) = scripted(script).await;
    assert_eq!(complete(&*bucket).await.unwrap().etag.as_str(), "\"x-1\"");
    // Another object of that size was there all along.
    let mut script = lost();
    script.push(Answer::Bytes(text(200, E, 9, "")));
    let (_server, bucket) = scripted(script).await;
    let gone = complete(&*bucket).await;
    assert!(
        matches!(gone, Err(StoreError::NoSuchUpload { .. })),
        "{gone:?}"
    );
}

#[tokio::test]
async fn an_upload_whose_creation_was_not_answered_is_aborted() {
    let made = "<InitiateMultipartUploadResult><UploadId>ours</UploadId>\
        </InitiateMultipartUploadResult>";
    let listed = |id: &str, at: &str| {
        format!("<Upload><Key>k</Key><UploadId>{id}</UploadId><Initiated>{at}</Initiated></Upload>")
    };
    let list = format!(
        "<ListMultipartUploadsResult>{}{}{}</ListMultipartUploadsResult>",
        listed("old", "2026-01-01T00:00:00Z"),
        listed("stray", "2026-01-02T00:00:00Z"),
        listed("ours", "2026-01-02T00:00:00Z"),
    );
    let script = vec![
        Answer::Drop,
        answer(200, "", made),
        answer(200, "", &list),
        answer(200, "", "<ListPartsResult></ListPartsResult>"),
        answer(204, "", ""),
    ];
    let (server, bucket) = scripted(script).await;
    let upload = bucket
        .create_upload(&key(), &ObjectHeaders::default())
        .await
        .unwrap();
    assert_eq!(upload.id, "ours");
    let received = server.received();
    assert_eq!(received.len(), 5);
    assert_eq!(received[0].header("content-length"), Some("0"));
    assert!(
        received[4].line.starts_with("DELETE "),
        "{}",
        received[4].line
    );
    assert!(
        received[4].line.contains("uploadId=stray"),
        "{}",
        received[4].line
    );
}

#[tokio::test]
async fn an_exclusive_put_whose_answer_was_lost_is_not_taken_for_anothers() {
    let exists = || answer(412, "", &error("PreconditionFailed"));
    let ours = "etag: \"5d41402abc4b2a76b9719d911017c592\"\r\n";
    let head = Answer::Bytes(text(200, ours, 5, ""));
    let (server, bucket) = scripted(vec![Answer::Drop, exists(), head]).await;
    assert_eq!(put_new(&*bucket).await.unwrap().size, 5);
    let request = &server.received()[0];
    assert_eq!(request.header("if-none-match"), Some("*"));
    assert_eq!(
        request.header("x-amz-content-sha256"),
        Some("UNSIGNED-PAYLOAD")
    );
    assert_eq!(request.body, b"hello");

    let head = Answer::Bytes(text(200, E, 5, ""));
    let (_server, bucket) = scripted(vec![Answer::Drop, exists(), head]).await;
    // Ours may have been there before.
    let overtaken = put_new(&*bucket).await;
    assert!(
        matches!(overtaken, Err(StoreError::Overtaken { .. })),
        "{overtaken:?}"
    );
}

#[tokio::test]
async fn a_store_without_conditions_is_looked_at_instead() {
    let none = answer(404, "", "");
    let script = vec![
        answer(501, "", &error("NotImplemented")),
        none,
        answer(200, E, ""),
    ];
    let (server, bucket) = scripted(script).await;
    put_new(&*bucket).await.unwrap();
    let received = server.received();
    assert!(received[1].line.starts_with("HEAD "));
    assert_eq!(received[2].header("if-none-match"), None);
}

#[tokio::test]
async fn keys_are_decoded_only_when_the_store_says_so_and_folded_when_it_did_not() {
    let listed = |encoding: &str, key: &str| {
        let body = format!(
            "<ListBucketResult>{encoding}<Contents><Key>{key}</Key><Size>1</Size>\
             <LastModified>2017-09-04T04:45:45</LastModified></Contents></ListBucketResult>"
        );
        answer(200, "", &body)
    };
    let encoded = "<EncodingType>url</EncodingType>";
    let script = vec![
        listed(encoded, "a+b%2Bc"),
        listed("", "a+b%2Bc"),
        listed("", "d/x"),
    ];
    let (_server, bucket) = scripted(script).await;
    let mut request = ListRequest::default();
    let page = bucket.list(&request).await.unwrap();
    assert_eq!(page.objects[0].key.as_str(), "a b+c");
    let page = bucket.list(&request).await.unwrap();
    assert_eq!(page.objects[0].key.as_str(), "a+b%2Bc");
    request.fold = true;
    let page = bucket.list(&request).await.unwrap();
    assert_eq!(
        (page.objects.len(), page.prefixes),
        (0, vec!["d/".to_owned()])
    );
}

#[tokio::test]
async fn a_listing_that_goes_in_circles_fails() {
    let body = "<ListBucketResult><IsTruncated>true</IsTruncated>\
        <NextContinuationToken>t</NextContinuationToken></ListBucketResult>";
    let (_server, bucket) = scripted(vec![answer(200, "", body); 2]).await;
    let mut request = ListRequest::default();
    request.continuation = bucket.list(&request).await.unwrap().continuation;
    assert_eq!(request.continuation.as_deref(), Some("t"));
    let failed = bucket.list(&request).await;
    assert!(
        matches!(failed, Err(StoreError::Failed { .. })),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_bucket_elsewhere_or_nowhere_is_told() {
    let moved = answer(
        301,
        "x-amz-bucket-region: eu-west-1\r\n",
        &error("PermanentRedirect"),
    );
    let (_server, bucket) = scripted(vec![moved, answer(404, "", &error("NoSuchBucket"))]).await;
    match bucket.check("").await {
        Err(StoreError::WrongRegion { region, .. }) => assert_eq!(region, "eu-west-1"),
        other => panic!("{other:?}"),
    }
    let none = bucket.check("").await;
    assert!(
        matches!(none, Err(StoreError::NoSuchBucket { .. })),
        "{none:?}"
    );
}

#[tokio::test]
async fn a_refused_head_of_a_key_that_is_not_listed_says_that_it_is_absent() {
    let refused = || Answer::Bytes(text(403, "", 0, ""));
    let listing = |key: &str| {
        let body = format!(
            "<ListBucketResult><Contents><Key>{key}</Key><Size>9</Size></Contents>\
             </ListBucketResult>"
        );
        answer(200, "", &body)
    };
    let script = vec![
        refused(),
        listing("kk"),
        refused(),
        listing("k"),
        refused(),
        answer(403, "", &error("AccessDenied")),
    ];
    let (server, bucket) = scripted(script).await;
    let absent = bucket.head(&key()).await;
    assert!(
        matches!(absent, Err(StoreError::NotFound { .. })),
        "{absent:?}"
    );
    for case in ["there is one", "nothing may be listed"] {
        let refused = bucket.head(&key()).await;
        assert!(
            matches!(refused, Err(StoreError::AccessDenied { .. })),
            "{case}: {refused:?}"
        );
    }
    let asked = &server.received()[1].line;
    assert!(
        asked.contains("prefix=k&") || asked.contains("prefix=k "),
        "{asked}"
    );
}

#[tokio::test]
async fn a_redirected_new_bucket_is_asked_again_and_the_region_that_was_given_is_not_advised() {
    let header = format!("x-amz-bucket-region: {}\r\n", s3fs::sim::REGION);
    let redirected = answer(307, &header, &error("TemporaryRedirect"));
    let of_head = Answer::Bytes(text(307, &header, 0, ""));
    let mut script = vec![of_head, Answer::Bytes(text(200, E, 9, ""))];
    script.extend(vec![redirected; 3]);
    let (server, bucket) = scripted(script).await;
    assert_eq!(bucket.head(&key()).await.unwrap().version.size, 9);
    assert_eq!(server.received().len(), 2);
    let said = bucket.check("").await.unwrap_err();
    assert!(matches!(said, StoreError::Redirected { .. }), "{said:?}");
    assert!(!said.to_string().contains("-o region"), "{said}");
    assert_eq!(server.received().len(), 5);
}

#[tokio::test]
async fn an_untrusted_store_is_not_asked_to_publish_when_a_source_changed() {
    let server = Scripted::start(vec![Answer::Bytes(text(200, "etag: \"f\"\r\n", 9, ""))]).await;
    let bucket = connect(&server.endpoint, Dialect::strict()).await;
    let sources = [version("source", 9)];
    let stale = bucket
        .complete_upload(&upload(), &parts(), &sources, &Precondition::None)
        .await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })), "{stale:?}");
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_store_that_knows_no_conditions_is_sent_none_and_looked_at() {
    let dialect = Dialect {
        copy_conditions: Conditions::None,
        write_conditions: Conditions::None,
        ..Dialect::strict()
    };
    let copied = "<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>";
    let head = || Answer::Bytes(text(200, E, 9, ""));
    let script = vec![
        head(),
        answer(404, "", ""),
        answer(200, "", copied),
        head(),
        head(),
    ];
    let server = Scripted::start(script).await;
    let bucket = connect(&server.endpoint, dialect).await;
    let source = version("source", 9);
    bucket
        .copy(&source, &key(), &KEEP, &Precondition::Absent)
        .await
        .unwrap();
    let received = server.received();
    assert_eq!(received.len(), 5);
    let mut names = received.iter().flat_map(|request| &request.headers);
    assert!(names.all(|(name, _)| !name.contains("if-")));
}

#[tokio::test]
async fn no_request_deletes_more_keys_than_the_store_takes() {
    let done = || answer(200, "", "<DeleteResult></DeleteResult>");
    let server = Scripted::start(vec![done(), done()]).await;
    let bucket = connect(&server.endpoint, Dialect::r2()).await;
    let keys: Vec<ObjectKey> = (0..701).map(|n| ObjectKey::new(n.to_string())).collect();
    assert!(bucket.delete_many(&keys).await.unwrap().is_empty());
    let bodies = server.received().into_iter().map(|request| request.body);
    let counts = bodies.map(|body| body.windows(5).filter(|at| at == b"<Key>").count());
    assert_eq!(counts.collect::<Vec<_>>(), [700, 1]);
}

#[tokio::test]
async fn the_provider_decides_where_the_bucket_is_named_and_which_region_signs() {
    let server = Scripted::start(vec![answer(204, "", "")]).await;
    // An address would be named in the path whatever the provider wants.
    let endpoint = server.endpoint.replace("127.0.0.1", "localhost");
    let config = StoreConfig {
        endpoint: Some(endpoint),
        provider: Some(Provider::R2),
        credentials: Some(StaticCredentials {
            access_key_id: "id".to_owned(),
            secret_access_key: "secret".to_owned(),
        }),
        ..StoreConfig::default()
    };
    let store = S3Store::connect(&config).await.unwrap();
    let bucket = store.bucket(&BucketName::new("bkt"));
    bucket.delete(&key()).await.unwrap();
    let request = &server.received()[0];
    assert!(
        request.line.starts_with("DELETE /bkt/k"),
        "{}",
        request.line
    );
    let signed = request.header("authorization").unwrap();
    assert!(signed.contains("/auto/s3/"), "{signed}");
}

#[tokio::test]
async fn a_write_that_overwrites_nothing_says_so_in_the_words_of_the_store() {
    let taken = answer(409, "", &error("FileAlreadyExists"));
    let server = Scripted::start(vec![answer(404, "", ""), taken]).await;
    let bucket = connect(&server.endpoint, Dialect::oss()).await;
    let refused = put_new(&*bucket).await;
    assert!(
        matches!(refused, Err(StoreError::Exists { .. })),
        "{refused:?}"
    );
    let put = &server.received()[1];
    assert_eq!(put.header("x-oss-forbid-overwrite"), Some("true"));
    assert_eq!(put.header("if-none-match"), None);
}
