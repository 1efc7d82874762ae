//! What must be seen in the mount, and what must be in the bucket: a plain tree in memory, with
//! where each byte of an open file comes from. Knows no filesystem; looks at the bucket only where
//! it is left open when something is published.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use s3fs::attributes::extended::Extended;
use s3fs::file::Creation;
use s3fs::fs::{Kind, OpenMode};

use super::operation::nth;

/// The mode of a file, and of a directory, that tells none.
pub const FILE_MODE: u16 = 0o644;
pub const DIRECTORY_MODE: u16 = 0o755;

/// Why a call fails, as far as callers can tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Code {
    NoEntry,
    Exists,
    IsDirectory,
    NotDirectory,
    NotEmpty,
    Invalid,
    BadHandle,
    NoAttribute,
    NotPermitted,
    Stale,
    Other(String),
}

/// The number of a version of an object.
pub type Version = u64;

/// Where a byte of an open file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Home {
    Staged,
    Hole,
    Object(Version, usize),
}

/// A byte of an open file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    pub byte: u8,
    pub home: Home,
}

/// What is stored beside the content.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Meta {
    pub kind: Option<Kind>,
    pub mode: Option<u16>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// As set by hand; `None` when it is some other time.
    pub mtime: Option<SystemTime>,
    pub extended: Extended,
}

/// What is under a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    pub version: Version,
    pub bytes: Vec<u8>,
    pub meta: Meta,
}

/// A file that is open, or whose changed attributes wait to be stored; or a directory of which the
/// latter is true.
#[derive(Clone, Debug)]
pub struct Inode {
    /// `None` once it is unlinked.
    pub path: Option<String>,
    /// The path it had when it was unlinked, unless its bytes are somewhere else since.
    pub last_path: Option<String>,
    pub is_directory: bool,
    pub cells: Vec<Cell>,
    pub meta: Meta,
    /// The version it was last in step with.
    pub base: Option<Version>,
    /// What is stored beside that.
    pub stored: Meta,
    pub dirty: bool,
    /// Whether it may replace what is there, until it is published.
    pub creation: Creation,
    /// How long it was before edits that are all appends.
    pub appended_from: Option<usize>,
    pub handles: usize,
    /// Its attributes wait to be stored.
    pub waits: bool,
    /// A commit of just this failed.
    pub refused: bool,
    /// Another client has replaced or removed its object: readable, never changed.
    pub superseded: bool,
    /// Whether its last commit failed because another client has its place.
    pub met_another: bool,
    /// A failure that nobody was told of yet.
    pub late: Option<Code>,
}

impl Inode {
    pub fn key(&self) -> Option<String> {
        let path = self.path.as_ref()?;
        Some(if self.is_directory {
            format!("{path}/")
        } else {
            path.clone()
        })
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.cells.iter().map(|cell| cell.byte).collect()
    }

    /// Whether there are bytes to publish, and not only attributes.
    pub fn has_new_content(&self, size_of: impl Fn(Version) -> usize) -> bool {
        let Some(base) = self.base else {
            return !self.cells.is_empty();
        };
        let is_base = |(at, cell): (usize, &Cell)| cell.home == Home::Object(base, at);
        self.cells.len() != size_of(base) || !self.cells.iter().enumerate().all(is_base)
    }

    pub fn versions(&self) -> BTreeSet<Version> {
        let of = |cell: &Cell| match cell.home {
            Home::Object(version, _) => Some(version),
            Home::Staged | Home::Hole => None,
        };
        self.cells.iter().filter_map(of).collect()
    }

    /// What is cut to nothing replaces what another client has made.
    pub fn note_cut(&mut self) {
        if self.cells.is_empty() && self.creation == Creation::IfAbsent {
            self.creation = Creation::Replace;
        }
    }

    /// Notes a change of content.
    pub fn touch(&mut self) {
        self.dirty = true;
        self.appended_from = None;
        self.refused = false;
        self.meta.mtime = None;
    }
}

/// An open handle.
#[derive(Clone, Copy, Debug)]
pub struct Handle {
    pub inode: u64,
    pub mode: OpenMode,
}

/// What a path names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum View {
    Absent,
    File,
    Directory,
}

/// All that is expected.
#[derive(Default)]
pub struct Expected {
    pub store: BTreeMap<String, Object>,
    pub inodes: BTreeMap<u64, Inode>,
    pub handles: Vec<Handle>,
    /// Directories shown although the store may hold nothing of them.
    pub kept: BTreeSet<String>,
    /// Directories that may be such: whether they had a marker was not the same for everybody.
    pub maybe_kept: BTreeSet<String>,
    /// Key and size of each version there was.
    pub versions: BTreeMap<Version, (String, usize)>,
    /// Versions kept for files that were unlinked while open.
    pub hidden: BTreeSet<Version>,
    /// Whether another client writes to the bucket.
    pub others: bool,
    /// Keys whose attributes could not be stored, of which nobody is to be told but by the end.
    pub untold: BTreeSet<String>,
    next: u64,
    /// Contents made up so far.
    contents: u64,
}

/// The directory of a path; empty for the root.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

pub fn below(path: &str) -> String {
    format!("{path}/")
}

impl Expected {
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A model of nothing that counts on from here.
    pub fn numbered(&self) -> Self {
        Self {
            contents: self.contents,
            ..Self::default()
        }
    }

