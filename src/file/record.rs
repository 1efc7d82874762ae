//! What is kept of a file for the next process, and the file that it makes of that. Knows no inode.
//!
//! A change of the state is recorded when the lock of the state is given back ([`Stated`]), so none
//! can be forgotten: what happens often by what it did ([`Edit`]), anything else by the whole
//! state.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::time::SystemTime;

use crate::attributes::{Attributes, Kind};
use crate::commit::Place;
use crate::extent::ExtentMap;
use crate::file::eager::KeptEager;
use crate::file::outcome::Unsettled;
use crate::file::state::State;
use crate::file::{Creation, File};
use crate::journal::codec::{Record, record};
use crate::journal::{Batch, Key};
use crate::lock::Locked;
use crate::object::{BucketName, ETag, ObjectKey, ObjectVersion, VersionId};
use crate::staging::{BlockPlace, Staging};
use crate::store::{Buckets, ObjectHeaders, PartNumber, StoredPart, Tags};

mod edit;
mod extents;

pub(super) use edit::{Description, Edit};

/// The kind of key that files are kept under, by [`File::id`].
pub(super) const FILE: u8 = 1;

/// Bytes of edits after a whole state at which that is written again, beside twice its own: so the
/// whole of it costs an edit no more than its own record does.
const EDITS_BYTES: usize = 4096;

/// The state of a file while it is locked; what is changed is recorded when the lock is given back.
#[derive(Debug)]
pub(super) struct Stated<'a> {
    file: &'a File,
    state: Locked<'a, State>,
    changed: Changed,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Changed {
    Nothing,
    /// What the edits say that are noted.
    ByEdits,
    Anything,
}

impl<'a> Stated<'a> {
    pub fn new(file: &'a File, state: Locked<'a, State>) -> Self {
        Self {
            file,
            state,
            changed: Changed::Nothing,
        }
    }

    /// For changes that are noted in [`Recorded::edits`] or not recorded, and nothing else.
    pub fn for_edit(&mut self) -> &mut State {
        self.changed = self.changed.max(Changed::ByEdits);
        &mut self.state
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
        self.changed = Changed::Anything;
        &mut self.state
    }
}

impl Drop for Stated<'_> {
    fn drop(&mut self) {
        if self.changed == Changed::Nothing || self.state.is_broken() {
            return;
        }
        let (file, state) = (self.file, &mut *self.state);
        let edits = std::mem::take(&mut state.recorded.edits);
        let mut staging = file.staging.lock();
        let journal = &file.shared.journal;
        if journal.is_on() {
            let mut batch = Batch::default();
            let key = Key {
                kind: FILE,
                id: file.id,
            };
            if self.changed == Changed::ByEdits && state.recorded.takes_edits() {
                let edited = Edited {
                    edits: state.edits,
                    appended_from: state.appended_from,
                    made: edits,
                    moved: staging.take_moved(),
                };
                batch.add(key, |to| edited.write(to));
                state.recorded.added += batch.len();
            } else {
                staging.take_moved();
                batch.put(key, |to| state.write_whole(&staging, to));
                state.recorded = Recorded {
                    edits: Vec::new(),
                    whole: batch.len(),
                    added: 0,
                };
            }
            journal.write(&batch);
        }
        // Only now does nobody expect anything where bytes were given up.
        staging.settle();
    }
}

/// What of a file's state is in the journal.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// Edits that are not.
    pub edits: Vec<Edit>,
    /// Bytes of the last whole state; 0 before there is one.
    whole: usize,
    /// Bytes behind it.
    added: usize,
}

impl Recorded {
    const fn takes_edits(&self) -> bool {
        self.whole > 0 && self.added < EDITS_BYTES + 2 * self.whole
    }
}

#[cfg(test)]
impl State {
    /// What of it is to be found by the next process.
    pub fn to_be_found(&self) -> Vec<u8> {
        let mut whole = Whole::of(self);
        if let Some(eager) = &mut whole.eager {
            for (range, stored) in &mut eager.parts {
                stored.take_if(|(_, content)| self.map.slice(*range) != *content);
            }
            let is_wanted = eager.parts.iter().any(|(_, stored)| stored.is_some());
            eager.upload.take_if(|_| !is_wanted);
        }
        let mut bytes = Vec::new();
        whole.write(&mut bytes);
        bytes
    }
}

impl State {
    fn write_whole(&self, staging: &Staging, to: &mut Vec<u8>) {
        self.place.bucket.name().write(to);
        self.place.key.write(to);
        Whole::of(self).write(to);
        staging.places().write(to);
    }

    /// The state that was kept, and where its staged bytes are. `None` when it cannot be read, or
    /// is of a bucket that is not mounted.
    pub fn restore(
        mut kept: &[u8],
        buckets: &Buckets,
    ) -> Option<(Self, BTreeMap<u64, BlockPlace>)> {
        let from = &mut kept;
        let bucket = buckets.named(&BucketName::read(from)?)?;
        let key = ObjectKey::read(from)?;
        let mut state = Whole::read(from)?.into_state(Place { bucket, key });
        let mut places: BTreeMap<u64, BlockPlace> =
            Vec::<(u64, BlockPlace)>::read(from)?.into_iter().collect();
        while !from.is_empty() {
            let edited = Edited::read(from)?;
            for edit in edited.made {
                edit.make(&mut state);
            }
            state.edits = edited.edits;
            state.appended_from = edited.appended_from;
            places.extend(edited.moved);
        }
        Some((state, places))
    }
}

