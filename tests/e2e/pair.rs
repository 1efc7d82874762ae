//! A mount and a local directory beside it: one script does the same in both.

use std::path::Path;

use tempfile::TempDir;

use crate::mounted::Mounted;
use crate::rig::{BUCKET, Rig};
use crate::shell::sh;

/// A mount and a local directory beside it.
pub struct Pair {
    rig: Rig,
    mounted: Mounted,
    local: TempDir,
}

impl Pair {
    pub fn new() -> Self {
        let rig = Rig::new();
        let mounted = rig.mount();
        Self {
            rig,
            mounted,
            local: tempfile::tempdir().unwrap(),
        }
    }

    /// Runs one script in both; `$SOURCE` is a directory with a tree of files.
    ///
    /// # Panics
    /// If they print or leave behind something else.
    pub fn run(self, script: &str) {
        let source = tempfile::tempdir().unwrap();
        make_tree(source.path());
        let script = format!("SOURCE={}\n{script}", source.path().display());
        let expected = sh(self.local.path(), &script);
        assert_eq!(sh(&self.mounted.dir(), &script), expected);
        let compare = format!("diff -r --no-dereference {} .", self.local.path().display());
        sh(&self.mounted.dir(), &compare);
        self.mounted.unmount();
        // What a later mount finds, with nothing in any cache.
        let mounted = self.rig.mount();
        sh(&mounted.dir(), &compare);
        mounted.unmount();
        assert!(self.rig.sim.uploads(BUCKET).is_empty(), "an upload is left");
    }
}

fn make_tree(dir: &Path) {
    let script = r"
        mkdir -p a/b/c 'with space' empty
        for i in $(seq 40); do seq $i $((i * 400)) > a/f$i; done
        head -c 3000000 /dev/zero > a/b/zeros
        seq 2000000 > a/b/c/numbers
        printf 'no newline' > 'with space/file name'
        : > a/nothing
    ";
    sh(dir, script);
}
