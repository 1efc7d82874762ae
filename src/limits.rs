//! What a store allows in one request and one object, and the part sizes to aim at.
//! Data for the planner; knows no provider.

/// One mebibyte in bytes.
pub const MIB: u64 = 1 << 20;
/// One gibibyte in bytes.
pub const GIB: u64 = 1 << 30;

/// Whether and how a part may be copied from an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PartCopy {
    /// UploadPartCopy works and takes a range.
    Ranges,
    /// There is no UploadPartCopy (GCS, `rclone serve s3`): only whole objects can be copied, by
    /// CopyObject; all else is fetched and uploaded.
    None,
}

/// Sizes in bytes unless the name says otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Least size of a part that is not the last, copied or uploaded.
    pub part_size_min: u64,
    /// Largest part.
    pub part_size_max: u64,
    /// Most parts of one upload.
    pub part_count_max: u32,
    /// Whether all parts but the last must have one size (Cloudflare R2, error 10048).
    pub parts_equal: bool,
    /// Whether parts can be copied from objects.
    pub part_copy: PartCopy,
    /// Largest object that one CopyObject request copies.
    pub copy_object_max: u64,
    /// Largest object that one PutObject request stores.
    pub put_max: u64,
    /// Largest object.
    pub object_size_max: u64,
    /// A whole object up to this size is copied by one CopyObject; a larger one by parts in
    /// parallel, which takes less time. A choice, not a rule of the store.
    pub copy_object_preferred_max: u64,
    /// Size of a copied part to aim at. A choice, not a rule of the store.
    pub copy_part_size: u64,
    /// Size of an uploaded part to aim at. A choice, not a rule of the store.
    pub upload_part_size: u64,
}

impl Limits {
    /// The limits of AWS S3, which most servers share (Amazon S3 user guide, "Amazon S3
    /// multipart upload limits"): parts of 5 MiB to 5 GiB, 10,000 of them, one copy or PUT up to
    /// 5 GiB; 5 TiB an object is what every server known accepts.
    pub const fn aws() -> Self {
        Self {
            part_size_min: 5 * MIB,
            part_size_max: 5 * GIB,
            part_count_max: 10_000,
            parts_equal: false,
            part_copy: PartCopy::Ranges,
            copy_object_max: 5 * GIB,
            put_max: 5 * GIB,
            object_size_max: 5 * 1024 * GIB,
            copy_object_preferred_max: 256 * MIB,
            copy_part_size: 256 * MIB,
            upload_part_size: 8 * MIB,
        }
    }

    /// Size of the number-th part when the final size is not known.
    pub const fn eager_part_size(&self, _number: u32) -> u64 {
        self.upload_part_size
    }
}
