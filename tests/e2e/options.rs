//! Options that s3fs-fuse and FUSE have, as a mount shows them.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::mounted::Mounted;
use crate::rig::{BUCKET, Rig};
use crate::shell::sh;

#[test]
fn the_top_directory_has_its_own_permission_bits_and_the_size_is_as_given() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "d/f", "content");
    let mounted = rig
        .mount_with("mp_umask=027,default_umask=002,bucket_size=3GiB,default_uid=7,default_gid=8");
    let mode = |name: &str| {
        let about = mounted.path(name).metadata().unwrap();
        assert_eq!((about.uid(), about.gid()), (7, 8));
        about.permissions().mode() & 0o777
    };
    assert_eq!((mode(""), mode("d"), mode("d/f")), (0o750, 0o775, 0o664));
    assert_eq!(
        sh(&mounted.dir(), "df -B1 --output=size . | tail -1").trim(),
        "3221225472"
    );
    mounted.unmount();
}

#[test]
fn a_list_of_words_for_s3fs_fuse_mounts_and_the_log_tells_of_each_that_is_ignored() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "content");
    let ignored = [
        "use_cache=/tmp",
        "del_cache",
        "nomixupload",
        "nocopyapi",
        "enable_noobj_cache",
        "use_xattr=1",
        "sigv4",
        "max_stat_cache_size=1000",
        "curldbg",
        "big_writes",
        "kernel_cache",
        "max_dirty_data=-1",
        "fsname=x",
    ];
    let heeded = "parallel_count=3,multipart_size=10,endpoint=us-east-1,stat_cache_expire=5,\
                  retries=3,connect_timeout=5,readwrite_timeout=20,multireq_max=5,dbglevel=info,\
                  ensure_diskfree=1,_netdev,nofail,allow_other,public_bucket=0";
    let mounted = rig.mount_with(&format!("{heeded},{}", ignored.join(",")));
    assert_eq!(
        sh(&mounted.dir(), "cat f && cp f g && cat g"),
        "contentcontent"
    );
    let log = mounted.log();
    for word in ignored {
        let name = word.split('=').next().unwrap();
        let line = format!("option \"{name}\" is ignored: ");
        assert_eq!(log.matches(&line).count(), 1, "{line}");
    }
    assert_eq!(log.matches(" is ignored: ").count(), ignored.len());
    mounted.unmount();
}

#[test]
fn a_prefix_is_mounted_and_used_where_a_policy_allows_nothing_else() {
    let rig = Rig::only_below("home/ann/");
    let mounted = Mounted::new(&rig.access, &["bucket:/home/ann"], "");
    sh(
        &mounted.dir(),
        "touch a && mkdir d && echo one >> b && mv b d/c && cp d/c e && [ ! -e absent ] && ls -lR",
    );
    mounted.unmount();
    assert_eq!(
        rig.sim.keys(BUCKET),
        ["home/ann/a", "home/ann/d/", "home/ann/d/c", "home/ann/e"]
    );
}
