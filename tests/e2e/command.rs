//! The command line: messages and exit codes of mounts that cannot be, going to the background,
//! the demo.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal;

use crate::access::Access;
use crate::mounted::{PROGRAM, is_mount_point, program, send};
use crate::rig::{BUCKET, Rig};
use crate::service::wait_until;
use crate::shell::{output, sh, spawn};

fn try_mount(access: &Access, bucket: &str, dir: &Path, options: &str) -> Output {
    let words = format!("url={},use_path_request_style{options}", access.url);
    output(program(access).arg(bucket).arg(dir).args(["-o", &words]))
}

/// What a mount that must fail says; it says it once, names the program, and keeps the secret.
fn refusal(access: &Access, bucket: &str, dir: &Path) -> String {
    let output = try_mount(access, bucket, dir, "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "mounted: {said}");
    assert!(!is_mount_point(dir));
    assert!(said.starts_with("s3fs: "), "{said}");
    assert!(!said.contains(&access.secret_key), "{said}");
    said
}

#[test]
fn a_mount_that_cannot_be_says_why() {
    let rig = Rig::new();
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("mnt");
    std::fs::create_dir(&dir).unwrap();

    let said = refusal(&rig.access, "no-such-bucket", &dir);
    assert!(
        said.contains("no-such-bucket") && said.contains("no such bucket"),
        "{said}"
    );

    let stranger = Access {
        secret_key: "wrong".repeat(4),
        ..rig.access.clone()
    };
    let said = refusal(&stranger, BUCKET, &dir);
    assert!(
        said.contains("access denied") && said.contains("credentials"),
        "{said}"
    );

    let nobody = Access {
        url: "http://127.0.0.1:1".to_owned(),
        ..rig.access.clone()
    };
    let said = refusal(&nobody, BUCKET, &dir);
    assert!(said.contains("127.0.0.1:1"), "{said}");

    let file = scratch.path().join("file");
    std::fs::write(&file, "").unwrap();
    let said = refusal(&rig.access, BUCKET, &file);
    assert!(said.contains("not a directory"), "{said}");

    let said = refusal(&rig.access, BUCKET, &scratch.path().join("none"));
    assert!(said.contains("none"), "{said}");

    let said = refusal(&rig.access, BUCKET, scratch.path());
    assert!(said.contains("not empty"), "{said}");
}

#[test]
fn the_command_returns_when_the_mount_is_live() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "content");
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("mnt");
    std::fs::create_dir(&dir).unwrap();
    let output = try_mount(&rig.access, BUCKET, &dir, "");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(is_mount_point(&dir));
    assert_eq!(sh(&dir, "cat f; printf new > g"), "content");
    sh(scratch.path(), "umount mnt");
    assert_eq!(rig.sim.content(BUCKET, "g").unwrap(), b"new");
}

#[test]
fn mount_s3fs_is_what_mount_calls() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "content");
    let scratch = tempfile::tempdir().unwrap();
    let (dir, link) = (
        scratch.path().join("mnt"),
        scratch.path().join("mount.s3fs"),
    );
    std::fs::create_dir(&dir).unwrap();
    symlink(PROGRAM, &link).unwrap();
    let words = format!(
        "rw,url={},use_path_request_style,_netdev,noatime",
        rig.access.url
    );
    let mut command = Command::new(&link);
    command.arg(BUCKET).arg(&dir).args(["-o", &words]);
    for (name, value) in program(&rig.access).get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = output(&mut command);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(sh(&dir, "cat f"), "content");
    sh(scratch.path(), "umount mnt");
}

#[test]
fn an_unknown_option_is_refused_by_name() {
    let rig = Rig::new();
    let scratch = tempfile::tempdir().unwrap();
    let output = try_mount(&rig.access, BUCKET, scratch.path(), ",no_such_option=1");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains("no_such_option"), "{said}");
}

#[test]
fn help_and_version_are_printed() {
    let print = |word: &str| {
        let output = output(Command::new(PROGRAM).arg(word));
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(print("--version").contains(env!("CARGO_PKG_VERSION")));
    let help = print("--help");
    for word in ["demo", "url", "-f", "-o"] {
        assert!(help.contains(word), "--help does not tell of {word}");
    }
}

#[test]
fn the_demo_mounts_and_what_it_tells_to_try_works() {
    let scratch = tempfile::tempdir().unwrap();
    let mut demo = spawn(
        Command::new(PROGRAM)
            .arg("demo")
            .arg(scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped()),
    );
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    wait_until("the demo is mounted", || is_mount_point(scratch.path()));
    // The commands it prints are indented.
    let mut tried = 0;
    for line in lines.by_ref() {
        let line = line.unwrap();
        if line.contains("Ctrl-C") {
            break;
        }
        // A line of one word is the mount point.
        if line.starts_with("    ") && line.trim().contains(' ') {
            sh(Path::new("/"), line.trim());
            tried += 1;
        }
    }
    assert!(tried > 0, "the demo told nothing to try");
    send(&demo, Signal::SIGINT);
    assert!(demo.wait().unwrap().success());
    assert!(!is_mount_point(scratch.path()));
}

/// Without root fusermount3 mounts. The daemon of this test is nobody's, in a mount namespace where
/// everybody may open /dev/fuse.
#[test]
fn a_user_who_is_not_root_mounts_by_fusermount3() {
    if !nix::unistd::geteuid().is_root() {
        // Then every other test here shows it.
        return;
    }
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "content");
    let scratch = tempfile::tempdir().unwrap();
    std::fs::copy(PROGRAM, scratch.path().join("s3fs")).unwrap();
    let script = format!(
        r#"
        unshare --mount bash -e -u -o pipefail -c '
            mknod fuse c 10 229
            mount --bind fuse /dev/fuse
            mkdir mnt staging
            chmod 666 fuse
            chown -R nobody: .
            as_nobody() {{ setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }}
            export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}
            as_nobody ./s3fs {BUCKET} mnt -o url={},use_path_request_style,staging_dir=staging
            as_nobody bash -c "cat mnt/f; printf new > mnt/g"
            (ls mnt 2>&1 || true) | grep -o "Permission denied"
            as_nobody fusermount3 -u mnt
        '
        "#,
        rig.access.access_key, rig.access.secret_key, rig.access.url
    );
    assert_eq!(sh(scratch.path(), &script), "contentPermission denied\n");
    assert_eq!(rig.sim.content(BUCKET, "g").unwrap(), b"new");
}
