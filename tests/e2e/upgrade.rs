//! Mounts that go on in another program on purpose, with everything that is open. Each script has a
//! mount namespace of its own.

use crate::forms::works;
use crate::rig::{BUCKET, Rig};

/// What scripts of these tests begin with.
const TOOLS: &str = r#"
# newer: installs another program, that is the same but for its file, in the first one's place.
newer() {
    umount -l /usr/sbin/s3fs
    install -m 755 "$program" /usr/sbin/s3fs
}
# program PID: the file that it runs.
program() { stat -L -c %d:%i "/proc/$1/exe"; }
supervisor() { pgrep -x s3fs-supervisor; }
"#;

fn upgrades(rig: &Rig, script: &str) {
    works(rig, &format!("{TOOLS}{script}"));
}

#[test]
fn open_files_go_on_in_the_other_program_and_so_they_do_when_it_is_killed() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "d/old", "old content");
    upgrades(
        &rig,
        r#"
        mount -t s3fs bucket "$dir" -o "_netdev,$options"
        cd "$dir/d"
        exec 3<old 4>new
        printf 'before ' >&4
        first=$(daemon) beside=$(supervisor)
        newer
        s3fs upgrade "$dir"
        [ "$(daemon)" = "$first" ]
        [ "$(supervisor)" = "$beside" ]
        new=$(stat -c %d:%i /usr/sbin/s3fs)
        [ "$(program "$first")" = "$new" ]
        until [ "$(program "$beside")" = "$new" ]; do sleep 0.05; done
        printf 'between ' >&4
        kill -9 "$first"
        printf 'after' >&4
        [ "$(cat <&3)" = 'old content' ]
        next=$(daemon)
        [ "$next" != "$first" ]
        [ "$(program "$next")" = "$new" ]
        # Once more: nothing is used up.
        s3fs upgrade "$dir"
        exec 4>&-
        [ "$(cat new)" = 'before between after' ]
        cd /
        exec 3<&-
        umount "$dir"
        [ "$(daemons)" = 0 ]
        # It ends just behind the daemon.
        while kill -0 "$beside" 2>"$over/said"; do sleep 0.05; done
        "#,
    );
    let content = rig.sim.content(BUCKET, "d/new").unwrap();
    assert_eq!(content, b"before between after");
}

#[test]
fn a_program_that_cannot_be_started_leaves_the_mount_with_the_one_that_serves() {
    let rig = Rig::new();
    upgrades(
        &rig,
        r#"
        mount -t s3fs bucket "$dir" -o "_netdev,$options"
        first=$(daemon)
        old=$(program "$first")
        exec 4>"$dir/f"
        printf 'before ' >&4
        # Where the daemon looks that file is no program.
        mkdir "$over/there"
        touch "$over/there/s3fs"
        code=0
        unshare --mount bash -e -c '
            mount -t tmpfs none "$over/there"
            cp "$program" "$over/there/s3fs"
            "$over/there/s3fs" upgrade "$dir"
        ' 2>"$over/said" || code=$?
        [ "$code" = 32 ]
        grep -q 'Permission denied' "$over/said"
        [ "$(program "$first")" = "$old" ]
        printf 'after' >&4
        exec 4>&-
        # Nor is it one that goes on: the one before follows.
        printf '#!/bin/sh\nexit 1\n' >"$over/there/s3fs"
        chmod +x "$over/there/s3fs"
        fails unshare --mount bash -e -c '
            mount -t tmpfs none "$over/there"
            cp "$program" "$over/there/s3fs"
            "$over/there/s3fs" upgrade "$dir"
        ' 2>"$over/said"
        exec 4>>"$dir/f"
        printf ' all' >&4
        exec 4>&-
        next=$(daemon)
        [ "$next" != "$first" ]
        [ "$(program "$next")" = "$old" ]
        cp "$program" "$dir/s3fs"
        fails "$dir/s3fs" upgrade "$dir" 2>"$over/said"
        grep -q 'the program is inside the mount' "$over/said"
        fails s3fs upgrade "$over" 2>"$over/said"
        grep -q 'no s3fs is mounted there' "$over/said"
        umount "$dir"
        "#,
    );
    assert_eq!(rig.sim.content(BUCKET, "f").unwrap(), b"before after all");
}

#[test]
fn a_mount_in_front_goes_on_as_the_same_process() {
    let rig = Rig::new();
    upgrades(
        &rig,
        r#"
        s3fs --foreground bucket "$dir" -o "$options" 2>"$over/log" &
        until [ "$(mounts)" = 1 ]; do sleep 0.05; done
        exec 4>"$dir/f"
        printf 'before ' >&4
        newer
        s3fs upgrade "$dir"
        [ "$(program $!)" = "$(stat -c %d:%i /usr/sbin/s3fs)" ]
        printf 'after' >&4
        exec 4>&-
        grep -q 'served by this process from now on' "$over/log"
        kill $!
        wait $!
        [ "$(mounts)" = 0 ]
        "#,
    );
    assert_eq!(rig.sim.content(BUCKET, "f").unwrap(), b"before after");
}

#[test]
fn a_signal_to_the_supervisor_of_a_daemon_that_followed_ends_the_mount_too() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "content");
    rig.slow_down_attributes();
    upgrades(
        &rig,
        r#"
        mount -t s3fs bucket "$dir" -o "_netdev,$options"
        first=$(daemon)
        kill -9 "$first"
        chmod 600 "$dir/f"
        beside=$(supervisor)
        s3fs upgrade "$dir"
        kill -TERM "$beside"
        while kill -0 "$beside" 2>"$over/said"; do sleep 0.1; done
        [ "$(mounts)" = 0 ]
        "#,
    );
    assert_eq!(rig.stored_mode("f"), "33152");
}
