//! Providers that take the bucket in the host name alone, reached by their own names through a
//! proxy: the simulated service. The proxy is told by a variable, so the client is another process.

use std::process::Command;

use bytes::Bytes;
use s3fs::config::{Provider, StaticCredentials, StoreConfig};
use s3fs::limits::MIB;
use s3fs::object::{BucketName, ObjectKey, ObjectRange};
use s3fs::range::ByteRange;
use s3fs::sim::{Rules, Sim, pattern_byte};
use s3fs::store::dialect::Dialect;
use s3fs::store::s3::S3Store;
use s3fs::store::{CopyHeaders, ListRequest, ObjectHeaders, PartNumber, Payload, Precondition};
use tokio::runtime::Runtime;

use crate::world::BUCKET;

/// Set in the process that is the client.
const IS_CLIENT: &str = "S3FS_TEST_CLIENT_BEHIND_A_PROXY";
const HOST: &str = "s3.oss-x.example";

#[test]
fn oss_is_reached_by_the_name_of_the_bucket() {
    let runtime = Runtime::new().unwrap();
    if std::env::var_os(IS_CLIENT).is_some() {
        runtime.block_on(work());
        return;
    }
    let builder = Sim::builder().rules(Rules::oss()).host(HOST).bucket(BUCKET);
    let sim = runtime.block_on(builder.start("127.0.0.1:0")).unwrap();
    sim.put_pattern(BUCKET, "a", 12 * MIB, 1);
    let name = "by_host::oss_is_reached_by_the_name_of_the_bucket";
    let client = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(IS_CLIENT, "1")
        .env("HTTP_PROXY", sim.endpoint())
        .env("http_proxy", sim.endpoint())
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    assert!(client.status.success(), "{client:?}");
    let kept = sim.content(BUCKET, "in parts").unwrap();
    assert_eq!(kept.len() as u64, 12 * MIB + 3);
    assert!((0..1000).all(|o| kept[o] == pattern_byte(1, o as u64)));
    assert_eq!(sim.keys(BUCKET), ["a", "in parts", "made"]);
    assert!(
        sim.requests()
            .iter()
            .all(|request| request.bucket == BUCKET)
    );
}

/// Every way of naming a bucket that a filesystem has: in the URI, and as a source.
async fn work() {
    let (id, secret) = Sim::ACCESS_KEY;
    let config = StoreConfig {
        endpoint: Some(format!("http://{HOST}")),
        region: Some(s3fs::sim::REGION.to_owned()),
        credentials: Some(StaticCredentials {
            access_key_id: id.to_owned(),
            secret_access_key: secret.to_owned(),
        }),
        ..StoreConfig::default()
    };
    let store = S3Store::connect_with(&config, Dialect::of(Provider::Oss));
    let bucket = store.await.unwrap().bucket(&BucketName::new(BUCKET));
    let body = Payload::from(Bytes::from_static(b"made"));
    let (key, headers) = (ObjectKey::new("made"), ObjectHeaders::default());
    let put = bucket
        .put(&key, body, &headers, &Precondition::Absent)
        .await;
    let made = put.unwrap();
    let keep = CopyHeaders::Keep {
        storage_class: None,
    };
    let copy = ObjectKey::new("copied");
    bucket
        .copy(&made, &copy, &keep, &Precondition::None)
        .await
        .unwrap();
    bucket.delete_many(&[copy]).await.unwrap();

    let source = bucket.head(&ObjectKey::new("a")).await.unwrap().version;
    let upload = bucket
        .create_upload(&ObjectKey::new("in parts"), &headers)
        .await
        .unwrap();
    let part = ObjectRange {
        range: ByteRange::new(0, source.size),
        version: source.clone(),
    };
    let body = Payload::from(Bytes::from_static(b"end"));
    let parts = [
        bucket
            .copy_part(&upload, PartNumber(1), &part)
            .await
            .unwrap(),
        bucket
            .upload_part(&upload, PartNumber(2), body)
            .await
            .unwrap(),
    ];
    let none = Precondition::None;
    bucket
        .complete_upload(&upload, &parts, &[source], &none)
        .await
        .unwrap();
    let page = bucket.list(&ListRequest::default()).await.unwrap();
    assert_eq!(page.objects.len(), 3);
}
