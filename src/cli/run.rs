//! Runs a command: in front, or behind once the mount is live. Exit codes are those of mount(8).

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use log::{error, info, warn};
use nix::sys::prctl;
use nix::sys::signal::{self as signals, SigSet};
use sd_notify::NotifyState;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::background::{self, Outcome, Report, Side};
use super::supervise::{self, Link, Role};
use super::upgrade::Standing;
use super::{
    Command, MountCommand, RemountCommand, ResumeCommand, SuperviseCommand, UnmountCommand,
    UsageError, called, credentials, inherit, parse, service,
};
use crate::mount::{self, Asker, Event, Handover, LiveMount, MountError, Started};
use crate::telemetry::{self, Filter, Sink};

/// The arguments make no sense: mount(8).
pub(super) const USAGE: u8 = 1;
/// No process, no memory, no runtime: mount(8).
pub(super) const SYSTEM: u8 = 2;
/// There is no mount: mount(8).
pub(super) const NOT_MOUNTED: u8 = 32;
/// The mount has ended with bytes that could not be committed: EX_IOERR of sysexits.h.
pub(super) const NOT_COMMITTED: u8 = 74;

/// How long a mount in use is waited for when the program is told to end.
const BUSY_PATIENCE: Duration = Duration::from_secs(5);

/// How long after a signal another is the same.
const SAME_SIGNAL: Duration = Duration::from_millis(500);

/// The program.
pub fn main() -> ExitCode {
    bound_heap();
    called::restore_home();
    credentials::take_older_names();
    let code = match parse(std::env::args_os()) {
        Ok(Command::Mount(command)) => mount(&command),
        Ok(Command::Remount(command)) => remount(&command),
        Ok(Command::Unmount(command)) => unmount(&command),
        Ok(Command::Upgrade { mountpoint }) => upgrade(&mountpoint),
        Ok(Command::Resume(command)) => resume(&command),
        Ok(Command::Supervise(command)) => go_on_supervising(&command),
        Ok(Command::Nothing) => 0,
        Ok(Command::Probe(command)) => super::probe::run(&command),
        #[cfg(feature = "sim")]
        Ok(Command::Demo(command)) => super::demo::run(&command),
        Err(UsageError::Form(form)) => {
            // Where there is no terminal to print to there is nothing else to do.
            let _ = form.print();
            if form.use_stderr() { USAGE } else { 0 }
        }
        Err(error) => fail(USAGE, &error),
    };
    ExitCode::from(code)
}

/// Says on stderr what is wrong.
pub(super) fn fail(code: u8, error: &dyn std::fmt::Display) -> u8 {
    eprintln!("s3fs: {error}");
    code
}

fn remount(command: &RemountCommand) -> u8 {
    let RemountCommand {
        mountpoint,
        read_only,
        kernel_options,
    } = command;
    match mount::remount(mountpoint, *read_only, kernel_options) {
        Ok(()) => 0,
        Err(error) => fail(NOT_MOUNTED, &error),
    }
}

fn unmount(command: &UnmountCommand) -> u8 {
    match mount::unmount(&command.mountpoint, command.how) {
        Ok(()) => 0,
        // umount(8) has said what is wrong.
        Err(MountError::UmountRefused { code, .. }) => code,
        Err(error @ (MountError::NotStored { .. } | MountError::DaemonLost { .. })) => {
            fail(NOT_COMMITTED, &error)
        }
        Err(error) => fail(NOT_MOUNTED, &error),
    }
}

fn upgrade(mountpoint: &Path) -> u8 {
    let upgraded = std::env::current_exe().map_err(Failure::from);
    let upgraded = upgraded.and_then(|program| Ok(mount::upgrade(mountpoint, &program)?));
    match upgraded {
        Ok(()) => 0,
        Err(failure) => fail(failure.code, &failure),
    }
}

