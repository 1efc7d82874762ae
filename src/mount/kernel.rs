//! Makes the kernel mount and unmount: mount(2) where allowed, else fusermount3. Yields and knows
//! nothing but a descriptor of /dev/fuse, so that a session can also be served by a process that
//! did not mount it.
//!
//! Not left to the FUSE library: its own mount cannot give the kernel a subtype and, when dropped,
//! may unmount whatever is at the path by then.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use log::debug;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::statvfs;
use nix::unistd::{getegid, geteuid};

use super::{MountError, descriptors};

/// The device the kernel sends requests through.
const DEVICE: &str = "/dev/fuse";
/// The set-user-id program that mounts for those who may not.
const HELPER: &str = "fusermount3";
/// Names to fusermount3 the socket on which it hands over the descriptor (libfuse's
/// util/fusermount.c).
const HELPER_SOCKET_ENV: &str = "_FUSE_COMMFD";
/// The part of the type behind `fuse.` in the mount table.
const SUBTYPE: &str = "s3fs";

/// What one READ request asks for at most: 256 pages, the kernel's own limit unless
/// fs.fuse.max_pages_limit is raised.
const READ_AHEAD_KIB: u32 = 1024;

/// What the kernel is told of a mount.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct KernelMount {
    /// The source shown in the mount table.
    pub(super) source: String,
    /// Where, absolute and without symbolic links.
    pub(super) path: PathBuf,
    /// Let users other than the mounting one in.
    pub(super) allow_other: bool,
    /// Mount read-only.
    pub(super) read_only: bool,
    /// Words of mount(8), in the order given.
    pub(super) words: Vec<String>,
}

/// The words of mount(8) that become flags of mount(2), and what each sets or clears.
const FLAGS: &[(&str, bool, MsFlags)] = &[
    ("nosuid", true, MsFlags::MS_NOSUID),
    ("suid", false, MsFlags::MS_NOSUID),
    ("nodev", true, MsFlags::MS_NODEV),
    ("dev", false, MsFlags::MS_NODEV),
    ("noexec", true, MsFlags::MS_NOEXEC),
    ("exec", false, MsFlags::MS_NOEXEC),
    ("noatime", true, MsFlags::MS_NOATIME),
    ("atime", false, MsFlags::MS_NOATIME),
    ("nodiratime", true, MsFlags::MS_NODIRATIME),
    ("diratime", false, MsFlags::MS_NODIRATIME),
    ("relatime", true, MsFlags::MS_RELATIME),
    ("norelatime", false, MsFlags::MS_RELATIME),
    ("strictatime", true, MsFlags::MS_STRICTATIME),
    ("sync", true, MsFlags::MS_SYNCHRONOUS),
    ("async", false, MsFlags::MS_SYNCHRONOUS),
    ("dirsync", true, MsFlags::MS_DIRSYNC),
];

/// Whether the kernel acts on this word of mount(8).
pub fn is_kernel_word(word: &str) -> bool {
    FLAGS.iter().any(|(name, ..)| *name == word)
}

/// nosuid and nodev unless asked otherwise, as every network filesystem should be mounted: who can
/// write to the bucket must not become root here.
fn flags(read_only: bool, words: &[String]) -> MsFlags {
    let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    flags.set(MsFlags::MS_RDONLY, read_only);
    for word in words {
        if let Some((_, on, flag)) = FLAGS.iter().find(|(name, ..)| name == word) {
            flags.set(*flag, *on);
        }
    }
    flags
}

impl KernelMount {
    fn flags(&self) -> MsFlags {
        flags(self.read_only, &self.words)
    }

    /// What fusermount3 is told: it makes the same flags of the same words.
    fn helper_options(&self) -> String {
        let mut options = vec![
            format!("fsname={}", escape(&self.source)),
            format!("subtype={SUBTYPE}"),
            "default_permissions".to_owned(),
            "nosuid".to_owned(),
            "nodev".to_owned(),
        ];
        options.extend(self.allow_other.then(|| "allow_other".to_owned()));
        options.extend(self.read_only.then(|| "ro".to_owned()));
        options.extend(self.words.iter().cloned());
        options.join(",")
    }
}

