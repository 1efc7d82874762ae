//! Everyday programs on a mount, each compared with what it does in a local directory.

use crate::pair::Pair;
use crate::rig::{BUCKET, Rig};
use crate::shell::sh;

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
fn git_clones_checks_out_collects_and_checks_a_repository() {
    let script = r#"
        author='-c user.name=A -c user.email=a@example.com -c commit.gpgsign=false'
        export GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'
        mkdir origin
        cd origin
        git init -q -b main
        for i in $(seq 60); do seq $i $((i * 300)) > f$i; done
        git add .
        git $author commit -q -m one
        git checkout -q -b other
        mkdir bin
        printf '#!/bin/sh\necho done\n' > bin/run
        chmod 755 bin/run
        ln -s bin/run link
        ln -s nowhere dangling
        rm f1; ln -s f2 f1
        chmod +x f3
        git add -A
        git $author commit -q -m two
        git checkout -q main
        cd ..
        git clone -q origin clone
        cd clone
        git status --short
        git checkout -q other
        git status --short
        ./link
        find . -path ./.git -prune -o -not -type d -printf '%y %m %p %l\n' | sort
        git checkout -q main
        test -f f1 -a ! -L f1 -a ! -e bin
        git checkout -q other
        seq 100 > new
        git add new
        git $author commit -q -m three
        git stash list
        git gc -q
        git fsck --full --strict
        git count-objects -v | grep -E '^(in-pack|count)'
        git log --format=%H
        git status --short
        git worktree list | wc -l
        cd ..
        git -C clone archive other | tar -tf - | wc -l
        rm -rf origin/.git clone/.git
    "#;
    Pair::new().run(script);
}

#[test]
fn sqlite_keeps_databases_with_every_journal_and_two_connections() {
    let script = r#"
        database() {
            sqlite3 -cmd '.timeout 60000' -cmd "PRAGMA journal_mode = $mode" $mode.db "$@"
        }
        for mode in DELETE TRUNCATE PERSIST WAL; do
            database "
                CREATE TABLE t (id INTEGER PRIMARY KEY, who TEXT, text TEXT);
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                    INSERT INTO t (who, text) SELECT 'first', 'row ' || i FROM n;
                BEGIN; DELETE FROM t WHERE id % 3 = 0; ROLLBACK;
                UPDATE t SET text = 'changed' WHERE id % 100 = 0;
                CREATE INDEX by_text ON t (text);"
            # Two connections at once, each waiting for the other's locks.
            writers=
            for who in a b; do
                for i in $(seq 20); do
                    echo "INSERT INTO t (who, text) VALUES ('$who', 'new $i');"
                done | database > /dev/null &
                writers="$writers $!"
            done
            database "SELECT count(*) FROM t WHERE who = 'first'"
            for writer in $writers; do wait $writer; done
            database 'PRAGMA integrity_check; SELECT who, count(*) FROM t GROUP BY who;
                SELECT count(*), sum(id) FROM t; SELECT * FROM t WHERE id = 4321;'
            database 'VACUUM; PRAGMA integrity_check'
            database .dump | grep -v "'[ab]'," | md5sum
            rm $mode.db
        done
        rm -f *.db-journal
        ls
    "#;
    Pair::new().run(script);
}

#[test]
fn editors_save_files_with_their_modes_and_owners() {
    let script = r#"
        umask 022
        # vim keeps no backup of what is below /tmp unless told to skip nothing.
        for copy in yes no auto; do
            for backup in nobackup backup; do
                name=$copy-$backup
                printf 'one a\ntwo a\n' > $name
                chown 1234:2345 $name
                chmod 0751 $name
                vim.tiny -es -u NONE -c "set nocompatible backupskip= backupcopy=$copy $backup" \
                    -c '%s/a/b/' -c wq $name
                test ! -e .$name.swp
            done
        done
        printf 'x a\n' > sed; chown 3:4 sed; chmod 640 sed; sed -i 's/a/b/' sed
        printf 'x a\n' > sedbak; chown 3:4 sedbak; chmod 640 sedbak; sed -i.orig 's/a/b/' sedbak
        printf 'x a\n' > saved; chown 5:6 saved; chmod 4711 saved
        cp -p saved .saved.new; echo more >> .saved.new; sync .saved.new
        mv -f .saved.new saved
        ln -s sed to-sed
        vim.tiny -es -u NONE -c 'set nocompatible backupskip= backup' -c '%s/b/c/' -c wq to-sed
        find . -not -type d -printf '%y %m %U %G %s %p %l\n' | sort
        cat yes-* no-* auto-* sed* saved
    "#;
    Pair::new().run(script);
}

#[test]
fn cargo_builds_a_crate_once_also_across_mounts() {
    let script = r#"
        unset CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR RUSTFLAGS RUSTC_WRAPPER
        export CARGO_INCREMENTAL=1
        mkdir -p small/src
        cd small
        if [ ! -e Cargo.toml ]; then
            printf '%s\n' '[package]' 'name = "small"' 'version = "0.1.0"' \
                'edition = "2021"' '[workspace]' > Cargo.toml
            echo 'fn main() { println!("cargo:rustc-env=SAID=hello"); }' > build.rs
            echo 'pub fn sum(n: u64) -> u64 { (1..=n).sum() }' > src/lib.rs
            echo 'fn main() { println!("{} {}", env!("SAID"), small::sum(100)); }' > src/main.rs
        fi
        cargo build --color=never --offline 2>&1
        ./target/debug/small
    "#;
    let rig = Rig::new();
    let mounted = rig.mount();
    let first = sh(&mounted.dir(), script);
    assert!(first.contains("Compiling small"), "{first}");
    let again = sh(&mounted.dir(), script);
    mounted.unmount();
    // The times of sources and products are what cargo decides by.
    let mounted = rig.mount();
    let later = sh(&mounted.dir(), script);
    for said in [&first, &again, &later] {
        assert!(
            said.contains("Finished") && said.ends_with("hello 5050\n"),
            "{said}"
        );
    }
    for said in [&again, &later] {
        assert!(!said.contains("Compiling"), "{said}");
    }
    mounted.unmount();
    assert!(rig.sim.uploads(BUCKET).is_empty(), "an upload is left");
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
