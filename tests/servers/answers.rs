//! The same raw requests to a real server and to sim by the server's rules: the answers have to be
//! the same, or sim is wrong. Knows S3 and none of this program's client.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::ResponseChecksumValidation;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::complete_multipart_upload::builders as completing;
use aws_sdk_s3::operation::copy_object::builders::CopyObjectFluentBuilder;
use aws_sdk_s3::operation::delete_objects::DeleteObjectsOutput;
use aws_sdk_s3::operation::upload_part_copy::builders::UploadPartCopyFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    CompletedMultipartUpload, CompletedPart, Delete, EncodingType, MetadataDirective,
    ObjectIdentifier, StorageClass, TaggingDirective,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use crate::access::Access;
use crate::real::BUCKET;

type HttpResponse = aws_sdk_s3::config::http::HttpResponse;

/// Question by question, what was answered.
pub type Answers = BTreeMap<String, String>;

const PART: usize = 5 << 20;
/// Seconds since 1970: before every object there is, and after.
const PAST: i64 = 1_000_000_000;
const FUTURE: i64 = 3_000_000_000;

/// Status of a refusal, or what is made of the answer.
fn said<T, E: ProvideErrorMetadata>(
    answer: Result<T, SdkError<E, HttpResponse>>,
    shown: impl FnOnce(T) -> String,
) -> String {
    match answer {
        Ok(answer) => shown(answer),
        Err(error) => match error.raw_response() {
            Some(raw) => format!("refused with {}", raw.status().as_u16()),
            None => "not answered".to_owned(),
        },
    }
}

fn done<T>(_: T) -> String {
    "done".to_owned()
}

/// Asks one server.
struct Asker {
    client: Client,
    answers: Answers,
}

/// What the server at `access` answers.
pub fn ask(access: &Access) -> Answers {
    let config = access.client().config().to_builder();
    let config = config
        .retry_config(RetryConfig::disabled())
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build();
    let mut asker = Asker {
        client: Client::from_conf(config),
        answers: Answers::new(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        asker.writes().await;
        asker.sources().await;
        asker.ranges().await;
        asker.completes().await;
        asker.gone_uploads().await;
        asker.tags_and_classes().await;
        asker.kept_with_objects().await;
        asker.keys_and_lists().await;
        asker.directories().await;
    });
    asker.answers
}

impl Asker {
    fn note(&mut self, question: &str, answer: String) {
        let known = self.answers.insert(question.to_owned(), answer);
        assert!(known.is_none(), "{question} was asked twice");
    }

