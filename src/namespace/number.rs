//! Inode numbers that go by what is in the store: the same in every mount of it. Pure.

use md5::{Digest as _, Md5};

use crate::namespace::Ino;

/// Numbers for what is at a path below a prefix of a bucket, a directory's path ending in `/`: the
/// first is its own, the others are for as long as another inode has that. All are below 2^63,
/// since programs read them as signed, too.
pub fn numbers(bucket: &str, prefix: &str, path: &str) -> impl Iterator<Item = Ino> + use<> {
    let mut place = Md5::new();
    // The prefix is apart from the path: one mount can show an object by two prefixes.
    for part in [bucket, "\0", prefix, "\0", path] {
        place.update(part);
    }
    let number = move |turn: u64| {
        let digest = place.clone().chain_update(turn.to_le_bytes()).finalize();
        let (first, _) = digest.split_first_chunk().expect("16 bytes have 8");
        Ino(u64::from_le_bytes(*first) >> 1)
    };
    // 0 is no inode to the kernel.
    (0..).map(number).filter(|ino| *ino > Ino::ROOT)
}

#[cfg(test)]
mod tests {
    use super::numbers;
    use crate::namespace::Ino;

    /// Another number after an update of the program would be what this is there to prevent.
    #[test]
    fn numbers_are_what_they_have_been() {
        let first = |path| numbers("bucket", "prefix/", path).next();
        assert_eq!(first("file"), Some(Ino(0x231d_9ab7_3dee_8a77)));
        assert_eq!(first("file/"), Some(Ino(0x465d_c7e7_f433_6784)));
    }

    #[test]
    fn what_belongs_to_the_prefix_and_what_to_the_path_makes_a_difference() {
        let first = |prefix, path| numbers("bucket", prefix, path).next();
        assert_ne!(first("a/", "b/c"), first("a/b/", "c"));
        let mut turns = numbers("bucket", "", "x");
        assert_ne!(turns.next(), turns.next());
    }
}
