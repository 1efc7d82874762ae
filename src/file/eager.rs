//! Uploading ahead: full parts of a file that is being written sequentially go to the store while
//! the application writes on, so that neither memory nor disk holds the whole file.

use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::commit::{CommitError, OpenUpload, Target};
use crate::extent::{Extent, ExtentMap};
use crate::file::record::KeptEager;
use crate::file::state::State;
use crate::file::{File, FileError, Shared};
use crate::interrupt::{self, Interrupted};
use crate::limits::{Limits, PartCopy};
use crate::lock::Guarded;
use crate::object::ObjectVersion;
use crate::plan::{Part, plan_after};
use crate::range::ByteRange;
use crate::staging::Staging;
use crate::store::{ObjectHeaders, PartNumber, StoreError, StoredPart};

/// The parts of a file's beginning that are uploaded, or on their way.
#[derive(Debug)]
pub(super) struct Eager {
    /// Started by whichever part comes first.
    upload: Arc<OnceCell<OpenUpload>>,
    /// The n-th is part n+1.
    parts: Vec<AheadPart>,
    /// Bytes of the file that the parts cover.
    pub len: u64,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct AheadPart {
    range: ByteRange,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    Running,
    /// The staged bytes were given back.
    Stored(StoredPart),
    /// The bytes are still staged.
    Failed,
}

impl Eager {
    fn new() -> Self {
        Self {
            upload: Arc::default(),
            parts: Vec::new(),
            len: 0,
            tasks: JoinSet::new(),
        }
    }

    /// What is kept of it. A part that is on its way counts as failed: its bytes are staged.
    pub fn kept(&self) -> KeptEager {
        let upload = self.upload.get();
        let parts = self.parts.iter().map(|part| match &part.progress {
            Progress::Stored(stored) => (part.range, Some(stored.clone())),
            Progress::Running | Progress::Failed => (part.range, None),
        });
        KeptEager {
            upload: upload.map(|open| (open.upload().id.clone(), open.headers().clone())),
            parts: parts.collect(),
            len: self.len,
        }
    }

    /// What the process before had, its upload given.
    pub fn restore(kept: KeptEager, upload: Option<OpenUpload>) -> Self {
        let parts = kept.parts.into_iter().map(|(range, stored)| AheadPart {
            range,
            progress: stored.map_or(Progress::Failed, Progress::Stored),
        });
        Self {
            upload: Arc::new(OnceCell::new_with(upload)),
            parts: parts.collect(),
            len: kept.len,
            tasks: JoinSet::new(),
        }
    }

    /// The store's id of the upload, once there is one.
    pub fn upload_id(&self) -> Option<&String> {
        self.upload.get().map(|open| &open.upload().id)
    }

    /// Whether a part is on its way.
    pub fn is_running(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part.progress, Progress::Running))
    }

    /// Stops what is running and aborts the upload.
    pub async fn give_up(mut self) {
        self.tasks.shutdown().await;
        if let Some(upload) = Arc::into_inner(self.upload).and_then(OnceCell::into_inner) {
            upload.abort().await;
        }
    }
}

impl File {
    /// The file is cut to nothing: what was uploaded ahead is not wanted any more.
    pub(super) fn drop_ahead(self: &Arc<Self>) -> Result<(), FileError> {
        let mut state = self.state();
        if state.eager.take().is_none() {
            return Ok(());
        }
        state.ahead = 0;
        // The parts on their way ended with it, and will not tell anybody.
        self.progress.notify_waiters();
        let mut staging = self.staging.lock();
        state.truncate(&mut staging, 0)
    }

    /// Starts uploading the parts that are full. Called after every write.
    pub(super) fn upload_ahead(self: &Arc<Self>) {
        // A commit, or a copy out of this file, is under way: the next write tries again.
        let Ok(_publishing) = self.publishing.try_lock() else {
            return;
        };
        let mut state = self.state();
        while let Some((number, range)) = self.next_part(&state) {
            let part = state.map.slice(range);
            let mut staging = self.staging.lock();
            state.frozen = staging.freeze();
            drop(staging);
            self.start_part(&mut state, number, range, part);
        }
    }

