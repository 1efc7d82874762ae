//! Times in the metadata of objects that can be appended to in their place: an append leaves the
//! metadata as it is, so it is noted with the times of which size they are. Knows the words for
//! times, and not what they mean.

use crate::store::ObjectHeaders;

/// The word for the bytes an object had when its times were stored.
const SIZE: &str = "mtime-size";
/// The words for times: those of s3fs-fuse and rclone, and of AWS's file services.
const TIMES: [&str; 5] = ["mtime", "atime", "ctime", "file-mtime", "file-atime"];

impl ObjectHeaders {
    /// Notes of how many bytes the object is that gets these headers, if they have times.
    pub fn note_size(&mut self, size: u64) {
        if self.has_times() {
            self.metadata.insert(SIZE.to_owned(), size.to_string());
        } else {
            self.forget_size();
        }
    }

    /// Takes the note of a size away.
    pub fn forget_size(&mut self) {
        self.metadata.remove(SIZE);
    }

    /// Takes the times of an object of so many bytes away if they were noted for another size:
    /// somebody has appended to it since, and Last-Modified tells when.
    pub fn drop_old_times(&mut self, size: u64) {
        let noted = self.metadata.get(SIZE).and_then(|noted| noted.parse().ok());
        if noted.is_some_and(|noted: u64| noted != size) {
            self.drop_times();
        }
    }

    /// Takes the times away, and the note of a size.
    pub fn drop_times(&mut self) {
        let is_time = |word: &str| word == SIZE || TIMES.contains(&word);
        self.metadata.retain(|word, _| !is_time(word));
    }

    /// Whether an object with these headers may get more bytes and no other headers: if it has
    /// times, it is noted of which size they are.
    pub fn allow_appends(&self) -> bool {
        self.metadata.contains_key(SIZE) || !self.has_times()
    }

    fn has_times(&self) -> bool {
        TIMES.iter().any(|word| self.metadata.contains_key(*word))
    }
}

#[cfg(test)]
mod tests {
    use crate::store::ObjectHeaders;

    fn headers(words: &[(&str, &str)]) -> ObjectHeaders {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        ObjectHeaders {
            metadata: words.iter().map(owned).collect(),
            ..ObjectHeaders::default()
        }
    }

    #[test]
    fn times_noted_for_another_size_are_no_times() {
        let timed = headers(&[("mtime", "1"), ("ctime", "2"), ("uid", "3")]);
        let untimed = headers(&[("uid", "3")]);
        let mut now = timed.clone();
        assert!(!now.allow_appends());
        now.note_size(7);
        assert!(now.allow_appends());
        let noted = now.clone();
        now.drop_old_times(7);
        assert_eq!(now, noted);
        now.drop_old_times(8);
        assert_eq!(now, untimed);
        assert!(now.allow_appends());
        // Without times there is nothing to date.
        now.note_size(8);
        assert_eq!(now, untimed);
        let mut now = noted;
        now.forget_size();
        assert_eq!(now, timed);
        now.drop_old_times(8);
        assert_eq!(now, timed);
    }
}
