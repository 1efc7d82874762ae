//! Reaching a store: credentials and region by the standard AWS chain, the client library's
//! settings, the renewal of credentials. Knows no operation.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{
    Credentials, IdentityCache, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_s3::{Client, Config};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_types::service_config::ServiceConfigKey;

use super::S3Bucket;
use super::call::LOG_TARGET;
use super::recent::Recent;
use super::terms::Terms;
use super::wire::{LenientClient, RequestRules};
use crate::config::{Encryption, Provider, StoreConfig};
use crate::object::{BucketName, ObjectVersion};
use crate::store::dialect::{Addressing, Dialect, Tagging};
use crate::store::probe::Seen;
use crate::store::retry::Timeouts;
use crate::store::{Bucket, StoreResult};

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
    /// New objects shall have tags, which the provider is not known to keep.
    #[error(
        "tags: provider {provider} is not known to keep tags; leave them out, or name the store's \
         provider with -o provider=NAME"
    )]
    NoTags {
        /// The provider's word.
        provider: &'static str,
    },
}

/// A store: an endpoint and the credentials for it.
pub struct S3Store {
    connection: Arc<Connection>,
}

/// What the buckets of a store share.
pub(super) struct Connection {
    client: RwLock<Renewable>,
    pub dialect: Dialect,
    pub timeouts: Timeouts,
    pub endpoint: String,
    pub terms: Terms,
    pub offers: Offers,
    /// What listings may lack.
    pub recent: Recent,
    /// The pairs of buckets between which a copy was refused.
    refusals: Mutex<BTreeSet<(BucketName, BucketName)>>,
}

/// The client and how often its credentials were renewed.
struct Renewable {
    client: Client,
    generation: u64,
}

/// What the store has not yet said it lacks.
pub(super) struct Offers {
    /// `If-None-Match` and `If-Match` on writes.
    pub write_conditions: Offer,
    /// DeleteObjects.
    pub bulk_delete: Offer,
    /// ListParts.
    pub list_parts: Offer,
}

/// One capability, believed in until the store refuses it.
pub(super) struct Offer {
    name: &'static str,
    there: AtomicBool,
}

impl Offer {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            there: AtomicBool::new(true),
        }
    }

    /// Whether to use it.
    pub fn is_there(&self) -> bool {
        self.there.load(Ordering::Relaxed)
    }

    /// Does without from now on.
    pub fn withdraw(&self, why: &str) {
        if self.there.swap(false, Ordering::Relaxed) {
            log::warn!(target: LOG_TARGET, "the store offers no {}: {why}", self.name);
        }
    }
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store")
            .field("endpoint", &self.connection.endpoint)
            .field("dialect", &self.connection.dialect.name)
            .finish_non_exhaustive()
    }
}

impl S3Store {
    /// A store by its configuration: AWS S3 when neither a provider nor an endpoint is given, else
    /// one of which nothing is known.
    ///
    /// # Errors
    /// [`ConnectError`]. Credentials are looked for with the first request, not here.
    pub async fn connect(config: &StoreConfig) -> Result<Self, ConnectError> {
        let (sdk, http) = load(config, &Timeouts::default()).await;
        let provider = match (config.provider, endpoint_url(config, &sdk)) {
            (Some(provider), _) => provider,
            (None, Some(url)) => {
                suggest(&url);
                Provider::Other
            }
            (None, None) => Provider::Aws,
        };
        let rules = (Dialect::of(provider), Timeouts::default());
        Self::build(config, &sdk, http, rules)
    }

    /// A store that is known to speak that dialect.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_with(
        config: &StoreConfig,
        dialect: Dialect,
    ) -> Result<Self, ConnectError> {
        Self::connect_within(config, dialect, Timeouts::default()).await
    }

    /// A store that is known to speak that dialect, with bounds of one's own.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_within(
        config: &StoreConfig,
        dialect: Dialect,
        timeouts: Timeouts,
    ) -> Result<Self, ConnectError> {
        let (sdk, http) = load(config, &timeouts).await;
        Self::build(config, &sdk, http, (dialect, timeouts))
    }

    /// The bucket of that name.
    pub fn bucket(&self, name: &BucketName) -> Arc<dyn Bucket> {
        Arc::new(S3Bucket {
            name: name.clone(),
            connection: Arc::clone(&self.connection),
        })
    }

    /// What the store is taken to do and allow.
    pub fn dialect(&self) -> &Dialect {
        &self.connection.dialect
    }

    /// Tries what the store does, in a bucket below `prefix`, which ends in `/` and must hold
    /// nothing. Some 70 requests and 25 MiB at most; all is removed again.
    ///
    /// # Errors
    /// By meaning, when not even the simplest requests succeed.
    pub async fn probe(&self, bucket: &BucketName, prefix: &str) -> StoreResult<Seen> {
        let bucket = S3Bucket {
            name: bucket.clone(),
            connection: Arc::clone(&self.connection),
        };
        bucket.try_rules(prefix).await
    }

    fn build(
        config: &StoreConfig,
        sdk: &SdkConfig,
        http: SharedHttpClient,
        (mut dialect, timeouts): (Dialect, Timeouts),
    ) -> Result<Self, ConnectError> {
        if let Some(bytes) = config.upload_part_size {
            dialect.limits.upload_part_size = bytes;
        }
        if let Some(bytes) = config.copy_part_size {
            dialect.limits.copy_part_size = bytes;
        }
        let region = sdk
            .region()
            .cloned()
            .unwrap_or(Region::from_static(dialect.region));
        let url = endpoint_url(config, sdk);
        let endpoint = url
            .clone()
            .unwrap_or_else(|| format!("https://s3.{}.amazonaws.com", region.as_ref()));
        check_secrecy(config, &endpoint)?;
        if !config.new_objects.tags.is_empty() && dialect.tagging == Tagging::None {
            let provider = dialect.name;
            return Err(ConnectError::NoTags { provider });
        }
        let terms = Terms::new(config);
        let mut settings = aws_sdk_s3::config::Builder::from(sdk)
            .http_client(LenientClient::new(http))
            .interceptor(RequestRules {
                requester_pays: config.requester_pays,
                forbid_overwrite: dialect.forbid_overwrite,
            })
            .interceptor(terms.clone())
            .region(region)
            .force_path_style(config.path_style || dialect.addressing == Addressing::Path)
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(timeouts.connect)
                    .build(),
            )
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        settings.set_endpoint_url(url);
        if config.anonymous {
            settings = settings.allow_no_auth();
        }
        let client = Client::from_conf(settings.build());
        let connection = Connection {
            client: RwLock::new(Renewable {
                client,
                generation: 0,
            }),
            dialect,
            timeouts,
            endpoint,
            terms,
            offers: Offers {
                write_conditions: Offer::new("conditions on writes"),
                bulk_delete: Offer::new("deletes of many objects"),
                list_parts: Offer::new("listings of parts"),
            },
            recent: Recent::default(),
            refusals: Mutex::default(),
        };
        Ok(Self {
            connection: Arc::new(connection),
        })
    }
}

