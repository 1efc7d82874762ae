//! One bucket in the hands of s3fs-fuse (Debian's package `s3fs`) and of the program under test:
//! what either makes, the other shows.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use s3fs::store::ObjectHeaders;
use tempfile::TempDir;

use crate::access::Access;
use crate::mounted::{is_mount_point, send};
use crate::rig::{BUCKET, Rig};
use crate::service::wait_until;
use crate::shell::{output, sh, spawn, try_sh};

/// Where the package puts it. The program under test has the same name.
const PEER: &str = "/usr/bin/s3fs";

/// A mount of s3fs-fuse.
struct Peer {
    child: Child,
    scratch: TempDir,
}

impl Peer {
    fn new(access: &Access) -> Self {
        Self::with(access, "use_xattr")
    }

    fn with(access: &Access, options: &str) -> Self {
        let version = output(Command::new(PEER).arg("--version"));
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        assert!(
            version.starts_with("Amazon Simple Storage Service File System"),
            "{PEER} is not s3fs-fuse: {version}"
        );
        let scratch = tempfile::tempdir().unwrap();
        let (dir, keys) = (scratch.path().join("mnt"), scratch.path().join("keys"));
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(
            &keys,
            format!("{}:{}", access.access_key, access.secret_key),
        )
        .unwrap();
        std::fs::set_permissions(&keys, Permissions::from_mode(0o600)).unwrap();
        let log = File::create(scratch.path().join("log")).unwrap();
        let mut command = Command::new(PEER);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("AWS_")) {
                command.env_remove(name);
            }
        }
        let words = format!(
            "url={},use_path_request_style,{options},passwd_file={}",
            access.url,
            keys.display()
        );
        let child = spawn(
            command
                .args([BUCKET.as_ref(), dir.as_os_str(), "-f".as_ref()])
                .args(["-o", &words])
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log),
        );
        let peer = Self { child, scratch };
        wait_until("s3fs-fuse has mounted", || is_mount_point(&peer.dir()));
        peer
    }

    fn dir(&self) -> PathBuf {
        self.scratch.path().join("mnt")
    }

    fn unmount(mut self) {
        sh(self.scratch.path(), "umount mnt");
        self.child.wait().unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.scratch.path().join("log"));
            eprintln!("-- the log of s3fs-fuse:\n{}", log.unwrap_or_default());
        }
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            send(&self.child, Signal::SIGKILL);
            let _ = self.child.wait();
        }
        if is_mount_point(&self.dir()) {
            try_sh(self.scratch.path(), "umount -l mnt");
        }
    }
}

/// Makes one of each kind; `big` is more than one part for s3fs-fuse.
const MAKE: &str = r#"
    umask 022
    mkdir -p 'dir/with space' plain
    echo hello > file
    echo text > page.html
    : > empty
    seq 3000000 > big
    head -c 100000 /dev/zero > 'dir/with space/zeros'
    echo odd > 'dir/%41+&'
    ln -s ../target/of/link link
    ln -s nowhere dir/dangling
    mkfifo fifo
    python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
    chmod 640 file
    chmod 4711 big
    chmod 000 empty
    chmod 2775 dir
    chmod 1777 'dir/with space'
    chmod 600 fifo
    chown 1234:2345 file dir
    chown 0:7 page.html 'dir/with space'
    chown -h 5:6 link
    chown 8:9 fifo
    touch -d '2021-03-04 05:06:07.123456789' file
    touch -d '2038-01-20 00:00:00.5' page.html
    touch -d '2001-01-01 00:00:00' big
    touch -h -d '1999-12-31 23:59:59.999999999' link
    touch -d '1980-06-01 00:00:00.000000001' fifo
    touch -d '2020-01-01 00:00:00.25' 'dir/with space'
    touch -d '2020-01-01 00:00:01.25' dir
"#;

/// Prints what [`MAKE`] made. Times only where they were set: the others are of the moment.
const SHOW: &str = r#"
    find . -mindepth 1 -not -type b -not -type c \( -type d -printf '%y %m %U %G - %p\n' \
        -o -printf '%y %m %U %G %s %p %l\n' \) | sort
    find file page.html big link fifo dir 'dir/with space' -maxdepth 0 -printf '%T@ %p\n'
    find . -type f | sort | xargs -d '\n' md5sum
"#;

