//! The conformance suite of the store against the service in the process, which also shows how
//! the client takes its faults. Knows no filesystem.

use std::sync::Arc;

use bytes::Bytes;
use s3fs::config::{StaticCredentials, StoreConfig};
use s3fs::limits::Limits;
use s3fs::object::{BucketName, ObjectKey};
use s3fs::sim::{Fault, How, Operation, Sim, SimBuilder};
use s3fs::store::dialect::{Conditions, Dialect, Tagging};
use s3fs::store::s3::S3Store;
use s3fs::store::{Bucket, CopyHeaders, ObjectHeaders, PartNumber, Payload, Precondition};

#[path = "store/suite.rs"]
mod suite;

use suite::{Promise, Rules, Subject};

const KEEP: CopyHeaders = CopyHeaders::Keep {
    storage_class: None,
};

/// Parts of a few bytes, so that the suite moves next to nothing.
fn toy() -> Limits {
    Limits {
        part_size_min: 16,
        ..Limits::aws()
    }
}

async fn connect(sim: &Sim, dialect: Dialect, bucket: &str) -> Arc<dyn Bucket> {
    let (id, secret) = Sim::ACCESS_KEY;
    let config = StoreConfig {
        endpoint: Some(sim.endpoint()),
        region: Some(s3fs::sim::REGION.into()),
        path_style: true,
        credentials: Some(StaticCredentials {
            access_key_id: id.into(),
            secret_access_key: secret.into(),
        }),
        ..StoreConfig::default()
    };
    let store = S3Store::connect_with(&config, dialect).await.unwrap();
    store.bucket(&BucketName::new(bucket))
}

/// A service, and the dialect it is spoken to in.
struct Pair {
    /// `bucket`, or `versioned`.
    bucket: &'static str,
    dialect: Dialect,
    service: fn(SimBuilder) -> SimBuilder,
}

/// Runs one test of the suite against a pair, in parts of a few bytes.
async fn run<T: Future<Output = ()>>(pair: Pair, test: impl FnOnce(Subject) -> T) {
    let builder = Sim::builder()
        .bucket("bucket")
        .bucket("other")
        .versioned("versioned");
    let sim = (pair.service)(builder.limits(toy()));
    let sim = sim.start("127.0.0.1:0").await.unwrap();
    let dialect = Dialect {
        limits: toy(),
        ..pair.dialect
    };
    let subject = Subject {
        bucket: connect(&sim, dialect.clone(), pair.bucket).await,
        other: connect(&sim, dialect.clone(), "other").await,
        prefix: "suite/".into(),
        rules: Rules {
            versioned: pair.bucket == "versioned",
            tags: dialect.tagging == Tagging::Offered,
            broken: match dialect.decodes_part_source_twice {
                true => &[(
                    Promise::PartSources,
                    "taken for one that decodes the name of the source twice",
                )],
                false => &[],
            },
        },
    };
    test(subject).await;
}

/// Every test of the suite against the `pair` of the module it is in.
macro_rules! tests {
    ($($name:ident)*) => { $(
        #[tokio::test]
        async fn $name() {
            run(pair(), suite::$name).await;
        }
    )* };
}

/// The dialect of AWS, which trusts the service.
mod aws {
    use super::*;

    fn pair() -> Pair {
        Pair {
            bucket: "bucket",
            dialect: Dialect::aws(),
            service: |sim| sim,
        }
    }

    suite::every_test!(tests);
}

/// A bucket that keeps versions.
mod versioned {
    use super::*;

    fn pair() -> Pair {
        Pair {
            bucket: "versioned",
            dialect: Dialect::aws(),
            service: |sim| sim,
        }
    }

    suite::every_test!(tests);
}

/// A service that ignores conditions, and a dialect that does not trust it.
mod ignorant {
    use super::*;

    fn pair() -> Pair {
        Pair {
            bucket: "bucket",
            dialect: Dialect::strict(),
            service: SimBuilder::ignore_conditions,
        }
    }

    suite::every_test!(tests);
}

/// A service that ignores conditions, and a dialect that knows it.
mod unconditional {
    use super::*;

    fn pair() -> Pair {
        Pair {
            bucket: "bucket",
            dialect: Dialect {
                copy_conditions: Conditions::None,
                write_conditions: Conditions::None,
                ..Dialect::strict()
            },
            service: SimBuilder::ignore_conditions,
        }
    }

    suite::every_test!(tests);
}

/// A service that refuses conditions on writes and has a header that forbids to overwrite, and a
/// dialect that knows both.
mod forbidding {
    use super::*;

    fn pair() -> Pair {
        Pair {
            bucket: "bucket",
            dialect: Dialect::oss(),
            service: |sim| sim.forbid_overwrite("x-oss-forbid-overwrite"),
        }
    }

    suite::every_test!(tests);
}

async fn faulty_service() -> (Sim, Arc<dyn Bucket>) {
    let sim = Sim::builder()
        .bucket("bucket")
        .limits(toy())
        .start("127.0.0.1:0")
        .await
        .unwrap();
    let dialect = Dialect {
        limits: toy(),
        ..Dialect::aws()
    };
    let bucket = connect(&sim, dialect, "bucket").await;
    (sim, bucket)
}

#[tokio::test]
async fn a_throttled_put_is_sent_again() {
    let (sim, bucket) = faulty_service().await;
    sim.fault(Fault::on(Operation::PutObject, How::Status(503, "SlowDown")).times(2));
    let key = ObjectKey::new("k");
    let body = Payload::from(Bytes::from_static(b"body"));
    let headers = ObjectHeaders::default();
    bucket
        .put(&key, body, &headers, &Precondition::None)
        .await
        .unwrap();
    assert_eq!(sim.counters().of(Operation::PutObject).requests, 3);
    assert_eq!(sim.content("bucket", "k").unwrap(), b"body");
}

#[tokio::test]
async fn a_copy_that_answers_200_without_a_result_is_never_taken_for_done() {
    for how in [
        How::EmptyCopyResult,
        How::ErrorIn200,
        How::Reset,
        How::ResetAfter,
    ] {
        let (sim, bucket) = faulty_service().await;
        sim.put("bucket", "from", b"content".to_vec());
        let source = bucket.head(&ObjectKey::new("from")).await.unwrap().version;
        sim.fault(Fault::on(Operation::CopyObject, how));
        let to = ObjectKey::new("to");
        if bucket
            .copy(&source, &to, &KEEP, &Precondition::None)
            .await
            .is_ok()
        {
            assert_eq!(sim.content("bucket", "to").unwrap(), b"content", "{how:?}");
        }
    }
}

#[tokio::test]
async fn a_complete_whose_answer_is_lost_is_settled() {
    let (sim, bucket) = faulty_service().await;
    let key = ObjectKey::new("k");
    let upload = bucket
        .create_upload(&key, &ObjectHeaders::default())
        .await
        .unwrap();
    let body = Payload::from(Bytes::from_static(b"body"));
    let parts = [bucket
        .upload_part(&upload, PartNumber(1), body)
        .await
        .unwrap()];
    sim.fault(Fault::on(
        Operation::CompleteMultipartUpload,
        How::ResetAfter,
    ));
    let completed = bucket
        .complete_upload(&upload, &parts, &[], &Precondition::None)
        .await;
    assert_eq!(completed.unwrap().size, 4);
    assert_eq!(sim.content("bucket", "k").unwrap(), b"body");
}
