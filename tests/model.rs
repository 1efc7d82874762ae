//! A reference model of the whole filesystem over the service in the process: sequences of
//! operations, alone and with a second client that writes to the bucket behind the mount, compared
//! after each with a plain tree in memory. Knows no FUSE.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use proptest::test_runner::RngSeed;
use s3fs::config::AttributeSource;
use s3fs::limits::{Limits, PartCopy};

#[allow(dead_code, reason = "each suite uses a part")]
#[path = "in_process/world.rs"]
mod world;

#[path = "model/driven.rs"]
mod driven;
#[path = "model/edits.rs"]
mod edits;
#[path = "model/expected.rs"]
mod expected;
#[path = "model/names.rs"]
mod names;
#[path = "model/operation.rs"]
mod operation;
#[path = "model/publish.rs"]
mod publish;
#[path = "model/shown.rs"]
mod shown;

use driven::Driven;
use expected::{Code, Expected, Meta, View};
use operation::Op;
use publish::AHEAD_BYTES_MIN;
use shown::{assert_answer, compare};
use world::{BUCKET, World};

/// Limits of a few bytes: what is written takes several parts, and so does what is copied.
fn toy_limits(appends: bool) -> Limits {
    Limits {
        part_size_min: 16,
        part_size_max: 4_096,
        part_count_max: 1_000,
        parts_equal: false,
        part_copy: PartCopy::Ranges,
        copy_object_max: 400,
        put_max: 4_096,
        append_max: if appends { 4_096 } else { 0 },
        object_size_max: 100_000,
        metadata_bytes_max: 2_048,
        backslash_is_slash: false,
        copy_object_preferred_max: 100,
        copy_part_size: 64,
        upload_part_size: AHEAD_BYTES_MIN as u64,
    }
}

/// A filesystem with nobody else in the bucket.
fn alone(forgets: bool, trusts: bool, appends: bool) -> Driven {
    let world = World::chosen(toy_limits(appends), |config| {
        config.bounds.block_bytes = 16;
        // Only what is synced is stored; what a timer does is tested elsewhere.
        config.bounds.attributes_delay = Duration::from_secs(3_600);
        if !trusts {
            config.bounds.attr_ttl = Duration::ZERO;
        }
    });
    Driven::new(world, forgets)
}

/// A filesystem that trusts nothing it knows.
fn beside_another(uploads_ahead: bool, appends: bool) -> Driven {
    let mut limits = toy_limits(appends);
    if !uploads_ahead {
        limits.upload_part_size = limits.part_size_max;
    }
    let world = World::chosen(limits, |config| {
        config.bounds.block_bytes = 16;
        config.bounds.attributes_delay = Duration::from_secs(3_600);
        config.bounds.attr_ttl = Duration::ZERO;
        config.close_to_open = true;
        config.attributes = AttributeSource::Objects;
    });
    Driven::new(world, true)
}

/// Whether a kernel would send this, as things are.
fn is_sent(op: &Op, expected: &Expected) -> bool {
    match op {
        Op::Write { .. }
        | Op::Read { .. }
        | Op::SetLen { .. }
        | Op::Zero { .. }
        | Op::Extend { .. }
        | Op::Sync { .. }
        | Op::Close { .. }
        | Op::ChangeOpen { .. } => !expected.handles.is_empty(),
        Op::Copy {
            from,
            at,
            len,
            to,
            to_at,
        } => {
            if expected.handles.is_empty() {
                return false;
            }
            let (from, to) = (expected.handle(*from), expected.handle(*to));
            let apart = at + len <= *to_at || to_at + len <= *at;
            from.inode != to.inode || apart
        }
        // Links are followed before.
        Op::Create { path, .. } | Op::Open { path, .. } | Op::Truncate { path, .. } => {
            expected.view(path) != View::File || expected.is_regular(path)
        }
        Op::OtherMark { path } => !expected.store.contains_key(&format!("{path}/")),
        _ => true,
    }
}

/// One operation here and in the model, and everything compared.
fn step(driven: &mut Driven, expected: &mut Expected, op: &Op) {
    let (things, directories) = expected.everything();
    let open = expected.open_paths();
    let op = &op.resolved(&[&things, &directories, &open]);
    if !is_sent(op, expected) {
        return;
    }
    // What the model is about to write.
    let mut ahead = expected.numbered();
    let bytes = match op {
        Op::Write { len, .. } | Op::SetExtended { len, .. } | Op::OtherPut { len, .. } => {
            ahead.fresh(*len)
        }
        Op::Link { len, .. } => ahead.fresh_target(*len),
        _ => Vec::new(),
    };
    match op {
        Op::OtherPut { .. }
        | Op::OtherDelete { .. }
        | Op::OtherMark { .. }
        | Op::OtherUnmark { .. } => {
            if expected.by_other(op).is_none() {
                return;
            }
            assert!(driven.run(op, bytes).is_ok());
        }
        _ => {
            let answer = driven.run(op, bytes);
            let sim = &driven.world.sim;
            expected.absorb(sim);
            let known = match op {
                Op::Write { .. }
                | Op::Read { .. }
                | Op::SetLen { .. }
                | Op::Zero { .. }
                | Op::Extend { .. }
                | Op::Copy { .. }
                | Op::Sync { .. }
                | Op::Close { .. }
                | Op::ChangeOpen { .. } => expected.on_handle(op, sim),
                _ => expected.on_path(op, sim),
            };
            assert_answer(&answer, &known, op);
            expected.absorb(sim);
        }
    }
    compare(driven, expected);
}

