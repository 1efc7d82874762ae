//! One kernel request from arrival to reply: where its work runs, and its lines in the log.
//! Knows no operation.

use std::ffi::{OsStr, OsString};
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use fuser::{Errno, INodeNo, Request};
use log::{Level, debug, error, log, log_enabled, warn};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::errno;
use super::in_flight::Asker;
use super::told::Told;
use super::underway::UnderWay;
use crate::fs::FsResult;
use crate::interrupt;

/// What was told of refusals, by all mounts of this process.
static TOLD: Told = Told::new();

tokio::task_local! {
    static CURRENT: u64;
}

/// The kernel's number of the request that is being worked on by the caller, if any. The same in
/// every line that is logged on its behalf.
pub fn current() -> Option<u64> {
    CURRENT.try_with(|id| *id).ok()
}

/// Runs `work`, which answers a request, to its end, as soon as it may begin: on this thread when
/// its first poll is its last, else as a task of `runtime`, whose waits end when its caller is to
/// end. Never waits.
pub(super) fn run<W>(runtime: &Handle, under_way: &UnderWay, asker: Asker, work: W)
where
    W: Future<Output = ()> + Send + 'static,
{
    let id = asker.id;
    let in_flight = under_way.in_flight.clone();
    let under_way = under_way.clone();
    let token = CancellationToken::new();
    let work = interrupt::scope(token.clone(), async move {
        let _begun = under_way.begin().await;
        work.await;
    });
    let mut work = Box::pin(CURRENT.scope(id, work));
    let guard = runtime.enter();
    // The task's own first poll replaces this waker, so no wake-up is lost.
    let mut first = Context::from_waker(Waker::noop());
    let polled = panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut first)));
    match polled {
        Ok(Poll::Ready(())) => {}
        Ok(Poll::Pending) => {
            let entered = in_flight.enter(asker, token);
            runtime.spawn(async move {
                work.await;
                drop(entered);
            });
        }
        // As tokio does for a task: the request fails (its reply, dropped, says EIO), the thread
        // lives on for the others.
        Err(_) => error!("request {id}: its work panicked"),
    }
    drop(guard);
}

/// Runs `work` on this thread; `None` when it panicked, which fails the request as in [`run`].
pub(super) fn run_at_once<T>(id: u64, work: impl FnOnce() -> T) -> Option<T> {
    let work = AssertUnwindSafe(|| CURRENT.sync_scope(id, work));
    let done = panic::catch_unwind(work);
    if done.is_err() {
        error!("request {id}: its work panicked");
    }
    done.ok()
}

/// What is told of a request when it is answered, and what is known of it until then.
#[derive(Debug)]
pub(super) struct Traced {
    asker: Asker,
    op: &'static str,
    ino: u64,
    detail: Detail,
    // Taken only when somebody will read it.
    started: Option<Instant>,
}

#[derive(Debug)]
enum Detail {
    None,
    Name(OsString),
    Range { offset: u64, len: u64 },
}

impl Traced {
    /// A request about an inode.
    pub(super) fn new(request: &Request, op: &'static str, ino: INodeNo) -> Self {
        let started = log_enabled!(Level::Debug).then(Instant::now);
        Self {
            asker: Asker {
                id: request.unique().0,
                tid: request.pid(),
            },
            op,
            ino: ino.0,
            detail: Detail::None,
            started,
        }
    }

    /// A request about a name in a directory.
    pub(super) fn named(request: &Request, op: &'static str, dir: INodeNo, name: &OsStr) -> Self {
        Self {
            detail: Detail::Name(name.to_owned()),
            ..Self::new(request, op, dir)
        }
    }

    /// A request about bytes of a file or positions in a directory.
    pub(super) fn ranged(
        request: &Request,
        op: &'static str,
        ino: INodeNo,
        offset: u64,
        len: u64,
    ) -> Self {
        Self {
            detail: Detail::Range { offset, len },
            ..Self::new(request, op, ino)
        }
    }

    /// The kernel's number of the request: unique in a mount, repeated only when the kernel sends
    /// the request again.
    pub(super) const fn id(&self) -> u64 {
        self.asker.id
    }

    /// Whose it is.
    pub(super) const fn asker(&self) -> Asker {
        self.asker
    }

    /// Logs how the request ended and makes an errno of its error.
    pub(super) fn finish<T>(&self, result: FsResult<T>) -> Result<T, Errno> {
        let code = match &result {
            Ok(_) => 0,
            Err(error) => {
                let (errno, level) = errno::of(error);
                let code = errno.code();
                match level {
                    Level::Warn => match TOLD.tell((self.op, code), Instant::now()) {
                        Some(untold) => warn!("{self}: {error}{untold}"),
                        None => debug!("{self}: {error}"),
                    },
                    level => log!(level, "{self}: {error}"),
                }
                code
            }
        };
        if let Some(started) = self.started {
            debug!("{self}: errno={code} us={}", started.elapsed().as_micros());
        }
        result.map_err(|_| Errno::from_i32(code))
    }
}

impl std::fmt::Display for Traced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ino={}", self.op, self.ino)?;
        match &self.detail {
            Detail::None => Ok(()),
            Detail::Name(name) => write!(f, " name={name:?}"),
            Detail::Range { offset, len } => write!(f, " offset={offset} len={len}"),
        }
    }
}
