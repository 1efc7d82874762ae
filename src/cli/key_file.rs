//! The file of an SSE-C key: what is in it. Shows nothing of it.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::secret_file::{self, Demands, OWNER_ONLY, SecretFileError};
use crate::config::CustomerKey;

const DEMANDS: Demands = Demands {
    option: "sse_c_key",
    mode_max: OWNER_ONLY,
    // More than any one key: a file of several, as s3fs-fuse has them, is no key either.
    bytes_max: 4096,
};

/// Why there is no key in a file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// Its content is no key.
    #[error(
        "{}: {}: not a key: give one key of 32 bytes, as they are or in base64 \
         (openssl rand -out FILE 32)",
        DEMANDS.option,
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the key.
pub(super) fn read(path: &Path) -> Result<CustomerKey, KeyFileError> {
    let content = secret_file::read(path, DEMANDS)?;
    key(&content).ok_or_else(|| KeyFileError::NoKey {
        path: path.to_owned(),
    })
}

/// The key; one line of 32 characters is one as well, for s3fs-fuse takes it.
fn key(content: &[u8]) -> Option<CustomerKey> {
    let line = content.strip_suffix(b"\n").unwrap_or(content);
    if let Ok(raw) = content.try_into().or_else(|_| line.try_into()) {
        return Some(CustomerKey::new(raw));
    }
    let decoded = STANDARD
        .decode(secret_file::text(content).trim_ascii())
        .ok()?;
    Some(CustomerKey::new(decoded.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_bytes_as_they_are_or_in_base64_and_nothing_else() {
        let raw = [0xa5_u8; 32];
        let text = STANDARD.encode(raw);
        let with_end = [&raw[..], b"\n"].concat();
        assert_eq!(key(&raw), Some(CustomerKey::new(raw)));
        assert_eq!(key(&with_end), Some(CustomerKey::new(raw)));
        assert_eq!(key(text.as_bytes()), Some(CustomerKey::new(raw)));
        assert_eq!(
            key(format!("{text}\n").as_bytes()),
            Some(CustomerKey::new(raw))
        );
        let two = format!("{text}\n{text}\n");
        for none in [
            &b""[..],
            &raw[..31],
            &[0xa5; 33],
            &text.as_bytes()[..40],
            two.as_bytes(),
        ] {
            assert_eq!(key(none), None, "{none:?}");
        }
        // Of 32 bytes, the last may happen to be a line end.
        let mut ending = raw;
        ending[31] = b'\n';
        assert_eq!(key(&ending), Some(CustomerKey::new(ending)));
    }

    #[test]
    fn a_key_is_never_shown() {
        let shown = format!("{:?}", key(&[b'k'; 32]));
        assert_eq!(shown, "Some(CustomerKey(..))");
    }
}
