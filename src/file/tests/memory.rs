//! A bucket in memory with toy limits, for tests of file content: strict about everything a
//! store is strict about, and able to fail any request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use crate::limits::Limits;
use crate::object::{BucketName, ETag, ObjectKey, ObjectRange, ObjectVersion};
use crate::store::{
    Bucket, CopyHeaders, ListPage, ListRequest, ObjectHeaders, ObjectStat, PartNumber, Payload,
    Precondition, StoreError, StoreResult, StoredPart, Upload,
};

#[derive(Debug, Clone)]
struct Object {
    etag: ETag,
    bytes: Bytes,
}

#[derive(Debug, Default)]
struct World {
    objects: BTreeMap<ObjectKey, Object>,
    uploads: BTreeMap<String, (ObjectKey, BTreeMap<u32, Object>)>,
    names_given: u64,
    requests: Vec<String>,
    /// The request (counted from now, 0 is the next) that fails.
    fail_in: Option<usize>,
}

/// See the module.
#[derive(Debug)]
pub struct MemoryBucket {
    name: BucketName,
    limits: Limits,
    world: Mutex<World>,
}

impl MemoryBucket {
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            name: BucketName::new("toy"),
            limits,
            world: Mutex::default(),
        })
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The bytes under a key.
    pub fn content(&self, key: &str) -> Option<Vec<u8>> {
        self.world()
            .objects
            .get(&ObjectKey::new(key))
            .map(|object| object.bytes.to_vec())
    }

    /// Replaces an object as another client would.
    pub fn replace(&self, key: &str, bytes: &[u8]) -> ObjectStat {
        let mut world = self.world();
        let version = world.publish(&self.name, &ObjectKey::new(key), bytes.to_vec().into());
        ObjectStat {
            version: Arc::new(version),
            modified: SystemTime::UNIX_EPOCH,
            headers: ObjectHeaders::default(),
        }
    }

    /// Forgets the requests so far.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.world().requests)
    }

    /// Fails the n-th request from now; 0 is the next.
    pub fn fail_in(&self, n: Option<usize>) {
        self.world().fail_in = n;
    }

    /// What [`Self::fail_in`] set, less the requests since; `None` once it has failed.
    pub fn fails_in(&self) -> Option<usize> {
        self.world().fail_in
    }

    /// What HEAD would tell.
    pub fn stat(&self, key: &str) -> ObjectStat {
        self.world()
            .stat(&self.name, &ObjectKey::new(key))
            .expect("no such object")
    }

    /// Uploads under way.
    pub fn open_uploads(&self) -> usize {
        self.world().uploads.len()
    }

    async fn request(&self, what: String) -> StoreResult<MutexGuard<'_, World>> {
        // Let others in between, as any request does.
        for _ in 0..what.len() % 5 {
            tokio::task::yield_now().await;
        }
        let mut world = self.world();
        world.requests.push(what);
        match world.fail_in {
            Some(0) => {
                world.fail_in = None;
                Err(StoreError::Failed {
                    operation: "test",
                    resource: "toy".into(),
                    status: 500,
                    code: "Injected".into(),
                    message: String::new(),
                    attempts: 1,
                })
            }
            left => {
                world.fail_in = left.map(|n| n - 1);
                Ok(world)
            }
        }
    }

    fn pinned(&self, world: &World, version: &ObjectVersion) -> StoreResult<Bytes> {
        match world.objects.get(&version.key) {
            Some(object) if object.etag.matches(&version.etag) => Ok(object.bytes.clone()),
            _ => Err(StoreError::Stale {
                bucket: self.name.clone(),
                key: version.key.clone(),
            }),
        }
    }

    fn allowed(
        &self,
        world: &World,
        key: &ObjectKey,
        precondition: &Precondition,
    ) -> StoreResult<()> {
        let (bucket, key, now) = (self.name.clone(), key.clone(), world.objects.get(key));
        match (precondition, now) {
            (Precondition::Absent, Some(_)) => Err(StoreError::Exists { bucket, key }),
            (Precondition::Unchanged(_), None) => Err(StoreError::Stale { bucket, key }),
            (Precondition::Unchanged(etag), Some(now)) if !now.etag.matches(etag) => {
                Err(StoreError::Stale { bucket, key })
            }
            _ => Ok(()),
        }
    }
}

impl World {
    fn stat(&self, bucket: &BucketName, key: &ObjectKey) -> Option<ObjectStat> {
        let object = self.objects.get(key)?;
        let version = Arc::new(ObjectVersion {
            bucket: bucket.clone(),
            key: key.clone(),
            etag: object.etag.clone(),
            version_id: None,
            size: object.bytes.len() as u64,
        });
        let modified = SystemTime::UNIX_EPOCH;
        Some(ObjectStat {
            version,
            modified,
            headers: ObjectHeaders::default(),
        })
    }

    fn publish(&mut self, bucket: &BucketName, key: &ObjectKey, bytes: Bytes) -> ObjectVersion {
        self.names_given += 1;
        let etag = ETag::new(format!("\"{}\"", self.names_given));
        let size = bytes.len() as u64;
        self.objects.insert(
            key.clone(),
            Object {
                etag: etag.clone(),
                bytes,
            },
        );
        ObjectVersion {
            bucket: bucket.clone(),
            key: key.clone(),
            etag,
            version_id: None,
            size,
        }
    }

    fn store_part(&mut self, upload: &Upload, number: PartNumber, bytes: Bytes) -> StoredPart {
        self.names_given += 1;
        let etag = ETag::new(self.names_given.to_string());
        let size = bytes.len() as u64;
        let (_, parts) = self.uploads.get_mut(&upload.id).expect("no such upload");
        parts.insert(
            number.0,
            Object {
                etag: etag.clone(),
                bytes,
            },
        );
        StoredPart { number, etag, size }
    }
}

