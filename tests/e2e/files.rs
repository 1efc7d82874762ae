//! What programs expect of files and directories: handles, forks, removals, other writers.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use s3fs::sim::Operation;

use crate::mounted::Mounted;
use crate::rig::{BUCKET, Rig};
use crate::service::wait_until;
use crate::shell::{no_forks, sh, sh_fails};
use crate::target::Target;

#[test]
fn a_working_directory_that_was_removed_lists_as_empty() {
    let rig = Rig::new();
    let mounted = rig.mount();
    let said = sh(
        &mounted.dir(),
        "mkdir d && cd d && rmdir ../d && ls -a 2>&1",
    );
    assert_eq!(said, "");
    mounted.unmount();
}

#[test]
fn what_is_closed_is_in_the_store() {
    let rig = Rig::new();
    let mounted = rig.mount();
    let mut file = File::create(mounted.path("f")).unwrap();
    file.write_all(b"first").unwrap();
    file.sync_all().unwrap();
    assert_eq!(
        rig.sim.content(BUCKET, "f").unwrap(),
        b"first",
        "after fsync"
    );
    file.write_all(b" second").unwrap();
    nix::unistd::close(file).unwrap();
    assert_eq!(
        rig.sim.content(BUCKET, "f").unwrap(),
        b"first second",
        "after close"
    );
    mounted.unmount();
}

#[test]
fn a_new_file_is_one_put() {
    let rig = Rig::new();
    let mounted = rig.mount();
    let cost = rig.cost(|| std::fs::write(mounted.path("f"), vec![1; 100_000]).unwrap());
    assert_eq!(cost.of(Operation::PutObject).requests, 1);
    assert_eq!(cost.total().bytes_up, 100_000);
    mounted.unmount();
}

#[test]
fn an_unlinked_file_stays_readable_while_it_is_open() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", vec![9; 3 << 20]);
    let mounted = rig.mount();
    let file = File::open(mounted.path("f")).unwrap();
    std::fs::remove_file(mounted.path("f")).unwrap();
    assert!(!mounted.path("f").exists());
    assert_eq!(std::fs::read_dir(mounted.dir()).unwrap().count(), 0);
    let mut content = vec![0; 3 << 20];
    file.read_exact_at(&mut content, 0).unwrap();
    assert!(content.iter().all(|byte| *byte == 9));
    drop(file);
    // The kernel's release comes after close(2) has returned.
    for _ in 0..500 {
        if rig.sim.keys(BUCKET).is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(
        rig.sim.keys(BUCKET).is_empty(),
        "{:?} is left",
        rig.sim.keys(BUCKET)
    );
    mounted.unmount();
}

#[test]
fn two_handles_of_a_file_see_each_others_writes() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "0123456789");
    let mounted = rig.mount();
    let open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(mounted.path("f"))
            .unwrap()
    };
    let (mut a, mut b) = (open(), open());
    a.write_all(b"abc").unwrap();
    let mut seen = String::new();
    b.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "abc3456789");
    b.seek(SeekFrom::Start(8)).unwrap();
    b.write_all(b"XYZ").unwrap();
    drop(a);
    nix::unistd::close(b).unwrap();
    assert_eq!(rig.sim.content(BUCKET, "f").unwrap(), b"abc34567XYZ");
    mounted.unmount();
}

#[test]
fn a_fork_that_closes_the_file_too_commits_each_state_once() {
    let rig = Rig::new();
    let mounted = rig.mount();
    // A subshell that ends closes its copy of the descriptor: a flush each time.
    let script = "exec 3> f; printf one >&3; (:) ; (:) ; printf two >&3; exec 3>&-";
    let cost = rig.cost(|| drop(sh(&mounted.dir(), script)));
    assert_eq!(rig.sim.content(BUCKET, "f").unwrap(), b"onetwo");
    let puts = cost.of(Operation::PutObject).requests;
    assert!(puts <= 3, "{puts} puts: a clean close sent something");
    mounted.unmount();
}

