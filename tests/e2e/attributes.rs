//! Attributes through the kernel: what is asked of the store for them, extended attributes, and
//! what another client changes.

use std::collections::BTreeMap;

use s3fs::sim::Operation;
use s3fs::store::{ObjectHeaders, Tags};

use crate::rig::{BUCKET, Rig};
use crate::shell::{sh, sh_fails};

fn headers(metadata: &[(&str, &str)]) -> ObjectHeaders {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    ObjectHeaders {
        metadata: metadata.iter().map(owned).collect(),
        ..ObjectHeaders::default()
    }
}

#[test]
fn ls_l_of_10_000_plain_objects_is_ten_lists_and_then_nothing() {
    let rig = Rig::new();
    for number in 0..10_000 {
        rig.sim.put(BUCKET, &format!("d/{number:05}"), "x");
    }
    let mounted = rig.mount_with("actimeo=600,provider=aws");
    sh(&mounted.dir(), "ls > /dev/null");
    let first = rig.cost(|| {
        let lines = sh(&mounted.dir(), "ls -l d | wc -l");
        assert_eq!(lines.trim(), "10001");
    });
    let lists = BTreeMap::from([(Operation::ListObjectsV2, 10)]);
    assert_eq!(first.requests(), lists);
    // The kernel keeps the listing, and may give up a page of it whenever memory is short.
    let again = || {
        rig.cost(|| {
            sh(
                &mounted.dir(),
                "ls -l d > /dev/null; find d -type f -newer d/00000 | wc -l",
            );
        })
    };
    assert!((0..3).any(|_| again().requests().is_empty()));
    // What is changed here is seen at once all the same.
    sh(
        &mounted.dir(),
        "echo > d/new; rm d/00007; test $(ls d | wc -l) = 10000; ls d/new",
    );
    mounted.unmount();
}

#[test]
fn attributes_that_another_filesystem_stored_are_shown_and_those_of_a_listing_when_asked() {
    let rig = Rig::new();
    let stored = [("mode", "33152"), ("uid", "7"), ("mtime", "1600000000.25")];
    for number in 0..300 {
        let key = format!("d/{number:03}");
        rig.sim.put_with(BUCKET, &key, "x", headers(&stored));
    }
    rig.sim
        .put_with(BUCKET, "d/link", "000", headers(&[("mode", "41471")]));
    let mounted = rig.mount();
    let shown = sh(
        &mounted.dir(),
        "find d -type f -printf '%m %U %T@\\n' | sort | uniq -c",
    );
    assert_eq!(shown.trim(), "300 600 7 1600000000.2500000000");
    assert_eq!(sh(&mounted.dir(), "find d -type l -printf '%l'"), "000");
    mounted.unmount();
    let mounted = rig.mount_with("attributes=listing");
    let cost = rig.cost(|| {
        let shown = sh(
            &mounted.dir(),
            "find d -type f -printf '%m %U\\n' | sort | uniq -c",
        );
        assert_eq!(shown.trim(), "301 644 0");
    });
    // That of the name `d`.
    assert_eq!(cost.of(Operation::HeadObject).requests, 1);
    mounted.unmount();
}

#[test]
fn an_open_asks_for_the_object_as_it_is_now_unless_told_not_to() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "old");
    let mounted = rig.mount_with("actimeo=600");
    assert_eq!(sh(&mounted.dir(), "ls -l > /dev/null; cat f"), "old");
    rig.sim.put(BUCKET, "f", "new content");
    assert_eq!(sh(&mounted.dir(), "cat f"), "new content");
    mounted.unmount();
    let mounted = rig.mount_with("actimeo=600,nocto");
    assert_eq!(sh(&mounted.dir(), "cat f"), "new content");
    let cost = rig.cost(|| {
        sh(&mounted.dir(), "cat f f f > /dev/null");
    });
    assert_eq!(cost.of(Operation::HeadObject).requests, 0);
    mounted.unmount();
    let mounted = rig.mount_with("noac");
    assert_eq!(sh(&mounted.dir(), "stat -c %s f"), "11\n");
    rig.sim.put(BUCKET, "f", "more");
    assert_eq!(sh(&mounted.dir(), "stat -c %s f"), "4\n");
    // Each write is in the store before it returns.
    let script = "exec 3> g; echo one >&3; cat g; echo two >&3; exec 3>&-";
    let cost = rig.cost(|| {
        sh(&mounted.dir(), script);
    });
    assert!(cost.of(Operation::PutObject).requests >= 2);
    mounted.unmount();
}

/// The FUSE library takes the fraction of a time before 1970 off instead of adding it.
#[test]
fn a_fraction_of_a_second_before_1970_is_what_was_set() {
    let rig = Rig::new();
    // What s3fs-fuse stores for half a second before 1970, and rclone for one and a half.
    for (key, mtime) in [("theirs", "-1.500000000"), ("rclones", "-1.5")] {
        let metadata = headers(&[("mtime", mtime), ("ctime", "-2"), ("mode", "33188")]);
        rig.sim.put_with(BUCKET, key, "x", metadata);
    }
    let mounted = rig.mount();
    let script = "
        echo x > own
        touch -d '1969-12-31 23:59:59.5 UTC' own
        touch -d '1969-12-31 23:59:58.25 UTC' -a own
        stat -c %.9Y,%.9X own
        stat -c %.9Y theirs rclones
        sync own
    ";
    let shown = sh(&mounted.dir(), script);
    let expected = "-0.500000000,-1.750000000\n-0.500000000\n-1.500000000\n";
    assert_eq!(shown, expected);
    mounted.unmount();
    let stored = rig.sim.stat(BUCKET, "own").unwrap().headers.metadata;
    let times = (stored["mtime"].as_str(), stored["atime"].as_str());
    assert_eq!(times, ("-1.500000000", "-2.250000000"));
}

