//! The service over HTTP, by raw requests of the SDK.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    CompletedMultipartUpload, CompletedPart, Delete, MetadataDirective, ObjectIdentifier,
};

use super::{Fault, How, Operation, Sim, SimBuilder, pattern_byte};
use crate::limits::Limits;

fn client_with(sim: &Sim, id: &str, secret: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new(super::REGION))
        .endpoint_url(sim.endpoint())
        .force_path_style(true)
        .retry_config(RetryConfig::disabled())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .build();
    Client::from_conf(config)
}

fn client(sim: &Sim) -> Client {
    client_with(sim, Sim::ACCESS_KEY.0, Sim::ACCESS_KEY.1)
}

/// Limits of a few bytes, so that every boundary is near.
fn toy() -> Limits {
    Limits {
        part_size_min: 4,
        part_size_max: 16,
        part_count_max: 5,
        copy_object_max: 16,
        put_max: 16,
        object_size_max: 40,
        ..Limits::aws()
    }
}

async fn started(builder: SimBuilder) -> (Sim, Client) {
    let sim = builder.bucket("test").start("127.0.0.1:0").await.unwrap();
    let client = client(&sim);
    (sim, client)
}

fn code<T, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> String {
    match result {
        Ok(_) => "no error".into(),
        Err(error) => match error.as_service_error() {
            Some(service) => service.code().unwrap_or("no code").into(),
            None => "no answer".into(),
        },
    }
}

fn status<T, E>(result: Result<T, SdkError<E, aws_sdk_s3::config::http::HttpResponse>>) -> u16 {
    result
        .err()
        .and_then(|e| e.raw_response().map(|r| r.status().as_u16()))
        .unwrap_or(0)
}

async fn put(client: &Client, key: &str, body: &[u8]) -> String {
    let put = client.put_object().bucket("test").key(key);
    let put = put
        .body(ByteStream::from(body.to_vec()))
        .send()
        .await
        .unwrap();
    put.e_tag.unwrap()
}

async fn create(client: &Client, key: &str) -> String {
    let upload = client
        .create_multipart_upload()
        .bucket("test")
        .key(key)
        .send()
        .await
        .unwrap();
    upload.upload_id.unwrap()
}

async fn part(client: &Client, key: &str, id: &str, number: i32, body: &[u8]) -> CompletedPart {
    let request = client
        .upload_part()
        .bucket("test")
        .key(key)
        .upload_id(id)
        .part_number(number);
    let part = request
        .body(ByteStream::from(body.to_vec()))
        .send()
        .await
        .unwrap();
    CompletedPart::builder()
        .part_number(number)
        .e_tag(part.e_tag.unwrap())
        .build()
}

macro_rules! complete {
    ($client:expr, $key:expr, $id:expr, $parts:expr) => {
        $client
            .complete_multipart_upload()
            .bucket("test")
            .key($key)
            .upload_id($id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some($parts))
                    .build(),
            )
    };
}

#[tokio::test]
async fn an_object_comes_back_as_it_was_put() {
    let (sim, client) = started(Sim::builder()).await;
    let request = client
        .put_object()
        .bucket("test")
        .key("a/b c+%25")
        .content_type("text/x");
    let put = request
        .metadata("mode", "33188")
        .body(ByteStream::from_static(b"hello"));
    let etag = put.send().await.unwrap().e_tag.unwrap();
    assert_eq!(etag, "\"5d41402abc4b2a76b9719d911017c592\"");
    let got = client
        .get_object()
        .bucket("test")
        .key("a/b c+%25")
        .send()
        .await
        .unwrap();
    assert_eq!(got.content_type(), Some("text/x"));
    assert_eq!(got.metadata().unwrap()["mode"], "33188");
    assert_eq!(got.e_tag(), Some(etag.as_str()));
    assert_eq!(&got.body.collect().await.unwrap().to_vec(), b"hello");
    let counts = sim.counters();
    assert_eq!((counts.total().bytes_up, counts.total().bytes_down), (5, 5));
    assert_eq!(sim.content("test", "a/b c+%25").unwrap(), b"hello");
}

