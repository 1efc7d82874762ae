//! Processes that are to end while a store does not answer, and mounts that are.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use s3fs::sim::{Fault, How, Operation};

use crate::mounted::send;
use crate::rig::{BUCKET, Rig};
use crate::shell::{sh, spawn};

/// Within which a process that is to end has ended. Two seconds are promised, and a store that does
/// not answer is given up after a minute at the earliest; a busy machine starts tasks late.
const SOON: Duration = Duration::from_secs(6);

/// From now on no request of this operation, or of any, is answered.
fn stall(rig: &Rig, on: Option<Operation>) {
    let fault = Fault {
        on,
        ..Fault::nth(1, How::Stall)
    };
    rig.sim.fault(fault.times(u64::MAX / 2));
}

fn start(dir: &Path, script: &str) -> Child {
    // `exec`, so that the signal is the command's.
    let mut command = Command::new("bash");
    let command = command.args(["-c", &format!("exec {script}")]);
    spawn(
        command
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
}

/// Waits for a request of an operation, counted from `before`.
fn wait_for_request(rig: &Rig, operation: Operation, before: u64) {
    let start = Instant::now();
    while rig.sim.counters().of(operation).requests <= before {
        assert!(start.elapsed() < Duration::from_secs(20), "never asked");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends a signal, and waits for the process to end.
fn ends_soon(child: &mut Child, signal: Signal) {
    send(child, signal);
    wait_soon(child);
}

/// Waits for the process to end, but not for ever: what hangs in the kernel cannot be killed.
fn wait_soon(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(start.elapsed() < SOON, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Promise: interrupted. Callers that wait for a store that answers nothing can be ended.
#[test]
fn a_caller_that_waits_for_a_stalled_store_can_be_killed_and_interrupted() {
    let rig = Rig::new();
    rig.store.put(BUCKET, "old", vec![1; 100_000]);
    rig.store.put(BUCKET, "dir/name", "x");
    let mounted = rig.mount_with("actimeo=0");
    sh(&mounted.dir(), "stat old dir");
    stall(&rig, None);
    for script in [
        "cat old",
        "ls -l dir",
        "stat unknown",
        "cp old /dev/null",
        "touch new",
        "rm old",
    ] {
        for signal in [Signal::SIGKILL, Signal::SIGINT, Signal::SIGTERM] {
            let mut child = start(&mounted.dir(), script);
            std::thread::sleep(Duration::from_millis(500));
            assert!(child.try_wait().unwrap().is_none(), "{script} did not wait");
            ends_soon(&mut child, signal);
        }
    }
    rig.sim.clear_faults();
    assert_eq!(sh(&mounted.dir(), "stat -c %s old").trim(), "100000");
    mounted.unmount();
}

/// Promise: interrupted. An interrupted close leaves the old object and no upload, and keeps what
/// was written.
#[test]
fn a_copy_that_is_interrupted_in_close_leaves_the_old_object_and_no_upload() {
    let good = vec![5; 40 << 20];
    for (script, operation) in [
        ("dd of=old bs=1M if=/dev/zero count=1", Operation::PutObject),
        (
            "dd of=old if=/dev/zero count=1 oflag=append conv=notrunc",
            Operation::CompleteMultipartUpload,
        ),
    ] {
        let rig = Rig::new();
        rig.store.put(BUCKET, "old", good.clone());
        let mounted = rig.mount();
        stall(&rig, Some(operation));
        let before = rig.sim.counters().of(operation).requests;
        let mut child = start(&mounted.dir(), script);
        wait_for_request(&rig, operation, before);
        std::thread::sleep(Duration::from_millis(200));
        ends_soon(&mut child, Signal::SIGINT);
        let begun = Instant::now();
        while !rig.sim.uploads(BUCKET).is_empty() {
            assert!(begun.elapsed() < SOON, "{operation:?}: an upload is left");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(rig.store.get(BUCKET, "old") == good, "{operation:?}");
        rig.sim.clear_faults();
        let log = mounted.log();
        assert!(log.contains("the bytes written to it are in"), "{log}");
        mounted.unmount();
    }
}

/// Promise: interrupted. What a killed process wrote is published, and it does not wait for that.
#[test]
fn a_killed_writer_ends_at_once_and_what_it_wrote_is_published() {
    let rig = Rig::new();
    let mounted = rig.mount();
    rig.sim.on_request(|_, request| {
        if request.operation == Operation::PutObject {
            tokio::task::block_in_place(|| std::thread::sleep(Duration::from_secs(4)));
        }
    });
    let before = rig.sim.counters().of(Operation::PutObject).requests;
    let program =
        "import time; f = open('new', 'wb'); f.write(b'bytes'); f.flush(); time.sleep(60)";
    let script = format!("python3 -c \"{program}\"");
    let mut child = start(&mounted.dir(), &script);
    std::thread::sleep(Duration::from_secs(1));
    ends_soon(&mut child, Signal::SIGTERM);
    wait_for_request(&rig, Operation::PutObject, before);
    mounted.unmount();
    assert_eq!(rig.store.get(BUCKET, "new"), b"bytes");
}

/// Promise: interrupted. With `save_killed` what a killed process wrote replaces nothing.
#[test]
fn what_a_killed_process_wrote_is_saved_and_not_published_where_that_is_asked_for() {
    let rig = Rig::new();
    rig.store.put(BUCKET, "old", "good");
    let mounted = rig.mount_with("save_killed");
    let script = "dd of=old if=/dev/zero bs=1k count=8";
    sh(&mounted.dir(), &format!("{script} status=none"));
    assert_eq!(rig.store.get(BUCKET, "old"), [0; 8 << 10]);
    rig.store.put(BUCKET, "old", "good");
    std::thread::sleep(Duration::from_secs(2));
    let mut child = start(&mounted.dir(), "dd of=old if=/dev/zero bs=1k");
    std::thread::sleep(Duration::from_millis(300));
    ends_soon(&mut child, Signal::SIGTERM);
    let begun = Instant::now();
    while !mounted
        .log()
        .contains("old: not stored; the bytes written to it are in")
    {
        assert!(begun.elapsed() < SOON, "{}", mounted.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(sh(&mounted.dir(), "cat old"), "good");
    assert_eq!(mounted.spilled_files(), 2, "bytes and a note");
    mounted.unmount();
    assert_eq!(rig.store.get(BUCKET, "old"), b"good");
    assert!(rig.sim.uploads(BUCKET).is_empty(), "an upload is left");
}

/// A program that is started closes what its process had open, and nothing of proc(5) that would
/// wait for it may be read meanwhile.
#[test]
fn a_program_starts_in_a_process_that_has_written_to_a_file() {
    let script = "\
import subprocess
with open('f', 'w') as file:
    file.write('written')
    file.flush()
    subprocess.run(['true'], close_fds=False, check=True)";
    let rig = Rig::new();
    let mounted = rig.mount();
    let mut started = start(&mounted.dir(), &format!("python3 -c \"{script}\""));
    assert!(wait_soon(&mut started).success());
    mounted.unmount();
    assert_eq!(rig.sim.content(BUCKET, "f").unwrap(), b"written");
}

/// Promise: renames that stopped. What the store does after the interrupt is in nobody's way.
#[test]
fn mv_of_a_directory_that_was_interrupted_is_finished_by_the_same_command() {
    for (held, said) in [
        (Operation::CopyObject, "interrupted: nothing was moved"),
        (Operation::DeleteObjects, "3 objects copied"),
    ] {
        let rig = Rig::new();
        for file in ["a", "b", "c"] {
            rig.store.put(BUCKET, &format!("old/{file}"), file);
        }
        let mounted = rig.mount_with("actimeo=1");
        let may_go_on = Arc::new(AtomicBool::new(false));
        rig.sim.on_request({
            let may_go_on = Arc::clone(&may_go_on);
            move |_, request| {
                let came = Instant::now();
                let is_held = || {
                    !may_go_on.load(Ordering::Relaxed) && came.elapsed() < Duration::from_secs(20)
                };
                if request.operation == held {
                    tokio::task::block_in_place(|| {
                        while is_held() {
                            std::thread::sleep(Duration::from_millis(5));
                        }
                    });
                }
            }
        });
        let before = rig.sim.counters().of(held).requests;
        let mut mv = start(&mounted.dir(), "mv old new");
        wait_for_request(&rig, held, before);
        ends_soon(&mut mv, Signal::SIGINT);
        if held == Operation::DeleteObjects {
            // Not done at all: the store has forgotten it.
            rig.sim
                .fault(Fault::on(held, How::Status(500, "InternalError")));
        }
        let started = Instant::now();
        while !mounted.log().contains(said) {
            assert!(started.elapsed() < SOON, "{}", mounted.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        may_go_on.store(true, Ordering::Relaxed);
        // The store is late, and the new name is found.
        let shown = sh(
            &mounted.dir(),
            "sleep 2; ls -d new; mv -T old new; ls new; ! stat old 2> /dev/null",
        );
        assert_eq!(shown, "new\na\nb\nc\n");
        mounted.unmount();
    }
}
