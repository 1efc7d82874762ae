//! The names that mount(8) and umount(8) call the program by, and the arguments they give it:
//! mount(8), "EXTERNAL HELPERS", and umount(8). Mounts nothing.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::Parser;
use nix::unistd::{User, getuid};

/// The name by which a daemon, or its supervisor, calls the one that goes on.
pub(super) const AS_SUCCESSOR: &str = "s3fs-successor";
/// The name by which a supervisor calls the one that it becomes.
pub(super) const AS_SUPERVISOR: &str = "s3fs-supervisor";

/// What a successor is given; descriptors by their numbers.
#[derive(Parser, Clone, PartialEq, Eq, Debug)]
pub struct ResumeCommand {
    /// What to log
    #[arg(long)]
    pub log_level: String,
    /// What is handed over
    #[arg(long, value_delimiter = ',')]
    pub handover: Vec<RawFd>,
    /// The socket to the supervisor
    #[arg(long)]
    pub link: Option<RawFd>,
    /// Who waits for an upgrade
    #[arg(long)]
    pub asker: Option<RawFd>,
}

/// What another supervisor is given; descriptors by their numbers.
#[derive(Parser, Clone, PartialEq, Eq, Debug)]
pub struct SuperviseCommand {
    /// What to log
    #[arg(long)]
    pub log_level: String,
    /// What is handed over
    #[arg(long, value_delimiter = ',')]
    pub handover: Vec<RawFd>,
    /// The socket to the daemon
    #[arg(long)]
    pub link: RawFd,
    /// The daemon
    #[arg(long)]
    pub daemon: i32,
}

/// Which program it was called as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Called {
    /// By its own name, or any other.
    S3fs,
    /// By mount(8): for the type `s3fs`, or `fuse.s3fs`, which is the kernel's.
    Mount,
    /// To go on with a mount.
    Resume,
    /// To go on with a daemon.
    Supervise,
    /// By umount(8), which knows the kernel's type only.
    Umount,
}

impl Called {
    /// By the first of the arguments.
    pub(super) fn of(program: Option<&OsString>) -> Self {
        let name = program.and_then(|path| Path::new(path).file_name());
        match name.and_then(OsStr::to_str) {
            Some("mount.s3fs" | "mount.fuse.s3fs") => Self::Mount,
            Some("umount.s3fs" | "umount.fuse.s3fs") => Self::Umount,
            Some(AS_SUCCESSOR) => Self::Resume,
            Some(AS_SUPERVISOR) => Self::Supervise,
            _ => Self::S3fs,
        }
    }
}

/// What mount(8) gives.
#[derive(Parser, Debug)]
#[command(
    name = "mount.s3fs",
    version,
    about = "Mounts an S3 bucket for mount(8); s3fs --help tells all options",
    args_override_self = true
)]
pub(super) struct TypedByMount {
    /// What to mount: s3://BUCKET[/PREFIX] or BUCKET[:/PREFIX]
    source: OsString,

    /// Where
    dir: OsString,

    /// Options as fstab writes them, separated by commas
    #[arg(short = 'o', value_name = "WORD[=VALUE],...", action = clap::ArgAction::Append)]
    words: Vec<OsString>,

    /// Check the options and mount nothing
    #[arg(short = 'f')]
    pub(super) fake: bool,

    /// Let options pass that are unknown here
    #[arg(short = 's')]
    pub(super) sloppy: bool,

    /// Nothing: /etc/mtab is the kernel's
    #[arg(short = 'n')]
    _no_mtab: bool,

    /// Nothing
    #[arg(short = 'v')]
    _verbose: bool,

    /// The type with its subtype
    #[arg(short = 't', value_name = "TYPE")]
    _fstype: Option<OsString>,
}

impl TypedByMount {
    /// The same as arguments of the program by its own name.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let directory = env::current_dir().unwrap_or_default();
        let mut arguments = vec!["s3fs".into(), "mount".into()];
        for list in &self.words {
            arguments.extend(["-o".into(), list.clone()]);
        }
        arguments.push("--".into());
        arguments.push(as_typed(&self.source, &directory));
        arguments.push(self.dir.clone());
        arguments
    }
}

