//! Whose credentials a mount sends, by its options, its files and its variables. Knows nothing of
//! signatures but the access key in them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::network::Refusing;

/// A home, and files in it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn file(&self, name: &str, content: &str, mode: u32) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("it is below the home")).expect("a directory");
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        path
    }

    fn mount(&self, args: &[&str], options: &str, variables: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_s3fs"))
            .env_clear()
            .env("HOME", self.0.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(variables.iter().copied())
            .args(args)
            .args([self.0.path(), Path::new("-f")])
            .args(["-o", options])
            .output()
            .expect("the program runs")
    }

    /// What it says when it is refused before anything is sent.
    fn refused(&self, args: &[&str], options: &str) -> String {
        let output = self.mount(args, options, &[]);
        assert_eq!(output.status.code(), Some(1), "{options}: {output:?}");
        String::from_utf8(output.stderr).expect("messages are text")
    }

    /// The access key that the store is sent.
    fn sent(&self, source: &str, options: &str, variables: &[(&str, &str)]) -> Option<String> {
        let store = Refusing::start();
        let options = format!("{},region=r,nonempty{options}", url(&store));
        let output = self.mount(&[source], &options, variables);
        assert_eq!(output.status.code(), Some(32), "{options}: {output:?}");
        key(&store)
    }
}

fn url(store: &Refusing) -> String {
    format!("url=http://{},use_path_request_style", store.address)
}

fn key(store: &Refusing) -> Option<String> {
    let heads = store.heads();
    let (_, rest) = heads.first()?.split_once("Credential=")?;
    Some(rest.split('/').next()?.to_owned())
}

