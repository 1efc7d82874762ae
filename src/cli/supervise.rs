//! The process beside a daemon that starts the next one when it is killed. Holds what that needs,
//! and does nothing else; knows no mount.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use log::{error, warn};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use super::background;
use super::called::AS_SUCCESSOR;
use crate::mount::Handover;

/// The name by which ps(1) tells it from what it starts.
const NAME: &std::ffi::CStr = c"s3fs-supervisor";
/// Processes in a row that may end before they serve.
const FAILURES_MAX: u32 = 3;
/// How long after the last start the next one waits at least, so that a daemon that always dies
/// does not keep the machine busy.
const PAUSE: Duration = Duration::from_millis(200);
/// This program as it runs now, whatever has become of its file.
const SELF: &str = "/proc/self/exe";
/// Ended by a panic.
const PANICKED: i32 = 101;

/// Which of the two processes this is after [`split`].
#[derive(Debug)]
pub(super) enum Role {
    /// The one that serves.
    Daemon(Link),
    /// The other.
    Supervisor(Supervisor),
}

/// How a daemon reaches its supervisor.
#[derive(Debug)]
pub(super) struct Link {
    socket: UnixStream,
}

impl Link {
    /// That of a daemon that was started by its supervisor with its end for stdin.
    ///
    /// # Errors
    /// dup(2)'s.
    pub(super) fn of_stdin() -> io::Result<Self> {
        let socket = io::stdin().lock();
        let socket = nix::unistd::dup(&socket)?;
        Ok(Self {
            socket: socket.into(),
        })
    }

    /// Gives the supervisor what the next process needs.
    ///
    /// # Errors
    /// The socket's.
    pub(super) fn hand_over(&self, handover: &Handover) -> io::Result<()> {
        handover.send(&self.socket)
    }

    /// What the process before has handed over.
    ///
    /// # Errors
    /// The socket's; `UnexpectedEof` when there is nothing.
    pub(super) fn take_over(&self) -> io::Result<Handover> {
        let received = Handover::receive(&self.socket)?;
        Ok(received.ok_or(io::ErrorKind::UnexpectedEof)?)
    }

    /// Says that this process serves.
    ///
    /// # Errors
    /// The socket's.
    pub(super) fn serves(&mut self) -> io::Result<()> {
        self.socket.write_all(b"+")
    }
}

/// Makes a second process. Must be called while the process has one thread.
///
/// # Errors
/// When the kernel refuses a socket or a process.
pub(super) fn split(log_level: &str) -> io::Result<Role> {
    let (ours, theirs) = UnixStream::pair()?;
    // SAFETY: the process has one thread, so the child may use everything it inherits.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(ours);
            Ok(Role::Daemon(Link { socket: theirs }))
        }
        ForkResult::Parent { child } => {
            drop(theirs);
            Ok(Role::Supervisor(Supervisor {
                daemon: child,
                socket: ours,
                log_level: log_level.to_owned(),
            }))
        }
    }
}

/// Waits for a daemon, and starts the next one when it was killed.
#[derive(Debug)]
pub(super) struct Supervisor {
    daemon: Pid,
    socket: UnixStream,
    log_level: String,
}

impl Supervisor {
    /// Until the mount has ended; returns the exit code.
    pub(super) fn run(mut self) -> u8 {
        // At once: nobody is to wait for what this process has open.
        let _ = prctl::set_name(NAME);
        if background::detach().is_err() {
            return self.wait_for_end();
        }
        // A mount that is joined to others, or fails, hands nothing over.
        let Ok(Some(handover)) = Handover::receive(&self.socket) else {
            return self.wait_for_end();
        };
        // Killed before it serves, it is a mount that failed.
        if self.socket.read_exact(&mut [0]).is_err() {
            return self.wait_for_end();
        }
        let mut signals = SigSet::empty();
        for signal in [
            Signal::SIGCHLD,
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGUSR1,
            Signal::SIGUSR2,
        ] {
            signals.add(signal);
        }
        if signals.thread_block().is_err() {
            return self.wait_for_end();
        }
        loop {
            let began = Instant::now();
            let code = loop {
                if let Some(ended) = self.ended() {
                    break ended;
                }
                if let Ok(signal @ (Signal::SIGTERM | Signal::SIGINT)) = signals.wait() {
                    self.tell(signal);
                }
            };
            if let Some(code) = code {
                return code;
            }
            warn!("the daemon was killed; another goes on");
            std::thread::sleep(PAUSE.saturating_sub(began.elapsed()));
            if !self.start_next(&handover) {
                error!("no other daemon serves; what is open is lost");
                return super::run::SYSTEM;
            }
        }
    }

    /// Starts a process that serves; whether there is one.
    fn start_next(&mut self, handover: &Handover) -> bool {
        for _ in 0..FAILURES_MAX {
            let began = Instant::now();
            match self.start(handover) {
                Ok(()) => return true,
                Err(error) => warn!("the next daemon does not serve: {error}"),
            }
            std::thread::sleep(PAUSE.saturating_sub(began.elapsed()));
        }
        false
    }

    fn start(&mut self, handover: &Handover) -> io::Result<()> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = Command::new(SELF)
            .arg0(AS_SUCCESSOR)
            .arg(&self.log_level)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        self.daemon = Pid::from_raw(child.id() as i32);
        self.socket = ours;
        let sent = handover.send(&self.socket);
        let serves = sent.and_then(|()| self.socket.read_exact(&mut [0]));
        if serves.is_err() {
            self.tell(Signal::SIGKILL);
            let _ = waitpid(self.daemon, None);
        }
        serves
    }

    /// Whether the daemon has ended: with an exit code, or so that another is to follow.
    fn ended(&self) -> Option<Option<u8>> {
        match waitpid(self.daemon, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) if code != PANICKED => {
                Some(Some(u8::try_from(code).unwrap_or(super::run::SYSTEM)))
            }
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => Some(None),
            Ok(_) | Err(Errno::EINTR) => None,
            Err(_) => Some(Some(super::run::SYSTEM)),
        }
    }

    fn wait_for_end(&self) -> u8 {
        loop {
            match waitpid(self.daemon, None) {
                Ok(WaitStatus::Exited(_, code)) => {
                    return u8::try_from(code).unwrap_or(super::run::SYSTEM);
                }
                Err(Errno::EINTR) | Ok(WaitStatus::Stopped(..) | WaitStatus::Continued(_)) => {}
                Ok(_) | Err(_) => return super::run::SYSTEM,
            }
        }
    }

    fn tell(&self, signal: Signal) {
        // One that has ended is waited for next.
        let _ = kill(self.daemon, signal);
    }
}
