//! The service over HTTP, by raw requests of the SDK.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::CompletedPart;

use super::{Sim, SimBuilder};
use crate::limits::Limits;

mod lists;
mod objects;
mod rules;
mod running;
mod seen;
mod tags;
mod uploads;

fn client_with(sim: &Sim, id: &str, secret: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new(super::REGION))
        .endpoint_url(sim.endpoint())
        .force_path_style(true)
        .retry_config(RetryConfig::disabled())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .build();
    Client::from_conf(config)
}

fn client(sim: &Sim) -> Client {
    client_with(sim, Sim::ACCESS_KEY.0, Sim::ACCESS_KEY.1)
}

/// Limits of a few bytes, so that every boundary is near.
fn toy() -> Limits {
    Limits {
        part_size_min: 4,
        part_size_max: 16,
        part_count_max: 5,
        copy_object_max: 16,
        put_max: 16,
        object_size_max: 40,
        ..Limits::aws()
    }
}

async fn started(builder: SimBuilder) -> (Sim, Client) {
    let sim = builder.bucket("test").start("127.0.0.1:0").await.unwrap();
    let client = client(&sim);
    (sim, client)
}

fn code<T, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> String {
    match result {
        Ok(_) => "no error".into(),
        Err(error) => match error.as_service_error() {
            Some(service) => service.code().unwrap_or("no code").into(),
            None => "no answer".into(),
        },
    }
}

fn status<T, E>(result: Result<T, SdkError<E, aws_sdk_s3::config::http::HttpResponse>>) -> u16 {
    result
        .err()
        .and_then(|e| e.raw_response().map(|r| r.status().as_u16()))
        .unwrap_or(0)
}

async fn put(client: &Client, key: &str, body: &[u8]) -> String {
    let put = client.put_object().bucket("test").key(key);
    let put = put
        .body(ByteStream::from(body.to_vec()))
        .send()
        .await
        .unwrap();
    put.e_tag.unwrap()
}

async fn create(client: &Client, key: &str) -> String {
    let upload = client
        .create_multipart_upload()
        .bucket("test")
        .key(key)
        .send()
        .await
        .unwrap();
    upload.upload_id.unwrap()
}

async fn part(client: &Client, key: &str, id: &str, number: i32, body: &[u8]) -> CompletedPart {
    let request = client
        .upload_part()
        .bucket("test")
        .key(key)
        .upload_id(id)
        .part_number(number);
    let part = request
        .body(ByteStream::from(body.to_vec()))
        .send()
        .await
        .unwrap();
    CompletedPart::builder()
        .part_number(number)
        .e_tag(part.e_tag.unwrap())
        .build()
}
