//! What every `Bucket` must do, as functions that any store can be put through. Knows no server
//! and no client library.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use s3fs::object::{ETag, ObjectKey, ObjectRange, ObjectVersion};
use s3fs::range::ByteRange;
use s3fs::store::{
    Bucket, CopyHeaders, ListRequest, ObjectHeaders, PartNumber, Payload, Precondition, StoreError,
    StoredPart, Tags, Upload,
};

mod tags;

pub use tags::*;

/// A copy with the source's headers, in the default class.
const KEEP: CopyHeaders = CopyHeaders::Keep {
    storage_class: None,
};

/// Gives every test of the suite to a macro, by name.
macro_rules! every_test {
    ($takes:ident) => {
        $takes! {
            an_object_comes_back_with_its_headers
            an_empty_object_and_a_marker_of_a_directory_are_there_as_put
            what_is_not_there_is_not_found
            any_range_of_an_object_is_read
            a_read_never_gives_bytes_of_another_version
            a_copy_never_takes_bytes_of_another_version
            a_put_keeps_its_precondition
            a_copy_keeps_headers_or_replaces_them
            a_copy_reaches_another_bucket
            a_copy_keeps_the_precondition_of_its_destination
            odd_keys_can_be_written_read_copied_listed_and_deleted
            pages_of_any_size_give_one_listing
            an_upload_joins_uploaded_and_copied_parts
            an_upload_under_an_odd_key_is_published_or_aborted
            a_part_is_copied_from_any_range
            an_object_is_made_of_parts_of_its_former_self
            an_upload_whose_precondition_fails_is_not_published
            an_aborted_upload_is_gone
            deleting_what_is_not_there_succeeds
            tags_are_stored_told_exchanged_and_taken_away
            tags_that_no_object_can_have_are_refused
            the_tags_of_a_version_are_not_those_of_another
            a_copy_keeps_tags_or_replaces_them
            an_upload_gives_its_object_tags_class_and_metadata
            a_copy_lands_in_the_class_it_names_and_listings_tell_it
            metadata_fits_up_to_the_limit
        }
    };
}
pub(crate) use every_test;

/// The store under test. Keys of a test start with `prefix`, so that tests can share a bucket.
pub struct Subject {
    pub bucket: Arc<dyn Bucket>,
    /// Another bucket of the same store; the same one where there is none.
    pub other: Arc<dyn Bucket>,
    /// Ends in `/`.
    pub prefix: String,
    pub rules: Rules,
}

/// Where stores may differ without being wrong.
#[derive(Clone, Copy)]
pub struct Rules {
    /// What was overwritten can still be read by its version id.
    pub versioned: bool,
    /// Objects have tags; where they have none, nothing tells of any.
    pub tags: bool,
    /// What the store does not do, each with what it does instead.
    pub broken: &'static [(Promise, &'static str)],
}

impl Rules {
    fn keeps(&self, promise: Promise) -> bool {
        self.broken.iter().all(|(broken, _)| *broken != promise)
    }
}

/// What AWS S3 does and other stores may not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Promise {
    /// Any UTF-8 is a key of its own, and keys are listed in the order of their bytes.
    AnyKey,
    /// All headers of an object come back, `Content-Encoding` too.
    AllHeaders,
    /// Nothing is listed but what was stored.
    NothingElseListed,
    /// Parts are copied from any key, also from one with a percent sign.
    PartSources,
    /// Uploads are listed with the keys they have.
    UploadKeys,
    /// To ask anything of an upload that was aborted is answered NoSuchUpload.
    NoSuchUpload,
    /// Tags out of bounds are refused, too many as BadRequest and others as InvalidTag.
    TagBounds,
    /// Metadata of more than 2 KiB is refused.
    MetadataBound,
    /// There is the class STANDARD_IA.
    Classes,
    /// A copy for which no class is named lands in the default one.
    DefaultClass,
}

impl Subject {
    pub fn key(&self, name: &str) -> ObjectKey {
        ObjectKey::new(format!("{}{name}", self.prefix))
    }

    fn keeps(&self, promise: Promise) -> bool {
        self.rules.keeps(promise)
    }

