//! What of the inode table may be given up: headers, and files that were not used for a while.

use std::sync::Arc;

use super::{NodeState, Tree};
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

    /// Up to `wanted` files that the kernel may forget, by directory and name: of the next so many
    /// nodes, around and around, those that were not used since the last round. A name is returned
    /// again only in the round after the next: the kernel may need time, or the file. Directories
    /// are not returned: one that a process works in would lose its path.
    pub fn unused_files(
        &mut self,
        wanted: usize,
        nodes: usize,
        is_open: impl Fn(Ino) -> bool,
    ) -> Vec<(Ino, Arc<str>)> {
        let mut unused = Vec::new();
        for (passed, (&ino, node)) in self.nodes.range_mut(self.cursor..).enumerate() {
            if unused.len() == wanted || passed == nodes {
                self.cursor = ino;
                return unused;
            }
            let is_used = std::mem::take(&mut node.is_used);
            let was_asked_for = std::mem::take(&mut node.is_asked_for);
            let is_kept = node.lookups == 0 || node.pins > 0 || !node.linked || is_open(ino);
            if !(is_used || was_asked_for || is_kept || node.is_directory()) {
                node.is_asked_for = true;
                unused.push((node.parent, Arc::clone(&node.name)));
            }
        }
        self.cursor = Ino(0);
        unused
    }
}
