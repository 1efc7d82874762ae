//! What the filesystem knows without asking: inodes, names and open files, under one lock. Asks no
//! store.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::config::{Config, Ownership, ShownSource, Source};
use crate::file::{File, Place, Seen};
use crate::fs::bounded::Bounded;
use crate::fs::deferred::Late;
use crate::fs::locks::{Access, Wanted};
use crate::fs::open::Aliases;
use crate::fs::registry::{OpenFile, OpenFiles};
use crate::fs::shown::top_numbers;
use crate::fs::{FsError, FsResult, Invalidation};
use crate::namespace::carriers::Carriers;
use crate::namespace::knowledge::{Known, NameCache, Named, NamesIn};
use crate::namespace::names::{self, KEY_BYTES_MAX, UNLINKED_DIR};
use crate::namespace::tree::{DirectoryNode, FileNode, Node, NodeState, Tree};
use crate::namespace::{Ino, LocalTimes};
use crate::object::ObjectKey;
use crate::store::{Bucket, Buckets, ObjectStat};

/// A source of the mount: where its paths are in the store.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) bucket: Arc<dyn Bucket>,
    pub(super) prefix: String,
    ownership: Ownership,
}

impl Root {
    pub(super) fn of(source: &Source, ownership: Ownership, buckets: &Buckets) -> Self {
        Self {
            bucket: buckets.bucket(&source.bucket),
            prefix: source.prefix.clone(),
            ownership,
        }
    }

    /// Where its top is in the store.
    fn place(&self) -> Place {
        Place {
            bucket: Arc::clone(&self.bucket),
            key: ObjectKey::new(self.prefix.as_str()),
        }
    }
}

/// What the store said of a name.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing is there.
    Absent,
    /// An object, and no key below it.
    File(ObjectStat),
    /// Keys below it; its marker, if there is one.
    Directory(Option<Known>),
}

/// Inodes, names and open files.
#[derive(Debug)]
pub(super) struct State {
    pub(super) tree: Tree,
    pub(super) names: NameCache,
    pub(super) open: OpenFiles,
    pub(super) aliases: Aliases,
    pub(super) carriers: Carriers,
    /// Failures to store attributes that nobody was told of yet.
    pub(super) late: Late,
    pub(super) roots: Vec<Root>,
    /// Of the root, when it is in no source.
    ownership: Ownership,
    pub(super) attr_ttl: Duration,
    pub(super) mounted: SystemTime,
    pub(super) bounded: Bounded,
    /// What the kernel is not to go by any more, once the state is given back.
    pub(super) invalid: Vec<Invalidation>,
    /// Generations from this on were never given out, as far as the next process is to know.
    pub(super) generations_kept: u64,
}

impl State {
    pub(super) fn new(config: &Config, buckets: &Buckets) -> Self {
        // From anywhere: a handle of a mount before this one is of no inode.
        let mut tree = Tree::new(fastrand::u32(1..));
        let ownership = match &*config.sources {
            [_] => {
                tree.root_is_top();
                config.ownership
            }
            several => {
                for source in several {
                    tree.add_top(&Arc::from(source.name.as_str()), top_numbers(source));
                }
                Ownership {
                    root_mode: None,
                    ..config.ownership
                }
            }
        };
        let mut state = Self {
            tree,
            names: NameCache::default(),
            open: OpenFiles::default(),
            aliases: Aliases::default(),
            carriers: Carriers::new(config.attributes, config.sources.len()),
            late: Late::default(),
            roots: Vec::new(),
            ownership: config.ownership,
            attr_ttl: config.bounds.attr_ttl,
            mounted: SystemTime::now(),
            bounded: Bounded::new(&config.bounds),
            invalid: Vec::new(),
            generations_kept: 0,
        };
        for source in &config.sources {
            state.add_root(Root::of(source, ownership, buckets));
        }
        state
    }

