//! How names of Linux and components of keys stand for each other, and which of them cannot. Knows
//! no inode.
//!
//! A name is any bytes but `/` and NUL, a component any UTF-8. Nearly every name is its component.
//! The rest are told apart by U+201B, a single quotation mark that rclone writes keys with too
//! (rclone documentation, "Overview", "Restricted filenames and characters"):
//!
//! - Bytes that are not UTF-8: each is U+201B and two upper-case hex digits in the component, and
//!   U+201B itself is doubled there. A name that already is what such a name would be written as
//!   is written so once more. So is a name with a backslash where the store takes that for a slash
//!   (SeaweedFS). [`Spelling::component`] and [`Spelling::name`] are thereby inverse to each other:
//!   with S the names that have to be quoted, what they are written as, what that is written as and
//!   so on, a name in S is quoted, any other is itself.
//! - An object beside a directory of its name, which only one of them can have: the object is the
//!   component with a NUL at its end, which no component has, and shows with U+201B and `file`
//!   at the end of its name. U+201B is doubled in names that end so by themselves.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Longest name in bytes (NAME_MAX of Linux).
pub const NAME_BYTES_MAX: usize = 255;
/// Longest key in bytes (Amazon S3 user guide, "Naming Amazon S3 objects").
pub const KEY_BYTES_MAX: usize = 1024;
/// Bytes of the name made of a source, which leaves room for a number.
const SOURCE_NAME_BYTES_MAX: usize = NAME_BYTES_MAX - 32;
/// The directory at the top of a source that keeps the content of files that were unlinked while
/// open. Its name is reserved: it is neither listed nor found, and nothing can be made under it.
pub const UNLINKED_DIR: &str = ".s3fs-unlinked";

/// Quotes what follows it: a byte in hex, or itself.
const QUOTE: char = '\u{201b}';
/// The bytes of [`QUOTE`].
const QUOTE_BYTES: &[u8] = b"\xe2\x80\x9b";
/// A backslash where it is quoted: its byte in hex.
const BACKSLASH: &str = "\u{201b}5C";
/// What follows [`QUOTE`] at the end of the name of an object beside a directory. No hex digits.
const BESIDE: &[u8] = b"file";
/// What ends the component of such an object.
const BESIDE_MARK: char = '\0';

/// Why a name cannot be part of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameError {
    /// More than [`NAME_BYTES_MAX`].
    TooLong,
    /// Empty, `.`, `..`, or with a `/` or NUL in it; that of an object beside such a directory.
    NotAName,
}

/// What the keys of a store cannot have.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Spelling {
    /// A backslash is a slash there.
    pub backslash_is_slash: bool,
}