fn mount(command: &MountCommand) -> u8 {
    if command.may_be_there && mount::is_mounted(&command.config) {
        return 0;
    }
    let filter = match Filter::parse(&command.log_level) {
        Ok(filter) => filter,
        Err(error) => return fail(USAGE, &error),
    };
    if command.foreground {
        telemetry::start(&filter, sink_in_front());
        let served = match service::stored() {
            Some(handover) => {
                let standing = Standing {
                    log_level: command.log_level.clone(),
                    link: None,
                };
                go_on(handover, standing, None)
            }
            None => serve(command, None),
        };
        return served.unwrap_or_else(|failure| fail(failure.code, &failure));
    }
    match background::split() {
        Err(error) => fail(SYSTEM, &error),
        Ok(Side::Parent(Outcome::Live)) => 0,
        Ok(Side::Parent(Outcome::Failed { code, message })) => fail(code, &message),
        Ok(Side::Child(report)) => match supervise::split(&command.log_level) {
            Ok(Role::Supervisor(supervisor)) => {
                drop(report);
                telemetry::start(&filter, Sink::System);
                supervisor.run()
            }
            Ok(Role::Daemon(link)) => {
                telemetry::start(&filter, Sink::System);
                serve(command, Some((report, link))).unwrap_or_else(|failure| {
                    error!("{failure}");
                    failure.code
                })
            }
            Err(error) => {
                report.failed(SYSTEM, &error.to_string());
                SYSTEM
            }
        },
    }
}

/// The journal gets the fields of a line, too, and not its text alone.
fn sink_in_front() -> Sink {
    match background::stderr_is_journal() {
        true => Sink::System,
        false => Sink::Stderr,
    }
}

/// Why there was no mount, and the exit code that says so.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(super) struct Failure {
    pub(super) code: u8,
    reason: FailureReason,
}

#[derive(Debug, thiserror::Error)]
enum FailureReason {
    #[error(transparent)]
    System(#[from] std::io::Error),
    #[error(transparent)]
    Mount(#[from] MountError),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self {
            code: SYSTEM,
            reason: error.into(),
        }
    }
}

impl From<MountError> for Failure {
    fn from(error: MountError) -> Self {
        Self {
            code: NOT_MOUNTED,
            reason: error.into(),
        }
    }
}

/// The runtime of a mount. From then on the signals by which s3fs-fuse is told to log more or to
/// look at its cache do nothing: a caught signal no longer ends the process.
pub(super) fn runtime() -> std::io::Result<Runtime> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .thread_name("s3fs-work")
        .build()?;
    let _entered = runtime.enter();
    let _ = signal(SignalKind::user_defined1())?;
    let _ = signal(SignalKind::user_defined2())?;
    Ok(runtime)
}

/// Mounts and serves until the mount ends or the program is told to; returns the exit code.
fn serve(command: &MountCommand, behind: Option<(Report, Link)>) -> Result<u8, Failure> {
    for line in &command.ignored {
        info!("{line}");
    }
    let started = runtime().map_err(Failure::from).and_then(|runtime| {
        let started = runtime.block_on(async {
            let started = LiveMount::join_or_start(&command.config, runtime.handle()).await?;
            // Before anybody hears of the mount: who does may tell it to end.
            Ok::<_, Failure>((started, Told::listen()?))
        })?;
        Ok((runtime, started))
    });
    let (runtime, mut live, told, link) = match (started, behind) {
        (Ok((runtime, (Started::Live(live), told))), None) => {
            keep_stored(&live);
            service::tell(&[NotifyState::Ready]);
            (runtime, live, told, None)
        }
        (Ok((runtime, (Started::Live(live), told))), Some((report, mut link))) => {
            keep_supervised(&live, &link);
            // From here on the supervisor starts another; before, whoever waits is told.
            if let Err(error) = report.live().and_then(|()| link.serves()) {
                live.abandon();
                return Err(error.into());
            }
            (runtime, live, told, Some(link))
        }
        (Ok((_, (Started::Joined, _))), behind) => {
            if let Some((report, _)) = behind {
                report.live()?;
            }
            return Ok(0);
        }
        (Err(failure), behind) => {
            if let Some((report, _)) = behind {
                report.failed(failure.code, &failure.to_string());
            }
            return Err(failure);
        }
    };
    let standing = Standing {
        log_level: command.log_level.clone(),
        link,
    };
    let code = runtime.block_on(serve_until_told(&mut live, &standing, told))?;
    // Nothing is left to wait for; a task that hangs must not keep the process.
    runtime.shutdown_background();
    Ok(code)
}