#[tokio::test]
async fn a_wrong_secret_is_refused() {
    let (sim, _) = started(Sim::builder()).await;
    let stranger = client_with(&sim, "sim", "wrong");
    let listed = stranger.list_objects_v2().bucket("test").send().await;
    assert_eq!(code(listed), "SignatureDoesNotMatch");
    let stranger = client_with(&sim, "who", "wrong");
    let listed = stranger.list_objects_v2().bucket("test").send().await;
    assert_eq!(code(listed), "InvalidAccessKeyId");
}

#[tokio::test]
async fn ranges_and_conditions_of_a_get_are_kept() {
    let (sim, client) = started(Sim::builder()).await;
    sim.put_pattern("test", "big", 5 << 40, 3);
    let get = || client.get_object().bucket("test").key("big");
    let last = (5_u64 << 40) - 1;
    let got = get()
        .range(format!("bytes={}-{}", last - 9, last + 100))
        .send()
        .await
        .unwrap();
    assert_eq!(got.content_length(), Some(10));
    let expected: Vec<u8> = (last - 9..=last)
        .map(|offset| pattern_byte(3, offset))
        .collect();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), expected);
    assert_eq!(
        code(get().range(format!("bytes={}-", last + 1)).send().await),
        "InvalidRange"
    );
    assert_eq!(
        code(get().if_match("\"0\"").send().await),
        "PreconditionFailed"
    );
    let etag = sim.stat("test", "big").unwrap().etag;
    assert_eq!(
        status(get().if_none_match(format!("\"{etag}\"")).send().await),
        304
    );
    let head = client.head_object().bucket("test").key("none").send().await;
    assert_eq!(code(head), "NotFound");
}

