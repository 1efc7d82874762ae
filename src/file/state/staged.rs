//! The staged bytes of a file: which can be overwritten in place, and when those that an edit
//! leaves without a reference are given back.

use super::State;
use crate::extent::Extent;
use crate::range::ByteRange;
use crate::staging::Staging;

impl State {
    /// The runs of `range` that are dirty, with their positions and addresses: each all frozen, or
    /// not at all.
    pub(super) fn staged(&self, range: ByteRange) -> Vec<(u64, ByteRange)> {
        let mut staged = Vec::new();
        for (at, extent) in self.map.walk(range) {
            if let Extent::Dirty { offset, len } = extent {
                let addresses = ByteRange::at(offset, len);
                let frozen = addresses.clamp_end(self.frozen);
                if !frozen.is_empty() {
                    staged.push((at, frozen));
                }
                let open = ByteRange::new(addresses.start() + frozen.len(), addresses.end());
                if !open.is_empty() {
                    staged.push((at + frozen.len(), open));
                }
            }
        }
        staged
    }

    /// Those of [`Self::staged`] whose bytes can be replaced where they are.
    pub(super) fn replaceable(&self, range: ByteRange) -> Vec<(u64, ByteRange)> {
        let mut runs = self.staged(range);
        runs.retain(|(_, addresses)| !self.is_frozen(*addresses));
        runs
    }

    /// Whether the bytes at a position still are at these addresses, and can be replaced there: so
    /// nobody has read them to store them.
    pub fn is_replaceable(&self, at: u64, addresses: ByteRange) -> bool {
        let range = ByteRange::at(at, addresses.len());
        self.replaceable(range) == [(at, addresses)]
    }

    pub(super) const fn is_frozen(&self, addresses: ByteRange) -> bool {
        addresses.start() < self.frozen
    }

    /// Gives back the staged bytes that an edit of `range` is about to leave without a reference:
    /// as soon as nobody reads them.
    pub(super) fn displace(&mut self, staging: &mut Staging, range: ByteRange) {
        for (at, addresses) in self.staged(range) {
            let positions = ByteRange::at(at, addresses.len());
            let eager = self.eager.as_ref();
            let is_wanted = self.readers > 0
                || eager.is_some_and(|eager| eager.is_running_in(positions))
                || !self.unsettled.is_empty();
            if is_wanted && self.is_frozen(addresses) {
                self.has_displaced = true;
            } else {
                staging.release(addresses);
            }
        }
    }
}
