//! What is kept of the inode table for the next process, and the table made of that. Knows no
//! journal.

use std::sync::Arc;

use super::{DirectoryNode, FileNode, Node, NodeState, Tree};
use crate::namespace::{Ino, LocalTimes};

/// What of a node cannot be asked for again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptNode {
    /// The directory it is in.
    pub parent: Ino,
    /// Its name there.
    pub name: Arc<str>,
    /// Whether it has a name.
    pub linked: bool,
    /// How often the kernel was told of it.
    pub lookups: u64,
    /// Which of the inodes of its number it is.
    pub generation: u32,
    /// Whether its number is not its own.
    pub is_stand_in: bool,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Whether it is shown whatever the store holds.
    pub is_retained: bool,
    /// Times known here only.
    pub times: LocalTimes,
}

impl Tree {
    /// The nodes that came, went or may have changed since the last call of this.
    pub fn take_changed(&mut self) -> Vec<Ino> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// What is to be kept of a node.
    pub fn kept(&self, ino: Ino) -> Option<KeptNode> {
        let node = self.nodes.get(&ino)?;
        Some(KeptNode {
            parent: node.parent,
            name: Arc::clone(&node.name),
            linked: node.linked,
            lookups: node.lookups,
            generation: node.generation,
            is_stand_in: node.is_stand_in,
            is_directory: node.is_directory(),
            is_retained: self.is_retained(ino),
            times: match &node.state {
                NodeState::File(file) => file.times,
                NodeState::Directory(directory) => directory.times,
            },
        })
    }

    /// Generations from `next` on are new.
    pub const fn restore_generation(&mut self, next: u64) {
        self.next_generation = next;
    }

    /// Puts in the nodes that were kept of another table over the same sources. To be followed by
    /// [`Self::prune_all`]. Returns the nodes whose parents are missing or no directories: they
    /// have no name.
    pub fn restore(&mut self, nodes: Vec<(Ino, KeptNode)>) -> Vec<Ino> {
        let mut nameless = Vec::new();
        for (ino, kept) in &nodes {
            let state = match kept.is_directory {
                true => NodeState::Directory(DirectoryNode {
                    times: kept.times,
                    ..DirectoryNode::default()
                }),
                false => NodeState::File(FileNode {
                    times: kept.times,
                    ..FileNode::default()
                }),
            };
            let node = Node {
                parent: kept.parent,
                name: Arc::clone(&kept.name),
                linked: kept.linked,
                lookups: kept.lookups,
                pins: 0,
                is_used: true,
                is_asked_for: false,
                generation: kept.generation,
                is_stand_in: kept.is_stand_in,
                state,
            };
            self.changed.push(*ino);
            self.nodes.insert(*ino, Box::new(node));
        }
        // The tops are there even if nothing was kept of them.
        let linked = self.nodes.iter().filter(|(_, node)| node.linked);
        let linked = linked.map(|(ino, node)| (*ino, node.parent, Arc::clone(&node.name)));
        for (ino, parent, name) in linked.collect::<Vec<_>>() {
            if ino != Ino::ROOT {
                if let Some(directory) = self.directory_mut(parent) {
                    directory.children.insert(name, ino);
                } else if let Some(node) = self.nodes.get_mut(&ino) {
                    node.linked = false;
                    nameless.push(ino);
                }
            }
        }
        for (ino, _) in nodes.iter().filter(|(_, kept)| kept.is_retained) {
            self.retain(*ino);
        }
        nameless
    }

    /// Gives up the nodes that nobody counts on.
    pub fn prune_all(&mut self) {
        let all: Vec<Ino> = self.nodes.keys().copied().collect();
        for ino in all {
            self.prune(ino);
        }
    }
}
