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

/// How many times `upload_part_size` the parts of an upload of unknown size are where all must be
/// equal. With 8 MiB that is 32 MiB, so that 10,000 parts hold 312 GiB; larger ones would reach
/// further, but each is held in memory, and small files would wait longer for their first part.
const EAGER_EQUAL_FACTOR: u64 = 4;

/// Sizes in bytes unless the name says otherwise.
///
/// The largest part must have at least twice the bytes of the least (in every store known it is
/// hundreds of times as large): then any run no shorter than the least part can be cut into parts.
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
    /// Most bytes that one request adds to the end of an object in its place, which keeps its
    /// headers; 0 where no request does.
    pub append_max: u64,
    /// Largest object.
    pub object_size_max: u64,
    /// Most bytes of user metadata, names (without `x-amz-meta-`) and values together (Amazon S3
    /// user guide, "Working with object metadata": 2 KB, the sum of the bytes in the UTF-8
    /// encoding of each key and value). No store known takes less.
    pub metadata_bytes_max: u64,
    /// Whether a backslash in a key is a slash: then no key has one.
    pub backslash_is_slash: bool,
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
            append_max: 0,
            object_size_max: 5 * 1024 * GIB,
            metadata_bytes_max: 2048,
            backslash_is_slash: false,
            copy_object_preferred_max: 256 * MIB,
            copy_part_size: 256 * MIB,
            upload_part_size: 8 * MIB,
        }
    }

    /// Bytes of part `number` (1-based) of an upload begun before the file's size is known.
    ///
    /// Starts at `upload_part_size` and doubles, after equal numbers of parts and as seldom as
    /// will do, so that `part_count_max` parts hold `object_size_max` bytes: with the limits of
    /// AWS every 1,000 parts. Where parts must be equal it is constant, and reaches as far as four
    /// times `upload_part_size` does; a longer file has to be refused, or planned at its end.
    pub fn eager_part_size(&self, number: u32) -> u64 {
        let count_max = u64::from(self.part_count_max).max(1);
        let even = self.object_size_max.div_ceil(count_max);
        let first = self.within_part(self.upload_part_size);
        if self.parts_equal {
            return first.max(self.within_part(even.min(first.saturating_mul(EAGER_EQUAL_FACTOR))));
        }
        for steps in 1..=count_max.min(u64::from(u64::BITS)) {
            let growth = Growth {
                first,
                most: self.part_size_max,
                step_parts: count_max / steps,
            };
            if growth.reach(count_max) >= self.object_size_max {
                return growth.part_size(u64::from(number.saturating_sub(1)));
            }
        }
        // Doubling reaches too late, or the largest parts do not reach that far.
        self.within_part(even)
    }

    /// The nearest size a part may have.
    fn within_part(&self, size: u64) -> u64 {
        size.max(self.part_size_min).max(1).min(self.part_size_max)
    }
}

/// Part sizes that double after every `step_parts` parts, up to `most`.
struct Growth {
    first: u64,
    most: u64,
    step_parts: u64,
}

impl Growth {
    /// Bytes of the part that `before` others precede.
    fn part_size(&self, before: u64) -> u64 {
        let doublings = u32::try_from(before / self.step_parts).unwrap_or(u32::MAX);
        let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
        self.first.saturating_mul(factor).min(self.most)
    }

    /// Bytes of the first `count` parts together.
    fn reach(&self, count: u64) -> u64 {
        (0..count.div_ceil(self.step_parts)).fold(0_u64, |reach, step| {
            let before = step * self.step_parts;
            let parts = self.step_parts.min(count - before);
            reach.saturating_add(self.part_size(before).saturating_mul(parts))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{GIB, Limits, MIB};

    #[test]
    fn a_file_of_unknown_size_starts_with_small_parts_and_can_become_the_largest_object() {
        let limits = Limits::aws();
        let sizes: Vec<u64> = (1..=10_000)
            .map(|number| limits.eager_part_size(number))
            .collect();
        assert_eq!(sizes[..1_000], vec![8 * MIB; 1_000]);
        assert_eq!(sizes[1_000], 16 * MIB);
        assert!(sizes.is_sorted());
        assert!(sizes.iter().sum::<u64>() >= limits.object_size_max);
        assert!(sizes[9_999] <= limits.part_size_max);
    }

    #[test]
    fn parts_of_unknown_size_are_all_equal_where_the_store_wants_it() {
        let limits = Limits {
            parts_equal: true,
            ..Limits::aws()
        };
        assert_eq!(limits.eager_part_size(1), 32 * MIB);
        assert_eq!(limits.eager_part_size(10_000), 32 * MIB);
        let small = Limits {
            object_size_max: 160 * GIB,
            ..limits
        };
        assert_eq!(small.eager_part_size(1), (160 * GIB).div_ceil(10_000));
    }

    #[test]
    fn the_parts_reach_the_largest_object_under_any_limits_that_allow_it() {
        for part_count_max in [1, 2, 3, 7, 10, 100] {
            for part_size_max in [10, 64, 1_000] {
                for upload_part_size in [1, 5, 64] {
                    let limits = Limits {
                        part_size_min: 5,
                        part_size_max,
                        part_count_max,
                        upload_part_size,
                        object_size_max: part_size_max * u64::from(part_count_max),
                        ..Limits::aws()
                    };
                    let sizes = (1..=part_count_max).map(|number| limits.eager_part_size(number));
                    assert!(
                        sizes
                            .clone()
                            .all(|size| (5..=part_size_max).contains(&size))
                    );
                    assert!(sizes.sum::<u64>() >= limits.object_size_max, "{limits:?}");
                }
            }
        }
    }
}
