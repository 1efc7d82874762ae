//! Every verb of the S3 client against the service in the process. Knows nothing of files.

use std::sync::Arc;

use bytes::Bytes;
use s3fs::config::{StaticCredentials, StoreConfig};
use s3fs::object::{BucketName, ObjectKey, ObjectRange};
use s3fs::range::ByteRange;
use s3fs::sim::{Sim, State};
use s3fs::store::dialect::Dialect;
use s3fs::store::s3::S3Store;
use s3fs::store::{
    Bucket, CopyHeaders, ListRequest, ObjectHeaders, PartNumber, Payload, Precondition, StoreError,
};

const MIB: usize = 1 << 20;
const KEEP: CopyHeaders = CopyHeaders::Keep {
    storage_class: None,
};

fn config(endpoint: String) -> StoreConfig {
    StoreConfig {
        endpoint: Some(endpoint),
        path_style: true,
        credentials: Some(StaticCredentials {
            access_key_id: Sim::ACCESS_KEY.0.to_owned(),
            secret_access_key: Sim::ACCESS_KEY.1.to_owned(),
        }),
        ..StoreConfig::default()
    }
}

async fn bucket(sim: &Sim, dialect: Dialect) -> Arc<dyn Bucket> {
    let store = S3Store::connect_with(&config(sim.endpoint()), dialect)
        .await
        .unwrap();
    store.bucket(&BucketName::new("bkt"))
}

async fn sim() -> Sim {
    Sim::builder()
        .bucket("bkt")
        .start("127.0.0.1:0")
        .await
        .unwrap()
}

fn payload(buffers: &[&'static [u8]]) -> Payload {
    let mut payload = Payload::new();
    for buffer in buffers {
        payload.push(Bytes::from_static(buffer));
    }
    payload
}

async fn reads(bucket: &dyn Bucket, source: &ObjectRange) {
    assert_eq!(bucket.get(source).await.unwrap(), "llo wo");
    let page = bucket
        .list(&ListRequest {
            prefix: "dir/".to_owned(),
            fold: true,
            ..ListRequest::default()
        })
        .await
        .unwrap();
    assert_eq!(page.prefixes, ["dir/a b+c%/"]);
    let page = bucket.list(&ListRequest::default()).await.unwrap();
    assert_eq!(page.objects[0].key, source.version.key);
}

async fn parts(bucket: &dyn Bucket, state: &State, copy: &ObjectKey) {
    state.put_pattern("bkt", "big", 64 << 20, 1);
    let big = bucket.head(&ObjectKey::new("big")).await.unwrap().version;
    let upload = bucket
        .create_upload(copy, &ObjectHeaders::default())
        .await
        .unwrap();
    assert_eq!(
        bucket.uploads("co").await.unwrap(),
        std::slice::from_ref(&upload)
    );
    let range = ByteRange::new(1, 1 + (32 << 20));
    let part = ObjectRange {
        version: big.clone(),
        range,
    };
    let one = bucket
        .copy_part(&upload, PartNumber(1), &part)
        .await
        .unwrap();
    let mut body = Payload::new();
    body.push(Bytes::from(vec![7; 6 * MIB]));
    body.push(Bytes::from_static(b"end"));
    let two = bucket
        .upload_part(&upload, PartNumber(2), body)
        .await
        .unwrap();
    let made = bucket
        .complete_upload(
            &upload,
            &[one, two],
            std::slice::from_ref(&big),
            &Precondition::None,
        )
        .await
        .unwrap();
    assert_eq!(made.size, (32 << 20) + 6 * MIB as u64 + 3);
    assert_eq!(*bucket.head(copy).await.unwrap().version, made);

    let upload = bucket
        .create_upload(copy, &ObjectHeaders::default())
        .await
        .unwrap();
    bucket.abort_upload(&upload).await.unwrap();
    bucket.abort_upload(&upload).await.unwrap();
    assert!(bucket.uploads("").await.unwrap().is_empty());
}

async fn round_trip(dialect: Dialect) {
    let sim = sim().await;
    let bucket = bucket(&sim, dialect).await;
    let state = sim.state();
    bucket.check("").await.unwrap();

    let key = ObjectKey::new("dir/a b+c%/\u{e9}&?#");
    let mut headers = ObjectHeaders {
        content_type: Some("text/plain".to_owned()),
        expires: Some("Thu, 01 Dec 2033 16:00:00 GMT".to_owned()),
        ..ObjectHeaders::default()
    };
    headers.metadata.insert("mtime".to_owned(), "17".to_owned());
    let body = payload(&[b"hello ", b"world"]);
    let put = bucket
        .put(&key, body, &headers, &Precondition::Absent)
        .await
        .unwrap();
    let again = bucket
        .put(&key, Payload::new(), &headers, &Precondition::Absent)
        .await;
    assert!(matches!(again, Err(StoreError::Exists { .. })), "{again:?}");

    let stat = bucket.head(&key).await.unwrap();
    assert_eq!(*stat.version, put);
    assert_eq!(stat.headers.content_type.as_deref(), Some("text/plain"));
    assert_eq!(stat.headers.metadata["mtime"], "17");

    let source = ObjectRange {
        version: stat.version.clone(),
        range: ByteRange::new(2, 8),
    };
    reads(&*bucket, &source).await;

    let copy = ObjectKey::new("copy");
    let copied = bucket
        .copy(&put, &copy, &KEEP, &Precondition::Absent)
        .await
        .unwrap();
    assert_eq!(state.content("bkt", "copy").unwrap(), b"hello world");
    let kept = Precondition::Unchanged(copied.etag.clone());
    let stale = bucket.copy(&copied, &key, &KEEP, &kept).await;
    assert!(
        stale.is_ok() || matches!(stale, Err(StoreError::Stale { .. })),
        "{stale:?}"
    );

    parts(&*bucket, &state, &copy).await;

    bucket.delete(&copy).await.unwrap();
    bucket.delete(&copy).await.unwrap();
    let keys = [key.clone(), ObjectKey::new("big"), ObjectKey::new("none")];
    assert!(bucket.delete_many(&keys).await.unwrap().is_empty());
    assert!(state.keys("bkt").is_empty());
    assert!(matches!(
        bucket.head(&key).await,
        Err(StoreError::NotFound { .. })
    ));
    assert!(matches!(
        bucket.get(&source).await,
        Err(StoreError::Stale { .. })
    ));
}

#[tokio::test]
async fn every_verb_does_what_it_says_in_the_dialect_of_aws() {
    round_trip(Dialect::aws()).await;
}

#[tokio::test]
async fn every_verb_does_what_it_says_when_the_store_is_not_trusted() {
    round_trip(Dialect::strict()).await;
}
