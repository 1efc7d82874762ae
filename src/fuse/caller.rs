//! The process behind a request, as proc(5) describes it: what it has open, and whether it is to
//! end. Asks the kernel nothing that would come back as a request.

use std::fs;

use crate::fs::Ino;

/// What is known of the thread that waits for the answer to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// It waits, or cannot be seen: a thread of another PID namespace.
    Waits,
    /// A signal waits for it that ends it, or that asks it to end.
    Interrupted,
    /// It is ending because of a signal. Nobody hears what its requests come to.
    Killed,
}

/// Flags of a process in /proc/PID/stat: include/linux/sched.h.
const PF_EXITING: u64 = 0x4;
const PF_SIGNALED: u64 = 0x400;

/// Signals that ask a process to end when it has a handler for them. The handlers of others are
/// the process's own affair: timers, a reload of settings, Go's preemption by SIGURG.
const ASKS_TO_END: u64 = bit(libc::SIGINT) | bit(libc::SIGTERM) | bit(libc::SIGQUIT);

/// Signals that do not end a process that has no handler for them: signal(7).
const HARMLESS: u64 = bit(libc::SIGCHLD)
    | bit(libc::SIGCONT)
    | bit(libc::SIGURG)
    | bit(libc::SIGWINCH)
    | bit(libc::SIGSTOP)
    | bit(libc::SIGTSTP)
    | bit(libc::SIGTTIN)
    | bit(libc::SIGTTOU);

const fn bit(signal: libc::c_int) -> u64 {
    1 << (signal - 1)
}

/// What is known of the thread `tid`, 0 for one that cannot be seen.
pub(super) fn fate(tid: u32) -> Fate {
    let read = |name: &str| fs::read_to_string(format!("/proc/{tid}/{name}")).unwrap_or_default();
    if tid == 0 {
        return Fate::Waits;
    }
    let status = read("status");
    // `stat` waits for a thread that starts a program, and that one closes descriptors as it does:
    // it would wait for us. One that ends has given up its memory before it closes them.
    if !has_memory(&status) && is_killed(&read("stat")) {
        Fate::Killed
    } else if has_ending_signal(&status) {
        Fate::Interrupted
    } else {
        Fate::Waits
    }
}

/// Whether a thread works on files as root. Where mounts may be idmapped a request itself does not
/// tell its user, unless it makes something (fuse_get_req, fs/fuse/dev.c).
pub(super) fn is_root(tid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default();
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    // Real, effective, saved, of the filesystem.
    users.is_some_and(|users| users.split_whitespace().nth(3) == Some("0"))
}

/// Whether a thread with this `status` has memory: one that ends does not.
fn has_memory(status: &str) -> bool {
    field(status, "VmSize:", 10).is_some()
}

/// Whether a thread with this `stat` is ending because of a signal.
fn is_killed(stat: &str) -> bool {
    // The name before it may hold blanks and brackets.
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let flags = behind_name.split_whitespace().nth(6);
    let flags = flags.and_then(|flags| flags.parse::<u64>().ok());
    flags.is_some_and(|flags| flags & (PF_EXITING | PF_SIGNALED) == PF_EXITING | PF_SIGNALED)
}

/// Whether a signal waits for a thread with this `status` that ends it or asks it to end.
fn has_ending_signal(status: &str) -> bool {
    let set = |name| field(status, name, 16).unwrap_or(0);
    let pending = (set("SigPnd:") | set("ShdPnd:")) & !(set("SigBlk:") | set("SigIgn:"));
    let caught = set("SigCgt:");
    let ends = (!caught & !HARMLESS) | (caught & ASKS_TO_END);
    pending & ends != 0
}

/// Whether the thread `tid` can write to the file `ino` of the superblock `device` (`major:minor`)
/// by another descriptor than the one it is closing: then a later close is to come. `false` when
/// that cannot be seen (a thread of another PID namespace, or of another user; a detached mount).
pub(super) fn writes_elsewhere(tid: u32, ino: Ino, device: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{tid}/fdinfo")) else {
        return false;
    };
    let mut mounts = descriptors
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .filter(|descriptor| is_writable(descriptor))
        .filter(|descriptor| field(descriptor, "ino:", 10) == Some(ino.0))
        .filter_map(|descriptor| field(&descriptor, "mnt_id:", 10))
        .peekable();
    if mounts.peek().is_none() {
        return false;
    }
    let table = fs::read_to_string(format!("/proc/{tid}/mountinfo")).unwrap_or_default();
    mounts.any(|mount| device_of(&table, mount) == Some(device))
}

/// The superblock of a mount in a table as proc(5) describes mountinfo.
fn device_of(table: &str, mount: u64) -> Option<&str> {
    table.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let is_it = fields.next()?.parse() == Ok(mount);
        is_it.then(|| fields.nth(1)).flatten()
    })
}

