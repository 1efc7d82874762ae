//! Keeps what is known of inodes within its bounds, by what was used least recently. Asks no store.

use lru::LruCache;

use crate::config::Bounds;
use crate::fs::Ino;
use crate::fs::invalidate::{Invalidation, Invalidations};
use crate::fs::state::State;
use crate::namespace::tree::Node;

/// Nodes that are looked at after a change for some that the kernel may forget: more than a change
/// adds, so that the bound holds however many come.
const NODES_A_CHANGE: usize = 64;

/// The bounds, and what was used when.
#[derive(Debug)]
pub(super) struct Bounded {
    inodes_max: usize,
    /// Whether the kernel can be asked to forget directories that nothing uses.
    pub(super) has_pruning: bool,
    /// The inodes whose headers are kept.
    headers: LruCache<Ino, ()>,
}

impl Bounded {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            inodes_max: bounds.inodes_max,
            has_pruning: false,
            headers: LruCache::new(bounds.headers_max),
        }
    }
}

impl State {
    /// To be called when these nodes came, went or may have changed. Beyond the bound of inodes the
    /// kernel is asked to forget some: it does if nothing uses them. What it forgets is a change
    /// too, and goes on with this. No more notices wait than there are inodes too many.
    pub(super) fn keep_bounds(&mut self, changed: &[Ino], waiting: &Invalidations) {
        for ino in changed {
            if !self.tree.has_headers(*ino) {
                self.bounded.headers.pop(ino);
            } else if let Some((least, ())) = self.bounded.headers.push(*ino, ())
                && least != *ino
            {
                self.tree.drop_headers(least);
            }
        }
        let beyond = self.tree.len().saturating_sub(self.bounded.inodes_max);
        if changed.is_empty() || beyond == 0 {
            return;
        }
        let wanted = beyond.saturating_sub(waiting.len());
        let nodes = NODES_A_CHANGE.max(2 * changed.len());
        let (open, has_pruning) = (&self.open, self.bounded.has_pruning);
        let may_go = |ino: Ino, node: &Node| match node.is_directory() {
            true => has_pruning,
            false => open.file(ino).is_none(),
        };
        for ino in self.tree.unused(wanted, nodes, may_go) {
            let Some(node) = self.tree.node(ino) else {
                continue;
            };
            self.invalid.push(match node.is_directory() {
                true => Invalidation::UnusedDirectory(ino),
                false => {
                    let name = self.tree.spelling.name(node.name());
                    Invalidation::Unused(node.parent(), name)
                }
            });
        }
    }
}