/// Makes what a local directory may not have: extended attributes and devices, the numbers of
/// which s3fs-fuse does not keep.
const MAKE_MORE: &str = r#"
    mknod null c 1 3
    mknod disk b 7 0
    python3 -c '
import os
os.setxattr("file", "user.text", b"val ue")
os.setxattr("file", "user.bytes", bytes(range(250, 256)) + b"\0\1")
os.setxattr("dir", "user.of dir", b"\xc3\xbc")'
"#;

const SHOW_MORE: &str = r#"
    find null disk -printf '%y %m %p\n'
    python3 -c '
import os
for name in "file", "dir", "page.html":
    names = sorted(name for name in os.listxattr(name) if name.startswith("user."))
    names = [name for name in names if not name.startswith("user.s3.")]
    print(name, *[(key, os.getxattr(name, key)) for key in names])'
"#;

const SHOWN_MORE: &str = r"c 644 null
b 644 disk
file ('user.bytes', b'\xfa\xfb\xfc\xfd\xfe\xff\x00\x01') ('user.text', b'val ue')
dir ('user.of dir', b'\xc3\xbc')
page.html
";

/// # Panics
/// If the texts differ; with the lines that do.
fn assert_same(found: &str, expected: &str) {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("expected"), expected).unwrap();
    std::fs::write(scratch.path().join("found"), found).unwrap();
    sh(scratch.path(), "diff expected found");
}

/// Makes everything in `dir`, a mount; returns what the same shows in a local directory.
fn make(dir: &Path) -> String {
    let local = tempfile::tempdir().unwrap();
    sh(local.path(), MAKE);
    sh(dir, MAKE);
    sh(dir, MAKE_MORE);
    sh(local.path(), SHOW)
}

#[test]
fn what_s3fs_fuse_makes_is_shown_as_it_is() {
    let rig = Rig::new();
    let peer = Peer::new(&rig.access);
    let expected = make(&peer.dir());
    peer.unmount();
    let mounted = rig.mount();
    assert_same(&sh(&mounted.dir(), SHOW), &expected);
    assert_same(&sh(&mounted.dir(), SHOW_MORE), SHOWN_MORE);
    mounted.unmount();
}

#[test]
fn what_is_made_here_is_shown_by_s3fs_fuse_as_it_is() {
    let rig = Rig::new();
    let mounted = rig.mount();
    let expected = make(&mounted.dir());
    mounted.unmount();
    let peer = Peer::new(&rig.access);
    assert_same(&sh(&peer.dir(), SHOW), &expected);
    assert_same(&sh(&peer.dir(), SHOW_MORE), SHOWN_MORE);
    peer.unmount();
}

/// Changes of what [`MAKE`] and [`MAKE_MORE`] made.
const EDIT: &str = r#"
    echo more >> file
    chmod 4701 file
    chown 33:44 page.html
    touch -d '2011-11-11 11:11:11.111111111' page.html
    mv dir moved
    mv big moved
    ln -sfn elsewhere link
    chmod 700 moved
    touch -d '2012-12-12 12:12:12.5' file moved
"#;

const SHOW_EDITED: &str = r#"
    find . -mindepth 1 -not -type b -not -type c \( -type d -printf '%y %m %U %G - %p\n' \
        -o -printf '%y %m %U %G %s %p %l\n' \) | sort
    find file page.html moved/big moved -maxdepth 0 -printf '%T@ %p\n'
    find . -type f | sort | xargs -d '\n' md5sum
"#;

/// What [`EDIT`] makes of a local directory.
fn edited() -> String {
    let local = tempfile::tempdir().unwrap();
    sh(local.path(), MAKE);
    sh(local.path(), EDIT);
    sh(local.path(), SHOW_EDITED)
}

fn assert_edited(dir: &Path) {
    assert_same(&sh(dir, SHOW_EDITED), &edited());
    assert_eq!(xattr(dir, "file", "user.text"), "b'val ue'\n");
}

fn xattr(dir: &Path, file: &str, name: &str) -> String {
    let python = format!("import os; print(os.getxattr(\"{file}\", \"{name}\"))");
    sh(dir, &format!("python3 -c '{python}'"))
}

