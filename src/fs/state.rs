//! What the filesystem knows without asking: inodes, names and open files, under one lock. Asks no
//! store.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::config::{Config, Ownership, ShownSource, Source};
use crate::file::{File, Place};
use crate::fs::bounded::Bounded;
use crate::fs::deferred::Late;
use crate::fs::locks::{Access, Wanted};
use crate::fs::registry::{OpenFile, OpenFiles};
use crate::fs::{FsError, FsResult, Trusted};
use crate::namespace::carriers::Carriers;
use crate::namespace::knowledge::{Known, NameCache, NameKnown, Named};
use crate::namespace::names::{self, KEY_BYTES_MAX, UNLINKED_DIR};
use crate::namespace::tree::{DirectoryNode, FileNode, Node, NodeState, Tree};
use crate::namespace::{Attr, Ino, LocalTimes};
use crate::object::ObjectKey;
use crate::store::{Bucket, Buckets, ObjectStat};

/// A source of the mount: where its paths are in the store.
#[derive(Debug)]
pub(super) struct Root {
    bucket: Arc<dyn Bucket>,
    prefix: String,
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
    pub(super) carriers: Carriers,
    /// Failures to store attributes that nobody was told of yet.
    pub(super) late: Late,
    pub(super) roots: Vec<Root>,
    /// Of the root, when it is in no source.
    ownership: Ownership,
    pub(super) attr_ttl: Duration,
    pub(super) mounted: SystemTime,
    pub(super) bounded: Bounded,
    /// Inode numbers below this were never given out, as far as the next process is to know.
    pub(super) numbers_kept: u64,
}

impl State {
    pub(super) fn new(config: &Config, buckets: &Buckets) -> Self {
        let names: Vec<Arc<str>> = config
            .sources
            .iter()
            .map(|source| Arc::from(source.name.as_str()))
            .collect();
        let ownership = match names.len() {
            1 => config.ownership,
            _ => Ownership {
                root_mode: None,
                ..config.ownership
            },
        };
        let roots = config.sources.iter();
        let roots = roots.map(|source| Root::of(source, ownership, buckets));
        Self {
            tree: Tree::new(&names),
            names: NameCache::default(),
            open: OpenFiles::default(),
            carriers: Carriers::new(config.attributes, config.sources.len()),
            late: Late::default(),
            roots: roots.collect(),
            ownership: config.ownership,
            attr_ttl: config.bounds.attr_ttl,
            mounted: SystemTime::now(),
            bounded: Bounded::new(&config.bounds),
            numbers_kept: 0,
        }
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
        self.tree.add_top(&name);
        self.carriers.add_source();
        let root = Root::of(source, *ownership, buckets);
        let place = root.place();
        self.roots.push(root);
        (name, place)
    }

    /// The defaults of what is in a directory, or of an inode.
    pub(super) fn ownership(&self, ino: Ino) -> &Ownership {
        let source = self.tree.source(ino);
        source.map_or(&self.ownership, |source| &self.roots[source].ownership)
    }

