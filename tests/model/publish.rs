//! What becomes of the bucket: which files are published, by what, and when that fails because
//! another client was there. Looks at the bucket only where both are right.

use s3fs::file::Creation;
use s3fs::fs::Kind;
use s3fs::sim::{Operation, Sim, SimRequest};

use super::expected::{Cell, Code, Expected, Home, Inode, Meta, Object};
use super::shown::stored;

/// Bytes of a part: a file of at least twice as many is sent ahead. None is published before it is
/// committed, because memory has room for what is sent.
pub const AHEAD_BYTES_MIN: usize = 48;

impl Expected {
    /// Takes in that files were published which may be at any time: those that take bytes from
    /// other objects.
    pub fn absorb(&mut self, sim: &Sim) {
        let may = |inode: &Inode| {
            let foreign = inode
                .versions()
                .into_iter()
                .any(|version| Some(version) != inode.base);
            inode.dirty && foreign
        };
        let ids = self.inodes.iter().filter(|(_, inode)| may(inode));
        let ids: Vec<u64> = ids.map(|(id, _)| *id).collect();
        for id in ids {
            if self.is_there(id, sim) {
                // As every commit does first.
                if let Some(key) = self.inodes[&id].key() {
                    let _ = self.commit_dependents(&key, sim);
                }
                self.published(id);
            }
        }
    }

    /// Whether an inode was published as it is since everything was last compared.
    fn is_there(&self, id: u64, sim: &Sim) -> bool {
        let inode = &self.inodes[&id];
        let Some(key) = inode.key() else { return false };
        let publishes = |request: &SimRequest| {
            let publishing = [
                Operation::PutObject,
                Operation::CopyObject,
                Operation::CompleteMultipartUpload,
            ];
            publishing.contains(&request.operation)
                && request.key == key
                && request.status == Some(200)
        };
        sim.requests().iter().any(publishes)
            && stored(sim, &key)
                .is_some_and(|(bytes, meta)| bytes == inode.bytes() && same(&meta, &inode.meta))
    }

    /// An inode was published as it is.
    pub fn published(&mut self, id: u64) {
        let inode = &self.inodes[&id];
        let Some(key) = inode.key() else { return };
        let version = self.put(&key, inode.bytes(), inode.meta.clone());
        let inode = self.inode(id);
        for (at, cell) in inode.cells.iter_mut().enumerate() {
            cell.home = Home::Object(version, at);
        }
        inode.base = Some(version);
        inode.stored = inode.meta.clone();
        inode.dirty = false;
        inode.creation = Creation::IfAbsent;
        inode.appended_from = None;
    }

    pub fn has_new_content(&self, id: u64) -> bool {
        self.inodes[&id].has_new_content(|version| self.size_of(version))
    }

    /// A commit that a caller hears of.
    pub fn commit(&mut self, id: u64, sim: &Sim) -> Result<(), Code> {
        let committed = self.commit_on_path(id, &mut Vec::new(), sim);
        if committed.is_err() {
            let inode = self.inode(id);
            inode.refused = true;
            if inode.met_another && inode.handles > 0 {
                inode.superseded = true;
                inode.last_path = inode.path.take();
            }
        }
        committed
    }

    fn commit_on_path(&mut self, id: u64, path: &mut Vec<u64>, sim: &Sim) -> Result<(), Code> {
        let inode = &self.inodes[&id];
        if inode.superseded && inode.dirty {
            return Err(Code::Stale);
        }
        let Some(key) = inode.key().filter(|_| inode.dirty) else {
            return Ok(());
        };
        path.push(id);
        let before = self.commit_dependents_on_path(&key, path, sim);
        path.pop();
        before?;
        self.inode(id).met_another = false;
        self.publish(id, &key, sim)
    }

    /// Commits the files that take bytes from what is about to be replaced.
    pub fn commit_dependents(&mut self, key: &str, sim: &Sim) -> Result<(), Code> {
        self.commit_dependents_on_path(key, &mut Vec::new(), sim)
    }

    fn commit_dependents_on_path(
        &mut self,
        key: &str,
        path: &mut Vec<u64>,
        sim: &Sim,
    ) -> Result<(), Code> {
        let refers = |inode: &Inode| {
            let mut versions = inode.versions().into_iter();
            inode.dirty
                && inode.key().or(inode.last_path.clone()).as_deref() != Some(key)
                && versions
                    .any(|version| self.key_of(version) == key && !self.hidden.contains(&version))
        };
        let dependents = self.inodes.iter().filter(|(_, inode)| refers(inode));
        let dependents: Vec<u64> = dependents.map(|(id, _)| *id).collect();
        for id in dependents {
            let is_stuck = path.contains(&id) || self.inodes[&id].path.is_none();
            // Another client's doing is no reason to fail for what is replaced here.
            if is_stuck || self.commit_on_path(id, path, sim).is_err() {
                self.localise(id, key);
            }
        }
        Ok(())
    }

