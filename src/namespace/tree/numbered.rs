//! Which number an inode gets, and which of the inodes of that number it is; the tops of sources.

use std::sync::Arc;

use super::{DirectoryNode, NodeState, Tree};
use crate::namespace::{Ino, InodeId};

impl Tree {
    /// Has the root be the root of the only source.
    pub fn root_is_top(&mut self) {
        self.tops.insert(Ino::ROOT, 0);
    }

    /// A directory for one more source below the root, which is the root of no source.
    pub fn add_top(&mut self, name: &Arc<str>, numbers: impl Iterator<Item = Ino>) -> Ino {
        let state = NodeState::Directory(DirectoryNode::default());
        let ino = self.insert((Ino::ROOT, name), numbers, state);
        self.tops.insert(ino, self.tops.len());
        ino
    }

    /// The first of these numbers that no inode has.
    ///
    /// # Panics
    /// If they end before.
    pub fn free_number(&self, mut numbers: impl Iterator<Item = Ino>) -> Ino {
        let free = numbers.find(|ino| !self.nodes.contains_key(ino));
        free.expect("numbers do not end")
    }

    /// The generation of an inode, or of the next one that is made.
    pub fn generation(&self, ino: Ino) -> u32 {
        let node = self.nodes.get(&ino);
        node.map_or(self.next_generation as u32, |node| node.generation)
    }

    /// The inode that has that number now.
    pub fn id(&self, ino: Ino) -> InodeId {
        let generation = self.generation(ino);
        InodeId { ino, generation }
    }

    /// The next generation to be given out.
    pub const fn next_generation(&self) -> u64 {
        self.next_generation
    }

    /// Whether a file has a number that is not its own, and nothing but the caller's pin keeps it
    /// from having another.
    pub fn is_idle_stand_in(&self, ino: Ino) -> bool {
        let node = self.nodes.get(&ino).filter(|node| node.linked);
        node.is_some_and(|node| node.is_stand_in && node.pins <= 1 && !node.is_directory())
    }
}
