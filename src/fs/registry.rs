//! The files whose content is in memory because they are open or dirty. Knows no name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::file::{File, Place};
use crate::journal::codec::record;
use crate::namespace::Ino;
use crate::object::{BucketName, ETag, ObjectKey};
use crate::store::Buckets;

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
    /// Where they are about to be moved.
    pub(super) hiding: Option<Hiding>,
    /// When changed attributes that wait to be stored were first changed.
    pub(super) deferred: Option<Instant>,
    /// Whether they are being stored. What comes of that is then for the write-back
    /// (`fs::deferred`) alone to say, and it ends the file if that has no handle.
    pub(super) is_storing: bool,
}

/// A copy of an object, made before the object is deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Hiding {
    pub(super) place: Place,
    /// The version that is copied.
    pub(super) of: ETag,
}

impl OpenFile {
    /// A file just opened.
    pub(super) const fn new(file: Arc<File>) -> Self {
        Self {
            file,
            handles: 1,
            orphan: false,
            hidden: None,
            hiding: None,
            deferred: None,
            is_storing: false,
        }
    }
}

impl OpenFile {
    /// Whether nothing but attributes is to be stored, and they may wait for others.
    pub(super) fn waits(&self) -> bool {
        let stat = self.file.stat();
        let waits = self.deferred.is_some() || self.is_storing;
        waits && stat.dirty && !stat.has_new_content && !stat.refused
    }
}

/// What is kept of an open or dirty file beside its content.
pub(super) struct KeptOpen {
    pub(super) file: u64,
    pub(super) orphan: bool,
    hidden: Option<Names>,
    hiding: Option<(Names, String)>,
    deferred: bool,
}

/// Bucket and key.
type Names = (String, String);

record!(KeptOpen {
    file,
    orphan,
    hidden,
    hiding,
    deferred
});

impl KeptOpen {
    pub(super) fn of(open: &OpenFile) -> Self {
        let named = |place: &Place| (place.bucket.name().to_string(), place.key.to_string());
        let hiding = open.hiding.as_ref();
        Self {
            file: open.file.id(),
            orphan: open.orphan,
            hidden: open.hidden.as_ref().map(named),
            hiding: hiding.map(|Hiding { place, of }| (named(place), of.as_str().to_owned())),
            deferred: open.deferred.is_some() || open.is_storing,
        }
    }

    pub(super) fn into_open(self, file: Arc<File>, buckets: &Buckets) -> Option<OpenFile> {
        let place = |(bucket, object): Names| {
            let bucket = buckets.named(&BucketName::new(bucket))?;
            let key = ObjectKey::new(object);
            Some(Place { bucket, key })
        };
        let hidden = match self.hidden {
            Some(hidden) => Some(place(hidden)?),
            None => None,
        };
        let hiding = match self.hiding {
            Some((names, of)) => Some(Hiding {
                place: place(names)?,
                of: ETag::new(of),
            }),
            None => None,
        };
        Some(OpenFile {
            handles: 0,
            orphan: self.orphan,
            hidden,
            hiding,
            deferred: self.deferred.then(Instant::now),
            is_storing: false,
            ..OpenFile::new(file)
        })
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
