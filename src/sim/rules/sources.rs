//! Where the rules of each provider are written, field by field: document, then section or the
//! words themselves. Decides nothing.

mod servers;

pub(super) use servers::*;

pub(super) type Sources = &'static [(&'static str, &'static str)];

/// Nothing in the provider's documents speaks of it.
const UNSTATED: &str = "no document of the provider tells of it, so the worst is assumed";

pub(super) const AWS: Sources = &[
    (
        "limits",
        "Amazon S3 user guide, \"Amazon S3 multipart upload limits\"",
    ),
    (
        "requests",
        "Amazon S3 API reference, \"Common request headers\"; CopyPartRequest, \
         ExpectedBucketOwner and ExpectedSourceBucketOwner: 403 when the owner is another",
    ),
    (
        "writes",
        "Amazon S3 user guide, \"Conditional requests\"; DeleteObjects: 1,000 keys, \
         Content-MD5 or a checksum",
    ),
    (
        "copies",
        "CopyPartRequest, ETagToMatch and three more: 412; UploadPartCopy, \
         x-amz-copy-source-range: \"bytes=first-last\", \"only if the source object is \
         greater than 5 MB\"; x-amz-copy-source: a delete marker is 404, or 400 by its \
         version; CopyObject, ObjectNotInActiveTierError: 403",
    ),
    (
        "uploads",
        "CompleteMultipartUpload: x-amz-mp-object-size, 400 when it is another",
    ),
    ("lists", "ListObjectsV2: UTF-8 binary order"),
    (
        "answers",
        "CopyObject: \"a 200 OK response can contain either a success or an error\"",
    ),
];

pub(super) const EXPRESS: Sources = &[
    (
        "writes.appends",
        "Amazon S3 user guide, \"Appending data to objects in directory buckets\"; PutObject, \
         x-amz-write-offset-bytes: the object's size, else 400 InvalidWriteOffset",
    ),
    (
        "requests.no_session",
        "Amazon S3 user guide, \"Authorizing Zonal endpoint API operations with \
         CreateSession\": all but CopyObject and HeadBucket; UploadPartCopy: IAM credentials; the \
         code of the 403 is nowhere stated",
    ),
    (
        "requests.other_region",
        "CopyPartRequest: \"isn't supported when the source or destination bucket is in Amazon Web \
         Services Local Zones\", 400; of other zones nothing is stated",
    ),
    (
        "writes.renames",
        "Amazon S3 user guide, \"Renaming objects in directory buckets\": by RenameObject; not of \
         objects whose keys end in a slash",
    ),
    (
        "limits.put_max, limits.copy_object_max",
        "Amazon S3 user guide, \"Working with objects in a directory bucket\": 5 GB",
    ),
    (
        "requests.path_style",
        "CopyPartRequest, DestinationBucket: \"Path-style requests are not supported\"; \
         the status is nowhere stated",
    ),
    (
        "requests.tags",
        "CopyObject, x-amz-tagging: any but the empty tag set is 501",
    ),
    (
        "requests.versions",
        "Amazon S3 user guide, \"Differences for directory buckets\": no S3 Versioning",
    ),
    (
        "requests.customer_keys",
        "CopyPartRequest: \"only server-side encryption with Amazon S3 managed keys\"",
    ),
    (
        "copies.cold_classes",
        "Amazon S3 user guide, \"Differences for directory buckets\": one storage class",
    ),
    (
        "uploads.consecutive",
        "CompleteMultipartUpload: \"consecutive part numbers\" that start at 1",
    ),
    (
        "uploads.numbered_etag",
        "rclone, backend/s3: ETags of directory buckets are random",
    ),
    (
        "lists.order, lists.delimiter",
        "ListObjectsV2: \"does not return objects in lexicographical order\"; only `/`, \
         prefixes that end in it, and prefixes of uploads in progress",
    ),
];

