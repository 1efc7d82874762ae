//! What every `Bucket` must do with tags, storage classes and metadata up to their limits. Knows no
//! server and no client library.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use s3fs::object::ObjectVersion;
use s3fs::store::{
    CopyHeaders, ListRequest, ObjectHeaders, Payload, Precondition, StoreError, StoreResult, Tags,
};

use super::{KEEP, Promise, Subject};

/// A class that stores have and that is not the default.
const CLASS: &str = "STANDARD_IA";

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// Every character AWS allows that a query or a form would take for something else.
fn odd() -> BTreeMap<String, String> {
    tags(&[("a b", "c+d=e"), ("none", ""), ("x/y:z", "\u{e9}@_.-")])
}

fn tagged(tags: BTreeMap<String, String>) -> ObjectHeaders {
    ObjectHeaders {
        tags: Tags::These(tags),
        ..ObjectHeaders::default()
    }
}

impl Subject {
    async fn store(&self, name: &str, headers: &ObjectHeaders) -> StoreResult<Arc<ObjectVersion>> {
        let body = Payload::from(Bytes::from_static(b"content"));
        let key = self.key(name);
        let put = self.bucket.put(&key, body, headers, &Precondition::None);
        Ok(Arc::new(put.await?))
    }

    async fn copy(&self, source: &ObjectVersion, to: &str, headers: &CopyHeaders) {
        let key = self.key(to);
        let copy = self.bucket.copy(source, &key, headers, &Precondition::None);
        copy.await.unwrap();
    }

    /// The headers and the tags of what is under a name.
    async fn told(&self, name: &str) -> (ObjectHeaders, BTreeMap<String, String>) {
        let stat = self.bucket.head(&self.key(name)).await.unwrap();
        (stat.headers, self.bucket.tags(&stat.version).await.unwrap())
    }

    async fn tags_of(&self, name: &str) -> BTreeMap<String, String> {
        self.told(name).await.1
    }
}

pub async fn tags_are_stored_told_exchanged_and_taken_away(s: Subject) {
    let key = s.key("tagged");
    s.store("tagged", &tagged(odd())).await.unwrap();
    if !s.rules.tags {
        let nothing = (ObjectHeaders::default().tags, BTreeMap::new());
        let (headers, told) = s.told("tagged").await;
        assert_eq!((headers.tags, told), nothing);
        for tags in [odd(), BTreeMap::new()] {
            let refused = s.bucket.set_tags(&key, &tags).await;
            let is_right = matches!(refused, Err(StoreError::NotOffered { .. }));
            assert!(is_right, "{refused:?}");
        }
        return;
    }
    // HEAD tells how many there are, not which.
    let (headers, told) = s.told("tagged").await;
    assert_eq!((headers.tags, told), (Tags::Untold, odd()));
    for now in [tags(&[("n", "1"), ("a b", "+ /")]), tags(&[("m", "")])] {
        s.bucket.set_tags(&key, &now).await.unwrap();
        assert_eq!(s.tags_of("tagged").await, now);
    }
    s.bucket.set_tags(&key, &BTreeMap::new()).await.unwrap();
    let (headers, told) = s.told("tagged").await;
    assert_eq!((headers.tags, told), (Tags::default(), BTreeMap::new()));
    assert_eq!(s.content("tagged").await, "content");
}

pub async fn tags_that_no_object_can_have_are_refused(s: Subject) {
    if !s.rules.tags || !s.keeps(Promise::TagBounds) {
        return;
    }
    let key = s.key("refused");
    s.store("refused", &tagged(odd())).await.unwrap();
    let numbered = |count: u32| -> BTreeMap<String, String> {
        (0..count)
            .map(|n| (n.to_string(), "v".to_owned()))
            .collect()
    };
    s.bucket.set_tags(&key, &numbered(10)).await.unwrap();
    let many = s.bucket.set_tags(&key, &numbered(11)).await;
    assert!(matches!(many, Err(StoreError::TooLarge { .. })), "{many:?}");
    let many = s.store("more", &tagged(numbered(11))).await;
    assert!(matches!(many, Err(StoreError::TooLarge { .. })), "{many:?}");
    for wrong in [("a?b", ""), (&"n".repeat(129), ""), ("n", &"v".repeat(257))] {
        let wrong = s.bucket.set_tags(&key, &tags(&[wrong])).await;
        let is_right = matches!(wrong, Err(StoreError::InvalidTags { .. }));
        assert!(is_right, "{wrong:?}");
    }
    assert_eq!(s.tags_of("refused").await, numbered(10));
    let missing = s.bucket.set_tags(&s.key("none"), &odd()).await;
    let is_right = matches!(missing, Err(StoreError::NotFound { .. }));
    assert!(is_right, "{missing:?}");
}

