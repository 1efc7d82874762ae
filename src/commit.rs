//! Runs a plan: makes an object version of an extent map, or fails and leaves no upload behind.
//! Knows no file state.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::extent::ExtentMap;
use crate::interrupt;
use crate::journal::Journal;
use crate::limits::{Limits, PartCopy};
use crate::lock::Guarded;
use crate::object::{ObjectKey, ObjectVersion};
use crate::plan::{Plan, PlanError, plan};
use crate::staging::{Staging, StagingError, StagingPool};
use crate::store::{
    Bucket, Buckets, CopyHeaders, ObjectHeaders, Precondition, StoreError, StoreResult, Tags,
};

mod parts;
mod payload;
mod slots;
mod upload;

use slots::{Slot, Slots, Turn, Want};

pub use payload::zeros;
pub use upload::OpenUpload;

/// Where an object is published.
#[derive(Clone, Debug)]
pub struct Place {
    /// The bucket.
    pub bucket: Arc<dyn Bucket>,
    /// The key.
    pub key: ObjectKey,
}

impl Place {
    /// Whether `version` is, or was, the object of this place.
    pub fn holds(&self, version: &ObjectVersion) -> bool {
        self.key == version.key && *self.bucket.name() == version.bucket
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.bucket.name() == other.bucket.name()
    }
}

impl Eq for Place {}

/// The headers of a copy.
#[derive(Clone, Copy, Debug)]
pub enum Carried<'a> {
    /// The source's.
    Source {
        /// As far as they are known; they are asked for where they are needed.
        headers: Option<&'a ObjectHeaders>,
        /// The storage class, which a listing tells.
        storage_class: &'a Option<String>,
    },
    /// These.
    These(&'a ObjectHeaders),
}

/// Where a commit goes, with what, and on what condition.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Bucket and key.
    pub place: &'a Place,
    /// The headers the object gets.
    pub headers: &'a ObjectHeaders,
    /// What must hold of the object now there.
    pub precondition: &'a Precondition,
    /// Whether the object now there has these headers, but for times that an append makes old.
    pub is_appendable: bool,
}

/// Why a commit failed. Nothing was published, or the store could not say.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The content fits no object.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Staged bytes could not be read back.
    #[error(transparent)]
    Staging(#[from] StagingError),
}

/// How often a commit is made anew that may pass ([`StoreError::may_pass`]).
const REFUSALS_MAX: u32 = 5;

/// Pause before the first time; that before the n-th is n times as long.
const REFUSAL_PAUSE: Duration = Duration::from_millis(100);

/// Runs plans, all of a mount within common bounds.
#[derive(Debug)]
pub struct Committer {
    buckets: Buckets,
    staging: Arc<StagingPool>,
    uploads: Slots,
    copies: Slots,
    runtime: Handle,
    journal: Arc<Journal>,
}

impl Committer {
    /// A committer with at most `uploads_max` PUTs and part uploads, and `copies_max` copies of
    /// objects or parts under way at a time, and some more of small files. Uploads, noted in
    /// `journal` while they are under way, are aborted on `runtime` when a failure leaves them
    /// over.
    pub fn new(
        buckets: Buckets,
        staging: Arc<StagingPool>,
        uploads_max: usize,
        copies_max: usize,
        (runtime, journal): (Handle, Arc<Journal>),
    ) -> Self {
        Self {
            buckets,
            staging,
            uploads: Slots::new(uploads_max),
            copies: Slots::new(copies_max),
            runtime,
            journal,
        }
    }

    /// Makes `map` the object of `target`. `base` is the version there now, when known: when `map`
    /// is all of it, it only gets other headers. Dirty bytes come from `staging`, where they must
    /// be frozen.
    ///
    /// # Errors
    /// [`CommitError`]; an upload that was started is aborted.
    pub async fn commit(
        &self,
        map: &ExtentMap,
        base: Option<&Arc<ObjectVersion>>,
        staging: &Guarded<Staging>,
        target: Target<'_>,
    ) -> Result<Arc<ObjectVersion>, CommitError> {
        let headers = &dated(target.headers, map.len(), target.place);
        let target = Target { headers, ..target };
        let mut limits = Cow::Borrowed(target.place.bucket.limits());
        if !target.is_appendable && limits.append_max > 0 {
            limits.to_mut().append_max = 0;
        }
        let mut refusals = 0;
        loop {
            let committed = self
                .commit_within(map, base, staging, target, &limits)
                .await;
            match committed {
                Err(CommitError::Store(StoreError::CopyRefused { bucket, .. }))
                    if may_copy(&limits) =>
                {
                    let is_apart = bucket != *target.place.bucket.name();
                    withhold_copies(limits.to_mut(), is_apart);
                }
                Err(CommitError::Store(error)) if error.may_pass() && refusals < REFUSALS_MAX => {
                    refusals += 1;
                    let wait = tokio::time::sleep(REFUSAL_PAUSE * refusals);
                    interrupt::or(wait).await.map_err(StoreError::from)?;
                }
                committed => return committed,
            }
        }
    }

