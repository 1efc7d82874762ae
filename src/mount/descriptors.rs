//! Descriptors that go from process to process over a socket (unix(7), SCM_RIGHTS). Knows nothing
//! of what they are of.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// Sends them with one byte.
///
/// # Errors
/// The socket's.
pub(super) fn send(socket: impl AsFd, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let message = [ControlMessage::ScmRights(&raw)];
    let byte = [IoSlice::new(b"+")];
    let socket = socket.as_fd().as_raw_fd();
    sendmsg::<()>(socket, &byte, &message, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Those that come with the next byte; `None` when there are not as many.
///
/// # Errors
/// The socket's.
pub(super) fn receive<const N: usize>(socket: impl AsFd) -> io::Result<Option<[OwnedFd; N]>> {
    let mut byte = [0_u8];
    let mut buffers = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!([RawFd; N]);
    let message = loop {
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let socket = socket.as_fd().as_raw_fd();
        match recvmsg::<()>(socket, &mut buffers, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            result => break result?,
        }
    };
    let mut received = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            // SAFETY: the kernel has just made these descriptors for this process, and nobody else
            // here knows their numbers.
            let owned = raw
                .into_iter()
                .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
            received.extend(owned);
        }
    }
    Ok(received.try_into().ok())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_is_sent_is_received_and_too_few_are_none() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"content").unwrap();
        file.rewind().unwrap();
        send(&ours, &[file.as_fd(), ours.as_fd()]).unwrap();
        let [got, _] = receive::<2>(&theirs).unwrap().unwrap();
        let mut read = String::new();
        std::fs::File::from(got).read_to_string(&mut read).unwrap();
        assert_eq!(read, "content");
        send(&ours, &[file.as_fd()]).unwrap();
        assert!(receive::<2>(&theirs).unwrap().is_none());
        drop(ours);
        assert!(receive::<1>(&theirs).unwrap().is_none());
    }
}
