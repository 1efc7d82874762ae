//! Rules that servers were seen to have, over HTTP, by raw requests: one test a rule.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    CompletedMultipartUpload, CompletedPart, EncodingType, MetadataDirective, StorageClass,
};

use super::super::rules::{Conditions, CopiedTags, LengthWanted, Order, Suffix, UploadKeys};
use super::super::{Rules, Sim};
use super::{client, code, create, part, put, started, status};
use crate::limits::MIB;

/// A service that differs from AWS in one rule.
async fn but(change: impl FnOnce(&mut Rules)) -> (Sim, Client) {
    let mut rules = Rules::aws();
    change(&mut rules);
    started(Sim::builder().rules(rules)).await
}

async fn complete(client: &Client, id: &str, parts: Vec<CompletedPart>) -> (String, String) {
    let list = CompletedMultipartUpload::builder().set_parts(Some(parts));
    let request = client.complete_multipart_upload().bucket("test").key("k");
    let request = request.upload_id(id).multipart_upload(list.build());
    match request.send().await {
        Ok(answer) => ("done".to_owned(), answer.e_tag.unwrap_or_default()),
        refused => (code(refused), String::new()),
    }
}

#[tokio::test]
async fn an_etag_in_quotes_never_matches_on_a_write() {
    let (_sim, client) = but(|rules| rules.writes.put_conditions = Conditions::QuotedNever).await;
    let etag = put(&client, "k", b"1").await;
    let write = |etag: &str| {
        let write = client.put_object().bucket("test").key("k").if_match(etag);
        write.send()
    };
    assert_eq!(status(write(&etag).await), 412);
    assert_eq!(status(write("\"0\"").await), 412);
    write("*").await.unwrap();
    let etag = put(&client, "k", b"2").await;
    write(etag.trim_matches('"')).await.unwrap();
    let absent = client.put_object().bucket("test").key("k");
    assert_eq!(status(absent.if_none_match("*").send().await), 412);
}

#[tokio::test]
async fn an_etag_matches_nothing_with_404_or_412() {
    for (is_412, expected) in [(false, 404), (true, 412)] {
        let (_sim, client) = but(|rules| rules.writes.absent_is_412 = is_412).await;
        let write = client
            .put_object()
            .bucket("test")
            .key("k")
            .if_match("\"0\"");
        assert_eq!(status(write.send().await), expected);
    }
}

#[tokio::test]
async fn of_two_conditions_one_is_kept() {
    let (sim, client) = but(|rules| {
        rules.copies.object_conditions = Conditions::NoneMatchOnly;
        rules.writes.put_conditions = Conditions::NoneMatchOnly;
    })
    .await;
    let etag = sim.put("test", "a", "x");
    let copy = || {
        client
            .copy_object()
            .bucket("test")
            .key("k")
            .copy_source("test/a")
    };
    copy().copy_source_if_match("\"0\"").send().await.unwrap();
    let same = copy().copy_source_if_none_match(etag).send().await;
    assert_eq!(status(same), 412);
    let write = || client.put_object().bucket("test").key("a");
    write().if_match("\"0\"").send().await.unwrap();
    assert_eq!(status(write().if_none_match("*").send().await), 412);
}

#[tokio::test]
async fn a_source_is_decoded_twice_for_a_part_alone() {
    let (sim, client) = but(|rules| rules.copies.part_source_decoded_twice = true).await;
    sim.put("test", "a%41", "right");
    sim.put("test", "aA", "wrong one");
    let id = create(&client, "k").await;
    let copy = client.upload_part_copy().bucket("test").key("k");
    let copy = copy.upload_id(&id).part_number(1);
    copy.copy_source("test/a%2541").send().await.unwrap();
    assert_eq!(sim.uploads("test")[0].parts, [(1, 9)]);
    let copy = client.copy_object().bucket("test").key("k");
    copy.copy_source("test/a%2541").send().await.unwrap();
    assert_eq!(sim.content("test", "k").unwrap(), b"right");
}

#[tokio::test]
async fn an_etag_is_not_told_at_the_end_of_an_upload() {
    for is_told in [true, false] {
        let (sim, client) = but(|rules| rules.uploads.etag_told = is_told).await;
        let id = create(&client, "k").await;
        let only = part(&client, "k", &id, 1, b"all").await;
        let (done, etag) = complete(&client, &id, vec![only]).await;
        assert_eq!(done, "done");
        let stored = format!("\"{}\"", sim.stat("test", "k").unwrap().etag);
        assert_eq!(etag, if is_told { stored } else { String::new() });
    }
}