#[test]
fn a_file_renamed_while_it_is_written_is_published_under_its_new_name() {
    let rig = Rig::new();
    let mounted = rig.mount();
    let mut file = File::create(mounted.path("before")).unwrap();
    file.write_all(b"written").unwrap();
    std::fs::rename(mounted.path("before"), mounted.path("after")).unwrap();
    file.write_all(b" on").unwrap();
    nix::unistd::close(file).unwrap();
    assert_eq!(rig.sim.keys(BUCKET), ["after"]);
    assert_eq!(rig.sim.content(BUCKET, "after").unwrap(), b"written on");
    mounted.unmount();
}

#[test]
fn a_file_replaced_by_another_client_reads_estale_never_a_mixture() {
    let rig = Rig::new();
    replaced_while_read(&rig.target());
}

#[test]
fn an_edit_of_an_object_that_another_client_replaced_fails_and_loses_neither() {
    let rig = Rig::new();
    replaced_while_edited(&rig.target());
}

#[test]
fn directories_are_made_listed_and_removed() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "implicit/deep/file", "x");
    let mounted = rig.mount();
    let listed = sh(
        &mounted.dir(),
        "mkdir made made/inner; touch made/f; find . | sort",
    );
    let expected =
        ".\n./implicit\n./implicit/deep\n./implicit/deep/file\n./made\n./made/f\n./made/inner\n";
    assert_eq!(listed, expected);
    assert!(sh_fails(&mounted.dir(), "rmdir made").contains("Directory not empty"));
    assert!(sh_fails(&mounted.dir(), "rmdir implicit").contains("Directory not empty"));
    assert!(sh_fails(&mounted.dir(), "mkdir made").contains("File exists"));
    assert!(sh_fails(&mounted.dir(), "cat none").contains("No such file"));
    sh(&mounted.dir(), "rm -r made implicit");
    assert!(
        rig.sim.keys(BUCKET).is_empty(),
        "{:?} is left",
        rig.sim.keys(BUCKET)
    );
    mounted.unmount();
}

#[test]
fn what_another_client_adds_is_seen() {
    let rig = Rig::new();
    let mounted = rig.mount();
    assert_eq!(sh(&mounted.dir(), "ls"), "");
    rig.sim.put(BUCKET, "new", "content");
    // Names are trusted for a second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(sh(&mounted.dir(), "ls; cat new"), "new\ncontent");
    mounted.unmount();
}

#[test]
fn only_a_prefix_of_the_bucket_is_shown_when_asked() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "deep/inside/a", "a");
    rig.sim.put(BUCKET, "deep/beside", "b");
    for source in ["bucket:/deep/inside", "s3://bucket/deep/inside/"] {
        let mounted = Mounted::new(&rig.access, &[source], "");
        assert_eq!(
            sh(&mounted.dir(), "ls; printf c > c; rm -f d; cat c; rm c"),
            "a\nc"
        );
        mounted.unmount();
    }
}

/// Reads before and after another client replaces the object.
pub fn replaced_while_read(target: &Target) {
    let store = target.store;
    let size = 40 << 20;
    store.put(BUCKET, "read", vec![1; size]);
    let mounted = target.mount();
    let file = File::open(mounted.path("read")).unwrap();
    let mut block = vec![0; 4096];
    file.read_exact_at(&mut block, 0).unwrap();
    store.put(BUCKET, "read", vec![2; size]);
    let far = file
        .read_exact_at(&mut block, 39 << 20)
        .map_err(|e| e.raw_os_error());
    match far {
        Ok(()) => assert!(
            block.iter().all(|byte| *byte == 1),
            "bytes of another version"
        ),
        Err(errno) => assert_eq!(errno, Some(Errno::ESTALE as i32)),
    }
    drop(file);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let mut fresh = Vec::new();
    File::open(mounted.path("read"))
        .unwrap()
        .read_to_end(&mut fresh)
        .unwrap();
    assert!(fresh == vec![2; size]);
    mounted.unmount();
}

