//! The command line as a user meets it: what the program prints and exits with before it mounts
//! anything. Knows nothing of mounts.

use std::process::{Command, Output};

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
