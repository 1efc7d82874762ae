//! Real S3 servers of several makers: each is started for a test with a directory and ports of its
//! own, and ends with the value that stands for it, also when the test fails. Knows no mount.

use std::time::{Duration, Instant};

use s3fs::config::Provider;
use s3fs::sim::Rules;

use crate::access::Access;
use crate::store::Store;

mod ceph;
mod juicefs;
mod moto;
mod processes;
mod seaweedfs;

use processes::Processes;

/// The buckets every server has.
pub const BUCKET: &str = "bucket";
pub const OTHER: &str = "other";

const ACCESS_KEY: &str = "tests";
const SECRET_KEY: &str = "0123456789abcdef";

/// How long a server may take until it stores an object. Ceph took 12 s on an idle machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A server that can be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// SeaweedFS.
    SeaweedFs,
    /// The gateway of JuiceFS, whose S3 is MinIO's.
    JuiceFs,
    /// Ceph RADOS Gateway on one monitor and one OSD in memory.
    Ceph,
    /// moto, which pretends to be AWS.
    Moto,
}

impl Kind {
    /// What it does, as rules of sim.
    pub const fn rules(self) -> Rules {
        match self {
            Self::SeaweedFs => Rules::seaweedfs(),
            Self::JuiceFs => Rules::juicefs(),
            Self::Ceph => Rules::ceph_16(),
            Self::Moto => Rules::moto(),
        }
    }

    /// What a mount of it is told.
    pub const fn provider(self) -> Provider {
        match self {
            Self::SeaweedFs => Provider::Seaweedfs,
            Self::JuiceFs => Provider::Minio,
            Self::Ceph => Provider::Ceph,
            Self::Moto => Provider::Other,
        }
    }
}

/// A running server.
pub struct Server {
    pub access: Access,
    pub store: Store,
    _processes: Processes,
}

impl Server {
    /// Starts a server and makes its buckets.
    ///
    /// # Panics
    /// If it is not installed, or stores nothing in time; with the end of its log.
    pub fn start(kind: Kind) -> Self {
        let mut processes = Processes::new();
        let port = match kind {
            Kind::SeaweedFs => seaweedfs::start(&mut processes),
            Kind::JuiceFs => juicefs::start(&mut processes),
            Kind::Ceph => ceph::start(&mut processes),
            Kind::Moto => moto::start(&mut processes),
        };
        let access = Access {
            url: format!("http://127.0.0.1:{port}"),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
        };
        let store = Store::new(&access);
        wait_until_ready(kind, &store, &mut processes);
        Self {
            access,
            store,
            _processes: processes,
        }
    }
}

/// A server answers before it can store: a bucket and an object in it tell.
fn wait_until_ready(kind: Kind, store: &Store, processes: &mut Processes) {
    let started = Instant::now();
    for bucket in [BUCKET, OTHER] {
        while !store.try_put(bucket, "ready") {
            store.make_bucket(bucket);
            processes.assert_running();
            assert!(started.elapsed() < PATIENCE, "{kind:?} does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
