//! Mounts that share a superblock: what is copied between them, and what each keeps of its own.
//! Each script has a mount namespace of its own.

use crate::forms::works;
use crate::rig::{BUCKET, OTHER, Rig};

/// Two mounts, at `$a` and `$b`.
const TWO: &str = r#"
a=$dir/a b=$dir/b
mkdir "$a" "$b"
fstab "bucket $a s3fs _netdev,$options 0 0" "other $b s3fs _netdev,$options 0 0"
mount -a
"#;

#[track_caller]
fn works_on_two(rig: &Rig, script: &str) -> String {
    works(rig, &format!("{TWO}{script}"))
}

/// Bytes of objects that went through the client.
fn moved(rig: &Rig, script: &str) -> (u64, u64) {
    let before = rig.sim.counters();
    works_on_two(rig, script);
    let total = (rig.sim.counters() - &before).total();
    (total.bytes_up, total.bytes_down)
}

#[test]
fn a_copy_or_move_between_mounts_of_two_buckets_moves_no_byte_through_the_client() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "big", 1 << 30, 1);
    rig.sim.put_pattern(BUCKET, "moved", 1 << 30, 2);
    let bytes = moved(
        &rig,
        r#"
        [ "$(daemons)" = 1 ]
        mount -a
        [ "$(mounts -t fuse.s3fs)" = 2 ]
        cp "$a/big" "$b/copy"
        mv "$a/moved" "$b/moved"
        "#,
    );
    assert_eq!(bytes, (0, 0));
    let size = |key| rig.sim.stat(OTHER, key).map(|object| object.size);
    assert_eq!(
        (size("copy"), size("moved")),
        (Some(1 << 30), Some(1 << 30))
    );
    assert_eq!(rig.sim.keys(BUCKET), ["big"]);
}

#[test]
fn each_mount_can_be_unmounted_and_mounted_again_and_the_last_one_ends_the_daemon() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "big", 1 << 30, 1);
    let bytes = moved(
        &rig,
        r#"
        umount "$a"
        touch "$b/still"
        mount -a
        [ "$(daemons)" = 1 ]
        cp "$a/big" "$b/copy"
        umount "$b"
        mount "$b"
        cp "$b/copy" "$a/back"
        umount "$a" "$b"
        [ "$(daemons)" = 0 ]
        for _ in $(seq 100); do
            pgrep -f '^/sbin/mount.s3fs' >"$over/said" || break
            sleep 0.1
        done
        [ ! -s "$over/said" ]
        "#,
    );
    assert_eq!(bytes, (0, 0));
    assert_eq!(rig.sim.stat(BUCKET, "back").unwrap().size, 1 << 30);
}

#[test]
fn each_mount_has_its_own_source_flags_and_defaults() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "in/side/f", "content");
    works(
        &rig,
        r#"
        cd "$dir" && mkdir a b c d
        mount -t s3fs bucket a -o "$options"
        mount -t s3fs bucket:/in/side b -o "ro,uid=7,gid=8,umask=077,$options"
        mount -t s3fs s3://bucket/in/ c -o "noexec,$options"
        mount -t s3fs bucket d -o "$options"
        [ "$(daemons)" = 1 ]
        [ "$(stat -c %u:%g:%a a/in/side/f c/side/f | uniq)" = 0:0:644 ]
        [ "$(stat -c %u:%g:%a b/f)" = 7:8:700 ]
        [ "$(stat -c %u:%a b)" = 7:700 ]
        fails touch b/g 2>"$over/said"
        grep -q 'Read-only' "$over/said"
        findmnt -n -o OPTIONS b | grep -q '^ro,nosuid,nodev'
        findmnt -n -o OPTIONS c | grep -q '^rw,nosuid,nodev,noexec'
        [ "$(grep -c "^s3://bucket/in/ $dir/c fuse.s3fs" /proc/mounts)" = 1 ]
        # The same source is the same directory, and known to be.
        echo one >a/shared
        [ "$(cat d/shared)" = one ]
        [ "$(stat -c %i a/shared)" = "$(stat -c %i d/shared)" ]
        mount -o remount,ro a
        fails touch a/x 2>/dev/null
        touch d/x
        umount a b c d
        "#,
    );
}

