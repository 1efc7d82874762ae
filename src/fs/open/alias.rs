//! An inode that lost its name to another file is opened as that file: the caller found the old one
//! by its name a moment ago. Asks no store.

use std::collections::BTreeMap;

use crate::fs::Ino;
use crate::fs::state::State;
use crate::namespace::Reported;

/// The inodes that are open as other files: which, and by how many handles. To the kernel each has
/// one size and one mapping, so all its handles are of one file.
pub(in crate::fs) type Aliases = BTreeMap<Ino, (Ino, u64)>;

impl State {
    /// Counts one more handle of an inode that is opened as another file; whether that may be.
    pub(super) fn add_alias(&mut self, found: Ino, opened: Ino) -> bool {
        let (of, handles) = self.aliases.entry(found).or_insert((opened, 0));
        let is_it = *of == opened;
        *handles += u64::from(is_it);
        is_it
    }

    /// Counts one handle less, if it is one of another file than was found.
    pub(super) fn end_alias(&mut self, found: Ino, opened: Ino) {
        let Some((of, handles)) = self.aliases.get_mut(&found) else {
            return;
        };
        if *of == opened && found != opened {
            *handles = handles.saturating_sub(1);
            if *handles == 0 {
                self.aliases.remove(&found);
            }
        }
    }

    /// The file that an inode shows in its own place.
    pub(in crate::fs) fn shown_as(&self, ino: Ino) -> Option<Ino> {
        let alias = self.aliases.get(&ino).map(|(of, _)| *of);
        alias.or_else(|| self.namesake(ino))
    }

    /// The file that has the name by now that an inode had, which nobody has open.
    fn namesake(&self, ino: Ino) -> Option<Ino> {
        let node = self.tree.node(ino).filter(|node| !node.is_linked())?;
        let is_in_use = node.is_directory() || self.open.file(ino).is_some();
        let named = self.tree.child(node.parent(), node.name());
        named.filter(|named| !is_in_use && self.tree.file(*named).is_some())
    }

    /// Whether a file lets in whomever the other one did, as the kernel was given it.
    pub(super) fn lets_in_as(&self, ino: Ino, other: Ino) -> bool {
        let reported = self.tree.file(other).and_then(|file| file.reported);
        let now = self.attr(ino).as_ref().map(Reported::of);
        let access = |reported: Reported| (reported.mode, reported.owner);
        reported.is_some() && reported.map(access) == now.map(access)
    }
}
