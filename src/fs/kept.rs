//! What is kept of inodes, open files and handles for the next process, and the filesystem that it
//! makes of that. Asks no store.
//!
//! What an operation changed is recorded when it gives the lock of the state back ([`Stated`]),
//! before it is answered. Not kept is what the store can be asked for again.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use crate::config::{Config, ShownSource};
use crate::file::{File, Place, RestoreError, Shared};
use crate::fs::handles::{FileHandle, KeptHandle};
use crate::fs::invalidate::Invalidations;
use crate::fs::readdir::{Given, Page, Stream};
use crate::fs::registry::KeptOpen;
use crate::fs::shown::top_numbers;
use crate::fs::state::{Root, State};
use crate::fs::{Fh, Fs, FsError, FsResult, Ino};
use crate::journal::codec::{Record, record, whole};
use crate::journal::{Batch, Journal, Key, Values};
use crate::lock::Locked;
use crate::namespace::LocalTimes;
use crate::namespace::tree::KeptNode;
use crate::readahead::Window;
use crate::store::Buckets;

mod source;

use source::KeptSource;
pub(in crate::fs) use source::keep_source;
pub use source::kept_sources;

/// The kinds of keys: inodes by number, files of inodes likewise, handles by number.
const INODE: u8 = 16;
const OPEN: u8 = 17;
const HANDLE: u8 = 18;
/// Sources that came later, by number.
const SOURCE: u8 = 21;
/// Listings of open directories, by handle.
const STREAM: u8 = 20;
/// What there is one of, by the numbers below.
const SINGLE: u8 = 19;
const MOUNT: u64 = 0;
const HANDLE_NUMBERS: u64 = 1;

/// Numbers are kept ahead of their use, so many at a time.
const NUMBERS_AHEAD: u64 = 4096;
/// Numbers from here on were not given out, whatever was.
const NUMBERS_UNKNOWN: u64 = 1 << 48;

/// What an open file that is not restored means.
const OPEN_LOST: &str = "what was written there and is not stored is lost, and calls on its \
                         handles fail with EIO";

const fn key(kind: u8, id: u64) -> Key {
    Key { kind, id }
}

/// The state while it is locked; what was changed is recorded when the lock is given back.
#[derive(Debug)]
pub(super) struct Stated<'a> {
    state: Locked<'a, State>,
    journal: &'a Journal,
    invalidations: &'a Invalidations,
}

impl<'a> Stated<'a> {
    pub(super) const fn new(
        state: Locked<'a, State>,
        journal: &'a Journal,
        invalidations: &'a Invalidations,
    ) -> Self {
        Self {
            state,
            journal,
            invalidations,
        }
    }
}

impl Deref for Stated<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Stated<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Stated<'_> {
    fn drop(&mut self) {
        if self.state.is_broken() {
            return;
        }
        let state = &mut *self.state;
        let (nodes, open) = (state.tree.take_changed(), state.open.take_changed());
        state.keep_bounds(&nodes, self.invalidations);
        if !state.invalid.is_empty() {
            self.invalidations.add(state.invalid.drain(..));
        }
        if !self.journal.is_on() || (nodes.is_empty() && open.is_empty()) {
            return;
        }
        let mut batch = Batch::default();
        for ino in nodes {
            match state.tree.kept(ino) {
                Some(node) => batch.put(key(INODE, ino.0), |to| node.write(to)),
                None => batch.delete(key(INODE, ino.0)),
            }
        }
        for ino in open {
            match state.open.file(ino) {
                Some(open) => batch.put(key(OPEN, ino.0), |to| KeptOpen::of(open).write(to)),
                None => batch.delete(key(OPEN, ino.0)),
            }
        }
        if state.tree.next_generation() > state.generations_kept {
            state.generations_kept = state.tree.next_generation() + NUMBERS_AHEAD;
            let kept = (state.generations_kept, state.mounted);
            batch.put(key(SINGLE, MOUNT), |to| kept.write(to));
        }
        self.journal.write(&batch);
    }
}

record!(LocalTimes {
    accessed,
    modified,
    changed
});

record!(KeptNode {
    parent,
    name,
    linked,
    lookups,
    generation,
    is_stand_in,
    is_directory,
    is_retained,
    times
});

impl Record for Ino {
    fn write(&self, to: &mut Vec<u8>) {
        self.0.write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        u64::read(from).map(Self)
    }
}

/// Keeps a handle that the kernel is about to be told of.
pub(super) fn keep_handle(journal: &Journal, fh: Fh, handle: &KeptHandle) {
    let mut batch = Batch::default();
    batch.put(key(HANDLE, fh.0), |to| handle.write(to));
    journal.write(&batch);
}

/// Keeps where a listing is to go on, and what was given out since.
pub(super) fn keep_stream(journal: &Journal, fh: Fh, page: &Page, given: &Vec<Given>) {
    let mut batch = Batch::default();
    batch.put(key(STREAM, fh.0), |to| {
        page.write(to);
        given.write(to);
    });
    journal.write(&batch);
}

