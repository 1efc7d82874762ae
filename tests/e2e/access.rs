//! How a test reaches a store: address, credentials, and a client that is not the program's.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};

/// How to reach a store.
#[derive(Clone)]
pub struct Access {
    pub url: String,
    pub access_key: String,
    pub secret_key: String,
}

impl Access {
    /// Another client of the store.
    pub fn client(&self) -> Client {
        let credentials = Credentials::new(&self.access_key, &self.secret_key, None, None, "tests");
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.url)
            .force_path_style(true)
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Client::from_conf(config)
    }
}
