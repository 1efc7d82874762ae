//! What travels beside the content of a file: its headers and attributes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::State;
use crate::attributes::extended::{self, Extended};
use crate::attributes::{Attributes, Kind};
use crate::extent::ExtentMap;
use crate::file::Creation;
use crate::file::record::{Description, Edit};
use crate::object::ObjectVersion;
use crate::range::ByteRange;
use crate::store::grown::Fingerprint;
use crate::store::{ObjectHeaders, Tags};

impl State {
    /// The headers the next commit sends.
    pub fn headers(&self) -> ObjectHeaders {
        let usual = match self.is_marker() {
            true => Kind::Directory,
            false => Kind::File,
        };
        let mut headers = self.headers.clone();
        self.attributes.write_to(&mut headers.metadata, usual);
        headers.forget_size();
        headers
    }

    /// As [`Self::headers`], with a note of what the object will have grown from: of versions with
    /// whose bytes the content begins. An append in place cannot change it.
    pub fn headers_of_growth(&self) -> ObjectHeaders {
        let mut headers = self.headers();
        let limits = self.place.bucket.limits();
        let base = self.base.as_ref();
        let Some(base) = base.filter(|_| limits.append_max == 0) else {
            return headers;
        };
        let of_base = self.is_dirty().then(|| Fingerprint::of(base));
        if of_base.is_none() || self.begins_with(base) {
            let from: Vec<_> = of_base
                .into_iter()
                .chain(self.grown_from.iter().copied())
                .collect();
            headers.note_growth(self.map.len(), &from, limits.metadata_bytes_max);
        }
        headers
    }

    /// Whether nothing is to be committed but headers and attributes.
    pub fn has_only_headers(&self) -> bool {
        let has_object = self.base.is_some() || self.is_marker();
        self.is_dirty() && has_object && !self.has_new_content()
    }

    /// Whether all bytes of a version are at the beginning of the content.
    pub fn begins_with(&self, version: &Arc<ObjectVersion>) -> bool {
        let all = ExtentMap::of_object(version.clone());
        self.map.slice(ByteRange::new(0, version.size)) == all
    }

    /// The headers without the attributes of now.
    pub const fn plain_headers(&self) -> &ObjectHeaders {
        &self.headers
    }

    /// The tags are others from now on.
    pub fn note_tags(&mut self, tags: Tags) {
        if self.headers.tags != tags {
            self.headers.tags = tags;
            self.note_description(true);
        }
    }

    /// Has what is described now recorded, the headers if they are others.
    fn note_description(&mut self, has_headers: bool) {
        let description = Description {
            headers: has_headers.then(|| self.headers.clone()),
            attributes: self.attributes,
            modified: self.modified,
            is_time_set: self.is_time_set,
            is_appendable: self.is_appendable,
        };
        self.recorded.edits.push(Edit::Describe(description));
    }

    /// What the process before has recorded.
    pub fn describe_again(&mut self, description: Description) {
        let Description {
            headers,
            attributes,
            modified,
            is_time_set,
            is_appendable,
        } = description;
        if let Some(headers) = headers {
            self.headers = headers;
        }
        self.attributes = attributes;
        self.modified = modified;
        self.is_time_set = is_time_set;
        self.is_appendable = is_appendable;
    }

    /// Changes what travels beside the content.
    pub fn describe<T>(
        &mut self,
        change: impl FnOnce(&mut ObjectHeaders, &mut Attributes) -> T,
    ) -> T {
        let (mtime, atime) = (self.attributes.mtime, self.attributes.atime);
        let headers = self.headers.clone();
        let changed = change(&mut self.headers, &mut self.attributes);
        if (self.attributes.mtime, self.attributes.atime) != (mtime, atime) {
            self.is_time_set = true;
            self.modified = self.attributes.mtime.unwrap_or(self.modified);
        }
        self.edits += 1;
        self.appended_from = None;
        self.is_appendable = false;
        self.attributes.ctime = Some(SystemTime::now());
        self.note_description(self.headers != headers);
        changed
    }

    /// Changes the headers, all metadata among them; nothing when `change` fails.
    pub fn change_headers<E>(
        &mut self,
        change: impl FnOnce(&mut ObjectHeaders) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut headers = self.headers();
        change(&mut headers)?;
        self.describe(|now, _| *now = headers);
        Ok(())
    }

    /// The extended attributes.
    pub fn extended(&self) -> Extended {
        extended::of_metadata(&self.headers.metadata)
    }

    /// Changes the words of the metadata, and no time.
    pub fn change_metadata(&mut self, change: impl FnOnce(&mut BTreeMap<String, String>)) {
        change(&mut self.headers.metadata);
        self.attributes = Attributes::of_metadata(&self.headers.metadata);
    }

    /// Takes over the times that the object was given, unless something was done since.
    pub fn adopt_times(&mut self, times: &Attributes, edits: u64) {
        if self.edits == edits && !self.is_time_set {
            self.attributes.mtime = times.mtime;
            self.attributes.ctime = times.ctime;
            self.modified = times.mtime.unwrap_or(self.modified);
        }
    }

    /// The object has the headers of that edit, and not those of the beginning of an upload.
    pub fn note_headers_stored(&mut self, edits: u64) {
        self.is_appendable |= self.edits == edits;
    }

    /// All that there was to publish at that count of edits were these headers, and they are.
    pub fn note_described(&mut self, headers: &ObjectHeaders, edits: u64) {
        self.edits_published = edits;
        self.grown_from = headers.growth();
        if !self.is_dirty() {
            // What was cut to nothing is stored so.
            self.creation = Creation::IfAbsent;
        }
    }
}
