//! What the kernel has in its caches beside another client: pages, sizes, names.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::mounted::Mounted;
use crate::rig::{BUCKET, Rig};
use crate::shell::{no_forks, sh};

const LARGE: usize = 8 << 20;

fn read_at(file: &File, at: u64, len: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, at).map(|()| bytes)
}

#[test]
fn pages_of_two_versions_are_not_mixed_though_the_file_is_opened_again() {
    let rig = Rig::new();
    let mounted = rig.mount();
    for len in [2, LARGE] {
        rig.sim.put(BUCKET, "f", vec![b'A'; len]);
        let old = File::open(mounted.path("f")).unwrap();
        assert_eq!(read_at(&old, 0, 1).unwrap(), b"A");
        rig.sim.put(BUCKET, "f", vec![b'B'; len]);
        assert_eq!(fs::read(mounted.path("f")).unwrap(), vec![b'B'; len]);
        let rest = read_at(&old, len as u64 / 2, len / 2);
        let is_old = |bytes: Vec<u8>| bytes.iter().all(|byte| *byte == b'A');
        match rest {
            Ok(bytes) => assert!(is_old(bytes), "bytes of the new version in {len}"),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ESTALE)),
        }
        assert_eq!(fs::read(mounted.path("f")).unwrap(), vec![b'B'; len]);
        drop(old);
    }
    mounted.unmount();
}

#[test]
fn a_file_that_grew_elsewhere_is_read_and_copied_whole() {
    let rig = Rig::new();
    let mounted = rig.mount_with("actimeo=60");
    let text = "new and longer content";
    for (number, command) in ["cp t copy", "cat t > copy", "cp t /dev/stdout > copy"]
        .iter()
        .enumerate()
    {
        rig.sim.put(BUCKET, "t", "short");
        sh(&mounted.dir(), "cat t; stat t");
        rig.sim.put(BUCKET, "t", format!("{text}{number}"));
        sh(&mounted.dir(), command);
        let copied = rig.sim.content(BUCKET, "copy").unwrap();
        assert_eq!(copied, format!("{text}{number}").into_bytes(), "{command}");
        let size = fs::metadata(mounted.path("t")).unwrap().size();
        assert_eq!(size, text.len() as u64 + 1);
    }
    mounted.unmount();
}

#[test]
fn pages_that_were_written_here_are_not_those_of_an_older_object_that_came_back() {
    let rig = Rig::new();
    let mounted = rig.mount();
    rig.sim.put(BUCKET, "f", "AAAAAAAAAA");
    sh(&mounted.dir(), "cat f");
    sh(
        &mounted.dir(),
        "printf X | dd of=f bs=1 conv=notrunc status=none",
    );
    assert_eq!(rig.sim.content(BUCKET, "f").unwrap(), b"XAAAAAAAAA");
    rig.sim.put(BUCKET, "f", "AAAAAAAAAA");
    assert_eq!(sh(&mounted.dir(), "cat f"), "AAAAAAAAAA");
    mounted.unmount();
}

#[test]
fn an_open_file_shows_what_another_client_did_and_an_absent_name_is_found_within_the_trust_time() {
    let rig = Rig::new();
    let mounted = rig.mount_with("actimeo=2");
    rig.sim.put(BUCKET, "f", "12345");
    let open = File::open(mounted.path("f")).unwrap();
    let size = || fs::metadata(mounted.path("f")).map(|attr| attr.size());
    assert_eq!(size().unwrap(), 5);
    assert!(!mounted.path("new").exists());
    // The daemon knows of it for a while before the kernel is given that.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!mounted.path("new").exists());
    rig.sim.put(BUCKET, "new", "x");
    rig.sim.put(BUCKET, "f", "1234567");
    std::thread::sleep(Duration::from_millis(700));
    assert!(
        mounted.path("new").exists(),
        "an absence is trusted twice as long"
    );
    assert_eq!(size().unwrap(), 7);
    rig.sim.delete(BUCKET, "f");
    std::thread::sleep(Duration::from_millis(2100));
    assert!(size().is_err(), "it is gone");
    assert_eq!(open.metadata().unwrap().nlink(), 0);
    drop(open);
    mounted.unmount();
}

