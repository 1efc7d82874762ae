//! Open files: open, read, write, copy_file_range, release. The bytes are the `File`'s business.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::join_all;

use crate::file::{File, Salvaged};
use crate::fs::handles::FileHandle;
use crate::fs::locks::Access;
use crate::fs::lookup::Want;
use crate::fs::registry::OpenFile;
use crate::fs::state::State;
use crate::fs::{
    CopyRequest, Fh, Fs, FsError, FsResult, Ino, Invalidation, OpenMode, Opened, PageCache, WriteAt,
};
use crate::namespace::tree::NodeState;
use crate::range::ByteRange;
use crate::readahead::Window;

mod alias;

pub(super) use alias::Aliases;

/// Most bytes one copy_file_range(2) copies: the answer has 32 bits, and the kernel's own bound is
/// UINT_MAX rounded down to a page.
const COPY_BYTES_MAX: u64 = 0xffff_f000;

/// A time of access older than this is replaced by the next read: mount(8), relatime.
const RELATIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the store may take at the end of a mount to abort uploads of what was saved.
const ABORT_PATIENCE: Duration = Duration::from_secs(5);

impl Fs {
    /// Opens a file: what is there now, asked by HEAD unless known for less than the trust time.
    ///
    /// An inode that lost its name to another file, as `doc` does when an editor renames a new
    /// version over it, is opened for reading as that other file: the caller found the old one by
    /// its name a moment ago, and the kernel looks a path up again only once.
    ///
    /// # Errors
    /// [`FsError::StaleInode`] when the object is gone, another file has the name, or the kernel
    /// was given another size, owner or mode; [`FsError::IsDirectory`]; errors of the store.
    pub async fn open(&self, ino: Ino, mode: OpenMode) -> FsResult<Opened> {
        self.check_kept()?;
        let _pin = self.pin(ino)?;
        let mut of = ino;
        loop {
            let _pin = self.pin(of)?;
            let opened = self.open_inode(of, ino, mode).await;
            if !matches!(opened, Err(FsError::StaleInode)) || mode.write {
                return opened;
            }
            match self.state().shown_as(ino) {
                Some(next) if next != of => of = next,
                Some(_) | None => return opened,
            }
        }
    }

    /// Opens the file of an inode for a caller that has found `found`.
    async fn open_inode(&self, ino: Ino, found: Ino, mode: OpenMode) -> FsResult<Opened> {
        let want = match mode {
            // Its content does not matter.
            OpenMode { truncate: true, .. } => Want::Headers,
            _ if self.close_to_open => Want::Current,
            OpenMode { write: true, .. } => Want::Headers,
            _ => Want::Anything,
        };
        let file = self.content(ino, want).await?;
        let is_current = {
            let mut state = self.state();
            match found == ino {
                true => file.stat().dirty || state.is_reported(ino, mode.truncate),
                false => state.lets_in_as(ino, found) && state.add_alias(found, ino),
            }
        };
        if !is_current {
            self.close(ino).await;
            return Err(FsError::StaleInode);
        }
        if mode.truncate
            && let Err(error) = self.set_len(&file, 0).await
        {
            self.state().end_alias(found, ino);
            self.close(ino).await;
            return Err(error);
        }
        if found == ino {
            return Ok(self.opened(ino, file, mode));
        }
        self.state().invalid.push(Invalidation::Attributes(found));
        let (fh, cache) = (self.new_handle((ino, found), file, mode), PageCache::Bypass);
        Ok(Opened { fh, cache })
    }

    /// The content of a file, with one handle more counted; [`Self::close`] ends it. Writing needs
    /// the object's headers, which the next commit sends again.
    ///
    /// # Errors
    /// [`FsError::StaleInode`]; errors of the store.
    pub(super) async fn content(&self, ino: Ino, want: Want) -> FsResult<Arc<File>> {
        if let Some(file) = self.own_content(ino)? {
            return Ok(file);
        }
        // Shared with other opens; whatever replaces the object waits.
        let _held = self
            .acquire(|state| state.path_and(ino, Access::Shared))
            .await?;
        if let Some(file) = self.own_content(ino)? {
            return Ok(file);
        }
        let place = self.state().place(ino)?;
        let mut seen = self.object(ino, &place, want).await?;
        // A commit meanwhile knows better than an answer that may be older.
        while self.state().knows_better(ino, &seen) {
            seen = self.object(ino, &place, want).await?;
        }
        let is_open = self.state().open.file(ino).is_some();
        // A file that is open may be written by another handle: it takes over headers as well.
        if is_open && seen.headers.is_none() {
            seen = self.object(ino, &place, Want::Headers).await?;
        }
        let make = || File::of_object(&self.shared, place, &seen);
        let file = self.state().open_file(ino, make);
        file.refresh(&seen);
        Ok(file)
    }

