//! What a dialect changes in the requests for listings and parts.

use s3fs::config::Provider;
use s3fs::object::ObjectKey;
use s3fs::store::dialect::Dialect;
use s3fs::store::{Bucket, ListRequest, ObjectHeaders, Payload, Precondition, StoreError};

use super::{complete, connect, parts, upload, version};
use crate::server::{Answer, Scripted, answer, text};

const COMPLETED: &str = "<CompleteMultipartUploadResult><ETag>\"c-1\"</ETag>\
    </CompleteMultipartUploadResult>";

/// A page of a listing with these keys and more elements.
fn listed(keys: &[&str], more: &str) -> Answer {
    let contents: String = keys
        .iter()
        .map(|key| {
            format!(
                "<Contents><Key>{key}</Key><Size>1</Size><ETag>\"e\"</ETag>\
                 <LastModified>2017-09-04T04:45:45Z</LastModified></Contents>"
            )
        })
        .collect();
    let body = format!("<ListBucketResult>{contents}{more}</ListBucketResult>");
    answer(200, "", &body)
}

fn listed_parts(size: u64) -> Answer {
    let body = format!(
        "<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>\"p\"</ETag><Size>{size}</Size>\
         </Part></ListPartsResult>"
    );
    answer(200, "", &body)
}

fn head(size: usize) -> Answer {
    Answer::Bytes(text(200, "etag: \"h\"\r\n", size, ""))
}

async fn serve(script: Vec<Answer>, provider: Provider) -> (Scripted, std::sync::Arc<dyn Bucket>) {
    let server = Scripted::start(script).await;
    let bucket = connect(&server.endpoint, Dialect::of(provider)).await;
    (server, bucket)
}

fn below(prefix: &str) -> ListRequest {
    ListRequest {
        prefix: prefix.to_owned(),
        ..ListRequest::default()
    }
}

async fn names(bucket: &dyn Bucket, request: &ListRequest) -> (Vec<String>, Option<String>) {
    let page = bucket.list(request).await.unwrap();
    let keys = page.objects.iter().map(|object| object.key.to_string());
    (keys.collect(), page.continuation)
}

async fn put(bucket: &dyn Bucket, key: &str) {
    let (headers, body) = (ObjectHeaders::default(), Payload::default());
    let key = ObjectKey::new(key);
    let put = bucket.put(&key, body, &headers, &Precondition::None);
    put.await.unwrap();
}

#[tokio::test]
async fn the_parts_are_looked_at_before_an_upload_is_published() {
    let script = vec![listed_parts(9), answer(200, "", COMPLETED)];
    let (server, bucket) = serve(script, Provider::Oss).await;
    complete(&*bucket).await.unwrap();
    let lines: Vec<String> = server.received().iter().map(|r| r.line.clone()).collect();
    assert!(
        lines[0].starts_with("GET ") && lines[0].contains("uploadId="),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 2);
}

