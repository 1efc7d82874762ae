//! What a provider does otherwise than AWS, as data: written from the providers' documents, and
//! from what servers were seen to do, so that it cannot repeat a mistake of the client's own table.
//! Knows no request.

use std::time::Duration;

use crate::limits::Limits;

mod providers;
mod sources;
#[cfg(test)]
mod tests;

/// What becomes of a condition on a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conditions {
    /// 412 when it does not hold.
    Kept,
    /// The same, but 304 for if-none-match and if-modified-since.
    KeptNotModified,
    /// The request is answered as if it carried none.
    Ignored,
    /// 501 NotImplemented, whether it holds or not.
    Refused,
    /// 412 when it does not hold, and for every ETag in quotes, which is compared with them.
    QuotedNever,
    /// if-none-match and if-modified-since are kept, the other two ignored.
    NoneMatchOnly,
}

/// A refusal: status and error code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Status of the answer.
    pub status: u16,
    /// Code in its body.
    pub code: &'static str,
}

impl Refusal {
    pub(super) const fn new(status: u16, code: &'static str) -> Self {
        Self { status, code }
    }
}

/// Who has to say how long a body is, were it of no bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LengthWanted {
    /// Nobody.
    Never,
    /// PutObject, UploadPart and UploadPartCopy.
    ByBodies,
    /// Every PUT and POST.
    Always,
}

/// Which requests are taken at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestRules {
    /// What a bucket in the path is answered when the request came to a host name that
    /// [`SimBuilder::host`](super::SimBuilder::host) named; `None` when that is taken.
    pub path_style: Option<Refusal>,
    /// Whether names of buckets may have dots.
    pub dotted_buckets: bool,
    /// Which requests without Content-Length are answered 411.
    pub length_wanted: LengthWanted,
    /// What the `x-id` of AWS's clients in the query is answered; `None` when it is ignored.
    pub operation_id: Option<Refusal>,
    /// Whether the header Accept-Encoding may be among those that are signed.
    pub signed_accept_encoding: bool,
    /// What `x-amz-checksum-*`, trailers and aws-chunked bodies are answered; `None` when they
    /// are taken.
    pub checksums: Option<Refusal>,
    /// Whether `x-amz-checksum-*` is passed over even so, when the body is a plain one.
    pub checksum_headers: bool,
    /// What `x-amz-*-expected-bucket-owner` of another owner is answered; `None` when nobody
    /// looks.
    pub other_owner: Option<Refusal>,
    /// What a copy from a bucket of another region is answered; `None` when it is made.
    pub other_region: Option<Refusal>,
    /// What a request to a directory bucket is answered that is not of a session, unless it is
    /// one of those that never are; `None` where there are no sessions.
    pub no_session: Option<Refusal>,
    /// Whether buckets can make the requester pay.
    pub requester_pays: bool,
    /// Whether objects have tags; 501 for the header and the requests that tell of any otherwise.
    pub tags: bool,
    /// Whether buckets can keep versions.
    pub versions: bool,
    /// Which encryption with keys of the customer there is.
    pub customer_keys: CustomerKeys,
    /// What such a key is answered where there is no such encryption, or not for that request.
    pub customer_keys_refused: Refusal,
    /// What a storage class other than STANDARD is answered; `None` when it is taken.
    pub storage_classes: Option<Refusal>,
    /// Whether Content-MD5 of a body is compared with it.
    pub digests: bool,
    /// Whether PutObjectTagging takes certain characters only.
    pub tag_characters: bool,
    /// The same of `x-amz-tagging`.
    pub header_tag_characters: bool,
    /// Whether `x-amz-meta-` counts as a part of each name in the size of metadata.
    pub metadata_names_whole: bool,
    /// The least time between two writes of one key; sooner is 429 TooManyRequests.
    pub write_interval: Duration,
}

/// Encryption with keys that requests carry (SSE-C).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CustomerKeys {
    /// Everywhere.
    Offered,
    /// Not for copies of parts.
    NotForPartCopies,
    /// Nowhere.
    None,
}

/// What is kept of the headers of an object whose key ends in a slash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarkerHeaders {
    /// All.
    All,
    /// Content-Type.
    Type,
    /// Nothing.
    None,
}

