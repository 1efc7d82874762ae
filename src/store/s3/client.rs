//! Reaching a store: credentials and region by the standard AWS chain, the client library's
//! settings, the renewal of credentials. Knows no operation.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{
    Credentials, IdentityCache, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_s3::{Client, Config};

use super::S3Bucket;
use super::call::{LOG_TARGET, Stalls};
use super::connect::{self, ConnectError};
use super::endpoint;
use super::recent::Recent;
use super::server::ServerName;
use super::terms::Terms;
use super::transport::http_client;
use super::wire::{LenientClient, RequestRules};
use crate::config::{CredentialSource, Provider, StoreConfig};
use crate::object::{BucketName, ObjectVersion};
use crate::store::dialect::{Addressing, Dialect, Markers};
use crate::store::probe::Seen;
use crate::store::retry::Timeouts;
use crate::store::{Bucket, StoreResult};

/// A store: an endpoint and the credentials for it.
pub struct S3Store {
    connection: Arc<Connection>,
    /// That of directory buckets, where a bucket's name alone tells which rules it has: they have
    /// their own.
    directories: Option<Arc<Connection>>,
    config: StoreConfig,
}

/// What the buckets of a store share.
pub(super) struct Connection {
    client: RwLock<Renewable>,
    pub dialect: Dialect,
    pub timeouts: Timeouts,
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    pub terms: Terms,
    pub offers: Offers,
    /// What listings may lack.
    pub recent: Recent,
    /// When the log last said that a call stalls.
    pub stalls: Stalls,
    /// What the server calls itself.
    server: ServerName,
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
    /// RenameObject.
    pub renames: Offer,
    /// PutObject at the end of an object.
    pub appends: Offer,
    /// Metadata of a directory's marker.
    pub marker_metadata: Offer,
    /// Its Content-Type.
    pub marker_types: Offer,
    /// Whether its metadata were seen to be there.
    pub marker_metadata_seen: AtomicBool,
}

impl Offers {
    const fn new(dialect: &Dialect) -> Self {
        let mut marker_metadata = Offer::new("metadata of directories");
        marker_metadata.there = AtomicBool::new(!matches!(dialect.markers, Markers::Directories));
        Self {
            write_conditions: Offer::new("conditions on writes"),
            bulk_delete: Offer::new("deletes of many objects"),
            list_parts: Offer::new("listings of parts"),
            renames: Offer::new("renames of objects"),
            appends: Offer::new("appends to objects"),
            marker_metadata,
            marker_types: Offer::new("content types of directories"),
            marker_metadata_seen: AtomicBool::new(false),
        }
    }
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
        let timeouts = timeouts(config);
        let loaded = load(config, &timeouts).await?;
        let (provider, of_directories) = match (config.provider, endpoint::given(config, &loaded.0))
        {
            (Some(provider), _) => (provider, None),
            (None, Some(url)) => {
                endpoint::suggest(&url);
                (Provider::Other, None)
            }
            (None, None) => (Provider::Aws, Some(Provider::Express)),
        };
        let connection = |provider| {
            let rules = (Dialect::of(provider), timeouts.clone());
            Connection::new(config, &loaded, rules).map(Arc::new)
        };
        Ok(Self {
            connection: connection(provider)?,
            directories: of_directories.map(connection).transpose()?,
            config: config.clone(),
        })
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
        let loaded = load(config, &timeouts).await?;
        let connection = Connection::new(config, &loaded, (dialect, timeouts))?;
        Ok(Self {
            connection: Arc::new(connection),
            directories: None,
            config: config.clone(),
        })
    }

    /// Whether a bucket of that name can be used as configured. Asks nobody whether there is one.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn check_name(&self, name: &BucketName) -> Result<(), ConnectError> {
        connect::check_bucket(&self.config, &self.connection_of(name).dialect, name)
    }

    /// The bucket of that name.
    pub fn bucket(&self, name: &BucketName) -> Arc<dyn Bucket> {
        Arc::new(S3Bucket {
            name: name.clone(),
            connection: Arc::clone(self.connection_of(name)),
        })
    }

    /// What the store is taken to do and allow in a bucket.
    pub fn dialect(&self, bucket: &BucketName) -> &Dialect {
        &self.connection_of(bucket).dialect
    }

    /// The provider that the server names in its answers, where none is configured and the rules
    /// of an unknown one would lose what is written: to be asked after a first request. The log
    /// says what the server is taken for, or that another provider is configured.
    pub fn recognised(&self) -> Option<Provider> {
        let server = self.connection.server.known();
        let named = Dialect::of_server(server)?;
        let endpoint = &self.connection.endpoint;
        match self.config.provider {
            None => log::warn!(
                target: LOG_TARGET,
                "{endpoint} calls itself {server:?} and is taken for provider={}; name the \
                 provider to decide it",
                named.name(),
            ),
            Some(provider) if provider != named => log::warn!(
                target: LOG_TARGET,
                "{endpoint} calls itself {server:?}, and by provider={} objects may be lost there; \
                 mount it with -o provider={}",
                provider.name(),
                named.name(),
            ),
            Some(_) => {}
        }
        Some(named).filter(|_| self.config.provider.is_none())
    }

    /// Tries what the store does, in a bucket below `prefix`, which ends in `/` and must hold
    /// nothing. Some 70 requests and 40 MiB at most; all is removed again.
    ///
    /// # Errors
    /// By meaning, when not even the simplest requests succeed.
    pub async fn probe(&self, bucket: &BucketName, prefix: &str) -> StoreResult<Seen> {
        let bucket = S3Bucket {
            name: bucket.clone(),
            connection: Arc::clone(self.connection_of(bucket)),
        };
        bucket.try_rules(prefix).await
    }

    fn connection_of(&self, name: &BucketName) -> &Arc<Connection> {
        let of_directory = self
            .directories
            .as_ref()
            .filter(|_| name.is_directory_bucket());
        of_directory.unwrap_or(&self.connection)
    }
}

