//! The headers that options of a mount put on requests, each on the requests it concerns and on
//! no other. Knows nothing of what stores make of them.

use std::sync::Arc;

use bytes::Bytes;
use md5::Digest;
use s3fs::config::{CustomerKey, Encryption, PerBucket, Provider, StaticCredentials, StoreConfig};
use s3fs::object::{BucketName, ETag, ObjectKey, ObjectRange, ObjectVersion};
use s3fs::range::ByteRange;
use s3fs::store::dialect::Dialect;
use s3fs::store::s3::{ConnectError, S3Store};
use s3fs::store::{
    Bucket, CopyHeaders, ListRequest, ObjectHeaders, PartNumber, Payload, Precondition, StoreError,
    StoredPart, Upload,
};

use super::server::{Answer, Received, Scripted, answer, text};

/// The operations of [`every_operation`] in its order.
const OPERATIONS: &[&str] = &[
    "PutObject",
    "GetObject",
    "HeadObject",
    "CopyObject",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "ListMultipartUploads",
    "ListObjectsV2",
    "GetObjectTagging",
    "PutObjectTagging",
    "DeleteObjectTagging",
    "DeleteObject",
    "DeleteObjects",
];
/// Those that make an object.
const CREATIONS: &[&str] = &["PutObject", "CopyObject", "CreateMultipartUpload"];
/// Those that take bytes from another.
const COPIES: &[&str] = &["CopyObject", "UploadPartCopy"];
/// Those that carry a customer's key.
const KEYED: &[&str] = &[
    "PutObject",
    "GetObject",
    "HeadObject",
    "CopyObject",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "CompleteMultipartUpload",
];

fn config(endpoint: &str) -> StoreConfig {
    StoreConfig {
        endpoint: Some(endpoint.to_owned()),
        path_style: true,
        credentials: Some(StaticCredentials {
            access_key_id: "id".to_owned(),
            secret_access_key: "secret".to_owned(),
        }),
        ..StoreConfig::default()
    }
}

fn answers() -> Vec<Answer> {
    let etag = "etag: \"e\"\r\n";
    let ok = |body: &str| answer(200, "", body);
    vec![
        answer(200, etag, ""),
        answer(200, etag, "hello"),
        Answer::Bytes(text(200, etag, 5, "")),
        ok("<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>"),
        ok("<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"),
        answer(200, etag, ""),
        ok("<CopyPartResult><ETag>\"e\"</ETag></CopyPartResult>"),
        ok("<CompleteMultipartUploadResult><ETag>\"e-2\"</ETag></CompleteMultipartUploadResult>"),
        answer(204, "", ""),
        ok("<ListMultipartUploadsResult></ListMultipartUploadsResult>"),
        ok("<ListBucketResult></ListBucketResult>"),
        ok("<Tagging><TagSet></TagSet></Tagging>"),
        ok(""),
        answer(204, "", ""),
        answer(204, "", ""),
        ok("<DeleteResult></DeleteResult>"),
    ]
}

fn version(bucket: &str) -> Arc<ObjectVersion> {
    Arc::new(ObjectVersion {
        bucket: BucketName::new(bucket),
        key: ObjectKey::new("k"),
        etag: ETag::new("\"e\""),
        version_id: None,
        size: 5,
    })
}