    /// The part to upload next, if the writer is far enough behind it.
    fn next_part(&self, state: &State) -> Option<(PartNumber, ByteRange)> {
        // What is sent ahead cannot be saved when the commit is refused, as that of an edit is if
        // another client has replaced the object.
        if state.orphan || state.moving || state.edits_base() {
            return None;
        }
        // Nor what may turn out to have been published before.
        if !state.unsettled.is_empty() {
            return None;
        }
        let limits = state.place.bucket.limits();
        let (parts, start) = state
            .eager
            .as_ref()
            .map_or((0, 0), |eager| (eager.parts.len(), eager.len));
        let number = parts as u32 + 1;
        let size = limits.eager_part_size(number);
        // A file of up to two parts is left for the commit, which may send it in one PUT; sooner
        // when memory is short.
        let behind = if self.shared.staging.has_memory_for(size) {
            2 * size
        } else {
            size
        };
        if number >= limits.part_count_max || state.map.len() - start < behind {
            return None;
        }
        let range = ByteRange::at(start, size);
        let dirty = state
            .map
            .walk(range)
            .all(|(_, extent)| matches!(extent, Extent::Dirty { .. }));
        dirty.then_some((PartNumber(number), range))
    }

    fn start_part(
        self: &Arc<Self>,
        state: &mut State,
        number: PartNumber,
        range: ByteRange,
        part: ExtentMap,
    ) {
        let place = state.place.clone();
        let (headers, base) = (state.headers(), state.base.clone());
        let eager = state.eager.get_or_insert_with(Eager::new);
        eager.parts.push(AheadPart {
            range,
            progress: Progress::Running,
        });
        eager.len = range.end();
        state.ahead = range.end();
        let upload = eager.upload.clone();
        let shared = self.shared.clone();
        let staging = self.staging.clone();
        let file = Arc::downgrade(self);
        let task = async move {
            let stored = async {
                let create = || {
                    shared
                        .committer
                        .create_upload(&place, &headers, base.as_ref())
                };
                let upload = upload.get_or_try_init(create).await?;
                let part = Part::Upload(part.clone());
                shared
                    .committer
                    .run_part(upload, number, &part, &staging)
                    .await
            }
            .await;
            if let Some(file) = file.upgrade() {
                file.part_done(&upload, number, &part, stored);
            }
        };
        eager.tasks.spawn_on(task, &self.shared.runtime);
    }

    fn part_done(
        &self,
        upload: &Arc<OnceCell<OpenUpload>>,
        number: PartNumber,
        part: &ExtentMap,
        stored: Result<StoredPart, CommitError>,
    ) {
        let mut state = self.state();
        // The file may have been cut to nothing, and begun again, while the part was on its way.
        let eager = state
            .eager
            .as_mut()
            .filter(|eager| Arc::ptr_eq(&eager.upload, upload));
        if let Some(eager) = eager {
            eager.parts[number.0 as usize - 1].progress = match stored {
                Ok(stored) => {
                    self.give_back(part);
                    Progress::Stored(stored)
                }
                Err(error) => {
                    log::warn!(
                        "part {} of {:?}: {error}; the commit tries again",
                        number.0,
                        self.id
                    );
                    Progress::Failed
                }
            };
        }
        drop(state);
        self.progress.notify_waiters();
    }

    fn give_back(&self, part: &ExtentMap) {
        let mut staging = self.staging.lock();
        for extent in part.extents() {
            if let Extent::Dirty { offset, len } = extent {
                staging.release(ByteRange::at(*offset, *len));
            }
        }
    }

    /// Waits until `len` bytes can be staged in memory, as long as parts on their way to the store
    /// are going to make room. Otherwise the bytes go to the spill file.
    pub(super) async fn wait_for_memory(&self, len: u64) -> Result<(), Interrupted> {
        self.wait_while(|eager| self.waits_for_memory(eager, len))
            .await
    }

    /// Whether [`Self::wait_for_memory`] would wait.
    pub(super) fn is_short_of_memory(&self, len: u64) -> bool {
        let state = self.state();
        let eager = state.eager.as_ref();
        eager.is_some_and(|eager| self.waits_for_memory(eager, len))
    }

