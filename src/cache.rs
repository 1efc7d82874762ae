//! Blocks of object versions in memory, each fetched once however many ask for it. Keyed by
//! version: it evicts, and never needs to invalidate. Knows no file.

use std::sync::Arc;

use bytes::Bytes;

use crate::object::ObjectRange;
use crate::store::{Bucket, StoreResult};

/// The block cache of a mount.
#[derive(Debug)]
pub struct BlockCache;

#[allow(clippy::todo, unused_variables)]
impl BlockCache {
    /// An empty cache of at most `bytes_max` bytes, in blocks of `block_bytes`.
    pub fn new(bytes_max: u64, block_bytes: u64) -> Arc<Self> {
        todo!()
    }
    /// The bytes of `source`, in order. Blocks that are missing are fetched, neighbours in one
    /// request; a block that somebody else is fetching is waited for.
    ///
    /// # Errors
    /// Those of [`Bucket::get`]; nothing is cached then, and everyone who waited gets the error.
    pub async fn read(
        self: &Arc<Self>,
        bucket: &Arc<dyn Bucket>,
        source: &ObjectRange,
    ) -> StoreResult<Vec<Bytes>> {
        todo!()
    }
    /// Starts fetching the blocks of `source` that are missing, and returns. Errors are left for
    /// the reader to meet.
    pub fn prefetch(self: &Arc<Self>, bucket: &Arc<dyn Bucket>, source: &ObjectRange) {
        todo!()
    }
}
