//! The slots that requests of commits wait for, given out fairly: the next goes to the bucket that
//! holds the fewest, there to the commit that holds the fewest, and among equals to the request
//! that came first. Knows no request.
//!
//! So a commit of ten thousand parts has all slots while it is alone, and a file that is closed
//! meanwhile waits for one part at most. A small request of a commit that holds no slot does not
//! wait for that either: there are some more slots that only such requests get.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;

use crate::interrupt::{self, Interrupted};
use crate::limits::MIB;
use crate::lock::Guarded;
use crate::object::BucketName;

/// Of so many slots one more is kept for small requests.
const KEPT_SHARE: usize = 4;
/// A small request moves no more bytes.
const SMALL_BYTES_MAX: u64 = 8 * MIB;

/// The requests of one commit, or of one upload that was started ahead.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Turn(u64);

impl Turn {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What a slot is wanted for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want<'a> {
    /// Where the request goes.
    pub bucket: &'a BucketName,
    /// Whose it is.
    pub turn: Turn,
    /// What it moves.
    pub bytes: u64,
}

/// The slots for requests of a kind.
#[derive(Debug)]
pub(super) struct Slots(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    slots_max: usize,
    line: Guarded<Line>,
}

/// Who holds slots and who waits for one.
#[derive(Default, Debug)]
struct Line {
    in_use: usize,
    /// Of those kept for small requests.
    kept_in_use: usize,
    /// The number of the next request.
    next: u64,
    buckets: HashMap<BucketName, OfBucket>,
}

#[derive(Default, Debug)]
struct OfBucket {
    held: usize,
    turns: HashMap<Turn, OfTurn>,
}

#[derive(Default, Debug)]
struct OfTurn {
    held: usize,
    small: VecDeque<Waiter>,
    large: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    give: oneshot::Sender<Slot>,
}

/// A slot, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    shared: Arc<Shared>,
    bucket: BucketName,
    turn: Turn,
    is_kept: bool,
}

/// Who is next, and whether a slot is that is kept for small requests.
type Next = (oneshot::Sender<Slot>, BucketName, Turn, bool);

impl Slots {
    pub fn new(slots_max: usize) -> Self {
        Self(Arc::new(Shared {
            slots_max,
            line: Guarded::new(Line::default()),
        }))
    }

    /// Waits for a slot.
    pub async fn take(&self, want: Want<'_>) -> Result<Slot, Interrupted> {
        let (give, given) = oneshot::channel();
        self.0.line.lock().enter(want, give);
        self.0.give_out();
        let slot = interrupt::or(given).await?;
        Ok(slot.expect("who waits is in the line until there is a slot"))
    }
}

impl Shared {
    fn give_out(self: &Arc<Self>) {
        loop {
            let next = self.line.lock().next(self.slots_max);
            let Some((give, bucket, turn, is_kept)) = next else {
                return;
            };
            let shared = Arc::clone(self);
            // Nobody waits any more: the slot is dropped, and given out again.
            let _ = give.send(Slot {
                shared,
                bucket,
                turn,
                is_kept,
            });
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.line.lock().leave(self);
        self.shared.give_out();
    }
}

impl Line {
    fn enter(&mut self, want: Want<'_>, give: oneshot::Sender<Slot>) {
        let number = self.next;
        self.next += 1;
        let bucket = self.buckets.entry(want.bucket.clone()).or_default();
        let turn = bucket.turns.entry(want.turn).or_default();
        let waiting = match want.bytes <= SMALL_BYTES_MAX {
            true => &mut turn.small,
            false => &mut turn.large,
        };
        waiting.push_back(Waiter { number, give });
    }

    fn leave(&mut self, slot: &Slot) {
        *self.used(slot.is_kept) -= 1;
        let bucket = self.buckets.get_mut(&slot.bucket);
        let bucket = bucket.expect("what holds a slot is in the line");
        bucket.held -= 1;
        let turn = bucket.turns.get_mut(&slot.turn);
        turn.expect("what holds a slot is in the line").held -= 1;
    }

    const fn used(&mut self, is_kept: bool) -> &mut usize {
        match is_kept {
            true => &mut self.kept_in_use,
            false => &mut self.in_use,
        }
    }

    /// Takes the next out of the line that can have a slot, and counts it in.
    fn next(&mut self, slots_max: usize) -> Option<Next> {
        let is_kept = self.in_use >= slots_max;
        if is_kept && self.kept_in_use >= slots_max.div_ceil(KEPT_SHARE) {
            return None;
        }
        let mut first = None;
        self.buckets.retain(|name, bucket| {
            bucket.turns.retain(|_, turn| turn.is_in_line());
            for (turn, waiting) in &bucket.turns {
                let Some(number) = waiting.first(is_kept) else {
                    continue;
                };
                let rank = (bucket.held, waiting.held, number);
                if first.as_ref().is_none_or(|(least, _, _)| rank < *least) {
                    first = Some((rank, name.clone(), *turn));
                }
            }
            !bucket.turns.is_empty()
        });
        let (_, name, turn) = first?;
        let bucket = self.buckets.get_mut(&name)?;
        let waiter = bucket.turns.get_mut(&turn)?.take(is_kept)?;
        bucket.held += 1;
        *self.used(is_kept) += 1;
        Some((waiter.give, name, turn, is_kept))
    }
}

impl OfTurn {
    /// Whether it holds a slot or waits for one, after those are gone that wait no more.
    fn is_in_line(&mut self) -> bool {
        for waiting in [&mut self.small, &mut self.large] {
            while waiting
                .front()
                .is_some_and(|waiter| waiter.give.is_closed())
            {
                waiting.pop_front();
            }
        }
        self.held > 0 || !self.small.is_empty() || !self.large.is_empty()
    }

