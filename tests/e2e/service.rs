//! The service going away and coming back, and the daemon being told to end.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use s3fs::limits::GIB;
use s3fs::sim::{Fault, How, Operation, Pace};

use crate::mounted::Mounted;
use crate::rig::{BUCKET, Rig};
use crate::shell::{output, sh, sh_fails, spawn};

#[test]
fn a_killed_service_publishes_nothing_and_the_mount_recovers() {
    let mut rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "big", 10 * GIB, 1);
    rig.sim.put(BUCKET, "destination", "as before");
    rig.sim.set_pace(Pace {
        copy_bandwidth: Some(GIB / 16),
        ..Pace::default()
    });
    let mounted = rig.mount();
    let copy = spawn(
        Command::new("cp")
            .args(["big", "destination"])
            .current_dir(mounted.dir())
            .env("LC_ALL", "C")
            .stderr(Stdio::piped()),
    );
    wait_until("a part is copied", || {
        rig.sim.counters().of(Operation::UploadPartCopy).requests > 0
    });
    rig.sim.stop();
    let stopped = Instant::now();
    let output = copy.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("Input/output error"), "{said}");
    assert!(
        stopped.elapsed() < Duration::from_secs(600),
        "took {:?}",
        stopped.elapsed()
    );
    rig.restart();
    rig.sim.set_pace(Pace::default());
    assert_eq!(
        rig.sim.content(BUCKET, "destination").unwrap(),
        b"as before"
    );
    assert_eq!(rig.sim.keys(BUCKET), ["big", "destination"]);
    assert_eq!(
        sh(&mounted.dir(), "cat destination; cp big again; ls"),
        concat!("as before", "again\nbig\ndestination\n")
    );
    mounted.unmount();
}

#[test]
fn sigterm_commits_what_was_written_through_a_mapping() {
    let rig = Rig::new();
    let mut mounted = rig.mount();
    let script = "\
import mmap, time
file = open('f', 'w+b')
file.truncate(8192)
mapped = mmap.mmap(file.fileno(), 0)
mapped[0:4] = b'MMAP'
mapped[5000:5004] = b'LATE'
open('written', 'w').close()
time.sleep(600)";
    let mut python = Command::new("python3");
    let mut child = spawn(python.args(["-c", script]).current_dir(mounted.dir()));
    wait_until("it is written", || mounted.path("written").exists());
    mounted.signal(Signal::SIGTERM);
    let status = mounted.wait();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(status.success(), "{status}\n{}", mounted.log());
    let content = rig.sim.content(BUCKET, "f").unwrap();
    assert_eq!(
        (&content[..4], &content[5000..5004]),
        (&b"MMAP"[..], &b"LATE"[..])
    );
}

#[test]
fn sigterm_commits_what_is_open_and_unmounts() {
    let rig = Rig::new();
    let mut mounted = rig.mount();
    let mut file = File::create(mounted.path("f")).unwrap();
    file.write_all(b"not closed").unwrap();
    mounted.signal(Signal::SIGTERM);
    let status = mounted.wait();
    assert!(status.success(), "{status}\n{}", mounted.log());
    assert_eq!(rig.sim.content(BUCKET, "f").unwrap(), b"not closed");
    wait_until("it is unmounted", || !mounted.is_mounted());
}

#[test]
fn what_a_slow_store_has_not_taken_is_saved_until_it_has_when_the_daemon_is_told_to_end() {
    let rig = Rig::new();
    let mut mounted = rig.mount();
    let mut file = File::create(mounted.path("f")).unwrap();
    file.write_all(b"not closed").unwrap();
    rig.sim.on_request(|_, request| {
        if request.operation == Operation::PutObject {
            tokio::task::block_in_place(|| std::thread::sleep(Duration::from_secs(12)));
        }
    });
    mounted.signal(Signal::SIGTERM);
    let is_saved = || mounted.log().contains("f: not stored yet; until it is");
    wait_until("it is saved", is_saved);
    assert_eq!(mounted.spilled_files(), 2, "bytes and a note");
    drop(file);
    let status = mounted.wait();
    assert!(status.success(), "{status}\n{}", mounted.log());
    assert_eq!(rig.sim.content(BUCKET, "f").unwrap(), b"not closed");
    assert_eq!(mounted.spilled_files(), 0, "it is stored");
}