    /// Copies a whole version to a place, on the server.
    ///
    /// # Errors
    /// [`CommitError`]; an upload that was started is aborted.
    pub async fn copy_object(
        &self,
        source: &Arc<ObjectVersion>,
        carried: Carried<'_>,
        place: &Place,
        precondition: &Precondition,
    ) -> Result<Arc<ObjectVersion>, CommitError> {
        let map = ExtentMap::of_object(source.clone());
        // Written anew, an empty object would be whatever has become of it meanwhile.
        let is_empty = source.size == 0;
        let asked;
        let headers = match carried {
            Carried::These(headers) => headers,
            Carried::Source {
                headers,
                storage_class,
            } => {
                let plan = plan(&map, None, place.bucket.limits())?;
                if is_empty || matches!(plan, Plan::CopyObject(_)) {
                    let _slot = slot(&self.copies, place, source.size).await?;
                    let class = headers.map(|known| &known.storage_class);
                    let storage_class = class.unwrap_or(storage_class).clone();
                    let headers = CopyHeaders::Keep { storage_class };
                    let bucket = &place.bucket;
                    let copy = bucket.copy(source, &place.key, &headers, precondition);
                    match copy.await {
                        Err(StoreError::CopyRefused { .. }) => {}
                        copied => return Ok(Arc::new(copied?)),
                    }
                }
                match headers {
                    Some(known) => known,
                    None => {
                        asked = self.headers_of(source).await?;
                        &asked
                    }
                }
            }
        };
        // The tags of the source go along too.
        let headers = self.told(headers, Some(source)).await?;
        // What is refused as it is, is refused with other headers.
        if is_empty && matches!(carried, Carried::These(_)) {
            let _slot = slot(&self.copies, place, source.size).await?;
            let headers = CopyHeaders::Replace(dated(&headers, 0, place));
            let bucket = &place.bucket;
            let copy = bucket.copy(source, &place.key, &headers, precondition);
            match copy.await {
                Err(StoreError::CopyRefused { .. }) => {}
                copied => return Ok(Arc::new(copied?)),
            }
        }
        // No bytes have to be fetched, but the source must still be the empty one.
        if is_empty && !matches!(carried, Carried::Source { headers: None, .. }) {
            self.headers_of(source).await?;
        }
        let target = Target {
            place,
            headers: &headers,
            precondition,
            is_appendable: false,
        };
        // A whole object holds no dirty byte.
        let staging = Guarded::new(Staging::new(&self.staging));
        self.commit(&map, None, &staging, target).await
    }

    async fn headers_of(&self, source: &Arc<ObjectVersion>) -> StoreResult<ObjectHeaders> {
        let bucket = self.buckets.bucket(&source.bucket);
        let stat = bucket.head(&source.key).await?;
        if !stat.version.etag.matches(&source.etag) {
            let (bucket, key) = (source.bucket.clone(), source.key.clone());
            return Err(StoreError::Stale { bucket, key });
        }
        Ok(stat.headers)
    }

