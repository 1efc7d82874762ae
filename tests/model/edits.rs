//! What is expected of calls on handles, and of opening and closing them.

use s3fs::file::Creation;
use s3fs::fs::{Kind, OpenMode, WriteAt};
use s3fs::sim::Sim;

use super::expected::{Cell, Code, Expected, Handle, Home, Inode, Meta, View, parent};
use super::operation::{Change, Op, nth};

/// What a call answers when it succeeds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Done,
    Opened,
    Count(u64),
    Bytes(Vec<u8>),
    /// These bytes, or stale: another client replaced the object they are in.
    BytesOrStale(Vec<u8>),
}

pub type Expectation = Result<Answer, Code>;

/// The set-id bits, and execution by the group.
const SET_UID: u16 = 0o4000;
pub const SET_GID: u16 = 0o2000;
const GROUP_EXECUTES: u16 = 0o0010;

impl Expected {
    /// The handle of that number, if it is good for writing and its object is still there.
    fn writable(&self, number: usize) -> Result<Handle, Code> {
        let handle = self.handle(number);
        if !handle.mode.write {
            return Err(Code::BadHandle);
        }
        if self.inodes[&handle.inode].superseded {
            return Err(Code::Stale);
        }
        Ok(handle)
    }

    /// What a call on a handle does.
    pub fn on_handle(&mut self, op: &Op, sim: &Sim) -> Expectation {
        match *op {
            Op::Write { handle, at, len } => {
                let bytes = self.fresh(len);
                let handle = self.writable(handle)?;
                let inode = self.inode(handle.inode);
                let len = inode.cells.len();
                let (at, appended_from) = match at {
                    WriteAt::End(_) if inode.dirty => (len, inode.appended_from),
                    WriteAt::End(_) => (len, Some(len)),
                    WriteAt::Offset(at) => (at as usize, None),
                };
                let cell = |byte: &u8| Cell {
                    byte: *byte,
                    home: Home::Staged,
                };
                splice(inode, at, bytes.iter().map(cell).collect());
                inode.appended_from = appended_from;
                Ok(Answer::Done)
            }
            Op::Read { handle, at, len } => {
                let handle = self.handle(handle);
                if !handle.mode.read {
                    return Err(Code::BadHandle);
                }
                Ok(self.read(handle.inode, at as usize, len as usize))
            }
            Op::SetLen { .. } | Op::Zero { .. } | Op::Extend { .. } => self.on_size(op),
            Op::Copy {
                from,
                at,
                len,
                to,
                to_at,
            } => self.copy((from, at as usize, len as usize), (to, to_at as usize)),
            Op::Sync { handle } => {
                let handle = self.handle(handle);
                let committed = self.commit(handle.inode, sim);
                let late = self.inode(handle.inode).late.take();
                committed.and(late.map_or(Ok(()), Err))?;
                Ok(Answer::Done)
            }
            Op::Close { handle } => {
                let number = nth(handle, self.handles.len());
                let handle = self.handles.swap_remove(number);
                let flushed = self.flush(handle, sim);
                self.close_inode(handle.inode);
                flushed.map(|()| Answer::Done)
            }
            Op::ChangeOpen { handle, change } => {
                let id = self.handle(handle).inode;
                if let Some(late) = self.inode(id).late.take() {
                    return Err(late);
                }
                self.content_of(id)?;
                self.describe(id, |inode| apply(inode, change));
                Ok(Answer::Done)
            }
            _ => unreachable!("{op:?} is on no handle"),
        }
    }

    fn on_size(&mut self, op: &Op) -> Expectation {
        match *op {
            Op::SetLen { handle, len } => {
                let id = self.handle(handle).inode;
                if let Some(late) = self.inode(id).late.take() {
                    return Err(late);
                }
                let handle = self.writable(handle)?;
                let inode = self.inode(handle.inode);
                resize(inode, len as usize);
                inode.touch();
                inode.note_cut();
                Ok(Answer::Done)
            }
            Op::Zero {
                handle,
                at,
                len,
                keep_size,
            } => {
                let handle = self.writable(handle)?;
                let inode = self.inode(handle.inode);
                let (at, end) = (at as usize, (at + len) as usize);
                if !keep_size && end > inode.cells.len() {
                    resize(inode, end);
                }
                let end = end.min(inode.cells.len());
                if at < end {
                    inode.cells[at..end].fill(HOLE);
                    inode.touch();
                }
                Ok(Answer::Done)
            }
            Op::Extend { handle, end } => {
                let handle = self.writable(handle)?;
                let inode = self.inode(handle.inode);
                if end as usize > inode.cells.len() {
                    resize(inode, end as usize);
                }
                Ok(Answer::Done)
            }
            _ => unreachable!("{op:?} changes no size"),
        }
    }

    /// close(2): attributes alone go on waiting, and what a reader closes is committed with the
    /// last handle, which tells nobody whether that failed.
    fn flush(&mut self, handle: Handle, sim: &Sim) -> Result<(), Code> {
        let id = handle.inode;
        let can_change = handle.mode.write || handle.mode.truncate;
        let committed = match self.still_waits(id) || !can_change {
            true => Ok(()),
            false => self.commit(id, sim),
        };
        let inode = &self.inodes[&id];
        if !can_change && inode.handles == 1 && !inode.refused && !self.still_waits(id) {
            let _ = self.commit(id, sim);
        }
        let late = self.inode(id).late.take();
        committed.and(late.map_or(Ok(()), Err))
    }