/// Calls every verb of `bkt`, copies being from `src`; returns the requests with their operations.
async fn every_operation(server: &Scripted, bucket: &dyn Bucket) -> Vec<(&'static str, Received)> {
    let key = ObjectKey::new("k");
    let headers = ObjectHeaders::default();
    let none = Precondition::None;
    let hello = || Payload::from(Bytes::from_static(b"hello"));
    let whole = |bucket| ObjectRange {
        version: version(bucket),
        range: ByteRange::new(0, 5),
    };
    let keep = CopyHeaders::Keep {
        storage_class: None,
    };
    bucket.put(&key, hello(), &headers, &none).await.unwrap();
    bucket.get(&whole("bkt")).await.unwrap();
    bucket.head(&key).await.unwrap();
    let source = version("src");
    bucket.copy(&source, &key, &keep, &none).await.unwrap();
    let upload: Upload = bucket.create_upload(&key, &headers).await.unwrap();
    let first = PartNumber(1);
    let mut parts: Vec<StoredPart> = Vec::new();
    parts.push(bucket.upload_part(&upload, first, hello()).await.unwrap());
    let second = PartNumber(2);
    parts.push(
        bucket
            .copy_part(&upload, second, &whole("src"))
            .await
            .unwrap(),
    );
    let completed = bucket.complete_upload(&upload, &parts, &[], &none);
    completed.await.unwrap();
    bucket.abort_upload(&upload).await.unwrap();
    bucket.uploads("").await.unwrap();
    bucket.list(&ListRequest::default()).await.unwrap();
    bucket.tags(&version("bkt")).await.unwrap();
    let tags = [("n".to_owned(), "v".to_owned())].into();
    bucket.set_tags(&key, &tags).await.unwrap();
    bucket.set_tags(&key, &[].into()).await.unwrap();
    bucket.delete(&key).await.unwrap();
    bucket.delete_many(&[key]).await.unwrap();
    let received = server.received();
    assert_eq!(received.len(), OPERATIONS.len());
    OPERATIONS.iter().copied().zip(received).collect()
}

/// What all verbs send under these options.
async fn sent(change: impl FnOnce(&mut StoreConfig)) -> Vec<(&'static str, Received)> {
    let server = Scripted::start(answers()).await;
    let mut config = config(&server.endpoint);
    change(&mut config);
    let store = S3Store::connect_with(&config, Dialect::aws())
        .await
        .unwrap();
    let bucket = store.bucket(&BucketName::new("bkt"));
    every_operation(&server, &*bucket).await
}

/// Asserts that a header has this value on these operations and is on no other.
fn assert_on(sent: &[(&str, Received)], operations: &[&str], name: &str, value: &str) {
    for (operation, request) in sent {
        let expected = operations.contains(operation).then_some(value);
        assert_eq!(request.header(name), expected, "{name} of {operation}");
        let signed = request.header("authorization").unwrap();
        let is_signed = signed.contains(&format!(";{name};")) || expected.is_none();
        assert!(is_signed, "{name} of {operation} is not signed: {signed}");
    }
}

fn customer(fill: u8) -> (Encryption, String, String) {
    use base64::Engine;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let bytes = [fill; 32];
    let digest = md5::Md5::digest(bytes);
    let key = Encryption::Customer(CustomerKey::new(bytes));
    (key, encode(&bytes), encode(&digest))
}

#[tokio::test]
async fn a_customers_key_is_on_what_touches_bytes_and_a_copy_has_that_of_its_source_too() {
    let (ours, key, digest) = customer(1);
    let (theirs, source_key, source_digest) = customer(2);
    let sent = sent(|config| {
        config.encryption.usual = ours;
        let source = BucketName::new("src");
        config.encryption.otherwise.insert(source, theirs);
    })
    .await;
    let name = |end: &str| format!("x-amz-server-side-encryption-customer-{end}");
    assert_on(&sent, KEYED, &name("algorithm"), "AES256");
    assert_on(&sent, KEYED, &name("key"), &key);
    assert_on(&sent, KEYED, &name("key-md5"), &digest);
    let name = |end: &str| format!("x-amz-copy-source-server-side-encryption-customer-{end}");
    assert_on(&sent, COPIES, &name("algorithm"), "AES256");
    assert_on(&sent, COPIES, &name("key"), &source_key);
    assert_on(&sent, COPIES, &name("key-md5"), &source_digest);
    assert_on(&sent, &[], "x-amz-server-side-encryption", "");
}

#[tokio::test]
async fn a_key_of_the_destination_alone_is_not_taken_for_the_sources() {
    let sent = sent(|config| {
        let destination = BucketName::new("bkt");
        config
            .encryption
            .otherwise
            .insert(destination, customer(1).0);
    })
    .await;
    let name = "x-amz-copy-source-server-side-encryption-customer-key";
    assert_on(&sent, &[], name, "");
}