    /// The content, when the store has no say: it was changed here, or has no name any more.
    fn own_content(&self, ino: Ino) -> FsResult<Option<Arc<File>>> {
        let mut state = self.state();
        let node = state.tree.node(ino).ok_or(FsError::UnknownInode)?;
        if node.is_directory() {
            return Err(FsError::IsDirectory);
        }
        let linked = node.is_linked();
        let Some(open) = state.open.file_mut(ino) else {
            return if linked {
                Ok(None)
            } else {
                Err(FsError::StaleInode)
            };
        };
        if open.file.is_superseded() {
            return Err(FsError::StaleInode);
        }
        if linked && !open.file.stat().dirty {
            return Ok(None);
        }
        open.handles += 1;
        Ok(Some(Arc::clone(&open.file)))
    }

    /// A handle on a file whose [`Self::content`] was counted.
    pub(super) fn opened(&self, ino: Ino, file: Arc<File>, mode: OpenMode) -> Opened {
        let stat = file.stat();
        let seen = stat
            .version
            .filter(|_| !stat.was_edited)
            .map(|version| version.etag.clone());
        let is_as_before = self.state().tree.file_mut(ino).is_some_and(|node| {
            let before = std::mem::replace(&mut node.opened, seen.clone());
            seen.is_some() && before == seen
        });
        let cache = match is_as_before {
            true => PageCache::Keep,
            false => PageCache::Drop,
        };
        let fh = self.new_handle((ino, ino), file, mode);
        Opened { fh, cache }
    }

    fn new_handle(&self, (ino, found): (Ino, Ino), file: Arc<File>, mode: OpenMode) -> Fh {
        let window = Window::new(self.shared.bounds.readahead_bytes_max);
        let mut handle = FileHandle::new(ino, file, mode, window);
        handle.found = found;
        self.handles.insert_file(handle)
    }

    /// Reads; fewer bytes at the end of the file.
    ///
    /// # Errors
    /// [`FsError::BadHandle`]; [`FsError::File`], stale when the object was replaced.
    pub async fn read(&self, fh: Fh, range: ByteRange) -> FsResult<Bytes> {
        let handle = self.handles.readable(fh)?;
        let bytes = handle.file.read(range, &handle.window).await?;
        let mut state = self.state();
        state.learn_followed(handle.ino, &handle.file);
        state.accessed(handle.ino);
        Ok(bytes)
    }

    /// Writes all of `data`.
    ///
    /// # Errors
    /// [`FsError::BadHandle`]; [`FsError::File`]: no room to stage, too large for an object.
    pub async fn write(&self, fh: Fh, at: impl Into<WriteAt>, data: Bytes) -> FsResult<()> {
        self.check_kept()?;
        let handle = self.handles.writable(fh)?;
        match at.into() {
            WriteAt::End(taken) => self.appended(&handle, taken, handle.file.append(&data).await?),
            WriteAt::Offset(at) => handle.file.write(at, &data).await?,
        }
        Ok(())
    }

    /// As [`Self::write`], if that needs no wait; else nothing is done, and `None`.
    pub fn try_write(&self, fh: Fh, at: WriteAt, data: &[u8]) -> Option<FsResult<()>> {
        let written = self.write_at_once(fh, at, data);
        written.transpose()
    }

    /// Whether an append, which the kernel expects to go there, has been done: the file ends where
    /// it would.
    pub fn is_appended(&self, fh: Fh, range: ByteRange) -> bool {
        let handle = self.handles.writable(fh);
        handle.is_ok_and(|handle| handle.file.stat().size == range.end())
    }

    fn write_at_once(&self, fh: Fh, at: WriteAt, data: &[u8]) -> FsResult<Option<()>> {
        self.check_kept()?;
        let handle = self.handles.writable(fh)?;
        let written = match at {
            WriteAt::End(taken) => {
                let at = handle.file.try_append(data).transpose()?;
                return Ok(at.map(|at| self.appended(&handle, taken, at)));
            }
            WriteAt::Offset(at) => handle.file.try_write(at, data),
        };
        Ok(written.transpose()?)
    }

