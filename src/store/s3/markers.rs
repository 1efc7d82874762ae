//! The object whose key ends in a slash and stands for a directory, its marker, where the store
//! drops its metadata: SeaweedFS makes a directory of its own of it, which keeps a Content-Type
//! and nothing else. There the metadata are parameters of the Content-Type (RFC 9110, section
//! 5.6.6), each by the name of its header.

use std::sync::atomic::Ordering;

use percent_encoding::{percent_decode_str, utf8_percent_encode};

use super::S3Bucket;
use super::delete::Doomed;
use super::headers::QUERY_ESCAPED;
use crate::object::{ETag, ObjectKey, ObjectVersion};
use crate::store::dialect::Markers;
use crate::store::{ObjectHeaders, Payload, Precondition, StoreError, StoreResult};

/// The Content-Type of a marker that was given none, as SeaweedFS has it.
const DIRECTORY: &str = "application/x-directory";
/// What the name of a parameter that stands for metadata begins with.
const METADATA: &str = "x-amz-meta-";

/// Whether an object of that key stands for a directory.
pub(super) fn is_marker(key: &ObjectKey) -> bool {
    key.as_str().ends_with('/')
}

/// Whether what HEAD found is a directory of the store's own and no object: SeaweedFS finds one
/// wherever it has keys below, or had some. Its entity tag is one of no parts, which no object has.
pub(super) fn is_bare(key: &ObjectKey, etag: &ETag) -> bool {
    is_marker(key) && etag.as_str().trim_matches('"').ends_with("-0")
}

/// Headers whose metadata are in the Content-Type.
fn packed(headers: &ObjectHeaders) -> ObjectHeaders {
    let mut packed = headers.clone();
    let content_type = packed.content_type.get_or_insert_with(|| DIRECTORY.into());
    for (name, value) in &headers.metadata {
        let value = utf8_percent_encode(value, QUERY_ESCAPED);
        content_type.push_str(&format!("; {METADATA}{name}={value}"));
    }
    packed.metadata.clear();
    packed
}

/// Takes metadata out of the Content-Type; what is there as metadata counts more.
pub(super) fn unpack(headers: &mut ObjectHeaders) {
    let Some(content_type) = headers.content_type.take() else {
        return;
    };
    let mut rest = Vec::new();
    for parameter in content_type.split(';') {
        let named = parameter.trim().strip_prefix(METADATA);
        match named.and_then(|named| named.split_once('=')) {
            Some((name, value)) => {
                let value = percent_decode_str(value).decode_utf8_lossy();
                let entry = headers.metadata.entry(name.to_owned());
                entry.or_insert_with(|| value.into_owned());
            }
            None => rest.push(parameter),
        }
    }
    headers.content_type = Some(rest.join(";"));
}

impl S3Bucket {
    /// Stores a marker so that its metadata are there again. Where it is not known what the store
    /// keeps, the first one is looked at.
    pub(super) async fn put_marker(
        &self,
        key: &ObjectKey,
        body: &Payload,
        headers: &ObjectHeaders,
        precondition: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        let offers = &self.connection.offers;
        if headers.metadata.is_empty() {
            return self.put_whole(key, body, headers, precondition).await;
        }
        if !offers.marker_types.is_there() {
            return Err(self.lost(key));
        }
        if !offers.marker_metadata.is_there() {
            let packed = packed(headers);
            return self.put_whole(key, body, &packed, precondition).await;
        }
        let version = self.put_whole(key, body, headers, precondition).await?;
        let is_known = self.connection.dialect.markers == Markers::Objects
            || offers.marker_metadata_seen.load(Ordering::Relaxed);
        if is_known || self.keeps(key, headers).await? {
            return Ok(version);
        }
        let why = "those of a directory were dropped; they go into its Content-Type";
        offers.marker_metadata.withdraw(why);
        let again = Precondition::None;
        let version = self.put_whole(key, body, &packed(headers), &again).await?;
        if self.keeps(key, headers).await? {
            return Ok(version);
        }
        let why = "that of a directory was dropped; none keeps its owner and mode";
        offers.marker_types.withdraw(why);
        if *precondition == Precondition::Absent {
            // The caller hears that nothing was made.
            self.delete_object(&Doomed::whatever(key)).await?;
        }
        Err(self.lost(key))
    }

    fn lost(&self, key: &ObjectKey) -> StoreError {
        StoreError::NotOffered {
            operation: "PutObject",
            resource: format!("s3://{}/{key}", self.name),
            code: "the metadata of a directory are dropped".to_owned(),
        }
    }

    async fn keeps(&self, key: &ObjectKey, headers: &ObjectHeaders) -> StoreResult<bool> {
        let found = self.head_object(key).await?.headers.metadata;
        let mut wanted = headers.metadata.iter();
        let is_kept = wanted.all(|(name, value)| found.get(name) == Some(value));
        let seen = &self.connection.offers.marker_metadata_seen;
        seen.fetch_or(is_kept, Ordering::Relaxed);
        Ok(is_kept)
    }

    /// Whether `If-None-Match: *` failed on nothing but a directory of the store's own.
    pub(super) async fn is_bare_marker(&self, key: &ObjectKey) -> StoreResult<bool> {
        if !is_marker(key) {
            return Ok(false);
        }
        match self.head_object(key).await {
            Ok(_) => Ok(false),
            Err(StoreError::NotFound { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{packed, unpack};
    use crate::store::ObjectHeaders;

    #[test]
    fn metadata_come_back_from_the_content_type() {
        let metadata = [
            ("mode", "16832"),
            ("xattr", "{\"user.a; b=c\": \"%\u{e9}\"}"),
        ];
        let metadata = metadata.map(|(name, value)| (name.to_owned(), value.to_owned()));
        for content_type in [Some("application/x-directory"), Some("a/b; charset=utf-8")] {
            let headers = ObjectHeaders {
                content_type: content_type.map(str::to_owned),
                metadata: metadata.clone().into(),
                ..ObjectHeaders::default()
            };
            let mut back = packed(&headers);
            assert!(back.metadata.is_empty());
            assert!(back.content_type.as_deref().is_some_and(str::is_ascii));
            unpack(&mut back);
            assert_eq!(back, headers);
        }
    }
}
