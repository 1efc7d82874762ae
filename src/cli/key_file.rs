//! The file of an SSE-C key: who may read it, and what is in it. Shows nothing of its content.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::CustomerKey;

/// More than a key in base64 and a line end, so that a longer file is known to be none.
const FILE_BYTES_MAX: u64 = 64;
/// Permission bits that let others than the owner read the key, or put in one of theirs.
const FOREIGN_MODE: u32 = 0o066;

/// Why there is no key in a file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("sse_c_key: {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a directory, a pipe or the like.
    #[error("sse_c_key: {}: not a regular file", path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// Others may read or write it.
    #[error(
        "sse_c_key: {}: others than its owner may read or write it (mode {mode:03o}); chmod 600 it",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its content is no key.
    #[error(
        "sse_c_key: {}: not a key: give 32 bytes, as they are or in base64 \
         (openssl rand -out FILE 32)",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the key.
pub(super) fn read(path: &Path) -> Result<CustomerKey, KeyFileError> {
    let path_buf = || path.to_owned();
    let unreadable = |source| KeyFileError::Unreadable {
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
        return Err(KeyFileError::NotRegular { path: path_buf() });
    }
    let mode = about.mode() & 0o777;
    if mode & FOREIGN_MODE != 0 {
        let path = path_buf();
        return Err(KeyFileError::Exposed { path, mode });
    }
    let content = content(file).map_err(unreadable)?;
    key(&content).ok_or_else(|| KeyFileError::NoKey { path: path_buf() })
}

fn content(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn key(content: &[u8]) -> Option<CustomerKey> {
    if let Ok(raw) = content.try_into() {
        return Some(CustomerKey::new(raw));
    }
    let decoded = STANDARD.decode(content.trim_ascii()).ok()?;
    Some(CustomerKey::new(decoded.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_bytes_as_they_are_or_in_base64_and_nothing_else() {
        let raw = [0xa5_u8; 32];
        let text = STANDARD.encode(raw);
        assert_eq!(key(&raw), Some(CustomerKey::new(raw)));
        assert_eq!(key(text.as_bytes()), Some(CustomerKey::new(raw)));
        assert_eq!(
            key(format!("{text}\n").as_bytes()),
            Some(CustomerKey::new(raw))
        );
        for none in [&b""[..], &raw[..31], &[0xa5; 33], &text.as_bytes()[..40]] {
            assert_eq!(key(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        let shown = format!("{:?}", key(&[b'k'; 32]));
        assert_eq!(shown, "Some(CustomerKey(..))");
    }
}
