//! The rules of fifteen providers. What no document states and nobody measured is as bad as it can
//! be: a condition is ignored, a range is not looked at.

use std::time::Duration;

use super::{
    AnswerRules, Broken, Conditions, CopiedTags, CopyRules, CustomerKeys, Delimiter, Encoding,
    LengthWanted, ListRules, MarkerHeaders, Order, PartCopies, Ranges, Refusal, RequestRules,
    Rules, Stamps, Suffix, UploadKeys, UploadRules, WriteRules, sources,
};
use crate::limits::{GIB, Limits, MIB};

mod servers;

const KIB: u64 = 1 << 10;
const TIB: u64 = 1 << 40;
/// What a document may mean by GB.
const GB: u64 = 1_000_000_000;

const ACCESS_DENIED: Refusal = Refusal::new(403, "AccessDenied");
const NO_SUCH_UPLOAD: Refusal = Refusal::new(404, "NoSuchUpload");
const INVALID_OBJECT_STATE: Refusal = Refusal::new(403, "InvalidObjectState");
const INVALID_REQUEST: Refusal = Refusal::new(400, "InvalidRequest");
/// Ranges that no document describes.
const UNKNOWN_RANGES: Ranges = Ranges {
    clamped: true,
    open: true,
    suffix: Suffix::Last,
    bare: true,
    beyond_is_empty: false,
    odd_is_whole: true,
};

// What AWS S3 does.
const REQUESTS: RequestRules = RequestRules {
    path_style: None,
    dotted_buckets: true,
    length_wanted: LengthWanted::Never,
    operation_id: None,
    signed_accept_encoding: true,
    checksums: None,
    checksum_headers: false,
    other_owner: Some(ACCESS_DENIED),
    other_region: None,
    no_session: None,
    requester_pays: true,
    tags: true,
    versions: true,
    customer_keys: CustomerKeys::Offered,
    customer_keys_refused: Refusal::new(501, "NotImplemented"),
    storage_classes: None,
    digests: true,
    tag_characters: true,
    header_tag_characters: true,
    metadata_names_whole: false,
    write_interval: Duration::ZERO,
};
const WRITES: WriteRules = WriteRules {
    put_conditions: Conditions::Kept,
    complete_conditions: Conditions::Kept,
    copy_conditions: Conditions::Kept,
    delete_conditions: Conditions::Kept,
    forbid_overwrite: None,
    delete_wants_md5: false,
    delete_keys_max: 1000,
    renames: false,
    appends: false,
    absent_is_412: false,
    dropped_headers: &[],
    paths: None,
    slashes_merge: false,
    directories: false,
    marker_headers: MarkerHeaders::All,
    delete_many_conditions: true,
};
const COPIES: CopyRules = CopyRules {
    object_conditions: Conditions::Kept,
    part_conditions: Conditions::Kept,
    part_copies: PartCopies::Offered,
    ranges: Ranges {
        clamped: false,
        open: false,
        suffix: Suffix::Refused,
        bare: false,
        beyond_is_empty: false,
        odd_is_whole: false,
    },
    ranged_source_refused_max: 5 * MIB,
    part_source_refused_max: None,
    marker_named: 400,
    cold: INVALID_OBJECT_STATE,
    cold_classes: &["GLACIER", "DEEP_ARCHIVE"],
    part_source_decoded_twice: false,
    numbered_etag_kept: false,
    class_kept: false,
    tags: CopiedTags::ByDirective,
    directory: None,
};
const UPLOADS: UploadRules = UploadRules {
    consecutive: false,
    all_parts_named: false,
    object_size: true,
    numbered_etag: true,
    etag_told: true,
    ordered: true,
    tags: true,
    gone_to_part: NO_SUCH_UPLOAD,
    gone_to_complete: NO_SUCH_UPLOAD,
};
const LISTS: ListRules = ListRules {
    v2: true,
    order: Order::Sorted,
    delimiter: Delimiter::Any,
    encoding: Encoding::Honoured,
    lag: 0,
    upload_keys: UploadKeys::AsObjects,
};
const ANSWERS: AnswerRules = AnswerRules {
    stamps: Stamps::Zoned,
    capital_etags: false,
    broken: Broken::Error,
    parts_root: "ListPartsResult",
    directory_etags: true,
    server: None,
};

