//! The headers that travel with an object's content, to and from the client library's types, and
//! the encoding of a copy's source. Sends nothing.

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::StorageClass;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::object::{ETag, ObjectVersion, VersionId};
use crate::store::dialect::Tagging;
use crate::store::{ObjectHeaders, Precondition, Tags};

/// All but the unreserved characters of RFC 3986 and `/`: what every known store decodes.
pub(super) const SOURCE_ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');
/// The same, for a query's value.
pub(super) const QUERY_ESCAPED: &AsciiSet = &SOURCE_ESCAPED.add(b'/');

/// `x-amz-copy-source` of a version; the client library sends it as it is. An access point's has
/// the word `object` between ARN and key (Amazon S3 API reference, CopyObject).
pub(super) fn copy_source(source: &ObjectVersion) -> String {
    let bucket = utf8_percent_encode(source.bucket.as_str(), SOURCE_ESCAPED);
    let key = utf8_percent_encode(source.key.as_str(), SOURCE_ESCAPED);
    let between = if source.bucket.is_arn() {
        "/object"
    } else {
        ""
    };
    match &source.version_id {
        None => format!("{bucket}{between}/{key}"),
        Some(id) => {
            let id = utf8_percent_encode(id.as_str(), QUERY_ESCAPED);
            format!("{bucket}{between}/{key}?versionId={id}")
        }
    }
}

/// Whether the version id alone keeps the version: `null` names whatever was written last while
/// versioning was off.
pub(super) fn is_pinned_by_id(version: &ObjectVersion) -> bool {
    version
        .version_id
        .as_ref()
        .is_some_and(|id| id.as_str() != "null")
}

/// `If-None-Match` and `If-Match` of a precondition.
pub(super) fn conditions(precondition: &Precondition) -> (Option<String>, Option<String>) {
    match precondition {
        Precondition::None => (None, None),
        Precondition::Absent => (Some("*".to_owned()), None),
        Precondition::Unchanged(etag) => (None, Some(etag.as_str().to_owned())),
    }
}

/// The entity tag of no bytes: their MD5.
pub(super) const ETAG_OF_NOTHING: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// An entity tag that is there and not empty.
pub(super) fn etag(sent: Option<&str>) -> Option<ETag> {
    sent.filter(|etag| !etag.trim_matches('"').is_empty())
        .map(ETag::new)
}

/// The entity tag of an object of so many bytes. The gateway of JuiceFS names none for directories,
/// but there is only one object of no bytes.
pub(super) fn etag_of(sent: Option<&str>, size: u64) -> Option<ETag> {
    etag(sent).or_else(|| (size == 0).then(|| ETag::new(ETAG_OF_NOTHING)))
}

/// A version id that is there and not empty.
pub(super) fn version_id(sent: Option<&str>) -> Option<VersionId> {
    sent.filter(|id| !id.is_empty()).map(VersionId::new)
}

/// Sets the headers of a request: three of the library's builders have these methods, and no
/// trait.
macro_rules! with_headers {
    ($request:expr, $headers:expr) => {{
        let crate::store::ObjectHeaders {
            content_type,
            content_encoding,
            content_disposition,
            content_language,
            cache_control,
            // Set by `set_expires`: the library takes only what it can read as a date.
            expires: _,
            storage_class,
            metadata,
            // Set by `S3Bucket::tagging`: not every store may be sent the header.
            tags: _,
        } = $headers;
        let metadata = metadata
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        $request
            .set_content_type(content_type.clone())
            .set_content_encoding(content_encoding.clone())
            .set_content_disposition(content_disposition.clone())
            .set_content_language(content_language.clone())
            .set_cache_control(cache_control.clone())
            .set_storage_class(crate::store::s3::headers::storage_class(
                storage_class.as_deref(),
            ))
            .set_metadata(Some(metadata))
    }};
}
pub(super) use with_headers;

/// The library's word for a storage class.
pub(super) fn storage_class(name: Option<&str>) -> Option<StorageClass> {
    name.map(StorageClass::from)
}

/// Adds `Expires` as it once came.
pub(super) fn set_expires(
    headers: &ObjectHeaders,
) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
    let expires = headers.expires.clone();
    move |request| {
        if let Some(expires) = &expires {
            // What the store once sent is a header value.
            let _ = request.headers_mut().try_insert("expires", expires.clone());
        }
    }
}

/// The headers in the answer to a HEAD of an object of so many bytes.
pub(super) fn of_head(answer: &HeadObjectOutput, size: u64, tagging: Tagging) -> ObjectHeaders {
    let owned = |value: Option<&str>| value.map(str::to_owned);
    let mut headers = ObjectHeaders {
        content_type: owned(answer.content_type()),
        content_encoding: owned(answer.content_encoding()),
        content_disposition: owned(answer.content_disposition()),
        content_language: owned(answer.content_language()),
        cache_control: owned(answer.cache_control()),
        expires: owned(answer.expires_string()),
        storage_class: answer
            .storage_class()
            .map(|class| class.as_str().to_owned()),
        metadata: answer
            .metadata()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .collect(),
        tags: match (tagging, answer.tag_count()) {
            (Tagging::Offered, Some(1..)) => Tags::Untold,
            _ => Tags::default(),
        },
    };
    headers.drop_old_times(size);
    headers.drop_old_growth(size);
    headers
}

#[cfg(test)]
mod tests {
    use super::{copy_source, etag};
    use crate::object::{BucketName, ETag, ObjectKey, ObjectVersion, VersionId};

    fn version(key: &str, id: Option<&str>) -> ObjectVersion {
        ObjectVersion {
            bucket: BucketName::new("bkt"),
            key: ObjectKey::new(key),
            etag: ETag::new("\"e\""),
            version_id: id.map(VersionId::new),
            size: 1,
        }
    }

    #[test]
    fn every_byte_of_a_copy_source_outside_the_unreserved_set_is_escaped() {
        assert_eq!(
            copy_source(&version("a b+c%/\u{e9}&?#", None)),
            "bkt/a%20b%2Bc%25/%C3%A9%26%3F%23"
        );
        assert_eq!(copy_source(&version("a-b._~/c", None)), "bkt/a-b._~/c");
    }

    #[test]
    fn the_version_id_of_a_copy_source_is_a_query_of_its_own() {
        assert_eq!(
            copy_source(&version("k?", Some("a+/b"))),
            "bkt/k%3F?versionId=a%2B%2Fb"
        );
    }

    #[test]
    fn an_object_of_an_access_point_is_named_by_its_arn() {
        let arn = "arn:aws:s3:us-west-2:123456789012:accesspoint/ap";
        let version = ObjectVersion {
            bucket: BucketName::new(arn),
            ..version("a b/c", Some("v"))
        };
        assert_eq!(
            copy_source(&version),
            "arn%3Aaws%3As3%3Aus-west-2%3A123456789012%3Aaccesspoint/ap/object/a%20b/c?versionId=v"
        );
    }

    #[test]
    fn quotes_around_nothing_are_no_entity_tag() {
        assert_eq!(etag(Some("\"\"")), None);
        assert_eq!(etag(None), None);
        assert_eq!(etag(Some("e")), Some(ETag::new("e")));
    }
}
