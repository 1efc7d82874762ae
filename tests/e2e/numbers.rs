//! Inode numbers, file handles and owners as other programs take them: backup programs by number,
//! servers by handle, containers by mapped owners. Each script has a mount namespace of its own.

use crate::forms::works;
use crate::rig::{BUCKET, Rig};

/// Six directories of two files.
fn stored() -> Rig {
    let rig = Rig::new();
    for directory in 1..=6 {
        for file in 1..=2 {
            let key = format!("d{directory}/f{file}");
            rig.sim.put(BUCKET, &key, format!("content of {key}"));
        }
    }
    rig
}

/// `handle FILE PATH` writes a handle of a file, `opened FILE PATH` prints what is opened by one in
/// the mount of a path, or the error.
const HANDLES: &str = r#"
cat >"$over/handles.py" <<'END'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
class Handle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("handle", ctypes.c_char * 128)]
deed, file, path = sys.argv[1:]
if deed == "handle":
    handle, mount = Handle(bytes=128), ctypes.c_int()
    if libc.name_to_handle_at(-100, path.encode(), ctypes.byref(handle), ctypes.byref(mount), 0):
        sys.exit(os.strerror(ctypes.get_errno()))
    open(file, "wb").write(bytes(handle))
else:
    handle = Handle.from_buffer_copy(open(file, "rb").read())
    mount = os.open(path, os.O_RDONLY)
    opened = libc.open_by_handle_at(mount, ctypes.byref(handle), os.O_RDONLY)
    if opened < 0:
        print(os.strerror(ctypes.get_errno()))
    else:
        print(os.read(opened, 100).decode())
END
handles() { python3 "$over/handles.py" "$@"; }
"#;

#[test]
fn numbers_are_the_same_after_a_remount_and_by_every_way_to_ask() {
    works(
        &stored(),
        r#"
        mount -t s3fs bucket "$dir" -o "$options"
        cd "$dir"
        echo new >d1/made
        mkdir d7
        find . -printf '%P %i\n' | sort >"$over/first"
        [ "$(cut -d' ' -f2 "$over/first" | sort -u | wc -l)" = 21 ]
        cd /
        umount "$dir"
        mount -t s3fs bucket "$dir" -o "$options"
        cd "$dir"
        # The other way round, and by readdir(3), lstat(2) and statx(2).
        for path in $(cut -d' ' -f1 "$over/first" | sort -r) .; do
            [ -e "$path" ] || continue
            listed=$(ls -aiU "$(dirname "$path")" | grep " ${path##*/}$" | xargs | cut -d' ' -f1)
            number=$(stat -c %i "$path")
            python3 -c "import os, sys; print(os.lstat('$path').st_ino)" >"$over/lstat"
            [ "$number" = "$(cat "$over/lstat")" ]
            [ "$path" = . ] || [ "$listed" = "$number" ]
            [ "$path" != . ] || path=
            echo "$path $number"
        done | sort >"$over/second"
        diff "$over/first" "$over/second"
        cd /
        umount "$dir"
        "#,
    );
}

#[test]
fn an_incremental_backup_over_two_mounts_takes_no_directory_for_another() {
    let rig = stored();
    works(
        &rig,
        r#"
        backup() { tar -C "$dir" --no-check-device -g "$over/snapshot" -cvf "$over/$1.tar" . 2>&1; }
        mount -t s3fs bucket "$dir" -o "$options"
        backup full >"$over/said"
        fails grep -q renamed "$over/said"
        umount "$dir"
        sleep 1
        mount -t s3fs bucket "$dir" -o "$options"
        # Numbers in the order of lookups would be others now.
        mkdir "$dir/a"
        echo new >"$dir/a/new"
        ls -d "$dir"/d6 "$dir"/d5 "$dir"/d4 "$dir"/d3 >"$over/listed"
        backup more >"$over/said"
        fails grep -e renamed -e /f "$over/said"
        grep -q a/new "$over/said"
        mkdir "$over/restored"
        for tar in full more; do
            tar -C "$over/restored" -g /dev/null -xf "$over/$tar.tar"
        done
        diff -r "$dir" "$over/restored"
        umount "$dir"
        "#,
    );
}