pub(super) const OSS: Sources = &[
    (
        "requests.other_region",
        "OSS, UploadPartCopy, usage notes: \"must be located within the same region\"; the code is \
         nowhere stated",
    ),
    (
        "limits.part_size_min, limits.part_size_max",
        "OSS, UploadPartCopy, usage notes: parts larger than 100 KB, looked at by \
         CompleteMultipartUpload only; \"Limits\": 5 GB a part",
    ),
    ("limits.put_max", "OSS, PutObject: 5 GB"),
    (
        "limits.copy_object_max",
        "OSS, UploadPartCopy, usage notes: \"larger than 1 GB, use UploadPartCopy\"",
    ),
    (
        "requests.path_style, requests.dotted_buckets, requests.checksums",
        "OSS, \"Use Amazon S3 SDKs to access OSS\": virtual hosts only, \
         SecondLevelDomainForbidden; no dots; aws-chunked is 400 (0017-00000804)",
    ),
    (
        "requests.other_owner, requests.requester_pays, requests.customer_keys",
        "OSS, UploadPartCopy, request headers: there are none for these",
    ),
    (
        "writes.put_conditions, writes.complete_conditions, writes.copy_conditions",
        "walgit issue 67: 501 NotImplemented for If-None-Match and If-Match",
    ),
    ("writes.delete_conditions", UNSTATED),
    (
        "writes.forbid_overwrite",
        "OSS, PutObject, x-oss-forbid-overwrite: 409 FileAlreadyExists; no effect with versioning",
    ),
    (
        "writes.delete_wants_md5",
        "OSS, DeleteMultipleObjects: Content-MD5 is required",
    ),
    (
        "copies.object_conditions, copies.part_conditions",
        "OSS, UploadPartCopy, x-oss-copy-source-if-match: 412; if-none-match and \
         if-modified-since: 304 Not Modified",
    ),
    (
        "copies.ranges.odd_is_whole",
        "OSS, UploadPartCopy, x-oss-copy-source-range: \"If the specified range does not conform \
         to the range conventions, OSS copies the entire object\"",
    ),
    (
        "copies.ranged_source_refused_max",
        "OSS, UploadPartCopy, sample of a range; no least source is stated",
    ),
    (
        "copies.cold, copies.cold_classes",
        "OSS, UploadPartCopy, error codes: OperationNotSupported, 400, storage class of Archive",
    ),
    ("uploads.object_size", "OSS has no such header"),
    (
        "uploads.numbered_etag",
        "rclone, backend/s3/provider/Alibaba.yaml: use_multipart_etag: false",
    ),
    (
        "answers.stamps, answers.capital_etags",
        "OSS, UploadPartCopy, sample responses: \"2014-07-17T06:27:54.000Z \" and \
         \"5B3C1A2E053D763E1B002CC607C5****\"",
    ),
];

pub(super) const COS: Sources = &[
    (
        "limits.part_size_min, limits.part_size_max",
        "COS, Upload Part - Copy, overview: \"each part should be 1 MB to 5 GB\"",
    ),
    (
        "limits.put_max, limits.copy_object_max",
        "COS, PUT Object and PUT Object - Copy: 5 GB",
    ),
    (
        "requests.other_owner, requests.requester_pays, requests.customer_keys",
        "COS, Upload Part - Copy, request headers: there are none for these",
    ),
    (
        "writes.put_conditions, writes.complete_conditions, writes.copy_conditions",
        UNSTATED,
    ),
    ("writes.delete_conditions", UNSTATED),
    (
        "writes.forbid_overwrite",
        "opendal, core/services/cos: x-cos-forbid-overwrite, only if versioning was never enabled",
    ),
    (
        "writes.delete_wants_md5",
        "COS, DELETE Multiple Objects: Content-MD5 is required",
    ),
    (
        "copies.ranged_source_refused_max",
        "COS, Upload Part - Copy, x-cos-copy-source-range: \"bytes=0-9\" means the first 10 bytes",
    ),
    (
        "copies.cold_classes",
        "COS, \"Storage class overview\": ARCHIVE has to be restored; the code is AWS's",
    ),
    ("uploads.object_size", "COS has no such header"),
    (
        "uploads.numbered_etag",
        "rclone, backend/s3/provider/TencentCOS.yaml: use_multipart_etag: false",
    ),
    (
        "lists.v2",
        "rclone, backend/s3/provider/TencentCOS.yaml: list_version: 1",
    ),
    (
        "lists.lag",
        "COS, GET Bucket: \"may not include the newly uploaded object\"",
    ),
    (
        "answers.stamps",
        "COS, Upload Part - Copy, response body: 2017-09-04T04:45:45",
    ),
];

