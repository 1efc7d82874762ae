//! Renaming a directory: every object below it is copied on the server and deleted, a page of the
//! listing at a time. Memory is bounded by a page.
//!
//! The objects of a page are deleted only when all of them were copied, so every object exists
//! under at least one name whenever it stops. A page that could not be copied is taken back, so a
//! rename that stopped in its first page has changed nothing. The two names of one that stopped
//! later, or that a killed process was at, are remembered: only then may the target have entries,
//! and repeating it finishes it.
//! (`mv -T OLD NEW`, since `mv` moves into a directory that exists. A new mount remembers nothing:
//! there the entries are moved one by one.)

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use futures_util::{StreamExt, stream};

use crate::commit::{Carried, CommitError};
use crate::file::{File, Place};
use crate::fs::rename::Move;
use crate::fs::state::State;
use crate::fs::stopped::{Begun, Names};
use crate::fs::{Fs, FsError, FsResult, Ino};
use crate::namespace::names::KEY_BYTES_MAX;
use crate::object::{ObjectKey, ObjectVersion};
use crate::store::{ListRequest, ListedObject, Precondition, StoreError, StoreResult};

/// The two ends of a directory rename; both keys end in `/`.
#[derive(Debug)]
struct Ends {
    from: Place,
    to: Place,
}

impl Ends {
    fn names(&self) -> Names {
        (name(&self.from), name(&self.to))
    }

    /// Whether an object is below the old name.
    fn hold(&self, place: &Place) -> bool {
        place.bucket.name() == self.from.bucket.name()
            && place.key.as_str().starts_with(self.from.key.as_str())
    }

    /// Where an object below the old name goes.
    fn target(&self, key: &ObjectKey) -> StoreResult<Place> {
        let rest = key
            .as_str()
            .strip_prefix(self.from.key.as_str())
            .unwrap_or_default();
        let key = ObjectKey::new(format!("{}{rest}", self.to.key));
        if key.as_str().len() > KEY_BYTES_MAX {
            return Err(StoreError::KeyTooLong {
                bucket: self.to.bucket.name().clone(),
                key,
            });
        }
        Ok(Place {
            bucket: Arc::clone(&self.to.bucket),
            key,
        })
    }
}