    async fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        let body = ByteStream::from(body.into());
        let put = self.client.put_object().bucket(BUCKET).key(key);
        put.body(body).send().await.unwrap();
    }

    async fn etag(&self, key: &str) -> String {
        let head = self.client.head_object().bucket(BUCKET).key(key);
        head.send().await.unwrap().e_tag.unwrap()
    }

    async fn size(&self, key: &str) -> i64 {
        let head = self.client.head_object().bucket(BUCKET).key(key);
        head.send().await.unwrap().content_length.unwrap()
    }

    async fn create(&self, key: &str) -> String {
        let create = self.client.create_multipart_upload().bucket(BUCKET);
        // Some want a length, which the library leaves out.
        let create = create.key(key).customize().mutate_request(with_length);
        create.send().await.unwrap().upload_id.unwrap()
    }

    async fn part(&self, key: &str, id: &str, number: i32, body: Vec<u8>) -> CompletedPart {
        let part = self.client.upload_part().bucket(BUCKET).key(key);
        let part = part.upload_id(id).part_number(number);
        let part = part.body(ByteStream::from(body)).send().await.unwrap();
        completed(number, part.e_tag)
    }

    fn copy_part(&self, id: &str, source: &str) -> UploadPartCopyFluentBuilder {
        let copy = self.client.upload_part_copy().bucket(BUCKET).key("upload");
        let copy = copy.upload_id(id).part_number(1);
        copy.copy_source(format!("{BUCKET}/{source}"))
    }

    fn copy(&self, from: &str, to: &str) -> CopyObjectFluentBuilder {
        let copy = self.client.copy_object().bucket(BUCKET).key(to);
        copy.copy_source(format!("{BUCKET}/{from}"))
    }

    fn complete(
        &self,
        key: &str,
        id: &str,
        parts: Vec<CompletedPart>,
    ) -> completing::CompleteMultipartUploadFluentBuilder {
        let list = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let complete = self.client.complete_multipart_upload().bucket(BUCKET);
        let complete = complete.key(key).upload_id(id);
        complete.multipart_upload(list.build())
    }

    /// Conditions on the destination of a write.
    async fn writes(&mut self) {
        self.put("there", "1").await;
        let etag = self.etag("there").await;
        let bare = etag.trim_matches('"');
        for (question, key, none_match, matches) in [
            ("put: none-match * there", "there", Some("*"), None),
            ("put: none-match * absent", "absent", Some("*"), None),
            ("put: match right", "there", None, Some(etag.as_str())),
            ("put: match right, bare", "there", None, Some(bare)),
            ("put: match wrong", "there", None, Some("\"0\"")),
            ("put: match absent", "nowhere", None, Some("\"0\"")),
        ] {
            let put = self.client.put_object().bucket(BUCKET).key(key);
            let put = put.set_if_none_match(none_match.map(str::to_owned));
            let put = put.set_if_match(matches.map(str::to_owned));
            let put = put.body(ByteStream::from_static(b"1"));
            self.note(question, said(put.send().await, done));
        }
        let copy = self.copy("there", "absent").if_none_match("*").send().await;
        self.note("copy: none-match * there", said(copy, done));
        let copy = self.copy("there", "absent").if_match("\"0\"").send().await;
        self.note("copy: match wrong", said(copy, done));
        let delete = self.client.delete_object().bucket(BUCKET).key("absent");
        let delete = delete.if_match("\"0\"").send().await;
        self.note("delete: match wrong", said(delete, done));
        let absent = self.client.delete_object().bucket(BUCKET).key("nowhere");
        let absent = absent.if_match("\"0\"").send().await;
        self.note("delete: match absent", said(absent, done));
        self.put("many", "1").await;
        for (question, wanted) in [("wrong", "\"0\""), ("right", &self.etag("many").await)] {
            let object = ObjectIdentifier::builder().key("many").e_tag(wanted);
            let list = Delete::builder().objects(object.build().unwrap()).build();
            let delete = self.client.delete_objects().bucket(BUCKET);
            let delete = delete.delete(list.unwrap()).customize();
            let delete = delete.mutate_request(with_digest).send().await;
            let refused = |answer: DeleteObjectsOutput| {
                let codes = answer.errors().iter().map(|error| error.code());
                format!("{:?}", codes.collect::<Vec<_>>())
            };
            self.note(
                &format!("delete many: match {question}"),
                said(delete, refused),
            );
        }
        let own = self.copy("there", "there").send().await;
        self.note("copy: onto itself", said(own, done));
        let owned = self.client.put_object().bucket(BUCKET).key("there");
        let owned = owned.expected_bucket_owner("999999999999").send().await;
        self.note("put: of another owner", said(owned, done));
        let digest = STANDARD.encode(Md5::digest(b"another body"));
        let spoilt = self.client.put_object().bucket(BUCKET).key("there");
        let spoilt = spoilt.content_md5(digest).send().await;
        self.note("put: digest of another body", said(spoilt, done));
        let summed = self.client.put_object().bucket(BUCKET).key("there");
        let summed = summed.checksum_crc32("AAAAAA==").send().await;
        self.note("put: with a checksum", said(summed, done));
    }

    /// Conditions on the source of a copy.
    async fn sources(&mut self) {
        self.put("source", vec![7; PART]).await;
        let etag = self.etag("source").await;
        let past = DateTime::from_secs(PAST);
        let copy = || self.copy("source", "copy");
        let answers = [
            said(copy().copy_source_if_match("\"0\"").send().await, done),
            said(copy().copy_source_if_none_match(&etag).send().await, done),
            said(
                copy().copy_source_if_unmodified_since(past).send().await,
                done,
            ),
        ];
        self.note("copy: source's conditions fail", answers.join(", "));
        let id = self.create("upload").await;
        let part = || self.copy_part(&id, "source");
        let answers = [
            self.sent(part().copy_source_if_match("\"0\"")).await,
            self.sent(part().copy_source_if_none_match(&etag)).await,
            self.sent(part().copy_source_if_unmodified_since(past))
                .await,
        ];
        let without_length = said(part().send().await, done);
        self.note("part copy: source's conditions fail", answers.join(", "));
        self.note("part copy: without a length", without_length);
        self.abort("upload", &id).await;
        for (key, body) in [("twice/a%41", vec![1; 100]), ("twice/aA", vec![2; 200])] {
            self.put(key, body).await;
        }
        let part = self.part_of("twice/a%2541", None).await;
        self.note("part copy: percent sign in the source's name", part);
    }

    /// Sends a copy of a part with its length, which is nothing.
    async fn sent(&self, copy: UploadPartCopyFluentBuilder) -> String {
        let copy = copy.customize().mutate_request(with_length);
        said(copy.send().await, done)
    }

    async fn abort(&self, key: &str, id: &str) {
        let abort = self.client.abort_multipart_upload().bucket(BUCKET);
        abort.key(key).upload_id(id).send().await.unwrap();
    }

    /// What a part copied from there is: its first byte and its length, or that it is refused.
    async fn part_of(&self, source: &str, range: Option<&str>) -> String {
        let id = self.create("upload").await;
        let copy = self.copy_part(&id, source);
        let copy = copy.set_copy_source_range(range.map(str::to_owned));
        let answer = match copy.customize().mutate_request(with_length).send().await {
            // Some say 400 and some 416.
            Err(error) if error.raw_response().is_some() => "refused".to_owned(),
            Err(error) => format!("{error:?}"),
            Ok(copied) => {
                let etag = copied.copy_part_result.and_then(|result| result.e_tag);
                let list = vec![completed(1, etag)];
                self.complete("upload", &id, list).send().await.unwrap();
                let whole = self.client.get_object().bucket(BUCKET).key("upload");
                let body = whole.send().await.unwrap().body.collect().await.unwrap();
                let body = body.to_vec();
                return format!("{} bytes from {:?}", body.len(), body.first());
            }
        };
        self.abort("upload", &id).await;
        answer
    }

    /// Forms of a range, of which a source of 600 bytes has some.
    async fn ranges(&mut self) {
        let body: Vec<u8> = (0..600_u16).map(|at| (at % 251) as u8).collect();
        self.put("ranged", body).await;
        self.put("empty", "").await;
        for range in [
            "bytes=5-99",
            "bytes=5-600",
            "bytes=600-700",
            "bytes=5-",
            "bytes=-5",
            "bytes=9-5",
            "0-5",
            "five",
        ] {
            let part = self.part_of("ranged", Some(range)).await;
            self.note(&format!("part copy: {range}"), part);
        }
        let part = self.part_of("empty", None).await;
        self.note("part copy: of nothing", part);
    }

    /// Completes an upload of these parts, by number and size, naming them in that order.
    async fn completed_of(&self, parts: &[(i32, usize)], order: &[usize]) -> String {
        let id = self.create("upload").await;
        let mut list = Vec::new();
        for (number, bytes) in parts {
            list.push(self.part("upload", &id, *number, vec![3; *bytes]).await);
        }
        let list = order.iter().map(|index| list[*index].clone()).collect();
        let answer = self.complete("upload", &id, list).send().await;
        let is_refused = answer.is_err();
        let answer = said(answer, done);
        if is_refused {
            self.abort("upload", &id).await;
            return answer;
        }
        format!("{answer}, {} bytes", self.size("upload").await)
    }

    /// Which parts may be named, how, and what is told.
    async fn completes(&mut self) {
        for (question, parts, order) in [
            (
                "complete: a short first part",
                [(1, 10), (2, 1)],
                &[0, 1][..],
            ),
            ("complete: another order", [(1, PART), (2, PART)], &[1, 0]),
            ("complete: a part left out", [(1, PART), (2, 1)], &[0]),
            ("complete: numbers with a gap", [(2, PART), (5, 1)], &[0, 1]),
        ] {
            let answer = self.completed_of(&parts, order).await;
            self.note(question, answer);
        }
        let id = self.create("upload").await;
        let only = self.part("upload", &id, 1, vec![1]).await;
        let wrong = completed(1, Some("\"00000000000000000000000000000000\"".to_owned()));
        let answer = self.complete("upload", &id, vec![wrong]).send().await;
        self.note("complete: wrong ETag", said(answer, done));
        let sized = self.complete("upload", &id, vec![only]);
        let answer = sized.mpu_object_size(77).send().await;
        let answer = said(answer, |answer| form(answer.e_tag.as_deref()));
        self.note("complete: wrong object size, and its ETag", answer);
        for (question, none_match, matches) in [
            ("complete: none-match * there", Some("*"), None),
            ("complete: match wrong", None, Some("\"0\"")),
        ] {
            self.put("upload", "there").await;
            let id = self.create("upload").await;
            let only = self.part("upload", &id, 1, vec![1]).await;
            let complete = self.complete("upload", &id, vec![only]);
            let complete = complete.set_if_none_match(none_match.map(str::to_owned));
            let complete = complete.set_if_match(matches.map(str::to_owned));
            let answer = complete.send().await;
            if answer.is_err() {
                self.abort("upload", &id).await;
            }
            self.note(question, said(answer, done));
        }
        let id = self.create("upload").await;
        let only = self.part("upload", &id, 1, vec![1]).await;
        let listed = self.client.list_parts().bucket(BUCKET).key("upload");
        let listed = listed.upload_id(&id).send().await;
        let listed = listed.map_or("unreadable".to_owned(), |parts| {
            format!("{} parts", parts.parts().len())
        });
        self.note("parts: listed", listed);
        self.complete("upload", &id, vec![only])
            .send()
            .await
            .unwrap();
        let copy = self.copy("upload", "copy").send().await.unwrap();
        let etag = copy.copy_object_result.and_then(|result| result.e_tag);
        self.note("copy: ETag of a copy of parts", form(etag.as_deref()));
    }

    /// What is asked of an upload that was aborted.
    async fn gone_uploads(&mut self) {
        let id = self.create("gone").await;
        let part = self.part("gone", &id, 1, vec![9]).await;
        self.abort("gone", &id).await;
        let late = self.client.upload_part().bucket(BUCKET).key("gone");
        let late = late.upload_id(&id).part_number(1).send().await;
        self.note("gone upload: part", said(late, done));
        let late = self.complete("gone", &id, vec![part]).send().await;
        self.note("gone upload: complete", said(late, done));
    }

    /// The tags of an object, as they come back.
    async fn tags(&self, key: &str) -> String {
        let asked = self.client.get_object_tagging().bucket(BUCKET).key(key);
        // Ceph answers with no body at all where tags were lost.
        let Ok(told) = asked.send().await else {
            return "none".to_owned();
        };
        let mut tags: Vec<_> = told.tag_set.iter().map(|tag| tag.key.as_str()).collect();
        tags.sort_unstable();
        if tags.is_empty() {
            "none".to_owned()
        } else {
            tags.join(" ")
        }
    }

    async fn tags_and_classes(&mut self) {
        let put = self.client.put_object().bucket(BUCKET).key("tagged");
        let put = put.tagging("a=1&b=2").body(ByteStream::from_static(b"1"));
        put.send().await.unwrap();
        let tags = self.tags("tagged").await;
        self.note("tags: put", tags);
        for (question, metadata, tagging) in [
            ("tags: copied", MetadataDirective::Copy, None),
            (
                "tags: copied with other metadata",
                MetadataDirective::Replace,
                None,
            ),
            ("tags: replaced", MetadataDirective::Copy, Some("c=3")),
            (
                "tags: replaced with other metadata",
                MetadataDirective::Replace,
                Some("c=3"),
            ),
        ] {
            let directive = tagging.map(|_| TaggingDirective::Replace);
            let copy = self.copy("tagged", "copy").metadata_directive(metadata);
            let copy = copy.set_tagging_directive(directive);
            let copy = copy.set_tagging(tagging.map(str::to_owned));
            copy.send().await.unwrap();
            let tags = self.tags("copy").await;
            self.note(question, tags);
        }
        let create = self.client.create_multipart_upload().bucket(BUCKET);
        let create = create.key("upload").tagging("d=4").customize();
        let id = create.mutate_request(with_length).send().await;
        let id = id.unwrap().upload_id.unwrap();
        let only = self.part("upload", &id, 1, vec![1]).await;
        self.complete("upload", &id, vec![only])
            .send()
            .await
            .unwrap();
        let tags = self.tags("upload").await;
        self.note("tags: of an upload", tags);
        let odd = self.client.put_object().bucket(BUCKET).key("odd");
        let odd = odd.tagging("a%3Fb=1").send().await;
        self.note("tags: a question mark", said(odd, done));

        let put = self.client.put_object().bucket(BUCKET).key("cold");
        let put = put.storage_class(StorageClass::StandardIa).send().await;
        let is_taken = put.is_ok();
        self.note("class: STANDARD_IA", said(put, done));
        if is_taken {
            self.copy("cold", "copy").send().await.unwrap();
            let head = self.client.head_object().bucket(BUCKET).key("copy");
            let class = head.send().await.unwrap().storage_class;
            let class = class.map_or("STANDARD".to_owned(), |class| class.to_string());
            self.note("class: of a copy that names none", class);
        }
    }

    /// Headers and metadata.
    async fn kept_with_objects(&mut self) {
        let put = self.client.put_object().bucket(BUCKET).key("headers");
        let put = put.content_type("text/plain").content_encoding("gzip");
        let put = put.content_language("de").cache_control("no-cache");
        let put = put.content_disposition("inline");
        let put = put.expires(DateTime::from_secs(FUTURE));
        put.send().await.unwrap();
        let head = self.client.head_object().bucket(BUCKET).key("headers");
        let head = head.send().await.unwrap();
        let kept = [
            head.content_type,
            head.content_encoding,
            head.content_language,
            head.cache_control,
            head.content_disposition,
            head.expires_string,
        ];
        self.note("headers: kept", format!("{kept:?}"));
        for (names, bytes) in [
            (1, 2037),
            (1, 2048),
            (1, 2049),
            (4, 2000),
            (4, 2020),
            (1, 8000),
        ] {
            let put = (0..names).fold(
                self.client.put_object().bucket(BUCKET).key("metadata"),
                |put, n| put.metadata(format!("n{n}"), "v".repeat(bytes / names - 2)),
            );
            let answer = said(put.send().await, done);
            self.note(&format!("metadata: {bytes} bytes, {names} names"), answer);
        }
    }

    /// Keys that are paths of others, directories, and how they are listed.
    async fn keys_and_lists(&mut self) {
        self.put("files/a", "1").await;
        for key in ["files/a/b", "files"] {
            let put = self.client.put_object().bucket(BUCKET).key(key);
            let put = put.body(ByteStream::from_static(b"1")).send().await;
            self.note(&format!("keys: {key} beside files/a"), said(put, done));
        }
        let marker = self.client.put_object().bucket(BUCKET).key("marker/");
        let marker = marker.send().await.unwrap();
        let head = self.client.head_object().bucket(BUCKET).key("marker/");
        let head = head.send().await.unwrap();
        let told = [marker.e_tag, head.e_tag].map(|etag| etag.is_some());
        self.note("directory: PUT and HEAD tell an ETag", format!("{told:?}"));
        let copy = self.copy("marker/", "other/").send().await;
        self.note("directory: copied", said(copy, done));
        let copy = self.copy("marker/", "other/").copy_source_if_match("\"0\"");
        let failed = said(copy.send().await, done);
        self.note("directory: copied if another", failed);

        for key in [
            "order/a",
            "order/a.txt",
            "order/a0",
            "order/b/c",
            "order/b.c",
        ] {
            self.put(key, "1").await;
        }
        let listed = self.client.list_objects_v2().bucket(BUCKET);
        let listed = listed.prefix("order/").send().await.unwrap();
        let keys = listed.contents().iter().filter_map(|object| object.key());
        let keys = keys.collect::<Vec<_>>().join(" ");
        self.note("list: order", keys);
        let id = self.create("percent%/\u{e4}").await;
        let uploads = self.client.list_multipart_uploads().bucket(BUCKET);
        let uploads = uploads.prefix("percent").encoding_type(EncodingType::Url);
        let uploads = uploads.send().await.unwrap();
        let keys: Vec<_> = uploads
            .uploads()
            .iter()
            .map(|upload| upload.key())
            .collect();
        let spelled = format!("{keys:?}, said to be {:?}", uploads.encoding_type());
        self.note("uploads: keys encoded", spelled.replace("%2F", "/"));
        self.abort("percent%/\u{e4}", &id).await;

        for (question, key, prefix) in [
            ("keys: a backslash", "back\\slash", "back"),
            ("keys: two slashes", "two//slashes", "two"),
        ] {
            self.put(key, "1").await;
            let listed = self.client.list_objects_v2().bucket(BUCKET);
            let listed = listed.prefix(prefix).send().await.unwrap();
            let keys = listed.contents().iter().map(|object| object.key());
            let keys = format!("{:?}", keys.collect::<Vec<_>>());
            self.note(question, keys);
        }

        let keys = (0..1001).map(|n| {
            let key = ObjectIdentifier::builder().key(format!("none/{n}"));
            key.build().unwrap()
        });
        let many = Delete::builder().set_objects(Some(keys.collect())).build();
        let delete = self.client.delete_objects().bucket(BUCKET);
        let delete = delete.delete(many.unwrap()).customize();
        let delete = delete.mutate_request(with_digest).send().await;
        self.note("delete: 1,001 keys", said(delete, done));
    }
}

