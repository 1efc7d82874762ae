//! Sessions of the FUSE library: new ones, and ones on a connection that another process began; and
//! what becomes of the requests that are under way when the process is killed. Knows no mount.
//!
//! Sources: fs/fuse/dev.c of Linux 4.19 to 6.18.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;

use fuser::{Session, SessionACL};
use log::{debug, warn};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{read, write};
use tokio::sync::oneshot;

use super::kernel;
use crate::fuse::{FuseFs, Notices, UnderWay};

/// Threads that read requests. They only unpack, look into memory and reply, so a few keep up with
/// the kernel; each has a buffer of which at most one WRITE request is ever touched.
const SESSION_THREADS: usize = 4;

/// A session that does not answer yet.
#[derive(Debug)]
pub(super) struct Ready {
    session: Session<FuseFs>,
    /// The requests that it will have under way.
    pub(super) under_way: UnderWay,
    notices: Notices,
}

impl Ready {
    /// Takes the requests of the connection, so that no caller waits for ever when this process is
    /// killed while `device` is held by another. Where the kernel sends again what was read and not
    /// answered (FUSE_NOTIFY_RESEND, since Linux 6.9; `resends` says whether it may be asked) it
    /// does so from now on. Else they are read by a descriptor that is this process's alone: when
    /// that is closed, what was read by it fails with ECONNABORTED (fuse_dev_release,
    /// end_requests), and everything else of the connection goes on.
    fn connect(self, device: &OwnedFd, resends: bool) -> io::Result<Self> {
        // EINVAL where the notification is not known (fuse_notify).
        if resends && write(device, &resend_notification()).is_ok() {
            self.read_from(device)?;
            return Ok(self);
        }
        match clone_of(device) {
            Ok(own) => {
                debug!("the kernel sends nothing again: what is under way ends with this process");
                self.read_from(&own)?;
            }
            Err(error) => {
                warn!("killed, this process leaves callers that wait for ever: {error}");
                self.read_from(device)?;
            }
        }
        Ok(self)
    }

    /// Puts a descriptor in the place of the session's.
    fn read_from(&self, device: &OwnedFd) -> io::Result<()> {
        let (new, old) = (device.as_raw_fd(), self.session.as_fd().as_raw_fd());
        // SAFETY: both are open, and the session's number stays the session's.
        match unsafe { libc::dup3(new, old, libc::O_CLOEXEC) } {
            replaced if replaced < 0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}

/// The same connection by another file, which has requests under way of its own.
///
/// # Errors
/// The kernel's.
fn clone_of(device: &OwnedFd) -> io::Result<OwnedFd> {
    /// FUSE_DEV_IOC_CLONE, since Linux 4.2 (include/uapi/linux/fuse.h).
    const CLONE: libc::Ioctl = libc::_IOR::<u32>(229, 0);
    let own = kernel::open_device()?;
    let number = device.as_raw_fd();
    // SAFETY: the kernel reads a descriptor's number from where the pointer points to.
    match unsafe { libc::ioctl(own.as_raw_fd(), CLONE, &raw const number) } {
        refused if refused < 0 => Err(io::Error::last_os_error()),
        _ => Ok(own),
    }
}

/// A session on a new connection, which may be asked to send requests again (`resends`).
///
/// # Errors
/// When the kernel and this program do not come to terms.
pub(super) fn begin(filesystem: FuseFs, device: &OwnedFd, resends: bool) -> io::Result<Ready> {
    handshake(filesystem, device.try_clone()?)?.connect(device, resends)
}

fn handshake(filesystem: FuseFs, device: OwnedFd) -> io::Result<Ready> {
    let (under_way, notices) = (filesystem.under_way(), filesystem.notices());
    // Who may come in is the kernel's decision (allow_other, default_permissions); the library's
    // own check would also refuse a process that changed its user after open.
    let session = Session::from_fd(filesystem, device, SessionACL::All, settings())?;
    Ok(Ready {
        session,
        under_way,
        notices,
    })
}

fn settings() -> fuser::Config {
    let mut settings = fuser::Config::default();
    settings.n_threads = Some(SESSION_THREADS);
    // One file for all threads: `Ready::connect` has chosen it.
    settings.clone_fd = false;
    settings
}

/// Answers the requests of a session until the kernel ends it; the receiver then gets the outcome.
///
/// # Errors
/// When there can be no thread.
pub(super) fn answer(ready: Ready) -> io::Result<oneshot::Receiver<io::Result<()>>> {
    let (sender, ended) = oneshot::channel();
    let Ready {
        session, notices, ..
    } = ready;
    notices.begin(session.notifier(), session.as_fd().try_clone_to_owned()?);
    thread::Builder::new()
        .name("fuse-session".to_owned())
        .spawn(move || {
            let outcome = session.run();
            notices.end();
            // Nobody listens when the process is on its way out.
            let _ = sender.send(outcome);
        })?;
    Ok(ended)
}

/// A session on a connection that another process has begun. The library begins one with a
/// handshake, which the kernel holds once: so it is given one that is made up, on a socket, and
/// then the connection in the socket's place.
///
/// # Errors
/// The kernel's.
pub(super) fn adopt(filesystem: FuseFs, device: &OwnedFd, resends: bool) -> io::Result<Ready> {
    let (ours, theirs) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?;
    write(&ours, &init_request())?;
    let ready = handshake(filesystem, theirs)?;
    // What it answers was answered to the kernel long ago.
    read(&ours, &mut [0; 256])?;
    ready.connect(device, resends)
}

/// FUSE_INIT as the kernel sends it (include/uapi/linux/fuse.h), offering everything: what is made
/// of it was agreed on before.
fn init_request() -> Vec<u8> {
    /// fuse_in_header and fuse_init_in.
    const BYTES: u32 = 40 + 64;
    const FUSE_INIT: u32 = 26;
    const UNIQUE: u64 = 2;
    let mut request = Vec::new();
    request.extend(BYTES.to_ne_bytes());
    request.extend(FUSE_INIT.to_ne_bytes());
    request.extend(UNIQUE.to_ne_bytes());
    // No inode, user or process.
    request.extend([0; 24]);
    for field in [7, 40, 0, u32::MAX, u32::MAX] {
        request.extend(u32::to_ne_bytes(field));
    }
    request.resize(BYTES as usize, 0);
    request
}

/// A notification with the code FUSE_NOTIFY_RESEND and nothing behind its header.
fn resend_notification() -> Vec<u8> {
    const BYTES: u32 = 16;
    const FUSE_NOTIFY_RESEND: i32 = 7;
    let mut notification = Vec::new();
    notification.extend(BYTES.to_ne_bytes());
    notification.extend(FUSE_NOTIFY_RESEND.to_ne_bytes());
    notification.extend(0_u64.to_ne_bytes());
    notification
}
