//! Each provider's rule over HTTP, by raw requests.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, EncodingType};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use super::super::rules::{Conditions, LengthWanted};
use super::super::{Fault, How, Operation, Rules, Sim};
use super::{client, code, create, part, put, started, status};
use crate::limits::MIB;
use crate::store::ObjectHeaders;

async fn of(rules: Rules) -> (Sim, Client) {
    started(Sim::builder().rules(rules)).await
}

/// Copies a part of `a`; the part, or what the store said.
async fn copied(
    client: &Client,
    (key, id): (&str, &str),
    (number, range): (i32, Option<&str>),
) -> Result<CompletedPart, (u16, String)> {
    let request = client.upload_part_copy().bucket("test").key(key);
    let request = request.upload_id(id).part_number(number);
    let request = request
        .copy_source("test/a")
        .set_copy_source_range(range.map(str::to_owned))
        .customize();
    let request = request.mutate_request(|request| {
        request.headers_mut().insert("content-length", "0");
    });
    match request.send().await {
        Ok(answer) => Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(answer.copy_part_result.and_then(|result| result.e_tag))
            .build()),
        Err(error) => {
            let answered = error.raw_response().map_or(0, |raw| raw.status().as_u16());
            Err((answered, code::<(), _, _>(Err(error))))
        }
    }
}

/// Bytes of the part that a range of an `a` of 10 MiB makes; the code where it is refused.
async fn part_of(rules: Rules, range: &str) -> Result<u64, String> {
    let (sim, client) = of(Rules {
        answers: Rules::aws().answers,
        ..rules
    })
    .await;
    sim.put_pattern("test", "a", 10 * MIB, 1);
    let upload = client.create_multipart_upload().bucket("test").key("k");
    let upload = upload.customize().mutate_request(|request| {
        request.headers_mut().insert("content-length", "0");
    });
    let id = upload.send().await.unwrap().upload_id.unwrap();
    match copied(&client, ("k", &id), (1, Some(range))).await {
        Ok(_) => Ok(sim.uploads("test")[0].parts[0].1),
        Err((_, code)) => Err(code),
    }
}

#[tokio::test]
async fn each_form_of_a_range_is_taken_cut_ignored_or_refused() {
    const ALL: Result<u64, &str> = Ok(10 * MIB);
    const NO: Result<u64, &str> = Err("InvalidArgument");
    // A last byte too many, an open end, a suffix, no unit, and no range at all.
    let forms = ["bytes=5-10485760", "bytes=5-", "bytes=-5", "0-5", "five"];
    for (rules, expected) in [
        (Rules::aws(), [NO, NO, NO, NO, NO]),
        (Rules::oss(), [ALL, ALL, ALL, ALL, ALL]),
        (
            Rules::garage(),
            [Ok(10 * MIB - 5), Ok(10 * MIB - 5), Ok(5), NO, NO],
        ),
        (Rules::ceph(), [NO, NO, Ok(6), NO, NO]),
        (Rules::seaweedfs(), [NO, NO, NO, Ok(6), NO]),
        (Rules::minio(), [NO, NO, NO, NO, NO]),
    ] {
        for (form, expected) in forms.into_iter().zip(expected) {
            let seen = part_of(rules.clone(), form).await;
            assert_eq!(
                seen.as_ref().map_err(String::as_str).copied(),
                expected,
                "{} {form}",
                rules.name
            );
        }
    }
}

/// Status of a copy whose condition on the source fails: if-match, then if-none-match.
async fn failed_conditions(rules: Rules) -> [u16; 2] {
    let (sim, client) = of(Rules {
        answers: Rules::aws().answers,
        ..rules
    })
    .await;
    let etag = sim.put_pattern("test", "a", 6 * MIB, 1);
    let upload = client.create_multipart_upload().bucket("test").key("k");
    let plain = |request: &mut aws_smithy_runtime_api::client::orchestrator::HttpRequest| {
        request.headers_mut().insert("content-length", "0");
    };
    let upload = upload.customize().mutate_request(plain).send().await;
    let id = upload.unwrap().upload_id.unwrap();
    let copy = || {
        let request = client.upload_part_copy().bucket("test").key("k");
        request.upload_id(&id).part_number(1).copy_source("test/a")
    };
    let other = copy().copy_source_if_match("\"0\"").customize();
    let same = copy().copy_source_if_none_match(etag).customize();
    [
        status(other.mutate_request(plain).send().await),
        status(same.mutate_request(plain).send().await),
    ]
}