/// fusermount3 splits options at commas that no backslash precedes.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,")
}

/// Mounts, and returns the descriptor through which the kernel sends its requests; the first is
/// FUSE_INIT, and every access waits until it is answered.
///
/// # Errors
/// Why the kernel, or fusermount3, refused.
pub(super) fn attach(wanted: &KernelMount) -> Result<OwnedFd, MountError> {
    if geteuid().is_root() {
        match attach_directly(wanted) {
            // Root without CAP_SYS_ADMIN, as in a container.
            Err(MountError::Refused { source, .. })
                if source.raw_os_error() == Some(libc::EPERM) => {}
            result => return result,
        }
    }
    attach_by_helper(wanted)
}

/// As [`attach`], by mount(2) alone.
///
/// # Errors
/// Why the kernel refused.
pub(super) fn attach_directly(wanted: &KernelMount) -> Result<OwnedFd, MountError> {
    let device = open_device().map_err(|source| MountError::Device { source })?;
    attach_again(wanted, &device)?;
    Ok(device)
}

/// A descriptor of the device that is of no connection yet.
///
/// # Errors
/// Those of open(2).
pub(super) fn open_device() -> io::Result<OwnedFd> {
    let mut options = OpenOptions::new();
    let device = options.read(true).write(true).open(DEVICE)?;
    Ok(device.into())
}

/// Mounts the superblock of an active connection once more, with a source and flags of its own.
///
/// # Errors
/// Why the kernel refused: `ENOTCONN` when the last mount of the connection is gone.
pub(super) fn attach_again(wanted: &KernelMount, device: &OwnedFd) -> Result<(), MountError> {
    let mut options = format!(
        "fd={},rootmode=40000,user_id={},group_id={},default_permissions,subtype={SUBTYPE}",
        device.as_raw_fd(),
        geteuid(),
        getegid(),
    );
    if wanted.allow_other {
        options.push_str(",allow_other");
    }
    mount(
        Some(wanted.source.as_str()),
        &wanted.path,
        Some("fuse"),
        wanted.flags(),
        Some(options.as_str()),
    )
    .map_err(|errno| MountError::Refused {
        path: wanted.path.clone(),
        source: errno.into(),
    })
}

/// Mounts a directory of a mount at another place, with the mount's source and flags.
///
/// # Errors
/// The kernel's.
pub(super) fn bind(directory: &Path, path: &Path) -> io::Result<()> {
    Ok(mount(
        Some(directory),
        path,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )?)
}

/// Keeps what is mounted at `path`, and on it, in this namespace.
///
/// # Errors
/// The kernel's.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_PRIVATE;
    Ok(mount(
        None::<&str>,
        path,
        None::<&str>,
        flags,
        None::<&str>,
    )?)
}

fn attach_by_helper(wanted: &KernelMount) -> Result<OwnedFd, MountError> {
    if !Path::new(DEVICE).exists() {
        return Err(MountError::Device {
            source: io::Error::from(io::ErrorKind::NotFound),
        });
    }
    let failed = |source| MountError::HelperFailed {
        path: wanted.path.clone(),
        source,
    };
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let mut helper = Command::new(HELPER)
        .arg("-o")
        .arg(wanted.helper_options())
        .arg("--")
        .arg(&wanted.path)
        // Its end is its stdin, so that no other process started meanwhile can inherit it.
        .env(HELPER_SOCKET_ENV, "0")
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(helper_error)?;
    let received = descriptors::receive(&ours);
    let mut said = String::new();
    if let Some(mut stderr) = helper.stderr.take() {
        // What it says is only for the message below; that it cannot be read changes nothing.
        let _ = stderr.read_to_string(&mut said);
    }
    let status = helper.wait().map_err(failed)?;
    match received {
        Ok(Some([fd])) if status.success() => Ok(fd),
        Ok(_) => Err(MountError::HelperRefused {
            path: wanted.path.clone(),
            said: said.trim().trim_start_matches("fusermount3: ").to_owned(),
        }),
        Err(source) => Err(failed(source)),
    }
}

