//! What stat(2) tells of a file and an object store does not, as programs keep it in an object's
//! metadata: in the words of s3fs-fuse, and else in those of rclone and of AWS's file services.
//! Knows no object and no inode; asks no clock.
//!
//! s3fs-fuse writes decimal numbers, the file type within the mode, and times in seconds with nine
//! digits behind the point, which it reads back as a whole number (src/metaheader.cpp): fewer
//! digits would be taken for fewer nanoseconds. The two are tv_sec and tv_nsec of a timespec, so
//! before 1970 they are added: -0.5 s is `-1.500000000`. rclone writes `mtime` in seconds with as
//! many digits as it needs, `-0.5`, and a mode in octal behind a 0. AWS DataSync, FSx and File
//! Gateway write `file-permissions` in octal and times with their unit behind (`ns`, `ms`).

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub mod extended;

/// The last second of the year 9999.
const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);
/// Nanoseconds in a second.
const NANOS: u128 = 1_000_000_000;
/// Digits of all of them.
const NANOS_DIGITS: usize = 9;

/// The bits of st_mode that hold the type: inode(7).
const TYPE_BITS: u32 = 0o170_000;
/// The bits of st_mode that chmod(2) changes.
const PERMISSION_BITS: u32 = 0o7777;
/// set-user-ID and set-group-ID.
pub const SET_ID: u16 = SET_UID | SET_GID;
/// set-user-ID.
const SET_UID: u16 = 0o4000;
/// set-group-ID.
pub const SET_GID: u16 = 0o2000;
/// Execution by the group: without it the set-group-ID bit means mandatory locking.
const GROUP_EXECUTES: u16 = 0o0010;

/// What an inode is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; the object's content is its target.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket's name.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl Kind {
    /// The type within st_mode: inode(7).
    pub const fn type_bits(self) -> u32 {
        match self {
            Self::File => 0o100_000,
            Self::Directory => 0o040_000,
            Self::Symlink => 0o120_000,
            Self::Fifo => 0o010_000,
            Self::Socket => 0o140_000,
            Self::CharDevice => 0o020_000,
            Self::BlockDevice => 0o060_000,
        }
    }

    /// The type that a mode tells; `None` when it tells none.
    pub fn of_mode(mode: u32) -> Option<Self> {
        [
            Self::File,
            Self::Directory,
            Self::Symlink,
            Self::Fifo,
            Self::Socket,
            Self::CharDevice,
            Self::BlockDevice,
        ]
        .into_iter()
        .find(|kind| kind.type_bits() == mode & TYPE_BITS)
    }
}

/// Attributes of a file; `None` where the metadata says nothing, or nothing that can be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Attributes {
    /// What it is.
    pub kind: Option<Kind>,
    /// Permission bits, those of set-id and sticky included.
    pub permissions: Option<u16>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// The number of a device, as the kernel encodes it.
    pub rdev: Option<u32>,
    /// Last change of content.
    pub mtime: Option<SystemTime>,
    /// Last access.
    pub atime: Option<SystemTime>,
    /// Last change of content or attributes.
    pub ctime: Option<SystemTime>,
}

impl Attributes {
    /// What the metadata of an object tells.
    pub fn of_metadata(metadata: &BTreeMap<String, String>) -> Self {
        let word = |name: &str| metadata.get(name).map(|value| value.trim());
        let number = |name: &str| word(name)?.parse().ok();
        let time = |name: &str| seconds(word(name)?);
        let timed = |name: &str| with_unit(word(name)?);
        let mode = word("mode")
            .and_then(mode)
            .or_else(|| u32::from_str_radix(word("file-permissions")?, 8).ok());
        Self {
            kind: mode.and_then(Kind::of_mode),
            permissions: mode.map(permissions),
            uid: number("uid").or_else(|| number("file-owner")),
            gid: number("gid").or_else(|| number("file-group")),
            rdev: number("rdev"),
            mtime: time("mtime").or_else(|| timed("file-mtime")),
            atime: time("atime").or_else(|| timed("file-atime")),
            ctime: time("ctime"),
        }
    }

    /// All of them, none shorter in metadata than what is ever written in its place.
    pub fn longest() -> Self {
        let last = UNIX_EPOCH.checked_add(LAST_SECOND + Duration::from_nanos(1));
        Self {
            kind: Some(Kind::Socket),
            permissions: Some(PERMISSION_BITS as u16),
            uid: Some(u32::MAX),
            gid: Some(u32::MAX),
            rdev: None,
            mtime: last,
            atime: last,
            ctime: last,
        }
    }

    /// The times alone.
    pub fn times(&self) -> Self {
        Self {
            mtime: self.mtime,
            atime: self.atime,
            ctime: self.ctime,
            ..Self::default()
        }
    }