/// Has the supervisor hold what the next process needs.
fn keep_supervised(live: &LiveMount, link: &Link) {
    let handed_over = live.handover().and_then(|handover| match handover {
        Some(handover) => link.hand_over(&handover),
        None => Ok(()),
    });
    if let Err(error) = handed_over {
        warn!("the mount ends if this process is killed: {error}");
    }
}

/// Has systemd hold it.
fn keep_stored(live: &LiveMount) {
    match live.handover() {
        Ok(Some(handover)) => service::store(&handover),
        Ok(None) => {}
        Err(error) => warn!("the mount ends if this process is killed: {error}"),
    }
}

/// Goes on with a mount whose daemon was killed, or has become this program.
fn resume(command: &ResumeCommand) -> u8 {
    let filter = match Filter::parse(&command.log_level) {
        Ok(filter) => filter,
        Err(error) => return fail(USAGE, &error),
    };
    // One that comes before it is listened to waits. What else the process before held back, as a
    // supervisor does, is not held back from this one.
    let _ = ending_signals().thread_set_mask();
    // Else ps(1) shows the name of the link that it was started by.
    let _ = prctl::set_name(c"s3fs");
    let taken = || {
        let link = command.link.map(inherit::take).transpose()?;
        let asker = command.asker.map(inherit::take).transpose()?;
        let handover = inherit::take_handover(&command.handover)?;
        let link = link.map(Link::of_descriptor);
        Ok::<_, std::io::Error>((handover, link, asker.map(Asker::of_descriptor)))
    };
    let (handover, link, asker) = match taken() {
        Ok(taken) => taken,
        Err(error) => return fail(USAGE, &error),
    };
    let sink = match link {
        Some(_) => Sink::System,
        None => sink_in_front(),
    };
    telemetry::start(&filter, sink);
    let log_level = command.log_level.clone();
    go_on(handover, Standing { log_level, link }, asker).unwrap_or_else(|failure| {
        error!("{failure}");
        failure.code
    })
}

/// Goes on with a mount, and serves until it ends; returns the exit code. One that cannot be gone
/// on with is left for another process.
fn go_on(handover: Handover, mut standing: Standing, asker: Option<Asker>) -> Result<u8, Failure> {
    let resumed = runtime().map_err(Failure::from).and_then(|runtime| {
        let resumed = runtime.block_on(async {
            let live = LiveMount::resume(handover, runtime.handle()).await?;
            Ok::<_, Failure>((live, Told::listen()?))
        })?;
        Ok((runtime, resumed))
    });
    let (runtime, (mut live, told)) = match resumed {
        Ok(resumed) => resumed,
        Err(failure) => {
            if let Some(asker) = asker {
                asker.refused(&failure);
            }
            return Err(failure);
        }
    };
    match (&mut standing.link, asker) {
        (link, Some(asker)) => {
            // The next one, too, is to be of this program.
            if let Some(link) = link {
                keep_supervised(&live, link);
            }
            asker.upgraded();
        }
        (Some(link), None) => link.serves()?,
        (None, None) => service::tell(&[NotifyState::Ready]),
    }
    let code = runtime.block_on(serve_until_told(&mut live, &standing, told))?;
    runtime.shutdown_background();
    Ok(code)
}

/// Goes on with a daemon as its supervisor.
fn go_on_supervising(command: &SuperviseCommand) -> u8 {
    match Filter::parse(&command.log_level) {
        Ok(filter) => {
            telemetry::start(&filter, Sink::System);
            supervise::go_on(command)
        }
        Err(error) => fail(USAGE, &error),
    }
}