    /// copy_file_range(2): edits a map; the store copies at the next commit. Returns bytes copied,
    /// at most what fits 32 bits.
    ///
    /// # Errors
    /// [`FsError::BadHandle`]; [`FsError::File`], of either file.
    pub async fn copy_file_range(&self, request: CopyRequest) -> FsResult<u32> {
        let from = self.handles.readable(request.from)?;
        let to = self.handles.writable(request.to)?;
        let start = request.range.start();
        let range = ByteRange::at(start, request.range.len().min(COPY_BYTES_MAX));
        let copied = to.file.copy_from(request.at, &from.file, range).await?;
        self.state().learn_content(from.ino, &from.file);
        Ok(u32::try_from(copied).expect("at most COPY_BYTES_MAX bytes were asked for"))
    }

    /// The last close: the handle ends. Commits what no flush has (mmap); what a flush could not
    /// commit is not tried again, because its caller was told that it failed.
    ///
    /// # Errors
    /// Those of [`Self::flush`].
    pub async fn release(&self, fh: Fh) -> FsResult<()> {
        let handle = self.handles.remove_file(fh)?;
        let waits = {
            let state = self.state();
            let open = state.open.file(handle.ino);
            // A reader's close says nothing of what others write, unless it is the last. What has
            // come since the flush is half written while another handle can write.
            let is_others = || !handle.mode.can_change() || self.handles.can_write(handle.ino);
            open.is_some_and(|open| open.waits() || open.handles > 1 && is_others())
        };
        let committed = if waits || handle.file.stat().refused {
            Ok(())
        } else {
            self.commit(handle.ino).await
        };
        self.state().end_alias(handle.found, handle.ino);
        self.close(handle.ino).await;
        committed
    }

    /// Counts one handle less. With the last one a file's content is given up, and an unlinked
    /// file's bytes are deleted.
    pub(super) async fn close(&self, ino: Ino) {
        if let Some(open) = self.state().open.file_mut(ino) {
            open.handles = open.handles.saturating_sub(1);
        }
        self.end_if_closed(ino).await;
    }

    /// What becomes of a file when nobody has it open. What is not stored is stored now: whoever
    /// changed it may have left that to another handle, which was closed before. What cannot be
    /// stored is given up, and the next call on the file that can fail so tells why if none has.
    pub(super) async fn end_if_closed(&self, ino: Ino) {
        let mut closed = self.state().closed(ino);
        if let Closed::Unstored(file) = &closed
            && !file.stat().refused
        {
            let key = file.place().key;
            if let Err(error) = self.commit(ino).await {
                self.state().note_late(ino, key, error);
            }
            closed = self.state().closed(ino);
        }
        match closed {
            Closed::Gone(gone) if gone.orphan || gone.hiding.is_some() => {
                self.end_orphan(&gone).await;
            }
            Closed::Unstored(file) => self.give_up(ino, &file).await,
            Closed::Deferred => self.attributes_changed.notify_one(),
            Closed::InUse | Closed::Gone(_) => {}
        }
    }

    /// The last handle of a file is closed that could not be stored, as its caller was told: what
    /// was written is kept in a local file, and the name shows again what the store has.
    pub(super) async fn give_up(&self, ino: Ino, file: &Arc<File>) {
        let saved = save(file).await;
        let (Ok(said) | Err(said)) = &saved;
        log::error!("{said}");
        if saved.is_ok() && self.state().drop_unstored(ino) {
            file.discard().await;
        }
    }

    /// At the end of a mount: what could not be stored is kept in local files, and its uploads are
    /// aborted if the store does so soon. Returns what is to be said of each.
    pub async fn save_unstored(&self) -> Vec<String> {
        let unstored = self.unstored();
        let mut said = Vec::new();
        let mut saved = Vec::new();
        for file in &unstored {
            match save(file).await {
                Ok(where_it_is) => {
                    saved.push(file.discard());
                    said.push(where_it_is);
                }
                Err(why) => said.push(why),
            }
        }
        let _ = tokio::time::timeout(ABORT_PATIENCE, join_all(saved)).await;
        said
    }

    /// Keeps in local files what is not stored yet, in case this process does not live to store or
    /// save it. Returns the files.
    pub async fn copy_unstored(&self) -> Vec<PathBuf> {
        let mut copies = Vec::new();
        for file in self.unstored() {
            let key = file.place().key;
            match file.salvage().await {
                Ok(Salvaged::Bytes { path, .. }) => {
                    log::warn!(
                        "{key}: not stored yet; until it is its bytes are in {}",
                        path.display()
                    );
                    copies.push(path.with_added_extension("txt"));
                    copies.push(path);
                }
                Ok(Salvaged::Nothing) => {}
                Err(error) => log::error!("{key}: not stored yet, and cannot be saved: {error}"),
            }
        }
        copies
    }

