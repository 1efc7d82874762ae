//! All a service knows, shared by its connections and kept over a restart. Knows no socket.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use s3s::S3Result;
use s3s::s3_error;
use tokio::time::Instant;

use super::buckets::Buckets;
use super::content::Content;
use super::fault::Faults;
use super::journal::Journal;
use super::request::{Ledger, SimRequest};
use crate::limits::Limits;

/// What is called for every request, before it is applied.
pub(super) type Hook = Arc<dyn Fn(&State, &SimRequest) + Send + Sync>;

/// Speeds, in bytes a second; `None` is as fast as it goes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Pace {
    /// Added before each request is applied.
    pub delay: Duration,
    /// Object bytes in each direction, all connections together.
    pub bandwidth: Option<u64>,
    /// Each copy by the service, alone.
    pub copy_bandwidth: Option<u64>,
}

/// Which way object bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Up,
    Down,
}

/// All a service knows: buckets, limits, counters, faults. Outlives the [`Sim`](super::Sim)s
/// that serve it.
pub struct State {
    pub(super) limits: Limits,
    pub(super) access_key: (String, String),
    /// Whether conditions on writes and copies are looked at.
    pub(super) conditions: bool,
    /// The header that forbids to overwrite; conditions on writes are refused then.
    pub(super) forbid_overwrite: Option<&'static str>,
    buckets: Mutex<Buckets>,
    ledger: Mutex<Ledger>,
    faults: Mutex<Faults>,
    hook: Mutex<Option<Hook>>,
    pace: Mutex<Pace>,
    /// When the wire is free again, up and down.
    wire: Mutex<[Option<Instant>; 2]>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    pub(super) fn new(
        limits: Limits,
        access_key: (String, String),
        (conditions, forbid_overwrite): (bool, Option<&'static str>),
        dir: Option<&Path>,
    ) -> io::Result<Self> {
        let buckets = dir.map_or_else(|| Ok(Buckets::new()), Journal::open)?;
        Ok(Self {
            limits,
            access_key,
            conditions,
            forbid_overwrite,
            buckets: Mutex::new(buckets),
            ledger: Mutex::default(),
            faults: Mutex::default(),
            hook: Mutex::default(),
            pace: Mutex::default(),
            wire: Mutex::default(),
        })
    }

    pub(super) fn buckets(&self) -> MutexGuard<'_, Buckets> {
        lock(&self.buckets)
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(super) fn hook(&self) -> Option<Hook> {
        lock(&self.hook).clone()
    }

    pub(super) fn set_hook(&self, hook: Option<Hook>) {
        *lock(&self.hook) = hook;
    }

    pub(super) fn pace(&self) -> Pace {
        *lock(&self.pace)
    }

    /// Sets delay and bandwidths.
    pub fn set_pace(&self, pace: Pace) {
        *lock(&self.pace) = pace;
    }

    /// Books `bytes` on the wire; returns when they are through, if that takes time.
    pub(super) fn book(&self, way: Way, bytes: u64) -> Option<Instant> {
        let bandwidth = self.pace().bandwidth?;
        let mut wire = lock(&self.wire);
        let free = &mut wire[way as usize];
        let now = Instant::now();
        let start = free.unwrap_or(now).max(now);
        let end = start + Duration::from_secs_f64(bytes as f64 / bandwidth as f64);
        *free = Some(end);
        Some(end)
    }

    /// Keeps a body where this service keeps bodies.
    pub(super) fn keep(&self, bytes: Vec<u8>) -> S3Result<Content> {
        let mut buckets = self.buckets();
        if buckets.journal.is_none() {
            drop(buckets);
            return Ok(Content::memory(Bytes::from(bytes)));
        }
        let id = buckets.id();
        let journal = buckets
            .journal
            .as_ref()
            .ok_or_else(|| s3_error!(InternalError))?;
        journal
            .keep(id, &bytes)
            .map_err(s3s::S3Error::internal_error)
    }
}
