//! The forms in which mount(8) and umount(8) call the program. Each script has a mount namespace of
//! its own, in which the program is installed under their names for it.

use std::path::Path;
use std::process::{Command, Stdio};

use s3fs::sim::{Fault, How, Operation};

use crate::access::Access;
use crate::mounted::PROGRAM;
use crate::rig::{BUCKET, Rig};
use crate::shell::output;

/// Seconds a script may take.
const SECONDS_MAX: u32 = 120;

/// Installs the program beside the system's own, with a /run and a home of their own.
const INSTALL: &str = r#"
mount -t tmpfs none "$over"
home=$(getent passwd 0 | cut -d: -f6)
for below in /usr/sbin "$home"; do
    above=$over/$(basename "$below")
    mkdir "$above" "$above.work"
    mount -t overlay none "$below" -o "lowerdir=$below,upperdir=$above,workdir=$above.work"
done
# By a mount: an ordinary user may not come to where it was built.
touch /usr/sbin/s3fs
mount --bind "$program" /usr/sbin/s3fs
for name in mount.s3fs mount.fuse.s3fs umount.fuse.s3fs; do
    ln -sf s3fs "/usr/sbin/$name"
done
mount -t tmpfs none /run
options=url=$url,use_path_request_style
# fstab LINE...: the table of this script.
fstab() {
    printf '%s\n' "$@" >"$over/fstab"
    mount --bind "$over/fstab" /etc/fstab
}
# fails COMMAND...: that a command fails, which `!` would not end the script for.
fails() { if "$@"; then echo "succeeded: $*"; return 1; fi; }
# writes FILE BYTES: has written bytes to a file and goes on having it open.
writes() {
    python3 -c "import sys, time
file = open(sys.argv[1], 'wb', 0)
file.write(sys.argv[2].encode() + b'\n')
open(sys.argv[3], 'w').close()
time.sleep(600)" "$1" "$2" "$over/written" &
    while [ ! -e "$over/written" ]; do sleep 0.1; done
}
mounts() { findmnt -rn -o TARGET "$@" | grep -c "^$dir" || true; }
# The process that serves, not the one beside it.
daemon() { pgrep -x 'mount.s3fs|s3fs'; }
daemons() { find /run/s3fs -name '*:*' | wc -l; }
"#;

/// Runs a script with `$dir`, an empty directory, `$url` and `$options`.
fn run(access: &Access, script: &str) -> (bool, String) {
    let scratch = tempfile::tempdir().unwrap();
    for dir in ["over", "mnt", "elsewhere"] {
        std::fs::create_dir(scratch.path().join(dir)).unwrap();
    }
    let path = |name: &str| scratch.path().join(name);
    assert!(
        nix::unistd::geteuid().is_root(),
        "these tests make mount namespaces: run them as root"
    );
    let mut command = Command::new("timeout");
    command
        .args(["--signal=KILL", &SECONDS_MAX.to_string()])
        // What is still there when the script ends, ends with it.
        .args(["unshare", "--mount", "--propagation", "private"])
        .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["bash", "-e", "-u", "-o", "pipefail", "-c"])
        .arg(format!("{INSTALL}{script}"))
        .current_dir(path("elsewhere"))
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", &access.access_key)
        .env("AWS_SECRET_ACCESS_KEY", &access.secret_key)
        .env("over", path("over"))
        .env("dir", path("mnt"))
        .env("program", Path::new(PROGRAM))
        .env("url", &access.url)
        .env("key", &access.access_key)
        .env("secret", &access.secret_key)
        .stdin(Stdio::null());
    let output = output(&mut command);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

#[track_caller]
pub fn works(rig: &Rig, script: &str) -> String {
    let (is_ok, said) = run(&rig.access, script);
    assert!(is_ok, "{said}");
    said
}

