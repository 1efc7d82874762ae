//! The calls as they reach the filesystem: each path looked up from the root, each lookup forgotten
//! afterwards if so wanted. Expects nothing.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use s3fs::file::FileError;
use s3fs::fs::{
    Attr, CopyRequest, Fallocate, Fh, FsError, FsResult, Ino, Kind, NewNode, OpenMode, RenameMode,
    SetAttr, SetTime,
};
use s3fs::range::ByteRange;
use s3fs::store::{ObjectHeaders, StoreError};

use super::edits::Answer;
use super::expected::{Code, parent};
use super::operation::{Change, Op, nth};
use super::world::{BUCKET, NEW, World};

pub const ROOT: Ino = Ino(1);
pub const READ: OpenMode = OpenMode {
    read: true,
    write: false,
    truncate: false,
    exclusive: false,
};

/// A filesystem with what a kernel has of it.
pub struct Driven {
    pub world: World,
    /// Open handles and what they are of.
    pub handles: Vec<(Fh, Ino)>,
    /// Lookups are forgotten after each operation, as a kernel short of memory would.
    pub forgets: bool,
    /// How many processes were killed.
    pub kills: usize,
    lookups: Mutex<Vec<Ino>>,
    /// The number of the last request.
    requests: u64,
}

impl Driven {
    pub fn new(world: World, forgets: bool) -> Self {
        Self {
            world,
            handles: Vec::new(),
            forgets,
            kills: 0,
            lookups: Mutex::default(),
            requests: 0,
        }
    }

    /// Kills the process; another goes on.
    pub fn kill(&mut self) {
        self.kills += 1;
        let numbers = self.numbers();
        self.world.kill();
        assert_eq!(self.numbers(), numbers, "inode numbers after a kill");
    }

    /// The inode numbers in the top directory, as readdir(3) gives them.
    fn numbers(&self) -> BTreeMap<OsString, Ino> {
        let fs = &self.world.fs;
        let fh = self.world.run(fs.opendir(ROOT)).unwrap().fh;
        let mut numbers = BTreeMap::new();
        let mut take = |entry: &s3fs::fs::DirEntry| {
            numbers.insert(entry.name.clone(), entry.attr.value.ino);
            true
        };
        self.world.run(fs.readdir(fh, 0, false, &mut take)).unwrap();
        fs.releasedir(fh);
        numbers
    }

    /// The bytes that a call writes or a target it links to come from the model.
    pub fn run(&mut self, op: &Op, bytes: Vec<u8>) -> Result<Answer, Code> {
        let answer = match op {
            Op::OtherPut { .. }
            | Op::OtherDelete { .. }
            | Op::OtherMark { .. }
            | Op::OtherUnmark { .. } => {
                self.by_other(op, bytes);
                Ok(Answer::Done)
            }
            Op::Create {
                path,
                mode,
                permissions,
            } => self.create(path, *mode, *permissions),
            Op::Open { path, mode } => self.open(path, *mode),
            Op::Close { handle } => {
                let (fh, _) = self.handles.swap_remove(nth(*handle, self.handles.len()));
                self.world.run(self.world.close(fh)).map(|()| Answer::Done)
            }
            op => self.world.run(self.call(op, bytes)),
        };
        self.forget();
        answer.map_err(|error| code(&error))
    }

    pub fn forget(&self) {
        for ino in std::mem::take(&mut *self.lookups.lock().unwrap()) {
            if self.forgets {
                self.world.fs.forget(ino, 1);
            }
        }
    }

    pub fn counted(&self, ino: Ino) {
        self.lookups.lock().unwrap().push(ino);
    }

