//! What the process behind a request has open, as proc(5) tells. Asks the kernel nothing that would
//! come back as a request.

use std::fs;

use crate::fs::Ino;

/// Whether the thread `pid` can write to the file by another descriptor than the one it is closing:
/// then a later close is to come. `false` when that cannot be seen (a thread of another PID
/// namespace, or of another user).
///
/// Inode numbers of other filesystems are not told apart: a wrong `true` is possible.
pub(super) fn writes_elsewhere(pid: u32, ino: Ino) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else {
        return false;
    };
    descriptors
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .any(|descriptor| is_writable(&descriptor) && field(&descriptor, "ino:", 10) == Some(ino.0))
}

fn is_writable(descriptor: &str) -> bool {
    field(descriptor, "flags:", 8)
        .is_some_and(|flags| flags & libc::O_ACCMODE as u64 != libc::O_RDONLY as u64)
}

fn field(descriptor: &str, name: &str, radix: u32) -> Option<u64> {
    let line = descriptor
        .lines()
        .find_map(|line| line.strip_prefix(name))?;
    u64::from_str_radix(line.trim(), radix).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt as _;

    use super::writes_elsewhere;
    use crate::fs::Ino;

    #[test]
    fn a_file_is_written_elsewhere_until_its_last_writing_descriptor_is_closed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let ino = Ino(file.as_file().metadata().unwrap().ino());
        let _reading = File::open(file.path()).unwrap();
        let me = std::process::id();
        assert!(writes_elsewhere(me, ino));
        let (writing, _path) = file.into_parts();
        drop(writing);
        assert!(!writes_elsewhere(me, ino));
        assert!(!writes_elsewhere(u32::MAX, ino));
    }
}
