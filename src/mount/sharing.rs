//! Several mounts on one superblock: the kernel copies between files of one superblock by asking
//! its daemon, and between two by reading and writing.
//!
//! A daemon's superblock shows each source as a directory of its root. Each mount is a mount of its
//! own of that superblock, with its source and flags, made at a place nobody sees; a bind of the
//! directory is what stays. When the last of them is gone, from every namespace, the kernel ends
//! the connection and with it the daemon.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use log::{debug, info, warn};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::utsname::uname;

use super::MountError;
use super::control::{self, Daemon, Reply};
use super::kernel::{self, Detach, KernelMount};
use super::point::mounted_at;
use crate::config::{Config, ShownSource};

/// The first kernel that mounts an active connection once more (commit 62dd1fc8cc6b).
const KERNEL_MIN: (u32, u32) = (5, 15);
/// The directory, in that of the sockets, in which a mount is made.
const MAKING: &str = "making";
/// That of a new superblock, which the kernel does not mount twice at one place.
const BEGINNING: &str = "beginning";
/// What is locked while a daemon is looked for, or started.
const LOCK: &str = "lock";
/// What the mount table shows while the first mount of a superblock is made.
const ROOT_SOURCE: &str = "s3fs";

/// While it lives, no other mount of this user looks for a daemon, starts one, or mounts.
#[derive(Debug)]
pub(super) struct Turn {
    dir: PathBuf,
    _lock: Flock<File>,
}

/// Whether the kernel can mount a superblock once more.
pub(super) fn is_possible() -> bool {
    let release = uname().map(|name| name.release().to_string_lossy().into_owned());
    release.is_ok_and(|release| version(&release) >= Some(KERNEL_MIN))
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    Some((major, numbers.next()?.parse().ok()?))
}

impl Turn {
    /// Waits for the others.
    ///
    /// # Errors
    /// When there can be no such directory or lock.
    pub(super) fn wait() -> io::Result<Self> {
        let dir = control::make_run_dir()?;
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(dir.join(LOCK))?;
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
        // Of a process that was killed while it was at it.
        for place in [MAKING, BEGINNING].map(|name| dir.join(name)) {
            while mounted_at(&place)?.is_some() {
                kernel::detach(&place, Detach::Lazy)?;
            }
        }
        Ok(Self { dir, _lock: lock })
    }

    /// Mounts as part of a daemon that is there; whether there was one to join.
    ///
    /// # Errors
    /// Why the kernel refused.
    pub(super) fn join(
        &self,
        config: &Config,
        shown: &ShownSource,
        wanted: &KernelMount,
    ) -> Result<bool, MountError> {
        let mut apart = false;
        for socket in self.sockets() {
            let asked = Daemon::at(&socket).and_then(|daemon| {
                let common = config.common();
                daemon.join(common, shown.clone())
            });
            match asked {
                Ok(Reply::Joined { device, name }) => match self.mount(&device, &name, wanted) {
                    // Its last mount has gone meanwhile, and it is about to end.
                    Err(MountError::Refused { source, .. })
                        if source.raw_os_error() == Some(libc::ENOTCONN) => {}
                    mounted => return mounted.map(|()| true),
                },
                Ok(Reply::Apart { is_same_store }) => apart |= is_same_store,
                Err(error) => debug!("{}: {error}", socket.display()),
            }
        }
        if apart {
            info!(
                "{}: apart from other mounts of this store, whose options differ; copies between \
                 them go through this machine",
                wanted.source
            );
        }
        Ok(false)
    }

    fn sockets(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return Vec::new();
        };
        let is_socket = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.contains(':'))
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths.filter(is_socket).collect()
    }

    /// Makes a new superblock, which no mount shows yet, and its connection to the kernel.
    ///
    /// # Errors
    /// Why the kernel refused.
    pub(super) fn begin(&self, wanted: &KernelMount) -> Result<(Begun, OwnedFd), MountError> {
        let path = self.place(BEGINNING)?;
        let device = kernel::attach_directly(&KernelMount {
            source: ROOT_SOURCE.to_owned(),
            path: path.clone(),
            // Each mount is, or not.
            read_only: false,
            ..wanted.clone()
        })?;
        kernel::make_private(&path).map_err(|source| MountError::Refused {
            path: path.clone(),
            source,
        })?;
        Ok((Begun { path }, device))
    }

    /// Mounts the directory `name` of the root of an active connection.
    ///
    /// # Errors
    /// Why the kernel refused.
    pub(super) fn mount(
        &self,
        device: &OwnedFd,
        name: &str,
        wanted: &KernelMount,
    ) -> Result<(), MountError> {
        let whole = KernelMount {
            path: self.place(MAKING)?,
            ..wanted.clone()
        };
        kernel::attach_again(&whole, device)?;
        // A bind of what other namespaces see would see their mounts in it.
        let bound = kernel::make_private(&whole.path)
            .and_then(|()| kernel::bind(&whole.path.join(name), &wanted.path));
        detach(&whole.path);
        bound.map_err(|source| MountError::Refused {
            path: wanted.path.clone(),
            source,
        })
    }

    /// A place to make a mount at, empty.
    fn place(&self, name: &str) -> Result<PathBuf, MountError> {
        let path = self.dir.join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                Err(MountError::PointUnusable { path, source })
            }
            _ => Ok(path),
        }
    }
}

/// A superblock on whose root its first mount is yet to be made; dropped, its root goes out of
/// sight.
#[derive(Debug)]
pub(super) struct Begun {
    path: PathBuf,
}

impl Begun {
    /// Where it is out of sight.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        detach(&self.path);
    }
}

fn detach(path: &Path) {
    if let Err(error) = kernel::detach(path, Detach::Lazy) {
        warn!("{}: cannot be unmounted: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_kernel_s_version_is_the_first_two_numbers() {
        assert_eq!(version("6.18.44-fc-v657"), Some((6, 18)));
        assert_eq!(version("5.4.0-150-generic"), Some((5, 4)));
        assert_eq!(version("6.1"), Some((6, 1)));
        assert_eq!(version("x"), None);
    }
}
