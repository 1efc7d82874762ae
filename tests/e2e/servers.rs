//! The scenarios of `copy`, `edit` and `files`, and what they cost, against real servers.

use s3fs::config::Provider;

use crate::access::Access;
use crate::counting::{Counted, Requests};
use crate::mounted::Mounted;
use crate::real::{Kind, Server};
use crate::rig::{BUCKET, OTHER, Rig};
use crate::shell::sh;
use crate::store::Store;
use crate::target::Target;
use crate::{copy, edit, files};

/// Steps whose requests are counted, each in a mount of its own of both buckets, with what it
/// finds there: [`furnish`].
const STEPS: [(&str, &str); 10] = [
    ("cp small", "cp bucket/small bucket/copy"),
    ("cp above one CopyObject", "cp bucket/big bucket/copy"),
    ("cp to another bucket", "cp bucket/small other/copy"),
    ("cat of two", "cat bucket/a bucket/b > bucket/copy"),
    ("append", "printf x >> bucket/a"),
    (
        "overwrite",
        "printf x | dd of=bucket/a bs=1 seek=10000000 conv=notrunc status=none",
    ),
    ("truncate", "truncate -s 11000000 bucket/a"),
    ("mv file", "mv bucket/small bucket/moved"),
    ("exclusive create", "set -C; echo new > bucket/new"),
    (
        "exclusive create of what is there",
        "set -C; ! echo new > bucket/b",
    ),
];

/// Puts everything a step needs in its place, and nothing else.
fn furnish(store: &Store) {
    for name in ["copy", "moved", "new"] {
        store.delete(BUCKET, name);
    }
    store.delete(OTHER, "copy");
    for name in ["e/f", "g"] {
        store.delete(BUCKET, &format!("moved-d/{name}"));
        store.put(BUCKET, &format!("d/{name}"), "in a directory");
    }
    store.put(BUCKET, "small", "small");
    for name in ["a", "b"] {
        store.put(BUCKET, name, copy::pattern(20 << 20));
    }
}

/// What each step asks of the store from its mount to its unmount.
fn costs(target: &Target) -> Vec<(&'static str, Requests)> {
    let size = 300 << 20;
    target.store.put(BUCKET, "big", copy::pattern(size));
    let counted = Counted::new(target.access);
    let cost = |(name, script): (&'static str, &str)| {
        furnish(target.store);
        let options = format!("provider={},actimeo=600,nocto", target.provider.name());
        let before = counted.requests();
        let mounted = Mounted::new(counted.access(), &[BUCKET, OTHER], &options);
        sh(&mounted.dir(), &format!("ls -lR > /dev/null; {script}"));
        mounted.unmount();
        (name, counted.requests() - before)
    };
    STEPS.map(cost).into()
}

fn costs_what_sim_costs(kind: Kind, target: &Target) {
    let rig = Rig::of(kind.rules());
    let simulated = Target {
        provider: target.provider,
        ..rig.target()
    };
    // What tells that a server is ready.
    for bucket in [BUCKET, OTHER] {
        rig.store.put(bucket, "ready", "");
    }
    let (expected, found) = (costs(&simulated), costs(target));
    for ((name, expected), (_, found)) in expected.into_iter().zip(found) {
        assert!(
            found == expected,
            "{name}:\n  {found}\nand on sim\n  {expected}"
        );
    }
}

/// Runs all against one server.
fn is_right(kind: Kind) {
    let server = Server::start(kind);
    let target = Target {
        access: &server.access,
        store: &server.store,
        provider: kind.provider(),
    };
    costs_what_sim_costs(kind, &target);
    copy::copies(&target);
    edit::edits(&target);
    files::created_exclusively(&target);
    copy::source_replaced(&target);
    files::replaced_while_edited(&target);
    files::replaced_while_read(&target);
}

#[test]
fn copies_edits_and_conflicts_are_right_against_seaweedfs_and_cost_what_they_cost_on_sim() {
    is_right(Kind::SeaweedFs);
}

