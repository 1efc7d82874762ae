//! Mounts under a systemd that is booted for each test: units, their order, their journal, the end
//! of the machine. Knows the program's command line and units, none of its insides but `sim`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use s3fs::sim::{Operation, Sim};
use tokio::runtime::Runtime;

#[path = "systemd/failures.rs"]
mod failures;
#[path = "systemd/units.rs"]
mod units;

const BOOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/systemd/boot");
const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/systemd");

/// What a script begins with.
const BEGINNING: &str = r#"
# fails COMMAND...: that a command fails, which `!` would not end the script for.
fails() { if "$@"; then echo "succeeded: $*"; return 1; fi; }
trap 'echo "failed: $BASH_COMMAND"; journalctl -n 60 -t mount -t umount -t s3fs -t systemd' ERR
"#;

/// A store with the buckets `one`, `two` and `home`, in this process.
struct Store {
    sim: Sim,
    _runtime: Runtime,
}

impl Store {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let starting = Sim::builder()
            .bucket("one")
            .bucket("two")
            .bucket("home")
            .start("127.0.0.1:0");
        let sim = runtime.block_on(starting).unwrap();
        Self {
            sim,
            _runtime: runtime,
        }
    }

    /// Boots this machine's tree, or that of S3FS_TEST_SYSTEMD_TREE, with these files, runs a
    /// script, and powers off; whether the script succeeded, and what it said. In a file `URL`
    /// stands for the store's, `{id}` and `{secret}` for who may use it.
    fn boot(&self, files: &[(&str, &str)], script: &str) -> (bool, String) {
        let layer = tempfile::tempdir().unwrap();
        let (id, secret) = Sim::ACCESS_KEY;
        let credentials = "[default]\naws_access_key_id={id}\naws_secret_access_key={secret}\n";
        let usual = [
            ("root/.aws/credentials", credentials),
            ("test.sh", &format!("{BEGINNING}{script}")),
        ];
        for (name, content) in usual.iter().chain(files) {
            let path = layer.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let content = content.replace("URL", &self.sim.endpoint());
            let content = content.replace("{id}", id).replace("{secret}", secret);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }
        for unit in fs::read_dir(UNITS).unwrap() {
            let unit = unit.unwrap();
            let to = layer.path().join("usr/lib/systemd/system");
            fs::create_dir_all(&to).unwrap();
            fs::copy(unit.path(), to.join(unit.file_name())).unwrap();
        }
        for name in ["mnt/one", "mnt/two", "mnt/s3"] {
            fs::create_dir_all(layer.path().join(name)).unwrap();
        }
        for directory in ["", "mnt", "mnt/one", "root", "etc", "usr"] {
            let path = layer.path().join(directory);
            if path.exists() {
                fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
            }
        }
        let output = Command::new(BOOT)
            .arg(layer.path())
            .arg(env!("CARGO_BIN_EXE_s3fs"))
            .args(std::env::var_os("S3FS_TEST_SYSTEMD_TREE"))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_ne!(output.status.code(), Some(125), "no systemd: {said}");
        (output.status.success(), said)
    }

    #[track_caller]
    fn works(&self, files: &[(&str, &str)], script: &str) -> String {
        let (is_ok, said) = self.boot(files, script);
        assert!(is_ok, "{said}");
        said
    }
}