    /// Those that are others than before.
    pub fn changed_since(&self, before: &Self) -> Self {
        fn changed<T: PartialEq>(now: Option<T>, before: Option<T>) -> Option<T> {
            now.filter(|now| Some(now) != before.as_ref())
        }
        Self {
            kind: changed(self.kind, before.kind),
            permissions: changed(self.permissions, before.permissions),
            uid: changed(self.uid, before.uid),
            gid: changed(self.gid, before.gid),
            rdev: changed(self.rdev, before.rdev),
            mtime: changed(self.mtime, before.mtime),
            atime: changed(self.atime, before.atime),
            ctime: changed(self.ctime, before.ctime),
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Writes what is known into the metadata of an object, in place of what other programs wrote
    /// of the same. A mode needs a type; `usual` is what an object is that says nothing.
    pub fn write_to(&self, metadata: &mut BTreeMap<String, String>, usual: Kind) {
        let Self {
            kind,
            permissions,
            uid,
            gid,
            rdev,
            mtime,
            atime,
            ctime,
        } = *self;
        let kind = kind.unwrap_or(usual);
        let mode = permissions.map(|bits| kind.type_bits() | u32::from(bits));
        let mut set = |name: &str, other: &str, value: Option<String>| {
            if let Some(value) = value {
                metadata.insert(name.to_owned(), value);
                metadata.remove(other);
            }
        };
        let decimal = |number: u32| number.to_string();
        set("mode", "file-permissions", mode.map(decimal));
        set("uid", "file-owner", uid.map(decimal));
        set("gid", "file-group", gid.map(decimal));
        set("rdev", "", rdev.map(decimal));
        set("mtime", "file-mtime", mtime.map(in_seconds));
        set("atime", "file-atime", atime.map(in_seconds));
        set("ctime", "file-ctime", ctime.map(in_seconds));
    }

    /// Takes the set-id bits away, as a write and a change of owner do (chown(2), write(2)).
    /// Whether there were any.
    pub fn drop_set_id(&mut self) -> bool {
        let Some(before) = self.permissions else {
            return false;
        };
        let mut after = before & !SET_UID;
        if before & GROUP_EXECUTES != 0 {
            after &= !SET_GID;
        }
        self.permissions = Some(after);
        before != after
    }
}

/// The permission bits of a mode.
pub const fn permissions(mode: u32) -> u16 {
    (mode & PERMISSION_BITS) as u16
}

/// Decimal as s3fs-fuse writes it, octal behind a 0 as rclone does.
fn mode(text: &str) -> Option<u32> {
    let radix = if text.starts_with('0') { 8 } else { 10 };
    u32::from_str_radix(text, radix).ok()
}

/// Seconds since the epoch, with a fraction of any length. Nine digits behind negative seconds are
/// added, as s3fs-fuse means them; it never writes -0, so behind that they are taken off, too.
fn seconds(text: &str) -> Option<SystemTime> {
    let (text, is_negative) = signed(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: u64 = whole.parse().ok()?;
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let nanos = format!("{fraction:0<9.9}").parse().ok()?;
    if is_negative && whole > 0 && fraction.len() == NANOS_DIGITS {
        let floor = moved(Duration::new(whole, 0), true)?;
        return floor.checked_add(Duration::new(0, nanos));
    }
    moved(Duration::new(whole, nanos), is_negative)
}

/// A time as a whole number of a unit that is named behind it; seconds when none is.
fn with_unit(text: &str) -> Option<SystemTime> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[number.len()..] {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "" | "s" => NANOS,
        _ => return None,
    };
    let (number, is_negative) = signed(number);
    let nanos = number.parse::<u128>().ok()?.checked_mul(unit)?;
    let whole = u64::try_from(nanos / NANOS).ok()?;
    let nanos = u32::try_from(nanos % NANOS).ok()?;
    moved(Duration::new(whole, nanos), is_negative)
}

fn signed(text: &str) -> (&str, bool) {
    text.strip_prefix('-')
        .map_or((text, false), |text| (text, true))
}

fn moved(distance: Duration, is_negative: bool) -> Option<SystemTime> {
    if is_negative {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    }
}

/// Seconds since the epoch, and nine digits that are added to them unless they are all zero.
fn in_seconds(time: SystemTime) -> String {
    let (seconds, nanos) = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (i128::from(after.as_secs()), after.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            let seconds = -i128::from(before.as_secs());
            match before.subsec_nanos() {
                0 => (seconds, 0),
                nanos => (seconds - 1, NANOS as u32 - nanos),
            }
        }
    };
    match nanos {
        0 => seconds.to_string(),
        nanos => format!("{seconds}.{nanos:09}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::{Attributes, Kind};

    fn metadata(words: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        words.iter().map(owned).collect()
    }

    fn at(nanos: i128) -> SystemTime {
        let distance = Duration::from_nanos(u64::try_from(nanos.unsigned_abs()).unwrap());
        if nanos < 0 {
            UNIX_EPOCH - distance
        } else {
            UNIX_EPOCH + distance
        }
    }

    #[test]
    fn each_program_s_words_are_understood() {
        let rows = [
            // s3fs-fuse 1.90 and later
            (
                &[
                    ("mode", "33188"),
                    ("uid", "1000"),
                    ("gid", "100"),
                    ("mtime", "1700000000.000000012"),
                ][..],
                (Some(Kind::File), Some(0o644), Some(1000), Some(100)),
                Some(1_700_000_000_000_000_012),
            ),
            // s3fs-fuse before 1.87: whole seconds
            (
                &[("mode", "41471"), ("mtime", "1700000000")],
                (Some(Kind::Symlink), Some(0o777), None, None),
                Some(1_700_000_000_000_000_000),
            ),
            // rclone, without and with --metadata
            (
                &[("mtime", "1700000000.12")],
                (None, None, None, None),
                Some(1_700_000_000_120_000_000),
            ),
            (
                &[("mode", "0100640"), ("uid", "7")],
                (Some(Kind::File), Some(0o640), Some(7), None),
                None,
            ),
            // AWS DataSync
            (
                &[
                    ("file-permissions", "0755"),
                    ("file-owner", "5"),
                    ("file-group", "6"),
                    ("file-mtime", "1700000000123ms"),
                ],
                (None, Some(0o755), Some(5), Some(6)),
                Some(1_700_000_000_123_000_000),
            ),
            // Nobody
            (
                &[("mode", "rw"), ("uid", "-1"), ("mtime", "1.x"), ("a", "b")],
                (None, None, None, None),
                None,
            ),
        ];
        for (words, expected, mtime) in rows {
            let told = Attributes::of_metadata(&metadata(words));
            let seen = (told.kind, told.permissions, told.uid, told.gid);
            assert_eq!(seen, expected, "{words:?}");
            assert_eq!(told.mtime, mtime.map(at), "{words:?}");
        }
    }

    #[test]
    fn a_fraction_is_written_with_nine_digits_and_others_words_are_replaced() {
        let mut words = metadata(&[("file-mtime", "5s"), ("file-owner", "1"), ("own", "kept")]);
        let attributes = Attributes {
            permissions: Some(0o600),
            uid: Some(2),
            mtime: Some(at(1_000_000_012)),
            ctime: Some(at(-500_000_000)),
            ..Attributes::default()
        };
        attributes.write_to(&mut words, Kind::File);
        let expected = [
            ("ctime", "-1.500000000"),
            ("mode", "33152"),
            ("mtime", "1.000000012"),
            ("own", "kept"),
            ("uid", "2"),
        ];
        assert_eq!(words, metadata(&expected));
    }

    #[test]
    fn a_time_before_the_epoch_is_read_as_its_writer_means_it() {
        for (text, nanos) in [
            ("-1.500000000", -500_000_000),
            ("-2.000000001", -1_999_999_999),
            ("-2", -2_000_000_000),
            // rclone's, which has no zeros at its end.
            ("-1.5", -1_500_000_000),
            ("-0.5", -500_000_000),
            ("-0.500000000", -500_000_000),
        ] {
            let told = Attributes::of_metadata(&metadata(&[("mtime", text)]));
            assert_eq!(told.mtime, Some(at(nanos)), "{text}");
        }
    }

    #[test]
    fn set_id_bits_go_but_a_lock_bit_stays() {
        for (before, after) in [
            (0o6755, 0o0755),
            (0o2644, 0o2644),
            (0o4644, 0o0644),
            (0o1777, 0o1777),
        ] {
            let mut attributes = Attributes {
                permissions: Some(before),
                ..Attributes::default()
            };
            assert_eq!(attributes.drop_set_id(), before != after);
            assert_eq!(attributes.permissions, Some(after));
        }
    }

    fn times() -> impl Strategy<Value = Option<SystemTime>> {
        let nanos = -10_i128.pow(18)..10_i128.pow(19);
        prop::option::of(nanos.prop_map(at))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            mode in prop::option::of(0_u16..0o10000),
            owner in prop::option::of((any::<u32>(), any::<u32>())),
            (mtime, atime, ctime) in (times(), times(), times()),
        ) {
            let attributes = Attributes {
                kind: mode.map(|_| Kind::Fifo),
                permissions: mode,
                uid: owner.map(|(uid, _)| uid),
                gid: owner.map(|(_, gid)| gid),
                rdev: None,
                mtime,
                atime,
                ctime,
            };
            let mut words = BTreeMap::new();
            attributes.write_to(&mut words, Kind::File);
            prop_assert_eq!(Attributes::of_metadata(&words), attributes);
        }
    }
}
