//! What of a configuration a store can be used with: rules between options, endpoint, provider and
//! buckets that are known to be broken before any request. Sends nothing.

use std::io;
use std::path::PathBuf;

use super::endpoint::is_loopback;
use crate::config::{Encryption, Provider, StoreConfig};
use crate::object::BucketName;
use crate::store::dialect::{Addressing, Dialect, Tagging};

/// Why a store cannot be used as it is configured. No request has been sent then.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A key of SSE-C would be sent in the clear.
    #[error(
        "{endpoint}: the key of sse_c_key would cross the network in the clear; give an https:// \
         endpoint"
    )]
    KeyInTheClear {
        /// The endpoint's address.
        endpoint: String,
    },
    /// An option chooses among AWS's endpoints, and another one is given.
    #[error(
        "{option}: it chooses among AWS's own endpoints, and {endpoint} is given; leave one of \
         them out"
    )]
    EndpointGiven {
        /// The option.
        option: &'static str,
        /// The endpoint's address.
        endpoint: String,
    },
    /// The bucket shall be named in the path, which the provider refuses.
    #[error(
        "use_path_request_style: provider {provider} takes the bucket in the host name only; leave \
         the option out"
    )]
    PathStyle {
        /// The provider's word.
        provider: &'static str,
    },
    /// The bucket shall be named in the path, and cannot be there.
    #[error(
        "use_path_request_style: {bucket} can only be named in the host name; leave the option out"
    )]
    NotInPath {
        /// An access point or a directory bucket.
        bucket: BucketName,
    },
    /// A name with dots cannot be the label of a host.
    #[error(
        "bucket \"{bucket}\": provider {provider} takes the bucket in the host name only, where it \
         can have no dots"
    )]
    DottedBucket {
        /// The bucket.
        bucket: BucketName,
        /// The provider's word.
        provider: &'static str,
    },
    /// There is no accelerated endpoint for such a bucket.
    #[error(
        "accelerate: {bucket}: access points, directory buckets and names with dots have no \
         accelerated endpoint"
    )]
    NotAccelerated {
        /// The bucket.
        bucket: BucketName,
    },
    /// New objects shall have tags, which the provider is not known to keep.
    #[error(
        "tags: provider {provider} is not known to keep tags; leave them out, or name the store's \
         provider with -o provider=NAME"
    )]
    NoTags {
        /// The provider's word.
        provider: &'static str,
    },
    /// A directory bucket does not take the option.
    #[error("{option}: directory buckets, as {bucket}, do not take it; leave it out")]
    NotForDirectories {
        /// The option.
        option: &'static str,
        /// The bucket.
        bucket: BucketName,
    },
    /// The proxy's address is none.
    #[error("proxy: {url}: not an address; give it as http://HOST[:PORT]")]
    Proxy {
        /// The address.
        url: String,
    },
    /// The file of certificates cannot be read.
    #[error("{}: {source} (named by {named_by})", path.display())]
    CaUnreadable {
        /// The file.
        path: PathBuf,
        /// The variable or setting.
        named_by: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The file of certificates holds none.
    #[error("{}: no certificate in PEM is in it (named by {named_by})", path.display())]
    CaEmpty {
        /// The file.
        path: PathBuf,
        /// The variable or setting.
        named_by: &'static str,
    },
    /// The file of certificates holds one that is none.
    #[error(
        "{}: certificate {number} in it cannot be used (named by {named_by})",
        path.display()
    )]
    CaBroken {
        /// The file.
        path: PathBuf,
        /// The variable or setting.
        named_by: &'static str,
        /// Which one, from 1.
        number: usize,
    },
}

/// Whether the endpoint can be used so; `given` is the one that is not AWS's own.
pub(super) fn check_endpoint(
    config: &StoreConfig,
    given: Option<&str>,
) -> Result<(), ConnectError> {
    if let Some(endpoint) = given {
        let choices = [
            ("dual_stack", config.dual_stack),
            ("fips", config.fips),
            ("accelerate", config.accelerate),
        ];
        if let Some((option, _)) = choices.into_iter().find(|(_, is_chosen)| *is_chosen) {
            let endpoint = endpoint.to_owned();
            return Err(ConnectError::EndpointGiven { option, endpoint });
        }
        check_secrecy(config, endpoint)?;
    }
    Ok(())
}

/// AWS refuses keys over plain HTTP (Amazon S3 user guide, "Using server-side encryption with
/// customer-provided keys"); other stores might take them. This machine overhears itself anyway.
fn check_secrecy(config: &StoreConfig, endpoint: &str) -> Result<(), ConnectError> {
    let mut encryptions = config.encryption.all();
    let has_key = encryptions.any(|encryption| matches!(encryption, Encryption::Customer(_)));
    if has_key && !endpoint.starts_with("https://") && !is_loopback(endpoint) {
        let endpoint = endpoint.to_owned();
        return Err(ConnectError::KeyInTheClear { endpoint });
    }
    Ok(())
}

/// Whether a bucket can be used so.
pub(super) fn check_bucket(
    config: &StoreConfig,
    dialect: &Dialect,
    bucket: &BucketName,
) -> Result<(), ConnectError> {
    let provider = dialect.name;
    let is_directory = provider == Provider::Express.name() || bucket.is_directory_bucket();
    let name = || bucket.clone();
    let is_dotted = bucket.as_str().contains('.');
    if config.path_style && (bucket.is_arn() || is_directory) {
        return Err(ConnectError::NotInPath { bucket: name() });
    }
    if config.path_style && dialect.addressing == Addressing::HostOnly {
        return Err(ConnectError::PathStyle { provider });
    }
    if is_dotted && dialect.addressing == Addressing::HostOnly {
        let bucket = name();
        return Err(ConnectError::DottedBucket { bucket, provider });
    }
    if config.accelerate && (bucket.is_arn() || is_directory || is_dotted) {
        return Err(ConnectError::NotAccelerated { bucket: name() });
    }
    if !config.new_objects.tags.is_empty() && dialect.tagging != Tagging::Offered {
        return Err(ConnectError::NoTags { provider });
    }
    match refused_by_directories(config, bucket).filter(|_| is_directory) {
        None => Ok(()),
        Some(option) => Err(ConnectError::NotForDirectories {
            option,
            bucket: name(),
        }),
    }
}

/// The first option that directory buckets do not take (Amazon S3 user guide, "Differences for
/// directory buckets"; Amazon S3 API reference, PutObject).
fn refused_by_directories(config: &StoreConfig, bucket: &BucketName) -> Option<&'static str> {
    /// The one class that they have.
    const CLASS: &str = "EXPRESS_ONEZONE";
    let has_key = matches!(config.encryption.of(bucket), Encryption::Customer(_));
    let class = config.new_objects.storage_class.as_deref();
    let refused = [
        ("sse_c_key", has_key),
        ("acl", config.acl.is_some()),
        ("requester_pays", config.requester_pays),
        ("storage_class", class.is_some_and(|class| class != CLASS)),
    ];
    let mut given = refused.into_iter().filter(|(_, is_given)| *is_given);
    given.next().map(|(option, _)| option)
}
