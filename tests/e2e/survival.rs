//! Mounts whose daemon is killed: another goes on, and nobody notices. Each script has a mount
//! namespace of its own.

use s3fs::sim::{Fault, How, Operation};

use crate::forms::works;
use crate::rig::{BUCKET, Rig};

/// Writes, reads, copies, lists and renames until `$stop` is there; a byte that is not what was
/// written ends it with a message, and so do more than a few errors.
const LOAD: &str = r#"
import errno, os, random, sys, time
name, seed = sys.argv[1], int(sys.argv[2])
random.seed(seed)
top = os.path.join(os.environ["dir"], name)
os.mkdir(top)
os.chdir(top)
open(f"{os.environ['stop']}.{name}", "w").close()
kept, rounds, errors = {}, 0, 0

def content(key):
    try:
        with open(key, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None

def put(key, mode, data, at, sync):
    # What failed is not written again when it is closed.
    with open(key, mode, buffering=0) as out:
        if at is not None:
            out.seek(at)
        left = data
        while left:
            left = left[out.write(left[:7000]):]
        if sync:
            os.fsync(out.fileno())

def copy(key, other):
    with open(key, "rb") as source, open(other + ".new", "wb") as out:
        left = len(kept[key])
        while left:
            copied = os.copy_file_range(source.fileno(), out.fileno(), left)
            assert copied, f"{key}: {left} of {len(kept[key])} bytes are missing"
            left -= copied
    os.rename(other + ".new", other)

def surely(deed, *of):
    # Until no daemon is killed meanwhile.
    while True:
        try:
            return deed(*of)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.ECONNABORTED:
                raise

def directory():
    os.mkdir("sub")
    put("sub/x", "wb", b"x", None, False)
    assert sorted(os.listdir("sub")) == ["x"], os.listdir("sub")
    os.unlink("sub/x")
    os.rmdir("sub")

while not os.path.exists(os.environ["stop"]):
    rounds += 1
    key, other = f"f{random.randrange(20)}", f"f{random.randrange(20)}"
    deed, old = random.randrange(7), kept.get(key)
    new, changed = old, key
    try:
        if deed == 0 or old is None:
            new = random.randbytes(random.randrange(1, 300_000))
            put(key, "wb", new, None, False)
        elif deed == 1:
            more = random.randbytes(random.randrange(1, 50_000))
            new = old + more
            put(key, "ab", more, None, True)
        elif deed == 2:
            # Nothing is left of what failed at its first byte.
            at, data = random.randrange(len(old) + 1), random.randbytes(5000)
            new = old[:at] + data + old[at + len(data):]
            put(key, "r+b", data, at, False)
        elif deed == 3:
            changed, new = other, old
            old = kept.get(other)
            copy(key, other)
        elif deed == 4:
            new = None
            os.unlink(key)
        elif deed == 5:
            directory()
        else:
            read = content(key)
            assert read == old, f"{key}: {read and len(read)} bytes read, {len(old)} written"
    except OSError as error:
        # Told to the program, which has what it had before, or what it wrote so far.
        errors += 1
        print(f"load {name}: {deed}: {error}")
        assert error.errno != errno.ESTALE, error
        if error.errno == errno.ECONNABORTED:
            # As long the kernel may believe that what was done was not.
            time.sleep(1.1)
        now = surely(content, changed)
        assert now == old or (new or b"").startswith(now or b""), f"{changed} after {error}"
        new = now
        surely(os.unlink, "sub/x")
        surely(os.unlink, changed + ".new")
        surely(os.rmdir, "sub")
    if new is None:
        kept.pop(changed, None)
    else:
        kept[changed] = new
listed = sorted(os.listdir("."))
assert listed == sorted(kept), (listed, sorted(kept))
for key, data in kept.items():
    assert content(key) == data, key
assert errors <= int(os.environ["errors_max"]), errors
print(f"load {name}: {rounds} rounds, {errors} errors")
"#;

#[test]
fn open_files_and_directories_go_on_when_the_daemon_is_killed() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "d/old", "old content");
    rig.sim.put_pattern(BUCKET, "big", 1 << 30, 1);
    works(
        &rig,
        r#"
        mount -t s3fs bucket "$dir" -o "_netdev,$options"
        cd "$dir/d"
        exec 3<old 4>new
        printf 'before ' >&4
        first=$(daemon)
        kill -9 "$first"
        printf 'after' >&4
        [ "$(cat <&3)" = 'old content' ]
        [ "$(ls)" = "$(printf 'new\nold\n')" ]
        next=$(daemon)
        [ "$next" != "$first" ]
        kill -9 "$next"
        exec 4>&-
        [ "$(cat new)" = 'before after' ]
        cp ../big ../copy
        cd /
        exec 3<&-
        umount "$dir"
        [ "$(daemons)" = 0 ]
        "#,
    );
    assert_eq!(rig.sim.content(BUCKET, "d/new").unwrap(), b"before after");
    assert_eq!(rig.sim.stat(BUCKET, "copy").unwrap().size, 1 << 30);
}

