//! The directory to mount at: whether it can be, and whether what is there now is still ours.
//! Mounts nothing.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statvfs::statvfs;

use super::MountError;

/// The filesystem type in the mount table: `fuse` with the subtype this program gives.
pub(super) const FSTYPE: &str = "fuse.s3fs";

/// A line of /proc/self/mountinfo (proc_pid_mountinfo(5)), as far as it is of use here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TableEntry {
    /// The kernel's number of the mount.
    pub(super) id: u64,
    /// `major:minor` of the superblock.
    pub(super) device: String,
    /// Which directory of the superblock is mounted.
    pub(super) root: PathBuf,
    /// Where.
    pub(super) path: PathBuf,
    /// The filesystem's type.
    pub(super) fstype: String,
    /// What is mounted, as whoever mounted it named it.
    pub(super) source: OsString,
    /// Who mounted it.
    pub(super) uid: Option<u32>,
    /// Whether it honours set-user-id bits.
    pub(super) allows_suid: bool,
    /// Whether device files in it are devices.
    pub(super) allows_dev: bool,
}

/// What is mounted at `path` now, the topmost where mounts are stacked.
///
/// # Errors
/// When the mount table cannot be read.
pub(super) fn mounted_at(path: &Path) -> io::Result<Option<TableEntry>> {
    Ok(topmost(&table()?, path).cloned())
}

/// The mounts of a superblock that no other mount covers, the last first.
///
/// # Errors
/// When the mount table cannot be read.
pub(super) fn mounts_of(device: &str) -> io::Result<Vec<TableEntry>> {
    let table = table()?;
    let is_its = |entry: &&TableEntry| entry.device == device;
    let shows = |entry: &&TableEntry| topmost(&table, &entry.path) == Some(*entry);
    Ok(table
        .iter()
        .rev()
        .filter(is_its)
        .filter(shows)
        .cloned()
        .collect())
}

fn table() -> io::Result<Vec<TableEntry>> {
    Ok(entries(&fs::read("/proc/self/mountinfo")?))
}

fn topmost<'a>(table: &'a [TableEntry], path: &Path) -> Option<&'a TableEntry> {
    // A stacked mount is listed after the one it covers.
    table.iter().rev().find(|entry| entry.path == path)
}

fn entries(table: &[u8]) -> Vec<TableEntry> {
    table
        .split(|byte| *byte == b'\n')
        .filter_map(entry)
        .collect()
}

fn entry(line: &[u8]) -> Option<TableEntry> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let device = String::from_utf8(fields.nth(1)?.to_vec()).ok()?;
    let root = unescape(fields.next()?).into();
    let path = unescape(fields.next()?).into();
    let flags = fields.next()?.split(|byte| *byte == b',');
    let lacks = |word: &[u8]| !flags.clone().any(|flag| flag == word);
    let (allows_suid, allows_dev) = (lacks(b"nosuid"), lacks(b"nodev"));
    let mut tail = fields.skip_while(|field| *field != b"-").skip(1);
    let fstype = String::from_utf8(tail.next()?.to_vec()).ok()?;
    let source = unescape(tail.next()?);
    let options = tail.next().unwrap_or_default().split(|byte| *byte == b',');
    let uid = options
        .filter_map(|option| option.strip_prefix(b"user_id="))
        .find_map(|uid| std::str::from_utf8(uid).ok()?.parse().ok());
    Some(TableEntry {
        id,
        device,
        root,
        path,
        fstype,
        source,
        uid,
        allows_suid,
        allows_dev,
    })
}

/// Undoes the kernel's escapes of space, tab, newline and backslash: `\` and three octal digits.
fn unescape(field: &[u8]) -> OsString {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let code = tail
            .get(..3)
            .filter(|_| byte == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match code {
            Some(code) => {
                plain.push(code);
                rest = &tail[3..];
            }
            None => {
                plain.push(byte);
                rest = tail;
            }
        }
    }
    OsString::from_vec(plain)
}

