//! Renaming a directory: every object below it is copied on the server and deleted, a page of the
//! listing at a time. Memory is bounded by a page.
//!
//! The objects of a page are deleted only when all of them were copied, so every object exists
//! under at least one name whenever it stops. A page that could not be copied is taken back, so a
//! rename that stopped in its first page has changed nothing, but the store may still make copies
//! that it was asked for. The two names of one that stopped are remembered (`halfway`): only then
//! may the target have entries, and repeating it finishes it. A new mount remembers nothing: there
//! the entries are moved one by one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use futures_util::{StreamExt, stream};

use crate::commit::{Carried, CommitError};
use crate::file::{File, Hold, Place};
use crate::fs::registry::OpenFile;
use crate::fs::rename::{Move, Renamed};
use crate::fs::state::State;
use crate::fs::stopped::Begun;
use crate::fs::{Fs, FsError, FsResult, Ino};
use crate::interrupt;
use crate::object::{ObjectKey, ObjectVersion};
use crate::store::{ListRequest, ListedObject, Precondition, StoreError, StoreResult};

mod ends;
mod halfway;

use ends::Ends;
pub(super) use halfway::rest;

/// An object that was copied.
#[derive(Debug)]
struct Copied {
    from: ObjectKey,
    source: Arc<ObjectVersion>,
    storage_class: Option<String>,
    to: Place,
    copy: Arc<ObjectVersion>,
}

/// The files open below the old name, by key.
type OpenBelow = BTreeMap<ObjectKey, Arc<File>>;

impl Fs {
    pub(super) async fn rename_directory(&self, plan: &Move) -> FsResult<Renamed> {
        let mut ends = self.state().ends(plan)?;
        let is_leaving = |place: &Place| ends.hold(place) || *place == ends.to;
        let lost = self.prepare_below(&ends, &is_leaving).await?;
        let Some(_locked) = self.acquire_names(plan).await? else {
            return Ok(Renamed::Again);
        };
        if self.state().ends(plan)?.names() != ends.names() {
            return Ok(Renamed::Again);
        }
        let earlier = self.earlier(plan, &ends).await?;
        let mut replaces_marker = false;
        if let Some(target) = plan.target.filter(|_| earlier.is_none()) {
            replaces_marker = self.check_empty(target, &ends.to).await?;
        }
        // Nothing below is published from here to the end: unpublished edits go along.
        self.forget_closed();
        let open = self.state().open_below(&ends);
        let target = plan.target.map(|target| self.state().files(&[target]));
        let files = open.values().cloned().chain(target.into_iter().flatten());
        let held = Hold::all(files).await?;
        let is_sent_ahead = held.iter().any(Hold::is_sent_ahead);
        if is_sent_ahead || self.shared.has_dependents_on(&is_leaving, &lost) {
            return Ok(Renamed::Again);
        }
        for file in open.values() {
            file.learn_outcome().await?;
        }
        if earlier == Some(Begun::UnderWay) {
            self.relocate_moved(&ends, &open).await?;
        }
        let orphaned = match plan.target {
            Some(target) => {
                let file = self.state().files(&[target]).pop();
                let is_its = |held: &&Hold| {
                    file.as_ref()
                        .is_some_and(|file| Arc::ptr_eq(file, held.file()))
                };
                let marker = held.iter().find(is_its);
                self.orphan(target, marker).await?
            }
            None => None,
        };
        self.stopped.note(ends.names(), Begun::UnderWay);
        ends.earlier = earlier;
        let mut copied = 0;
        let mut done = self.move_objects(&ends, &open, &mut copied).await;
        if let Ok(false) = done
            && replaces_marker
        {
            // Else the directory would have the attributes of the one it replaces.
            done = ends.to.bucket.delete(&ends.to.key).await.map(|()| true);
        }
        let Err(source) = done else {
            relocate_rest(&ends, &open);
            let gone = {
                let mut state = self.state();
                state.directory_moved(plan);
                orphaned.and_then(|orphaned| state.bury(orphaned))
            };
            self.forget_stopped(&ends.from);
            self.forget_stopped(&ends.to);
            return Ok(Renamed::Done(gone));
        };
        self.readopt(orphaned).await;
        self.state().directory_moved_in_part(plan, &ends);
        Err(self.stop(ends, copied, source).await)
    }

