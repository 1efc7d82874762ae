//! Multipart uploads and their rules.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use super::super::Sim;
use super::{code, create, part, started, toy};
use crate::limits::Limits;

macro_rules! complete {
    ($client:expr, $key:expr, $id:expr, $parts:expr) => {
        $client
            .complete_multipart_upload()
            .bucket("test")
            .key($key)
            .upload_id($id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some($parts))
                    .build(),
            )
    };
}

#[tokio::test]
async fn an_upload_is_put_together_from_uploaded_and_copied_parts() {
    let (sim, client) = started(Sim::builder().limits(toy())).await;
    sim.put("test", "source", b"0123456789".to_vec());
    let id = create(&client, "whole").await;
    part(&client, "whole", &id, 1, b"overwritten").await;
    let first = part(&client, "whole", &id, 1, b"abcd").await;
    let copy = |range: &str| {
        let request = client
            .upload_part_copy()
            .bucket("test")
            .key("whole")
            .upload_id(&id);
        request
            .part_number(3)
            .copy_source("test/source")
            .copy_source_range(range)
    };
    assert_eq!(code(copy("bytes=0-10").send().await), "InvalidArgument");
    assert_eq!(code(copy("bytes=5-").send().await), "InvalidArgument");
    let stale = copy("bytes=0-5").copy_source_if_match("\"0\"").send().await;
    assert_eq!(code(stale), "PreconditionFailed");
    let copied = copy("bytes=2-5")
        .send()
        .await
        .unwrap()
        .copy_part_result
        .unwrap()
        .e_tag
        .unwrap();
    let second = CompletedPart::builder()
        .part_number(3)
        .e_tag(copied)
        .build();
    assert_eq!(sim.uploads("test")[0].parts, [(1, 4), (3, 4)]);
    let wrong_size = complete!(client, "whole", &id, vec![first.clone(), second.clone()]);
    assert_eq!(
        code(wrong_size.mpu_object_size(9).send().await),
        "InvalidRequest"
    );
    let whole = || complete!(client, "whole", &id, vec![first.clone(), second.clone()]);
    whole()
        .mpu_object_size(8)
        .if_none_match("*")
        .send()
        .await
        .unwrap();
    assert_eq!(sim.content("test", "whole").unwrap(), b"abcd2345");
    assert!(sim.stat("test", "whole").unwrap().etag.ends_with("-2"));
    assert_eq!(code(whole().send().await), "NoSuchUpload");
    assert!(sim.uploads("test").is_empty());
}

#[tokio::test]
async fn an_upload_that_breaks_a_rule_is_not_published() {
    let (sim, client) = started(Sim::builder().limits(toy())).await;
    let id = create(&client, "k").await;
    let short = part(&client, "k", &id, 1, b"abc").await;
    let last = part(&client, "k", &id, 2, b"z").await;
    let both = complete!(client, "k", &id, vec![short.clone(), last.clone()])
        .send()
        .await;
    assert_eq!(code(both), "EntityTooSmall");
    let reversed = complete!(client, "k", &id, vec![last.clone(), short.clone()])
        .send()
        .await;
    assert_eq!(code(reversed), "InvalidPartOrder");
    let wrong = CompletedPart::builder()
        .part_number(1)
        .e_tag("\"0\"")
        .build();
    assert_eq!(
        code(complete!(client, "k", &id, vec![wrong]).send().await),
        "InvalidPart"
    );
    let missing = CompletedPart::builder()
        .part_number(4)
        .e_tag("\"0\"")
        .build();
    assert_eq!(
        code(complete!(client, "k", &id, vec![missing]).send().await),
        "InvalidPart"
    );
    let upload = || client.upload_part().bucket("test").key("k").upload_id(&id);
    let beyond = upload()
        .part_number(6)
        .body(ByteStream::from_static(b"a"))
        .send()
        .await;
    assert_eq!(code(beyond), "InvalidArgument");
    let long = upload()
        .part_number(3)
        .body(ByteStream::from_static(&[1; 17]))
        .send()
        .await;
    assert_eq!(code(long), "EntityTooLarge");
    assert!(sim.keys("test").is_empty());
    client
        .abort_multipart_upload()
        .bucket("test")
        .key("k")
        .upload_id(&id)
        .send()
        .await
        .unwrap();
    let again = client
        .abort_multipart_upload()
        .bucket("test")
        .key("k")
        .upload_id(&id)
        .send()
        .await;
    assert_eq!(code(again), "NoSuchUpload");
}

#[tokio::test]
async fn appending_by_copy_again_and_again_keeps_one_object_small() {
    let (sim, client) = started(Sim::builder().limits(Limits {
        part_size_min: 1,
        ..Limits::aws()
    }))
    .await;
    sim.put_pattern("test", "log", 1 << 30, 5);
    for round in 0..5_u64 {
        let size = sim.stat("test", "log").unwrap().size;
        let id = create(&client, "log").await;
        let mut parts = Vec::new();
        for (number, (from, to)) in [(0, size / 3), (size / 3, size)].into_iter().enumerate() {
            let request = client
                .upload_part_copy()
                .bucket("test")
                .key("log")
                .upload_id(&id);
            let range = format!("bytes={from}-{}", to - 1);
            let request = request.copy_source("test/log").copy_source_range(range);
            let copied = request.part_number(number as i32 + 1).send().await.unwrap();
            let etag = copied.copy_part_result.unwrap().e_tag.unwrap();
            parts.push(
                CompletedPart::builder()
                    .part_number(number as i32 + 1)
                    .e_tag(etag)
                    .build(),
            );
        }
        parts.push(part(&client, "log", &id, 3, format!("line {round}").as_bytes()).await);
        complete!(client, "log", &id, parts).send().await.unwrap();
        assert_eq!(sim.stat("test", "log").unwrap().extents as u64, round + 2);
    }
}
