//! The state of one file's content and the edits of it; all of it under one lock, none of it
//! waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::attributes::Attributes;
use crate::commit::Place;
use crate::extent::{Extent, ExtentMap};
use crate::file::eager::{Eager, KeptEager};
use crate::file::outcome::Unsettled;
use crate::file::record::{Edit, Intent, Recorded};
use crate::file::{Creation, FileError, Seen};
use crate::object::ObjectVersion;
use crate::plan::PlanError;
use crate::range::ByteRange;
use crate::staging::Staging;
use crate::store::ObjectHeaders;
use crate::store::grown::Fingerprint;

mod ahead;
mod described;
mod staged;
mod write;

pub(super) use write::Step;

/// The content of one file and how it stands to its object.
#[derive(Debug)]
pub(super) struct State {
    pub place: Place,
    /// As last told or set, the metadata words of `attributes` as they were then.
    headers: ObjectHeaders,
    pub attributes: Attributes,
    /// Whether the headers are known: a listing tells none.
    pub is_described: bool,
    /// Whether a time was set by hand since the content last changed.
    pub is_time_set: bool,
    /// Whether an append in place would leave the object with the headers that it is to have, but
    /// for times that are known to be old by its size.
    pub is_appendable: bool,
    pub map: ExtentMap,
    /// The object version last in step with the place; `None` when never published.
    pub base: Option<Arc<ObjectVersion>>,
    /// When `base` came to be that: what the store was asked before is older. `None` in a process
    /// that goes on for another.
    pub based_at: Option<Instant>,
    /// What `base` has grown from; nothing in a process that goes on for another.
    pub grown_from: Vec<Fingerprint>,
    /// The metadata of the marker of a directory, as it was last seen or stored.
    pub stored: BTreeMap<String, String>,
    pub creation: Creation,
    /// How long the file was before its edits that are not published, if these are all appends.
    pub appended_from: Option<u64>,
    /// Whether other bytes than before are where these went, or behind them, which another client
    /// has appended; nobody was told yet.
    pub has_followed: bool,
    pub modified: SystemTime,
    /// Edits so far, and how many of them are published: equal when the file is clean.
    pub edits: u64,
    pub edits_published: u64,
    /// How many edits there were when a commit last failed, and why unless in another process.
    pub refused: Option<(u64, Option<FileError>)>,
    /// Staging addresses below this are frozen: a commit or a part sent ahead may be reading them.
    pub frozen: u64,
    /// Who reads any of them without the lock of the state, beside the parts sent ahead.
    pub readers: usize,
    /// Whether there are frozen bytes that the map does not refer to any more.
    pub has_displaced: bool,
    /// The upload that the beginning is sent to ahead; with the commit while one is under way.
    pub eager: Option<Eager>,
    /// One that the file was cut short of, to be given up.
    pub given_up: Option<Eager>,
    /// Unlinked: readable and writable, never published.
    pub orphan: bool,
    /// Another client has replaced or removed the object: the bytes are readable as long as the
    /// store has them, and nothing can be changed.
    pub superseded: bool,
    /// Of `eager`, while a commit has it.
    pub lent: Option<KeptEager>,
    /// What a commit is publishing.
    pub intent: Option<Intent>,
    /// What processes before this one were publishing.
    pub unsettled: Unsettled,
    pub recorded: Recorded,
}

impl State {
    pub fn of_object(place: Place, seen: &Seen) -> Self {
        let (headers, attributes) = described(seen);
        let mut state = Self {
            is_described: seen.headers.is_some(),
            is_appendable: is_appendable(seen),
            grown_from: growth(seen),
            map: ExtentMap::of_object(seen.version.clone()),
            base: Some(seen.version.clone()),
            based_at: Some(seen.at),
            modified: attributes.mtime.unwrap_or(seen.modified),
            creation: Creation::IfAbsent,
            edits: 0,
            ..Self::created(place, Creation::Replace, headers, attributes)
        };
        state.note_seen(seen);
        state
    }

    pub fn created(
        place: Place,
        creation: Creation,
        headers: ObjectHeaders,
        attributes: Attributes,
    ) -> Self {
        Self {
            place,
            headers,
            attributes,
            is_described: true,
            is_time_set: false,
            is_appendable: false,
            map: ExtentMap::new(),
            base: None,
            based_at: None,
            grown_from: Vec::new(),
            stored: BTreeMap::new(),
            creation,
            appended_from: (creation == Creation::IfAbsent).then_some(0),
            has_followed: false,
            modified: attributes.mtime.unwrap_or_else(SystemTime::now),
            edits: 1,
            edits_published: 0,
            refused: None,
            frozen: 0,
            readers: 0,
            has_displaced: false,
            eager: None,
            given_up: None,
            orphan: false,
            superseded: false,
            lent: None,
            intent: None,
            unsettled: Unsettled::default(),
            recorded: Recorded::default(),
        }
    }

    pub const fn is_dirty(&self) -> bool {
        self.edits != self.edits_published
    }

