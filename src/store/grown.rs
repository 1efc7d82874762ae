//! Which versions an object has grown from, noted in its metadata: no store tells that an object
//! begins with all bytes of the one before. Whoever has one of these open may go on with the new
//! one. Knows no object, and the word for its time, but not what that means.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use md5::{Digest as _, Md5};

use crate::object::ObjectVersion;
use crate::store::ObjectHeaders;

/// The word: the size and the time of last change of the object that it was written for, and the
/// fingerprints of what that has grown from, the latest first.
const GROWN_FROM: &str = "grown-from";
/// The word for the time of last change. Other programs that change an object and leave the
/// metadata they do not know, as s3fs-fuse does, change this one.
const CHANGED: &str = "ctime";
/// So many versions are noted: 32 commits may come between two looks of a reader.
const FINGERPRINTS_MAX: usize = 32;
/// Bytes of a hash that are a fingerprint.
const FINGERPRINT_BYTES: usize = 8;

/// Of an object's version: equal for two whose entity tag and size are equal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of this version.
    pub fn of(version: &ObjectVersion) -> Self {
        let text = format!("{} {}", version.etag.as_str(), version.size);
        let hash: [u8; 16] = Md5::digest(text.as_bytes()).into();
        let (first, _) = hash.split_at(FINGERPRINT_BYTES);
        Self(u64::from_be_bytes(first.try_into().expect("8 bytes")))
    }

    fn text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.to_be_bytes())
    }

    fn of_text(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(u64::from_be_bytes(bytes.try_into().ok()?)))
    }
}

impl ObjectHeaders {
    /// What the object has grown from.
    pub fn growth(&self) -> Vec<Fingerprint> {
        let word = self.metadata.get(GROWN_FROM);
        let texts = word.iter().flat_map(|word| word.split(' ').skip(2));
        texts.filter_map(Fingerprint::of_text).collect()
    }

    /// Notes of an object of so many bytes with these headers what it has grown from, the latest
    /// first; not if it has no time, and no more than the bound of its metadata leaves room for.
    pub fn note_growth(&mut self, size: u64, from: &[Fingerprint], metadata_bytes_max: u64) {
        self.metadata.remove(GROWN_FROM);
        let Some(changed) = self.metadata.get(CHANGED).filter(|_| !from.is_empty()) else {
            return;
        };
        let mut word = format!("{size} {changed}");
        let others = self.metadata_bytes() + GROWN_FROM.len() as u64;
        let len_max = metadata_bytes_max.saturating_sub(others);
        let mut count = 0;
        for fingerprint in from.iter().take(FINGERPRINTS_MAX) {
            let next = format!(" {}", fingerprint.text());
            if (word.len() + next.len()) as u64 > len_max {
                break;
            }
            word.push_str(&next);
            count += 1;
        }
        if count > 0 {
            self.metadata.insert(GROWN_FROM.to_owned(), word);
        }
    }

    /// Takes the note away if the object, of so many bytes, is not the one that it was written for.
    pub fn drop_old_growth(&mut self, size: u64) {
        let changed = self.metadata.get(CHANGED).map(String::as_str);
        let is_of_now = self.metadata.get(GROWN_FROM).is_some_and(|word| {
            let mut of = word.split(' ');
            of.next() == Some(size.to_string().as_str()) && of.next() == changed
        });
        if !is_of_now {
            self.metadata.remove(GROWN_FROM);
        }
    }

    /// Takes the note away.
    pub fn forget_growth(&mut self) {
        self.metadata.remove(GROWN_FROM);
    }

    /// What stores bound: names and values together.
    pub fn metadata_bytes(&self) -> u64 {
        let words = self.metadata.iter();
        words
            .map(|(name, value)| (name.len() + value.len()) as u64)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{FINGERPRINTS_MAX, Fingerprint};
    use crate::store::ObjectHeaders;

    fn headers(words: &[(&str, &str)]) -> ObjectHeaders {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        ObjectHeaders {
            metadata: words.iter().map(owned).collect(),
            ..ObjectHeaders::default()
        }
    }

    #[test]
    fn growth_is_of_one_size_and_one_time() {
        let from: Vec<_> = (1..100).map(Fingerprint).collect();
        let mut noted = headers(&[("ctime", "5.000000001"), ("own", "kept")]);
        noted.note_growth(7, &from, 2_048);
        assert_eq!(noted.growth(), from[..FINGERPRINTS_MAX]);
        let mut now = noted.clone();
        now.drop_old_growth(7);
        assert_eq!(now, noted);
        now.drop_old_growth(8);
        assert!(now.growth().is_empty());
        let mut now = noted.clone();
        now.metadata.insert("ctime".to_owned(), "6".to_owned());
        now.drop_old_growth(7);
        assert!(now.growth().is_empty());
        noted.note_growth(7, &[], 2_048);
        assert_eq!(noted, headers(&[("ctime", "5.000000001"), ("own", "kept")]));
    }

    #[test]
    fn nothing_is_noted_without_a_time_or_beyond_the_bound_of_the_store() {
        let mut untimed = headers(&[("own", "kept")]);
        untimed.note_growth(7, &[Fingerprint(1)], 2_048);
        assert_eq!(untimed, headers(&[("own", "kept")]));
        let bound = "ctime5grown-from7 5 ".len() as u64 + 11;
        for (bytes_max, is_noted) in [(bound - 1, false), (bound, true)] {
            let mut timed = headers(&[("ctime", "5")]);
            timed.note_growth(7, &[Fingerprint(1)], bytes_max);
            assert_eq!(!timed.growth().is_empty(), is_noted);
        }
    }
}
