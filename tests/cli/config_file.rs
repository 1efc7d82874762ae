//! What configuration files say of mounts, and how what is wrong in them is told.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::network::Refusing;

struct Home(tempfile::TempDir);

impl Home {
    fn with(file: &str, content: &str, mode: u32) -> (Self, PathBuf) {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join(file);
        fs::create_dir_all(path.parent().expect("it is below the home")).expect("a directory");
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        (Self(home), path)
    }

    /// The exit code and what is said.
    fn mount(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_s3fs"))
            .env_clear()
            .env("HOME", self.0.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .args(args)
            .args([self.0.path(), Path::new("-f")])
            .output()
            .expect("the program runs");
        let said = String::from_utf8(output.stderr).expect("messages are text");
        (output.status.code(), said)
    }
}

/// The byte order mark that some editors put in front.
const MARK: char = '\u{feff}';
const BY_DEFAULT: &str = ".config/s3fs/s3fs.toml";

#[test]
fn a_bucket_takes_its_section_before_its_endpoints_and_options_before_both() {
    let store = Refusing::start();
    let content = format!(
        "{MARK}[endpoint.\"HTTP://{0}/\"]\nuse_path_request_style = true\n\
         region = \"of-endpoint\"\nrequester_pays = true\nretries = 0\n\
         [bucket.bkt]\nurl = \"http://{0}\"\nregion = \"of-bucket\"\nnonempty = true\n\
         access_key_id = \"ID\"\nsecret_access_key = \"hunter2\"\n",
        store.address
    );
    let (home, _) = Home::with(BY_DEFAULT, &content, 0o600);
    let scope = |args: &[&str]| {
        let before = store.heads().len();
        let (code, said) = home.mount(args);
        assert_eq!(code, Some(32), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        store.heads()[before].clone()
    };
    let head = scope(&["bkt"]);
    assert!(
        head.contains("Credential=ID/") && head.contains("/of-bucket/s3/"),
        "{head}"
    );
    assert!(head.starts_with("GET /bkt"), "{head}");
    assert!(head.contains("x-amz-request-payer: requester"), "{head}");
    let head = scope(&["bkt:/p", "-o", "endpoint=of-option,requester_pays=0"]);
    assert!(head.contains("/of-option/s3/"), "{head}");
    assert!(!head.contains("x-amz-request-payer"), "{head}");
    let head = scope(&["-o", "bucket=bkt", "--region", "of-flag"]);
    assert!(head.contains("/of-flag/s3/"), "{head}");
    // Credentials that an option names win over those of the file.
    let head = scope(&["bkt", "-o", "public_bucket=1"]);
    assert!(!head.contains("Credential="), "{head}");
}

#[test]
fn a_named_file_is_read_instead_of_those_that_are_there_by_default() {
    let (home, _) = Home::with(BY_DEFAULT, "nonsense", 0o600);
    let (code, said) = home.mount(&["bkt"]);
    assert!(code == Some(1) && said.contains("s3fs.toml:1:"), "{said}");
    let named = home.0.path().join("named.toml");
    fs::write(&named, "[bucket.bkt]\ntags = \"a=1&a=2\"\n").expect("a file");
    let config = format!("config={}", named.display());
    let (code, said) = home.mount(&["bkt", "-o", &config]);
    assert!(
        code == Some(1) && said.contains("option \"tags\""),
        "{said}"
    );
    let (code, said) = home.mount(&["bkt", "-o", "config=/nonexistent/s3fs.toml"]);
    assert!(
        code == Some(1) && said.contains("/nonexistent/s3fs.toml"),
        "{said}"
    );
}

#[test]
fn what_is_wrong_is_told_by_file_line_and_word() {
    for (content, parts) in [
        (
            "[bucket.a]\nro = true\nalow_other = true",
            [":3:", "\"allow_other\""],
        ),
        (
            "[bucket.other]\n\nsecret_key = \"hunter2\"",
            [":3:", "passwd_file"],
        ),
        ("[bucket.a]\nsigv2 = true", [":2:", "version 4"]),
        ("[bucket.a]\nuid = false", [":2:", "needs a value"]),
        ("[bucket.a]\nuid = [1]", [":2:", "a number"]),
        ("[bucket.a]\nconfig = \"/f\"", [":2:", "command line"]),
        ("[bucket.a]\naccess_key_id = \"ID\"", [":1:", "both"]),
        ("\n[mount.a]\nro = true", [":2:", "[bucket.NAME]"]),
        ("[bucket.a]\nro = true\nro = true", [":3:", "duplicate"]),
        ("[bucket]\na = 1", [":2:", "section"]),
    ] {
        let (home, path) = Home::with("f.toml", content, 0o644);
        let config = format!("config={}", path.display());
        let (code, said) = home.mount(&["bkt", "-o", &config]);
        assert_eq!(code, Some(1), "{content}: {said}");
        assert!(said.contains(path.to_str().expect("ASCII")), "{said}");
        assert!(
            parts.iter().all(|part| said.contains(part)),
            "{content}: {said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_file_with_a_secret_is_for_its_owner_alone_and_no_file_for_others_to_write() {
    let secret = "[bucket.a]\naccess_key_id = \"ID\"\nsecret_access_key = \"hunter2\"\n";
    for (content, mode) in [
        (secret, 0o644),
        (secret, 0o640),
        ("[bucket.a]\nro = true", 0o664),
    ] {
        let (home, path) = Home::with("f.toml", content, mode);
        let (code, said) = home.mount(&["bkt", "-o", &format!("config={}", path.display())]);
        assert!(code == Some(1) && said.contains("chmod 6"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn sources_with_different_sections_cannot_be_one_mount() {
    let content = "[bucket.one]\nro = true\n[bucket.two]\nro = true\nuid = 7\n";
    let (home, _) = Home::with(BY_DEFAULT, content, 0o600);
    let (code, said) = home.mount(&["one", "two"]);
    let named = said.contains("\"one\"") && said.contains("\"two\"");
    assert!(code == Some(1) && named, "{said}");
}