/// Whether the daemon of what is mounted at a path is gone. The attributes of the top directory the
/// kernel may still know, and tell; this it has to ask for.
pub(super) fn is_dead(path: &Path) -> bool {
    statvfs(path) == Err(Errno::ENOTCONN)
}

/// Whether a path can be mounted at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fitness {
    /// It can, by this absolute path without symbolic links.
    Ready(PathBuf),
    /// A mount of this program whose daemon is gone is in the way, at this path.
    Dead(PathBuf),
}

/// Looks at the mount point. Must come before this program's own mount: afterwards a look at the
/// path would be a request to ourselves.
///
/// # Errors
/// Why nothing can be mounted there.
pub(super) fn inspect(path: &Path, nonempty: bool) -> Result<Fitness, MountError> {
    let unusable = |source| MountError::PointUnusable {
        path: path.to_owned(),
        source,
    };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(MountError::PointMissing {
                path: path.to_owned(),
            });
        }
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => {
            // Nothing can be resolved through a dead mount, so the path is taken as it is.
            let path = std::path::absolute(path).map_err(unusable)?;
            return match mounted_at(&path).map_err(unusable)? {
                Some(entry) if entry.fstype == FSTYPE => Ok(Fitness::Dead(path)),
                _ => Err(unusable(error)),
            };
        }
        Err(error) => return Err(unusable(error)),
    };
    let path = fs::canonicalize(path).map_err(unusable)?;
    if !metadata.is_dir() {
        return Err(MountError::PointNotDirectory { path });
    }
    match mounted_at(&path).map_err(unusable)? {
        Some(entry) if entry.fstype == FSTYPE && is_dead(&path) => return Ok(Fitness::Dead(path)),
        Some(entry) if entry.fstype == FSTYPE => return Err(MountError::AlreadyMounted { path }),
        _ => {}
    }
    if !nonempty && fs::read_dir(&path).map_err(unusable)?.next().is_some() {
        return Err(MountError::PointNotEmpty { path });
    }
    Ok(Fitness::Ready(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"\
22 1 254:1 / / rw,relatime - ext4 /dev/root rw\n\
41 22 0:36 / /mnt/a\\040b rw,nosuid,nodev shared:3 - fuse.s3fs s3://one rw,user_id=0\n\
42 41 0:37 / /mnt/a\\040b rw - tmpfs none rw\n\
43 22 0:36 /two /mnt/c rw,nosuid,nodev - fuse.s3fs s3://two rw,user_id=0\n\
44 22 0:36 /three /mnt/d rw,nosuid,nodev - fuse.s3fs s3://three rw,user_id=0\n";

    #[test]
    fn the_last_of_stacked_mounts_is_the_one_that_shows() {
        let table = entries(TABLE);
        let found = topmost(&table, Path::new("/mnt/a b")).unwrap();
        assert_eq!(
            (found.id, found.device.as_str(), found.fstype.as_str()),
            (42, "0:37", "tmpfs")
        );
        let ours = topmost(&table, Path::new("/mnt/c")).unwrap();
        assert_eq!(
            (ours.fstype.as_str(), ours.root.to_str()),
            (FSTYPE, Some("/two"))
        );
        assert_eq!(
            (ours.source.to_str(), ours.uid),
            (Some("s3://two"), Some(0))
        );
        assert_eq!(topmost(&table, Path::new("/mnt")), None);
    }

    #[test]
    fn a_mount_point_must_be_an_empty_directory() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        assert_eq!(
            inspect(dir.path(), false).unwrap(),
            Fitness::Ready(real.clone())
        );
        let missing = dir.path().join("missing");
        assert!(matches!(
            inspect(&missing, false),
            Err(MountError::PointMissing { .. })
        ));
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(matches!(
            inspect(&file, false),
            Err(MountError::PointNotDirectory { .. })
        ));
        assert!(matches!(
            inspect(dir.path(), false),
            Err(MountError::PointNotEmpty { .. })
        ));
        assert_eq!(inspect(dir.path(), true).unwrap(), Fitness::Ready(real));
    }
}