#[tokio::test]
async fn writes_keep_their_conditions() {
    let (_sim, client) = started(Sim::builder()).await;
    let etag = put(&client, "a", b"1").await;
    let again = || {
        client
            .put_object()
            .bucket("test")
            .key("a")
            .body(ByteStream::from_static(b"2"))
    };
    assert_eq!(
        code(again().if_none_match("*").send().await),
        "PreconditionFailed"
    );
    assert_eq!(
        code(again().if_match("\"0\"").send().await),
        "PreconditionFailed"
    );
    assert_eq!(
        code(again().content_md5("XUFAKrxLKna5cZ2REBfFkg==").send().await),
        "BadDigest"
    );
    again().if_match(etag).send().await.unwrap();
    let missing = client
        .put_object()
        .bucket("test")
        .key("b")
        .if_match("\"0\"")
        .send()
        .await;
    assert_eq!(code(missing), "NoSuchKey");
    client
        .put_object()
        .bucket("test")
        .key("b")
        .if_none_match("*")
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_copy_takes_metadata_or_replaces_it() {
    let (sim, client) = started(Sim::builder()).await;
    let request = client
        .put_object()
        .bucket("test")
        .key("from?+ \u{e4}")
        .metadata("k", "v");
    let etag = request
        .body(ByteStream::from_static(b"body"))
        .send()
        .await
        .unwrap()
        .e_tag
        .unwrap();
    let copy = |to: &str| {
        let request = client.copy_object().bucket("test").key(to);
        request.copy_source("test/from%3F%2B%20%C3%A4")
    };
    let copied = copy("kept")
        .copy_source_if_match(&etag)
        .send()
        .await
        .unwrap();
    assert_eq!(copied.copy_object_result.unwrap().e_tag.unwrap(), etag);
    assert_eq!(sim.stat("test", "kept").unwrap().headers.metadata["k"], "v");
    let replaced = copy("new")
        .metadata_directive(MetadataDirective::Replace)
        .metadata("n", "w");
    replaced.send().await.unwrap();
    let metadata = sim.stat("test", "new").unwrap().headers.metadata;
    assert_eq!(
        metadata.into_iter().collect::<Vec<_>>(),
        [("n".into(), "w".into())]
    );
    assert_eq!(
        code(copy("x").copy_source_if_match("\"0\"").send().await),
        "PreconditionFailed"
    );
    assert_eq!(
        code(copy("x").copy_source_if_none_match(etag).send().await),
        "PreconditionFailed"
    );
    assert_eq!(code(copy("from?+ \u{e4}").send().await), "InvalidRequest");
    assert_eq!(
        code(copy("kept").if_none_match("*").send().await),
        "PreconditionFailed"
    );
    assert_eq!(sim.counters().total().bytes_up, 4);
}

#[tokio::test]
async fn an_upload_is_put_together_from_uploaded_and_copied_parts() {
    let (sim, client) = started(Sim::builder().limits(toy())).await;
    sim.put("test", "source", b"0123456789".to_vec());
    let id = create(&client, "whole").await;
    part(&client, "whole", &id, 1, b"overwritten").await;
    let first = part(&client, "whole", &id, 1, b"abcd").await;
    let copy = |range: &str| {
        let request = client
            .upload_part_copy()
            .bucket("test")
            .key("whole")
            .upload_id(&id);
        request
            .part_number(3)
            .copy_source("test/source")
            .copy_source_range(range)
    };
    assert_eq!(code(copy("bytes=0-10").send().await), "InvalidArgument");
    assert_eq!(code(copy("bytes=5-").send().await), "InvalidArgument");
    let stale = copy("bytes=0-5").copy_source_if_match("\"0\"").send().await;
    assert_eq!(code(stale), "PreconditionFailed");
    let copied = copy("bytes=2-5")
        .send()
        .await
        .unwrap()
        .copy_part_result
        .unwrap()
        .e_tag
        .unwrap();
    let second = CompletedPart::builder()
        .part_number(3)
        .e_tag(copied)
        .build();
    assert_eq!(sim.uploads("test")[0].parts, [(1, 4), (3, 4)]);
    let wrong_size = complete!(client, "whole", &id, vec![first.clone(), second.clone()]);
    assert_eq!(
        code(wrong_size.mpu_object_size(9).send().await),
        "InvalidRequest"
    );
    let whole = || complete!(client, "whole", &id, vec![first.clone(), second.clone()]);
    whole()
        .mpu_object_size(8)
        .if_none_match("*")
        .send()
        .await
        .unwrap();
    assert_eq!(sim.content("test", "whole").unwrap(), b"abcd2345");
    assert!(sim.stat("test", "whole").unwrap().etag.ends_with("-2"));
    assert_eq!(code(whole().send().await), "NoSuchUpload");
    assert!(sim.uploads("test").is_empty());
}

#[tokio::test]
async fn an_upload_that_breaks_a_rule_is_not_published() {
    let (sim, client) = started(Sim::builder().limits(toy())).await;
    let id = create(&client, "k").await;
    let short = part(&client, "k", &id, 1, b"abc").await;
    let last = part(&client, "k", &id, 2, b"z").await;
    let both = complete!(client, "k", &id, vec![short.clone(), last.clone()])
        .send()
        .await;
    assert_eq!(code(both), "EntityTooSmall");
    let reversed = complete!(client, "k", &id, vec![last.clone(), short.clone()])
        .send()
        .await;
    assert_eq!(code(reversed), "InvalidPartOrder");
    let wrong = CompletedPart::builder()
        .part_number(1)
        .e_tag("\"0\"")
        .build();
    assert_eq!(
        code(complete!(client, "k", &id, vec![wrong]).send().await),
        "InvalidPart"
    );
    let missing = CompletedPart::builder()
        .part_number(4)
        .e_tag("\"0\"")
        .build();
    assert_eq!(
        code(complete!(client, "k", &id, vec![missing]).send().await),
        "InvalidPart"
    );
    let upload = || client.upload_part().bucket("test").key("k").upload_id(&id);
    let beyond = upload()
        .part_number(6)
        .body(ByteStream::from_static(b"a"))
        .send()
        .await;
    assert_eq!(code(beyond), "InvalidArgument");
    let long = upload()
        .part_number(3)
        .body(ByteStream::from_static(&[1; 17]))
        .send()
        .await;
    assert_eq!(code(long), "EntityTooLarge");
    assert!(sim.keys("test").is_empty());
    client
        .abort_multipart_upload()
        .bucket("test")
        .key("k")
        .upload_id(&id)
        .send()
        .await
        .unwrap();
    let again = client
        .abort_multipart_upload()
        .bucket("test")
        .key("k")
        .upload_id(&id)
        .send()
        .await;
    assert_eq!(code(again), "NoSuchUpload");
}

#[tokio::test]
async fn appending_by_copy_again_and_again_keeps_one_object_small() {
    let (sim, client) = started(Sim::builder().limits(Limits {
        part_size_min: 1,
        ..Limits::aws()
    }))
    .await;
    sim.put_pattern("test", "log", 1 << 30, 5);
    for round in 0..5_u64 {
        let size = sim.stat("test", "log").unwrap().size;
        let id = create(&client, "log").await;
        let mut parts = Vec::new();
        for (number, (from, to)) in [(0, size / 3), (size / 3, size)].into_iter().enumerate() {
            let request = client
                .upload_part_copy()
                .bucket("test")
                .key("log")
                .upload_id(&id);
            let range = format!("bytes={from}-{}", to - 1);
            let request = request.copy_source("test/log").copy_source_range(range);
            let copied = request.part_number(number as i32 + 1).send().await.unwrap();
            let etag = copied.copy_part_result.unwrap().e_tag.unwrap();
            parts.push(
                CompletedPart::builder()
                    .part_number(number as i32 + 1)
                    .e_tag(etag)
                    .build(),
            );
        }
        parts.push(part(&client, "log", &id, 3, format!("line {round}").as_bytes()).await);
        complete!(client, "log", &id, parts).send().await.unwrap();
        assert_eq!(sim.stat("test", "log").unwrap().extents as u64, round + 2);
    }
}

async fn names(client: &Client, prefix: &str, fold: bool, page: i32) -> Vec<String> {
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let request = client
            .list_objects_v2()
            .bucket("test")
            .prefix(prefix)
            .max_keys(page);
        let request = request.set_delimiter(fold.then(|| "/".into()));
        let listed = request.set_continuation_token(token).send().await.unwrap();
        let mut on_page: Vec<String> = listed
            .contents()
            .iter()
            .map(|object| object.key().unwrap().into())
            .collect();
        on_page.extend(
            listed
                .common_prefixes()
                .iter()
                .map(|p| p.prefix().unwrap().into()),
        );
        assert!(on_page.len() <= page as usize);
        on_page.sort();
        names.extend(on_page);
        token = listed.next_continuation_token;
        if token.is_none() {
            return names;
        }
    }
}

