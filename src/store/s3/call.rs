//! One call of a bucket's method: attempts at a request, each watched, with pauses between, within
//! a deadline; every attempt is logged. Knows no operation.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::Client;
use tokio::time::Instant;

use super::S3Bucket;
use super::fault::{Condition, Effect, Fault, Next, Subject};
use super::meaning::meaning;
use crate::interrupt::{self, Interrupted};
use crate::object::ObjectKey;
use crate::store::retry::Timeouts;
use crate::store::{StoreError, StoreResult};

/// Where requests are logged.
pub(super) const LOG_TARGET: &str = "s3fs::store";

/// The part of the time in which something has to move after which the log says that nothing does:
/// of a minute, ten seconds.
const STALL_SHARE: u32 = 6;

/// How long after the log has said so it says nothing of other calls.
const STALL_SAID_EVERY: Duration = Duration::from_secs(10);

/// When the log last said that a call stalls.
#[derive(Debug, Default)]
pub(super) struct Stalls(Mutex<Option<Instant>>);

impl Stalls {
    fn may_say(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now - last >= STALL_SAID_EVERY);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

/// What is called, and how much it moves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    subject: Subject<'a>,
    /// Bytes the store copies before it answers.
    copied: u64,
    /// Bytes in the body of the request or of the answer.
    carried: u64,
    attempts_max: u32,
}

impl<'a> Call<'a> {
    /// The key it is about.
    pub fn key(mut self, key: &'a ObjectKey) -> Self {
        self.subject.key = Some(key);
        self
    }

    /// The condition it carries.
    pub fn condition(mut self, condition: Condition<'a>) -> Self {
        self.subject.condition = condition;
        self
    }

    /// Bytes the store copies before it answers.
    pub fn copied(mut self, bytes: u64) -> Self {
        self.copied = bytes;
        self
    }

    /// Bytes in the body of the request or of the answer.
    pub fn carried(mut self, bytes: u64) -> Self {
        self.carried = bytes;
        self
    }

    /// At most so many attempts.
    pub fn attempts_max(mut self, attempts_max: u32) -> Self {
        self.attempts_max = self.attempts_max.min(attempts_max);
        self
    }
}

/// What an attempt works with.
pub(super) struct Attempt {
    pub client: Client,
    pub progress: Progress,
}

/// A call that succeeded.
pub(super) struct Done<T> {
    pub value: T,
    /// Whether an earlier attempt, whose answer was lost, may have had its effect too.
    pub earlier: Effect,
    /// Since the first attempt.
    pub elapsed: Duration,
}

/// A call that failed for good.
#[derive(Debug)]
pub(super) struct Failure<'a> {
    pub fault: Fault,
    /// Whether an attempt before the last may have had its effect.
    pub earlier: Effect,
    subject: Subject<'a>,
    attempts: u32,
    elapsed: Duration,
}

impl Failure<'_> {
    /// By meaning.
    pub fn into_error(self) -> StoreError {
        meaning(&self.subject, self.fault, self.attempts, self.elapsed)
    }

    /// Whether a condition of the request did not hold.
    pub fn is_condition_failed(&self) -> bool {
        self.fault
            .answer()
            .is_some_and(super::fault::Answer::is_condition_failed)
    }

    /// Whether the store has not got what the request asked for.
    pub fn is_not_implemented(&self) -> bool {
        self.fault
            .answer()
            .is_some_and(super::fault::Answer::is_not_implemented)
    }

    /// Whether the store takes no such request as this one.
    pub fn is_malformed(&self) -> bool {
        self.fault
            .answer()
            .is_some_and(|answer| answer.status == 400)
    }

    /// Whether the store answered that code.
    pub fn has_code(&self, code: &str) -> bool {
        self.fault
            .answer()
            .is_some_and(|answer| answer.code == code)
    }
}

impl From<Failure<'_>> for StoreError {
    fn from(failure: Failure<'_>) -> Self {
        failure.into_error()
    }
}

/// When an attempt last got on, and how long it may stay as it is: bodies tell it of every frame.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<Mutex<Watch>>);

#[derive(Debug)]
struct Watch {
    since: Instant,
    limit: Duration,
    answer: Duration,
    stalled: Duration,
}

impl Progress {
    fn new(answer: Duration, stalled: Duration) -> Self {
        Self(Arc::new(Mutex::new(Watch {
            since: Instant::now(),
            limit: answer,
            answer,
            stalled,
        })))
    }

    /// A frame of a body moved, and more is to follow.
    pub fn moved(&self) {
        self.set(|watch| watch.stalled);
    }

    /// The last frame of the request's body is on its way.
    pub fn sent(&self) {
        self.set(|watch| watch.answer);
    }

    fn set(&self, limit: impl FnOnce(&Watch) -> Duration) {
        let mut watch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watch.since = Instant::now();
        watch.limit = limit(&watch);
    }

    /// Returns when nothing has moved for too long, with how long that was.
    async fn stalled(&self) -> Duration {
        self.silent(1).await
    }

    /// The same for the `share`-th part of too long.
    async fn silent(&self, share: u32) -> Duration {
        loop {
            let (since, limit) = {
                let watch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                (watch.since, watch.limit / share)
            };
            if since.elapsed() >= limit {
                return limit;
            }
            tokio::time::sleep_until(since + limit).await;
        }
    }
}

