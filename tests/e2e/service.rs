//! The service going away and coming back, and the daemon being told to end.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use s3fs::limits::GIB;
use s3fs::sim::{Fault, How, Operation, Pace};

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

/// From now on no PUT is answered.
fn stall_puts(rig: &Rig) {
    let stalled = Fault {
        on: Some(Operation::PutObject),
        ..Fault::nth(1, How::Stall)
    };
    rig.sim.fault(stalled.times(u64::MAX / 2));
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
    stall_puts(&rig);
    mounted.signal(Signal::SIGTERM);
    // Just behind the first it would be the same.
    std::thread::sleep(Duration::from_secs(2));
    mounted.signal(Signal::SIGTERM);
    assert_eq!(mounted.wait().code(), Some(74), "{}", mounted.log());
    assert_eq!(mounted.spilled_files(), 2, "bytes and a note");
    assert!(
        mounted.log().contains("f: not stored; the bytes"),
        "{}",
        mounted.log()
    );
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