#[test]
fn a_handle_of_before_a_remount_is_stale() {
    works(
        &stored(),
        &format!(
            r#"{HANDLES}
            mount -t s3fs bucket "$dir" -o "$options,actimeo=0"
            exec 3<"$dir/d1/f1"
            handles handle "$over/handle" "$dir/d1/f1"
            [ "$(handles opened "$over/handle" "$dir")" = 'content of d1/f1' ]
            # The next process and another program know it, too.
            kill -9 "$(daemon)"
            [ "$(handles opened "$over/handle" "$dir")" = 'content of d1/f1' ]
            s3fs upgrade "$dir"
            stat "$dir/d1/f1" >"$over/said"
            [ "$(handles opened "$over/handle" "$dir")" = 'content of d1/f1' ]
            [ "$(cat <&3)" = 'content of d1/f1' ]
            exec 3<&-
            umount "$dir"
            mount -t s3fs bucket "$dir" -o "$options"
            for path in "$dir"/*/*; do
                [ "$(handles opened "$over/handle" "$dir")" = 'Stale file handle' ]
                exec 3<"$path"
                [ "$(handles opened "$over/handle" "$dir")" = 'Stale file handle' ]
            done
            # And of a file that was there before under the same name.
            exec 3<&-
            rm "$dir/d1/f1"
            echo other >"$dir/d1/f1"
            exec 3<"$dir/d1/f1"
            [ "$(handles opened "$over/handle" "$dir")" = 'Stale file handle' ]
            exec 3<&-
            umount "$dir"
            "#
        ),
    );
}

/// A bind mount with owners mapped from 100000 on, as containers with a user namespace have it.
#[test]
fn an_idmapped_mount_shows_and_makes_files_with_mapped_owners() {
    works(
        &Rig::new(),
        r#"
        oldest=$(printf '%s\n' 6.12 "$(uname -r)" | sort -V | head -n 1)
        [ "$oldest" = 6.12 ] || exit 0
        cat >"$over/idmap.py" <<'END'
import ctypes, os, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def call(*words):
    result = libc.syscall(*words)
    if result < 0:
        sys.exit(f"{words[0]}: {os.strerror(ctypes.get_errno())}")
    return result
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442
CLONE, EMPTY_PATH, MOVE_EMPTY_PATH, IDMAP = 1, 0x1000, 4, 0x100000
source, target = (path.encode() for path in sys.argv[1:])
holder = subprocess.Popen(["unshare", "--user", "sleep", "600"])
while os.readlink(f"/proc/{holder.pid}/ns/user") == os.readlink("/proc/self/ns/user"):
    time.sleep(0.01)
# What is stored as 0 shows as 100000.
for kind in ["uid_map", "gid_map"]:
    with open(f"/proc/{holder.pid}/{kind}", "w") as map:
        map.write("0 100000 10000")
users = os.open(f"/proc/{holder.pid}/ns/user", os.O_RDONLY)
tree = call(OPEN_TREE, -100, source, CLONE)
attr = (ctypes.c_uint64 * 4)(IDMAP, 0, 0, users)
call(MOUNT_SETATTR, tree, b"", EMPTY_PATH, ctypes.byref(attr), ctypes.sizeof(attr))
call(MOVE_MOUNT, tree, b"", -100, target, MOVE_EMPTY_PATH)
holder.kill()
END
        mkdir "$over/mapped"
        mount -t s3fs bucket "$dir" -o "$options,allow_other"
        there=$dir/directory
        mkdir "$there"
        chmod 777 "$there"
        echo own >"$there/own"
        python3 "$over/idmap.py" "$there" "$over/mapped"
        [ "$(stat -c %u:%g "$there/own" "$over/mapped/own" | xargs)" = '0:0 100000:100000' ]
        chmod 711 "$over/.." "$over"
        of() { (cd /; setpriv --reuid="$1" --regid="$1" --clear-groups "${@:2}"); }
        of 100007 sh -c "cd '$over/mapped'
            echo made >file; mkdir directory; ln -s x link; mkfifo pipe"
        for name in file directory link pipe; do
            [ "$(stat -c %u:%g "$over/mapped/$name")" = 100007:100007 ]
            [ "$(stat -c %u:%g "$there/$name")" = 7:7 ]
        done
        chown 100003:100004 "$over/mapped/file"
        [ "$(stat -c %u:%g "$there/file")" = 3:4 ]
        # Whose owner cannot be mapped cannot make anything.
        fails of 5 sh -c "echo x >'$over/mapped/other'" 2>/dev/null
        # Only root keeps the set-id bits of what it cuts, here as there.
        for mount in "$there" "$over/mapped"; do
            chmod 4777 "$there/file"
            truncate -s 2 "$mount/file"
            [ "$(stat -c %a "$there/file")" = 4777 ]
            of 100007 truncate -s 1 "$mount/file"
            [ "$(stat -c %a "$there/file")" = 777 ]
        done
        umount "$over/mapped" "$dir"
        "#,
    );
}
