//! Files with secrets in them: who may read them, and their content. Shows nothing of it.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why such a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be read.
    #[error("{option}: {}: {source}", path.display())]
    Unreadable {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a directory, a pipe or the like.
    #[error("{option}: {}: not a regular file", path.display())]
    NotRegular {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Others may read or write it.
    #[error(
        "{option}: {}: others than its owner may read or write it (mode {mode:03o}); \
         chmod {advised:03o} it",
        path.display()
    )]
    Exposed {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Those it may have.
        advised: u32,
    },
    /// It is too long to be one.
    #[error("{option}: {}: longer than {bytes_max} bytes", path.display())]
    TooLong {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// How long it may be.
        bytes_max: u64,
    },
}

impl SecretFileError {
    /// Whether there is no such file for this user.
    pub(super) fn is_absence(&self) -> bool {
        match self {
            Self::Unreadable { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::PermissionDenied
            ),
            _ => false,
        }
    }
}

/// What is asked of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demands {
    /// The option that names it.
    pub(super) option: &'static str,
    /// The permission bits it may have, apart from those to run it.
    pub(super) mode_max: u32,
    /// How long it may be.
    pub(super) bytes_max: u64,
}

/// Nobody but the owner reads or writes.
pub(super) const OWNER_ONLY: u32 = 0o600;

/// Reads the file.
pub(super) fn read(path: &Path, demands: Demands) -> Result<Vec<u8>, SecretFileError> {
    let (content, mode) = read_any(path, demands)?;
    check(path, demands, mode)?;
    Ok(content)
}

/// Reads the file, whoever may, and tells its permission bits.
pub(super) fn read_any(path: &Path, demands: Demands) -> Result<(Vec<u8>, u32), SecretFileError> {
    let option = demands.option;
    let path_buf = || path.to_owned();
    let unreadable = |source| SecretFileError::Unreadable {
        option,
        path: path_buf(),
        source,
    };
    // The open of a pipe would wait for a writer.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(unreadable)?;
    // Of what was opened: the name may have another file by now.
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        let path = path_buf();
        return Err(SecretFileError::NotRegular { option, path });
    }
    let bytes_max = demands.bytes_max;
    let mut content = Vec::new();
    let read = file.take(bytes_max + 1).read_to_end(&mut content);
    if read.map_err(unreadable)? as u64 > bytes_max {
        return Err(SecretFileError::TooLong {
            option,
            path: path_buf(),
            bytes_max,
        });
    }
    Ok((content, about.mode() & 0o777))
}

/// What is behind the mark that some editors put in front of a text (U+FEFF in UTF-8).
pub(super) fn text(content: &[u8]) -> &[u8] {
    content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content)
}

/// Whether a file of that mode may hold a secret.
pub(super) fn check(path: &Path, demands: Demands, mode: u32) -> Result<(), SecretFileError> {
    /// Bits that let groups and others read or write; to run it does no harm.
    const FOREIGN: u32 = 0o066;
    if mode & FOREIGN & !demands.mode_max != 0 {
        return Err(SecretFileError::Exposed {
            option: demands.option,
            path: path.to_owned(),
            mode,
            advised: demands.mode_max,
        });
    }
    Ok(())
}
