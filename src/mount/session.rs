//! Sessions of the FUSE library: new ones, and ones on a connection that another process began.
//! Knows no mount.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;

use fuser::{Session, SessionACL};
use log::warn;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{read, write};
use tokio::sync::oneshot;

use crate::fuse::{FuseFs, UnderWay};

/// Threads that read requests. They only unpack, look into memory and reply, so a few keep up with
/// the kernel; each has a buffer of which at most one WRITE request is ever touched.
const SESSION_THREADS: usize = 4;

/// A session that does not answer yet.
#[derive(Debug)]
pub(super) struct Ready {
    session: Session<FuseFs>,
    /// The requests that it will have under way.
    pub(super) under_way: UnderWay,
}

/// A session on a new connection.
///
/// # Errors
/// When the kernel and this program do not come to terms.
pub(super) fn begin(filesystem: FuseFs, device: OwnedFd) -> io::Result<Ready> {
    let under_way = filesystem.under_way();
    // Who may come in is the kernel's decision (allow_other, default_permissions); the library's
    // own check would also refuse a process that changed its user after open.
    let session = Session::from_fd(filesystem, device, SessionACL::All, settings())?;
    Ok(Ready { session, under_way })
}

fn settings() -> fuser::Config {
    let mut settings = fuser::Config::default();
    settings.n_threads = Some(SESSION_THREADS);
    // One description for all threads: requests read from a clone are lost with it in a crash.
    settings.clone_fd = false;
    settings
}

/// Answers the requests of a session until the kernel ends it; the receiver then gets the outcome.
///
/// # Errors
/// When there can be no thread.
pub(super) fn answer(ready: Ready) -> io::Result<oneshot::Receiver<io::Result<()>>> {
    let (sender, ended) = oneshot::channel();
    thread::Builder::new()
        .name("fuse-session".to_owned())
        .spawn(move || {
            // Nobody listens when the process is on its way out.
            let _ = sender.send(ready.session.run());
        })?;
    Ok(ended)
}

/// A session on a connection that another process has begun. The library begins one with a
/// handshake, which the kernel holds once: so it is given one that is made up, on a socket, and
/// then the connection in the socket's place.
///
/// # Errors
/// The kernel's.
pub(super) fn adopt(filesystem: FuseFs, device: &OwnedFd) -> io::Result<Ready> {
    let (ours, theirs) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?;
    write(&ours, &init_request())?;
    let ready = begin(filesystem, theirs)?;
    // What it answers was answered to the kernel long ago.
    read(&ours, &mut [0; 256])?;
    // SAFETY: both are open, and the session's number stays the session's.
    let replaced = unsafe {
        libc::dup3(
            device.as_raw_fd(),
            ready.session.as_fd().as_raw_fd(),
            libc::O_CLOEXEC,
        )
    };
    if replaced < 0 {
        return Err(io::Error::last_os_error());
    }
    if let Err(error) = write(device, &resend_notification()) {
        warn!("requests that were under way are not sent again: {error}; their callers wait");
    }
    Ok(ready)
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
