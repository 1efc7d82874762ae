//! The packages: what is in them, and that a clean Debian with one installed mounts. Knows the
//! program's command line and the packages' scripts, none of its insides but `sim`.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use s3fs::sim::{Operation, Sim};
use tokio::runtime::Runtime;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PROGRAM: &str = env!("CARGO_BIN_EXE_s3fs");

#[track_caller]
fn succeeded(output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaint}");
    said
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    succeeded(
        command
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap(),
    )
}

/// Makes a package by one of the scripts, of the program that is tested, hardly compressed.
fn made(script: &str, arguments: &[&str]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
    let output = Command::new(format!("{ROOT}/packaging/{script}"))
        .arg(PROGRAM)
        .arg(directory)
        .args(arguments)
        .env("DEBFULLNAME", "The s3fs authors")
        .env("DEBEMAIL", "s3fs@packages.example")
        .env("SOURCE_DATE_EPOCH", "1767225600")
        .env("DPKG_DEB_COMPRESSOR_TYPE", "gzip")
        .env("DPKG_DEB_COMPRESSOR_LEVEL", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    PathBuf::from(succeeded(output).trim_end())
}

fn deb() -> &'static str {
    static DEB: OnceLock<PathBuf> = OnceLock::new();
    DEB.get_or_init(|| made("deb", &[])).to_str().unwrap()
}

/// A store with the buckets `one` and `two`, in this process, and a clean Debian that reaches it.
struct Machine {
    sim: Sim,
    _runtime: Runtime,
}

impl Machine {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let starting = Sim::builder()
            .bucket("one")
            .bucket("two")
            .start("127.0.0.1:0");
        let sim = runtime.block_on(starting).unwrap();
        Self {
            sim,
            _runtime: runtime,
        }
    }

    /// Boots with these files; the script ends with success. What it said.
    /// `URL` in a file or the script stands for the store's.
    #[track_caller]
    fn works(&self, files: &[(&str, &str)], script: &str) -> String {
        let tree = std::env::var_os("S3FS_TEST_TREE").map_or_else(
            || Path::new(ROOT).join("target/trees/trixie"),
            PathBuf::from,
        );
        assert!(
            tree.is_dir(),
            "{} is not there: tests/run makes it",
            tree.display()
        );
        let layer = tempfile::tempdir().unwrap();
        let (id, secret) = Sim::ACCESS_KEY;
        let credentials =
            format!("[default]\naws_access_key_id={id}\naws_secret_access_key={secret}\n");
        let passwd = format!("{id}:{secret}\n");
        let script = format!("{PRELUDE}{script}");
        let usual = [
            ("root/.aws/credentials", credentials.as_str()),
            ("etc/passwd-s3fs", passwd.as_str()),
            ("test.sh", script.as_str()),
        ];
        for (name, content) in usual.iter().chain(files) {
            let path = layer.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content.replace("URL", &self.sim.endpoint())).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }
        fs::create_dir_all(layer.path().join("mnt/one")).unwrap();
        fs::create_dir_all(layer.path().join("mnt/two")).unwrap();
        let package = layer.path().join("s3fs-mount.deb");
        fs::copy(deb(), &package).unwrap();
        for path in [layer.path(), &package] {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        let output = Command::new(format!("{ROOT}/tests/systemd/boot"))
            .arg(layer.path())
            .arg("")
            .arg(tree)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        succeeded(output)
    }
}

