//! Tries on the live endpoint what a dialect claims: raw requests, each once and without the
//! client's own safeguards, below a prefix of its own, which is empty again afterwards. Decides
//! nothing; what was seen is compared in `store::probe`.

use std::error::Error;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier, Tag, Tagging,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::S3Bucket;
use super::delete::with_content_md5;
use super::fault::Fault;
use crate::limits::MIB;
use crate::object::{ObjectKey, ObjectVersion};
use crate::store::probe::{Kept, Seen};
use crate::store::{Bucket, ListRequest, ObjectHeaders, Payload, Precondition, StoreResult};

mod names;

/// An entity tag that no object has.
const NO_ETAG: &str = "\"00000000000000000000000000000000\"";
/// Sizes of parts that are tried, least first: below every limit, then those of Alibaba OSS,
/// Tencent COS and AWS.
const PART_SIZES: [u64; 4] = [1, 100 * 1024, MIB, 5 * MIB];
/// The object that copies are tried with, in ranges of its halves: AWS takes ranges of sources
/// above 5 MB only (Amazon S3, UploadPartCopy).
const SOURCE_BYTES: u64 = 6 * MIB;
/// The objects that conditional writes are tried on, one each: a key may be written once a second
/// only (Cloudflare R2, "Limits").
const TAKEN: [&str; 3] = ["taken by put", "taken by match", "taken by upload"];
const WRITE_PAUSE: Duration = Duration::from_millis(1100);

impl S3Bucket {
    /// Tries what the bucket's store does, below `prefix`, which ends in `/` and must hold nothing.
    ///
    /// # Errors
    /// By meaning, when not even the simplest requests succeed; what was stored by then is removed.
    pub(super) async fn try_rules(&self, prefix: &str) -> StoreResult<Seen> {
        let scratch = Scratch {
            bucket: self,
            client: self.connection.client().0,
            prefix,
        };
        let seen = scratch.try_all().await;
        let removed = scratch.remove_all().await;
        let seen = seen?;
        removed?;
        Ok(seen)
    }
}

/// The place where rules are tried.
struct Scratch<'a> {
    bucket: &'a S3Bucket,
    client: Client,
    prefix: &'a str,
}

/// Copied parts as they were seen.
struct Copies {
    part_source: Kept,
    part_copied: Result<u64, String>,
    range_past_end: Kept,
}

/// Uploads as they were seen.
struct Uploads {
    complete_absent: Kept,
    object_size: Kept,
    part_size_min: Option<u64>,
    unequal_parts: bool,
    multipart_etag: String,
}