pub async fn the_tags_of_a_version_are_not_those_of_another(s: Subject) {
    if !s.rules.tags {
        return;
    }
    let old = s.store("versions", &tagged(odd())).await.unwrap();
    let new = s
        .store("versions", &tagged(tags(&[("n", "w")])))
        .await
        .unwrap();
    s.bucket
        .set_tags(&s.key("versions"), &tags(&[("n", "x")]))
        .await
        .unwrap();
    assert_eq!(s.bucket.tags(&new).await.unwrap(), tags(&[("n", "x")]));
    if s.rules.versioned {
        assert_eq!(s.bucket.tags(&old).await.unwrap(), odd());
        return;
    }
    s.bucket.delete(&s.key("versions")).await.unwrap();
    let gone = s.bucket.tags(&new).await;
    assert!(matches!(gone, Err(StoreError::Stale { .. })), "{gone:?}");
}

pub async fn a_copy_keeps_tags_or_replaces_them(s: Subject) {
    if !s.rules.tags {
        return;
    }
    let source = s.store("source", &tagged(odd())).await.unwrap();
    s.copy(&source, "kept", &KEEP).await;
    assert_eq!(s.tags_of("kept").await, odd());
    let others = tagged(tags(&[("other", "1")]));
    s.copy(&source, "others", &CopyHeaders::Replace(others))
        .await;
    assert_eq!(s.tags_of("others").await, tags(&[("other", "1")]));
    let none = CopyHeaders::Replace(ObjectHeaders::default());
    s.copy(&source, "none", &none).await;
    assert_eq!(s.tags_of("none").await, BTreeMap::new());
    // Other metadata, and the tags nobody asked for.
    let headers = ObjectHeaders {
        metadata: tags(&[("mode", "33188")]),
        tags: Tags::Untold,
        ..ObjectHeaders::default()
    };
    for to in ["copy", "source"] {
        s.copy(&source, to, &CopyHeaders::Replace(headers.clone()))
            .await;
        let (told, tags) = s.told(to).await;
        assert_eq!((told.metadata, tags), (headers.metadata.clone(), odd()));
    }
}

pub async fn an_upload_gives_its_object_tags_class_and_metadata(s: Subject) {
    let wanted = ObjectHeaders {
        storage_class: s.keeps(Promise::Classes).then(|| CLASS.into()),
        metadata: tags(&[("mode", "33188")]),
        ..tagged(odd())
    };
    let key = s.key("made");
    let upload = s.bucket.create_upload(&key, &wanted).await.unwrap();
    let parts = [s.part(&upload, 1, &s.part_body(1)).await];
    let complete = s
        .bucket
        .complete_upload(&upload, &parts, &[], &Precondition::None);
    complete.await.unwrap();
    let (headers, told) = s.told("made").await;
    assert_eq!(headers.metadata, wanted.metadata);
    assert_eq!(headers.storage_class, wanted.storage_class);
    assert_eq!(told, if s.rules.tags { odd() } else { BTreeMap::new() });
}

pub async fn a_copy_lands_in_the_class_it_names_and_listings_tell_it(s: Subject) {
    if !s.keeps(Promise::Classes) {
        return;
    }
    let infrequent = ObjectHeaders {
        storage_class: Some(CLASS.into()),
        metadata: tags(&[("mode", "33188")]),
        ..ObjectHeaders::default()
    };
    let source = s.store("a source", &infrequent).await.unwrap();
    let class = |name: &str| CopyHeaders::Keep {
        storage_class: Some(name.into()),
    };
    s.copy(&source, "b default", &KEEP).await;
    s.copy(&source, "c standard", &class("STANDARD")).await;
    s.copy(&source, "d same", &class(CLASS)).await;
    let replaced = CopyHeaders::Replace(infrequent.clone());
    s.copy(&source, "e replaced", &replaced).await;
    let request = ListRequest {
        prefix: s.prefix.clone(),
        ..ListRequest::default()
    };
    let listed = s.bucket.list(&request).await.unwrap().objects;
    let listed: Vec<_> = listed.iter().map(|o| o.storage_class.as_deref()).collect();
    let default = (!s.keeps(Promise::DefaultClass)).then_some(CLASS);
    assert_eq!(
        listed,
        [Some(CLASS), default, None, Some(CLASS), Some(CLASS)]
    );
    for (name, class) in [("b default", default), ("d same", Some(CLASS))] {
        let (headers, _) = s.told(name).await;
        assert_eq!(headers.storage_class.as_deref(), class, "{name}");
        assert_eq!(headers.metadata, infrequent.metadata, "{name}");
    }
}

pub async fn metadata_fits_up_to_the_limit(s: Subject) {
    let limit = s.bucket.limits().metadata_bytes_max;
    let headers = |bytes: u64| ObjectHeaders {
        metadata: tags(&[("name", &"v".repeat(bytes as usize - 4))]),
        ..ObjectHeaders::default()
    };
    let source = s.store("full", &headers(limit)).await.unwrap();
    assert_eq!(s.told("full").await.0.metadata, headers(limit).metadata);
    if !s.keeps(Promise::MetadataBound) {
        return;
    }
    let more = s.store("more", &headers(limit + 1)).await;
    assert!(matches!(more, Err(StoreError::TooLarge { .. })), "{more:?}");
    let more = CopyHeaders::Replace(headers(limit + 1));
    let more = s
        .bucket
        .copy(&source, &s.key("more"), &more, &Precondition::None)
        .await;
    assert!(matches!(more, Err(StoreError::TooLarge { .. })), "{more:?}");
}
