//! Refusals in the log: of an operation and an errno one a minute, so that a program that goes over
//! many forbidden objects does not drown all else.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::lock::Guarded;

/// How long others of a kind are only counted after one was told.
const EVERY: Duration = Duration::from_secs(60);

/// What counts as the same: the operation and the errno. There are few of them.
type Kind = (&'static str, i32);

/// When each kind was told last, and how many were not told since.
#[derive(Debug)]
pub(super) struct Told(Guarded<BTreeMap<Kind, (Instant, Untold)>>);

/// How many of a kind were not told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Untold(u64);

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(
                f,
                " (and {count} more like it since the last that was told)"
            ),
        }
    }
}

impl Told {
    pub(super) const fn new() -> Self {
        Self(Guarded::new(BTreeMap::new()))
    }

    /// Whether one of a kind is to be told, and how many were not before it.
    pub(super) fn tell(&self, kind: Kind, now: Instant) -> Option<Untold> {
        let mut told = self.0.lock();
        let Some((last, untold)) = told.get_mut(&kind) else {
            told.insert(kind, (now, Untold::default()));
            return Some(Untold::default());
        };
        if now.saturating_duration_since(*last) < EVERY {
            untold.0 += 1;
            return None;
        }
        *last = now;
        Some(std::mem::take(untold))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Told, Untold};

    #[test]
    fn one_of_a_kind_is_told_a_minute_with_how_many_were_not() {
        let (told, start) = (Told::new(), Instant::now());
        let tell = |kind, seconds| told.tell(kind, start + Duration::from_secs(seconds));
        assert_eq!(tell(("open", 13), 0), Some(Untold(0)));
        assert_eq!(tell(("open", 13), 1), None);
        assert_eq!(tell(("open", 5), 1), Some(Untold(0)));
        assert_eq!(tell(("lookup", 13), 1), Some(Untold(0)));
        assert_eq!(tell(("open", 13), 59), None);
        let next = tell(("open", 13), 60).unwrap();
        assert_eq!(
            next.to_string(),
            " (and 2 more like it since the last that was told)"
        );
        assert_eq!(tell(("open", 13), 119), None);
        assert_eq!(tell(("open", 13), 300), Some(Untold(1)));
    }
}