#[tokio::test]
async fn pages_of_any_size_give_one_listing() {
    let (sim, client) = started(Sim::builder()).await;
    let keys = [
        "a",
        "a.txt",
        "a/",
        "a/b",
        "a/c/d",
        "a//b",
        "b/1",
        "b/2",
        "b/\u{d7ff}",
        "b/\u{e000}",
        "b/\u{10ffff}",
        "b0",
        "\u{fc}/\u{df}",
        "\u{1f600}",
    ];
    for key in keys {
        sim.put("test", key, b"x".to_vec());
    }
    let mut sorted: Vec<String> = keys.iter().map(|key| (*key).into()).collect();
    sorted.sort();
    for page in 1..6 {
        assert_eq!(names(&client, "", false, page).await, sorted);
        let folded = ["a", "a.txt", "a/", "b/", "b0", "\u{fc}/", "\u{1f600}"];
        assert_eq!(names(&client, "", true, page).await, folded);
        assert_eq!(
            names(&client, "a/", true, page).await,
            ["a/", "a//", "a/b", "a/c/"]
        );
        assert_eq!(names(&client, "b", true, page).await, ["b/", "b0"]);
    }
    let v1 = client
        .list_objects()
        .bucket("test")
        .delimiter("/")
        .max_keys(4)
        .send()
        .await
        .unwrap();
    assert_eq!(v1.next_marker(), Some("b/"));
    let rest = client
        .list_objects()
        .bucket("test")
        .delimiter("/")
        .marker("b/")
        .send()
        .await;
    assert_eq!(rest.unwrap().contents()[0].key(), Some("b0"));
}

