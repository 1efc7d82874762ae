//! A client that believes what it is told: it checks no size, no answer and no source, and cleans
//! up nothing. What it does wrong shows that a rule of the service bites.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use s3fs::sim::Sim;

use crate::world::BUCKET;

/// The client library as it comes, but for the checksums that few stores know.
pub struct Naive {
    pub client: Client,
}

/// What went wrong: status and code.
pub type Refused = (u16, String);

pub fn refused<E: ProvideErrorMetadata>(
    error: SdkError<E, aws_sdk_s3::config::http::HttpResponse>,
) -> Refused {
    let status = error
        .raw_response()
        .map_or(0, |answer| answer.status().as_u16());
    let code = error.as_service_error().and_then(|error| error.code());
    (status, code.unwrap_or("").to_owned())
}

/// With a length, and without what only AWS's clients have in the query: some stores want that.
pub fn plainly(request: &mut HttpRequest) {
    if request.body().content_length() == Some(0) {
        request.headers_mut().insert("content-length", "0");
    }
    let (path, query) = request.uri().split_once('?').unwrap_or((request.uri(), ""));
    let kept = query.split('&').filter(|pair| !pair.starts_with("x-id="));
    let uri = format!("{path}?{}", kept.collect::<Vec<_>>().join("&"));
    request.set_uri(uri).unwrap();
}

impl Naive {
    pub fn new(sim: &Sim) -> Self {
        let (id, secret) = Sim::ACCESS_KEY;
        let http = aws_smithy_http_client::Builder::new().build_http();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new(s3fs::sim::REGION))
            .endpoint_url(sim.endpoint())
            .force_path_style(true)
            .retry_config(RetryConfig::disabled())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .credentials_provider(Credentials::new(id, secret, None, None, "test"))
            .build();
        Self {
            client: Client::from_conf(config),
        }
    }

    pub async fn create(&self, key: &str) -> String {
        let upload = self.client.create_multipart_upload();
        // Some stores want a length, which the library leaves out.
        let upload = upload.bucket(BUCKET).key(key).customize();
        let upload = upload.mutate_request(plainly);
        upload.send().await.unwrap().upload_id.unwrap()
    }

    /// Copies a part of `a`; whatever is answered with 200 is taken for a copied part.
    pub async fn copy_part(
        &self,
        (key, id): (&str, &str),
        number: i32,
        (source, range): (&str, Option<&str>),
        if_match: Option<&str>,
    ) -> Result<CompletedPart, Refused> {
        let request = self.client.upload_part_copy().bucket(BUCKET).key(key);
        let request = request.upload_id(id).part_number(number);
        let request = request
            .copy_source(format!("{BUCKET}/{source}"))
            .set_copy_source_range(range.map(str::to_owned))
            .set_copy_source_if_match(if_match.map(str::to_owned))
            .customize()
            .mutate_request(plainly);
        let answer = request.send().await.map_err(refused)?;
        let etag = answer.copy_part_result.and_then(|result| result.e_tag);
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(etag)
            .build())
    }

    pub async fn upload_part(
        &self,
        (key, id): (&str, &str),
        number: i32,
        body: &[u8],
    ) -> CompletedPart {
        let request = self.client.upload_part().bucket(BUCKET).key(key);
        let request = request.upload_id(id).part_number(number);
        let body = ByteStream::from(body.to_vec());
        let request = request.body(body).customize().mutate_request(plainly);
        let answer = request.send().await.unwrap();
        CompletedPart::builder()
            .part_number(number)
            .set_e_tag(answer.e_tag)
            .build()
    }

    pub async fn complete(
        &self,
        (key, id): (&str, &str),
        parts: Vec<CompletedPart>,
    ) -> Result<(), Refused> {
        let list = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(BUCKET)
            .key(key);
        let request = request.upload_id(id).multipart_upload(list.build());
        let request = request.customize().mutate_request(plainly);
        request.send().await.map(|_| ()).map_err(refused)
    }

    /// Completes an upload with whatever the store says is in it.
    pub async fn complete_as_listed(&self, (key, id): (&str, &str)) -> Result<(), Refused> {
        let listed = self.client.list_parts().bucket(BUCKET).key(key);
        let listed = listed.upload_id(id).customize().mutate_request(plainly);
        let listed = listed.send().await.map_err(refused)?;
        let parts = listed.parts().iter().map(|part| {
            CompletedPart::builder()
                .set_part_number(part.part_number())
                .set_e_tag(part.e_tag().map(str::to_owned))
                .build()
        });
        self.complete((key, id), parts.collect()).await
    }

    /// Copies `a` to `key` by these ranges, and completes what came of it.
    pub async fn copy_by_ranges(&self, key: &str, ranges: &[&str]) -> Result<(), Refused> {
        let id = self.create(key).await;
        let mut parts = Vec::new();
        for (number, range) in (1..).zip(ranges) {
            let source = ("a", Some(*range));
            parts.push(self.copy_part((key, &id), number, source, None).await?);
        }
        self.complete((key, &id), parts).await
    }

    pub async fn put(&self, key: &str, body: &str) -> Result<(), Refused> {
        let request = self.client.put_object().bucket(BUCKET).key(key);
        let body = ByteStream::from(body.as_bytes().to_vec());
        request.body(body).send().await.map(|_| ()).map_err(refused)
    }
}
