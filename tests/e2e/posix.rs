//! What programs may ask of any file, by scripts of Python: mappings, locks, flags of open(2),
//! renameat2(2), and what is refused with which errno.

use s3fs::range::ByteRange;
use s3fs::sim::{Fault, How, Operation};

use crate::rig::{BUCKET, Rig};
use crate::shell::{sh, sh_fails};

/// Runs a script in a mount that holds `f`, 10,000 times the byte `7`.
///
/// # Panics
/// If the script fails.
fn python(script: &str) -> Rig {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", vec![7; 10_000]);
    let mounted = rig.mount();
    let prelude = "import ctypes, errno, fcntl, mmap, os, struct\n\
        def fails(number, call, *words):\n\
        \x20   try:\n\
        \x20       call(*words)\n\
        \x20   except OSError as error:\n\
        \x20       assert error.errno == number, error\n\
        \x20   else:\n\
        \x20       raise AssertionError('no error')\n";
    let path = mounted.dir().parent().unwrap().join("script.py");
    std::fs::write(&path, format!("{prelude}{script}")).unwrap();
    sh(&mounted.dir(), "python3 ../script.py");
    mounted.unmount();
    rig
}

#[test]
fn a_shared_mapping_is_in_the_store_after_msync_and_fsync() {
    let rig = python(
        r#"
fd = os.open("f", os.O_RDWR)
shared = mmap.mmap(fd, 10_000)
shared[5_000:5_004] = b"mine"
shared.flush()
os.fsync(fd)
assert os.pread(fd, 4, 5_000) == b"mine"
os.close(fd)
writable = mmap.PROT_READ | mmap.PROT_WRITE
private = mmap.mmap(os.open("f", os.O_RDONLY), 10_000, mmap.MAP_PRIVATE, writable)
private[0:4] = b"away"
"#,
    );
    let range = ByteRange::at(4_999, 6);
    let stored = rig.sim.content_of(BUCKET, "f", range).unwrap();
    assert_eq!(stored, b"\x07mine\x07");
    assert_eq!(
        rig.sim.content_of(BUCKET, "f", ByteRange::at(0, 4)),
        Some(vec![7; 4])
    );
}

#[test]
fn two_appending_handles_lose_nothing() {
    let rig = python(
        r#"
a, b = (os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND) for _ in range(2))
for number in range(100):
    os.write(a, b"a%03d\n" % number)
    os.write(b, b"b%03d\n" % number)
os.close(a)
os.close(b)
"#,
    );
    let expected: String = (0..100).map(|n| format!("a{n:03}\nb{n:03}\n")).collect();
    assert_eq!(rig.sim.content(BUCKET, "log").unwrap(), expected.as_bytes());
}

/// A mapping of an appending descriptor was appended, and pwrite(2) after O_APPEND had been taken
/// away.
#[test]
fn the_flags_of_a_write_say_whether_it_appends() {
    let rig = python(
        r#"
with open("mapped", "wb") as file:
    file.write(b"." * 100)
fd = os.open("mapped", os.O_RDWR | os.O_APPEND)
with mmap.mmap(fd, 100) as shared:
    shared[0:4] = b"MMAP"
    shared.flush()
os.close(fd)
assert os.stat("mapped").st_size == 100, os.stat("mapped")

fd = os.open("cleared", os.O_RDWR | os.O_CREAT | os.O_APPEND)
os.write(fd, b"0123456789")
flags = fcntl.fcntl(fd, fcntl.F_GETFL)
fcntl.fcntl(fd, fcntl.F_SETFL, flags & ~os.O_APPEND)
os.pwrite(fd, b"XX", 0)
assert os.pread(fd, 20, 0) == b"XX23456789", os.pread(fd, 20, 0)
fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_APPEND)
os.pwrite(fd, b"YY", 0)
os.close(fd)
"#,
    );
    let mapped = rig.sim.content(BUCKET, "mapped").unwrap();
    assert_eq!(mapped, [&b"MMAP"[..], &[b'.'; 96]].concat());
    let cleared = rig.sim.content(BUCKET, "cleared").unwrap();
    assert_eq!(cleared, b"XX23456789YY");
}

