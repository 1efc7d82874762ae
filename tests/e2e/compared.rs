//! Calls on the files of one directory of a mount, each made and compared with what may come of it:
//! plain bytes, and where they are from. Which inode a name stands for is asked of the kernel; that
//! it shows one version, and that nothing is lost, is not.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use s3fs::sim::Sim;

use crate::mapping::Mapping;
use crate::mounted::Mounted;
use crate::reference::{How, LEN_MAX, NAMES, Op};
use crate::rig::BUCKET;

/// What the kernel reads at once.
const PAGE_BYTES: usize = 4096;
/// How long a notice to the kernel may take.
const NOTICE_MAX: Duration = Duration::from_secs(10);

/// A byte of an open file, and whether it is one of the object that the file is of.
type Cell = (u8, bool);

/// A file that is open.
struct Inode {
    number: u64,
    /// `None` once it has lost it.
    name: Option<&'static str>,
    cells: Vec<Cell>,
    /// The object that it was last in step with.
    base: Option<Vec<u8>>,
    dirty: bool,
    /// How long it was before edits that are all appends.
    appended_from: Option<usize>,
    /// Whether a commit replaces what another client has made.
    may_replace: bool,
    /// Another client was at its object: reads and changes may fail.
    met_another: bool,
    /// The kernel copies what a write(2) is to write into a page before it sends it; when that
    /// fails the page is read again, but stays as it is where it is mapped.
    is_map_spoilt: bool,
    /// What was appended went behind another client's object: the kernel does not ask how long the
    /// file is when it appends more, and has it at another place until a notice has come.
    may_lag: bool,
    handles: usize,
}

/// An open descriptor.
struct Handle {
    file: File,
    inode: u64,
    how: How,
    mapping: Option<Mapping>,
}

/// A directory, what is in the bucket of it, and what is open.
pub struct Compared<'a> {
    sim: &'a Sim,
    directory: PathBuf,
    prefix: String,
    store: BTreeMap<&'static str, Vec<u8>>,
    /// What objects were before.
    past: BTreeMap<&'static str, Vec<u8>>,
    inodes: Vec<Inode>,
    handles: Vec<Handle>,
    contents: u64,
}

fn is_stale(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESTALE)
}

impl Inode {
    fn bytes(&self) -> Vec<u8> {
        self.cells.iter().map(|cell| cell.0).collect()
    }

    fn of_object(number: u64, name: &'static str, object: &[u8]) -> Self {
        Self {
            number,
            name: Some(name),
            cells: object.iter().map(|byte| (*byte, true)).collect(),
            base: Some(object.to_vec()),
            dirty: false,
            appended_from: None,
            may_replace: false,
            met_another: false,
            is_map_spoilt: false,
            may_lag: false,
            handles: 0,
        }
    }

    fn touch(&mut self) {
        self.dirty = true;
        self.appended_from = None;
    }

    fn splice(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if self.cells.len() < end {
            self.cells.resize(end, (0, false));
        }
        for (cell, byte) in self.cells[at..].iter_mut().zip(bytes) {
            *cell = (*byte, false);
        }
        self.touch();
    }

    fn set_len(&mut self, len: usize) {
        self.cells.resize(len, (0, false));
        self.touch();
        self.may_replace |= len == 0;
    }

    fn write(&mut self, at: usize, bytes: &[u8], appends: bool) {
        if !appends {
            return self.splice(at, bytes);
        }
        let end = self.cells.len();
        let from = if self.dirty {
            self.appended_from
        } else {
            Some(end)
        };
        self.splice(end, bytes);
        self.appended_from = from;
    }

    /// It is in step with an object again.
    fn stored(&mut self, object: Vec<u8>) {
        *self = Self {
            met_another: self.met_another,
            is_map_spoilt: self.is_map_spoilt,
            may_lag: self.may_lag,
            handles: self.handles,
            name: self.name,
            ..Self::of_object(self.number, "", &object)
        };
    }
}

impl<'a> Compared<'a> {
    pub fn new(sim: &'a Sim, mounted: &Mounted, directory: &str) -> Self {
        let path = mounted.path(directory);
        fs::create_dir(&path).unwrap();
        Self {
            sim,
            directory: path,
            prefix: format!("{directory}/"),
            store: BTreeMap::new(),
            past: BTreeMap::new(),
            inodes: Vec::new(),
            handles: Vec::new(),
            contents: 0,
        }
    }

