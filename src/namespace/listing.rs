//! Makes the entries of one directory of the pages of a folded listing: each name once. Pure: asks
//! no store.
//!
//! An object `x` has another name when there are keys below `x/` ([`names`](super::names)): the
//! directory is shown as `x`. In the order of keys, names such as `x!`, `x-` and `x.` come between
//! the two, so an object is held back until the listing has passed `x/`. Each object held is a
//! proper prefix of the next one held, so at most
//! [`KEY_BYTES_MAX`](crate::namespace::names::KEY_BYTES_MAX) are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use crate::namespace::knowledge::{Known, Named};
use crate::namespace::names::{Spelling, UNLINKED_DIR};
use crate::store::{ListPage, ListedObject};

/// One name of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The component of keys that its name stands for ([`names`](super::names)).
    pub name: Arc<str>,
    /// What is there; never [`Named::Absent`].
    pub named: Named,
    /// When the store was asked.
    pub at: Instant,
    /// Whether nothing is left open, as in [`NameKnown`](super::knowledge::NameKnown).
    pub is_told: bool,
}

impl Entry {
    /// Nothing points to attributes that the listing does not tell.
    pub const fn nothing_is_open(&mut self) {
        self.is_told = true;
        if let Named::File(known) = &mut self.named {
            known.is_told = true;
        }
    }
}

/// The state between two pages of one listing.
#[derive(Debug)]
pub struct Fold {
    prefix: String,
    spelling: Spelling,
    /// Whether this is the top of a source, where one name is reserved.
    top: bool,
    /// Names of directories, whether there are keys below them or not.
    directories: BTreeSet<Arc<str>>,
    held: Vec<Entry>,
    /// The marker of the directory itself, once the listing has passed it.
    pub marker: Option<Known>,
    warned: bool,
}