    /// One more source; all are of one store.
    pub(super) fn add_root(&mut self, root: Root) {
        self.tree.spelling.backslash_is_slash |= root.bucket.limits().backslash_is_slash;
        self.roots.push(root);
    }

    /// A node.
    pub(super) fn node(&self, ino: Ino) -> FsResult<&Node> {
        self.tree.node(ino).ok_or(FsError::UnknownInode)
    }

    /// The top of each source in the store.
    pub(super) fn tops(&self) -> Vec<Place> {
        self.roots.iter().map(Root::place).collect()
    }

    /// The name of the directory that shows just this, if there is one.
    pub(super) fn name_of(&self, shown: &ShownSource) -> Option<Arc<str>> {
        let is_it = |root: &Root| {
            let ShownSource { source, ownership } = shown;
            let bucket = root.bucket.name();
            (bucket, &root.prefix, root.ownership) == (&source.bucket, &source.prefix, *ownership)
        };
        let at = self.roots.iter().position(is_it)?;
        let mut children = self.tree.children(Ino::ROOT);
        let found = children.find(|(_, child)| self.tree.top(*child) == Some(at));
        found.map(|(name, _)| Arc::clone(name))
    }

    /// Shows one more source as a directory of the root, which must be of none; returns its name
    /// and where it is in the store.
    pub(super) fn add_source(
        &mut self,
        shown: &ShownSource,
        buckets: &Buckets,
    ) -> (Arc<str>, Place) {
        let ShownSource { source, ownership } = shown;
        let plain = names::of_source(source.bucket.as_str(), &source.prefix);
        let is_free = |name: &String| self.tree.child(Ino::ROOT, name).is_none();
        let numbered = (2_u64..).map(|number| format!("{plain}~{number}"));
        let name = std::iter::once(plain.clone()).chain(numbered).find(is_free);
        let name: Arc<str> = Arc::from(name.expect("numbers do not end"));
        self.tree.add_top(&name, top_numbers(source));
        self.carriers.add_source();
        let root = Root::of(source, *ownership, buckets);
        let place = root.place();
        self.add_root(root);
        (name, place)
    }

    /// Owner and modes that are shown of what is in a directory, or of an inode.
    pub(super) fn ownership(&self, ino: Ino) -> &Ownership {
        let source = self.tree.source(ino);
        source.map_or(&self.ownership, |source| &self.roots[source].ownership)
    }

    /// Where an inode is in the store; a directory's key ends in `/` or is empty.
    pub(super) fn place(&self, ino: Ino) -> FsResult<Place> {
        let (source, path) = self.tree.path(ino).ok_or(FsError::StaleInode)?;
        let root = &self.roots[source];
        let key = ObjectKey::new(format!("{}{path}", root.prefix));
        Ok(Place {
            bucket: Arc::clone(&root.bucket),
            key,
        })
    }

    /// Where the file `name` of a directory is, or would be. There is nothing to be made under the
    /// name of an object beside a directory.
    pub(super) fn child_place(&self, parent: Ino, name: &str) -> FsResult<Place> {
        if names::is_beside(name) && self.tree.child(parent, name).is_none() {
            return Err(FsError::NotPermitted {
                what: "this name stands for an object beside a directory",
            });
        }
        let name = names::in_key(name);
        let directory = self.place(parent)?;
        let key = format!("{}{name}", directory.key);
        if key.len() > KEY_BYTES_MAX {
            return Err(FsError::NameTooLong);
        }
        Ok(Place {
            bucket: directory.bucket,
            key: ObjectKey::new(key),
        })
    }

    /// The key under which a file of the same source is kept once unlinked.
    pub(super) fn hidden_place(&self, ino: Ino) -> FsResult<Place> {
        let (source, _) = self.tree.path(ino).ok_or(FsError::StaleInode)?;
        let root = &self.roots[source];
        let name = fastrand::u128(..);
        let key = ObjectKey::new(format!("{}{UNLINKED_DIR}/{name:032x}", root.prefix));
        Ok(Place {
            bucket: Arc::clone(&root.bucket),
            key,
        })
    }