fn helper_error(source: io::Error) -> MountError {
    match source.kind() {
        io::ErrorKind::NotFound => MountError::HelperMissing,
        _ => MountError::HelperFailed {
            path: PathBuf::from(HELPER),
            source,
        },
    }
}

/// Changes the flags of what is mounted at `path`; those of its superblock, too, unless others may
/// share it. The kernel keeps all else of a FUSE mount as it was.
///
/// # Errors
/// The kernel's.
pub(super) fn remount(
    path: &Path,
    is_shared: bool,
    read_only: bool,
    words: &[String],
) -> io::Result<()> {
    let mut flags = MsFlags::MS_REMOUNT | flags(read_only, words);
    flags.set(MsFlags::MS_BIND, is_shared);
    Ok(mount(
        None::<&str>,
        path,
        None::<&str>,
        flags,
        None::<&str>,
    )?)
}

/// How to unmount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Detach {
    /// Only when nothing inside is in use.
    Idle,
    /// At once for new accesses; what is in use goes on until it is closed.
    Lazy,
}

/// Unmounts what is at `path`.
///
/// # Errors
/// `ResourceBusy` when it is in use.
pub(super) fn detach(path: &Path, how: Detach) -> io::Result<()> {
    let flags = match how {
        Detach::Idle => MntFlags::UMOUNT_NOFOLLOW,
        Detach::Lazy => MntFlags::UMOUNT_NOFOLLOW | MntFlags::MNT_DETACH,
    };
    match umount2(path, flags) {
        Err(Errno::EPERM) => detach_by_helper(path, how),
        result => Ok(result?),
    }
}

fn detach_by_helper(path: &Path, how: Detach) -> io::Result<()> {
    let mut command = Command::new(HELPER);
    command.arg("-u");
    if how == Detach::Lazy {
        command.arg("-z");
    }
    let output = command
        .arg("--")
        .arg(path.as_os_str())
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let kind = if said.contains("busy") {
        io::ErrorKind::ResourceBusy
    } else {
        io::ErrorKind::Other
    };
    Err(io::Error::new(kind, said.trim().to_owned()))
}

/// Whether this error of [`detach`] says that something inside is in use.
pub(super) fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy
}

/// Lets the kernel read ahead as much as one READ request can ask for; by its own bound a
/// sequential reader asks for 128 KiB at a time. Needs root, and a /sys that can be written.
pub(super) fn raise_readahead(path: &Path, device: &str) {
    // The kernel sets its bound when FUSE_INIT is answered, which any other request waits for.
    let raised = statvfs(path).map_err(io::Error::from).and_then(|_| {
        let bound = format!("/sys/class/bdi/{device}/read_ahead_kb");
        fs::write(bound, READ_AHEAD_KIB.to_string())
    });
    if let Err(error) = raised {
        debug!(
            "{}: the kernel's own readahead is kept: {error}",
            path.display()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(words: &[&str]) -> KernelMount {
        KernelMount {
            source: "s3://a,b".into(),
            path: "/mnt".into(),
            allow_other: false,
            read_only: true,
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    #[test]
    fn set_id_bits_and_devices_are_off_unless_asked_for_and_the_last_word_counts() {
        let plain = wanted(&[]).flags();
        assert_eq!(
            plain,
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_RDONLY
        );
        let asked = wanted(&["nosuid", "suid", "dev", "noexec"]).flags();
        assert_eq!(asked, MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY);
    }

    #[test]
    fn a_comma_in_the_source_does_not_end_the_option() {
        let options = wanted(&["noexec"]).helper_options();
        assert_eq!(
            options,
            "fsname=s3://a\\,b,subtype=s3fs,default_permissions,nosuid,nodev,ro,noexec"
        );
    }
}