    /// Files with a name that have something to commit.
    fn unstored(&self) -> Vec<Arc<File>> {
        let is_it = |open: &&OpenFile| !open.orphan && open.file.stat().dirty;
        let state = self.state();
        let open = state.open.iter().map(|(_, open)| open).filter(is_it);
        open.map(|open| Arc::clone(&open.file)).collect()
    }

    /// Nobody can reach an unlinked file any more.
    pub(super) async fn end_orphan(&self, gone: &OpenFile) {
        gone.file.discard().await;
        let hiding = gone.hiding.as_ref().map(|hiding| &hiding.place);
        let Some(hidden) = gone.hidden.as_ref().or(hiding) else {
            return;
        };
        // Copies of it that are not yet durable take its bytes from there.
        let deleted = match self.shared.commit_dependents(hidden).await {
            Ok(()) => hidden
                .bucket
                .delete(&hidden.key)
                .await
                .map_err(FsError::from),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = deleted {
            log::warn!(
                "{}: kept for a file that is gone, and not deleted: {error}",
                hidden.key
            );
        }
    }
}

impl State {
    /// A file was read. As with relatime (mount(8)) the time of that is taken down if it would be
    /// the first since the last change or the first in a day; in memory only.
    fn accessed(&mut self, ino: Ino) {
        let Some(attr) = self.attr(ino) else { return };
        let now = SystemTime::now();
        let is_due = attr.accessed <= attr.modified.max(attr.changed)
            || now
                .duration_since(attr.accessed)
                .is_ok_and(|age| age > RELATIME);
        if is_due && let Some(file) = self.tree.file_mut(ino) {
            file.times.accessed = Some(now);
        }
    }

    fn closed(&mut self, ino: Ino) -> Closed {
        let Some(open) = self.open.file_mut(ino) else {
            return Closed::InUse;
        };
        if open.handles > 0 || open.is_storing && !open.orphan {
            return Closed::InUse;
        }
        if open.orphan || !open.file.stat().dirty {
            return self.drop_file(ino).map_or(Closed::InUse, Closed::Gone);
        }
        if open.waits() {
            return Closed::Deferred;
        }
        Closed::Unstored(Arc::clone(&open.file))
    }

    /// Gives up a file that could not be stored, unless it was opened again meanwhile.
    fn drop_unstored(&mut self, ino: Ino) -> bool {
        if self.open.file(ino).is_none_or(|open| open.handles > 0) {
            return false;
        }
        match self.tree.node_mut(ino).map(|node| &mut node.state) {
            Some(NodeState::File(node)) => {
                node.known = None;
                node.reported = None;
                self.invalid.push(Invalidation::Content(ino));
            }
            Some(NodeState::Directory(node)) => {
                node.marker = None;
                node.known_at = None;
            }
            None => {}
        }
        self.drop_file(ino).is_some()
    }
}

/// What closing a handle left.
enum Closed {
    /// The file has other handles, or its attributes are being stored.
    InUse,
    /// It was the last one.
    Gone(OpenFile),
    /// It was the last one; changed attributes wait to be stored.
    Deferred,
    /// It was the last one, and the content is not stored.
    Unstored(Arc<File>),
}

/// Keeps what was written to a file that could not be stored. Says where it is.
///
/// # Errors
/// What is to be said when that failed: the file must not be given up.
async fn save(file: &Arc<File>) -> Result<String, String> {
    let key = file.place().key;
    match file.salvage().await {
        Ok(Salvaged::Nothing) => Ok(format!(
            "{key}: not stored; nothing that was written to it has come here"
        )),
        Ok(Salvaged::Bytes { path, upload: None }) => {
            let path = path.display();
            Ok(format!(
                "{key}: not stored; the bytes written to it are in {path}"
            ))
        }
        Ok(Salvaged::Bytes {
            path,
            upload: Some(id),
        }) => {
            let path = path.display();
            Ok(format!(
                "{key}: not stored; the bytes written to it are in {path} and in the unfinished \
                 upload {id}; {path}.txt says how they fit together"
            ))
        }
        Err(error) => Err(format!(
            "{key}: not stored, and what was written cannot be saved: {error}"
        )),
    }
}