/// What umount(8) gives.
#[derive(Parser, Debug)]
#[command(
    name = "umount.fuse.s3fs",
    version,
    about = "Unmounts for umount(8), and waits until everything is in the store",
    args_override_self = true
)]
pub(super) struct TypedByUmount {
    /// What to unmount
    pub(super) dir: PathBuf,

    /// Detach it at once, and wait for nothing
    #[arg(short)]
    pub(super) lazy: bool,

    /// Fail what is under way
    #[arg(short)]
    pub(super) force: bool,

    /// Make it read-only if it cannot be unmounted
    #[arg(short)]
    pub(super) read_only: bool,

    /// Nothing: /etc/mtab is the kernel's
    #[arg(short = 'n')]
    _no_mtab: bool,

    /// Nothing
    #[arg(short = 'v')]
    _verbose: bool,
}

/// The source that was meant: mount(8) makes an absolute path of one that is also the name of
/// something in the current directory, as the bucket `home` is in `/`.
fn as_typed(source: &OsStr, directory: &Path) -> OsString {
    let inside = Path::new(source).strip_prefix(directory);
    match inside {
        Ok(inside) if !inside.as_os_str().as_bytes().is_empty() => inside.into(),
        _ => source.into(),
    }
}

/// Sets HOME, which mount(8) takes away, to where the user's files are; to be called before there
/// is a second thread.
pub(super) fn restore_home() {
    if env::var_os("HOME").is_some() {
        return;
    }
    if let Ok(Some(user)) = User::from_uid(getuid()) {
        // SAFETY: the process has one thread.
        unsafe { env::set_var("HOME", user.dir) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_mount(arguments: &[&str]) -> TypedByMount {
        TypedByMount::try_parse_from(arguments).unwrap()
    }

    #[test]
    fn the_name_tells_who_calls() {
        let called = |path: &str| Called::of(Some(&path.into()));
        assert_eq!(called("/sbin/mount.s3fs"), Called::Mount);
        assert_eq!(called("/usr/sbin/mount.fuse.s3fs"), Called::Mount);
        assert_eq!(called("umount.fuse.s3fs"), Called::Umount);
        assert_eq!(called("/usr/bin/s3fs"), Called::S3fs);
        assert_eq!(Called::of(None), Called::S3fs);
    }

    #[test]
    fn what_both_versions_of_mount_give_is_understood() {
        // util-linux 2.38 puts the options of the filesystem first, 2.41 the others.
        for list in [
            "rw,url=http://h,_netdev,nofail",
            "_netdev,nofail,rw,url=http://h",
        ] {
            let typed = by_mount(&["/sbin/mount.s3fs", "bkt", "/mnt", "-n", "-v", "-o", list]);
            assert!(!typed.fake && !typed.sloppy);
            let expected = ["s3fs", "mount", "-o", list, "--", "bkt", "/mnt"];
            assert_eq!(typed.arguments(), expected.map(OsString::from));
        }
        let typed = by_mount(&["m", "bkt", "/mnt", "-s", "-f", "-o", "rw", "-t", "s3fs.sub"]);
        assert!(typed.fake && typed.sloppy);
    }

    #[test]
    fn a_bucket_that_is_also_a_directory_is_the_bucket() {
        for (source, directory, meant) in [
            ("/home", "/", "home"),
            ("/root/bkt", "/root", "bkt"),
            ("/root/bkt", "/home", "/root/bkt"),
            ("s3://home", "/", "s3://home"),
            ("home:/p", "/", "home:/p"),
            ("home", "/", "home"),
            ("/", "/", "/"),
        ] {
            let typed = as_typed(OsStr::new(source), Path::new(directory));
            assert_eq!(typed, meant, "{source} in {directory}");
        }
    }

    #[test]
    fn what_umount_gives_is_understood() {
        let arguments = ["umount.fuse.s3fs", "/mnt", "-n", "-l", "-f", "-v", "-r"];
        let typed = TypedByUmount::try_parse_from(arguments).unwrap();
        assert!(typed.lazy && typed.force && typed.read_only);
        assert_eq!(typed.dir, Path::new("/mnt"));
    }
}
