//! From the typed options of the store to its configuration. Reaches no store.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use super::UsageError;
use super::resolve::absolute;
use super::secret_file::{self, Demands, OWNER_ONLY};
use super::typed::{TypedBounds, TypedStore};
use super::values::OfBucket;
use super::{credentials, key_file};
use crate::config::{
    Encryption, Environment, NewObjects, PerBucket, Provider, Proxy, Source, StoreConfig,
};
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
    let (credentials, credential_source) = credentials::resolve(&typed, sources)?;
    let url = typed.endpoint_url.as_deref().map(endpoint).transpose()?;
    Ok(StoreConfig {
        endpoint: with_path(url, typed.service_path.as_deref())?,
        provider: typed.provider.as_deref().and_then(Provider::of_name),
        region: typed.region,
        profile: typed.profile,
        dual_stack: typed.dual_stack,
        fips: typed.fips,
        accelerate: typed.accelerate,
        ca_bundle: ca_bundle(typed.ca_bundle)?,
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
        credentials,
        credential_source,
        environment: environment(),
        proxy: proxy(typed.proxy, typed.proxy_cred_file)?,
        connect_timeout: typed.connect_timeout,
        idle_timeout: typed.readwrite_timeout,
        retries_max: typed.retries.map(u32::from),
        upload_part_size: part_size("multipart_size", bounds.multipart_size)?,
        copy_part_size: part_size("multipart_copy_size", bounds.multipart_copy_size)?,
    })
}

fn endpoint(url: &str) -> Result<String, UsageError> {
    let invalid = |reason| UsageError::Value {
        option: "url",
        reason,
    };
    let url = normal_url(url);
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
             AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a file with passwd_file",
        ));
    }
    Ok(url)
}

/// The one way of several to write a URL: case makes no difference to its scheme (RFC 3986, 3.1).
pub(super) fn normal_url(url: &str) -> String {
    let url = url.trim_end_matches('/');
    match url.split_once("://") {
        Some((scheme, rest)) => format!("{}://{rest}", scheme.to_ascii_lowercase()),
        None => url.to_owned(),
    }
}

/// The variables that make a difference to whoever looks for credentials, a proxy or certificates.
fn environment() -> Environment {
    let makes_a_difference = |name: &str| {
        name.starts_with("AWS_")
            || name.to_ascii_lowercase().ends_with("_proxy")
            || matches!(name, "HOME" | "SSL_CERT_FILE" | "SSL_CERT_DIR")
    };
    let text = |(name, value): (OsString, OsString)| {
        let name = name.into_string().ok()?;
        Some((name, value.into_string().ok()?))
    };
    let all = env::vars_os().filter_map(text);
    Environment(all.filter(|(name, _)| makes_a_difference(name)).collect())
}

/// The endpoint with the path that s3fs-fuse has in an option of its own.
fn with_path(url: Option<String>, path: Option<&str>) -> Result<Option<String>, UsageError> {
    let path = path.unwrap_or_default().trim_matches('/');
    match url {
        url if path.is_empty() => Ok(url),
        Some(url) => Ok(Some(format!("{url}/{path}"))),
        None => Err(UsageError::Value {
            option: "servicepath",
            reason: "it follows the host of url=, which is not given; leave it out",
        }),
    }
}

/// The proxy, with what s3fs-fuse adds to it where it is not there: the scheme and the port.
fn proxy(url: Option<String>, user: Option<PathBuf>) -> Result<Option<Proxy>, UsageError> {
    let Some(url) = url else { return Ok(None) };
    let url = normal_url(&url);
    let (scheme, host) = url.split_once("://").unwrap_or(("http", &url));
    let invalid = |reason| UsageError::Value {
        option: "proxy",
        reason,
    };
    if host.contains('@') {
        return Err(invalid(
            "no user or password belongs in it, where every user can read them; put \
             USER:PASSPHRASE into a file and name it with proxy_cred_file=FILE",
        ));
    }
    if !matches!(scheme, "http" | "https") || host.is_empty() || host.contains('/') {
        return Err(invalid("give it as http://HOST[:PORT]"));
    }
    let port = match scheme {
        _ if host.rsplit(']').next().is_some_and(|end| end.contains(':')) => "",
        "https" => ":443",
        _ => ":1080",
    };
    Ok(Some(Proxy {
        url: format!("{scheme}://{host}{port}"),
        user: user.map(proxy_user).transpose()?,
    }))
}

/// The user of the proxy: one line, each half of it as in a URL.
fn proxy_user(path: PathBuf) -> Result<(String, String), UsageError> {
    const DEMANDS: Demands = Demands {
        option: "proxy_cred_file",
        mode_max: OWNER_ONLY,
        bytes_max: 4096,
    };
    let content = secret_file::read(&absolute(path)?, DEMANDS)?;
    let decode = |bytes: &[u8]| {
        let decoded = percent_encoding::percent_decode(bytes).decode_utf8();
        decoded.ok().map(|text| text.into_owned())
    };
    let line = secret_file::text(&content).trim_ascii();
    let at = line.iter().position(|byte| *byte == b':');
    let halves = at.and_then(|at| Some((decode(&line[..at])?, decode(&line[at + 1..])?)));
    halves.ok_or(UsageError::Value {
        option: DEMANDS.option,
        reason: "give one line, USER:PASSPHRASE, both as in a URL",
    })
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

/// The file of certificates; by default that of the AWS command line.
fn ca_bundle(named: Option<PathBuf>) -> Result<Option<PathBuf>, UsageError> {
    let by_variable = || env::var_os("AWS_CA_BUNDLE").map(PathBuf::from);
    let named = named.or_else(by_variable);
    let named = named.filter(|path| !path.as_os_str().is_empty());
    named.map(absolute).transpose()
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
