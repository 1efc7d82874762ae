//! Renaming: the checks common to files and directories, and the rename of a file, which is a copy
//! on the server and a delete.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::commit::{Carried, CommitError};
use crate::file::{File, FileError, Place};
use crate::fs::locks::{Access, Wanted};
use crate::fs::lookup::Want;
use crate::fs::make::content_type;
use crate::fs::state::{State, both};
use crate::fs::{Fs, FsError, FsResult, Ino, RenameMode, entry_name};
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
        let from = (from.0, entry_name(from.1)?);
        let to = (to.0, entry_name(to.1)?);
        self.check_entry(from.0, &from.1)?;
        self.check_entry(to.0, &to.1)?;
        loop {
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
            if keeps_target && !self.was_killed_over(&plan) {
                return Err(FsError::Exists);
            }
            if plan.target == Some(plan.source) {
                return Ok(());
            }
            let _held = self.acquire(|state| plan.wanted(state)).await?;
            if !plan.is_current(&self.state()) {
                continue;
            }
            let is_directory =
                |ino: Ino| self.state().tree.node(ino).map(|node| node.is_directory());
            return match (
                is_directory(plan.source),
                plan.target.and_then(is_directory),
            ) {
                (Some(false), Some(true)) => Err(FsError::IsDirectory),
                (Some(true), Some(false)) => Err(FsError::NotDirectory),
                (Some(false), _) => self.rename_file(&plan).await,
                (Some(true), _) => self.rename_directory(&plan).await,
                (None, _) => Err(FsError::NoEntry),
            };
        }
    }

    /// The inode that has a name, as far as is known.
    pub fn known_child(&self, parent: Ino, name: &OsStr) -> Option<Ino> {
        let name = entry_name(name).ok()?;
        self.state().tree.child(parent, &name)
    }

    /// Brings a rename to its end that another process was killed over, when nothing has the old
    /// name any more: what had it, `source`, has the new name. Whether there is anything that has.
    ///
    /// # Errors
    /// Errors of the name and of the store.
    pub async fn settle_rename(&self, source: Option<Ino>, to: (Ino, &OsStr)) -> FsResult<bool> {
        let name = entry_name(to.1)?;
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
            let orphaned = self.orphan(target).await?;
            let gone = self.state().detach_buried(target, orphaned);
            self.end_buried(gone).await;
        }
        let mut state = self.state();
        state.names.forget(to.0, &name);
        state.tree.rename(source, to.0, &name);
        if let (Some(file), Some(stat)) = (state.tree.file_mut(source), &stat) {
            file.known = Some(Known::of_stat(stat, Instant::now()));
        }
        if let (Some(open), Some(stat)) = (state.open.file(source), stat) {
            open.file.relocate(place, Some(stat.version));
        }
        Ok(true)
    }

    async fn rename_file(&self, plan: &Move) -> FsResult<()> {
        let (from, to) = {
            let state = self.state();
            (
                state.place(plan.source)?,
                state.child_place(plan.to.0, &plan.to.1)?,
            )
        };
        let open = self
            .state()
            .open
            .file(plan.source)
            .map(|open| Arc::clone(&open.file));
        let _moving = open.as_ref().map(File::begin_move);
        if let Some(file) = &open {
            file.learn_outcome().await?;
        }
        // Headers that wait to be stored go with the copy.
        let mut described = open.as_ref().and_then(|file| file.pending_headers());
        if let Some(file) = open.as_ref().filter(|_| described.is_none()) {
            file.commit().await?;
            self.state().learn_content(plan.source, file);
            described = file.pending_headers();
        }
        let new_headers = described.as_ref().map(|(headers, _)| headers);
        let orphaned = match plan.target {
            Some(target) => self.orphan(target).await?,
            None => None,
        };
        let copied = match self.commit_both(&from, &to).await {
            Ok(()) => self.copy_file(plan, (&from, &to), new_headers).await,
            Err(error) => Err(error),
        };
        let (version, headers, is_moved) = match copied {
            Ok(copied) => copied,
            Err(error) => {
                self.readopt(orphaned).await;
                return Err(error);
            }
        };
        if let Some(target) = plan.target {
            let gone = self.state().detach_buried(target, orphaned);
            self.end_buried(gone).await;
        }
        self.state().names.forget(plan.to.0, &plan.to.1);
        if !is_moved {
            from.bucket.delete(&from.key).await?;
        }
        if let Some(file) = &open {
            file.relocate(to, Some(Arc::clone(&version)));
            if let Some((_, edits)) = described {
                file.described(edits);
            }
        }
        self.state().file_moved(plan, &version, headers);
        self.forget_committed(plan.source);
        Ok(())
    }

    async fn commit_both(&self, from: &Place, to: &Place) -> FsResult<()> {
        self.shared.commit_dependents(from).await?;
        Ok(self.shared.commit_dependents(to).await?)
    }

    /// Copies the object of a file, as it is now, with its headers as far as they are known; moves
    /// it where the store can and the headers stay as they are, and tells so.
    async fn copy_file(
        &self,
        plan: &Move,
        (from, to): (&Place, &Place),
        new_headers: Option<&ObjectHeaders>,
    ) -> FsResult<(Arc<ObjectVersion>, Option<Arc<ObjectHeaders>>, bool)> {
        let precondition = match plan.mode {
            RenameMode::Replace => Precondition::None,
            RenameMode::NoReplace => Precondition::Absent,
        };
        let mut asked = false;
        loop {
            let (version, headers) = self.moved_version(plan.source, from).await?;
            if to.holds(&version) {
                // A killed process has copied it.
                return Ok((version, headers, false));
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
                    Ok(Some(version)) => return Ok((Arc::new(version), headers, true)),
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
                Ok(version) => return Ok((version, new_headers.map(Arc::new).or(headers), false)),
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
                Some((stat.version?, own.or(headers)))
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
    fn file_moved(
        &mut self,
        plan: &Move,
        version: &ObjectVersion,
        headers: Option<Arc<ObjectHeaders>>,
    ) {
        self.entry_removed(plan.from.0, &plan.from.1);
        self.names
            .note_absent(plan.from.0, &plan.from.1, Instant::now());
        self.names.forget(plan.to.0, &plan.to.1);
        self.entries_changed(plan.to.0);
        self.note_carrier(plan.to.0);
        if let Some(file) = self.tree.file_mut(plan.source) {
            file.times.changed = Some(SystemTime::now());
            let known = file.known.take();
            let moved = Known::guessed(version, headers, Instant::now());
            file.known = Some(match known {
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
