//! The inode table: a tree of nodes under their names, each kept as long as somebody counts on it.
//! Knows no store and no file content.
//!
//! A path is walked up the parents, so renaming a directory changes one node.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use lru::LruCache;

use crate::namespace::knowledge::Known;
use crate::namespace::names::{Spelling, in_key};
use crate::namespace::{Ino, Kind, LocalTimes, Reported};
use crate::object::ETag;

mod bounded;
mod kept;
mod numbered;

pub use kept::KeptNode;

/// Directories kept for the session although the store may hold nothing of them. The least
/// recently emptied is given up beyond that, and shows only if the store has something of it.
pub const RETAINED_MAX: NonZeroUsize = NonZeroUsize::new(16 * 1024).unwrap();

/// What only a file has.
#[derive(Debug, Default)]
pub struct FileNode {
    /// What is known of the object.
    pub known: Option<Known>,
    /// The entity tag that the last open saw; `None` when the file was changed since.
    pub opened: Option<ETag>,
    /// What the kernel was last given of it.
    pub reported: Option<Reported>,
    /// Times known here only.
    pub times: LocalTimes,
}

/// What only a directory has.
#[derive(Debug, Default)]
pub struct DirectoryNode {
    children: BTreeMap<Arc<str>, Ino>,
    /// When it was last known to exist.
    pub known_at: Option<Instant>,
    /// Its marker object, if there is one.
    pub marker: Option<Known>,
    /// When it was last looked for.
    pub marker_at: Option<Instant>,
    /// Times known here only.
    pub times: LocalTimes,
    /// When the listing began that all its entries were last known from.
    pub listed_at: Option<Instant>,
}

impl DirectoryNode {
    /// A directory that was seen then, with its marker.
    pub const fn seen(at: Instant, marker: Option<Known>) -> Self {
        Self {
            children: BTreeMap::new(),
            known_at: Some(at),
            marker,
            marker_at: None,
            times: LocalTimes {
                accessed: None,
                modified: None,
                changed: None,
            },
            listed_at: None,
        }
    }
}

/// An object or a directory.
#[derive(Debug)]
pub enum NodeState {
    /// A file.
    File(FileNode),
    /// A directory.
    Directory(DirectoryNode),
}

impl NodeState {
    /// What an inode of it is; of a file no more than that is known.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::File(_) => Kind::File,
            Self::Directory(_) => Kind::Directory,
        }
    }
}

/// One inode.
#[derive(Debug)]
pub struct Node {
    parent: Ino,
    name: Arc<str>,
    linked: bool,
    lookups: u64,
    pins: u32,
    /// Since [`Tree::unused`] came by.
    is_used: bool,
    /// By [`Tree::unused`], when it came by last.
    is_asked_for: bool,
    generation: u32,
    /// Its number is not its own, which another inode had when it got its name.
    is_stand_in: bool,
    /// What it is, and what is known of it.
    pub state: NodeState,
}

impl Node {
    /// The directory it is in; meaningless when unlinked.
    pub const fn parent(&self) -> Ino {
        self.parent
    }
    /// Its name there.
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }
    /// Whether it has a name.
    pub const fn is_linked(&self) -> bool {
        self.linked
    }
    /// Whether it is a directory; else it is an object.
    pub const fn is_directory(&self) -> bool {
        matches!(self.state, NodeState::Directory(_))
    }
    /// Whether anything in it has an inode.
    fn has_children(&self) -> bool {
        match &self.state {
            NodeState::Directory(directory) => !directory.children.is_empty(),
            NodeState::File(_) => false,
        }
    }
}

/// The inode table.
///
/// Invariants: every linked node but the root is a child of its parent under its name; a parent
/// lives as long as a child; a node is dropped as soon as no lookup, no pin, no child and no
/// retention keeps it, tops excepted.
#[derive(Debug)]
pub struct Tree {
    /// A table that is hashed would have room for twice as many whenever it has grown.
    nodes: BTreeMap<Ino, Box<Node>>,
    /// Where [`Self::unused`] goes on.
    cursor: Ino,
    /// The next generation, of which the lower 32 bits count: the kernel knows no more.
    next_generation: u64,
    /// Nodes that are the root of a source, and which.
    tops: BTreeMap<Ino, usize>,
    retained: LruCache<Ino, ()>,
    /// Nodes that came, went, or may have changed since [`Self::take_changed`].
    changed: Vec<Ino>,
    /// How names are written in keys.
    pub spelling: Spelling,
}

