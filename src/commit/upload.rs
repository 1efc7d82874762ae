//! A multipart upload that is not left behind unawares: dropped without being completed or
//! preserved, it is aborted. Knows no plan.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::commit::slots::Turn;
use crate::commit::{CommitError, Place};
use crate::interrupt::{self, Interrupted};
use crate::journal::codec::{Record, whole};
use crate::journal::{Batch, Journal, Key, Values};
use crate::object::{BucketName, ObjectKey, ObjectVersion};
use crate::store::{Bucket, Buckets, ObjectHeaders, Precondition, StoreError, StoredPart, Upload};

/// Attempts to abort an upload, each with the store's own retries inside; with the delays below
/// they span about an hour, so that a store that was restarted is met again.
const ABORT_ATTEMPTS_MAX: u32 = 64;
const ABORT_DELAY_FIRST: Duration = Duration::from_secs(1);
const ABORT_DELAY_MAX: Duration = Duration::from_secs(60);

/// A multipart upload under way.
#[derive(Debug)]
pub struct OpenUpload {
    place: Place,
    headers: ObjectHeaders,
    /// Taken by completion and abort.
    upload: Option<Upload>,
    runtime: Handle,
    /// By which its parts wait for their slots.
    turn: Turn,
    noted: Option<Noted>,
    /// Whether it stays in the store though nothing here completes it.
    is_preserved: AtomicBool,
}

/// The kind of key that uploads are noted under.
const UPLOAD: u8 = 2;
/// The number of the next one.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

/// An upload that the next process finds in the journal until this is dropped.
#[derive(Debug)]
struct Noted {
    journal: Arc<Journal>,
    number: u64,
}

impl Noted {
    fn new(journal: &Arc<Journal>, place: &Place, upload: &Upload) -> Self {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let noted = Self {
            journal: journal.clone(),
            number,
        };
        let mut batch = Batch::default();
        batch.put(noted.key(), |to| {
            for text in [
                place.bucket.name().as_str(),
                upload.key.as_str(),
                &upload.id,
            ] {
                text.to_owned().write(to);
            }
        });
        journal.write(&batch);
        noted
    }

    const fn key(&self) -> Key {
        Key {
            kind: UPLOAD,
            id: self.number,
        }
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        let mut batch = Batch::default();
        batch.delete(self.key());
        self.journal.write(&batch);
    }
}

impl OpenUpload {
    /// Starts an upload. When its caller is interrupted meanwhile it is aborted as soon as the
    /// store has named it.
    ///
    /// # Errors
    /// The store's.
    pub async fn create(
        place: &Place,
        headers: &ObjectHeaders,
        (runtime, journal): (&Handle, &Arc<Journal>),
    ) -> Result<Self, CommitError> {
        let (place, headers) = (place.clone(), headers.clone());
        let (own, journal) = (runtime.clone(), journal.clone());
        let created = runtime.spawn(async move {
            let upload = place.bucket.create_upload(&place.key, &headers).await?;
            Ok(Self {
                noted: Some(Noted::new(&journal, &place, &upload)),
                place,
                headers,
                upload: Some(upload),
                runtime: own,
                turn: Turn::new(),
                is_preserved: AtomicBool::new(false),
            })
        });
        match interrupt::or(created).await.map_err(StoreError::from)? {
            Ok(created) => created,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime ends.
            Err(_) => Err(StoreError::from(Interrupted).into()),
        }
    }

    /// One that the process before has started, noted under this number.
    pub fn resume(
        place: &Place,
        (number, upload): (u64, Upload),
        (runtime, journal): (&Handle, &Arc<Journal>),
    ) -> Self {
        NEXT_NUMBER.fetch_max(number + 1, Ordering::Relaxed);
        let journal = journal.clone();
        Self {
            place: place.clone(),
            headers: ObjectHeaders::default(),
            upload: Some(upload),
            runtime: runtime.clone(),
            turn: Turn::new(),
            noted: Some(Noted { journal, number }),
            is_preserved: AtomicBool::new(false),
        }
    }

    /// The same; the headers it was started with are these.
    #[must_use]
    pub fn with_headers(mut self, headers: ObjectHeaders) -> Self {
        self.headers = headers;
        self
    }