/// What the scripts call.
const PRELUDE: &str = r#"
    trap 'echo "failed: $BASH_COMMAND" >&2' ERR
    export DEBIAN_FRONTEND=noninteractive
    rm /var/lib/man-db/auto-update
    # Whatever it needs is in the tree's own cache: no network.
    apt() { apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@"; }
    install_deb() { apt install /s3fs-mount.deb; }
    # As `!`, which bash -e does not end at.
    fails() { if "$@"; then return 1; fi; }
    nothing_is_mounted() { [ -z "$(findmnt -rn -t fuse.s3fs)" ]; }
    is_inactive() { [ "$(systemctl is-active "$1" || true)" = inactive ]; }
    has_options() {
        findmnt -rn -o OPTIONS "$1" | tr , '\n' >/run/options
        for word in "${@:2}"; do
            grep -qx "$word" /run/options || return 1
        done
    }
    soon() {
        for _ in $(seq 100); do
            "$@" 2>/dev/null && return 0
            sleep 0.1
        done
        echo "not within ten seconds: $*" >&2
        return 1
    }
"#;

#[test]
fn lintian_has_nothing_to_say_of_the_deb() {
    // lintian warns of being root, which tests often are.
    let arguments = ["--allow-root", "--fail-on=error,warning", "--info", deb()];
    assert_eq!(run("lintian", &arguments), "");
}

#[test]
fn the_deb_takes_the_place_of_s3fs_and_depends_on_what_the_program_needs() {
    let of = |field: &str| run("dpkg-deb", &["--field", deb(), field]);
    assert_eq!(of("Provides").trim(), "s3fs (= 1.95)");
    assert_eq!(of("Conflicts").trim(), "s3fs");
    assert_eq!(of("Replaces").trim(), "s3fs");
    let depends = of("Depends");
    let names = depends
        .split(',')
        .map(|entry| entry.split_whitespace().next().unwrap());
    assert_eq!(
        names.collect::<BTreeSet<_>>(),
        BTreeSet::from(["fuse3", "libc6", "libgcc-s1"])
    );
}

#[test]
fn the_rpm_has_the_files_and_links_of_the_deb() {
    let rpm = made("rpm", &["--define", "_binary_payload w1.gzdio"]);
    let rpm = rpm.to_str().unwrap();
    let asked = |format: &str| run("rpm", &["-qp", "--qf", format, rpm]);
    let listed = asked("[%{FILEMODES:perms} %{FILENAMES} %{FILELINKTOS}\\n]");
    let of_rpm = listed.lines().filter(|line| !line.starts_with('d'));
    let of_rpm: BTreeSet<String> = of_rpm
        .map(|line| line.split_once(' ').unwrap().1.trim().to_owned())
        .collect();
    let listed = run("dpkg-deb", &["--contents", deb()]);
    let of_deb = listed.lines().filter(|line| !line.starts_with('d'));
    let of_deb = of_deb.map(|line| {
        let path = line
            .split_whitespace()
            .skip(5)
            .collect::<Vec<_>>()
            .join(" ");
        path.trim_start_matches('.').replace(" -> ", " ")
    });
    let of_deb: BTreeSet<String> = of_deb
        .map(|path| path.replace("zsh/vendor-completions", "zsh/site-functions"))
        .collect();
    let only_one_has: BTreeSet<&str> = of_rpm
        .symmetric_difference(&of_deb)
        .map(String::as_str)
        .collect();
    // Debian has its own names for the same, and a file of lintian's.
    let doc = "/usr/share/doc/s3fs-mount";
    let expected = [
        format!("{doc}/CHANGELOG.md"),
        format!("{doc}/changelog.gz"),
        format!("{doc}/changelog.Debian.gz"),
        format!("{doc}/copyright"),
        "/usr/share/licenses/s3fs-mount/LICENSE-APACHE".to_owned(),
        "/usr/share/licenses/s3fs-mount/LICENSE-MIT".to_owned(),
        "/usr/share/lintian/overrides/s3fs-mount".to_owned(),
    ];
    assert_eq!(only_one_has, expected.iter().map(String::as_str).collect());
    assert!(
        of_rpm.contains("/usr/sbin/mount.s3fs ../bin/s3fs"),
        "{of_rpm:?}"
    );
    assert_eq!(
        asked("[%{OBSOLETES} %{OBSOLETEFLAGS:depflags} %{OBSOLETEVERSION}]"),
        "s3fs-fuse < 2"
    );
    assert!(
        asked("[%{REQUIRES}\\n]")
            .lines()
            .any(|name| name == "fuse3")
    );
}

#[test]
fn a_clean_debian_is_as_it_was_after_the_purge() {
    Machine::new().works(
        &[(
            "etc/s3fs/one.env",
            "SOURCE=one\nMOUNTPOINT=/mnt/one\nOPTIONS=url=URL,use_path_request_style\n",
        )],
        r#"
        files() {
            find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /run \
                -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/log \
                -o -path /var/lib/systemd -o -path /var/tmp \) -prune -o -printf '%p %m %l\n' | sort
        }
        files >/run/before
        install_deb
        systemctl enable --now s3fs@one
        echo content >/mnt/one/f
        fusermount3 --version
        apt purge s3fs-mount
        soon test ! -e /run/s3fs
        nothing_is_mounted
        apt autoremove --purge
        files >/run/after
        diff /run/before /run/after
        [ -z "$(dpkg-query -f '${Package} ${Status}\n' -W | grep -v 'ok installed$')" ]
        "#,
    );
}