    /// All headers that the store keeps.
    fn headers(&self) -> ObjectHeaders {
        let all = headers();
        if self.keeps(Promise::AllHeaders) {
            return all;
        }
        ObjectHeaders {
            content_encoding: None,
            content_language: None,
            expires: None,
            ..all
        }
    }

    async fn put(&self, name: &str, body: &[u8]) -> Arc<ObjectVersion> {
        put_to(&self.bucket, &self.key(name), body).await
    }

    async fn content(&self, name: &str) -> Bytes {
        content_in(&self.bucket, &self.key(name)).await
    }

    async fn names(&self, fold: bool, page_max: Option<u32>) -> (Vec<String>, Vec<String>) {
        let mut request = ListRequest {
            prefix: self.prefix.clone(),
            fold,
            page_max,
            continuation: None,
        };
        let (mut names, mut prefixes) = (Vec::new(), Vec::new());
        loop {
            let page = self.bucket.list(&request).await.unwrap();
            if let Some(max) = page_max {
                assert!(page.objects.len() + page.prefixes.len() <= max as usize);
            }
            let keys = page.objects.iter().map(|object| object.key.as_str());
            names.extend(keys.map(|key| key[self.prefix.len()..].to_owned()));
            prefixes.extend(
                page.prefixes
                    .iter()
                    .map(|p| p[self.prefix.len()..].to_owned()),
            );
            match page.continuation {
                Some(next) => request.continuation = Some(next),
                None => return (names, prefixes),
            }
        }
    }

    /// A body that is a part the store takes anywhere.
    fn part_body(&self, fill: u8) -> Bytes {
        let len = self.bucket.limits().part_size_min.max(8) as usize;
        (0..len).map(|at| fill ^ (at % 251) as u8).collect()
    }

    async fn upload(&self, name: &str) -> Upload {
        let headers = ObjectHeaders::default();
        self.bucket
            .create_upload(&self.key(name), &headers)
            .await
            .unwrap()
    }

    async fn part(&self, upload: &Upload, number: u32, body: &Bytes) -> StoredPart {
        let body = Payload::from(body.clone());
        self.bucket
            .upload_part(upload, PartNumber(number), body)
            .await
            .unwrap()
    }

    async fn open_uploads(&self) -> Vec<Upload> {
        self.bucket.uploads(&self.prefix).await.unwrap()
    }
}

async fn put_to(bucket: &Arc<dyn Bucket>, key: &ObjectKey, body: &[u8]) -> Arc<ObjectVersion> {
    let body = Payload::from(Bytes::copy_from_slice(body));
    let headers = ObjectHeaders::default();
    Arc::new(
        bucket
            .put(key, body, &headers, &Precondition::None)
            .await
            .unwrap(),
    )
}

async fn content_in(bucket: &Arc<dyn Bucket>, key: &ObjectKey) -> Bytes {
    let version = bucket.head(key).await.unwrap().version;
    let range = version.range();
    bucket.get(&ObjectRange { version, range }).await.unwrap()
}

fn some(version: &Arc<ObjectVersion>, start: u64, end: u64) -> ObjectRange {
    ObjectRange {
        version: Arc::clone(version),
        range: ByteRange::new(start, end),
    }
}

fn headers() -> ObjectHeaders {
    ObjectHeaders {
        content_type: Some("text/plain; charset=utf-8".into()),
        content_encoding: Some("gzip".into()),
        content_disposition: Some("attachment; filename=\"x\"".into()),
        content_language: Some("de".into()),
        cache_control: Some("max-age=60".into()),
        expires: Some("Wed, 21 Oct 2065 07:28:00 GMT".into()),
        storage_class: None,
        metadata: BTreeMap::from([
            ("mode".into(), "33188".into()),
            ("mtime".into(), "1700000000.123456789".into()),
        ]),
        tags: Tags::default(),
    }
}

fn replaced() -> ObjectHeaders {
    ObjectHeaders {
        content_type: Some("image/png".into()),
        metadata: BTreeMap::from([("new".into(), "1".into())]),
        ..ObjectHeaders::default()
    }
}

