//! What the store and this mount itself tell of names and objects is taken in here, and what the
//! kernel is given of it. An inode is one version of its object while it is open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::file::{File, Seen};
use crate::fs::state::{Found, State, directory_state, file_state, seen_of};
use crate::fs::{Attr, FsResult, Ino, Invalidation, Trusted};
use crate::namespace::Reported;
use crate::namespace::knowledge::{Known, Named};
use crate::namespace::listing::Entry;
use crate::namespace::tree::{Node, NodeState};

impl State {
    /// Takes in what the store said of a name when asked at `asked`; what was learnt or done here
    /// since then counts more.
    pub(super) fn learn(
        &mut self,
        parent: Ino,
        name: &Arc<str>,
        asked: Instant,
        found: Found,
    ) -> FsResult<Option<Ino>> {
        if let Some(answer) = self.remembered(parent, name, |at| at >= asked)? {
            return Ok(answer);
        }
        let child = self.tree.child(parent, name);
        let found = match found {
            // What has its name then is beside it.
            Found::Absent | Found::File(_)
                if child.is_some_and(|child| self.is_shown_anyway(child)) =>
            {
                Found::Directory(None)
            }
            found => found,
        };
        match found {
            Found::Absent => {
                if let Some(child) = child {
                    self.lose_name(child);
                }
                self.names_in(parent).note_absent(name, asked);
                Ok(None)
            }
            Found::File(stat) => {
                let known = Known::of_stat(&stat, asked);
                self.note_foreign(parent, &known);
                match child.filter(|child| self.tree.file(*child).is_some()) {
                    Some(child) => Ok(Some(self.learn_object(child, known))),
                    None => Ok(Some(self.insert(parent, name, file_state(Some(known))))),
                }
            }
            Found::Directory(marker) => {
                if let Some(known) = &marker {
                    self.note_foreign(parent, known);
                }
                if let Some(directory) = child.and_then(|child| self.tree.directory_mut(child)) {
                    directory.known_at = Some(asked);
                    directory.marker_at = Some(asked);
                    directory.marker = marker;
                    return Ok(child);
                }
                let ino = self.insert(parent, name, directory_state(asked, marker));
                if let Some(directory) = self.tree.directory_mut(ino) {
                    directory.marker_at = Some(asked);
                }
                Ok(Some(ino))
            }
        }
    }

    /// Takes in what is now known of the object of a file that has a name, and returns the inode
    /// that has the name from now on: another one, when the file is open and was replaced. An
    /// inode is one version while it is open, since the kernel's pages belong to the inode.
    pub(super) fn learn_object(&mut self, ino: Ino, known: Known) -> Ino {
        let Some(open) = self.open.file(ino) else {
            return self.set_known(ino, known);
        };
        let stat = open.file.stat();
        if stat.dirty || stat.version_at.is_some_and(|at| at > known.at) {
            return ino; // What was done here counts more.
        }
        let (is_in_use, file) = (open.handles > 0, Arc::clone(&open.file));
        if stat.version.is_some_and(|own| known.is_of(&own)) {
            let place = file.place();
            if let Some(seen) = seen_of(&known, &place) {
                file.refresh(&seen);
            }
            return self.set_known(ino, known);
        }
        if !is_in_use {
            self.drop_file(ino);
            return self.set_known(ino, known);
        }
        if known.attributes.is_none() && known.size >= stat.size {
            // It may have grown, which a listing does not tell: what was known is no newer than the
            // version that is open.
            if let Some(file) = self.tree.file_mut(ino) {
                file.known = None;
            }
            return ino;
        }
        if seen_of(&known, &file.place()).is_some_and(|seen| file.grow(&seen)) {
            self.learn_followed(ino, &file);
            return self.set_known(ino, known);
        }
        self.supersede(ino, known)
    }

