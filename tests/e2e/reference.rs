//! A reference model through the kernel: random sequences of calls on three names of a mount, with
//! another client that puts, lengthens, shortens, deletes and restores their objects behind it,
//! compared after each call with plain bytes in memory. Knows the promises, and no insides.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use crate::compared::Compared;
use crate::rig::Rig;
use crate::shell::no_forks;

/// The names there are.
pub const NAMES: [&str; 3] = ["a", "b", "c"];
/// The longest content, in bytes: some pages of the kernel.
pub const LEN_MAX: usize = 20_000;

/// How a file is opened.
#[derive(Clone, Copy, Debug)]
pub struct How {
    pub write: bool,
    pub create: bool,
    pub exclusive: bool,
    pub truncate: bool,
    pub append: bool,
}

/// One call, or what the other client does. A handle is counted modulo those that are open.
#[derive(Clone, Debug)]
pub enum Op {
    Open {
        name: &'static str,
        how: How,
    },
    Close {
        handle: usize,
    },
    Read {
        handle: usize,
        at: usize,
        len: usize,
    },
    Write {
        handle: usize,
        at: usize,
        len: usize,
    },
    SetLen {
        handle: usize,
        len: usize,
    },
    Sync {
        handle: usize,
    },
    MapRead {
        handle: usize,
        at: usize,
        len: usize,
    },
    MapWrite {
        handle: usize,
        at: usize,
        len: usize,
    },
    Stat {
        name: &'static str,
    },
    Truncate {
        name: &'static str,
        len: usize,
    },
    Rename {
        from: &'static str,
        to: &'static str,
    },
    Unlink {
        name: &'static str,
    },
    OtherPut {
        name: &'static str,
        len: usize,
    },
    OtherLengthen {
        name: &'static str,
        by: usize,
    },
    OtherShorten {
        name: &'static str,
        by: usize,
    },
    OtherDelete {
        name: &'static str,
    },
    OtherRestore {
        name: &'static str,
    },
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NAMES.as_slice())
}

fn handle() -> impl Strategy<Value = usize> {
    0_usize..6
}

/// Around the bounds of pages as often as not.
fn at() -> impl Strategy<Value = usize> {
    prop_oneof![2 => Just(0), 2 => 0_usize..30, 1 => 4_090_usize..4_100, 1 => 0_usize..LEN_MAX / 2]
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1_usize..30, 1 => 30_usize..LEN_MAX / 2]
}

fn how() -> impl Strategy<Value = How> {
    let rarely = || prop::bool::weighted(0.2);
    (any::<bool>(), any::<bool>(), rarely(), rarely(), rarely()).prop_map(
        |(write, create, exclusive, truncate, append)| How {
            write,
            create: write && create,
            exclusive: write && create && exclusive,
            truncate: write && truncate,
            append: write && append,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let place = || (handle(), at(), len());
    let own = prop_oneof![
        6 => (name(), how()).prop_map(|(name, how)| Op::Open { name, how }),
        4 => handle().prop_map(|handle| Op::Close { handle }),
        6 => place().prop_map(|(handle, at, len)| Op::Read { handle, at, len }),
        6 => place().prop_map(|(handle, at, len)| Op::Write { handle, at, len }),
        2 => (handle(), at()).prop_map(|(handle, len)| Op::SetLen { handle, len }),
        2 => handle().prop_map(|handle| Op::Sync { handle }),
        3 => place().prop_map(|(handle, at, len)| Op::MapRead { handle, at, len }),
        2 => place().prop_map(|(handle, at, len)| Op::MapWrite { handle, at, len }),
        3 => name().prop_map(|name| Op::Stat { name }),
        1 => (name(), at()).prop_map(|(name, len)| Op::Truncate { name, len }),
        2 => (name(), name()).prop_map(|(from, to)| Op::Rename { from, to }),
        1 => name().prop_map(|name| Op::Unlink { name }),
    ];
    let others = prop_oneof![
        3 => (name(), len()).prop_map(|(name, len)| Op::OtherPut { name, len }),
        2 => (name(), len()).prop_map(|(name, by)| Op::OtherLengthen { name, by }),
        2 => (name(), len()).prop_map(|(name, by)| Op::OtherShorten { name, by }),
        1 => name().prop_map(|name| Op::OtherDelete { name }),
        2 => name().prop_map(|name| Op::OtherRestore { name }),
    ];
    prop_oneof![4 => own, 1 => others]
}

/// Where the random choice of calls begins unless the environment says otherwise.
const SEED: u64 = 20_261_129;

#[test]
fn what_the_kernel_shows_beside_another_client_is_one_version_and_none_is_lost() {
    let rig = Rig::new();
    let mounted = rig.mount_with("actimeo=0");
    let usual = ProptestConfig::default();
    let config = ProptestConfig {
        rng_seed: match usual.rng_seed {
            RngSeed::Random => RngSeed::Fixed(SEED),
            chosen @ RngSeed::Fixed(_) => chosen,
        },
        failure_persistence: None,
        ..usual
    };
    let begun = AtomicU64::new(0);
    let ops = prop::collection::vec(op(), 1..60);
    let done = TestRunner::new(config).run(&ops, |ops| {
        let directory = begun.fetch_add(1, Ordering::Relaxed).to_string();
        // A process that another test starts would close what is open here.
        let alone = no_forks();
        let mut compared = Compared::new(&rig.sim, &mounted, &directory);
        for op in &ops {
            compared.step(op);
        }
        compared.end();
        drop(alone);
        Ok(())
    });
    done.unwrap_or_else(|failed| panic!("{failed}"));
    mounted.unmount();
}
