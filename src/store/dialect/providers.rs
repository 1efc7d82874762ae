//! The table of providers. What no document states and nobody measured has the safe value: a
//! condition is unverified, a limit the least of those known.

use super::{
    Addressing, Conditions, Dialect, ListVersion, Listing, Markers, MultipartETag, SizeCheck,
    Tagging,
};
use crate::config::Provider;
use crate::limits::{GIB, Limits, MIB, PartCopy};

/// 1,000 keys (Amazon S3 API reference, DeleteObjects).
const DELETE_MANY_MAX: usize = 1000;
/// The region of servers that do not care, or give none of their own.
const REGION: &str = "us-east-1";
/// What most stores offer.
const LISTING: Listing = Listing {
    version: ListVersion::Two,
    is_url_encoded: true,
    is_sorted: true,
    is_consistent: true,
};
pub(super) const TIB: u64 = 1024 * GIB;
/// Documents that say GB may mean this, which is less than a GiB.
const GB: u64 = 1_000_000_000;

/// Decimal gigabytes where a document does not say which it means.
const fn decimal() -> Limits {
    let mut limits = Limits::aws();
    limits.part_size_max = 5 * GB;
    limits.put_max = 5 * GB;
    limits.copy_object_max = 5 * GB;
    limits
}

impl Dialect {
    /// AWS S3.
    pub const fn aws() -> Self {
        Self {
            name: Provider::Aws.name(),
            title: "AWS S3",
            hosts: &["amazonaws.com", "amazonaws.com.cn"],
            server: None,
            addressing: Addressing::Host,
            region: REGION,
            limits: Limits::aws(),
            delete_many_max: DELETE_MANY_MAX,
            copy_conditions: Conditions::Honoured,
            write_conditions: Conditions::Honoured,
            delete_conditions: true,
            decodes_part_source_twice: false,
            forbid_overwrite: None,
            renames: false,
            listing: LISTING,
            size_check: SizeCheck::ByStore,
            multipart_etag: MultipartETag::Numbered,
            tagging: Tagging::Offered,
            markers: Markers::Objects,
            sources: &[
                (
                    "limits",
                    "Amazon S3 user guide, \"Amazon S3 multipart upload limits\"",
                ),
                (
                    "copy_conditions",
                    "Amazon S3 API reference, UploadPartCopy: 412 for each condition that fails",
                ),
                (
                    "write_conditions",
                    "Amazon S3 user guide, \"Conditional requests\"",
                ),
                (
                    "delete_conditions",
                    "Amazon S3 user guide, \"Conditional deletes\": since September 2025",
                ),
                (
                    "size_check",
                    "Amazon S3 API reference, CompleteMultipartUpload: x-amz-mp-object-size",
                ),
            ],
        }
    }

    /// Directory buckets of AWS S3.
    pub const fn express() -> Self {
        let mut limits = Limits::aws();
        limits.put_max = 5 * GB;
        limits.copy_object_max = 5 * GB;
        limits.append_max = 5 * GB;
        Self {
            name: Provider::Express.name(),
            title: "AWS S3 directory buckets",
            hosts: &[],
            addressing: Addressing::HostOnly,
            limits,
            renames: true,
            listing: Listing {
                is_sorted: false,
                ..LISTING
            },
            multipart_etag: MultipartETag::Opaque,
            tagging: Tagging::Dropped,
            sources: &[
                (
                    "limits",
                    "Amazon S3 user guide, \"Working with objects in a directory bucket\"",
                ),
                (
                    "append_max",
                    "Amazon S3 user guide, \"Appending data to objects in directory buckets\"",
                ),
                (
                    "renames",
                    "Amazon S3 user guide, \"Renaming objects in directory buckets\"",
                ),
                (
                    "listing",
                    "Amazon S3 API reference, ListObjectsV2: directory buckets list in no order",
                ),
                (
                    "multipart_etag",
                    "rclone, backend/s3: entity tags of directory buckets are random",
                ),
                (
                    "tagging",
                    "Amazon S3 API reference, CopyObject: 501 for any but the empty tag set",
                ),
            ],
            ..Self::aws()
        }
    }

