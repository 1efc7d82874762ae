//! Unpacks a kernel request, calls `fs`, replies. errno is decided here, in one exhaustive match.
//!
//! Knows no store and no key. No FUSE thread waits for the network: `FuseFs::answer`.

use std::ffi::OsStr;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fuser::{
    BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, Generation, INodeNo,
    IoctlFlags, KernelConfig, LockOwner, OpenFlags, PollEvents, PollFlags, PollNotifier,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr,
    Request, TimeOrNow, WriteFlags,
};
use tokio::runtime::Handle;

use crate::attributes::permissions;
use crate::fs::{
    Attr, CopyRequest, DirEntry, Fh, Fs, FsError, FsResult, Ino, Kind, SetAttr, SetExtended,
    Trusted, WriteAt,
};

mod again;
mod caller;
mod close;
mod connection;
mod errno;
mod in_flight;
mod notices;
pub mod request;
mod told;
mod underway;
mod wire;

pub use notices::Notices;
pub use underway::UnderWay;

use again::Sent;
use close::Close;
use request::Traced;

/// A filesystem as the kernel's requests see it.
#[derive(Debug)]
pub struct FuseFs {
    fs: Arc<Fs>,
    runtime: Handle,
    listing_ttl: Duration,
    /// `major:minor` of the superblock, if it is known.
    device: Option<Arc<str>>,
    under_way: UnderWay,
    notices: Notices,
}

impl FuseFs {
    /// Answers requests from `fs` to the superblock `device` (`major:minor`); work that has to wait
    /// runs on `runtime`. What a listing tells is trusted for `listing_ttl`.
    pub fn new(fs: Arc<Fs>, runtime: Handle, listing_ttl: Duration, device: Option<&str>) -> Self {
        Self {
            notices: Notices::new(&fs, &runtime),
            fs,
            runtime,
            listing_ttl,
            device: device.map(Arc::from),
            under_way: UnderWay::default(),
        }
    }

    /// What the kernel is to be told.
    pub fn notices(&self) -> Notices {
        self.notices.clone()
    }

    /// The requests that are being answered.
    pub fn under_way(&self) -> UnderWay {
        self.under_way.clone()
    }

    /// Runs `work` and replies with what it returns. Work that is ready at once (it needed only
    /// memory) is answered on this thread; any other goes on as a task.
    fn answer<T, W, R>(&self, traced: Traced, work: W, reply: R)
    where
        W: Future<Output = FsResult<T>> + Send + 'static,
        R: FnOnce(Result<T, Errno>) + Send + 'static,
    {
        let asker = traced.asker();
        request::run(&self.runtime, &self.under_way, asker, async move {
            let result = work.await;
            reply(traced.finish(result));
        });
    }

    /// [`Self::answer`] for operations that return nothing.
    fn answer_empty<W>(&self, traced: Traced, work: W, reply: ReplyEmpty)
    where
        W: Future<Output = FsResult<()>> + Send + 'static,
    {
        self.answer(traced, work, move |result| match result {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        });
    }

    fn open_file(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let traced = Traced::new(req, "open", ino);
        let asked = (Sent::of(req), again::number(req));
        let fs = Arc::clone(&self.fs);
        let mode = wire::open_mode(flags.0);
        let notices = self.notices.clone();
        self.answer(
            traced,
            async move {
                let opened = again::opened(&fs, asked, fs.open(Ino(ino.0), mode)).await;
                notices.write_attributes();
                opened
            },
            move |result| match result {
                Ok(opened) => reply.opened(FileHandle(opened.fh.0), wire::open_flags(opened)),
                Err(errno) => reply.error(errno),
            },
        );
    }
}

/// Replies with an inode's attributes.
fn with_attr(reply: ReplyAttr) -> impl FnOnce(Result<Trusted<Attr>, Errno>) + Send {
    move |result| match result {
        Ok(attr) => reply.attr(&attr.ttl, &wire::attr(&attr.value)),
        Err(errno) => reply.error(errno),
    }
}

/// Replies with bytes.
fn with_bytes(reply: ReplyData) -> impl FnOnce(Result<Bytes, Errno>) + Send {
    move |result| match result {
        Ok(bytes) => reply.data(&bytes),
        Err(errno) => reply.error(errno),
    }
}

