//! What stat(2) is told of an inode: its number, what the mount shows whatever is stored, what is
//! stored, what only this mount knows, and else the defaults of the mount. Asks no store.

use std::time::SystemTime;

use crate::attributes::Attributes;
use crate::config::{Forced, Ownership, Source};
use crate::fs::state::State;
use crate::namespace::knowledge::{Known, Named};
use crate::namespace::names::in_key;
use crate::namespace::number::numbers;
use crate::namespace::tree::{Node, NodeState};
use crate::namespace::{Attr, Ino, Kind, LocalTimes};

/// What symbolic links show: nobody checks it.
const SYMLINK_MODE: u16 = 0o777;

/// What attributes are made of.
struct Shown<'a> {
    ino: Ino,
    kind: Kind,
    size: u64,
    mode: u16,
    defaults: &'a Ownership,
    told: &'a Attributes,
    /// Last change of content if nothing is told.
    modified: SystemTime,
    times: &'a LocalTimes,
}

/// The numbers for the top of a source.
pub(super) fn top_numbers(source: &Source) -> impl Iterator<Item = Ino> + use<> {
    numbers(source.bucket.as_str(), &source.prefix, "")
}

impl State {
    /// The numbers for what is under a name of a directory, its own first.
    pub(super) fn numbers(
        &self,
        parent: Ino,
        name: &str,
        kind: Kind,
    ) -> impl Iterator<Item = Ino> + use<> {
        let slash = match kind {
            Kind::Directory => "/",
            _ => "",
        };
        let below = |directory: &str| format!("{directory}{}{slash}", in_key(name));
        match self.tree.path(parent) {
            Some((source, directory)) => {
                let root = &self.roots[source];
                numbers(
                    root.bucket.name().as_str(),
                    &root.prefix,
                    &below(&directory),
                )
            }
            // The directory is gone, or shows the sources.
            None => numbers("", "", &below(&format!("{}/", parent.0))),
        }
    }

    /// Gives the name of a file that has another number than its own to an inode that has it, once
    /// that is free and nothing has the file open. Returns the inode that has the name then.
    pub(super) fn renumber(&mut self, ino: Ino) -> Ino {
        if !self.tree.is_idle_stand_in(ino) || self.open.file(ino).is_some() {
            return ino;
        }
        let (Some(node), Some(file)) = (self.tree.node(ino), self.tree.file(ino)) else {
            return ino;
        };
        let own = self.numbers(node.parent(), node.name(), Kind::File).next();
        let is_free = own.is_some_and(|own| self.tree.node(own).is_none());
        match file.known.clone().filter(|_| is_free) {
            Some(known) => self.supersede(ino, known),
            None => ino,
        }
    }

    /// The attributes of an inode; `None` when the store has to be asked.
    pub(super) fn attr(&self, ino: Ino) -> Option<Attr> {
        if let Some(shown) = self.shown_as(ino) {
            let attr = self.attr(shown)?;
            let generation = self.tree.generation(ino);
            return Some(Attr {
                ino,
                generation,
                ..attr
            });
        }
        let stored = self.stored_attr(ino)?;
        Some(self.forced(stored, self.ownership(ino)))
    }

    /// The attributes of an inode without what the mount shows whatever is stored.
    pub(super) fn stored_attr(&self, ino: Ino) -> Option<Attr> {
        let open = self.open.file(ino).map(|open| open.file.stat());
        let defaults = self.ownership(ino);
        match (&self.tree.node(ino)?.state, open) {
            (NodeState::Directory(directory), Some(stat)) => {
                let told = (&stat.attributes, stat.modified);
                Some(self.directory_attr(ino, told, &directory.times, defaults))
            }
            (NodeState::Directory(directory), None) => {
                let marker = directory.marker.as_ref();
                let told = marker
                    .and_then(|marker| marker.attributes)
                    .unwrap_or_default();
                let modified = marker.map_or(self.mounted, |marker| marker.modified);
                Some(self.directory_attr(ino, (&told, modified), &directory.times, defaults))
            }
            (NodeState::File(file), Some(stat)) => {
                let told = (&stat.attributes, stat.size, stat.modified);
                Some(self.file_attr(ino, told, &file.times, defaults))
            }
            (NodeState::File(file), None) => {
                let known = file.known.as_ref()?;
                Some(self.known_attr(ino, known, &file.times, defaults))
            }
        }
    }

