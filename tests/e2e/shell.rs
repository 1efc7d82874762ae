//! Runs commands under a time limit. Knows no mount.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

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

/// Held for reading while a process is started. It has all our descriptors until it starts its
/// program, and closing them then is a flush of every file of a mount that is open here.
static FORKS: RwLock<()> = RwLock::new(());

/// Keeps other tests from starting processes, and so from flushing what this one has open.
pub fn no_forks() -> RwLockWriteGuard<'static, ()> {
    FORKS.write().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a command.
///
/// # Panics
/// If there is no such program.
pub fn spawn(command: &mut Command) -> Child {
    let _forking = FORKS.read().unwrap_or_else(PoisonError::into_inner);
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a command to its end and returns what it printed.
pub fn output(command: &mut Command) -> Output {
    spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
        .wait_with_output()
        .unwrap()
}

/// Runs a script of bash in `dir`, however it ends.
pub fn try_sh(dir: &Path, script: &str) -> Output {
    let mut command = Command::new("timeout");
    command
        .args(["--signal=KILL", &SECONDS_MAX.to_string()])
        .args(["bash", "-e", "-u", "-o", "pipefail", "-c", script])
        .current_dir(dir)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::null());
    output(&mut command)
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
