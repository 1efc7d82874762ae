//! Sending ahead: full parts of a file that grows at its end go to the store while the application
//! writes on. The bytes of a part stay staged until memory is short; then they are in the upload
//! alone, and the map says so ([`crate::extent::Extent::Sent`]).

use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::commit::{CommitError, OpenUpload};
use crate::extent::ExtentMap;
use crate::file::File;
use crate::file::record::Edit;
use crate::file::state::State;
use crate::plan::{Part, next_ahead};
use crate::range::ByteRange;
use crate::store::{PartNumber, StoredPart};

mod finish;
mod kept;
mod room;

pub(super) use finish::Finish;
pub(super) use kept::KeptEager;
use room::Returnable;
pub(super) use room::Returnables;

/// The parts of a file's beginning that are in an unfinished upload, or on their way.
#[derive(Debug)]
pub(super) struct Eager {
    /// Started by whichever part comes first.
    upload: Arc<OnceCell<OpenUpload>>,
    /// The n-th is part n+1.
    parts: Vec<AheadPart>,
    /// Bytes of the file that the parts at the beginning cover which are copied from an object.
    copied: u64,
    /// Whether the upload is recorded.
    is_recorded: bool,
    /// How many parts are on their way.
    running: usize,
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
    Stored {
        part: StoredPart,
        /// What it holds: a file with something else there has changed since.
        content: ExtentMap,
        /// While its bytes are staged and may be given back.
        returnable: Option<Returnable>,
    },
    /// The commit sends it.
    Failed,
}

impl Eager {
    fn new() -> Self {
        Self {
            upload: Arc::default(),
            parts: Vec::new(),
            copied: 0,
            is_recorded: false,
            running: 0,
            tasks: JoinSet::new(),
        }
    }

    /// Bytes of the file that the parts cover.
    pub fn len(&self) -> u64 {
        self.parts.last().map_or(0, |last| last.range.end())
    }

    /// Bytes of them that are copied from an object.
    pub const fn copied(&self) -> u64 {
        self.copied
    }

    /// What the next process needs of it. A part that is on its way, or that `map` has changed
    /// since, counts as failed.
    pub fn kept(&self, map: &ExtentMap) -> KeptEager {
        let upload = self.upload.get();
        let stored = |part: &AheadPart| match &part.progress {
            Progress::Stored {
                part: stored,
                content,
                ..
            } if map.slice(part.range) == *content => Some((stored.clone(), content.clone())),
            Progress::Running | Progress::Failed | Progress::Stored { .. } => None,
        };
        let parts = self.parts.iter().map(|part| (part.range, stored(part)));
        KeptEager {
            upload: upload.map(|open| (open.upload().id.clone(), open.headers().clone())),
            parts: parts.collect(),
            copied: self.copied,
        }
    }

    /// What the process before had, its upload given. What `map` has changed since counts as
    /// failed: its staged bytes are gone, and their addresses may be used again.
    pub fn restore(kept: KeptEager, upload: OpenUpload, map: &ExtentMap) -> Self {
        let parts = kept.parts.into_iter().map(|(range, stored)| AheadPart {
            range,
            progress: match stored {
                Some((part, content)) if map.slice(range) == content => Progress::Stored {
                    part,
                    content,
                    returnable: None,
                },
                Some(_) | None => Progress::Failed,
            },
        });
        Self {
            upload: Arc::new(OnceCell::new_with(Some(upload))),
            parts: parts.collect(),
            copied: kept.copied,
            is_recorded: true,
            running: 0,
            tasks: JoinSet::new(),
        }
    }

    /// The store's id of the upload, once there is one.
    pub fn upload_id(&self) -> Option<&String> {
        self.upload.get().map(|open| &open.upload().id)
    }

    /// The upload is not aborted from now on.
    pub fn preserve(&self) {
        if let Some(upload) = self.upload.get() {
            upload.preserve();
        }
    }

    /// Whether a part is on its way.
    pub const fn is_running(&self) -> bool {
        self.running > 0
    }

    /// Whether a part on its way holds bytes of a range.
    pub fn is_running_in(&self, range: ByteRange) -> bool {
        let first = self
            .parts
            .partition_point(|part| part.range.end() <= range.start());
        let mut parts = self.parts[first..].iter();
        self.is_running()
            && parts
                .by_ref()
                .take_while(|part| part.range.start() < range.end())
                .any(|part| matches!(part.progress, Progress::Running))
    }

    /// Whether every part that is copied was.
    fn is_beginning_stored(&self) -> bool {
        let copied = self
            .parts
            .iter()
            .take_while(|part| part.range.end() <= self.copied);
        copied
            .map(|part| &part.progress)
            .all(|progress| matches!(progress, Progress::Stored { .. }))
    }

    /// Stops what is running; after that none of its parts reads staged bytes.
    pub async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Stops what is running and aborts the upload, unless it is preserved.
    pub async fn give_up(mut self) {
        self.stop().await;
        if let Some(upload) = Arc::into_inner(self.upload).and_then(OnceCell::into_inner) {
            upload.abort().await;
        }
    }
}

impl File {
    /// Starts sending the parts that are full. Called after every write.
    pub(super) fn upload_ahead(self: &Arc<Self>) {
        // A commit, or a copy out of this file, is under way: the next write tries again.
        let Ok(_publishing) = self.publishing.try_lock() else {
            return;
        };
        let mut stated = self.state();
        while let Some((number, part)) = self.next_part(&stated) {
            let state = stated.for_edit();
            state.frozen = self.staging.lock().freeze();
            self.start_part(state, number, part);
        }
    }