    /// Alibaba Cloud OSS.
    pub const fn oss() -> Self {
        let mut limits = decimal();
        limits.part_size_min = 100 * 1024;
        limits.copy_object_max = GB;
        Self {
            name: Provider::Oss.name(),
            title: "Alibaba Cloud OSS",
            hosts: &["aliyuncs.com"],
            addressing: Addressing::HostOnly,
            limits,
            copy_conditions: Conditions::Honoured,
            write_conditions: Conditions::None,
            forbid_overwrite: Some("x-oss-forbid-overwrite"),
            sources: &[
                (
                    "part_size_min, copy_object_max",
                    "OSS, UploadPartCopy: parts of 100 KB to 5 GB; larger than 1 GB must use it",
                ),
                (
                    "copy_conditions",
                    "OSS, UploadPartCopy: x-oss-copy-source-if-match, 412",
                ),
                (
                    "write_conditions",
                    "walgit issue 67: 501 NotImplemented for If-None-Match and If-Match",
                ),
                (
                    "forbid_overwrite",
                    "opendal, core/services/oss: on Put, Copy and Complete; 409",
                ),
                (
                    "addressing",
                    "OSS, \"Compatibility with Amazon S3\": virtual hosts only",
                ),
            ],
            ..Self::cautious()
        }
    }

    /// Tencent Cloud COS.
    pub const fn cos() -> Self {
        let mut limits = decimal();
        limits.part_size_min = MIB;
        Self {
            name: Provider::Cos.name(),
            title: "Tencent Cloud COS",
            hosts: &["myqcloud.com"],
            limits,
            copy_conditions: Conditions::Honoured,
            forbid_overwrite: Some("x-cos-forbid-overwrite"),
            listing: Listing {
                version: ListVersion::One,
                is_consistent: false,
                ..LISTING
            },
            sources: &[
                (
                    "listing",
                    "rclone, backend/s3, TencentCOS: list_version 1; COS, GET Bucket: may not \
                     include the newly uploaded object",
                ),
                (
                    "part_size_min, part_size_max",
                    "COS, Upload Part - Copy: 1 MB to 5 GB",
                ),
                (
                    "copy_conditions",
                    "COS, Upload Part - Copy: x-cos-copy-source-If-Match, 412",
                ),
                (
                    "forbid_overwrite",
                    "opendal, core/services/cos: on Put, Copy and Complete",
                ),
            ],
            ..Self::cautious()
        }
    }

    /// Huawei Cloud and Open Telekom Cloud OBS.
    pub const fn obs() -> Self {
        Self {
            name: Provider::Obs.name(),
            title: "Huawei Cloud OBS, Open Telekom Cloud OBS",
            hosts: &["myhuaweicloud.com", "otc.t-systems.com"],
            limits: decimal(),
            listing: Listing {
                version: ListVersion::One,
                is_url_encoded: false,
                is_consistent: false,
                ..LISTING
            },
            sources: &[
                (
                    "listing",
                    "rclone, backend/s3, HuaweiOBS: with encoding-type=url a marker does not work",
                ),
                (
                    "part_size_min, part_size_max",
                    "OTC OBS, S3 API, Upload Part - Copy: 5 MB to 5 GB",
                ),
                ("copy_conditions", "OTC OBS, Upload Part - Copy lists none"),
            ],
            ..Self::cautious()
        }
    }

    /// Naver Cloud Ncloud Storage.
    pub const fn ncloud() -> Self {
        let mut limits = decimal();
        limits.object_size_max = 5000 * GB;
        Self {
            name: Provider::Ncloud.name(),
            title: "Naver Cloud Ncloud Storage",
            hosts: &["ncloudstorage.com"],
            limits,
            listing: Listing {
                is_sorted: false,
                is_consistent: false,
                ..LISTING
            },
            sources: &[
                (
                    "listing",
                    "Naver Cloud API guide: Object Storage lists in random order, of Ncloud \
                     Storage it says nothing",
                ),
                (
                    "object_size_max, put_max, copy_object_max",
                    "Ncloud Storage API guide: objects of 5 TB, requests of 5 GB",
                ),
                (
                    "copy_conditions",
                    "Ncloud Storage API guide, UploadPartCopy lists none",
                ),
            ],
            ..Self::cautious()
        }
    }

