//! The same of the servers that people run themselves: their sources, and what was seen of them.

use super::{Sources, UNSTATED};

pub(in crate::sim::rules) const CEPH: Sources = &[
    (
        "requests.length_wanted",
        "ceph/ceph, rgw_rest_s3.cc, RGWPutObj_ObjStore_S3::get_params: ERR_LENGTH_REQUIRED; seen \
         with radosgw 16.2: 411 for PutObject and parts, and for no other",
    ),
    (
        "requests.checksums",
        "seen with radosgw 16.2: a trailer is 400 XAmzContentSHA256Mismatch",
    ),
    (
        "requests.other_owner, requests.requester_pays",
        "ceph/ceph, rgw_rest_s3.cc reads no such header",
    ),
    ("writes.copy_conditions", "seen with radosgw 20.2: ignored"),
    (
        "copies.object_conditions",
        "seen with radosgw 20.2: 412, and 304 for if-none-match",
    ),
    (
        "copies.part_conditions",
        "seen with radosgw 16.2 and 20.2: ignored; tracker issue 40808",
    ),
    (
        "copies.ranges.suffix",
        "seen with radosgw 16.2 and 20.2: bytes=-5 is taken, 16.2 copies six bytes from the \
         start; tracker issue 40795",
    ),
    (
        "copies.numbered_etag_kept",
        "seen with radosgw 16.2 and 20.2: a copy has the ETag of its source",
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
    (
        "uploads.ordered",
        "seen with radosgw 16.2 and 20.2: parts named in another order are taken, and sorted",
    ),
];

/// What each was seen to do is compared with sim by `tests/servers/answers.rs`.
pub(in crate::sim::rules) const CEPH_16: Sources = &[
    (
        "requests.length_wanted, requests.other_owner, requests.requester_pays",
        "seen with radosgw 16.2: 411 for PutObject and parts; any owner is taken; of payers \
         nothing is known",
    ),
    (
        "requests.checksums, requests.checksum_headers",
        "seen with radosgw 16.2: a trailer is 400 XAmzContentSHA256Mismatch, a header is ignored",
    ),
    (
        "requests.customer_keys, requests.customer_keys_refused",
        "seen with radosgw 16.2: 400 InvalidRequest without TLS",
    ),
    (
        "requests.storage_classes",
        "seen with radosgw 16.2: InvalidArgument for a class that was not set up",
    ),
    (
        "requests.tag_characters, requests.header_tag_characters",
        "seen with radosgw 16.2: a?b is taken",
    ),
    (
        "limits.metadata_bytes_max",
        "seen with radosgw 16.2: 8,000 bytes are kept",
    ),
    (
        "writes.put_conditions, writes.absent_is_412",
        "seen with radosgw 16.2: 412 for every quoted If-Match, right or not",
    ),
    (
        "writes.complete_conditions, writes.copy_conditions, writes.delete_conditions",
        "seen with radosgw 16.2: ignored",
    ),
    (
        "copies.object_conditions, copies.part_conditions",
        "seen with radosgw 16.2: ignored",
    ),
    (
        "copies.ranges.suffix",
        "seen with radosgw 16.2: bytes=-5 copies six bytes from the start",
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
        "copies.numbered_etag_kept",
        "seen with radosgw 16.2: a copy has the ETag of its source",
    ),
    (
        "copies.part_source_decoded_twice",
        "seen with radosgw 16.2: a part copied from a%2541 has the bytes of aA",
    ),
    (
        "copies.tags",
        "seen with radosgw 16.2: none with x-amz-metadata-directive REPLACE, the source's else",
    ),
    (
        "uploads.all_parts_named, uploads.object_size, uploads.ordered",
        "seen with radosgw 16.2: InvalidPart, ignored, sorted",
    ),
    (
        "uploads.etag_told",
        "seen with radosgw 16.2: CompleteMultipartUploadResult with an empty ETag",
    ),
    ("uploads.tags", "seen with radosgw 16.2: none come back"),
    (
        "uploads.gone_to_complete",
        "seen with radosgw 16.2: 500 InternalError",
    ),
    (
        "lists.upload_keys",
        "seen with radosgw 16.2: encoded, without an EncodingType",
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
        "copies.numbered_etag_kept",
        "seen with Garage 2.5: a copy has the ETag of its source",
    ),
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

pub(in crate::sim::rules) const JUICEFS: Sources = &[
    (
        "limits.part_size_max, limits.put_max, limits.copy_object_max",
        "as of MinIO",
    ),
    (
        "limits.part_size_min",
        "seen with JuiceFS 1.4.2: a short part that is not the last is taken",
    ),
    (
        "writes.slashes_merge",
        "seen with JuiceFS 1.4.2: a PUT of a//b is listed as a/b",
    ),
    (
        "writes.marker_headers",
        "seen with JuiceFS 1.4.2: a directory has neither metadata nor a type of its own",
    ),
    (
        "requests.checksums, requests.checksum_headers",
        "seen with JuiceFS 1.4.2: a trailer is 400 XAmzContentSHA256Mismatch, a header is ignored",
    ),
    (
        "requests.other_owner, requests.requester_pays",
        "seen with JuiceFS 1.4.2: another owner is taken; of payers nothing is known",
    ),
    (
        "requests.versions",
        "seen with JuiceFS 1.4.2: 501 NotImplemented",
    ),
    (
        "requests.customer_keys, requests.customer_keys_refused",
        "seen with JuiceFS 1.4.2: 400 InvalidRequest without TLS",
    ),
    (
        "requests.storage_classes",
        "seen with JuiceFS 1.4.2: InvalidStorageClass",
    ),
    (
        "requests.tag_characters, requests.header_tag_characters",
        "seen with JuiceFS 1.4.2: a?b is taken",
    ),
    (
        "requests.metadata_names_whole",
        "seen with JuiceFS 1.4.2: 2,037 bytes under one name fit, 2,020 under four do not",
    ),
    (
        "writes.put_conditions, writes.complete_conditions, writes.copy_conditions",
        "seen with JuiceFS 1.4.2: ignored",
    ),
    (
        "writes.delete_conditions",
        "seen with JuiceFS 1.4.2: ignored",
    ),
    (
        "writes.delete_wants_md5",
        "seen with JuiceFS 1.4.2: MissingContentMD5",
    ),
    (
        "writes.delete_keys_max",
        "seen with JuiceFS 1.4.2: 1,001 keys are taken",
    ),
    (
        "writes.dropped_headers",
        "seen with JuiceFS 1.4.2: these three do not come back",
    ),
    (
        "writes.paths",
        "seen with JuiceFS 1.4.2: 500 for f/a/b beside f/a, and for f",
    ),
    (
        "copies.ranged_source_refused_max, uploads.object_size",
        "seen with JuiceFS 1.4.2: any source, and any size",
    ),
    (
        "copies.cold_classes",
        "seen with JuiceFS 1.4.2: STANDARD is the one class",
    ),
    (
        "copies.numbered_etag_kept",
        "seen with JuiceFS 1.4.2: a copy has the ETag of its source",
    ),
    (
        "answers.directory_etags",
        "seen with JuiceFS 1.4.2: none from PUT and HEAD, an empty one in listings",
    ),
    (
        "copies.directory",
        "seen with JuiceFS 1.4.2: 412 for any if-match, else 500 InternalError",
    ),
];

pub(in crate::sim::rules) const MOTO: Sources = &[
    (
        "limits.metadata_bytes_max",
        "seen with moto 5.2.5: 8,000 bytes are kept",
    ),
    ("requests.other_owner", "seen with moto 5.2.5: any is taken"),
    (
        "requests.digests",
        "seen with moto 5.2.5: the Content-MD5 of another body is taken",
    ),
    (
        "writes.complete_conditions",
        "seen with moto 5.2.5: 412 for If-None-Match, If-Match ignored",
    ),
    ("writes.copy_conditions", "seen with moto 5.2.5: ignored"),
    (
        "writes.delete_many_conditions",
        "seen with moto 5.2.5: an entity tag is ignored",
    ),
    (
        "writes.delete_keys_max",
        "seen with moto 5.2.5: 1,001 keys are taken",
    ),
    (
        "copies.object_conditions",
        "seen with moto 5.2.5: 412 for if-none-match, others ignored",
    ),
    ("copies.part_conditions", "seen with moto 5.2.5: ignored"),
    (
        "copies.ranges",
        "seen with moto 5.2.5: cut at the end, empty beyond it, 0-5 taken, others whole",
    ),
    (
        "copies.ranged_source_refused_max",
        "seen with moto 5.2.5: any source",
    ),
    (
        "uploads.object_size, uploads.ordered",
        "seen with moto 5.2.5: ignored; parts named in another order are sorted",
    ),
    (
        "uploads.gone_to_part, uploads.gone_to_complete",
        "seen with moto 5.2.5: 500",
    ),
    (
        "lists.upload_keys",
        "seen with moto 5.2.5: not encoded, and not said to be",
    ),
    (
        "answers.parts_root",
        "seen with moto 5.2.5: the root element is ListPartsResponse",
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
        "limits.metadata_bytes_max",
        "seen with SeaweedFS 4.48: 8,000 bytes are kept",
    ),
    (
        "limits.backslash_is_slash",
        "seen with SeaweedFS 4.48: a PUT of a\\b is listed as a/b",
    ),
    (
        "writes.slashes_merge",
        "seen with SeaweedFS 4.48: a PUT of a//b is listed as a/b",
    ),
    (
        "writes.absent_is_412",
        "seen with SeaweedFS 4.48: 412 for If-Match where nothing is",
    ),
    (
        "writes.directories, writes.marker_headers",
        "seen with SeaweedFS 4.48; seaweedfs issues 6611 and 9810: emptied ones go after minutes",
    ),
    (
        "copies.numbered_etag_kept, copies.class_kept",
        "seen with SeaweedFS 4.48: a copy has the ETag and the class of its source",
    ),
    ("answers.server", "seen with SeaweedFS 4.48"),
    (
        "copies.directory",
        "seen with SeaweedFS 4.48: 404 for m/, though HEAD finds it",
    ),
    (
        "requests.header_tag_characters",
        "seen with SeaweedFS 4.48: a?b is taken in x-amz-tagging, not by PutObjectTagging",
    ),
    (
        "lists.order",
        "seen with SeaweedFS 4.48: a/b is listed before a.txt",
    ),
    (
        "lists.upload_keys",
        "seen with SeaweedFS 4.48: not encoded, and said to be",
    ),
];