impl Tree {
    /// A root that is in no source. Generations of inodes count from `generation` on.
    pub fn new(generation: u32) -> Self {
        let mut tree = Self {
            nodes: BTreeMap::new(),
            cursor: Ino(0),
            next_generation: u64::from(generation),
            tops: BTreeMap::new(),
            retained: LruCache::new(RETAINED_MAX),
            changed: Vec::new(),
            spelling: Spelling::default(),
        };
        tree.nodes.insert(Ino::ROOT, Box::new(root()));
        tree
    }

    /// The node.
    pub fn node(&self, ino: Ino) -> Option<&Node> {
        self.nodes.get(&ino).map(Box::as_ref)
    }

    /// The node, to be changed.
    pub fn node_mut(&mut self, ino: Ino) -> Option<&mut Node> {
        self.changed.push(ino);
        self.nodes.get_mut(&ino).map(Box::as_mut)
    }

    /// What only a file has; `None` when it is no file.
    pub fn file(&self, ino: Ino) -> Option<&FileNode> {
        match &self.nodes.get(&ino)?.state {
            NodeState::File(file) => Some(file),
            NodeState::Directory(_) => None,
        }
    }

    /// What only a file has, to be changed.
    pub fn file_mut(&mut self, ino: Ino) -> Option<&mut FileNode> {
        match &mut self.node_mut(ino)?.state {
            NodeState::File(file) => Some(file),
            NodeState::Directory(_) => None,
        }
    }

    /// What only a directory has; `None` when it is no directory.
    pub fn directory_mut(&mut self, ino: Ino) -> Option<&mut DirectoryNode> {
        match &mut self.node_mut(ino)?.state {
            NodeState::Directory(directory) => Some(directory),
            NodeState::File(_) => None,
        }
    }

    /// The child of that name that has an inode.
    pub fn child(&self, parent: Ino, name: &str) -> Option<Ino> {
        self.children_of(parent)?.get(name).copied()
    }

    /// The children that have an inode, by name.
    pub fn children(&self, parent: Ino) -> impl Iterator<Item = (&Arc<str>, Ino)> {
        self.children_of(parent)
            .into_iter()
            .flatten()
            .map(|(name, ino)| (name, *ino))
    }

    fn children_of(&self, parent: Ino) -> Option<&BTreeMap<Arc<str>, Ino>> {
        match &self.nodes.get(&parent)?.state {
            NodeState::Directory(directory) => Some(&directory.children),
            NodeState::File(_) => None,
        }
    }

    /// Which source's root this is, counted from 0.
    pub fn top(&self, ino: Ino) -> Option<usize> {
        self.tops.get(&ino).copied()
    }

    /// The root of a mount of several sources: a directory that is nowhere in a store.
    pub fn is_synthetic(&self, ino: Ino) -> bool {
        ino == Ino::ROOT && !self.tops.contains_key(&ino)
    }

    /// Puts a new node under a name, in place of the one that had it. It gets the first of the
    /// numbers that is free.
    ///
    /// # Panics
    /// If `parent` is no directory in the table.
    pub fn insert(
        &mut self,
        (parent, name): (Ino, &Arc<str>),
        numbers: impl Iterator<Item = Ino>,
        state: NodeState,
    ) -> Ino {
        if let Some(old) = self.child(parent, name) {
            // The object of a directory's name has another one.
            let beside = self.spelling.beside(name);
            match beside.filter(|_| matches!(state, NodeState::Directory(_))) {
                Some(beside) if self.file_mut(old).is_some() => self.rename(old, parent, &beside),
                Some(_) | None => self.detach(old),
            }
        }
        let mut numbers = numbers.peekable();
        let own = numbers.peek().copied();
        let ino = self.free_number(numbers);
        let directory = self
            .directory_mut(parent)
            .expect("a child is put in a live directory");
        directory.children.insert(Arc::clone(name), ino);
        self.changed.push(ino);
        let node = Node {
            parent,
            name: Arc::clone(name),
            linked: true,
            lookups: 0,
            pins: 0,
            is_used: true,
            is_asked_for: false,
            generation: self.next_generation as u32,
            is_stand_in: own != Some(ino),
            state,
        };
        self.next_generation += 1;
        self.nodes.insert(ino, Box::new(node));
        ino
    }

