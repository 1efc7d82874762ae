//! From the typed options of the store to its configuration. Reaches no store.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use super::UsageError;
use super::key_file;
use super::resolve::absolute;
use super::typed::{OfBucket, TypedBounds, TypedStore};
use crate::config::{Encryption, NewObjects, PerBucket, Provider, Source, StoreConfig};
use crate::limits::{GIB, MIB};
use crate::object::BucketName;

/// Parts may have 5 MiB to 5 GiB (Amazon S3 user guide, "multipart upload limits").
const PART_MIB: std::ops::RangeInclusive<u64> = 5..=5 * GIB / MIB;

/// How to reach the store that has these sources.
pub(super) fn resolve(
    typed: TypedStore,
    bounds: &TypedBounds,
    sources: &[Source],
) -> Result<StoreConfig, UsageError> {
    let endpoint = typed.endpoint_url.map(|url| endpoint(&url)).transpose()?;
    if typed.no_sign_request && typed.profile.is_some() {
        return Err(UsageError::Value {
            option: "no_sign_request",
            reason: "an unsigned request has no use for a profile; leave one of them out",
        });
    }
    Ok(StoreConfig {
        endpoint,
        provider: typed.provider.as_deref().and_then(Provider::of_name),
        region: typed.region,
        profile: typed.profile,
        dual_stack: typed.dual_stack,
        fips: typed.fips,
        accelerate: typed.accelerate,
        ca_bundle: ca_bundle()?,
        path_style: typed.path_style,
        requester_pays: typed.requester_pays,
        anonymous: typed.no_sign_request,
        expected_owner: expected_owner(typed.expected_bucket_owner, sources)?,
        encryption: encryption(typed.sse, typed.sse_c_key, sources)?,
        acl: typed.acl,
        new_objects: NewObjects {
            storage_class: typed.storage_class,
            tags: typed.tags.unwrap_or_default(),
        },
        credentials: None,
        upload_part_size: part_size("multipart_size", bounds.multipart_size)?,
        copy_part_size: part_size("multipart_copy_size", bounds.multipart_copy_size)?,
    })
}

fn endpoint(url: &str) -> Result<String, UsageError> {
    let invalid = |reason| UsageError::Value {
        option: "url",
        reason,
    };
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .ok_or(invalid(
            "give the endpoint as http://HOST[:PORT] or https://HOST[:PORT]",
        ))?;
    let host = host.split('/').next().unwrap_or_default();
    if host.is_empty() {
        return Err(invalid(
            "there is no host in it; give http://HOST[:PORT] or https://HOST",
        ));
    }
    if host.contains('@') {
        return Err(invalid(
            "no user or password belongs in it, where every user can read them; set \
             AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn part_size(option: &'static str, mib: Option<u32>) -> Result<Option<u64>, UsageError> {
    match mib.map(u64::from) {
        None => Ok(None),
        Some(mib) if PART_MIB.contains(&mib) => Ok(Some(mib * MIB)),
        Some(_) => Err(UsageError::Value {
            option,
            reason: "give a number of MiB from 5 to 5120",
        }),
    }
}

/// The file that the AWS command line takes its certificates from.
fn ca_bundle() -> Result<Option<PathBuf>, UsageError> {
    let named = env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty());
    named.map(|path| absolute(path.into())).transpose()
}

/// The owners that the buckets are expected to have.
fn expected_owner(
    typed: Vec<OfBucket<String>>,
    sources: &[Source],
) -> Result<PerBucket<Option<String>>, UsageError> {
    let mut owners = PerBucket::default();
    for OfBucket { bucket, value } in typed {
        match bucket {
            None => owners.usual = Some(value),
            Some(bucket) => {
                let bucket = mounted("expected_bucket_owner", bucket, sources)?;
                owners.otherwise.insert(bucket, Some(value));
            }
        }
    }
    Ok(owners)
}

/// The encryption of the buckets; the keys are read from their files.
fn encryption(
    usual: Option<Encryption>,
    keys: Vec<OfBucket<String>>,
    sources: &[Source],
) -> Result<PerBucket<Encryption>, UsageError> {
    let mut of_all = None;
    let mut otherwise = BTreeMap::new();
    for OfBucket { bucket, value } in keys {
        let path = absolute(value.into())?;
        let key = Encryption::Customer(key_file::read(&path)?);
        match bucket {
            None => of_all = Some(key),
            Some(bucket) => {
                otherwise.insert(mounted("sse_c_key", bucket, sources)?, key);
            }
        }
    }
    let usual = match (usual, of_all) {
        (Some(_), Some(_)) => {
            return Err(UsageError::Value {
                option: "sse_c_key",
                reason: "a key of one's own and keys of the store (sse) exclude each other; leave \
                         one of them out",
            });
        }
        (given, key) => given.or(key).unwrap_or_default(),
    };
    Ok(PerBucket { usual, otherwise })
}

/// The bucket, which must be one of the mount.
fn mounted(
    option: &'static str,
    bucket: String,
    sources: &[Source],
) -> Result<BucketName, UsageError> {
    let name = BucketName::new(bucket);
    if sources.iter().any(|source| source.bucket == name) {
        return Ok(name);
    }
    Err(UsageError::NotMounted {
        option,
        bucket: name,
    })
}
