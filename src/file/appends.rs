//! Appends: an edit that is nothing but these goes behind whatever another client has made of the
//! object meanwhile, because that is what O_APPEND means. Knows no handle.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use crate::attributes::Kind;
use crate::extent::ExtentMap;
use crate::file::outcome::Unsettled;
use crate::file::state::State;
use crate::file::{Creation, File, FileError, Seen};
use crate::range::ByteRange;
use crate::store::{ObjectStat, StoreError};

/// Bound of the pause after the first conflict; it doubles with each.
const PAUSE_FIRST: Duration = Duration::from_millis(10);

/// Bound of a pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

impl State {
    /// Has bytes put behind the last one; where they went. `None` as with [`Self::write`].
    pub fn append(
        &mut self,
        write: impl FnOnce(&mut Self, u64) -> Result<Option<()>, FileError>,
    ) -> Result<Option<u64>, FileError> {
        let at = self.map.len();
        let from = match self.is_dirty() {
            true => self.appended_from,
            false => Some(at),
        };
        let written = write(self, at)?;
        self.appended_from = from;
        Ok(written.map(|()| at))
    }

    /// Where the bytes begin that may go behind another object: nothing but appends was done, and
    /// their bytes are here.
    fn movable_from(&self) -> Option<u64> {
        self.appended_from
            .filter(|_| !self.has_sent() && self.eager.is_none())
    }

    /// Whether an object is one that a file with appends can go on in before it is published: it
    /// has grown, and nothing that was appended may be in it already.
    fn may_follow(&self, now: &Seen) -> bool {
        let is_alone = self.orphan || self.superseded || !self.unsettled.is_empty();
        self.is_dirty() && !is_alone && self.has_grown_to(now)
    }

    /// What was appended from `from` on goes behind what is at the place now.
    fn follow(&mut self, now: Option<&Seen>, from: u64) {
        let tail = self.map.slice(ByteRange::new(from, self.map.len()));
        let written = self.modified;
        self.base = now.map(|seen| seen.version.clone());
        self.based_at = now.map(|seen| seen.at);
        self.map = self
            .base
            .clone()
            .map_or_else(ExtentMap::new, ExtentMap::of_object);
        self.appended_from = Some(self.map.len());
        self.has_followed = true;
        self.creation = Creation::IfAbsent;
        // What was asked for on a condition that does not hold any more will not be done.
        self.unsettled = Unsettled::default();
        if let Some(seen) = now {
            self.describe_as(seen);
            if tail.is_empty() {
                self.edits_published = self.edits;
                return;
            }
            self.modified = written.max(self.modified);
            self.attributes.mtime = Some(self.modified);
            self.attributes.ctime = Some(SystemTime::now());
            self.is_time_set = false;
        }
        self.map.append(&tail);
    }
}

impl File {
    /// After a conflict: has an edit that is nothing but appends go behind what is there now.
    /// Whether that is so, and the commit worth another try. To be called with `publishing` held.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn follow(&self) -> Result<bool, FileError> {
        let Some(from) = self.state().movable_from() else {
            return Ok(false);
        };
        let place = self.place();
        let asked = Instant::now();
        let stat = match place.bucket.head(&place.key).await {
            Ok(stat) => Some(stat),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let from = match &stat {
            Some(stat) => self.landed(stat).await?.unwrap_or(from),
            None => from,
        };
        let now = stat.as_ref().map(|stat| Seen::of_stat(stat, asked));
        let mut state = self.state();
        let has_grown = now.as_ref().is_some_and(|seen| state.has_grown_to(seen));
        if !has_grown && self.readers.load(Ordering::Relaxed) > 0 {
            // They would go on in other bytes than those that they have read.
            return Ok(false);
        }
        let kind = |kind: Option<Kind>| kind.unwrap_or(Kind::File);
        let is_other_kind = now.as_ref().is_some_and(|seen| {
            kind(seen.attributes.and_then(|told| told.kind)) != kind(state.attributes.kind)
        });
        if is_other_kind || state.movable_from().is_none() {
            return Ok(false);
        }
        log::info!(
            "{}: changed by another client, appended to again",
            place.key
        );
        state.follow(now.as_ref(), from);
        if !state.is_dirty() {
            state.release_displaced(&mut self.staging.lock());
            self.shared.strike(self);
        }
        Ok(true)
    }

    /// Somebody opens the file for reading alone, and is to see one version.
    pub fn add_reader(&self) {
        self.readers.fetch_add(1, Ordering::Relaxed);
    }

    /// One of these closes it.
    pub fn remove_reader(&self) {
        self.readers.fetch_sub(1, Ordering::Relaxed);
    }

    /// What is now known of the object of a file, of which it is another version: whether that
    /// begins with all bytes of this one, and the file is of that from now on.
    pub fn grow(&self, seen: &Seen) -> bool {
        self.state().grow(seen)
    }

    /// As [`Self::grow`], by what is there now; what was appended here goes behind that. To be
    /// called with `publishing` held.
    pub(super) async fn has_grown(&self) -> bool {
        let place = self.place();
        let asked = Instant::now();
        // The failure that led here is reported if this fails, too.
        let Ok(stat) = place.bucket.head(&place.key).await else {
            return false;
        };
        let seen = Seen::of_stat(&stat, asked);
        let mut state = self.state();
        if state.grow(&seen) {
            return true;
        }
        let from = state.movable_from().filter(|_| state.may_follow(&seen));
        if let Some(from) = from {
            state.follow(Some(&seen), from);
        }
        from.is_some()
    }

    /// Whether there are other bytes than before where the appended ones were, or behind them,
    /// since this was last asked.
    pub fn take_followed(&self) -> bool {
        self.state().has_followed && std::mem::take(&mut self.state().has_followed)
    }

    /// Up to where the appended bytes are in an object that another client has made since, of a
    /// commit before this whose answer was lost. The same bytes that the other put there cannot be
    /// told apart.
    async fn landed(&self, stat: &ObjectStat) -> Result<Option<u64>, FileError> {
        let lost = self.state().unsettled.appended();
        for (map, from) in lost {
            // One of the same size would have its times.
            if stat.version.size > map.len() && self.ends_in(stat, &map, from).await? {
                return Ok(Some(map.len()));
            }
        }
        Ok(None)
    }
}

/// The pause after so many conflicts in a row: anything up to a bound that doubles, so that
/// clients that meet do not meet again.
pub(super) fn pause(conflicts: u32) -> Duration {
    let doubled = 1_u32
        .checked_shl(conflicts.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let bound = PAUSE_FIRST.saturating_mul(doubled).min(PAUSE_MAX);
    bound.mul_f64(fastrand::f64())
}