/// Opens of `doc` that failed while it was saved by renames; how many there were.
fn readers_beside_renames(mounted: &Mounted, seconds: u64) -> (u64, u64) {
    let (opens, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let is_over = AtomicBool::new(false);
    // What is open here is not to be inherited by what other tests start.
    let alone = no_forks();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let read = fs::read(mounted.path("doc"));
                    opens.fetch_add(1, Ordering::Relaxed);
                    let whole = read.as_ref().is_ok_and(|bytes| {
                        bytes.len() >= 100 && bytes.iter().all(|byte| *byte == bytes[0])
                    });
                    if !whole {
                        println!("{:?}", read.map(|bytes| bytes.len()));
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let begun = Instant::now();
        let mut number = 0_u8;
        while begun.elapsed() < Duration::from_secs(seconds) {
            number = number.wrapping_add(1);
            let bytes = vec![number; 100 + usize::from(number)];
            fs::write(mounted.path("tmp"), bytes).unwrap();
            fs::rename(mounted.path("tmp"), mounted.path("doc")).unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    drop(alone);
    (failed.into_inner(), opens.into_inner())
}

#[test]
fn readers_of_a_file_that_is_saved_by_renames_do_not_fail() {
    let rig = Rig::new();
    for options in ["", "nocto"] {
        let mounted = rig.mount_with(options);
        fs::write(mounted.path("doc"), [0; 100]).unwrap();
        let (failed, opens) = readers_beside_renames(&mounted, 2);
        println!("{failed} of {opens} opens failed");
        assert!(opens > 20, "{opens}");
        assert_eq!(failed, 0, "of {opens} ({options})");
        mounted.unmount();
    }
}

/// Saves `doc` by renames, or maps it, for some seconds; how often, and how often that failed.
const SAVE_OR_MAP: &str = r#"
import mmap, os, sys, time
end = time.time() + 4
done = failed = 0
while time.time() < end:
    done += 1
    if sys.argv[1] == "save":
        with open("tmp", "wb") as tmp:
            tmp.write(bytes([done % 256]) * (100 + done % 256))
        os.rename("tmp", "doc")
        continue
    try:
        fd = os.open("doc", os.O_RDONLY)
        with mmap.mmap(fd, os.fstat(fd).st_size, mmap.MAP_SHARED, mmap.PROT_READ) as mapped:
            failed += len(set(mapped[:])) != 1
        os.close(fd)
    except OSError as error:
        print(error, file=sys.stderr)
        failed += 1
print(sys.argv[1], done, failed)
"#;

/// The store is in the test's own process, which therefore maps nothing: mmap(2) waits for pages
/// that are being read, and everything else that wants memory for mmap(2).
#[test]
fn a_file_that_is_saved_by_renames_can_be_mapped() {
    let rig = Rig::new();
    let mounted = rig.mount();
    fs::write(mounted.path("doc"), [0; 100]).unwrap();
    fs::write(mounted.dir().parent().unwrap().join("script"), SAVE_OR_MAP).unwrap();
    let run = |role| format!("python3 ../script {role}");
    let command = format!("{} & {} & {}; wait", run("save"), run("map"), run("map"));
    let told = sh(&mounted.dir(), &command);
    println!("{told}");
    for line in told.lines() {
        let (_, failed) = line.rsplit_once(' ').unwrap();
        assert_eq!(failed, "0", "{told}");
    }
    assert_eq!(told.lines().count(), 3, "{told}");
    mounted.unmount();
}

/// tail(1) waits for a file on FUSE by looking at its size, and by its name now and then.
#[test]
fn tail_follows_a_log_that_two_machines_append_to() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "log", "line 0\n");
    let (here, there) = (rig.mount(), rig.mount());
    let (dir, out) = (here.dir(), here.dir().parent().unwrap().join("out"));
    let tail = "tail -s 0.1 -n +1 -F log > ../out 2>&1 & echo $! > ../pid; wait || true";
    std::thread::scope(|scope| {
        let followed = scope.spawn(|| sh(&dir, tail));
        for line in 1..=40 {
            let writer = if line % 2 == 0 { &here } else { &there };
            sh(&writer.dir(), &format!("echo line {line} >> log"));
        }
        let expected: String = (0..=40).map(|line| format!("line {line}\n")).collect();
        let seen = || fs::read_to_string(&out).unwrap_or_default();
        let begun = Instant::now();
        while seen() != expected && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(50));
        }
        sh(&dir, "kill $(cat ../pid)");
        followed.join().unwrap();
        assert_eq!(seen(), expected);
    });
    here.unmount();
    there.unmount();
}