    /// The shared locks of whatever works in or below a directory, or on a file.
    pub(super) fn path_shared(&self, ino: Ino) -> FsResult<Wanted> {
        self.tree.node(ino).ok_or(FsError::UnknownInode)?;
        Ok(self
            .tree
            .ancestors(ino)
            .into_iter()
            .map(|ino| (ino, Access::Shared))
            .collect())
    }

    /// As [`Self::path_shared`], and the inode itself.
    pub(super) fn path_and(&self, ino: Ino, access: Access) -> FsResult<Wanted> {
        let mut wanted = self.path_shared(ino)?;
        wanted.insert(ino, access);
        Ok(wanted)
    }

    /// Whether a file below this directory is open or dirty.
    pub(super) fn holds_open(&self, ino: Ino) -> bool {
        self.open
            .iter()
            .any(|(file, _)| self.tree.ancestors(file).contains(&ino))
    }

    /// Whether a directory is shown whatever the store has of it.
    pub(super) fn is_shown_anyway(&self, ino: Ino) -> bool {
        let is_directory = self.tree.node(ino).is_some_and(Node::is_directory);
        is_directory && (self.tree.is_retained(ino) || self.holds_open(ino))
    }

    /// Whether an inode can be answered for without asking.
    pub(super) fn is_known(&self, ino: Ino, trusted: impl Fn(Instant) -> bool) -> bool {
        if self.tree.is_synthetic(ino) || self.tree.top(ino).is_some() {
            return true;
        }
        self.known_at(ino).is_some_and(trusted)
    }

    /// When what is known of an inode was true; `None` when nothing is known. What was changed here
    /// and is not in the store yet is true now.
    pub(super) fn known_at(&self, ino: Ino) -> Option<Instant> {
        match &self.tree.node(ino)?.state {
            NodeState::File(file) => {
                let asked = file.known.as_ref().map(|known| known.at);
                let Some(open) = self.open.file(ino) else {
                    return asked;
                };
                let stat = open.file.stat();
                // Nor is what a killed process was removing asked for: its request comes again.
                match stat.dirty || open.hiding.is_some() {
                    true => Some(Instant::now()),
                    false => asked.max(stat.version_at),
                }
            }
            NodeState::Directory(directory) => directory.known_at,
        }
    }

    /// Whether nothing that the store knows of an inode's attributes is left open.
    pub(super) fn is_told(&self, ino: Ino) -> bool {
        let Some(node) = self.tree.node(ino).filter(|_| !self.is_top(ino)) else {
            return true;
        };
        let told = match &node.state {
            NodeState::File(file) => file.known.as_ref().is_some_and(|known| known.is_told),
            NodeState::Directory(directory) => match &directory.marker {
                Some(marker) => marker.is_told,
                None => directory.marker_at.is_some(),
            },
        };
        told || self.open.file(ino).is_some() || !node.is_linked() || !self.may_carry(node.parent())
    }

    /// What is remembered of a name: `None` when the store has to be asked, else the inode or
    /// that there is nothing.
    pub(super) fn remembered(
        &mut self,
        parent: Ino,
        name: &Arc<str>,
        trusted: impl Fn(Instant) -> bool,
    ) -> FsResult<Option<Option<Ino>>> {
        if !self.node(parent)?.is_directory() {
            return Err(FsError::NotDirectory);
        }
        let child = self.tree.child(parent, name);
        if self.tree.is_synthetic(parent) {
            return Ok(Some(child));
        }
        if self.tree.top(parent).is_some() && **name == *UNLINKED_DIR {
            return Ok(Some(None));
        }
        if let Some(child) = child {
            let answered = self.is_known(child, trusted) && self.is_told(child);
            return Ok(answered.then_some(Some(child)));
        }
        let Some(known) = self
            .names_in(parent)
            .name(name)
            .filter(|known| trusted(known.at))
            .cloned()
        else {
            return Ok(None);
        };
        if !known.is_told && self.may_carry(parent) {
            return Ok(None);
        }
        let state = match known.named {
            Named::Absent => return Ok(Some(None)),
            Named::File(file) => file_state(Some(file)),
            Named::Directory(marker) => directory_state(known.at, marker),
        };
        Ok(Some(Some(self.insert(parent, name, state))))
    }

