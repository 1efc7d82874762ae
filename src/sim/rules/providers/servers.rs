//! The rules go on: servers that people run themselves, by their sources, and four of them as they
//! were seen.

use super::super::{
    Conditions, CopiedTags, CustomerKeys, LengthWanted, MarkerHeaders, Order, Refusal, Rules,
    Suffix, UploadKeys, sources,
};
use super::{KIB, TIB};

impl Rules {
    /// Ceph RADOS Gateway.
    pub const fn ceph() -> Self {
        let mut rules = Self::aws();
        rules.name = "ceph";
        rules.requests.length_wanted = LengthWanted::ByBodies;
        rules.requests.checksums = Some(Refusal::new(400, "XAmzContentSHA256Mismatch"));
        rules.requests.other_owner = None;
        rules.requests.requester_pays = false;
        rules.writes.copy_conditions = Conditions::Ignored;
        rules.copies.object_conditions = Conditions::KeptNotModified;
        rules.copies.part_conditions = Conditions::Ignored;
        rules.copies.ranges.suffix = Suffix::FromStart;
        rules.copies.ranged_source_refused_max = 0;
        rules.copies.cold_classes = &[];
        rules.copies.numbered_etag_kept = true;
        rules.uploads.all_parts_named = true;
        rules.uploads.object_size = false;
        rules.uploads.ordered = false;
        rules.sources = sources::CEPH;
        rules
    }

    /// Ceph RADOS Gateway 16.2.15.
    pub const fn ceph_16() -> Self {
        let mut rules = Self::ceph();
        rules.name = "ceph 16";
        rules.limits.metadata_bytes_max = u64::MAX;
        rules.requests.checksum_headers = true;
        rules.requests.customer_keys = CustomerKeys::None;
        rules.requests.customer_keys_refused = Refusal::new(400, "InvalidRequest");
        rules.requests.storage_classes = Some(Refusal::new(400, "InvalidArgument"));
        rules.requests.tag_characters = false;
        rules.requests.header_tag_characters = false;
        rules.writes.put_conditions = Conditions::QuotedNever;
        rules.writes.complete_conditions = Conditions::Ignored;
        rules.writes.delete_conditions = Conditions::Ignored;
        rules.writes.absent_is_412 = true;
        rules.copies.object_conditions = Conditions::Ignored;
        rules.copies.part_source_decoded_twice = true;
        rules.copies.tags = CopiedTags::WithMetadata;
        rules.uploads.etag_told = false;
        rules.uploads.tags = false;
        rules.uploads.gone_to_complete = Refusal::new(500, "InternalError");
        rules.lists.upload_keys = UploadKeys::EncodedUnsaid;
        rules.sources = sources::CEPH_16;
        rules
    }

    /// Garage.
    pub const fn garage() -> Self {
        let mut rules = Self::aws();
        rules.name = "garage";
        rules.limits.part_size_min = 0;
        rules.limits.copy_object_max = 5 * TIB;
        rules.requests.other_owner = None;
        rules.requests.requester_pays = false;
        rules.requests.tags = false;
        rules.requests.versions = false;
        rules.writes.put_conditions = Conditions::Ignored;
        rules.writes.complete_conditions = Conditions::Ignored;
        rules.writes.copy_conditions = Conditions::Ignored;
        rules.writes.delete_conditions = Conditions::Ignored;
        rules.copies.ranges.clamped = true;
        rules.copies.ranges.open = true;
        rules.copies.ranges.suffix = Suffix::Last;
        rules.copies.ranged_source_refused_max = 0;
        rules.copies.part_source_refused_max = Some(3 * KIB);
        rules.copies.cold_classes = &[];
        rules.copies.numbered_etag_kept = true;
        rules.uploads.object_size = false;
        rules.sources = sources::GARAGE;
        rules
    }

    /// MinIO.
    pub const fn minio() -> Self {
        let mut rules = Self::aws();
        rules.name = "minio";
        rules.limits.part_size_max = 5 * TIB;
        rules.limits.put_max = 5 * TIB;
        rules.limits.copy_object_max = 5 * TIB;
        rules.requests.other_owner = None;
        rules.requests.requester_pays = false;
        rules.writes.copy_conditions = Conditions::Ignored;
        rules.writes.delete_conditions = Conditions::Ignored;
        rules.copies.ranged_source_refused_max = 0;
        rules.copies.cold_classes = &[];
        rules.uploads.object_size = false;
        rules.sources = sources::MINIO;
        rules
    }