impl Connection {
    fn new(
        config: &StoreConfig,
        (sdk, http): &(SdkConfig, SharedHttpClient),
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
        let url = endpoint::given(config, sdk);
        connect::check_endpoint(config, url.as_deref())?;
        let endpoint = url
            .clone()
            .unwrap_or_else(|| endpoint::of_aws(config, region.as_ref()));
        let terms = Terms::new(config);
        let server = ServerName::default();
        let mut settings = aws_sdk_s3::config::Builder::from(sdk)
            .http_client(LenientClient::new(http.clone()))
            .interceptor(RequestRules {
                requester_pays: config.requester_pays,
                forbid_overwrite: dialect.forbid_overwrite,
            })
            .interceptor(terms.clone())
            .interceptor(server.clone())
            .region(region.clone())
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
        if config.accelerate {
            settings = settings.accelerate(true);
        }
        if config.anonymous {
            settings = settings.allow_no_auth();
        }
        let client = Client::from_conf(settings.build());
        Ok(Self {
            client: RwLock::new(Renewable {
                client,
                generation: 0,
            }),
            timeouts,
            endpoint,
            region: region.to_string(),
            terms,
            offers: Offers::new(&dialect),
            dialect,
            recent: Recent::default(),
            stalls: Stalls::default(),
            server,
            refusals: Mutex::default(),
        })
    }

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

/// The usual times, but for those that are configured.
fn timeouts(config: &StoreConfig) -> Timeouts {
    let usual = Timeouts::default();
    let idle = config.idle_timeout;
    Timeouts {
        connect: config.connect_timeout.unwrap_or(usual.connect),
        first_byte: idle.unwrap_or(usual.first_byte),
        stalled_body: idle.unwrap_or(usual.stalled_body),
        // Room for one answer that takes as long as it may.
        total: idle.map_or(usual.total, |idle| idle.max(usual.total)),
        attempts_max: config
            .retries_max
            .map_or(usual.attempts_max, |retries| retries + 1),
        ..usual
    }
}

/// The shared configuration of the AWS chain, and the HTTP client for all requests.
async fn load(
    config: &StoreConfig,
    timeouts: &Timeouts,
) -> Result<(SdkConfig, SharedHttpClient), ConnectError> {
    let http = http_client(config).await?;
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
    let shared = || ProviderConfig::default().with_http_client(http.clone());
    match &config.credential_source {
        CredentialSource::Chain => {}
        CredentialSource::Instance { role } => {
            let mut provider = ImdsCredentialsProvider::builder().configure(&shared());
            if let Some(role) = role {
                provider = provider.profile(role);
            }
            loader = loader.credentials_provider(provider.build());
        }
        CredentialSource::Container => {
            let provider = EcsCredentialsProvider::builder().configure(&shared());
            loader = loader.credentials_provider(provider.build());
        }
    }
    if config.anonymous {
        loader = loader.no_credentials();
    }
    if config.dual_stack {
        loader = loader.use_dual_stack(true);
    }
    if config.fips {
        loader = loader.use_fips(true);
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
    Ok((loader.load().await, http))
}
