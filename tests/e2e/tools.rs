//! Everyday programs on a mount, each compared with what it does in a local directory.

use std::path::Path;

use tempfile::TempDir;

use crate::mounted::Mounted;
use crate::rig::{BUCKET, Rig};
use crate::shell::sh;

/// A mount and a local directory beside it.
struct Pair {
    rig: Rig,
    mounted: Mounted,
    local: TempDir,
}

impl Pair {
    fn new() -> Self {
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
    fn run(self, script: &str) {
        let source = tempfile::tempdir().unwrap();
        make_tree(source.path());
        let script = format!("SOURCE={}\n{script}", source.path().display());
        let expected = sh(self.local.path(), &script);
        assert_eq!(sh(&self.mounted.dir(), &script), expected);
        let compare = format!("diff -r {} .", self.local.path().display());
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

#[test]
fn rsync_copies_a_tree_and_then_its_changes() {
    let script = r#"
        rsync -r "$SOURCE"/ tree
        seq 50000 > "$SOURCE"/a/f3
        rm -f "$SOURCE"/a/f4
        rsync -r --checksum --delete "$SOURCE"/ tree
        find tree | sort
    "#;
    Pair::new().run(script);
}

#[test]
fn tar_packs_and_unpacks_a_tree() {
    let script = r#"
        tar -cf tree.tar --sort=name --mtime=@0 -C "$SOURCE" .
        mkdir tree
        tar -xf tree.tar -C tree --no-same-owner --no-same-permissions -m
        find tree -type f | sort | xargs -d '\n' md5sum
    "#;
    Pair::new().run(script);
}

#[test]
fn git_clones_commits_and_checks_a_repository() {
    let script = r#"
        author='-c user.name=A -c user.email=a@example.com -c commit.gpgsign=false'
        export GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'
        if [ ! -d "$SOURCE"/.git ]; then
            git -C "$SOURCE" init -q -b main
            git -C "$SOURCE" add .
            git -C "$SOURCE" $author commit -q -m one
        fi
        # A local clone would set the times of the files it copies, which are not stored.
        git clone -q --no-local "$SOURCE" clone
        cd clone
        seq 100 > new
        git add new
        git $author commit -q -m two
        git gc -q
        git fsck --full
        git log --format=%H
        git status --short
        cd ..
        rm -rf clone/.git
    "#;
    Pair::new().run(script);
}

#[test]
fn sqlite_keeps_a_database_with_a_rollback_journal() {
    let script = r#"
        sqlite3 db "
            PRAGMA journal_mode = DELETE;
            CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT);
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                INSERT INTO t SELECT i, 'row ' || i FROM n;
            BEGIN; DELETE FROM t WHERE id % 3 = 0; ROLLBACK;
            UPDATE t SET text = 'changed' WHERE id % 100 = 0;
            CREATE INDEX by_text ON t (text);
        "
        sqlite3 db "SELECT count(*), sum(id) FROM t; SELECT count(*) FROM t WHERE text = 'changed'"
        sqlite3 db "VACUUM; PRAGMA integrity_check; SELECT * FROM t WHERE id = 12345"
        sqlite3 db .dump | md5sum
        rm db
    "#;
    Pair::new().run(script);
}

#[test]
fn shell_tools_edit_move_and_split_files() {
    let script = r#"
        cp -r "$SOURCE"/a .
        mv a/b/c deep
        cat a/f1 a/f2 > joined
        tail -c 1000 deep/numbers >> joined
        sed -i 's/1/one/g' a/f5
        sort -r deep/numbers > sorted
        split -n 5 sorted part.
        cat part.* | cmp - sorted
        dd if=deep/numbers of=some bs=7777 skip=3 count=11 status=none
        truncate -s 5000 some
        mv -f some a/f6
        rm -r a/f1*
        find . -type f | sort | xargs wc -c
    "#;
    Pair::new().run(script);
}