/// What edits change.
struct Edited {
    edits: u64,
    appended_from: Option<u64>,
    made: Vec<Edit>,
    moved: Vec<(u64, BlockPlace)>,
}

record!(Edited {
    edits,
    appended_from,
    made,
    moved
});

/// All of a state but its place and its staged bytes.
struct Whole {
    headers: ObjectHeaders,
    attributes: Attributes,
    is_described: bool,
    is_time_set: bool,
    is_appendable: bool,
    map: ExtentMap,
    base: Option<ObjectVersion>,
    stored: BTreeMap<String, String>,
    creation: Creation,
    appended_from: Option<u64>,
    has_followed: bool,
    modified: SystemTime,
    edits: u64,
    edits_published: u64,
    refused: Option<u64>,
    superseded: bool,
    eager: Option<KeptEager>,
    orphan: bool,
    intents: Vec<Intent>,
}

record!(Whole {
    headers,
    attributes,
    is_described,
    is_time_set,
    is_appendable,
    map,
    base,
    stored,
    creation,
    appended_from,
    has_followed,
    modified,
    edits,
    edits_published,
    refused,
    superseded,
    eager,
    orphan,
    intents,
});

impl Whole {
    fn of(state: &State) -> Self {
        let eager = state.eager.as_ref().map(|eager| eager.kept(&state.map));
        Self {
            headers: state.plain_headers().clone(),
            attributes: state.attributes,
            is_described: state.is_described,
            is_time_set: state.is_time_set,
            is_appendable: state.is_appendable,
            map: state.map.clone(),
            base: state.base.as_deref().cloned(),
            stored: state.stored.clone(),
            creation: state.creation,
            appended_from: state.appended_from,
            has_followed: state.has_followed,
            modified: state.modified,
            edits: state.edits,
            edits_published: state.edits_published,
            refused: state.refused.as_ref().map(|(edits, _)| *edits),
            superseded: state.superseded,
            eager: eager.or_else(|| state.lent.clone()),
            orphan: state.orphan,
            intents: state.unsettled.and(state.intent.as_ref()),
        }
    }

    fn into_state(self, place: Place) -> State {
        let mut state = State::created(place, self.creation, self.headers, self.attributes);
        state.is_described = self.is_described;
        state.is_time_set = self.is_time_set;
        state.is_appendable = self.is_appendable;
        state.map = self.map;
        state.base = self.base.map(Into::into);
        state.stored = self.stored;
        state.appended_from = self.appended_from;
        state.has_followed = self.has_followed;
        state.modified = self.modified;
        state.edits = self.edits;
        state.edits_published = self.edits_published;
        state.refused = self.refused.map(|edits| (edits, None));
        state.superseded = self.superseded;
        state.lent = self.eager;
        state.orphan = self.orphan;
        state.unsettled = Unsettled::new(self.intents);
        state
    }
}

/// What a commit is about to publish, for the next process, which has to find out whether it did.
#[derive(Clone, Debug)]
pub(super) struct Intent {
    pub map: ExtentMap,
    /// The edits that are in it.
    pub edits: u64,
    /// What it is given, its times above all.
    pub attributes: Attributes,
    /// Where it goes on after the object that it may be added to: that keeps its times.
    pub added_to: Option<u64>,
}

record!(Intent {
    map,
    edits,
    attributes,
    added_to
});

record!(StoredPart { number, etag, size });

record!(ObjectVersion {
    bucket,
    key,
    etag,
    version_id,
    size
});

record!(ObjectHeaders {
    content_type,
    content_encoding,
    content_disposition,
    content_language,
    cache_control,
    expires,
    storage_class,
    metadata,
    tags,
});

record!(Attributes {
    kind,
    permissions,
    uid,
    gid,
    rdev,
    mtime,
    atime,
    ctime
});

macro_rules! texts {
    ($($text:ident),*) => {
        $(impl Record for $text {
            fn write(&self, to: &mut Vec<u8>) {
                (self.as_str().len() as u32).write(to);
                to.extend(self.as_str().as_bytes());
            }

            fn read(from: &mut &[u8]) -> Option<Self> {
                <std::sync::Arc<str>>::read(from).map(Self::new)
            }
        })*
    };
}
texts!(BucketName, ObjectKey, ETag, VersionId);

impl Record for PartNumber {
    fn write(&self, to: &mut Vec<u8>) {
        self.0.write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        u32::read(from).map(Self)
    }
}

impl Record for Kind {
    fn write(&self, to: &mut Vec<u8>) {
        self.type_bits().write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        Self::of_mode(u32::read(from)?)
    }
}

impl Record for Creation {
    fn write(&self, to: &mut Vec<u8>) {
        let word: u8 = match self {
            Self::Replace => 0,
            Self::IfAbsent => 1,
            Self::Exclusive => 2,
        };
        word.write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        match u8::read(from)? {
            0 => Some(Self::Replace),
            1 => Some(Self::IfAbsent),
            2 => Some(Self::Exclusive),
            _ => None,
        }
    }
}

impl Record for Tags {
    fn write(&self, to: &mut Vec<u8>) {
        self.told().cloned().write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        Some(Option::read(from)?.map_or(Self::Untold, Self::These))
    }
}