#[test]
fn lines_of_fstab_are_mounted_changed_and_unmounted_by_mount_and_systemd() {
    let machine = Machine::new();
    machine.sim.put("one", "f", "content");
    machine.sim.on_request(|_, request| {
        if request.operation == Operation::CopyObject {
            std::thread::sleep(Duration::from_secs(2));
        }
    });
    let fstab = "one /mnt/one s3fs _netdev,noatime,nofail,x-a=b,comment=c,url=URL,\
                 use_path_request_style 0 0\n\
                 two /mnt/two fuse.s3fs _netdev,allow_other,url=URL,use_path_request_style,\
                 passwd_file=/etc/passwd-s3fs 0 0\n";
    machine.works(
        &[("etc/fstab", fstab)],
        r#"
        install_deb
        mounts() { findmnt -rn -t fuse.s3fs -o TARGET | sort; }
        mount -f /mnt/one
        nothing_is_mounted
        mount -a
        mounts >/run/first
        printf '/mnt/one\n/mnt/two\n' | diff - /run/first
        mount -a
        mounts | diff /run/first -
        for directory in /mnt/one /mnt/two; do
            has_options $directory rw nosuid nodev
        done
        has_options /mnt/one noatime
        [ "$(cat /mnt/one/f)" = content ]
        mount -o remount,ro /mnt/one
        fails touch /mnt/one/g 2>/run/said
        grep -q 'Read-only file system' /run/said
        mount -o remount,rw /mnt/one
        mount -o remount,ro /mnt/two
        fails touch /mnt/two/g 2>/run/said
        mount -o remount,rw /mnt/two
        echo else >/mnt/two/g
        # umount(8), then systemd: both return when everything is stored.
        chmod 600 /mnt/one/f
        began=$(date +%s%3N)
        umount /mnt/one
        [ $(($(date +%s%3N) - began)) -ge 1500 ]
        soon is_inactive mnt-one.mount
        systemctl start mnt-one.mount
        [ "$(stat -c %a /mnt/one/f)" = 600 ]
        chmod 640 /mnt/one/f
        systemctl stop mnt-one.mount
        mount /mnt/one
        [ "$(stat -c %a /mnt/one/f)" = 640 ]
        # A bucket that is the name of a directory in the current one.
        mkdir /one
        umount /mnt/one
        cd /
        mount -a
        mount -a
        mounts | diff /run/first -
        umount -a -t fuse.s3fs
        nothing_is_mounted
        code=0; mount -t s3fs -o url=URL,use_path_request_style none /mnt/one 2>/run/said || code=$?
        [ $code = 32 ]
        grep -q 'bucket "none": no such bucket' /run/said
        fails mount -t s3fs -o secret_key=hunter2 one /mnt/one 2>/run/said
        fails grep -q hunter2 /run/said
        "#,
    );
    let metadata = machine.sim.stat("one", "f").unwrap().headers.metadata;
    assert_eq!(metadata.get("mode").unwrap(), "33184");
    assert_eq!(machine.sim.content("two", "g").unwrap(), b"else\n");
}

#[test]
fn the_flags_of_mount_and_umount_and_their_own_words_do_what_their_manuals_say() {
    let machine = Machine::new();
    machine.sim.put("one", "f", "content");
    let line = "one /mnt/one s3fs noauto,suid,dev,exec,owner,group,_netdev,comment=c,X-a=b,\
                X-mount.mkdir,nofail,nostrictatime,url=URL,use_path_request_style 0 0\n";
    machine.works(
        &[("etc/fstab", line)],
        r#"
        install_deb
        rmdir /mnt/one
        mount --version | grep -o 'util-linux [0-9.]*'
        mount -v -n -s -o unknown=word /mnt/one
        [ "$(cat /mnt/one/f)" = content ]
        # `owner` comes after `suid` and `dev` in the line, and takes them back.
        has_options /mnt/one rw nosuid nodev
        exec 3</mnt/one/f
        fails umount /mnt/one 2>/run/said
        grep -q busy /run/said
        umount -r -v /mnt/one || true
        has_options /mnt/one ro
        mount -o remount,rw /mnt/one
        umount -l -n /mnt/one
        nothing_is_mounted
        [ "$(cat <&3)" = content ]
        exec 3<&-
        mount -t s3fs.sub -o _netdev,suid,dev,url=URL,use_path_request_style one /mnt/two
        fails has_options /mnt/two nosuid
        fails has_options /mnt/two nodev
        umount -f /mnt/two
        fails mount -o unknown=word,url=URL one /mnt/two -t s3fs 2>/run/said
        grep -q 'unknown option "unknown"' /run/said
        # Without the programs for mount(8) there is no such type.
        fails mount -i -t s3fs -o url=URL one /mnt/two 2>/run/said
        grep -q 'unknown filesystem type' /run/said
        "#,
    );
}

