//! A store that does not answer one request, of each kind, and what goes on elsewhere meanwhile.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use s3fs::sim::{Fault, How, Operation};

use crate::mounted::send;
use crate::rig::{BUCKET, Rig};
use crate::shell::{spawn, try_sh};

/// Within which all that is done elsewhere is done. Two seconds are promised for each call; a busy
/// machine starts the dozen programs late.
const SOON: Duration = Duration::from_secs(8);

/// What is done elsewhere while the store does not answer: one call of each kind at least. Not in
/// the same directory, whose lookups and changes the kernel does in turn.
const ELSEWHERE: &str = "
    stat fast/f >&2 && ls fast >/dev/null && cat fast/f >/dev/null
    echo new > fast/new && echo more >> fast/f && truncate -s 1 fast/f
    mkdir fast/d && cp fast/f fast/d/copy && mv fast/d/copy fast/moved && mv fast/d fast/e
    chmod 600 fast/f && rm fast/new fast/moved && rmdir fast/e && stat -f . >&2";

#[test]
fn whatever_request_is_not_answered_calls_on_other_names_go_on() {
    for (operation, script) in [
        (Operation::HeadObject, "stat slow/f"),
        (Operation::GetObject, "cat slow/f"),
        (Operation::ListObjectsV2, "ls slow"),
        (Operation::PutObject, "echo new > slow/new"),
        (Operation::PutObject, "mkdir slow/new"),
        (Operation::CopyObject, "cp slow/f slow/copy"),
        (Operation::CopyObject, "mv slow/f slow/moved"),
        (Operation::CopyObject, "mv slow/d slow/gone"),
        (Operation::DeleteObject, "rm slow/f"),
        (Operation::DeleteObject, "mv slow/f slow/moved"),
    ] {
        let rig = Rig::new();
        for name in ["slow/f", "slow/d/f", "fast/f"] {
            rig.store.put(BUCKET, name, "content");
        }
        let mounted = rig.mount();
        let requests = || rig.sim.counters().of(operation).requests;
        let before = requests();
        rig.sim.fault(Fault::on(operation, How::Stall));
        let mut stalled = Command::new("bash");
        stalled.args(["-c", &format!("exec {script}")]);
        stalled.stdout(Stdio::null()).stderr(Stdio::null());
        let mut stalled = spawn(stalled.current_dir(mounted.dir()));
        let begun = Instant::now();
        while requests() == before {
            assert!(
                begun.elapsed() < SOON,
                "{script}: {operation:?} was never asked"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        let begun = Instant::now();
        let output = try_sh(&mounted.dir(), ELSEWHERE);
        let took = begun.elapsed();
        println!("beside {script}, {operation:?}: {took:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "beside {script}: {said}");
        assert!(took < SOON, "beside {script}, {operation:?}: {took:?}");
        assert!(
            stalled.try_wait().unwrap().is_none(),
            "{script} was answered"
        );
        send(&stalled, Signal::SIGKILL);
        stalled.wait().unwrap();
        rig.sim.clear_faults();
        mounted.unmount();
    }
}