impl Rules {
    /// All that have documents.
    pub fn all() -> [Self; 15] {
        [
            Self::aws(),
            Self::express(),
            Self::oss(),
            Self::cos(),
            Self::obs(),
            Self::ncloud(),
            Self::r2(),
            Self::b2(),
            Self::gcs(),
            Self::wasabi(),
            Self::ceph(),
            Self::garage(),
            Self::minio(),
            Self::rustfs(),
            Self::seaweedfs(),
        ]
    }

    /// Servers as they were seen to be, in one version each, that do worse than the documents say.
    pub const fn seen() -> [Self; 3] {
        [Self::ceph_16(), Self::juicefs(), Self::moto()]
    }

    /// AWS S3.
    pub const fn aws() -> Self {
        Self {
            name: "aws",
            limits: Limits::aws(),
            requests: REQUESTS,
            writes: WRITES,
            copies: COPIES,
            uploads: UPLOADS,
            lists: LISTS,
            answers: ANSWERS,
            sources: sources::AWS,
        }
    }

    /// Directory buckets of AWS S3.
    pub const fn express() -> Self {
        let mut rules = Self::aws();
        rules.name = "express";
        rules.limits.put_max = 5 * GB;
        rules.limits.copy_object_max = 5 * GB;
        rules.requests.path_style = Some(INVALID_REQUEST);
        rules.requests.other_region = Some(INVALID_REQUEST);
        rules.requests.no_session = Some(ACCESS_DENIED);
        rules.requests.tags = false;
        rules.requests.versions = false;
        rules.requests.customer_keys = CustomerKeys::None;
        rules.copies.cold_classes = &[];
        rules.writes.renames = true;
        rules.writes.appends = true;
        rules.uploads.consecutive = true;
        rules.uploads.numbered_etag = false;
        rules.lists.order = Order::Unsorted;
        rules.lists.delimiter = Delimiter::Slash;
        rules.sources = sources::EXPRESS;
        rules
    }

    /// Alibaba Cloud OSS.
    pub const fn oss() -> Self {
        let mut rules = Self::aws();
        rules.name = "oss";
        rules.limits.part_size_min = 100 * KIB;
        rules.limits.part_size_max = 5 * GB;
        rules.limits.put_max = 5 * GB;
        rules.limits.copy_object_max = GB;
        rules.requests.path_style = Some(Refusal::new(403, "SecondLevelDomainForbidden"));
        rules.requests.dotted_buckets = false;
        rules.requests.checksums = Some(Refusal::new(400, "InvalidArgument"));
        rules.requests.other_owner = None;
        rules.requests.other_region = Some(ACCESS_DENIED);
        rules.requests.requester_pays = false;
        rules.requests.customer_keys = CustomerKeys::None;
        rules.writes.put_conditions = Conditions::Refused;
        rules.writes.complete_conditions = Conditions::Refused;
        rules.writes.copy_conditions = Conditions::Refused;
        rules.writes.delete_conditions = Conditions::Ignored;
        rules.writes.forbid_overwrite = Some("x-oss-forbid-overwrite");
        rules.writes.delete_wants_md5 = true;
        rules.copies.object_conditions = Conditions::KeptNotModified;
        rules.copies.part_conditions = Conditions::KeptNotModified;
        rules.copies.ranges.odd_is_whole = true;
        rules.copies.ranged_source_refused_max = 0;
        rules.copies.cold = Refusal::new(400, "OperationNotSupported");
        rules.copies.cold_classes = &["Archive", "ColdArchive", "GLACIER", "DEEP_ARCHIVE"];
        rules.uploads.object_size = false;
        rules.uploads.numbered_etag = false;
        rules.answers.stamps = Stamps::Trailed;
        rules.answers.capital_etags = true;
        rules.sources = sources::OSS;
        rules
    }