    /// The part to send next, if the writer is far enough behind it.
    fn next_part(&self, state: &State) -> Option<(PartNumber, Part)> {
        // Nothing is sent that is never published, or may have been.
        let is_refused = state.is_conflicting();
        if state.orphan || is_refused || !state.unsettled.is_empty() {
            return None;
        }
        let limits = state.place.bucket.limits();
        let eager = state.eager.as_ref();
        let count = eager.map_or(0, |eager| eager.parts.len());
        let (start, copied) = eager.map_or((0, 0), |eager| (eager.len(), eager.copied));
        let number = count as u32 + 1;
        // A file of up to two parts is left for the commit, which may send it in one PUT; sooner
        // when memory is short.
        let size = limits.eager_part_size(number);
        let behind = match self.shared.staging.has_memory_for(size) {
            true => 2,
            false => 1,
        };
        let part = next_ahead(&state.map, (start, start == copied), number, behind, limits)?;
        // If its beginning cannot be copied, the whole is better made anew.
        let waits = matches!(part, Part::Upload(_))
            && eager.is_some_and(|eager| !eager.is_beginning_stored());
        (!waits).then_some((PartNumber(number), part))
    }

    fn start_part(self: &Arc<Self>, state: &mut State, number: PartNumber, part: Part) {
        let place = state.place.clone();
        let (headers, base) = (state.headers(), state.base.clone());
        let eager = state.eager.get_or_insert_with(Eager::new);
        let range = ByteRange::at(eager.len(), part.len());
        eager.parts.push(AheadPart {
            range,
            progress: Progress::Running,
        });
        eager.running += 1;
        let is_copied = matches!(part, Part::Copy(_));
        if is_copied {
            eager.copied = range.end();
        }
        let len = part.len();
        state.recorded.edits.push(Edit::SendPart { len, is_copied });
        // Those that have ended.
        while eager.tasks.try_join_next().is_some() {}
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
                let open = upload.get_or_try_init(create).await?;
                if let Some(file) = file.upgrade() {
                    file.upload_begun(&upload, open);
                }
                shared
                    .committer
                    .run_part(open, number, &part, &staging)
                    .await
            }
            .await;
            if let Some(file) = file.upgrade() {
                file.part_done(&upload, number, &part, stored);
            }
        };
        eager.tasks.spawn_on(task, &self.shared.runtime);
    }

    /// The next process is to know of an upload before anything is sent to it: or it would stay in
    /// the bucket.
    fn upload_begun(&self, upload: &Arc<OnceCell<OpenUpload>>, open: &OpenUpload) {
        let mut stated = self.state();
        let state = stated.for_edit();
        let eager = state.eager.as_mut();
        let is_it = |eager: &&mut Eager| Arc::ptr_eq(&eager.upload, upload) && !eager.is_recorded;
        if let Some(eager) = eager.filter(is_it) {
            eager.is_recorded = true;
            let id = open.upload().id.clone();
            let begun = Edit::StartUpload(id, open.headers().clone());
            state.recorded.edits.push(begun);
        }
    }

    fn part_done(
        self: &Arc<Self>,
        upload: &Arc<OnceCell<OpenUpload>>,
        number: PartNumber,
        part: &Part,
        stored: Result<StoredPart, CommitError>,
    ) {
        let mut stated = self.state();
        let state = stated.for_edit();
        // The file may have been cut, and begun again, while the part was on its way.
        let eager = state
            .eager
            .as_mut()
            .filter(|eager| Arc::ptr_eq(&eager.upload, upload));
        if let Some(eager) = eager {
            eager.running -= 1;
            let AheadPart { range, progress } = &mut eager.parts[number.0 as usize - 1];
            *progress = match stored {
                Ok(stored) => {
                    let content = part.content();
                    // Otherwise it counts as failed for the next process.
                    if state.map.slice(*range) == content {
                        let edits = &mut state.recorded.edits;
                        edits.push(Edit::StorePart(stored.clone()));
                    }
                    Progress::Stored {
                        part: stored,
                        content,
                        returnable: None,
                    }
                }
                Err(error) => {
                    let key = &state.place.key;
                    log::warn!("{key}: part {} ({error}); the commit tries again", number.0);
                    Progress::Failed
                }
            };
            self.enter(state, number);
            state.release_displaced(&mut self.staging.lock());
        }
        drop(stated);
        self.progress.notify_waiters();
    }

    /// Gives up in the background what was sent ahead: it is for a key that the file has no more.
    pub(super) fn give_up_ahead(self: &Arc<Self>, state: &mut State) {
        if let Some(eager) = state.eager.take() {
            self.give_up(state, eager);
        }
    }

    /// Gives up an upload in the background.
    pub(super) fn give_up(self: &Arc<Self>, state: &mut State, mut eager: Eager) {
        let reading = self.reading(state);
        let giving_up = async move {
            eager.stop().await;
            drop(reading);
            eager.give_up().await;
        };
        self.shared.runtime.spawn(giving_up);
        // The parts on their way end with it, and report nothing.
        self.progress.notify_waiters();
    }
}

impl AheadPart {
    const fn content(&self) -> Option<&ExtentMap> {
        match &self.progress {
            Progress::Stored { content, .. } => Some(content),
            Progress::Running | Progress::Failed => None,
        }
    }
}