impl S3Bucket {
    /// A call of that operation on the bucket.
    pub(super) fn call(&self, operation: &'static str) -> Call<'_> {
        Call {
            subject: Subject {
                operation,
                bucket: &self.name,
                key: None,
                condition: Condition::None,
                endpoint: &self.connection.endpoint,
                region: &self.connection.region,
            },
            copied: 0,
            carried: 0,
            attempts_max: self.connection.timeouts.attempts_max,
        }
    }

    /// Makes attempts until one succeeds, an answer is final, or attempts or time are used up.
    pub(super) async fn run<'a, T, F, A>(
        &self,
        call: Call<'a>,
        request: F,
    ) -> Result<Done<T>, Failure<'a>>
    where
        F: Fn(Attempt) -> A,
        A: Future<Output = Result<T, Fault>>,
    {
        let timeouts = &self.connection.timeouts;
        let started = Instant::now();
        let deadline = started + timeouts.call(call.copied + call.carried);
        let (mut attempts, mut renewed, mut earlier) = (0, false, Effect::None);
        loop {
            attempts += 1;
            let (client, generation) = self.connection.client();
            let progress = Progress::new(timeouts.answer(call.copied), timeouts.stalled_body);
            let attempt = Attempt {
                client,
                progress: progress.clone(),
            };
            let begun = Instant::now();
            // On the heap, or the layout of what calls this is too deep for the compiler.
            let outcome = Box::pin(watched(request(attempt), &progress, deadline));
            let watched = self.saying_stalls(&call.subject, &progress, outcome);
            let outcome = interrupt::or(watched).await.unwrap_or_else(interrupted);
            log_attempt(&call.subject, attempts, begun.elapsed(), &outcome);
            let fault = match outcome {
                Ok(value) => {
                    return Ok(Done {
                        value,
                        earlier,
                        elapsed: started.elapsed(),
                    });
                }
                Err(fault) => fault,
            };
            let again = match fault.next() {
                Next::Stop => false,
                Next::Again => attempts < call.attempts_max,
                Next::Renew => !std::mem::replace(&mut renewed, true),
            };
            let pause = pause(timeouts, &fault, attempts);
            if !again || Instant::now() + pause >= deadline {
                let (subject, elapsed) = (call.subject, started.elapsed());
                return Err(Failure {
                    fault,
                    earlier,
                    subject,
                    attempts,
                    elapsed,
                });
            }
            if fault.effect() == Effect::Maybe {
                earlier = Effect::Maybe;
            }
            if fault.next() == Next::Renew {
                self.connection.renew(generation);
            }
            // Interrupted, the next attempt says so.
            let _ = interrupt::or(tokio::time::sleep(pause)).await;
        }
    }

    /// `attempt`, during which the log says once if nothing moves for a part of the time in which
    /// something has to.
    async fn saying_stalls<T>(
        &self,
        subject: &Subject<'_>,
        progress: &Progress,
        attempt: impl Future<Output = T>,
    ) -> T {
        let said = async {
            let silent = progress.silent(STALL_SHARE).await;
            if self.connection.stalls.may_say(Instant::now()) {
                let (operation, resource) = (subject.operation, subject.resource());
                log::warn!(
                    target: LOG_TARGET,
                    "{operation} {resource}: no answer from {} for {}; still waiting",
                    subject.endpoint,
                    whole(silent),
                );
            }
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            biased;
            done = attempt => done,
            never = said => match never {},
        }
    }

    /// [`Self::run`] for an operation whose failures need no second look.
    pub(super) async fn run_simply<'a, T, F, A>(&self, call: Call<'a>, request: F) -> StoreResult<T>
    where
        F: Fn(Attempt) -> A,
        A: Future<Output = Result<T, Fault>>,
    {
        Ok(self.run(call, request).await?.value)
    }
}

/// A time in whole seconds, or milliseconds below one.
fn whole(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds => format!("{seconds} s"),
    }
}

fn pause(timeouts: &Timeouts, fault: &Fault, attempts: u32) -> Duration {
    match fault.next() {
        Next::Again => timeouts.pause(attempts),
        Next::Stop | Next::Renew => Duration::ZERO,
    }
}

async fn watched<T>(
    request: impl Future<Output = Result<T, Fault>>,
    progress: &Progress,
    deadline: Instant,
) -> Result<T, Fault> {
    let reason = tokio::select! {
        outcome = request => return outcome,
        limit = progress.stalled() => format!("nothing moved for {}", whole(limit)),
        () = tokio::time::sleep_until(deadline) => "out of time".to_owned(),
    };
    Err(Fault::Silence { reason, sent: true })
}

fn interrupted<T>(interrupted: Interrupted) -> Result<T, Fault> {
    Err(Fault::Settled(interrupted.into()))
}

fn log_attempt<T>(
    subject: &Subject<'_>,
    attempt: u32,
    elapsed: Duration,
    outcome: &Result<T, Fault>,
) {
    if !log::log_enabled!(target: LOG_TARGET, log::Level::Debug) {
        return;
    }
    let (status, id) = match outcome {
        Ok(_) => ("ok".to_owned(), None),
        Err(fault) => (
            fault.brief(),
            fault
                .answer()
                .and_then(|answer| answer.request_id.as_deref()),
        ),
    };
    log::debug!(
        target: LOG_TARGET,
        "{} {} attempt {attempt}: {status}, request {}, {} ms",
        subject.operation,
        subject.resource(),
        id.unwrap_or("-"),
        elapsed.as_millis(),
    );
}