#[test]
fn umount_waits_for_the_daemon_that_follows_a_killed_one() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "content");
    rig.slow_down_attributes();
    works(
        &rig,
        r#"
        mount -t s3fs bucket "$dir" -o "_netdev,$options"
        first=$(daemon)
        chmod 600 "$dir/f"
        (sleep 1; kill -9 "$first") &
        umount "$dir"
        fails kill -0 "$first"
        "#,
    );
    assert_eq!(rig.stored_mode("f"), "33152");
}

#[test]
fn a_signal_to_the_supervisor_ends_the_mount_with_everything_stored() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "content");
    rig.slow_down_attributes();
    works(
        &rig,
        r#"
        mount -t s3fs bucket "$dir" -o "$options"
        chmod 600 "$dir/f"
        # As systemd does: to all processes of the unit.
        supervisor=$(pgrep -x s3fs-supervisor)
        kill "$(daemon)"
        sleep 0.2
        kill "$supervisor"
        while kill -0 "$supervisor" 2>/dev/null; do sleep 0.05; done
        [ "$(mounts)" = 0 ]
        "#,
    );
    assert_eq!(rig.stored_mode("f"), "33152");
}

#[test]
fn a_daemon_that_cannot_serve_is_tried_again_until_it_can_and_not_without_a_pause() {
    let rig = Rig::new();
    works(
        &rig,
        r#"
        cp /etc/ssl/certs/ca-certificates.crt "$over/ca"
        mount -t s3fs bucket "$dir" -o "_netdev,ca_bundle=$over/ca,$options"
        first=$(daemon)
        mv "$over/ca" "$over/ca.not"
        # Before the file is open: what closes it asks the mount.
        (sleep 4; mv "$over/ca.not" "$over/ca") &
        exec 4>"$dir/f"
        printf 'before ' >&4
        kill -9 "$first"
        printf 'after' >&4
        exec 4>&-
        # In this process namespace numbers count processes and threads.
        next=$(daemon)
        echo "from $first to $next" >"$over/said"
        [ $((next - first)) -lt 150 ] || { cat "$over/said"; false; }
        umount "$dir"
        "#,
    );
    assert_eq!(rig.sim.content(BUCKET, "f").unwrap(), b"before after");
}

#[test]
fn daemons_that_abort_over_what_they_restore_are_given_up_and_the_mount_ends() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "f", "old");
    let said = works(
        &rig,
        r#"
        cp /etc/ssl/certs/ca-certificates.crt "$over/ca"
        mkfifo "$over/never"
        # Where a daemon logs to that has no journal.
        python3 -c "import socket, sys
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind('/run/syslog')
while True: print(log.recv(65536).decode(), flush=True)" >"$over/log" &
        while [ ! -S /run/syslog ]; do sleep 0.1; done
        mount -t s3fs bucket "$dir" -o "_netdev,ca_bundle=$over/ca,staging_dir=$over,$options"
        supervisor=$(pgrep -x s3fs-supervisor)
        writes "$dir/f" new
        # The next ones wait for what they read first, until they abort.
        mv "$over/never" "$over/ca"
        last=$(daemon)
        kill -9 "$last"
        for _ in 1 2 3 4 5; do
            until next=$(daemon) && [ "$next" != "$last" ]; do sleep 0.05; done
            sleep 0.2
            kill -ABRT "$next"
            last=$next
        done
        while kill -0 "$supervisor" 2>/dev/null; do sleep 0.05; done
        fails daemon
        # The mount has ended with it; umount(8) and mount(8) are all that it takes.
        fails ls "$dir" 2>"$over/said"
        grep 'Transport endpoint is not connected' "$over/said"
        umount -l "$dir"
        mount -t s3fs bucket "$dir" -o "_netdev,$options"
        [ "$(cat "$dir/f")" = old ]
        umount "$dir"
        cat "$over/log"
        "#,
    );
    let line = "5 daemons in a row aborted over what they restored; the mount ends";
    assert_eq!(said.matches(line).count(), 1, "{said}");
    assert_eq!(rig.sim.content(BUCKET, "f").unwrap(), b"old");
}

/// Calls that wait for the store when the daemon is killed, and one file that is just open.
const CALLS: &str = r#"
import errno, os, subprocess, sys, threading, time
# Before there is anything that this process would close.
daemon = int(subprocess.check_output(["pgrep", "-x", "mount.s3fs|s3fs"]))
os.chdir(os.environ["dir"])
aside = open("aside", "wb", buffering=0)
aside.write(b"before ")
read, written, copied = open("read", "rb"), open("written", "wb"), open("copied", "wb")
written.write(b"written")
written.flush()
with open("read", "rb") as source:
    os.copy_file_range(source.fileno(), copied.fileno(), 1 << 20)
