//! Whether a process that was killed has published what it was publishing, found out by what is
//! there: before a file is used, and again when that fails, because a store may do late what it was
//! asked for by somebody who is gone. Knows no journal.

use std::sync::Arc;

use crate::attributes::Attributes;
use crate::extent::{Extent, ExtentMap};
use crate::file::kept::dirty_addresses;
use crate::file::read::Run;
use crate::file::record::Intent;
use crate::file::state::State;
use crate::file::{File, FileError};
use crate::interrupt;
use crate::object::{ObjectRange, ObjectVersion};
use crate::range::ByteRange;
use crate::store::{ObjectStat, StoreError};

/// What is looked for at most: of more processes, each killed with another content on its way, the
/// first are given up.
const INTENTS_MAX: usize = 8;

/// What processes before this one were publishing when they were killed.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    /// In the order of their edits.
    intents: Vec<Intent>,
    /// Whether it was looked for by this process.
    is_asked: bool,
}

impl Unsettled {
    /// Those of the processes before, the oldest first.
    pub fn new(intents: Vec<Intent>) -> Self {
        Self {
            intents,
            is_asked: false,
        }
    }

    /// All of them, and what this process is publishing.
    pub fn and(&self, now: Option<&Intent>) -> Vec<Intent> {
        let mut intents = self.intents.clone();
        if let Some(now) = now {
            intents.retain(|intent| !intent.is_again(now));
            intents.push(now.clone());
        }
        let surplus = intents.len().saturating_sub(INTENTS_MAX);
        intents.drain(..surplus);
        intents
    }

    /// The staging addresses of what may have been added to an object, in which it is known again.
    pub fn added_addresses(&self) -> Vec<ByteRange> {
        self.intents
            .iter()
            .flat_map(Intent::added_addresses)
            .collect()
    }

    /// Knows nothing again by bytes that are not all kept.
    pub fn retain_added(&mut self, are_kept: impl Fn(&ByteRange) -> bool) {
        for intent in &mut self.intents {
            if !intent.added_addresses().iter().all(&are_kept) {
                intent.added_to = None;
            }
        }
    }

    /// One of this process: the answer was lost.
    pub fn extend(&mut self, intent: Option<Intent>) {
        self.intents = self.and(intent.as_ref());
        self.is_asked = true;
    }

    /// A commit of this process was ended, and what it asked for is to be looked for.
    pub const fn look_again(&mut self) {
        self.is_asked = false;
    }

    /// What was to be added to an object, and from where on; the longest first.
    pub fn appended(&self) -> Vec<(ExtentMap, u64)> {
        let intents = self.intents.iter().rev();
        let appended = intents.filter_map(|intent| Some((intent.map.clone(), intent.added_to?)));
        appended.collect()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.intents.is_empty()
    }
}

impl File {
    /// Whether an object is a copy of this file's: of its content, as far as that can be told.
    pub fn is_copied_to(&self, stat: &ObjectStat) -> bool {
        let state = self.state();
        state.base.as_ref().is_some_and(|base| {
            let is_same =
                base.etag.matches(&stat.version.etag) || has_times(stat, &state.attributes);
            base.size == stat.version.size && is_same
        })
    }

