//! How umount(8) waits until a daemon has stored everything: the daemon keeps a file locked from
//! before its mount is live until it ends, however it ends. Knows no filesystem.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;

/// Where the files of root's daemons are.
const RUN_DIR: &str = "/run/s3fs";
/// Where a user's directory for such files is (pam_systemd(8)).
const USER_RUN_DIR: &str = "/run/user";
/// Where a user makes one who has no session, as in cron(8).
const NO_SESSION_DIR: &str = "/tmp";

/// Kept by a daemon as long as it lives.
#[derive(Debug)]
pub(super) struct Claim {
    _locked: Flock<File>,
    path: PathBuf,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Who waits has it open; a file that stays is taken away by the next of that number.
        let _ = fs::remove_file(&self.path);
    }
}

/// Tells umount(8) whom to wait for: the daemon of the superblock `device`, mounted by `uid`.
///
/// # Errors
/// When there is no such directory, or it cannot be written.
pub(super) fn claim(device: &str, uid: u32) -> io::Result<Claim> {
    let mut refused = io::Error::from(io::ErrorKind::NotFound);
    for dir in run_dirs(uid) {
        match claim_in(&dir, device) {
            Ok(claim) => return Ok(claim),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn claim_in(dir: &Path, device: &str) -> io::Result<Claim> {
    match DirBuilder::new().mode(0o755).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if !is_of(dir, geteuid().as_raw()) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let path = dir.join(device);
    // One of a daemon that was killed: the number is ours now.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&path)?;
    // For people.
    writeln!(file, "{}", std::process::id())?;
    let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
    Ok(Claim {
        _locked: locked,
        path,
    })
}

/// The daemon of a superblock, to be waited for; opened before the unmount, after which the number
/// may be another's.
#[derive(Debug)]
pub(super) struct Daemon(File);

/// The daemon of the superblock `device`, mounted by `uid`; `None` when it is not known.
pub(super) fn daemon(device: &str, uid: u32) -> Option<Daemon> {
    let mut dirs = run_dirs(uid).into_iter().filter(|dir| is_of(dir, uid));
    let file = dirs.find_map(|dir| {
        // Whatever the user has put there.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let mut options = OpenOptions::new();
        let options = options.read(true).custom_flags(flags);
        options.open(dir.join(device)).ok()
    });
    file.map(Daemon)
}

impl Daemon {
    /// Waits until it has ended.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn wait(self) -> io::Result<()> {
        let mut file = self.0;
        loop {
            match Flock::lock(file, FlockArg::LockShared) {
                Ok(_) => return Ok(()),
                Err((unlocked, Errno::EINTR)) => file = unlocked,
                Err((_, errno)) => return Err(errno.into()),
            }
        }
    }
}

/// Where such files may be, the best first.
fn run_dirs(uid: u32) -> Vec<PathBuf> {
    match uid {
        0 => vec![RUN_DIR.into()],
        uid => vec![
            Path::new(USER_RUN_DIR).join(uid.to_string()).join("s3fs"),
            Path::new(NO_SESSION_DIR).join(format!("s3fs-{uid}")),
        ],
    }
}

/// Whether nobody else has made this directory.
fn is_of(dir: &Path, uid: u32) -> bool {
    dir.symlink_metadata()
        .is_ok_and(|about| about.is_dir() && about.uid() == uid)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_waits_is_let_go_when_the_claim_is_dropped_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let run_dir = dir.path().join("s3fs");
        // Of a daemon that was killed.
        fs::create_dir(&run_dir).unwrap();
        fs::write(run_dir.join("0:57"), "").unwrap();
        let claim = claim_in(&run_dir, "0:57").unwrap();
        let daemon = Daemon(File::open(run_dir.join("0:57")).unwrap());
        let (sender, receiver) = mpsc::channel();
        let waiting = std::thread::spawn(move || sender.send(daemon.wait().is_ok()));
        let early = receiver.recv_timeout(Duration::from_millis(100));
        assert_eq!(early, Err(mpsc::RecvTimeoutError::Timeout));
        drop(claim);
        assert_eq!(receiver.recv(), Ok(true));
        waiting.join().unwrap().unwrap();
        assert_eq!(fs::read_dir(&run_dir).unwrap().count(), 0);
    }
}
