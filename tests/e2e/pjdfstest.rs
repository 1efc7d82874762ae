//! pjdfstest, what POSIX says of files, as root and case by case on a mount: the cases that do
//! not pass must be exactly those of `tests/pjdfstest.expected`. Knows no S3.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::unistd::{Gid, Group, Uid, User};
use tempfile::TempDir;

use crate::mounted::Mounted;
use crate::rig::{BUCKET, Rig};
use crate::shell::{output, sh};

/// What is listed: `cases N`, then sections of lines `case  reason`.
const EXPECTED: &str = include_str!("../pjdfstest.expected");

/// Cases at a time, each on a mount of its own: some remount theirs read-only.
const MOUNTS: usize = 3;

/// Seconds a case may take; the longest wait of one is a few naps.
const SECONDS_MAX: u32 = 60;

/// Lines of what a case said that a report shows.
const LINES_SHOWN: usize = 6;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Outcome {
    Passed,
    Skipped,
    Failed,
}

/// One case, run.
struct Ran {
    case: String,
    outcome: Outcome,
    said: String,
}

/// What is to come out.
struct Expected {
    cases: usize,
    /// Each case that does not pass.
    listed: BTreeMap<String, Outcome>,
}

impl Expected {
    /// # Panics
    /// At a line that is none of: a comment, `cases N`, a section, a case with its reason.
    fn new(list: &str) -> Self {
        let mut cases = None;
        let mut section = None;
        let mut listed = BTreeMap::new();
        for line in list.lines() {
            match line {
                "[skipped]" => section = Some(Outcome::Skipped),
                "[failed]" => section = Some(Outcome::Failed),
                _ if line.is_empty() || line.starts_with('#') => {}
                _ => match line.split_once(' ') {
                    Some(("cases", number)) => cases = Some(number.parse().unwrap()),
                    Some((case, reason)) if !reason.trim().is_empty() => {
                        let outcome = section.expect("a case stands below a section");
                        let double = listed.insert(case.to_owned(), outcome);
                        assert!(double.is_none(), "{case} is listed twice");
                    }
                    _ => panic!("{line:?} has no reason"),
                },
            }
        }
        let cases = cases.expect("the list says how many cases there are");
        Self { cases, listed }
    }

    /// What came out otherwise, in lines.
    fn differences(&self, ran: &[Ran]) -> Vec<String> {
        let mut found = Vec::new();
        let names: BTreeSet<&str> = ran.iter().map(|ran| ran.case.as_str()).collect();
        if names.len() != self.cases || ran.len() != self.cases {
            found.push(format!("{} cases ran, not {}", ran.len(), self.cases));
        }
        for case in self.listed.keys() {
            if !names.contains(case.as_str()) {
                found.push(format!("{case} is listed, and there is no such case"));
            }
        }
        for Ran {
            case,
            outcome,
            said,
        } in ran
        {
            let expected = self.listed.get(case).copied().unwrap_or(Outcome::Passed);
            if *outcome == expected {
                continue;
            }
            found.push(format!("{case}: {outcome:?}, expected {expected:?}"));
            if *outcome == Outcome::Failed {
                let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
                let shown = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
                found.extend(shown.iter().map(|line| format!("    {line}")));
            }
        }
        found
    }
}

/// The installed program with what it needs beside it.
struct Suite {
    program: PathBuf,
    dir: TempDir,
}

impl Suite {
    fn new() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let program = std::env::var_os("S3FS_TEST_PJDFSTEST")
            .map_or_else(|| root.join("target/tools/bin/pjdfstest"), PathBuf::from);
        assert!(
            program.exists(),
            "{} is not there: tests/run installs it",
            program.display()
        );
        let suite = Self {
            program,
            dir: tempfile::tempdir().unwrap(),
        };
        for dir in ["bin", "other"] {
            std::fs::create_dir(suite.dir.path().join(dir)).unwrap();
        }
        // Without `-i` mount(8) leaves a remount of a FUSE filesystem to a program for its type,
        // which would mount once more.
        let mount = suite.dir.path().join("bin/mount");
        std::fs::write(&mount, "#!/bin/sh\nPATH=${PATH#*:}\nexec mount -i \"$@\"\n").unwrap();
        std::fs::set_permissions(&mount, std::fs::Permissions::from_mode(0o755)).unwrap();
        suite
    }

    /// The configuration that leaves nothing out, written. A nap is what a case waits for a time
    /// to become another one.
    fn configuration(&self) -> PathBuf {
        let other = self.dir.path().join("other");
        self.write(
            "all.toml",
            &format!(
                "secondary_fs = {other:?}\n[settings]\nnaptime = 0.02\nallow_remount = true\n"
            ),
        )
    }

    fn write(&self, name: &str, settings: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        let (nobody, daemon) = (user_and_group("nobody"), user_and_group("daemon"));
        let text = format!(
            "[dummy_auth]\nentries = [{nobody}, {daemon}]\n[features]\nposix_fallocate = {{}}\n\
            rename_ctime = {{}}\nutime_now = {{}}\nutimensat = {{}}\n{settings}",
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, configuration: &Path, dir: &Path, seconds_max: u32) -> Command {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("timeout");
        command
            .args(["--signal=KILL", &seconds_max.to_string()])
            .arg(&self.program)
            .arg("--configuration-file")
            .arg(configuration)
            .arg("--path")
            .arg(dir)
            .env("PATH", format!("{}/bin:{path}", self.dir.path().display()))
            .env("NO_COLOR", "1")
            .env_remove("RUST_BACKTRACE");
        command
    }

    /// The names of all cases. The program has no way to print them but to run them: on a local
    /// directory, without naps and remounts, whatever comes out.
    fn cases(&self) -> Vec<String> {
        let configuration = self.write("names.toml", "[settings]\nnaptime = 0.0\n");
        let local = tempfile::tempdir().unwrap();
        let ended = output(&mut self.command(&configuration, local.path(), 10 * SECONDS_MAX));
        let said = String::from_utf8_lossy(&ended.stdout);
        let cases = said.lines().filter_map(|line| {
            let (case, outcome) = line.split_once(' ')?;
            let known = ["ok", "skipped", "FAILED"].contains(&outcome.trim());
            (known && case.contains("::")).then(|| case.to_owned())
        });
        let cases: Vec<String> = cases.collect();
        let complaint = String::from_utf8_lossy(&ended.stderr);
        assert!(!cases.is_empty(), "no case: {}\n{complaint}", ended.status);
        cases
    }

    fn run(&self, case: String, configuration: &Path, dir: &Path) -> Ran {
        let ended = output(
            self.command(configuration, dir, SECONDS_MAX)
                .arg("--exact")
                .arg(format!("pjdfstest::tests::{case}")),
        );
        let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        let summary = said.lines().find(|line| line.starts_with("Summary:"));
        let counted = |what: &str| summary.is_some_and(|line| line.contains(what));
        let outcome = match ended.status.success() && counted(" 1 total") {
            true if counted(" 1 passed") => Outcome::Passed,
            true if counted(" 1 skipped") => Outcome::Skipped,
            _ => Outcome::Failed,
        };
        let said = format!("{said}\n{}", ended.status);
        Ran {
            case,
            outcome,
            said,
        }
    }
}

