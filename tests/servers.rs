//! The conformance suite of the store against real servers, each by the dialect it has in the
//! table of providers, and against sim by the rules of each server, which has to answer as the
//! server does. Knows no filesystem.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;

use s3fs::config::{Provider, StaticCredentials, StoreConfig};
use s3fs::object::BucketName;
use s3fs::sim::Sim;
use s3fs::store::Bucket;
use s3fs::store::dialect::{Dialect, Tagging};
use s3fs::store::probe::Seen;
use s3fs::store::s3::S3Store;

#[path = "e2e/access.rs"]
mod access;
#[path = "servers/answers.rs"]
mod answers;
#[allow(dead_code, reason = "each suite uses a part")]
#[path = "servers/real.rs"]
mod real;
#[allow(dead_code, reason = "each suite uses a part")]
#[path = "e2e/shell.rs"]
mod shell;
#[allow(dead_code, reason = "each suite uses a part")]
#[path = "e2e/store.rs"]
mod store;
#[path = "store/suite.rs"]
mod suite;

use access::Access;
use real::{BUCKET, Kind, OTHER, Server};
use suite::{Promise, Rules, Subject};

type Test = fn(Subject) -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! by_name {
    ($($name:ident)*) => {
        /// Every test of the suite and its name.
        const TESTS: &[(&str, Test)] =
            &[$((stringify!($name), |subject| Box::pin(suite::$name(subject)))),*];
    };
}
suite::every_test!(by_name);

async fn connect(access: &Access, dialect: &Dialect, bucket: &str) -> Arc<dyn Bucket> {
    store(access, dialect)
        .await
        .bucket(&BucketName::new(bucket))
}

async fn store(access: &Access, dialect: &Dialect) -> S3Store {
    let config = StoreConfig {
        endpoint: Some(access.url.clone()),
        region: Some(dialect.region.to_owned()),
        path_style: true,
        credentials: Some(StaticCredentials {
            access_key_id: access.access_key.clone(),
            secret_access_key: access.secret_key.clone(),
        }),
        ..StoreConfig::default()
    };
    let store = S3Store::connect_with(&config, dialect.clone()).await;
    store.unwrap()
}

/// A server does what its dialect says, and sim does what the server does.
fn conforms(kind: Kind) {
    let (server, sim) = (Server::start(kind), simulated(kind));
    let (id, secret) = Sim::ACCESS_KEY;
    let access = Access {
        url: sim.endpoint(),
        access_key: id.to_owned(),
        secret_key: secret.to_owned(),
    };
    passes(kind, &access);
    passes(kind, &server.access);
    // No probe of moto comes to its end: its ListParts answers a ListPartsResponse.
    if kind != Kind::Moto {
        is_suggested_its_own(kind, &server.access, &access);
    }
    let (seen, simulated) = (answers::ask(&server.access), answers::ask(&access));
    let differing = seen.iter().filter_map(|(question, answer)| {
        let simulated = simulated.get(question)?;
        (simulated != answer).then(|| format!("{question}: {answer}; sim: {simulated}"))
    });
    let differing: Vec<String> = differing.collect();
    assert!(differing.is_empty(), "{kind:?}: {differing:#?}");
    let asked = |answers: &answers::Answers| answers.keys().cloned().collect::<Vec<_>>();
    assert_eq!(asked(&seen), asked(&simulated), "{kind:?}");
}

/// A probe of a server sees what one of sim sees, and suggests the dialect of the table.
fn is_suggested_its_own(kind: Kind, server: &Access, sim: &Access) {
    let own = Dialect::of(kind.provider());
    let [seen, simulated] = [server, sim].map(|access| probed(access, &own));
    assert_eq!(
        seen.suggested(kind.provider()),
        kind.provider(),
        "{seen:#?}"
    );
    if kind == Kind::SeaweedFs {
        // Also to a user who does not know which server it is.
        assert_eq!(seen.suggested(Provider::Other), Provider::Seaweedfs);
    }
    let contradicted = |seen: &Seen| seen.contradicted(&own);
    let (seen, simulated) = (contradicted(&seen), contradicted(&simulated));
    assert_eq!(seen, simulated, "{kind:?}");
}