/// Serves until somebody unmounts or a signal comes; returns the exit code.
pub(super) async fn serve_until_told(
    live: &mut LiveMount,
    standing: &Standing,
    mut told: Told,
) -> std::io::Result<u8> {
    let name = loop {
        tokio::select! {
            event = live.next() => match event {
                Event::Ended => break None,
                Event::Upgrade(upgrade) => tokio::select! {
                    biased;
                    name = told.next() => {
                        Standing::stay(live, &upgrade, &format!("{name}: the mount ends"));
                        break Some(name);
                    }
                    () = standing.upgrade(live, &upgrade) => {}
                },
            },
            name = told.next() => break Some(name),
        }
    };
    let left = match name {
        None => live.finish(BUSY_PATIENCE).await,
        Some(name) => {
            service::tell(&[NotifyState::Stopping]);
            info!("{name}: committing and unmounting");
            let again = tokio::select! {
                left = live.stop(BUSY_PATIENCE) => Ok(left),
                name = told_again() => Err(name?),
            };
            match again {
                Ok(left) => left,
                Err(name) => {
                    error!("{name} again: ending without waiting for commits under way");
                    live.abandon();
                    live.give_up(Duration::ZERO).await
                }
            }
        }
    };
    for said in &left {
        error!("{said}");
    }
    let code = if left.is_empty() { 0 } else { NOT_COMMITTED };
    live.tell(left).await;
    service::forget();
    Ok(code)
}

/// Those that end a process which does not listen to them.
pub(super) fn ending_signals() -> SigSet {
    let all = [
        signals::SIGTERM,
        signals::SIGINT,
        signals::SIGHUP,
        signals::SIGUSR1,
        signals::SIGUSR2,
    ];
    all.into_iter().collect()
}

/// When the program is told to end once more. What comes just behind the first signal is the same
/// one: systemd sends it to this process and to its supervisor, which passes it on.
async fn told_again() -> std::io::Result<&'static str> {
    tokio::time::sleep(SAME_SIGNAL).await;
    Ok(Told::listen()?.next().await)
}

/// The signals that tell the program to end.
pub(super) struct Told {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    has_terminal: bool,
}

impl Told {
    pub(super) fn listen() -> std::io::Result<Self> {
        let told = Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            has_terminal: File::open("/dev/tty").is_ok(),
        };
        ending_signals().thread_unblock()?;
        Ok(told)
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            // Without a terminal that could hang up it says to open a log file anew, as s3fs-fuse
            // does; there is none.
            _ = self.hangup.recv(), if self.has_terminal => "SIGHUP",
        }
    }
}

/// Tells the allocator how to hold memory; to be called before there is a second thread.
///
/// The bounds on memory are promises about the process, so what is freed must go back. glibc gives
/// every thread an arena of its own (8 for each core) that keeps what it freed, and raises the size
/// from which blocks are mapped on their own, up to 32 MiB, after the first such block is freed.
/// Both are fixed here: cache blocks and staged bytes come from few heaps, whose pages are used
/// again and again (mapped each on their own, most of the time of a large read or write would go
/// into faulting pages in), and what is larger is a mapping that ends when it is dropped.
fn bound_heap() {
    #[cfg(target_env = "gnu")]
    {
        /// Arenas of small allocations: the runtime's threads are few.
        const ARENAS_MAX: libc::c_int = 2;
        /// Allocations of this size and more are mappings of their own.
        const MAPPED_BYTES_MIN: libc::c_int = 4 << 20;
        /// More free bytes than this at the end of the first heap go back to the kernel.
        const KEPT_BYTES_MAX: libc::c_int = 32 << 20;
        // SAFETY: mallopt(3) takes integers and changes only the allocator's own settings; it is
        // called while the process has one thread.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, ARENAS_MAX);
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES_MAX);
        }
    }
}
