//! The requests whose callers wait, and the watcher that ends those whose callers are to end: the
//! library answers FUSE_INTERRUPT itself, with ENOSYS, so the callers are looked at instead. Knows
//! no operation.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::caller::{self, Fate};
use crate::lock::{Guarded, Locked};

/// How long a request may take before its caller is looked at, and how often it is then.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Whose request it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Asker {
    /// The kernel's number of the request.
    pub id: u64,
    /// The thread that waits; 0 for one that cannot be seen.
    pub tid: u32,
}

/// The requests that could not be answered at once.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<Table>);

#[derive(Debug, Default)]
struct Table {
    requests: Guarded<Requests>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Requests {
    waiting: HashMap<u64, Waiting>,
    /// Nobody waits for anything any more.
    is_over: bool,
}

#[derive(Debug)]
struct Waiting {
    tid: u32,
    since: Instant,
    token: CancellationToken,
}

impl InFlight {
    /// Enters a request, whose work ends when `token` is cancelled.
    pub(super) fn enter(&self, asker: Asker, token: CancellationToken) -> Entered {
        let Asker { id, tid } = asker;
        let mut requests = self.requests();
        if requests.is_over {
            token.cancel();
        }
        let since = Instant::now();
        requests.waiting.insert(id, Waiting { tid, since, token });
        drop(requests);
        self.0.came.notify_one();
        Entered {
            table: self.clone(),
            id,
        }
    }

    /// The connection has ended: all that is asked for is given up, and what still comes.
    pub fn give_up(&self) {
        let mut requests = self.requests();
        requests.is_over = true;
        for request in requests.waiting.values() {
            request.token.cancel();
        }
    }

    /// Ends the requests whose callers are to end, for as long as it is polled.
    pub async fn watch(&self) {
        loop {
            if self.requests().waiting.is_empty() {
                self.0.came.notified().await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            let tids = self.old();
            if tids.is_empty() {
                continue;
            }
            // proc(5) may wait for locks of the process that is looked at.
            let ending = tokio::task::spawn_blocking(move || {
                let is_ending = |tid: &u32| caller::fate(*tid) != Fate::Waits;
                tids.into_iter().filter(is_ending).collect::<BTreeSet<_>>()
            });
            if let Ok(ending) = ending.await {
                self.end(&ending);
            }
        }
    }

    /// The callers of requests that take long.
    fn old(&self) -> BTreeSet<u32> {
        let requests = self.requests();
        let waiting = requests.waiting.values();
        let old = waiting.filter(|request| request.is_old() && !request.token.is_cancelled());
        old.map(|request| request.tid).collect()
    }

    fn end(&self, tids: &BTreeSet<u32>) {
        for request in self.requests().waiting.values() {
            // One that came since is another's, if the number was given out anew.
            if tids.contains(&request.tid) && request.is_old() {
                request.token.cancel();
            }
        }
    }

    fn requests(&self) -> Locked<'_, Requests> {
        self.0.requests.lock()
    }
}

impl Waiting {
    fn is_old(&self) -> bool {
        self.since.elapsed() >= LOOK_EVERY
    }
}

/// A request in the table, until it is answered: when this is dropped.
#[derive(Debug)]
pub(super) struct Entered {
    table: InFlight,
    id: u64,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.table.requests().waiting.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A process to which a signal waits that it cannot take. A shell has what it starts in the
    /// background ignore SIGINT.
    fn killed_while_stopped() -> Child {
        let mut child = Command::new("sleep");
        let child = child.arg("60").stdin(Stdio::null()).spawn().unwrap();
        let pid = nix::unistd::Pid::from_raw(child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::SIGSTOP).unwrap();
        let stat = format!("/proc/{pid}/stat");
        while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
            std::thread::sleep(Duration::from_millis(1));
        }
        nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM).unwrap();
        child
    }

    #[tokio::test]
    async fn the_requests_of_a_caller_that_is_to_end_are_ended_and_no_others() {
        let mut child = killed_while_stopped();
        let in_flight = InFlight::default();
        let enter = |id, tid| {
            let token = CancellationToken::new();
            let entered = in_flight.enter(Asker { id, tid }, token.clone());
            (token, entered)
        };
        let (ending, _one) = enter(1, child.id());
        let (living, _other) = enter(2, std::process::id());
        let (unseen, _third) = enter(3, 0);
        let ended = async {
            tokio::select! {
                () = in_flight.watch() => {}
                () = ending.cancelled() => {}
            }
        };
        // Two seconds are promised; a busy machine starts tasks late.
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
        child.kill().unwrap();
        child.wait().unwrap();
        ended.unwrap();
        assert!(!living.is_cancelled() && !unseen.is_cancelled());
    }

    #[tokio::test]
    async fn an_ended_connection_ends_what_waits_and_what_still_comes() {
        let in_flight = InFlight::default();
        let (one, other) = (CancellationToken::new(), CancellationToken::new());
        let _entered = in_flight.enter(Asker { id: 1, tid: 0 }, one.clone());
        in_flight.give_up();
        let _late = in_flight.enter(Asker { id: 2, tid: 0 }, other.clone());
        assert!(one.is_cancelled() && other.is_cancelled());
    }

    #[test]
    fn an_answered_request_leaves_the_table() {
        let in_flight = InFlight::default();
        let token = CancellationToken::new();
        drop(in_flight.enter(Asker { id: 1, tid: 1 }, token));
        assert!(in_flight.requests().waiting.is_empty());
    }
}
