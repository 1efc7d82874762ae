//! Providers that take the bucket in the host name alone, reached by their own names through a
//! proxy: the simulated service. The proxy is told by a variable, so the client is another process.

use std::process::Command;

use bytes::Bytes;
use s3fs::config::{Provider, StaticCredentials, StoreConfig};
use s3fs::limits::MIB;
use s3fs::object::{BucketName, ObjectKey, ObjectRange};
use s3fs::range::ByteRange;
use s3fs::sim::{Operation, Rules, Sim, pattern_byte};
use s3fs::store::dialect::Dialect;
use s3fs::store::s3::S3Store;
use s3fs::store::{CopyHeaders, ListRequest, ObjectHeaders, PartNumber, Payload, Precondition};
use tokio::runtime::Runtime;

use crate::cells::DIRECTORY;
use crate::world::BUCKET;

/// Set in the process that is the client.
const IS_CLIENT: &str = "S3FS_TEST_CLIENT_BEHIND_A_PROXY";

#[test]
fn oss_is_reached_by_the_name_of_the_bucket() {
    let name = "by_host::oss_is_reached_by_the_name_of_the_bucket";
    reach(name, Rules::oss(), ("s3.oss-x.example", BUCKET));
}

#[test]
fn a_directory_bucket_is_reached_by_its_name_and_by_sessions() {
    let name = "by_host::a_directory_bucket_is_reached_by_its_name_and_by_sessions";
    let host = "s3express-usw2-az1.us-west-2.x.example";
    if let Some(sim) = reach(name, Rules::express(), (host, DIRECTORY)) {
        let sessions = sim.counters().of(Operation::CreateSession);
        assert_eq!(sessions.requests, 1);
    }
}

/// Has the test of that name work in another process as the client of a store of these rules, with
/// that host and that bucket; the store, but in the other process.
fn reach(name: &str, rules: Rules, (host, bucket): (&str, &str)) -> Option<Sim> {
    let runtime = Runtime::new().unwrap();
    if std::env::var_os(IS_CLIENT).is_some() {
        let provider = Provider::of_name(rules.name).unwrap();
        runtime.block_on(work(provider, host, bucket));
        return None;
    }
    let builder = Sim::builder().rules(rules).host(host).bucket(bucket);
    let sim = runtime.block_on(builder.start("127.0.0.1:0")).unwrap();
    sim.put_pattern(bucket, "a", 12 * MIB, 1);
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
    let kept = sim.content(bucket, "in parts").unwrap();
    assert_eq!(kept.len() as u64, 12 * MIB + 3);
    assert!((0..1000).all(|o| kept[o] == pattern_byte(1, o as u64)));
    assert_eq!(sim.keys(bucket), ["a", "in parts", "made"]);
    assert!(
        sim.requests()
            .iter()
            .all(|request| request.bucket == bucket)
    );
    Some(sim)
}

/// Every way of naming a bucket that a filesystem has: in the URI, and as a source.
async fn work(provider: Provider, host: &str, bucket: &str) {
    let (id, secret) = Sim::ACCESS_KEY;
    let config = StoreConfig {
        endpoint: Some(format!("http://{host}")),
        region: Some(s3fs::sim::REGION.to_owned()),
        credentials: Some(StaticCredentials {
            access_key_id: id.to_owned(),
            secret_access_key: secret.to_owned(),
        }),
        ..StoreConfig::default()
    };
    let store = S3Store::connect_with(&config, Dialect::of(provider));
    let bucket = store.await.unwrap().bucket(&BucketName::new(bucket));
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
