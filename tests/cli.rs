//! The command line as a user meets it: what the program prints and exits with before it mounts
//! anything. Knows nothing of mounts.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

#[path = "cli/config_file.rs"]
mod config_file;
#[path = "cli/credentials.rs"]
mod credentials;
#[path = "cli/network.rs"]
mod network;

fn s3fs(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_s3fs"))
        .args(args)
        .output()
        .expect("the program runs")
}

fn refused(args: &[&str]) -> String {
    let output = s3fs(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
    String::from_utf8(output.stderr).expect("messages are text")
}

#[test]
fn the_version_and_the_help_are_no_errors() {
    let version = s3fs(&["--version"]);
    assert!(version.status.success());
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("s3fs "));
    let help = s3fs(&["--help"]);
    assert!(help.status.success());
    let text = String::from_utf8_lossy(&help.stdout);
    for word in [
        "s3fs demo",
        "SOURCE",
        "use_path_request_style",
        "--foreground",
    ] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
}

#[test]
fn an_unknown_option_is_named_with_the_nearest_known_one() {
    let said = refused(&["bkt", "/mnt", "-o", "allow_othre"]);
    assert!(
        said.contains("\"allow_othre\"") && said.contains("\"allow_other\""),
        "{said}"
    );
}

#[test]
fn a_secret_is_refused_and_never_repeated() {
    for list in [
        "secret_access_key=hunter2",
        "ro,passwd=hunter2",
        "acess_key=hunter2",
    ] {
        let said = refused(&["bkt", "/mnt", "-o", list]);
        assert!(!said.contains("hunter2"), "{said}");
    }
    let said = refused(&["bkt", "/mnt", "-o", "url=http://id:hunter2@host"]);
    assert!(
        said.contains("AWS_ACCESS_KEY_ID") && !said.contains("hunter2"),
        "{said}"
    );
}

#[test]
fn sources_that_would_share_a_directory_are_refused_by_name() {
    let said = refused(&["s3://one/logs", "two:/logs", "/mnt"]);
    for part in ["s3://one/logs", "two:/logs", "\"logs\""] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_source_that_is_none_is_refused_with_the_grammar() {
    let said = refused(&["http://host/bkt", "/mnt"]);
    assert!(said.contains("BUCKET[:/PREFIX]"), "{said}");
}

#[test]
fn a_missing_mount_point_and_a_missing_directory_have_codes_of_their_own() {
    assert_eq!(s3fs(&["bkt"]).status.code(), Some(1));
    let absent = s3fs(&["bkt", "/nonexistent/mount/point", "-f"]);
    assert_eq!(absent.status.code(), Some(32), "{absent:?}");
    let said = String::from_utf8_lossy(&absent.stderr).into_owned();
    assert!(
        said.contains("/nonexistent/mount/point") && said.contains("no such directory"),
        "{said}"
    );
}

/// A file with a key of this mode, in a directory of its own.
fn key_file(content: &[u8], mode: u32) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("key");
    std::fs::write(&path, content).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    let path = path.to_str().expect("a path of ASCII").to_owned();
    (dir, path)
}

/// What a mount that gets no further than its mount point says.
fn not_mounted(args: &[&str]) -> String {
    let output = s3fs(&[&["bkt", "/nonexistent/point", "-f"], args].concat());
    assert_eq!(output.status.code(), Some(32), "{args:?}: {output:?}");
    String::from_utf8(output.stderr).expect("messages are text")
}

#[test]
fn a_key_that_others_could_read_or_write_is_refused_by_the_name_of_its_file() {
    for mode in [0o640, 0o604, 0o620, 0o602, 0o644, 0o666] {
        let (_dir, path) = key_file(&[b'k'; 32], mode);
        let said = refused(&["bkt", "/mnt", "-o", &format!("sse_c_key={path}")]);
        let named = said.contains("sse_c_key") && said.contains(&path);
        assert!(named && said.contains("chmod 600"), "{said}");
    }
    for mode in [0o600, 0o400] {
        let (_dir, path) = key_file(&[b'k'; 32], mode);
        not_mounted(&["--sse-c-key", &path]);
        not_mounted(&["-o", &format!("sse_c_key=bkt:{path}")]);
    }
}

#[test]
fn what_is_no_key_is_refused_and_not_shown() {
    let (_dir, path) = key_file(b"hunter2hunter2hunter2hunter2", 0o600);
    let said = refused(&["bkt", "/mnt", "-o", &format!("sse_c_key={path}")]);
    assert!(said.contains(&path) && said.contains("32 bytes"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    let absent = format!("{path}.absent");
    let said = refused(&["bkt", "/mnt", "-o", &format!("sse_c_key={absent}")]);
    assert!(said.contains(&absent), "{said}");
    let said = refused(&["bkt", "/mnt", "-o", "sse_c_key=/dev/null"]);
    assert!(said.contains("not a regular file"), "{said}");
}

#[test]
fn bad_values_about_what_is_written_are_refused_by_option_and_value() {
    let (_dir, path) = key_file(&[b'k'; 32], 0o600);
    let of_another = format!("sse_c_key=other:{path}");
    let twice = format!("sse=s3,sse_c_key={path}");
    for (list, parts) in [
        ("sse=aes", ["\"sse\"", "aes"]),
        ("sse=kms:", ["\"sse\"", "kms:"]),
        ("expected_bucket_owner=12", ["expected_bucket_owner", "12"]),
        (
            "expected_bucket_owner=other:111122223333",
            ["expected_bucket_owner", "\"other\""],
        ),
        ("storage_class=A+B", ["storage_class", "A+B"]),
        ("acl=everyone", ["acl", "everyone"]),
        ("tags==v", ["tags", "=v"]),
        ("tags=a=1&a=2", ["tags", "a=1&a=2"]),
        ("umask=022,file_mode=640", ["--umask", "--file-mode"]),
        (
            "umask=022,default_umask=027",
            ["--umask", "--default-umask"],
        ),
        ("uid=7,default_uid=8", ["--uid", "--default-uid"]),
        ("gid=7,default_gid=8", ["--gid", "--default-gid"]),
        (&of_another, ["sse_c_key", "\"other\""]),
        (&twice, ["sse_c_key", "sse"]),
    ] {
        let said = refused(&["bkt", "/mnt", "-o", list]);
        assert!(
            parts.iter().all(|part| said.contains(part)),
            "{list}: {said}"
        );
    }
    for list in [
        "sse=s3",
        "sse=kms",
        "sse=kms:arn:aws:kms:eu-west-1:111122223333:key/a",
        "storage_class=STANDARD_IA,acl=bucket-owner-full-control,tags=a=1&b=c%20d",
        "default_acl=public_read",
        "expected_bucket_owner=111122223333",
        "expected_bucket_owner=bkt:111122223333,expected_bucket_owner=0123456789ab",
    ] {
        not_mounted(&["-o", list]);
    }
}
