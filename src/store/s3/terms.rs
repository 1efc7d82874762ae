//! The terms on which a bucket is used: who has to own it, how the store encrypts, and who may
//! read what is made there. They are headers of every request they concern, set before it is
//! signed. Knows operations by name only.

use std::sync::Arc;

use aws_sdk_s3::config::endpoint::Params;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::endpoint::EndpointResolverParams;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, Metadata};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use super::S3Bucket;
use crate::config::{CustomerKey, Encryption, PerBucket, StoreConfig};
use crate::object::BucketName;

/// The requests that make an object: they say how it is encrypted and whose it is. An ACL is not
/// among what a copy keeps (Amazon S3 API reference, CopyObject).
const CREATIONS: &[&str] = &["PutObject", "CopyObject", "CreateMultipartUpload"];

/// The requests that carry the customer's key (Amazon S3 API reference, each operation):
/// CompleteMultipartUpload and ListParts need it only where a checksum or a policy asks for it.
const KEYED: &[&str] = &[
    "PutObject",
    "GetObject",
    "HeadObject",
    "CopyObject",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "CompleteMultipartUpload",
    "ListParts",
];

const OWNER: &str = "x-amz-expected-bucket-owner";
const SOURCE_OWNER: &str = "x-amz-source-expected-bucket-owner";
const ACL: &str = "x-amz-acl";
const ENCRYPTION: &str = "x-amz-server-side-encryption";
const SOURCE_ENCRYPTION: &str = "x-amz-copy-source-server-side-encryption";

/// The terms of the buckets of a store.
#[derive(Clone, Debug)]
pub(super) struct Terms(Arc<Agreed>);

#[derive(Debug)]
struct Agreed {
    expected_owner: PerBucket<Option<String>>,
    encryption: PerBucket<Encryption>,
    acl: Option<String>,
}

impl Terms {
    /// Those that were configured.
    pub fn new(config: &StoreConfig) -> Self {
        Self(Arc::new(Agreed {
            expected_owner: config.expected_owner.clone(),
            encryption: config.encryption.clone(),
            acl: config.acl.clone(),
        }))
    }

    /// What a request about the bucket and its objects says.
    fn apply(&self, operation: &str, bucket: &BucketName, request: &mut HttpRequest) {
        if let Some(owner) = self.0.expected_owner.of(bucket) {
            request.headers_mut().insert(OWNER, owner.clone());
        }
        if let Some(acl) = &self.0.acl
            && CREATIONS.contains(&operation)
        {
            request.headers_mut().insert(ACL, acl.clone());
        }
        match self.0.encryption.of(bucket) {
            Encryption::Customer(key) if KEYED.contains(&operation) => {
                carry(key, ENCRYPTION, request);
            }
            Encryption::StoreKeys if CREATIONS.contains(&operation) => {
                request.headers_mut().insert(ENCRYPTION, "AES256");
            }
            Encryption::KeyService { key_id } if CREATIONS.contains(&operation) => {
                request.headers_mut().insert(ENCRYPTION, "aws:kms");
                if let Some(id) = key_id {
                    let name = format!("{ENCRYPTION}-aws-kms-key-id");
                    request.headers_mut().insert(name, id.clone());
                }
            }
            Encryption::BucketDefault
            | Encryption::StoreKeys
            | Encryption::KeyService { .. }
            | Encryption::Customer(_) => {}
        }
    }

    /// What a copy says of the bucket it takes from.
    fn apply_to_source(&self, bucket: &BucketName, request: &mut HttpRequest) {
        if let Some(owner) = self.0.expected_owner.of(bucket) {
            request.headers_mut().insert(SOURCE_OWNER, owner.clone());
        }
        if let Encryption::Customer(key) = self.0.encryption.of(bucket) {
            carry(key, SOURCE_ENCRYPTION, request);
        }
    }
}

/// The three headers of a customer's key.
fn carry(key: &CustomerKey, prefix: &str, request: &mut HttpRequest) {
    let headers = request.headers_mut();
    let encoded = STANDARD.encode(key.bytes());
    let digest = STANDARD.encode(Md5::digest(key.bytes()));
    headers.insert(format!("{prefix}-customer-algorithm"), "AES256");
    headers.insert(format!("{prefix}-customer-key"), encoded);
    headers.insert(format!("{prefix}-customer-key-md5"), digest);
}

#[dyn_dispatch_hint]
impl Intercept for Terms {
    fn name(&self) -> &'static str {
        "Terms"
    }

    fn modify_before_signing(
        &self,
        exchange: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let bucket = settings
            .load::<EndpointResolverParams>()
            .and_then(|params| params.get::<Params>()?.bucket());
        if let (Some(operation), Some(bucket)) = (settings.load::<Metadata>(), bucket) {
            let bucket = BucketName::new(bucket);
            self.apply(operation.name(), &bucket, exchange.request_mut());
        }
        Ok(())
    }
}

impl S3Bucket {
    /// Adds to a copy what is said of the bucket it takes from.
    pub(super) fn of_source(
        &self,
        source: &BucketName,
    ) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
        let (terms, source) = (self.connection.terms.clone(), source.clone());
        move |request| terms.apply_to_source(&source, request)
    }
}
