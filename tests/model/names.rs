//! What is expected of calls on paths, and of what the other client does.

use s3fs::file::Creation;
use s3fs::fs::{Kind, SetExtended};
use s3fs::sim::Sim;

use super::edits::{Answer, Expectation, apply};
use super::expected::{Code, Expected, Home, Inode, Meta, Object, View, below};
use super::operation::Op;
use super::publish::inode_of;

impl Expected {
    /// What a call on a path does.
    pub fn on_path(&mut self, op: &Op, sim: &Sim) -> Expectation {
        match op {
            Op::Create {
                path,
                mode,
                permissions,
            } => return self.create(path, *mode, *permissions),
            Op::Open { path, mode } => return self.open(path, *mode),
            Op::Truncate { path, len } => self.truncate(path, *len as usize, sim)?,
            Op::Change { path, change } => {
                self.walk(path)?;
                if let Some(id) = self.open_at(path)
                    && let Some(late) = self.inode(id).late.take()
                {
                    return Err(late);
                }
                let id = self.described(path)?;
                self.describe(id, |inode| apply(inode, *change));
            }
            Op::SetExtended {
                path,
                name,
                len,
                how,
            } => {
                let value = self.fresh(*len);
                self.change_extended(path, |inode| {
                    let all = &mut inode.meta.extended;
                    match (how, all.contains_key(*name)) {
                        (SetExtended::Create, true) => return Err(Code::Exists),
                        (SetExtended::Replace, false) => return Err(Code::NoAttribute),
                        _ => all.insert((*name).to_owned(), value),
                    };
                    Ok(())
                })?;
            }
            Op::RemoveExtended { path, name } => self.change_extended(path, |inode| {
                let removed = inode.meta.extended.remove(*name);
                removed.map(drop).ok_or(Code::NoAttribute)
            })?,
            Op::MakeDirectory { path, permissions } => {
                if self.find(path)? != View::Absent {
                    return Err(Code::Exists);
                }
                let meta = self.meta_of_new(path, Kind::Directory, *permissions);
                self.put(&below(path), Vec::new(), meta);
            }
            Op::Link { path, len } => {
                let target = self.fresh_target(*len);
                if self.find(path)? != View::Absent {
                    return Err(Code::Exists);
                }
                let meta = self.meta_of_new(path, Kind::Symlink, 0o777);
                self.put(path, target, meta);
            }
            Op::RemoveDirectory { path } => self.remove_directory(path)?,
            Op::Unlink { path } => self.unlink(path, sim)?,
            Op::Rename { from, to, replace } => self.rename(from, to, *replace, sim)?,
            Op::SyncAttributes => self.sync_attributes(sim),
            _ => unreachable!("{op:?} is on no path"),
        }
        Ok(Answer::Done)
    }

    /// A target of a symbolic link.
    pub fn fresh_target(&mut self, len: usize) -> Vec<u8> {
        let bytes = self.fresh(len).into_iter();
        bytes.map(|byte| b'a' + byte % 26).collect()
    }

    /// The content of a file or the marker of a directory, to be described.
    fn described(&mut self, path: &str) -> Result<u64, Code> {
        match self.find(path)? {
            View::Absent => return Err(Code::NoEntry),
            View::File => {}
            View::Directory => {
                if let Some(id) = self.open_at(path) {
                    self.inode(id).handles += 1;
                    return Ok(id);
                }
                let marker = self.store.get(&below(path)).cloned();
                let base = marker.as_ref().map(|marker| marker.version);
                let marker = marker.unwrap_or(Object {
                    version: 0,
                    bytes: Vec::new(),
                    meta: Meta::default(),
                });
                let id = self.number();
                let inode = inode_of(&below(path), marker);
                let creation = match base {
                    Some(_) => Creation::Replace,
                    None => Creation::IfAbsent,
                };
                let inode = Inode {
                    base,
                    creation,
                    ..inode
                };
                self.inodes.insert(id, inode);
                return Ok(id);
            }
        }
        self.content(path)
    }

