//! Copies through the kernel: what they cost, what they make, and when they must fail.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use nix::errno::Errno;
use s3fs::limits::{GIB, Limits, MIB};
use s3fs::range::ByteRange;
use s3fs::sim::Operation;

use crate::rig::{BUCKET, OTHER, Rig, bytes};
use crate::shell::{no_forks, sh, sh_fails};
use crate::target::Target;

const PART: u64 = Limits::aws().copy_part_size;

/// Part copies of a multipart copy, with what starts and ends it.
fn multipart(parts: u64) -> Vec<(Operation, u64)> {
    vec![
        (Operation::CreateMultipartUpload, 1),
        (Operation::UploadPartCopy, parts),
        (Operation::CompleteMultipartUpload, 1),
    ]
}

fn assert_same(rig: &Rig, from: (&str, &str), to: (&str, &str), len: u64) {
    assert_eq!(rig.sim.stat(to.0, to.1).map(|stat| stat.size), Some(len));
    for sample in 0..=64 {
        let start = (len - 1) / 64 * sample;
        let range = ByteRange::new(start, (start + 4096).min(len));
        assert!(
            rig.sim.content_of(from.0, from.1, range) == rig.sim.content_of(to.0, to.1, range),
            "{from:?} and {to:?} differ in {range}"
        );
    }
}

#[test]
fn cp_of_a_small_file_is_one_copy_object() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "a", vec![7; 100_000]);
    let mounted = rig.mount_known(&[BUCKET], &["b"]);
    let cost = rig.cost(|| drop(sh(&mounted.dir(), "cp a b")));
    assert_eq!(cost.requests(), [(Operation::CopyObject, 1)].into());
    assert_eq!(bytes(&cost), (0, 0));
    assert_eq!(rig.sim.content(BUCKET, "b"), Some(vec![7; 100_000]));
    mounted.unmount();
}

#[test]
fn cp_of_10_gib_moves_no_byte_through_the_client() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "dir/big", 10 * GIB, 1);
    let mounted = rig.mount_known(&[BUCKET], &["copy"]);
    let cost = rig.cost(|| drop(sh(&mounted.dir(), "cp dir/big copy")));
    assert_eq!(bytes(&cost), (0, 0));
    assert_eq!(
        cost.requests(),
        multipart(10 * GIB / PART).into_iter().collect()
    );
    assert_same(&rig, (BUCKET, "dir/big"), (BUCKET, "copy"), 10 * GIB);
    mounted.unmount();
}

#[test]
fn cp_between_two_buckets_of_a_mount_moves_no_byte() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "big", 10 * GIB, 2);
    let mounted = rig.mount_known(&[BUCKET, OTHER], &["other/copy", "bucket/moved"]);
    let cost = rig.cost(|| drop(sh(&mounted.dir(), "cp bucket/big other/copy")));
    assert_eq!(bytes(&cost), (0, 0));
    assert_eq!(
        cost.requests(),
        multipart(10 * GIB / PART).into_iter().collect()
    );
    assert_same(&rig, (BUCKET, "big"), (OTHER, "copy"), 10 * GIB);
    let cost = rig.cost(|| drop(sh(&mounted.dir(), "mv other/copy bucket/moved")));
    assert_eq!(bytes(&cost), (0, 0));
    assert_same(&rig, (BUCKET, "big"), (BUCKET, "moved"), 10 * GIB);
    assert!(rig.sim.stat(OTHER, "copy").is_none());
    mounted.unmount();
}

#[test]
fn cat_of_two_100_mib_files_moves_no_byte_through_the_client() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "a", 100 * MIB, 3);
    rig.sim.put_pattern(BUCKET, "b", 100 * MIB, 4);
    let mounted = rig.mount_known(&[BUCKET], &["c"]);
    let cost = rig.cost(|| drop(sh(&mounted.dir(), "cat a b > c")));
    assert_eq!(bytes(&cost), (0, 0));
    assert_eq!(cost.requests(), multipart(2).into_iter().collect());
    let whole = rig.sim.content(BUCKET, "c").unwrap();
    assert_eq!(whole.len() as u64, 200 * MIB);
    assert!(whole[..100 << 20] == rig.sim.content(BUCKET, "a").unwrap());
    assert!(whole[100 << 20..] == rig.sim.content(BUCKET, "b").unwrap());
    mounted.unmount();
}

#[test]
fn cp_with_mode_and_time_costs_what_cp_costs() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "a", GIB, 5);
    let mounted = rig.mount_known(&[BUCKET], &["b"]);
    let cost = rig.cost(|| drop(sh(&mounted.dir(), "cp -a a b")));
    assert_eq!(bytes(&cost), (0, 0));
    assert_eq!(cost.requests(), multipart(GIB / PART).into_iter().collect());
    assert_same(&rig, (BUCKET, "a"), (BUCKET, "b"), GIB);
    mounted.unmount();
}

#[test]
fn cp_over_an_old_file_copies_in_the_store() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "a", 64 * MIB, 6);
    rig.sim.put(BUCKET, "old", "old");
    let mounted = rig.mount();
    let cost = rig.cost(|| drop(sh(&mounted.dir(), "cp a old")));
    assert_eq!(bytes(&cost), (0, 0));
    assert_same(&rig, (BUCKET, "a"), (BUCKET, "old"), 64 * MIB);
    mounted.unmount();
}

