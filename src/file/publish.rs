//! Making a file's content durable: the commit, and the files that must be committed first
//! because they take bytes from the object about to be replaced.

mod conflict;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::attributes::{Attributes, Kind};
use crate::commit::{Place, Target};
use crate::extent::ExtentMap;
use crate::file::eager::{Eager, Finish};
use crate::file::outcome::Unsettled;
use crate::file::record::Intent;
use crate::file::state::State;
use crate::file::{File, FileError, Shared, appends};
use crate::interrupt;
use crate::object::ObjectVersion;
use crate::store::{ObjectHeaders, Precondition, StoreError, Tags};

/// What a commit is wanted for, looked at again whenever the file was waited for.
type IsWanted<'a> = &'a (dyn Fn(&State) -> bool + Sync);

/// What is published by one commit, as it was when the commit began.
struct Snapshot {
    place: Place,
    headers: ObjectHeaders,
    /// Whether its times were set by hand.
    is_time_set: bool,
    precondition: Precondition,
    is_appendable: bool,
    map: ExtentMap,
    base: Option<Arc<ObjectVersion>>,
    edits: u64,
    eager: Option<Eager>,
    /// An upload that it is not worth to go on with.
    given_up: Option<Eager>,
    /// Until it goes, what it reads stays.
    _reading: Reading,
}

/// Reads frozen staged bytes of a file without the lock of its state: they stay until this goes.
pub(super) struct Reading(Arc<File>);

impl Drop for Reading {
    fn drop(&mut self) {
        let mut stated = self.0.state();
        let state = stated.for_edit();
        state.readers -= 1;
        state.release_displaced(&mut self.0.staging.lock());
    }
}

impl Shared {
    /// Commits every file whose content takes bytes from the object of `place`: to be called by
    /// whoever is about to delete or replace it. A file whose commit another writer has spoilt
    /// fetches the bytes; if they are gone already, its next reader is told.
    ///
    /// # Errors
    /// The first failure; the object must stay then.
    pub async fn commit_dependents(&self, place: &Place) -> Result<(), FileError> {
        self.commit_dependents_on_path(place, &mut Vec::new())
            .await?;
        Ok(())
    }

    /// As [`Self::commit_dependents`], for all objects that `is_leaving` says. Returns the files
    /// that could not be committed, since another writer has replaced what they take.
    ///
    /// # Errors
    /// The first failure; the objects must stay then.
    pub async fn commit_dependents_on(
        &self,
        is_leaving: &(dyn Fn(&Place) -> bool + Sync),
    ) -> Result<Vec<u64>, FileError> {
        let mut lost = Vec::new();
        for file in self.dirty_files() {
            for place in self.sources(&file, is_leaving) {
                let path = &mut Vec::new();
                lost.extend(self.commit_dependents_on_path(&place, path).await?);
            }
        }
        Ok(lost)
    }

    /// Whether a file takes bytes from such objects, other than those that could not be committed.
    pub fn has_dependents_on(
        &self,
        is_leaving: &(dyn Fn(&Place) -> bool + Sync),
        lost: &[u64],
    ) -> bool {
        let files = self.dirty_files();
        let mut waiting = files.iter().filter(|file| !lost.contains(&file.id));
        waiting.any(|file| !self.sources(file, is_leaving).is_empty())
    }

    /// The objects that content not yet committed takes bytes from, other than the file's own.
    fn sources(&self, file: &File, is_leaving: &(dyn Fn(&Place) -> bool + Sync)) -> Vec<Place> {
        let versions = file.map().versions();
        let places = versions.iter().map(|version| Place {
            bucket: self.buckets.bucket(&version.bucket),
            key: version.key.clone(),
        });
        let taken = places.filter(|place| is_leaving(place) && file.refers_to(place));
        taken.collect()
    }

    fn dependents(&self, place: &Place) -> Vec<Arc<File>> {
        let mut files = self.dirty_files();
        files.retain(|file| file.refers_to(place));
        files
    }

