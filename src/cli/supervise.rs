//! The process beside a daemon that starts the next one when it is killed. Holds what that needs,
//! and does nothing else; knows no mount.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use log::{error, info, warn};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigmaskHow, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use super::called::{AS_SUCCESSOR, AS_SUPERVISOR, SuperviseCommand};
use super::{background, inherit};
use crate::mount::Handover;

/// The name by which ps(1) tells it from what it starts.
const NAME: &std::ffi::CStr = c"s3fs-supervisor";
/// How long after the last start the next one waits at least, so that a daemon that always dies
/// does not keep the machine busy; after each start that fails twice as long as before, up to the
/// second.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(30)];
/// So many daemons in a row that abort before they serve do so for what they restore: the next one
/// would, too.
const ABORTS_MAX: u32 = 5;

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
    /// That of a daemon that goes on with the mount of another.
    pub(super) fn of_descriptor(socket: OwnedFd) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// Gives the supervisor what the next process needs.
    ///
    /// # Errors
    /// The socket's.
    pub(super) fn hand_over(&self, handover: &Handover) -> io::Result<()> {
        handover.send(&self.socket)
    }

    /// Says that this process serves.
    ///
    /// # Errors
    /// The socket's.
    pub(super) fn serves(&mut self) -> io::Result<()> {
        self.socket.write_all(b"+")
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Makes a second process. Must be called while the process has one thread.
///
/// # Errors
/// When the kernel refuses a socket or a process.
pub(super) fn split(log_level: &str) -> io::Result<Role> {
    let (ours, theirs) = UnixStream::pair()?;
    // From its birth the supervisor ends with the daemon alone. Ended by a signal before the daemon
    // serves, it would end the mount of which mount(8) has told already.
    let before = super::run::ending_signals().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    // SAFETY: the process has one thread, so the child may use everything it inherits.
    match unsafe { fork() }? {
        ForkResult::Child => {
            before.thread_set_mask()?;
            drop(ours);
            Ok(Role::Daemon(Link { socket: theirs }))
        }
        ForkResult::Parent { child } => {
            drop(theirs);
            Ok(Role::Supervisor(Supervisor {
                daemon: child,
                socket: ours,
                log_level: log_level.to_owned(),
                told: None,
                aborts: 0,
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
    /// What it was told to end by.
    told: Option<Signal>,
    /// Daemons in a row that aborted before they served.
    aborts: u32,
}

impl Supervisor {
    /// Until the mount has ended; returns the exit code.
    pub(super) fn run(mut self) -> u8 {
        let _ = prctl::set_name(NAME);
        // At once: nobody is to wait for what this process has open.
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
        self.supervise(handover)
    }

    /// Of a daemon that serves.
    fn supervise(mut self, mut handover: Handover) -> u8 {
        let Ok(signals) = watched_signals() else {
            return self.wait_for_end();
        };
        let [pause_min, pause_max] = PAUSES;
        loop {
            let began = Instant::now();
            if let Some(code) = self.watch(&signals, &mut handover) {
                return code;
            }
            warn!("the daemon was killed; another goes on");
            let mut pause = pause_min.saturating_sub(began.elapsed());
            loop {
                self.pause(&signals, pause);
                match (self.start(&handover), self.told) {
                    (Ok(()), told) => {
                        // It knows nothing of what the one before was told.
                        told.into_iter().for_each(|signal| self.tell(signal));
                        break;
                    }
                    (Err(error), Some(signal)) => {
                        error!("{signal}: no daemon serves ({error}); what is open is lost");
                        return super::run::SYSTEM;
                    }
                    (Err(error), None) => warn!("the next daemon does not serve: {error}"),
                }
                if self.aborts == ABORTS_MAX {
                    error!(
                        "{ABORTS_MAX} daemons in a row aborted over what they restored; the mount \
                         ends, and what was written there and is not stored is lost; unmount it \
                         with umount -l, mount it again, and report the panics in the log"
                    );
                    return super::run::SYSTEM;
                }
                pause = (2 * pause).clamp(pause_min, pause_max);
            }
        }
    }

    /// Waits so long, or until told to end.
    fn pause(&mut self, signals: &SignalFd, pause: Duration) {
        let end = Instant::now() + pause;
        // A daemon that could not serve has sent SIGCHLD, which is nothing to wake up for.
        while self.told.is_none() && Instant::now() < end {
            let left = end.saturating_duration_since(Instant::now());
            // Rounded up, so as not to come back for the rest of a millisecond.
            let left = left + Duration::from_millis(1);
            self.told = wait(signals, None, Some(left)).signal;
        }
    }

    /// Until the daemon has ended: its exit code, or none when another is to follow.
    fn watch(&mut self, signals: &SignalFd, handover: &mut Handover) -> Option<u8> {
        let mut is_linked = true;
        loop {
            if let Some(ended) = self.ended() {
                return ended;
            }
            let happened = wait(signals, is_linked.then(|| self.socket.as_fd()), None);
            if let Some(signal) = happened.signal {
                self.told = Some(signal);
                self.tell(signal);
            }
            if happened.is_readable {
                match Handover::receive(&self.socket) {
                    // The daemon is another program by now.
                    Ok(Some(new)) => {
                        *handover = new;
                        self.become_another(handover);
                    }
                    // It is about to end.
                    Ok(None) | Err(_) => is_linked = false,
                }
            }
        }
    }

    /// Goes on in the program that the daemon is; returns only when that cannot be.
    fn become_another(&self, handover: &Handover) {
        let become_it = || {
            let (numbers, _held) = inherit::leave_handover(handover)?;
            let link = inherit::leave(self.socket.as_fd())?;
            let mut command = Command::new(path_of(handover));
            command
                .arg0(AS_SUPERVISOR)
                .args(["--log-level", &self.log_level, "--handover", &numbers])
                .args(["--link", &link.as_raw_fd().to_string()])
                .args(["--daemon", &self.daemon.to_string()]);
            Err::<(), _>(command.exec())
        };
        if let Err(error) = become_it() {
            info!("the supervisor stays the program that it is: {error}");
        }
    }

    fn start(&mut self, handover: &Handover) -> io::Result<()> {
        let (ours, theirs) = UnixStream::pair()?;
        let link = inherit::leave(theirs.as_fd())?;
        drop(theirs);
        let (numbers, held) = inherit::leave_handover(handover)?;
        let child = Command::new(path_of(handover))
            .arg0(AS_SUCCESSOR)
            .args(["--log-level", &self.log_level, "--handover", &numbers])
            .args(["--link", &link.as_raw_fd().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        drop((link, held));
        self.daemon = Pid::from_raw(child.id() as i32);
        self.socket = ours;
        let serves = self.socket.read_exact(&mut [0]);
        if serves.is_ok() {
            self.aborts = 0;
            return serves;
        }
        self.tell(Signal::SIGKILL);
        let ended = waitpid(self.daemon, None);
        let has_aborted = matches!(ended, Ok(WaitStatus::Signaled(_, Signal::SIGABRT, _)));
        self.aborts = if has_aborted { self.aborts + 1 } else { 0 };
        serves
    }

    /// Whether the daemon has ended: with the exit code of a mount that has, or, by whatever else,
    /// so that another is to follow.
    fn ended(&self) -> Option<Option<u8>> {
        match waitpid(self.daemon, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => {
                let ends = [0, super::run::NOT_COMMITTED];
                Some(ends.into_iter().find(|end| i32::from(*end) == code))
            }
            Ok(WaitStatus::Signaled(..)) => Some(None),
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

/// Goes on with a daemon that another program has supervised, as the same process; returns the exit
/// code.
pub(super) fn go_on(command: &SuperviseCommand) -> u8 {
    let _ = prctl::set_name(NAME);
    let taken = || {
        let socket = inherit::take(command.link)?.into();
        let supervisor = Supervisor {
            daemon: Pid::from_raw(command.daemon),
            socket,
            log_level: command.log_level.clone(),
            told: None,
            aborts: 0,
        };
        Ok::<_, io::Error>((supervisor, inherit::take_handover(&command.handover)?))
    };
    match taken() {
        Ok((supervisor, handover)) => supervisor.supervise(handover),
        Err(error) => super::run::fail(super::run::USAGE, &error),
    }
}

/// The program that can go on with it.
fn path_of(handover: &Handover) -> String {
    format!("/proc/self/fd/{}", handover.program().as_raw_fd())
}

/// Those that are waited for, and end nothing from now on.
fn watched_signals() -> nix::Result<SignalFd> {
    let mut signals = super::run::ending_signals();
    signals.add(Signal::SIGCHLD);
    signals.thread_block()?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// What was waited for.
struct Happened {
    /// One that tells to end.
    signal: Option<Signal>,
    is_readable: bool,
}

/// Waits for a signal, bytes on a socket, or so long.
fn wait(
    signals: &SignalFd,
    socket: Option<BorrowedFd<'_>>,
    patience: Option<Duration>,
) -> Happened {
    let mut polled = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    polled.extend(socket.map(|socket| PollFd::new(socket, PollFlags::POLLIN)));
    let patience = patience.map_or(Ok(PollTimeout::NONE), PollTimeout::try_from);
    let _ = poll(&mut polled, patience.unwrap_or(PollTimeout::MAX));
    let is_readable = polled
        .get(1)
        .is_some_and(|socket| socket.any() == Some(true));
    let mut signal = None;
    while let Ok(Some(caught)) = signals.read_signal() {
        if let Ok(ends @ (Signal::SIGTERM | Signal::SIGINT)) =
            Signal::try_from(caught.ssi_signo as i32)
        {
            signal = Some(ends);
        }
    }
    Happened {
        signal,
        is_readable,
    }
}
