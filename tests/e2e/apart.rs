//! Two buckets of one mount that the store does not copy between.

use s3fs::limits::MIB;
use s3fs::sim::{Fault, How, Operation};

use crate::rig::{BUCKET, OTHER, Rig, bytes};
use crate::shell::{sh, sh_fails};

const DENIED: How = How::Status(403, "AccessDenied");

/// Both operations are refused, as Alibaba OSS does between regions.
fn apart() -> Rig {
    let rig = Rig::new();
    for operation in [Operation::CopyObject, Operation::UploadPartCopy] {
        rig.sim.fault(Fault::on(operation, DENIED).times(u64::MAX));
    }
    rig
}

#[test]
fn a_copy_between_buckets_that_are_apart_goes_through_the_client_with_one_line_in_the_log() {
    let rig = apart();
    rig.sim.put(BUCKET, "small", vec![3; 1000]);
    rig.sim.put(BUCKET, "empty", "");
    rig.sim.put_pattern(BUCKET, "big", 20 * MIB, 1);
    let mounted = rig.mount_known(
        &[BUCKET, OTHER],
        &["other/small", "other/big", "other/empty"],
    );
    let cost = rig.cost(|| drop(sh(&mounted.dir(), "cp bucket/* other/")));
    assert_eq!(bytes(&cost), (20 * MIB + 1000, 20 * MIB + 1000));
    for key in ["small", "empty", "big"] {
        assert!(
            rig.sim.content(OTHER, key) == rig.sim.content(BUCKET, key),
            "{key}"
        );
    }
    assert_eq!(rig.sim.uploads(OTHER), []);
    let lines = mounted.log();
    let lines = lines
        .lines()
        .filter(|line| line.contains("the store refuses to copy"));
    assert_eq!(lines.count(), 1);
    mounted.unmount();
}

#[test]
fn mv_between_buckets_that_are_apart_goes_through_the_client() {
    let rig = apart();
    rig.sim.put(BUCKET, "dir/a", vec![4; 1000]);
    rig.sim.put_pattern(BUCKET, "dir/b", 20 * MIB, 2);
    let mounted = rig.mount_known(&[BUCKET, OTHER], &["other/dir"]);
    let moved = rig.sim.content(BUCKET, "dir/b");
    sh(&mounted.dir(), "mv bucket/dir other/dir");
    assert_eq!(rig.sim.keys(BUCKET), Vec::<String>::new());
    assert_eq!(rig.sim.content(OTHER, "dir/a"), Some(vec![4; 1000]));
    assert!(rig.sim.content(OTHER, "dir/b") == moved);
    mounted.unmount();
}

#[test]
fn a_source_that_may_not_be_read_fails_and_leaves_nothing() {
    let rig = apart();
    rig.sim.put(BUCKET, "a", vec![5; 1000]);
    let mounted = rig.mount_known(&[BUCKET, OTHER], &["other/a"]);
    rig.sim
        .fault(Fault::on(Operation::GetObject, DENIED).times(u64::MAX));
    let said = sh_fails(&mounted.dir(), "cp bucket/a other/a");
    assert!(said.contains("Permission denied"), "{said}");
    assert_eq!(rig.sim.uploads(OTHER), []);
    mounted.unmount();
}
