//! The service's buckets: keys, versions and uploads under way, and the rules for changing them.
//! Knows no HTTP and no S3 message, only S3's error codes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use s3s::dto::ETagCondition;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::content::Content;
use super::journal::Journal;
use crate::store::{ObjectHeaders, Tags};

/// One version's content and what travels with it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) content: Content,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) headers: ObjectHeaders,
    /// The digest of the key it is encrypted with, where requests carry that.
    pub(super) customer_key: Option<String>,
    /// Whole seconds, as HTTP dates are.
    pub(super) modified: SystemTime,
}

/// A version of a key.
#[derive(Clone, Debug)]
pub(super) struct Version {
    /// `None` in a bucket that does not keep versions.
    pub(super) id: Option<String>,
    /// `None` for a delete marker.
    pub(super) object: Option<Arc<Stored>>,
}

/// A part of an upload.
#[derive(Clone, Debug)]
pub(super) struct UploadedPart {
    pub(super) content: Content,
    pub(super) etag: String,
    pub(super) modified: SystemTime,
}

/// A multipart upload under way.
#[derive(Clone, Debug)]
pub(super) struct OpenUpload {
    pub(super) headers: ObjectHeaders,
    pub(super) customer_key: Option<String>,
    pub(super) initiated: SystemTime,
    pub(super) parts: BTreeMap<u32, UploadedPart>,
}

/// One bucket.
#[derive(Debug)]
pub(super) struct BucketState {
    pub(super) versioned: bool,
    pub(super) created: SystemTime,
    /// Versions of each key, oldest first; never empty.
    pub(super) objects: BTreeMap<String, Vec<Version>>,
    /// By key, then upload id.
    pub(super) uploads: BTreeMap<(String, String), OpenUpload>,
    /// Listings so far.
    pub(super) listings: u64,
    /// How many there were when a key was first written.
    pub(super) born: BTreeMap<String, u64>,
    /// What keys have stood in as if they were paths, each with a slash at its end, until it is
    /// deleted by that key.
    pub(super) directories: BTreeSet<String>,
}

impl BucketState {
    pub(super) fn current(&self, key: &str) -> Option<&Arc<Stored>> {
        self.objects.get(key)?.last()?.object.as_ref()
    }

    /// What HEAD finds of a directory that has no object, where there are directories.
    pub(super) fn directory(&self, key: &str) -> Option<Arc<Stored>> {
        let headers = ObjectHeaders {
            content_type: Some("application/x-directory".into()),
            ..ObjectHeaders::default()
        };
        self.directories.contains(key).then(|| {
            Arc::new(Stored {
                content: Content::default(),
                etag: "d41d8cd98f00b204e9800998ecf8427e-0".into(),
                headers,
                customer_key: None,
                modified: self.created,
            })
        })
    }

    /// A key was deleted; if it is a directory's, the directory goes, too, unless it holds
    /// anything.
    fn delete_directory(&mut self, key: &str) {
        let is_below = |other: &String| other.starts_with(key) && other != key;
        let mut objects = self.objects.range(key.to_owned()..).map(|(key, _)| key);
        let mut directories = self.directories.range(key.to_owned()..);
        if !objects.any(is_below) && !directories.any(is_below) {
            self.directories.remove(key);
        }
    }

    pub(super) fn upload(&mut self, key: &str, id: &str) -> S3Result<&mut OpenUpload> {
        self.uploads
            .get_mut(&(key.into(), id.into()))
            .ok_or_else(|| s3_error!(NoSuchUpload))
    }
}

/// What must hold of the destination of a write.
#[derive(Clone, Default, Debug)]
pub(super) struct WriteCondition {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    /// Whether nothing is answered 412 by `if_match`; 404 otherwise.
    pub(super) absent_is_412: bool,
    /// Whether a directory without an object is in the way of `if_none_match`.
    pub(super) finds_directories: bool,
    /// A vendor's header for nothing to be overwritten.
    pub(super) forbids_overwrite: bool,
}