pub async fn an_object_comes_back_with_its_headers(s: Subject) {
    s.bucket.check("").await.unwrap();
    let key = s.key("object");
    let mut body = Payload::new();
    body.push(Bytes::from_static(b"first "));
    body.push(Bytes::from_static(b"second"));
    let put = s
        .bucket
        .put(&key, body, &headers(), &Precondition::None)
        .await
        .unwrap();
    assert_eq!((put.key.clone(), put.size), (key.clone(), 12));
    assert_eq!(&put.bucket, s.bucket.name());
    let stat = s.bucket.head(&key).await.unwrap();
    assert_eq!(*stat.version, put);
    assert_eq!(stat.headers, s.headers());
    assert_eq!(s.content("object").await, "first second");
}

pub async fn an_empty_object_and_a_marker_of_a_directory_are_there_as_put(s: Subject) {
    for name in ["empty", "directory/"] {
        let put = s.put(name, b"").await;
        let stat = s.bucket.head(&s.key(name)).await.unwrap();
        assert_eq!((stat.version.size, stat.version), (0, put), "{name}");
    }
}

pub async fn what_is_not_there_is_not_found(s: Subject) {
    let error = s.bucket.head(&s.key("none")).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error:?}");
    let version = s.put("gone", b"bytes").await;
    s.bucket.delete(&s.key("gone")).await.unwrap();
    let error = s.bucket.head(&s.key("gone")).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error:?}");
    let read = s.bucket.get(&some(&version, 0, 5)).await;
    match read {
        Ok(bytes) => assert!(s.rules.versioned && bytes == "bytes"),
        Err(error) => assert!(
            !s.rules.versioned
                && matches!(
                    error,
                    StoreError::Stale { .. } | StoreError::NotFound { .. }
                ),
            "{error:?}"
        ),
    }
}

pub async fn any_range_of_an_object_is_read(s: Subject) {
    let body: Vec<u8> = (0..100_000_u32).map(|at| (at % 253) as u8).collect();
    let version = s.put("ranges", &body).await;
    for (start, end) in [
        (0, 100_000),
        (0, 1),
        (99_999, 100_000),
        (1, 99_999),
        (65_536, 65_537),
    ] {
        let bytes = s.bucket.get(&some(&version, start, end)).await.unwrap();
        assert_eq!(bytes, body[start as usize..end as usize], "{start}..{end}");
    }
    assert!(
        s.bucket
            .get(&some(&version, 7, 7))
            .await
            .unwrap()
            .is_empty()
    );
    let empty = s.put("empty", b"").await;
    assert_eq!(empty.size, 0);
    assert!(s.bucket.get(&some(&empty, 0, 0)).await.unwrap().is_empty());
}

pub async fn a_read_never_gives_bytes_of_another_version(s: Subject) {
    let old = s.put("pinned", b"old bytes").await;
    s.put("pinned", b"new bytes").await;
    match s.bucket.get(&some(&old, 0, 3)).await {
        Ok(bytes) => assert!(s.rules.versioned && bytes == "old"),
        Err(error) => {
            assert!(
                !s.rules.versioned && matches!(error, StoreError::Stale { .. }),
                "{error:?}"
            );
        }
    }
}

pub async fn a_copy_never_takes_bytes_of_another_version(s: Subject) {
    let body = s.part_body(1);
    let old = s.put("source", &body).await;
    s.put("source", &s.part_body(2)).await;
    let keep = KEEP;
    let copied = s
        .bucket
        .copy(&old, &s.key("copy"), &keep, &Precondition::None)
        .await;
    let upload = s.upload("parts").await;
    let part = s
        .bucket
        .copy_part(&upload, PartNumber(1), &some(&old, 0, old.size))
        .await;
    if s.rules.versioned {
        copied.unwrap();
        assert_eq!(s.content("copy").await, body);
        let parts = [part.unwrap()];
        let sources = [old];
        let complete = s
            .bucket
            .complete_upload(&upload, &parts, &sources, &Precondition::None);
        complete.await.unwrap();
        assert_eq!(s.content("parts").await, body);
        return;
    }
    assert!(
        matches!(copied, Err(StoreError::Stale { .. })),
        "{copied:?}"
    );
    assert!(matches!(
        s.bucket.head(&s.key("copy")).await,
        Err(StoreError::NotFound { .. })
    ));
    // A store that cannot tell for a part tells before it publishes.
    if let Ok(part) = part {
        let (parts, sources) = ([part], [old]);
        let complete = s
            .bucket
            .complete_upload(&upload, &parts, &sources, &Precondition::None);
        let completed = complete.await;
        assert!(
            matches!(completed, Err(StoreError::Stale { .. })),
            "{completed:?}"
        );
    }
    assert!(matches!(
        s.bucket.head(&s.key("parts")).await,
        Err(StoreError::NotFound { .. })
    ));
    s.bucket.abort_upload(&upload).await.unwrap();
}