    /// If a process before was killed while it published this file, whether it did is found out by
    /// what is there now.
    ///
    /// # Errors
    /// The store's; it is still open then.
    pub async fn learn_outcome(&self) -> Result<(), FileError> {
        if self.is_open() {
            self.look(true).await?;
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        let state = self.state();
        !state.unsettled.is_asked && !state.unsettled.is_empty()
    }

    /// Whether the file is in step with another version by now, since a version it goes back to is
    /// gone: after this process's own commit, whose answer may not be in yet and is waited for,
    /// after one that the store did late, or since another client has appended to it.
    pub(super) async fn is_replaced(&self, base: Option<&Arc<ObjectVersion>>) -> bool {
        let has_other = || self.state().base.as_ref().map(Arc::as_ptr) != base.map(Arc::as_ptr);
        if has_other() {
            return true;
        }
        let Ok(_publishing) = interrupt::or(self.publishing.lock()).await else {
            return false;
        };
        has_other() || self.is_published_late().await || self.has_grown().await
    }

    /// After a failure to publish or to read: whether the store has done late what a process before
    /// was publishing. Then the file is in step with that, and it is worth trying again. To be
    /// called with `publishing` held.
    pub(super) async fn is_published_late(&self) -> bool {
        if self.state().unsettled.is_empty() {
            return false;
        }
        // The failure is reported if this fails, too.
        self.look(false).await.unwrap_or(false)
    }

    /// Looks for what was being published; whether it is there, and taken over.
    async fn look(&self, is_first: bool) -> Result<bool, FileError> {
        let place = self.place();
        let found = match place.bucket.head(&place.key).await {
            Ok(stat) => self.made_by(&stat).await?.map(|intent| (stat, intent)),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let mut state = self.state();
        if is_first && state.unsettled.is_asked {
            // Somebody was faster, and may be publishing by now.
            return Ok(false);
        }
        state.unsettled.is_asked = true;
        let Some((stat, intent)) = found else {
            return Ok(false);
        };
        log::info!("{}: was published before", place.key);
        // What is older than this cannot be what follows it.
        let intents = &mut state.unsettled.intents;
        intents.retain(|other| other.edits > intent.edits);
        self.take_over(&mut state, &intent, &stat);
        Ok(true)
    }

    /// What an object is that was being published.
    async fn made_by(&self, stat: &ObjectStat) -> Result<Option<Intent>, FileError> {
        let (intents, mut headers, has_appends) = {
            let state = self.state();
            let has_appends = state.place.bucket.limits().append_max > 0;
            (
                state.unsettled.intents.clone(),
                state.headers(),
                has_appends,
            )
        };
        headers.drop_times();
        for intent in intents.into_iter().rev() {
            if stat.version.size != intent.map.len() {
                continue;
            }
            let is_made = match intent.added_to {
                _ if has_times(stat, &intent.attributes) => true,
                // An append in place leaves the metadata, but for times that are of another size.
                Some(from) if has_appends && stat.headers.metadata == headers.metadata => {
                    self.ends_in(stat, &intent.map, from).await?
                }
                Some(_) | None => false,
            };
            if is_made {
                return Ok(Some(intent));
            }
        }
        Ok(None)
    }

    /// Whether an object has the bytes of a map from a position on, whatever follows. The same
    /// bytes that another client added at that moment cannot be told apart.
    pub(super) async fn ends_in(
        &self,
        stat: &ObjectStat,
        map: &ExtentMap,
        from: u64,
    ) -> Result<bool, FileError> {
        let range = ByteRange::new(from, map.len());
        let version = Arc::clone(&stat.version);
        let bucket = self.shared.buckets.bucket(&version.bucket);
        let found = match bucket.get(&ObjectRange { version, range }).await {
            Ok(found) => found,
            Err(StoreError::Stale { .. } | StoreError::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let runs: Option<Vec<Run>> = {
            let staging = self.staging.lock();
            let run = |(_, extent)| match extent {
                Extent::Dirty { offset, len } => {
                    Some(Run::Staged(staging.hold(ByteRange::at(offset, len))))
                }
                Extent::Hole { len } => Some(Run::Zeros(len)),
                Extent::Object { .. } | Extent::Sent { .. } => None,
            };
            map.walk(range).map(run).collect()
        };
        let Some(runs) = runs else {
            return Ok(false);
        };
        let mut rest = &found[..];
        for run in runs {
            let buffers = self.collect(vec![run]).await?;
            for buffer in buffers {
                match rest.strip_prefix(&buffer[..]) {
                    Some(behind) => rest = behind,
                    None => return Ok(false),
                }
            }
        }
        Ok(rest.is_empty())
    }

    fn take_over(&self, state: &mut State, intent: &Intent, stat: &ObjectStat) {
        state.eager = None;
        state.rebase(&intent.map, &stat.version, intent.edits);
        state.grown_from = stat.headers.growth();
        state.note_stored(&stat.headers.metadata);
        state.has_displaced = true;
        state.release_displaced(&mut self.staging.lock());
        // Its bytes are nowhere any more.
        for other in &mut state.unsettled.intents {
            other.added_to = None;
        }
        state.release_displaced(&mut self.staging.lock());
        if !state.is_dirty() {
            self.shared.strike(self);
        }
    }
}

impl Intent {
    /// The staging addresses of what may have been added to an object.
    fn added_addresses(&self) -> Vec<ByteRange> {
        let Some(from) = self.added_to else {
            return Vec::new();
        };
        let added = self.map.slice(ByteRange::new(from, self.map.len()));
        dirty_addresses(&added)
    }

    /// Whether this is what another process was publishing, once more.
    fn is_again(&self, other: &Self) -> bool {
        (self.edits, self.attributes) == (other.edits, other.attributes)
    }
}

/// Whether an object of the same size is the one that was given these times: no other writer gives
/// one the same to the nanosecond.
fn has_times(stat: &ObjectStat, given: &Attributes) -> bool {
    let found = Attributes::of_metadata(&stat.headers.metadata);
    given.ctime.is_some() && (found.ctime, found.mtime) == (given.ctime, given.mtime)
}
