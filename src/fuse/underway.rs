//! The requests that are under way, and a gate before those that are not begun. Knows no operation.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::in_flight::InFlight;

/// Counts the requests that are under way, and lets no further one begin while it is stopped.
#[derive(Clone, Debug, Default)]
pub struct UnderWay {
    state: Arc<watch::Sender<State>>,
    /// Those whose callers wait.
    pub in_flight: InFlight,
}

#[derive(Debug, Default)]
struct State {
    is_stopped: bool,
    /// Requests that are begun and not answered.
    begun: usize,
}

impl UnderWay {
    /// From now on requests are held. Whether all that were begun are answered, for which it waits
    /// no longer than `patience`.
    pub async fn stop(&self, patience: Duration) -> bool {
        self.state.send_modify(|state| state.is_stopped = true);
        let mut states = self.state.subscribe();
        let answered = states.wait_for(|state| state.begun == 0);
        // No error: the sender is here.
        tokio::time::timeout(patience, answered).await.is_ok()
    }

    /// The requests that were held begin, and all that come.
    pub fn go_on(&self) {
        self.state.send_modify(|state| state.is_stopped = false);
    }

    /// Begins a request; `None` while it is to be held.
    pub(super) fn try_begin(&self) -> Option<Begun<'_>> {
        let mut is_begun = false;
        self.state.send_if_modified(|state| {
            is_begun = !state.is_stopped;
            state.begun += usize::from(is_begun);
            // Nobody waits for one more.
            false
        });
        is_begun.then(|| Begun(self))
    }

    /// Begins a request as soon as it may.
    pub(super) async fn begin(&self) -> Begun<'_> {
        loop {
            if let Some(begun) = self.try_begin() {
                return begun;
            }
            // Stopped anew meanwhile, it waits again.
            let _ = self
                .state
                .subscribe()
                .wait_for(|state| !state.is_stopped)
                .await;
        }
    }
}

/// A request that is begun: answered when this is dropped.
#[derive(Debug)]
pub(super) struct Begun<'a>(&'a UnderWay);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.0.state.send_if_modified(|state| {
            state.begun -= 1;
            state.is_stopped && state.begun == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::runtime::Handle;
    use tokio::sync::oneshot;

    use super::*;
    use crate::fuse::in_flight::Asker;
    use crate::fuse::request;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);

    fn run(under_way: &UnderWay, work: impl Future<Output = ()> + Send + 'static) {
        request::run(&Handle::current(), under_way, Asker { id: 2, tid: 0 }, work);
    }

    #[tokio::test]
    async fn a_request_that_comes_while_stopped_is_begun_when_it_goes_on() {
        let under_way = UnderWay::default();
        assert!(under_way.stop(LONG).await);
        let is_begun = Arc::new(AtomicBool::new(false));
        let (answer, answered) = oneshot::channel();
        run(&under_way, {
            let is_begun = Arc::clone(&is_begun);
            async move {
                is_begun.store(true, Ordering::Relaxed);
                answer.send(()).unwrap();
            }
        });
        assert!(under_way.try_begin().is_none());
        tokio::time::sleep(SHORT).await;
        assert!(!is_begun.load(Ordering::Relaxed));
        under_way.go_on();
        answered.await.unwrap();
        assert!(under_way.try_begin().is_some());
    }

    #[tokio::test]
    async fn a_stop_waits_until_what_was_begun_is_answered() {
        let under_way = UnderWay::default();
        let is_answered = Arc::new(AtomicBool::new(false));
        let (finish, finished) = oneshot::channel::<()>();
        run(&under_way, {
            let is_answered = Arc::clone(&is_answered);
            async move {
                finished.await.unwrap();
                is_answered.store(true, Ordering::Relaxed);
            }
        });
        let stopped = tokio::spawn({
            let under_way = under_way.clone();
            async move { under_way.stop(LONG).await }
        });
        tokio::time::sleep(SHORT).await;
        assert!(!stopped.is_finished());
        finish.send(()).unwrap();
        assert!(stopped.await.unwrap());
        assert!(is_answered.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_stop_that_loses_its_patience_says_so_and_holds_what_comes() {
        let under_way = UnderWay::default();
        run(&under_way, std::future::pending());
        assert!(!under_way.stop(SHORT).await);
        assert!(under_way.try_begin().is_none());
        under_way.go_on();
        assert!(under_way.try_begin().is_some());
    }

    #[tokio::test]
    async fn a_request_whose_work_panics_is_not_waited_for() {
        let under_way = UnderWay::default();
        run(&under_way, async { panic!("as a defect does") });
        assert!(under_way.stop(SHORT).await);
    }
}