/// Replies with an extended attribute's value or a list of names: its size alone when the caller
/// has no room, as xattr(7) wants it.
fn with_extended(reply: ReplyXattr, room: u32) -> impl FnOnce(Result<Vec<u8>, Errno>) + Send {
    move |result| match result {
        Ok(value) if room == 0 => reply.size(value.len() as u32),
        Ok(value) if value.len() > room as usize => reply.error(Errno::ERANGE),
        Ok(value) => reply.data(&value),
        Err(errno) => reply.error(errno),
    }
}

/// Replies with a name's inode.
fn with_entry(reply: ReplyEntry) -> impl FnOnce(Result<Trusted<Attr>, Errno>) + Send {
    move |result| match result {
        Ok(attr) => wire::entry(reply, &attr),
        Err(errno) => reply.error(errno),
    }
}

impl Filesystem for FuseFs {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        connection::negotiate(config);
        Ok(())
    }

    fn lookup(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let traced = Traced::named(req, "lookup", parent, name);
        let fs = Arc::clone(&self.fs);
        let name = name.to_owned();
        let work = async move {
            match fs.lookup(Ino(parent.0), &name).await {
                Ok(found) => Ok((Some(found), Duration::ZERO)),
                Err(FsError::NoEntry) => Ok((None, fs.absent_ttl(Ino(parent.0), &name))),
                Err(error) => Err(error),
            }
        };
        self.answer(traced, work, move |result| match result {
            Ok((Some(found), _)) => wire::entry(reply, &found),
            // Inode 0 tells the kernel to remember that there is no such name (fuse_lookup_name).
            Ok((None, ttl)) if !ttl.is_zero() => reply.entry(&ttl, &wire::absent(), Generation(0)),
            Ok((None, _)) => reply.error(Errno::ENOENT),
            Err(errno) => reply.error(errno),
        });
    }

    fn forget(&self, _req: &Request, ino: INodeNo, nlookup: u64) {
        self.fs.forget(Ino(ino.0), nlookup);
    }

    fn getattr(&self, req: &Request, ino: INodeNo, fh: Option<FileHandle>, reply: ReplyAttr) {
        let traced = Traced::new(req, "getattr", ino);
        let fs = Arc::clone(&self.fs);
        let fh = fh.map(|fh| Fh(fh.0));
        self.answer(
            traced,
            async move { fs.getattr(Ino(ino.0), fh).await },
            with_attr(reply),
        );
    }

    fn setattr(
        &self,
        req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let traced = Traced::new(req, "setattr", ino);
        let fs = Arc::clone(&self.fs);
        let fh = fh.map(|fh| Fh(fh.0));
        let set = SetAttr {
            size,
            mode: mode.map(permissions),
            uid,
            gid,
            atime: atime.map(wire::set_time),
            mtime: mtime.map(wire::set_time),
            kills_set_id: size.is_some() && !caller::is_root(req.pid()),
        };
        self.answer(
            traced,
            async move { fs.setattr(Ino(ino.0), fh, set).await },
            with_attr(reply),
        );
    }

    fn mknod(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        rdev: u32,
        reply: ReplyEntry,
    ) {
        let traced = Traced::named(req, "mknod", parent, name);
        let fs = Arc::clone(&self.fs);
        let name = name.to_owned();
        let kind = Kind::of_mode(mode).unwrap_or(Kind::File);
        let new = wire::new_node(req, kind, mode, rdev);
        let (parent, sent) = (Ino(parent.0), Sent::of(req));
        let work = async move {
            let make = fs.make(parent, &name, new, &[]);
            again::made(&fs, (parent, &name), sent, make).await
        };
        self.answer(traced, work, with_entry(reply));
    }

    fn mkdir(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let traced = Traced::named(req, "mkdir", parent, name);
        let fs = Arc::clone(&self.fs);
        let name = name.to_owned();
        let new = wire::new_node(req, Kind::Directory, mode, 0);
        let (parent, sent) = (Ino(parent.0), Sent::of(req));
        let work = async move {
            let make = fs.mkdir(parent, &name, new);
            again::made(&fs, (parent, &name), sent, make).await
        };
        self.answer(traced, work, with_entry(reply));
    }

    fn unlink(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let traced = Traced::named(req, "unlink", parent, name);
        let fs = Arc::clone(&self.fs);
        let (name, sent) = (name.to_owned(), Sent::of(req));
        let work = async move {
            let removed = fs.unlink(Ino(parent.0), &name).await;
            sent.settle(removed, |error| matches!(error, FsError::NoEntry))
        };
        self.answer_empty(traced, work, reply);
    }

    fn rmdir(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let traced = Traced::named(req, "rmdir", parent, name);
        let fs = Arc::clone(&self.fs);
        let (name, sent) = (name.to_owned(), Sent::of(req));
        let work = async move {
            let removed = fs.rmdir(Ino(parent.0), &name).await;
            sent.settle(removed, |error| matches!(error, FsError::NoEntry))
        };
        self.answer_empty(traced, work, reply);
    }

    fn symlink(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let traced = Traced::named(req, "symlink", parent, name);
        let fs = Arc::clone(&self.fs);
        let (name, target) = (name.to_owned(), target.as_os_str().to_owned());
        let new = wire::new_node(req, Kind::Symlink, 0o777, 0);
        let (parent, sent) = (Ino(parent.0), Sent::of(req));
        let work = async move {
            let make = fs.symlink(parent, &name, new, &target);
            again::made(&fs, (parent, &name), sent, make).await
        };
        self.answer(traced, work, with_entry(reply));
    }

    fn readlink(&self, req: &Request, ino: INodeNo, reply: ReplyData) {
        let traced = Traced::new(req, "readlink", ino);
        let fs = Arc::clone(&self.fs);
        let work = async move { fs.readlink(Ino(ino.0)).await };
        self.answer(traced, work, with_bytes(reply));
    }

    fn rename(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let traced = Traced::named(req, "rename", parent, name);
        let fs = Arc::clone(&self.fs);
        let (from, to) = (name.to_owned(), newname.to_owned());
        let sent = Sent::of(req);
        let work = async move {
            let mode = wire::rename_mode(flags)?;
            let (from, to) = ((Ino(parent.0), &*from), (Ino(newparent.0), &*to));
            let source = fs.known_child(from.0, from.1);
            match fs.rename(from, to, mode).await {
                // Moved the first time, or the target would not be there either.
                Err(FsError::NoEntry)
                    if sent == Sent::Again && fs.settle_rename(source, to).await? =>
                {
                    Ok(())
                }
                renamed => renamed,
            }
        };
        self.answer_empty(traced, work, reply);
    }

    fn link(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _newparent: INodeNo,
        _newname: &OsStr,
        reply: ReplyEntry,
    ) {
        // link(2): EPERM where the filesystem has no hard links. An object has one key.
        reply.error(Errno::EPERM);
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let traced = Traced::named(req, "create", parent, name);
        let fs = Arc::clone(&self.fs);
        let name = name.to_owned();
        let new = wire::new_node(req, Kind::File, mode, 0);
        let mode = wire::open_mode(flags);
        let asked = (Sent::of(req), again::number(req));
        let work = async move {
            let place = (Ino(parent.0), &*name);
            again::created(&fs, asked, place, (new, mode)).await
        };
        self.answer(traced, work, move |result| match result {
            Ok((made, opened)) => reply.created(
                &made.ttl,
                &wire::attr(&made.value),
                wire::generation(&made.value),
                FileHandle(opened.fh.0),
                wire::open_flags(opened),
            ),
            Err(errno) => reply.error(errno),
        });
    }

    fn open(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        self.open_file(req, ino, flags, reply);
    }

    fn read(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let traced = Traced::ranged(req, "read", ino, offset, u64::from(size));
        let fs = Arc::clone(&self.fs);
        let work = async move {
            let range = wire::range(offset, u64::from(size))?;
            fs.read(Fh(fh.0), range).await
        };
        self.answer(traced, work, with_bytes(reply));
    }

    fn write(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let traced = Traced::ranged(req, "write", ino, offset, data.len() as u64);
        let at = wire::write_at(offset, write_flags, flags.0);
        let fs = Arc::clone(&self.fs);
        let len = data.len() as u32;
        let reply = move |result| match result {
            Ok(()) => reply.written(len),
            Err(errno) => reply.error(errno),
        };
        let kills_set_id = write_flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
        let is_appended_again = matches!(at, WriteAt::End(_)) && Sent::of(req) == Sent::Again;
        // `Some` when there is nothing to write.
        let settled = move |fs: &Fs| {
            if kills_set_id {
                fs.kill_set_id(Fh(fh.0));
            }
            match wire::range(offset, u64::from(len)) {
                Ok(range) if is_appended_again && fs.is_appended(Fh(fh.0), range) => Some(Ok(())),
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            }
        };
        // Most writes need only memory: these bytes are copied once, to where they are staged.
        if let Some(_begun) = self.under_way.try_begin() {
            let work = || settled(&fs).or_else(|| fs.try_write(Fh(fh.0), at, data));
            match request::run_at_once(traced.id(), work) {
                Some(Some(written)) => return reply(traced.finish(written)),
                Some(None) => {}
                None => return,
            }
        }
        // The session's buffer takes the next request as soon as this call returns.
        let data = Bytes::copy_from_slice(data);
        let work = async move {
            match settled(&fs) {
                Some(settled) => settled,
                None => fs.write(Fh(fh.0), at, data).await,
            }
        };
        self.answer(traced, work, reply);
    }

    fn flush(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        let traced = Traced::new(req, "flush", ino);
        let close = Close {
            notices: self.notices.clone(),
            device: self.device.clone(),
            caller: req.pid(),
            ino: Ino(ino.0),
            fh: Fh(fh.0),
        };
        self.answer_empty(traced, close.flush(), reply);
    }

    fn release(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        let traced = Traced::new(req, "release", ino);
        let (fs, sent) = (Arc::clone(&self.fs), Sent::of(req));
        let work = async move {
            let released = fs.release(Fh(fh.0)).await;
            sent.settle(released, |error| matches!(error, FsError::BadHandle))
        };
        self.answer_empty(traced, work, reply);
    }

    fn fsync(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let traced = Traced::new(req, "fsync", ino);
        let synced = close::fsync(self.notices.clone(), Ino(ino.0), Fh(fh.0));
        self.answer_empty(traced, synced, reply);
    }

    fn opendir(&self, req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let traced = Traced::new(req, "opendir", ino);
        let fs = Arc::clone(&self.fs);
        let is_trusted = !self.listing_ttl.is_zero();
        let asked = (Sent::of(req), again::number(req));
        self.answer(
            traced,
            async move { again::opened(&fs, asked, fs.opendir(Ino(ino.0))).await },
            move |result| match result {
                Ok(opened) => {
                    let flags = wire::directory_flags(opened, is_trusted);
                    reply.opened(FileHandle(opened.fh.0), flags);
                }
                Err(errno) => reply.error(errno),
            },
        );
    }

    fn readdir(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let traced = Traced::ranged(req, "readdir", ino, offset, 0);
        let fs = Arc::clone(&self.fs);
        request::run(&self.runtime, &self.under_way, traced.asker(), async move {
            let mut taken = 0_u64;
            let mut take = |entry: &DirEntry| {
                let attr = entry.attr.value;
                let kind = wire::kind(attr.kind);
                let full = reply.add(INodeNo(attr.ino.0), entry.next_offset, kind, &entry.name);
                taken += u64::from(!full);
                !full
            };
            let result = fs.readdir(Fh(fh.0), offset, false, &mut take).await;
            match traced.finish(result) {
                Err(errno) if taken == 0 => reply.error(errno),
                // What was taken is given out; the next call meets the error at its start.
                Ok(()) | Err(_) => reply.ok(),
            }
        });
    }

    fn readdirplus(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let traced = Traced::ranged(req, "readdirplus", ino, offset, 0);
        let fs = Arc::clone(&self.fs);
        request::run(&self.runtime, &self.under_way, traced.asker(), async move {
            let mut taken = 0_u64;
            let mut take = |entry: &DirEntry| {
                let attr = wire::attr(&entry.attr.value);
                let full = reply.add(
                    attr.ino,
                    entry.next_offset,
                    &entry.name,
                    &entry.attr.ttl,
                    &attr,
                    wire::generation(&entry.attr.value),
                );
                taken += u64::from(!full);
                !full
            };
            let result = fs.readdir(Fh(fh.0), offset, true, &mut take).await;
            match traced.finish(result) {
                Err(errno) if taken == 0 => reply.error(errno),
                // Every entry taken counts a lookup, so the kernel must get to know of it.
                Ok(()) | Err(_) => reply.ok(),
            }
        });
    }

    fn releasedir(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        let traced = Traced::new(req, "releasedir", ino);
        let fs = Arc::clone(&self.fs);
        let work = async move {
            fs.releasedir(Fh(fh.0));
            Ok(())
        };
        self.answer_empty(traced, work, reply);
    }

    fn fsyncdir(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let traced = Traced::new(req, "fsyncdir", ino);
        let fs = Arc::clone(&self.fs);
        self.answer_empty(traced, async move { fs.fsyncdir(Fh(fh.0)).await }, reply);
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let stat = self.fs.statfs();
        // Inodes as blocks: df -i of a bucket shows as much room as df.
        reply.statfs(
            stat.blocks,
            stat.blocks,
            stat.blocks,
            stat.blocks,
            stat.blocks,
            stat.block_bytes,
            stat.name_bytes_max,
            stat.block_bytes,
        );
    }

    fn copy_file_range(
        &self,
        req: &Request,
        ino_in: INodeNo,
        fh_in: FileHandle,
        offset_in: u64,
        _ino_out: INodeNo,
        fh_out: FileHandle,
        offset_out: u64,
        len: u64,
        flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let traced = Traced::ranged(req, "copy_file_range", ino_in, offset_in, len);
        let fs = Arc::clone(&self.fs);
        let work = async move {
            if !flags.is_empty() {
                return Err(FsError::Invalid {
                    what: "flags of copy_file_range",
                });
            }
            wire::range(offset_out, len)?;
            let range = wire::range(offset_in, len)?;
            let request = CopyRequest {
                from: Fh(fh_in.0),
                range,
                to: Fh(fh_out.0),
                at: offset_out,
            };
            // ENOSYS would switch the operation off for the whole mount (fuse_copy_file_range);
            // no FsError means it.
            fs.copy_file_range(request).await
        };
        self.answer(traced, work, move |result| match result {
            Ok(copied) => reply.written(copied),
            Err(errno) => reply.error(errno),
        });
    }

    fn getxattr(&self, req: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let traced = Traced::named(req, "getxattr", ino, name);
        let fs = Arc::clone(&self.fs);
        let name = name.to_owned();
        let work = async move { fs.extended(Ino(ino.0), &name).await };
        self.answer(traced, work, with_extended(reply, size));
    }

    fn listxattr(&self, req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let traced = Traced::new(req, "listxattr", ino);
        let fs = Arc::clone(&self.fs);
        let work = async move {
            let names = fs.extended_names(Ino(ino.0)).await?;
            let ended = names.iter().map(|name| format!("{name}\0"));
            Ok(ended.collect::<String>().into_bytes())
        };
        self.answer(traced, work, with_extended(reply, size));
    }

    fn setxattr(
        &self,
        req: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let traced = Traced::named(req, "setxattr", ino, name);
        let fs = Arc::clone(&self.fs);
        let (name, value) = (name.to_owned(), value.to_owned());
        let sent = Sent::of(req);
        let work = async move {
            let how = match (sent, wire::set_extended(flags)?) {
                (Sent::Again, SetExtended::Create) => SetExtended::Either,
                (_, how) => how,
            };
            fs.set_extended(Ino(ino.0), &name, &value, how).await
        };
        self.answer_empty(traced, work, reply);
    }

    fn removexattr(&self, req: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let traced = Traced::named(req, "removexattr", ino, name);
        let fs = Arc::clone(&self.fs);
        let (name, sent) = (name.to_owned(), Sent::of(req));
        let work = async move {
            let removed = fs.remove_extended(Ino(ino.0), &name).await;
            sent.settle(removed, |error| matches!(error, FsError::NoAttribute))
        };
        self.answer_empty(traced, work, reply);
    }

    fn fallocate(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let traced = Traced::ranged(req, "fallocate", ino, offset, length);
        let fs = Arc::clone(&self.fs);
        let work = async move {
            let how = wire::fallocate(mode)?;
            fs.fallocate(Fh(fh.0), wire::range(offset, length)?, how)
                .await
        };
        self.answer_empty(traced, work, reply);
    }

    fn lseek(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let traced = Traced::new(req, "lseek", ino);
        let fs = Arc::clone(&self.fs);
        let work = async move {
            let (at, what) = wire::seek(offset, whence)?;
            fs.seek(Fh(fh.0), at, what)
        };
        self.answer(traced, work, move |result| match result {
            // Within the file, whose length fits the kernel's offsets.
            Ok(found) => reply.offset(found as i64),
            Err(errno) => reply.error(errno),
        });
    }

    fn ioctl(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _flags: IoctlFlags,
        _cmd: u32,
        _in_data: &[u8],
        _out_size: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    /// A file is always ready: the kernel says so itself, and does not ask again.
    fn poll(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _ph: PollNotifier,
        _events: PollEvents,
        _flags: PollFlags,
        reply: ReplyPoll,
    ) {
        reply.error(Errno::ENOSYS);
    }
}
