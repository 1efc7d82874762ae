//! Which names can be part of a key, and which components of a key can be a name. Knows no inode.

use std::ffi::OsStr;

/// Longest name in bytes (NAME_MAX of Linux).
pub const NAME_BYTES_MAX: usize = 255;
/// Longest key in bytes (Amazon S3 user guide, "Naming Amazon S3 objects").
pub const KEY_BYTES_MAX: usize = 1024;
/// The directory at the top of a source that keeps the content of files that were unlinked while
/// open. Its name is reserved: it is neither listed nor found, and nothing can be made under it.
pub const UNLINKED_DIR: &str = ".s3fs-unlinked";

/// Why a name cannot be part of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameError {
    /// Keys are UTF-8.
    NotUtf8,
    /// More than [`NAME_BYTES_MAX`].
    TooLong,
    /// Empty, `.`, `..`, or with a `/` or NUL in it.
    NotAName,
}

/// The name as a component of a key.
///
/// # Errors
/// [`NameError`].
pub fn component(name: &OsStr) -> Result<&str, NameError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong);
    }
    let name = name.to_str().ok_or(NameError::NotUtf8)?;
    if nameable(name) {
        Ok(name)
    } else {
        Err(NameError::NotAName)
    }
}

/// Whether a path can name this component of a key.
pub fn nameable(component: &str) -> bool {
    !matches!(component, "" | "." | "..")
        && component.len() <= NAME_BYTES_MAX
        && !component.contains(['\0', '/'])
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::{NAME_BYTES_MAX, NameError, component};

    #[test]
    fn a_name_that_no_key_can_hold_is_refused_by_reason() {
        assert_eq!(
            component(OsStr::from_bytes(b"caf\xe9")),
            Err(NameError::NotUtf8)
        );
        assert_eq!(
            component(OsStr::new(&"n".repeat(256))),
            Err(NameError::TooLong)
        );
        for name in ["", ".", "..", "a/b", "a\0b"] {
            assert_eq!(
                component(OsStr::new(name)),
                Err(NameError::NotAName),
                "{name:?}"
            );
        }
    }

    #[test]
    fn dots_and_length_up_to_the_limit_make_a_name() {
        let longest = "n".repeat(NAME_BYTES_MAX);
        for name in [".x", "...", "x", longest.as_str()] {
            assert_eq!(component(OsStr::new(name)), Ok(name));
        }
    }
}