    /// Whether there are bytes to commit, and not only headers.
    pub fn has_new_content(&self) -> bool {
        match &self.base {
            None => !self.map.is_empty(),
            Some(base) => self.is_dirty() && self.map != ExtentMap::of_object(base.clone()),
        }
    }

    /// Whether a commit of just this content has failed.
    pub fn is_refused(&self) -> bool {
        let refused = self.refused.as_ref();
        self.is_dirty() && refused.is_some_and(|(edits, _)| *edits == self.edits)
    }

    pub fn truncate(&mut self, staging: &mut Staging, len: u64) -> Result<(), FileError> {
        let old = self.map.len();
        if len == old {
            return Ok(());
        }
        if len > old {
            self.checked_range(old, len - old)?;
        } else {
            self.displace(staging, ByteRange::new(len, old));
        }
        self.touch();
        self.map.truncate(len);
        self.recorded.edits.push(Edit::Truncate { len });
        if self.eager.as_ref().is_some_and(|eager| eager.len() > len) {
            self.given_up = self.eager.take();
        }
        Ok(())
    }

    /// Zeros in place of a range; with `extend` the file reaches at least to its end.
    pub fn zero(
        &mut self,
        staging: &mut Staging,
        range: ByteRange,
        extend: bool,
    ) -> Result<(), FileError> {
        if extend && range.end() > self.map.len() {
            self.truncate(staging, range.end())?;
        }
        let range = range.clamp_end(self.map.len());
        if range.is_empty() {
            return Ok(());
        }
        self.displace(staging, range);
        self.touch();
        self.map.punch(range);
        self.recorded.edits.push(Edit::Punch(range));
        Ok(())
    }

    pub fn seek(&self, at: u64, hole: bool) -> Option<u64> {
        let len = self.map.len();
        if at >= len {
            return None;
        }
        let mut runs = self.map.walk(ByteRange::new(at, len));
        let found = runs.find(|(_, extent)| matches!(extent, Extent::Hole { .. }) == hole);
        found.map(|(start, _)| start).or(hole.then_some(len))
    }

    pub fn splice(
        &mut self,
        staging: &mut Staging,
        at: u64,
        from: &ExtentMap,
    ) -> Result<(), FileError> {
        if from.is_empty() {
            return Ok(());
        }
        let range = self.checked_range(at, from.len())?;
        self.displace(staging, range);
        self.touch();
        self.map.splice(at, from);
        let from = from.clone();
        self.recorded.edits.push(Edit::Splice { at, from });
        Ok(())
    }

    pub fn relocate(
        &mut self,
        place: Place,
        from: Option<&ObjectVersion>,
        version: Option<Arc<ObjectVersion>>,
    ) -> bool {
        let is_it = match (&self.base, from) {
            (Some(base), Some(from)) => base.etag.matches(&from.etag),
            (base, from) => base.is_none() && from.is_none(),
        };
        if !is_it {
            return false;
        }
        if let (Some(old), Some(new)) = (&self.base, &version) {
            self.map = replaced(&self.map, old, new);
        }
        self.place = place;
        self.base = version;
        self.based_at = Some(Instant::now());
        self.unsettled = Unsettled::default();
        true
    }

    /// Takes over the headers and attributes of the object, whose bytes are those of the base.
    pub fn refresh(&mut self, seen: &Seen) {
        let is_own = self.is_dirty() || self.orphan || self.based_at.is_some_and(|at| at > seen.at);
        if is_own || seen.headers.is_none() {
            return;
        }
        self.describe_as(seen);
    }

    /// Takes over what the object is described by.
    pub fn describe_as(&mut self, seen: &Seen) {
        (self.headers, self.attributes) = described(seen);
        self.is_described = seen.headers.is_some();
        self.is_appendable = is_appendable(seen);
        self.grown_from = growth(seen);
        self.note_seen(seen);
        self.modified = self.attributes.mtime.unwrap_or(seen.modified);
    }

    /// Whether an object has grown from the version that the file was last in step with.
    pub fn has_grown_to(&self, seen: &Seen) -> bool {
        self.base.as_ref().is_some_and(|base| {
            seen.version.size >= base.size && growth(seen).contains(&Fingerprint::of(base))
        })
    }

    /// If the object has grown from the version that the file is of, and nothing was changed here,
    /// the file is of the new version from now on: it begins with all that there was. Whether so.
    pub fn grow(&mut self, seen: &Seen) -> bool {
        let is_own = self.is_dirty() || self.orphan || self.superseded;
        if is_own || !self.has_grown_to(seen) || !self.unsettled.is_empty() {
            return false;
        }
        self.map = ExtentMap::of_object(seen.version.clone());
        self.base = Some(seen.version.clone());
        self.based_at = Some(seen.at);
        self.has_followed = true;
        self.describe_as(seen);
        true
    }

