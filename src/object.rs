//! Names of what is in a store: bucket, key, ETag, and one immutable version of an object.
//! Knows nothing of requests.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::range::ByteRange;

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

text_newtype! {
    /// The name of a bucket.
    BucketName
}
text_newtype! {
    /// The key of an object: the whole of it, the mount's prefix included. At most 1,024 bytes of
    /// UTF-8 (AWS S3 user guide, "Naming Amazon S3 objects").
    ObjectKey
}
text_newtype! {
    /// An entity tag exactly as the store sent it, quotes included, so that it can be sent back
    /// verbatim. Compare with [`ETag::matches`]: stores differ in quotes and letter case.
    ETag
}
text_newtype! {
    /// The version id of an object in a versioned bucket.
    VersionId
}

impl BucketName {
    /// Whether it is the ARN of an access point, which stands where a bucket's name does (Amazon
    /// S3 user guide, "Using Amazon S3 access points").
    pub fn is_arn(&self) -> bool {
        self.0.starts_with("arn:")
    }

    /// Whether it is a directory bucket of AWS, or an access point of one: the ends of their names
    /// are reserved (Amazon S3 user guide, "Directory bucket naming rules").
    pub fn is_directory_bucket(&self) -> bool {
        self.0.ends_with("--x-s3") || self.0.ends_with("--xa-s3")
    }
}

impl ObjectKey {
    /// All up to the last slash and with it; empty where there is none.
    pub fn directory(&self) -> &str {
        let end = self.0.rfind('/').map_or(0, |slash| slash + 1);
        &self.0[..end]
    }
}

impl ETag {
    /// Whether both name the same entity: quotes and letter case do not count
    /// (OSS answers upper-case hex; some stores leave the quotes out).
    pub fn matches(&self, other: &Self) -> bool {
        self.bare().eq_ignore_ascii_case(other.bare())
    }

    fn bare(&self) -> &str {
        self.0.trim_matches('"')
    }
}

/// One immutable version of an object: what a copy or a read is pinned to.
///
/// Its bytes never change. Whether they can still be had is another matter: in a bucket without
/// versioning they are gone when the key is written again or deleted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ObjectVersion {
    /// The bucket it is in.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// Its entity tag; never empty.
    pub etag: ETag,
    /// Its version id where the bucket keeps versions.
    pub version_id: Option<VersionId>,
    /// Its size in bytes.
    pub size: u64,
}

impl ObjectVersion {
    /// All its bytes.
    pub const fn range(&self) -> ByteRange {
        ByteRange::new(0, self.size)
    }
}

/// Some bytes of one object version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectRange {
    /// The version the bytes are of.
    pub version: Arc<ObjectVersion>,
    /// Which bytes; within the version's size.
    pub range: ByteRange,
}

#[cfg(test)]
mod tests {
    use super::ETag;

    #[test]
    fn quotes_and_letter_case_do_not_tell_etags_apart() {
        let sent = ETag::new("\"5B3C1A2E053D763E1B002CC607C5A0FE\"");
        assert!(sent.matches(&ETag::new("5b3c1a2e053d763e1b002cc607c5a0fe")));
        assert!(!sent.matches(&ETag::new("\"5b3c1a2e053d763e1b002cc607c5a0ff\"")));
    }
}