pub async fn a_put_keeps_its_precondition(s: Subject) {
    let key = s.key("guarded");
    let put = async |body: &'static [u8], condition: Precondition| {
        let body = Payload::from(Bytes::from_static(body));
        s.bucket
            .put(&key, body, &ObjectHeaders::default(), &condition)
            .await
    };
    let first = put(b"1", Precondition::Absent).await.unwrap();
    let second = put(b"2", Precondition::Absent).await;
    assert!(
        matches!(second, Err(StoreError::Exists { .. })),
        "{second:?}"
    );
    let third = put(b"3", Precondition::Unchanged(first.etag.clone()))
        .await
        .unwrap();
    let fourth = put(b"4", Precondition::Unchanged(first.etag)).await;
    assert!(
        matches!(fourth, Err(StoreError::Stale { .. })),
        "{fourth:?}"
    );
    assert_eq!(s.content("guarded").await, "3");
    s.bucket.delete(&key).await.unwrap();
    let fifth = put(b"5", Precondition::Unchanged(third.etag)).await;
    assert!(
        matches!(
            fifth,
            Err(StoreError::Stale { .. } | StoreError::NotFound { .. })
        ),
        "{fifth:?}"
    );
    assert!(matches!(
        s.bucket.head(&key).await,
        Err(StoreError::NotFound { .. })
    ));
}

pub async fn a_copy_keeps_headers_or_replaces_them(s: Subject) {
    let key = s.key("source");
    let body = Payload::from(Bytes::from_static(b"content"));
    let source = s
        .bucket
        .put(&key, body, &headers(), &Precondition::None)
        .await
        .unwrap();
    let copy = async |to: &str, headers: CopyHeaders| {
        let copied = s
            .bucket
            .copy(&source, &s.key(to), &headers, &Precondition::None)
            .await;
        let copied = copied.unwrap();
        assert_eq!(copied.size, 7);
        let stat = s.bucket.head(&s.key(to)).await.unwrap();
        assert!(stat.version.etag.matches(&copied.etag));
        stat.headers
    };
    assert_eq!(copy("kept", KEEP).await, s.headers());
    assert_eq!(
        copy("new", CopyHeaders::Replace(replaced())).await,
        replaced()
    );
    assert_eq!(
        copy("source", CopyHeaders::Replace(replaced())).await,
        replaced()
    );
    assert_eq!(s.content("source").await, "content");
}

pub async fn a_copy_reaches_another_bucket(s: Subject) {
    let source = s.put("source", b"content").await;
    let to = s.key("elsewhere");
    let copied = s
        .other
        .copy(&source, &to, &KEEP, &Precondition::None)
        .await
        .unwrap();
    assert_eq!(&copied.bucket, s.other.name());
    assert_eq!(content_in(&s.other, &to).await, "content");
}

pub async fn a_copy_keeps_the_precondition_of_its_destination(s: Subject) {
    let source = s.put("source", b"content").await;
    let there = s.put("there", b"there").await;
    let copy = async |condition: Precondition| {
        s.bucket
            .copy(&source, &s.key("there"), &KEEP, &condition)
            .await
    };
    let refused = copy(Precondition::Absent).await;
    assert!(
        matches!(refused, Err(StoreError::Exists { .. })),
        "{refused:?}"
    );
    let wrong = ETag::new("\"00000000000000000000000000000000\"");
    let refused = copy(Precondition::Unchanged(wrong)).await;
    assert!(
        matches!(refused, Err(StoreError::Stale { .. })),
        "{refused:?}"
    );
    assert_eq!(s.content("there").await, "there");
    copy(Precondition::Unchanged(there.etag.clone()))
        .await
        .unwrap();
    assert_eq!(s.content("there").await, "content");
}