impl WriteCondition {
    fn check(&self, current: Option<&Arc<Stored>>, versioned: bool) -> S3Result<()> {
        // OSS, PutObject: 409, and no effect where versioning is or was enabled.
        if self.forbids_overwrite && !versioned && current.is_some() {
            let code = S3ErrorCode::Custom("FileAlreadyExists".into());
            let mut error = S3Error::new(code);
            error.set_status_code(StatusCode::CONFLICT);
            return Err(error);
        }
        match (&self.if_match, current) {
            (None, _) => {}
            (Some(_), None) if self.absent_is_412 => return Err(s3_error!(PreconditionFailed)),
            (Some(_), None) => return Err(s3_error!(NoSuchKey)),
            (Some(condition), Some(stored)) if names(condition, &stored.etag) => {}
            (Some(_), Some(_)) => return Err(s3_error!(PreconditionFailed)),
        }
        match (&self.if_none_match, current) {
            (None, _) | (Some(ETagCondition::Any), None) => Ok(()),
            (Some(ETagCondition::Any), Some(_)) => Err(s3_error!(PreconditionFailed)),
            // AWS takes nothing but `*` here (API reference, PutObject, If-None-Match).
            (Some(ETagCondition::ETag(_)), _) => Err(s3_error!(NotImplemented)),
        }
    }
}