    fn change_extended(
        &mut self,
        path: &str,
        change: impl FnOnce(&mut Inode) -> Result<(), Code>,
    ) -> Result<(), Code> {
        let id = self.described(path)?;
        if let Err(code) = change(self.inode(id)) {
            self.close_inode(id);
            return Err(code);
        }
        self.describe(id, |_| ());
        Ok(())
    }

    /// truncate(2): of a file that is not open it is durable on return.
    fn truncate(&mut self, path: &str, len: usize, sim: &Sim) -> Result<(), Code> {
        match self.find(path)? {
            View::Absent => return Err(Code::NoEntry),
            View::Directory => return Err(Code::IsDirectory),
            View::File => {}
        }
        if let Some(id) = self.open_at(path)
            && let Some(late) = self.inode(id).late.take()
        {
            return Err(late);
        }
        let id = self.content(path)?;
        let inode = self.inode(id);
        let hole = super::expected::Cell {
            byte: 0,
            home: Home::Hole,
        };
        inode.cells.resize(len, hole);
        inode.touch();
        inode.note_cut();
        let alone = inode.handles == 1;
        let done = if alone { self.commit(id, sim) } else { Ok(()) };
        self.close_inode(id);
        done
    }

    fn unlink(&mut self, path: &str, sim: &Sim) -> Result<(), Code> {
        match self.find(path)? {
            View::Absent => return Err(Code::NoEntry),
            View::Directory => return Err(Code::IsDirectory),
            View::File => {}
        }
        let open = self.open_at(path);
        let published = open.is_none_or(|id| self.inodes[&id].base.is_some());
        if published {
            self.commit_dependents(path, sim)?;
        }
        self.orphaned(open, |_| Ok(()))?;
        if published {
            self.store.remove(path);
        }
        self.entry_removed(path);
        Ok(())
    }

    /// Takes the name from an open file, unless `before` fails; the bytes it shares with its object
    /// are kept if they are still there.
    fn orphaned(
        &mut self,
        open: Option<u64>,
        before: impl FnOnce(&mut Self) -> Result<(), Code>,
    ) -> Result<(), Code> {
        let Some(id) = open else { return before(self) };
        let path = self.inode(id).path.take();
        self.inode(id).last_path.clone_from(&path);
        let base = self.inodes[&id].base;
        if self.inodes[&id].handles > 0
            && let Some(base) = base.filter(|base| self.is_live(*base))
        {
            let (key, size) = self.versions[&base].clone();
            let copy = self.number();
            self.versions.insert(copy, (key, size));
            self.hidden.insert(copy);
            self.inode(id).last_path = None;
            self.moved(id, base, copy);
        }
        let done = before(self);
        let inode = self.inode(id);
        if done.is_err() {
            inode.path = path;
            if let (Some(base), Some(copy)) = (base, inode.base) {
                self.moved(id, copy, base);
            }
        } else if inode.handles == 0 {
            self.inodes.remove(&id);
        }
        done
    }

    /// The bytes that a file took from one version it takes from another.
    fn moved(&mut self, id: u64, from: u64, to: u64) {
        let inode = self.inode(id);
        for cell in &mut inode.cells {
            if let Home::Object(version, at) = cell.home
                && version == from
            {
                cell.home = Home::Object(to, at);
            }
        }
        inode.base = Some(to);
    }

    /// A directory does not go with its last entry, nor do those above.
    fn entry_removed(&mut self, path: &str) {
        for (end, _) in path.match_indices('/') {
            let directory = &path[..end];
            if self.others {
                self.maybe_kept.insert(directory.to_owned());
            } else if !self.store.contains_key(&below(directory)) {
                self.kept.insert(directory.to_owned());
            }
        }
    }

