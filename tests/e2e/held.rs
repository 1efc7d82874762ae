//! A file whose close waits for the store, and what others do to it, to its directory and elsewhere
//! meanwhile.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use s3fs::sim::{Fault, How, Operation};

use crate::mounted::Mounted;
use crate::rig::{BUCKET, Rig};
use crate::shell::{spawn, try_sh};

/// Within which a command is done that does not wait for the store. Two seconds are promised, and
/// the store would be waited for much longer; a busy machine starts processes late.
const SOON: Duration = Duration::from_secs(6);

/// Starts to write a file whose first PUT is never answered; returns when the store has that.
fn close_slowly(rig: &Rig, mounted: &Mounted, name: &str) -> Child {
    let requests = || rig.sim.counters().of(Operation::PutObject).requests;
    let before = requests();
    rig.sim.fault(Fault::on(Operation::PutObject, How::Stall));
    let mut dd = Command::new("dd");
    dd.args([&format!("of={name}"), "if=/dev/zero", "count=8"]);
    let child = spawn(dd.current_dir(mounted.dir()).stderr(Stdio::null()));
    let begun = Instant::now();
    while requests() == before {
        assert!(begun.elapsed() < Duration::from_secs(20), "never asked");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

/// What a script says that is not to wait: on success nothing, else why not.
fn soon(mounted: &Mounted, script: &str) -> String {
    let begun = Instant::now();
    let output = try_sh(&mounted.dir(), &format!("{script} > /dev/null"));
    let took = begun.elapsed();
    println!("{script}: {took:?}");
    assert!(took < SOON, "{script} took {took:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn is_running(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_none()
}

/// Promise: uploads are not waited for. The directory of a file that is closed slowly is not
/// removed, and is renamed, while everything else goes on.
#[test]
fn while_a_file_is_closed_slowly_its_directory_is_renamed_and_the_rest_goes_on() {
    let rig = Rig::new();
    rig.store.put(BUCKET, "elsewhere/old", "x");
    let mounted = rig.mount();
    soon(&mounted, "mkdir d");
    let mut closing = close_slowly(&rig, &mounted, "d/slow");
    let refused = soon(&mounted, "rmdir d");
    assert!(refused.contains("Directory not empty"), "{refused}");
    for script in [
        "stat d/slow",
        "ls -l . d elsewhere",
        "touch elsewhere/new d/new",
        "cat elsewhere/old",
        "rm elsewhere/old",
        "mkdir f",
    ] {
        assert_eq!(soon(&mounted, script), "", "{script}");
    }
    assert!(is_running(&mut closing), "it was closed");
    assert_eq!(soon(&mounted, "mv d e"), "");
    assert!(closing.wait().unwrap().success());
    assert_eq!(rig.store.get(BUCKET, "e/slow"), [0; 8 * 512]);
    assert_eq!(soon(&mounted, "! test -e d && test -e e/new"), "");
    mounted.unmount();
    let keys = ["e/", "e/new", "e/slow", "elsewhere/new", "f/"];
    assert_eq!(rig.sim.keys(BUCKET), keys);
}

/// Promise: uploads are not waited for. A file that is closed slowly is removed, and renamed.
#[test]
fn a_file_that_is_closed_slowly_is_removed_and_renamed_at_once() {
    let rig = Rig::new();
    let mounted = rig.mount();
    soon(&mounted, "mkdir d");
    let mut closing = close_slowly(&rig, &mounted, "d/slow");
    assert_eq!(soon(&mounted, "rm d/slow"), "");
    assert!(closing.wait().unwrap().success());
    assert_eq!(rig.sim.keys(BUCKET), ["d/"]);
    let mut closing = close_slowly(&rig, &mounted, "d/slow");
    assert_eq!(soon(&mounted, "mv d/slow moved"), "");
    assert!(closing.wait().unwrap().success());
    assert_eq!(rig.sim.keys(BUCKET), ["d/", "moved"]);
    mounted.unmount();
}
