//! Which endpoint a store is reached at, and of which kind it is. Sends nothing.

use std::net::IpAddr;

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

use super::call::LOG_TARGET;
use crate::config::StoreConfig;
use crate::store::dialect::Dialect;

/// The endpoint given, or that of the AWS configuration files or variables.
pub(super) fn given(config: &StoreConfig, sdk: &SdkConfig) -> Option<String> {
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

/// What AWS's endpoint is called in messages (Amazon S3 user guide, "Making requests to Amazon S3
/// over IPv6", "Amazon S3 Transfer Acceleration", and AWS general reference, "FIPS endpoints").
pub(super) fn of_aws(config: &StoreConfig, region: &str) -> String {
    let dual_stack = if config.dual_stack { ".dualstack" } else { "" };
    if config.accelerate {
        return format!("https://s3-accelerate{dual_stack}.amazonaws.com");
    }
    let fips = if config.fips { "-fips" } else { "" };
    format!("https://s3{fips}{dual_stack}.{region}.amazonaws.com")
}

/// Says which provider an endpoint seems to be of, when it was not said.
pub(super) fn suggest(url: &str) {
    if let Some(Dialect { name, title, .. }) = host(url).as_deref().and_then(Dialect::suggested) {
        log::info!(
            target: LOG_TARGET,
            "{url} seems to be {title}: provider={name} keeps its own limits, and spares the \
             requests that verify what it promises"
        );
    }
}

fn host(url: &str) -> Option<String> {
    let uri = url.parse::<http::Uri>().ok()?;
    uri.host().map(str::to_ascii_lowercase)
}

/// Whether it is this machine.
pub(super) fn is_loopback(endpoint: &str) -> bool {
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