#[tokio::test]
async fn parts_named_in_another_order_are_refused_or_sorted() {
    for is_ordered in [true, false] {
        let (sim, client) = but(|rules| {
            rules.uploads.ordered = is_ordered;
            rules.limits.part_size_min = 0;
        })
        .await;
        let id = create(&client, "k").await;
        let first = part(&client, "k", &id, 1, b"first ").await;
        let second = part(&client, "k", &id, 2, b"second").await;
        let (done, _) = complete(&client, &id, vec![second, first]).await;
        assert_eq!(
            done,
            if is_ordered {
                "InvalidPartOrder"
            } else {
                "done"
            }
        );
        let content = sim.content("test", "k");
        assert_eq!(content, (!is_ordered).then(|| b"first second".to_vec()));
    }
}

#[tokio::test]
async fn an_upload_that_is_no_more_is_answered_as_the_rules_say() {
    let (_sim, client) = started(Sim::builder().rules(Rules::moto())).await;
    let id = create(&client, "k").await;
    let only = part(&client, "k", &id, 1, b"all").await;
    let abort = client.abort_multipart_upload().bucket("test").key("k");
    abort.upload_id(&id).send().await.unwrap();
    let late = client.upload_part().bucket("test").key("k").upload_id(&id);
    assert_eq!(status(late.part_number(1).send().await), 500);
    assert_eq!(complete(&client, &id, vec![only]).await.0, "InternalError");
}

/// Names of the tags of an object.
async fn tags(client: &Client, key: &str) -> Vec<String> {
    let asked = client.get_object_tagging().bucket("test").key(key);
    let told = asked.send().await.unwrap();
    told.tag_set.into_iter().map(|tag| tag.key).collect()
}

#[tokio::test]
async fn tags_of_a_copy_go_with_its_metadata() {
    let (_sim, client) = but(|rules| rules.copies.tags = CopiedTags::WithMetadata).await;
    let tagged = client.put_object().bucket("test").key("a").tagging("a=1");
    tagged.send().await.unwrap();
    let copy = |directive| {
        let copy = client.copy_object().bucket("test").key("k");
        let copy = copy.copy_source("test/a").metadata_directive(directive);
        copy.tagging_directive("REPLACE".into())
            .tagging("b=2")
            .send()
    };
    copy(MetadataDirective::Copy).await.unwrap();
    assert_eq!(tags(&client, "k").await, ["a"]);
    copy(MetadataDirective::Replace).await.unwrap();
    assert!(tags(&client, "k").await.is_empty());
}

#[tokio::test]
async fn tags_of_an_upload_are_lost() {
    let (_sim, client) = but(|rules| rules.uploads.tags = false).await;
    let create = client.create_multipart_upload().bucket("test").key("k");
    let id = create
        .tagging("a=1")
        .send()
        .await
        .unwrap()
        .upload_id
        .unwrap();
    let only = part(&client, "k", &id, 1, b"all").await;
    complete(&client, &id, vec![only]).await;
    assert!(tags(&client, "k").await.is_empty());
}

#[tokio::test]
async fn tags_have_any_characters_where_nobody_looks() {
    for (is_looked_at, expected) in [(true, 400), (false, 0)] {
        let (_sim, client) = but(|rules| {
            rules.requests.tag_characters = is_looked_at;
            rules.requests.header_tag_characters = is_looked_at;
        })
        .await;
        put(&client, "there", b"x").await;
        let tag = aws_sdk_s3::types::Tag::builder().key("a?b").value("1");
        let tags = aws_sdk_s3::types::Tagging::builder().tag_set(tag.build().unwrap());
        let set = client.put_object_tagging().bucket("test").key("there");
        let set = set.tagging(tags.build().unwrap()).send().await;
        assert_eq!(status(set), expected);
        let odd = client
            .put_object()
            .bucket("test")
            .key("k")
            .tagging("a%3Fb=1");
        assert_eq!(status(odd.send().await), expected);
    }
}

#[tokio::test]
async fn a_copy_keeps_the_class_and_the_etag_of_its_source() {
    for is_kept in [true, false] {
        let (sim, client) = but(|rules| {
            rules.copies.class_kept = is_kept;
            rules.copies.numbered_etag_kept = is_kept;
        })
        .await;
        let create = client.create_multipart_upload().bucket("test").key("k");
        let create = create.storage_class(StorageClass::StandardIa);
        let id = create.send().await.unwrap().upload_id.unwrap();
        let only = part(&client, "k", &id, 1, b"all").await;
        complete(&client, &id, vec![only]).await;
        let copy = client.copy_object().bucket("test").key("copy");
        copy.copy_source("test/k").send().await.unwrap();
        let (source, copy) = (
            sim.stat("test", "k").unwrap(),
            sim.stat("test", "copy").unwrap(),
        );
        assert_eq!(source.etag == copy.etag, is_kept);
        assert_eq!(copy.headers.storage_class.is_some(), is_kept);
    }
}

