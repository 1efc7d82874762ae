//! Open directories: a stream over the pages of a listing, merged with what only this mount knows.
//! Memory is bounded by a page, however large the directory.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::file::Place;
use crate::fs::handles::DirectoryHandle;
use crate::fs::kept::{keep_given, keep_stream};
use crate::fs::listed::ENTRIES_AHEAD;
use crate::fs::state::{State, directory_state, file_state};
use crate::fs::{DirEntry, Fh, Fs, FsError, FsResult, Ino, Opened, PageCache};
use crate::interrupt;
use crate::journal::codec::{Record, record};
use crate::namespace::Attr;
use crate::namespace::knowledge::{NameKnown, Named};
use crate::namespace::listing::{Entry, Fold};
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

/// A page of a listing that entries may yet come from.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// What it was asked for with.
    continuation: Option<String>,
    /// The offset of its first entry.
    from: u64,
    /// Names that the listing may not have, and had not had by then.
    local: Vec<Arc<str>>,
    /// The first object that was held back then.
    held: Option<Arc<str>>,
}

record!(Page {
    continuation,
    from,
    local,
    held
});

/// A name that was given out, and the offset behind it.
pub(super) type Given = (u64, Arc<str>);

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
    pub(super) entries: VecDeque<Entry>,
    /// When the first page was asked for; `None` once it was not from the start to the end.
    begun: Option<Instant>,
    /// The pages that are not over, the oldest first, for the next process: an object may be held
    /// back beyond the end of its page.
    pages: VecDeque<Page>,
    /// The names given out since the oldest of them.
    given: Vec<Given>,
    /// How many of these are kept; `None` when the pages are others since.
    kept: Option<usize>,
    /// Whether the listing is that of the process before, and `given` its names.
    is_resumed: bool,
    /// Names of a resumed listing that are not given out again.
    skipped: BTreeSet<Arc<str>>,
}

impl Stream {
    fn new(state: &State, ino: Ino) -> FsResult<Self> {
        let synthetic = state.tree.is_synthetic(ino);
        // One that was removed while a process works in it has no place, and no entries. One that
        // another was renamed over is stale: the path has to be looked up again.
        let node = state.node(ino)?;
        let is_gone = !node.is_linked() && state.tree.child(node.parent(), node.name()).is_none();
        let place = match synthetic || is_gone {
            true => None,
            false => Some(state.place(ino)?),
        };
        let prefix = place
            .as_ref()
            .map_or("", |place| place.key.as_str())
            .to_owned();
        let kept = state
            .tree
            .children(ino)
            .filter(|(_, child)| state.tree.is_retained(*child));
        let kept = kept.map(|(name, _)| Arc::clone(name)).collect();
        let local = state.tree.children(ino).filter(|(_, child)| {
            synthetic || state.open.file(*child).is_some() || state.tree.is_retained(*child)
        });
        Ok(Self {
            local: local.map(|(name, _)| Arc::clone(name)).collect(),
            place,
            fold: Fold::new(
                prefix,
                state.tree.spelling,
                state.tree.top(ino).is_some(),
                kept,
            ),
            next: Next::Start,
            first: DOTS,
            entries: VecDeque::new(),
            begun: None,
            pages: VecDeque::new(),
            given: Vec::new(),
            kept: Some(0),
            is_resumed: false,
            skipped: BTreeSet::new(),
        })
    }

    /// The stream of a directory that the process before had open, and what it kept of it.
    pub(super) fn restore(state: &State, ino: Ino, mut kept: &[u8]) -> Option<Self> {
        let mut stream = Self::new(state, ino).ok()?;
        if kept.is_empty() {
            return Some(stream);
        }
        let page = Page::read(&mut kept)?;
        while !kept.is_empty() {
            stream.given.extend(Vec::<Given>::read(&mut kept)?);
        }
        stream.is_resumed = true;
        stream.pages.push_back(page);
        Some(stream)
    }

