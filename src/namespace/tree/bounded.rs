//! What of the inode table may be given up: headers, and inodes that were not used for a while.

use super::{Node, NodeState, Tree};
use crate::namespace::Ino;

impl Tree {
    /// Whether the headers of an object are kept.
    pub fn has_headers(&self, ino: Ino) -> bool {
        let known = self.nodes.get(&ino).and_then(|node| match &node.state {
            NodeState::File(file) => file.known.as_ref(),
            NodeState::Directory(directory) => directory.marker.as_ref(),
        });
        known.is_some_and(|known| known.headers.is_some())
    }

    /// Keeps the headers of an object no longer.
    pub fn drop_headers(&mut self, ino: Ino) {
        let known = self
            .nodes
            .get_mut(&ino)
            .and_then(|node| match &mut node.state {
                NodeState::File(file) => file.known.as_mut(),
                NodeState::Directory(directory) => directory.marker.as_mut(),
            });
        if let Some(known) = known {
            known.headers = None;
        }
    }

    /// Up to `wanted` inodes that the kernel may forget: of the next so many nodes, around and
    /// around, those that were not used since the last round and that `may_go` allows. One is
    /// returned again only in the round after the next: the kernel may need time, or the file. What
    /// is in a directory goes before it.
    pub fn unused(
        &mut self,
        wanted: usize,
        nodes: usize,
        may_go: impl Fn(Ino, &Node) -> bool,
    ) -> Vec<Ino> {
        let mut unused = Vec::new();
        for (passed, (&ino, node)) in self.nodes.range_mut(self.cursor..).enumerate() {
            if unused.len() == wanted || passed == nodes {
                self.cursor = ino;
                return unused;
            }
            let is_used = std::mem::take(&mut node.is_used);
            let was_asked_for = std::mem::take(&mut node.is_asked_for);
            let is_counted_on = node.pins > 0
                || node.has_children()
                || ino == Ino::ROOT
                || self.tops.contains_key(&ino);
            let is_known = node.lookups > 0 && node.linked;
            if !(is_used || was_asked_for || is_counted_on) && is_known && may_go(ino, node) {
                node.is_asked_for = true;
                unused.push(ino);
            }
        }
        self.cursor = Ino(0);
        unused
    }
}