#[tokio::test]
async fn a_class_is_refused_where_there_is_one_alone() {
    let (_sim, client) = started(Sim::builder().rules(Rules::juicefs())).await;
    let write = |class| {
        client
            .put_object()
            .bucket("test")
            .key("k")
            .storage_class(class)
    };
    let infrequent = write(StorageClass::StandardIa).send().await;
    assert_eq!(code(infrequent), "InvalidStorageClass");
    write(StorageClass::Standard).send().await.unwrap();
}

#[tokio::test]
async fn a_customers_key_is_refused_with_the_status_of_the_rules() {
    for (rules, expected) in [(Rules::juicefs(), 400), (Rules::oss(), 501)] {
        let mut rules = rules;
        rules.requests.path_style = None;
        let (_sim, client) = started(Sim::builder().rules(rules)).await;
        let head = client.head_object().bucket("test").key("k");
        let head = head.sse_customer_algorithm("AES256").send().await;
        assert_eq!(status(head), expected);
    }
}

#[tokio::test]
async fn the_digest_of_another_body_is_taken_where_nobody_looks() {
    for (is_looked_at, expected) in [(true, 400), (false, 0)] {
        let (_sim, client) = but(|rules| rules.requests.digests = is_looked_at).await;
        let write = client.put_object().bucket("test").key("k");
        let write = write.content_md5("XUFAKrxLKna5cZ2REBfFkg==");
        let write = write.body(ByteStream::from_static(b"not hello"));
        assert_eq!(status(write.send().await), expected);
    }
}

#[tokio::test]
async fn names_of_metadata_count_with_their_start() {
    for (is_whole, expected) in [(false, 0), (true, 400)] {
        let (_sim, client) = but(|rules| rules.requests.metadata_names_whole = is_whole).await;
        let write = client.put_object().bucket("test").key("k");
        let write = write.metadata("n", "v".repeat(2047)).send().await;
        assert_eq!(status(write), expected);
    }
}

#[tokio::test]
async fn headers_are_dropped() {
    let (sim, client) = started(Sim::builder().rules(Rules::juicefs())).await;
    let write = client
        .put_object()
        .bucket("test")
        .key("k")
        .content_type("a/b");
    let write = write.content_encoding("gzip").content_language("de");
    write.send().await.unwrap();
    let kept = sim.stat("test", "k").unwrap().headers;
    assert_eq!(kept.content_type.as_deref(), Some("a/b"));
    assert_eq!((kept.content_encoding, kept.content_language), (None, None));
}

#[tokio::test]
async fn keys_are_paths_of_files() {
    let (_sim, client) = started(Sim::builder().rules(Rules::juicefs())).await;
    put(&client, "f/a", b"x").await;
    let write = |key: &str| client.put_object().bucket("test").key(key).send();
    assert_eq!(status(write("f/a/b").await), 500);
    assert_eq!(status(write("f").await), 500);
    for key in ["f/", "f/ab", "fa"] {
        write(key).await.unwrap();
    }
}

#[tokio::test]
async fn a_directory_has_no_etag_and_is_not_copied() {
    let (_sim, client) = started(Sim::builder().rules(Rules::juicefs())).await;
    let written = client.put_object().bucket("test").key("d/").send().await;
    assert_eq!(written.unwrap().e_tag, None);
    let head = client.head_object().bucket("test").key("d/").send().await;
    assert_eq!(head.unwrap().e_tag, None);
    let listed = client
        .list_objects_v2()
        .bucket("test")
        .send()
        .await
        .unwrap();
    assert_eq!(listed.contents()[0].e_tag(), None);
    let copy = || {
        client
            .copy_object()
            .bucket("test")
            .key("k")
            .copy_source("test/d/")
    };
    assert_eq!(status(copy().send().await), 500);
    let pinned = copy().copy_source_if_match("\"d41d8cd98f00b204e9800998ecf8427e\"");
    assert_eq!(status(pinned.send().await), 412);
}

#[tokio::test]
async fn the_list_of_parts_has_another_root() {
    let (_sim, client) = but(|rules| rules.answers.parts_root = "ListPartsResponse").await;
    let id = create(&client, "k").await;
    part(&client, "k", &id, 1, b"all").await;
    let listed = client.list_parts().bucket("test").key("k").upload_id(&id);
    let unreadable = listed.send().await.unwrap_err();
    assert_eq!(unreadable.raw_response().unwrap().status().as_u16(), 200);
}

#[tokio::test]
async fn keys_of_uploads_are_encoded_or_said_to_be_or_both() {
    for (rule, key, is_said) in [
        (UploadKeys::AsObjects, "a%25", true),
        (UploadKeys::EncodedUnsaid, "a%25", false),
        (UploadKeys::PlainSaid, "a%", true),
        (UploadKeys::Plain, "a%", false),
    ] {
        let (_sim, client) = but(|rules| rules.lists.upload_keys = rule).await;
        create(&client, "a%").await;
        let list = client.list_multipart_uploads().bucket("test");
        let list = list.encoding_type(EncodingType::Url).send().await.unwrap();
        assert_eq!(list.uploads()[0].key(), Some(key));
        assert_eq!(list.encoding_type().is_some(), is_said);
    }
}