    /// Stages the bytes that a file takes from under a key, if they are still there.
    fn localise(&mut self, id: u64, key: &str) {
        let versions = self.inodes[&id].versions().into_iter();
        let from: Vec<_> = versions
            .filter(|version| self.key_of(*version) == key && !self.hidden.contains(version))
            .filter(|version| self.is_live(*version))
            .collect();
        let of =
            |cell: &Cell| matches!(cell.home, Home::Object(version, _) if from.contains(&version));
        for cell in self.inode(id).cells.iter_mut().filter(|cell| of(cell)) {
            cell.home = Home::Staged;
        }
    }

    fn publish(&mut self, id: u64, key: &str, sim: &Sim) -> Result<(), Code> {
        let inode = &self.inodes[&id];
        let there = self.store.get(key).map(|object| object.version);
        // An edit of an object must not undo another writer's, nor must a change of attributes.
        if inode.base.is_some()
            && there != inode.base
            && inode.creation != Creation::Replace
            && !inode.is_directory
        {
            return self.follow_or_meet(id, key, sim);
        }
        let is_gone = inode
            .versions()
            .into_iter()
            .any(|version| !self.is_live(version));
        if inode.is_directory && there.is_some() && there != inode.base {
            self.join(id, key);
            return Ok(());
        }
        let is_made = inode.base.is_none() && there.is_some();
        if is_made && inode.creation == Creation::IfAbsent {
            return self.follow_or_meet(id, key, sim);
        }
        if is_made && inode.creation == Creation::Exclusive {
            self.inode(id).met_another = true;
            return Err(Code::Exists);
        }
        // What another client replaced may have been read before.
        if is_gone && !self.is_there(id, sim) {
            return Err(Code::Stale);
        }
        self.published(id);
        Ok(())
    }

    /// What was changed on a directory is added to the marker that another client has stored.
    fn join(&mut self, id: u64, key: &str) {
        let mut theirs = self.store[key].meta.clone();
        let inode = self.inode(id);
        let (own, before) = (&inode.meta, &inode.stored);
        let is_kept =
            |name: &_| own.extended.contains_key(name) || !before.extended.contains_key(name);
        theirs.extended.retain(|name, _| is_kept(name));
        let changed = own.extended.iter();
        let changed = changed.filter(|(name, value)| before.extended.get(*name) != Some(*value));
        theirs
            .extended
            .extend(changed.map(|(name, value)| (name.clone(), value.clone())));
        inode.meta = Meta {
            // The mode says what it is of.
            kind: match own.mode == before.mode {
                true => changed_or(own.kind, before.kind, theirs.kind),
                false => Some(Kind::Directory),
            },
            mode: changed_or(own.mode, before.mode, theirs.mode),
            uid: changed_or(own.uid, before.uid, theirs.uid),
            gid: changed_or(own.gid, before.gid, theirs.gid),
            mtime: changed_or(own.mtime, before.mtime, theirs.mtime),
            extended: theirs.extended,
        };
        self.published(id);
    }

    fn follow_or_meet(&mut self, id: u64, key: &str, sim: &Sim) -> Result<(), Code> {
        if self.follow(id, key, sim).is_some() {
            return Ok(());
        }
        self.inode(id).met_another = true;
        Err(Code::Stale)
    }

    /// What was only appended goes behind what another client has made, unless it may have been
    /// uploaded ahead: then what is there tells.
    fn follow(&mut self, id: u64, key: &str, sim: &Sim) -> Option<()> {
        let inode = &self.inodes[&id];
        let from = inode.appended_from?;
        // Who reads is not to go on in other bytes.
        let mut handles = self.handles.iter();
        if handles.any(|handle| handle.inode == id && !handle.mode.write) {
            return None;
        }
        let now = self.store.get(key).cloned();
        if let Some(kind) = now.as_ref().and_then(|now| now.meta.kind)
            && Some(kind) != inode.meta.kind.or(Some(Kind::File))
        {
            return None;
        }
        let tail = inode.cells[from..].to_vec();
        let may_be_ahead = inode.cells.len() >= AHEAD_BYTES_MIN;
        let now = now.map(|now| inode_of(key, now));
        let mut cells = now.as_ref().map_or(Vec::new(), |now| now.cells.clone());
        cells.extend(tail.iter().cloned());
        let bytes: Vec<u8> = cells.iter().map(|cell| cell.byte).collect();
        if may_be_ahead && stored(sim, key).is_none_or(|(there, _)| there != bytes) {
            return None;
        }
        let inode = self.inode(id);
        inode.cells = cells;
        if let Some(now) = now {
            inode.meta = now.meta;
            inode.base = now.base;
            if tail.is_empty() {
                inode.dirty = false;
                return Some(());
            }
        }
        inode.meta.mtime = None;
        self.published(id);
        Some(())
    }

