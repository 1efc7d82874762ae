//! Tags: counted, checked, kept by version and over a restart.

use std::collections::BTreeMap;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Tag, Tagging};

use super::super::{Operation, Sim};
use super::{client, code, started};
use crate::store::{ObjectHeaders, Tags};

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn tagged(pairs: &[(&str, &str)]) -> ObjectHeaders {
    ObjectHeaders {
        tags: Tags::These(tags(pairs)),
        ..ObjectHeaders::default()
    }
}

fn set(pairs: &[(&str, &str)]) -> Tagging {
    let pairs = pairs.iter();
    let set = pairs.map(|(name, value)| Tag::builder().key(*name).value(*value).build().unwrap());
    Tagging::builder()
        .set_tag_set(Some(set.collect()))
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_number_of_tags_is_told_where_there_are_any_and_the_requests_are_counted() {
    let (sim, client) = started(Sim::builder()).await;
    sim.put_with("test", "k", "body", tagged(&[("a", "1"), ("b", "2")]));
    let head = || client.head_object().bucket("test").key("k").send();
    let get = || client.get_object().bucket("test").key("k").send();
    assert_eq!(head().await.unwrap().tag_count(), Some(2));
    assert_eq!(get().await.unwrap().tag_count(), Some(2));
    let ask = client.get_object_tagging().bucket("test").key("k");
    assert_eq!(ask.send().await.unwrap().tag_set().len(), 2);
    let put = client.put_object_tagging().bucket("test").key("k");
    put.tagging(set(&[("c", "3")])).send().await.unwrap();
    assert_eq!(sim.tags("test", "k").unwrap(), tags(&[("c", "3")]));
    let delete = client.delete_object_tagging().bucket("test").key("k");
    delete.send().await.unwrap();
    assert_eq!(sim.tags("test", "k").unwrap(), tags(&[]));
    assert_eq!(head().await.unwrap().tag_count(), None);
    let counters = sim.counters();
    for operation in [
        Operation::GetObjectTagging,
        Operation::PutObjectTagging,
        Operation::DeleteObjectTagging,
    ] {
        assert_eq!(counters.of(operation).requests, 1, "{operation:?}");
    }
    assert_eq!(counters.of(Operation::Other).requests, 0);
}

#[tokio::test]
async fn a_name_of_a_tag_given_twice_is_refused_in_a_header_and_in_a_body() {
    let (sim, client) = started(Sim::builder()).await;
    let put = client.put_object().bucket("test").key("k");
    let put = put
        .tagging("a=1&a=2")
        .body(ByteStream::from_static(b"body"));
    assert_eq!(code(put.send().await), "InvalidTag");
    sim.put("test", "k", "body");
    let put = client.put_object_tagging().bucket("test").key("k");
    let put = put.tagging(set(&[("a", "1"), ("a", "2")]));
    assert_eq!(code(put.send().await), "InvalidTag");
    assert_eq!(sim.tags("test", "k").unwrap(), tags(&[]));
}

#[tokio::test]
async fn a_kept_service_takes_up_the_tags_of_each_version() {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        let builder = Sim::builder().bucket("test").versioned("kept");
        builder.dir(dir.path()).start("127.0.0.1:0")
    };
    let sim = start().await.unwrap();
    sim.put_with("test", "k", "body", tagged(&[("a", "1")]));
    sim.put_with("kept", "v", "old", tagged(&[("b", "2")]));
    let old = sim.stat("kept", "v").unwrap().version_id.unwrap();
    sim.put_with("kept", "v", "new", tagged(&[("c", "3")]));
    let put = client(&sim).put_object_tagging().bucket("kept").key("v");
    let put = put.version_id(&old).tagging(set(&[("d", "4")]));
    put.send().await.unwrap();
    drop(sim);
    for _ in 0..2 {
        let sim = start().await.unwrap();
        assert_eq!(sim.tags("test", "k").unwrap(), tags(&[("a", "1")]));
        assert_eq!(sim.tags("kept", "v").unwrap(), tags(&[("c", "3")]));
        let ask = client(&sim).get_object_tagging().bucket("kept").key("v");
        let told = ask.version_id(&old).send().await.unwrap();
        let told: Vec<_> = told
            .tag_set()
            .iter()
            .map(|t| (t.key(), t.value()))
            .collect();
        assert_eq!(told, [("d", "4")]);
    }
}