/// Keys that URLs, headers and XML give a meaning; with `any` those that few stores take too.
fn odd_keys(any: bool) -> Vec<&'static str> {
    let mut odd = vec![
        "blank in name",
        "plus+plus",
        "percent%25",
        "quest?ion",
        "hash#",
        "amp&=;:",
        "\u{e4}\u{df}",
        "\u{1f600}",
        "dot.",
        "tilde~",
        "quote'\"",
        "star*",
        "par(en)",
        "comma,at@dollar$",
    ];
    if any {
        odd.extend([
            "a//b",
            "./x",
            "x/../y",
            "back\\slash",
            "control\u{1}",
            "controlled",
            "new\nline",
            "return\r",
            "both\r\n",
            "delete\u{7f}",
            "next\u{85}line",
            "none\u{ffff}",
            "trailing blank ",
            " ",
            "\t",
            "&amp;",
            "&#x1;",
            "%00",
            "a",
            "a/b",
            "a/",
            "less<",
            "caret^`|{}[]",
        ]);
    }
    odd
}

pub async fn odd_keys_can_be_written_read_copied_listed_and_deleted(s: Subject) {
    let odd = odd_keys(s.keeps(Promise::AnyKey));
    for name in &odd {
        let body = name.as_bytes();
        let version = s.put(name, body).await;
        assert_eq!(s.content(name).await, body, "{name:?}");
        let to = s.key(&format!("copy/{name}"));
        let copied = s
            .bucket
            .copy(&version, &to, &KEEP, &Precondition::None)
            .await;
        copied.unwrap_or_else(|error| panic!("{name:?}: {error}"));
        assert_eq!(content_in(&s.bucket, &to).await, body, "{name:?}");
    }
    let (mut listed, _) = s.names(false, None).await;
    listed.sort();
    let copies = odd.iter().map(|name| format!("copy/{name}"));
    let mut expected: Vec<String> = odd
        .iter()
        .map(|name| (*name).into())
        .chain(copies)
        .collect();
    expected.sort();
    assert_eq!(listed, expected);
    let (half, rest) = expected.split_at(expected.len() / 2);
    for name in half {
        s.bucket.delete(&s.key(name)).await.unwrap();
    }
    let keys: Vec<ObjectKey> = rest.iter().map(|name| s.key(name)).collect();
    assert_eq!(s.bucket.delete_many(&keys).await.unwrap(), []);
    if s.keeps(Promise::NothingElseListed) {
        assert_eq!(s.names(false, None).await.0, Vec::<String>::new());
    }
}

pub async fn pages_of_any_size_give_one_listing(s: Subject) {
    let names = ["a", "a.txt", "b/1", "b/2", "b/c/3", "b0", "c/1", "d"];
    for name in names {
        s.put(name, b"12345").await;
    }
    for page_max in [None, Some(1), Some(2), Some(3), Some(1000)] {
        let (mut flat, prefixes) = s.names(false, page_max).await;
        assert!(prefixes.is_empty());
        let (mut folded, mut prefixes) = s.names(true, page_max).await;
        if !s.keeps(Promise::AnyKey) {
            flat.sort();
            folded.sort();
            prefixes.sort();
        }
        assert_eq!(flat, names, "{page_max:?}");
        assert_eq!(folded, ["a", "a.txt", "b0", "d"], "{page_max:?}");
        assert_eq!(prefixes, ["b/", "c/"], "{page_max:?}");
    }
    let request = ListRequest {
        prefix: format!("{}b/", s.prefix),
        fold: true,
        ..Default::default()
    };
    let page = s.bucket.list(&request).await.unwrap();
    assert_eq!(page.prefixes, [format!("{}b/c/", s.prefix)]);
    assert_eq!((page.objects.len(), page.continuation), (2, None));
    let head = s.bucket.head(&page.objects[0].key).await.unwrap();
    assert_eq!(page.objects[0].size, 5);
    assert_eq!(page.objects[0].modified, head.modified);
    if let Some(etag) = &page.objects[0].etag {
        assert!(etag.matches(&head.version.etag));
    }
}

