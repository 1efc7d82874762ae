//! Where objects may carry attributes in their metadata, so that a listing, which tells none, does
//! not tell enough. Asks nobody.

use std::collections::BTreeSet;

use crate::config::AttributeSource;

/// Directories noted one by one; beyond that any may hold such objects.
const DIRECTORIES_MAX: usize = 4096;

/// The directories of each source whose objects may carry attributes.
#[derive(Debug)]
pub struct Carriers {
    from: AttributeSource,
    sources: Vec<Place>,
}

#[derive(Clone, Debug)]
enum Place {
    /// In these only, by path.
    In(BTreeSet<String>),
    Everywhere,
}

impl Carriers {
    /// Nothing is known of `sources` sources.
    pub fn new(from: AttributeSource, sources: usize) -> Self {
        Self {
            from,
            sources: vec![Place::In(BTreeSet::new()); sources],
        }
    }

    /// There is one more source, of which nothing is known.
    pub fn add_source(&mut self) {
        self.sources.push(Place::In(BTreeSet::new()));
    }

    /// Objects of this directory carry attributes: they were given some here.
    pub fn note(&mut self, source: usize, path: &str) {
        if let Place::In(paths) = &mut self.sources[source] {
            paths.insert(path.to_owned());
            if paths.len() > DIRECTORIES_MAX {
                self.sources[source] = Place::Everywhere;
            }
        }
    }

    /// An object that nobody here gave attributes has some: so may any.
    pub fn note_everywhere(&mut self, source: usize) {
        self.sources[source] = Place::Everywhere;
    }

    /// A directory has another path now.
    pub fn renamed(&mut self, (source, from): (usize, &str), (target, to): (usize, &str)) {
        let Place::In(paths) = &self.sources[source] else {
            return self.note_everywhere(target);
        };
        let moved = paths.iter().filter_map(|path| path.strip_prefix(from));
        let moved: Vec<String> = moved.map(|rest| format!("{to}{rest}")).collect();
        for path in moved {
            self.note(target, &path);
        }
    }

    /// Whether a listing of this directory leaves attributes open. One with a marker object was
    /// made by a filesystem, which keeps attributes.
    pub fn may_be_in(&self, source: usize, path: &str, has_marker: bool) -> bool {
        match self.from {
            AttributeSource::Listing => false,
            AttributeSource::Objects => true,
            AttributeSource::Auto => {
                has_marker
                    || match &self.sources[source] {
                        Place::Everywhere => true,
                        Place::In(paths) => paths.contains(path),
                    }
            }
        }
    }

    /// Whether the option says where they are, so that there is nothing to find out.
    pub fn are_known(&self) -> bool {
        self.from != AttributeSource::Auto
    }

    /// Whether HEAD is to be asked for what a listing does not tell, where it does not matter
    /// which directory it is.
    pub fn are_wanted(&self) -> bool {
        self.from != AttributeSource::Listing
    }
}

#[cfg(test)]
mod tests {
    use super::{Carriers, DIRECTORIES_MAX};
    use crate::config::AttributeSource::{Auto, Listing, Objects};

    #[test]
    fn a_directory_carries_once_it_was_noted_and_under_its_new_path_too() {
        let mut carriers = Carriers::new(Auto, 2);
        assert!(!carriers.may_be_in(0, "a/", false));
        assert!(carriers.may_be_in(0, "a/", true));
        carriers.note(0, "a/b/");
        assert!(!carriers.may_be_in(0, "a/", false));
        carriers.renamed((0, "a/"), (0, "c/"));
        assert!(carriers.may_be_in(0, "c/b/", false));
        assert!(!carriers.may_be_in(1, "a/b/", false));
        carriers.note_everywhere(1);
        assert!(carriers.may_be_in(1, "", false));
        for n in 0..=DIRECTORIES_MAX {
            carriers.note(0, &n.to_string());
        }
        assert!(carriers.may_be_in(0, "other/", false));
    }

    #[test]
    fn the_option_decides_for_all() {
        let mut carriers = Carriers::new(Listing, 1);
        carriers.note_everywhere(0);
        assert!(!carriers.may_be_in(0, "", true));
        assert!(Carriers::new(Objects, 1).may_be_in(0, "", false));
    }
}