impl Connection {
    /// The client, and the generation of its credentials.
    pub fn client(&self) -> (Client, u64) {
        let renewable = self.client.read().unwrap_or_else(PoisonError::into_inner);
        (renewable.client.clone(), renewable.generation)
    }

    /// Says once of each pair of buckets that the store does not copy between them.
    pub fn note_refusal(&self, source: &ObjectVersion, to: &BucketName, code: &str) {
        let pair = (source.bucket.clone(), to.clone());
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.insert(pair) {
            log::warn!(
                target: LOG_TARGET,
                "s3://{}/{}: the store refuses to copy it to s3://{to} ({code}); its bytes go \
                 through this client, as will those of others it refuses",
                source.bucket,
                source.key,
            );
        }
    }

    /// Forgets the credentials of that generation: the next request fetches new ones. Requests
    /// that failed together renew once.
    pub fn renew(&self, generation: u64) {
        let mut renewable = self.client.write().unwrap_or_else(PoisonError::into_inner);
        if renewable.generation == generation {
            let cache = IdentityCache::lazy().build();
            let config: Config = renewable
                .client
                .config()
                .to_builder()
                .identity_cache(cache)
                .build();
            renewable.client = Client::from_conf(config);
            renewable.generation += 1;
        }
    }
}

/// The shared configuration of the AWS chain, and the HTTP client for all requests.
async fn load(config: &StoreConfig, timeouts: &Timeouts) -> (SdkConfig, SharedHttpClient) {
    let http = http_client(config.endpoint.as_deref());
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(timeouts.connect)
                .build(),
        );
    if let Some(profile) = &config.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(keys) = &config.credentials {
        loader = loader.credentials_provider(Credentials::new(
            &keys.access_key_id,
            &keys.secret_access_key,
            None,
            None,
            "mount options",
        ));
    }
    if config.anonymous {
        loader = loader.no_credentials();
    }
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    } else if config.endpoint.is_some() || config.anonymous || config.credentials.is_some() {
        // The metadata service of an EC2 instance is not asked: off EC2 that takes a second.
        let mut profile = ProfileFileRegionProvider::builder();
        if let Some(name) = &config.profile {
            profile = profile.profile_name(name);
        }
        let dialect = Dialect::of(config.provider.unwrap_or(Provider::Other));
        let chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(profile.build())
            .or_else(Region::from_static(dialect.region));
        loader = loader.region(chain);
    }
    (loader.load().await, http)
}

/// The endpoint given, or that of the AWS configuration files or variables.
fn endpoint_url(config: &StoreConfig, sdk: &SdkConfig) -> Option<String> {
    let of_s3 = || {
        let key = ServiceConfigKey::builder()
            .service_id("s3")
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok()?;
        sdk.service_config()?.load_config(key)
    };
    config
        .endpoint
        .clone()
        .or_else(of_s3)
        .or_else(|| sdk.endpoint_url().map(str::to_owned))
}

/// HTTP over TCP or TLS (ring), through the proxy of the usual variables unless the endpoint is
/// this machine.
fn http_client(endpoint: Option<&str>) -> SharedHttpClient {
    let proxy = if endpoint.is_some_and(is_loopback) {
        ProxyConfig::disabled()
    } else {
        ProxyConfig::from_env()
    };
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    })
}

/// Says which provider an endpoint seems to be of, when it was not said.
fn suggest(url: &str) {
    if let Some(Dialect { name, title, .. }) = host(url).as_deref().and_then(Dialect::suggested) {
        log::info!(
            target: LOG_TARGET,
            "{url} seems to be {title}: provider={name} keeps its own limits, and spares the \
             requests that verify what it promises"
        );
    }
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

fn host(url: &str) -> Option<String> {
    let uri = url.parse::<http::Uri>().ok()?;
    uri.host().map(str::to_ascii_lowercase)
}

fn is_loopback(endpoint: &str) -> bool {
    let host = host(endpoint).unwrap_or_default();
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_machine_is_reached_without_the_proxy() {
        assert!(is_loopback("http://127.0.0.1:9000"));
        assert!(is_loopback("http://[::1]:9000/"));
        assert!(is_loopback("http://localhost"));
        assert!(!is_loopback("https://s3.example.com"));
        assert!(!is_loopback("http://10.0.0.1:9000"));
    }
}
