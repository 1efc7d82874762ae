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

use suite::{Rules, Subject};

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

async fn subject(sim: &Sim, dialect: &Dialect, bucket: &str) -> Subject {
    Subject {
        bucket: connect(sim, dialect.clone(), bucket).await,
        other: connect(sim, dialect.clone(), "other").await,
        prefix: "suite/".into(),
        rules: Rules {
            versioned: bucket == "versioned",
            aws_keys: true,
            tags: dialect.tagging == Tagging::Offered,
        },
    }
}

/// Every test of the suite, in every pair of service and dialect that must agree.
macro_rules! conformance {
    ($($name:ident)*) => {
        /// The dialect of AWS, which trusts the service.
        mod aws { $(
            #[tokio::test]
            async fn $name() {
                let dialect = super::Dialect { limits: super::toy(), ..super::Dialect::aws() };
                super::run("bucket", dialect, |sim| sim, super::suite::$name).await;
            }
        )* }

        /// A bucket that keeps versions.
        mod versioned { $(
            #[tokio::test]
            async fn $name() {
                let dialect = super::Dialect { limits: super::toy(), ..super::Dialect::aws() };
                super::run("versioned", dialect, |sim| sim, super::suite::$name).await;
            }
        )* }

        /// A service that ignores conditions, and a dialect that does not trust it.
        mod ignorant { $(
            #[tokio::test]
            async fn $name() {
                let dialect = super::Dialect { limits: super::toy(), ..super::Dialect::strict() };
                let rules = super::SimBuilder::ignore_conditions;
                super::run("bucket", dialect, rules, super::suite::$name).await;
            }
        )* }

        /// A service that ignores conditions, and a dialect that knows it.
        mod unconditional { $(
            #[tokio::test]
            async fn $name() {
                let dialect = super::Dialect {
                    limits: super::toy(),
                    copy_conditions: super::Conditions::None,
                    write_conditions: super::Conditions::None,
                    ..super::Dialect::strict()
                };
                let rules = super::SimBuilder::ignore_conditions;
                super::run("bucket", dialect, rules, super::suite::$name).await;
            }
        )* }

        /// A service that refuses conditions on writes and has a header that forbids to overwrite,
        /// and a dialect that knows both.
        mod forbidding { $(
            #[tokio::test]
            async fn $name() {
                let dialect = super::Dialect { limits: super::toy(), ..super::Dialect::oss() };
                let header = "x-oss-forbid-overwrite";
                let rules = |sim: super::SimBuilder| sim.forbid_overwrite(header);
                super::run("bucket", dialect, rules, super::suite::$name).await;
            }
        )* }
    };
}

async fn run<T: Future<Output = ()>>(
    bucket: &str,
    dialect: Dialect,
    rules: impl FnOnce(SimBuilder) -> SimBuilder,
    test: impl FnOnce(Subject) -> T,
) {
    let builder = Sim::builder()
        .bucket("bucket")
        .bucket("other")
        .versioned("versioned");
    let sim = rules(builder.limits(toy()));
    let sim = sim.start("127.0.0.1:0").await.unwrap();
    test(subject(&sim, &dialect, bucket).await).await;
}

conformance! {
    an_object_comes_back_with_its_headers
    what_is_not_there_is_not_found
    any_range_of_an_object_is_read
    a_read_never_gives_bytes_of_another_version
    a_copy_never_takes_bytes_of_another_version
    a_put_keeps_its_precondition
    a_copy_keeps_headers_or_replaces_them
    a_copy_reaches_another_bucket
    a_copy_keeps_the_precondition_of_its_destination
    odd_keys_can_be_written_read_copied_listed_and_deleted
    pages_of_any_size_give_one_listing
    an_upload_joins_uploaded_and_copied_parts
    an_upload_under_an_odd_key_is_published_or_aborted
    a_part_is_copied_from_any_range
    an_object_is_made_of_parts_of_its_former_self
    an_upload_whose_precondition_fails_is_not_published
    an_aborted_upload_is_gone
    deleting_what_is_not_there_succeeds
    tags_are_stored_told_exchanged_and_taken_away
    tags_that_no_object_can_have_are_refused
    the_tags_of_a_version_are_not_those_of_another
    a_copy_keeps_tags_or_replaces_them
    an_upload_gives_its_object_tags_class_and_metadata
    a_copy_lands_in_the_class_it_names_and_listings_tell_it
    metadata_fits_up_to_the_limit
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