/// Keeps what more of a listing was given out.
pub(super) fn keep_given(journal: &Journal, fh: Fh, more: Option<&[Given]>) {
    let Some(more) = more.filter(|more| !more.is_empty() && journal.is_on()) else {
        return;
    };
    let mut batch = Batch::default();
    batch.add(key(STREAM, fh.0), |to| more.to_vec().write(to));
    journal.write(&batch);
}

/// Keeps a handle no longer.
pub(super) fn drop_handle(journal: &Journal, fh: Fh) {
    let mut batch = Batch::default();
    batch.delete(key(HANDLE, fh.0));
    batch.delete(key(STREAM, fh.0));
    journal.write(&batch);
}

/// Keeps that handles below this number may be given out; returns the number.
pub(super) fn keep_numbers(journal: &Journal, next: u64) -> u64 {
    let kept = next + NUMBERS_AHEAD;
    let mut batch = Batch::default();
    batch.put(key(SINGLE, HANDLE_NUMBERS), |to| kept.write(to));
    journal.write(&batch);
    kept
}

/// What was kept of one kind, by number.
fn of_kind(values: &Values, kind: u8) -> impl Iterator<Item = (u64, &[u8])> {
    let all = values.range(key(kind, 0)..=key(kind, u64::MAX));
    all.map(|(key, value)| (key.id, value.as_slice()))
}

/// The values of one kind, by number, without those that cannot be read.
fn read_all<T: Record>(values: &Values, journal: &Journal, kind: u8) -> BTreeMap<u64, T> {
    of_kind(values, kind)
        .filter_map(|(id, _)| Some((id, read_one(values, journal, key(kind, id))?)))
        .collect()
}

/// A value; `None` when there is none, or it cannot be read.
pub(super) fn read_one<T: Record>(values: &Values, journal: &Journal, key: Key) -> Option<T> {
    let value = values.get(&key)?;
    let read = whole(value);
    if read.is_none() {
        skip(journal, key, "its record cannot be read");
    }
    read
}

/// Goes on without what was kept under a key, which must not keep all else from being restored.
/// The next process does not meet it again.
fn skip(journal: &Journal, key: Key, why: impl std::fmt::Display) {
    let (what, lost) = match key.kind {
        INODE => ("inode", "its number is stale"),
        OPEN => ("the open file of inode", OPEN_LOST),
        HANDLE => ("handle", "calls on it fail with EIO"),
        SOURCE => ("source", "it is not shown"),
        _ => ("a record", "what it says is not known"),
    };
    log::error!(
        "{what} {} of the process before is not restored: {why}; {lost}; please report this",
        key.id
    );
    let mut batch = Batch::default();
    batch.delete(key);
    journal.write(&batch);
}