    pub async fn look(&self, path: &str) -> FsResult<Attr> {
        let mut at = self.world.fs.getattr(ROOT, None).await?.value;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            at = self.world.fs.lookup(at.ino, OsStr::new(name)).await?.value;
            self.counted(at.ino);
        }
        Ok(at)
    }

    /// The directory of a path, and its name there.
    async fn entry<'a>(&self, path: &'a str) -> FsResult<(Ino, &'a OsStr)> {
        let directory = self.look(parent(path)).await?;
        if directory.kind != Kind::Directory {
            return Err(FsError::NotDirectory);
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        Ok((directory.ino, OsStr::new(name)))
    }

    fn create(&mut self, path: &str, mode: OpenMode, permissions: u16) -> FsResult<Answer> {
        let new = NewNode { permissions, ..NEW };
        let opened = self.world.run(async {
            let (parent, name) = self.entry(path).await?;
            self.world.fs.create(parent, name, new, mode).await
        });
        let (attr, opened) = match opened {
            // It is there: looked up and opened.
            Err(FsError::StaleInode) => return self.open(path, mode),
            opened => opened?,
        };
        self.counted(attr.value.ino);
        self.tell((opened.fh, attr.value.ino));
        Ok(Answer::Opened)
    }

    fn open(&mut self, path: &str, mode: OpenMode) -> FsResult<Answer> {
        let opened = self.world.run(async {
            let ino = self.look(path).await?.ino;
            FsResult::Ok((self.world.fs.open(ino, mode).await?.fh, ino))
        });
        self.tell(opened?);
        Ok(Answer::Opened)
    }

    /// The kernel gets to know of a handle.
    fn tell(&mut self, (fh, ino): (Fh, Ino)) {
        self.requests += 2;
        self.world.fs.told(fh, self.requests);
        self.handles.push((fh, ino));
    }

    fn handle(&self, number: usize) -> (Fh, Ino) {
        self.handles[nth(number, self.handles.len())]
    }

    async fn call(&self, op: &Op, bytes: Vec<u8>) -> FsResult<Answer> {
        let fs = &self.world.fs;
        match op {
            Op::Write { handle, at, .. } => {
                let fh = self.handle(*handle).0;
                fs.write(fh, *at, Bytes::from(bytes)).await?;
            }
            Op::Read { handle, at, len } => {
                let read = fs
                    .read(self.handle(*handle).0, ByteRange::at(*at, *len))
                    .await?;
                return Ok(Answer::Bytes(read.to_vec()));
            }
            Op::SetLen { handle, len } => {
                let (fh, ino) = self.handle(*handle);
                fs.setattr(ino, Some(fh), sized(*len)).await?;
            }
            Op::Zero {
                handle,
                at,
                len,
                keep_size,
            } => {
                let how = Fallocate::Zero {
                    keep_size: *keep_size,
                };
                fs.fallocate(self.handle(*handle).0, ByteRange::at(*at, *len), how)
                    .await?;
            }
            Op::Extend { handle, end } => {
                let how = Fallocate::Allocate { keep_size: false };
                fs.fallocate(self.handle(*handle).0, ByteRange::at(0, *end), how)
                    .await?;
            }
            Op::Copy {
                from,
                at,
                len,
                to,
                to_at,
            } => {
                let request = CopyRequest {
                    from: self.handle(*from).0,
                    range: ByteRange::at(*at, *len),
                    to: self.handle(*to).0,
                    at: *to_at,
                };
                return Ok(Answer::Count(fs.copy_file_range(request).await?.into()));
            }
            Op::Sync { handle } => fs.fsync(self.handle(*handle).0).await?,
            Op::ChangeOpen { handle, change } => {
                let (fh, ino) = self.handle(*handle);
                fs.setattr(ino, Some(fh), set(*change)).await?;
            }
            Op::SyncAttributes => {
                let fh = fs.opendir(ROOT).await?.fh;
                let synced = fs.fsyncdir(fh).await;
                fs.releasedir(fh);
                synced?;
            }
            op => self.on_path(op, &bytes).await?,
        }
        Ok(Answer::Done)
    }

    async fn on_path(&self, op: &Op, bytes: &[u8]) -> FsResult<()> {
        let fs = &self.world.fs;
        match op {
            Op::Truncate { path, len } => {
                fs.setattr(self.look(path).await?.ino, None, sized(*len))
                    .await?;
            }
            Op::Change { path, change } => {
                fs.setattr(self.look(path).await?.ino, None, set(*change))
                    .await?;
            }
            Op::SetExtended {
                path, name, how, ..
            } => {
                let ino = self.look(path).await?.ino;
                fs.set_extended(ino, OsStr::new(name), bytes, *how).await?;
            }
            Op::RemoveExtended { path, name } => {
                fs.remove_extended(self.look(path).await?.ino, OsStr::new(name))
                    .await?;
            }
            Op::MakeDirectory { path, permissions } => {
                let (parent, name) = self.entry(path).await?;
                let new = NewNode {
                    kind: Kind::Directory,
                    permissions: *permissions,
                    ..NEW
                };
                self.counted(fs.mkdir(parent, name, new).await?.value.ino);
            }
            Op::Link { path, .. } => {
                let (parent, name) = self.entry(path).await?;
                let new = NewNode {
                    kind: Kind::Symlink,
                    permissions: 0o777,
                    ..NEW
                };
                let target = OsStr::new(str::from_utf8(bytes).expect("a target is text"));
                self.counted(fs.symlink(parent, name, new, target).await?.value.ino);
            }
            Op::RemoveDirectory { path } => {
                let (parent, name) = self.entry(path).await?;
                fs.rmdir(parent, name).await?;
            }
            Op::Unlink { path } => {
                let (parent, name) = self.entry(path).await?;
                fs.unlink(parent, name).await?;
            }
            Op::Rename { from, to, replace } => {
                let (from, to) = (self.entry(from).await?, self.entry(to).await?);
                let mode = match replace {
                    true => RenameMode::Replace,
                    false => RenameMode::NoReplace,
                };
                fs.rename(from, to, mode).await?;
            }
            _ => unreachable!("{op:?} is on no path"),
        }
        Ok(())
    }

    fn by_other(&self, op: &Op, bytes: Vec<u8>) {
        let sim = &self.world.sim;
        match op {
            Op::OtherPut { path, mode, .. } => {
                let mut headers = ObjectHeaders::default();
                if let Some(mode) = mode {
                    let mode = Kind::File.type_bits() | u32::from(*mode);
                    headers.metadata.insert("mode".to_owned(), mode.to_string());
                }
                sim.put_with(BUCKET, path, bytes, headers);
            }
            Op::OtherDelete { path } => sim.delete(BUCKET, path),
            Op::OtherMark { path } => drop(sim.put(BUCKET, &format!("{path}/"), "")),
            Op::OtherUnmark { path } => sim.delete(BUCKET, &format!("{path}/")),
            _ => unreachable!("{op:?} is nothing another client does"),
        }
    }
}

