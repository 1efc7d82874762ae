//! An in-process S3 service with AWS's rules, faults, delays and request counters: it backs
//! `s3fs demo` and the tests. Knows nothing of filesystems.
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

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::limits::Limits;

mod access;
mod buckets;
mod content;
mod fault;
mod http;
mod journal;
mod listing;
mod request;
mod service;
mod state;

#[cfg(test)]
mod tests;

pub use access::{SimStat, SimUpload};
pub use content::pattern_byte;
pub use fault::{Fault, How};
pub use request::{Count, Counters, Operation, SimRequest};
pub use state::{Pace, State};

/// The region the service says it is in.
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
    limits: Limits,
    access_key: (String, String),
    dir: Option<PathBuf>,
    conditions: bool,
    forbid_overwrite: Option<&'static str>,
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

    /// The limits that are enforced, AWS's unless told otherwise; what a planner prefers is
    /// ignored.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The access key requests must be signed with; [`Sim::ACCESS_KEY`] unless told otherwise.
    #[must_use]
    pub fn access_key(mut self, id: &str, secret: &str) -> Self {
        self.access_key = (id.into(), secret.into());
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
        self.conditions = false;
        self
    }

    /// Refuses conditions on writes with 501 NotImplemented, and takes this header for a write that
    /// overwrites nothing, as Alibaba OSS does (OSS, PutObject, `x-oss-forbid-overwrite`).
    #[must_use]
    pub fn forbid_overwrite(mut self, header: &'static str) -> Self {
        self.forbid_overwrite = Some(header);
        self
    }

    /// The state, without a service.
    ///
    /// # Errors
    /// What the directory answers; `InvalidData` when it was not written by this program.
    pub fn build(self) -> io::Result<Arc<State>> {
        let state = State::new(
            self.limits,
            self.access_key,
            (self.conditions, self.forbid_overwrite),
            self.dir.as_deref(),
        )?;
        for (name, versioned) in self.buckets {
            let mut buckets = state.buckets();
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

    /// An empty service in memory with AWS's limits.
    pub fn builder() -> SimBuilder {
        let (id, secret) = Self::ACCESS_KEY;
        SimBuilder {
            buckets: Vec::new(),
            limits: Limits::aws(),
            access_key: (id.into(), secret.into()),
            dir: None,
            conditions: true,
            forbid_overwrite: None,
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
