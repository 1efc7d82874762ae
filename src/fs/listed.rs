//! Attributes of listed entries where a listing leaves them open: HEAD requests, several at a
//! time, for the entries that are about to be given out. Decides nothing about names.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::try_join_all;
use futures_util::{StreamExt, stream};

use crate::attributes::Attributes;
use crate::file::Place;
use crate::fs::lookup::with_slash;
use crate::fs::readdir::Stream;
use crate::fs::state::State;
use crate::fs::{DirEntry, Fs, FsError, FsResult, Ino};
use crate::namespace::knowledge::{Known, Named};
use crate::namespace::listing::Entry;
use crate::namespace::names;
use crate::store::{ListRequest, StoreError, StoreResult};

/// Entries looked at ahead of the one that is wanted: about as many as one answer to the kernel
/// has room for.
pub(super) const ENTRIES_AHEAD: usize = 256;
/// A larger object is a regular file whatever its metadata says: a symbolic link's target has at
/// most PATH_MAX bytes, and pipes, sockets and devices have none.
const SPECIAL_BYTES_MAX: u64 = 4096;

/// Objects of a source looked at when it is mounted.
const SAMPLE: usize = 16;

impl Fs {
    /// Looks at a few objects of each source for attributes that some filesystem stored with them:
    /// where there are any, or none can be looked at, all objects are asked for theirs when they
    /// are listed. 1 LIST and at most 16 HEADs a source.
    pub async fn look_for_attributes(&self) {
        let tops = self.state().tops();
        for (source, place) in tops.into_iter().enumerate() {
            self.look_for_attributes_of(source, &place).await;
        }
    }

    pub(super) async fn look_for_attributes_of(&self, source: usize, top: &Place) {
        if self.state().carriers.are_known() {
            return;
        }
        let may_carry = self.sample_carries(top).await.unwrap_or_else(|error| {
            log::warn!("{}: cannot look at its objects: {error}", top.key);
            true
        });
        if may_carry {
            self.state().carriers.note_everywhere(source);
        }
    }

    async fn sample_carries(&self, top: &Place) -> StoreResult<bool> {
        let prefix = top.key.as_str().to_owned();
        let request = ListRequest {
            prefix,
            ..ListRequest::default()
        };
        let page = top.bucket.list(&request).await?;
        let stride = page.objects.len().div_ceil(SAMPLE).max(1);
        let heads = page.objects.into_iter().step_by(stride).map(|object| {
            let bucket = Arc::clone(&top.bucket);
            let key = object.key;
            async move { self.head_if_any(&Place { bucket, key }).await }
        });
        let mut found = try_join_all(heads).await?.into_iter().flatten();
        Ok(found.any(|stat| !Attributes::of_metadata(&stat.headers.metadata).is_empty()))
    }

    /// Asks for what is not known of the entries from position `skipped` on. With `plus` their
    /// attributes are wanted, else only what they are.
    pub(super) async fn describe_entries(
        &self,
        directory: Ino,
        stream: &mut Stream,
        skipped: usize,
        plus: bool,
    ) -> FsResult<()> {
        let open: Vec<(usize, Place)> = {
            let mut state = self.state();
            let may_carry = state.may_carry(directory);
            let entries = stream.entries.iter().enumerate();
            let wanted = entries.skip(skipped).take(ENTRIES_AHEAD);
            let mut open = Vec::new();
            for (at, entry) in wanted {
                let is_absent = entry.named == Named::Absent;
                if (may_carry || is_absent) && state.is_open_question(directory, entry, plus) {
                    open.push((at, state.entry_place(directory, entry)?));
                }
            }
            open
        };
        let asks = open.into_iter().map(|(at, place)| async move {
            let asked = Instant::now();
            let found = match self.head_if_any(&place).await {
                // It is there, and this is all that can be known of it.
                Err(StoreError::AccessDenied { .. }) => return Ok((at, None)),
                found => found?,
            };
            let known = found.map(|stat| Known::of_stat(&stat, asked).brief());
            StoreResult::Ok((at, Some((asked, known))))
        });
        let requests_max = self.shared.bounds.head_requests_max;
        let mut asks = stream::iter(asks).buffer_unordered(requests_max);
        while let Some(answer) = asks.next().await {
            let (at, answer) = answer?;
            let entry = &mut stream.entries[at];
            let Some((asked, known)) = answer else {
                if entry.named != Named::Absent {
                    entry.nothing_is_open();
                }
                continue;
            };
            entry.at = asked;
            entry.is_told = true;
            if let Some(known) = known.as_ref().filter(|known| known.is_old_marker) {
                mark_directory(&mut stream.entries, at, known);
                continue;
            }
            entry.named = match (&entry.named, known) {
                (Named::Directory(Some(old)), None) if old.is_old_marker => continue,
                (Named::Directory(_), marker) => Named::Directory(marker),
                (_, Some(known)) => Named::File(known),
                // Removed since it was listed.
                (_, None) => Named::Absent,
            };
        }
        Ok(())
    }
}