#[test]
fn who_has_debians_s3fs_installs_the_package_and_mounts_the_same_lines() {
    let machine = Machine::new();
    let fstab = "one /mnt/one fuse.s3fs _netdev,allow_other,url=URL,use_path_request_style,\
                 passwd_file=/etc/passwd-s3fs 0 0\n";
    machine.works(
        &[("etc/fstab", fstab)],
        r#"
        apt install s3fs
        mount -a
        echo content >/mnt/one/f
        chmod 640 /mnt/one/f
        chown 7:8 /mnt/one/f
        umount /mnt/one
        install_deb
        [ "$(dpkg-query -f '${db:Status-Status}' -W s3fs || true)" != installed ]
        s3fs --version | grep -vi 'amazon'
        mount -a
        [ "$(stat -c '%a %u %g %s' /mnt/one/f)" = '640 7 8 8' ]
        echo more >>/mnt/one/f
        umount /mnt/one
        s3fs one /mnt/one -o url=URL,use_path_request_style,passwd_file=/etc/passwd-s3fs
        [ "$(cat /mnt/one/f)" = "$(printf 'content\nmore')" ]
        umount /mnt/one
        "#,
    );
}

#[test]
fn the_service_and_the_units_work_as_installed_and_their_manual_pages_are_there() {
    let machine = Machine::new();
    let settings = "SOURCE=one\nMOUNTPOINT=/mnt/one\nOPTIONS=url=URL,use_path_request_style\n";
    machine.works(
        &[("etc/s3fs/one.env", settings)],
        r#"
        install_deb
        systemctl start s3fs@one
        echo content >/mnt/one/f
        systemctl restart s3fs@one
        grep -q content /mnt/one/f
        exec 3</mnt/one/f
        dpkg -i /s3fs-mount.deb
        [ "$(cat <&3)" = content ]
        exec 3<&-
        systemctl stop s3fs@one
        nothing_is_mounted
        [ "$(systemctl show -P Result s3fs@one)" = success ]
        cp /usr/share/doc/s3fs-mount/examples/mnt-s3.*mount /etc/systemd/system/
        systemd-analyze verify s3fs@one.service mnt-s3.mount mnt-s3.automount 2>&1 | tee /run/said
        [ ! -s /run/said ]
        for page in s3fs.1 mount.s3fs.8 mount.fuse.s3fs.8 umount.fuse.s3fs.8; do
            LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 \
                man --warnings "${page##*.}" "${page%.*}" 2>&1 >/run/page | tee /run/said
            [ ! -s /run/said ]
            grep -q '^EXAMPLES' /run/page
        done
        zgrep -q '^tokio .*MIT' /usr/share/doc/s3fs-mount/notices.gz
        bash -c '. /usr/share/bash-completion/completions/s3fs
            COMP_WORDS=(s3fs --pro) COMP_CWORD=1
            _s3fs s3fs --pro s3fs
            [ "${COMPREPLY[*]}" = "--provider --profile --proxy --proxy-cred-file" ]'
        "#,
    );
    assert_eq!(machine.sim.content("one", "f").unwrap(), b"content\n");
}

#[test]
fn an_ordinary_user_mounts_by_fusermount3_and_what_fstab_lets_users_mount() {
    let fstab = "one /home/user/mnt s3fs user,noauto,_netdev,url=URL,use_path_request_style 0 0\n";
    Machine::new().works(
        &[("etc/fstab", fstab)],
        r#"
        install_deb
        # udev lets everybody open it; a container has the one of its machine.
        umount /dev/fuse
        rm /dev/fuse
        mknod -m 666 /dev/fuse c 10 229
        useradd -m user
        install -o user -m 600 /etc/passwd-s3fs /home/user/.passwd-s3fs
        as_user() { runuser -u user -- env -C /home/user HOME=/home/user "$@"; }
        as_user mkdir mnt
        as_user s3fs one mnt -o url=URL,use_path_request_style
        as_user sh -c 'echo content >mnt/f'
        as_user cat mnt/f
        fails cat /home/user/mnt/f
        as_user fusermount3 -u mnt
        soon nothing_is_mounted
        fails as_user s3fs one mnt -o url=URL,use_path_request_style,allow_other 2>/run/said
        grep -q user_allow_other /run/said
        # By a line of fstab, which mount(8) lets a user mount.
        as_user mount /home/user/mnt
        as_user grep content mnt/f
        has_options /home/user/mnt nosuid nodev noexec user_id=1000
        as_user umount /home/user/mnt
        soon nothing_is_mounted
        "#,
    );
}
