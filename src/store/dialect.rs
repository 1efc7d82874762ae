//! What a provider does differently, as data: its limits and which of S3's promises it keeps.
//! Knows no client library and guesses no provider from a host name.

use crate::limits::{GIB, Limits, MIB};

/// Whether a store does what a condition on a request asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conditions {
    /// It answers 412 when the condition does not hold; nothing else is asked.
    Honoured,
    /// It may ignore the condition and answer 200 (Ceph, Cloudflare R2 and moto do so for copies;
    /// Garage and JuiceFS for writes): the condition is sent, and a HEAD looks as well.
    Unverified,
}

/// How the size of an object made of parts is verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SizeCheck {
    /// CompleteMultipartUpload refuses when `x-amz-mp-object-size` is not the size.
    ByStore,
    /// One HEAD after CompleteMultipartUpload.
    ByHead,
}

/// What the entity tag of an object made of parts looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MultipartETag {
    /// `MD5-N`, N being the number of parts.
    Numbered,
    /// Anything.
    Opaque,
}

/// Whether objects have tags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tagging {
    /// They have.
    Offered,
    /// They have not, or it is not known: no header and no request tells of tags (Cloudflare R2
    /// and others answer 501 to either).
    None,
}

/// What a store does and allows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dialect {
    /// A word for it in logs.
    pub name: &'static str,
    /// Sizes and counts.
    pub limits: Limits,
    /// `x-amz-copy-source-if-match` on CopyObject and UploadPartCopy.
    pub copy_conditions: Conditions,
    /// `If-None-Match` and `If-Match` on PutObject, CompleteMultipartUpload and the destination
    /// of CopyObject.
    pub write_conditions: Conditions,
    /// How a completed upload's size is verified.
    pub size_check: SizeCheck,
    /// What tells an object made of parts from another of the same size.
    pub multipart_etag: MultipartETag,
    /// Whether objects have tags.
    pub tagging: Tagging,
}

impl Dialect {
    /// AWS S3 (Amazon S3 API reference).
    pub const fn aws() -> Self {
        Self {
            name: "aws",
            limits: Limits::aws(),
            copy_conditions: Conditions::Honoured,
            write_conditions: Conditions::Honoured,
            size_check: SizeCheck::ByStore,
            multipart_etag: MultipartETag::Numbered,
            tagging: Tagging::Offered,
        }
    }

    /// A store of which only the endpoint is known: nothing it promises is taken on trust, and
    /// every limit is the smallest of the stores known (Alibaba OSS copies at most 1 GB in one
    /// request; Backblaze B2 counts its 5 GB in thousands).
    pub const fn strict() -> Self {
        let mut limits = Limits::aws();
        limits.part_size_max = 5 * GIB - 512 * MIB;
        limits.put_max = 5 * GIB - 512 * MIB;
        limits.copy_object_max = 1_000_000_000;
        Self {
            name: "strict",
            limits,
            copy_conditions: Conditions::Unverified,
            write_conditions: Conditions::Unverified,
            size_check: SizeCheck::ByHead,
            multipart_etag: MultipartETag::Opaque,
            tagging: Tagging::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Dialect;

    #[test]
    fn five_decimal_gigabytes_bound_parts_and_puts_of_an_unknown_store() {
        let limits = Dialect::strict().limits;
        assert!(limits.part_size_max < 5_000_000_000);
        assert!(limits.put_max < 5_000_000_000);
        assert!(limits.copy_object_preferred_max <= limits.copy_object_max);
    }
}
