//! A running daemon and its mount point; both end with the value that stands for them, also when
//! a test fails. Knows no S3.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::access::Access;
use crate::shell::{sh, spawn, try_sh};

/// How long a daemon may take to be mounted, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_s3fs");

/// A command of the program that reaches the store and nothing of the caller's environment.
pub fn program(access: &Access) -> Command {
    assert!(
        Path::new("/dev/fuse").exists(),
        "these tests mount filesystems: there is no /dev/fuse here"
    );
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
    }
    command
        .env("AWS_ACCESS_KEY_ID", &access.access_key)
        .env("AWS_SECRET_ACCESS_KEY", &access.secret_key)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null());
    command
}

/// A mount and the daemon behind it.
pub struct Mounted {
    child: Child,
    scratch: TempDir,
}

impl Mounted {
    /// Mounts `sources` with `-o options` beyond those that reach the store.
    ///
    /// # Panics
    /// If it is not mounted in time; with what the daemon logged.
    pub fn new(access: &Access, sources: &[&str], options: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        for dir in ["mnt", "staging"] {
            std::fs::create_dir(scratch.path().join(dir)).unwrap();
        }
        let log = File::create(scratch.path().join("log")).unwrap();
        let mut words = format!("url={},use_path_request_style", access.url);
        words.push_str(&format!(
            ",staging_dir={}",
            scratch.path().join("staging").display()
        ));
        if !options.is_empty() {
            words.push(',');
            words.push_str(options);
        }
        let child = spawn(
            program(access)
                .arg("-f")
                .args(sources)
                .arg(scratch.path().join("mnt"))
                .args(["-o", &words])
                .stdout(log.try_clone().unwrap())
                .stderr(log),
        );
        let mut mounted = Self { child, scratch };
        let start = Instant::now();
        while !mounted.is_mounted() {
            if let Some(status) = mounted.child.try_wait().unwrap() {
                panic!("the daemon ended, {status}:\n{}", mounted.log());
            }
            assert!(
                start.elapsed() < PATIENCE,
                "not mounted:\n{}",
                mounted.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        mounted
    }

    /// The mount point.
    pub fn dir(&self) -> PathBuf {
        self.scratch.path().join("mnt")
    }

    /// Something in the mount.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// What the daemon has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("log")).unwrap()
    }

    /// The files in the directory for bytes that do not fit into memory, or could not be stored.
    pub fn spilled_files(&self) -> usize {
        std::fs::read_dir(self.scratch.path().join("staging"))
            .unwrap()
            .count()
    }

    /// The most memory the daemon has had, in bytes, without the pages of the program file that it
    /// has now: the kernel takes those back when it needs them. Pages of it that came after the
    /// peak make this less than it was.
    pub fn peak_memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.unwrap().split_whitespace().next().unwrap();
            kib.parse::<u64>().unwrap() * 1024
        };
        bytes("VmHWM:") - bytes("RssFile:")
    }

    /// Sends the daemon a signal.
    pub fn signal(&self, signal: Signal) {
        send(&self.child, signal);
    }

    /// How the daemon ended.
    ///
    /// # Panics
    /// If it does not end in time.
    pub fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "the daemon does not end:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Unmounts, and waits for the daemon to end well.
    ///
    /// # Panics
    /// If either fails.
    pub fn unmount(mut self) {
        // A process that another test starts has what was open here until its program runs.
        let script = "for i in {1..50}; do
            said=$(umount mnt 2>&1) && exit
            [[ $said == *busy* ]] || break
            sleep 0.1
        done
        echo \"$said\"; exit 1";
        sh(self.scratch.path(), script);
        let status = self.wait();
        assert!(status.success(), "the daemon: {status}\n{}", self.log());
    }

    /// Whether the mount point is in the kernel's table of mounts.
    pub fn is_mounted(&self) -> bool {
        is_mount_point(&self.dir())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!("-- the daemon's log ends:");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        // By force, and first: a daemon that waits in the kernel for one of its callers cannot end.
        if self.is_mounted() {
            try_sh(self.scratch.path(), "umount -f -l mnt");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a process a signal.
pub fn send(to: &Child, signal: Signal) {
    kill(Pid::from_raw(to.id() as i32), signal).unwrap();
}

/// Whether `dir` is in the kernel's table of mounts; asks nothing of the mount.
pub fn is_mount_point(dir: &Path) -> bool {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    table
        .lines()
        .any(|line| line.split(' ').nth(4) == dir.to_str())
}