#[test]
fn lines_of_fstab_are_mounted_after_the_network_and_stored_before_the_unmount_ends() {
    let store = Store::new();
    store.sim.put("one", "f", "content");
    store.sim.on_request(|_, request| {
        if request.operation == Operation::CopyObject {
            std::thread::sleep(Duration::from_secs(2));
        }
    });
    let fstab = "one /mnt/one s3fs _netdev,url=URL,use_path_request_style 0 0\n\
                 two /mnt/two fuse.s3fs _netdev,url=URL,use_path_request_style 0 0\n";
    let online = "[Unit]\nBefore=network-online.target\n\
                  [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 2\n";
    let wants = "[Unit]\nWants=online.service\n";
    store.works(
        &[
            ("etc/fstab", fstab),
            ("etc/systemd/system/online.service", online),
            (
                "etc/systemd/system/network-online.target.d/online.conf",
                wants,
            ),
        ],
        r#"
        systemctl start remote-fs.target
        when() { systemctl show -P ActiveEnterTimestampMonotonic "$1"; }
        [ "$(when online.service)" -gt 0 ]
        [ "$(when mnt-one.mount)" -gt "$(when online.service)" ]
        findmnt -rnv -t fuse.s3fs -o SOURCE,TARGET | sort >/run/found
        printf 'one /mnt/one\ntwo /mnt/two\n' | diff - /run/found
        chmod 600 /mnt/one/f
        systemctl stop mnt-one.mount
        [ "$(find /run/s3fs -name '*:*' | wc -l)" = 1 ]
        systemctl start mnt-one.mount
        cat /mnt/one/f
        "#,
    );
    let metadata = store.sim.stat("one", "f").unwrap().headers.metadata;
    assert_eq!(metadata.get("mode").unwrap(), "33152");
}

#[test]
fn a_missing_bucket_fails_its_unit_with_the_reason_in_the_journal_and_whoever_needs_it() {
    let store = Store::new();
    let fstab = "none /mnt/one s3fs _netdev,url=URL,use_path_request_style 0 0\n";
    let writer = "[Unit]\nRequiresMountsFor=/mnt/one\n\
                  [Service]\nType=oneshot\nExecStart=/bin/touch /mnt/one/f\n";
    store.works(
        &[
            ("etc/fstab", fstab),
            ("etc/systemd/system/writer.service", writer),
        ],
        r#"
        code=0; systemctl start writer.service || code=$?
        [ $code != 0 ]
        [ "$(systemctl is-failed mnt-one.mount)" = failed ]
        journalctl -u mnt-one.mount -t mount | grep 'bucket "none": no such bucket'
        [ -z "$(ls /mnt/one)" ]
        "#,
    );
}

#[test]
fn an_automount_mounts_on_the_first_access_and_unmounts_when_nobody_looks() {
    let store = Store::new();
    store.sim.put("one", "f", "content");
    let mount = "[Mount]\nWhat=one\nWhere=/mnt/one\nType=s3fs\n\
                 Options=_netdev,url=URL,use_path_request_style\n";
    let automount = "[Automount]\nWhere=/mnt/one\nTimeoutIdleSec=1\n";
    store.works(
        &[
            ("etc/systemd/system/mnt-one.mount", mount),
            ("etc/systemd/system/mnt-one.automount", automount),
        ],
        r#"
        systemctl start mnt-one.automount
        [ "$(systemctl is-active mnt-one.mount || true)" = inactive ]
        [ "$(cat /mnt/one/f)" = content ]
        [ "$(systemctl is-active mnt-one.mount)" = active ]
        for _ in $(seq 100); do
            [ "$(systemctl is-active mnt-one.mount || true)" = inactive ] && break
            sleep 0.1
        done
        [ -z "$(find /run/s3fs -name '*:*')" ]
        [ "$(cat /mnt/one/f)" = content ]
        "#,
    );
}