    /// Bytes that were nowhere before.
    pub fn fresh(&mut self, len: usize) -> Vec<u8> {
        self.contents += 1;
        let mut state = self.contents.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let byte = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        };
        (0..len).map(byte).collect()
    }

    /// Puts an object in place of what is under a key; its version.
    pub fn put(&mut self, key: &str, bytes: Vec<u8>, meta: Meta) -> Version {
        let version = self.number();
        self.versions.insert(version, (key.to_owned(), bytes.len()));
        let object = Object {
            version,
            bytes,
            meta,
        };
        self.store.insert(key.to_owned(), object);
        version
    }

    pub fn size_of(&self, version: Version) -> usize {
        self.versions[&version].1
    }

    pub fn key_of(&self, version: Version) -> &str {
        &self.versions[&version].0
    }

    /// Whether a version can still be read.
    pub fn is_live(&self, version: Version) -> bool {
        let now = self.store.get(self.key_of(version));
        self.hidden.contains(&version) || now.is_some_and(|object| object.version == version)
    }

    /// The inode that is in memory under a path.
    pub fn open_at(&self, path: &str) -> Option<u64> {
        let at = |inode: &Inode| inode.path.as_deref() == Some(path);
        let mut found = self.inodes.iter().filter(|(_, inode)| at(inode));
        found.next().map(|(id, _)| *id)
    }

    pub fn inode(&mut self, id: u64) -> &mut Inode {
        self.inodes.get_mut(&id).expect("the inode is in memory")
    }

    /// Whether only files open below it show a directory that the store has nothing of.
    pub fn is_ghost(&self, path: &str) -> bool {
        let stored = self.store.keys().any(|key| key.starts_with(&below(path)));
        !stored && !self.kept.contains(path) && self.view(path) == View::Directory
    }

    /// What a path names; its parents are not looked at.
    pub fn view(&self, path: &str) -> View {
        let prefix = below(path);
        let open = self.open_at(path).map(|id| &self.inodes[&id]);
        if path.is_empty() || open.is_some_and(|inode| inode.is_directory) {
            return View::Directory;
        }
        if open.is_some() {
            return View::File;
        }
        let is_below = |inode: &Inode| {
            let path = inode.path.as_ref();
            path.is_some_and(|path| path.starts_with(&prefix))
        };
        if self.store.keys().any(|key| key.starts_with(&prefix))
            || self.kept.contains(path)
            || self.inodes.values().any(is_below)
        {
            View::Directory
        } else if self.store.contains_key(path) {
            View::File
        } else {
            View::Absent
        }
    }

    /// What walking along a path to its last directory finds in the way.
    pub fn walk(&self, path: &str) -> Result<(), Code> {
        for (end, _) in path.match_indices('/') {
            match self.view(&path[..end]) {
                View::Absent => return Err(Code::NoEntry),
                View::File => return Err(Code::NotDirectory),
                View::Directory => {}
            }
        }
        Ok(())
    }

    /// What a path names, or why it cannot be reached.
    pub fn find(&self, path: &str) -> Result<View, Code> {
        self.walk(path).map(|()| self.view(path))
    }

    /// What is known of what a path names: content and attributes.
    pub fn shown(&self, path: &str) -> (Vec<u8>, Meta) {
        if let Some(id) = self.open_at(path) {
            let inode = &self.inodes[&id];
            return (inode.bytes(), inode.meta.clone());
        }
        let key = match self.view(path) {
            View::Directory => below(path),
            View::File | View::Absent => path.to_owned(),
        };
        let object = self.store.get(&key);
        object.map_or_else(Default::default, |object| {
            (object.bytes.clone(), object.meta.clone())
        })
    }

    pub fn is_regular(&self, path: &str) -> bool {
        self.view(path) == View::File
            && self
                .shown(path)
                .1
                .kind
                .is_none_or(|kind| kind == Kind::File)
    }

    /// The names of a directory.
    pub fn children(&self, path: &str) -> BTreeSet<String> {
        let prefix = match path {
            "" => String::new(),
            path => below(path),
        };
        let open = self.inodes.values().filter_map(|inode| inode.path.as_ref());
        let all = self.store.keys().chain(&self.kept).chain(open);
        let rest = all.filter_map(|key| key.strip_prefix(&prefix));
        let names = rest.map(|rest| rest.split('/').next().unwrap_or(rest).to_owned());
        names.filter(|name| !name.is_empty()).collect()
    }

    /// Everything that is shown, and the directories of it, the root included.
    pub fn everything(&self) -> (Vec<String>, Vec<String>) {
        let (mut things, mut directories) = (Vec::new(), vec![String::new()]);
        let mut next = 0;
        while let Some(directory) = directories.get(next).cloned() {
            next += 1;
            for name in self.children(&directory) {
                let path = match directory.as_str() {
                    "" => name,
                    directory => format!("{directory}/{name}"),
                };
                if self.view(&path) == View::Directory {
                    directories.push(path.clone());
                }
                things.push(path);
            }
        }
        (things, directories)
    }

    pub fn handle(&self, number: usize) -> Handle {
        self.handles[nth(number, self.handles.len())]
    }

    /// The paths of what is open, one for each handle; empty of what has none any more.
    pub fn open_paths(&self) -> Vec<String> {
        let paths = self.handles.iter();
        let paths = paths.map(|handle| self.inodes[&handle.inode].path.clone());
        paths.map(Option::unwrap_or_default).collect()
    }

    /// Directories below ones that are gone are gone.
    pub fn prune(&mut self) {
        let gone = |path: &String| self.walk(path).is_err();
        let kept: Vec<String> = self
            .kept
            .iter()
            .filter(|path| gone(path))
            .cloned()
            .collect();
        for path in kept {
            self.kept.remove(&path);
            self.maybe_kept.remove(&path);
        }
    }
}