enum Next<'a> {
    Object(&'a ListedObject),
    Prefix(&'a str),
}

impl Fold {
    /// Before the first page of the keys below `prefix`, which is empty or ends in `/`.
    pub const fn new(
        prefix: String,
        spelling: Spelling,
        top: bool,
        directories: BTreeSet<Arc<str>>,
    ) -> Self {
        Self {
            prefix,
            spelling,
            top,
            directories,
            held: Vec::new(),
            marker: None,
            warned: false,
        }
    }

    /// The first of the objects that are held back.
    pub fn first_held(&self) -> Option<&Arc<str>> {
        self.held.first().map(|object| &object.name)
    }

    /// The entries that are certain after this page.
    pub fn page(&mut self, page: &ListPage, at: Instant) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(page.objects.len() + page.prefixes.len());
        let mut objects = page.objects.iter().peekable();
        let mut prefixes = page.prefixes.iter().peekable();
        loop {
            let next = match (objects.peek(), prefixes.peek()) {
                (Some(object), Some(prefix)) if object.key.as_str() < prefix.as_str() => {
                    objects.next().map(Next::Object)
                }
                (_, Some(_)) => prefixes.next().map(|prefix| Next::Prefix(prefix)),
                (Some(_), None) => objects.next().map(Next::Object),
                (None, None) => break,
            };
            match next {
                Some(Next::Object(object)) => self.object(object, at, &mut entries),
                Some(Next::Prefix(prefix)) => self.directory(prefix, at, &mut entries),
                None => break,
            }
        }
        entries
    }

    /// The entries still held back when the listing has ended.
    pub fn finish(&mut self) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(self.held.len());
        for object in std::mem::take(&mut self.held) {
            self.give_out(object, &mut entries);
        }
        entries
    }

    fn object(&mut self, object: &ListedObject, at: Instant, entries: &mut Vec<Entry>) {
        let Some(name) = object.key.as_str().strip_prefix(&self.prefix) else {
            return;
        };
        if name.is_empty() {
            self.marker = Some(Known::of_listed(object, at));
            return;
        }
        if !self.shows(name, object.key.as_str()) {
            return;
        }
        self.pass(name, entries);
        let named = Named::File(Known::of_listed(object, at));
        self.held.push(Entry {
            name: Arc::from(name),
            named,
            at,
            is_told: false,
        });
    }

    fn directory(&mut self, prefix: &str, at: Instant, entries: &mut Vec<Entry>) {
        let Some(name) = prefix
            .strip_prefix(&self.prefix)
            .and_then(|rest| rest.strip_suffix('/'))
        else {
            return;
        };
        if !self.shows(name, prefix) {
            return;
        }
        self.pass(&prefix[self.prefix.len()..], entries);
        // The object first: `rm -r` then finds it before it has removed the directory.
        if let Some(object) = self.held.pop_if(|object| *object.name == *name) {
            self.give_out_beside(object, entries);
        }
        entries.push(Entry {
            name: Arc::from(name),
            named: Named::Directory(None),
            at,
            is_told: false,
        });
    }

    /// An object that no prefix of the listing is beside.
    fn give_out(&self, object: Entry, entries: &mut Vec<Entry>) {
        if self.directories.contains(&object.name) {
            self.give_out_beside(object, entries);
        } else {
            entries.push(object);
        }
    }

    /// An object beside a directory of its name.
    fn give_out_beside(&self, object: Entry, entries: &mut Vec<Entry>) {
        match self.spelling.beside(&object.name) {
            Some(name) => entries.push(Entry { name, ..object }),
            None => log::warn!(
                "{}: hidden by the keys below it, for want of a name that is short enough",
                object.name
            ),
        }
    }

    /// Gives out the objects that the listing, now at `position`, has no prefix beside.
    fn pass(&mut self, position: &str, entries: &mut Vec<Entry>) {
        let passed = |name: &str| {
            !position.starts_with(name) || position.as_bytes().get(name.len()) > Some(&b'/')
        };
        // The innermost objects are passed first: a prefix beside them sorts before one beside
        // the outer ones.
        while let Some(object) = self.held.pop_if(|object| passed(&object.name)) {
            self.give_out(object, entries);
        }
    }

    fn shows(&mut self, name: &str, key: &str) -> bool {
        if self.top && name == UNLINKED_DIR {
            return false;
        }
        let shows = self.spelling.nameable(name);
        if !shows && !self.warned {
            self.warned = true;
            log::warn!("{key:?} and other keys that no path can name are left out");
        }
        shows
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::{Instant, SystemTime};

    use super::Fold;
    use crate::namespace::knowledge::Named;
    use crate::namespace::names::Spelling;
    use crate::object::ObjectKey;
    use crate::store::{ListPage, ListedObject};

    const SPELLING: Spelling = Spelling {
        backslash_is_slash: false,
    };

    /// The names of a directory whose keys are these, `page_max` a page; directories end in `/`.
    fn names(keys: &[&str], page_max: usize) -> Vec<String> {
        names_with(keys, page_max, BTreeSet::new())
    }

    fn names_with(keys: &[&str], page_max: usize, directories: BTreeSet<Arc<str>>) -> Vec<String> {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        let mut fold = Fold::new("d/".into(), SPELLING, true, directories);
        let mut entries = Vec::new();
        for keys in keys.chunks(page_max) {
            let mut page = ListPage::default();
            for key in keys {
                if key
                    .strip_prefix("d/")
                    .is_some_and(|rest| rest.ends_with('/'))
                {
                    page.prefixes.push((*key).into());
                } else {
                    page.objects.push(ListedObject {
                        key: ObjectKey::new(*key),
                        etag: None,
                        size: 1,
                        modified: SystemTime::UNIX_EPOCH,
                        storage_class: None,
                    });
                }
            }
            entries.extend(fold.page(&page, Instant::now()));
        }
        entries.extend(fold.finish());
        let mut names: Vec<String> = entries
            .iter()
            .map(|entry| match entry.named {
                Named::Directory(_) => format!("{}/", entry.name),
                _ => SPELLING.name(&entry.name).into_string().unwrap(),
            })
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn an_object_beside_a_prefix_of_its_name_shows_once_wherever_pages_end() {
        let keys = ["d/x", "d/x!", "d/x-", "d/x.y", "d/x/", "d/x0", "d/w"];
        for page_max in 1..=keys.len() {
            assert_eq!(
                names(&keys, page_max),
                ["w", "x!", "x-", "x.y", "x/", "x0", "x\u{201b}file"],
                "{page_max}"
            );
        }
    }

    #[test]
    fn objects_held_one_inside_the_other_all_come_out() {
        let keys = ["d/x", "d/x!", "d/x!!", "d/x!!/", "d/x!/", "d/x-/"];
        for page_max in 1..=keys.len() {
            assert_eq!(
                names(&keys, page_max),
                [
                    "x",
                    "x!!/",
                    "x!!\u{201b}file",
                    "x!/",
                    "x!\u{201b}file",
                    "x-/"
                ],
                "{page_max}"
            );
        }
    }

    #[test]
    fn an_object_beside_a_directory_that_only_the_mount_knows_shows_under_its_other_name() {
        let keys = ["d/x", "d/x!", "d/y"];
        for page_max in 1..=keys.len() {
            let names = names_with(&keys, page_max, BTreeSet::from(["x".into()]));
            assert_eq!(names, ["x!", "x\u{201b}file", "y"], "{page_max}");
        }
    }

    #[test]
    fn an_object_is_left_out_only_when_its_other_name_would_be_too_long() {
        let long = format!("d/{}", "n".repeat(249));
        let prefix = format!("{long}/");
        assert_eq!(names(&[&long, &prefix], 1), [&prefix[2..]]);
    }

    #[test]
    fn keys_that_no_path_can_name_are_left_out() {
        let long = format!("d/{}", "n".repeat(256));
        let keys = [
            "d/",
            "d//",
            "d/.",
            "d/..",
            "d/../",
            "d/a\0b",
            "d/ok",
            long.as_str(),
        ];
        assert_eq!(names(&keys, 10), ["ok"]);
    }

    #[test]
    fn the_home_of_unlinked_files_is_not_listed() {
        assert_eq!(
            names(&["d/.s3fs-unlinked/", "d/.s3fs-unlinked2/"], 10),
            [".s3fs-unlinked2/"]
        );
    }
}
