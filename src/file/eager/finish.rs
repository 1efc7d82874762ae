//! Finishing an upload that was started ahead: what is missing of it, and its publication. Knows no
//! state of the file.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::{Eager, Progress};
use crate::commit::{CommitError, Target};
use crate::extent::ExtentMap;
use crate::file::{FileError, Shared};
use crate::limits::{Limits, PartCopy};
use crate::lock::Guarded;
use crate::object::ObjectVersion;
use crate::plan::{Part, PartAhead, Plan, is_better_anew, plan, plan_onto, sources_of};
use crate::range::ByteRange;
use crate::staging::Staging;
use crate::store::{ObjectHeaders, PartNumber, StoreError, StoredPart};

/// What a commit needs to finish an upload that was started ahead.
pub(in crate::file) struct Finish<'a> {
    pub shared: &'a Shared,
    pub map: &'a ExtentMap,
    pub base: Option<&'a Arc<ObjectVersion>>,
    pub staging: &'a Guarded<Staging>,
    pub target: Target<'a>,
}

impl Eager {
    /// Whether finishing the upload is the way to publish `map`: bytes are nowhere else, or less
    /// has to be sent than when it is made anew.
    pub fn is_wanted(
        &self,
        map: &ExtentMap,
        base: Option<&Arc<ObjectVersion>>,
        limits: &Limits,
    ) -> bool {
        if map.has_sent(ByteRange::new(0, map.len())) {
            return true;
        }
        let onto = plan_onto(map, &self.ahead(), limits);
        let anew = plan(map, base.map(AsRef::as_ref), limits);
        match (onto, anew) {
            (Ok(onto), Ok(anew)) => !is_better_anew(&onto, &anew, limits),
            (onto, _) => onto.is_ok(),
        }
    }

    fn ahead(&self) -> Vec<PartAhead<'_>> {
        let parts = self.parts.iter().map(|part| PartAhead {
            range: part.range,
            stored: part.content(),
        });
        parts.collect()
    }

    /// Sends what is missing of the file and publishes it, with the headers it was started with,
    /// which are returned too. No part may be running.
    ///
    /// # Errors
    /// Whatever failed; the upload and its parts are handed back.
    pub async fn finish(
        self,
        job: Finish<'_>,
    ) -> Result<(Arc<ObjectVersion>, ObjectHeaders), (Self, FileError)> {
        let limits = job.target.place.bucket.limits();
        let finished = match self.finish_within(&job, limits).await {
            Err((eager, CommitError::Store(StoreError::CopyRefused { .. }))) => {
                let limits = Limits {
                    part_copy: PartCopy::None,
                    ..limits.clone()
                };
                eager.finish_within(&job, &limits).await
            }
            finished => finished,
        };
        finished.map_err(|(eager, error)| (eager, error.into()))
    }

    async fn finish_within(
        mut self,
        job: &Finish<'_>,
        limits: &Limits,
    ) -> Result<(Arc<ObjectVersion>, ObjectHeaders), (Self, CommitError)> {
        let (parts, sources) = match self.send_rest(job, limits).await {
            Ok(sent) => sent,
            Err(error) => return Err((self, error)),
        };
        // The task of a part that was just stored may not have let go of the upload yet.
        while self.tasks.join_next().await.is_some() {}
        let upload = Arc::into_inner(std::mem::take(&mut self.upload));
        let upload = upload.and_then(OnceCell::into_inner);
        let upload = upload.expect("its parts are stored and no task is left");
        let headers = upload.headers().clone();
        match upload
            .try_complete(&parts, &sources, job.target.precondition)
            .await
        {
            Ok(version) => Ok((version, headers)),
            Err((upload, error)) => {
                self.upload = Arc::new(OnceCell::new_with(Some(upload)));
                Err((self, error))
            }
        }
    }

    /// Sends the parts that failed or changed and those behind the last; all stored parts in order.
    async fn send_rest(
        &self,
        job: &Finish<'_>,
        limits: &Limits,
    ) -> Result<(Vec<StoredPart>, Vec<Arc<ObjectVersion>>), CommitError> {
        let parts = plan_onto(job.map, &self.ahead(), limits)?;
        let onto = Plan::Multipart(parts.clone());
        assert!(
            onto.content(None) == *job.map,
            "a plan that makes another content"
        );
        let Target { place, headers, .. } = job.target;
        let committer = &job.shared.committer;
        let create = || committer.create_upload(place, headers, job.base);
        let upload = self.upload.get_or_try_init(create).await?;
        let mut stored = Vec::new();
        let mut missing = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            match (part, self.parts.get(at).map(|part| &part.progress)) {
                (Part::Stored(_), Some(Progress::Stored { part, .. })) => stored.push(part.clone()),
                _ => missing.push((PartNumber(at as u32 + 1), part.clone())),
            }
        }
        let staging = job.staging;
        stored.extend(committer.run_parts(upload, &missing, staging).await?);
        stored.sort_by_key(|part| part.number);
        Ok((stored, sources_of(&parts)))
    }
}