#[tokio::test]
async fn conditions_on_a_source_are_answered_412_or_304_or_not_at_all() {
    for (rules, expected) in [
        (Rules::aws(), [412, 412]),
        (Rules::oss(), [412, 304]),
        (Rules::cos(), [412, 412]),
        (Rules::ceph(), [0, 0]),
        (Rules::r2(), [0, 0]),
        (Rules::obs(), [0, 0]),
        (Rules::ncloud(), [0, 0]),
        (Rules::garage(), [412, 412]),
    ] {
        let name = rules.name;
        assert_eq!(failed_conditions(rules).await, expected, "{name}");
    }
}

#[tokio::test]
async fn conditions_on_a_write_are_kept_ignored_or_refused() {
    for rules in Rules::all() {
        let (name, rule) = (rules.name, rules.writes.put_conditions);
        let (_sim, client) = of(Rules {
            requests: Rules::aws().requests,
            ..rules
        })
        .await;
        put(&client, "k", b"theirs").await;
        let write = client
            .put_object()
            .bucket("test")
            .key("k")
            .if_none_match("*");
        let expected = match rule {
            Conditions::Kept
            | Conditions::KeptNotModified
            | Conditions::QuotedNever
            | Conditions::NoneMatchOnly => 412,
            Conditions::Ignored => 0,
            Conditions::Refused => 501,
        };
        assert_eq!(status(write.send().await), expected, "{name}");
    }
}

#[tokio::test]
async fn a_delete_marker_is_404_or_by_its_version_400() {
    let sim = Sim::builder().rules(Rules::oss()).versioned("test");
    let sim = sim.start("127.0.0.1:0").await.unwrap();
    let client = client(&sim);
    sim.put("test", "a", "x");
    let marker = client.delete_object().bucket("test").key("a").send().await;
    let marker = marker.unwrap().version_id.unwrap();
    let copy = |source: String| {
        client
            .copy_object()
            .bucket("test")
            .key("k")
            .copy_source(source)
    };
    assert_eq!(status(copy("test/a".into()).send().await), 404);
    let named = copy(format!("test/a?versionId={marker}")).send().await;
    assert_eq!(status(named), 400);
}

#[tokio::test]
async fn a_cold_object_is_told_of_but_neither_read_nor_copied() {
    for (rules, class, expected) in [
        (Rules::aws(), "GLACIER", (403, "InvalidObjectState")),
        (Rules::obs(), "COLD", (403, "InvalidObjectState")),
        (Rules::oss(), "Archive", (400, "OperationNotSupported")),
    ] {
        let (sim, client) = of(rules).await;
        let headers = ObjectHeaders {
            storage_class: Some(class.into()),
            ..ObjectHeaders::default()
        };
        sim.put_pattern_with("test", "a", (6 * MIB, 1), headers);
        let head = client.head_object().bucket("test").key("a").send().await;
        assert_eq!(head.unwrap().storage_class.unwrap().as_str(), class);
        let get = client.get_object().bucket("test").key("a").send().await;
        assert_eq!(code(get), "InvalidObjectState");
        let copy = client.copy_object().bucket("test").key("k");
        let copy = copy.copy_source("test/a").send().await;
        let seen = (
            copy.as_ref()
                .err()
                .and_then(|e| e.raw_response())
                .unwrap()
                .status()
                .as_u16(),
            code(copy),
        );
        assert_eq!(seen, (expected.0, expected.1.to_owned()));
        let id = create(&client, "k").await;
        let part = copied(&client, ("k", &id), (1, None)).await;
        assert_eq!(part.unwrap_err(), (expected.0, expected.1.to_owned()));
    }
}

