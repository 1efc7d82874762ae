//! Descriptors that a process leaves open for the program that it starts or becomes, by their
//! numbers on its command line.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::dup;

use crate::mount::Handover;

/// Another descriptor of the same, which stays open in the next program.
///
/// # Errors
/// dup(2)'s.
pub(super) fn leave(descriptor: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(dup(descriptor)?)
}

/// The same of all that is handed over: the numbers as they are typed, and what keeps them open.
///
/// # Errors
/// dup(2)'s.
pub(super) fn leave_handover(handover: &Handover) -> io::Result<(String, Vec<OwnedFd>)> {
    let left = handover.descriptors().into_iter().map(leave);
    let left = left.collect::<io::Result<Vec<_>>>()?;
    let numbers = left.iter().map(|one| one.as_raw_fd().to_string());
    Ok((numbers.collect::<Vec<_>>().join(","), left))
}

/// What another process has handed over by these.
///
/// # Errors
/// As of [`take`]; `UnexpectedEof` when something is missing.
pub(super) fn take_handover(numbers: &[RawFd]) -> io::Result<Handover> {
    let taken = numbers.iter().map(|number| take(*number));
    let taken = taken.collect::<io::Result<Vec<_>>>()?;
    Handover::of_descriptors(taken).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Takes one that was left open for this process, each once. Programs that this one starts do not
/// get it.
///
/// # Errors
/// When there is none of that number.
pub(super) fn take(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: its number is on the command line because nothing else here knows it.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: as above, and it is open.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
