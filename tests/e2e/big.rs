//! Much of everything: entries, bytes, operations; with bounds on what the daemon may take.

use std::path::PathBuf;
use std::process::Command;

use s3fs::limits::{GIB, MIB};
use s3fs::sim::{Fault, How, Operation};

use crate::rig::{BUCKET, Rig};
use crate::service::wait_until;
use crate::shell::{output, sh, sh_fails};

/// Whether a test may take minutes for its full size.
fn is_full() -> bool {
    std::env::var_os("S3FS_TEST_FULL").is_some()
}

#[test]
fn a_directory_of_100_000_entries_is_listed_in_bounded_memory() {
    let rig = Rig::new();
    for number in 0..100_000 {
        rig.sim.put(BUCKET, &format!("many/entry-{number:06}"), "");
    }
    let mounted = rig.mount();
    let cost = rig.cost(|| assert_eq!(sh(&mounted.dir(), "ls many | wc -l").trim(), "100000"));
    let lists = cost.of(Operation::ListObjectsV2).requests;
    // 100 pages, and those that found out that `many` is a directory.
    assert!(lists <= 102, "{lists} lists");
    assert_eq!(cost.total().bytes_down, 0);
    let peak = mounted.peak_memory_bytes();
    assert!(peak < 200 * MIB, "the daemon took {} MiB", peak / MIB);
    assert_eq!(
        sh(
            &mounted.dir(),
            "ls -l many | tail -n 1 | tr -s ' ' | cut -d' ' -f5"
        ),
        "0\n"
    );
    mounted.unmount();
}

#[test]
fn a_million_known_names_take_bounded_memory() {
    let rig = Rig::new();
    for number in 0..1_000_000 {
        let (directory, entry) = (number / 1000, number % 1000);
        rig.sim
            .put(BUCKET, &format!("many/{directory:03}/entry-{entry:03}"), "");
    }
    let mounted = rig.mount_with("memory_limit=256M,actimeo=600,attributes=listing");
    let found = sh(&mounted.dir(), "find many -type f -size -1 | wc -l");
    assert_eq!(found.trim(), "1000000");
    let peak = mounted.peak_memory_bytes();
    println!("peak memory of the daemon: {} MiB", peak / MIB);
    assert!(peak < 320 * MIB, "the daemon took {} MiB", peak / MIB);
    // What the kernel has forgotten is there as before.
    assert_eq!(sh(&mounted.dir(), "stat -c %s many/000/entry-001"), "0\n");
    mounted.unmount();
}

#[test]
fn a_million_known_directories_take_bounded_memory() {
    let rig = Rig::new();
    for number in 0..1_000_000 {
        let (outer, inner) = (number / 1000, number % 1000);
        rig.sim
            .put(BUCKET, &format!("many/{outer:03}/{inner:03}/f"), "");
    }
    let mounted = rig.mount_with("memory_limit=256M,actimeo=600,attributes=listing");
    // A process that works in one of them, and has another open.
    let used = "cd many/500/500 && exec 5< ../501 && find \"$OLDPWD/many\"FIND | wc -l &&
        /bin/pwd | grep -o 'many/.*' && ls /dev/fd/5/";
    let find = |find: &str, found: u64| {
        let said = sh(&mounted.dir(), &used.replace("FIND", find));
        assert_eq!(said, format!("{found}\nmany/500/500\nf\n"));
    };
    find(" -mindepth 2 -maxdepth 2 -type d -links +1", 1_000_000);
    // Each is listed as well, which is a million requests, if a test may take minutes.
    for digit in (0..10).take_while(|_| is_full()) {
        find(&format!("/{digit}* -type d"), 100_100);
    }
    let peak = mounted.peak_memory_bytes();
    println!("peak memory of the daemon: {} MiB", peak / MIB);
    assert!(peak < 320 * MIB, "the daemon took {} MiB", peak / MIB);
    // What the kernel has forgotten is there as before.
    assert_eq!(sh(&mounted.dir(), "ls many/000/001"), "f\n");
    mounted.unmount();
}

#[test]
fn ten_thousand_open_files_take_bounded_memory() {
    let rig = Rig::new();
    for number in 0..5000 {
        rig.sim
            .put(BUCKET, &format!("read/{number}"), vec![7; 20_000]);
    }
    let mounted = rig.mount_with("memory_limit=64M,actimeo=600,attributes=listing");
    std::fs::create_dir(mounted.path("written")).unwrap();
    let script = "import os
read = [os.open(f'read/{n}', os.O_RDONLY) for n in range(5000)]
for fd in read: assert os.read(fd, 100) == b'\\x07' * 100
written = [os.open(f'written/{n}', os.O_RDWR | os.O_CREAT) for n in range(5000)]
for fd in written: os.write(fd, b'x' * 20000)
for fd in written: assert os.pread(fd, 100, 19900) == b'x' * 100
print('open')
";
    let opened = output(
        Command::new("python3")
            .args(["-c", script])
            .current_dir(mounted.dir()),
    );
    assert!(opened.status.success(), "{opened:?}");
    let peak = mounted.peak_memory_bytes();
    println!("peak memory of the daemon: {} MiB", peak / MIB);
    assert!(peak < 128 * MIB, "the daemon took {} MiB", peak / MIB);
    // Closed by the end of their process.
    assert_eq!(rig.sim.stat(BUCKET, "written/4999").unwrap().size, 20_000);
    mounted.unmount();
}

#[test]
fn readers_of_random_blocks_take_bounded_memory() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "f", GIB, 0);
    let mounted = rig.mount_with("memory_limit=64M");
    let script = "import os, random, threading
