//! Room for what is written: the staged bytes of parts that the store has are given back when
//! memory is short, and a writer waits for the parts on their way. Knows no request.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use super::{AheadPart, Eager, Progress};
use crate::extent::Extent;
use crate::file::record::Edit;
use crate::file::state::State;
use crate::file::{File, Shared};
use crate::interrupt::{self, Interrupted};
use crate::lock::Locked;
use crate::range::ByteRange;
use crate::store::PartNumber;

/// The parts whose staged bytes can be given back because the store has them, over all files: the
/// oldest first.
#[derive(Debug, Default)]
pub(in crate::file) struct Returnables {
    parts: BTreeMap<u64, (Weak<File>, PartNumber)>,
    next: u64,
}

/// The entry of one part; it goes with this.
#[derive(Debug)]
pub(super) struct Returnable {
    number: u64,
    shared: Arc<Shared>,
}

impl Drop for Returnable {
    fn drop(&mut self) {
        self.shared.returnables().parts.remove(&self.number);
    }
}

impl Shared {
    fn returnables(&self) -> Locked<'_, Returnables> {
        self.returnables.lock()
    }

    /// Gives back staged bytes of parts that the store has, until `len` bytes fit into memory;
    /// whether they do. To be called without the state of any file.
    fn make_room(&self, len: u64) -> bool {
        let mut next = 0;
        while !self.staging.has_memory_for(len) {
            let oldest = {
                let returnables = self.returnables();
                let oldest = returnables.parts.range(next..).next();
                oldest.map(|(number, (file, part))| (*number, file.clone(), *part))
            };
            let Some((number, file, part)) = oldest else {
                return false;
            };
            next = number + 1;
            if let Some(file) = file.upgrade() {
                file.give_back(part);
            }
        }
        true
    }
}

impl Eager {
    fn part(&mut self, number: PartNumber) -> Option<&mut AheadPart> {
        self.parts.get_mut(number.0 as usize - 1)
    }
}

impl File {
    /// Lets the staged bytes of a part be given back, if it is stored. Those of the first part are
    /// not: mp4, zip and wav files, and what a linker writes, get their headers at the end.
    pub(super) fn enter(self: &Arc<Self>, state: &mut State, number: PartNumber) {
        let part = state.eager.as_mut().and_then(|eager| eager.part(number));
        let Some(AheadPart { range, progress }) = part else {
            return;
        };
        if let Progress::Stored {
            content,
            returnable,
            ..
        } = progress
            && returnable.is_none()
            && range.start() > 0
            && content.has_dirty()
        {
            let mut returnables = self.shared.returnables();
            let entry = returnables.next;
            returnables.next += 1;
            returnables
                .parts
                .insert(entry, (Arc::downgrade(self), number));
            *returnable = Some(Returnable {
                number: entry,
                shared: self.shared.clone(),
            });
        }
    }

    /// As it is done when parts are stored, for those that an upload has already.
    pub(in crate::file) fn enter_all(self: &Arc<Self>, state: &mut State) {
        let count = state.eager.as_ref().map_or(0, |eager| eager.parts.len());
        for number in (1..=count as u32).map(PartNumber) {
            self.enter(state, number);
        }
    }

    /// Leaves the bytes of a part to the upload alone, unless the part has changed since it was
    /// sent, or somebody reads them just now.
    fn give_back(&self, number: PartNumber) {
        let mut stated = self.state();
        if stated.readers > 0 {
            return;
        }
        let state = stated.for_edit();
        let part = state.eager.as_mut().and_then(|eager| eager.part(number));
        let Some(AheadPart { range, progress }) = part else {
            return;
        };
        let Progress::Stored {
            content,
            returnable,
            ..
        } = progress
        else {
            return;
        };
        let entry = returnable.take();
        if state.map.slice(*range) == *content {
            let mut staging = self.staging.lock();
            for extent in content.extents() {
                if let Extent::Dirty { offset, len } = extent {
                    staging.release(ByteRange::at(*offset, *len));
                }
            }
            state.map.send(*range);
            *content = state.map.slice(*range);
            state.recorded.edits.push(Edit::ReturnPart(number));
        }
        drop(stated);
        drop(entry);
    }

    /// Waits until `len` bytes can be staged in memory, as long as parts on their way to the store
    /// are going to make room. Otherwise the bytes go to the spill file.
    pub(in crate::file) async fn wait_for_memory(&self, len: u64) -> Result<(), Interrupted> {
        self.wait_while(|| self.is_short_of_memory(len)).await
    }

    /// Whether [`Self::wait_for_memory`] would wait. Gives back what the store has before.
    pub(in crate::file) fn is_short_of_memory(&self, len: u64) -> bool {
        !self.shared.staging.has_memory_for(len) && !self.shared.make_room(len) && self.is_sending()
    }

    fn is_sending(&self) -> bool {
        self.state().eager.as_ref().is_some_and(Eager::is_running)
    }

    /// Waits until no part is on its way.
    pub(in crate::file) async fn wait_for_parts(&self) -> Result<(), Interrupted> {
        self.wait_while(|| self.is_sending()).await
    }

    async fn wait_while(&self, unready: impl Fn() -> bool) -> Result<(), Interrupted> {
        loop {
            let mut progress = std::pin::pin!(self.progress.notified());
            progress.as_mut().enable();
            if !unready() {
                return Ok(());
            }
            interrupt::or(progress).await?;
        }
    }
}