#[tokio::test]
async fn keys_are_listed_as_files_in_their_directories() {
    let (sim, client) = but(|rules| rules.lists.order = Order::ByPath).await;
    for key in ["a.txt", "a/b", "a", "a0"] {
        sim.put("test", key, "x");
    }
    let (mut keys, mut token) = (Vec::new(), None);
    loop {
        let list = client.list_objects_v2().bucket("test").max_keys(1);
        let page = list.set_continuation_token(token).send().await.unwrap();
        keys.extend(
            page.contents()
                .iter()
                .filter_map(|o| o.key().map(str::to_owned)),
        );
        token = page.next_continuation_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(keys, ["a", "a/b", "a.txt", "a0"]);
}

#[tokio::test]
async fn odd_ranges_copy_the_beginning_or_nothing() {
    let part_of = async |change: fn(&mut Rules), range: &str| {
        let (sim, client) = but(change).await;
        sim.put_pattern("test", "a", 6 * MIB, 1);
        let id = create(&client, "k").await;
        let copy = client.upload_part_copy().bucket("test").key("k");
        let copy = copy.upload_id(&id).part_number(1).copy_source("test/a");
        copy.copy_source_range(range).send().await.unwrap();
        sim.uploads("test")[0].parts[0].1
    };
    let from_start = |rules: &mut Rules| rules.copies.ranges.suffix = Suffix::FromStart;
    assert_eq!(part_of(from_start, "bytes=-5").await, 6);
    let empty = |rules: &mut Rules| rules.copies.ranges.beyond_is_empty = true;
    assert_eq!(part_of(empty, "bytes=6291456-6291460").await, 0);
    assert_eq!(part_of(empty, "bytes=9-5").await, 0);
}

#[tokio::test]
async fn sim_has_as_many_keys_deleted_at_once_as_the_rules_say() {
    let sim = Sim::builder().rules(Rules::moto()).bucket("test");
    let sim = sim.start("127.0.0.1:0").await.unwrap();
    let client = client(&sim);
    let keys = (0..1001).map(|n| {
        let key = aws_sdk_s3::types::ObjectIdentifier::builder();
        key.key(n.to_string()).build().unwrap()
    });
    let list = aws_sdk_s3::types::Delete::builder().set_objects(Some(keys.collect()));
    let delete = client.delete_objects().bucket("test");
    delete.delete(list.build().unwrap()).send().await.unwrap();
}

#[tokio::test]
async fn a_checksum_in_a_header_is_passed_over_where_one_in_a_trailer_is_refused() {
    let (_sim, client) = started(Sim::builder().rules(Rules::juicefs())).await;
    let write = client.put_object().bucket("test").key("k");
    write.checksum_crc32("AAAAAA==").send().await.unwrap();
    let (_sim, client) = started(Sim::builder().rules(Rules::b2())).await;
    let write = client.put_object().bucket("test").key("k");
    assert_eq!(status(write.checksum_crc32("AAAAAA==").send().await), 400);
}

#[tokio::test]
async fn a_length_is_wanted_of_bodies_alone_or_of_all() {
    for (wanted, expected) in [
        (LengthWanted::Never, [0, 0]),
        (LengthWanted::ByBodies, [0, 411]),
        (LengthWanted::Always, [411, 411]),
    ] {
        let (sim, client) = but(|rules| rules.requests.length_wanted = wanted).await;
        sim.put_pattern("test", "a", 6 * MIB, 1);
        let copy = client.copy_object().bucket("test").key("k");
        let copy = copy.copy_source("test/a").send().await;
        let part = client.upload_part_copy().bucket("test").key("k");
        let part = part.upload_id("none").part_number(1).copy_source("test/a");
        let answers = [status(copy), status(part.send().await)];
        assert_eq!(
            answers.map(|status| if status == 404 { 0 } else { status }),
            expected
        );
    }
}

#[tokio::test]
async fn a_directory_is_not_found_by_who_copies_it() {
    let (_sim, client) = started(Sim::builder().rules(Rules::seaweedfs())).await;
    put(&client, "d/", b"").await;
    let head = client.head_object().bucket("test").key("d/").send().await;
    assert!(head.unwrap().e_tag.is_some());
    let copy = client
        .copy_object()
        .bucket("test")
        .key("k")
        .copy_source("test/d/");
    let copy = copy.copy_source_if_match("\"0\"").send().await;
    assert_eq!(status(copy), 404);
}
