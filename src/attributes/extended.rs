//! Extended attributes in an object's metadata, as s3fs-fuse keeps them: under the word `xattr` a
//! JSON object of names and base64 values, percent-encoded (src/s3fs.cpp, build_xattrs). Knows no
//! object.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The word of the metadata.
const WORD: &str = "xattr";

/// Extended attributes by name.
pub type Extended = BTreeMap<String, Vec<u8>>;

/// The extended attributes that the metadata of an object tells; what cannot be understood is left
/// out.
pub fn of_metadata(metadata: &BTreeMap<String, String>) -> Extended {
    let parsed = metadata.get(WORD).and_then(|text| {
        let text = percent_decode_str(text).decode_utf8().ok()?;
        serde_json::from_str::<BTreeMap<String, String>>(&text).ok()
    });
    let values = parsed.unwrap_or_default().into_iter();
    values
        .filter_map(|(name, value)| Some((name, STANDARD.decode(value).ok()?)))
        .collect()
}

/// Puts extended attributes in the place of those in the metadata.
pub fn write_to(extended: &Extended, metadata: &mut BTreeMap<String, String>) {
    if extended.is_empty() {
        metadata.remove(WORD);
        return;
    }
    let encoded: serde_json::Map<_, _> = extended
        .iter()
        .map(|(name, value)| (name.clone(), STANDARD.encode(value).into()))
        .collect();
    let text = serde_json::Value::Object(encoded).to_string();
    let text = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
    metadata.insert(WORD.to_owned(), text);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Extended, of_metadata, write_to};

    #[test]
    fn what_s3fs_fuse_writes_is_read() {
        let text = "%7B%22user.a%22%3A%22Yg%3D%3D%22%2C%22user.c%22%3A%22%22%7D";
        let metadata = BTreeMap::from([("xattr".to_owned(), text.to_owned())]);
        let expected = [("user.a", &b"b"[..]), ("user.c", b"")];
        let expected: Extended = expected
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        assert_eq!(of_metadata(&metadata), expected);
    }

    #[test]
    fn any_bytes_are_read_back_and_the_word_goes_with_the_last() {
        let mut metadata = BTreeMap::new();
        let all: Vec<u8> = (0..=255).collect();
        let mut extended = Extended::from([("user.\"{%\u{e9}".to_owned(), all)]);
        write_to(&extended, &mut metadata);
        assert!(metadata["xattr"].is_ascii());
        assert_eq!(of_metadata(&metadata), extended);
        extended.clear();
        write_to(&extended, &mut metadata);
        assert!(metadata.is_empty());
    }
}