    /// What may be an upload, before anything is locked. Returns the files that could not be
    /// committed.
    async fn prepare_below(
        &self,
        ends: &Ends,
        is_leaving: &(dyn Fn(&Place) -> bool + Sync),
    ) -> FsResult<Vec<u64>> {
        let open = self.state().open_below(ends);
        for file in open.values() {
            match file.pending_headers() {
                Some(_) => self.commit_named(file).await?,
                None => file.publish_sent_ahead().await?,
            }
        }
        Ok(self.shared.commit_dependents_on(is_leaving).await?)
    }

    /// Open files whose objects a killed process has moved have them under the new name.
    async fn relocate_moved(&self, ends: &Ends, open: &OpenBelow) -> StoreResult<()> {
        for (key, file) in open {
            if self.head_if_any(&file.place()).await?.is_some() {
                continue;
            }
            let to = ends.target(key)?;
            let copy = self.head_if_any(&to).await?;
            if let Some(copy) = copy.filter(|copy| file.is_copied_to(copy)) {
                relocate(file, to, file.stat().version.as_ref(), Some(copy.version));
            }
        }
        Ok(())
    }

    /// Moves every object; the marker of the directory itself last, if there is one.
    async fn move_objects(
        &self,
        ends: &Ends,
        open: &OpenBelow,
        copied: &mut u64,
    ) -> StoreResult<bool> {
        let mut request = ListRequest {
            prefix: ends.from.key.as_str().to_owned(),
            ..ListRequest::default()
        };
        let mut markers = Vec::new();
        loop {
            let page = ends.from.bucket.list(&request).await?;
            let (marker, objects): (Vec<_>, Vec<_>) = page
                .objects
                .into_iter()
                .partition(|object| object.key == ends.from.key);
            markers.extend(marker);
            self.move_page(ends, objects, open, copied).await?;
            match page.continuation {
                Some(continuation) => request.continuation = Some(continuation),
                None => break,
            }
        }
        let has_marker = !markers.is_empty();
        self.move_page(ends, markers, open, copied).await?;
        let top = std::slice::from_ref(&ends.from.key);
        ends.from.bucket.delete_emptied(top).await?;
        Ok(has_marker)
    }

    async fn move_page(
        &self,
        ends: &Ends,
        objects: Vec<ListedObject>,
        open: &OpenBelow,
        copied: &mut u64,
    ) -> StoreResult<()> {
        if objects.is_empty() {
            return Ok(());
        }
        let mut page = self.copy_page(ends, objects).await?;
        if let Err(error) = self.copy_open(&mut page, open).await {
            self.take_back(ends, &page).await;
            return Err(error);
        }
        *copied += page.len() as u64;
        let sources = page.iter().map(|copy| ObjectVersion {
            key: copy.from.clone(),
            ..(*copy.source).clone()
        });
        let sources: Vec<_> = sources.map(Arc::new).collect();
        let deleted = ends.from.bucket.delete_moved(&sources).await;
        let kept = match &deleted {
            Ok(kept) => kept.as_slice(),
            Err(_) => &[],
        };
        for copy in page {
            // One that was never published is not what was copied: another client has made that.
            if let Some(file) = open.get(&copy.from)
                && file.stat().version.is_some()
                && !kept.iter().any(|(key, _)| *key == copy.from)
            {
                relocate(file, copy.to, Some(&copy.source), Some(copy.copy));
            }
        }
        if let Some((_, error)) = deleted?.into_iter().next() {
            return Err(error);
        }
        let emptied = ends.directories_above(&sources);
        ends.from.bucket.delete_emptied(&emptied).await
    }

