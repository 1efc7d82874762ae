//! Locks on inodes that are held while the store is asked. Knows no operation.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::lock::{Guarded, Locked};
use crate::namespace::Ino;

/// How an inode is locked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Access {
    /// Beside others that share it.
    Shared,
    /// Alone.
    Exclusive,
}

/// What an operation locks, all of it at once.
pub(super) type Wanted = BTreeMap<Ino, Access>;

type Map = HashMap<Ino, Arc<RwLock<()>>>;

/// One lock an inode, made when first wanted and dropped when nobody holds or wants it.
///
/// A directory is locked shared by whatever works below it and exclusively by its own rename or
/// removal; a file is locked exclusively by what moves or removes it. Nothing is uploaded while any
/// is held: a commit locks nothing here, and what moves or removes a file holds it (`file::Hold`).
/// An operation locks everything it needs at once, in ascending order of inode numbers, and
/// nothing more while it holds any: so no two can wait for each other, whatever they lock.
#[derive(Debug, Default)]
pub(super) struct Locks {
    by_ino: Guarded<Map>,
}

#[derive(Debug)]
enum Guard {
    Shared(#[expect(dead_code, reason = "held for its drop")] OwnedRwLockReadGuard<()>),
    Exclusive(#[expect(dead_code, reason = "held for its drop")] OwnedRwLockWriteGuard<()>),
}

/// Locks held; dropped, they are free.
#[derive(Debug)]
pub(super) struct Held<'a> {
    locks: &'a Locks,
    wanted: Wanted,
    guards: Vec<Guard>,
}

impl Locks {
    /// Waits for all of these.
    pub(super) async fn acquire(&self, wanted: Wanted) -> Held<'_> {
        let mut held = Held {
            locks: self,
            wanted,
            guards: Vec::new(),
        };
        for (ino, access) in held.wanted.clone() {
            let lock = Arc::clone(self.map().entry(ino).or_default());
            held.guards.push(match access {
                Access::Shared => Guard::Shared(lock.read_owned().await),
                Access::Exclusive => Guard::Exclusive(lock.write_owned().await),
            });
        }
        held
    }

    fn map(&self) -> Locked<'_, Map> {
        self.by_ino.lock()
    }
}

impl Held<'_> {
    /// Whether nothing of this is missing.
    pub(super) fn covers(&self, wanted: &Wanted) -> bool {
        wanted
            .iter()
            .all(|(ino, access)| self.wanted.get(ino).is_some_and(|held| held >= access))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.guards.clear();
        let mut map = self.locks.map();
        for ino in self.wanted.keys() {
            if map
                .get(ino)
                .is_some_and(|lock| Arc::strong_count(lock) == 1)
            {
                map.remove(ino);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Locks, Wanted};
    use crate::namespace::Ino;

    #[tokio::test]
    async fn a_lock_nobody_holds_or_wants_is_dropped() {
        let locks = Locks::default();
        let wanted = Wanted::from([(Ino(1), Access::Shared), (Ino(2), Access::Exclusive)]);
        let first = locks.acquire(wanted).await;
        let second = locks
            .acquire(Wanted::from([(Ino(1), Access::Shared)]))
            .await;
        drop(first);
        assert_eq!(locks.map().len(), 1);
        drop(second);
        assert!(locks.map().is_empty());
    }
}
