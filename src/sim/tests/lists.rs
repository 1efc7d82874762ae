//! Listings, and deletes of many keys.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::super::Sim;
use super::{code, started};

async fn names(client: &Client, prefix: &str, fold: bool, page: i32) -> Vec<String> {
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let request = client
            .list_objects_v2()
            .bucket("test")
            .prefix(prefix)
            .max_keys(page);
        let request = request.set_delimiter(fold.then(|| "/".into()));
        let listed = request.set_continuation_token(token).send().await.unwrap();
        let mut on_page: Vec<String> = listed
            .contents()
            .iter()
            .map(|object| object.key().unwrap().into())
            .collect();
        on_page.extend(
            listed
                .common_prefixes()
                .iter()
                .map(|p| p.prefix().unwrap().into()),
        );
        assert!(on_page.len() <= page as usize);
        on_page.sort();
        names.extend(on_page);
        token = listed.next_continuation_token;
        if token.is_none() {
            return names;
        }
    }
}

#[tokio::test]
async fn pages_of_any_size_give_one_listing() {
    let (sim, client) = started(Sim::builder()).await;
    let keys = [
        "a",
        "a.txt",
        "a/",
        "a/b",
        "a/c/d",
        "a//b",
        "b/1",
        "b/2",
        "b/\u{d7ff}",
        "b/\u{e000}",
        "b/\u{10ffff}",
        "b0",
        "\u{fc}/\u{df}",
        "\u{1f600}",
    ];
    for key in keys {
        sim.put("test", key, b"x".to_vec());
    }
    let mut sorted: Vec<String> = keys.iter().map(|key| (*key).into()).collect();
    sorted.sort();
    for page in 1..6 {
        assert_eq!(names(&client, "", false, page).await, sorted);
        let folded = ["a", "a.txt", "a/", "b/", "b0", "\u{fc}/", "\u{1f600}"];
        assert_eq!(names(&client, "", true, page).await, folded);
        assert_eq!(
            names(&client, "a/", true, page).await,
            ["a/", "a//", "a/b", "a/c/"]
        );
        assert_eq!(names(&client, "b", true, page).await, ["b/", "b0"]);
    }
    let v1 = client
        .list_objects()
        .bucket("test")
        .delimiter("/")
        .max_keys(4)
        .send()
        .await
        .unwrap();
    assert_eq!(v1.next_marker(), Some("b/"));
    let rest = client
        .list_objects()
        .bucket("test")
        .delimiter("/")
        .marker("b/")
        .send()
        .await;
    assert_eq!(rest.unwrap().contents()[0].key(), Some("b0"));
}

#[tokio::test]
async fn names_that_xml_cannot_hold_are_listed_encoded() {
    let (sim, client) = started(Sim::builder()).await;
    sim.put("test", "a\u{1}b +\u{e4}/", b"x".to_vec());
    let url = aws_sdk_s3::types::EncodingType::Url;
    let listed = client
        .list_objects_v2()
        .bucket("test")
        .encoding_type(url)
        .send()
        .await
        .unwrap();
    assert_eq!(listed.contents()[0].key(), Some("a%01b+%2B%C3%A4/"));
}

#[tokio::test]
async fn many_keys_go_at_once_but_not_more_than_a_thousand() {
    let (sim, client) = started(Sim::builder()).await;
    sim.put("test", "a", b"x".to_vec());
    sim.put("test", "b", b"x".to_vec());
    let delete = |keys: Vec<String>| {
        let objects = keys
            .into_iter()
            .map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
        let delete = Delete::builder()
            .set_objects(Some(objects.collect()))
            .build()
            .unwrap();
        client.delete_objects().bucket("test").delete(delete)
    };
    let gone = delete(vec!["a".into(), "none".into()])
        .send()
        .await
        .unwrap();
    assert_eq!(gone.deleted().len(), 2);
    assert_eq!(sim.keys("test"), ["b"]);
    let many = (0..1001).map(|n| format!("{n}")).collect();
    assert_eq!(code(delete(many).send().await), "MalformedXML");
}
