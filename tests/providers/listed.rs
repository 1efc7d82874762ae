//! Each rule of listings and of writes that are to overwrite nothing: what is missed, seen twice
//! or overwritten by who does not know it, and that the filesystem sees what is there.

use std::collections::BTreeSet;

use s3fs::config::Provider;
use s3fs::sim::Rules;
use s3fs::store::dialect::Dialect;

use crate::cells::is_of;
use crate::naive::{Naive, plainly};
use crate::world::{BUCKET, World};

fn of(rules: Rules) -> (World, Naive) {
    let provider = Provider::of_name(rules.name).unwrap();
    let world = World::of(rules, Dialect::of(provider), false);
    let naive = Naive::new(&world.sim);
    (world, naive)
}

/// The keys of one page of version 2, and whether and where another follows.
fn page(
    (world, naive): &(World, Naive),
    is_encoded: bool,
    token: Option<String>,
) -> (Vec<String>, bool, Option<String>) {
    let request = naive.client.list_objects_v2().bucket(BUCKET);
    let encoding = is_encoded.then_some(aws_sdk_s3::types::EncodingType::Url);
    let request = request
        .set_encoding_type(encoding)
        .set_continuation_token(token);
    let answer = world.run(request.send()).unwrap();
    let keys = answer.contents().iter().filter_map(|object| object.key());
    (
        keys.map(str::to_owned).collect(),
        answer.is_truncated().unwrap_or(false),
        answer.next_continuation_token().map(str::to_owned),
    )
}

#[test]
fn a_key_that_cos_does_not_list_yet_is_there() {
    let there = of(Rules::cos());
    let (world, naive) = &there;
    world.sim.put(BUCKET, "new", "theirs");
    // Not listed, so there is none, so it may be written.
    assert!(page(&there, false, None).0.is_empty());
    world.sim.put(BUCKET, "other", "theirs");
    world.run(naive.put("other", "ours")).unwrap();
    assert_eq!(world.sim.content(BUCKET, "other").unwrap(), b"ours");
    let made = world.run(world.create_exclusively("new", b"ours"));
    assert!(is_of(&made, "Exists"), "{made:?}");
    assert_eq!(world.sim.content(BUCKET, "new").unwrap(), b"theirs");
}

#[test]
fn what_was_just_written_is_in_a_listing_of_cos_that_does_not_have_it() {
    let there = of(Rules::cos());
    let (world, _) = &there;
    world.run(world.write_new("mine", b"new".to_vec())).unwrap();
    assert!(page(&there, false, None).0.is_empty());
    assert_eq!(world.list(), ["mine"]);
}

#[test]
fn a_directory_that_cos_does_not_list_yet_is_moved_whole() {
    let (world, naive) = of(Rules::cos());
    world.sim.put(BUCKET, "dir/old", "old");
    world.sim.settle();
    world
        .run(world.write_new("dir/new", b"new".to_vec()))
        .unwrap();
    let listed = naive.client.list_objects().bucket(BUCKET).prefix("dir/");
    assert_eq!(world.run(listed.send()).unwrap().contents().len(), 1);
    world.run(world.rename("dir", "moved")).unwrap();
    let kept = world.sim.keys(BUCKET);
    assert!(kept.iter().all(|key| key.starts_with("moved")), "{kept:?}");
    assert_eq!(world.sim.content(BUCKET, "moved/new").unwrap(), b"new");
}

#[test]
fn a_listing_without_an_order_has_everything() {
    let there = of(Rules::express());
    let (world, _) = &there;
    let names: BTreeSet<String> = (0..1200).map(|n| format!("f{n:04}")).collect();
    for name in &names {
        world.sim.put(BUCKET, name, "x");
    }
    let (first, is_truncated, _) = page(&there, true, None);
    assert!(is_truncated && !first.is_sorted());
    // Whoever stops where a name should have been takes it for absent.
    assert!(
        first
            .iter()
            .any(|key| *key > names.iter().nth(1000).unwrap().clone())
    );
    let listed: BTreeSet<String> = world.list().into_iter().collect();
    assert_eq!(listed, names);
}

#[test]
fn an_upload_under_way_is_no_directory() {
    let (world, naive) = of(Rules::express());
    world.run(naive.create("ghost/of/a/file"));
    let listed = naive.client.list_objects_v2().bucket(BUCKET).delimiter("/");
    let listed = world.run(listed.send()).unwrap();
    assert_eq!(listed.common_prefixes()[0].prefix(), Some("ghost/"));
    // It may show as a name; nothing can be lost by that, and it goes with the upload.
    let abort = world.sim.uploads(BUCKET).remove(0);
    let request = naive.client.abort_multipart_upload().bucket(BUCKET);
    let request = request.key(abort.key).upload_id(abort.id);
    world.run(request.send()).unwrap();
    assert!(world.list().is_empty());
}

#[test]
fn a_delimiter_that_is_ignored_hides_no_directory() {
    let (world, naive) = of(Rules::ncloud());
    world.sim.put(BUCKET, "dir/a", "x");
    world.sim.put(BUCKET, "file", "x");
    let listed = naive.client.list_objects_v2().bucket(BUCKET).delimiter("/");
    let listed = world.run(listed.send()).unwrap();
    assert!(listed.common_prefixes().is_empty());
    assert_eq!(listed.contents().len(), 2);
    let mut names = world.list();
    names.sort();
    assert_eq!(names, ["dir", "file"]);
}

#[test]
fn names_are_decoded_only_where_they_were_encoded() {
    let (world, naive) = of(Rules::ncloud());
    world.sim.put(BUCKET, "100%25+x", "x");
    let there = (world, naive);
    let (keys, _, _) = page(&there, true, None);
    let decoded = percent_encoding::percent_decode_str(&keys[0]).decode_utf8_lossy();
    assert_eq!(decoded, "100%+x");
    assert_eq!(there.0.list(), ["100%25+x"]);
}