    /// Copies once more the files that were committed since the listing: what is there now is
    /// moved. One that another client replaced is not to be moved under those who have it open.
    async fn copy_open(&self, copied: &mut [Copied], open: &OpenBelow) -> StoreResult<()> {
        for copy in copied {
            let now = open.get(&copy.from).and_then(|file| file.stat().version);
            if let Some(now) = now.filter(|now| !now.etag.matches(&copy.source.etag)) {
                let class = &copy.storage_class;
                let copied = self.copy_version(&now, class, (&copy.to, &Precondition::None));
                copy.copy = copied.await?;
                copy.source = now;
            }
        }
        Ok(())
    }

    /// Copies the objects of a page, several at a time: all of them, or none.
    async fn copy_page(&self, ends: &Ends, objects: Vec<ListedObject>) -> StoreResult<Vec<Copied>> {
        let stopped = AtomicBool::new(false);
        let copies = objects.into_iter().map(|object| async {
            if stopped.load(Ordering::Relaxed) {
                return None;
            }
            let copied = self.copy_listed(ends, object).await;
            if copied.is_err() {
                stopped.store(true, Ordering::Relaxed);
            }
            Some(copied)
        });
        let requests_max = self.shared.bounds.rename_requests_max.max(1);
        let mut copies = stream::iter(copies).buffer_unordered(requests_max);
        let (mut done, mut failed) = (Vec::new(), None);
        while let Some(copy) = copies.next().await {
            match copy {
                Some(Ok(copied)) => done.push(copied),
                Some(Err(error)) => failed = failed.or(Some(error)),
                None => {}
            }
        }
        match failed {
            None => Ok(done),
            Some(error) => {
                self.take_back(ends, &done).await;
                Err(error)
            }
        }
    }

    /// Deletes copies whose originals are untouched.
    async fn take_back(&self, ends: &Ends, copied: &[Copied]) {
        // Deletes of an earlier rename may still be done.
        if copied.is_empty() || ends.may_have_deleted() {
            return;
        }
        let keys: Vec<ObjectKey> = copied.iter().map(|copy| copy.to.key.clone()).collect();
        let to = ends.to.clone();
        let taken_back = async move {
            match to.bucket.delete_many(&keys).await {
                Ok(kept) if kept.is_empty() => {}
                Ok(kept) => log::warn!("{}: {} copies were not taken back", to.key, kept.len()),
                Err(error) => log::warn!("{}: copies were not taken back: {error}", to.key),
            }
        };
        interrupt::tidy_up(&self.shared.runtime, taken_back).await;
    }

    async fn copy_listed(&self, ends: &Ends, object: ListedObject) -> StoreResult<Copied> {
        let to = ends.target(&object.key)?;
        let source = match object.etag {
            Some(etag) => Arc::new(ObjectVersion {
                bucket: ends.from.bucket.name().clone(),
                key: object.key.clone(),
                etag,
                version_id: None,
                size: object.size,
            }),
            None => ends.from.bucket.head(&object.key).await?.version,
        };
        let (there, precondition) = match ends.earlier {
            // What another client has made there since that was found to be empty is not replaced;
            // the marker of an empty directory is.
            None if to.bucket.keeps_preconditions() && !to.key.as_str().ends_with('/') => {
                (None, Precondition::Absent)
            }
            None => (None, Precondition::None),
            // What is there and is no copy of this is not replaced.
            Some(_) => (
                self.copied_before(&source, &to).await?,
                Precondition::Absent,
            ),
        };
        let copy = match there {
            Some(copy) => copy,
            None => {
                let class = &object.storage_class;
                self.copy_version(&source, class, (&to, &precondition))
                    .await?
            }
        };
        Ok(Copied {
            from: object.key,
            source,
            storage_class: object.storage_class,
            to,
            copy,
        })
    }

    async fn copy_version(
        &self,
        source: &Arc<ObjectVersion>,
        storage_class: &Option<String>,
        (to, precondition): (&Place, &Precondition),
    ) -> StoreResult<Arc<ObjectVersion>> {
        let committer = &self.shared.committer;
        let carried = Carried::Source {
            headers: None,
            storage_class,
        };
        let copy = committer
            .copy_object(source, carried, to, precondition)
            .await;
        copy.map_err(|error| match error {
            CommitError::Store(error) => error,
            // The bucket it goes to takes no object of this size, or nothing is left to stage
            // the little that cannot be copied in.
            CommitError::Plan(error) => StoreError::TooLarge {
                bucket: to.bucket.name().clone(),
                key: to.key.clone(),
                code: error.to_string(),
            },
            CommitError::Staging(error) => StoreError::Full {
                bucket: to.bucket.name().clone(),
                code: error.to_string(),
            },
        })
    }
}

