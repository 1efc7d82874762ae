//! Runs commands under a time limit. Knows no mount.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Seconds a command may take: a hung mount fails its test instead of holding it up.
const SECONDS_MAX: u32 = 300;

/// Runs a script of bash in `dir`; returns what it printed.
///
/// # Panics
/// If it fails.
pub fn sh(dir: &Path, script: &str) -> String {
    let output = try_sh(dir, script);
    assert!(
        output.status.success(),
        "{script}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a script of bash in `dir`, however it ends.
pub fn try_sh(dir: &Path, script: &str) -> Output {
    Command::new("timeout")
        .args(["--signal=KILL", &SECONDS_MAX.to_string()])
        .args(["bash", "-e", "-u", "-o", "pipefail", "-c", script])
        .current_dir(dir)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::null())
        .output()
        .expect("the tests need coreutils and bash")
}

/// What a failed script said.
///
/// # Panics
/// If it did not fail.
pub fn sh_fails(dir: &Path, script: &str) -> String {
    let output = try_sh(dir, script);
    assert!(!output.status.success(), "{script}: succeeded");
    String::from_utf8(output.stderr).unwrap()
}