    /// Goes on from `offset` where the process before has left off: what it gave out before that is
    /// not given out again, though the listing goes on from the beginning of a page.
    fn resume(&mut self, offset: u64) {
        self.is_resumed = false;
        let Some(page) = self.pages.pop_front().filter(|page| page.from <= offset) else {
            self.given.clear();
            return;
        };
        self.given.retain(|(next, _)| *next <= offset);
        self.skipped = self
            .given
            .iter()
            .map(|(_, name)| Arc::clone(name))
            .collect();
        self.local = page.local.iter().cloned().collect();
        self.local.retain(|name| !self.skipped.contains(name));
        self.next = page.continuation.clone().map_or(Next::Start, Next::After);
        self.first = offset.max(DOTS);
    }

    /// Another page is about to be asked for: whether one is over, and what is kept is another.
    fn turn(&mut self, continuation: Option<String>) {
        self.kept = None;
        let held = self.fold.first_held().cloned();
        self.pages.push_back(Page {
            continuation,
            from: self.end(),
            local: self.local.iter().cloned().collect(),
            held: held.clone(),
        });
        // Until all that was held back at the end of it has come out.
        while let Some(second) = self
            .pages
            .get(1)
            .filter(|page| held.is_none() || page.held != held)
        {
            let from = second.from;
            self.given.retain(|(next, _)| *next > from);
            self.pages.pop_front();
        }
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
                is_told: false,
            }));
        }
    }
}

impl Fs {
    /// Opens a directory. The kernel may keep the entries it has while a listing that was read to
    /// its end is trusted; what is changed here it takes care of itself.
    ///
    /// # Errors
    /// [`FsError::NotDirectory`], [`FsError::UnknownInode`].
    pub async fn opendir(&self, ino: Ino) -> FsResult<Opened> {
        self.check_kept()?;
        let ttl = self.shared.bounds.attr_ttl;
        let (stream, is_trusted) = {
            let mut state = self.state();
            if !state.node(ino)?.is_directory() {
                return Err(FsError::NotDirectory);
            }
            let stream = Stream::new(&state, ino)?;
            state.tree.pin(ino);
            let listed_at = state
                .tree
                .directory_mut(ino)
                .and_then(|node| node.listed_at);
            (stream, listed_at.is_some_and(|at| at.elapsed() < ttl))
        };
        let stream = tokio::sync::Mutex::new(stream);
        let fh = self
            .handles
            .insert_directory(DirectoryHandle { ino, stream });
        let cache = match is_trusted {
            true => PageCache::Keep,
            false => PageCache::Drop,
        };
        Ok(Opened { fh, cache })
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
        let mut stream = interrupt::or(handle.stream.lock()).await?;
        if stream.is_resumed {
            stream.resume(offset);
        }
        let filled = self.fill(&handle, &mut stream, (offset, plus), take).await;
        let journal = &self.shared.journal;
        match (stream.pages.front(), stream.kept) {
            (Some(page), None) => keep_stream(journal, fh, page, &stream.given),
            (Some(_), Some(kept)) => keep_given(journal, fh, stream.given.get(kept..)),
            (None, _) => {}
        }
        stream.kept = Some(stream.given.len());
        filled
    }

