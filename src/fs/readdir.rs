//! Open directories: a stream over the pages of a listing, merged with what only this mount knows.
//! Memory is bounded by a page, however large the directory.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Instant;

use crate::file::Place;
use crate::fs::handles::DirectoryHandle;
use crate::fs::state::{State, directory_state, file_state};
use crate::fs::{DirEntry, Fh, Fs, FsError, FsResult, Ino};
use crate::namespace::knowledge::{Known, NameKnown, Named};
use crate::namespace::listing::{Entry, Fold};
use crate::namespace::{Attr, Kind};
use crate::store::ListRequest;

/// Entries before those of the listing: `.` and `..`.
const DOTS: u64 = 2;

/// Where a listing goes on.
#[derive(Debug)]
enum Next {
    Start,
    After(String),
    End,
}

/// The stream of an open directory. The offset of an entry is how many were before it, so an
/// offset means the same entry as long as the stream goes forward or its last page is read again;
/// a step back beyond that lists anew and counts.
#[derive(Debug)]
pub(super) struct Stream {
    place: Option<Place>,
    fold: Fold,
    next: Next,
    /// Names that the listing may not have: files not yet committed, directories kept for the
    /// session. Each is given out when the listing has passed it, or comes with the listing.
    local: BTreeSet<Arc<str>>,
    /// The offset of `entries[0]`.
    first: u64,
    entries: VecDeque<Entry>,
}

impl Stream {
    fn new(state: &State, ino: Ino) -> FsResult<Self> {
        let synthetic = state.tree.is_synthetic(ino);
        let place = if synthetic {
            None
        } else {
            Some(state.place(ino)?)
        };
        let prefix = place
            .as_ref()
            .map_or("", |place| place.key.as_str())
            .to_owned();
        let local = state.tree.children(ino).filter(|(_, child)| {
            synthetic || state.open.file(*child).is_some() || state.tree.is_retained(*child)
        });
        Ok(Self {
            local: local.map(|(name, _)| Arc::clone(name)).collect(),
            place,
            fold: Fold::new(prefix, state.tree.top(ino).is_some()),
            next: Next::Start,
            first: DOTS,
            entries: VecDeque::new(),
        })
    }

    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Takes in what came of the listing; `at_end` when there is no more of it. Entries before
    /// `offset` are given up.
    fn advance(&mut self, offset: u64, listed: Vec<Entry>, at: Instant, at_end: bool) {
        while self.first < offset && self.entries.pop_front().is_some() {
            self.first += 1;
        }
        for entry in &listed {
            self.local.remove(&entry.name);
        }
        self.entries.extend(listed);
        if at_end {
            // Absent from the listing: whether they are still there is looked up when given out.
            let local = std::mem::take(&mut self.local).into_iter();
            self.entries.extend(local.map(|name| Entry {
                name,
                named: Named::Absent,
                at,
            }));
        }
    }
}

impl Fs {
    /// Opens a directory.
    ///
    /// # Errors
    /// [`FsError::NotDirectory`], [`FsError::UnknownInode`].
    pub async fn opendir(&self, ino: Ino) -> FsResult<Fh> {
        let stream = {
            let mut state = self.state();
            match state.tree.node(ino).ok_or(FsError::UnknownInode)?.kind() {
                Kind::Directory => {}
                Kind::File => return Err(FsError::NotDirectory),
            }
            let stream = Stream::new(&state, ino)?;
            state.tree.pin(ino);
            stream
        };
        let stream = tokio::sync::Mutex::new(stream);
        Ok(self
            .handles
            .insert_directory(DirectoryHandle { ino, stream }))
    }

    /// Closes a directory.
    pub fn releasedir(&self, fh: Fh) {
        if let Some(ino) = self.handles.remove_directory(fh) {
            self.state().tree.unpin(ino);
        }
    }

    /// Entries from `offset` on, given to `take` until it answers `false` (no room) or the
    /// directory ends. With `plus` every entry taken counts one lookup, except `.` and `..`.
    ///
    /// # Errors
    /// [`FsError::BadHandle`]; errors of the store.
    pub async fn readdir(
        &self,
        fh: Fh,
        offset: u64,
        plus: bool,
        take: &mut (dyn FnMut(&DirEntry) -> bool + Send),
    ) -> FsResult<()> {
        let handle = self.handles.directory(fh)?;
        let mut stream = handle.stream.lock().await;
        let begun = !matches!(stream.next, Next::Start);
        if begun && (offset == 0 || offset.max(DOTS) < stream.first) {
            *stream = Stream::new(&self.state(), handle.ino)?;
        }
        let mut position = offset;
        while position < DOTS {
            let entry = self.dot(handle.ino, position)?;
            if !take(&entry) {
                return Ok(());
            }
            position += 1;
        }
        loop {
            while position >= stream.end() {
                if matches!(stream.next, Next::End) {
                    return Ok(());
                }
                self.fetch(&mut stream, handle.ino, position).await?;
            }
            let skipped = (position - stream.first) as usize;
            let mut state = self.state();
            for entry in stream.entries.iter().skip(skipped) {
                position += 1;
                if !state.give(handle.ino, entry, (position, plus), take) {
                    return Ok(());
                }
            }
        }
    }

