//! What a scenario that every store has to get right runs against: a store with two buckets, and
//! the options it is mounted with.

use s3fs::config::Provider;

use crate::access::Access;
use crate::mounted::Mounted;
use crate::rig::{BUCKET, OTHER};
use crate::store::Store;

/// A store with [`BUCKET`] and [`OTHER`].
pub struct Target<'a> {
    pub access: &'a Access,
    pub store: &'a Store,
    pub provider: Provider,
}

impl Target<'_> {
    /// Mounts the first bucket.
    pub fn mount(&self) -> Mounted {
        self.mount_with(&[BUCKET], "")
    }

    /// Mounts both buckets, each in a directory of its name.
    pub fn mount_both(&self) -> Mounted {
        self.mount_with(&[BUCKET, OTHER], "")
    }

    /// Mounts `sources` with more options.
    pub fn mount_with(&self, sources: &[&str], options: &str) -> Mounted {
        let provider = format!("provider={}", self.provider.name());
        let options = [provider.as_str(), options];
        let options = options.into_iter().filter(|words| !words.is_empty());
        let options: Vec<&str> = options.collect();
        Mounted::new(self.access, sources, &options.join(","))
    }
}
