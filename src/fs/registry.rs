//! The files whose content is in memory because they are open or dirty. Knows no name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::file::{File, Place};
use crate::namespace::Ino;

/// An open or dirty file.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// Its content.
    pub(super) file: Arc<File>,
    /// Open handles. 0: attributes that wait to be stored, or content that could not be.
    pub(super) handles: u64,
    /// It has no name any more: nothing of it is published.
    pub(super) orphan: bool,
    /// Where its bytes were moved when it was unlinked while open; deleted with the last handle.
    pub(super) hidden: Option<Place>,
    /// When changed attributes that wait to be stored were first changed.
    pub(super) deferred: Option<Instant>,
}

impl OpenFile {
    /// A file just opened.
    pub(super) const fn new(file: Arc<File>) -> Self {
        Self {
            file,
            handles: 1,
            orphan: false,
            hidden: None,
            deferred: None,
        }
    }
}

impl OpenFile {
    /// Whether nothing but attributes is to be stored, and they may wait for others.
    pub(super) fn waits(&self) -> bool {
        let stat = self.file.stat();
        self.deferred.is_some() && stat.dirty && !stat.has_new_content && !stat.refused
    }
}

/// The open and the dirty files of a mount, by inode.
#[derive(Debug, Default)]
pub(super) struct OpenFiles {
    by_ino: BTreeMap<Ino, OpenFile>,
    /// Those that came, went, or may have changed since [`Self::take_changed`].
    changed: Vec<Ino>,
}

impl OpenFiles {
    pub(super) fn file(&self, ino: Ino) -> Option<&OpenFile> {
        self.by_ino.get(&ino)
    }

    pub(super) fn file_mut(&mut self, ino: Ino) -> Option<&mut OpenFile> {
        let file = self.by_ino.get_mut(&ino)?;
        self.changed.push(ino);
        Some(file)
    }

    /// The files that came, went or may have changed since the last call of this.
    pub(super) fn take_changed(&mut self) -> Vec<Ino> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    pub(super) fn insert(&mut self, ino: Ino, file: OpenFile) {
        self.changed.push(ino);
        self.by_ino.insert(ino, file);
    }

    pub(super) fn remove(&mut self, ino: Ino) -> Option<OpenFile> {
        self.changed.push(ino);
        self.by_ino.remove(&ino)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Ino, &OpenFile)> {
        self.by_ino.iter().map(|(ino, file)| (*ino, file))
    }
}