impl Asker {
    /// What a folded listing shows, then one that is not.
    async fn shown(&self, prefix: &str) -> String {
        let mut shown = String::new();
        for delimiter in [Some("/"), None] {
            let list = self.client.list_objects_v2().bucket(BUCKET).prefix(prefix);
            let list = list.set_delimiter(delimiter.map(str::to_owned));
            let list = list.send().await.unwrap();
            let keys: Vec<_> = list.contents().iter().map(|object| object.key()).collect();
            let prefixes = list.common_prefixes().iter();
            let prefixes: Vec<_> = prefixes.map(|folded| folded.prefix()).collect();
            shown.push_str(&format!("{keys:?} {prefixes:?} "));
        }
        shown
    }

    async fn delete(&self, key: &str) {
        let delete = self.client.delete_object().bucket(BUCKET).key(key);
        delete.send().await.unwrap();
    }

    /// Directories with and without an object of their own, and without any below.
    async fn directories(&mut self) {
        let put = self.client.put_object().bucket(BUCKET).key("kept/");
        let put = put.metadata("mode", "16832");
        put.content_type("a/b; c=d").send().await.unwrap();
        let head = self.client.head_object().bucket(BUCKET).key("kept/");
        let head = head.send().await.unwrap();
        let is_typed = head.content_type.as_deref() == Some("a/b; c=d");
        let kept = format!("{is_typed}, {:?}", head.metadata);
        self.note("directory: type and metadata kept", kept);
        self.put("left/f", "1").await;
        self.put("left/in/f", "1").await;
        for (when, key) in [("with a file", None), ("emptied", Some("left/in/f"))] {
            if let Some(key) = key {
                self.delete(key).await;
            }
            let head = self.client.head_object().bucket(BUCKET).key("left/in/");
            let head = said(head.send().await, |head| format!("{:?}", head.e_tag));
            self.note(&format!("directory {when}: HEAD"), head);
            for prefix in ["left/in/", "left/"] {
                let shown = self.shown(prefix).await;
                self.note(&format!("directory {when}: {prefix} listed"), shown);
            }
        }
        let put = self.client.put_object().bucket(BUCKET).key("left/in/");
        let put = put.if_none_match("*").send().await;
        self.note("directory emptied: put none-match *", said(put, done));
        self.delete("left/").await;
        let shown = self.shown("left").await;
        self.note("directory with a file: deleted", shown);
        self.delete("left/in/").await;
        let shown = self.shown("left/").await;
        self.note("directory emptied: deleted", shown);
    }
}

fn completed(number: i32, etag: Option<String>) -> CompletedPart {
    let part = CompletedPart::builder().part_number(number);
    part.set_e_tag(etag).build()
}

fn with_digest(request: &mut aws_smithy_runtime_api::client::orchestrator::HttpRequest) {
    let body = request.body().bytes().unwrap();
    let digest = STANDARD.encode(Md5::digest(body));
    request.headers_mut().insert("content-md5", digest);
}

fn with_length(request: &mut aws_smithy_runtime_api::client::orchestrator::HttpRequest) {
    if request.body().content_length() == Some(0) {
        request.headers_mut().insert("content-length", "0");
    }
}

/// What an ETag looks like: whose bytes it is of differs from server to server.
fn form(etag: Option<&str>) -> String {
    let form = match etag.map(|etag| etag.trim_matches('"')) {
        None | Some("") => "none",
        Some(etag) if etag.contains('-') => "numbered",
        Some(_) => "a digest",
    };
    form.to_owned()
}