    /// One more page of the listing.
    async fn fetch(&self, stream: &mut Stream, ino: Ino, offset: u64) -> FsResult<()> {
        let at = Instant::now();
        if stream.place.is_none() {
            stream.next = Next::End;
            stream.advance(offset, Vec::new(), at, true);
            return Ok(());
        }
        let _held = self.acquire(|state| state.path_shared(ino)).await?;
        let now = self.state().place(ino)?;
        if stream.place.as_ref() != Some(&now) {
            // Renamed since: the listing starts again under the new name.
            let first = stream.first;
            *stream = Stream::new(&self.state(), ino)?;
            log::debug!("{}: renamed while it was listed, at entry {first}", now.key);
        }
        let continuation = match &stream.next {
            Next::Start => None,
            Next::After(continuation) => Some(continuation.clone()),
            Next::End => return Ok(()),
        };
        let prefix = now.key.as_str().to_owned();
        let request = ListRequest {
            prefix,
            fold: true,
            page_max: None,
            continuation,
        };
        let page = now.bucket.list(&request).await?;
        let mut entries = stream.fold.page(&page, at);
        let at_end = page.continuation.is_none();
        if at_end {
            entries.extend(stream.fold.finish());
        }
        stream.next = page.continuation.map_or(Next::End, Next::After);
        stream.advance(offset, entries, at, at_end);
        Ok(())
    }

    fn dot(&self, ino: Ino, position: u64) -> FsResult<DirEntry> {
        let state = self.state();
        let parent = state.tree.node(ino).ok_or(FsError::UnknownInode)?.parent();
        let (name, of) = if position == 0 {
            (".", ino)
        } else {
            ("..", parent)
        };
        let attr = state
            .attr(of)
            .or_else(|| state.attr(ino))
            .ok_or(FsError::UnknownInode)?;
        Ok(DirEntry {
            next_offset: position + 1,
            name: OsString::from(name),
            attr,
        })
    }
}

impl State {
    /// Gives an entry to `take`, unless it is known to be gone; `false` when there is no room.
    fn give(
        &mut self,
        parent: Ino,
        entry: &Entry,
        (next_offset, plus): (u64, bool),
        take: &mut (dyn FnMut(&DirEntry) -> bool + Send),
    ) -> bool {
        let Some(attr) = self.entry_attr(parent, entry) else {
            return true;
        };
        let name = OsString::from(&*entry.name);
        if !take(&DirEntry {
            next_offset,
            name,
            attr,
        }) {
            return false;
        }
        if plus {
            let ino = self.tree.child(parent, &entry.name).unwrap_or_else(|| {
                let state = match &entry.named {
                    Named::File(known) => file_state(Some(known.clone())),
                    Named::Directory | Named::Absent => directory_state(entry.at, None),
                };
                self.insert(parent, &entry.name, state)
            });
            self.tree.count_lookup(ino);
        }
        true
    }

    /// The attributes of a listed name, where what was done here since counts more; takes in what
    /// the listing told. `None` when the name is gone.
    fn entry_attr(&mut self, parent: Ino, entry: &Entry) -> Option<Attr> {
        if let Some(child) = self.tree.child(parent, &entry.name) {
            self.refresh(child, entry);
            if let Some(attr) = self.attr(child) {
                return Some(attr);
            }
        }
        let known = self.names.name(parent, &entry.name);
        let reserved = known.and_then(|known| known.ino);
        if entry.named == Named::Absent
            || known.is_some_and(|known| known.named == Named::Absent && known.at >= entry.at)
        {
            return None;
        }
        let ino = reserved.unwrap_or_else(|| self.tree.reserve());
        let known = NameKnown {
            at: entry.at,
            named: entry.named.clone(),
            ino: Some(ino),
        };
        self.names.note(parent, &entry.name, known);
        Some(self.named_attr(ino, &entry.named))
    }

    /// Takes in what a listing told of a name that has an inode. Another kind of entry takes the
    /// inode's place.
    fn refresh(&mut self, ino: Ino, entry: &Entry) {
        if self.is_known(ino, |at| at >= entry.at) {
            return;
        }
        match &entry.named {
            Named::File(listed) => match self.tree.file_mut(ino) {
                Some(file) => file.known = Some(merged(file.known.take(), listed)),
                None => self.tree.detach(ino),
            },
            Named::Directory => match self.tree.directory_mut(ino) {
                Some(directory) => directory.known_at = Some(entry.at),
                None => self.tree.detach(ino),
            },
            Named::Absent => {}
        }
    }
}

/// What is known of an object after a listing: of the same version also what only HEAD tells.
fn merged(before: Option<Known>, listed: &Known) -> Known {
    match before {
        Some(before) if before.etag.is_some() && before.etag == listed.etag => Known {
            at: listed.at,
            ..before
        },
        Some(_) | None => listed.clone(),
    }
}