    fn remove_directory(&mut self, path: &str) -> Result<(), Code> {
        match self.find(path)? {
            View::Absent => return Err(Code::NoEntry),
            View::File => return Err(Code::NotDirectory),
            View::Directory => {}
        }
        if !self.children(path).is_empty() {
            return Err(Code::NotEmpty);
        }
        self.directory_gone(path);
        self.store.remove(&below(path));
        self.entry_removed(path);
        Ok(())
    }

    fn directory_gone(&mut self, path: &str) {
        self.kept.remove(path);
        self.maybe_kept.remove(path);
        if let Some(id) = self.open_at(path) {
            self.inodes.remove(&id);
        }
    }

    fn rename(&mut self, from: &str, to: &str, replace: bool, sim: &Sim) -> Result<(), Code> {
        self.walk(from)?;
        self.walk(to)?;
        let (source, target) = (self.view(from), self.view(to));
        match (source, target) {
            (View::Absent, _) => Err(Code::NoEntry),
            (_, View::File | View::Directory) if !replace => Err(Code::Exists),
            _ if from == to => Ok(()),
            (View::File, View::Directory) => Err(Code::IsDirectory),
            (View::Directory, View::File) => Err(Code::NotDirectory),
            (View::File, _) => self.rename_file((from, to), replace, sim),
            (View::Directory, _) => self.rename_directory(from, to, sim),
        }
    }

    fn rename_file(
        &mut self,
        (from, to): (&str, &str),
        replace: bool,
        sim: &Sim,
    ) -> Result<(), Code> {
        let open = self.open_at(from);
        // What replaces another object is published first.
        if let Some(id) = open.filter(|_| self.view(to) == View::File)
            && self.inodes[&id].dirty
            && !self.has_new_attributes_only(id)
        {
            self.commit(id, sim)?;
        }
        self.commit_dependents(from, sim)?;
        self.commit_dependents(to, sim)?;
        let target = self.open_at(to);
        let is_new = open.is_some_and(|id| self.inodes[&id].base.is_none());
        self.orphaned(target, |expected| {
            let there = expected.store.get(from).map(|object| object.version);
            // What is open is moved as it was opened, or not at all.
            if !is_new && open.is_some_and(|id| expected.inodes[&id].base != there) {
                return Err(Code::Stale);
            }
            Ok(())
        })?;
        if let Some(id) = open.filter(|_| is_new) {
            // It is in no bucket yet.
            let inode = self.inode(id);
            inode.path = Some(to.to_owned());
            if !replace {
                inode.creation = Creation::Exclusive;
            }
            self.entry_removed(from);
            return Ok(());
        }
        let Some(object) = self.store.remove(from) else {
            return Err(Code::NoEntry);
        };
        // Content that is not published stays on top of what is.
        let is_edited = open.is_some_and(|id| self.inodes[&id].dirty && self.has_new_content(id));
        let meta = match open {
            Some(id) if !is_edited => self.inodes[&id].meta.clone(),
            Some(_) | None => object.meta,
        };
        let version = self.put(to, object.bytes, meta);
        if let Some(id) = open {
            self.moved(id, object.version, version);
            let inode = self.inode(id);
            inode.path = Some(to.to_owned());
            inode.dirty = is_edited;
            if !is_edited {
                inode.creation = Creation::IfAbsent;
            }
            if inode.handles == 0 {
                self.inodes.remove(&id);
            }
        }
        self.entry_removed(from);
        Ok(())
    }

    /// Whether there are attributes to publish, and no content.
    fn has_new_attributes_only(&self, id: u64) -> bool {
        let inode = &self.inodes[&id];
        inode.dirty && inode.base.is_some() && !self.has_new_content(id)
    }

