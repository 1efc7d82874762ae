//! Renaming: the checks common to files and directories, and the rename of a file, which is a copy
//! on the server and a delete.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::commit::{Carried, CommitError};
use crate::file::{FileError, Hold, Place};
use crate::fs::locks::{Access, Held, Wanted};
use crate::fs::lookup::Want;
use crate::fs::make::content_type;
use crate::fs::registry::OpenFile;
use crate::fs::remove::delete_moved;
use crate::fs::state::{State, both};
use crate::fs::{ATTEMPTS_MAX, Fs, FsError, FsResult, Ino, RenameMode};
use crate::namespace::knowledge::Known;
use crate::namespace::names::in_key;
use crate::object::ObjectVersion;
use crate::store::{ObjectHeaders, Precondition, StoreError};

/// A rename whose names were looked up.
#[derive(Debug)]
pub(super) struct Move {
    pub(super) source: Ino,
    /// What has the new name now.
    pub(super) target: Option<Ino>,
    pub(super) from: (Ino, Arc<str>),
    pub(super) to: (Ino, Arc<str>),
    pub(super) mode: RenameMode,
}

/// What became of a rename.
#[derive(Debug)]
pub(super) enum Renamed {
    /// It is done; what nobody has open is to be ended when nothing is locked.
    Done(Option<OpenFile>),
    /// Others changed what was prepared for it: it is to be begun again.
    Again,
}

/// An object that has its new name.
#[derive(Debug)]
struct Moved {
    /// The version under the old name.
    of: Arc<ObjectVersion>,
    version: Arc<ObjectVersion>,
    headers: Option<Arc<ObjectHeaders>>,
    /// Whether the old name has gone with it.
    is_moved: bool,
    /// The count of edits, if headers that waited to be stored were.
    described: Option<(ObjectHeaders, u64)>,
}

impl Moved {
    fn new(
        of: &Arc<ObjectVersion>,
        (version, headers): (Arc<ObjectVersion>, Option<Arc<ObjectHeaders>>),
        is_moved: bool,
    ) -> Self {
        Self {
            of: Arc::clone(of),
            version,
            headers,
            is_moved,
            described: None,
        }
    }
}

impl Move {
    fn wanted(&self, state: &State) -> FsResult<Wanted> {
        let paths = both(
            state.path_shared(self.from.0)?,
            state.path_shared(self.to.0)?,
        );
        let mut wanted = both(paths, Wanted::from([(self.source, Access::Exclusive)]));
        if let Some(target) = self.target {
            wanted.insert(target, Access::Exclusive);
        }
        Ok(wanted)
    }

    /// Whether the names still mean what they meant when they were looked up.
    fn is_current(&self, state: &State) -> bool {
        state.tree.child(self.from.0, &self.from.1) == Some(self.source)
            && state.tree.child(self.to.0, &self.to.1) == self.target
    }
}

impl Fs {
    /// Renames a file or a directory, on the server.
    ///
    /// # Errors
    /// [`FsError::NoEntry`], [`FsError::Exists`], [`FsError::IsDirectory`],
    /// [`FsError::NotDirectory`], [`FsError::NotEmpty`], [`FsError::Invalid`] into itself,
    /// [`FsError::RenamedInPart`]; errors of names and of the store. Every object exists under at
    /// least one of its names after any of them.
    pub async fn rename(
        &self,
        from: (Ino, &OsStr),
        to: (Ino, &OsStr),
        mode: RenameMode,
    ) -> FsResult<()> {
        let from = (from.0, self.entry_name(from.1)?);
        let to = (to.0, self.entry_name(to.1)?);
        self.check_entry(from.0, &from.1)?;
        self.check_entry(to.0, &to.1)?;
        for _ in 0..ATTEMPTS_MAX {
            let source = self
                .resolve(from.0, &from.1)
                .await?
                .ok_or(FsError::NoEntry)?;
            let target = self.resolve(to.0, &to.1).await?;
            let plan = Move {
                source: source.ino,
                target: target.as_ref().map(|target| target.ino),
                from: from.clone(),
                to: to.clone(),
                mode,
            };
            let keeps_target = plan.target.is_some() && mode == RenameMode::NoReplace;
            if keeps_target && !self.has_stopped(&plan) {
                return Err(FsError::Exists);
            }
            if plan.target == Some(plan.source) {
                return Ok(());
            }
            let is_directory =
                |ino: Ino| self.state().tree.node(ino).map(|node| node.is_directory());
            let renamed = match (
                is_directory(plan.source),
                plan.target.and_then(is_directory),
            ) {
                (Some(false), Some(true)) => return Err(FsError::IsDirectory),
                (Some(true), Some(false)) => return Err(FsError::NotDirectory),
                (Some(false), _) => self.rename_file(&plan).await?,
                (Some(true), _) => {
                    for ino in [Some(plan.source), plan.target].into_iter().flatten() {
                        self.renew_marker(ino).await?;
                    }
                    self.rename_directory(&plan).await?
                }
                (None, _) => return Err(FsError::NoEntry),
            };
            if let Renamed::Done(gone) = renamed {
                self.end_buried(gone).await;
                return Ok(());
            }
        }
        Err(FsError::Busy)
    }