    /// Makes a call, unless nothing is open that it could be of.
    ///
    /// # Panics
    /// When what comes of it may not be.
    pub fn step(&mut self, op: &Op) {
        match *op {
            Op::Open { name, how } => self.open(name, how),
            Op::Stat { name } => drop(self.look(name)),
            Op::Truncate { name, len } => self.truncate(name, len),
            Op::Rename { from, to } => self.rename(from, to),
            Op::Unlink { name } => self.unlink(name),
            Op::OtherPut { .. }
            | Op::OtherLengthen { .. }
            | Op::OtherShorten { .. }
            | Op::OtherDelete { .. }
            | Op::OtherRestore { .. } => self.by_other(op),
            _ if self.handles.is_empty() => {}
            Op::Close { handle } => self.close(handle % self.handles.len()),
            Op::Sync { handle } => {
                let number = handle % self.handles.len();
                let synced = self.handles[number].file.sync_all();
                self.committed(self.handles[number].inode, synced);
            }
            Op::Read { handle, at, len } => self.read(handle, at, len),
            Op::Write { handle, at, len } => self.write(handle, at, len),
            Op::SetLen { handle, len } => self.set_len(handle, len),
            Op::MapRead { handle, at, len } => self.map_read(handle, at, len),
            Op::MapWrite { handle, at, len } => self.map_write(handle, at, len),
        }
        self.compare_store(op);
    }

