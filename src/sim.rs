//! An in-process S3 service with AWS's rules or another provider's, faults, delays and request
//! counters: it backs `s3fs demo` and the tests. Knows nothing of filesystems.
//!
//! ```no_run
//! # async fn demo() -> std::io::Result<()> {
//! use s3fs::sim::{Fault, How, Operation, Sim};
//! let sim = Sim::builder().bucket("photos").versioned("attic").start("127.0.0.1:0").await?;
//! sim.put_pattern("photos", "big", 1 << 40, 7);
//! sim.fault(Fault::on(Operation::UploadPartCopy, How::Status(503, "SlowDown")).times(3));
//! let before = sim.counters();
//! // ... a client works at sim.endpoint() ...
//! assert_eq!((sim.counters() - &before).total().bytes_down, 0);
//! # Ok(())
//! # }
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::limits::Limits;
use rules::Conditions;
use state::Settings;

mod access;
mod answer;
mod buckets;
mod content;
mod fault;
mod gate;
mod host;
mod http;
mod journal;
mod listing;
mod request;
pub mod rules;
mod service;
mod session;
mod state;

#[cfg(test)]
mod tests;

pub use access::{SimStat, SimUpload};
pub use content::pattern_byte;
pub use fault::{Fault, How};
pub use request::{Count, Counters, Operation, SimRequest};
pub use rules::Rules;
pub use state::{Pace, State};

/// The region the service says that buckets are in unless it was told another.
pub const REGION: &str = "us-east-1";

/// A running service. It has a thread and a tokio runtime of its own; dropping it stops it.
#[derive(Debug)]
pub struct Sim {
    state: Arc<State>,
    address: SocketAddr,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// What a service starts with.
#[derive(Debug)]
pub struct SimBuilder {
    buckets: Vec<(String, bool)>,
    settings: Settings,
    dir: Option<PathBuf>,
}

impl SimBuilder {
    /// A bucket, made unless it is kept already. Names are as AWS has them: three letters at
    /// least.
    #[must_use]
    pub fn bucket(mut self, name: &str) -> Self {
        self.buckets.push((name.into(), false));
        self
    }

    /// A bucket that keeps versions.
    #[must_use]
    pub fn versioned(mut self, name: &str) -> Self {
        self.buckets.push((name.into(), true));
        self
    }

    /// Whose rules it keeps, AWS's unless told otherwise.
    #[must_use]
    pub fn rules(mut self, rules: Rules) -> Self {
        self.settings.rules = rules;
        self
    }

    /// Other limits than those of the rules; what a planner prefers is ignored. With parts of a
    /// few bytes a few bytes are also all that a source needs for a range of it to be copied.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        let least = &mut self.settings.rules.copies.ranged_source_refused_max;
        *least = (*least).min(limits.part_size_min);
        self.settings.rules.limits = limits;
        self
    }

    /// The end of a host name by which the service is reached: a bucket in front of it is the one
    /// that requests are about. Whoever comes by an address names the bucket in the path.
    #[must_use]
    pub fn host(mut self, name: &str) -> Self {
        self.settings.hosts.push(name.into());
        self
    }

    /// The region of a bucket; [`REGION`] unless told otherwise. All are reached by the one
    /// endpoint, whatever region a request is signed for.
    #[must_use]
    pub fn region(mut self, bucket: &str, region: &str) -> Self {
        self.settings.regions.insert(bucket.into(), region.into());
        self
    }

    /// A bucket whose policy allows requests about keys below a prefix, and listings that name it
    /// or more of them, and nothing else.
    #[must_use]
    pub fn only_below(mut self, bucket: &str, prefix: &str) -> Self {
        self.settings.listable.insert(bucket.into(), prefix.into());
        self.bucket(bucket)
    }

    /// The account that owns the buckets; [`Sim::OWNER`] unless told otherwise.
    #[must_use]
    pub fn owner(mut self, account: &str) -> Self {
        self.settings.owner = account.into();
        self
    }

    /// A bucket that makes its requesters pay, where the rules have that.
    #[must_use]
    pub fn requester_pays(mut self, bucket: &str) -> Self {
        self.settings.requester_pays.insert(bucket.into());
        self.bucket(bucket)
    }

