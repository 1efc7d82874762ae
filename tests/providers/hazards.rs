//! Each rule that would spoil a copy: what becomes of it in the hands of [`Naive`], and that the
//! filesystem in the same situation does it right.

use s3fs::limits::{Limits, MIB};
use s3fs::sim::{Fault, How, Operation, Rules};
use s3fs::store::dialect::Dialect;

use crate::cells::{Run, check, check_no_upload, is_of};
use crate::naive::Naive;
use crate::world::{BUCKET, World};

/// A mount that copies in parts of 5 MiB, however small the object is.
pub fn in_parts(rules: Rules) -> World {
    let dialect = Dialect::of(crate::provider(&rules));
    in_parts_as(rules, dialect)
}

/// The same, as a store of that dialect.
fn in_parts_as(mut rules: Rules, dialect: Dialect) -> World {
    rules.requests.write_interval = std::time::Duration::ZERO;
    let dialect = Dialect {
        limits: Limits {
            copy_object_preferred_max: 0,
            copy_part_size: 5 * MIB,
            ..dialect.limits.clone()
        },
        ..dialect
    };
    World::of(rules, dialect, false)
}

fn size(world: &World, key: &str) -> u64 {
    world.sim.stat(BUCKET, key).unwrap().size
}

/// What the naive client left lies around; the filesystem's own work is looked at alone.
pub fn sweep(world: &World, naive: &Naive) {
    for upload in world.sim.uploads(BUCKET) {
        let abort = naive.client.abort_multipart_upload().bucket(BUCKET);
        let abort = abort.key(upload.key).upload_id(upload.id);
        world.run(abort.send()).unwrap();
    }
}

/// `cp a right`, which must be all of `a`.
fn copy_right(world: &World, naive: &Naive, bytes: u64) {
    sweep(world, naive);
    world.run(world.concatenate(&["a"], "right")).unwrap();
    check(&world.sim, "right", &[Run::Pattern(1, 0, bytes)]);
}

const SIZE: u64 = 12 * MIB;

fn with_source(rules: Rules) -> (World, Naive) {
    let world = in_parts(rules);
    world.sim.put_pattern(BUCKET, "a", SIZE, 1);
    world.sim.settle();
    let naive = Naive::new(&world.sim);
    (world, naive)
}

/// The second of two ranges of `a` has a byte too many.
const ONE_TOO_MANY: [&str; 2] = ["bytes=0-6291455", "bytes=6291456-12582912"];

#[test]
fn oss_copies_the_whole_object_for_a_range_that_does_not_fit_it() {
    let (world, naive) = with_source(Rules::oss());
    let mut ranges = ONE_TOO_MANY;
    // The library cannot read the time in the answer: by the list of parts then.
    world.run(async {
        let id = naive.create("wrong").await;
        for (number, range) in (1..).zip(ranges.iter_mut()) {
            let copied = naive.copy_part(("wrong", &id), number, ("a", Some(range)), None);
            let _ = copied.await;
        }
        naive.complete_as_listed(("wrong", &id)).await.unwrap();
    });
    assert_eq!(size(&world, "wrong"), SIZE / 2 + SIZE);
    copy_right(&world, &naive, SIZE);
}

#[test]
fn garage_cuts_a_range_at_the_end_of_a_source_that_has_shrunk() {
    let (world, naive) = with_source(Rules::garage());
    world.run(world.look("a")).unwrap();
    world.sim.put_pattern(BUCKET, "a", SIZE - 100, 2);
    let copied = naive.copy_by_ranges("wrong", &["bytes=0-6291455", "bytes=6291456-12582911"]);
    world.run(copied).unwrap();
    assert_eq!(size(&world, "wrong"), SIZE - 100);
    let copied = world.run(world.concatenate(&["a"], "right"));
    assert!(is_of(&copied, "Stale"), "{copied:?}");
    assert!(world.sim.stat(BUCKET, "right").is_none());
    check_no_upload(&world.sim);
}

#[test]
fn ceph_takes_the_start_for_a_range_without_one() {
    let (world, naive) = with_source(Rules::ceph());
    world
        .run(naive.copy_by_ranges("wrong", &["bytes=-6291455"]))
        .unwrap();
    check(&world.sim, "wrong", &[Run::Pattern(1, 0, 6_291_456)]);
    copy_right(&world, &naive, SIZE);
}