    /// The attributes of a name in a directory that has no inode yet, but a number for it.
    pub(super) fn named_attr(&self, parent: Ino, ino: Ino, named: &Named) -> Attr {
        let times = LocalTimes::default();
        let defaults = self.ownership(parent);
        let stored = match named {
            Named::File(known) => self.known_attr(ino, known, &times, defaults),
            Named::Directory(marker) => {
                let marker = marker.as_ref();
                let told = marker
                    .and_then(|marker| marker.attributes)
                    .unwrap_or_default();
                let modified = marker.map_or(self.mounted, |marker| marker.modified);
                self.directory_attr(ino, (&told, modified), &times, defaults)
            }
            Named::Absent => {
                let told = (&Attributes::default(), self.mounted);
                self.directory_attr(ino, told, &times, defaults)
            }
        };
        self.forced(stored, defaults)
    }

    /// The attributes as they are shown.
    fn forced(&self, stored: Attr, ownership: &Ownership) -> Attr {
        let Forced { uid, gid, mode } = ownership.forced;
        let root_mode = ownership.root_mode.filter(|_| self.is_top(stored.ino));
        Attr {
            mode: root_mode.or(mode).unwrap_or(stored.mode),
            uid: uid.unwrap_or(stored.uid),
            gid: gid.unwrap_or(stored.gid),
            ..stored
        }
    }

    fn known_attr(
        &self,
        ino: Ino,
        known: &Known,
        times: &LocalTimes,
        defaults: &Ownership,
    ) -> Attr {
        let told = known.attributes.unwrap_or_default();
        self.file_attr(ino, (&told, known.size, known.modified), times, defaults)
    }

    fn file_attr(
        &self,
        ino: Ino,
        (told, size, modified): (&Attributes, u64, SystemTime),
        times: &LocalTimes,
        defaults: &Ownership,
    ) -> Attr {
        let kind = told.kind.filter(|kind| *kind != Kind::Directory);
        let kind = kind.unwrap_or(Kind::File);
        let usual = match kind {
            Kind::Symlink => SYMLINK_MODE,
            _ => defaults.file_mode,
        };
        self.shown(Shown {
            ino,
            kind,
            size,
            mode: told.permissions.unwrap_or(usual),
            defaults,
            told,
            modified,
            times,
        })
    }

    fn directory_attr(
        &self,
        ino: Ino,
        (told, modified): (&Attributes, SystemTime),
        times: &LocalTimes,
        defaults: &Ownership,
    ) -> Attr {
        self.shown(Shown {
            ino,
            kind: Kind::Directory,
            size: 0,
            mode: told.permissions.unwrap_or(defaults.dir_mode),
            defaults,
            told,
            modified,
            times,
        })
    }

    /// What is stored, what only this mount knows, and else the defaults of the mount.
    fn shown(&self, shown: Shown<'_>) -> Attr {
        let Shown {
            told,
            times,
            mode,
            defaults,
            ..
        } = shown;
        let modified = told.mtime.unwrap_or(shown.modified);
        let modified = times.modified.map_or(modified, |local| local.max(modified));
        let changed = told.ctime.unwrap_or(modified);
        let local = [times.modified, times.changed].into_iter().flatten();
        Attr {
            ino: shown.ino,
            generation: self.tree.generation(shown.ino),
            kind: shown.kind,
            size: shown.size,
            modified,
            accessed: times.accessed.or(told.atime).unwrap_or(modified),
            changed: local.fold(changed, SystemTime::max),
            mode,
            uid: told.uid.unwrap_or(defaults.uid),
            gid: told.gid.unwrap_or(defaults.gid),
            rdev: told.rdev.unwrap_or(0),
            links: self.links(shown.ino, shown.kind),
        }
    }

    /// A name for each entry that has one; of a directory also its `.` and the `..` of each
    /// directory in it, as far as these are known.
    fn links(&self, ino: Ino, kind: Kind) -> u32 {
        let node = self.tree.node(ino);
        let named = u32::from(node.is_none_or(Node::is_linked));
        if kind != Kind::Directory || named == 0 {
            return named;
        }
        let children = self.tree.children(ino);
        let inside = children.filter(|(_, child)| self.tree.file(*child).is_none());
        named + 1 + inside.count() as u32
    }
}
