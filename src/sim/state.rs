//! All a service knows, shared by its connections and kept over a restart. Knows no socket.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
use super::rules::Rules;
use super::session::Sessions;

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

/// What a service is started with.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) rules: Rules,
    pub(super) access_key: (String, String),
    /// The ends of the service's host names.
    pub(super) hosts: Vec<String>,
    pub(super) owner: String,
    /// Buckets whose requesters pay.
    pub(super) requester_pays: BTreeSet<String>,
    /// The regions of buckets that are not in the service's own.
    pub(super) regions: BTreeMap<String, String>,
    /// The prefixes below which alone a bucket may be listed, by bucket.
    pub(super) listable: BTreeMap<String, String>,
}

/// All a service knows: buckets, rules, counters, faults. Outlives the [`Sim`](super::Sim)s
/// that serve it.
pub struct State {
    pub(super) rules: Rules,
    pub(super) access_key: (String, String),
    pub(super) hosts: Vec<String>,
    pub(super) owner: String,
    pub(super) requester_pays: BTreeSet<String>,
    regions: BTreeMap<String, String>,
    pub(super) listable: BTreeMap<String, String>,
    pub(super) sessions: Sessions,
    buckets: Mutex<Buckets>,
    ledger: Mutex<Ledger>,
    faults: Mutex<Faults>,
    hook: Mutex<Option<Hook>>,
    pace: Mutex<Pace>,
    /// When the wire is free again, up and down.
    wire: Mutex<[Option<Instant>; 2]>,
    /// When keys were last written, where that may not be often.
    written: Mutex<HashMap<(String, String), Instant>>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("rules", &self.rules.name)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// The key of an object, where a backslash is a slash, or two slashes are one.
    pub(super) fn take_for_path(&self, key: &mut String) {
        if self.rules.limits.backslash_is_slash {
            *key = key.replace('\\', "/");
        }
        while self.rules.writes.slashes_merge && key.contains("//") {
            *key = key.replace("//", "/");
        }
    }

    pub(super) fn new(settings: Settings, dir: Option<&Path>) -> io::Result<Self> {
        let Settings {
            rules,
            access_key,
            hosts,
            owner,
            requester_pays,
            regions,
            listable,
        } = settings;
        let buckets = dir.map_or_else(|| Ok(Buckets::new()), Journal::open)?;
        Ok(Self {
            rules,
            access_key,
            hosts,
            owner,
            requester_pays,
            regions,
            listable,
            sessions: Sessions::default(),
            buckets: Mutex::new(buckets),
            ledger: Mutex::default(),
            faults: Mutex::default(),
            hook: Mutex::default(),
            pace: Mutex::default(),
            wire: Mutex::default(),
            written: Mutex::default(),
        })
    }

    /// The region of a bucket, whether there is one or not.
    pub(super) fn region(&self, bucket: &str) -> &str {
        self.regions
            .get(bucket)
            .map_or(super::REGION, String::as_str)
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

    /// Whether a key may be written again yet; if so, notes that it is.
    pub(super) fn may_write(&self, bucket: &str, key: &str) -> bool {
        let interval = self.rules.requests.write_interval;
        if interval.is_zero() {
            return true;
        }
        let now = Instant::now();
        let mut written = lock(&self.written);
        let last = written.entry((bucket.into(), key.into()));
        match last {
            Entry::Occupied(last) if now.duration_since(*last.get()) < interval => false,
            last => {
                last.insert_entry(now);
                true
            }
        }
    }

    /// A digest as the provider writes it into an ETag.
    pub(super) fn etag(&self, digest: String) -> String {
        if self.rules.answers.capital_etags {
            digest.to_ascii_uppercase()
        } else {
            digest
        }
    }

    /// The ETag that the provider gives an object of this key and digest; empty for none.
    pub(super) fn etag_at(&self, key: &str, digest: String) -> String {
        if key.ends_with('/') && !self.rules.answers.directory_etags {
            String::new()
        } else {
            self.etag(digest)
        }
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
