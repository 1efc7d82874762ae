//! The store behind a mount as another client of it sees it: plain S3 requests. Knows no mount.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use tokio::runtime::Runtime;

use crate::access::Access;

/// Another client of the store.
pub struct Store {
    runtime: Runtime,
    client: Client,
}

/// Size and ETag of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    pub size: u64,
    pub etag: String,
}

impl Store {
    pub fn new(access: &Access) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self {
            runtime,
            client: access.client(),
        }
    }

    /// Makes a bucket, unless it is there or cannot be made now.
    pub fn make_bucket(&self, bucket: &str) {
        let _ = self
            .runtime
            .block_on(self.client.create_bucket().bucket(bucket).send());
    }

    pub fn put(&self, bucket: &str, key: &str, body: impl Into<Vec<u8>>) {
        let body = ByteStream::from(body.into());
        let request = self.client.put_object().bucket(bucket).key(key).body(body);
        self.runtime.block_on(request.send()).unwrap();
    }

    /// Removes an object, if there is one.
    pub fn delete(&self, bucket: &str, key: &str) {
        let request = self.client.delete_object().bucket(bucket).key(key);
        self.runtime.block_on(request.send()).unwrap();
    }

    /// Whether an object can be stored now.
    pub fn try_put(&self, bucket: &str, key: &str) -> bool {
        let request = self.client.put_object().bucket(bucket).key(key);
        self.runtime.block_on(request.send()).is_ok()
    }

    /// All bytes of an object.
    ///
    /// # Panics
    /// If there is none.
    pub fn get(&self, bucket: &str, key: &str) -> Vec<u8> {
        let request = self.client.get_object().bucket(bucket).key(key);
        self.runtime.block_on(async {
            let answer = request
                .send()
                .await
                .unwrap_or_else(|e| panic!("{bucket}/{key}: {e:?}"));
            answer.body.collect().await.unwrap().to_vec()
        })
    }

    pub fn head(&self, bucket: &str, key: &str) -> Option<Found> {
        let request = self.client.head_object().bucket(bucket).key(key);
        let answer = self.runtime.block_on(request.send()).ok()?;
        Some(Found {
            size: answer.content_length().unwrap_or(0).unsigned_abs(),
            etag: answer.e_tag().unwrap().to_owned(),
        })
    }

    /// The keys of the multipart uploads under way.
    pub fn uploads(&self, bucket: &str) -> Vec<String> {
        let request = self.client.list_multipart_uploads().bucket(bucket);
        let page = self.runtime.block_on(request.send()).unwrap();
        page.uploads()
            .iter()
            .map(|upload| upload.key().unwrap().to_owned())
            .collect()
    }
}