    /// What a rename locks, when the names are still those that were looked up.
    pub(super) async fn acquire_names(&self, plan: &Move) -> FsResult<Option<Held<'_>>> {
        let held = self.acquire(|state| plan.wanted(state)).await?;
        let is_current = plan.is_current(&self.state());
        Ok(is_current.then_some(held))
    }

    /// The inode that has a name, as far as is known.
    pub fn known_child(&self, parent: Ino, name: &OsStr) -> Option<Ino> {
        let name = self.entry_name(name).ok()?;
        self.state().tree.child(parent, &name)
    }

    /// Brings a rename to its end that another process was killed over, when nothing has the old
    /// name any more: what had it, `source`, has the new name. Whether there is anything that has.
    ///
    /// # Errors
    /// Errors of the name and of the store.
    pub async fn settle_rename(&self, source: Option<Ino>, to: (Ino, &OsStr)) -> FsResult<bool> {
        let name = self.entry_name(to.1)?;
        if self.resolve(to.0, &name).await?.is_none() {
            return Ok(false);
        }
        let place = self.state().child_place(to.0, &name)?;
        let stat = self.head_if_any(&place).await?;
        self.forget_stopped(&place);
        let is_there = |ino: &Ino| self.state().tree.node(*ino).is_some();
        let Some(source) = source.filter(is_there) else {
            return Ok(true);
        };
        let target = self.known_child(to.0, to.1);
        if let Some(target) = target.filter(|target| *target != source) {
            let file = self.state().files(&[target]).pop();
            let held = match file {
                Some(file) => Some(file.hold().await?),
                None => None,
            };
            let orphaned = self.orphan(target, held.as_ref()).await?;
            let gone = self.state().detach_buried(target, orphaned);
            drop(held);
            self.end_buried(gone).await;
        }
        let mut state = self.state();
        state.names_in(to.0).forget(&name);
        state.tree.rename(source, to.0, &name);
        if let (Some(file), Some(stat)) = (state.tree.file_mut(source), &stat) {
            file.known = Some(Known::of_stat(stat, Instant::now()));
        }
        if let (Some(open), Some(stat)) = (state.open.file(source), stat) {
            let before = open.file.stat().version;
            let is_moved = open
                .file
                .relocate(place, before.as_deref(), Some(stat.version));
            debug_assert!(is_moved, "nothing publishes a file that was just restored");
        }
        Ok(true)
    }

    async fn rename_file(&self, plan: &Move) -> FsResult<Renamed> {
        let (from, to) = {
            let state = self.state();
            let to = state.child_place(plan.to.0, &plan.to.1)?;
            (state.place(plan.source)?, to)
        };
        let is_leaving = |place: &Place| *place == from || *place == to;
        let lost = self.prepare(plan, &is_leaving).await?;
        let Some(_locked) = self.acquire_names(plan).await? else {
            return Ok(Renamed::Again);
        };
        let ends = [Some(plan.source), plan.target];
        let ends: Vec<Ino> = ends.into_iter().flatten().collect();
        let files = self.state().files(&ends);
        let held = Hold::all(files).await?;
        let is_sent_ahead = held.iter().any(Hold::is_sent_ahead);
        if is_sent_ahead || self.shared.has_dependents_on(&is_leaving, &lost) {
            return Ok(Renamed::Again);
        }
        let hold_of = |ino| {
            let file = self.state().files(&[ino]).pop()?;
            held.iter().find(|held| Arc::ptr_eq(held.file(), &file))
        };
        let source = hold_of(plan.source);
        if let Some(source) = source {
            source.file().learn_outcome().await?;
        }
        let orphaned = match plan.target {
            Some(target) => self.orphan(target, hold_of(target)).await?,
            None => None,
        };
        let moved = match self.copy_published(plan, (&from, &to), source).await {
            Ok(moved) => moved,
            Err(error) => {
                self.readopt(orphaned).await;
                return Err(error);
            }
        };
        let target = plan.target;
        let gone = target.and_then(|target| self.state().detach_buried(target, orphaned));
        self.state().names_in(plan.to.0).forget(&plan.to.1);
        self.finish_move(plan, (&from, to), (source, moved)).await?;
        self.forget_committed(plan.source);
        Ok(Renamed::Done(gone))
    }

    /// What may be an upload, before anything is locked. What replaces another object is published
    /// first, so that the name has the old content or the new; else unpublished edits go along.
    /// Returns the files that could not be committed.
    async fn prepare(
        &self,
        plan: &Move,
        is_leaving: &(dyn Fn(&Place) -> bool + Sync),
    ) -> FsResult<Vec<u64>> {
        let source = self.state().files(&[plan.source]).pop();
        if let Some(file) = &source {
            let is_replacing = plan.target.is_some() && file.pending_headers().is_none();
            if is_replacing {
                self.commit(plan.source).await?;
            } else {
                file.publish_sent_ahead().await?;
            }
        }
        let target = plan.target.map(|target| self.state().files(&[target]));
        for file in target.into_iter().flatten() {
            file.publish_sent_ahead().await?;
        }
        Ok(self.shared.commit_dependents_on(is_leaving).await?)
    }

    /// Copies what is published of a file; `None` when nothing ever was.
    async fn copy_published(
        &self,
        plan: &Move,
        ends: (&Place, &Place),
        source: Option<&Hold>,
    ) -> FsResult<Option<Moved>> {
        let file = source.map(Hold::file);
        if file.is_some_and(|file| file.stat().version.is_none()) {
            return Ok(None);
        }
        // Headers that wait to be stored go with the copy.
        let described = file.and_then(|file| file.pending_headers());
        let new_headers = described.as_ref().map(|(headers, _)| headers);
        let moved = self.copy_file(plan, ends, new_headers).await?;
        Ok(Some(Moved { described, ..moved }))
    }

    /// Takes the old name away. What is not published of the file stays on top of what is; of one
    /// that never was only the place is another.
    async fn finish_move(
        &self,
        plan: &Move,
        (from, to): (&Place, Place),
        (source, moved): (Option<&Hold>, Option<Moved>),
    ) -> FsResult<()> {
        if let Some(moved) = moved.as_ref().filter(|moved| !moved.is_moved) {
            delete_moved(from, &moved.of).await?;
        }
        let (of, copy) = moved
            .as_ref()
            .map(|moved| (&moved.of, &moved.version))
            .unzip();
        if let Some(source) = source {
            if copy.is_none() && plan.mode == RenameMode::NoReplace {
                source.publish_exclusively();
            }
            if !source.relocate(to, of.map(AsRef::as_ref), copy.cloned()) {
                log::error!("{}: moved, and open as another version", from.key);
            }
            if let Some(described) = moved.as_ref().and_then(|moved| moved.described.as_ref()) {
                source.file().described(described);
            }
        }
        self.state().file_moved(plan, moved);
        Ok(())
    }

    /// Copies the object of a file, as it is now, with its headers as far as they are known; moves
    /// it where the store can and the headers stay as they are, and tells so.
    async fn copy_file(
        &self,
        plan: &Move,
        (from, to): (&Place, &Place),
        new_headers: Option<&ObjectHeaders>,
    ) -> FsResult<Moved> {
        let precondition = match plan.mode {
            RenameMode::Replace => Precondition::None,
            RenameMode::NoReplace => Precondition::Absent,
        };
        let mut asked = false;
        loop {
            let (version, headers) = self.moved_version(plan.source, from).await?;
            let moved = |copy, headers, moved| Moved::new(&version, (copy, headers), moved);
            if to.holds(&version) {
                // A killed process has copied it.
                return Ok(moved(Arc::clone(&version), headers, false));
            }
            let storage_class = self.listed_class(plan.source);
            let committer = &self.shared.committer;
            let (from_name, to_name) = (in_key(&plan.from.1), in_key(&plan.to.1));
            let retyped = |headers: &ObjectHeaders| retyped(headers, from_name, to_name);
            let new_headers = match (new_headers, &headers) {
                (Some(new), _) => Some(retyped(new).unwrap_or_else(|| new.clone())),
                (None, Some(known)) => retyped(known),
                (None, None) => None,
            };
            if new_headers.is_none() && from.bucket.name() == to.bucket.name() {
                match to.bucket.rename(&version, &to.key, &precondition).await {
                    Ok(Some(there)) => return Ok(moved(Arc::new(there), headers, true)),
                    Ok(None) => {}
                    Err(StoreError::Stale { .. } | StoreError::NotFound { .. })
                        if !asked && self.forget_object(plan.source) =>
                    {
                        asked = true;
                        continue;
                    }
                    Err(StoreError::NotFound { .. }) => return Err(FsError::NoEntry),
                    Err(StoreError::Exists { .. }) => return Err(FsError::Exists),
                    Err(error) => return Err(error.into()),
                }
            }
            let carried = match &new_headers {
                Some(headers) => Carried::These(headers),
                None => Carried::Source {
                    headers: headers.as_deref(),
                    storage_class: &storage_class,
                },
            };
            let copy = committer.copy_object(&version, carried, to, &precondition);
            match copy.await {
                Ok(copy) => {
                    return Ok(moved(copy, new_headers.map(Arc::new).or(headers), false));
                }
                // Replaced by another writer since it was listed: what is there now is moved.
                Err(CommitError::Store(StoreError::Stale { .. } | StoreError::NotFound { .. }))
                    if !asked && self.forget_object(plan.source) =>
                {
                    asked = true;
                }
                Err(CommitError::Store(StoreError::NotFound { .. })) => {
                    return Err(FsError::NoEntry);
                }
                Err(CommitError::Store(StoreError::Exists { .. })) => return Err(FsError::Exists),
                Err(error) => return Err(FileError::from(error).into()),
            }
        }
    }

    /// The version to move: what an open file shows, else what is known or HEAD tells.
    async fn moved_version(
        &self,
        ino: Ino,
        from: &Place,
    ) -> FsResult<(Arc<ObjectVersion>, Option<Arc<ObjectHeaders>>)> {
        let open = {
            let mut state = self.state();
            let headers = state
                .tree
                .file_mut(ino)
                .and_then(|file| file.known.as_ref())
                .and_then(|known| known.headers.clone());
            state.open.file(ino).and_then(|open| {
                let stat = open.file.stat();
                let own = stat.is_described.then(|| Arc::new(open.file.headers()));
                // Those of content that is not published are for the next commit.
                let headers = own.or(headers).filter(|_| !stat.has_new_content);
                Some((stat.version?, headers))
            })
        };
        if let Some(open) = open {
            return Ok(open);
        }
        let stat = self.object(ino, from, Want::Anything).await?;
        let mut state = self.state();
        let known = state
            .tree
            .file_mut(ino)
            .and_then(|file| file.known.as_ref());
        Ok((stat.version, known.and_then(|known| known.headers.clone())))
    }

    fn listed_class(&self, ino: Ino) -> Option<String> {
        let state = self.state();
        let known = state.tree.file(ino)?.known.as_ref()?;
        known.storage_class.clone()
    }

    /// Gives up what is known of the object of a file, so that HEAD is asked; `false` when the
    /// file is open, and pinned to a version.
    fn forget_object(&self, ino: Ino) -> bool {
        let mut state = self.state();
        if state.open.file(ino).is_some() {
            return false;
        }
        if let Some(file) = state.tree.file_mut(ino) {
            file.known = None;
        }
        true
    }
}