    /// The access key requests must be signed with; [`Sim::ACCESS_KEY`] unless told otherwise.
    #[must_use]
    pub fn access_key(mut self, id: &str, secret: &str) -> Self {
        self.settings.access_key = (id.into(), secret.into());
        self
    }

    /// Keeps objects in a directory, and takes up what is there; in memory unless told so. The
    /// directory is made where there is none. Uploads under way are not kept.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Answers writes and copies as if they carried no condition and no object size, as some
    /// stores do (Ceph, Garage); reads keep theirs.
    #[must_use]
    pub fn ignore_conditions(mut self) -> Self {
        let rules = &mut self.settings.rules;
        rules.copies.object_conditions = Conditions::Ignored;
        rules.copies.part_conditions = Conditions::Ignored;
        rules.uploads.object_size = false;
        self.write_conditions(Conditions::Ignored)
    }

    /// Refuses conditions on writes with 501 NotImplemented, and takes this header for a write that
    /// overwrites nothing, as Alibaba OSS does (OSS, PutObject, `x-oss-forbid-overwrite`).
    #[must_use]
    pub fn forbid_overwrite(mut self, header: &'static str) -> Self {
        self.settings.rules.writes.forbid_overwrite = Some(header);
        self.write_conditions(Conditions::Refused)
    }

    fn write_conditions(mut self, conditions: Conditions) -> Self {
        let writes = &mut self.settings.rules.writes;
        writes.put_conditions = conditions;
        writes.complete_conditions = conditions;
        writes.copy_conditions = conditions;
        self
    }

    /// The state, without a service.
    ///
    /// # Errors
    /// What the directory answers; `InvalidData` when it was not written by this program.
    ///
    /// # Panics
    /// When a bucket shall keep versions and the rules have none.
    pub fn build(self) -> io::Result<Arc<State>> {
        let versions = self.settings.rules.requests.versions;
        let state = State::new(self.settings, self.dir.as_deref())?;
        for (name, versioned) in self.buckets {
            let mut buckets = state.buckets();
            assert!(
                versions || !versioned,
                "a provider whose buckets keep no versions"
            );
            if buckets.bucket(&name).is_err() {
                buckets.create(&name, versioned).map_err(io::Error::other)?;
            }
        }
        Ok(Arc::new(state))
    }

    /// Starts the service at an address such as `127.0.0.1:0`.
    ///
    /// # Errors
    /// Those of [`SimBuilder::build`] and [`Sim::serve`].
    pub async fn start(self, address: &str) -> io::Result<Sim> {
        Sim::serve(self.build()?, address).await
    }
}

impl Sim {
    /// The access key and its secret unless the builder was told others.
    pub const ACCESS_KEY: (&'static str, &'static str) = ("sim", "simsecret");

    /// The account that owns the buckets unless the builder was told another.
    pub const OWNER: &'static str = "111122223333";

    /// An empty service in memory with AWS's rules.
    pub fn builder() -> SimBuilder {
        let (id, secret) = Self::ACCESS_KEY;
        SimBuilder {
            buckets: Vec::new(),
            settings: Settings {
                rules: Rules::aws(),
                access_key: (id.into(), secret.into()),
                hosts: Vec::new(),
                owner: Self::OWNER.into(),
                requester_pays: BTreeSet::new(),
                regions: BTreeMap::new(),
                listable: BTreeMap::new(),
            },
            dir: None,
        }
    }

    /// Serves a state at an address. The port of a stopped service can be taken at once.
    ///
    /// # Errors
    /// What binding the address answers.
    pub async fn serve(state: Arc<State>, address: &str) -> io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(address).await?.into_std()?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&state);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("sim")
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("sim".into())
            .spawn(move || {
                runtime.block_on(async {
                    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                        return;
                    };
                    tokio::select! {
                        () = http::serve(listener, served) => {}
                        _ = stopped => {}
                    }
                });
                // Dropping the runtime drops the connections.
            })?;
        Ok(Self {
            state,
            address,
            running: Mutex::new(Some(Running { stop, thread })),
        })
    }

    /// Where the service is: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address the service is at.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The state, to be served again after a stop.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    /// Stops as kill -9 would: the listener and all connections are closed at once, requests
    /// under way are not answered. What was applied stays.
    pub fn stop(&self) {
        let running = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Running { stop, thread }) = running {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

/// A service gives all that its state gives.
impl Deref for Sim {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.stop();
    }
}