#[test]
fn ceph_16_copies_a_part_of_another_object_for_a_percent_sign_in_the_name() {
    let world = in_parts(Rules::ceph_16());
    let naive = Naive::new(&world.sim);
    world.sim.put_pattern(BUCKET, "a%41", SIZE, 1);
    world.sim.put_pattern(BUCKET, "aA", SIZE, 2);
    world.run(async {
        let id = naive.create("wrong").await;
        let at = ("wrong", &*id);
        let copied = naive.copy_part(at, 1, ("a%2541", None), None).await;
        naive.complete(at, vec![copied.unwrap()]).await.unwrap();
    });
    check(&world.sim, "wrong", &[Run::Pattern(2, 0, SIZE)]);
    world.run(world.concatenate(&["a%41"], "right")).unwrap();
    check(&world.sim, "right", &[Run::Pattern(1, 0, SIZE)]);
}

#[test]
fn a_percent_sign_in_the_name_is_no_hazard_where_it_is_not_known_that_the_store_is_ceph_16() {
    let world = in_parts_as(Rules::ceph_16(), Dialect::strict());
    world.sim.put_pattern(BUCKET, "a%41", SIZE, 1);
    world.sim.put_pattern(BUCKET, "aA", SIZE, 2);
    world.run(world.concatenate(&["a%41"], "right")).unwrap();
    check(&world.sim, "right", &[Run::Pattern(1, 0, SIZE)]);
}

#[test]
fn moto_makes_an_empty_part_of_a_range_beyond_a_source_that_has_shrunk() {
    let (world, naive) = with_source(Rules::moto());
    world.run(world.look("a")).unwrap();
    world.sim.put_pattern(BUCKET, "a", SIZE / 2, 2);
    let copied = naive.copy_by_ranges("wrong", &["bytes=0-6291455", "bytes=6291456-12582911"]);
    world.run(copied).unwrap();
    assert_eq!(size(&world, "wrong"), SIZE / 2);
    let copied = world.run(world.concatenate(&["a"], "right"));
    assert!(is_of(&copied, "Stale"), "{copied:?}");
    assert!(world.sim.stat(BUCKET, "right").is_none());
    check_no_upload(&world.sim);
}

/// Copies two halves of a source that is replaced in between, with if-match on both.
fn torn(rules: Rules) {
    let name = rules.name;
    let (world, naive) = with_source(rules);
    let etag = world.sim.stat(BUCKET, "a").unwrap().etag;
    world.run(async {
        let id = naive.create("wrong").await;
        let at = ("wrong", &*id);
        let first = ("a", Some("bytes=0-6291455"));
        let _ = naive.copy_part(at, 1, first, Some(&etag)).await;
        world.sim.put_pattern(BUCKET, "a", SIZE, 2);
        let second = ("a", Some("bytes=6291456-12582911"));
        let _ = naive.copy_part(at, 2, second, Some(&etag)).await;
        naive.complete_as_listed(at).await.unwrap();
    });
    let half = SIZE / 2;
    let runs = [Run::Pattern(1, 0, half), Run::Pattern(2, half, half)];
    check(&world.sim, "wrong", &runs);

    world.sim.put_pattern(BUCKET, "b", SIZE, 1);
    world.sim.settle();
    let is_done = std::sync::atomic::AtomicBool::new(false);
    world.sim.on_request(move |sim, request| {
        if request.part_number.as_deref() == Some("2")
            && !is_done.swap(true, std::sync::atomic::Ordering::Relaxed)
        {
            sim.put_pattern(BUCKET, "b", SIZE, 2);
        }
    });
    let copied = world.run(world.concatenate(&["b"], "right"));
    assert!(is_of(&copied, "Stale"), "{name}: {copied:?}");
    assert!(world.sim.stat(BUCKET, "right").is_none(), "{name}");
    check_no_upload(&world.sim);
}

#[test]
fn a_source_replaced_between_two_parts_tears_the_copy_where_conditions_are_ignored() {
    for rules in [
        Rules::r2(),
        Rules::ceph(),
        Rules::ceph_16(),
        Rules::obs(),
        Rules::ncloud(),
        Rules::wasabi(),
    ] {
        torn(rules);
    }
}

/// The store breaks off a copy, but its status is 200.
fn broken(rules: Rules, how: How) {
    let name = rules.name;
    let (world, naive) = with_source(rules);
    let fault = Fault {
        nth: 2,
        ..Fault::on(Operation::UploadPartCopy, how)
    };
    world.sim.fault(fault.clone());
    world.run(async {
        let id = naive.create("wrong").await;
        for (number, range) in (1..).zip(["bytes=0-6291455", "bytes=6291456-12582911"]) {
            let source = ("a", Some(range));
            // The status says that all is well, and nobody looks at the body.
            let copied = naive.copy_part(("wrong", &id), number, source, None).await;
            assert!(
                copied.is_ok() || copied.is_err_and(|(status, _)| status == 200),
                "{name}"
            );
        }
        naive.complete_as_listed(("wrong", &id)).await.unwrap();
    });
    assert_eq!(size(&world, "wrong"), SIZE / 2, "{name}");
    world.sim.clear_faults();
    world.sim.fault(fault);
    copy_right(&world, &naive, SIZE);
}

