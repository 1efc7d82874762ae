//! Between the filesystem's types and the kernel's. Decides nothing about files.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    FileAttr, FileType, FopenFlags, Generation, INodeNo, RenameFlags, ReplyEntry, Request,
    TimeOrNow, WriteFlags,
};

use super::connection::WRITE_BYTES_MAX;
use crate::attributes::permissions;
use crate::fs::{
    Attr, Fallocate, FsError, FsResult, Ino, Kind, NewNode, OpenMode, Opened, PageCache,
    RenameMode, Seek, SetExtended, SetTime, Trusted, WriteAt,
};
use crate::range::ByteRange;

/// Unit of st_blocks, whatever st_blksize says: stat(2).
const STAT_BLOCK_BYTES: u64 = 512;

/// A file's or directory's attributes.
pub(super) fn attr(attr: &Attr) -> FileAttr {
    FileAttr {
        ino: INodeNo(attr.ino.0),
        size: attr.size,
        // Less than the size, and cp(1) takes the file for sparse and reads it instead of asking
        // for a copy.
        blocks: attr.size.div_ceil(STAT_BLOCK_BYTES),
        atime: attr.accessed,
        mtime: attr.modified,
        ctime: attr.changed,
        crtime: attr.modified,
        kind: kind(attr.kind),
        perm: attr.mode,
        nlink: attr.links,
        uid: attr.uid,
        gid: attr.gid,
        rdev: attr.rdev,
        // What stdio, cp and cat take as the size of their buffers: one full WRITE request.
        blksize: WRITE_BYTES_MAX,
        flags: 0,
    }
}

/// Which of the inodes of its number it is.
pub(super) fn generation(attr: &Attr) -> Generation {
    Generation(attr.generation.into())
}

/// Replies with a name's inode.
pub(super) fn entry(reply: ReplyEntry, found: &Trusted<Attr>) {
    let about = &found.value;
    reply.entry(&found.ttl, &attr(about), generation(about));
}

/// The attributes of a name that does not exist: inode 0.
pub(super) fn absent() -> FileAttr {
    attr(&Attr {
        ino: Ino(0),
        generation: 0,
        kind: Kind::File,
        size: 0,
        modified: UNIX_EPOCH,
        accessed: UNIX_EPOCH,
        changed: UNIX_EPOCH,
        mode: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        links: 0,
    })
}

/// The kernel's word for what an inode is.
pub(super) const fn kind(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Directory => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::Fifo => FileType::NamedPipe,
        Kind::Socket => FileType::Socket,
        Kind::CharDevice => FileType::CharDevice,
        Kind::BlockDevice => FileType::BlockDevice,
    }
}

/// What is to be made for whom. The kernel has taken the umask off.
pub(super) fn new_node(req: &Request, kind: Kind, mode: u32, rdev: u32) -> NewNode {
    NewNode {
        kind,
        permissions: permissions(mode),
        uid: req.uid(),
        gid: req.gid(),
        rdev,
    }
}

/// How setxattr(2) is to set.
///
/// # Errors
/// Flags that are none of its.
pub(super) fn set_extended(flags: i32) -> FsResult<SetExtended> {
    match flags {
        0 => Ok(SetExtended::Either),
        libc::XATTR_CREATE => Ok(SetExtended::Create),
        libc::XATTR_REPLACE => Ok(SetExtended::Replace),
        _ => Err(FsError::Invalid {
            what: "flags of setxattr",
        }),
    }
}

/// How open(2) flags ask for a file.
pub(super) const fn open_mode(flags: i32) -> OpenMode {
    let access = flags & libc::O_ACCMODE;
    OpenMode {
        read: access != libc::O_WRONLY,
        write: access != libc::O_RDONLY,
        truncate: flags & libc::O_TRUNC != 0,
        exclusive: flags & libc::O_EXCL != 0,
    }
}

/// Where a write at this offset goes. Of a page of a mapping the flags are none, whatever those of
/// the descriptor: fuse_writepages_send, fs/fuse/file.c.
pub(super) fn write_at(offset: u64, write_flags: WriteFlags, flags: i32) -> WriteAt {
    let is_of_mapping = write_flags.contains(WriteFlags::FUSE_WRITE_CACHE);
    match flags & libc::O_APPEND != 0 && !is_of_mapping {
        true => WriteAt::End(offset),
        false => WriteAt::Offset(offset),
    }
}

