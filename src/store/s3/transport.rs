//! How requests travel: over TCP or TLS, through a proxy or not, and which certificates are
//! believed. Knows no S3.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use aws_config::profile;
use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_types::os_shim_internal::{Env, Fs};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::connect::ConnectError;
use super::endpoint::is_loopback;
use crate::config::{Proxy, StoreConfig};

/// Where a file of certificates was named.
const BY_OPTION: &str = "ca_bundle or AWS_CA_BUNDLE";
const BY_PROFILE: &str = "ca_bundle of the AWS configuration";

/// HTTP over TCP or TLS (ring), through the proxy of the usual variables unless the endpoint is
/// this machine.
///
/// # Errors
/// About the certificates.
pub(super) async fn http_client(config: &StoreConfig) -> Result<SharedHttpClient, ConnectError> {
    let proxy = match &config.proxy {
        Some(proxy) => given_proxy(proxy)?,
        None if config.endpoint.as_deref().is_some_and(is_loopback) => ProxyConfig::disabled(),
        None => ProxyConfig::from_env(),
    };
    let tls_context = TlsContext::builder()
        .with_trust_store(trust_store(config).await?)
        .build()
        .expect("building a context only takes over its parts");
    Ok(
        Builder::new().build_with_connector_fn(move |settings, components| {
            let mut connector = Connector::builder()
                .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
                .tls_context(tls_context.clone())
                .proxy_config(proxy.clone());
            connector.set_connector_settings(settings.cloned());
            connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
            connector.build()
        }),
    )
}

/// The proxy for everything but the addresses at which instances and containers of AWS find their
/// own credentials.
fn given_proxy(proxy: &Proxy) -> Result<ProxyConfig, ConnectError> {
    const OWN_MACHINE: &str = "169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254";
    let config = ProxyConfig::all(&*proxy.url).map_err(|_| ConnectError::Proxy {
        url: proxy.url.clone(),
    })?;
    let config = config.no_proxy(OWN_MACHINE);
    Ok(match &proxy.user {
        Some((name, passphrase)) => config.with_basic_auth(name, passphrase),
        None => config,
    })
}

/// The system's certificates; those of the file that is named, and no others, if one is, as the
/// AWS command line has it.
async fn trust_store(config: &StoreConfig) -> Result<TrustStore, ConnectError> {
    let (path, named_by) = match &config.ca_bundle {
        Some(path) => (path.clone(), BY_OPTION),
        None => match bundle_of_profile(config).await {
            Some(path) => (path, BY_PROFILE),
            None => return Ok(TrustStore::default()),
        },
    };
    let pem = certificates(&path, named_by)?;
    Ok(TrustStore::empty().with_pem_certificate(pem))
}

/// `ca_bundle` of the profile. A configuration that cannot be read is told of by whoever looks for
/// credentials there.
async fn bundle_of_profile(config: &StoreConfig) -> Option<PathBuf> {
    let selected = config.profile.clone().map(Cow::Owned);
    let files = Default::default();
    let profiles = profile::load(&Fs::real(), &Env::real(), &files, selected).await;
    let path = profiles.ok()?.get("ca_bundle").map(PathBuf::from)?;
    (!path.as_os_str().is_empty()).then_some(path)
}

/// The file, whose certificates the client library will be able to use: it panics at others.
fn certificates(path: &Path, named_by: &'static str) -> Result<Vec<u8>, ConnectError> {
    let path_buf = || path.to_owned();
    let pem = std::fs::read(path).map_err(|source| ConnectError::CaUnreadable {
        path: path_buf(),
        named_by,
        source,
    })?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate.is_ok_and(|certificate| roots.add(certificate).is_ok());
        if !added {
            return Err(ConnectError::CaBroken {
                path: path_buf(),
                named_by,
                number: roots.len() + 1,
            });
        }
    }
    if roots.is_empty() {
        let path = path_buf();
        return Err(ConnectError::CaEmpty { path, named_by });
    }
    Ok(pem)
}