#[tokio::test]
async fn keys_of_the_store_are_named_where_an_object_is_made() {
    let by = |usual| {
        move |config: &mut StoreConfig| {
            config.encryption = PerBucket {
                usual,
                ..PerBucket::default()
            };
        }
    };
    let name = "x-amz-server-side-encryption";
    let id = "x-amz-server-side-encryption-aws-kms-key-id";
    let found = sent(by(Encryption::StoreKeys)).await;
    assert_on(&found, CREATIONS, name, "AES256");
    let found = sent(by(Encryption::KeyService { key_id: None })).await;
    assert_on(&found, CREATIONS, name, "aws:kms");
    assert_on(&found, &[], id, "");
    let key_id = Some("arn:aws:kms:eu-west-1:123456789012:key/a".to_owned());
    let found = sent(by(Encryption::KeyService { key_id })).await;
    assert_on(&found, CREATIONS, name, "aws:kms");
    assert_on(
        &found,
        CREATIONS,
        id,
        "arn:aws:kms:eu-west-1:123456789012:key/a",
    );
    let found = sent(by(Encryption::BucketDefault)).await;
    assert_on(&found, &[], name, "");
}

#[tokio::test]
async fn the_owner_and_the_payer_are_on_every_request_and_copies_name_both_owners() {
    let sent = sent(|config| {
        config.requester_pays = true;
        config.expected_owner.usual = Some("111122223333".to_owned());
        let (source, owner) = (BucketName::new("src"), Some("444455556666".to_owned()));
        config.expected_owner.otherwise.insert(source, owner);
    })
    .await;
    assert_on(&sent, OPERATIONS, "x-amz-request-payer", "requester");
    assert_on(
        &sent,
        OPERATIONS,
        "x-amz-expected-bucket-owner",
        "111122223333",
    );
    let name = "x-amz-source-expected-bucket-owner";
    assert_on(&sent, COPIES, name, "444455556666");
}

#[tokio::test]
async fn a_canned_acl_is_on_what_makes_an_object() {
    let sent = sent(|config| config.acl = Some("bucket-owner-full-control".to_owned())).await;
    assert_on(&sent, CREATIONS, "x-amz-acl", "bucket-owner-full-control");
}

#[tokio::test]
async fn tags_are_refused_where_the_store_is_not_known_to_keep_them() {
    for (provider, is_keeper) in [
        (None, false),
        (Some(Provider::R2), false),
        (Some(Provider::Aws), true),
    ] {
        let mut config = config("http://127.0.0.1:9000");
        config.provider = provider;
        let tags = &mut config.new_objects.tags;
        tags.insert("team".to_owned(), "a".to_owned());
        let store = S3Store::connect(&config).await.unwrap();
        let checked = store.check_name(&BucketName::new("bkt"));
        assert_eq!(checked.is_ok(), is_keeper, "{provider:?}");
        if let Err(error) = checked {
            let said = error.to_string();
            assert!(
                said.contains("tags") && said.contains("provider="),
                "{said}"
            );
        }
    }
}

/// A bucket of a directory, or an access point's, and what it sends to a store of that provider.
async fn sent_by(
    provider: Provider,
    bucket: &str,
    script: Vec<Answer>,
) -> (Scripted, Arc<dyn Bucket>) {
    let server = Scripted::start(script).await;
    let mut config = config(&server.endpoint);
    config.path_style = false;
    config.provider = Some(provider);
    let store = S3Store::connect(&config).await.unwrap();
    let bucket = store.bucket(&BucketName::new(bucket));
    (server, bucket)
}

#[tokio::test]
async fn requests_to_a_directory_bucket_are_of_a_session_and_copies_are_not() {
    let session = "<CreateSessionResult><Credentials><AccessKeyId>sid</AccessKeyId>\
        <SecretAccessKey>ssecret</SecretAccessKey><SessionToken>token</SessionToken>\
        <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></CreateSessionResult>";
    let copied = "<CopyPartResult><ETag>\"e\"</ETag></CopyPartResult>";
    let script = vec![
        answer(200, "", session),
        answer(200, "etag: \"e\"\r\n", ""),
        answer(200, "", copied),
    ];
    let name = "b--usw2-az1--x-s3";
    let (server, bucket) = sent_by(Provider::Express, name, script).await;
    let key = ObjectKey::new("k");
    let headers = ObjectHeaders::default();
    let put = bucket.put(&key, Payload::new(), &headers, &Precondition::None);
    put.await.unwrap();
    let upload = Upload {
        key,
        id: "u".to_owned(),
    };
    let source = ObjectRange {
        version: version(name),
        range: ByteRange::new(0, 5),
    };
    let copy = bucket.copy_part(&upload, PartNumber(1), &source);
    copy.await.unwrap();
    let received = server.received();
    let [session, put, copy] = &received[..] else {
        panic!("{received:?}");
    };
    assert!(session.line.contains("?session"), "{}", session.line);
    assert_eq!(put.header("x-amz-s3session-token"), Some("token"));
    assert!(
        put.header("authorization")
            .unwrap()
            .contains("Credential=sid/")
    );
    assert_eq!(copy.header("x-amz-s3session-token"), None);
    assert!(
        copy.header("authorization")
            .unwrap()
            .contains("Credential=id/")
    );
    let source = copy.header("x-amz-copy-source");
    assert_eq!(source, Some("b--usw2-az1--x-s3/k"));
}