    /// `path` holds the files whose commits led here, each waiting for the next. A file that is on
    /// it cannot be committed first; nor can one that is never published: these fetch the bytes.
    /// Returns the files that could not, since another writer has replaced what they take.
    async fn commit_dependents_on_path(
        &self,
        place: &Place,
        path: &mut Vec<u64>,
    ) -> Result<Vec<u64>, FileError> {
        let mut lost = Vec::new();
        for file in self.dependents(place) {
            let is_stuck = path.contains(&file.id) || file.state().orphan;
            let committed = match is_stuck {
                true => None,
                false => {
                    let is_wanted = |state: &State| state.refers_to(place);
                    Some(file.commit_on_path(path, &is_wanted).await)
                }
            };
            match committed {
                Some(Ok(())) => continue,
                Some(Err(error)) if !error.is_conflict() => return Err(error),
                Some(Err(_)) | None => {}
            }
            match file.localise(place).await {
                Err(error) if error.is_stale() => lost.push(file.id),
                localised => localised?,
            }
        }
        Ok(lost)
    }
}

impl File {
    /// Makes everything written so far durable in the store; nothing to do when clean. Waits for
    /// a commit under way. Files that take bytes from the object this one replaces are committed
    /// first.
    ///
    /// # Errors
    /// [`FileError`]; what is staged stays staged, and the next commit tries again.
    pub async fn commit(self: &Arc<Self>) -> Result<(), FileError> {
        let edits = self.state().edits;
        self.commit_for(&|state| state.edits_published < edits)
            .await
    }

    /// As [`Self::commit`], for as long as that is wanted: a commit that was waited for may have
    /// done it, and what came after that is not the caller's.
    pub(super) async fn commit_for(
        self: &Arc<Self>,
        is_wanted: IsWanted<'_>,
    ) -> Result<(), FileError> {
        let edits = self.state().edits;
        let committed = self.commit_on_path(&mut Vec::new(), is_wanted).await;
        if let Err(error) = &committed {
            let mut state = self.state();
            // An interrupt ends the wait for attributes; they go on waiting to be stored.
            if !(interrupt::is_interrupted() && state.has_only_headers()) {
                state.refused = Some((edits, Some(error.clone())));
            }
        }
        committed
    }