fd = os.open('f', os.O_RDONLY)
def read(seed):
    chosen = random.Random(seed)
    for _ in range(50):
        assert len(os.pread(fd, 4096, chosen.randrange(1 << 18) << 12)) == 4096
readers = [threading.Thread(target=read, args=(seed,)) for seed in range(64)]
for reader in readers: reader.start()
for reader in readers: reader.join()
";
    let read = output(
        Command::new("python3")
            .args(["-c", script])
            .current_dir(mounted.dir()),
    );
    assert!(read.status.success(), "{read:?}");
    let peak = mounted.peak_memory_bytes();
    println!("peak memory of the daemon: {} MiB", peak / MIB);
    assert!(peak < 128 * MIB, "the daemon took {} MiB", peak / MIB);
    mounted.unmount();
}

#[test]
fn writing_4_gib_takes_bounded_memory_and_spills_nothing() {
    let rig = Rig::new();
    let mounted = rig.mount_with("memory_limit=256M");
    let cost = rig.cost(|| drop(sh(&mounted.dir(), "head -c 4G /dev/zero > f")));
    let peak = mounted.peak_memory_bytes();
    println!("peak memory of the daemon: {} MiB", peak / MIB);
    assert!(peak < 400 * MIB, "the daemon took {} MiB", peak / MIB);
    assert_eq!(mounted.spilled_files(), 0);
    assert_eq!(rig.sim.stat(BUCKET, "f").unwrap().size, 4 * GIB);
    assert_eq!(cost.total().bytes_up, 4 * GIB);
    assert_eq!(cost.total().bytes_down, 0);
    mounted.unmount();
}

#[test]
fn reading_2_gib_fetches_every_byte_once() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "f", 2 * GIB, 0);
    let mounted = rig.mount();
    let cost = rig.cost(|| drop(sh(&mounted.dir(), "cmp -n 2G f /dev/zero")));
    assert_eq!(cost.total().bytes_down, 2 * GIB);
    let peak = mounted.peak_memory_bytes();
    println!("peak memory of the daemon: {} MiB", peak / MIB);
    assert!(peak < 400 * MIB, "the daemon took {} MiB", peak / MIB);
    mounted.unmount();
}

#[test]
fn fsx_finds_no_fault_in_100_000_operations() {
    // The same operations in every run, unless told otherwise.
    let seed = std::env::var("S3FS_TEST_SEED").unwrap_or_else(|_| "20260801".to_owned());
    let seed: u64 = seed.parse().expect("S3FS_TEST_SEED is a number");
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let fsx = std::env::var_os("S3FS_TEST_FSX")
        .map_or_else(|| root.join("target/tools/bin/fsx"), PathBuf::from);
    assert!(
        fsx.exists(),
        "{} is not there: tests/run installs it",
        fsx.display()
    );
    let rig = Rig::new();
    let mounted = rig.mount();
    let artifacts = tempfile::tempdir().unwrap();
    // Several files at a time: the store and the mount are shared.
    let run = |seed: u64| {
        let ended = output(
            Command::new("timeout")
                .args(["--signal=KILL", "1500"])
                .arg(&fsx)
                .args(["-N", "25000", "-S", &seed.to_string()])
                .arg("-f")
                .arg(root.join("tests/fsx.toml"))
                .arg("-P")
                .arg(artifacts.path())
                .arg(mounted.path(&format!("fsx-{seed}"))),
        );
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(
            ended.status.success(),
            "fsx with seed {seed}: {}\n{said}",
            ended.status
        );
        println!("fsx with seed {seed}: no fault in 25,000 operations");
    };
    std::thread::scope(|scope| {
        for seed in seed..seed + 4 {
            let run = &run;
            scope.spawn(move || run(seed));
        }
    });
    mounted.unmount();
    assert!(rig.sim.uploads(BUCKET).is_empty(), "an upload is left");
}

#[test]
fn saving_and_copying_what_is_staged_takes_bounded_memory() {
    let rig = Rig::new();
    let mounted = rig.mount_with("memory_limit=64M,staging_disk=4G");
    let mib: u64 = if is_full() { 1100 } else { 700 };
    // Copied out of a file that has no name any more.
    let copy = "import os
a = os.open('a', os.O_RDWR | os.O_CREAT)
b = os.open('b', os.O_RDWR | os.O_CREAT)
os.unlink('a')
for _ in range(MIB): os.write(a, b'x' * (1 << 20))
at = 0
while at < MIB << 20: at += os.copy_file_range(a, b, 1 << 30, at, at)
os.close(b)
";
    let copied = output(
        Command::new("python3")
            .args(["-c", &copy.replace("MIB", &mib.to_string())])
            .current_dir(mounted.dir()),
    );
    assert!(copied.status.success(), "{copied:?}");
    assert_eq!(rig.sim.stat(BUCKET, "b").unwrap().size, mib * MIB);
    let refused = How::Status(400, "InvalidRequest");
    let writes = [Operation::CreateMultipartUpload, Operation::UploadPart];
    for operation in writes {
        rig.sim
            .fault(Fault::on(operation, refused).times(1_000_000));
    }
    let write = format!("head -c {mib}M /dev/zero > f");
    sh_fails(&mounted.dir(), &write);
    // The kernel waits for no release.
    let is_saved = || {
        mounted
            .log()
            .contains("f: not stored; the bytes written to it are in")
    };
    wait_until("what could not be stored is saved", is_saved);
    assert_eq!(mounted.spilled_files(), 2);
    let peak = mounted.peak_memory_bytes();
    println!("peak memory of the daemon: {} MiB", peak / MIB);
    assert!(peak < 128 * MIB, "the daemon took {} MiB", peak / MIB);
    rig.sim.clear_faults();
    mounted.unmount();
}