/// The kernel has the line where the other client's is by now.
#[test]
fn what_was_appended_behind_another_clients_line_is_read_there() {
    const ROUNDS: usize = 30;
    let rig = Rig::new();
    rig.sim.put(BUCKET, "log", "one\n");
    let mounted = rig.mount_with("actimeo=600");
    // What an fsync has stored is read from where it is as soon as the fsync is over.
    let script = r#"
import os, sys, time
fd = os.open("log", os.O_RDWR | os.O_APPEND)
expected = b"one\n"
for n in range(int(sys.argv[1])):
    os.write(fd, b"mine\n")
    assert os.pread(fd, 10000, 0) == expected + b"mine\n"
    open(f"../ready{n}", "w").close()
    while not os.path.exists(f"../changed{n}"):
        time.sleep(0.001)
    expected += b"other line\nmine\n"
    os.fsync(fd)
    read = os.pread(fd, 10000, 0)
    assert read == expected, (n, read, expected)
    assert os.fstat(fd).st_size == len(expected), n
os.write(fd, b"more\n")
os.close(fd)
"#;
    let above = mounted.dir().parent().unwrap().to_owned();
    std::fs::write(above.join("script.py"), script).unwrap();
    let mut expected = b"one\n".to_vec();
    std::thread::scope(|scope| {
        let (rig, above, expected) = (&rig, &above, &mut expected);
        scope.spawn(move || {
            for round in 0..ROUNDS {
                let begun = std::time::Instant::now();
                while !above.join(format!("ready{round}")).exists() {
                    // The script has failed.
                    if begun.elapsed() > std::time::Duration::from_secs(30) {
                        return;
                    }
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                expected.extend(b"other line\n");
                rig.sim.put(BUCKET, "log", expected.clone());
                expected.extend(b"mine\n");
                std::fs::write(above.join(format!("changed{round}")), "").unwrap();
            }
        });
        sh(
            &mounted.dir(),
            &format!("timeout 60 python3 ../script.py {ROUNDS}"),
        );
    });
    mounted.unmount();
    expected.extend(b"more\n");
    let log = rig.sim.content(BUCKET, "log").unwrap();
    assert_eq!(log, expected);
}

#[test]
fn direct_reads_and_writes_need_no_page_cache() {
    let rig = python(
        r#"
fd = os.open("f", os.O_RDWR | os.O_DIRECT)
block = mmap.mmap(-1, 4096)
assert os.preadv(fd, [block], 4096) == 4096 and block[:] == b"\x07" * 4096
block[:] = b"d" * 4096
assert os.pwritev(fd, [block], 4096) == 4096
os.close(fd)
"#,
    );
    let stored = rig.sim.content(BUCKET, "f").unwrap();
    assert!(stored[4096..8192].iter().all(|byte| *byte == b'd'));
    assert_eq!((stored[4095], stored[8192], stored.len()), (7, 7, 10_000));
}

#[test]
fn locks_hold_between_the_processes_of_this_machine() {
    python(
        r#"
def in_child(call):
    pid = os.fork()
    if pid == 0:
        try:
            call()
        except BaseException as error:
            print(error)
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
mine = os.open("f", os.O_RDWR)
fcntl.lockf(mine, fcntl.LOCK_EX, 100, 0)
fcntl.flock(mine, fcntl.LOCK_EX)
def other():
    theirs = os.open("f", os.O_RDWR)
    fails(errno.EAGAIN, fcntl.lockf, theirs, fcntl.LOCK_EX | fcntl.LOCK_NB, 50, 50)
    fcntl.lockf(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB, 50, 100)
    fails(errno.EAGAIN, fcntl.flock, theirs, fcntl.LOCK_SH | fcntl.LOCK_NB)
in_child(other)
os.close(mine)
theirs = os.open("f", os.O_RDWR)
lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 10, 0)
F_OFD_SETLK = 37
fcntl.fcntl(theirs, F_OFD_SETLK, lock)
again = os.open("f", os.O_RDWR)
fails(errno.EAGAIN, fcntl.fcntl, again, F_OFD_SETLK, lock)
"#,
    );
}

#[test]
fn what_there_is_not_is_refused_by_the_errno_for_it() {
    let rig = python(
        r#"
fails(errno.EPERM, os.link, "f", "g")
fails(errno.EOPNOTSUPP, os.open, ".", os.O_TMPFILE | os.O_RDWR)
fd = os.open("f", os.O_RDWR)
fails(errno.ENOTTY, fcntl.ioctl, fd, 0x5401, bytes(64))
for name in ("trusted.name", "system.posix_acl_access"):
    fails(errno.EOPNOTSUPP, os.setxattr, "f", name, b"value")
dir = os.open(".", os.O_RDONLY)
os.fsync(dir)
AT_FDCWD, NOREPLACE, EXCHANGE = -100, 1, 2
libc = ctypes.CDLL(None, use_errno=True)
def renameat2(old, new, flags):
    if libc.renameat2(AT_FDCWD, old, AT_FDCWD, new, flags) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")
open("g", "w").close()
fails(errno.EEXIST, renameat2, b"f", b"g", NOREPLACE)
fails(errno.EINVAL, renameat2, b"f", b"g", EXCHANGE)
renameat2(b"f", b"h", NOREPLACE)
os.mkdir("d")
fails(errno.EINVAL, os.rename, "d", "d/e")
fails(errno.EEXIST, os.open, "g", os.O_CREAT | os.O_EXCL | os.O_RDWR)
"#,
    );
    assert!(rig.sim.keys(BUCKET).contains(&"h".to_owned()));
}