    /// Closes what is open.
    pub fn end(mut self) {
        while !self.handles.is_empty() {
            self.step(&Op::Close { handle: 0 });
        }
        for name in NAMES {
            self.look(name);
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn compare_store(&self, op: &Op) {
        for name in NAMES {
            let there = self.sim.content(BUCKET, &self.key(name));
            assert!(
                there.as_ref() == self.store.get(name),
                "{op:?}: the bucket has {:?} bytes as {name}, not {:?}",
                there.map(|bytes| bytes.len()),
                self.store.get(name).map(Vec::len)
            );
        }
    }

    fn fresh(&mut self, len: usize) -> Vec<u8> {
        self.contents += 1;
        let mut random = fastrand::Rng::with_seed(self.contents);
        // No byte of a hole's.
        (0..len).map(|_| random.u8(1..)).collect()
    }

    fn inode(&mut self, number: u64) -> &mut Inode {
        let mut inodes = self.inodes.iter_mut();
        inodes
            .find(|inode| inode.number == number)
            .expect("it is open")
    }

    fn named(&self, name: &str) -> Option<&Inode> {
        self.inodes.iter().find(|inode| inode.name == Some(name))
    }

    /// Another file, or none, has the name.
    fn lose_name(&mut self, name: &str) {
        for inode in self
            .inodes
            .iter_mut()
            .filter(|inode| inode.name == Some(name))
        {
            inode.name = None;
        }
    }

    /// Takes in what the kernel shows of a name: the number of the open inode that has it. What is
    /// shown has to be what is being written here, or else what the store has.
    fn taken_in(&mut self, name: &'static str, shown: io::Result<Metadata>) -> Option<u64> {
        let own = self.named(name).filter(|inode| inode.dirty);
        if let Some(own) = own {
            let shown = shown.unwrap_or_else(|error| panic!("{name}, being written: {error}"));
            let known = (own.number, own.cells.len() as u64);
            assert_eq!((shown.ino(), shown.len()), known, "{name}, being written");
            return Some(known.0);
        }
        let Some(object) = self.store.get(name) else {
            assert!(
                shown.is_err_and(|error| error.kind() == ErrorKind::NotFound),
                "{name}"
            );
            self.lose_name(name);
            return None;
        };
        let shown = shown.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(shown.len(), object.len() as u64, "size of {name}");
        let inode = self.inodes.iter().find(|inode| inode.number == shown.ino());
        if let Some(inode) = inode {
            assert_eq!(inode.name, Some(name), "an inode of another name");
            assert!(
                inode.base.as_ref() == Some(object),
                "{name}: one inode of two versions"
            );
            return Some(inode.number);
        }
        self.lose_name(name);
        None
    }

    /// stat(2).
    fn look(&mut self, name: &'static str) -> Option<u64> {
        let shown = fs::symlink_metadata(self.path(name));
        self.taken_in(name, shown)
    }

    fn open(&mut self, name: &'static str, how: How) {
        let is_there =
            self.store.contains_key(name) || self.named(name).is_some_and(|own| own.dirty);
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(how.write)
            .create(how.create && !how.exclusive);
        options.create_new(how.exclusive).truncate(how.truncate);
        options.custom_flags(if how.append { libc::O_APPEND } else { 0 });
        let opened = options.open(self.path(name));
        let file = match opened {
            Ok(file) => file,
            Err(error) => {
                let expected = match is_there {
                    true if how.exclusive => ErrorKind::AlreadyExists,
                    false if !how.create => ErrorKind::NotFound,
                    _ => panic!("{name} cannot be opened ({how:?}): {error}"),
                };
                assert_eq!(error.kind(), expected, "{name}: {error}");
                return;
            }
        };
        assert!(
            is_there && !how.exclusive || !is_there && how.create,
            "{name} was opened"
        );
        let shown = file.metadata().unwrap();
        let number = shown.ino();
        if !is_there {
            self.lose_name(name);
            self.inodes.push(Inode {
                base: None,
                dirty: true,
                appended_from: (!how.truncate && !how.exclusive).then_some(0),
                may_replace: how.truncate,
                ..Inode::of_object(number, name, &[])
            });
        } else if how.truncate {
            self.opened_cut(name, number);
        } else if self.taken_in(name, Ok(shown)).is_none() {
            let object = self.store[name].clone();
            self.inodes.push(Inode::of_object(number, name, &object));
        }
        let inode = self.inode(number);
        inode.handles += 1;
        assert_eq!(
            file.metadata().unwrap().len(),
            inode.cells.len() as u64,
            "{name}"
        );
        self.handles.push(Handle {
            file,
            inode: number,
            how,
            mapping: None,
        });
    }

    fn opened_cut(&mut self, name: &'static str, number: u64) {
        if self.inodes.iter().all(|inode| inode.number != number) {
            assert!(
                self.named(name).is_none_or(|own| !own.dirty),
                "{name} was being written"
            );
            self.lose_name(name);
            let object = self.store[name].clone();
            self.inodes.push(Inode::of_object(number, name, &object));
        }
        let inode = self.inode(number);
        assert_eq!(inode.name, Some(name));
        inode.set_len(0);
    }

    fn read(&mut self, handle: usize, at: usize, len: usize) {
        let handle = &self.handles[handle % self.handles.len()];
        self.compare_read(handle.inode, (at, len), || {
            let mut bytes = vec![0; len];
            let read = handle.file.read_at(&mut bytes, at as u64);
            read.map(|len| bytes[..len].to_vec())
        });
    }

    /// What is read is what the inode has, or nothing of it when another client was there, or what
    /// there is before a page that cannot be had.
    fn compare_read(
        &self,
        number: u64,
        (at, len): (usize, usize),
        read: impl Fn() -> io::Result<Vec<u8>>,
    ) {
        let inode = self
            .inodes
            .iter()
            .find(|inode| inode.number == number)
            .unwrap();
        let end = (at + len).min(inode.cells.len());
        let expected = &inode.bytes()[at.min(end)..end];
        let is_cut = |read: &[u8]| {
            let is_short = !read.is_empty() && (at + read.len()).is_multiple_of(PAGE_BYTES);
            inode.met_another && is_short && expected.starts_with(read)
        };
        let begun = Instant::now();
        loop {
            match read() {
                Ok(read) if read == expected || is_cut(&read) => return,
                Ok(_) if inode.may_lag && begun.elapsed() < NOTICE_MAX => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Ok(_) => panic!("{:?}: other bytes at {at}", inode.name),
                Err(error) => {
                    let may = is_stale(&error) || error.raw_os_error() == Some(libc::EFAULT);
                    assert!(may && inode.met_another, "{:?}: {error}", inode.name);
                    return;
                }
            }
        }
    }

    fn write(&mut self, handle: usize, at: usize, len: usize) {
        let number = handle % self.handles.len();
        let bytes = self.fresh(len);
        let handle = &self.handles[number];
        if !handle.how.write {
            return;
        }
        let (written, appends) = (handle.file.write_at(&bytes, at as u64), handle.how.append);
        let inode = handle.inode;
        let inode = self.inode(inode);
        match written {
            Ok(written) => {
                assert_eq!(written, len);
                inode.write(at, &bytes, appends);
            }
            Err(error) => {
                assert!(is_stale(&error) && inode.met_another, "{error}");
                inode.is_map_spoilt = true;
            }
        }
    }

    fn set_len(&mut self, handle: usize, len: usize) {
        let handle = &self.handles[handle % self.handles.len()];
        if !handle.how.write {
            return;
        }
        let (done, inode) = (handle.file.set_len(len as u64), handle.inode);
        let inode = self.inode(inode);
        match done {
            Ok(()) => inode.set_len(len),
            Err(error) => assert!(is_stale(&error) && inode.met_another, "{error}"),
        }
    }

    /// The range of what is mapped, as far as the file goes; `None` when there is nothing.
    fn mapped(&mut self, number: usize, at: usize, len: usize) -> Option<(usize, usize)> {
        let Handle { inode, how, .. } = self.handles[number];
        let end = self.inode(inode).cells.len().min(at + len).min(4 * LEN_MAX);
        let handle = &mut self.handles[number];
        if at >= end {
            return None;
        }
        if handle.mapping.is_none() {
            let mapping = Mapping::new(&handle.file, 4 * LEN_MAX, how.write);
            handle.mapping = Some(mapping.unwrap());
        }
        Some((at, end - at))
    }

    fn map_read(&mut self, handle: usize, at: usize, len: usize) {
        let number = handle % self.handles.len();
        let Some((at, len)) = self.mapped(number, at, len) else {
            return;
        };
        let inode = self.handles[number].inode;
        if self.inode(inode).is_map_spoilt {
            return;
        }
        let mapping = self.handles[number].mapping.as_ref().unwrap();
        self.compare_read(inode, (at, len), || mapping.read(at, len));
    }

    fn map_write(&mut self, handle: usize, at: usize, len: usize) {
        let number = handle % self.handles.len();
        let inode = self.handles[number].inode;
        // Whom another client was faster than hears of it at the next fsync(2) only.
        if !self.handles[number].how.write || self.inode(inode).met_another {
            return;
        }
        let Some((at, len)) = self.mapped(number, at, len) else {
            return;
        };
        let bytes = self.fresh(len);
        let mapping = self.handles[number].mapping.as_ref().unwrap();
        let synced = mapping.write(at, &bytes);
        self.inode(inode).splice(at, &bytes);
        self.committed(inode, synced);
    }

    fn close(&mut self, number: usize) {
        let Handle {
            file,
            inode,
            how,
            mapping,
        } = self.handles.swap_remove(number);
        drop(mapping);
        let closed = nix::unistd::close(file).map_err(io::Error::from);
        let mut others = self.handles.iter();
        let goes_on = others.any(|other| other.inode == inode && other.how.write);
        // What is still empty is not published while this process can write to it.
        let is_put_off = goes_on && self.inode(inode).cells.is_empty();
        match how.write && !is_put_off {
            true => self.committed(inode, closed),
            false => closed.unwrap(),
        }
        self.inode(inode).handles -= 1;
        self.inodes.retain(|inode| inode.handles > 0);
    }

    /// A close or fsync that stores what there is to store: all of it is in the bucket then, or
    /// the caller is told, and what another client has made is there.
    fn committed(&mut self, number: u64, done: io::Result<()>) {
        let store = self.store.clone();
        let mut handles = self.handles.iter();
        let has_readers = handles.any(|handle| handle.inode == number && !handle.how.write);
        let inode = self.inode(number);
        let (Some(name), true) = (inode.name, inode.dirty) else {
            let may_fail = inode.dirty && inode.met_another;
            return done.unwrap_or_else(|error| assert!(may_fail, "{error}"));
        };
        let there = store.get(name);
        let is_overtaken = inode.base.as_ref() != there;
        if let Err(error) = done {
            let code = error.raw_os_error();
            let is_told = is_stale(&error) || code == Some(libc::EEXIST);
            assert!(
                is_told && (is_overtaken || inode.met_another),
                "{name}: {error}"
            );
            (inode.name, inode.met_another) = (None, true);
            return;
        }
        let mut stored = inode.bytes();
        assert!(
            !(is_overtaken && inode.appended_from.is_some() && has_readers),
            "{name}: who reads was taken to another client's object"
        );
        if is_overtaken && let Some(from) = inode.appended_from {
            // What was appended goes behind what is there now.
            let tail = stored.split_off(from);
            stored = there.cloned().unwrap_or_default();
            stored.extend(tail);
            inode.may_lag = true;
        } else if is_overtaken {
            let has_none_of_it = inode.cells.iter().all(|cell| !cell.1);
            let may = has_none_of_it && inode.may_replace;
            assert!(may, "{name}: another client's object was overwritten");
        }
        inode.stored(stored.clone());
        self.put(name, stored);
    }

    fn put(&mut self, name: &'static str, bytes: Vec<u8>) {
        if let Some(before) = self.store.insert(name, bytes) {
            self.past.insert(name, before);
        }
    }

    fn truncate(&mut self, name: &'static str, len: usize) {
        let open = self.look(name);
        if let Some(number) = open {
            let mut handles = self.handles.iter();
            let is_written = handles.any(|handle| handle.inode == number && handle.how.write);
            // The last close of a reader stores it, some time later.
            if !is_written || self.inode(number).met_another {
                return;
            }
        }
        let path = std::ffi::CString::new(self.path(name).into_os_string().into_encoded_bytes());
        // SAFETY: the path is a C string.
        let done = unsafe { libc::truncate(path.unwrap().as_ptr(), len as i64) };
        let done = if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        };
        match (open, self.store.get(name)) {
            (Some(number), _) => {
                done.unwrap();
                self.inode(number).set_len(len);
            }
            (None, Some(object)) => {
                done.unwrap();
                let mut object = object.clone();
                object.resize(len, 0);
                self.put(name, object);
            }
            (None, None) => assert_eq!(done.unwrap_err().kind(), ErrorKind::NotFound),
        }
    }

    /// The file under a name is removed or replaced: it is readable while it is open.
    fn unlinked(&mut self, number: Option<u64>, name: &'static str) {
        let there = self.store.get(name).cloned();
        if let Some(number) = number {
            let inode = self.inode(number);
            inode.name = None;
            inode.met_another |= inode.base.is_some() && inode.base != there;
        }
    }

    fn unlink(&mut self, name: &'static str) {
        let open = self.look(name);
        let removed = fs::remove_file(self.path(name));
        if open.is_none() && !self.store.contains_key(name) {
            assert_eq!(removed.unwrap_err().kind(), ErrorKind::NotFound);
            return;
        }
        removed.unwrap();
        self.unlinked(open, name);
        // One that was never published has no object of its own.
        let inode = open.map(|number| self.inode(number).base.is_some());
        if inode != Some(false)
            && let Some(before) = self.store.remove(name)
        {
            self.past.insert(name, before);
        }
    }

    fn rename(&mut self, from: &'static str, to: &'static str) {
        let (source, target) = (self.look(from), self.look(to));
        let is_there = source.is_some() || self.store.contains_key(from);
        let replaces = target.is_some() || self.store.contains_key(to);
        let there = self.store.get(from).cloned();
        let is_overtaken = |inode: &Inode| inode.dirty && inode.base != there;
        if source.is_some_and(|number| is_overtaken(self.inode(number))) {
            // It may fail, or move the other client's object.
            return;
        }
        let renamed = fs::rename(self.path(from), self.path(to));
        if !is_there {
            assert_eq!(renamed.unwrap_err().kind(), ErrorKind::NotFound);
            return;
        }
        renamed.unwrap();
        if from == to {
            return;
        }
        self.unlinked(target, to);
        let mut object = self.store.remove(from);
        if let Some(number) = source {
            let inode = self.inode(number);
            inode.name = Some(to);
            let bytes = inode.bytes();
            let is_its_object =
                inode.cells.iter().all(|cell| cell.1) && inode.base.as_ref() == Some(&bytes);
            if inode.dirty && (replaces || is_its_object) {
                // What replaces another object is published first, and times go with the copy.
                inode.stored(bytes.clone());
                object = Some(bytes);
            }
        }
        match object {
            Some(object) => self.put(to, object),
            None => drop(self.store.remove(to)),
        }
    }

    fn by_other(&mut self, op: &Op) {
        let (name, bytes) = match *op {
            Op::OtherPut { name, len } => (name, Some(self.fresh(len))),
            Op::OtherDelete { name } => (name, None),
            Op::OtherRestore { name } => (name, self.past.get(name).cloned()),
            Op::OtherLengthen { name, by } => {
                let more = self.fresh(by);
                let there = self.store.get(name).cloned().unwrap_or_default();
                (name, Some([there, more].concat()))
            }
            Op::OtherShorten { name, by } => {
                let mut there = self.store.get(name).cloned().unwrap_or_default();
                there.truncate(there.len().saturating_sub(by));
                (name, Some(there))
            }
            _ => unreachable!("{op:?} is nothing another client does"),
        };
        let key = self.key(name);
        match bytes {
            Some(bytes) => {
                self.sim.put(BUCKET, &key, bytes.clone());
                self.put(name, bytes);
            }
            None => {
                self.sim.delete(BUCKET, &key);
                if let Some(before) = self.store.remove(name) {
                    self.past.insert(name, before);
                }
            }
        }
        for inode in self
            .inodes
            .iter_mut()
            .filter(|inode| inode.name == Some(name))
        {
            inode.met_another = true;
        }
    }
}
