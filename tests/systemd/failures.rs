//! Mount units whose mount cannot be: who is told, and that nothing is written into the bare
//! directory.

use std::time::Duration;

use crate::Store;

#[test]
fn a_missing_bucket_with_nofail_holds_nobody_up() {
    let store = Store::new();
    let fstab = "none /mnt/one s3fs _netdev,nofail,url=URL,use_path_request_style 0 0\n\
                 two /mnt/two s3fs _netdev,url=URL,use_path_request_style 0 0\n";
    store.works(
        &[("etc/fstab", fstab)],
        r#"
        systemctl start remote-fs.target
        for _ in $(seq 100); do
            [ "$(systemctl is-failed mnt-one.mount || true)" = failed ] && break
            sleep 0.1
        done
        [ "$(systemctl is-failed mnt-one.mount)" = failed ]
        [ "$(systemctl is-active mnt-two.mount)" = active ]
        "#,
    );
}

#[test]
fn a_store_that_does_not_answer_ends_the_start_at_its_timeout() {
    let store = Store::new();
    store.sim.on_request(|_, _| {
        std::thread::sleep(Duration::from_secs(6));
    });
    let fstab = "one /mnt/one s3fs \
                 _netdev,x-systemd.mount-timeout=2,url=URL,use_path_request_style 0 0\n";
    store.works(
        &[("etc/fstab", fstab)],
        r#"
        fails systemctl start mnt-one.mount
        [ "$(systemctl show -P Result mnt-one.mount)" = timeout ]
        [ -z "$(findmnt -rn -t fuse.s3fs)" ]
        # Killed with the rest of the unit; it takes a moment.
        for _ in $(seq 100); do
            [ "$(pgrep -c s3fs || true)" = 0 ] && break
            sleep 0.1
        done
        [ "$(pgrep -c s3fs || true)" = 0 ]
        "#,
    );
}

/// A mount unit that fails often is not started any more, and the automount goes away with it:
/// the example of a unit is without such a limit.
#[test]
fn an_automount_that_fails_again_and_again_never_shows_the_bare_directory() {
    let store = Store::new();
    store.sim.put("one", "f", "content");
    let mount = "[Mount]\nWhat=one\nOptions=\nOptions=_netdev,url=URL,use_path_request_style\n";
    store.works(
        &[("etc/systemd/system/mnt-s3.mount.d/store.conf", mount)],
        r#"
        mv /root/.aws/credentials /root/.aws/right
        printf '[default]\naws_access_key_id=a\naws_secret_access_key=b\n' \
            >/root/.aws/credentials
        systemctl start mnt-s3.automount
        for _ in $(seq 10); do
            fails touch /mnt/s3/bare 2>/dev/null
        done
        journalctl -u mnt-s3.mount | grep 'access denied' >/run/said
        mv /root/.aws/right /root/.aws/credentials
        [ "$(cat /mnt/s3/f)" = content ]
        systemctl stop mnt-s3.automount mnt-s3.mount
        [ -z "$(findmnt -rn /mnt/s3)" ]
        [ -z "$(ls -A /mnt/s3)" ]
        "#,
    );
    assert_eq!(store.sim.keys("one"), ["f"]);
}