/// Other headers for a file whose type went by its name and is another by its new one, as when a
/// temporary file gets its real name.
fn retyped(headers: &ObjectHeaders, from: &str, to: &str) -> Option<ObjectHeaders> {
    let now = content_type(to);
    let is_by_name = headers.content_type.is_none() || headers.content_type == content_type(from);
    (is_by_name && now.is_some() && now != headers.content_type).then(|| ObjectHeaders {
        content_type: now,
        ..headers.clone()
    })
}

impl State {
    fn file_moved(&mut self, plan: &Move, moved: Option<Moved>) {
        self.entry_removed(plan.from.0, &plan.from.1);
        self.names_in(plan.from.0)
            .note_absent(&plan.from.1, Instant::now());
        self.names_in(plan.to.0).forget(&plan.to.1);
        self.entries_changed(plan.to.0);
        self.note_carrier(plan.to.0);
        if let Some(file) = self.tree.file_mut(plan.source) {
            file.times.changed = Some(SystemTime::now());
            let known = file.known.take();
            let moved =
                moved.map(|moved| Known::guessed(&moved.version, moved.headers, Instant::now()));
            file.known = moved.map(|moved| match known {
                // As told before, the headers not kept.
                Some(known) if moved.headers.is_none() => Known {
                    storage_class: known.storage_class,
                    attributes: known.attributes,
                    has_extended: known.has_extended,
                    is_told: known.is_told,
                    ..moved
                },
                _ => moved,
            });
        }
        self.tree.rename(plan.source, plan.to.0, &plan.to.1);
    }
}