    async fn fill(
        &self,
        handle: &DirectoryHandle,
        stream: &mut Stream,
        (offset, plus): (u64, bool),
        take: &mut (dyn FnMut(&DirEntry) -> bool + Send),
    ) -> FsResult<()> {
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
                self.fetch(stream, handle.ino, position).await?;
            }
            let skipped = (position - stream.first) as usize;
            self.describe_entries(handle.ino, stream, skipped, plus)
                .await?;
            let mut state = self.state();
            for entry in stream.entries.iter().skip(skipped).take(ENTRIES_AHEAD) {
                position += 1;
                if !state.give(handle.ino, entry, (position, plus), take) {
                    return Ok(());
                }
                stream.given.push((position, Arc::clone(&entry.name)));
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
        stream.turn(continuation.clone());
        let request = ListRequest {
            prefix,
            fold: true,
            page_max: None,
            continuation,
        };
        let page = now.bucket.list(&request).await?;
        if matches!(stream.next, Next::Start) {
            stream.begun = Some(at);
        }
        let mut entries = stream.fold.page(&page, at);
        let at_end = page.continuation.is_none();
        if at_end {
            entries.extend(stream.fold.finish());
        }
        entries.retain(|entry| !stream.skipped.contains(&entry.name));
        stream.next = page.continuation.map_or(Next::End, Next::After);
        let mut state = self.state();
        state.learn_listing(ino, stream);
        if !state.may_carry(ino) {
            // Whatever happens later, these were plain.
            entries.iter_mut().for_each(Entry::nothing_is_open);
        }
        drop(state);
        stream.advance(offset, entries, at, at_end);
        Ok(())
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
        let child = self.tree.child(parent, &entry.name);
        let since = child.and_then(|child| self.known_at(child));
        let attr = self.trusted(attr, since.or(Some(entry.at)));
        let name = self.tree.spelling.name(&entry.name);
        if !take(&DirEntry {
            next_offset,
            name,
            attr,
        }) {
            return false;
        }
        if plus {
            let ino = child.unwrap_or_else(|| self.insert_listed(parent, entry));
            self.tree.count_lookup(ino);
            self.note_reported(ino, &attr.value);
        }
        true
    }

    /// An inode for a name whose attributes were given out.
    fn insert_listed(&mut self, parent: Ino, entry: &Entry) -> Ino {
        let known = self.names_in(parent).name(&entry.name);
        let state = match known.map_or(&entry.named, |known| &known.named) {
            Named::File(known) => file_state(Some(known.clone())),
            Named::Directory(marker) => directory_state(entry.at, marker.clone()),
            Named::Absent => directory_state(entry.at, None),
        };
        let ino = self.insert(parent, &entry.name, state);
        if entry.is_told
            && let Some(directory) = self.tree.directory_mut(ino)
        {
            directory.marker_at = Some(entry.at);
        }
        ino
    }

    /// The attributes of a listed name, where what was done here since counts more; takes in what
    /// the listing told. `None` when the name is gone.
    fn entry_attr(&mut self, parent: Ino, entry: &Entry) -> Option<Attr> {
        if let Some(child) = self.tree.child(parent, &entry.name) {
            self.refresh(child, entry);
        }
        // Unless what is listed is of another kind.
        if let Some(child) = self.tree.child(parent, &entry.name)
            && let Some(attr) = self.attr(child)
        {
            return Some(attr);
        }
        let known = self.names_in(parent).name(&entry.name);
        if entry.named == Named::Absent
            || known.is_some_and(|known| known.named == Named::Absent && known.at >= entry.at)
        {
            return None;
        }
        let before = known.and_then(|known| known.named.object());
        let named = match &entry.named {
            Named::File(listed) => Named::File(listed.clone().after(before)),
            other => other.clone(),
        };
        let numbers = self.numbers(parent, &entry.name, named.kind());
        let ino = self.tree.free_number(numbers);
        let attr = self.named_attr(parent, ino, &named);
        let known = NameKnown {
            at: entry.at,
            is_told: entry.is_told || named.object().is_some_and(|known| known.is_told),
            named,
        };
        self.names_in(parent).note(&entry.name, known);
        Some(attr)
    }

    /// Takes in what a page told of the directory itself.
    fn learn_listing(&mut self, ino: Ino, stream: &mut Stream) {
        let Some(directory) = self.tree.directory_mut(ino) else {
            return;
        };
        if let Some(marker) = stream.fold.marker.take() {
            directory.marker = Some(marker.after(directory.marker.as_ref()));
        }
        if matches!(stream.next, Next::End) {
            directory.listed_at = stream.begun;
        }
    }
}
