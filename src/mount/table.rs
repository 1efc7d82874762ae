//! What is done about mounts that are there, and that another process serves: looked for, changed,
//! unmounted.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use super::control::Daemon;
use super::point::{FSTYPE, TableEntry, is_dead, mounted_at};
use super::{MountError, kernel};
use crate::config::Config;

/// How to unmount: umount(8).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Unmount {
    /// At once, whatever is in use; nothing is waited for.
    pub lazy: bool,
    /// With an error for what is under way.
    pub force: bool,
    /// Made read-only if it cannot be unmounted.
    pub read_only: bool,
}

/// Whether the mount asked for is there already, by its mount point and its source, and alive.
pub fn is_mounted(config: &Config) -> bool {
    // Of one whose daemon is gone nothing can be resolved.
    let Ok(path) = fs::canonicalize(&config.mountpoint) else {
        return false;
    };
    let entry = mounted_at(&path).ok().flatten();
    let is_it = |entry: TableEntry| entry.fstype == FSTYPE && entry.source == *config.shown_source;
    entry.is_some_and(is_it) && !is_dead(&path)
}

/// Makes a mount read-only or not, and changes what else the kernel lets change. Set-user-id bits
/// and devices stay as they are unless words say otherwise: mount(8) does not pass on `suid` and
/// `dev`.
///
/// # Errors
/// [`MountError::NotMounted`]; [`MountError::Refused`].
pub fn remount(path: &Path, read_only: bool, words: &[String]) -> Result<(), MountError> {
    let (path, entry) = ours(path)?;
    let is_shared = entry.root != Path::new("/");
    let stays = [(entry.allows_suid, "suid"), (entry.allows_dev, "dev")];
    let stays = stays.into_iter().filter(|(is_allowed, _)| *is_allowed);
    let stays = stays.map(|(_, word)| word.to_owned());
    let words: Vec<String> = stays.chain(words.iter().cloned()).collect();
    kernel::remount(&path, is_shared, read_only, &words)
        .map_err(|source| MountError::Refused { path, source })
}

/// Unmounts by umount(8), which keeps its own tables and lets users unmount what is theirs, and
/// waits until the daemon has stored everything.
///
/// # Errors
/// [`MountError::NotMounted`]; [`MountError::UmountRefused`]; [`MountError::NotStored`];
/// [`MountError::DaemonLost`].
pub fn unmount(path: &Path, how: Unmount) -> Result<(), MountError> {
    let unusable = |source| MountError::PointUnusable {
        path: path.to_owned(),
        source,
    };
    let (path, entry) = ours(path)?;
    let daemon = || Daemon::of(&entry.device, entry.uid?);
    // Where mounts share a superblock, the source's directory in its root.
    let name = entry.root.iter().nth(1).unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let asked = daemon().filter(|_| !how.lazy);
    let attending = asked.and_then(|daemon| daemon.attend(&name).ok());
    let mut umount = Command::new("umount");
    // Not by this program again.
    umount.arg("-i");
    for (is_wanted, flag) in [(how.lazy, "-l"), (how.force, "-f"), (how.read_only, "-r")] {
        umount.args(is_wanted.then_some(flag));
    }
    umount.arg("--").arg(&path).stdin(Stdio::null());
    let umount = umount.stdout(Stdio::inherit()).output().map_err(unusable)?;
    // By force the kernel ends the connection, and then may find files open: what they have not
    // published is saved by the daemon, which then takes the mount away.
    let is_left_dead = how.force && is_dead(&path);
    let is_gone = mounted_at(&path).map_err(unusable)?.as_ref() != Some(&entry);
    let is_ended = is_left_dead || how.force && is_gone;
    if !is_ended {
        // Where this cannot be said nobody would read what this program says of it either.
        let _ = io::stderr().write_all(&umount.stderr);
    }
    if !umount.status.success() && !is_ended {
        let code = umount
            .status
            .code()
            .and_then(|code| u8::try_from(code).ok());
        // Ended by a signal: a system error, as of mount(8).
        let code = code.unwrap_or(2);
        return Err(MountError::UmountRefused { code });
    }
    let Some(attending) = attending.filter(|_| is_gone || is_ended) else {
        return Ok(());
    };
    // One that is killed meanwhile has a successor with the same socket.
    let stored = attending.wait().or_else(|lost| match daemon() {
        Some(next) => next.attend(&name)?.wait(),
        None => Err(lost),
    });
    match stored {
        Ok(failed) if failed.is_empty() => Ok(()),
        Ok(failed) => Err(MountError::NotStored { failed }),
        Err(source) => Err(MountError::DaemonLost { path, source }),
    }
}

/// Has the daemon of a mount go on in another program, with everything that is open.
///
/// # Errors
/// [`MountError::NotMounted`]; [`MountError::NotAnswered`]; [`MountError::NotUpgraded`].
pub fn upgrade(path: &Path, program: &Path) -> Result<(), MountError> {
    let (path, entry) = ours(path)?;
    let daemon = entry.uid.and_then(|uid| Daemon::of(&entry.device, uid));
    let answer = match daemon {
        Some(daemon) => daemon.upgrade(program),
        None => Err(io::ErrorKind::NotFound.into()),
    };
    match answer {
        Ok(None) => Ok(()),
        Ok(Some(said)) => Err(MountError::NotUpgraded { path, said }),
        Err(source) => Err(MountError::NotAnswered { path, source }),
    }
}

/// The mount of this program at a path, which may be a dead one.
fn ours(path: &Path) -> Result<(PathBuf, TableEntry), MountError> {
    let unusable = |source| MountError::PointUnusable {
        path: path.to_owned(),
        source,
    };
    let real = match fs::canonicalize(path) {
        // Nothing can be resolved through a dead mount, so the path is taken as it is.
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => path.to_owned(),
        Err(error) => return Err(unusable(error)),
        Ok(real) => real,
    };
    match mounted_at(&real).map_err(unusable)? {
        Some(entry) if entry.fstype == FSTYPE => Ok((real, entry)),
        _ => Err(MountError::NotMounted { path: real }),
    }
}