    fn waits_for_memory(&self, eager: &Eager, len: u64) -> bool {
        eager.is_running() && !self.shared.staging.has_memory_for(len)
    }

    /// Waits until no part is on its way.
    pub(super) async fn wait_for_parts(&self) -> Result<(), Interrupted> {
        self.wait_while(Eager::is_running).await
    }

    async fn wait_while(&self, unready: impl Fn(&Eager) -> bool) -> Result<(), Interrupted> {
        loop {
            let mut progress = std::pin::pin!(self.progress.notified());
            progress.as_mut().enable();
            if !self.state().eager.as_ref().is_some_and(&unready) {
                return Ok(());
            }
            interrupt::or(progress).await?;
        }
    }
}

/// What a commit needs to finish an upload that was started ahead.
pub(super) struct Finish<'a> {
    pub shared: &'a Shared,
    pub map: &'a ExtentMap,
    pub base: Option<&'a Arc<ObjectVersion>>,
    pub staging: &'a Guarded<Staging>,
    pub target: Target<'a>,
}

impl Eager {
    /// Sends what is missing of the file and publishes it, with the headers it was started with,
    /// which are returned too. No part may be running.
    ///
    /// # Errors
    /// Whatever failed; the upload and its parts are handed back for another try, since the bytes
    /// of the stored parts are nowhere else.
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
        self,
        job: &Finish<'_>,
        limits: &Limits,
    ) -> Result<(Arc<ObjectVersion>, ObjectHeaders), (Self, CommitError)> {
        let (parts, sources) = match self.send_rest(job, limits).await {
            Ok(sent) => sent,
            Err(error) => return Err((self, error)),
        };
        let Self {
            upload,
            parts: ahead,
            len,
            mut tasks,
        } = self;
        // The task of a part that was just stored may not have let go of the upload yet.
        while tasks.join_next().await.is_some() {}
        let upload = Arc::into_inner(upload).and_then(OnceCell::into_inner);
        let upload = upload.expect("its parts are stored and no task is left");
        let headers = upload.headers().clone();
        match upload
            .try_complete(&parts, &sources, job.target.precondition)
            .await
        {
            Ok(version) => Ok((version, headers)),
            Err((upload, error)) => {
                let upload = Arc::new(OnceCell::new_with(Some(upload)));
                Err((
                    Self {
                        upload,
                        parts: ahead,
                        len,
                        tasks,
                    },
                    error,
                ))
            }
        }
    }

    /// Sends the parts that failed and those behind the last; all stored parts in order.
    async fn send_rest(
        &self,
        job: &Finish<'_>,
        limits: &Limits,
    ) -> Result<(Vec<StoredPart>, Vec<Arc<ObjectVersion>>), CommitError> {
        let ahead = self.parts.len() as u32;
        let rest = plan_after(job.map, self.len, ahead, limits)?;
        Ok((self.send(job, &rest).await?, crate::commit::sources(&rest)))
    }

    /// Sends the parts that failed and `rest`; all parts of the upload, in order.
    async fn send(&self, job: &Finish<'_>, rest: &[Part]) -> Result<Vec<StoredPart>, CommitError> {
        let Target { place, headers, .. } = job.target;
        let committer = &job.shared.committer;
        let create = || committer.create_upload(place, headers, job.base);
        let upload = self.upload.get_or_try_init(create).await?;
        let mut stored = Vec::new();
        let mut missing = Vec::new();
        for (number, part) in (1..).map(PartNumber).zip(&self.parts) {
            match &part.progress {
                Progress::Stored(part) => stored.push(part.clone()),
                Progress::Failed => missing.push((number, Part::Upload(job.map.slice(part.range)))),
                Progress::Running => unreachable!("a commit waits for the parts on their way"),
            }
        }
        missing.extend(
            (self.parts.len() as u32 + 1..)
                .map(PartNumber)
                .zip(rest.iter().cloned()),
        );
        stored.extend(
            job.shared
                .committer
                .run_parts(upload, &missing, job.staging)
                .await?,
        );
        stored.sort_by_key(|part| part.number);
        Ok(stored)
    }
}