/// An open file has its object under the new name. It is held, so in step with what was copied.
fn relocate(
    file: &Arc<File>,
    to: Place,
    of: Option<&Arc<ObjectVersion>>,
    copy: Option<Arc<ObjectVersion>>,
) {
    let key = to.key.clone();
    if !file.relocate(to, of.map(AsRef::as_ref), copy) {
        log::error!("{key}: moved, and open as another version");
    }
}

/// Open files whose objects another client has removed have the new name too.
fn relocate_rest(ends: &Ends, open: &OpenBelow) {
    for (key, file) in open {
        if ends.hold(&file.place())
            && let Ok(to) = ends.target(key)
        {
            let version = file.stat().version;
            relocate(file, to, version.as_ref(), version.clone());
        }
    }
}

impl State {
    fn ends(&self, plan: &Move) -> FsResult<Ends> {
        let into_itself = FsError::Invalid {
            what: "a directory moved into itself",
        };
        if self.tree.ancestors(plan.to.0).contains(&plan.source) {
            return Err(into_itself);
        }
        let to = self.child_place(plan.to.0, &plan.to.1)?;
        let key = ObjectKey::new(format!("{}/", to.key));
        let ends = Ends {
            from: self.place(plan.source)?,
            to: Place {
                bucket: to.bucket,
                key,
            },
            earlier: None,
        };
        if ends.hold(&ends.to) {
            return Err(into_itself);
        }
        Ok(ends)
    }

    fn open_below(&self, ends: &Ends) -> OpenBelow {
        // One that another client has replaced has no name any more.
        let is_named = |open: &OpenFile| !open.orphan && !open.file.is_superseded();
        let named = self.open.iter().filter(|(_, open)| is_named(open));
        let files = named.map(|(_, open)| (open.file.place(), &open.file));
        files
            .filter(|(place, _)| ends.hold(place))
            .map(|(place, file)| (place.key, Arc::clone(file)))
            .collect()
    }

    fn directory_moved(&mut self, plan: &Move) {
        self.forget_below(plan.source);
        self.entry_removed(plan.from.0, &plan.from.1);
        self.entries_changed(plan.to.0);
        if self.may_carry(plan.from.0) {
            self.note_carrier(plan.to.0);
        }
        if let Some(directory) = self.tree.directory_mut(plan.source) {
            directory.known_at = Some(Instant::now());
            directory.times.changed = Some(SystemTime::now());
        }
        let from = self.tree.path(plan.source);
        self.tree.rename(plan.source, plan.to.0, &plan.to.1);
        if let (Some((source, from)), Some((target, to))) = (from, self.tree.path(plan.source)) {
            self.carriers.renamed((source, &from), (target, &to));
        }
    }

    /// Open files whose objects went to the new name have none below the old one any more.
    fn directory_moved_in_part(&mut self, plan: &Move, ends: &Ends) {
        self.forget_below(plan.source);
        let gone: Vec<Ino> = self
            .tree
            .below(plan.source)
            .into_iter()
            .filter(|ino| self.tree.file(*ino).is_some())
            .filter(|ino| {
                self.open
                    .file(*ino)
                    .is_some_and(|open| !ends.hold(&open.file.place()))
            })
            .collect();
        for ino in gone {
            self.tree.detach(ino);
        }
    }

    /// What was known of objects below a directory that moved is true of none any more.
    fn forget_below(&mut self, ino: Ino) {
        self.names.clear();
        for below in self.tree.below(ino) {
            if let Some(file) = self.tree.file_mut(below) {
                file.known = None;
            } else if let Some(directory) = self.tree.directory_mut(below) {
                directory.known_at = None;
            }
        }
    }
}