fn probed(access: &Access, dialect: &Dialect) -> Seen {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = store(access, dialect).await;
        let bucket = BucketName::new(BUCKET);
        store.probe(&bucket, "probe/").await.unwrap()
    })
}

/// sim by the rules of a server.
fn simulated(kind: Kind) -> Sim {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let builder = Sim::builder().rules(kind.rules());
    let builder = builder.bucket(BUCKET).bucket(OTHER);
    runtime.block_on(builder.start("127.0.0.1:0")).unwrap()
}

/// Runs the suite; one server serves all of it.
///
/// # Panics
/// With the names of the tests that failed.
fn passes(kind: Kind, access: &Access) {
    let dialect = Dialect::of(kind.provider());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut failed = Vec::new();
    for (name, test) in TESTS {
        let run = async {
            test(Subject {
                bucket: connect(access, &dialect, BUCKET).await,
                other: connect(access, &dialect, OTHER).await,
                prefix: format!("{name}/"),
                rules: Rules {
                    versioned: false,
                    tags: dialect.tagging == Tagging::Offered,
                    broken: broken(kind),
                },
            })
            .await;
        };
        if catch_unwind(AssertUnwindSafe(|| runtime.block_on(run))).is_err() {
            eprintln!("-- that was {name}");
            failed.push(*name);
        }
    }
    let url = &access.url;
    assert!(failed.is_empty(), "{kind:?} at {url} fails {failed:#?}");
}

/// What a server was seen to do instead of what AWS S3 does.
const fn broken(kind: Kind) -> &'static [(Promise, &'static str)] {
    match kind {
        Kind::SeaweedFs => &[
            (
                Promise::AnyKey,
                "a/b is a file in a directory, listed before a.txt",
            ),
            (Promise::UploadKeys, "not encoded, and said to be"),
            (Promise::MetadataBound, "kept"),
            (
                Promise::DefaultClass,
                "the copy is in the class of its source",
            ),
        ],
        Kind::JuiceFs => &[
            (Promise::AnyKey, "a/b is a file in a directory"),
            (
                Promise::AllHeaders,
                "Content-Encoding, Content-Language and Expires are dropped",
            ),
            (Promise::NothingElseListed, "emptied directories stay"),
            (Promise::TagBounds, "any characters are taken"),
            (Promise::Classes, "InvalidStorageClass"),
            (Promise::MetadataBound, "the header names are counted too"),
        ],
        Kind::Ceph => &[
            (
                Promise::PartSources,
                "the name of the source is decoded twice",
            ),
            (Promise::UploadKeys, "encoded, and not said to be"),
            (Promise::NoSuchUpload, "Complete answers 500"),
            (Promise::Classes, "InvalidArgument unless one was set up"),
            (Promise::MetadataBound, "kept"),
        ],
        Kind::Moto => &[
            (
                Promise::PartSources,
                "an unknown store may decode the name of the source twice",
            ),
            (Promise::AnyKey, "a line feed at the end is lost"),
            (Promise::NoSuchUpload, "UploadPart answers 500"),
            (Promise::MetadataBound, "kept"),
        ],
    }
}

#[test]
fn seaweedfs_does_what_its_dialect_says() {
    conforms(Kind::SeaweedFs);
}

#[test]
fn juicefs_does_what_the_dialect_of_minio_says() {
    conforms(Kind::JuiceFs);
}

#[test]
fn ceph_does_what_its_dialect_says() {
    conforms(Kind::Ceph);
}

#[test]
fn moto_does_what_is_asked_of_an_unknown_store() {
    conforms(Kind::Moto);
}
