//! What a provider does differently, as data: its limits and which of S3's promises it keeps.
//! Knows no client library.

use crate::config::Provider;
use crate::limits::Limits;

mod providers;
mod servers;
#[cfg(test)]
mod tests;

/// Whether a store does what a condition on a request asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conditions {
    /// It answers 412 when the condition does not hold; nothing else is asked.
    Honoured,
    /// It may ignore the condition and answer 200 (moto does so for copies, JuiceFS for writes):
    /// the condition is sent, and a HEAD looks as well.
    Unverified,
    /// The same for `If-None-Match: *`; any other is not sent, since it is known to fail where it
    /// holds, and a HEAD looks instead. For writes only.
    AbsentOnly,
    /// It is known to ignore the condition, or to refuse the request: none is sent, and a HEAD
    /// looks instead.
    None,
}

/// How the size of an object made of parts is verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SizeCheck {
    /// CompleteMultipartUpload refuses when `x-amz-mp-object-size` is not the size.
    ByStore,
    /// Every part's size, by ListParts before CompleteMultipartUpload: the store may take a range
    /// that it cannot read for the whole object (Alibaba OSS, UploadPartCopy), or one past the end
    /// for a part of that length (moto). By HEAD afterwards where it has no ListParts.
    ByParts,
}

/// The operation that lists objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListVersion {
    /// ListObjects: pages go on from a key.
    One,
    /// ListObjectsV2: pages go on from a token.
    Two,
}

/// How objects are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listing {
    /// The operation.
    pub version: ListVersion,
    /// Whether `encoding-type=url` is asked for. Without it a key with a character that XML lacks
    /// is listed under another name.
    pub is_url_encoded: bool,
    /// Whether keys come in the order of their bytes, or of their paths as SeaweedFS's do, which is
    /// the same but for a slash, the least of all characters. Where they do not, all pages of a
    /// listing are fetched before the first is given out.
    pub is_sorted: bool,
    /// Whether a listing shows at once what was stored and deleted before it. Where it does not,
    /// what this client did in the last minute is looked at by HEAD.
    pub is_consistent: bool,
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
    /// They have not, and a copy of one that has some is refused (501) unless it says that they are
    /// replaced, by none.
    Dropped,
}

/// What the object is whose key ends in a slash: a directory's marker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Markers {
    /// An object like any other.
    Objects,
    /// It is not known whether it keeps its metadata: the first one that is stored is looked at by
    /// HEAD, and if they are gone, the store is taken for one of [`Self::Directories`].
    Unverified,
    /// A directory of the store's own, as in a filesystem. It keeps no metadata, but its
    /// Content-Type, which they become parameters of; and it stays, in folded listings, when its
    /// last object goes.
    Directories,
}

/// Where a request names the bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Addressing {
    /// In the host name; the path is taken too.
    Host,
    /// In the host name; the path is refused.
    HostOnly,
    /// In the path.
    Path,
}

/// What a store does and allows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dialect {
    /// The word for it: what `provider=` takes.
    pub name: &'static str,
    /// What its makers call it.
    pub title: &'static str,
    /// Ends of the host names of its endpoints.
    pub hosts: &'static [&'static str],
    /// How the header `Server` of its answers begins, of a server by whose rules alone nothing is
    /// lost: one of which the mount names no provider is recognised by that.
    pub server: Option<&'static str>,
    /// Where the bucket is named unless the mount says otherwise.
    pub addressing: Addressing,
    /// The region that requests are signed for where none is configured.
    pub region: &'static str,
    /// Sizes and counts.
    pub limits: Limits,
    /// Most keys of one DeleteObjects.
    pub delete_many_max: usize,
    /// `x-amz-copy-source-if-match` on CopyObject and UploadPartCopy.
    pub copy_conditions: Conditions,
    /// `If-None-Match` and `If-Match` on PutObject, CompleteMultipartUpload and the destination
    /// of CopyObject.
    pub write_conditions: Conditions,
    /// Whether `If-Match` on DeleteObject, and the entity tag of each object of DeleteObjects, is
    /// honoured: it is sent nowhere else, since a store that compares it wrongly would keep what
    /// was moved.
    pub delete_conditions: bool,
    /// Whether UploadPartCopy decodes the name of its source twice, and so takes `a%41` for `aA`:
    /// no part is copied from a key with a percent sign.
    pub decodes_part_source_twice: bool,
    /// The header that, set to `true`, stands for `If-None-Match: *` on writes. It does nothing in
    /// a bucket that keeps versions, so a HEAD looks as well.
    pub forbid_overwrite: Option<&'static str>,
    /// Whether RenameObject gives an object another key.
    pub renames: bool,
    /// How objects are listed.
    pub listing: Listing,
    /// How a completed upload's size is verified.
    pub size_check: SizeCheck,
    /// What tells an object made of parts from another of the same size.
    pub multipart_etag: MultipartETag,
    /// Whether objects have tags.
    pub tagging: Tagging,
    /// What stands for a directory.
    pub markers: Markers,
    /// Where it is written, or how it was seen: a field or several, and the source.
    pub sources: &'static [(&'static str, &'static str)],
}

impl Dialect {
    /// The rules of a provider.
    pub const fn of(provider: Provider) -> Self {
        match provider {
            Provider::Aws => Self::aws(),
            Provider::Express => Self::express(),
            Provider::Oss => Self::oss(),
            Provider::Cos => Self::cos(),
            Provider::Obs => Self::obs(),
            Provider::Ncloud => Self::ncloud(),
            Provider::R2 => Self::r2(),
            Provider::B2 => Self::b2(),
            Provider::Gcs => Self::gcs(),
            Provider::Wasabi => Self::wasabi(),
            Provider::Ceph => Self::ceph(),
            Provider::Garage => Self::garage(),
            Provider::Minio => Self::minio(),
            Provider::Rustfs => Self::rustfs(),
            Provider::Seaweedfs => Self::seaweedfs(),
            Provider::Other => Self::strict(),
        }
    }

    /// The provider whose server calls itself so in the header `Server`, if nothing less than its
    /// own rules will do.
    pub fn of_server(name: &str) -> Option<Provider> {
        let is_named = |provider: &Provider| {
            let start = Self::of(*provider).server;
            start.is_some_and(|start| name.starts_with(start))
        };
        Provider::ALL.into_iter().find(is_named)
    }

    /// The provider that has endpoints on such a host, as far as known. A hint for people: nothing
    /// is decided by it.
    pub fn suggested(host: &str) -> Option<Self> {
        let of_host = |dialect: &Self| {
            let mut ends = dialect.hosts.iter();
            ends.any(|end| host.strip_suffix(end).is_some_and(is_label_end))
        };
        Provider::ALL.map(Self::of).into_iter().find(of_host)
    }
}

fn is_label_end(rest: &str) -> bool {
    rest.is_empty() || rest.ends_with('.')
}
