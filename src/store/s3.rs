//! The aws-sdk-s3 client of one bucket; one file an operation family. Knows no file, no inode and
//! no plan.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::limits::Limits;
use crate::object::{BucketName, ObjectKey, ObjectRange, ObjectVersion};
use crate::store::{
    Bucket, CopyHeaders, ListPage, ListRequest, ObjectHeaders, ObjectStat, PartNumber, Payload,
    Precondition, StoreError, StoreResult, StoredPart, Upload,
};

mod append;
mod call;
mod client;
mod connect;
mod copy;
mod delete;
mod endpoint;
mod fault;
mod get;
mod headers;
mod list;
mod markers;
mod meaning;
mod multipart;
mod payload;
mod probe;
mod put;
mod recent;
mod rename;
mod server;
mod settle;
mod tags;
mod terms;
mod transport;
mod wire;

use client::Connection;
use delete::Doomed;

pub use client::S3Store;
pub use connect::ConnectError;

/// One bucket reached through the S3 API.
pub struct S3Bucket {
    name: BucketName,
    connection: Arc<Connection>,
}

impl fmt::Debug for S3Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Bucket")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Bucket for S3Bucket {
    fn name(&self) -> &BucketName {
        &self.name
    }

    fn limits(&self) -> &Limits {
        &self.connection.dialect.limits
    }

    fn keeps_preconditions(&self) -> bool {
        self.keeps_conditions()
    }

    async fn check(&self, prefix: &str) -> StoreResult<()> {
        self.check_reachable(prefix).await
    }

    async fn head(&self, key: &ObjectKey) -> StoreResult<ObjectStat> {
        self.head_object(key).await
    }

    async fn get(&self, source: &ObjectRange) -> StoreResult<Bytes> {
        self.get_object(source).await
    }

    async fn list(&self, request: &ListRequest) -> StoreResult<ListPage> {
        self.list_objects(request).await
    }

    async fn put(
        &self,
        key: &ObjectKey,
        body: Payload,
        headers: &ObjectHeaders,
        precondition: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        let outcome = match markers::is_marker(key) {
            true => self.put_marker(key, &body, headers, precondition).await,
            false => self.put_whole(key, &body, headers, precondition).await,
        };
        self.note(key);
        outcome
    }

    async fn append(
        &self,
        base: &ObjectVersion,
        body: Payload,
    ) -> StoreResult<Option<ObjectVersion>> {
        let outcome = self.append_to_object(base, &body).await;
        self.note(&base.key);
        outcome
    }

    async fn copy(
        &self,
        source: &ObjectVersion,
        key: &ObjectKey,
        headers: &CopyHeaders,
        precondition: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        let outcome = self.copy_object(source, key, headers, precondition).await;
        self.note(key);
        outcome
    }

    async fn rename(
        &self,
        source: &ObjectVersion,
        key: &ObjectKey,
        precondition: &Precondition,
    ) -> StoreResult<Option<ObjectVersion>> {
        let outcome = self.rename_object(source, key, precondition).await;
        self.note(&source.key);
        self.note(key);
        outcome
    }

    async fn create_upload(&self, key: &ObjectKey, headers: &ObjectHeaders) -> StoreResult<Upload> {
        self.create_multipart_upload(key, headers).await
    }

    async fn upload_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        body: Payload,
    ) -> StoreResult<StoredPart> {
        self.upload_one_part(upload, number, &body).await
    }

    async fn copy_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        source: &ObjectRange,
    ) -> StoreResult<StoredPart> {
        self.upload_part_copy(upload, number, source).await
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[StoredPart],
        sources: &[Arc<ObjectVersion>],
        precondition: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        let outcome = self
            .complete_multipart_upload(upload, parts, sources, precondition)
            .await;
        self.note(&upload.key);
        outcome
    }

    async fn abort_upload(&self, upload: &Upload) -> StoreResult<()> {
        self.abort_multipart_upload(upload).await
    }

    async fn uploads(&self, prefix: &str) -> StoreResult<Vec<Upload>> {
        let uploads = self.list_multipart_uploads(prefix).await?;
        Ok(uploads.into_iter().map(|listed| listed.upload).collect())
    }

    async fn tags(&self, version: &ObjectVersion) -> StoreResult<BTreeMap<String, String>> {
        self.tags_of(version).await
    }

    async fn set_tags(&self, key: &ObjectKey, tags: &BTreeMap<String, String>) -> StoreResult<()> {
        self.put_tags(key, tags).await
    }

    async fn delete(&self, key: &ObjectKey) -> StoreResult<()> {
        let outcome = self.delete_object(&Doomed::whatever(key)).await;
        self.note(key);
        outcome
    }

    async fn delete_version(&self, version: &ObjectVersion) -> StoreResult<()> {
        let outcome = self.delete_object(&self.doomed(version)).await;
        self.note(&version.key);
        outcome
    }

    async fn delete_many(&self, keys: &[ObjectKey]) -> StoreResult<Vec<(ObjectKey, StoreError)>> {
        let doomed = keys.iter().map(Doomed::whatever).collect();
        let outcome = self.delete_objects(doomed).await;
        keys.iter().for_each(|key| self.note(key));
        outcome
    }

    async fn delete_moved(
        &self,
        versions: &[Arc<ObjectVersion>],
    ) -> StoreResult<Vec<(ObjectKey, StoreError)>> {
        let doomed = |version: &Arc<ObjectVersion>| self.doomed(version);
        let outcome = match versions {
            [version] => match self.delete_unless_replaced(&doomed(version)).await {
                Ok(()) => Ok(Vec::new()),
                Err(error) => Ok(vec![(version.key.clone(), error)]),
            },
            versions => {
                self.delete_objects(versions.iter().map(doomed).collect())
                    .await
            }
        };
        versions.iter().for_each(|version| self.note(&version.key));
        outcome
    }

    async fn delete_emptied(&self, directories: &[ObjectKey]) -> StoreResult<()> {
        let offers = &self.connection.offers;
        if offers.marker_metadata.is_there() || !offers.marker_types.is_there() {
            return Ok(());
        }
        let kept = self.delete_many(directories).await?;
        kept.into_iter()
            .next()
            .map_or(Ok(()), |(_, error)| Err(error))
    }
}