    pub fn refers_to(&self, place: &Place) -> bool {
        // What has no name keeps its place, where another file may be by now; versions that the
        // bucket keeps outlive that.
        let is_own = self.place == *place && !self.orphan;
        let goes = |version: &ObjectVersion| {
            place.holds(version) && !(self.orphan && version.version_id.is_some())
        };
        self.is_dirty() && !is_own && self.map.versions().iter().any(|version| goes(version))
    }

    /// After `committed`, a map this one was equal to at some edit, was published as `version`:
    /// what has not changed since is that version's bytes.
    pub fn rebase(&mut self, committed: &ExtentMap, version: &Arc<ObjectVersion>, edits: u64) {
        let object = ExtentMap::of_object(version.clone());
        let mut rebased = ExtentMap::new();
        for (at, extent) in self.map.walk(ByteRange::new(0, self.map.len())) {
            let range = ByteRange::at(at, extent.len());
            for (agrees, run) in agreement(committed, range, &extent) {
                if agrees {
                    rebased.append(&object.slice(run));
                } else {
                    rebased.append(&self.map.slice(run));
                }
            }
        }
        self.map = rebased;
        self.base = Some(version.clone());
        self.based_at = Some(Instant::now());
        self.creation = Creation::IfAbsent;
        self.appended_from = self.appended_from.map(|_| committed.len());
        self.edits_published = edits;
    }

    /// Notes a change of content.
    pub fn touch(&mut self) {
        let now = SystemTime::now();
        self.touch_at(now);
        self.recorded.edits.push(Edit::Touch(now));
    }

    /// Notes a change of content at that time.
    pub fn touch_at(&mut self, now: SystemTime) {
        self.edits += 1;
        self.appended_from = None;
        self.modified = now;
        self.attributes.mtime = Some(self.modified);
        self.attributes.ctime = Some(self.modified);
        self.is_time_set = false;
    }

    /// The range, if an object can reach that far.
    fn checked_range(&self, at: u64, len: u64) -> Result<ByteRange, PlanError> {
        let max = self.place.bucket.limits().object_size_max;
        match at.checked_add(len) {
            Some(end) if end <= max => Ok(ByteRange::new(at, end)),
            _ => Err(PlanError::ObjectTooLarge {
                size: at.saturating_add(len),
                max,
            }),
        }
    }
}

/// The headers and the attributes of an object, as far as they are known.
fn described(seen: &Seen) -> (ObjectHeaders, Attributes) {
    let mut headers = seen.headers.as_deref().cloned().unwrap_or_default();
    headers.forget_growth();
    (headers, seen.attributes.unwrap_or_default())
}

/// Whether the object's headers are known, and its times, if it has any, are dated by its size.
fn is_appendable(seen: &Seen) -> bool {
    let headers = seen.headers.as_ref();
    headers.is_some_and(|headers| headers.allow_appends())
}

/// What the object has grown from, as far as that is known.
fn growth(seen: &Seen) -> Vec<Fingerprint> {
    let headers = seen.headers.as_deref();
    headers.map(ObjectHeaders::growth).unwrap_or_default()
}

/// `map` with every byte of `old` taken from the same place of `new` instead.
fn replaced(map: &ExtentMap, old: &ObjectVersion, new: &Arc<ObjectVersion>) -> ExtentMap {
    let mut result = ExtentMap::new();
    for (at, extent) in map.walk(ByteRange::new(0, map.len())) {
        match extent {
            Extent::Object {
                version,
                offset,
                len,
            } if *version == *old => {
                let range = ByteRange::at(offset, len);
                result.append(&ExtentMap::of_object(new.clone()).slice(range));
            }
            extent => result.append(&map.slice(ByteRange::at(at, extent.len()))),
        }
    }
    result
}

/// Cuts `range`, which one extent covers, into runs where `committed` has that same extent at the
/// same position, and runs where it has not.
fn agreement(committed: &ExtentMap, range: ByteRange, extent: &Extent) -> Vec<(bool, ByteRange)> {
    let mut runs = Vec::new();
    let mut done = range.start();
    for (at, other) in committed.walk(range) {
        let run = ByteRange::at(at, other.len());
        runs.push((continues(extent, at - range.start(), &other), run));
        done = run.end();
    }
    if done < range.end() {
        runs.push((false, ByteRange::new(done, range.end())));
    }
    runs
}

/// Whether `other` is what `extent` is from its `skip`-th byte on.
fn continues(extent: &Extent, skip: u64, other: &Extent) -> bool {
    match (extent, other) {
        (Extent::Hole { .. }, Extent::Hole { .. }) => true,
        (Extent::Sent { offset, .. }, Extent::Sent { offset: there, .. })
        | (Extent::Dirty { offset, .. }, Extent::Dirty { offset: there, .. }) => {
            offset + skip == *there
        }
        (
            Extent::Object {
                version, offset, ..
            },
            Extent::Object {
                version: version_there,
                offset: there,
                ..
            },
        ) => version == version_there && offset + skip == *there,
        _ => false,
    }
}