pub(super) const OBS: Sources = &[
    ("requests.other_region", UNSTATED),
    (
        "limits.part_size_max",
        "OTC OBS, Upload Part - Copy, error responses: more than 5 GB is 400",
    ),
    (
        "limits.put_max, limits.copy_object_max",
        "OBS, PUT Object and Copy Object: 5 GB",
    ),
    (
        "requests.checksums",
        "milvus-storage pull request 500: XAmzContentSHA256Mismatch",
    ),
    (
        "requests.other_owner, requests.requester_pays",
        "OTC OBS, Upload Part - Copy, table 2 has no header for these",
    ),
    (
        "writes.put_conditions, writes.complete_conditions, writes.copy_conditions",
        UNSTATED,
    ),
    ("writes.delete_conditions", UNSTATED),
    (
        "writes.delete_wants_md5",
        "OBS, Deleting Objects in Batches: Content-MD5 is mandatory",
    ),
    (
        "copies.object_conditions, copies.part_conditions",
        "OTC OBS, Upload Part - Copy, table 2 has no conditions",
    ),
    (
        "copies.ranges",
        "OTC OBS, Upload Part - Copy, x-amz-copy-source-range: bytes (start-end); of others \
         nothing is stated",
    ),
    (
        "copies.ranged_source_refused_max",
        "OTC OBS, Upload Part - Copy states no least source",
    ),
    ("copies.marker_named", UNSTATED),
    (
        "copies.cold_classes",
        "OTC OBS, Upload Part - Copy, \"OBS Cold Objects\": 403 InvalidObjectState",
    ),
    ("uploads.object_size", "OBS has no such header"),
    (
        "lists.v2, lists.encoding",
        "rclone, backend/s3/provider/HuaweiOBS.yaml: list_version 1; \"if turn on the \
         urlEncodeListing, marker will not work and keep list same page forever\"",
    ),
    (
        "answers.stamps",
        "OTC OBS, Upload Part - Copy, sample response: 2009-10-28T22:32:00",
    ),
    (
        "answers.broken",
        "OTC OBS, Upload Part - Copy, important: \"succeeds only when the body has ETags\"",
    ),
];

pub(super) const NCLOUD: Sources = &[
    ("requests.other_region", UNSTATED),
    (
        "limits.put_max, limits.copy_object_max, limits.object_size_max",
        "Ncloud Storage API guide: requests of 5 GB, objects of 5 TB",
    ),
    (
        "requests.other_owner, requests.requester_pays",
        "Ncloud Storage, UploadPartCopy, request headers: there are none for these",
    ),
    ("requests.tags", UNSTATED),
    (
        "writes.put_conditions, writes.complete_conditions, writes.copy_conditions",
        UNSTATED,
    ),
    (
        "writes.delete_conditions, writes.delete_wants_md5",
        UNSTATED,
    ),
    (
        "copies.object_conditions, copies.part_conditions",
        "Ncloud Storage, UploadPartCopy, request headers: no conditions",
    ),
    (
        "copies.ranges, copies.ranged_source_refused_max",
        "Ncloud Storage, UploadPartCopy: \"Range of bytes to copy from the source\", no form, no \
         least source",
    ),
    (
        "copies.cold_classes",
        "Ncloud Storage, UploadPartCopy, x-amz-storage-class; the error is nowhere stated",
    ),
    ("uploads.consecutive, uploads.all_parts_named", UNSTATED),
    ("uploads.object_size, uploads.numbered_etag", UNSTATED),
    (
        "lists.delimiter, lists.encoding, lists.order",
        "Ncloud Storage, ListObjectsV2, query parameters: no delimiter, no encoding-type, no order",
    ),
];

pub(super) const R2: Sources = &[
    (
        "limits.part_size_max, limits.put_max, limits.copy_object_max, limits.object_size_max",
        "R2, \"Limits\": 4.995 GiB a part or upload, 4.995 TiB an object",
    ),
    (
        "limits.parts_equal",
        "R2, \"Error codes\": 10048 InvalidPart, all parts but the last have the same length",
    ),
    (
        "requests.other_owner, requests.requester_pays, requests.tags, requests.versions",
        "R2, \"S3 API compatibility\": not implemented",
    ),
    (
        "requests.write_interval",
        "R2, \"Limits\": one write a second of the same key, 429 TooManyRequests",
    ),
    (
        "writes.complete_conditions, writes.copy_conditions, writes.delete_conditions",
        "R2, \"S3 API compatibility\" lists conditions for PutObject alone",
    ),
    (
        "writes.delete_keys_max",
        "opendal, core/services/s3: more than 700 keys answer Internal Error",
    ),
    (
        "copies.part_conditions",
        "R2, \"S3 API compatibility\", UploadPartCopy: the four conditions are not implemented",
    ),
    (
        "copies.ranged_source_refused_max",
        "R2, \"S3 API compatibility\" states no least source",
    ),
    (
        "copies.cold_classes",
        "R2, \"Storage classes\": Infrequent Access is read at once",
    ),
    (
        "uploads.object_size",
        "R2, \"S3 API compatibility\" does not list it",
    ),
];