#[test]
fn a_named_file_wins_over_the_variables_and_a_bucket_has_its_own_line() {
    let home = Home::new();
    let path = home.file("keys", "# keys\nID0:secret\none:ID1:secret\n", 0o600);
    let option = format!(",passwd_file={}", path.display());
    let variables = [("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "s")];
    assert_eq!(
        home.sent("bkt", &option, &variables).as_deref(),
        Some("ID0")
    );
    assert_eq!(home.sent("one:/p", &option, &[]).as_deref(), Some("ID1"));
}

#[test]
fn a_byte_order_mark_in_front_is_no_part_of_a_key() {
    let home = Home::new();
    let path = home.file("keys", "\u{feff}ID0:secret\r\n", 0o600);
    let option = format!(",passwd_file={}", path.display());
    assert_eq!(home.sent("bkt", &option, &[]).as_deref(), Some("ID0"));
}

#[test]
fn the_files_of_s3fs_fuse_are_looked_at_where_nothing_else_is_said() {
    let home = Home::new();
    home.file(".passwd-s3fs", "ID0:secret", 0o600);
    assert_eq!(home.sent("bkt", "", &[]).as_deref(), Some("ID0"));
    let variables = [("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "s")];
    assert_eq!(home.sent("bkt", "", &variables).as_deref(), Some("ENV"));
    assert_eq!(home.sent("bkt", ",public_bucket=1", &[]), None);
    let profile = "aws_access_key_id = AWS\naws_secret_access_key = s\n";
    let profiles = format!("[default]\n{profile}[p]\n{}", profile.replace("AWS", "P"));
    home.file(".aws/credentials", &profiles, 0o600);
    assert_eq!(home.sent("bkt", "", &[]).as_deref(), Some("AWS"));
    assert_eq!(home.sent("bkt", ",profile=p", &[]).as_deref(), Some("P"));
}

#[test]
fn the_older_variables_of_s3fs_fuse_stand_for_the_usual_ones_that_are_not_set() {
    let home = Home::new();
    home.file(".passwd-s3fs", "ID0:secret", 0o600);
    let older = [("AWSACCESSKEYID", "OLD"), ("AWSSECRETACCESSKEY", "s")];
    assert_eq!(home.sent("bkt", "", &older).as_deref(), Some("OLD"));
    let usual = [("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let both = [older, usual].concat();
    assert_eq!(home.sent("bkt", "", &both).as_deref(), Some("ENV"));
}

#[test]
fn a_password_file_that_others_may_read_is_refused_with_what_to_do() {
    for mode in [0o640, 0o604, 0o644, 0o660] {
        let home = Home::new();
        let path = home.file("keys", "ID0:hunter2", mode);
        let said = home.refused(&["bkt"], &format!("passwd_file={}", path.display()));
        let named = said.contains("passwd_file") && said.contains(path.to_str().expect("ASCII"));
        assert!(named && said.contains("chmod 600"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        home.file(".passwd-s3fs", "ID0:hunter2", mode);
        let said = home.refused(&["bkt"], "ro");
        assert!(
            said.contains(".passwd-s3fs") && said.contains("chmod 600"),
            "{said}"
        );
    }
}

#[test]
fn a_password_file_without_a_line_for_the_bucket_is_refused_by_its_name() {
    let home = Home::new();
    let path = home.file("keys", "one:ID1:hunter2\ntwo:ID2:hunter2\n", 0o600);
    let option = format!("passwd_file={}", path.display());
    let said = home.refused(&["bkt"], &option);
    assert!(
        said.contains("\"bkt\"") && said.contains("ACCESS:SECRET"),
        "{said}"
    );
    let said = home.refused(&["one", "two"], &option);
    assert!(
        said.contains("\"one\"") && said.contains("\"two\""),
        "{said}"
    );
    let said = home.refused(&["bkt"], "passwd_file=/nonexistent/keys");
    assert!(said.contains("/nonexistent/keys"), "{said}");
    let path = home.file("bad", "ID:s\nID hunter2\n", 0o600);
    let said = home.refused(&["bkt"], &format!("passwd_file={}", path.display()));
    assert!(
        said.contains("line 2") && !said.contains("hunter2"),
        "{said}"
    );
}

#[test]
fn two_options_about_credentials_are_refused_by_their_names() {
    for (list, names) in [
        ("passwd_file=/f,profile=p", ["passwd_file", "profile"]),
        ("iam_role=auto,ecs", ["iam_role", "ecs"]),
        ("profile=p,no_sign_request", ["profile", "no_sign_request"]),
    ] {
        let said = Home::new().refused(&["bkt"], list);
        assert!(names.iter().all(|name| said.contains(name)), "{said}");
    }
}

/// The metadata service of an instance with the role `own`.
fn metadata(line: &str) -> Option<&'static str> {
    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
    let path = line.split(' ').nth(1)?;
    match path.strip_prefix(ROLES) {
        Some("") => Some("own"),
        Some("own") => Some(
            r#"{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"OWN","SecretAccessKey":"s",
                "Token":"t","Expiration":"2100-01-01T00:00:00Z"}"#,
        ),
        Some("other") => Some(
            r#"{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"OTHER","SecretAccessKey":"s",
                "Token":"t","Expiration":"2100-01-01T00:00:00Z"}"#,
        ),
        _ => (path == "/latest/api/token").then_some("token"),
    }
}

#[test]
fn the_role_of_the_instance_is_taken_whatever_the_variables_say() {
    let service = Refusing::start_but_for(metadata);
    let endpoint = format!("http://{}", service.address);
    let variables = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*endpoint),
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_ACCESS_KEY_ID", "ENV"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ];
    let home = Home::new();
    let sent = |option| home.sent("bkt", option, &variables);
    assert_eq!(sent("").as_deref(), Some("ENV"));
    assert_eq!(sent(",iam_role").as_deref(), Some("OWN"));
    assert_eq!(sent(",iam_role=auto").as_deref(), Some("OWN"));
    assert_eq!(sent(",iam_role=other").as_deref(), Some("OTHER"));
}

#[test]
fn the_container_is_asked_whatever_the_other_variables_say() {
    let service = Refusing::start_but_for(|line| {
        line.contains("/of-container").then_some(
            r#"{"AccessKeyId":"TASK","SecretAccessKey":"s","Token":"t",
                "Expiration":"2100-01-01T00:00:00Z"}"#,
        )
    });
    let uri = format!("http://{}/of-container", service.address);
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*uri),
        ("AWS_ACCESS_KEY_ID", "ENV"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ];
    let sent = Home::new().sent("bkt", ",ecs", &variables);
    assert_eq!(sent.as_deref(), Some("TASK"));
}

#[test]
fn a_given_proxy_is_asked_with_its_user_and_its_file_must_be_private() {
    let home = Home::new();
    let proxy = Refusing::start();
    let path = home.file("user", "me:p%3Aw\n", 0o600);
    let options = format!(
        "url=http://made-up.invalid,use_path_request_style,region=r,nonempty,public_bucket=1,\
         proxy={},proxy_cred_file={}",
        proxy.address,
        path.display()
    );
    let output = home.mount(&["bkt"], &options, &[("http_proxy", "http://127.0.0.1:1")]);
    assert_eq!(output.status.code(), Some(32), "{output:?}");
    let heads = proxy.heads();
    let head = heads
        .first()
        .expect("the proxy was asked")
        .to_ascii_lowercase();
    assert!(head.starts_with("get http://made-up.invalid/bkt"), "{head}");
    // The user and the passphrase, in base64.
    assert!(
        head.contains("proxy-authorization: basic bwu6cdp3"),
        "{head}"
    );
    home.file("user", "me:hunter2", 0o644);
    let said = home.refused(&["bkt"], &options);
    assert!(
        said.contains("chmod 600") && !said.contains("hunter2"),
        "{said}"
    );
    let said = home.refused(&["bkt"], "proxy=http://me:hunter2@host");
    assert!(
        said.contains("proxy_cred_file") && !said.contains("hunter2"),
        "{said}"
    );
}