    fn read(&self, id: u64, at: usize, len: usize) -> Answer {
        let cells = &self.inodes[&id].cells;
        let end = (at + len).min(cells.len());
        let cells = &cells[at.min(end)..end];
        let bytes = cells.iter().map(|cell| cell.byte).collect();
        let is_gone =
            |cell: &Cell| matches!(cell.home, Home::Object(version, _) if !self.is_live(version));
        if cells.iter().any(is_gone) {
            Answer::BytesOrStale(bytes)
        } else {
            Answer::Bytes(bytes)
        }
    }

    fn copy(&mut self, from: (usize, usize, usize), to: (usize, usize)) -> Expectation {
        let (from, at, len) = from;
        let (to, to_at) = to;
        let from = self.handle(from);
        if !from.mode.read {
            return Err(Code::BadHandle);
        }
        let to = self.writable(to)?;
        let range = |inode: &Inode| {
            let end = (at + len).min(inode.cells.len());
            at.min(end)..end
        };
        let source = &self.inodes[&from.inode];
        let cells = source.cells[range(source)].to_vec();
        let count = cells.len() as u64;
        if count > 0 {
            splice(self.inode(to.inode), to_at, cells);
        }
        Ok(Answer::Count(count))
    }

    /// Changes what is stored beside a content that was counted by [`Self::content`].
    pub fn describe(&mut self, id: u64, change: impl FnOnce(&mut Inode)) {
        let inode = self.inode(id);
        change(inode);
        inode.dirty = true;
        inode.appended_from = None;
        inode.refused = false;
        if inode.path.is_some() && (inode.is_directory || inode.base.is_some()) {
            inode.waits = true;
        }
        self.close_inode(id);
    }

    /// open(2).
    pub fn open(&mut self, path: &str, mode: OpenMode) -> Expectation {
        match self.find(path)? {
            View::Absent => return Err(Code::NoEntry),
            View::Directory => return Err(Code::IsDirectory),
            View::File => {}
        }
        let id = self.content(path)?;
        if mode.truncate {
            let inode = self.inode(id);
            inode.cells.clear();
            inode.touch();
            inode.note_cut();
        }
        self.opened(id, mode)
    }

    fn opened(&mut self, inode: u64, mode: OpenMode) -> Expectation {
        self.handles.push(Handle { inode, mode });
        Ok(Answer::Opened)
    }

    /// open(2) with O_CREAT.
    pub fn create(&mut self, path: &str, mode: OpenMode, permissions: u16) -> Expectation {
        match self.find(path)? {
            View::Absent => {}
            _ if mode.exclusive => return Err(Code::Exists),
            _ => return self.open(path, mode),
        }
        let meta = self.meta_of_new(path, Kind::File, permissions);
        let creation = match mode {
            OpenMode {
                exclusive: true, ..
            } => Creation::Exclusive,
            OpenMode { truncate: true, .. } => Creation::Replace,
            _ => Creation::IfAbsent,
        };
        let id = self.number();
        let inode = Inode {
            path: Some(path.to_owned()),
            last_path: None,
            is_directory: false,
            cells: Vec::new(),
            meta,
            base: None,
            stored: Meta::default(),
            dirty: true,
            creation,
            appended_from: (creation == Creation::IfAbsent).then_some(0),
            handles: 1,
            waits: false,
            refused: false,
            superseded: false,
            met_another: false,
            late: None,
        };
        self.inodes.insert(id, inode);
        self.opened(id, mode)
    }

    /// What is stored with what is made in a directory.
    pub fn meta_of_new(&self, path: &str, kind: Kind, permissions: u16) -> Meta {
        let (mut mode, mut gid) = (permissions, 0);
        let parent = self.shown(parent(path)).1;
        if parent.mode.unwrap_or(0) & SET_GID != 0 {
            gid = parent.gid.unwrap_or(0);
            if kind == Kind::Directory {
                mode |= SET_GID;
            }
        }
        Meta {
            kind: Some(kind),
            mode: Some(mode),
            uid: Some(0),
            gid: Some(gid),
            ..Meta::default()
        }
    }
}

const HOLE: Cell = Cell {
    byte: 0,
    home: Home::Hole,
};

fn resize(inode: &mut Inode, len: usize) {
    inode.cells.resize(len, HOLE);
    inode.touch();
}

fn splice(inode: &mut Inode, at: usize, cells: Vec<Cell>) {
    let end = at + cells.len();
    if inode.cells.len() < end {
        inode.cells.resize(end, HOLE);
    }
    inode.cells[at..end].copy_from_slice(&cells);
    inode.touch();
}

/// A change of attributes; a new owner of a file takes the set-id bits away.
pub fn apply(inode: &mut Inode, change: Change) {
    let meta = &mut inode.meta;
    match change {
        Change::Mode(mode) => {
            // A mode is stored with what it is the mode of.
            let usual = match inode.is_directory {
                true => Kind::Directory,
                false => Kind::File,
            };
            meta.kind = meta.kind.or(Some(usual));
            meta.mode = Some(mode);
        }
        Change::Owner(uid, gid) => {
            if let (false, Some(mode), true) = (
                inode.is_directory,
                meta.mode,
                uid.is_some() || gid.is_some(),
            ) {
                let group = if mode & GROUP_EXECUTES != 0 {
                    SET_GID
                } else {
                    0
                };
                meta.mode = Some(mode & !(SET_UID | group));
            }
            meta.uid = uid.or(meta.uid);
            meta.gid = gid.or(meta.gid);
        }
        Change::Modified(seconds) => {
            meta.mtime = Some(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds));
        }
    }
}
