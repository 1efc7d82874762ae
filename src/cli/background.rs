//! Going to the background: the parent waits until the child says that the mount is live, or why
//! it is not. Knows nothing of mounts.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use nix::sys::signal::Signal;
use nix::sys::stat::fstat;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};

/// The first byte of a report.
const LIVE: u8 = b'+';
const FAILED: u8 = b'-';

/// What a parent learns of its child.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The mount is live.
    Live,
    /// It is not; the child's exit code and message.
    Failed {
        /// The exit code.
        code: u8,
        /// Why.
        message: String,
    },
}

/// Which of the two processes this is after [`split`].
#[derive(Debug)]
pub enum Side {
    /// The one the user started; it has nothing left to do but exit.
    Parent(Outcome),
    /// The one that mounts and stays.
    Child(Report),
}

/// How the child tells its parent.
#[derive(Debug)]
pub struct Report(io::PipeWriter);

/// Makes a second process. In the parent it returns when the child has reported or ended. Must be
/// called while the process has one thread.
///
/// The child stays in its parent's session and process group until it reports: under systemd's
/// automount only the process group of its mount command may pass the mount point.
///
/// # Errors
/// When the kernel refuses a pipe or a process.
pub fn split() -> io::Result<Side> {
    let (mut reader, writer) = io::pipe()?;
    // SAFETY: the process has one thread, so the child may use everything it inherits.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(reader);
            Ok(Side::Child(Report(writer)))
        }
        ForkResult::Parent { child } => {
            drop(writer);
            let mut report = Vec::new();
            reader.read_to_end(&mut report)?;
            Ok(Side::Parent(outcome(&report, child)))
        }
    }
}

fn outcome(report: &[u8], child: Pid) -> Outcome {
    match report {
        [LIVE] => Outcome::Live,
        [FAILED, code, message @ ..] => {
            // systemd would call it left over if it ended later than this process.
            let _ = waitpid(child, None);
            Outcome::Failed {
                code: *code,
                message: String::from_utf8_lossy(message).into_owned(),
            }
        }
        _ => Outcome::Failed {
            code: 2,
            message: died(child),
        },
    }
}

fn died(child: Pid) -> String {
    match waitpid(child, None) {
        Ok(WaitStatus::Signaled(_, signal, _)) => ended_by(signal),
        Ok(WaitStatus::Exited(_, code)) => {
            format!("the daemon ended with code {code} before the mount was live")
        }
        _ => "the daemon ended before the mount was live".to_owned(),
    }
}

fn ended_by(signal: Signal) -> String {
    format!("the daemon was ended by {signal} before the mount was live")
}

impl Report {
    /// The mount is live: leaves the terminal, the directory and the session it was started in,
    /// then lets the parent go. Nothing here touches the mount point.
    ///
    /// # Errors
    /// When the parent is gone: nobody will ever know of the mount.
    pub fn live(mut self) -> io::Result<()> {
        detach()?;
        self.0.write_all(&[LIVE])
    }

    /// There is no mount, and why.
    pub fn failed(mut self, code: u8, message: &str) {
        let report = [&[FAILED, code], message.as_bytes()].concat();
        // Without a parent there is nobody to tell; the log has it.
        let _ = self.0.write_all(&report);
    }
}

/// Leaves the terminal, the directory and the session that this process was started in.
///
/// # Errors
/// When there is no /dev/null.
pub(super) fn detach() -> io::Result<()> {
    // Already a leader when somebody started it as one; then there is nothing to leave.
    let _ = setsid();
    chdir("/")?;
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    if !stderr_is_journal() {
        // Kept open, it would make `x=$(mount ...)` wait for the daemon.
        dup2_stderr(&null)?;
    }
    Ok(())
}

/// Whether stderr is a stream to the journal: systemd.exec(5), `$JOURNAL_STREAM`.
pub(super) fn stderr_is_journal() -> bool {
    let stderr = io::stderr();
    match (std::env::var("JOURNAL_STREAM"), fstat(stderr.as_fd())) {
        (Ok(named), Ok(stat)) => named == format!("{}:{}", stat.st_dev, stat.st_ino),
        _ => false,
    }
}
