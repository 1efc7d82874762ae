//! The processes of one server and the directory they work in; both are gone with the value. Knows
//! no S3.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::shell::{output, spawn};

/// Lines of the log that a failed test shows.
const LOG_LINES_SHOWN: usize = 40;

/// What a server consists of.
pub struct Processes {
    children: Vec<Child>,
    dir: TempDir,
}

impl Processes {
    pub fn new() -> Self {
        Self {
            children: Vec::new(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts a process that runs as long as the value lives, with its output in the log.
    pub fn spawn(&mut self, command: &mut Command) {
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.log())
            .unwrap();
        let child = spawn(
            self.own(command)
                .stdout(log.try_clone().unwrap())
                .stderr(log),
        );
        self.children.push(child);
    }

    /// Runs a command to its end and returns what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn run(&self, command: &mut Command) -> String {
        let output = output(self.own(command));
        assert!(
            output.status.success(),
            "{command:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// # Panics
    /// If one of the processes has ended.
    pub fn assert_running(&mut self) {
        for child in &mut self.children {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "process {} ended: {ended:?}", child.id());
        }
    }

    fn log(&self) -> PathBuf {
        self.dir().join("log")
    }

    /// Everything the command makes is in the directory.
    fn own<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .current_dir(self.dir())
            .env("HOME", self.dir())
            .stdin(Stdio::null())
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = std::fs::read(self.log()).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("-- the server's log ends:");
            for line in &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..] {
                eprintln!("{line}");
            }
        }
    }
}

/// A command of a server that tests/run installs.
///
/// # Panics
/// If it is not there.
pub fn installed(name: &str) -> Command {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let dir = std::env::var_os("S3FS_TEST_SERVERS")
        .map_or_else(|| root.join("target/venv/bin"), PathBuf::from);
    let program = dir.join(name);
    assert!(
        program.exists(),
        "{} is not there: tests/run installs it",
        program.display()
    );
    Command::new(program)
}

/// Ports that nobody listens at now.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