#[test]
fn copies_edits_and_conflicts_are_right_against_juicefs_and_cost_what_they_cost_on_sim() {
    is_right(Kind::JuiceFs);
}

#[test]
fn copies_edits_and_conflicts_are_right_against_ceph_and_cost_what_they_cost_on_sim() {
    is_right(Kind::Ceph);
}

#[test]
fn copies_edits_and_conflicts_are_right_against_moto_and_cost_what_they_cost_on_sim() {
    is_right(Kind::Moto);
}

/// Neither copies directories, and here no file of an earlier test has made them.
#[test]
fn directories_are_moved_by_servers_that_do_not_copy_them_also_without_copies_of_parts() {
    for (kind, provider) in [
        (Kind::JuiceFs, Provider::Gcs),
        (Kind::SeaweedFs, Provider::Seaweedfs),
    ] {
        let server = Server::start(kind);
        copy::copies(&Target {
            access: &server.access,
            store: &server.store,
            provider,
        });
    }
}

/// What another client left behind, and what is made here: names and modes stay what they are.
const DIRECTORIES: &str = r#"set -e
    not() { if "$@" 2> /dev/null; then exit 1; fi; }
    cd bucket; sleep 1.5; ls; stat -c %F emptied; not mkdir emptied; rmdir emptied; sleep 1.5
    not stat emptied; mkdir emptied; rmdir emptied; sleep 1.5; ls
    mkdir -m 700 own; chown 65534:65534 own implicit; chmod 750 implicit; sleep 3
    stat -c '%a %u' own implicit; mv own moved; sleep 1.5; stat -c '%a %u' moved; not stat own
    mkdir names; cd names; echo hi > 'a\b'; mkdir 'c\d'; sleep 1.5; ls; cat 'a\b'"#;
const DIRECTORIES_SHOWN: &str = "emptied\nimplicit\ndirectory\nimplicit\n\
    700 65534\n750 65534\n700 65534\na\\b\nc\\d\nhi\n";

/// A mount of a SeaweedFS has the names and directories of a filesystem.
fn directories_and_backslashes(access: &Access, store: &Store, options: &str) -> Mounted {
    for key in ["emptied/f", "implicit/f"] {
        store.put(BUCKET, key, "another client's");
    }
    for key in ["emptied/f", "ready"] {
        store.delete(BUCKET, key);
    }
    let mounted = Mounted::new(access, &[BUCKET, OTHER], options);
    assert_eq!(sh(&mounted.dir(), DIRECTORIES), DIRECTORIES_SHOWN);
    mounted
}

#[test]
fn directories_and_backslashes_of_seaweedfs_are_those_of_a_filesystem() {
    let server = Server::start(Kind::SeaweedFs);
    let options = "provider=seaweedfs,actimeo=1";
    directories_and_backslashes(&server.access, &server.store, options).unmount();
}

/// Without its own rules a\b would replace a/b there.
fn is_recognised(access: &Access, store: &Store) {
    let mounted = directories_and_backslashes(access, store, "actimeo=1");
    let log = mounted.log();
    assert!(log.contains("is taken for provider=seaweedfs"), "{log}");
    let script = r#"cd bucket; mkdir a; echo slash > a/b; echo backslash > 'a\b'; sleep 1.5
        cat a/b 'a\b'"#;
    assert_eq!(sh(&mounted.dir(), script), "slash\nbackslash\n");
    assert_eq!(store.get(BUCKET, "a/b"), b"slash\n");
    mounted.unmount();
    let named = Mounted::new(access, &[BUCKET], "provider=other");
    let log = named.log();
    assert!(log.contains("mount it with -o provider=seaweedfs"), "{log}");
    named.unmount();
}

#[test]
fn a_seaweedfs_is_recognised_where_the_mount_names_no_provider() {
    let server = Server::start(Kind::SeaweedFs);
    is_recognised(&server.access, &server.store);
    let rig = Rig::of(Kind::SeaweedFs.rules());
    is_recognised(rig.target().access, &rig.store);
}
