//! Mounts whose daemon is killed: another goes on, and nobody notices. Each script has a mount
//! namespace of its own.

use crate::forms::works;
use crate::rig::{BUCKET, Rig};

/// Writes, reads, copies, lists and renames until `$stop` is there; a byte that is not what was
/// written ends it with a message, and so do more than a few errors.
const LOAD: &str = r#"
import os, random, sys
name, seed = sys.argv[1], int(sys.argv[2])
random.seed(seed)
top = os.path.join(os.environ["dir"], name)
os.mkdir(top)
os.chdir(top)
kept, rounds, errors = {}, 0, 0

def content(key):
    try:
        with open(key, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None

def put(key, mode, data, at, sync):
    with open(key, mode) as out:
        if at is not None:
            out.seek(at)
        for start in range(0, len(data), 7000):
            out.write(data[start:start + 7000])
            out.flush()
        if sync:
            os.fsync(out.fileno())

def copy(key, other):
    with open(key, "rb") as source, open(other + ".new", "wb") as out:
        left = len(kept[key])
        while left:
            left -= os.copy_file_range(source.fileno(), out.fileno(), left)
    os.rename(other + ".new", other)

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
            at, data = random.randrange(len(old)), random.randbytes(5000)
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
        now = content(changed)
        assert now == old or (new or b"").startswith(now or b""), f"{changed} after {error}"
        new = now
        for left in ["sub/x", changed + ".new"]:
            if os.path.exists(left):
                os.unlink(left)
        if os.path.exists("sub"):
            os.rmdir("sub")
    if new is None:
        kept.pop(changed, None)
    else:
        kept[changed] = new
listed = sorted(os.listdir("."))
assert listed == sorted(kept), (listed, sorted(kept))
for key, data in kept.items():
    assert content(key) == data, key
# Most of a hundred kills go by without any.
assert errors <= 5, errors
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
fn under_load_nothing_is_lost_by_a_hundred_kills() {
    let rig = Rig::new();
    let seed = fastrand::u32(..);
    eprintln!("load with seed {seed}");
    let script = format!(
        r#"
        mount -t s3fs bucket "$dir" -o "$options,staging_dir=$over"
        export dir stop=$over/stop
        for name in a b c; do
            python3 -c "$LOAD" $name {seed} >>"$over/loads" 2>&1 &
        done
        for _ in $(seq 100); do
            sleep 0.$((RANDOM % 4))$((RANDOM % 10))
            # While none is there the next is on its way.
            until pid=$(daemon); do sleep 0.01; done
            kill -9 $pid
            # Never longer away than this.
            timeout 2 stat -f "$dir" >/dev/null
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
