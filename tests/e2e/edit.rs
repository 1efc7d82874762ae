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

/// The kernel writes the pages of a mapping back in many requests at once, in any order.
#[test]
fn a_mapping_written_over_what_was_sent_ahead_publishes_at_most_twice() {
    const LEN: u64 = 128 * MIB;
    let rig = Rig::new();
    let mounted = rig.mount_with("memory_limit=128M");
    let script = format!(
        "import ctypes, mmap, os, time
fd = os.open('big', os.O_RDWR | os.O_CREAT)
started = time.monotonic()
for at in range(0, {LEN}, 1 << 20): os.pwrite(fd, b'a' * (1 << 20), at)
written = time.monotonic()
mapped = mmap.mmap(fd, {LEN})
for at in range(0, {LEN}, 1 << 20): mapped[at:at + (1 << 20)] = b'b' * (1 << 20)
kernel = ctypes.CDLL(None, use_errno=True)
len = ctypes.c_long({LEN})
assert kernel.sync_file_range(fd, ctypes.c_long(0), len, 7) == 0
print(written - started, time.monotonic() - written)
"
    );
    let mut seconds = Vec::new();
    let cost = rig.cost(|| {
        let printed = sh(&mounted.dir(), &format!("python3 -c \"{script}\""));
        let words = printed.split_whitespace();
        seconds.extend(words.map(|word| word.parse::<f64>().unwrap()));
    });
    println!("once {:.2} s, again {:.2} s", seconds[0], seconds[1]);
    let published = cost.of(Operation::CompleteMultipartUpload).requests;
    assert!(published <= 2, "{published} commits");
    // Two seconds for what else the machine does: with a commit for each page range it took 24.
    assert!(seconds[1] <= 3.0 * seconds[0] + 2.0, "{seconds:?}");
    let end = ByteRange::new(LEN - 2, LEN);
    assert_eq!(rig.sim.content_of(BUCKET, "big", end).unwrap(), b"bb");
    mounted.unmount();
}