pub(super) const B2: Sources = &[
    ("requests.other_region", UNSTATED),
    (
        "limits.part_size_max, limits.put_max",
        "Backblaze, \"S3-Compatible API\": 5 GB",
    ),
    (
        "limits.copy_object_max",
        "rclone, backend/s3: 5 GB are counted in thousands",
    ),
    (
        "requests.checksums",
        "pingvin-share issue 798: Unsupported header 'x-amz-checksum-crc32'",
    ),
    (
        "requests.requester_pays, requests.tags",
        "Backblaze, \"S3-Compatible API\": no object tags; requester pays is stated nowhere",
    ),
    (
        "writes.put_conditions, writes.complete_conditions, writes.copy_conditions",
        "obsidian-s3-sync pull request 84: 501 NotImplemented",
    ),
    ("writes.delete_conditions", UNSTATED),
    (
        "copies.ranged_source_refused_max",
        "Backblaze, \"S3-Compatible API\" states no least source",
    ),
    (
        "copies.cold_classes",
        "Backblaze, \"S3-Compatible API\": STANDARD is the one storage class",
    ),
    ("uploads.object_size, uploads.numbered_etag", UNSTATED),
];

pub(super) const GCS: Sources = &[
    (
        "limits.copy_object_max",
        "rclone, backend/s3/provider/GCS.yaml: copy_cutoff is the maximum",
    ),
    (
        "requests.length_wanted",
        "aws-sdk-rust issue 715: 411 MissingContentLength",
    ),
    (
        "requests.operation_id, requests.signed_accept_encoding",
        "rclone, backend/s3/provider/GCS.yaml: use_x_id: false, sign_accept_encoding: false",
    ),
    (
        "requests.checksums",
        "rclone, backend/s3/providers.go: no integrity protections but with AWS",
    ),
    (
        "requests.other_owner, requests.requester_pays, requests.tags",
        "Cloud Storage XML API, \"Request headers\": there are none for these",
    ),
    (
        "requests.versions, requests.customer_keys",
        "Cloud Storage XML API: generations and x-goog-encryption-* instead",
    ),
    (
        "writes.put_conditions, writes.complete_conditions, writes.copy_conditions",
        "Cloud Storage, \"XML API multipart uploads\": \"Preconditions are not supported\"; \
         x-goog-if-generation-match for objects",
    ),
    ("writes.delete_conditions", UNSTATED),
    (
        "copies.object_conditions, copies.part_conditions",
        "Cloud Storage XML API, PUT object: x-goog-copy-source-if-*; those of x-amz-: stated \
         nowhere, the worst is assumed",
    ),
    (
        "copies.part_copies",
        "rclone, backend/s3/provider/GCS.yaml: \"GCS S3 doesn't support multi-part server side \
         copy\"; what it answers is stated nowhere, the worst is assumed",
    ),
    (
        "copies.cold_classes",
        "Cloud Storage, \"Storage classes\": Archive is read at once",
    ),
    (
        "uploads.object_size, uploads.numbered_etag",
        "Cloud Storage, \"XML API multipart uploads\": no MD5 of objects made of parts",
    ),
];

pub(super) const WASABI: Sources = &[
    ("requests.other_region", UNSTATED),
    (
        "requests.other_owner, requests.requester_pays, requests.customer_keys",
        UNSTATED,
    ),
    (
        "writes.put_conditions, writes.complete_conditions, writes.copy_conditions",
        UNSTATED,
    ),
    ("writes.delete_conditions", UNSTATED),
    ("copies.object_conditions, copies.part_conditions", UNSTATED),
    (
        "copies.cold_classes",
        "Wasabi, \"REST API introduction\": one storage class",
    ),
    ("uploads.object_size", UNSTATED),
];
