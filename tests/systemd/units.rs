//! Mount units from their start to their end: what reaches the program, what changes a mount, what
//! stops it.

use crate::Store;

#[test]
fn lines_and_calls_written_for_s3fs_fuse_work_as_they_are() {
    let store = Store::new();
    store.sim.put("one", "f", "content");
    let fstab = "one /mnt/one fuse.s3fs _netdev,allow_other,url=URL,use_path_request_style,\
                 passwd_file=/etc/keys 0 0\n";
    let call = "s3fs two /mnt/two -o allow_other,url=URL,use_path_request_style,\
                passwd_file=/etc/keys\n";
    store.works(
        &[
            ("etc/fstab", fstab),
            ("etc/keys", "{id}:{secret}\n"),
            ("call", call),
        ],
        r#"
        rm /root/.aws/credentials
        systemctl start remote-fs.target
        as_another() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
        [ "$(as_another cat /mnt/one/f)" = content ]
        bash -e /call
        echo content >/mnt/two/g
        [ "$(as_another cat /mnt/two/g)" = content ]
        umount /mnt/two
        systemctl stop mnt-one.mount
        [ -z "$(findmnt -rn -t fuse.s3fs)" ]
        "#,
    );
    assert_eq!(store.sim.content("two", "g").unwrap(), b"content\n");
}

/// systemd and its mount(8) work in `/`, where the bucket `home` is also a directory.
#[test]
fn a_unit_hands_over_its_environment_and_is_changed_by_a_reload() {
    let store = Store::new();
    let mount = "[Mount]\nWhat=home\nWhere=/mnt/one\nType=s3fs\n\
                 Options=_netdev,url=URL,use_path_request_style\n\
                 Environment=AWS_ACCESS_KEY_ID={id} AWS_SECRET_ACCESS_KEY={secret}\n";
    let read_only = "[Mount]\nOptions=ro,_netdev,url=URL,use_path_request_style\n";
    store.works(
        &[
            ("etc/systemd/system/mnt-one.mount", mount),
            ("etc/ro.conf", read_only),
        ],
        r#"
        rm /root/.aws/credentials
        systemctl start mnt-one.mount
        [ "$(systemctl show -P SubState mnt-one.mount)" = mounted ]
        touch /mnt/one/f
        systemctl daemon-reload
        systemctl daemon-reexec
        touch /mnt/one/g
        mkdir /etc/systemd/system/mnt-one.mount.d
        cp /etc/ro.conf /etc/systemd/system/mnt-one.mount.d
        systemctl daemon-reload
        systemctl reload mnt-one.mount
        fails touch /mnt/one/h 2>/run/said
        grep -q 'Read-only file system' /run/said
        systemctl stop mnt-one.mount
        [ -z "$(findmnt -rn -t fuse.s3fs)" ]
        "#,
    );
    assert_eq!(store.sim.keys("home"), ["f", "g"]);
}

#[test]
fn a_stop_of_what_is_in_use_fails_unless_it_is_lazy() {
    let store = Store::new();
    store.sim.put("one", "f", "content");
    let fstab = "one /mnt/one s3fs _netdev,url=URL,use_path_request_style 0 0\n";
    let lazy = "[Mount]\nLazyUnmount=yes\n";
    store.works(
        &[("etc/fstab", fstab), ("etc/lazy.conf", lazy)],
        r#"
        systemctl start mnt-one.mount
        exec 3</mnt/one/f
        fails systemctl stop mnt-one.mount
        [ "$(systemctl is-active mnt-one.mount)" = active ]
        # Not of the unit alone: umount may have ended before the journal could ask whose it was.
        journalctl | grep '/mnt/one: target is busy' >/run/said
        ls /mnt/one
        mkdir /etc/systemd/system/mnt-one.mount.d
        cp /etc/lazy.conf /etc/systemd/system/mnt-one.mount.d
        systemctl daemon-reload
        systemctl stop mnt-one.mount
        [ -z "$(findmnt -rn -t fuse.s3fs)" ]
        [ "$(cat <&3)" = content ]
        "#,
    );
}

#[test]
fn units_of_two_buckets_copy_on_the_server_also_when_one_was_restarted() {
    let store = Store::new();
    store.sim.put_pattern("one", "big", 1 << 30, 1);
    let unit = |bucket: &str| {
        format!(
            "[Mount]\nWhat={bucket}\nWhere=/mnt/{bucket}\nType=s3fs\n\
             Options=_netdev,url=URL,use_path_request_style\n"
        )
    };
    let before = store.sim.counters();
    store.works(
        &[
            ("etc/systemd/system/mnt-one.mount", &unit("one")),
            ("etc/systemd/system/mnt-two.mount", &unit("two")),
        ],
        r#"
        systemctl start mnt-one.mount mnt-two.mount
        cp /mnt/one/big /mnt/two/copy
        systemctl restart mnt-one.mount
        cp /mnt/one/big /mnt/two/again
        systemctl restart mnt-two.mount
        mv /mnt/two/copy /mnt/one/moved
        systemctl stop mnt-one.mount mnt-two.mount
        "#,
    );
    let total = (store.sim.counters() - &before).total();
    assert_eq!((total.bytes_up, total.bytes_down), (0, 0));
    assert_eq!(store.sim.stat("one", "moved").unwrap().size, 1 << 30);
    assert_eq!(store.sim.stat("two", "again").unwrap().size, 1 << 30);
}

#[test]
fn a_mount_by_hand_is_ordered_as_its_netdev_says() {
    let store = Store::new();
    store.works(
        &[(
            "call",
            "mount -t s3fs one /mnt/one -o _netdev,nosharecache,url=URL,use_path_request_style\n",
        )],
        r#"
        bash -e /call
        # systemd hears of mounts a few times in a second.
        for _ in $(seq 100); do
            systemctl show -P Before mnt-one.mount | grep -q remote-fs.target && break
            sleep 0.1
        done
        systemctl show -P Before mnt-one.mount | grep remote-fs.target >/run/said
        systemctl show -P After mnt-one.mount | grep network-online.target >/run/said
        "#,
    );
}
