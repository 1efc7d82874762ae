//! A multipart upload that is never left behind: whoever drops it without completing it has it
//! aborted. Knows no plan.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::commit::{CommitError, Place};
use crate::object::ObjectVersion;
use crate::store::{Bucket, ObjectHeaders, Precondition, StoreError, StoredPart, Upload};

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
}

impl OpenUpload {
    /// Starts an upload.
    ///
    /// # Errors
    /// The store's.
    pub async fn create(
        place: &Place,
        headers: &ObjectHeaders,
        runtime: &Handle,
    ) -> Result<Self, CommitError> {
        let upload = place.bucket.create_upload(&place.key, headers).await?;
        Ok(Self {
            place: place.clone(),
            headers: headers.clone(),
            upload: Some(upload),
            runtime: runtime.clone(),
        })
    }

    /// Where it will be published.
    pub const fn place(&self) -> &Place {
        &self.place
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

    /// Gives it up. When the store cannot be told now it is told later.
    pub async fn abort(mut self) {
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
        if let Some(upload) = self.upload.take() {
            let bucket = self.place.bucket.clone();
            self.runtime.spawn(abort_until_gone(bucket, upload));
        }
    }
}

async fn abort_until_gone(bucket: Arc<dyn Bucket>, upload: Upload) {
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
