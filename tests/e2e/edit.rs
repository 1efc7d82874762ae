//! Edits of large objects through the kernel: what they send and what they make.

use s3fs::limits::{GIB, Limits, MIB};
use s3fs::range::ByteRange;
use s3fs::sim::Operation;

use crate::copy::pattern;
use crate::rig::{BUCKET, Rig, bytes};
use crate::shell::sh;
use crate::target::Target;

const LEAST: u64 = Limits::aws().part_size_min;

#[test]
fn appending_one_byte_to_1_gib_sends_at_most_one_part() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "big", GIB, 1);
    let mounted = rig.mount();
    let cost = rig.cost(|| drop(sh(&mounted.dir(), "printf x >> big")));
    let (up, down) = bytes(&cost);
    assert!(up <= LEAST + 1, "{up} bytes were sent");
    assert!(down < LEAST, "{down} bytes were fetched");
    assert_eq!(cost.of(Operation::CompleteMultipartUpload).requests, 1);
    assert_eq!(rig.sim.stat(BUCKET, "big").unwrap().size, GIB + 1);
    let tail = rig
        .sim
        .content_of(BUCKET, "big", ByteRange::new(GIB - 1, GIB + 1))
        .unwrap();
    assert_eq!(tail, [s3fs::sim::pattern_byte(1, GIB - 1), b'x']);
    mounted.unmount();
}

#[test]
fn overwriting_one_byte_of_1_gib_sends_at_most_two_parts() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "big", GIB, 2);
    let middle = GIB / 2;
    let mounted = rig.mount();
    let script = format!("printf x | dd of=big bs=1 seek={middle} conv=notrunc status=none");
    let cost = rig.cost(|| drop(sh(&mounted.dir(), &script)));
    let (up, down) = bytes(&cost);
    assert!(up <= 2 * LEAST + 1, "{up} bytes were sent");
    assert!(down <= 2 * LEAST, "{down} bytes were fetched");
    assert_eq!(cost.of(Operation::CompleteMultipartUpload).requests, 1);
    assert_eq!(rig.sim.stat(BUCKET, "big").unwrap().size, GIB);
    let around = ByteRange::new(middle - 1, middle + 2);
    let expected = |at| s3fs::sim::pattern_byte(2, at);
    assert_eq!(
        rig.sim.content_of(BUCKET, "big", around).unwrap(),
        [expected(middle - 1), b'x', expected(middle + 1)]
    );
    mounted.unmount();
}

#[test]
fn truncating_1_gib_sends_less_than_one_part() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "big", GIB, 3);
    let mounted = rig.mount();
    let size = GIB - 3 * MIB;
    let cost = rig.cost(|| drop(sh(&mounted.dir(), &format!("truncate -s {size} big"))));
    let (up, down) = bytes(&cost);
    assert!(
        up < LEAST && down < LEAST,
        "{up} bytes were sent, {down} fetched"
    );
    assert_eq!(rig.sim.stat(BUCKET, "big").unwrap().size, size);
    sh(&mounted.dir(), "truncate -s 10 big; truncate -s 20 big");
    let mut expected: Vec<u8> = (0..10).map(|at| s3fs::sim::pattern_byte(3, at)).collect();
    expected.resize(20, 0);
    assert_eq!(rig.sim.content(BUCKET, "big").unwrap(), expected);
    mounted.unmount();
}

#[test]
fn dd_writes_blocks_out_of_order_into_an_old_file() {
    let rig = Rig::new();
    let mut expected = pattern(20 << 20);
    rig.sim.put(BUCKET, "f", expected.clone());
    let mounted = rig.mount();
    let script = "
        dd if=/dev/zero of=f bs=1M seek=15 count=2 conv=notrunc status=none
        dd if=/dev/zero of=f bs=1000 seek=77 count=3 conv=notrunc status=none
        dd if=f of=g bs=64K status=none
    ";
    sh(&mounted.dir(), script);
    expected[15 << 20..17 << 20].fill(0);
    expected[77_000..80_000].fill(0);
    assert!(rig.sim.content(BUCKET, "f").unwrap() == expected);
    assert!(rig.sim.content(BUCKET, "g").unwrap() == expected);
    mounted.unmount();
}

/// Append, overwrite and truncate that every store has to make right.
pub fn edits(target: &Target) {
    let store = target.store;
    let mut expected = pattern(40 << 20);
    store.put(BUCKET, "edited", expected.clone());
    let mounted = target.mount();
    let script = "
        printf appended >> edited
        printf middle | dd of=edited bs=1 seek=20000000 conv=notrunc status=none
    ";
    sh(&mounted.dir(), script);
    expected.extend_from_slice(b"appended");
    expected[20_000_000..20_000_006].copy_from_slice(b"middle");
    assert!(store.get(BUCKET, "edited") == expected);
    sh(&mounted.dir(), "truncate -s 30000000 edited");
    expected.truncate(30_000_000);
    assert!(store.get(BUCKET, "edited") == expected);
    sh(
        &mounted.dir(),
        "truncate -s 10 edited; truncate -s 20 edited",
    );
    expected.truncate(10);
    expected.resize(20, 0);
    assert!(store.get(BUCKET, "edited") == expected);
    assert!(store.uploads(BUCKET).is_empty());
    mounted.unmount();
}
