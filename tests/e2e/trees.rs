//! Whole trees with modes, owners, times, links and pipes, moved by the programs that keep all
//! of that, and what they ask of the store for one file.

use std::path::Path;
use std::time::{Duration, Instant};

use s3fs::sim::{Counters, Operation, SimStat};

use crate::mounted::Mounted;
use crate::rig::{BUCKET, Rig};
use crate::service::wait_until;
use crate::shell::sh;

/// Makes a tree; arguments: its path and the number of regular files in it.
const MAKE_TREE: &str = r#"
import os, random, sys

root, files = sys.argv[1], int(sys.argv[2])
rng = random.Random(3)
owners = [(0, 0), (1000, 1000), (1000, 50), (65534, 65534), (2_000_000_000, 3_000_000)]
nanos = [0, 1, 123_456_789, 500_000_000, 999_999_999]
dir_names = ["dir", "with space", ".hidden", "\u00fc+%"]
file_names = ["f", "name with space ", "\u00e4%2F+&", ".", "-"]
noise = rng.randbytes(200_000)
made = []
os.umask(0)


def node(path, mode):
    uid, gid = rng.choice(owners)
    os.chown(path, uid, gid, follow_symlinks=False)
    if mode is not None:
        os.chmod(path, mode)
    made.append((path, rng.randrange(1_700_000_000) * 10**9 + rng.choice(nanos)))


os.mkdir(root)
dirs = [root]
for number in range(files // 26):
    path = f"{rng.choice(dirs)}/{rng.choice(dir_names)}{number}"
    os.mkdir(path)
    dirs.append(path)
for number in range(files):
    path = f"{rng.choice(dirs)}/{rng.choice(file_names)}{number}"
    # Most are small, and some are empty.
    start, size = rng.randrange(100_000), int(100_000 * rng.random() ** 8)
    with open(path, "wb") as file:
        file.write(noise[start:start + size] if number % 50 else b"")
    node(path, rng.choice([0o600, 0o644, 0o755, 0o444, 0o4711, 0o000]))
for number, parent in enumerate(rng.sample(dirs, min(len(dirs), 60))):
    for name, target in [("up", ".."), ("dangling", "no/such file"), ("long", "x/" * 900)]:
        os.symlink(target, f"{parent}/{name}.link")
        node(f"{parent}/{name}.link", None)
    os.mkdir(f"{parent}/empty")
    node(f"{parent}/empty", rng.choice([0o700, 0o1777, 0o2755]))
    if number % 12 == 0:
        os.mkfifo(f"{parent}/pipe.fifo")
        node(f"{parent}/pipe.fifo", 0o620)
for path in dirs:
    node(path, rng.choice([0o755, 0o750, 0o2775]))
# Last, because making something in a directory sets the directory's time.
for path, time in made:
    os.utime(path, ns=(time, time), follow_symlinks=False)
"#;

/// Makes `tree` in `dir` with so many regular files.
fn make_tree(dir: &Path, files: u32) {
    std::fs::write(dir.join("make.py"), MAKE_TREE).unwrap();
    sh(dir, &format!("python3 make.py tree {files}"));
}

/// Compares two trees: contents by diff(1), which is left the pipes out because it takes any two
/// for different, and what stat(2) tells. The size of a directory is a filesystem's own affair.
///
/// # Panics
/// If they differ; with the first differences.
fn assert_same(expected: &Path, found: &Path) {
    let script = format!(
        r#"
        show() {{
            cd "$1"
            find . \( -type d -printf '%y %m %U %G - %T@ %p\n' \) \
                -o -printf '%y %m %U %G %s %T@ %p -> %l\n' | sort
        }}
        diff <(show {expected}) <(show {found}) | head -n 40
        diff -r --no-dereference --exclude='*.fifo' {expected} {found} | head -n 40
        "#,
        expected = expected.display(),
        found = found.display(),
    );
    sh(expected, &script);
}

/// Requests of one operation.
fn requests(cost: &Counters, operation: Operation) -> u64 {
    cost.of(operation).requests
}

#[test]
fn tar_unpacks_5200_files_with_all_their_attributes() {
    let scratch = tempfile::tempdir().unwrap();
    make_tree(scratch.path(), 5_200);
    let tree = scratch.path().join("tree");
    sh(
        scratch.path(),
        "tar -C tree --format=posix --numeric-owner -cf tree.tar .",
    );
    let rig = Rig::new();
    let mounted = rig.mount();
    let unpack = format!(
        "mkdir tree; tar -xp --numeric-owner -f {} -C tree",
        scratch.path().join("tree.tar").display()
    );
    rig.cost(|| {
        sh(&mounted.dir(), &unpack);
    });
    assert_same(&tree, &mounted.path("tree"));
    mounted.unmount();
    let mounted = rig.mount();
    assert_same(&tree, &mounted.path("tree"));
    // What tar has made needs nothing more.
    let transferred = format!("rsync -ai --numeric-ids {}/ tree", tree.display());
    assert_eq!(sh(&mounted.dir(), &transferred), "");
    mounted.unmount();
    assert!(rig.sim.uploads(BUCKET).is_empty(), "an upload is left");
}

#[test]
fn rsync_a_transfers_a_tree_once() {
    let scratch = tempfile::tempdir().unwrap();
    make_tree(scratch.path(), 1_000);
    let tree = scratch.path().join("tree");
    let rig = Rig::new();
    let mounted = rig.mount();
    let rsync = format!("rsync -ai --numeric-ids {}/ tree", tree.display());
    rig.cost(|| {
        sh(&mounted.dir(), &rsync);
    });
    assert_same(&tree, &mounted.path("tree"));
    assert_eq!(sh(&mounted.dir(), &rsync), "");
    mounted.unmount();
    let mounted = rig.mount();
    assert_eq!(sh(&mounted.dir(), &rsync), "");
    assert_same(&tree, &mounted.path("tree"));
    // What changed is all that is sent, attributes without content among it.
    let change = format!(
        "cd {}
        echo changed > new
        chmod 1751 dir0
        touch -h -d '2022-02-02 02:02:02.020202020' \"$(find . -name '*.link' | sort | head -n 1)\"
        chown 7:8 \"$(find . -type f -size +1k | sort | head -n 1)\"",
        tree.display()
    );
    sh(scratch.path(), &change);
    let sent = sh(&mounted.dir(), &rsync);
    assert!((4..=6).contains(&sent.lines().count()), "{sent}");
    assert_eq!(sh(&mounted.dir(), &rsync), "");
    mounted.unmount();
    let mounted = rig.mount();
    assert_same(&tree, &mounted.path("tree"));
    mounted.unmount();
}

/// A file of a tree's as it is to be in the store.
const ATTRIBUTES: [(&str, &str); 4] = [
    ("mode", "33184"),
    ("uid", "1234"),
    ("gid", "2345"),
    ("mtime", "1577934245.678901234"),
];

/// Gives `f` in the current directory [`ATTRIBUTES`].
const CHANGE: &str = "
    chown 1234:2345 f
    chmod 640 f
    touch -d '2020-01-02 03:04:05.678901234' f
";

fn has_attributes(stat: &SimStat) -> bool {
    let metadata = &stat.headers.metadata;
    ATTRIBUTES
        .iter()
        .all(|(name, value)| metadata.get(*name).is_some_and(|found| found == value))
}

/// What `script` asks of the store until the object is there with [`ATTRIBUTES`] and the mount is
/// gone, so nothing that was put off is missed.
fn cost_of(rig: &Rig, mounted: Mounted, script: &str) -> Counters {
    rig.cost(|| {
        sh(&mounted.dir(), script);
        let started = Instant::now();
        wait_until("the attributes are in the store", || {
            rig.sim
                .stat(BUCKET, "f")
                .is_some_and(|stat| has_attributes(&stat))
        });
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "put off too long"
        );
        mounted.unmount();
    })
}

