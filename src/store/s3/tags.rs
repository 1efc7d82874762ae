//! The tags of objects: the headers that carry them, GetObjectTagging, PutObjectTagging,
//! DeleteObjectTagging. Knows no other header.

use std::collections::BTreeMap;

use aws_sdk_s3::types::{Tag, Tagging, TaggingDirective};
use percent_encoding::utf8_percent_encode;

use super::S3Bucket;
use super::call::Attempt;
use super::delete::with_content_md5;
use super::fault::{Condition, Fault};
use super::headers::QUERY_ESCAPED;
use super::wire::sendable;
use crate::object::{ObjectKey, ObjectVersion, VersionId};
use crate::store::dialect;
use crate::store::{StoreError, StoreResult, Tags};

impl S3Bucket {
    fn is_tagging_offered(&self) -> bool {
        self.connection.dialect.tagging == dialect::Tagging::Offered
    }

    /// `x-amz-tagging`; none for no tags, and none where the store has no tags.
    pub(super) fn tagging(&self, tags: &Tags) -> Option<String> {
        let told = tags.told().filter(|tags| !tags.is_empty())?;
        self.is_tagging_offered().then(|| query(told))
    }

    /// `x-amz-tagging-directive` of a copy that gets these tags.
    pub(super) fn tagging_directive(&self, tags: &Tags) -> Option<TaggingDirective> {
        match (self.connection.dialect.tagging, tags) {
            (dialect::Tagging::None, _) => None,
            (dialect::Tagging::Offered, Tags::Untold) => Some(TaggingDirective::Copy),
            (dialect::Tagging::Offered, Tags::These(_)) | (dialect::Tagging::Dropped, _) => {
                Some(TaggingDirective::Replace)
            }
        }
    }

    pub(super) async fn tags_of(
        &self,
        version: &ObjectVersion,
    ) -> StoreResult<BTreeMap<String, String>> {
        if !self.is_tagging_offered() {
            return Ok(BTreeMap::new());
        }
        let call = self
            .call("GetObjectTagging")
            .key(&version.key)
            .condition(Condition::Source {
                bucket: &version.bucket,
                key: &version.key,
            });
        let id = version.version_id.as_ref().map(VersionId::as_str);
        let asked = self.run(call, |attempt| async move {
            let request = attempt
                .client
                .get_object_tagging()
                .bucket(self.name.as_str())
                .key(sendable(&version.key))
                .set_version_id(id.map(str::to_owned));
            Ok(request.send().await?)
        });
        match asked.await {
            Ok(done) => {
                let tags = done.value.tag_set().iter();
                Ok(tags
                    .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
                    .collect())
            }
            // What Ceph and MinIO answer for an object without tags.
            Err(failure) if failure.has_code("NoSuchTagSet") => Ok(BTreeMap::new()),
            Err(failure) => Err(failure.into_error()),
        }
    }

    pub(super) async fn put_tags(
        &self,
        key: &ObjectKey,
        tags: &BTreeMap<String, String>,
    ) -> StoreResult<()> {
        if !self.is_tagging_offered() {
            return Err(StoreError::NotOffered {
                operation: "PutObjectTagging",
                resource: format!("s3://{}/{key}", self.name),
                code: format!("dialect {}", self.connection.dialect.name),
            });
        }
        if tags.is_empty() {
            return self.delete_tags(key).await;
        }
        let call = self.call("PutObjectTagging").key(key);
        self.run_simply(call, |attempt| self.put_tags_attempt(key, tags, attempt))
            .await
    }

    async fn put_tags_attempt(
        &self,
        key: &ObjectKey,
        tags: &BTreeMap<String, String>,
        attempt: Attempt,
    ) -> Result<(), Fault> {
        let unsendable = |error: aws_sdk_s3::error::BuildError| Fault::Unsendable {
            reason: error.to_string(),
        };
        let mut tagging = Tagging::builder();
        for (name, value) in tags {
            let tag = Tag::builder().key(name).value(value).build();
            tagging = tagging.tag_set(tag.map_err(unsendable)?);
        }
        attempt
            .client
            .put_object_tagging()
            .bucket(self.name.as_str())
            .key(sendable(key))
            .tagging(tagging.build().map_err(unsendable)?)
            .customize()
            .mutate_request(with_content_md5)
            .send()
            .await?;
        Ok(())
    }

    async fn delete_tags(&self, key: &ObjectKey) -> StoreResult<()> {
        let call = self.call("DeleteObjectTagging").key(key);
        self.run_simply(call, |attempt| async move {
            let request = attempt
                .client
                .delete_object_tagging()
                .bucket(self.name.as_str());
            request.key(sendable(key)).send().await?;
            Ok(())
        })
        .await
    }
}

/// Tags as a query, which is how headers carry them.
fn query(tags: &BTreeMap<String, String>) -> String {
    let pairs = tags.iter().map(|(name, value)| {
        let name = utf8_percent_encode(name, QUERY_ESCAPED);
        let value = utf8_percent_encode(value, QUERY_ESCAPED);
        format!("{name}={value}")
    });
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::query;

    #[test]
    fn tags_are_escaped_so_that_neither_form_nor_query_decoding_changes_them() {
        let tags = BTreeMap::from([
            ("a b".to_owned(), "c+d=e&f".to_owned()),
            ("empty".to_owned(), String::new()),
            ("x/y:z".to_owned(), "\u{e9}@_.-".to_owned()),
        ]);
        assert_eq!(
            query(&tags),
            "a%20b=c%2Bd%3De%26f&empty=&x%2Fy%3Az=%C3%A9%40_.-"
        );
    }
}