    /// The uploads that the process before had under way, with their numbers.
    pub fn kept<'a>(
        values: &'a Values,
        buckets: &'a Buckets,
    ) -> impl Iterator<Item = (u64, Arc<dyn Bucket>, Upload)> + 'a {
        values.iter().filter_map(|(key, value)| {
            let (bucket, object, id): (String, String, String) =
                whole(value).filter(|_| key.kind == UPLOAD)?;
            let upload = Upload {
                key: ObjectKey::new(object),
                id,
            };
            let bucket = buckets.named(&BucketName::new(bucket))?;
            Some((key.id, bucket, upload))
        })
    }

    /// Where it will be published.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// By which its parts wait for their slots.
    pub(super) const fn turn(&self) -> Turn {
        self.turn
    }

    /// The headers the object will have.
    pub const fn headers(&self) -> &ObjectHeaders {
        &self.headers
    }

    /// The store's name for it.
    ///
    /// # Panics
    /// Never: completion and abort consume the upload.
    pub fn upload(&self) -> &Upload {
        self.upload
            .as_ref()
            .expect("an upload is open until it is consumed")
    }

    /// Publishes it; when that fails the upload is aborted.
    ///
    /// # Errors
    /// The store's.
    pub async fn complete(
        self,
        parts: &[StoredPart],
        sources: &[Arc<ObjectVersion>],
        precondition: &Precondition,
    ) -> Result<Arc<ObjectVersion>, CommitError> {
        match self.try_complete(parts, sources, precondition).await {
            Ok(version) => Ok(version),
            Err((upload, error)) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    /// Publishes it; when that fails the upload is handed back as it is.
    ///
    /// # Errors
    /// The store's.
    pub async fn try_complete(
        mut self,
        parts: &[StoredPart],
        sources: &[Arc<ObjectVersion>],
        precondition: &Precondition,
    ) -> Result<Arc<ObjectVersion>, (Self, CommitError)> {
        let bucket = &self.place.bucket;
        match bucket
            .complete_upload(self.upload(), parts, sources, precondition)
            .await
        {
            Ok(version) => {
                self.upload = None;
                Ok(Arc::new(version))
            }
            Err(error) => Err((self, error.into())),
        }
    }

    /// From now on it is not aborted: what it holds is nowhere else, and a note tells the user how
    /// to complete it.
    pub fn preserve(&self) {
        self.is_preserved.store(true, Ordering::Relaxed);
    }

    /// Gives it up, unless it is preserved. When the store cannot be told now, or nobody waits for
    /// that, it is told later.
    pub async fn abort(mut self) {
        if interrupt::is_interrupted() || self.is_preserved.load(Ordering::Relaxed) {
            return;
        }
        let aborted = self.place.bucket.abort_upload(self.upload()).await;
        match aborted {
            Ok(()) => self.upload = None,
            Err(error) => self.report(&error),
        }
    }

    fn report(&self, error: &StoreError) {
        log::warn!(
            "s3://{}/{}: could not abort upload {} ({error}); trying again in the background",
            self.place.bucket.name(),
            self.place.key,
            self.upload().id,
        );
    }
}

impl Drop for OpenUpload {
    fn drop(&mut self) {
        if self.is_preserved.load(Ordering::Relaxed) {
            return;
        }
        if let Some(upload) = self.upload.take() {
            let bucket = self.place.bucket.clone();
            let aborting = abort_until_gone(bucket, upload, self.noted.take());
            self.runtime.spawn(aborting);
        }
    }
}

async fn abort_until_gone(bucket: Arc<dyn Bucket>, upload: Upload, _noted: Option<Noted>) {
    let mut delay = ABORT_DELAY_FIRST;
    for _ in 0..ABORT_ATTEMPTS_MAX {
        if bucket.abort_upload(&upload).await.is_ok() {
            return;
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(ABORT_DELAY_MAX);
    }
    log::error!(
        "s3://{}/{}: upload {} is left behind; a lifecycle rule for unfinished uploads removes it",
        bucket.name(),
        upload.key,
        upload.id,
    );
}