pub async fn an_upload_joins_uploaded_and_copied_parts(s: Subject) {
    let (a, b, c) = (s.part_body(1), s.part_body(2), s.part_body(3));
    let source = s.put("source", &b).await;
    let elsewhere = put_to(&s.other, &s.key("source"), &c).await;
    let upload = s
        .bucket
        .create_upload(&s.key("joined"), &headers())
        .await
        .unwrap();
    let last = s.part(&upload, 4, &Bytes::from_static(b"tail")).await;
    s.part(&upload, 1, &c).await;
    let first = s.part(&upload, 1, &a).await;
    assert_eq!((first.number, first.size), (PartNumber(1), a.len() as u64));
    let copy = async |number, range: &ObjectRange| {
        let part = s
            .bucket
            .copy_part(&upload, PartNumber(number), range)
            .await
            .unwrap();
        assert_eq!(part.size, range.range.len());
        part
    };
    let second = copy(2, &some(&source, 0, source.size)).await;
    let third = copy(3, &some(&elsewhere, 0, elsewhere.size)).await;
    assert!(matches!(
        s.bucket.head(&s.key("joined")).await,
        Err(StoreError::NotFound { .. })
    ));
    let parts = [first, second, third, last];
    let sources = [source, elsewhere];
    let complete = s
        .bucket
        .complete_upload(&upload, &parts, &sources, &Precondition::Absent);
    let version = complete.await.unwrap();
    let expected = [&a[..], &b[..], &c[..], b"tail"].concat();
    assert_eq!(version.size, expected.len() as u64);
    let stat = s.bucket.head(&s.key("joined")).await.unwrap();
    assert_eq!(
        (stat.headers, *stat.version == version),
        (s.headers(), true)
    );
    assert_eq!(s.content("joined").await, expected);
    assert!(s.open_uploads().await.is_empty());
}

pub async fn an_upload_under_an_odd_key_is_published_or_aborted(s: Subject) {
    let mut odd = vec!["plus+percent%25?&amp;<", "trailing blank "];
    if s.keeps(Promise::AnyKey) {
        odd.extend(["control\u{1}", "new\nline", "return\r", "none\u{ffff}"]);
    }
    for name in odd {
        let body = s.part_body(1);
        let source = s.put(name, &body).await;
        let upload = s.upload(name).await;
        let first = s.part(&upload, 1, &body).await;
        let whole = some(&source, 0, source.size);
        let copied = s.bucket.copy_part(&upload, PartNumber(2), &whole).await;
        let second = if name.contains('%') && !s.keeps(Promise::PartSources) {
            let is_told = matches!(copied, Err(StoreError::CopyRefused { .. }));
            assert!(is_told, "{copied:?}");
            s.part(&upload, 2, &body).await
        } else {
            copied.unwrap()
        };
        let (parts, sources) = ([first, second], [source]);
        let complete = s
            .bucket
            .complete_upload(&upload, &parts, &sources, &Precondition::None);
        complete
            .await
            .unwrap_or_else(|error| panic!("{name:?}: {error}"));
        assert_eq!(s.content(name).await.len(), 2 * body.len(), "{name:?}");
        let upload = s.upload(name).await;
        let open = s.open_uploads().await;
        assert_eq!(open.len(), 1, "{name:?}");
        if s.keeps(Promise::UploadKeys) {
            assert_eq!(open[0].key, s.key(name));
        }
        s.bucket.abort_upload(&upload).await.unwrap();
    }
}