#[test]
fn a_second_sigterm_saves_what_a_stalled_store_does_not_take() {
    let rig = Rig::new();
    let mut mounted = rig.mount();
    let mut file = File::create(mounted.path("f")).unwrap();
    file.write_all(b"not closed").unwrap();
    stall(&rig, &[Operation::PutObject]);
    end_by_force(&mounted);
    assert_eq!(mounted.wait().code(), Some(74), "{}", mounted.log());
    assert_eq!(mounted.spilled_files(), 2, "bytes and a note");
    assert!(
        mounted.log().contains("f: not stored; the bytes"),
        "{}",
        mounted.log()
    );
}

/// From now on no request of these operations is answered.
fn stall(rig: &Rig, operations: &[Operation]) {
    for operation in operations {
        let stalled = Fault::on(*operation, How::Stall);
        rig.sim.fault(stalled.times(u64::MAX / 2));
    }
}

/// Tells the daemon to end twice, the second time when the first is being obeyed.
fn end_by_force(mounted: &Mounted) {
    mounted.signal(Signal::SIGTERM);
    // Just behind the first it would be the same.
    std::thread::sleep(Duration::from_secs(2));
    mounted.signal(Signal::SIGTERM);
}

#[test]
fn attributes_that_were_not_stored_are_named_at_an_end_by_force_too() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "described", "content");
    let mut mounted = rig.mount();
    let refused = Fault::on(Operation::CopyObject, How::Status(403, "AccessDenied"));
    rig.sim.fault(refused.times(u64::MAX / 2));
    sh(&mounted.dir(), "chmod 600 described");
    let is_refused = || mounted.log().contains("attributes could not be stored");
    wait_until("its attributes are refused", is_refused);
    let mut file = File::create(mounted.path("f")).unwrap();
    file.write_all(b"not closed").unwrap();
    stall(&rig, &[Operation::PutObject]);
    end_by_force(&mounted);
    assert_eq!(mounted.wait().code(), Some(74), "{}", mounted.log());
    let log = mounted.log();
    assert!(log.contains("f: not stored; the bytes"), "{log}");
    assert!(log.contains("described: not committed"), "{log}");
}

#[test]
fn an_unmount_by_force_ends_a_commit_of_many_parts() {
    let rig = Rig::new();
    let mut mounted = rig.mount();
    rig.sim.set_pace(Pace {
        delay: Duration::from_millis(50),
        ..Pace::default()
    });
    let parts = || rig.sim.counters().of(Operation::UploadPart).requests;
    let mut truncate = Command::new("truncate");
    let mut writer = spawn(truncate.args(["-s", "64G"]).arg(mounted.path("big")));
    wait_until("parts are uploaded", || parts() > 20);
    let started = Instant::now();
    let mut umount = Command::new("umount");
    let _ = umount.args(["-i", "-f"]).arg(mounted.dir()).status();
    mounted.wait();
    let elapsed = started.elapsed();
    // Fifteen seconds of patience; 8,000 parts would take a minute, and far more of a busy machine.
    assert!(elapsed < Duration::from_secs(45), "{elapsed:?}");
    // What was on its way has come.
    std::thread::sleep(Duration::from_secs(1));
    let sent = parts();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(parts(), sent);
    let _ = writer.wait();
    assert!(rig.sim.stat(BUCKET, "big").is_none());
}