    /// Cloudflare R2.
    pub const fn r2() -> Self {
        let mut limits = Limits::aws();
        // 4.995 GiB and TiB, rounded down to a MiB.
        limits.part_size_max = 5114 * MIB;
        limits.put_max = 5114 * MIB;
        limits.copy_object_max = 5114 * MIB;
        limits.object_size_max = 5114 * GIB;
        limits.parts_equal = true;
        Self {
            name: Provider::R2.name(),
            title: "Cloudflare R2",
            hosts: &["r2.cloudflarestorage.com"],
            addressing: Addressing::Path,
            region: "auto",
            limits,
            delete_many_max: 700,
            copy_conditions: Conditions::None,
            multipart_etag: MultipartETag::Numbered,
            sources: &[
                (
                    "limits",
                    "R2, \"Limits\": 4.995 GiB a part, 4.995 TiB an object",
                ),
                (
                    "parts_equal",
                    "R2, \"Multipart upload\": error 10048 unless all parts but the last are equal",
                ),
                (
                    "delete_many_max",
                    "opendal, core/services/s3: more than 700 keys answer Internal Error",
                ),
                (
                    "copy_conditions",
                    "R2, \"S3 API compatibility\": not implemented on UploadPartCopy",
                ),
                ("region", "R2, \"S3 API compatibility\": auto"),
            ],
            ..Self::cautious()
        }
    }

    /// Backblaze B2.
    pub const fn b2() -> Self {
        let mut limits = decimal();
        limits.copy_object_max = 4768 * MIB;
        Self {
            name: Provider::B2.name(),
            title: "Backblaze B2",
            hosts: &["backblazeb2.com"],
            limits,
            copy_conditions: Conditions::Honoured,
            write_conditions: Conditions::None,
            sources: &[
                (
                    "copy_object_max",
                    "rclone, backend/s3: 4,768 MiB, since B2 counts 5 GB in thousands",
                ),
                (
                    "copy_conditions",
                    "Backblaze, \"S3-Compatible API\": 412 for each condition that fails",
                ),
                ("write_conditions", "obsidian-s3-sync pull request 84: 501"),
            ],
            ..Self::cautious()
        }
    }

    /// Google Cloud Storage, by its XML API.
    pub const fn gcs() -> Self {
        let mut limits = decimal();
        limits.part_copy = PartCopy::None;
        limits.copy_object_max = 5 * TIB;
        Self {
            name: Provider::Gcs.name(),
            title: "Google Cloud Storage (XML API)",
            hosts: &["storage.googleapis.com"],
            addressing: Addressing::Path,
            region: "auto",
            limits,
            write_conditions: Conditions::None,
            sources: &[
                (
                    "part_copy",
                    "rclone, backend/s3: no multipart server-side copy, issuetracker 323465186",
                ),
                (
                    "copy_object_max",
                    "rclone, backend/s3/provider/GCS.yaml: no limit to one copy",
                ),
                (
                    "write_conditions",
                    "Cloud Storage, \"XML API multipart uploads\": no preconditions; If-Match is \
                     for reads",
                ),
            ],
            ..Self::cautious()
        }
    }

    /// Wasabi.
    pub const fn wasabi() -> Self {
        Self {
            name: Provider::Wasabi.name(),
            title: "Wasabi",
            hosts: &["wasabisys.com"],
            addressing: Addressing::Path,
            sources: &[(
                "addressing",
                "Wasabi, \"REST API introduction\": path style recommended",
            )],
            ..Self::cautious()
        }
    }

    /// A store of which only the endpoint is known: nothing it promises is taken on trust, and
    /// every limit is the smallest of the stores known (Alibaba OSS copies at most 1 GB in one
    /// request; Backblaze B2 counts its 5 GB in thousands).
    pub const fn strict() -> Self {
        Self {
            decodes_part_source_twice: true,
            sources: &[("decodes_part_source_twice", "Ceph 16 does")],
            ..Self::cautious()
        }
    }

    /// What every row but AWS's begins with: as [`Self::strict`], but for what a single server does
    /// and would cost all others.
    pub(super) const fn cautious() -> Self {
        let mut limits = Limits::aws();
        limits.part_size_max = 5 * GIB - 512 * MIB;
        limits.put_max = 5 * GIB - 512 * MIB;
        limits.copy_object_max = GB;
        Self {
            name: Provider::Other.name(),
            title: "any other",
            hosts: &[],
            server: None,
            addressing: Addressing::Host,
            region: REGION,
            limits,
            delete_many_max: DELETE_MANY_MAX,
            copy_conditions: Conditions::Unverified,
            write_conditions: Conditions::Unverified,
            delete_conditions: false,
            decodes_part_source_twice: false,
            forbid_overwrite: None,
            renames: false,
            listing: LISTING,
            size_check: SizeCheck::ByParts,
            multipart_etag: MultipartETag::Opaque,
            tagging: Tagging::None,
            markers: Markers::Unverified,
            sources: &[],
        }
    }
}
