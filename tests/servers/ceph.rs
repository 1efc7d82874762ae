//! Ceph: one monitor, one OSD that keeps everything in memory, and a gateway, all of the system's
//! packages and all in one directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::processes::{Processes, free_ports};
use super::{ACCESS_KEY, SECRET_KEY};

const CONFIGURATION: &str = "ceph.conf";
/// What the OSD may hold, in bytes.
const MEMORY_MAX: u64 = 8 << 30;

/// Starts it; returns the port of the gateway.
pub fn start(processes: &mut Processes) -> u16 {
    let (fsid, osd) = (uuid(), uuid());
    let [monitor, gateway] = free_ports();
    let configuration = configuration(processes.dir(), &fsid, monitor, gateway);
    std::fs::write(processes.dir().join(CONFIGURATION), configuration).unwrap();
    for name in ["mon", "osd"] {
        std::fs::create_dir(processes.dir().join(name)).unwrap();
    }
    run(processes, "ceph-authtool -C keyring");
    for (name, rights) in [
        ("mon.", &["mon", "allow *"][..]),
        ("client.admin", &["mon", "allow *", "osd", "allow *"]),
        ("osd.0", &["mon", "allow profile osd", "osd", "allow *"]),
        ("client.rgw", &["mon", "allow rw", "osd", "allow rwx"]),
    ] {
        let mut key = command(processes, "ceph-authtool keyring -g -n");
        key.arg(name);
        for right in rights.chunks(2) {
            key.arg("--cap").args(right);
        }
        processes.run(&mut key);
    }
    let map = format!("monmaptool --create --fsid {fsid} --addv a [v2:127.0.0.1:{monitor}] map");
    run(processes, &map);
    run(
        processes,
        "ceph-mon --mkfs -i a --monmap map --keyring keyring",
    );
    spawn(processes, "ceph-mon -f -i a");
    run(processes, &format!("ceph-osd --mkfs -i 0 --osd-uuid {osd}"));
    run(processes, &format!("ceph osd new {osd}"));
    spawn(processes, "ceph-osd -f -i 0");
    // It waits for the OSD, and makes the pools of the gateway.
    let user = format!("--access-key {ACCESS_KEY} --secret-key {SECRET_KEY}");
    let user = format!("radosgw-admin user create --uid=tests --display-name=tests {user}");
    run(processes, &user);
    spawn(processes, "radosgw -f -n client.rgw");
    gateway
}

/// A command of words without blanks.
fn command(processes: &Processes, words: &str) -> Command {
    let mut words = words.split(' ');
    let program = words.next().unwrap();
    let is_there = |dir: PathBuf| dir.join(program).exists();
    let path = std::env::var_os("PATH").unwrap_or_default();
    assert!(
        std::env::split_paths(&path).any(is_there),
        "{program} is not there: tests/run installs it"
    );
    let mut command = Command::new(program);
    command
        .args(words)
        .env("CEPH_CONF", processes.dir().join(CONFIGURATION));
    command
}

fn run(processes: &Processes, words: &str) {
    processes.run(&mut command(processes, words));
}

fn spawn(processes: &mut Processes, words: &str) {
    let mut command = command(processes, words);
    processes.spawn(&mut command);
}

fn uuid() -> String {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    uuid.trim().to_owned()
}

/// One copy of everything, in few placement groups, at addresses of this machine.
fn configuration(dir: &Path, fsid: &str, monitor: u16, gateway: u16) -> String {
    let dir = dir.display();
    format!(
        "[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{monitor}
public addr = 127.0.0.1
ms bind ipv6 = false
keyring = {dir}/keyring
run dir = {dir}
admin socket =
log file =
log to stderr = true
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
[mon.a]
mon data = {dir}/mon
mon addr = 127.0.0.1:{monitor}
[osd]
osd data = {dir}/osd
osd objectstore = memstore
memstore device bytes = {MEMORY_MAX}
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{gateway}
"
    )
}