impl Fs {
    /// The filesystem that another process has served until it was killed, out of what it kept:
    /// inodes have their numbers, handles too, and files the content they had. What is published is
    /// asked for anew.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn restore(
        config: &Config,
        shared: Arc<Shared>,
        values: &Values,
    ) -> Result<Self, RestoreError> {
        let mut fs = Self::new(config, shared);
        fs.restore_state(values)?;
        fs.stopped.restore(values);
        fs.restore_handles(values);
        let is_open = |id| fs.state().open.iter().any(|(_, open)| open.file.id() == id);
        for id in File::kept(values).filter(|id| !is_open(*id)) {
            // Nobody can reach it.
            fs.shared.forget_file(id);
        }
        fs.drop_closed();
        fs.shared.end_restoring(values);
        Ok(fs)
    }

    fn restore_state(&mut self, values: &Values) -> Result<(), RestoreError> {
        let mut state = self.state();
        let journal = &self.shared.journal;
        let single = key(SINGLE, MOUNT);
        // Unread, generations go on from anywhere.
        if let Some((next, mounted)) = read_one(values, journal, single) {
            state.generations_kept = next;
            state.mounted = mounted;
            state.tree.restore_generation(next);
        }
        let sources: BTreeMap<u64, KeptSource> = read_all(values, journal, SOURCE);
        for (number, kept) in sources {
            let shown = kept.shown();
            if self.shared.buckets.named(&shown.source.bucket).is_none() {
                skip(journal, key(SOURCE, number), "its bucket is not there");
                continue;
            }
            state.restore_source((kept.ino, &kept.name), &shown, &self.shared.buckets);
        }
        let nodes: BTreeMap<u64, KeptNode> = read_all(values, journal, INODE);
        let nodes = nodes.into_iter().map(|(ino, node)| (Ino(ino), node));
        for ino in state.tree.restore(nodes.collect()) {
            log::error!("{ino:?} of the process before has no directory: its name is unknown");
        }
        // What a listing does not tell of objects is asked for: nobody knows any more where.
        state.carriers_unknown();
        let open: BTreeMap<u64, KeptOpen> = read_all(values, journal, OPEN);
        for (ino, kept) in open {
            let name = match state.place(Ino(ino)) {
                Ok(Place { bucket, key }) => format!("s3://{}/{key}", bucket.name()),
                Err(_) => "a file without a name".to_owned(),
            };
            let Some(file) = File::restore(&self.shared, kept.file, values)? else {
                let why = format_args!("the record of {name} cannot be read");
                skip(journal, key(OPEN, ino), why);
                continue;
            };
            if !kept.orphan {
                // Its unlink was under way, and comes again.
                file.adopt();
            }
            let Some(open) = kept.into_open(file, &self.shared.buckets) else {
                let why = format_args!("a bucket of {name} is not there");
                skip(journal, key(OPEN, ino), why);
                continue;
            };
            state.open.insert(Ino(ino), open);
            state.tree.pin(Ino(ino));
        }
        Ok(())
    }

    fn restore_handles(&mut self, values: &Values) {
        let journal = Arc::clone(&self.shared.journal);
        let single = key(SINGLE, HANDLE_NUMBERS);
        let next = match values.contains_key(&single) {
            true => read_one(values, &journal, single).unwrap_or(NUMBERS_UNKNOWN),
            false => 0,
        };
        self.handles.restore(next);
        for (fh, value) in of_kind(values, HANDLE) {
            let stream = values.get(&key(STREAM, fh)).map_or(&[][..], Vec::as_slice);
            let kept = whole(value);
            let restored = kept.and_then(|kept| self.restore_handle(Fh(fh), &kept, stream));
            if restored.is_none() {
                skip(&journal, key(HANDLE, fh), "what it is of is not restored");
                self.handles.restore_lost(Fh(fh));
            }
        }
    }

    fn restore_handle(&mut self, fh: Fh, kept: &KeptHandle, stream: &[u8]) -> Option<()> {
        let ino = kept.ino;
        let Some(mode) = kept.file else {
            let stream = {
                let mut state = self.state();
                let stream = Stream::restore(&state, ino, stream)?;
                state.tree.pin(ino);
                stream
            };
            self.handles.restore_directory(fh, kept, stream);
            return Some(());
        };
        let file = {
            let mut state = self.state();
            let open = state.open.file_mut(ino)?;
            open.handles += 1;
            Arc::clone(&open.file)
        };
        let window = Window::new(self.shared.bounds.readahead_bytes_max);
        let handle = FileHandle::new(ino, file, mode, window);
        self.handles.restore_file(fh, kept, handle);
        Some(())
    }

    /// What was open for nobody but a request that was under way is closed.
    fn drop_closed(&self) {
        let mut state = self.state();
        let closed = state.open.iter().filter(|(_, open)| open.handles == 0);
        let closed: Vec<Ino> = closed.map(|(ino, _)| ino).collect();
        for ino in closed {
            let Some(open) = state.open.file_mut(ino) else {
                continue;
            };
            if open.orphan {
                continue;
            }
            if open.file.stat().dirty {
                // Its last close was under way, or comes again.
                open.deferred.get_or_insert_with(Instant::now);
                self.attributes_changed.notify_one();
            } else {
                state.drop_file(ino);
            }
        }
        state.tree.prune_all();
    }

    /// Ends what the process before could not: files without a name that nobody has open, and those
    /// whose callers were told that they could not be stored.
    pub(super) async fn end_closed(&self) {
        let closed: Vec<(Ino, bool)> = {
            let state = self.state();
            let closed = state
                .open
                .iter()
                .filter(|(_, open)| open.handles == 0 && (open.orphan || open.file.stat().refused));
            closed.map(|(ino, open)| (ino, open.orphan)).collect()
        };
        for (ino, orphan) in closed {
            let gone = match orphan {
                true => self.state().drop_file(ino),
                false => None,
            };
            match gone {
                Some(gone) => self.end_orphan(&gone).await,
                None => {
                    let file = self.state().open.file(ino).map(|open| open.file.clone());
                    if let Some(file) = file {
                        self.give_up(ino, &file).await;
                    }
                }
            }
        }
    }

    /// The kernel is about to be told of a handle, in answer to the request of this number: from
    /// now on the next process has it too.
    pub fn told(&self, fh: Fh, request: u64) {
        self.handles.told(fh, request);
    }

    /// The handle that the process before was about to answer a request with.
    pub fn told_before(&self, request: u64) -> Option<(Ino, Fh)> {
        self.handles.told_before(request)
    }

    /// Fails when what the next process needs cannot be kept.
    pub(super) fn check_kept(&self) -> FsResult<()> {
        let kept = self.shared.journal.check();
        kept.map_err(|error| FsError::NotKept(Arc::new(error)))
    }
}

impl State {
    /// Objects of any source may have attributes that a listing does not tell.
    fn carriers_unknown(&mut self) {
        for source in 0..self.roots.len() {
            self.carriers.note_everywhere(source);
        }
    }

    /// A source that was added in the process before, under the same number and name.
    fn restore_source(
        &mut self,
        (ino, name): (Ino, &Arc<str>),
        shown: &ShownSource,
        buckets: &Buckets,
    ) {
        let numbers = std::iter::once(ino).chain(top_numbers(&shown.source));
        self.tree.add_top(name, numbers);
        self.carriers.add_source();
        let ShownSource { source, ownership } = shown;
        self.add_root(Root::of(source, *ownership, buckets));
    }
}