pub async fn a_part_is_copied_from_any_range(s: Subject) {
    let min = s.bucket.limits().part_size_min.max(1);
    let body: Vec<u8> = (0..3 * min + 5).map(|at| (at % 251) as u8).collect();
    let source = s.put("source", &body).await;
    let upload = s.upload("shuffled").await;
    let ranges = [(min, 2 * min + 1), (0, min), (source.size - 3, source.size)];
    let mut parts = Vec::new();
    let mut expected = Vec::new();
    for (index, (start, end)) in ranges.into_iter().enumerate() {
        let number = PartNumber(index as u32 + 1);
        let copied = s
            .bucket
            .copy_part(&upload, number, &some(&source, start, end))
            .await;
        parts.push(copied.unwrap());
        expected.extend_from_slice(&body[start as usize..end as usize]);
    }
    let sources = [source];
    let complete = s
        .bucket
        .complete_upload(&upload, &parts, &sources, &Precondition::None);
    assert_eq!(complete.await.unwrap().size, expected.len() as u64);
    assert_eq!(s.content("shuffled").await, expected);
}

pub async fn an_object_is_made_of_parts_of_its_former_self(s: Subject) {
    let body = s.part_body(5);
    let old = s.put("log", &body).await;
    let upload = s.upload("log").await;
    let first = s
        .bucket
        .copy_part(&upload, PartNumber(1), &some(&old, 0, old.size))
        .await
        .unwrap();
    let second = s.part(&upload, 2, &Bytes::from_static(b"line")).await;
    let unchanged = Precondition::Unchanged(old.etag.clone());
    let (parts, sources) = ([first, second], [old]);
    let complete = s
        .bucket
        .complete_upload(&upload, &parts, &sources, &unchanged);
    complete.await.unwrap();
    assert_eq!(s.content("log").await, [&body[..], b"line"].concat());
}

pub async fn an_upload_whose_precondition_fails_is_not_published(s: Subject) {
    let there = s.put("there", b"there").await;
    let upload = s.upload("there").await;
    let parts = [s.part(&upload, 1, &Bytes::from_static(b"new")).await];
    let complete = async |condition: Precondition| {
        s.bucket
            .complete_upload(&upload, &parts, &[], &condition)
            .await
    };
    let refused = complete(Precondition::Absent).await;
    assert!(
        matches!(refused, Err(StoreError::Exists { .. })),
        "{refused:?}"
    );
    s.put("there", b"other").await;
    let refused = complete(Precondition::Unchanged(there.etag.clone())).await;
    assert!(
        matches!(refused, Err(StoreError::Stale { .. })),
        "{refused:?}"
    );
    assert_eq!(s.content("there").await, "other");
    assert_eq!(s.open_uploads().await, std::slice::from_ref(&upload));
    s.bucket.abort_upload(&upload).await.unwrap();
}

pub async fn an_aborted_upload_is_gone(s: Subject) {
    let upload = s.upload("aborted").await;
    let kept = s.upload("kept").await;
    let part = s.part(&upload, 1, &Bytes::from_static(b"x")).await;
    let mut open = s.open_uploads().await;
    open.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(open, [upload.clone(), kept.clone()]);
    s.bucket.abort_upload(&upload).await.unwrap();
    s.bucket.abort_upload(&upload).await.unwrap();
    assert_eq!(s.open_uploads().await, std::slice::from_ref(&kept));
    let body = Payload::from(Bytes::from_static(b"x"));
    let late = s.bucket.upload_part(&upload, PartNumber(2), body).await;
    let part_refused = late.unwrap_err();
    let late = s
        .bucket
        .complete_upload(&upload, &[part], &[], &Precondition::None)
        .await;
    for refused in [part_refused, late.unwrap_err()] {
        let is_told = matches!(refused, StoreError::NoSuchUpload { .. });
        assert!(is_told || !s.keeps(Promise::NoSuchUpload), "{refused:?}");
    }
    assert!(matches!(
        s.bucket.head(&s.key("aborted")).await,
        Err(StoreError::NotFound { .. })
    ));
    s.bucket.abort_upload(&kept).await.unwrap();
}

pub async fn deleting_what_is_not_there_succeeds(s: Subject) {
    s.bucket.delete(&s.key("none")).await.unwrap();
    s.put("one", b"1").await;
    s.put("two", b"2").await;
    let keys = [s.key("one"), s.key("none"), s.key("two")];
    assert_eq!(s.bucket.delete_many(&keys).await.unwrap(), []);
    assert_eq!(s.bucket.delete_many(&[]).await.unwrap(), []);
    assert_eq!(s.names(false, None).await.0, Vec::<String>::new());
}
