//! The bodies of PUTs and parts: the bytes of a map, staged, fetched or zero. Knows no plan.

use std::sync::Arc;

use bytes::Bytes;

use super::{CommitError, Committer};
use crate::extent::{Extent, ExtentMap};
use crate::limits::MIB;
use crate::lock::Guarded;
use crate::object::{ObjectRange, ObjectVersion};
use crate::range::ByteRange;
use crate::staging::{self, Staging};
use crate::store::Payload;

/// Bytes one GET of a part's missing bytes asks for: the unit in which memory is taken.
const FETCH_BYTES_MAX: u64 = 8 * MIB;

/// Zeros that holes are sent as, shared by all requests.
static ZEROS: [u8; MIB as usize] = [0; MIB as usize];

impl Committer {
    /// The bytes of `map`: staged ones shared, zeros shared, object bytes fetched.
    pub(super) async fn payload(
        &self,
        map: &ExtentMap,
        staging: &Guarded<Staging>,
    ) -> Result<Payload, CommitError> {
        let mut payload = Payload::new();
        for extent in map.extents() {
            match extent {
                Extent::Dirty { offset, len } => {
                    let range = ByteRange::at(*offset, *len);
                    let staged = staging.lock().hold(range);
                    let buffers = staging::fetch(staged).await?;
                    buffers.into_iter().for_each(|bytes| payload.push(bytes));
                }
                Extent::Sent { .. } => {
                    unreachable!("what is in an upload alone is not sent again")
                }
                Extent::Hole { len } => zeros(*len).for_each(|bytes| payload.push(bytes)),
                Extent::Object {
                    version,
                    offset,
                    len,
                } => {
                    let wanted = ByteRange::at(*offset, *len);
                    self.fetch(version, wanted, &mut payload).await?;
                }
            }
        }
        assert!(
            payload.len() == map.len(),
            "a body of another length than its map"
        );
        Ok(payload)
    }

    async fn fetch(
        &self,
        version: &Arc<ObjectVersion>,
        wanted: ByteRange,
        payload: &mut Payload,
    ) -> Result<(), CommitError> {
        let bucket = self.buckets.bucket(&version.bucket);
        for range in strides(wanted, FETCH_BYTES_MAX) {
            let source = ObjectRange {
                version: version.clone(),
                range,
            };
            payload.push(bucket.get(&source).await?);
        }
        Ok(())
    }
}

/// `range` in strides of at most `bytes_max`.
fn strides(range: ByteRange, bytes_max: u64) -> impl Iterator<Item = ByteRange> {
    let starts = (range.start()..range.end()).step_by(bytes_max as usize);
    starts.map(move |start| ByteRange::new(start, range.end().min(start + bytes_max)))
}

/// `len` zero bytes, in buffers that share one memory.
pub fn zeros(len: u64) -> impl Iterator<Item = Bytes> {
    strides(ByteRange::at(0, len), ZEROS.len() as u64)
        .map(|range| Bytes::from_static(&ZEROS[..range.len() as usize]))
}
