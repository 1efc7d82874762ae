//! The words of FUSE: those of the kernel, of libfuse 2 and 3, and of mount.fuse3(8). A table, in
//! the order in which they are documented.

use super::Meaning::{Always, Flag, Ignored, Refused, Value};
use super::{Meaning, Section, Word};

const fn word(name: &'static str, meaning: Meaning, about: &'static str) -> Word {
    Word {
        name,
        meaning,
        about,
    }
}

const AGREED: &str = "the program and the kernel agree on it by themselves";
const INODES: &str = "inode numbers go by bucket and key, whatever is given";
const PAGES: &str = "the kernel keeps the pages of a file for as long as its object is the same";
const SHOWN: &str = "the kernel shows it of a mount, and mount(8) repeats it to change that";
const OWN: &str = "the program sets it itself; leave it out";

pub(super) const SECTION: Section = Section {
    title: "FUSE",
    words: &[
        word(
            "allow_other",
            Flag("--allow-other"),
            "let users other than the mounting one in (without root: needs `user_allow_other` in \
             /etc/fuse.conf)",
        ),
        word(
            "allow_root",
            Refused,
            "the kernel knows no such rule; allow_other,mp_umask=077 lets in the owner and root \
             alone",
        ),
        word(
            "default_permissions",
            Always,
            "the kernel checks permissions, always",
        ),
        word(
            "debug",
            Flag("--debug"),
            "stay in front and log every request",
        ),
        word(
            "attr_timeout",
            Value("--attr-ttl"),
            "seconds for which attributes are trusted: the same as `actimeo`, the last of them \
             counts",
        ),
        word(
            "entry_timeout",
            Value("--attr-ttl"),
            "seconds for which names are trusted: the same as `actimeo`, the last of them counts",
        ),
        word(
            "negative_timeout",
            Ignored,
            "that a name is absent is trusted for actimeo seconds, as everything is",
        ),
        word(
            "ac_attr_timeout",
            Ignored,
            "every open asks for the object as it is (cto)",
        ),
        word(
            "fsname",
            Ignored,
            "the mount table shows the source as it is given: mount(8) knows its line of fstab \
             by it",
        ),
        word("subtype", Ignored, "the type is fuse.s3fs"),
        word(
            "auto_unmount",
            Ignored,
            "what a daemon that was killed leaves is taken away by the next mount there; until \
             then it fails instead of letting writes into the bare directory",
        ),
        word("kernel_cache", Ignored, PAGES),
        word("auto_cache", Ignored, PAGES),
        word("noauto_cache", Ignored, PAGES),
        word("direct_io", Ignored, PAGES),
        word("max_read", Ignored, AGREED),
        word("max_write", Ignored, AGREED),
        word("max_readahead", Ignored, AGREED),
        word("max_background", Ignored, AGREED),
        word("congestion_threshold", Ignored, AGREED),
        word("async_read", Ignored, AGREED),
        word("sync_read", Ignored, AGREED),
        word("async_dio", Ignored, AGREED),
        word("big_writes", Ignored, AGREED),
        word("atomic_o_trunc", Ignored, AGREED),
        word("splice_read", Ignored, AGREED),
        word("splice_write", Ignored, AGREED),
        word("splice_move", Ignored, AGREED),
        word("no_splice_read", Ignored, AGREED),
        word("no_splice_write", Ignored, AGREED),
        word("no_splice_move", Ignored, AGREED),
        word("clone_fd", Ignored, AGREED),
        word("max_idle_threads", Ignored, AGREED),
        word("max_threads", Ignored, AGREED),
        word(
            "no_remote_lock",
            Ignored,
            "locks are between the processes of this machine",
        ),
        word(
            "no_remote_posix_lock",
            Ignored,
            "locks are between the processes of this machine",
        ),
        word(
            "no_remote_flock",
            Ignored,
            "locks are between the processes of this machine",
        ),
        word(
            "hard_remove",
            Ignored,
            "a file that is removed while open stays readable until it is closed",
        ),
        word("use_ino", Ignored, INODES),
        word("readdir_ino", Ignored, INODES),
        word("noforget", Ignored, INODES),
        word("remember", Ignored, INODES),
        word("nopath", Ignored, "there is nothing to choose"),
        word("nullpath_ok", Ignored, "there is nothing to choose"),
        word("intr", Ignored, "requests are not interrupted"),
        word("intr_signal", Ignored, "requests are not interrupted"),
        word(
            "modules",
            Refused,
            "there are no modules; a part of a bucket is mounted as BUCKET:/PREFIX",
        ),
        word(
            "setuid",
            Refused,
            "mount as that user, or in a unit with User=; uid= says who owns the files",
        ),
        word(
            "drop_privileges",
            Refused,
            "mount as an ordinary user, by fusermount3",
        ),
        word("fd", Refused, OWN),
        word(
            "rootmode",
            Refused,
            "mp_umask= says it of the top directory",
        ),
        word("user_id", Always, SHOWN),
        word("group_id", Always, SHOWN),
        word("blksize", Refused, "there is no block device; leave it out"),
        word("blkdev", Refused, "there is no block device; leave it out"),
    ],
};