    /// The headers with the tags of `version`, if they are yet to be told.
    async fn told<'a>(
        &self,
        headers: &'a ObjectHeaders,
        version: Option<&Arc<ObjectVersion>>,
    ) -> StoreResult<Cow<'a, ObjectHeaders>> {
        let Some(version) = version.filter(|_| headers.tags == Tags::Untold) else {
            return Ok(Cow::Borrowed(headers));
        };
        let tags = self.buckets.bucket(&version.bucket).tags(version).await?;
        Ok(Cow::Owned(ObjectHeaders {
            tags: Tags::These(tags),
            ..headers.clone()
        }))
    }

    /// Starts an upload that takes the place of `base`.
    ///
    /// # Errors
    /// The store's.
    pub async fn create_upload(
        &self,
        place: &Place,
        headers: &ObjectHeaders,
        base: Option<&Arc<ObjectVersion>>,
    ) -> Result<OpenUpload, CommitError> {
        let headers = self.told(headers, base).await?;
        OpenUpload::create(place, &headers, (&self.runtime, &self.journal)).await
    }

    /// Gives an object other headers: a copy onto itself, in one request while the store allows.
    async fn renew(
        &self,
        base: &Arc<ObjectVersion>,
        staging: &Guarded<Staging>,
        target: Target<'_>,
        limits: &Limits,
    ) -> Result<Arc<ObjectVersion>, CommitError> {
        let Target { place, headers, .. } = target;
        if base.size > 0 && base.size <= limits.copy_object_max {
            let _slot = slot(&self.copies, place, base.size).await?;
            let headers = CopyHeaders::Replace(headers.clone());
            // The condition on the source is one on the destination.
            let bucket = &place.bucket;
            let copy = bucket.copy(base, &place.key, &headers, &Precondition::None);
            return Ok(Arc::new(copy.await?));
        }
        let target = Target {
            headers: &*self.told(headers, Some(base)).await?,
            ..target
        };
        let map = ExtentMap::of_object(base.clone());
        Box::pin(self.commit_within(&map, None, staging, target, limits)).await
    }

    async fn commit_within(
        &self,
        map: &ExtentMap,
        base: Option<&Arc<ObjectVersion>>,
        staging: &Guarded<Staging>,
        target: Target<'_>,
        limits: &Limits,
    ) -> Result<Arc<ObjectVersion>, CommitError> {
        let plan = plan(map, base.map(AsRef::as_ref), limits)?;
        // The second half of a pair: the planner checked its plan, and nothing wrong is sent.
        assert!(
            plan.content(base) == *map,
            "a plan that makes another content"
        );
        let Target {
            place,
            headers,
            precondition,
            ..
        } = target;
        log::debug!(
            "s3://{}/{}: {:?}",
            place.bucket.name(),
            place.key,
            plan.cost()
        );
        match plan {
            Plan::Unchanged => {
                let base = base.expect("only a base can be unchanged");
                self.renew(base, staging, target, limits).await
            }
            Plan::Put(map) => {
                let headers = &*self.told(headers, base).await?;
                let _slot = slot(&self.uploads, place, map.len()).await?;
                let body = self.payload(&map, staging).await?;
                let put = place.bucket.put(&place.key, body, headers, precondition);
                Ok(Arc::new(put.await?))
            }
            Plan::Append(tail) => {
                let base = base.expect("only a base can be appended to");
                if let Some(version) = self.append(base, &tail, staging, place).await? {
                    return Ok(Arc::new(version));
                }
                let mut limits = limits.clone();
                limits.append_max = 0;
                Box::pin(self.commit_within(map, Some(base), staging, target, &limits)).await
            }
            Plan::CopyObject(source) => {
                let headers = self.told(headers, base).await?.into_owned();
                let _slot = slot(&self.copies, place, source.size).await?;
                let headers = CopyHeaders::Replace(headers);
                let bucket = &place.bucket;
                let copy = bucket.copy(&source, &place.key, &headers, precondition);
                Ok(Arc::new(copy.await?))
            }
            Plan::Multipart(parts) => self.upload(&parts, base, staging, target).await,
        }
    }

    /// Adds the bytes of `tail` to the end of `base`; `None` where it has to be made anew.
    async fn append(
        &self,
        base: &ObjectVersion,
        tail: &ExtentMap,
        staging: &Guarded<Staging>,
        place: &Place,
    ) -> Result<Option<ObjectVersion>, CommitError> {
        let _slot = slot(&self.uploads, place, tail.len()).await?;
        let body = self.payload(tail, staging).await?;
        Ok(place.bucket.append(base, body).await?)
    }
}

/// A slot for a commit of one request, which moves so many bytes.
async fn slot(slots: &Slots, place: &Place, bytes: u64) -> StoreResult<Slot> {
    let want = Want {
        bucket: place.bucket.name(),
        turn: Turn::new(),
        bytes,
    };
    Ok(slots.take(want).await?)
}

/// The headers of an object of so many bytes: where objects can be appended to, with a note of the
/// size that their times are of.
fn dated(headers: &ObjectHeaders, size: u64, place: &Place) -> ObjectHeaders {
    let mut headers = headers.clone();
    match place.bucket.limits().append_max {
        0 => headers.forget_size(),
        _ => headers.note_size(size),
    }
    headers
}

/// Whether a plan within these limits may copy on the server.
fn may_copy(limits: &Limits) -> bool {
    limits.part_copy == PartCopy::Ranges || limits.copy_object_max > 0
}

/// Takes away from the limits what the store has refused: first copies of parts, then of objects;
/// both at once of buckets that are apart.
fn withhold_copies(limits: &mut Limits, is_apart: bool) {
    if is_apart || limits.part_copy == PartCopy::None {
        limits.copy_object_max = 0;
    }
    limits.part_copy = PartCopy::None;
}