/// The kernel lets a caller in by the mode it was shown; an open finds out that it is another.
#[test]
fn nobody_is_let_in_by_a_mode_that_another_client_has_changed() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "secret");
    let mounted = rig.mount_with("actimeo=600,allow_other");
    sh(&mounted.dir(), "chmod 755 ..; stat f");
    rig.sim
        .put_with(BUCKET, "f", "secret", headers(&[("mode", "33152")]));
    let said = sh_fails(&mounted.dir(), "setpriv --reuid 65534 --clear-groups cat f");
    assert!(said.contains("Permission denied"), "{said}");
    assert_eq!(sh(&mounted.dir(), "cat f; stat -c %a f"), "secret600\n");
    mounted.unmount();
}

#[test]
fn extended_attributes_are_kept_and_show_what_the_store_knows() {
    let rig = Rig::new();
    let tagged = ObjectHeaders {
        content_type: Some("text/css".to_owned()),
        tags: Tags::These([("team".to_owned(), "a&b".to_owned())].into()),
        ..ObjectHeaders::default()
    };
    rig.sim.put_with(BUCKET, "f", "content", tagged);
    let mounted = rig.mount_with("provider=aws");
    let script = r#"
import errno, os
def fails(number, call, *words):
    try: call(*words)
    except OSError as error: assert error.errno == number, error
    else: raise AssertionError("no error")
fails(errno.ENODATA, os.getxattr, "f", "user.a")
os.setxattr("f", "user.a", b"\0\xff")
os.setxattr("f", "user.b", b"")
fails(errno.EEXIST, os.setxattr, "f", "user.a", b"", os.XATTR_CREATE)
fails(errno.ENODATA, os.setxattr, "f", "user.c", b"", os.XATTR_REPLACE)
fails(errno.ENOSPC, os.setxattr, "f", "user.c", bytes(4000))
assert sorted(os.listxattr("f")) == ["user.a", "user.b"], os.listxattr("f")
os.removexattr("f", "user.b")
fails(errno.ENODATA, os.removexattr, "f", "user.b")
os.mkdir("d")
os.setxattr("d", "user.d", b"of a directory")
assert os.getxattr("f", "user.s3.content_type") == b"text/css"
assert os.getxattr("f", "user.s3.storage_class") == b"STANDARD"
assert os.getxattr("f", "user.s3.tags") == b"team=a%26b"
assert len(os.getxattr("f", "user.s3.etag")) == 32
fails(errno.EPERM, os.setxattr, "f", "user.s3.etag", b"x")
os.setxattr("f", "user.s3.content_type", b"text/html")
os.setxattr("f", "user.s3.tags", b"team=c&more=")
os.chmod("f", 0o600)
for name in "f", "d":
    fd = os.open(name, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
"#;
    std::fs::write(mounted.dir().parent().unwrap().join("script.py"), script).unwrap();
    sh(&mounted.dir(), "python3 ../script.py");
    mounted.unmount();
    let stat = rig.sim.stat(BUCKET, "f").unwrap();
    assert_eq!(stat.headers.content_type.as_deref(), Some("text/html"));
    let tags = rig.sim.tags(BUCKET, "f").unwrap();
    let expected = [("more", ""), ("team", "c")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(tags, BTreeMap::from(expected));
    let mounted = rig.mount();
    let shown = sh(
        &mounted.dir(),
        "python3 -c 'import os
print(os.getxattr(\"f\", \"user.a\"), os.getxattr(\"d\", \"user.d\"))'",
    );
    assert_eq!(shown, "b'\\x00\\xff' b'of a directory'\n");
    mounted.unmount();
}

#[test]
fn a_write_takes_the_set_id_bits_away() {
    let rig = Rig::new();
    let mounted = rig.mount_with("allow_other");
    let script = r"
        chmod 755 ..
        echo x > f
        chmod 6777 f
        test $(stat -c %a f) = 6777
        setpriv --reuid 65534 --clear-groups bash -c 'echo y >> f'
        test $(stat -c %a f) = 777
        chmod 6777 f
        setpriv --reuid 65534 --clear-groups truncate -s 1 f
        test $(stat -c %a f) = 777
        chmod 6777 f
        chown 7 f
        test $(stat -c %a f) = 777
        mkdir -m 2777 d
        chgrp 9 d
        touch d/f
        mkdir d/d
        stat -c '%g %A' d/f d/d
    ";
    assert_eq!(sh(&mounted.dir(), script), "9 -rw-r--r--\n9 drwxr-sr-x\n");
    mounted.unmount();
}

#[test]
fn attributes_changed_just_before_the_end_of_a_mount_are_stored() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "d/f", "content");
    let mounted = rig.mount();
    sh(&mounted.dir(), "chmod 600 d/f; chmod 700 d");
    mounted.unmount();
    for (key, mode) in [("d/f", "33152"), ("d/", "16832")] {
        let metadata = rig.sim.stat(BUCKET, key).unwrap().headers.metadata;
        assert_eq!(metadata["mode"], mode, "{key}");
    }
}
