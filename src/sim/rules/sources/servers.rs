//! The same of the servers that people run themselves: their sources, and what was seen of them.

use super::{Sources, UNSTATED};

pub(in crate::sim::rules) const CEPH: Sources = &[
    (
        "requests.length_wanted",
        "ceph/ceph, rgw_rest_s3.cc, get_params: ERR_LENGTH_REQUIRED",
    ),
    (
        "requests.checksums",
        "seen with radosgw 16.2: a trailer is 400 XAmzContentSHA256Mismatch",
    ),
    (
        "requests.other_owner, requests.requester_pays",
        "ceph/ceph, rgw_rest_s3.cc reads no such header",
    ),
    (
        "writes.complete_conditions, writes.copy_conditions, writes.delete_conditions",
        "seen with radosgw 16.2: ignored",
    ),
    (
        "copies.object_conditions, copies.part_conditions",
        "seen with radosgw 16.2 and 20.2: ignored; tracker issue 40808",
    ),
    (
        "copies.ranges.suffix",
        "seen with radosgw 16.2 and 20.2: bytes=-5 is taken; tracker issue 40795",
    ),
    (
        "copies.ranged_source_refused_max",
        "seen with radosgw 16.2: any source",
    ),
    (
        "copies.cold_classes",
        "Ceph, \"Storage classes\": none has to be restored",
    ),
    (
        "uploads.all_parts_named",
        "ceph/ceph, rgw_op.cc: total_parts != part_etags.size(); seen with radosgw 16.2: 400",
    ),
    (
        "uploads.object_size",
        "ceph/ceph, rgw_rest_s3.cc reads no such header",
    ),
];

pub(in crate::sim::rules) const GARAGE: Sources = &[
    (
        "limits.part_size_min",
        "seen with Garage 2.5: a short part that is not the last is taken",
    ),
    (
        "limits.copy_object_max",
        "Garage, src/api/s3/copy.rs has no limit",
    ),
    (
        "requests.other_owner, requests.requester_pays",
        "Garage, src/api/s3 reads no such header",
    ),
    (
        "requests.tags, requests.versions",
        "seen with Garage 2.5: 501 NotImplemented",
    ),
    (
        "writes.put_conditions, writes.complete_conditions, writes.copy_conditions",
        "seen with Garage 2.5: ignored",
    ),
    ("writes.delete_conditions", "seen with Garage 2.5: ignored"),
    (
        "copies.ranges.clamped, copies.ranges.open, copies.ranges.suffix",
        "seen with Garage 2.5: bytes=1000-9999999 of 6,000,000 copies 5,999,000; bytes=5- and \
         bytes=-5 are taken",
    ),
    (
        "copies.ranged_source_refused_max",
        "seen with Garage 2.5: any source that is not kept inline",
    ),
    (
        "copies.part_source_refused_max",
        "Garage, src/api/s3/copy.rs: \"Source object is too small\" when it is kept inline, 3 KiB",
    ),
    ("copies.cold_classes", "Garage has one storage class"),
    (
        "uploads.object_size",
        "Garage, src/api/s3/multipart.rs reads no such header",
    ),
];

pub(in crate::sim::rules) const MINIO: Sources = &[
    (
        "limits.part_size_max, limits.put_max, limits.copy_object_max",
        "minio/minio, cmd/object-multipart-handlers.go: 5 TiB",
    ),
    (
        "requests.other_owner, requests.requester_pays",
        "minio/minio, cmd: reads no such header",
    ),
    (
        "writes.copy_conditions, writes.delete_conditions",
        "minio/minio, cmd: reads no such header",
    ),
    (
        "copies.ranged_source_refused_max",
        "minio/minio, cmd/copy-part-range.go: any source",
    ),
    (
        "copies.cold_classes",
        "minio/minio: STANDARD and REDUCED_REDUNDANCY",
    ),
    (
        "uploads.object_size",
        "minio/minio, cmd: reads no such header",
    ),
];

pub(in crate::sim::rules) const RUSTFS: Sources = &[
    (
        "requests.length_wanted",
        "s3s issue 751: a PUT without a length is refused",
    ),
    ("requests.other_owner, requests.requester_pays", UNSTATED),
    ("writes.copy_conditions, writes.delete_conditions", UNSTATED),
    (
        "copies.ranged_source_refused_max",
        "rustfs/rustfs, multipart_usecase.rs: any source",
    ),
    ("copies.cold_classes", UNSTATED),
    ("uploads.object_size", UNSTATED),
];

pub(in crate::sim::rules) const SEAWEEDFS: Sources = &[
    (
        "writes.renames",
        "seen with SeaweedFS 4.48: RenameObject keeps ETag, metadata and date; 412",
    ),
    ("requests.other_owner, requests.requester_pays", UNSTATED),
    (
        "requests.customer_keys",
        "seen with SeaweedFS 4.48: UploadPartCopy from or to SSE-C is 501",
    ),
    (
        "copies.ranges.bare",
        "seen with SeaweedFS 4.48: 0-5 is taken",
    ),
    (
        "copies.ranged_source_refused_max",
        "seen with SeaweedFS 4.48: any source",
    ),
    (
        "copies.cold_classes",
        "SeaweedFS has no storage class that has to be restored",
    ),
    ("uploads.object_size", UNSTATED),
    (
        "uploads.numbered_etag",
        "rclone, backend/s3/provider/SeaweedFS.yaml: use_multipart_etag: false",
    ),
];