#[test]
fn mounts_made_at_once_share_one_daemon() {
    let rig = Rig::new();
    works(
        &rig,
        r#"
        lines=()
        for n in $(seq 8); do
            mkdir "$dir/$n"
            lines+=("bucket:/p$n $dir/$n s3fs $options 0 0")
        done
        fstab "${lines[@]}"
        mount -a -F
        [ "$(mounts -t fuse.s3fs)" = 8 ]
        [ "$(daemons)" = 1 ]
        for n in $(seq 8); do echo "$n" >"$dir/$n/f"; done
        umount "$dir"/*
        "#,
    );
    let expected: Vec<String> = (1..=8).map(|n| format!("p{n}/f")).collect();
    assert_eq!(rig.sim.keys(BUCKET), expected);
}

#[test]
fn mounts_that_differ_or_want_to_be_apart_are_and_copies_between_them_are_right() {
    let rig = Rig::new();
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    rig.sim.put(BUCKET, "f", content.clone());
    works(
        &rig,
        r#"
        cd "$dir" && mkdir a b c d
        mount -t s3fs bucket a -o "$options"
        mount -t s3fs other b -o "nosharecache,$options"
        mount -t s3fs other c -o "actimeo=2,$options"
        # The kernel keeps it for the superblock.
        mount -t s3fs other d -o "sync,$options"
        [ "$(daemons)" = 4 ]
        grep "^other $dir/d fuse.s3fs" /proc/mounts | grep -w sync >"$over/said"
        cp a/f b/f
        cp a/f c/g
        mv b/f a/h
        umount a b c d
        "#,
    );
    assert_eq!(rig.sim.content(OTHER, "g").unwrap(), content);
    assert_eq!(rig.sim.content(BUCKET, "h").unwrap(), content);
}

#[test]
fn mounts_of_two_stores_are_apart_and_copies_between_them_are_right() {
    let (rig, elsewhere) = (Rig::new(), Rig::new());
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 241) as u8).collect();
    rig.sim.put(BUCKET, "f", content.clone());
    let script = format!(
        r#"
        cd "$dir" && mkdir a b
        mount -t s3fs bucket a -o "$options"
        export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}
        mount -t s3fs bucket b -o "url={},use_path_request_style"
        [ "$(daemons)" = 2 ]
        cp a/f b/f
        mv a/f b/g
        umount a b
        "#,
        elsewhere.access.access_key, elsewhere.access.secret_key, elsewhere.access.url
    );
    works(&rig, &script);
    for key in ["f", "g"] {
        assert_eq!(elsewhere.sim.content(BUCKET, key).unwrap(), content);
    }
    assert_eq!(rig.sim.keys(BUCKET), [""; 0]);
}

#[test]
fn umount_waits_until_what_it_unmounts_is_stored_while_the_other_mount_stays() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "content");
    rig.slow_down_attributes();
    let script = r#"
        (printf partial; exec sleep 100) >"$b/open" &
        until [ -s "$b/open" ]; do sleep 0.05; done
        chmod 600 "$a/f"
        umount "$a"
        pkill -9 -f '^/sbin/mount.s3fs'
        "#;
    works_on_two(&rig, script);
    assert_eq!(rig.stored_mode("f"), "33152");
    assert_eq!(rig.sim.keys(OTHER), [""; 0], "what is open is left alone");
}

#[test]
fn a_mount_in_another_namespace_joins_and_keeps_the_daemon() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "big", 1 << 30, 1);
    let bytes = moved(
        &rig,
        r#"
        mkdir "$dir/c"
        export a b dir options
        unshare --mount --propagation private bash -e -c '
            mount -t s3fs other:/sub "$dir/c" -o "$options"
            umount "$b"
            cp "$a/big" "$dir/c/copy"
            touch "$dir/ready"
            while [ ! -e "$dir/gone" ]; do sleep 0.05; done
            cp "$a/big" "$dir/c/again"
        ' &
        while [ ! -e "$dir/ready" ]; do sleep 0.05; done
        [ "$(daemons)" = 1 ]
        umount "$a" "$b"
        touch "$dir/gone"
        wait $!
        "#,
    );
    assert_eq!(bytes, (0, 0));
    assert_eq!(rig.sim.keys(OTHER), ["sub/again", "sub/copy"]);
}

#[test]
fn mounts_whose_daemon_was_killed_are_mounted_again_and_share_one() {
    let rig = Rig::new();
    rig.sim.put_pattern(BUCKET, "big", 1 << 30, 1);
    let bytes = moved(
        &rig,
        r#"
        kill -9 $(pgrep -f '^/sbin/mount.s3fs')
        for mount in "$a" "$b"; do
            for _ in $(seq 100); do
                stat -f "$mount" >"$over/said" 2>&1 || true
                grep -q 'not connected' "$over/said" && break
                sleep 0.1
            done
            mount "$mount"
        done
        [ "$(mounts -t fuse.s3fs)" = 2 ]
        cp "$a/big" "$b/copy"
        umount "$a" "$b"
        "#,
    );
    assert_eq!(bytes, (0, 0));
}