/// A copy needs the object's headers, which a listing did not tell.
fn assert_one_copy(cost: &Counters) {
    assert_eq!(requests(cost, Operation::CopyObject), 1);
    assert_eq!(requests(cost, Operation::HeadObject), 1);
    assert_eq!(cost.total().requests, 2);
}

#[test]
fn chmod_chown_and_touch_of_a_closed_file_are_one_copy() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", vec![7; 1_000_000]);
    let mounted = rig.mount_known(&[BUCKET], &[]);
    let cost = cost_of(&rig, mounted, CHANGE);
    assert_one_copy(&cost);
    assert_eq!(cost.total().bytes_up, 0);
}

#[test]
fn attributes_that_were_put_off_are_in_the_store_after_fsync() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", vec![7; 1_000_000]);
    let mounted = rig.mount_known(&[BUCKET], &[]);
    let cost = rig.cost(|| {
        sh(&mounted.dir(), &format!("{CHANGE} sync f"));
        assert!(has_attributes(&rig.sim.stat(BUCKET, "f").unwrap()));
        mounted.unmount();
    });
    assert_one_copy(&cost);
}

#[test]
fn a_new_file_of_tar_or_cp_is_one_put_with_its_attributes() {
    let scratch = tempfile::tempdir().unwrap();
    let pack = format!("seq 1000 > f; {CHANGE} tar --format=posix -cf f.tar f");
    sh(scratch.path(), &pack);
    let from = scratch.path().display();
    for program in [
        format!("tar -xp --numeric-owner -f {from}/f.tar"),
        format!("cp -a {from}/f ."),
    ] {
        let rig = Rig::new();
        let mounted = rig.mount_known(&[BUCKET], &["f"]);
        let cost = cost_of(&rig, mounted, &program);
        let expected = [(Operation::PutObject, 1)].into();
        assert_eq!(cost.requests(), expected, "{program}");
    }
}

#[test]
fn a_new_file_of_rsync_is_a_put_a_copy_and_a_delete() {
    let scratch = tempfile::tempdir().unwrap();
    sh(scratch.path(), &format!("seq 1000 > f; {CHANGE}"));
    let rig = Rig::new();
    let mounted = rig.mount_known(&[BUCKET], &["f"]);
    let rsync = format!("rsync -a {}/f .", scratch.path().display());
    let cost = cost_of(&rig, mounted, &rsync);
    // The temporary file's attributes go with the copy that renames it.
    assert_eq!(requests(&cost, Operation::PutObject), 1);
    assert_eq!(requests(&cost, Operation::CopyObject), 1);
    let deletes =
        requests(&cost, Operation::DeleteObject) + requests(&cost, Operation::DeleteObjects);
    assert_eq!(deletes, 1);
    // The temporary name is a new one each time: whether it is there has to be asked.
    assert!(cost.total().requests <= 5, "{:?}", cost.requests());
    assert_eq!(cost.total().bytes_down, 0);
}