#[tokio::test]
async fn a_part_of_another_size_is_not_published_and_its_source_named() {
    let (server, bucket) = serve(vec![head(9), listed_parts(10)], Provider::Other).await;
    let mut source = (*version("source", 9)).clone();
    source.etag = s3fs::object::ETag::new("\"h\"");
    let refused = bucket
        .complete_upload(&upload(), &parts(), &[source.into()], &Precondition::None)
        .await;
    match refused {
        Err(StoreError::CopyRefused { key, code, .. }) => {
            assert_eq!(key, ObjectKey::new("source"));
            assert!(code.contains("10 bytes instead of 9"), "{code}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn a_store_that_lists_no_parts_is_looked_at_afterwards() {
    let refused = answer(501, "", &super::error("NotImplemented"));
    let script = vec![refused, answer(200, "", COMPLETED), head(9)];
    let (_server, bucket) = serve(script, Provider::Oss).await;
    assert_eq!(complete(&*bucket).await.unwrap().size, 9);
}

#[tokio::test]
async fn pages_of_the_first_version_go_on_from_the_marker_or_the_last_key() {
    let truncated = "<IsTruncated>true</IsTruncated>";
    let marked = format!("{truncated}<NextMarker>b/</NextMarker>");
    let script = vec![
        listed(&["a"], &marked),
        listed(&["c", "d"], truncated),
        listed(&["e"], ""),
    ];
    let (server, bucket) = serve(script, Provider::Obs).await;
    let mut request = below("");
    let mut all = Vec::new();
    loop {
        let (names, next) = names(&*bucket, &request).await;
        all.extend(names);
        match next {
            Some(next) => request.continuation = Some(next),
            None => break,
        }
    }
    assert_eq!(all, ["a", "c", "d", "e"]);
    let asked: Vec<String> = server.received().iter().map(|r| r.line.clone()).collect();
    assert!(!asked[0].contains("list-type") && !asked[0].contains("encoding-type"));
    assert!(asked[1].contains("marker=b%2F"), "{asked:?}");
    assert!(asked[2].contains("marker=d"), "{asked:?}");
}

#[tokio::test]
async fn a_marker_that_does_not_move_fails() {
    let again = "<IsTruncated>true</IsTruncated><NextMarker>a</NextMarker>";
    let (_server, bucket) = serve(vec![listed(&["a"], again); 2], Provider::Obs).await;
    let mut request = below("");
    request.continuation = names(&*bucket, &request).await.1;
    let failed = bucket.list(&request).await;
    assert!(
        matches!(failed, Err(StoreError::Failed { .. })),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_listing_without_order_is_fetched_whole_and_sorted() {
    let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>";
    let script = vec![listed(&["z", "b"], more), listed(&["a"], "")];
    let (_server, bucket) = serve(script, Provider::Express).await;
    let (names, next) = names(&*bucket, &below("")).await;
    assert_eq!(
        (names, next),
        (vec!["a".into(), "b".into(), "z".into()], None)
    );
}

#[tokio::test]
async fn the_marker_of_a_directory_comes_first_also_where_listings_have_no_order() {
    let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>";
    let script = vec![listed(&["d/z"], more), head(0)];
    let (_server, bucket) = serve(script, Provider::Express).await;
    let request = ListRequest {
        page_max: Some(1),
        ..below("d/")
    };
    assert_eq!(names(&*bucket, &request).await.0, ["d/"]);
}

#[tokio::test]
async fn what_was_just_stored_is_looked_at_where_listings_lag() {
    let script = vec![
        answer(200, "etag: \"e\"\r\n", ""),
        listed(&["d/b"], ""),
        head(1),
    ];
    let (_server, bucket) = serve(script, Provider::Cos).await;
    put(&*bucket, "d/a").await;
    assert_eq!(names(&*bucket, &below("d/")).await.0, ["d/a", "d/b"]);
}

#[tokio::test]
async fn what_was_just_deleted_is_looked_at_where_listings_lag() {
    let script = vec![
        answer(204, "", ""),
        listed(&["d/b", "d/old"], ""),
        answer(404, "", ""),
    ];
    let (_server, bucket) = serve(script, Provider::Cos).await;
    bucket.delete(&ObjectKey::new("d/old")).await.unwrap();
    assert_eq!(names(&*bucket, &below("d/")).await.0, ["d/b"]);
}

#[tokio::test]
async fn what_another_client_removed_is_not_shown_because_it_was_just_stored() {
    let script = vec![
        answer(200, "etag: \"e\"\r\n", ""),
        listed(&[], ""),
        answer(404, "", ""),
    ];
    let (_server, bucket) = serve(script, Provider::Cos).await;
    put(&*bucket, "d/a").await;
    assert_eq!(names(&*bucket, &below("d/")).await.0, Vec::<String>::new());
}

#[tokio::test]
async fn an_object_is_renamed_in_one_request_where_the_store_can() {
    let script = vec![answer(200, "", "")];
    let (server, bucket) = serve(script, Provider::Express).await;
    let source = version("a b", 9);
    let renamed = bucket
        .rename(&source, &ObjectKey::new("c"), &Precondition::Absent)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(renamed.etag, source.etag);
    let request = &server.received()[0];
    assert!(
        request.line.starts_with("PUT /bkt/c?renameObject"),
        "{}",
        request.line
    );
    assert_eq!(request.header("x-amz-rename-source"), Some("/a%20b"));
    assert_eq!(
        request.header("x-amz-rename-source-if-match"),
        Some("\"e\"")
    );
    assert_eq!(request.header("if-none-match"), Some("*"));
}

#[tokio::test]
async fn a_store_that_renames_nothing_after_all_is_not_asked_again() {
    let refused = answer(501, "", &super::error("NotImplemented"));
    let (server, bucket) = serve(vec![refused], Provider::Express).await;
    let source = version("a", 9);
    for _ in 0..2 {
        let key = ObjectKey::new("c");
        let renamed = bucket.rename(&source, &key, &Precondition::None).await;
        assert_eq!(renamed.unwrap(), None);
    }
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn an_object_that_the_store_does_not_rename_is_left_to_a_copy() {
    let refused = answer(400, "", &super::error("InvalidRequest"));
    let script = vec![refused, answer(200, "", "")];
    let (_server, bucket) = serve(script, Provider::Express).await;
    let (source, key) = (version("a", 9), ObjectKey::new("c"));
    let mut done = Vec::new();
    for _ in 0..2 {
        let renamed = bucket.rename(&source, &key, &Precondition::None).await;
        done.push(renamed.unwrap().is_some());
    }
    // Another object may be renamed all the same.
    assert_eq!(done, [false, true]);
}

#[tokio::test]
async fn a_rename_whose_answer_was_lost_is_settled_by_what_is_there() {
    let gone = answer(404, "", &super::error("NoSuchKey"));
    let there = Answer::Bytes(text(200, "etag: \"e\"\r\n", 9, ""));
    let (_server, bucket) = serve(vec![Answer::Drop, gone, there], Provider::Express).await;
    let source = version("a", 9);
    let key = ObjectKey::new("c");
    let renamed = bucket.rename(&source, &key, &Precondition::None);
    assert_eq!(renamed.await.unwrap().unwrap().size, 9);
}