#[tokio::test]
async fn names_that_xml_cannot_hold_are_listed_encoded() {
    let (sim, client) = started(Sim::builder()).await;
    sim.put("test", "a\u{1}b +\u{e4}/", b"x".to_vec());
    let url = aws_sdk_s3::types::EncodingType::Url;
    let listed = client
        .list_objects_v2()
        .bucket("test")
        .encoding_type(url)
        .send()
        .await
        .unwrap();
    assert_eq!(listed.contents()[0].key(), Some("a%01b+%2B%C3%A4/"));
}

#[tokio::test]
async fn many_keys_go_at_once_but_not_more_than_a_thousand() {
    let (sim, client) = started(Sim::builder()).await;
    sim.put("test", "a", b"x".to_vec());
    sim.put("test", "b", b"x".to_vec());
    let delete = |keys: Vec<String>| {
        let objects = keys
            .into_iter()
            .map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
        let delete = Delete::builder()
            .set_objects(Some(objects.collect()))
            .build()
            .unwrap();
        client.delete_objects().bucket("test").delete(delete)
    };
    let gone = delete(vec!["a".into(), "none".into()])
        .send()
        .await
        .unwrap();
    assert_eq!(gone.deleted().len(), 2);
    assert_eq!(sim.keys("test"), ["b"]);
    let many = (0..1001).map(|n| format!("{n}")).collect();
    assert_eq!(code(delete(many).send().await), "MalformedXML");
}

#[tokio::test]
async fn a_versioned_bucket_keeps_what_was_overwritten_and_deleted() {
    let (sim, _) = started(Sim::builder().versioned("kept")).await;
    let client = client(&sim);
    sim.put("kept", "k", b"one".to_vec());
    let first = sim.stat("kept", "k").unwrap().version_id.unwrap();
    sim.put("kept", "k", b"two".to_vec());
    let gone = client
        .delete_object()
        .bucket("kept")
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(gone.delete_marker(), Some(true));
    let marker = gone.version_id.unwrap();
    let get = || client.get_object().bucket("kept").key("k");
    assert_eq!(code(get().send().await), "NoSuchKey");
    assert_eq!(
        code(get().version_id(&marker).send().await),
        "MethodNotAllowed"
    );
    let old = get().version_id(&first).send().await.unwrap();
    assert_eq!(old.body.collect().await.unwrap().to_vec(), b"one");
    let copy = |source: String| {
        client
            .copy_object()
            .bucket("test")
            .key("c")
            .copy_source(source)
    };
    assert_eq!(code(copy("kept/k".into()).send().await), "NoSuchKey");
    let named = copy(format!("kept/k?versionId={marker}")).send().await;
    assert_eq!(code(named), "InvalidRequest");
    let copied = copy(format!("kept/k?versionId={first}"))
        .send()
        .await
        .unwrap();
    assert_eq!(copied.copy_source_version_id(), Some(first.as_str()));
    assert_eq!(sim.content("test", "c").unwrap(), b"one");
    client
        .delete_object()
        .bucket("kept")
        .key("k")
        .version_id(marker)
        .send()
        .await
        .unwrap();
    assert_eq!(sim.content("kept", "k").unwrap(), b"two");
}