/// What the kernel may do with the pages of an open file.
pub(super) fn open_flags(opened: Opened) -> FopenFlags {
    match opened.cache {
        PageCache::Keep => FopenFlags::FOPEN_KEEP_CACHE,
        PageCache::Drop => FopenFlags::empty(),
        PageCache::Bypass => FopenFlags::FOPEN_DIRECT_IO,
    }
}

/// What the kernel may do with the entries of an open directory that it has.
pub(super) fn directory_flags(opened: Opened, is_trusted: bool) -> FopenFlags {
    match (is_trusted, opened.cache) {
        (false, _) => FopenFlags::empty(),
        (true, PageCache::Keep) => FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE,
        (true, _) => FopenFlags::FOPEN_CACHE_DIR,
    }
}

/// A time to set.
pub(super) fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(time) => SetTime::At(sent(time)),
    }
}

/// The time that the kernel sent. The library takes the nanoseconds of one before the epoch off its
/// seconds, to which they are to be added (fuser 0.18, src/time.rs).
fn sent(time: SystemTime) -> SystemTime {
    match UNIX_EPOCH.duration_since(time) {
        Ok(before) => time + 2 * Duration::from_nanos(u64::from(before.subsec_nanos())),
        Err(_) => time,
    }
}

/// Whether a rename may replace its target.
///
/// # Errors
/// Two objects cannot be exchanged in one request, and whiteouts are overlayfs's.
pub(super) fn rename_mode(flags: RenameFlags) -> FsResult<RenameMode> {
    if flags.is_empty() {
        Ok(RenameMode::Replace)
    } else if flags == RenameFlags::RENAME_NOREPLACE {
        Ok(RenameMode::NoReplace)
    } else {
        Err(FsError::Invalid {
            what: "flags of renameat2",
        })
    }
}

/// What fallocate(2) is to do.
///
/// # Errors
/// Modes that the kernel does not pass on today.
pub(super) fn fallocate(mode: i32) -> FsResult<Fallocate> {
    let keep_size = mode & libc::FALLOC_FL_KEEP_SIZE != 0;
    match mode & !libc::FALLOC_FL_KEEP_SIZE {
        0 => Ok(Fallocate::Allocate { keep_size }),
        libc::FALLOC_FL_PUNCH_HOLE if keep_size => Ok(Fallocate::Zero { keep_size }),
        libc::FALLOC_FL_ZERO_RANGE => Ok(Fallocate::Zero { keep_size }),
        _ => Err(FsError::NotSupported {
            what: "mode of fallocate",
        }),
    }
}

/// From where lseek(2) is to look for what.
///
/// # Errors
/// Offsets before the file; whence that the kernel answers by itself.
pub(super) fn seek(offset: i64, whence: i32) -> FsResult<(u64, Seek)> {
    let at = u64::try_from(offset).map_err(|_| FsError::NoSuchOffset)?;
    match whence {
        libc::SEEK_DATA => Ok((at, Seek::Data)),
        libc::SEEK_HOLE => Ok((at, Seek::Hole)),
        _ => Err(FsError::Invalid {
            what: "whence of lseek",
        }),
    }
}

/// `len` bytes from `start` on.
///
/// # Errors
/// When their end does not fit into a file offset (63 bits), which no request of the kernel does.
pub(super) fn range(start: u64, len: u64) -> FsResult<ByteRange> {
    match start.checked_add(len) {
        Some(end) if end <= i64::MAX as u64 => Ok(ByteRange::new(start, end)),
        _ => Err(FsError::Invalid {
            what: "a range beyond the largest file offset",
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::sent;

    #[test]
    fn nanoseconds_of_a_time_before_the_epoch_are_added_to_its_seconds() {
        // What the library makes of seconds and nanoseconds, and what they mean.
        for ((seconds, nanos), (before, rest)) in [
            ((1, 0), (1, 0)),
            ((1, 500_000_000), (0, 500_000_000)),
            ((2, 1), (1, 999_999_999)),
            ((2, 999_999_999), (1, 1)),
        ] {
            let time = UNIX_EPOCH - Duration::new(seconds, nanos);
            assert_eq!(sent(time), UNIX_EPOCH - Duration::new(before, rest));
        }
        let after = UNIX_EPOCH + Duration::new(1, 500_000_000);
        assert_eq!((sent(UNIX_EPOCH), sent(after)), (UNIX_EPOCH, after));
    }
}