#[test]
fn a_page_that_comes_again_and_again_ends() {
    let there = of(Rules::obs());
    let (world, _) = &there;
    let names: BTreeSet<String> = (0..1001).map(|n| format!("f{n:04}")).collect();
    for name in &names {
        world.sim.put(BUCKET, name, "x");
    }
    // Five pages of encoded names never come to the last one.
    let mut seen = BTreeSet::new();
    let mut marker = None;
    for _ in 0..5 {
        let request = there.1.client.list_objects().bucket(BUCKET);
        let request = request
            .encoding_type(aws_sdk_s3::types::EncodingType::Url)
            .set_marker(marker);
        let answer = world.run(request.send()).unwrap();
        assert!(answer.is_truncated().unwrap());
        marker = answer
            .contents()
            .last()
            .and_then(|last| last.key().map(str::to_owned));
        seen.extend(
            answer
                .contents()
                .iter()
                .filter_map(|o| o.key().map(str::to_owned)),
        );
    }
    assert_eq!(seen.len(), 1000);
    let listed: BTreeSet<String> = world.list().into_iter().collect();
    assert_eq!(listed, names);
}

#[test]
fn a_condition_that_is_ignored_or_refused_overwrites_nothing_that_is_there() {
    let none = [
        Rules::garage(),
        Rules::obs(),
        Rules::ncloud(),
        Rules::wasabi(),
        Rules::gcs(),
    ];
    for rules in none {
        let (world, naive) = of(rules);
        world.sim.put(BUCKET, "k", "theirs");
        world.sim.put(BUCKET, "l", "theirs");
        let put = naive
            .client
            .put_object()
            .bucket(BUCKET)
            .key("k")
            .if_none_match("*");
        let put = put.customize().mutate_request(plainly);
        world.run(put.send()).unwrap();
        assert_eq!(world.sim.content(BUCKET, "k").unwrap(), b"");
        let made = world.run(world.create_exclusively("l", b"ours"));
        assert!(is_of(&made, "Exists"), "{made:?}");
        assert_eq!(world.sim.content(BUCKET, "l").unwrap(), b"theirs");
    }
    for rules in [Rules::oss(), Rules::b2()] {
        let (world, naive) = of(rules);
        let put = naive
            .client
            .put_object()
            .bucket(BUCKET)
            .key("k")
            .if_none_match("*");
        let stopped = crate::naive::refused(world.run(put.send()).unwrap_err());
        assert_eq!(stopped, (501, "NotImplemented".to_owned()));
        world.run(world.create_exclusively("k", b"ours")).unwrap();
        assert_eq!(world.sim.content(BUCKET, "k").unwrap(), b"ours");
    }
}

#[test]
fn the_header_that_forbids_to_overwrite_does_nothing_where_versions_are_kept() {
    let provider = Provider::Oss;
    let world = World::of(Rules::oss(), Dialect::of(provider), true);
    let naive = Naive::new(&world.sim);
    world.sim.put(BUCKET, "k", "theirs");
    world.sim.put(BUCKET, "l", "theirs");
    let put = naive
        .client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .customize();
    let put = put.mutate_request(|request| {
        request
            .headers_mut()
            .insert("x-oss-forbid-overwrite", "true");
    });
    world.run(put.send()).unwrap();
    assert_eq!(world.sim.content(BUCKET, "k").unwrap(), b"");
    let made = world.run(world.create_exclusively("l", b"ours"));
    assert!(is_of(&made, "Exists"), "{made:?}");
    assert_eq!(world.sim.content(BUCKET, "l").unwrap(), b"theirs");
}

#[test]
fn directory_buckets_fold_at_slashes_only_and_below_slashes_only() {
    let (world, naive) = of(Rules::express());
    for key in ["dir/a", "dir/sub/b", "dirty", "file"] {
        world.sim.put(BUCKET, key, "x");
    }
    // Whoever looks for names that begin so, or folds at another character, is told nothing.
    for (prefix, delimiter) in [("dir", "/"), ("fi", "/"), ("", "-"), ("dir/", "sub")] {
        let request = naive.client.list_objects_v2().bucket(BUCKET);
        let request = request.prefix(prefix).delimiter(delimiter).send();
        let stopped = crate::naive::refused(world.run(request).unwrap_err());
        assert_eq!(stopped, (400, "InvalidArgument".to_owned()));
    }
    let mut names = world.list();
    names.sort();
    assert_eq!(names, ["dir", "dirty", "file"]);
    assert!(world.run(world.look("fi")).is_err());
    world.run(world.look("dir/sub")).unwrap();
    world.run(world.rename("dir", "moved")).unwrap();
    let kept = world.sim.keys(BUCKET);
    let below = |key: &&String| key.starts_with("moved/") || key.starts_with("dir/");
    let moved: Vec<&String> = kept.iter().filter(below).collect();
    assert!(moved.iter().all(|key| key.starts_with("moved")), "{kept:?}");
    assert_eq!(world.sim.content(BUCKET, "moved/sub/b").unwrap(), b"x");
    assert!(kept.contains(&"dirty".to_owned()));

    // A mount of what is below a prefix.
    let builder = s3fs::sim::Sim::builder().rules(Rules::express());
    let world = World::built(builder.bucket(BUCKET), Dialect::express(), |config| {
        config.sources[0].prefix = "dir/".to_owned();
    });
    for key in ["dir/a", "dirty", "file"] {
        world.sim.put(BUCKET, key, "x");
    }
    assert_eq!(world.list(), ["a"]);
}
