//! Another client replaces what is being copied, at any moment: where the store looks at no
//! condition on part copies the filesystem must find out by itself before it publishes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use s3fs::config::Provider;
use s3fs::fs::FsResult;
use s3fs::limits::{Limits, MIB};
use s3fs::sim::{Operation, Rules, Sim};
use s3fs::store::dialect::Dialect;

use crate::cells::{Run, check_no_upload, holds};
use crate::world::{BUCKET, World};

const INTERLEAVINGS: u64 = 1000;
const SEED: u64 = 0x5eed_0004;
const TAIL: &[u8] = b"and more";

/// What is done to `a` while it is replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doing {
    Copy,
    Concatenate,
    Move,
    Append,
    Overwrite,
}

/// One interleaving.
#[derive(Debug)]
struct Case {
    doing: Doing,
    /// Bytes of `a`.
    size: u64,
    /// Bytes of what takes its place.
    size_of_theirs: u64,
    /// Before which request, counted from 0, that happens.
    at: u64,
    number: u64,
}

impl Case {
    fn random(random: &mut fastrand::Rng, number: u64) -> Self {
        let doing = [
            Doing::Copy,
            Doing::Concatenate,
            Doing::Move,
            Doing::Append,
            Doing::Overwrite,
        ];
        let size = random.u64(10 * MIB + 1..40 * MIB);
        Self {
            doing: doing[random.usize(..doing.len())],
            size,
            size_of_theirs: [size, size, size - 1, size + 1][random.usize(..4)],
            at: random.u64(..14),
            number,
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{name}{}", self.number)
    }

    /// The key that is to hold what is made.
    fn made(&self) -> String {
        match self.doing {
            Doing::Copy | Doing::Concatenate | Doing::Move => self.key("made"),
            Doing::Append | Doing::Overwrite => self.key("a"),
        }
    }

    fn ours(&self) -> Vec<Run> {
        let whole = Run::Pattern(1, 0, self.size);
        match self.doing {
            Doing::Copy | Doing::Move => vec![whole],
            Doing::Concatenate => vec![whole, Run::Pattern(3, 0, 7 * MIB)],
            Doing::Append => vec![whole, Run::Bytes(TAIL)],
            Doing::Overwrite => {
                let (at, len) = (self.size / 2, TAIL.len() as u64);
                let rest = Run::Pattern(1, at + len, self.size - at - len);
                vec![Run::Pattern(1, 0, at), Run::Bytes(TAIL), rest]
            }
        }
    }

    async fn act(&self, world: &World) -> FsResult<()> {
        let (a, b, made) = (self.key("a"), self.key("b"), self.made());
        match self.doing {
            Doing::Copy => world.concatenate(&[&a], &made).await,
            Doing::Concatenate => world.concatenate(&[&a, &b], &made).await,
            Doing::Move => world.rename(&a, &made).await,
            Doing::Append => world.append(&a, TAIL).await,
            Doing::Overwrite => world.overwrite(&a, self.size / 2, TAIL).await,
        }
    }
}

/// How far the store had got when the source was replaced.
#[derive(Default)]
struct Moment {
    requests: AtomicU64,
    is_replaced: AtomicBool,
    /// A part was still to be copied, so the copy would be torn.
    is_early: AtomicBool,
}

fn run(world: &World, case: &Case) -> bool {
    let (a, theirs) = (case.key("a"), case.size_of_theirs);
    world.sim.put_pattern(BUCKET, &a, case.size, 1);
    world.sim.put_pattern(BUCKET, &case.key("b"), 7 * MIB, 3);
    world.sim.settle();
    let _ = world.run(world.look(&a));
    let moment = Arc::new(Moment::default());
    let (seen, key, at) = (Arc::clone(&moment), a.clone(), case.at);
    world.sim.on_request(move |sim, request| {
        if seen.requests.fetch_add(1, Ordering::SeqCst) == at {
            sim.put_pattern(BUCKET, &key, theirs, 2);
            seen.is_replaced.store(true, Ordering::SeqCst);
        }
        let copies = request.copy_source.as_deref() == Some(&format!("{BUCKET}/{key}"));
        if copies
            && request.operation == Operation::UploadPartCopy
            && seen.is_replaced.load(Ordering::SeqCst)
        {
            seen.is_early.store(true, Ordering::SeqCst);
        }
    });
    let done = world.run(case.act(world));
    world.sim.clear_hook();
    check_no_upload(&world.sim);

    let is_early = moment.is_early.load(Ordering::SeqCst);
    let theirs = [Run::Pattern(2, 0, theirs)];
    settled(world, case, done, &theirs, &moment);
    for name in [a, case.key("b"), case.made()] {
        world.sim.delete(BUCKET, &name);
    }
    is_early
}

/// What may have come of it: all of ours, or nothing and an error; never some of each.
fn settled(world: &World, case: &Case, done: FsResult<()>, theirs: &[Run], moment: &Moment) {
    let (a, made) = (case.key("a"), case.made());
    let is_early = moment.is_early.load(Ordering::SeqCst);
    let is_replaced = moment.is_replaced.load(Ordering::SeqCst);
    let is_ours = holds(&world.sim, &made, &case.ours());
    let is_theirs = holds(&world.sim, &made, theirs);
    match done {
        // What a name holds is moved, whoever put it there: the copy was begun anew.
        Ok(()) if case.doing == Doing::Move => {
            assert!(is_ours && !is_early || is_theirs, "{case:?}")
        }
        // An append goes behind whatever is there.
        Ok(()) if case.doing == Doing::Append && is_replaced => {
            let len = case.size_of_theirs;
            let behind_theirs = [Run::Pattern(2, 0, len), Run::Bytes(TAIL)];
            let is_behind = holds(&world.sim, &made, &behind_theirs);
            assert!(is_ours && !is_early || is_behind, "{case:?}")
        }
        Ok(()) => assert!(
            is_ours && !is_early,
            "{case:?}: published though it was replaced"
        ),
        Err(error) => {
            assert!(
                is_replaced,
                "{case:?}: {error:?} though nobody came in between"
            );
            let is_kept = holds(&world.sim, &a, theirs);
            let is_as_it_was = made == a || world.sim.stat(BUCKET, &made).is_none();
            // A move may have been made whole when the removal of the source was refused.
            assert!(
                is_kept && (is_as_it_was || is_ours && !is_early),
                "{case:?}: {error:?}"
            );
        }
    }
}

#[test]
fn a_source_replaced_between_two_parts_is_found_before_anything_is_published() {
    println!("interleavings with seed {SEED:#x}");
    let providers = [
        Rules::r2(),
        Rules::ceph(),
        Rules::obs(),
        Rules::ncloud(),
        Rules::wasabi(),
    ];
    let count = providers.len() as u64;
    let early: u64 = std::thread::scope(|scope| {
        let running: Vec<_> = (0..)
            .zip(providers)
            .map(|(index, rules)| scope.spawn(move || interleave(rules, index, count)))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    println!("interleavings: {INTERLEAVINGS}, of which {early} would have torn a copy");
    assert!(early > INTERLEAVINGS / 10, "{early}");
}

/// The share of one provider; how many came between two parts.
fn interleave(mut rules: Rules, index: u64, count: u64) -> u64 {
    rules.requests.write_interval = Duration::ZERO;
    let dialect = Dialect::of(Provider::of_name(rules.name).unwrap());
    let limits = Limits {
        copy_object_preferred_max: 0,
        copy_part_size: 5 * MIB,
        ..dialect.limits.clone()
    };
    let dialect = Dialect { limits, ..dialect };
    // One request at a time: the same seed makes the same interleavings.
    let builder = Sim::builder().rules(rules).bucket(BUCKET);
    let world = World::built(builder, dialect, |config| {
        config.bounds.copy_requests_max = 1;
        config.bounds.upload_requests_max = 1;
    });
    let mut random = fastrand::Rng::with_seed(SEED + index);
    let cases = (0..INTERLEAVINGS / count).map(|number| Case::random(&mut random, number));
    cases.filter(|case| run(&world, case)).count() as u64
}