#[tokio::test]
async fn a_part_copy_that_broke_off_has_no_etag_or_an_error_under_its_200() {
    let (sim, client) = of(Rules::obs()).await;
    sim.put_pattern("test", "a", 6 * MIB, 1);
    let id = create(&client, "k").await;
    sim.fault(Fault::on(Operation::UploadPartCopy, How::Breaks));
    let part = copied(&client, ("k", &id), (1, None)).await.unwrap();
    assert_eq!(part.e_tag(), None);
    assert!(sim.uploads("test")[0].parts.is_empty());

    let (sim, client) = of(Rules::aws()).await;
    sim.put_pattern("test", "a", 6 * MIB, 1);
    let id = create(&client, "k").await;
    sim.fault(Fault::on(Operation::UploadPartCopy, How::Breaks));
    let part = copied(&client, ("k", &id), (1, None)).await;
    assert_eq!(part.unwrap_err(), (200, "InternalError".into()));
}

#[tokio::test]
async fn entity_tags_have_the_form_the_provider_gives_them() {
    let (_sim, client) = of(Rules::oss()).await;
    let etag = put(&client, "k", b"hello").await;
    assert_eq!(etag, "\"5D41402ABC4B2A76B9719D911017C592\"");
    for (rules, is_numbered) in [(Rules::aws(), true), (Rules::cos(), false)] {
        let (sim, client) = of(rules).await;
        let id = create(&client, "k").await;
        let only = part(&client, "k", &id, 1, b"all").await;
        complete(&client, &id, vec![only]).await.unwrap();
        let etag = sim.stat("test", "k").unwrap().etag;
        assert_eq!(etag.ends_with("-1"), is_numbered, "{etag}");
    }
}

async fn complete(client: &Client, id: &str, parts: Vec<CompletedPart>) -> Result<(), String> {
    let list = CompletedMultipartUpload::builder().set_parts(Some(parts));
    let request = client.complete_multipart_upload().bucket("test").key("k");
    let request = request.upload_id(id).multipart_upload(list.build());
    match request.send().await {
        Ok(_) => Ok(()),
        refused => Err(code(refused)),
    }
}

#[tokio::test]
async fn part_numbers_and_the_list_of_parts_are_looked_at_where_the_provider_does() {
    for (rules, with_gap, without_one) in [
        (Rules::aws(), Ok(()), Ok(())),
        (Rules::express(), Err("InvalidPartOrder"), Ok(())),
        (Rules::minio(), Ok(()), Ok(())),
    ] {
        let (_sim, client) = of(rules).await;
        let id = create(&client, "k").await;
        let two = part(&client, "k", &id, 2, b"end").await;
        let done = complete(&client, &id, vec![two]).await;
        assert_eq!(done.as_ref().map_err(String::as_str).copied(), with_gap);
        let id = create(&client, "k").await;
        let one = part(&client, "k", &id, 1, b"end").await;
        part(&client, "k", &id, 2, b"unnamed").await;
        let done = complete(&client, &id, vec![one]).await;
        assert_eq!(done.as_ref().map_err(String::as_str).copied(), without_one);
    }
    let mut rules = Rules::ceph();
    rules.requests.length_wanted = LengthWanted::Never;
    let (_sim, client) = of(rules).await;
    let id = create(&client, "k").await;
    let one = part(&client, "k", &id, 1, b"end").await;
    part(&client, "k", &id, 2, b"unnamed").await;
    assert_eq!(
        complete(&client, &id, vec![one]).await.unwrap_err(),
        "InvalidPart"
    );
}

#[tokio::test]
async fn whoever_does_not_pay_or_names_another_owner_is_refused() {
    let builder = Sim::builder().requester_pays("test").bucket("free");
    let sim = builder.start("127.0.0.1:0").await.unwrap();
    let client = client(&sim);
    sim.put("test", "a", "x");
    let head = || client.head_object().bucket("test").key("a");
    assert_eq!(status(head().send().await), 403);
    let payer = aws_sdk_s3::types::RequestPayer::Requester;
    head().request_payer(payer.clone()).send().await.unwrap();
    let copy = || {
        client
            .copy_object()
            .bucket("free")
            .key("k")
            .copy_source("test/a")
    };
    assert_eq!(status(copy().send().await), 403);
    copy().request_payer(payer.clone()).send().await.unwrap();
    let owned = head().request_payer(payer).expected_bucket_owner("1");
    assert_eq!(status(owned.send().await), 403);
    let head = client.head_object().bucket("free").key("k");
    head.expected_bucket_owner(Sim::OWNER).send().await.unwrap();
    let copy = client
        .copy_object()
        .bucket("free")
        .key("l")
        .copy_source("free/k");
    let copy = copy.expected_source_bucket_owner("1").send().await;
    assert_eq!(status(copy), 403);
}