    /// An object of this directory is given attributes here.
    pub(super) fn note_carrier(&mut self, directory: Ino) {
        if let Some((source, path)) = self.tree.path(directory) {
            self.carriers.note(source, &path);
        }
    }

    /// Whether objects of this directory may have attributes that a listing does not tell.
    pub(super) fn may_carry(&self, directory: Ino) -> bool {
        let Some((source, path)) = self.tree.path(directory) else {
            return false;
        };
        let has_marker = match self.tree.node(directory).map(|node| &node.state) {
            Some(NodeState::Directory(node)) => node.marker.is_some(),
            Some(NodeState::File(_)) | None => false,
        };
        self.carriers.may_be_in(source, &path, has_marker)
    }

    /// What is known of names in a directory.
    pub(super) fn names_in(&mut self, directory: Ino) -> NamesIn<'_> {
        self.names.of(self.tree.id(directory))
    }

    /// A new inode under a name.
    pub(super) fn insert(&mut self, parent: Ino, name: &Arc<str>, state: NodeState) -> Ino {
        self.names_in(parent).forget(name);
        let numbers = self.numbers(parent, name, state.kind());
        self.tree.insert((parent, name), numbers, state)
    }

    /// Counts one more handle of a file, whose content is in memory from now on.
    pub(super) fn open_file(&mut self, ino: Ino, make: impl FnOnce() -> Arc<File>) -> Arc<File> {
        if let Some(open) = self.open.file_mut(ino) {
            open.handles += 1;
            return Arc::clone(&open.file);
        }
        let file = make();
        self.open.insert(ino, OpenFile::new(Arc::clone(&file)));
        self.tree.pin(ino);
        file
    }

    /// Gives up the content of a file; its inode keeps what is known of the object.
    pub(super) fn drop_file(&mut self, ino: Ino) -> Option<OpenFile> {
        let open = self.open.remove(ino)?;
        self.learn_content(ino, &open.file);
        if open.file.stat().was_edited
            && let Some(file) = self.tree.file_mut(ino)
        {
            // The kernel's pages are of no version that an open can name again.
            file.opened = None;
        }
        self.tree.unpin(ino);
        Some(open)
    }
}

/// What is known of the object of a place, for a file to be opened on; `None` when its entity tag
/// is not known.
pub(super) fn seen_of(known: &Known, place: &Place) -> Option<Seen> {
    Some(Seen {
        at: known.at,
        version: known.version(place.bucket.name(), &place.key)?,
        modified: known.modified,
        attributes: known.attributes,
        headers: known.headers.clone(),
    })
}

/// A file of which this is known.
pub(super) const fn file_state(known: Option<Known>) -> NodeState {
    NodeState::File(FileNode {
        known,
        opened: None,
        reported: None,
        times: LocalTimes {
            accessed: None,
            modified: None,
            changed: None,
        },
    })
}

/// A directory that was seen then.
pub(super) const fn directory_state(seen: Instant, marker: Option<Known>) -> NodeState {
    NodeState::Directory(DirectoryNode::seen(seen, marker))
}

/// All that either wants.
pub(super) fn both(mut one: Wanted, other: Wanted) -> Wanted {
    for (ino, access) in other {
        let held = one.entry(ino).or_insert(access);
        *held = (*held).max(access);
    }
    one
}