/// Another client writes between the open and the close of an edit.
pub fn replaced_while_edited(target: &Target) {
    let store = target.store;
    let size = 12 << 20;
    store.put(BUCKET, "edited", vec![1; size]);
    let mounted = target.mount();
    let alone = no_forks();
    let file = OpenOptions::new()
        .write(true)
        .open(mounted.path("edited"))
        .unwrap();
    file.write_all_at(b"ours", 6 << 20).unwrap();
    store.put(BUCKET, "edited", vec![2; size]);
    assert_eq!(nix::unistd::close(file), Err(Errno::ESTALE));
    drop(alone);
    // The kernel's release comes after close(2) has returned.
    wait_until("what was written is kept, with a note", || {
        mounted.spilled_files() == 2
    });
    assert!(
        store.get(BUCKET, "edited") == vec![2; size],
        "the other's object was changed"
    );
    assert!(store.uploads(BUCKET).is_empty(), "an upload is left");
    mounted.unmount();
}

/// A name is taken once, whoever has taken it and whenever: before, or since the file was opened.
pub fn created_exclusively(target: &Target) {
    let store = target.store;
    store.put(BUCKET, "taken", "taken");
    let mounted = target.mount();
    let said = sh_fails(&mounted.dir(), "set -C; echo mine > taken");
    assert!(said.contains("cannot overwrite existing file"), "{said}");
    sh(&mounted.dir(), "set -C; printf mine > free");
    assert_eq!(store.get(BUCKET, "free"), b"mine");
    let alone = no_forks();
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(mounted.path("raced"))
        .unwrap();
    file.write_all_at(b"ours", 0).unwrap();
    store.put(BUCKET, "raced", "theirs");
    assert_eq!(nix::unistd::close(file), Err(Errno::EEXIST));
    drop(alone);
    assert_eq!(store.get(BUCKET, "raced"), b"theirs");
    assert_eq!(store.get(BUCKET, "taken"), b"taken");
    mounted.unmount();
}

#[test]
fn ranges_are_allocated_punched_and_zeroed_and_holes_are_found() {
    use nix::fcntl::{FallocateFlags, fallocate};
    use nix::unistd::{Whence, lseek};
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", vec![7; 300_000]);
    let mounted = rig.mount();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(mounted.path("f"))
        .unwrap();
    let size = || file.metadata().unwrap().len();
    let keep = FallocateFlags::FALLOC_FL_KEEP_SIZE;
    // Read before, so that the kernel has pages to drop.
    file.read_exact_at(&mut vec![0; 300_000], 0).unwrap();
    let punch = keep | FallocateFlags::FALLOC_FL_PUNCH_HOLE;
    fallocate(&file, punch, 100_000, 50_001).unwrap();
    fallocate(&file, keep, 0, 1_000_000).unwrap();
    assert_eq!(size(), 300_000);
    fallocate(&file, FallocateFlags::empty(), 0, 400_000).unwrap();
    assert_eq!(size(), 400_000);
    let zero = FallocateFlags::FALLOC_FL_ZERO_RANGE;
    fallocate(&file, zero, 399_000, 2_000).unwrap();
    assert_eq!(size(), 401_000);
    let refused = fallocate(&file, FallocateFlags::FALLOC_FL_COLLAPSE_RANGE, 0, 4096);
    assert_eq!(refused, Err(Errno::EOPNOTSUPP));
    let seek = |at, whence| lseek(&file, at, whence);
    assert_eq!(seek(0, Whence::SeekHole), Ok(100_000));
    assert_eq!(seek(100_000, Whence::SeekData), Ok(150_001));
    assert_eq!(seek(300_000, Whence::SeekData), Err(Errno::ENXIO));
    assert_eq!(seek(401_000, Whence::SeekHole), Err(Errno::ENXIO));
    let mut expected = vec![7; 300_000];
    expected[100_000..150_001].fill(0);
    expected.resize(401_000, 0);
    let mut seen = vec![1; 401_000];
    file.read_exact_at(&mut seen, 0).unwrap();
    assert!(seen == expected);
    nix::unistd::close(file).unwrap();
    assert!(rig.sim.content(BUCKET, "f").unwrap() == expected);
    mounted.unmount();
}