fn name(place: &Place) -> String {
    format!("{}/{}", place.bucket.name(), place.key)
}

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
    pub(super) async fn rename_directory(&self, plan: &Move) -> FsResult<()> {
        let ends = self.state().ends(plan)?;
        let before = self.stopped.begun(&ends.names());
        let mut replaces_marker = false;
        if let Some(target) = plan.target.filter(|_| before.is_none()) {
            replaces_marker = self.check_empty(target, &ends.to).await?;
        }
        let open = self.state().open_below(&ends);
        let _moving: Vec<_> = open.values().map(File::begin_move).collect();
        if before == Some(Begun::UnderWay) {
            self.relocate_moved(&ends, &open).await?;
        }
        self.commit_below(&ends).await?;
        self.forget_closed();
        let orphaned = match plan.target {
            Some(target) => self.orphan(target).await?,
            None => None,
        };
        self.stopped.note(ends.names(), Begun::UnderWay);
        let mut moved = 0;
        let mut done = self.move_objects(&ends, &open, &mut moved).await;
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
            self.end_buried(gone).await;
            self.stopped.forget(&ends.names());
            return Ok(());
        };
        self.readopt(orphaned).await;
        self.state().directory_moved_in_part(plan, &ends);
        if moved == 0 && before.is_none() {
            self.stopped.forget(&ends.names());
            return Err(source.into());
        }
        self.stopped.note(ends.names(), Begun::Stopped);
        if moved == 0 {
            return Err(source.into());
        }
        let left = self.count_left(&ends).await;
        let source = Box::new(source);
        Err(FsError::RenamedInPart {
            moved,
            left,
            source,
        })
    }

    /// Whether a killed process was at this rename: what has the new name is part of it.
    pub(super) fn was_killed_over(&self, plan: &Move) -> bool {
        let ends = self.state().ends(plan);
        let begun = ends.ok().and_then(|ends| self.stopped.begun(&ends.names()));
        begun == Some(Begun::UnderWay)
    }

    /// A rename of a directory to there is done.
    pub(super) fn forget_stopped(&self, to: &Place) {
        self.stopped.forget_to(&format!("{}/", name(to)));
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
                file.relocate(to, Some(copy.version));
            }
        }
        Ok(())
    }

    /// Commits what is dirty below the old name, and whatever takes bytes from objects there.
    async fn commit_below(&self, ends: &Ends) -> FsResult<()> {
        for file in self.shared.dirty_files() {
            if ends.hold(&file.place()) {
                file.commit().await?;
            }
        }
        for file in self.shared.dirty_files() {
            for version in file.map().versions() {
                let bucket = self.shared.buckets.bucket(&version.bucket);
                let place = Place {
                    bucket,
                    key: version.key.clone(),
                };
                if ends.hold(&place) {
                    self.shared.commit_dependents(&place).await?;
                }
            }
        }
        Ok(())
    }

    /// Moves every object; the marker of the directory itself last, if there is one.
    async fn move_objects(
        &self,
        ends: &Ends,
        open: &OpenBelow,
        moved: &mut u64,
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
            self.move_page(ends, objects, open, moved).await?;
            match page.continuation {
                Some(continuation) => request.continuation = Some(continuation),
                None => break,
            }
        }
        let has_marker = !markers.is_empty();
        self.move_page(ends, markers, open, moved).await?;
        Ok(has_marker)
    }

    async fn move_page(
        &self,
        ends: &Ends,
        objects: Vec<ListedObject>,
        open: &OpenBelow,
        moved: &mut u64,
    ) -> StoreResult<()> {
        if objects.is_empty() {
            return Ok(());
        }
        let mut copied = self.copy_page(ends, objects).await?;
        if let Err(error) = self.copy_open(&mut copied, open).await {
            self.take_back(ends, &copied).await;
            return Err(error);
        }
        let keys: Vec<ObjectKey> = copied.iter().map(|copy| copy.from.clone()).collect();
        let deleted = ends.from.bucket.delete_many(&keys).await;
        let kept = match &deleted {
            Ok(kept) => kept.as_slice(),
            Err(_) => &[],
        };
        for copy in copied {
            if let Some(file) = open.get(&copy.from)
                && !kept.iter().any(|(key, _)| *key == copy.from)
            {
                file.relocate(copy.to, Some(copy.copy));
            }
        }
        *moved += (keys.len() - kept.len()) as u64;
        match deleted?.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// Copies once more the files that were committed since the listing: what is there now is
    /// moved. One that another client replaced is not to be moved under those who have it open.
    async fn copy_open(&self, copied: &mut [Copied], open: &OpenBelow) -> StoreResult<()> {
        for copy in copied {
            let now = open.get(&copy.from).and_then(|file| file.stat().version);
            if let Some(now) = now.filter(|now| !now.etag.matches(&copy.source.etag)) {
                let class = &copy.storage_class;
                copy.copy = self.copy_version(&now, class, &copy.to).await?;
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
        if copied.is_empty() {
            return;
        }
        let keys: Vec<ObjectKey> = copied.iter().map(|copy| copy.to.key.clone()).collect();
        match ends.to.bucket.delete_many(&keys).await {
            Ok(kept) if kept.is_empty() => {}
            Ok(kept) => log::warn!("{}: {} copies were not taken back", ends.to.key, kept.len()),
            Err(error) => log::warn!("{}: copies were not taken back: {error}", ends.to.key),
        }
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
        let copy = self
            .copy_version(&source, &object.storage_class, &to)
            .await?;
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
        to: &Place,
    ) -> StoreResult<Arc<ObjectVersion>> {
        let committer = &self.shared.committer;
        let carried = Carried::Source {
            headers: None,
            storage_class,
        };
        let copy = committer
            .copy_object(source, carried, to, &Precondition::None)
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

    /// How many objects are still below the old name, as far as the store tells.
    async fn count_left(&self, ends: &Ends) -> u64 {
        let mut left = 0;
        let mut request = ListRequest {
            prefix: ends.from.key.as_str().to_owned(),
            ..ListRequest::default()
        };
        while let Ok(page) = ends.from.bucket.list(&request).await {
            left += page.objects.len() as u64;
            match page.continuation {
                Some(continuation) => request.continuation = Some(continuation),
                None => break,
            }
        }
        left
    }
}

/// Open files whose objects another client has removed have the new name too.
fn relocate_rest(ends: &Ends, open: &OpenBelow) {
    for (key, file) in open {
        if ends.hold(&file.place())
            && let Ok(to) = ends.target(key)
        {
            file.relocate(to, file.stat().version);
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
        };
        if ends.hold(&ends.to) {
            return Err(into_itself);
        }
        Ok(ends)
    }

    fn open_below(&self, ends: &Ends) -> OpenBelow {
        let named = self.open.iter().filter(|(_, open)| !open.orphan);
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
