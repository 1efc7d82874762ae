//! A shared mapping that is read and written by system calls, which fail where a program that
//! touches it would get SIGBUS. Knows no mount.

use std::fs::File;
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr::null_mut;

/// The first bytes of a file, mapped.
pub struct Mapping {
    start: *mut libc::c_void,
    len: usize,
    /// What bytes go through on their way to and from the mapping.
    between: File,
}

impl Mapping {
    /// Maps `len` bytes of a file, more than there are if so wanted.
    pub fn new(file: &File, len: usize, can_write: bool) -> Result<Self> {
        let write = if can_write { libc::PROT_WRITE } else { 0 };
        let (protection, of) = (libc::PROT_READ | write, file.as_raw_fd());
        // SAFETY: a new mapping, at an address that the kernel chooses; nothing refers to it.
        let start = unsafe { libc::mmap(null_mut(), len, protection, libc::MAP_SHARED, of, 0) };
        if start == libc::MAP_FAILED {
            return Err(Error::last_os_error());
        }
        // SAFETY: the name is a C string.
        let between = unsafe { libc::memfd_create(c"between".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(between >= 0, "{}", Error::last_os_error());
        // SAFETY: the descriptor was just made, and nothing else has it.
        let between = unsafe { File::from_raw_fd(between) };
        Ok(Self {
            start,
            len,
            between,
        })
    }

    /// The bytes at a position.
    ///
    /// # Errors
    /// EFAULT where a page cannot be had.
    pub fn read(&self, at: usize, len: usize) -> Result<Vec<u8>> {
        use std::os::unix::fs::FileExt as _;
        let from = self.at(at, len);
        // SAFETY: the range is mapped; the kernel tells when it cannot be read.
        let copied = unsafe { libc::pwrite(self.between.as_raw_fd(), from, len, 0) };
        check(copied, len)?;
        let mut bytes = vec![0; len];
        self.between.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Changes the bytes at a position, and has them stored: msync(2) is an fsync(2) of the file.
    ///
    /// # Errors
    /// EFAULT where a page cannot be had; those of msync(2).
    pub fn write(&self, at: usize, bytes: &[u8]) -> Result<()> {
        use std::os::unix::fs::FileExt as _;
        self.between.write_all_at(bytes, 0)?;
        let to = self.at(at, bytes.len());
        // SAFETY: the range is mapped, and no reference of Rust's is to it.
        let copied = unsafe { libc::pread(self.between.as_raw_fd(), to, bytes.len(), 0) };
        check(copied, bytes.len())?;
        // SAFETY: the range is mapped.
        let synced = unsafe { libc::msync(self.start, self.len, libc::MS_SYNC) };
        check(synced as isize, 0)
    }

    fn at(&self, at: usize, len: usize) -> *mut libc::c_void {
        assert!(at + len <= self.len, "{at}, {len} is not mapped");
        self.start.wrapping_byte_add(at)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping any more.
        unsafe { libc::munmap(self.start, self.len) };
    }
}

/// Whether as much was done as was asked for.
fn check(done: isize, asked: usize) -> Result<()> {
    match usize::try_from(done) {
        Ok(done) if done == asked => Ok(()),
        Ok(_) => Err(Error::from_raw_os_error(libc::EFAULT)),
        Err(_) => Err(Error::last_os_error()),
    }
}