    /// Whether the object of a file was published here since the store was asked about it.
    pub(super) fn knows_better(&self, ino: Ino, seen: &Seen) -> bool {
        let known = self.tree.file(ino).and_then(|file| file.known.as_ref());
        known.is_some_and(|known| known.at > seen.at && !known.is_of(&seen.version))
    }

    /// The store has no object under the name of a file.
    pub(super) fn learn_absence(&mut self, ino: Ino, asked: Instant) {
        if self.is_known(ino, |at| at > asked) {
            return; // What was done here counts more.
        }
        let Some(node) = self.tree.node(ino).filter(|node| node.is_linked()) else {
            return;
        };
        let (parent, name) = (node.parent(), Arc::clone(node.name()));
        self.lose_name(ino);
        self.names_in(parent).note_absent(&name, asked);
    }

    fn set_known(&mut self, ino: Ino, known: Known) -> Ino {
        if let Some(file) = self.tree.file_mut(ino) {
            file.known = Some(known);
        }
        ino
    }

    /// The kernel has pages that end where the file ended before.
    pub(super) fn learn_followed(&mut self, ino: Ino, file: &File) {
        if file.take_followed() {
            self.invalid.push(Invalidation::Content(ino));
        }
    }

    /// Another inode has the name of a file, which goes on without a name if it is open.
    pub(super) fn supersede(&mut self, ino: Ino, known: Known) -> Ino {
        let Some(node) = self.tree.node(ino) else {
            return ino;
        };
        let (parent, name) = (node.parent(), Arc::clone(node.name()));
        self.lose_name(ino);
        self.insert(parent, &name, file_state(Some(known)))
    }

    /// Another client has taken an entry away. A file that is open goes on without a name.
    pub(super) fn lose_name(&mut self, ino: Ino) {
        let Some(node) = self.tree.node(ino).filter(|node| node.is_linked()) else {
            return;
        };
        let entry = Invalidation::Entry(node.parent(), self.tree.spelling.name(node.name()));
        if let Some(open) = self.open.file(ino).filter(|_| !node.is_directory()) {
            open.file.supersede();
            self.invalid.push(entry);
        }
        self.tree.detach(ino);
    }

    /// An object of this directory has attributes that were not noted when they were given: other
    /// objects may have some too.
    fn note_foreign(&mut self, directory: Ino, known: &Known) {
        let carries = known.attributes.is_some_and(|told| !told.is_empty());
        if carries
            && !self.may_carry(directory)
            && let Some((source, _)) = self.tree.path(directory)
        {
            self.carriers.note_everywhere(source);
        }
    }

    /// As [`Self::learn_content`], of an open file.
    pub(super) fn learn_own_content(&mut self, ino: Ino) {
        if let Some(file) = self.open.file(ino).map(|open| Arc::clone(&open.file)) {
            self.learn_content(ino, &file);
        }
    }

    /// Takes in the version a file was committed as, if that is news; the kernel has the size of
    /// what was written through it.
    pub(super) fn learn_content(&mut self, ino: Ino, file: &File) {
        self.learn_followed(ino, file);
        let stat = file.stat();
        let (Some(version), false) = (stat.version, stat.dirty) else {
            return;
        };
        let headers = stat.is_described.then(|| Arc::new(file.headers()));
        let now = stat.version_at.unwrap_or_else(Instant::now);
        let guessed = || Known::guessed(&version, headers.clone(), now);
        let is_news = |known: &Option<Known>| {
            known.as_ref().is_none_or(|known| {
                known.etag.as_ref() != Some(&version.etag)
                    || (headers.is_some() && known.headers != headers)
            })
        };
        match self.tree.node_mut(ino).map(|node| &mut node.state) {
            Some(NodeState::File(node)) if is_news(&node.known) => {
                node.known = Some(guessed());
                if let Some(reported) = node.reported.as_mut().filter(|_| stat.was_edited) {
                    reported.size = version.size;
                }
            }
            Some(NodeState::Directory(node)) if is_news(&node.marker) => {
                node.marker = Some(guessed());
                node.known_at = Some(now);
                node.marker_at = Some(now);
            }
            Some(_) | None => {}
        }
    }

