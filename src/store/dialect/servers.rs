//! The table of providers goes on: servers that people run themselves.

use super::providers::TIB;
use super::{Addressing, Conditions, Dialect, Markers, MultipartETag, Tagging};
use crate::config::Provider;
use crate::limits::Limits;

impl Dialect {
    /// Ceph RADOS Gateway.
    pub const fn ceph() -> Self {
        Self {
            name: Provider::Ceph.name(),
            title: "Ceph RADOS Gateway",
            addressing: Addressing::Path,
            copy_conditions: Conditions::None,
            write_conditions: Conditions::AbsentOnly,
            decodes_part_source_twice: true,
            multipart_etag: MultipartETag::Numbered,
            sources: &[
                (
                    "copy_conditions",
                    "ceph/s3-tests, test_s3.py: fails_on_rgw for copy conditions; tracker 40808",
                ),
                (
                    "write_conditions, decodes_part_source_twice, tagging",
                    "seen with Ceph 16.2.15: 412 for any quoted ETag; a copy may lose tags",
                ),
                ("multipart_etag", "ceph/s3-tests, test_s3.py"),
            ],
            ..Self::cautious()
        }
    }

    /// Garage.
    pub const fn garage() -> Self {
        Self {
            name: Provider::Garage.name(),
            title: "Garage",
            addressing: Addressing::Path,
            region: "garage",
            copy_conditions: Conditions::Honoured,
            write_conditions: Conditions::None,
            multipart_etag: MultipartETag::Numbered,
            sources: &[
                ("copy_conditions", "Garage 1.2, src/api/s3/copy.rs: 412"),
                ("write_conditions", "Garage 1.2 has no code for them"),
                ("region", "Garage, \"Quick start\": s3_region = \"garage\""),
            ],
            ..Self::cautious()
        }
    }

    /// MinIO.
    pub const fn minio() -> Self {
        let mut limits = Limits::aws();
        limits.copy_object_max = 5 * TIB;
        limits.metadata_bytes_max = 1900;
        Self {
            name: Provider::Minio.name(),
            title: "MinIO",
            addressing: Addressing::Path,
            limits,
            copy_conditions: Conditions::Honoured,
            multipart_etag: MultipartETag::Numbered,
            tagging: Tagging::Offered,
            sources: &[
                (
                    "copy_object_max",
                    "minio/minio, cmd/object-multipart-handlers.go: 5 TiB",
                ),
                (
                    "metadata_bytes_max",
                    "seen with JuiceFS 1.4.2: x-amz-meta- counts",
                ),
                (
                    "copy_conditions",
                    "minio/minio, cmd/object-handlers-common.go: 412",
                ),
            ],
            ..Self::cautious()
        }
    }

    /// RustFS.
    pub const fn rustfs() -> Self {
        Self {
            name: Provider::Rustfs.name(),
            title: "RustFS",
            addressing: Addressing::Path,
            copy_conditions: Conditions::Honoured,
            sources: &[(
                "copy_conditions",
                "rustfs/rustfs, multipart_usecase.rs: 412",
            )],
            ..Self::cautious()
        }
    }

    /// SeaweedFS.
    pub const fn seaweedfs() -> Self {
        let mut limits = Self::cautious().limits;
        limits.backslash_is_slash = true;
        Self {
            name: Provider::Seaweedfs.name(),
            title: "SeaweedFS",
            server: Some("SeaweedFS "),
            addressing: Addressing::Path,
            limits,
            copy_conditions: Conditions::Honoured,
            delete_conditions: true,
            renames: true,
            markers: Markers::Directories,
            sources: &[
                ("server", "seen with SeaweedFS 4.48: SeaweedFS 8000GB 4.48"),
                (
                    "copy_conditions",
                    "seaweedfs/seaweedfs, s3api_object_handlers_copy.go: 412",
                ),
                (
                    "renames",
                    "seen with SeaweedFS 4.48: keeps ETag and metadata, 412 for its conditions",
                ),
                (
                    "delete_conditions",
                    "seen with SeaweedFS 4.48: 412, and PreconditionFailed in DeleteObjects",
                ),
                (
                    "backslash_is_slash",
                    "seen with SeaweedFS 4.48: a\\b is stored as a/b",
                ),
                (
                    "markers",
                    "seen with SeaweedFS 4.48: of metadata, tags and body of dir/ nothing is kept; \
                     seaweedfs issues 6611, 9810: emptied directories are listed for minutes",
                ),
            ],
            ..Self::cautious()
        }
    }
}