#[test]
fn fstab_lines_are_mounted_once_by_mount_a_and_copy() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "big", 1 << 30, 1);
    let before = rig.sim.counters();
    works(
        &rig,
        r#"
        fstab "bucket $dir s3fs _netdev,nofail,$options 0 0"
        mount -a -t s3fs
        mount -a -t s3fs
        mount "$dir"
        [ "$(mounts -t fuse.s3fs)" = 1 ]
        [ "$(findmnt -nv -o SOURCE "$dir")" = bucket ]
        findmnt -n -o OPTIONS "$dir" | grep -q nosuid,nodev
        cp "$dir/big" "$dir/copy"
        umount "$dir"
        [ "$(mounts)" = 0 ]
        "#,
    );
    let total = (rig.sim.counters() - &before).total();
    assert_eq!((total.bytes_up, total.bytes_down), (0, 0));
    assert_eq!(rig.sim.stat(BUCKET, "copy").unwrap().size, 1 << 30);
}

#[test]
fn a_line_of_s3fs_fuse_is_mounted_by_its_type() {
    let rig = Rig::new();
    works(
        &rig,
        r#"
        fstab "bucket $dir fuse.s3fs _netdev,allow_other,$options 0 0"
        mount "$dir"
        echo content >"$dir/f"
        umount "$dir"
        "#,
    );
    assert_eq!(rig.sim.content(BUCKET, "f").unwrap(), b"content\n");
}

#[test]
fn umount_returns_when_everything_is_stored_and_the_daemon_has_ended() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "content");
    // Attributes are stored last; it takes the store a while.
    rig.slow_down_attributes();
    works(
        &rig,
        r#"
        # Of a mount without a word of its own umount(8) looks for no such program.
        mount -t s3fs bucket "$dir" -o "_netdev,$options"
        [ "$(daemons)" = 1 ]
        chmod 600 "$dir/f"
        umount "$dir"
        [ "$(daemons)" = 0 ]
        "#,
    );
    assert_eq!(rig.stored_mode("f"), "33152");
}

#[test]
fn a_lazy_umount_waits_for_nobody() {
    let rig = Rig::new();
    works(
        &rig,
        r#"
        mount -t s3fs bucket "$dir" -o "_netdev,$options"
        exec 3>"$dir/open"
        code=0; umount "$dir" 2>"$over/said" || code=$?
        grep -q busy "$over/said"
        [ $code = 32 ]
        umount -l "$dir"
        [ "$(mounts)" = 0 ]
        echo late >&3
        exec 3>&-
        "#,
    );
    assert_eq!(rig.sim.content(BUCKET, "open").unwrap(), b"late\n");
}