    /// Whether attributes wait to be stored, and nothing else is to be published.
    pub fn still_waits(&self, id: u64) -> bool {
        let inode = &self.inodes[&id];
        inode.waits && inode.dirty && !self.has_new_content(id) && !inode.refused
    }

    /// One handle less; what is left of the inode.
    pub fn close_inode(&mut self, id: u64) {
        let waits = self.still_waits(id);
        let inode = self.inode(id);
        inode.handles = inode.handles.saturating_sub(1);
        if inode.handles == 0 && !(inode.path.is_some() && inode.dirty && waits) {
            self.inodes.remove(&id);
        }
    }

    /// Stores the attributes that wait.
    pub fn sync_attributes(&mut self, sim: &Sim) {
        let waiting = self.inodes.iter().filter(|(_, inode)| inode.waits);
        let waiting: Vec<u64> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            let new_content = self.has_new_content(id);
            let inode = self.inode(id);
            inode.waits = false;
            if inode.handles > 0 && inode.dirty && new_content {
                continue;
            }
            let stored = self.commit(id, sim);
            let inode = self.inode(id);
            inode.late = stored.err().or(inode.late.take());
            if inode.handles == 0 {
                let untold = inode.key().filter(|_| inode.late.is_some());
                self.untold.extend(untold);
                self.inodes.remove(&id);
            }
        }
    }

    /// The content of what is under a path of a file, with one handle more: what is there now,
    /// unless it was changed here.
    pub fn content(&mut self, path: &str) -> Result<u64, Code> {
        if let Some(id) = self.open_at(path) {
            return self.content_of(id);
        }
        let object = self.store.get(path).cloned().ok_or(Code::NoEntry)?;
        let id = self.number();
        self.inodes.insert(id, inode_of(path, object));
        Ok(id)
    }

    /// As [`Self::content`], of an inode in memory.
    pub fn content_of(&mut self, id: u64) -> Result<u64, Code> {
        if self.inodes[&id].superseded {
            return Err(Code::Stale);
        }
        self.inode(id).handles += 1;
        Ok(id)
    }

    /// Another client was there: open files whose objects it replaced or removed go on without a
    /// name, unless they were changed here.
    pub fn supersede(&mut self) {
        let store = &self.store;
        for inode in self.inodes.values_mut() {
            let Some(key) = inode.key().filter(|_| !inode.dirty && !inode.is_directory) else {
                continue;
            };
            if store.get(&key).map(|object| object.version) != inode.base {
                inode.superseded = true;
                inode.path = None;
            }
        }
    }
}

/// What was changed here, else what another client has stored.
fn changed_or<T: PartialEq>(own: Option<T>, before: Option<T>, theirs: Option<T>) -> Option<T> {
    own.filter(|own| Some(own) != before.as_ref()).or(theirs)
}

/// A clean file on an object, with one handle.
pub fn inode_of(path: &str, object: Object) -> Inode {
    let cell = |(at, byte): (usize, &u8)| Cell {
        byte: *byte,
        home: Home::Object(object.version, at),
    };
    Inode {
        path: Some(path.trim_end_matches('/').to_owned()),
        last_path: None,
        is_directory: path.ends_with('/'),
        cells: object.bytes.iter().enumerate().map(cell).collect(),
        stored: object.meta.clone(),
        meta: object.meta,
        base: Some(object.version),
        dirty: false,
        creation: Creation::IfAbsent,
        appended_from: None,
        handles: 1,
        waits: false,
        refused: false,
        superseded: false,
        met_another: false,
        late: None,
    }
}

/// Whether attributes that are stored are those expected; a time only if it was set by hand.
pub fn same(stored: &Meta, expected: &Meta) -> bool {
    let timed = expected.mtime.is_none() || stored.mtime == expected.mtime;
    let untimed = |meta: &Meta| Meta {
        mtime: None,
        ..meta.clone()
    };
    timed && untimed(stored) == untimed(expected)
}
