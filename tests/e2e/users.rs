//! Mounts of ordinary users: by the program, by their lines of fstab, and what is refused to them.
//! Each script has a mount namespace of its own, with two users in it.

use crate::forms::works;
use crate::rig::{BUCKET, Rig};

/// The users ann and bob, who may open /dev/fuse as users usually may, and a bucket's mount point
/// and password file of ann's.
const USERS: &str = r#"
chmod 755 "$over/.." "$over"
mknod "$over/fuse" c 10 229
chmod 666 "$over/fuse"
mount --bind "$over/fuse" /dev/fuse
cp /etc/passwd /etc/group "$over"
uid=2000
for user in ann bob; do
    uid=$((uid + 1))
    echo "$user:x:$uid:$uid::$over/home.$user:/bin/sh" >>"$over/passwd"
    echo "$user:x:$uid:" >>"$over/group"
    mkdir "$over/home.$user"
    chown $uid:$uid "$over/home.$user"
done
for file in passwd group; do
    mount --bind "$over/$file" "/etc/$file"
done
# of USER COMMAND...: runs it as that user, as a login does.
of() {
    local user=$1
    shift
    (cd /; setpriv --reuid="$user" --regid="$user" --clear-groups \
        env HOME="$over/home.$user" "$@")
}
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
hers=$over/home.ann/mnt
of ann mkdir "$hers"
of ann sh -c "umask 077; echo $key:$secret >~/.passwd-s3fs"
# What the daemon stages it does in the home: of the rest of this machine nothing is hers.
options=$options,staging_dir=$over/home.ann
# fuse.conf LINE...: what the machine lets users do.
fuse_conf() {
    printf '%s\n' "$@" >"$over/fuse.conf"
    mount --bind "$over/fuse.conf" /etc/fuse.conf
}
"#;

#[track_caller]
fn users_work(rig: &Rig, script: &str) -> String {
    works(rig, &format!("{USERS}{script}"))
}

#[test]
fn a_user_mounts_at_home_for_nobody_else_and_unmounts() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "content");
    users_work(
        &rig,
        r#"
        for umount in umount 'fusermount3 -u'; do
            of ann s3fs bucket "$hers" -o "$options"
            findmnt -n -o OPTIONS "$hers" | grep -q nosuid,nodev
            findmnt -n -o OPTIONS "$hers" | grep -q user_id=2001
            [ "$(of ann cat "$hers/f")" = content ]
            [ "$(of ann stat -c %U "$hers/f")" = ann ]
            of ann sh -c "echo hers >$hers/g"
            of ann s3fs upgrade "$hers"
            fails of bob s3fs upgrade "$hers" 2>/dev/null
            s3fs upgrade "$hers"
            for other in bob root; do
                fails of $other ls "$hers" 2>"$over/said"
                grep -q 'Permission denied' "$over/said"
            done
            fails of bob $umount "$hers" 2>/dev/null
            of ann $umount "$hers"
            fails findmnt "$hers"
        done
        "#,
    );
    assert_eq!(rig.sim.content(BUCKET, "g").unwrap(), b"hers\n");
}

#[test]
fn a_line_of_fstab_lets_users_mount_and_unmount() {
    let rig = Rig::new();
    users_work(
        &rig,
        r#"
        fstab "bucket $hers s3fs user,noauto,_netdev,$options 0 0"
        fails of bob mount "$hers" 2>/dev/null
        of ann mount "$hers"
        of ann mount "$hers" 2>"$over/said" || grep -q mounted "$over/said"
        findmnt -n -o OPTIONS "$hers" | grep -q nosuid,nodev,noexec
        of ann touch "$hers/f"
        fails of bob umount "$hers" 2>/dev/null
        of ann umount "$hers"
        fails findmnt "$hers"
        # Whoever may pass lets others take it away.
        fstab "bucket $hers fuse.s3fs users,noauto,_netdev,$options 0 0"
        of ann mount "$hers"
        of ann touch "$hers/g"
        of bob umount "$hers"
        fails findmnt "$hers"
        of ann mount "$hers"
        umount "$hers"
        fails findmnt "$hers"
        "#,
    );
    assert_eq!(rig.sim.keys(BUCKET), ["f", "g"]);
}

#[test]
fn others_are_let_in_where_fuse_conf_says_so_and_else_the_reason_is_told() {
    let rig = Rig::new();
    let said = users_work(
        &rig,
        r#"
        fuse_conf 'mount_max = 1000' '#user_allow_other'
        code=0; of ann s3fs bucket "$hers" -o "allow_other,$options" || code=$?
        [ $code = 1 ]
        fstab "bucket $hers s3fs user,noauto,_netdev,allow_other,$options 0 0"
        code=0; of ann mount "$hers" || code=$?
        [ $code = 1 ]
        fails findmnt "$hers"
        # It is root's to give.
        AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret mount "$hers"
        umount "$hers"
        fuse_conf 'user_allow_other'
        of ann s3fs bucket "$hers" -o "allow_other,$options"
        of ann touch "$hers/f"
        of bob ls "$hers/f"
        of ann fusermount3 -u "$hers"
        "#,
    );
    let told = said
        .matches("allow_other: /etc/fuse.conf does not let")
        .count();
    assert!(told == 2 && said.contains("user_allow_other"), "{said}");
}

#[test]
fn umount_of_a_users_mount_returns_when_everything_is_stored() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "content");
    rig.slow_down_attributes();
    // With a session of hers, and without one.
    for (session, mode) in [("mkdir -p /run/user/2001", 0o600), ("", 0o640)] {
        let script = r#"
            SESSION
            [ ! -d /run/user/2001 ] || chown ann: /run/user/2001
            of ann s3fs bucket "$hers" -o "_netdev,$options"
            of ann chmod MODE "$hers/f"
            of ann umount "$hers"
        "#;
        let script = script.replace("SESSION", session);
        users_work(&rig, &script.replace("MODE", &format!("{mode:o}")));
        let headers = rig.sim.stat(BUCKET, "f").unwrap().headers;
        let expected = (0o100000 | mode).to_string();
        assert_eq!(headers.metadata.get("mode"), Some(&expected), "{session}");
    }
}