#[test]
fn mv_of_a_file_is_a_copy_and_a_delete() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "a", 64 * MIB, 7);
    let mounted = rig.mount_known(&[BUCKET], &["b"]);
    let cost = rig.cost(|| drop(sh(&mounted.dir(), "mv a b")));
    assert_eq!(bytes(&cost), (0, 0));
    assert_eq!(
        cost.requests(),
        [(Operation::CopyObject, 1), (Operation::DeleteObject, 1)].into()
    );
    assert_eq!(rig.sim.keys(BUCKET), ["b"]);
    mounted.unmount();
}

#[test]
fn mv_of_a_directory_moves_every_object_in_the_store() {
    let rig = Rig::new();
    for name in ["d/a", "d/b/c", "d/b/empty/", "other"] {
        rig.sim.put(BUCKET, name, name.to_owned());
    }
    let mounted = rig.mount();
    let cost = rig.cost(|| drop(sh(&mounted.dir(), "mv d e && ls e/b")));
    assert_eq!(bytes(&cost), (0, 0));
    assert_eq!(
        rig.sim.keys(BUCKET),
        ["e/a", "e/b/c", "e/b/empty/", "other"]
    );
    assert_eq!(rig.sim.content(BUCKET, "e/b/c").unwrap(), b"d/b/c");
    mounted.unmount();
}

#[test]
fn a_source_written_a_moment_ago_is_copied_as_written() {
    let rig = Rig::new();
    let mounted = rig.mount();
    let script = "exec 3> a; printf one >&3; cp a b; printf two >&3; exec 3>&-; cat a b";
    assert_eq!(sh(&mounted.dir(), script), "onetwoone");
    mounted.unmount();
}

#[test]
fn a_source_removed_before_close_is_still_copied() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "a", 16 * MIB, 8);
    let expected = rig.sim.content(BUCKET, "a");
    let mounted = rig.mount();
    let copy = copy_but_do_not_close(&mounted.path("a"), &mounted.path("b"));
    std::fs::remove_file(mounted.path("a")).unwrap();
    nix::unistd::close(copy).unwrap();
    assert!(rig.sim.content(BUCKET, "b") == expected);
    mounted.unmount();
    // The last close of the source, which nobody waits for, is over.
    assert_eq!(rig.sim.keys(BUCKET), ["b"]);
}

#[test]
fn a_source_replaced_before_close_fails_the_copy_with_estale() {
    let rig = Rig::new();
    source_replaced(&rig.target());
    assert!(rig.sim.uploads(BUCKET).is_empty());
}

#[test]
fn a_read_only_mount_refuses_a_copy() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "a", "a");
    let mounted = rig.mount_with("ro");
    assert!(sh_fails(&mounted.dir(), "cp a b").contains("Read-only file system"));
    mounted.unmount();
}

/// Copies with copy_file_range(2), which is what `io::copy` of two files calls.
fn copy_but_do_not_close(from: &Path, to: &Path) -> File {
    let mut source = File::open(from).unwrap();
    let mut copy = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(to)
        .unwrap();
    io::copy(&mut source, &mut copy).unwrap();
    copy
}

/// For a source of one CopyObject and of several parts: the destination stays as it was.
pub fn source_replaced(target: &Target) {
    let store = target.store;
    for size in [MIB, 300 * MIB] {
        store.put(BUCKET, "source", vec![1; size as usize]);
        store.put(BUCKET, "destination", "as before");
        let before = store.head(BUCKET, "destination");
        let mounted = target.mount();
        let alone = no_forks();
        let mut source = File::open(mounted.path("source")).unwrap();
        let mut copy = OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(mounted.path("destination"))
            .unwrap();
        let copied = io::copy(&mut source, &mut copy).unwrap();
        assert_eq!(copied, size);
        store.put(BUCKET, "source", vec![2; size as usize]);
        assert_eq!(nix::unistd::close(copy), Err(Errno::ESTALE), "{size} bytes");
        drop((source, alone));
        assert_eq!(store.head(BUCKET, "destination"), before);
        assert_eq!(store.get(BUCKET, "destination"), b"as before");
        assert!(store.uploads(BUCKET).is_empty(), "an upload is left");
        mounted.unmount();
    }
}

/// Copies that every store has to make right: small, in parts, concatenated, to another bucket,
/// moved.
pub fn copies(target: &Target) {
    let store = target.store;
    let (big, part) = (pattern(300 << 20), pattern(20 << 20));
    store.put(BUCKET, "small", "small");
    store.put(BUCKET, "part", part.clone());
    store.put(BUCKET, "big", big.clone());
    let mounted = target.mount_both();
    let script = "
        cp bucket/part other/copy
        cd bucket
        cp small small2
        cp big big2
        cat part small part > joined
        mv big2 moved
        mkdir -p d/e
        cp small d/e/f
        cp small d/g
        mv d moved-d
    ";
    sh(&mounted.dir(), script);
    mounted.unmount();
    for name in ["small2", "moved-d/e/f", "moved-d/g"] {
        assert_eq!(store.get(BUCKET, name), b"small", "{name}");
    }
    assert!(store.get(BUCKET, "moved") == big);
    assert!(store.get(OTHER, "copy") == part);
    assert!(store.get(BUCKET, "joined") == [&part[..], b"small", &part].concat());
    for name in ["big2", "d/e/f", "d/g"] {
        assert!(store.head(BUCKET, name).is_none(), "{name} is still there");
    }
    assert!(store.uploads(BUCKET).is_empty() && store.uploads(OTHER).is_empty());
}

/// Bytes that differ from place to place.
pub fn pattern(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    let mut word = 1_u64;
    while bytes.len() < len {
        word = word
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(word >> 16).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
