//! `s3fs probe` against the service in the process: what it sees, what it says, what it leaves.

use std::process::Command;

use s3fs::config::{Provider, StaticCredentials, StoreConfig};
use s3fs::object::BucketName;
use s3fs::sim::{Rules, Sim, SimBuilder};
use s3fs::store::dialect::Dialect;
use s3fs::store::probe::{Kept, Seen};
use s3fs::store::s3::S3Store;

async fn start(rules: impl FnOnce(SimBuilder) -> SimBuilder) -> Sim {
    let builder = Sim::builder().bucket("bucket");
    rules(builder).start("127.0.0.1:0").await.unwrap()
}

async fn seen(sim: &Sim, bucket: &str, provider: Provider) -> Seen {
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
    let dialect = Dialect::of(provider);
    let store = S3Store::connect_with(&config, dialect).await.unwrap();
    let bucket = BucketName::new(bucket);
    store.probe(&bucket, "scratch/probe/").await.unwrap()
}

fn contradicted(seen: &Seen, provider: Provider) -> Vec<&'static str> {
    seen.contradicted(&Dialect::of(provider))
}

#[tokio::test]
async fn a_service_with_the_rules_of_aws_bears_every_claim_and_keeps_nothing() {
    let sim = start(|sim| sim).await;
    sim.put("bucket", "scratch/other", b"stays".to_vec());
    let seen = seen(&sim, "bucket", Provider::Aws).await;
    assert_eq!(contradicted(&seen, Provider::Aws), Vec::<&str>::new());
    assert_eq!(seen.suggested(Provider::Other), Provider::Aws);
    assert_eq!(seen.suggested(Provider::Minio), Provider::Minio);
    assert_eq!(seen.part_size_min, Some(5 << 20));
    assert_eq!(seen.part_copied, Ok(3 << 20));
    assert!(seen.tags && seen.folds && seen.deletes_many && !seen.versions);
    assert_eq!(sim.keys("bucket"), ["scratch/other"]);
    assert_eq!(sim.uploads("bucket"), []);
}

#[tokio::test]
async fn a_bucket_that_keeps_versions_keeps_none_of_the_probe() {
    let sim = start(|sim| sim.versioned("versioned")).await;
    let seen = seen(&sim, "versioned", Provider::Aws).await;
    assert!(seen.versions);
    assert_eq!(sim.keys("versioned"), Vec::<String>::new());
}

#[tokio::test]
async fn conditions_that_are_ignored_contradict_those_who_trust_in_them() {
    let sim = start(SimBuilder::ignore_conditions).await;
    let seen = seen(&sim, "bucket", Provider::Aws).await;
    assert_eq!(seen.put_absent, Kept::Ignored);
    assert_eq!(
        contradicted(&seen, Provider::Aws),
        [
            "PutObject If-None-Match: *",
            "PutObject If-Match",
            "CompleteMultipartUpload If-None-Match: *",
            "CopyObject x-amz-copy-source-if-match",
            "UploadPartCopy x-amz-copy-source-if-match",
            "x-amz-mp-object-size",
        ]
    );
    assert_eq!(seen.suggested(Provider::Aws), Provider::Other);
    assert_eq!(sim.keys("bucket"), Vec::<String>::new());
}

#[tokio::test]
async fn a_header_in_place_of_a_condition_is_tried_in_its_place() {
    let sim = start(|sim| sim.forbid_overwrite("x-oss-forbid-overwrite")).await;
    let seen = seen(&sim, "bucket", Provider::Oss).await;
    assert_eq!(seen.put_absent, Kept::Honoured);
    assert_eq!(seen.put_unchanged, Kept::Refused("NotImplemented".into()));
    // The service has the least part of AWS.
    assert_eq!(contradicted(&seen, Provider::Oss), ["least part"]);
}

/// The service has each provider's rules as its documents tell them; the dialect was written apart.
#[tokio::test]
async fn no_dialect_claims_what_a_probe_of_its_provider_contradicts() {
    for rules in Rules::all() {
        let provider = Provider::of_name(rules.name).unwrap();
        let sim = start(|sim| sim.rules(rules)).await;
        let seen = seen(&sim, "bucket", provider).await;
        let mut wrong = contradicted(&seen, provider);
        if provider == Provider::Seaweedfs {
            // No dialect says that two slashes are one.
            wrong.retain(|rule| *rule != "keys of any characters");
        }
        assert_eq!(wrong, Vec::<&str>::new(), "{provider:?}: {seen:?}");
        assert_eq!(seen.suggested(provider), provider);
        // A user who does not know whose rules they are is told where no others will do.
        let found = seen.suggested(Provider::Other);
        let is_found = [provider, Provider::Other].contains(&found);
        assert!(is_found, "{provider:?}: {found:?}");
        assert_eq!(sim.uploads("bucket"), [], "{provider:?}");
    }
}

/// SeaweedFS and the gateway of JuiceFS take two slashes for one, which no dialect claims: `other`
/// was suggested for them, and with it to do without what their own rules give.
#[tokio::test]
async fn what_a_server_fails_at_by_any_rules_does_not_rule_out_its_own() {
    use Provider::{Aws, Minio, Other, Seaweedfs};
    for (rules, own, suggestions) in [
        (
            Rules::seaweedfs(),
            Seaweedfs,
            // The only one that takes a backslash for a slash.
            [
                (Seaweedfs, Seaweedfs),
                (Minio, Seaweedfs),
                (Other, Seaweedfs),
            ],
        ),
        (
            Rules::juicefs(),
            Minio,
            [(Minio, Minio), (Aws, Other), (Other, Other)],
        ),
    ] {
        let sim = start(|sim| sim.rules(rules)).await;
        let seen = seen(&sim, "bucket", own).await;
        assert_eq!(contradicted(&seen, own), ["keys of any characters"]);
        for (given, suggested) in suggestions {
            assert_eq!(seen.suggested(given), suggested, "{own:?} as {given:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_both_sides_and_the_options_to_mount_with() {
    let sim = start(SimBuilder::ignore_conditions).await;
    let text = printed(&sim, ",provider=minio");
    assert!(
        text.contains("\n! CopyObject x-amz-copy-source-if-match "),
        "{text}"
    );
    assert!(
        text.ends_with("\nmount with: -o provider=other\n"),
        "{text}"
    );
    assert_eq!(sim.keys("bucket"), Vec::<String>::new());

    let sim = start(|sim| sim.rules(Rules::seaweedfs())).await;
    let text = printed(&sim, "");
    let expected = "\nmount with: -o provider=seaweedfs\n\
                    but what it relies on there was not seen: keys of any characters\n";
    assert!(text.ends_with(expected), "{text}");
}

/// What the command prints about a bucket.
fn printed(sim: &Sim, options: &str) -> String {
    let (id, secret) = Sim::ACCESS_KEY;
    let options = format!("url={},region=us-east-1{options}", sim.endpoint());
    let output = Command::new(env!("CARGO_BIN_EXE_s3fs"))
        .args(["probe", "s3://bucket/scratch", "-o", &options])
        .env("AWS_ACCESS_KEY_ID", id)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{:?}", output.stderr);
    text
}
