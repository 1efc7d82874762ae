//! The conformance suite of the store against the service in the process, which also shows how
//! the client takes its faults. Knows no filesystem.

use std::sync::Arc;

use bytes::Bytes;
use s3fs::config::{StaticCredentials, StoreConfig};
use s3fs::limits::Limits;
use s3fs::object::{BucketName, ObjectKey, ObjectRange};
use s3fs::sim::{Fault, How, Operation, Sim};
use s3fs::store::dialect::Dialect;
use s3fs::store::s3::S3Store;
use s3fs::store::{
    Bucket, CopyHeaders, ObjectHeaders, PartNumber, Payload, Precondition, StoreError,
};

#[path = "store/suite.rs"]
mod suite;

use suite::{Rules, Subject};

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
                super::run("bucket", dialect, false, super::suite::$name).await;
            }
        )* }

        /// A bucket that keeps versions.
        mod versioned { $(
            #[tokio::test]
            async fn $name() {
                let dialect = super::Dialect { limits: super::toy(), ..super::Dialect::aws() };
                super::run("versioned", dialect, false, super::suite::$name).await;
            }
        )* }

        /// A service that ignores conditions, and a dialect that does not trust it.
        mod ignorant { $(
            #[tokio::test]
            async fn $name() {
                let dialect = super::Dialect { limits: super::toy(), ..super::Dialect::strict() };
                super::run("bucket", dialect, true, super::suite::$name).await;
            }
        )* }
    };
}

async fn run<T: Future<Output = ()>>(
    bucket: &str,
    dialect: Dialect,
    ignores_conditions: bool,
    test: impl FnOnce(Subject) -> T,
) {
    let mut builder = Sim::builder()
        .bucket("bucket")
        .bucket("other")
        .versioned("versioned");
    if ignores_conditions {
        builder = builder.ignore_conditions();
    }
    let sim = builder.limits(toy()).start("127.0.0.1:0").await.unwrap();
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
    a_part_is_copied_from_any_range
    an_object_is_made_of_parts_of_its_former_self
    an_upload_whose_precondition_fails_is_not_published
    an_aborted_upload_is_gone
    deleting_what_is_not_there_succeeds
}
