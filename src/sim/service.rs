//! S3's messages for the operations the service offers: each unpacks its input and calls the
//! family it belongs to. Knows no fault and no counter.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::state::State;

mod copies;
mod deletes;
mod keys;
mod lists;
mod objects;
mod renames;
mod tags;
mod uploads;

/// The service behind the protocol.
#[derive(Debug)]
pub(super) struct Service(pub(super) Arc<State>);

type Reply<T> = S3Result<S3Response<T>>;

#[async_trait::async_trait]
impl S3 for Service {
    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> Reply<ListBucketsOutput> {
        lists::buckets(&self.0)
    }

    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> Reply<CreateBucketOutput> {
        let name = req.input.bucket;
        self.0.buckets().create(&name, false)?;
        Ok(S3Response::new(CreateBucketOutput {
            location: Some(format!("/{name}")),
        }))
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> Reply<HeadBucketOutput> {
        self.0.buckets().bucket(&req.input.bucket)?;
        let region = Some(self.0.region(&req.input.bucket).into());
        Ok(S3Response::new(HeadBucketOutput {
            bucket_region: region,
            ..Default::default()
        }))
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> Reply<GetBucketLocationOutput> {
        self.0.buckets().bucket(&req.input.bucket)?;
        let region = self.0.region(&req.input.bucket);
        // us-east-1 is told by silence (API reference, GetBucketLocation).
        let told = (region != super::REGION).then(|| region.to_owned().into());
        Ok(S3Response::new(GetBucketLocationOutput {
            location_constraint: told,
        }))
    }

    async fn get_bucket_versioning(
        &self,
        req: S3Request<GetBucketVersioningInput>,
    ) -> Reply<GetBucketVersioningOutput> {
        let versioned = self.0.buckets().bucket(&req.input.bucket)?.versioned;
        let status =
            versioned.then(|| BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED));
        Ok(S3Response::new(GetBucketVersioningOutput {
            status,
            ..Default::default()
        }))
    }

    async fn put_bucket_versioning(
        &self,
        req: S3Request<PutBucketVersioningInput>,
    ) -> Reply<PutBucketVersioningOutput> {
        let status = req.input.versioning_configuration.status;
        let enabled = status.is_some_and(|s| s.as_str() == BucketVersioningStatus::ENABLED);
        let mut buckets = self.0.buckets();
        let bucket = buckets.bucket_mut(&req.input.bucket)?;
        if !self.0.rules.requests.versions || !enabled || !bucket.objects.is_empty() {
            // Suspended versioning and "null" versions are rules of their own.
            return Err(s3_error!(NotImplemented));
        }
        bucket.versioned = true;
        Ok(S3Response::new(PutBucketVersioningOutput::default()))
    }

    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> Reply<ListObjectsOutput> {
        lists::objects(&self.0, req.input)
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> Reply<ListObjectsV2Output> {
        lists::objects_v2(&self.0, req.input)
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> Reply<ListMultipartUploadsOutput> {
        lists::uploads(&self.0, req.input)
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> Reply<ListPartsOutput> {
        lists::parts(&self.0, req.input)
    }

    async fn head_object(&self, mut req: S3Request<HeadObjectInput>) -> Reply<HeadObjectOutput> {
        self.0.take_for_path(&mut req.input.key);
        objects::head(&self.0, req.input)
    }

    async fn get_object(&self, mut req: S3Request<GetObjectInput>) -> Reply<GetObjectOutput> {
        self.0.take_for_path(&mut req.input.key);
        objects::get(&self.0, req.input)
    }

    async fn put_object(&self, mut req: S3Request<PutObjectInput>) -> Reply<PutObjectOutput> {
        self.0.take_for_path(&mut req.input.key);
        let rule = self.0.rules.writes.put_conditions;
        let condition = objects::write_condition(&self.0, &req.headers, rule)?;
        if renames::is_asked_for(&req.uri) {
            return renames::rename(&self.0, &req.input, &req.headers, &condition);
        }
        objects::put(&self.0, req.input, condition).await
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> Reply<CopyObjectOutput> {
        let rule = self.0.rules.writes.copy_conditions;
        let condition = objects::write_condition(&self.0, &req.headers, rule)?;
        copies::copy(&self.0, req.input, condition).await
    }

    async fn delete_object(
        &self,
        mut req: S3Request<DeleteObjectInput>,
    ) -> Reply<DeleteObjectOutput> {
        self.0.take_for_path(&mut req.input.key);
        deletes::one(&self.0, req.input)
    }

    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> Reply<DeleteObjectsOutput> {
        deletes::many(&self.0, req.input)
    }

    async fn get_object_tagging(
        &self,
        req: S3Request<GetObjectTaggingInput>,
    ) -> Reply<GetObjectTaggingOutput> {
        tags::get(&self.0, &req.input)
    }

    async fn put_object_tagging(
        &self,
        req: S3Request<PutObjectTaggingInput>,
    ) -> Reply<PutObjectTaggingOutput> {
        tags::put(&self.0, req.input)
    }

    async fn delete_object_tagging(
        &self,
        req: S3Request<DeleteObjectTaggingInput>,
    ) -> Reply<DeleteObjectTaggingOutput> {
        tags::delete(&self.0, &req.input)
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> Reply<CreateMultipartUploadOutput> {
        uploads::create(&self.0, req.input)
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> Reply<UploadPartOutput> {
        uploads::part(&self.0, req.input).await
    }

    async fn upload_part_copy(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> Reply<UploadPartCopyOutput> {
        uploads::part_copy(&self.0, req.input).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> Reply<CompleteMultipartUploadOutput> {
        let rule = self.0.rules.writes.complete_conditions;
        let condition = objects::write_condition(&self.0, &req.headers, rule)?;
        uploads::complete(&self.0, req.input, &condition)
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> Reply<AbortMultipartUploadOutput> {
        uploads::abort(&self.0, &req.input)
    }
}