    fn commit_on_path<'a>(
        self: &'a Arc<Self>,
        path: &'a mut Vec<u64>,
        is_wanted: IsWanted<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<(), FileError>> + Send + 'a>> {
        Box::pin(async move {
            let mut lost = Vec::new();
            loop {
                if self.has_to_commit(is_wanted) {
                    path.push(self.id);
                    let place = self.place();
                    let dependents = self.shared.commit_dependents_on_path(&place, path).await;
                    path.pop();
                    lost = dependents?;
                }
                // While this is held nobody can come to depend on the object.
                let publishing = interrupt::or(self.publishing.lock()).await?;
                if !self.has_to_commit(is_wanted) {
                    return Ok(());
                }
                let Some(token) = self.begin_commit() else {
                    // What wants to hold the file waits next in line.
                    drop(publishing);
                    tokio::task::yield_now().await;
                    continue;
                };
                let dependents = self.shared.dependents(&self.place());
                if dependents.iter().all(|file| lost.contains(&file.id)) {
                    let published = interrupt::scope(token.clone(), async {
                        self.wait_for_parts().await?;
                        self.publish(is_wanted).await
                    });
                    match published.await {
                        // For a holder, which may move the file or unlink it, and has to know
                        // whether the store has done what it did not answer.
                        Err(_) if token.is_cancelled() && !interrupt::is_interrupted() => {
                            self.state().unsettled.look_again();
                        }
                        published => return published,
                    }
                }
            }
        })
    }

    fn has_to_commit(&self, is_wanted: IsWanted<'_>) -> bool {
        let state = self.state();
        state.is_dirty() && !state.orphan && is_wanted(&state)
    }

    /// Publishes the content as it is now, unless a process before this one has done so. What was
    /// only appended follows other clients' changes of the object for as long as they come: each
    /// conflict is one of them that was stored.
    async fn publish(self: &Arc<Self>, is_wanted: IsWanted<'_>) -> Result<(), FileError> {
        self.learn_outcome().await?;
        let mut conflicts = 0;
        while self.has_to_commit(is_wanted) {
            if self.is_superseded() {
                let key = self.place().key;
                return Err(FileError::Stale { key });
            }
            if self.has_marker() {
                self.join_marker().await?;
            }
            let was_ahead = self.state().eager.is_some();
            let error = match self.publish_now().await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let may_pass = matches!(&error, FileError::Store(error) if error.may_pass());
            if was_ahead && may_pass && self.state().eager.is_none() {
                // All bytes are here: without what was sent ahead.
                continue;
            }
            if error.is_unanswered() {
                return Err(error);
            }
            if self.is_published_late().await {
                continue;
            }
            let meets_another = error.is_conflict()
                || matches!(error, FileError::Store(StoreError::Conflict { .. }));
            conflicts += 1;
            if !meets_another
                || !self.follow().await?
                    && !self.join_marker().await?
                    && !self.replace(conflicts).await?
            {
                return Err(self.own_conflict(error).await);
            }
            interrupt::or(tokio::time::sleep(appends::pause(conflicts))).await?;
        }
        Ok(())
    }

    /// Publishes the content as it is now. Writes go on meanwhile, to a map of their own.
    async fn publish_now(self: &Arc<Self>) -> Result<(), FileError> {
        let mut snapshot = self.snapshot();
        if let Some(eager) = snapshot.given_up.take() {
            eager.give_up().await;
        }
        let target = Target {
            place: &snapshot.place,
            headers: &snapshot.headers,
            precondition: &snapshot.precondition,
            is_appendable: snapshot.is_appendable,
        };
        let (map, base) = (&snapshot.map, snapshot.base.as_ref());
        let published = match snapshot.eager.take() {
            None => {
                let commit = self
                    .shared
                    .committer
                    .commit(map, base, &self.staging, target);
                commit.await.map_err(|error| (None, FileError::from(error)))
            }
            Some(eager) => {
                let job = Finish {
                    shared: &self.shared,
                    map,
                    base,
                    staging: &self.staging,
                    target,
                };
                match eager.finish(job).await {
                    Ok((version, sent)) => return self.settle(&snapshot, version, &sent).await,
                    Err((eager, error)) => Err((Some(eager), error)),
                }
            }
        };
        match published {
            Ok(version) => {
                self.published(&snapshot, &version, snapshot.edits);
                self.state().note_headers_stored(snapshot.edits);
                Ok(())
            }
            Err((eager, error)) => {
                // What may be there without an answer is known again when it is in the way.
                let may_be_done = error.is_unanswered()
                    || matches!(error, FileError::Store(StoreError::Overtaken { .. }));
                // An unconditional one is repeated, unless the file is to be moved or removed.
                let is_in_the_way = eager.is_none() && snapshot.precondition != Precondition::None;
                if may_be_done && (is_in_the_way || interrupt::is_interrupted()) {
                    let mut state = self.state();
                    let intent = state.intent.take();
                    state.unsettled.extend(intent);
                }
                if let Some(unwanted) = self.take_back(eager) {
                    unwanted.give_up().await;
                }
                Err(error)
            }
        }
    }

    /// Takes back the upload of a commit that failed, if bytes are nowhere else; else returns it.
    fn take_back(&self, eager: Option<Eager>) -> Option<Eager> {
        let mut state = self.state();
        (state.lent, state.intent) = (None, None);
        if !state.has_sent() {
            return eager;
        }
        state.eager = eager;
        None
    }

    /// Freezes what is staged, so that it can be read without the lock of the state.
    pub(super) fn freeze(self: &Arc<Self>, state: &mut State) -> Reading {
        state.frozen = self.staging.lock().freeze();
        self.reading(state)
    }

    /// Keeps what is frozen until the answer is dropped.
    pub(super) fn reading(self: &Arc<Self>, state: &mut State) -> Reading {
        state.readers += 1;
        Reading(Arc::clone(self))
    }

    fn snapshot(self: &Arc<Self>) -> Snapshot {
        let mut state = self.state();
        let reading = self.freeze(&mut state);
        let limits = state.place.bucket.limits();
        let is_wanted = |eager: &Eager| eager.is_wanted(&state.map, state.base.as_ref(), limits);
        let goes_on = state.eager.as_ref().is_some_and(is_wanted);
        let (eager, given_up) = match state.eager.take() {
            eager if goes_on => (eager, None),
            eager => (None, eager),
        };
        state.lent = eager.as_ref().map(|eager| eager.kept(&state.map));
        let sent = state.lent.as_ref().and_then(|lent| lent.upload.as_ref());
        let attributes = match sent {
            // Its headers are those of its beginning.
            Some((_, headers)) => Attributes::of_metadata(&headers.metadata),
            None => state.attributes,
        };
        state.intent = Some(Intent {
            map: state.map.clone(),
            edits: state.edits,
            attributes,
            added_to: state.added_to(),
        });
        Snapshot {
            place: state.place.clone(),
            headers: match &eager {
                // How long it was to be was not known when it was begun.
                Some(_) => state.headers(),
                None => state.headers_of_growth(),
            },
            is_time_set: state.is_time_set,
            precondition: state.precondition(),
            is_appendable: state.is_appendable,
            map: state.map.clone(),
            base: state.base.clone(),
            edits: state.edits,
            eager,
            given_up,
            _reading: reading,
        }
    }

    /// An upload that was started ahead is published with the headers of then. When others are
    /// wanted the object is copied onto itself; a time that nobody has set is as good as the one
    /// that was sent.
    async fn settle(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        version: Arc<ObjectVersion>,
        sent: &ObjectHeaders,
    ) -> Result<(), FileError> {
        let mut wanted = snapshot.headers.clone();
        let times = Attributes::of_metadata(&sent.metadata).times();
        if !snapshot.is_time_set {
            times.write_to(&mut wanted.metadata, Kind::File);
        }
        if wanted.tags == Tags::Untold {
            // They were asked for when the upload began.
            wanted.tags.clone_from(&sent.tags);
        }
        // An upload began without knowing its size, which its times would be dated by.
        self.state().is_appendable = false;
        if wanted == *sent {
            self.published(snapshot, &version, snapshot.edits);
            self.state().adopt_times(&times, snapshot.edits);
            return Ok(());
        }
        // If what follows fails the headers are still to be committed.
        self.published(snapshot, &version, snapshot.edits - 1);
        let map = ExtentMap::of_object(version.clone());
        self.state().intent = Some(Intent {
            map: map.clone(),
            edits: snapshot.edits,
            attributes: Attributes::of_metadata(&wanted.metadata),
            added_to: None,
        });
        let target = Target {
            place: &snapshot.place,
            headers: &wanted,
            precondition: &Precondition::None,
            is_appendable: false,
        };
        let committer = &self.shared.committer;
        let renewed = committer.commit(&map, Some(&version), &self.staging, target);
        let renewed = renewed.await;
        let mut state = self.state();
        state.intent = None;
        state.rebase(&map, &renewed?, snapshot.edits);
        drop(state);
        if !self.state().is_dirty() {
            self.shared.strike(self);
        }
        Ok(())
    }

    fn published(&self, snapshot: &Snapshot, version: &Arc<ObjectVersion>, edits: u64) {
        let mut state = self.state();
        state.rebase(&snapshot.map, version, edits);
        state.grown_from = snapshot.headers.growth();
        state.note_stored(&snapshot.headers.metadata);
        (state.lent, state.intent) = (None, None);
        // What the store does late from now on is refused, if it was asked for on a condition.
        state.unsettled = Unsettled::default();
        // They are read to the end.
        state.has_displaced = true;
        if !state.is_dirty() {
            self.shared.strike(self);
        }
    }
}

impl State {
    /// The end of what a commit adds the rest to, maybe in its place.
    fn added_to(&self) -> Option<u64> {
        if self.appended_from.is_some() {
            return self.appended_from;
        }
        let has_appends = self.is_appendable && self.place.bucket.limits().append_max > 0;
        let base = self.base.as_ref().filter(|_| has_appends)?;
        let goes_on = self.map.len() > base.size && self.begins_with(base);
        goes_on.then_some(base.size)
    }
}