/// Closes everything, and looks for what was left behind.
fn end(driven: &mut Driven, expected: &mut Expected) {
    while !driven.handles.is_empty() {
        step(driven, expected, &Op::Close { handle: 0 });
    }
    step(driven, expected, &Op::SyncAttributes);
    let sim = &driven.world.sim;
    let failed = driven.world.run(driven.world.fs.sync_all());
    let keys = failed.iter().map(|(key, _)| key.as_str().to_owned());
    let untold = std::mem::take(&mut expected.untold);
    assert_eq!(keys.collect::<BTreeSet<_>>(), untold, "what failed untold");
    // What was begun for nothing is aborted in the background; one upload of each killed process
    // may be unknown, which goes on for a moment here after its last record.
    let left = || {
        let left = sim.uploads(BUCKET).into_iter();
        left.skip(driven.kills).collect::<Vec<_>>()
    };
    let begun = Instant::now();
    while !left().is_empty() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(left(), [], "uploads left behind");
    let keys: Vec<_> = expected.store.keys().cloned().collect();
    assert_eq!(sim.keys(BUCKET), keys, "left behind");
}

fn start(driven: &Driven, objects: &[(String, usize)]) -> Expected {
    let mut expected = Expected::default();
    for (path, len) in objects {
        let is_taken = expected.view(path) != View::Absent;
        if is_taken || expected.walk(path) == Err(Code::NotDirectory) {
            continue;
        }
        let bytes = expected.fresh(*len);
        driven.world.sim.put(BUCKET, path, bytes.clone());
        expected.put(path, bytes, Meta::default());
    }
    expected
}

/// Where the random choice of calls begins unless the environment says otherwise.
const SEED: u64 = 20_261_121;

/// As many cases as the environment asks for (PROPTEST_CASES), or the usual number, over `parts`.
fn cases(parts: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases.div_ceil(parts),
        // The same calls in every run; PROPTEST_RNG_SEED chooses others.
        rng_seed: match usual.rng_seed {
            RngSeed::Random => RngSeed::Fixed(SEED),
            chosen @ RngSeed::Fixed(_) => chosen,
        },
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "proptest-regressions/model.txt",
        ))),
        ..usual
    }
}

proptest! {
    #![proptest_config(cases(1))]

    #[test]
    fn alone_in_a_bucket_everything_is_as_a_tree_in_memory(
        objects in operation::objects(),
        ops in operation::alone(),
        forgets in any::<bool>(),
        trusts in any::<bool>(),
        appends in any::<bool>(),
    ) {
        let mut driven = alone(forgets, trusts, appends);
        let mut expected = start(&driven, &objects);
        for op in &ops {
            step(&mut driven, &mut expected, op);
        }
        end(&mut driven, &mut expected);
    }
}

proptest! {
    #![proptest_config(cases(2))]

    #[test]
    fn a_process_that_follows_a_killed_one_goes_on_as_if_it_were_the_same(
        objects in operation::objects(),
        ops in operation::alone(),
        kills in prop::collection::vec(prop::bool::weighted(0.3), 50),
        forgets in any::<bool>(),
        trusts in any::<bool>(),
    ) {
        let mut driven = alone(forgets, trusts, false);
        let mut expected = start(&driven, &objects);
        for (op, is_killed) in ops.iter().zip(kills.iter().cycle()) {
            step(&mut driven, &mut expected, op);
            if *is_killed {
                driven.kill();
                compare(&mut driven, &mut expected);
            }
        }
        end(&mut driven, &mut expected);
    }
}

proptest! {
    // Nothing is trusted, so each case takes several times as many requests.
    #![proptest_config(cases(4))]

    #[test]
    fn beside_another_client_each_version_is_seen_whole_and_none_is_lost(
        objects in operation::objects(),
        ops in operation::beside_another(),
        uploads_ahead in any::<bool>(),
        appends in any::<bool>(),
    ) {
        let mut driven = beside_another(uploads_ahead, appends);
        let mut expected = start(&driven, &objects);
        expected.others = true;
        for op in &ops {
            step(&mut driven, &mut expected, op);
        }
        end(&mut driven, &mut expected);
    }
}