#[tokio::test]
async fn each_fault_fails_the_request_it_is_meant_for() {
    let (sim, client) = started(Sim::builder()).await;
    let put = || {
        client
            .put_object()
            .bucket("test")
            .key("k")
            .body(ByteStream::from_static(b"12345"))
    };
    let get = || client.get_object().bucket("test").key("k");
    sim.fault(Fault::nth(2, How::Status(503, "SlowDown")).times(2));
    put().send().await.unwrap();
    assert_eq!(code(put().send().await), "SlowDown");
    assert_eq!(code(get().send().await), "SlowDown");
    get().send().await.unwrap();
    sim.delete("test", "k");
    sim.fault(Fault::on(Operation::PutObject, How::Reset));
    assert_eq!(code(put().send().await), "no answer");
    assert!(sim.keys("test").is_empty());
    sim.fault(Fault::on(Operation::PutObject, How::ResetAfter));
    assert_eq!(code(put().send().await), "no answer");
    assert_eq!(sim.keys("test"), ["k"]);
    sim.fault(Fault::on(Operation::GetObject, How::CutBody(3)));
    assert!(get().send().await.unwrap().body.collect().await.is_err());
    let true_etag = sim.stat("test", "k").unwrap().etag;
    let copy = || {
        client
            .copy_object()
            .bucket("test")
            .key("c")
            .copy_source("test/k")
            .send()
    };
    sim.fault(Fault::on(Operation::CopyObject, How::WrongETag));
    let copied = copy()
        .await
        .unwrap()
        .copy_object_result
        .unwrap()
        .e_tag
        .unwrap();
    assert_ne!(copied, format!("\"{true_etag}\""));
    assert_eq!(sim.stat("test", "c").unwrap().etag, true_etag);
    sim.fault(Fault::on(Operation::CopyObject, How::ErrorIn200));
    assert_eq!(code(copy().await), "InternalError");
    sim.fault(Fault::on(Operation::CopyObject, How::EmptyCopyResult));
    assert!(copy().await.unwrap().copy_object_result.is_none());
    let log = sim.requests();
    assert_eq!((log[1].status, log[4].status), (Some(503), None));
}

#[tokio::test]
async fn a_hook_may_change_objects_before_a_request_is_applied() {
    let (sim, client) = started(Sim::builder()).await;
    let etag = put(&client, "k", b"old").await;
    sim.on_request(|state, request| {
        if request.operation == Operation::GetObject {
            state.put("test", "k", b"new".to_vec());
        }
    });
    let got = client
        .get_object()
        .bucket("test")
        .key("k")
        .if_match(etag)
        .send()
        .await;
    assert_eq!(code(got), "PreconditionFailed");
}

#[tokio::test]
async fn a_stopped_service_closes_its_connections_and_starts_again_on_its_port() {
    let (sim, client) = started(Sim::builder()).await;
    put(&client, "k", b"1").await;
    sim.fault(Fault::on(Operation::GetObject, How::Stall));
    let stalled = tokio::spawn(client.get_object().bucket("test").key("k").send());
    while sim.counters().of(Operation::GetObject).requests == 0 {
        tokio::task::yield_now().await;
    }
    sim.stop();
    assert_eq!(code(stalled.await.unwrap()), "no answer");
    assert_eq!(
        code(client.get_object().bucket("test").key("k").send().await),
        "no answer"
    );
    let again = Sim::serve(sim.state(), &sim.address().to_string())
        .await
        .unwrap();
    client
        .get_object()
        .bucket("test")
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(again.keys("test"), ["k"]);
}

#[tokio::test]
async fn a_kept_service_takes_up_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        Sim::builder()
            .bucket("test")
            .versioned("kept")
            .dir(dir.path())
            .start("127.0.0.1:0")
    };
    let sim = start().await.unwrap();
    let client = client(&sim);
    put(&client, "gone", b"xyz").await;
    sim.put_pattern("test", "big", 1 << 40, 9);
    let request = client
        .put_object()
        .bucket("test")
        .key("k")
        .metadata("m", "1")
        .content_type("t/x");
    request
        .body(ByteStream::from_static(b"hello"))
        .send()
        .await
        .unwrap();
    client
        .copy_object()
        .bucket("test")
        .key("c")
        .copy_source("test/k")
        .send()
        .await
        .unwrap();
    sim.delete("test", "gone");
    sim.put("kept", "v", b"1".to_vec());
    sim.delete("kept", "v");
    let before = sim.stat("test", "k");
    drop((sim, client));
    for _ in 0..2 {
        let sim = start().await.unwrap();
        assert_eq!(sim.keys("test"), ["big", "c", "k"]);
        assert_eq!(sim.stat("test", "k"), before);
        assert_eq!(sim.content("test", "c").unwrap(), b"hello");
        assert!(sim.keys("kept").is_empty());
        assert_eq!(
            std::fs::read_dir(dir.path().join("blobs")).unwrap().count(),
            2
        );
    }
}