    /// Tencent Cloud COS.
    pub const fn cos() -> Self {
        let mut rules = Self::aws();
        rules.name = "cos";
        rules.limits.part_size_min = MIB;
        rules.limits.part_size_max = 5 * GB;
        rules.limits.put_max = 5 * GB;
        rules.limits.copy_object_max = 5 * GB;
        rules.requests.other_owner = None;
        rules.requests.requester_pays = false;
        rules.requests.customer_keys = CustomerKeys::None;
        rules.writes.put_conditions = Conditions::Ignored;
        rules.writes.complete_conditions = Conditions::Ignored;
        rules.writes.copy_conditions = Conditions::Ignored;
        rules.writes.delete_conditions = Conditions::Ignored;
        rules.writes.forbid_overwrite = Some("x-cos-forbid-overwrite");
        rules.writes.delete_wants_md5 = true;
        rules.copies.ranged_source_refused_max = 0;
        rules.copies.cold_classes = &["ARCHIVE", "DEEP_ARCHIVE"];
        rules.uploads.object_size = false;
        rules.uploads.numbered_etag = false;
        rules.lists.v2 = false;
        rules.lists.lag = 2;
        rules.answers.stamps = Stamps::Unzoned;
        rules.sources = sources::COS;
        rules
    }

    /// Huawei Cloud and Open Telekom Cloud OBS.
    pub const fn obs() -> Self {
        let mut rules = Self::aws();
        rules.name = "obs";
        rules.limits.part_size_max = 5 * GB;
        rules.limits.put_max = 5 * GB;
        rules.limits.copy_object_max = 5 * GB;
        rules.requests.checksums = Some(Refusal::new(400, "XAmzContentSHA256Mismatch"));
        rules.requests.other_owner = None;
        rules.requests.other_region = Some(INVALID_REQUEST);
        rules.requests.requester_pays = false;
        rules.writes.put_conditions = Conditions::Ignored;
        rules.writes.complete_conditions = Conditions::Ignored;
        rules.writes.copy_conditions = Conditions::Ignored;
        rules.writes.delete_conditions = Conditions::Ignored;
        rules.writes.delete_wants_md5 = true;
        rules.copies.object_conditions = Conditions::Ignored;
        rules.copies.part_conditions = Conditions::Ignored;
        rules.copies.ranges = UNKNOWN_RANGES;
        rules.copies.ranged_source_refused_max = 0;
        rules.copies.marker_named = 404;
        rules.copies.cold_classes = &["COLD", "GLACIER"];
        rules.uploads.object_size = false;
        rules.lists.v2 = false;
        rules.lists.encoding = Encoding::FirstPageForEver;
        rules.answers.stamps = Stamps::Unzoned;
        rules.answers.broken = Broken::NoETag;
        rules.sources = sources::OBS;
        rules
    }

    /// Naver Cloud Ncloud Storage.
    pub const fn ncloud() -> Self {
        let mut rules = Self::aws();
        rules.name = "ncloud";
        rules.limits.put_max = 5 * GB;
        rules.limits.copy_object_max = 5 * GB;
        rules.limits.object_size_max = 5000 * GB;
        rules.requests.other_owner = None;
        rules.requests.other_region = Some(INVALID_REQUEST);
        rules.requests.requester_pays = false;
        rules.requests.tags = false;
        rules.writes.put_conditions = Conditions::Ignored;
        rules.writes.complete_conditions = Conditions::Ignored;
        rules.writes.copy_conditions = Conditions::Ignored;
        rules.writes.delete_conditions = Conditions::Ignored;
        rules.writes.delete_wants_md5 = true;
        rules.copies.object_conditions = Conditions::Ignored;
        rules.copies.part_conditions = Conditions::Ignored;
        rules.copies.ranges = UNKNOWN_RANGES;
        rules.copies.ranged_source_refused_max = 0;
        rules.copies.cold_classes = &["DEEP_ARCHIVE"];
        rules.uploads.consecutive = true;
        rules.uploads.all_parts_named = true;
        rules.uploads.object_size = false;
        rules.uploads.numbered_etag = false;
        rules.lists.delimiter = Delimiter::Ignored;
        rules.lists.encoding = Encoding::Ignored;
        rules.lists.order = Order::Unsorted;
        rules.sources = sources::NCLOUD;
        rules
    }