impl Spelling {
    /// The component of a key that a name stands for.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn component(self, name: &OsStr) -> Result<String, NameError> {
        let bytes = name.as_bytes();
        if bytes.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        if !is_name(bytes) {
            return Err(NameError::NotAName);
        }
        let (stem, quotes) = quotes_before_suffix(bytes);
        let kept = stem + quotes / 2 * QUOTE_BYTES.len();
        if quotes % 2 == 0 {
            return Ok(if quotes == 0 {
                self.written(bytes)
            } else {
                self.written(&[&bytes[..kept], BESIDE].concat())
            });
        }
        if !is_name(&bytes[..kept]) {
            return Err(NameError::NotAName);
        }
        let mut component = self.written(&bytes[..kept]);
        component.push(BESIDE_MARK);
        Ok(component)
    }

    /// The name of what [`Self::component`] gives, or of any other component of a key.
    pub fn name(self, component: &str) -> OsString {
        let in_key = in_key(component);
        let mut bytes = match self.original(in_key) {
            Some(bytes) => bytes,
            None => in_key.as_bytes().to_vec(),
        };
        if is_beside(component) {
            let (_, quotes) = trailing_quotes(&bytes);
            bytes.extend(QUOTE_BYTES.repeat(quotes + 1));
            bytes.extend(BESIDE);
        } else {
            let (stem, quotes) = quotes_before_suffix(&bytes);
            bytes.splice(stem..stem, QUOTE_BYTES.repeat(quotes));
        }
        OsString::from_vec(bytes)
    }

    /// Whether a path can name this component of a key.
    pub fn nameable(self, component: &str) -> bool {
        is_name(component.as_bytes()) && self.name(component).len() <= NAME_BYTES_MAX
    }

    /// The component that stands for the object of a directory's name; `None` when its name would
    /// be too long.
    pub fn beside(self, directory: &str) -> Option<Arc<str>> {
        let component = format!("{directory}{BESIDE_MARK}");
        (self.name(&component).len() <= NAME_BYTES_MAX).then(|| Arc::from(component))
    }

    /// A name as it is written in a key.
    fn written(self, name: &[u8]) -> String {
        match str::from_utf8(name) {
            Ok(text) if !self.is_quoted(text) => text.to_owned(),
            Ok(_) | Err(_) => self.quoted(name),
        }
    }

    /// The bytes that a component is written for, if it is not itself.
    fn original(self, component: &str) -> Option<Vec<u8>> {
        if !component.contains(QUOTE) {
            return None;
        }
        let bytes = unquoted(component)?;
        // What is quoted without need is itself.
        if self.quoted(&bytes) != component {
            return None;
        }
        // Each round has half the quotes.
        let is_quoted = match str::from_utf8(&bytes) {
            Ok(text) => self.is_quoted(text),
            Err(_) => true,
        };
        is_quoted.then_some(bytes)
    }

    fn quoted(self, name: &[u8]) -> String {
        let mut quoted = String::with_capacity(name.len());
        for run in name.utf8_chunks() {
            for character in run.valid().chars() {
                match character {
                    QUOTE => quoted.extend([QUOTE, QUOTE]),
                    '\\' if self.backslash_is_slash => quoted.push_str(BACKSLASH),
                    other => quoted.push(other),
                }
            }
            for byte in run.invalid() {
                quoted.push_str(&format!("{QUOTE}{byte:02X}"));
            }
        }
        quoted
    }

    /// Whether a name that is UTF-8 is not written as it is.
    fn is_quoted(self, name: &str) -> bool {
        (self.backslash_is_slash && name.contains('\\')) || self.original(name).is_some()
    }
}

/// Whether this stands for an object beside a directory of its name.
pub fn is_beside(component: &str) -> bool {
    component.ends_with(BESIDE_MARK)
}

/// What the key has of a component: for an object beside a directory, the directory's name.
pub fn in_key(component: &str) -> &str {
    component.strip_suffix(BESIDE_MARK).unwrap_or(component)
}

/// The name of the directory that shows a source: the bucket, and the prefix if there is one, in
/// letters of ASCII. One that is very long is cut, so it may be another's too.
pub fn of_source(bucket: &str, prefix: &str) -> String {
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');
    let mut name = utf8_percent_encode(bucket, ESCAPED).to_string();
    if let Some(prefix) = prefix.strip_suffix('/') {
        name.push(':');
        name.extend(utf8_percent_encode(prefix, ESCAPED));
    }
    name.truncate(SOURCE_NAME_BYTES_MAX);
    name
}

fn is_name(bytes: &[u8]) -> bool {
    !matches!(bytes, b"" | b"." | b"..") && !bytes.contains(&b'/') && !bytes.contains(&0)
}

/// Where the quotes start that come before [`BESIDE`] at the end of a name, and their number.
fn quotes_before_suffix(bytes: &[u8]) -> (usize, usize) {
    bytes
        .strip_suffix(BESIDE)
        .map_or((bytes.len(), 0), trailing_quotes)
}

fn trailing_quotes(bytes: &[u8]) -> (usize, usize) {
    let mut rest = bytes;
    while let Some(before) = rest.strip_suffix(QUOTE_BYTES) {
        rest = before;
    }
    (rest.len(), (bytes.len() - rest.len()) / QUOTE_BYTES.len())
}

