//! Objects put, read, copied, deleted.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::MetadataDirective;

use super::super::{Sim, pattern_byte};
use super::{client, client_with, code, put, started, status};

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