#[test]
fn a_poweroff_waits_for_what_is_being_stored() {
    let store = Store::new();
    store.sim.put("one", "f", "content");
    store.sim.on_request(|_, request| {
        match request.operation {
            Operation::CompleteMultipartUpload => std::thread::sleep(Duration::from_secs(3)),
            // Of attributes, which nobody waits for.
            Operation::CopyObject => std::thread::sleep(Duration::from_secs(7)),
            _ => {}
        }
    });
    let fstab = "one /mnt/one s3fs \
                 _netdev,x-systemd.mount-timeout=60,url=URL,use_path_request_style 0 0\n";
    // What is not waited for by then is ended soon.
    let impatient = "[Manager]\nDefaultTimeoutStopSec=1s\n";
    // Without the trap its close would be interrupted, and publish nothing.
    let writer = "[Unit]\nRequiresMountsFor=/mnt/one\n\
                  [Service]\nTimeoutStopSec=60\n\
                  ExecStart=/bin/sh -c 'trap \"\" TERM; head -c 64M /dev/zero >/mnt/one/big'\n";
    store.works(
        &[
            ("etc/fstab", fstab),
            ("etc/systemd/system.conf.d/impatient.conf", impatient),
            ("etc/systemd/system/writer.service", writer),
        ],
        r#"
        systemctl start writer.service
        for _ in $(seq 300); do
            [ "$(stat -c %s /mnt/one/big 2>/dev/null || true)" = 67108864 ] && break
            sleep 0.1
        done
        # Everything is written, and close(2) waits for the store.
        systemctl is-active writer.service
        chmod 600 /mnt/one/f
        "#,
    );
    assert_eq!(store.sim.stat("one", "big").unwrap().size, 64 << 20);
    assert!(store.sim.uploads("one").is_empty());
    let metadata = store.sim.stat("one", "f").unwrap().headers.metadata;
    assert_eq!(metadata.get("mode").unwrap(), "33152");
}

#[test]
fn the_service_has_credentials_of_its_own_and_open_files_go_on_when_it_is_killed_or_reloaded() {
    let store = Store::new();
    let settings = "SOURCE=one\nMOUNTPOINT=/mnt/one\nOPTIONS=url=URL,use_path_request_style\n";
    let credentials = "[Service]\nLoadCredential=aws:/etc/s3fs/one.credentials\n\
                       Environment=AWS_SHARED_CREDENTIALS_FILE=%d/aws\n";
    let said = store.works(
        &[
            ("etc/s3fs/one.env", settings),
            (
                "etc/systemd/system/s3fs@one.service.d/aws.conf",
                credentials,
            ),
        ],
        r#"
        mv /root/.aws/credentials /etc/s3fs/one.credentials
        systemctl start s3fs@one
        echo content >/mnt/one/f
        journalctl -u s3fs@one -o json | grep '"MESSAGE":"one mounted at /mnt/one"' |
            grep -q '"TARGET":"s3fs::mount"'
        exec 3</mnt/one/f 4>/mnt/one/g
        printf 'before ' >&4
        for _ in 1 2; do
            first=$(systemctl show -P MainPID s3fs@one)
            systemctl kill -s KILL s3fs@one
            printf 'after ' >&4
            # It has told systemd that it serves a moment after it does.
            for _ in $(seq 100); do
                [ "$(systemctl is-active s3fs@one || true)" = active ] && break
                sleep 0.1
            done
            next=$(systemctl show -P MainPID s3fs@one)
            [ "$next" != "$first" ]
        done
        cp /usr/bin/s3fs /run/new
        umount -l /usr/bin/s3fs
        install -m 755 /run/new /usr/bin/s3fs
        systemctl reload s3fs@one
        [ "$(systemctl show -P MainPID s3fs@one)" = "$next" ]
        [ "/proc/$next/exe" -ef /usr/bin/s3fs ]
        printf 'reloaded ' >&4
        systemctl kill -s KILL s3fs@one
        printf 'end' >&4
        exec 4>&-
        [ "$(cat <&3)" = content ]
        exec 3<&-
        systemctl restart s3fs@one
        grep -q content /mnt/one/f
        [ "$(cat /mnt/one/g)" = 'before after after reloaded end' ]
        # Nothing of the mount before is gone on with.
        systemctl kill -s KILL s3fs@one
        grep -q content /mnt/one/f
        systemctl stop s3fs@one
        [ -z "$(findmnt -rn -t fuse.s3fs)" ]
        [ "$(systemctl show -P Result s3fs@one)" = success ]
        systemd-analyze verify --man=no s3fs@one.service /usr/lib/systemd/system/mnt-s3.*mount
        systemd-analyze security --no-pager s3fs@one.service | tail -n 1
        "#,
    );
    let told = said.lines().find(|line| line.contains("exposure level"));
    println!("systemd-analyze security: {}", told.unwrap().trim());
    assert_eq!(store.sim.content("one", "f").unwrap(), b"content\n");
    assert!(!Path::new("/mnt/one/f").exists());
}