/// A small disk mounted over a directory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn over(dir: PathBuf) -> Self {
        let mount = format!("mount -t tmpfs -o size=64k small {}", dir.display());
        sh(Path::new("/"), &mount);
        Self(dir)
    }

    fn fill(&self) {
        let mut file = File::create(self.0.join("other")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn what_was_saved_at_a_slow_end_stays_when_it_can_neither_be_stored_nor_saved_again() {
    let rig = Rig::new();
    let mut mounted = rig.mount();
    let disk = SmallDisk::over(mounted.dir().parent().unwrap().join("staging"));
    let mut file = File::create(mounted.path("f")).unwrap();
    file.write_all(b"not closed").unwrap();
    let is_slow = Arc::new(AtomicBool::new(true));
    rig.sim.on_request({
        let is_slow = Arc::clone(&is_slow);
        move |_, request| {
            if request.operation == Operation::PutObject {
                tokio::task::block_in_place(|| {
                    while is_slow.load(Ordering::Relaxed) {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                });
            }
        }
    });
    mounted.signal(Signal::SIGTERM);
    let is_saved = || mounted.log().contains("f: not stored yet; until it is");
    wait_until("it is saved", is_saved);
    disk.fill();
    let refused = Fault::on(Operation::PutObject, How::Status(403, "AccessDenied"));
    rig.sim.fault(refused.times(u64::MAX / 2));
    is_slow.store(false, Ordering::Relaxed);
    assert_eq!(mounted.wait().code(), Some(74), "{}", mounted.log());
    let log = mounted.log();
    assert!(log.contains("what was written cannot be saved"), "{log}");
    let saved = std::fs::read_dir(&disk.0).unwrap();
    let mut saved = saved.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    assert!(saved.any(|bytes| bytes == b"not closed"), "{log}");
}

#[test]
fn what_comes_after_the_saving_is_not_accepted() {
    let rig = Rig::new();
    let mut mounted = rig.mount();
    let mut file = File::create(mounted.path("f")).unwrap();
    let parts = || rig.sim.counters().of(Operation::UploadPart).requests;
    file.write_all(&vec![1; 64 << 20]).unwrap();
    wait_until("a part is sent ahead", || parts() > 0);
    // The saved file's upload is aborted before the process ends, which takes seconds so.
    let stalled = [
        Operation::UploadPart,
        Operation::CompleteMultipartUpload,
        Operation::AbortMultipartUpload,
        Operation::PutObject,
    ];
    stall(&rig, &stalled);
    end_by_force(&mounted);
    let is_saved = || mounted.spilled_files() >= 2;
    wait_until("it is saved", is_saved);
    let late = file.write_at(b"late", 0);
    assert!(late.is_err(), "{late:?}");
    assert_eq!(mounted.wait().code(), Some(74), "{}", mounted.log());
}

#[test]
fn a_killed_daemon_leaves_a_mount_point_that_can_be_mounted_over() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "content");
    let mut mounted = rig.mount();
    mounted.signal(Signal::SIGKILL);
    mounted.wait();
    assert!(sh_fails(mounted.dir().parent().unwrap(), "cat mnt/f").contains("not connected"));
    let again = output(
        crate::mounted::program(&rig.access)
            .arg(BUCKET)
            .arg(mounted.dir())
            .args([
                "-o",
                &format!("url={},use_path_request_style", rig.access.url),
            ]),
    );
    assert!(
        again.status.success(),
        "{}",
        String::from_utf8_lossy(&again.stderr)
    );
    assert_eq!(sh(&mounted.dir(), "cat f"), "content");
    sh(mounted.dir().parent().unwrap(), "umount mnt");
}

#[test]
fn no_file_is_lost_when_every_request_is_slow() {
    let rig = Rig::new();
    rig.sim.set_pace(Pace {
        delay: Duration::from_millis(100),
        ..Pace::default()
    });
    let mounted = rig.mount();
    let file = File::create(mounted.path("slow")).unwrap();
    file.write_all_at(b"content", 0).unwrap();
    // A slow commit holds up nobody else.
    let started = Instant::now();
    std::fs::metadata(mounted.dir()).unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(nix::unistd::close(file), Ok::<(), Errno>(()));
    assert_eq!(rig.sim.content(BUCKET, "slow").unwrap(), b"content");
    mounted.unmount();
}

pub fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "waited in vain until {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
