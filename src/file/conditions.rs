//! What a commit asks of the object that is at its place, and what it does about another client's
//! when it replaces whatever is there. Knows no plan.

use std::time::Instant;

use crate::file::outcome::Unsettled;
use crate::file::state::State;
use crate::file::{Creation, File, FileError, Seen};
use crate::store::{Precondition, StoreError};

/// How often the commit of a file that was cut to nothing is tried again though the object at its
/// place is the known one: another client's was there for a moment.
const REPEATS_MAX: u32 = 3;

impl State {
    /// What a commit asks of the object now at the place: that another client has not made or
    /// replaced it; a marker is joined. What was cut to nothing replaces whatever is there, but
    /// asks too where that costs nothing: a request that the store carries out late is refused.
    pub fn precondition(&self) -> Precondition {
        let replaces = self.creation == Creation::Replace;
        match &self.base {
            _ if replaces && !self.place.bucket.keeps_preconditions() => Precondition::None,
            None => Precondition::Absent,
            Some(_) if self.is_marker() => Precondition::None,
            Some(base) => Precondition::Unchanged(base.etag.clone()),
        }
    }

    /// The object that is to be replaced is this one, or there is none.
    fn replace(&mut self, now: Option<&Seen>) {
        self.base = now.map(|seen| seen.version.clone());
        self.based_at = now.map(|seen| seen.at);
        self.grown_from.clear();
        self.is_appendable = false;
        // What was asked for on a condition that does not hold any more will not be done.
        self.unsettled = Unsettled::default();
    }
}

impl File {
    /// After a conflict, one of so many: has a file that was cut to nothing replace the object that
    /// is there now. Whether that is so, and the commit worth another try. To be called with
    /// `publishing` held.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn replace(&self, conflicts: u32) -> Result<bool, FileError> {
        if self.state().creation != Creation::Replace {
            return Ok(false);
        }
        let place = self.place();
        let asked = Instant::now();
        let now = match place.bucket.head(&place.key).await {
            Ok(stat) => Some(Seen::of_stat(&stat, asked)),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let mut state = self.state();
        if state.creation != Creation::Replace {
            return Ok(false);
        }
        let etag = |seen: &Seen| seen.version.etag.clone();
        let is_known = match (&state.base, now.as_ref().map(etag)) {
            (Some(base), Some(etag)) => base.etag.matches(&etag),
            (base, etag) => base.is_none() && etag.is_none(),
        };
        if is_known && conflicts > REPEATS_MAX {
            return Ok(false);
        }
        state.replace(now.as_ref());
        Ok(true)
    }
}