    /// Cloudflare R2.
    pub const fn r2() -> Self {
        let mut rules = Self::aws();
        rules.name = "r2";
        // 4.995 GiB and TiB, in bytes.
        rules.limits.part_size_max = 4995 * GIB / 1000;
        rules.limits.put_max = 4995 * GIB / 1000;
        rules.limits.copy_object_max = 4995 * GIB / 1000;
        rules.limits.object_size_max = 4995 * TIB / 1000;
        rules.limits.parts_equal = true;
        rules.requests.other_owner = None;
        rules.requests.requester_pays = false;
        rules.requests.tags = false;
        rules.requests.versions = false;
        rules.requests.write_interval = Duration::from_secs(1);
        rules.writes.complete_conditions = Conditions::Ignored;
        rules.writes.copy_conditions = Conditions::Ignored;
        rules.writes.delete_conditions = Conditions::Ignored;
        rules.writes.delete_keys_max = 700;
        rules.copies.part_conditions = Conditions::Ignored;
        rules.copies.ranged_source_refused_max = 0;
        rules.copies.cold_classes = &[];
        rules.uploads.object_size = false;
        rules.sources = sources::R2;
        rules
    }

    /// Backblaze B2.
    pub const fn b2() -> Self {
        let mut rules = Self::aws();
        rules.name = "b2";
        rules.limits.part_size_min = 5 * MIB;
        rules.limits.part_size_max = 5 * GB;
        rules.limits.put_max = 5 * GB;
        rules.limits.copy_object_max = 5 * GB - 1;
        rules.requests.checksums = Some(Refusal::new(400, "InvalidArgument"));
        rules.requests.other_region = Some(INVALID_REQUEST);
        rules.requests.requester_pays = false;
        rules.requests.tags = false;
        rules.writes.put_conditions = Conditions::Refused;
        rules.writes.complete_conditions = Conditions::Refused;
        rules.writes.copy_conditions = Conditions::Refused;
        rules.writes.delete_conditions = Conditions::Ignored;
        rules.copies.ranged_source_refused_max = 0;
        rules.copies.cold_classes = &[];
        rules.uploads.object_size = false;
        rules.uploads.numbered_etag = false;
        rules.sources = sources::B2;
        rules
    }

    /// Google Cloud Storage by its XML interface.
    pub const fn gcs() -> Self {
        let mut rules = Self::aws();
        rules.name = "gcs";
        rules.limits.copy_object_max = 5 * TIB;
        rules.requests.length_wanted = LengthWanted::Always;
        rules.requests.operation_id = Some(Refusal::new(400, "InvalidArgument"));
        rules.requests.signed_accept_encoding = false;
        rules.requests.checksums = Some(Refusal::new(400, "InvalidArgument"));
        rules.requests.other_owner = None;
        rules.requests.requester_pays = false;
        rules.requests.tags = false;
        rules.requests.versions = false;
        rules.requests.customer_keys = CustomerKeys::None;
        rules.writes.put_conditions = Conditions::Ignored;
        rules.writes.complete_conditions = Conditions::Ignored;
        rules.writes.copy_conditions = Conditions::Ignored;
        rules.writes.delete_conditions = Conditions::Ignored;
        rules.copies.object_conditions = Conditions::Ignored;
        rules.copies.part_conditions = Conditions::Ignored;
        rules.copies.part_copies = PartCopies::EmptyParts;
        rules.copies.cold_classes = &[];
        rules.uploads.object_size = false;
        rules.uploads.numbered_etag = false;
        rules.sources = sources::GCS;
        rules
    }

    /// Wasabi.
    pub const fn wasabi() -> Self {
        let mut rules = Self::aws();
        rules.name = "wasabi";
        rules.requests.other_owner = None;
        rules.requests.other_region = Some(INVALID_REQUEST);
        rules.requests.requester_pays = false;
        rules.requests.customer_keys = CustomerKeys::None;
        rules.writes.put_conditions = Conditions::Ignored;
        rules.writes.complete_conditions = Conditions::Ignored;
        rules.writes.copy_conditions = Conditions::Ignored;
        rules.writes.delete_conditions = Conditions::Ignored;
        rules.copies.object_conditions = Conditions::Ignored;
        rules.copies.part_conditions = Conditions::Ignored;
        rules.copies.cold_classes = &[];
        rules.uploads.object_size = false;
        rules.sources = sources::WASABI;
        rules
    }
}