#[tokio::test]
async fn a_copy_to_a_directory_bucket_leaves_the_tags_behind() {
    let copied = "<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>";
    let name = "b--usw2-az1--x-s3";
    let (server, bucket) = sent_by(Provider::Express, name, vec![answer(200, "", copied)]).await;
    let keep = CopyHeaders::Keep {
        storage_class: None,
    };
    let (source, key) = (version("bkt"), ObjectKey::new("k"));
    let copy = bucket.copy(&source, &key, &keep, &Precondition::None);
    copy.await.unwrap();
    let request = &server.received()[0];
    assert_eq!(request.header("x-amz-tagging-directive"), Some("REPLACE"));
    assert_eq!(request.header("x-amz-tagging"), None);
}

#[tokio::test]
async fn an_object_of_another_key_is_refused_with_the_option_for_it() {
    let body = "<Error><Code>InvalidRequest</Code><Message>The object was stored using a form of \
        Server Side Encryption. The correct parameters must be provided to retrieve the object.\
        </Message></Error>";
    let script = vec![answer(400, "", ""), answer(400, "", body)];
    let (_server, bucket) = sent_by(Provider::Aws, "bkt", script).await;
    let whole = ObjectRange {
        version: version("bkt"),
        range: ByteRange::new(0, 5),
    };
    let head = bucket.head(&ObjectKey::new("k")).await.unwrap_err();
    let get = bucket.get(&whole).await.unwrap_err();
    for refused in [head, get] {
        assert!(
            matches!(refused, StoreError::AccessDenied { .. }),
            "{refused:?}"
        );
        assert!(refused.to_string().contains("sse_c_key"), "{refused}");
    }
}

#[tokio::test]
async fn a_copy_from_an_access_point_names_its_arn() {
    let copied = "<CopyPartResult><ETag>\"e\"</ETag></CopyPartResult>";
    let (server, bucket) = sent_by(Provider::Aws, "bkt", vec![answer(200, "", copied)]).await;
    let upload = Upload {
        key: ObjectKey::new("k"),
        id: "u".to_owned(),
    };
    let source = ObjectRange {
        version: version("arn:aws:s3:us-west-2:123456789012:accesspoint/ap"),
        range: ByteRange::new(0, 5),
    };
    let copy = bucket.copy_part(&upload, PartNumber(1), &source);
    copy.await.unwrap();
    assert_eq!(
        server.received()[0].header("x-amz-copy-source"),
        Some("arn%3Aaws%3As3%3Aus-west-2%3A123456789012%3Aaccesspoint/ap/object/k")
    );
}

#[tokio::test]
async fn a_customers_key_is_sent_over_tls_or_to_this_machine_only() {
    for (endpoint, is_secret) in [
        ("http://s3.example.com", false),
        ("http://127.0.0.1.example.com", false),
        ("HTTP://10.0.0.1:9000", false),
        ("https://s3.example.com", true),
        ("http://127.0.0.1:9000", true),
        ("http://[::1]:9000", true),
    ] {
        let mut config = config(endpoint);
        let bucket = BucketName::new("bkt");
        config.encryption.otherwise.insert(bucket, customer(1).0);
        let connected = S3Store::connect(&config).await;
        match connected {
            Ok(_) => assert!(is_secret, "{endpoint}"),
            Err(ConnectError::KeyInTheClear { endpoint: named }) => {
                assert!(!is_secret && named == endpoint, "{endpoint}");
            }
            Err(other) => panic!("{endpoint}: {other}"),
        }
    }
}