/// What was quoted; `None` when a quote has nothing to quote.
fn unquoted(component: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(component.len());
    let mut rest = component;
    while let Some((plain, after)) = rest.split_once(QUOTE) {
        bytes.extend(plain.as_bytes());
        rest = if let Some(after) = after.strip_prefix(QUOTE) {
            bytes.extend(QUOTE_BYTES);
            after
        } else {
            let byte = u8::from_str_radix(after.get(..2)?, 16).ok()?;
            bytes.push(byte);
            &after[2..]
        };
    }
    bytes.extend(rest.as_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use proptest::prelude::*;

    use super::{NAME_BYTES_MAX, NameError, Spelling, in_key, of_source};

    const PLAIN: Spelling = Spelling {
        backslash_is_slash: false,
    };
    const QUOTING: Spelling = Spelling {
        backslash_is_slash: true,
    };

    #[test]
    fn a_source_has_a_name_of_plain_letters() {
        assert_eq!(of_source("my.bkt-1", ""), "my.bkt-1");
        assert_eq!(of_source("bkt", "a/b \u{e9}/"), "bkt:a%2Fb%20%C3%A9");
        let arn = "arn:aws:s3:::accesspoint/x";
        assert_eq!(of_source(arn, ""), "arn%3Aaws%3As3%3A%3A%3Aaccesspoint%2Fx");
        let long = of_source("bkt", &format!("{}/", "d/".repeat(200)));
        assert!(long.len() < NAME_BYTES_MAX);
        assert_eq!(
            PLAIN.component(OsStr::new(&long)).as_deref(),
            Ok(long.as_str())
        );
    }

    #[test]
    fn a_name_that_no_key_can_hold_is_refused_by_reason() {
        assert_eq!(
            PLAIN.component(OsStr::new(&"n".repeat(256))),
            Err(NameError::TooLong)
        );
        for name in ["", ".", "..", "a/b", "a\0b", "a\0", "\u{201b}file"] {
            assert_eq!(
                PLAIN.component(OsStr::new(name)),
                Err(NameError::NotAName),
                "{name:?}"
            );
        }
    }

    #[test]
    fn dots_and_length_up_to_the_limit_make_a_name() {
        let longest = "n".repeat(NAME_BYTES_MAX);
        for name in [".x", "...", "x", "\u{201b}", " ", "\n", longest.as_str()] {
            assert_eq!(PLAIN.component(OsStr::new(name)).as_deref(), Ok(name));
        }
        // The limit is on the name, however long its component is.
        let bytes = [0xff; NAME_BYTES_MAX];
        let written = PLAIN.component(OsStr::from_bytes(&bytes)).unwrap();
        assert_eq!(written.len(), 5 * NAME_BYTES_MAX);
        assert!(PLAIN.nameable(&written));
        assert!(!PLAIN.nameable(&format!("{written}!")));
    }

    #[test]
    fn names_are_written_as_rclone_does_where_they_are_not_utf_8() {
        let rows: [(&[u8], &str); 10] = [
            (b"caf\xe9", "caf\u{201b}E9"),
            (b"\xf0\x9f\x98", "\u{201b}F0\u{201b}9F\u{201b}98"),
            ("\u{201b}\u{e9}".as_bytes(), "\u{201b}\u{e9}"),
            (b"\xe2\x80\x9b\xff", "\u{201b}\u{201b}\u{201b}FF"),
            // Names that would be taken for the first.
            ("caf\u{201b}E9".as_bytes(), "caf\u{201b}\u{201b}E9"),
            (
                "caf\u{201b}\u{201b}E9".as_bytes(),
                "caf\u{201b}\u{201b}\u{201b}\u{201b}E9",
            ),
            // Names that would not: lower case, ASCII, bytes that are UTF-8.
            ("\u{201b}e9".as_bytes(), "\u{201b}e9"),
            ("\u{201b}2F".as_bytes(), "\u{201b}2F"),
            ("\u{201b}C3\u{201b}A9".as_bytes(), "\u{201b}C3\u{201b}A9"),
            ("\u{201b}+1".as_bytes(), "\u{201b}+1"),
        ];
        for (bytes, written) in rows {
            let shown = OsStr::from_bytes(bytes);
            assert_eq!(PLAIN.component(shown).as_deref(), Ok(written), "{shown:?}");
            assert_eq!(PLAIN.name(written), shown, "{written:?}");
        }
    }

    #[test]
    fn a_backslash_is_quoted_where_the_store_takes_it_for_a_slash() {
        for (name, written) in [
            ("a\\b", "a\u{201b}5Cb"),
            ("a\u{201b}5Cb", "a\u{201b}\u{201b}5Cb"),
            ("\\", "\u{201b}5C"),
            ("a\u{201b}b", "a\u{201b}b"),
        ] {
            assert_eq!(QUOTING.component(OsStr::new(name)).as_deref(), Ok(written));
            assert_eq!(QUOTING.name(written), name);
            assert_eq!(PLAIN.component(OsStr::new(name)).as_deref(), Ok(name));
        }
    }

    #[test]
    fn an_object_beside_a_directory_has_a_name_that_no_other_key_has() {
        let of = |directory: &str| {
            PLAIN
                .name(&PLAIN.beside(directory).unwrap())
                .into_string()
                .unwrap()
        };
        assert_eq!(of("x"), "x\u{201b}file");
        assert_eq!(of("x\u{201b}"), "x\u{201b}\u{201b}\u{201b}file");
        assert_eq!(in_key(&PLAIN.component(OsStr::new(&of("x"))).unwrap()), "x");
        assert_eq!(PLAIN.name("x\u{201b}file"), "x\u{201b}\u{201b}file");
        assert_eq!(PLAIN.name("file"), "file");
        assert!(PLAIN.beside(&"n".repeat(248)).is_some());
        assert!(PLAIN.beside(&"n".repeat(249)).is_none());
    }

    /// What makes names clash: quotes, hex digits, bytes alone or together UTF-8, the suffix.
    fn clashing() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            6 => Just("\u{201b}".as_bytes()),
            2 => Just(&b"E9"[..]),
            2 => Just(&b"5C"[..]),
            2 => Just(&b"\\"[..]),
            2 => Just(&b"C3"[..]),
            2 => Just(&b"A9"[..]),
            2 => Just(&b"file"[..]),
            1 => Just(&b"F"[..]),
            1 => Just(&b"2F"[..]),
            1 => Just(&b"e9"[..]),
            1 => Just(&b"\xe9"[..]),
            1 => Just(&b"\xc3"[..]),
            1 => Just(&b"\xa9"[..]),
            1 => Just(&b"\xe2\x80"[..]),
            1 => Just(&b"."[..]),
        ];
        prop::collection::vec(part, 1..10).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn every_name_comes_back(bytes in clashing()) {
            let shown = OsStr::from_bytes(&bytes);
            for spelling in [PLAIN, QUOTING] {
                match spelling.component(shown) {
                    Ok(component) => {
                        let has_backslash = component.contains('\\');
                        prop_assert!(!(spelling.backslash_is_slash && has_backslash));
                        prop_assert_eq!(spelling.name(&component), shown);
                    }
                    Err(error) => prop_assert_eq!(error, NameError::NotAName),
                }
            }
        }

        #[test]
        fn every_component_that_can_be_named_comes_back(bytes in clashing(), is_beside: bool) {
            let plain = String::from_utf8_lossy(&bytes).into_owned();
            for spelling in [PLAIN, QUOTING] {
                // Where a backslash is quoted no key has one.
                let is_key = !(spelling.backslash_is_slash && plain.contains('\\'));
                if !is_key || !spelling.nameable(&plain) {
                    continue;
                }
                let meant = match is_beside {
                    true => spelling.beside(&plain).unwrap().to_string(),
                    false => plain.clone(),
                };
                prop_assert_eq!(spelling.component(&spelling.name(&meant)), Ok(meant));
            }
        }

        #[test]
        fn any_bytes_come_back(bytes in prop::collection::vec(1..=u8::MAX, 1..=255)) {
            let shown = OsStr::from_bytes(&bytes);
            for spelling in [PLAIN, QUOTING] {
                if let Ok(component) = spelling.component(shown) {
                    prop_assert_eq!(spelling.name(&component), shown);
                }
            }
        }
    }
}