#[test]
fn umount_by_force_saves_what_is_open_and_ends_the_mount_though_the_store_has_stalled() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "old", "good");
    let stalled = Fault {
        on: Some(Operation::PutObject),
        ..Fault::nth(1, How::Stall)
    };
    rig.sim.fault(stalled.times(u64::MAX / 2));
    works(
        &rig,
        r#"
        mkdir "$over/staging"
        mount -t s3fs bucket "$dir" -o "_netdev,staging_dir=$over/staging,$options"
        writes "$dir/old" new
        # One that waits for the store, too.
        echo closed 2>/dev/null >"$dir/closed" &
        sleep 1
        started=$SECONDS
        code=0; umount -f "$dir" 2>"$over/said" || code=$?
        [ $((SECONDS - started)) -lt 30 ]
        cat "$over/said"
        [ $code != 0 ]
        grep -q "old: not stored; the bytes written to it are in $over/staging/" "$over/said"
        [ "$(mounts)" = 0 ]
        grep -qx new "$over"/staging/*
        grep -qx closed "$over"/staging/*
        while daemon >/dev/null; do sleep 0.1; done
        "#,
    );
    assert_eq!(rig.sim.content(BUCKET, "old").unwrap(), b"good");
    assert!(rig.sim.content(BUCKET, "closed").is_none());
}

#[test]
fn a_connection_that_is_aborted_ends_the_mount_and_saves_what_is_open() {
    let rig = Rig::new();
    works(
        &rig,
        r#"
        mkdir "$over/staging"
        mount -t s3fs bucket "$dir" -o "staging_dir=$over/staging,$options"
        writes "$dir/open" written
        # The kernel finds the mount busy after it has ended the connection.
        fails umount -i -f "$dir" 2>"$over/said"
        while daemon >/dev/null; do sleep 0.1; done
        [ "$(mounts)" = 0 ]
        grep -qx written "$over"/staging/*
        "#,
    );
    assert!(rig.sim.content(BUCKET, "open").is_none());
}

#[test]
fn a_mount_is_made_read_only_and_back_while_it_is_used() {
    let rig = Rig::new();
    works(
        &rig,
        r#"
        mount -t s3fs bucket "$dir" -o "$options"
        mount -o remount,ro "$dir"
        fails touch "$dir/f" 2>"$over/said"
        grep -q 'Read-only file system' "$over/said"
        mount -o remount,rw,noexec "$dir"
        touch "$dir/f"
        findmnt -n -o OPTIONS "$dir" | grep -q rw,nosuid,nodev,noexec
        umount "$dir"
        mount -t s3fs bucket "$dir" -o "ro,$options"
        fails touch "$dir/g" 2>/dev/null
        mount -o remount,rw "$dir"
        touch "$dir/g"
        umount "$dir"
        "#,
    );
    assert_eq!(rig.sim.keys(BUCKET), ["f", "g"]);
}

#[test]
fn set_id_bits_and_devices_of_a_line_of_fstab_stay_over_a_remount() {
    let rig = Rig::new();
    works(
        &rig,
        r#"
        shown() { findmnt -n -o VFS-OPTIONS "$dir"; }
        fstab "bucket $dir s3fs allow_suid,allow_dev,$options 0 0"
        mount "$dir"
        shown | grep -q '^rw,relatime'
        mount -o remount,ro "$dir"
        shown | grep -q '^ro,relatime'
        mount -o remount,rw,nosuid "$dir"
        shown | grep -q '^rw,nosuid,relatime'
        umount "$dir"
        fstab
        mount -t s3fs bucket "$dir" -o "allow_dev,$options"
        shown | grep -q '^rw,nosuid,relatime'
        mount -o remount,ro "$dir"
        shown | grep -q '^ro,nosuid,relatime'
        umount "$dir"
        mount -t s3fs bucket "$dir" -o "$options"
        mount -o remount,ro "$dir"
        shown | grep -q '^ro,nosuid,nodev'
        umount "$dir"
        "#,
    );
}

#[test]
fn a_remount_asks_for_no_credentials_and_no_configuration() {
    let rig = Rig::new();
    works(
        &rig,
        r#"
        unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
        (umask 077; echo "$key:$secret" >"$over/passwd")
        fstab "bucket $dir s3fs passwd_file=$over/passwd,$options 0 0"
        mount "$dir"
        chmod 644 "$over/passwd"
        mkdir -p "$home/.config/s3fs"
        echo '[bucket' >"$home/.config/s3fs/s3fs.toml"
        mount -o remount,ro "$dir"
        fails touch "$dir/f" 2>"$over/said"
        grep -q 'Read-only file system' "$over/said"
        umount "$dir"
        "#,
    );
}

#[test]
fn a_bucket_with_the_name_of_a_directory_is_the_bucket() {
    let rig = Rig::new();
    works(
        &rig,
        r#"
        mkdir bucket
        mount -t s3fs bucket "$dir" -o "$options"
        touch "$dir/f"
        umount "$dir"
        "#,
    );
    assert_eq!(rig.sim.keys(BUCKET), ["f"]);
}

#[test]
fn a_fake_mount_checks_the_options_and_a_sloppy_one_lets_them_pass() {
    let rig = Rig::new();
    let said = works(
        &rig,
        r#"
        mount -f -t s3fs bucket "$dir" -o "$options"
        [ "$(mounts)" = 0 ]
        code=0; mount -f -t s3fs bucket "$dir" -o "$options,allow_othre" || code=$?
        [ $code = 1 ]
        mount -s -t s3fs bucket "$dir" -o "$options,allow_othre"
        umount "$dir"
        "#,
    );
    assert!(said.contains("did you mean \"allow_other\""), "{said}");
}

#[test]
fn a_mount_that_cannot_be_fails_with_the_codes_of_mount_and_says_why() {
    let rig = Rig::new();
    let said = works(
        &rig,
        r#"
        code=0; mount -t s3fs nothing-there "$dir" -o "$options" || code=$?
        [ $code = 32 ]
        [ "$(mounts)" = 0 ]
        code=0; umount.fuse.s3fs "$dir" || code=$?
        [ $code = 32 ]
        "#,
    );
    assert!(
        said.contains("s3fs: bucket \"nothing-there\": no such bucket"),
        "{said}"
    );
    assert!(said.contains("no s3fs is mounted there"), "{said}");
}

#[test]
fn a_mount_point_whose_daemon_was_killed_is_mounted_again() {
    let rig = Rig::new();
    works(
        &rig,
        r#"
        mount -t s3fs bucket "$dir" -o "$options"
        pkill -9 -f '^/sbin/mount.s3fs'
        for _ in $(seq 100); do
            # What is under way just then ends otherwise.
            ls "$dir" >"$over/said" 2>&1 || true
            grep -q 'not connected' "$over/said" && break
            sleep 0.1
        done
        grep -q 'not connected' "$over/said"
        mount -t s3fs bucket "$dir" -o "$options"
        [ "$(mounts)" = 1 ]
        touch "$dir/f"
        umount "$dir"
        [ "$(mounts)" = 0 ]
        "#,
    );
    assert_eq!(rig.sim.keys(BUCKET), ["f"]);
}

#[test]
fn the_files_of_the_user_are_found_without_a_home_in_the_environment() {
    let rig = Rig::new();
    works(
        &rig,
        r#"
        unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
        mkdir -p "$home/.aws"
        printf '[default]\naws_access_key_id=%s\naws_secret_access_key=%s\n' "$key" "$secret" \
            >"$home/.aws/credentials"
        mount -t s3fs bucket "$dir" -o "$options"
        umount "$dir"
        "#,
    );
}

#[test]
fn the_signals_of_s3fs_fuse_leave_the_mount_as_it_is() {
    let rig = Rig::new();
    works(
        &rig,
        r#"
        # At once, too: what mount has told of is served.
        for pause in 0.2 0 0 0 0 0 0 0 0; do
            mount -t s3fs bucket "$dir" -o "$options"
            for signal in USR1 USR2 HUP; do
                # Everything but this script.
                kill -s $signal -- -1
                sleep $pause
            done
            touch "$dir/f"
            umount "$dir"
        done
        "#,
    );
    assert_eq!(rig.sim.keys(BUCKET), ["f"]);
}

#[test]
fn whoever_reads_what_mount_says_does_not_wait_for_the_daemon() {
    let rig = Rig::new();
    works(
        &rig,
        r#"
        said=$(timeout 30 mount -t s3fs bucket "$dir" -o "$options" 2>&1)
        [ -z "$said" ]
        umount "$dir"
        "#,
    );
}

#[test]
fn the_old_form_of_s3fs_fuse_in_fstab_is_mounted() {
    let rig = Rig::new();
    works(
        &rig,
        r#"
        fstab "s3fs#bucket $dir fuse _netdev,allow_other,$options 0 0"
        mount "$dir"
        [ "$(mounts -t fuse.s3fs)" = 1 ]
        echo content >"$dir/f"
        umount "$dir"
        "#,
    );
    assert_eq!(rig.sim.content(BUCKET, "f").unwrap(), b"content\n");
}

#[test]
fn a_daemon_that_still_stores_leaves_alone_what_is_mounted_there_meanwhile() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "content");
    rig.slow_down_attributes();
    works(
        &rig,
        r#"
        mount -t s3fs bucket "$dir" -o "$options"
        chmod 600 "$dir/f"
        # Without the program that waits.
        umount -i "$dir"
        mount -t tmpfs none "$dir"
        # Everything else of this script has ended.
        for _ in $(seq 300); do
            [ "$(pgrep -c s3fs)" = 0 ] && break
            sleep 0.1
        done
        [ "$(findmnt -n -o FSTYPE "$dir")" = tmpfs ]
        "#,
    );
    assert_eq!(rig.stored_mode("f"), "33152");
}