    /// Where an inode is in the store; a directory's key ends in `/` or is empty.
    pub(super) fn place(&self, ino: Ino) -> FsResult<Place> {
        let (source, path) = self.tree.path(ino).ok_or(FsError::NoEntry)?;
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
        let (source, _) = self.tree.path(ino).ok_or(FsError::NoEntry)?;
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
        match self.tree.node(ino).map(|node| &node.state) {
            Some(NodeState::File(file)) => {
                self.open.file(ino).is_some()
                    || file.known.as_ref().is_some_and(|known| trusted(known.at))
            }
            Some(NodeState::Directory(directory)) => directory.known_at.is_some_and(&trusted),
            None => false,
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
            .names
            .name(parent, name)
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

    /// Takes in what the store said of a name when asked at `asked`; what was learnt or done here
    /// since then counts more.
    pub(super) fn learn(
        &mut self,
        parent: Ino,
        name: &Arc<str>,
        asked: Instant,
        found: Found,
    ) -> FsResult<Option<Ino>> {
        if let Some(answer) = self.remembered(parent, name, |at| at >= asked)? {
            return Ok(answer);
        }
        let child = self.tree.child(parent, name);
        let found = match found {
            // What has its name then is beside it.
            Found::Absent | Found::File(_)
                if child.is_some_and(|child| self.is_shown_anyway(child)) =>
            {
                Found::Directory(None)
            }
            found => found,
        };
        match found {
            Found::Absent => {
                if let Some(child) = child {
                    self.tree.detach(child);
                }
                let known = NameKnown {
                    at: asked,
                    named: Named::Absent,
                    is_told: true,
                    ino: None,
                };
                self.names.note(parent, name, known);
                Ok(None)
            }
            Found::File(stat) => {
                let known = Known::of_stat(&stat, asked);
                self.note_foreign(parent, &known);
                if let Some(file) = child.and_then(|child| self.tree.file_mut(child)) {
                    file.known = Some(known);
                    return Ok(child);
                }
                Ok(Some(self.insert(parent, name, file_state(Some(known)))))
            }
            Found::Directory(marker) => {
                if let Some(known) = &marker {
                    self.note_foreign(parent, known);
                }
                if let Some(directory) = child.and_then(|child| self.tree.directory_mut(child)) {
                    directory.known_at = Some(asked);
                    directory.marker_at = Some(asked);
                    directory.marker = marker;
                    return Ok(child);
                }
                let ino = self.insert(parent, name, directory_state(asked, marker));
                if let Some(directory) = self.tree.directory_mut(ino) {
                    directory.marker_at = Some(asked);
                }
                Ok(Some(ino))
            }
        }
    }

    /// An object of this directory has attributes that were not noted when they were given: other
    /// objects may have some too.
    fn note_foreign(&mut self, directory: Ino, known: &Known) {
        let carries = known.attributes.is_some_and(|told| !told.is_empty());
        if carries
            && !self.may_carry(directory)
            && let Some((source, _)) = self.tree.path(directory)
        {
            self.carriers.note_everywhere(source);
        }
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

    /// A new inode under a name, with the number readdir has given out for it.
    pub(super) fn insert(&mut self, parent: Ino, name: &Arc<str>, state: NodeState) -> Ino {
        let ino = self
            .names
            .forget(parent, name)
            .unwrap_or_else(|| self.tree.reserve());
        self.tree.insert(parent, name, ino, state);
        ino
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
        self.tree.unpin(ino);
        Some(open)
    }

    /// Takes in the version a file was committed as, if that is news.
    pub(super) fn learn_content(&mut self, ino: Ino, file: &File) {
        let stat = file.stat();
        let (Some(version), false) = (stat.version, stat.dirty) else {
            return;
        };
        let headers = stat.is_described.then(|| Arc::new(file.headers()));
        let now = Instant::now();
        let guessed = || Known::guessed(&version, headers.clone(), now);
        let is_news = |known: &Option<Known>| {
            known.as_ref().is_none_or(|known| {
                known.etag.as_ref() != Some(&version.etag)
                    || (headers.is_some() && known.headers != headers)
            })
        };
        match self.tree.node_mut(ino).map(|node| &mut node.state) {
            Some(NodeState::File(node)) if is_news(&node.known) => node.known = Some(guessed()),
            Some(NodeState::Directory(node)) if is_news(&node.marker) => {
                node.marker = Some(guessed());
                node.known_at = Some(now);
                node.marker_at = Some(now);
            }
            Some(_) | None => {}
        }
    }

    /// The attributes, and for how long they may still be trusted.
    pub(super) fn trusted(&self, ino: Ino) -> Option<Trusted<Attr>> {
        let value = self.attr(ino)?;
        let known_at = match &self.tree.node(ino)?.state {
            NodeState::File(_) if self.open.file(ino).is_some() => None,
            NodeState::File(file) => file.known.as_ref().map(|known| known.at),
            NodeState::Directory(directory) => directory.known_at,
        };
        let age = known_at.map_or(Duration::ZERO, |at| at.elapsed());
        Some(Trusted {
            value,
            ttl: self.attr_ttl.saturating_sub(age),
        })
    }
}

/// A file of which this is known.
pub(super) const fn file_state(known: Option<Known>) -> NodeState {
    NodeState::File(FileNode {
        known,
        opened: None,
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