/// Algorithm, key and digest of a key made of one byte.
fn key_of(byte: u8) -> (&'static str, String, String) {
    let key = [byte; 32];
    (
        "AES256",
        STANDARD.encode(key),
        STANDARD.encode(Md5::digest(key)),
    )
}

#[tokio::test]
async fn an_object_of_a_customers_key_is_read_and_copied_with_that_key_alone() {
    let (_sim, client) = of(Rules::aws()).await;
    let ((algorithm, key, digest), (_, other, other_digest)) = (key_of(1), key_of(2));
    let put = client.put_object().bucket("test").key("a");
    let put = put.body(ByteStream::from(vec![7; 6 << 20]));
    let put = put.sse_customer_algorithm(algorithm).sse_customer_key(&key);
    put.sse_customer_key_md5(&digest).send().await.unwrap();
    let head = || client.head_object().bucket("test").key("a");
    assert_eq!(status(head().send().await), 400);
    let with = head()
        .sse_customer_algorithm(algorithm)
        .sse_customer_key(&other);
    assert_eq!(
        status(with.sse_customer_key_md5(&other_digest).send().await),
        403
    );
    let with = head()
        .sse_customer_algorithm(algorithm)
        .sse_customer_key(&key);
    with.sse_customer_key_md5(&digest).send().await.unwrap();

    let create = client.create_multipart_upload().bucket("test").key("k");
    let create = create
        .sse_customer_algorithm(algorithm)
        .sse_customer_key(&other);
    let id = create
        .sse_customer_key_md5(&other_digest)
        .send()
        .await
        .unwrap()
        .upload_id
        .unwrap();
    let copy = || {
        let copy = client
            .upload_part_copy()
            .bucket("test")
            .key("k")
            .upload_id(&id);
        copy.part_number(1).copy_source("test/a")
    };
    let target = || {
        let copy = copy()
            .sse_customer_algorithm(algorithm)
            .sse_customer_key(&other);
        copy.sse_customer_key_md5(&other_digest)
    };
    // Without the destination's, without the source's, with the wrong one, with both.
    assert_eq!(status(copy().send().await), 400);
    assert_eq!(status(target().send().await), 400);
    let wrong = target().copy_source_sse_customer_algorithm(algorithm);
    let wrong = wrong.copy_source_sse_customer_key(&other);
    let wrong = wrong.copy_source_sse_customer_key_md5(&other_digest);
    assert_eq!(status(wrong.send().await), 403);
    let right = target().copy_source_sse_customer_algorithm(algorithm);
    let right = right.copy_source_sse_customer_key(&key);
    right
        .copy_source_sse_customer_key_md5(&digest)
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_customers_key_is_refused_where_there_are_none() {
    let (algorithm, key, digest) = key_of(1);
    let (_sim, client) = of(Rules::gcs()).await;
    let head = client.head_object().bucket("test").key("a");
    let head = head
        .sse_customer_algorithm(algorithm)
        .sse_customer_key(&key);
    let head = head
        .sse_customer_key_md5(digest)
        .customize()
        .mutate_request(|request| {
            let uri = request.uri().replace("x-id=HeadObject", "");
            let _ = request.set_uri(uri);
        });
    assert_eq!(status(head.send().await), 501);
}

#[tokio::test]
async fn tags_are_refused_where_there_are_none() {
    for rules in [Rules::express(), Rules::r2(), Rules::garage()] {
        let (sim, client) = of(rules).await;
        sim.put("test", "a", "x");
        let asked = client
            .get_object_tagging()
            .bucket("test")
            .key("a")
            .send()
            .await;
        assert_eq!(status(asked), 501);
        let sent = client
            .put_object()
            .bucket("test")
            .key("b")
            .tagging("a=b")
            .send()
            .await;
        assert_eq!(status(sent), 501);
    }
}

#[tokio::test]
async fn pages_have_no_order_no_second_version_and_no_end_where_the_provider_is_so() {
    let (sim, client) = of(Rules::express()).await;
    for n in 0..50 {
        sim.put("test", &format!("{n:02}"), "x");
    }
    let mut keys: Vec<String> = Vec::new();
    let mut token = None;
    loop {
        let request = client.list_objects_v2().bucket("test").max_keys(7);
        let page = request.set_continuation_token(token).send().await.unwrap();
        keys.extend(
            page.contents()
                .iter()
                .filter_map(|o| o.key().map(str::to_owned)),
        );
        token = page.next_continuation_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert!(!keys.is_sorted());
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 50);
    let odd = client
        .list_objects_v2()
        .bucket("test")
        .prefix("1")
        .send()
        .await;
    assert_eq!(status(odd), 400);

    let (sim, client) = of(Rules::obs()).await;
    for n in 0..5 {
        sim.put("test", &format!("{n}"), "x");
    }
    let second = client
        .list_objects_v2()
        .bucket("test")
        .max_keys(2)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (second.is_truncated(), second.next_continuation_token()),
        (Some(true), None)
    );
    let page = |encoding: Option<EncodingType>| {
        let request = client.list_objects().bucket("test").max_keys(2).marker("1");
        request.set_encoding_type(encoding).send()
    };
    let plain = page(None).await.unwrap();
    assert_eq!(plain.contents()[0].key(), Some("2"));
    let encoded = page(Some(EncodingType::Url)).await.unwrap();
    assert_eq!(encoded.contents()[0].key(), Some("0"));
}

