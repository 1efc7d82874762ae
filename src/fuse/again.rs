//! Requests that the kernel sends once more because the process that read them was killed: they may
//! have been done. Then their answer is that of the first time.
//!
//! Reads, writes, copies and changes of attributes have the same effect twice; the others are here.

use std::ffi::OsStr;

use fuser::Request;

use crate::fs::{
    Attr, Fh, Fs, FsError, FsResult, Ino, NewNode, OpenMode, Opened, PageCache, Trusted,
};

/// Bit of a request's number that says so: FUSE_UNIQUE_RESEND, include/uapi/linux/fuse.h.
const RESENT: u64 = 1 << 63;

/// Whether a request comes for the first time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sent {
    /// It does.
    First,
    /// It was sent to another process before.
    Again,
}

impl Sent {
    pub(super) fn of(request: &Request) -> Self {
        match request.unique().0 & RESENT {
            0 => Self::First,
            _ => Self::Again,
        }
    }

    fn is_again(self) -> bool {
        self == Self::Again
    }

    /// Of what is no error when it was done before.
    pub(super) fn settle<T: Default>(
        self,
        result: FsResult<T>,
        is_done: impl FnOnce(&FsError) -> bool,
    ) -> FsResult<T> {
        match result {
            Err(error) if self.is_again() && is_done(&error) => Ok(T::default()),
            result => result,
        }
    }
}

/// The number of a request, which is the same when it is sent again.
pub(super) fn number(request: &Request) -> u64 {
    request.unique().0 & !RESENT
}

/// Something new under a name; what is there is what was made the first time.
pub(super) async fn made(
    fs: &Fs,
    (parent, name): (Ino, &OsStr),
    sent: Sent,
    make: impl Future<Output = FsResult<Trusted<Attr>>>,
) -> FsResult<Trusted<Attr>> {
    match make.await {
        Err(FsError::Exists) if sent.is_again() => fs.lookup(parent, name).await,
        made => made,
    }
}

/// A handle for the kernel: the one that the killed process was about to tell, if it had one.
pub(super) async fn opened(
    fs: &Fs,
    (sent, number): (Sent, u64),
    open: impl Future<Output = FsResult<Opened>>,
) -> FsResult<Opened> {
    if sent.is_again()
        && let Some((_, fh)) = fs.told_before(number)
    {
        return Ok(known(fh));
    }
    let opened = open.await?;
    fs.told(opened.fh, number);
    Ok(opened)
}

/// The same of a file that is made if it is not there. Made the first time, it is there.
pub(super) async fn created(
    fs: &Fs,
    (sent, number): (Sent, u64),
    (parent, name): (Ino, &OsStr),
    (new, mode): (NewNode, OpenMode),
) -> FsResult<(Trusted<Attr>, Opened)> {
    if sent.is_again()
        && let Some((ino, fh)) = fs.told_before(number)
    {
        // Its lookup was counted.
        return Ok((fs.getattr(ino, Some(fh)).await?, known(fh)));
    }
    let (attr, opened) = match fs.create(parent, name, new, mode).await {
        Err(FsError::StaleInode | FsError::Exists) if sent.is_again() => {
            let made = fs.lookup(parent, name).await?;
            (made, fs.open(made.value.ino, mode).await?)
        }
        created => created?,
    };
    fs.told(opened.fh, number);
    Ok((attr, opened))
}

const fn known(fh: Fh) -> Opened {
    Opened {
        fh,
        cache: PageCache::Drop,
    }
}