#[test]
fn a_file_is_always_ready_and_the_log_does_not_speak_of_it() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "text");
    let mounted = rig.mount();
    let script = "import os, select
fd, poll = os.open('f', os.O_RDWR), select.poll()
poll.register(fd, select.POLLIN | select.POLLOUT)
print(poll.poll(1000) == [(fd, select.POLLIN | select.POLLOUT)])";
    let printed = sh(&mounted.dir(), &format!("python3 -c \"{script}\""));
    assert_eq!(printed, "True\n");
    let log = mounted.log();
    assert!(!log.contains("poll"), "{log}");
    mounted.unmount();
}

#[test]
fn the_same_refusal_of_many_objects_is_one_line_in_the_log() {
    let rig = Rig::new();
    for number in 0..20 {
        rig.sim.put(BUCKET, &format!("forbidden/{number}"), "text");
    }
    let mounted = rig.mount();
    let refused = How::Status(403, "AccessDenied");
    let fault = Fault::on(Operation::GetObject, refused);
    rig.sim.fault(fault.times(1_000));
    let told = sh_fails(&mounted.dir(), "cat forbidden/*");
    assert_eq!(told.matches("Permission denied").count(), 20, "{told}");
    let log = mounted.log();
    let lines = log.lines().filter(|line| line.contains("WARN"));
    let lines: Vec<_> = lines.filter(|line| line.contains("read ")).collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    mounted.unmount();
}

/// What fsx does not do: FALLOC_FL_ZERO_RANGE and FALLOC_FL_KEEP_SIZE, among other operations and
/// against a model of the bytes.
#[test]
fn ranges_zeroed_at_random_are_zeros_and_nothing_else_is() {
    python(
        r#"
import random
libc = ctypes.CDLL(None, use_errno=True)
KEEP, PUNCH, ZERO = 1, 2, 16
def fallocate(fd, mode, at, size):
    at, size = ctypes.c_long(at), ctypes.c_long(size)
    if libc.fallocate(fd, mode, at, size) != 0:
        raise OSError(ctypes.get_errno(), "fallocate")
def grow(model, size):
    model.extend(bytes(max(0, size - len(model))))
seed = 20261121
print("seed", seed)
choose = random.Random(seed)
model, fd = bytearray(), os.open("z", os.O_RDWR | os.O_CREAT)
for step in range(3_000):
    at, size = choose.randrange(300_000), choose.randrange(1, 60_000)
    end = at + size
    do = choose.randrange(9)
    if do == 0:
        written = choose.randbytes(size)
        os.pwrite(fd, written, at)
        grow(model, end)
        model[at:end] = written
    elif do in (1, 2, 3):
        mode = (ZERO, ZERO | KEEP, PUNCH | KEEP)[do - 1]
        fallocate(fd, mode, at, size)
        if not mode & KEEP:
            grow(model, end)
        within = max(0, min(end, len(model)) - at)
        model[at:at + within] = bytes(within)
    elif do == 4:
        keep = choose.choice((0, KEEP))
        fallocate(fd, keep, at, size)
        if not keep:
            grow(model, end)
    elif do == 5:
        os.ftruncate(fd, at)
        grow(model, at)
        del model[at:]
    elif do == 6 and len(model) > end:
        with mmap.mmap(fd, len(model)) as mapped:
            mapped[at:end] = bytes([step % 256]) * size
        model[at:end] = bytes([step % 256]) * size
    elif do == 7:
        os.close(fd)
        fd = os.open("z", os.O_RDWR)
    else:
        os.fsync(fd)
    assert os.fstat(fd).st_size == len(model), (step, do)
    if step % 10 == 0 or do in (1, 2, 3):
        assert os.pread(fd, len(model) + 1, 0) == bytes(model), (step, do, at, size)
os.close(fd)
assert open("z", "rb").read() == bytes(model)
"#,
    );
}