fn sized(len: u64) -> SetAttr {
    SetAttr {
        size: Some(len),
        ..SetAttr::default()
    }
}

fn set(change: Change) -> SetAttr {
    let nothing = SetAttr::default();
    match change {
        Change::Mode(mode) => SetAttr {
            mode: Some(mode),
            ..nothing
        },
        Change::Owner(uid, gid) => SetAttr {
            uid,
            gid,
            ..nothing
        },
        Change::Modified(seconds) => {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            SetAttr {
                mtime: Some(SetTime::At(time)),
                ..nothing
            }
        }
    }
}

pub fn code(error: &FsError) -> Code {
    match error {
        FsError::NoEntry => Code::NoEntry,
        FsError::Exists
        | FsError::Store(StoreError::Exists { .. })
        | FsError::File(FileError::Store(StoreError::Exists { .. })) => Code::Exists,
        FsError::IsDirectory => Code::IsDirectory,
        FsError::NotDirectory => Code::NotDirectory,
        FsError::NotEmpty => Code::NotEmpty,
        FsError::Invalid { .. } => Code::Invalid,
        FsError::BadHandle => Code::BadHandle,
        FsError::NoAttribute => Code::NoAttribute,
        FsError::NotPermitted { .. } => Code::NotPermitted,
        FsError::StaleInode => Code::Stale,
        FsError::Store(StoreError::Stale { .. }) => Code::Stale,
        FsError::File(error) if error.is_stale() => Code::Stale,
        other => Code::Other(format!("{other:?}")),
    }
}