    /// The attributes, and for how long they may still be trusted. They are about to be given to
    /// the kernel.
    pub(super) fn report(&mut self, ino: Ino) -> Option<Trusted<Attr>> {
        let value = self.attr(ino)?;
        self.note_reported(ino, &value);
        let since = self.known_at(ino);
        Some(self.trusted(value, since))
    }

    /// Attributes that are known since then: the kernel is given what is left of the trust time.
    pub(super) fn trusted(&self, value: Attr, since: Option<Instant>) -> Trusted<Attr> {
        let age = since.map_or(Duration::ZERO, |at| at.elapsed());
        let ttl = self.attr_ttl.saturating_sub(age);
        Trusted { value, ttl }
    }

    pub(super) fn note_reported(&mut self, ino: Ino, attr: &Attr) {
        if let Some(file) = self.tree.file_mut(ino) {
            file.reported = Some(Reported::of(attr));
        }
    }

    /// Whether the kernel goes by what a file is now: by its size, unless it is about to be cut to
    /// nothing, and by its owner and mode. If not, it is to ask again.
    pub(super) fn is_reported(&mut self, ino: Ino, is_cut: bool) -> bool {
        let Some(attr) = self.attr(ino) else {
            return false;
        };
        let now = Reported::of(&attr);
        let reported = self.tree.file(ino).and_then(|file| file.reported);
        let is_known = reported.map(|reported| Reported {
            size: if is_cut { now.size } else { reported.size },
            ..reported
        });
        if is_known != Some(now) {
            // Or it would not find out by /proc/PID/fd, where no path is looked up again.
            self.note_reported(ino, &attr);
            self.invalid.push(Invalidation::Attributes(ino));
        }
        // What a process before this one has reported is not known: it is asked for again.
        is_known.is_none_or(|known| known == now)
    }

    /// Takes in what a listing told of a name that has an inode. Another kind of entry takes the
    /// inode's place.
    pub(super) fn refresh(&mut self, ino: Ino, entry: &Entry) {
        if self.is_known(ino, |at| at >= entry.at) {
            return;
        }
        let parent = self.tree.node(ino).map(Node::parent);
        let may_carry = parent.is_some_and(|parent| self.may_carry(parent));
        let is_shown_anyway = self.is_shown_anyway(ino);
        match &entry.named {
            Named::File(listed) => match self.tree.file_mut(ino) {
                Some(file) => {
                    let known = listed.clone().after(file.known.as_ref());
                    let before = file
                        .known
                        .as_ref()
                        .filter(|before| !entry.is_told && before.is_dated_as(&known));
                    match before.filter(|_| self.open.file(ino).is_some()) {
                        // Some stores list another entity tag than HEAD tells, which was not asked.
                        Some(_) => {}
                        None => drop(self.learn_object(ino, known)),
                    }
                }
                None if is_shown_anyway => {}
                None => self.lose_name(ino),
            },
            Named::Directory(marker) => match self.tree.directory_mut(ino) {
                // That it is there is all that a listing tells.
                Some(_) if !entry.is_told => {}
                Some(directory) => {
                    directory.known_at = Some(entry.at);
                    directory.marker = match marker {
                        // It was not looked for: nothing points to attributes.
                        None if !may_carry => directory.marker.take(),
                        marker => marker.clone(),
                    };
                    directory.marker_at = Some(entry.at);
                }
                None => self.lose_name(ino),
            },
            Named::Absent => {
                // Shown though the store has nothing of it, its marker included.
                if let Some(directory) = self.tree.directory_mut(ino) {
                    directory.known_at = Some(entry.at);
                    directory.marker = None;
                    directory.marker_at = Some(entry.at);
                } else if entry.is_told {
                    self.learn_absence(ino, entry.at);
                }
            }
        }
    }
}
