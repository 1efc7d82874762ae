//! Keeps what is known of inodes within its bounds, by what was used least recently. Asks no store.

use lru::LruCache;

use crate::config::Bounds;
use crate::fs::Ino;
use crate::fs::state::State;

/// The bounds, and what was used when.
#[derive(Debug)]
pub(super) struct Bounded {
    /// The inodes whose headers are kept.
    headers: LruCache<Ino, ()>,
}

impl Bounded {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            headers: LruCache::new(bounds.headers_max),
        }
    }
}

impl State {
    /// To be called when these nodes came, went or may have changed.
    pub(super) fn keep_bounds(&mut self, changed: &[Ino]) {
        for ino in changed {
            if !self.tree.has_headers(*ino) {
                self.bounded.headers.pop(ino);
            } else if let Some((least, ())) = self.bounded.headers.push(*ino, ())
                && least != *ino
            {
                self.tree.drop_headers(least);
            }
        }
    }
}