/// What is asked of the destination of a write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WriteRules {
    /// If-Match and If-None-Match of PutObject.
    pub put_conditions: Conditions,
    /// Those of CompleteMultipartUpload.
    pub complete_conditions: Conditions,
    /// Those of CopyObject about its destination.
    pub copy_conditions: Conditions,
    /// If-Match of DeleteObject.
    pub delete_conditions: Conditions,
    /// The header that, set to `true`, forbids to overwrite: 409 FileAlreadyExists.
    pub forbid_overwrite: Option<&'static str>,
    /// Whether DeleteObjects takes no digest but Content-MD5.
    pub delete_wants_md5: bool,
    /// Most keys of one DeleteObjects.
    pub delete_keys_max: usize,
    /// Whether there is RenameObject, in buckets that keep no versions; 501 otherwise.
    pub renames: bool,
    /// Whether PutObject takes the offset of an object's end, and adds to it; 501 otherwise.
    pub appends: bool,
    /// Whether If-Match of a key that holds nothing is answered 412; 404 otherwise.
    pub absent_is_412: bool,
    /// Headers that are not kept with an object, in small letters.
    pub dropped_headers: &'static [&'static str],
    /// What a write is answered to a key below that of an object, or above that of another, as if
    /// keys were paths of files; `None` when it is taken.
    pub paths: Option<Refusal>,
    /// Whether slashes one after the other in a key are taken for one.
    pub slashes_merge: bool,
    /// Whether the service has directories of its own. Every key makes those above it. They stay
    /// when their last object goes, until a DELETE of their key, which ends in a slash, finds them
    /// empty. A folded listing shows them, HEAD finds them, and `If-None-Match: *` fails on them.
    pub directories: bool,
    /// What is kept of the headers of an object whose key ends in a slash.
    pub marker_headers: MarkerHeaders,
    /// Whether DeleteObjects looks at entity tags.
    pub delete_many_conditions: bool,
}

/// What `bytes=-5` stands for in an `x-amz-copy-source-range`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Suffix {
    /// Nothing: it is refused.
    Refused,
    /// The last five bytes.
    Last,
    /// `bytes=0-5`.
    FromStart,
}

/// What becomes of an `x-amz-copy-source-range`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ranges {
    /// Whether one that ends beyond the source is cut there.
    pub clamped: bool,
    /// Whether `bytes=5-` is taken.
    pub open: bool,
    /// What `bytes=-5` is.
    pub suffix: Suffix,
    /// Whether `0-5` is taken.
    pub bare: bool,
    /// Whether one that begins beyond the source, or ends before it begins, makes an empty part.
    pub beyond_is_empty: bool,
    /// Whether any other copies the whole source, with 200, instead of being refused.
    pub odd_is_whole: bool,
}

/// What UploadPartCopy is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PartCopies {
    /// A copy.
    Offered,
    /// Taken for an UploadPart whose body is empty: 200, and no CopyPartResult.
    EmptyParts,
}

/// Which tags CopyObject gives the copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopiedTags {
    /// Those of the source, or those sent, by `x-amz-tagging-directive`.
    ByDirective,
    /// Those of the source if its metadata are copied too, else none; what is sent is lost.
    WithMetadata,
}

/// What copies read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyRules {
    /// `x-amz-copy-source-if-*` of CopyObject.
    pub object_conditions: Conditions,
    /// Those of UploadPartCopy.
    pub part_conditions: Conditions,
    /// What UploadPartCopy is.
    pub part_copies: PartCopies,
    /// Its ranges.
    pub ranges: Ranges,
    /// Sources up to this size are refused to UploadPartCopy with a range.
    pub ranged_source_refused_max: u64,
    /// Sources up to this size are refused to UploadPartCopy; `None` when none is.
    pub part_source_refused_max: Option<u64>,
    /// Status for a source that is a delete marker named by its version.
    pub marker_named: u16,
    /// What a source in one of `cold_classes` is answered.
    pub cold: Refusal,
    /// The storage classes that have to be restored before they are read or copied.
    pub cold_classes: &'static [&'static str],
    /// Whether UploadPartCopy decodes the name of its source twice.
    pub part_source_decoded_twice: bool,
    /// Whether CopyObject keeps an ETag that is no digest of the content.
    pub numbered_etag_kept: bool,
    /// Whether a copy for which no class is named gets that of its source.
    pub class_kept: bool,
    /// Tags of copies.
    pub tags: CopiedTags,
    /// What CopyObject of an object whose key ends in a slash is answered, after its conditions
    /// unless it is 404; `None` when it is copied.
    pub directory: Option<Refusal>,
}