fn is_writable(descriptor: &str) -> bool {
    field(descriptor, "flags:", 8)
        .is_some_and(|flags| flags & libc::O_ACCMODE as u64 != libc::O_RDONLY as u64)
}

fn field(descriptor: &str, name: &str, radix: u32) -> Option<u64> {
    let line = descriptor
        .lines()
        .find_map(|line| line.strip_prefix(name))?;
    let number = line.trim().split(' ').next()?;
    u64::from_str_radix(number, radix).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_file_is_written_elsewhere_until_its_last_writing_descriptor_is_closed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let ino = Ino(file.as_file().metadata().unwrap().ino());
        let _reading = File::open(file.path()).unwrap();
        let device = file.as_file().metadata().unwrap().dev();
        let device = format!("{}:{}", libc::major(device), libc::minor(device));
        let me = std::process::id();
        assert!(writes_elsewhere(me, ino, &device));
        // A file of another filesystem has the same number.
        assert!(!writes_elsewhere(me, ino, "0:0"));
        let (writing, _path) = file.into_parts();
        drop(writing);
        assert!(!writes_elsewhere(me, ino, &device));
        assert!(!writes_elsewhere(u32::MAX, ino, &device));
    }

    #[test]
    fn a_mount_is_of_the_superblock_that_its_line_names() {
        let table =
            "29 1 8:1 / / rw - ext4 /dev/sda1 rw\n129 29 0:52 / /mnt rw - fuse.s3fs s3 rw\n";
        assert_eq!(device_of(table, 129), Some("0:52"));
        assert_eq!(device_of(table, 29), Some("8:1"));
        assert_eq!(device_of(table, 2), None);
    }

    /// Signals as proc(5) writes them: own, the process's, blocked, ignored, caught.
    fn is_ending([own, shared, blocked, ignored, caught]: [&[libc::c_int]; 5]) -> bool {
        let set =
            |signals: &[libc::c_int]| signals.iter().fold(0, |set, signal| set | bit(*signal));
        has_ending_signal(&format!(
            "Name:\tcp\nSigPnd:\t{:016x}\nShdPnd:\t{:016x}\nSigBlk:\t{:016x}\nSigIgn:\t{:016x}\n\
             SigCgt:\t{:016x}\n",
            set(own),
            set(shared),
            set(blocked),
            set(ignored),
            set(caught)
        ))
    }

    #[test]
    fn a_caller_is_to_end_by_a_signal_that_kills_it_or_asks_it_to_end() {
        let (int, kill, urg, hup) = (libc::SIGINT, libc::SIGKILL, libc::SIGURG, libc::SIGHUP);
        let (alarm, stop) = (libc::SIGALRM, libc::SIGTSTP);
        let none: &[libc::c_int] = &[];
        for (signals, expected) in [
            ([none; 5], false),
            ([&[kill], none, none, none, none], true),
            ([none, &[int], none, none, none], true),
            // A shell, and Python, have handlers.
            ([none, &[int], none, none, &[int]], true),
            ([none, &[int], &[int], none, none], false),
            ([none, &[int], none, &[int], none], false),
            ([none, &[hup], none, none, none], true),
            // Told to read its settings anew.
            ([none, &[hup], none, none, &[hup]], false),
            ([&[alarm], none, none, none, none], true),
            ([&[alarm], none, none, none, &[alarm]], false),
            // Go's runtime.
            ([&[urg], none, none, none, &[urg]], false),
            ([none, &[libc::SIGCHLD, stop, urg], none, none, none], false),
        ] {
            assert_eq!(is_ending(signals), expected, "{signals:?}");
        }
    }

    #[test]
    fn a_thread_is_killed_when_its_flags_say_both_that_it_ends_and_by_a_signal() {
        let stat = |flags| format!("7 (a) b (c) D 1 7 7 0 -1 {flags} 0 0");
        assert!(is_killed(&stat(0x40_040c)));
        assert!(!is_killed(&stat(0x40_0004)));
        assert!(!is_killed(&stat(0x40_0400)));
        assert!(!is_killed(""));
    }

    #[test]
    fn a_thread_that_has_memory_does_not_end() {
        let status = |tid: u32| fs::read_to_string(format!("/proc/{tid}/status")).unwrap();
        assert!(has_memory(&status(std::process::id())));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        while !status(child.id()).contains("State:\tZ") {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert!(!has_memory(&status(child.id())));
        child.wait().unwrap();
    }

    #[test]
    fn a_thread_that_only_waits_or_cannot_be_seen_is_left_alone() {
        assert_eq!(fate(std::process::id()), Fate::Waits);
        assert_eq!(fate(0), Fate::Waits);
        assert_eq!(fate(u32::MAX), Fate::Waits);
    }
}