/// As the configuration has it: a user, and the group that is the user's own.
fn user_and_group(name: &str) -> String {
    let user = User::from_name(name).unwrap().expect("the user exists");
    let group = Group::from_gid(Gid::from_raw(user.gid.as_raw())).unwrap();
    format!("[{name:?}, {:?}]", group.expect("the group exists").name)
}

/// A mount that all users reach.
fn mount(rig: &Rig) -> Mounted {
    let mounted = rig.mount_with("allow_other");
    sh(&mounted.dir(), "chmod 755 ..");
    mounted
}

#[test]
fn pjdfstest_passes_but_for_the_cases_listed_with_a_reason() {
    assert!(
        Uid::effective().is_root(),
        "pjdfstest changes users: run it as root"
    );
    let suite = Suite::new();
    let configuration = suite.configuration();
    let cases = suite.cases();
    let rig = Rig::new();
    let next = AtomicUsize::new(0);
    let work = || {
        let mounted = mount(&rig);
        let mut ran = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let one = suite.run(case.clone(), &configuration, &mounted.dir());
            let alive = std::fs::metadata(mounted.dir());
            assert!(
                alive.is_ok(),
                "{case} ended the mount: {alive:?}\n{}",
                one.said
            );
            ran.push(one);
        }
        mounted.unmount();
        ran
    };
    let ran: Vec<Ran> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..MOUNTS).map(|_| scope.spawn(work)).collect();
        let ran = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap());
        ran.collect()
    });
    for outcome in [Outcome::Passed, Outcome::Skipped, Outcome::Failed] {
        let count = ran.iter().filter(|ran| ran.outcome == outcome).count();
        println!("{outcome:?}: {count}");
    }
    let differences = Expected::new(EXPECTED).differences(&ran);
    assert!(
        differences.is_empty(),
        "not as in tests/pjdfstest.expected:\n{}",
        differences.join("\n")
    );
    assert_eq!(rig.sim.keys(BUCKET), [""; 0], "a case left something");
    assert!(rig.sim.uploads(BUCKET).is_empty(), "an upload is left");
}

#[test]
fn the_list_of_pjdfstest_is_held_against_the_cases_both_ways() {
    const LIST: &str = "# Which\ncases 3\n\n[skipped]\na::b  no such thing\n[failed]\nc  never\n";
    let differences = |outcomes: &[(&str, Outcome)]| {
        let ran = outcomes.iter().map(|&(case, outcome)| Ran {
            case: case.to_owned(),
            outcome,
            said: "one\n\ntwo".to_owned(),
        });
        Expected::new(LIST).differences(&ran.collect::<Vec<_>>())
    };
    use Outcome::{Failed, Passed, Skipped};
    let as_listed = [("a::b", Skipped), ("c", Failed), ("d", Passed)];
    assert_eq!(differences(&as_listed), [""; 0]);
    assert_eq!(
        differences(&[("a::b", Passed), ("c", Passed), ("d", Failed)]),
        [
            "a::b: Passed, expected Skipped",
            "c: Passed, expected Failed",
            "d: Failed, expected Passed",
            "    one",
            "    two",
        ]
    );
    assert_eq!(differences(&as_listed[..2]), ["2 cases ran, not 3"]);
    assert_eq!(
        differences(&[("a::b", Skipped), ("b", Passed), ("d", Passed)]),
        ["c is listed, and there is no such case"]
    );
}