    fn rename_directory(&mut self, from: &str, to: &str, sim: &Sim) -> Result<(), Code> {
        let prefix = below(from);
        if below(to).starts_with(&prefix) {
            return Err(Code::Invalid);
        }
        let is_below = |inode: &Inode| inode.key().is_some_and(|key| key.starts_with(&prefix));
        let open = self.inodes.iter().filter(|(_, inode)| is_below(inode));
        let open: Vec<u64> = open.map(|(id, _)| *id).collect();
        for id in &open {
            if self.has_new_attributes_only(*id) {
                self.commit(*id, sim)?;
            }
        }
        let stored_below = |expected: &Self| -> Vec<String> {
            let keys = expected.store.keys().filter(|key| key.starts_with(&prefix));
            keys.cloned().collect()
        };
        for key in stored_below(self) {
            self.commit_dependents(&key, sim)?;
        }
        // Those may be below the old name themselves, and are stored only now.
        let keys = stored_below(self);
        if self.view(to) == View::Directory && !self.children(to).is_empty() {
            return Err(Code::NotEmpty);
        }
        for inode in open.iter().map(|id| &self.inodes[id]) {
            let there = inode.key().and_then(|key| self.store.get(&key));
            let there = there.filter(|_| inode.base.is_some());
            if there.is_some_and(|object| Some(object.version) != inode.base) {
                return Err(Code::Stale);
            }
        }
        self.directory_gone(to);
        self.store.remove(&below(to));
        let renamed = |path: &str| format!("{}/{}", to, &path[prefix.len()..]);
        for key in keys {
            let Some(object) = self.store.remove(&key) else {
                continue;
            };
            let version = self.put(&renamed(&key), object.bytes, object.meta);
            for id in &open {
                if self.inodes[id].base == Some(object.version) {
                    self.moved(*id, object.version, version);
                }
            }
        }
        for id in open {
            let inode = self.inode(id);
            let key = inode.key().expect("it has a name");
            inode.path = Some(renamed(&key).trim_end_matches('/').to_owned());
            if inode.handles == 0 && !inode.dirty {
                self.inodes.remove(&id);
            }
        }
        for all in [&mut self.kept, &mut self.maybe_kept] {
            let moved = |path: &String| below(path).starts_with(&prefix);
            let paths: Vec<String> = all.iter().filter(|path| moved(path)).cloned().collect();
            for path in paths {
                all.remove(&path);
                all.insert(renamed(&below(&path)).trim_end_matches('/').to_owned());
            }
        }
        self.entry_removed(from);
        Ok(())
    }

    /// What another client does to the bucket; `None` when it is not to be done: it would take the
    /// last object from a directory in which a file is open.
    pub fn by_other(&mut self, op: &Op) -> Option<()> {
        let before = self.store.clone();
        match op {
            Op::OtherPut { path, len, mode } => {
                let bytes = self.fresh(*len);
                let meta = Meta {
                    kind: mode.map(|_| Kind::File),
                    mode: *mode,
                    ..Meta::default()
                };
                self.put(path, bytes, meta);
            }
            Op::OtherDelete { path } => drop(self.store.remove(path)),
            Op::OtherMark { path } => {
                self.put(&below(path), Vec::new(), Meta::default());
            }
            Op::OtherUnmark { path } => drop(self.store.remove(&below(path))),
            _ => unreachable!("{op:?} is nothing another client does"),
        }
        let open = self.inodes.values().filter_map(|inode| inode.path.as_ref());
        let makes_ghost = open
            .flat_map(|path| path.match_indices('/').map(|(end, _)| &path[..end]))
            .any(|directory| self.is_ghost(directory));
        // A directory takes the name of an open file, which shows under another then.
        let files = self.inodes.values().filter(|inode| !inode.is_directory);
        let shadows = files.filter_map(|inode| inode.path.as_ref()).any(|path| {
            let below = below(path);
            self.store.keys().any(|key| key.starts_with(&below))
        });
        if makes_ghost || shadows || self.store == before {
            self.store = before;
            return None;
        }
        self.supersede();
        Some(())
    }
}