/// Whether a condition names this entity tag.
pub(super) fn names(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

/// What a delete did.
#[derive(Debug)]
pub(super) struct Deleted {
    /// The version that is gone, or the marker that was made.
    pub(super) version_id: Option<String>,
    /// Whether that is a delete marker.
    pub(super) marker: bool,
}

/// All buckets of a service.
#[derive(Debug)]
pub(super) struct Buckets {
    /// Dropped before the objects, so that their files stay.
    pub(super) journal: Option<Journal>,
    pub(super) by_name: BTreeMap<String, BucketState>,
    id_next: u64,
}

impl Buckets {
    pub(super) fn new() -> Self {
        // Ids of one run never meet those of another: a kept service would mix them up.
        let start = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            by_name: BTreeMap::new(),
            journal: None,
            id_next: start.as_nanos() as u64,
        }
    }

    /// A number that no version, upload or file had before.
    pub(super) fn id(&mut self) -> u64 {
        self.id_next += 1;
        self.id_next
    }

    pub(super) fn create(&mut self, name: &str, versioned: bool) -> S3Result<()> {
        if self.by_name.contains_key(name) {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        self.write_down(|journal| journal.bucket(name, versioned))?;
        self.restore_bucket(name, versioned);
        Ok(())
    }

    pub(super) fn restore_bucket(&mut self, name: &str, versioned: bool) {
        let bucket = BucketState {
            versioned,
            created: now(),
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            listings: 0,
            born: BTreeMap::new(),
            directories: BTreeSet::new(),
        };
        self.by_name.insert(name.into(), bucket);
    }

    pub(super) fn bucket(&self, name: &str) -> S3Result<&BucketState> {
        self.by_name
            .get(name)
            .ok_or_else(|| s3_error!(NoSuchBucket))
    }

    pub(super) fn bucket_mut(&mut self, name: &str) -> S3Result<&mut BucketState> {
        self.by_name
            .get_mut(name)
            .ok_or_else(|| s3_error!(NoSuchBucket))
    }

    /// The version asked for, or the current one.
    pub(super) fn find(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
    ) -> S3Result<(Arc<Stored>, Option<String>)> {
        let versions = self.bucket(bucket)?.objects.get(key);
        let version = match version_id {
            None => versions.and_then(|versions| versions.last()),
            Some(id) => {
                let mut versions = versions.into_iter().flatten();
                let found = versions.find(|version| version.id.as_deref().unwrap_or("null") == id);
                Some(found.ok_or_else(|| s3_error!(NoSuchVersion))?)
            }
        };
        let version = version.ok_or_else(|| s3_error!(NoSuchKey))?;
        match &version.object {
            Some(object) => Ok((Arc::clone(object), version.id.clone())),
            None => Err(marker_error(version_id)),
        }
    }

    /// Makes an object the current version of a key; returns its version id.
    pub(super) fn publish(
        &mut self,
        bucket: &str,
        key: &str,
        stored: Stored,
        condition: &WriteCondition,
    ) -> S3Result<Option<String>> {
        let state = self.bucket(bucket)?;
        let directory = state.directory(key);
        let directory = directory.as_ref().filter(|_| condition.finds_directories);
        condition.check(state.current(key).or(directory), state.versioned)?;
        let id = state.versioned.then(|| format!("{:016x}", self.id()));
        let version = Version {
            id: id.clone(),
            object: Some(Arc::new(stored)),
        };
        self.append(bucket, key, version)?;
        Ok(id)
    }

    fn append(&mut self, bucket: &str, key: &str, version: Version) -> S3Result<()> {
        self.write_down(|journal| journal.version(bucket, key, &version))?;
        self.restore_version(bucket, key, version);
        Ok(())
    }

    pub(super) fn restore_version(&mut self, bucket: &str, key: &str, version: Version) {
        let Some(state) = self.by_name.get_mut(bucket) else {
            return;
        };
        if state.current(key).is_none() {
            state.born.insert(key.into(), state.listings);
        }
        let slashes = key.match_indices('/').map(|(at, _)| key[..=at].to_owned());
        state.directories.extend(slashes);
        let versions = state.objects.entry(key.into()).or_default();
        if version.id.is_none() {
            versions.clear();
        }
        versions.push(version);
    }

    /// Deletes a version, or the current one; what is not there is deleted already.
    pub(super) fn delete(
        &mut self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
    ) -> S3Result<Deleted> {
        let state = self.bucket(bucket)?;
        if state.versioned && version_id.is_none() {
            let id = Some(format!("{:016x}", self.id()));
            self.append(
                bucket,
                key,
                Version {
                    id: id.clone(),
                    object: None,
                },
            )?;
            return Ok(Deleted {
                version_id: id,
                marker: true,
            });
        }
        let marker = state
            .objects
            .get(key)
            .into_iter()
            .flatten()
            .any(|version| version.object.is_none() && version.id.as_deref() == version_id);
        if state.objects.contains_key(key) {
            self.write_down(|journal| journal.delete(bucket, key, version_id))?;
            self.restore_delete(bucket, key, version_id);
        }
        self.bucket_mut(bucket)?.delete_directory(key);
        Ok(Deleted {
            version_id: version_id.map(str::to_owned),
            marker,
        })
    }

    pub(super) fn restore_delete(&mut self, bucket: &str, key: &str, version_id: Option<&str>) {
        let Some(state) = self.by_name.get_mut(bucket) else {
            return;
        };
        let Some(versions) = state.objects.get_mut(key) else {
            return;
        };
        versions.retain(|version| version_id.is_some() && version.id.as_deref() != version_id);
        if versions.is_empty() {
            state.objects.remove(key);
        }
    }

    /// Makes these the tags of a version, or of the current one; returns its id.
    pub(super) fn set_tags(
        &mut self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
        tags: BTreeMap<String, String>,
    ) -> S3Result<Option<String>> {
        let (_, id) = self.find(bucket, key, version_id)?;
        self.write_down(|journal| journal.tags(bucket, key, id.as_deref(), &tags))?;
        self.restore_tags(bucket, key, id.as_deref(), &Tags::These(tags));
        Ok(id)
    }

    pub(super) fn restore_tags(&mut self, bucket: &str, key: &str, id: Option<&str>, tags: &Tags) {
        let objects = self.by_name.get_mut(bucket).map(|state| &mut state.objects);
        let versions = objects.and_then(|objects| objects.get_mut(key));
        for version in versions.into_iter().flatten() {
            if let Some(stored) = &mut version.object
                && version.id.as_deref() == id
            {
                Arc::make_mut(stored).headers.tags = tags.clone();
            }
        }
    }

    fn write_down(&mut self, record: impl FnOnce(&mut Journal) -> io::Result<()>) -> S3Result<()> {
        self.journal
            .as_mut()
            .map_or(Ok(()), record)
            .map_err(S3Error::internal_error)
    }
}

/// AWS: 404 for a current marker, 405 for one named by its version, both with
/// `x-amz-delete-marker` (user guide, "Working with delete markers").
fn marker_error(version_id: Option<&str>) -> S3Error {
    let code = match version_id {
        None => S3ErrorCode::NoSuchKey,
        Some(_) => S3ErrorCode::MethodNotAllowed,
    };
    let mut error = S3Error::new(code);
    let mut headers = http::HeaderMap::new();
    headers.insert(
        "x-amz-delete-marker",
        http::HeaderValue::from_static("true"),
    );
    error.set_headers(headers);
    error
}

/// The time in whole seconds.
pub(super) fn now() -> SystemTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}