    /// Takes the name from a node; it lives on while somebody counts on it.
    pub fn detach(&mut self, ino: Ino) {
        let Some(node) = self.node_mut(ino).filter(|node| node.linked) else {
            return;
        };
        node.linked = false;
        let (parent, name) = (node.parent, Arc::clone(&node.name));
        if let Some(directory) = self.directory_mut(parent) {
            directory.children.remove(&name);
        }
        self.retained.pop(&ino);
        self.prune(ino);
        self.prune(parent);
    }

    /// Gives a node another name, or one if it has none, in place of the node that had it.
    ///
    /// # Panics
    /// If `parent` is no directory in the table.
    pub fn rename(&mut self, ino: Ino, parent: Ino, name: &Arc<str>) {
        if let Some(old) = self.child(parent, name).filter(|old| *old != ino) {
            self.detach(old);
        }
        let Some(node) = self.node_mut(ino) else {
            return;
        };
        let old_parent = std::mem::replace(&mut node.parent, parent);
        let old_name = std::mem::replace(&mut node.name, Arc::clone(name));
        let was_linked = std::mem::replace(&mut node.linked, true);
        // It may keep its number, whatever that is.
        node.is_stand_in = false;
        if let Some(directory) = self.directory_mut(old_parent).filter(|_| was_linked) {
            directory.children.remove(&old_name);
        }
        let directory = self
            .directory_mut(parent)
            .expect("a child is moved to a live directory");
        directory.children.insert(Arc::clone(name), ino);
        self.prune(old_parent);
    }

    /// The kernel was told of the inode once more.
    pub fn count_lookup(&mut self, ino: Ino) {
        if let Some(node) = self.node_mut(ino) {
            node.lookups += 1;
            node.is_used = true;
        }
    }

    /// The kernel forgot `count` lookups.
    pub fn forget(&mut self, ino: Ino, count: u64) {
        if let Some(node) = self.node_mut(ino) {
            node.lookups = node.lookups.saturating_sub(count);
        }
        self.prune(ino);
    }

    /// Keeps the node until [`Self::unpin`].
    pub fn pin(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.pins += 1;
        }
    }

    /// Ends one [`Self::pin`].
    pub fn unpin(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.pins = node.pins.saturating_sub(1);
        }
        self.prune(ino);
    }

    /// Keeps showing a directory although its last object may just have gone: a directory does not
    /// vanish because a file in it was removed.
    pub fn retain(&mut self, ino: Ino) {
        if self.top(ino).is_some() || self.is_synthetic(ino) {
            return;
        }
        self.changed.push(ino);
        if let Some((evicted, ())) = self.retained.push(ino, ()).filter(|(old, ())| *old != ino) {
            self.changed.push(evicted);
            self.prune(evicted);
        }
    }

    /// Whether a directory is shown whatever the store holds.
    pub fn is_retained(&self, ino: Ino) -> bool {
        self.retained.contains(&ino)
    }

    /// The directories from this node (itself, if it is one) up to the root.
    pub fn ancestors(&self, ino: Ino) -> Vec<Ino> {
        let mut found = Vec::new();
        let mut at = ino;
        while let Some(node) = self.nodes.get(&at) {
            if matches!(node.state, NodeState::Directory(_)) {
                found.push(at);
            }
            if at == Ino::ROOT || !node.linked {
                break;
            }
            at = node.parent;
        }
        found
    }

    /// The source a node is in and its path there, a directory's ending in `/`; `None` when it is
    /// in no source or has no name.
    pub fn path(&self, ino: Ino) -> Option<(usize, String)> {
        let mut names = Vec::new();
        let mut at = ino;
        let source = loop {
            if let Some(source) = self.top(at) {
                break source;
            }
            let node = self
                .nodes
                .get(&at)
                .filter(|node| node.linked && at != Ino::ROOT)?;
            names.push(&node.name);
            at = node.parent;
        };
        let mut path = String::new();
        for (left, name) in names.iter().rev().enumerate() {
            path.push_str(in_key(name));
            if left + 1 < names.len() || self.nodes[&ino].is_directory() {
                path.push('/');
            }
        }
        Some((source, path))
    }

    /// The source a node is in, or was in while it had a name.
    pub fn source(&self, ino: Ino) -> Option<usize> {
        let mut at = ino;
        loop {
            if let Some(source) = self.top(at) {
                return Some(source);
            }
            let parent = self.nodes.get(&at).map(|node| node.parent)?;
            if parent == at {
                return None;
            }
            at = parent;
        }
    }

    /// Every node below a directory that has an inode.
    pub fn below(&self, ino: Ino) -> Vec<Ino> {
        let mut found: Vec<Ino> = self.children(ino).map(|(_, child)| child).collect();
        let mut next = 0;
        while next < found.len() {
            let children: Vec<Ino> = self.children(found[next]).map(|(_, child)| child).collect();
            found.extend(children);
            next += 1;
        }
        found
    }

    fn prune(&mut self, ino: Ino) {
        let mut at = ino;
        while at != Ino::ROOT && !self.tops.contains_key(&at) {
            let Some(node) = self.nodes.get(&at) else {
                return;
            };
            if node.lookups > 0 || node.pins > 0 || node.has_children() || self.is_retained(at) {
                return;
            }
            let (parent, name, linked) = (node.parent, Arc::clone(&node.name), node.linked);
            self.nodes.remove(&at);
            self.changed.push(at);
            if !linked {
                return;
            }
            if let Some(directory) = self.directory_mut(parent) {
                directory.children.remove(&name);
            }
            at = parent;
        }
    }

    /// Nodes in the table.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: there is a root.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