    /// The number of the request that would be next to get a slot, or one of those kept for small
    /// requests.
    fn first(&self, is_kept: bool) -> Option<u64> {
        let small = self.small.front().filter(|_| !is_kept || self.held == 0);
        let large = self.large.front().filter(|_| !is_kept);
        let numbers = small.into_iter().chain(large);
        numbers.map(|waiter| waiter.number).min()
    }

    fn take(&mut self, is_kept: bool) -> Option<Waiter> {
        let number = self.first(is_kept)?;
        self.held += 1;
        let is_it = |waiter: &&Waiter| waiter.number == number;
        match self.small.front().filter(is_it) {
            Some(_) => self.small.pop_front(),
            None => self.large.pop_front(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Poll;

    use futures_util::poll;

    use super::*;

    const LARGE: u64 = SMALL_BYTES_MAX + 1;

    fn want(bucket: &BucketName, turn: Turn, bytes: u64) -> Want<'_> {
        Want {
            bucket,
            turn,
            bytes,
        }
    }

    macro_rules! taken {
        ($waiting:expr) => {
            match poll!($waiting.as_mut()) {
                Poll::Ready(slot) => slot.unwrap(),
                Poll::Pending => panic!("it waits"),
            }
        };
    }

    #[tokio::test]
    async fn one_commit_has_all_slots_but_those_for_small_requests_of_others() {
        let (slots, bucket) = (Slots::new(4), BucketName::new("b"));
        let (large, other) = (Turn::new(), Turn::new());
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(slots.take(want(&bucket, large, 1)).await.unwrap());
        }
        let mut more = pin!(slots.take(want(&bucket, large, 1)));
        assert!(poll!(more.as_mut()).is_pending());
        let mut part = pin!(slots.take(want(&bucket, other, LARGE)));
        assert!(poll!(part.as_mut()).is_pending());
        let small = slots.take(want(&bucket, Turn::new(), 1)).await.unwrap();
        let mut next = pin!(slots.take(want(&bucket, Turn::new(), 1)));
        assert!(poll!(next.as_mut()).is_pending());
        drop(small);
        let next = taken!(next);
        // Of a commit that holds nothing, before the next of one that has its share.
        held.pop();
        let part = taken!(part);
        assert!(poll!(more.as_mut()).is_pending());
        drop((part, next));
        taken!(more);
    }

    #[tokio::test]
    async fn buckets_share_alike_whatever_the_number_of_their_commits() {
        let slots = Slots::new(2);
        let (many, few) = (BucketName::new("many"), BucketName::new("few"));
        let held = slots.take(want(&many, Turn::new(), LARGE)).await.unwrap();
        let _held = slots.take(want(&many, Turn::new(), LARGE)).await.unwrap();
        let mut first = pin!(slots.take(want(&many, Turn::new(), LARGE)));
        let mut second = pin!(slots.take(want(&few, Turn::new(), LARGE)));
        assert!(poll!(first.as_mut()).is_pending());
        assert!(poll!(second.as_mut()).is_pending());
        drop(held);
        let second = taken!(second);
        assert!(poll!(first.as_mut()).is_pending());
        drop(second);
        taken!(first);
    }

    #[tokio::test]
    async fn small_requests_without_end_leave_a_large_commit_its_turn() {
        let (slots, bucket) = (Slots::new(1), BucketName::new("b"));
        let first = slots.take(want(&bucket, Turn::new(), 1)).await.unwrap();
        let kept = slots.take(want(&bucket, Turn::new(), 1)).await.unwrap();
        let mut part = pin!(slots.take(want(&bucket, Turn::new(), LARGE)));
        assert!(poll!(part.as_mut()).is_pending());
        let mut small = pin!(slots.take(want(&bucket, Turn::new(), 1)));
        assert!(poll!(small.as_mut()).is_pending());
        drop(kept);
        let _small = taken!(small);
        assert!(poll!(part.as_mut()).is_pending());
        drop(first);
        taken!(part);
    }

    #[tokio::test]
    async fn who_waits_no_more_gets_nothing() {
        let (slots, bucket) = (Slots::new(1), BucketName::new("b"));
        let held = slots.take(want(&bucket, Turn::new(), LARGE)).await.unwrap();
        {
            let gone = Turn::new();
            let mut waiting = pin!(slots.take(want(&bucket, gone, LARGE)));
            assert!(poll!(waiting.as_mut()).is_pending());
        }
        let mut next = pin!(slots.take(want(&bucket, Turn::new(), LARGE)));
        assert!(poll!(next.as_mut()).is_pending());
        drop(held);
        drop(taken!(next));
        assert!(slots.0.line.lock().next(1).is_none());
        assert!(slots.0.line.lock().buckets.is_empty());
    }
}