/// An object that marks a directory by the key without the slash is that directory. When there are
/// keys below it, too, the directory's own entry follows it, and it is no other name.
fn mark_directory(entries: &mut VecDeque<Entry>, at: usize, known: &Known) {
    let marked = Named::Directory(Some(known.clone()));
    if !names::is_beside(&entries[at].name) {
        entries[at].named = marked;
        return;
    }
    entries[at].named = Named::Absent;
    let name = Arc::clone(&entries[at].name);
    let mut following = entries.iter_mut().skip(at + 1);
    if let Some(directory) = following.find(|entry| *entry.name == *names::in_key(&name))
        && let Named::Directory(None) = directory.named
    {
        directory.named = marked;
        directory.is_told = true;
    }
}

impl Fs {
    /// `.` or `..`, by its position in the directory.
    pub(super) fn dot(&self, ino: Ino, position: u64) -> FsResult<DirEntry> {
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
            attr: state.trusted(attr, None),
        })
    }
}

impl State {
    fn is_open_question(&mut self, directory: Ino, entry: &Entry, plus: bool) -> bool {
        let child = self.tree.child(directory, &entry.name);
        let is_listed = entry.named != Named::Absent;
        if is_listed && child.is_some_and(|child| self.is_open_as(child, &entry.named)) {
            return false;
        }
        let ttl = self.attr_ttl;
        let trusted = |at: Instant| at.elapsed() < ttl;
        match &entry.named {
            // An open file that the listing does not have: removed, or not listed yet.
            Named::Absent => child.is_some_and(|child| {
                self.tree.file(child).is_some() && !self.is_known(child, trusted)
            }),
            Named::Directory(_) => {
                let is_known = |child| self.is_told(child) && self.is_known(child, trusted);
                plus && !entry.is_told && !child.is_some_and(is_known)
            }
            Named::File(listed) => {
                let before = match child {
                    Some(child) => self.tree.file(child).and_then(|file| file.known.as_ref()),
                    None => match self.names_in(directory).name(&entry.name) {
                        Some(known) => known.named.object(),
                        None => None,
                    },
                };
                let is_wanted = plus || listed.size <= SPECIAL_BYTES_MAX;
                is_wanted && !listed.clone().after(before).is_told
            }
        }
    }

    /// Whether an inode is open, and not of another version than the one that is listed.
    fn is_open_as(&self, ino: Ino, listed: &Named) -> bool {
        let Some(stat) = self.open.file(ino).map(|open| open.file.stat()) else {
            return false;
        };
        let is_same = match (listed.object(), &stat.version) {
            (Some(listed), Some(own)) => listed.is_of(own),
            _ => true,
        };
        stat.dirty || is_same
    }

    fn entry_place(&self, directory: Ino, entry: &Entry) -> FsResult<Place> {
        let mut place = self.child_place(directory, names::in_key(&entry.name))?;
        if let Named::Directory(_) = entry.named {
            place.key = with_slash(place.key.as_str());
        }
        Ok(place)
    }
}