#[test]
fn files_of_s3fs_fuse_are_edited_here_and_keep_what_was_not_changed() {
    let rig = Rig::new();
    let peer = Peer::new(&rig.access);
    make(&peer.dir());
    peer.unmount();
    let mounted = rig.mount();
    sh(&mounted.dir(), EDIT);
    mounted.unmount();
    let peer = Peer::new(&rig.access);
    assert_edited(&peer.dir());
    // s3fs-fuse itself loses those of a directory when it renames it.
    assert_eq!(
        xattr(&peer.dir(), "moved", "user.of dir"),
        "b'\\xc3\\xbc'\n"
    );
    peer.unmount();
}

#[test]
fn s3fs_fuse_edits_files_of_ours_and_keeps_what_was_not_changed() {
    let rig = Rig::new();
    let mounted = rig.mount();
    make(&mounted.dir());
    mounted.unmount();
    let peer = Peer::new(&rig.access);
    sh(&peer.dir(), EDIT);
    peer.unmount();
    let mounted = rig.mount();
    assert_edited(&mounted.dir());
    mounted.unmount();
}

/// Owners and modes of everything but devices, as in [`SHOW`].
const SHOW_ACCESS: &str = r#"
    find . -mindepth 1 -not -type b -not -type c -printf '%y %m %U %G %p\n' | sort
"#;

const SHOW_TOP: &str = "stat -c '%a %u %g' .";

/// Another user's doings, where the line of fstab lets them.
const WORK_AS_USER: &str = r#"
    setpriv --reuid=33 --regid=34 --clear-groups sh -c '
        cat file > /dev/null && echo more >> file && echo new > made && mkdir made-dir'
"#;

#[test]
fn uid_gid_and_umask_show_the_same_here_and_there_and_leave_what_is_stored() {
    let rig = Rig::new();
    let mounted = rig.mount();
    make(&mounted.dir());
    sh(&mounted.dir(), "chmod 600 file && chmod g-s dir");
    mounted.unmount();
    for options in [
        "uid=33,gid=34,umask=007,allow_other",
        "umask=022",
        "uid=7",
        "gid=8,allow_other,mp_umask=027",
    ] {
        let peer = Peer::with(&rig.access, options);
        let expected = [SHOW_ACCESS, SHOW_TOP].map(|show| sh(&peer.dir(), show));
        peer.unmount();
        let mounted = rig.mount_with(options);
        assert_same(&sh(&mounted.dir(), SHOW_ACCESS), &expected[0]);
        // Without one of these words the top directory is 700 there.
        if options.contains("umask") {
            assert_eq!(sh(&mounted.dir(), SHOW_TOP), expected[1], "{options}");
        }
        mounted.unmount();
    }
    let mounted = rig.mount_with("uid=33,gid=34,umask=007,allow_other");
    sh(&mounted.dir(), WORK_AS_USER);
    assert_eq!(
        sh(&mounted.dir(), "stat -c '%a %u %g' file made made-dir"),
        "770 33 34\n".repeat(3)
    );
    mounted.unmount();
    let mounted = rig.mount();
    assert_eq!(
        sh(&mounted.dir(), "stat -c '%a %u %g' file made made-dir"),
        "600 1234 2345\n644 33 34\n755 33 34\n"
    );
    mounted.unmount();
}

#[test]
fn directory_objects_of_old_versions_are_directories_here_and_there() {
    let rig = Rig::new();
    let headers = |mode: u32| ObjectHeaders {
        content_type: Some("application/x-directory".to_owned()),
        metadata: [("mode", mode), ("uid", 7), ("gid", 8), ("mtime", 1)]
            .map(|(name, value)| (name.to_owned(), value.to_string()))
            .into(),
        ..ObjectHeaders::default()
    };
    for key in ["old", "full", "full/inner"] {
        rig.sim.put_with(BUCKET, key, "", headers(0o040_750));
    }
    rig.sim.put_with(BUCKET, "full/f", "x", headers(0o100_640));
    let peer = Peer::new(&rig.access);
    let expected = sh(&peer.dir(), SHOW_ACCESS);
    peer.unmount();
    let mounted = rig.mount();
    assert_same(&sh(&mounted.dir(), SHOW_ACCESS), &expected);
    sh(
        &mounted.dir(),
        "rmdir old && mv full/inner . && echo y > inner/g && rm -r full",
    );
    mounted.unmount();
    assert_eq!(rig.sim.keys(BUCKET), ["inner/", "inner/g"]);
}
