//! Appends to an object in its place: the request, its refusals, and answers that were lost.

use s3fs::config::Provider;
use s3fs::store::dialect::Dialect;
use s3fs::store::{Bucket, Payload, StoreError, StoreResult};

use super::{E, connect, error, version};
use crate::server::{Answer, Scripted, answer, text};

async fn serve(script: Vec<Answer>) -> (Scripted, std::sync::Arc<dyn Bucket>) {
    let server = Scripted::start(script).await;
    let bucket = connect(&server.endpoint, Dialect::of(Provider::Express)).await;
    (server, bucket)
}

/// Appends three bytes to an object of nine; the size of what came of it.
async fn append(bucket: &dyn Bucket) -> StoreResult<Option<u64>> {
    let body = Payload::from(bytes::Bytes::from_static(b"new"));
    let appended = bucket.append(&version("k", 9), body).await?;
    Ok(appended.map(|version| version.size))
}

fn refused(status: u16, code: &str) -> Answer {
    answer(status, "", &error(code))
}

fn there(size: usize) -> Answer {
    Answer::Bytes(text(200, E, size, ""))
}

/// What is there from the ninth byte on.
fn end(bytes: &str) -> Answer {
    answer(
        206,
        "etag: \"e\"\r\ncontent-range: bytes 9-11/12\r\n",
        bytes,
    )
}

#[tokio::test]
async fn an_append_tells_where_it_begins_and_what_it_is_added_to() {
    let (server, bucket) = serve(vec![answer(200, E, "")]).await;
    assert_eq!(append(&*bucket).await.unwrap(), Some(12));
    let request = &server.received()[0];
    assert!(request.line.starts_with("PUT /bkt/k "), "{}", request.line);
    assert_eq!(request.header("x-amz-write-offset-bytes"), Some("9"));
    assert_eq!(request.header("if-match"), Some("\"e\""));
    assert_eq!(request.body, b"new");
}

#[tokio::test]
async fn an_object_that_cannot_be_appended_to_any_more_is_made_anew() {
    let (server, bucket) = serve(vec![refused(400, "TooManyParts"), answer(200, E, "")]).await;
    assert_eq!(append(&*bucket).await.unwrap(), None);
    // Another may be.
    assert_eq!(append(&*bucket).await.unwrap(), Some(12));
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn a_store_that_has_no_appends_after_all_is_not_asked_again() {
    let (server, bucket) = serve(vec![refused(501, "NotImplemented")]).await;
    for _ in 0..2 {
        assert_eq!(append(&*bucket).await.unwrap(), None);
    }
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn an_append_to_what_another_client_changed_is_stale() {
    for (status, code) in [(400, "InvalidWriteOffset"), (412, "PreconditionFailed")] {
        let (_server, bucket) = serve(vec![refused(status, code)]).await;
        let appended = append(&*bucket).await;
        assert!(
            matches!(appended, Err(StoreError::Stale { .. })),
            "{appended:?}"
        );
    }
}

#[tokio::test]
async fn an_append_whose_answer_was_lost_is_settled_by_what_is_there() {
    let moved = || refused(400, "InvalidWriteOffset");
    let script = vec![Answer::Drop, moved(), there(12), end("new")];
    let (_server, bucket) = serve(script).await;
    assert_eq!(append(&*bucket).await.unwrap(), Some(12));
    for others in [vec![there(12), end("neW")], vec![there(13)]] {
        let mut script = vec![Answer::Drop, moved()];
        script.extend(others);
        let (_server, bucket) = serve(script).await;
        let appended = append(&*bucket).await;
        assert!(
            matches!(appended, Err(StoreError::Overtaken { .. })),
            "{appended:?}"
        );
    }
}

#[tokio::test]
async fn an_append_that_made_another_size_is_no_success() {
    let wrong = || answer(200, "etag: \"e\"\r\nx-amz-object-size: 11\r\n", "");
    let script = vec![wrong(), wrong(), wrong()];
    let (_server, bucket) = serve(script).await;
    let appended = append(&*bucket).await;
    assert!(
        matches!(appended, Err(StoreError::Failed { .. })),
        "{appended:?}"
    );
}