fn root() -> Node {
    Node {
        parent: Ino::ROOT,
        name: Arc::from(""),
        linked: true,
        lookups: 1,
        pins: 0,
        is_used: true,
        is_asked_for: false,
        generation: 0,
        is_stand_in: false,
        state: NodeState::Directory(DirectoryNode::default()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{DirectoryNode, FileNode, NodeState, Tree};
    use crate::namespace::Ino;
    use crate::namespace::number::numbers;

    fn file_state() -> NodeState {
        NodeState::File(FileNode::default())
    }

    #[test]
    fn a_number_is_given_again_in_another_generation_and_never_to_two() {
        let mut tree = Tree::new(u32::MAX);
        tree.root_is_top();
        let place = (Ino::ROOT, &Arc::from("x"));
        let made = [(); 3].map(|()| {
            let ino = tree.insert(place, numbers("", "", "x"), file_state());
            tree.count_lookup(ino);
            (ino, tree.generation(ino), tree.is_idle_stand_in(ino))
        });
        let own: Vec<Ino> = numbers("", "", "x").take(3).collect();
        let expected = [
            (own[0], u32::MAX, false),
            (own[1], 0, true),
            (own[2], 1, true),
        ];
        assert_eq!(made, expected);
        tree.forget(own[0], 1);
        assert_eq!(
            tree.insert(place, numbers("", "", "x"), file_state()),
            own[0]
        );
        assert_eq!(tree.generation(own[0]), 2);
    }

    #[test]
    fn tops_are_added_below_a_root_of_none_and_their_nodes_know_their_source() {
        let mut tree = Tree::new(7);
        let tops = ["a", "b"].map(|name| tree.add_top(&Arc::from(name), numbers("", "", name)));
        assert!(tree.is_synthetic(Ino::ROOT));
        assert_eq!(tops.map(|top| tree.top(top)), [Some(0), Some(1)]);
        let place = (tops[1], &Arc::from("x"));
        let file = tree.insert(place, numbers("", "", "x"), file_state());
        tree.count_lookup(file);
        assert_eq!(tree.path(file), Some((1, "x".to_owned())));
        tree.detach(file);
        assert_eq!((tree.source(file), tree.source(Ino::ROOT)), (Some(1), None));
    }

    #[test]
    fn a_file_whose_name_a_directory_takes_keeps_its_key() {
        let mut tree = Tree::new(7);
        tree.root_is_top();
        let place = (Ino::ROOT, &Arc::from("x"));
        let file = tree.insert(place, numbers("", "", "x"), file_state());
        tree.count_lookup(file);
        let state = NodeState::Directory(DirectoryNode::default());
        let directory = tree.insert(place, numbers("", "", "x/"), state);
        assert_eq!(tree.child(Ino::ROOT, "x"), Some(directory));
        assert_eq!(tree.path(directory), Some((0, "x/".to_owned())));
        assert_eq!(tree.child(Ino::ROOT, "x\0"), Some(file));
        assert_eq!(tree.path(file), Some((0, "x".to_owned())));
        tree.forget(file, 1);
        assert_eq!(tree.child(Ino::ROOT, "x\0"), None);
    }
}
