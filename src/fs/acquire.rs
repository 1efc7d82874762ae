//! Locking what an operation works on. Knows no operation.

use std::time::Duration;

use crate::fs::locks::{Access, Held, Wanted};
use crate::fs::state::State;
use crate::fs::{Fs, FsError, FsResult};
use crate::interrupt;
use crate::namespace::tree::Node;

/// How long a directory is waited for that an operation needs for itself.
const DIRECTORY_PATIENCE: Duration = Duration::from_secs(1);

impl Fs {
    /// Locks what `wanted` says, as it is once everything is locked: names may change while an
    /// operation waits.
    pub(super) async fn acquire(
        &self,
        wanted: impl Fn(&State) -> FsResult<Wanted>,
    ) -> FsResult<Held<'_>> {
        loop {
            let now = wanted(&self.state())?;
            let is_alone = self.state().has_directory_alone(&now);
            let acquired = interrupt::or(self.locks.acquire(now));
            let held = match is_alone {
                // Everything below waits meanwhile, and in the kernel everything beside.
                true => tokio::time::timeout(DIRECTORY_PATIENCE, acquired)
                    .await
                    .map_err(|_| FsError::Busy)??,
                false => acquired.await?,
            };
            if held.covers(&wanted(&self.state())?) {
                return Ok(held);
            }
        }
    }
}

impl State {
    /// Whether a directory is locked for an operation alone.
    fn has_directory_alone(&self, wanted: &Wanted) -> bool {
        wanted.iter().any(|(ino, access)| {
            let node = self.tree.node(*ino);
            *access == Access::Exclusive && node.is_some_and(Node::is_directory)
        })
    }
}