fn joined(body: &Payload) -> Bytes {
    body.buffers().concat().into()
}

fn cut(bytes: &Bytes, source: &ObjectRange) -> Bytes {
    bytes.slice(source.range.start() as usize..source.range.end() as usize)
}

#[async_trait]
impl Bucket for MemoryBucket {
    fn name(&self) -> &BucketName {
        &self.name
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn keeps_preconditions(&self) -> bool {
        true
    }

    async fn check(&self, _: &str) -> StoreResult<()> {
        Ok(())
    }

    async fn head(&self, key: &ObjectKey) -> StoreResult<ObjectStat> {
        let world = self.request(format!("HEAD {key}")).await?;
        let missing = || StoreError::NotFound {
            bucket: self.name.clone(),
            key: key.clone(),
        };
        world.stat(&self.name, key).ok_or_else(missing)
    }

    async fn get(&self, source: &ObjectRange) -> StoreResult<Bytes> {
        let world = self
            .request(format!("GET {} {}", source.version.key, source.range))
            .await?;
        Ok(cut(&self.pinned(&world, &source.version)?, source))
    }

    async fn list(&self, _request: &ListRequest) -> StoreResult<ListPage> {
        unimplemented!("file content lists nothing")
    }

    async fn put(
        &self,
        key: &ObjectKey,
        body: Payload,
        _headers: &ObjectHeaders,
        precondition: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        assert!(body.len() <= self.limits.put_max);
        let mut world = self.request(format!("PUT {key} {}", body.len())).await?;
        self.allowed(&world, key, precondition)?;
        Ok(world.publish(&self.name, key, joined(&body)))
    }

    async fn copy(
        &self,
        source: &ObjectVersion,
        key: &ObjectKey,
        _headers: &CopyHeaders,
        precondition: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        assert!(source.size <= self.limits.copy_object_max);
        let mut world = self
            .request(format!("COPY {} -> {key}", source.key))
            .await?;
        let bytes = self.pinned(&world, source)?;
        self.allowed(&world, key, precondition)?;
        Ok(world.publish(&self.name, key, bytes))
    }

    async fn create_upload(
        &self,
        key: &ObjectKey,
        _headers: &ObjectHeaders,
    ) -> StoreResult<Upload> {
        let mut world = self.request(format!("CREATE {key}")).await?;
        world.names_given += 1;
        let id = world.names_given.to_string();
        world
            .uploads
            .insert(id.clone(), (key.clone(), BTreeMap::new()));
        Ok(Upload {
            key: key.clone(),
            id,
        })
    }

    async fn upload_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        body: Payload,
    ) -> StoreResult<StoredPart> {
        assert!(body.len() <= self.limits.part_size_max);
        let mut world = self
            .request(format!("PART {} {}", number.0, body.len()))
            .await?;
        Ok(world.store_part(upload, number, joined(&body)))
    }

    async fn copy_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        source: &ObjectRange,
    ) -> StoreResult<StoredPart> {
        assert!(source.range.len() <= self.limits.part_size_max);
        let (key, range) = (&source.version.key, source.range);
        let mut world = self
            .request(format!("COPYPART {} {key} {range}", number.0))
            .await?;
        let bytes = cut(&self.pinned(&world, &source.version)?, source);
        Ok(world.store_part(upload, number, bytes))
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[StoredPart],
        _sources: &[Arc<ObjectVersion>],
        precondition: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        let mut world = self
            .request(format!("COMPLETE {} {}", upload.key, parts.len()))
            .await?;
        self.allowed(&world, &upload.key, precondition)?;
        assert!(parts.len() <= self.limits.part_count_max as usize);
        let (_, stored) = world.uploads.get(&upload.id).expect("no such upload");
        let mut bytes = Vec::new();
        for (position, part) in parts.iter().enumerate() {
            assert_eq!(
                part.number.0 as usize,
                position + 1,
                "a gap in the part numbers"
            );
            let is_last = position + 1 == parts.len();
            let taken = &stored[&part.number.0];
            assert!(
                taken.etag.matches(&part.etag),
                "another part of that number"
            );
            assert!(
                is_last || part.size >= self.limits.part_size_min,
                "EntityTooSmall"
            );
            bytes.extend_from_slice(&taken.bytes);
        }
        world.uploads.remove(&upload.id);
        Ok(world.publish(&self.name, &upload.key, bytes.into()))
    }

    async fn abort_upload(&self, upload: &Upload) -> StoreResult<()> {
        let mut world = self.request(format!("ABORT {}", upload.key)).await?;
        world.uploads.remove(&upload.id);
        Ok(())
    }

    async fn uploads(&self, _prefix: &str) -> StoreResult<Vec<Upload>> {
        unimplemented!("file content asks for no uploads")
    }

    async fn tags(&self, _version: &ObjectVersion) -> StoreResult<BTreeMap<String, String>> {
        unimplemented!("file content asks for no tags")
    }

    async fn set_tags(
        &self,
        _key: &ObjectKey,
        _tags: &BTreeMap<String, String>,
    ) -> StoreResult<()> {
        unimplemented!("file content sets no tags")
    }

    async fn delete(&self, key: &ObjectKey) -> StoreResult<()> {
        let mut world = self.request(format!("DELETE {key}")).await?;
        world.objects.remove(key);
        Ok(())
    }

    async fn delete_many(&self, _keys: &[ObjectKey]) -> StoreResult<Vec<(ObjectKey, StoreError)>> {
        unimplemented!("file content deletes nothing")
    }
}