#[test]
fn a_copy_that_broke_off_is_answered_200() {
    broken(Rules::obs(), How::Breaks);
    broken(Rules::aws(), How::Breaks);
    broken(Rules::cos(), How::ErrorIn200);
    broken(Rules::oss(), How::EmptyCopyResult);
}

#[test]
fn gcs_makes_empty_parts_of_part_copies() {
    let (world, naive) = with_source(Rules::gcs());
    world.run(async {
        let id = naive.create("wrong").await;
        for number in 1..=2 {
            let copied = naive.copy_part(("wrong", &id), number, ("a", None), None);
            copied.await.unwrap();
        }
        let id = ("wrong", &*id);
        // All but the last are too small, which the store would say.
        let last = naive.upload_part(id, 1, &[7; 5 << 20]).await;
        let etag = "\"d41d8cd98f00b204e9800998ecf8427e\"";
        let empty = aws_sdk_s3::types::CompletedPart::builder();
        let empty = empty.part_number(2).e_tag(etag).build();
        naive.complete(id, vec![last, empty]).await.unwrap();
    });
    assert_eq!(size(&world, "wrong"), 5 * MIB);
    sweep(&world, &naive);
    world.sim.put_pattern(BUCKET, "b", SIZE, 2);
    world.run(world.concatenate(&["a", "b"], "right")).unwrap();
    let runs = [Run::Pattern(1, 0, SIZE), Run::Pattern(2, 0, SIZE)];
    check(&world.sim, "right", &runs);
}

#[test]
fn a_time_without_a_zone_or_with_a_blank_fails_a_copy_that_was_made() {
    for rules in [Rules::cos(), Rules::obs(), Rules::oss()] {
        let (world, naive) = with_source(rules);
        let refused = world.run(naive.copy_by_ranges("wrong", &["bytes=0-12582911"]));
        assert_eq!(refused.unwrap_err().0, 200);
        assert_eq!(world.sim.uploads(BUCKET)[0].parts, [(1, SIZE)]);
        copy_right(&world, &naive, SIZE);
    }
}

#[test]
fn three_hundred_and_four_says_that_the_source_is_another() {
    let (world, naive) = with_source(Rules::oss());
    let etag = world.sim.stat(BUCKET, "a").unwrap().etag;
    let request = naive.client.copy_object().bucket(BUCKET).key("wrong");
    let request = request
        .copy_source("bucket/a")
        .copy_source_if_none_match(etag);
    let (status, _) = crate::naive::refused(world.run(request.send()).unwrap_err());
    // Whoever counts 412 alone as a failed condition takes this for one more success.
    assert_eq!(status, 304);
    assert!(world.sim.stat(BUCKET, "wrong").is_none());
    copy_right(&world, &naive, SIZE);
}

/// Publishes the first half of `a` as if it were all, and says how large it should be.
async fn complete_half(naive: &Naive) -> Result<(), crate::naive::Refused> {
    let id = naive.create("wrong").await;
    let range = ("a", Some("bytes=0-6291455"));
    let part = naive.copy_part(("wrong", &id), 1, range, None).await?;
    let list = aws_sdk_s3::types::CompletedMultipartUpload::builder().parts(part);
    let request = naive
        .client
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key("wrong");
    let request = request.upload_id(&id).multipart_upload(list.build());
    let request = request.mpu_object_size(SIZE as i64).send().await;
    request.map(|_| ()).map_err(crate::naive::refused)
}

#[test]
fn the_size_an_object_should_have_is_looked_at_by_aws_alone() {
    let (world, naive) = with_source(Rules::aws());
    let stopped = world.run(complete_half(&naive)).unwrap_err();
    assert_eq!(stopped, (400, "InvalidRequest".to_owned()));
    for rules in [
        Rules::minio(),
        Rules::r2(),
        Rules::garage(),
        Rules::seaweedfs(),
    ] {
        let (world, naive) = with_source(rules);
        world.run(complete_half(&naive)).unwrap();
        assert_eq!(size(&world, "wrong"), SIZE / 2);
        // The second part is lost on the way, as it was there.
        let lost = Fault {
            nth: 2,
            ..Fault::on(Operation::UploadPartCopy, How::EmptyCopyResult)
        };
        world.sim.fault(lost);
        copy_right(&world, &naive, SIZE);
    }
}
