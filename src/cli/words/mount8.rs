//! The words of mount(8) that mean something for any filesystem: a table, in the order in which
//! they are documented.

use super::Meaning::{Always, Flag, Ignored, Kernel, KernelBy, Refused, Remount};
use super::{Meaning, Section, Word};

const fn word(name: &'static str, meaning: Meaning, about: &'static str) -> Word {
    Word {
        name,
        meaning,
        about,
    }
}

const BY_MOUNT: &str = "mount(8) or systemd acts on it";
const LABELS: &str = "the mount has no SELinux context of its own: let the domain use fusefs_t \
                      (setsebool -P use_fusefs_home_dirs on), or leave it out";

pub(super) const SECTION: Section = Section {
    title: "mount(8)",
    words: &[
        word("ro", Flag("--read-only"), "refuse every change"),
        word(
            "rw",
            Flag("--read-write"),
            "allow changes (the default); the later of both counts",
        ),
        word(
            "suid",
            Kernel,
            "honour set-user-id bits; root only. In fstab and with mount(8), which does not pass \
             it on, `allow_suid`",
        ),
        word(
            "allow_suid",
            KernelBy("suid"),
            "as `suid`, also in fstab and with mount(8); `nosuid` counts more, wherever it stands",
        ),
        word("nosuid", Kernel, "do not (the default)"),
        word(
            "dev",
            Kernel,
            "let device files be devices; root only. In fstab and with mount(8), which does not \
             pass it on, `allow_dev`",
        ),
        word(
            "allow_dev",
            KernelBy("dev"),
            "as `dev`, also in fstab and with mount(8); `nodev` counts more, wherever it stands",
        ),
        word("nodev", Kernel, "do not (the default)"),
        word("exec", Kernel, "let programs be run (the default)"),
        word("noexec", Kernel, "do not"),
        word("atime", Kernel, "the opposite of `noatime`"),
        word("noatime", Kernel, "do not change times of access"),
        word("diratime", Kernel, "the opposite of `nodiratime`"),
        word("nodiratime", Kernel, "not those of directories"),
        word(
            "relatime",
            Kernel,
            "change times of access once a day, or when older than the last change",
        ),
        word("norelatime", Kernel, "the opposite of `relatime`"),
        word("strictatime", Kernel, "change times of access always"),
        word("sync", Kernel, "store every write before it returns"),
        word("async", Kernel, "the opposite of `sync` (the default)"),
        word("dirsync", Kernel, "changes of directories are at once"),
        word(
            "nostrictatime",
            Ignored,
            "it is the default: times of access are as the kernel usually has them",
        ),
        word(
            "lazytime",
            Ignored,
            "times of access are not stored one by one anyway",
        ),
        word("nolazytime", Ignored, "it is the default"),
        word(
            "iversion",
            Ignored,
            "the version of a file is the entity tag of its object",
        ),
        word("noiversion", Ignored, "it is the default"),
        word(
            "mand",
            Ignored,
            "Linux has no mandatory locks any more (since 5.15)",
        ),
        word("nomand", Ignored, "it is the default"),
        word("silent", Ignored, "there are no messages it would stop"),
        word("loud", Ignored, "it is the default"),
        word("symfollow", Always, "it is the default"),
        word(
            "nosymfollow",
            Refused,
            "it is not passed on; after mounting: mount -o remount,bind,nosymfollow MNT",
        ),
        word("context", Refused, LABELS),
        word("fscontext", Refused, LABELS),
        word("defcontext", Refused, LABELS),
        word("rootcontext", Refused, LABELS),
        word(
            "remount",
            Remount,
            "change a mount that is there: `ro`, `rw`, and what the kernel acts on; set-user-id \
             bits and devices stay as they are unless one of their words is given",
        ),
        word("defaults", Always, "the defaults of mount(8)"),
        word("_netdev", Always, BY_MOUNT),
        word("nofail", Always, BY_MOUNT),
        word("auto", Always, BY_MOUNT),
        word("noauto", Always, BY_MOUNT),
        word("user", Always, BY_MOUNT),
        word("nouser", Always, BY_MOUNT),
        word("users", Always, BY_MOUNT),
        word("nousers", Always, BY_MOUNT),
        word("owner", Always, BY_MOUNT),
        word("noowner", Always, BY_MOUNT),
        word("group", Always, BY_MOUNT),
        word("nogroup", Always, BY_MOUNT),
        word("helper", Always, BY_MOUNT),
        word("uhelper", Always, BY_MOUNT),
        word(
            "comment",
            Always,
            "a remark; so is every `x-...` and `X-...`",
        ),
    ],
};