#[tokio::test]
async fn a_new_key_is_listed_late_by_cos_and_settles() {
    let (sim, client) = of(Rules::cos()).await;
    sim.put("test", "a", "x");
    let count = || async {
        let listed = client.list_objects().bucket("test").send().await.unwrap();
        listed.contents().len()
    };
    assert_eq!([count().await, count().await, count().await], [0, 0, 1]);
    sim.put("test", "b", "x");
    // What is there already is listed, overwritten or not.
    sim.put("test", "a", "y");
    assert_eq!(count().await, 1);
    sim.settle();
    assert_eq!(count().await, 2);
}

/// The head of the answer to a raw request, which is signed by nobody: a gate looks before that.
async fn raw(sim: &Sim, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(sim.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let len = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..len]).into_owned()
}

#[tokio::test]
async fn a_bucket_is_named_by_the_host_alone_where_the_path_is_forbidden() {
    let sim = Sim::builder()
        .rules(Rules::oss())
        .host("oss-x.example")
        .bucket("test");
    let sim = sim.start("127.0.0.1:0").await.unwrap();
    let path = "GET /test/k HTTP/1.1\r\nHost: oss-x.example\r\n\r\n";
    let answer = raw(&sim, path).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("SecondLevelDomainForbidden"));
    let dotted = "GET /k HTTP/1.1\r\nHost: a.b.oss-x.example\r\n\r\n";
    assert!(raw(&sim, dotted).await.contains("InvalidBucketName"));
    let asked = "GET /dir/k HTTP/1.1\r\nHost: test.oss-x.example\r\n\r\n";
    assert!(raw(&sim, asked).await.contains("AccessDenied"));
    let proxied =
        "GET http://test.oss-x.example/dir/k HTTP/1.1\r\nHost: test.oss-x.example\r\n\r\n";
    assert!(raw(&sim, proxied).await.contains("AccessDenied"));
    for request in &sim.requests()[2..] {
        assert_eq!(
            (request.bucket.as_str(), request.key.as_str()),
            ("test", "dir/k")
        );
    }
}

#[tokio::test]
async fn what_google_does_not_take_is_refused() {
    let sim = Sim::builder().rules(Rules::gcs()).bucket("test");
    let sim = sim.start("127.0.0.1:0").await.unwrap();
    let unlengthed = "POST /test/k?uploads HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(raw(&sim, unlengthed).await.starts_with("HTTP/1.1 411"));
    let of_aws = "GET /test/k?x-id=GetObject HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(raw(&sim, of_aws).await.starts_with("HTTP/1.1 400"));
    let signed = "GET /test/k HTTP/1.1\r\nHost: h\r\nAuthorization: AWS4-HMAC-SHA256 \
                  SignedHeaders=accept-encoding;host\r\n\r\n";
    assert!(raw(&sim, signed).await.contains("SignatureDoesNotMatch"));
}
