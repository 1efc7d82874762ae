//! A simulated store with a bucket or two, a client of it, and counts of what a step cost.

use std::time::Duration;

use s3fs::config::Provider;
use s3fs::sim::{Counters, Operation, Rules, Sim, SimBuilder};

use crate::access::Access;
use crate::mounted::Mounted;
use crate::shell::sh;
use crate::store::Store;
use crate::target::Target;

/// The bucket most tests use.
pub const BUCKET: &str = "bucket";
/// A second one of the same store.
pub const OTHER: &str = "other";

/// A simulated store.
pub struct Rig {
    pub sim: Sim,
    pub access: Access,
    pub store: Store,
}

impl Rig {
    /// In memory, with both buckets.
    pub fn new() -> Self {
        Self::start(Sim::builder().bucket(BUCKET).bucket(OTHER))
    }

    /// The same, with the rules of a provider.
    pub fn of(rules: Rules) -> Self {
        let builder = Sim::builder().rules(rules);
        Self::start(builder.bucket(BUCKET).bucket(OTHER))
    }

    /// The same, where nothing of the first bucket is allowed but what is below a prefix.
    pub fn only_below(prefix: &str) -> Self {
        Self::start(Sim::builder().only_below(BUCKET, prefix).bucket(OTHER))
    }

    fn start(builder: SimBuilder) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let sim = runtime.block_on(builder.start("127.0.0.1:0")).unwrap();
        let access = access_of(&sim);
        let store = Store::new(&access);
        Self { sim, access, store }
    }

    /// Attributes of a closed file, which are stored by a copy, take two seconds from now on.
    pub fn slow_down_attributes(&self) {
        self.sim.on_request(|_, request| {
            if request.operation == Operation::CopyObject {
                std::thread::sleep(Duration::from_secs(2));
            }
        });
    }

    /// The mode that is stored with an object of the first bucket, in decimal.
    pub fn stored_mode(&self, key: &str) -> String {
        let headers = self.sim.stat(BUCKET, key).unwrap().headers;
        headers.metadata.get("mode").unwrap().clone()
    }

    /// Stops the service as kill -9 would, and starts it again at the same address.
    pub fn restart(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (state, address) = (self.sim.state(), self.sim.address().to_string());
        self.sim.stop();
        self.sim = runtime.block_on(Sim::serve(state, &address)).unwrap();
    }

    /// The store and nothing of its insides, for a scenario that runs against others too.
    pub const fn target(&self) -> Target<'_> {
        Target {
            access: &self.access,
            store: &self.store,
            provider: Provider::Other,
        }
    }

    /// Mounts the first bucket.
    pub fn mount(&self) -> Mounted {
        Mounted::new(&self.access, &[BUCKET], "")
    }

    /// Mounts `sources`, takes the store at its word and what is known for true, and learns every
    /// name, and that there is no `absent`: from then on requests are only those that an operation
    /// needs.
    pub fn mount_known(&self, sources: &[&str], absent: &[&str]) -> Mounted {
        let mounted = Mounted::new(&self.access, sources, "provider=aws,actimeo=600,nocto");
        sh(&mounted.dir(), "ls -lR > /dev/null");
        for name in absent {
            assert!(!mounted.path(name).exists());
        }
        mounted
    }

    /// Mounts the first bucket with more options.
    pub fn mount_with(&self, options: &str) -> Mounted {
        Mounted::new(&self.access, &[BUCKET], options)
    }

    /// What `step` asked of the store.
    pub fn cost(&self, step: impl FnOnce()) -> Counters {
        let before = self.sim.counters();
        step();
        let cost = self.sim.counters() - &before;
        let (up, down) = bytes(&cost);
        println!("{:?}, {up} bytes up, {down} down", cost.requests());
        cost
    }
}

fn access_of(sim: &Sim) -> Access {
    let (access_key, secret_key) = Sim::ACCESS_KEY;
    Access {
        url: sim.endpoint(),
        access_key: access_key.to_owned(),
        secret_key: secret_key.to_owned(),
    }
}

/// Object bytes up and down.
pub fn bytes(cost: &Counters) -> (u64, u64) {
    let total = cost.total();
    (total.bytes_up, total.bytes_down)
}