impl Scratch<'_> {
    async fn try_all(&self) -> StoreResult<Seen> {
        let source = self
            .put("source", Bytes::from(vec![7; SOURCE_BYTES as usize]))
            .await?;
        for name in TAKEN {
            self.put(name, Bytes::from_static(b"taken")).await?;
        }
        let names = self.try_names().await?;
        let copies = self.try_part_copies(&source).await?;
        tokio::time::sleep(WRITE_PAUSE).await;
        let uploads = self.try_uploads().await?;
        Ok(Seen {
            put_absent: self.try_put(TAKEN[0], Some("*"), None).await,
            put_unchanged: self.try_put(TAKEN[1], None, Some(NO_ETAG)).await,
            content_md5: self.try_content_md5().await,
            copy_source: self.try_copy_source(&source).await,
            part_source: copies.part_source,
            part_copied: copies.part_copied,
            range_past_end: copies.range_past_end,
            complete_absent: uploads.complete_absent,
            object_size: uploads.object_size,
            part_size_min: uploads.part_size_min,
            unequal_parts: uploads.unequal_parts,
            multipart_etag: uploads.multipart_etag,
            delete_unchanged: self.try_delete().await,
            delete_many_unchanged: self.try_delete_many_unchanged().await?,
            odd_keys: names.odd_keys,
            backslash: names.backslash,
            marker_metadata: self.try_marker().await?,
            is_sorted: names.is_sorted,
            folds: names.folds,
            lists_at_once: names.lists_at_once,
            tags: self.try_tags().await,
            versions: source.version_id.is_some(),
            deletes_many: self.try_delete_many().await?,
        })
    }

    fn key(&self, name: &str) -> ObjectKey {
        ObjectKey::new(format!("{}{name}", self.prefix))
    }

    /// By the client's own way, with its retries.
    async fn put(&self, name: &str, body: Bytes) -> StoreResult<ObjectVersion> {
        let headers = ObjectHeaders::default();
        let body = Payload::from(body);
        self.bucket
            .put(&self.key(name), body, &headers, &Precondition::None)
            .await
    }

    /// A PutObject over what is there, which must not succeed.
    async fn try_put(
        &self,
        name: &str,
        if_none_match: Option<&str>,
        if_match: Option<&str>,
    ) -> Kept {
        let request = self.client.put_object().bucket(self.bucket.name.as_str());
        let request = request
            .key(self.key(name).as_str())
            .set_if_none_match(if_none_match.map(str::to_owned))
            .set_if_match(if_match.map(str::to_owned))
            .body(ByteStream::from_static(b"overwritten"));
        kept(request.send().await)
    }

    async fn try_content_md5(&self) -> Kept {
        let request = self.client.put_object().bucket(self.bucket.name.as_str());
        let outcome = request
            .key(self.key("md5").as_str())
            .content_md5(STANDARD.encode([0; 16]))
            .body(ByteStream::from_static(b"not of that digest"))
            .send()
            .await;
        match kept(outcome) {
            Kept::Refused(code) if matches!(code.as_str(), "BadDigest" | "InvalidDigest") => {
                Kept::Honoured
            }
            other => other,
        }
    }

    /// A DeleteObject of what is there, which must not succeed.
    async fn try_delete(&self) -> Kept {
        let request = self.client.delete_object();
        let request = request.bucket(self.bucket.name.as_str());
        let request = request.key(self.key(TAKEN[0]).as_str()).if_match(NO_ETAG);
        kept(request.send().await)
    }

    /// Whether an object whose key ends in a slash keeps its metadata.
    async fn try_marker(&self) -> StoreResult<bool> {
        let key = self.key("marker/");
        let request = self.client.put_object().bucket(self.bucket.name.as_str());
        let request = request.key(key.as_str()).metadata("mode", "16832");
        if request.send().await.is_err() {
            return Ok(false);
        }
        let found = self.bucket.head(&key).await?.headers.metadata;
        Ok(found.contains_key("mode"))
    }

    async fn try_copy_source(&self, source: &ObjectVersion) -> Kept {
        let request = self.client.copy_object().bucket(self.bucket.name.as_str());
        let request = request
            .key(self.key("copy").as_str())
            .copy_source(super::headers::copy_source(source))
            .copy_source_if_match(NO_ETAG);
        kept(request.send().await)
    }

    async fn try_part_copies(&self, source: &ObjectVersion) -> StoreResult<Copies> {
        let upload = self.upload("parts").await?;
        let half = SOURCE_BYTES / 2;
        let copied = self
            .copy_part(&upload, 1, source, (half, SOURCE_BYTES - 1), None)
            .await;
        let part_copied = match copied {
            Ok(()) => Ok(self.size_of_part(&upload, 1).await?),
            Err(refused) => Err(refused.word()),
        };
        let part_source = self
            .copy_part(&upload, 2, source, (0, half - 1), Some(NO_ETAG))
            .await;
        let past_end = self
            .copy_part(&upload, 3, source, (half, SOURCE_BYTES + half), None)
            .await;
        let range_past_end = match past_end {
            Ok(()) => Kept::Ignored,
            Err(_) => Kept::Honoured,
        };
        Ok(Copies {
            part_source: part_source.err().unwrap_or(Kept::Ignored),
            part_copied,
            range_past_end,
        })
    }

    /// `Err` when the store refused, or took it for an UploadPart of nothing.
    async fn copy_part(
        &self,
        upload: &str,
        number: i32,
        source: &ObjectVersion,
        (first, last): (u64, u64),
        if_match: Option<&str>,
    ) -> Result<(), Kept> {
        let request = self.client.upload_part_copy();
        let outcome = request
            .bucket(self.bucket.name.as_str())
            .key(self.key("parts").as_str())
            .upload_id(upload)
            .part_number(number)
            .copy_source(super::headers::copy_source(source))
            .copy_source_range(format!("bytes={first}-{last}"))
            .set_copy_source_if_match(if_match.map(str::to_owned))
            .send()
            .await;
        match outcome {
            Ok(answer) if answer.copy_part_result().is_some() => Ok(()),
            Ok(_) => Err(Kept::Refused("no CopyPartResult".to_owned())),
            Err(error) => Err(kept::<(), _>(Err(error))),
        }
    }

    async fn try_uploads(&self) -> StoreResult<Uploads> {
        let mut part_size_min = None;
        let mut multipart_etag = String::new();
        for size in PART_SIZES {
            // The same number of bytes twice, as stores with equal parts want it.
            let name = format!("of-{size}");
            if let Ok(etag) = self
                .complete(&name, &[size, size], Guards::default())
                .await?
            {
                part_size_min = Some(size);
                // Ceph 16 answers without one.
                multipart_etag = match etag.is_empty() {
                    true => self
                        .bucket
                        .head(&self.key(&name))
                        .await?
                        .version
                        .etag
                        .as_str()
                        .to_owned(),
                    false => etag,
                };
                break;
            }
        }
        let size = part_size_min.unwrap_or(5 * MIB);
        let sizes = [size, size + 1, 1];
        let unequal_parts = self
            .complete("unequal", &sizes, Guards::default())
            .await?
            .is_ok();
        let wrong_size = Guards {
            object_size: Some(1),
            ..Guards::default()
        };
        let object_size = self.complete("guarded", &[size, 2], wrong_size).await?;
        let absent = Guards {
            if_none_match: Some("*"),
            ..Guards::default()
        };
        let complete_absent = self.complete(TAKEN[2], &[16], absent).await?;
        Ok(Uploads {
            complete_absent: complete_absent.err().unwrap_or(Kept::Ignored),
            object_size: match object_size {
                Ok(_) => Kept::Ignored,
                // There is no code of its own for it.
                Err(Kept::Refused(code)) if code == "InvalidRequest" => Kept::Honoured,
                Err(other) => other,
            },
            part_size_min,
            unequal_parts,
            multipart_etag,
        })
    }

    /// Uploads parts of these sizes and completes the upload; its entity tag, or why not. Nothing
    /// is left of an upload that was refused.
    async fn complete(
        &self,
        name: &str,
        sizes: &[u64],
        guards: Guards,
    ) -> StoreResult<Result<String, Kept>> {
        let id = self.upload(name).await?;
        let (bucket, key) = (self.bucket.name.as_str(), self.key(name));
        let mut parts = Vec::new();
        for (number, size) in (1..).zip(sizes) {
            let body = ByteStream::from(Bytes::from(vec![b'p'; *size as usize]));
            let request = self.client.upload_part().bucket(bucket).key(key.as_str());
            let part = request.upload_id(&id).part_number(number).body(body);
            match part.send().await {
                Ok(part) => parts.push(
                    CompletedPart::builder()
                        .part_number(number)
                        .set_e_tag(part.e_tag().map(str::to_owned))
                        .build(),
                ),
                Err(error) => return Ok(Err(kept::<(), _>(Err(error)))),
            }
        }
        let list = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let request = self.client.complete_multipart_upload();
        let outcome = request
            .bucket(bucket)
            .key(key.as_str())
            .upload_id(&id)
            .multipart_upload(list.build())
            .set_if_none_match(guards.if_none_match.map(str::to_owned))
            .set_mpu_object_size(guards.object_size)
            .send()
            .await;
        Ok(match outcome {
            Ok(answer) => Ok(answer.e_tag().unwrap_or_default().to_owned()),
            Err(error) => Err(kept::<(), _>(Err(error))),
        })
    }

    async fn upload(&self, name: &str) -> StoreResult<String> {
        let headers = ObjectHeaders::default();
        let upload = self.bucket.create_upload(&self.key(name), &headers).await?;
        Ok(upload.id)
    }

    async fn size_of_part(&self, upload: &str, number: i32) -> StoreResult<u64> {
        let key = self.key("parts");
        let call = self.bucket.call("ListParts").key(&key);
        let listing = self.bucket.run_simply(call, |attempt| {
            let request = attempt.client.list_parts();
            let request = request.bucket(self.bucket.name.as_str()).key(key.as_str());
            let request = request.upload_id(upload);
            async move { Ok(request.send().await?) }
        });
        let answer = listing.await?;
        let mut parts = answer.parts().iter();
        let part = parts.find(|part| part.part_number() == Some(number));
        let size = part.and_then(aws_sdk_s3::types::Part::size).unwrap_or(0);
        Ok(u64::try_from(size).unwrap_or(0))
    }

    async fn try_tags(&self) -> bool {
        let (bucket, key) = (self.bucket.name.as_str(), self.key("source"));
        let tag = Tag::builder().key("probe").value("yes").build();
        let tags = tag.and_then(|tag| Tagging::builder().tag_set(tag).build());
        let Ok(tags) = tags else { return false };
        let put = self.client.put_object_tagging().bucket(bucket);
        if put.key(key.as_str()).tagging(tags).send().await.is_err() {
            return false;
        }
        let get = self.client.get_object_tagging().bucket(bucket);
        let told = get.key(key.as_str()).send().await;
        told.is_ok_and(|told| {
            told.tag_set()
                .iter()
                .any(|tag| (tag.key(), tag.value()) == ("probe", "yes"))
        })
    }

    async fn try_delete_many(&self) -> StoreResult<bool> {
        let version = self.put("deleted", Bytes::from_static(b"d")).await?;
        let is_answered = self.delete_many(&version.key, None).await;
        let is_gone = self.bucket.head(&version.key).await.is_err();
        Ok(is_answered && is_gone)
    }

    async fn try_delete_many_unchanged(&self) -> StoreResult<Kept> {
        let version = self.put("changed", Bytes::from_static(b"c")).await?;
        let is_answered = self.delete_many(&version.key, Some(NO_ETAG)).await;
        Ok(match self.bucket.head(&version.key).await {
            Ok(_) if is_answered => Kept::Honoured,
            Ok(_) => Kept::Refused("DeleteObjects".to_owned()),
            Err(_) => Kept::Ignored,
        })
    }

    /// Whether a DeleteObjects of one object was answered.
    async fn delete_many(&self, key: &ObjectKey, etag: Option<&str>) -> bool {
        let object = ObjectIdentifier::builder().key(key.as_str());
        let object = object.set_e_tag(etag.map(str::to_owned)).build();
        let list = object.and_then(|object| Delete::builder().objects(object).build());
        let Ok(list) = list else { return false };
        let request = self.client.delete_objects();
        let request = request.bucket(self.bucket.name.as_str()).delete(list);
        let request = request.customize().mutate_request(with_content_md5);
        request.send().await.is_ok()
    }

    /// Removes every object, version and upload below the prefix.
    async fn remove_all(&self) -> StoreResult<()> {
        for upload in self.bucket.uploads(self.prefix).await? {
            self.bucket.abort_upload(&upload).await?;
        }
        self.remove_versions().await;
        let mut request = ListRequest {
            prefix: self.prefix.to_owned(),
            ..ListRequest::default()
        };
        loop {
            let page = self.bucket.list(&request).await?;
            let keys: Vec<ObjectKey> = page.objects.into_iter().map(|object| object.key).collect();
            let kept = self.bucket.delete_many(&keys).await?;
            if let Some((_, error)) = kept.into_iter().next() {
                return Err(error);
            }
            match page.continuation {
                Some(continuation) => request.continuation = Some(continuation),
                None => return Ok(()),
            }
        }
    }

    /// In a bucket that keeps versions a delete only adds one. Stores that list no versions keep
    /// none.
    async fn remove_versions(&self) {
        let bucket = self.bucket.name.as_str();
        let request = self.client.list_object_versions().bucket(bucket);
        let Ok(listed) = request.prefix(self.prefix).send().await else {
            return;
        };
        let versions = listed.versions().iter();
        let versions = versions.map(|version| (version.key(), version.version_id()));
        let markers = listed.delete_markers().iter();
        let markers = markers.map(|marker| (marker.key(), marker.version_id()));
        for (key, id) in versions.chain(markers) {
            if let (Some(key), Some(id)) = (key, id.filter(|id| *id != "null")) {
                let request = self.client.delete_object().bucket(bucket).key(key);
                // What is still there shows in the listing that follows.
                let _ = request.version_id(id).send().await;
            }
        }
    }
}

/// What a CompleteMultipartUpload is sent with.
#[derive(Clone, Copy, Default)]
struct Guards {
    if_none_match: Option<&'static str>,
    object_size: Option<i64>,
}

/// How a request ended whose condition does not hold.
fn kept<T, E>(outcome: Result<T, SdkError<E, HttpResponse>>) -> Kept
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match outcome.map_err(Fault::from) {
        Ok(_) => Kept::Ignored,
        Err(Fault::Answer(answer)) if answer.is_condition_failed() => Kept::Honoured,
        Err(Fault::Answer(answer)) if answer.code.is_empty() => {
            Kept::Refused(answer.status.to_string())
        }
        Err(Fault::Answer(answer)) => Kept::Refused(answer.code),
        Err(fault) => Kept::Refused(fault.brief()),
    }
}