ended = {}

def call(name, deed, *of):
    try:
        deed(*of)
        ended[name] = None
    except OSError as error:
        ended[name] = error.errno

calls = [("read", os.read, read.fileno(), 1000), ("fsync", os.fsync, written.fileno()),
         ("close", os.close, os.dup(copied.fileno()))]
# No process may wait for a thread that waits for ever.
threads = [threading.Thread(target=call, args=args, daemon=True) for args in calls]
for thread in threads:
    thread.start()
time.sleep(1)
assert not ended, ended
os.kill(daemon, 9)
killed = time.monotonic()
for thread in threads:
    thread.join(max(0, killed + 2 - time.monotonic()))
assert len(ended) == len(calls), ended
aborted = errno.ECONNABORTED
# A read ahead that fails the kernel repeats by itself.
assert ended.pop("read") in (None, aborted), ended
assert ended == {"fsync": aborted, "close": aborted}, ended
assert os.read(read.fileno(), 1000) == b"r" * 1000
os.fsync(written.fileno())
aside.write(b"after")
aside.close()
copied.close()
assert open("written", "rb").read() == b"written"
assert time.monotonic() < killed + 5, time.monotonic() - killed
print("calls ended")
"#;

#[test]
fn where_the_kernel_sends_nothing_again_calls_under_way_fail_and_all_else_goes_on() {
    let rig = Rig::new();
    rig.sim.put(BUCKET, "read", vec![b'r'; 1 << 20]);
    for operation in [
        Operation::GetObject,
        Operation::PutObject,
        Operation::CopyObject,
    ] {
        rig.sim.fault(Fault::on(operation, How::Stall));
    }
    let script = r#"
        export S3FS_WITHOUT_RESEND=1 dir
        mount -t s3fs bucket "$dir" -o "_netdev,$options"
        python3 -c "$CALLS"
        umount "$dir"
        [ "$(daemons)" = 0 ]
        "#;
    let said = works(
        &rig,
        &format!("CALLS=$(cat <<'END'\n{CALLS}\nEND\n)\n{script}"),
    );
    assert!(said.contains("calls ended"), "{said}");
    let content = |key| rig.sim.content(BUCKET, key).unwrap();
    assert_eq!(content("aside"), b"before after");
    assert_eq!(content("written"), b"written");
    assert_eq!(content("copied"), content("read"));
}

/// Kills the daemon; while none is there the next is on its way.
const KILL: &str = "until pid=$(daemon); do sleep 0.01; done; kill -9 $pid";

/// Does `deed` that many times under three loads, of which each may be told of `errors_max`.
fn under_load((times, deed): (u32, &str), errors_max: u32, variables: &str) {
    let rig = Rig::new();
    let seed = fastrand::u32(..);
    eprintln!("load with seed {seed}");
    let script = format!(
        r#"
        export dir stop=$over/stop errors_max={errors_max} {variables}
        mount -t s3fs bucket "$dir" -o "$options,staging_dir=$over"
        for name in a b c; do
            python3 -c "$LOAD" $name {seed} >>"$over/loads" 2>&1 &
        done
        for name in a b c; do
            until [ -e "$stop.$name" ]; do sleep 0.01; done
        done
        for _ in $(seq {times}); do
            sleep 0.$((RANDOM % 4))$((RANDOM % 10))
            {deed}
            # Never longer away than this. One that is dying may still read a request, which then
            # fails at once.
            code=0
            timeout 2 stat -f "$dir" >/dev/null || code=$?
            [ $code = 0 ] || {{ [ $code != 124 ] && timeout 2 stat -f "$dir" >/dev/null; }}
        done
        touch "$stop"
        for job in $(jobs -p); do wait $job || failed=yes; done
        cat "$over/loads"
        [ -z "${{failed-}}" ]
        umount "$dir"
        "#
    );
    let script = format!("LOAD=$(cat <<'END'\n{LOAD}\nEND\n)\n{script}");
    let said = works(&rig, &script);
    assert_eq!(said.matches("rounds").count(), 3, "{said}");
    eprintln!("{said}");
}

#[test]
fn under_load_nothing_is_lost_by_a_hundred_kills() {
    // Most runs go by without any: a request that the dying process is about to read into memory
    // that was never touched fails with EIO (fuse_dev_do_read, fs/fuse/dev.c).
    under_load((100, KILL), 2, "");
}

#[test]
fn under_load_nothing_is_lost_where_the_kernel_sends_nothing_again() {
    // A load has one call under way.
    under_load((20, KILL), 25, "S3FS_WITHOUT_RESEND=1");
}

#[test]
fn under_load_nobody_notices_that_the_daemon_goes_on_in_another_program() {
    under_load((20, r#"s3fs upgrade "$dir""#), 0, "");
}