/// What an upload of parts must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UploadRules {
    /// Whether part numbers must go 1, 2, 3 and so on.
    pub consecutive: bool,
    /// Whether CompleteMultipartUpload must name every part that was uploaded.
    pub all_parts_named: bool,
    /// Whether `x-amz-mp-object-size` is looked at.
    pub object_size: bool,
    /// Whether the ETag of the object is `MD5-N`.
    pub numbered_etag: bool,
    /// Whether the answer to CompleteMultipartUpload tells it; the element is empty otherwise.
    pub etag_told: bool,
    /// Whether parts must be named in the order of their numbers.
    pub ordered: bool,
    /// Whether the object gets the tags that CreateMultipartUpload was sent.
    pub tags: bool,
    /// What UploadPart and UploadPartCopy to an upload that is no more are answered.
    pub gone_to_part: Refusal,
    /// What its CompleteMultipartUpload is answered.
    pub gone_to_complete: Refusal,
}

/// How a listing is ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// By the bytes of the keys.
    Sorted,
    /// As files in their directories: by the bytes, but a slash comes before all others.
    ByPath,
    /// Anyhow.
    Unsorted,
}

/// What a delimiter does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delimiter {
    /// Folds.
    Any,
    /// Folds if it is `/` and the prefix ends in one, else 400; uploads under way show as well.
    Slash,
    /// Nothing.
    Ignored,
}

/// What `encoding-type=url` does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// Encodes names, and says so.
    Honoured,
    /// Nothing.
    Ignored,
    /// Encodes names, and every page is the first.
    FirstPageForEver,
}

/// How keys are spelled in a list of uploads when `encoding-type=url` is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UploadKeys {
    /// As in lists of objects.
    AsObjects,
    /// Encoded, without saying so.
    EncodedUnsaid,
    /// Not encoded, though it says so.
    PlainSaid,
    /// Not encoded, without saying anything.
    Plain,
}

/// What listings are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListRules {
    /// Whether `list-type=2` means anything; without, it is answered as version 1.
    pub v2: bool,
    /// The order of a page and of pages.
    pub order: Order,
    /// What a delimiter does.
    pub delimiter: Delimiter,
    /// What `encoding-type=url` does.
    pub encoding: Encoding,
    /// Listings of a bucket that do not show a new key yet.
    pub lag: u64,
    /// Keys in lists of uploads.
    pub upload_keys: UploadKeys,
}

/// How a time is written in the answers to copies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stamps {
    /// `2014-07-17T06:27:54.000Z`.
    Zoned,
    /// Without the `Z`.
    Unzoned,
    /// With a blank after it.
    Trailed,
}

/// How a part copy answers that broke off when 200 was sent already
/// ([`How::Breaks`](super::How::Breaks)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// With an Error as the body.
    Error,
    /// With a CopyPartResult that has no ETag.
    NoETag,
}

/// What answers look like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnswerRules {
    /// Times in the answers to copies.
    pub stamps: Stamps,
    /// Whether the hexadecimal digits of ETags are capitals.
    pub capital_etags: bool,
    /// Copies that broke off.
    pub broken: Broken,
    /// The root element of the answer to ListParts.
    pub parts_root: &'static str,
    /// Whether objects whose keys end in a slash have ETags.
    pub directory_etags: bool,
    /// The header `Server`.
    pub server: Option<&'static str>,
}

/// All that a provider does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    /// The word for the provider.
    pub name: &'static str,
    /// Sizes and counts that are enforced; what a planner prefers is ignored.
    pub limits: Limits,
    /// Which requests are taken at all.
    pub requests: RequestRules,
    /// What is asked of the destination of a write.
    pub writes: WriteRules,
    /// What copies read.
    pub copies: CopyRules,
    /// What an upload of parts must be.
    pub uploads: UploadRules,
    /// What listings are.
    pub lists: ListRules,
    /// What answers look like.
    pub answers: AnswerRules,
    /// Fields, and where what they say is written.
    pub sources: &'static [(&'static str, &'static str)],
}