    /// The gateway of JuiceFS 1.4.2: MinIO's front end of 2022 over a filesystem.
    pub const fn juicefs() -> Self {
        let mut rules = Self::minio();
        rules.name = "juicefs";
        rules.limits.part_size_min = 0;
        rules.requests.checksums = Some(Refusal::new(400, "XAmzContentSHA256Mismatch"));
        rules.requests.versions = false;
        rules.requests.checksum_headers = true;
        rules.requests.customer_keys = CustomerKeys::None;
        rules.requests.customer_keys_refused = Refusal::new(400, "InvalidRequest");
        rules.requests.storage_classes = Some(Refusal::new(400, "InvalidStorageClass"));
        rules.requests.tag_characters = false;
        rules.requests.header_tag_characters = false;
        rules.requests.metadata_names_whole = true;
        rules.writes.put_conditions = Conditions::Ignored;
        rules.writes.complete_conditions = Conditions::Ignored;
        rules.writes.delete_wants_md5 = true;
        rules.writes.delete_keys_max = usize::MAX;
        rules.writes.dropped_headers = &["content-encoding", "content-language", "expires"];
        rules.writes.paths = Some(Refusal::new(500, "InternalError"));
        rules.writes.slashes_merge = true;
        rules.writes.marker_headers = MarkerHeaders::None;
        rules.copies.numbered_etag_kept = true;
        rules.copies.directory = Some(Refusal::new(500, "InternalError"));
        rules.answers.directory_etags = false;
        rules.sources = sources::JUICEFS;
        rules
    }

    /// moto 5.2.5, which pretends to be AWS.
    pub const fn moto() -> Self {
        let mut rules = Self::aws();
        rules.name = "moto";
        rules.limits.metadata_bytes_max = u64::MAX;
        rules.requests.other_owner = None;
        rules.requests.digests = false;
        rules.writes.complete_conditions = Conditions::NoneMatchOnly;
        rules.writes.copy_conditions = Conditions::Ignored;
        rules.writes.delete_keys_max = usize::MAX;
        rules.writes.delete_many_conditions = false;
        rules.copies.object_conditions = Conditions::NoneMatchOnly;
        rules.copies.part_conditions = Conditions::Ignored;
        rules.copies.ranges.clamped = true;
        rules.copies.ranges.bare = true;
        rules.copies.ranges.beyond_is_empty = true;
        rules.copies.ranges.odd_is_whole = true;
        rules.copies.ranged_source_refused_max = 0;
        rules.uploads.object_size = false;
        rules.uploads.ordered = false;
        rules.uploads.gone_to_part = Refusal::new(500, "InternalError");
        rules.uploads.gone_to_complete = Refusal::new(500, "InternalError");
        rules.lists.upload_keys = UploadKeys::Plain;
        rules.answers.parts_root = "ListPartsResponse";
        rules.sources = sources::MOTO;
        rules
    }

    /// RustFS.
    pub const fn rustfs() -> Self {
        let mut rules = Self::aws();
        rules.name = "rustfs";
        rules.requests.length_wanted = LengthWanted::Always;
        rules.requests.other_owner = None;
        rules.requests.requester_pays = false;
        rules.writes.copy_conditions = Conditions::Ignored;
        rules.writes.delete_conditions = Conditions::Ignored;
        rules.copies.ranged_source_refused_max = 0;
        rules.copies.cold_classes = &[];
        rules.uploads.object_size = false;
        rules.sources = sources::RUSTFS;
        rules
    }

    /// SeaweedFS.
    pub const fn seaweedfs() -> Self {
        let mut rules = Self::aws();
        rules.name = "seaweedfs";
        rules.limits.metadata_bytes_max = u64::MAX;
        rules.limits.backslash_is_slash = true;
        rules.requests.other_owner = None;
        rules.requests.requester_pays = false;
        rules.requests.customer_keys = CustomerKeys::NotForPartCopies;
        rules.requests.header_tag_characters = false;
        rules.writes.renames = true;
        rules.writes.absent_is_412 = true;
        rules.writes.slashes_merge = true;
        rules.writes.directories = true;
        rules.writes.marker_headers = MarkerHeaders::Type;
        rules.copies.ranges.bare = true;
        rules.copies.ranged_source_refused_max = 0;
        rules.copies.cold_classes = &[];
        rules.copies.numbered_etag_kept = true;
        rules.copies.class_kept = true;
        rules.copies.directory = Some(Refusal::new(404, "NoSuchKey"));
        rules.uploads.object_size = false;
        rules.lists.order = Order::ByPath;
        rules.lists.upload_keys = UploadKeys::PlainSaid;
        rules.answers.server = Some("SeaweedFS 8000GB 4.48");
        rules.sources = sources::SEAWEEDFS;
        rules
    }
}
