//! Names that other filesystems take, and keys that no other filesystem has: through the kernel,
//! on the mount that made them and on a fresh one. Knows no content but the names themselves.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;

use crate::rig::{BUCKET, Rig};
use crate::shell::{sh, sh_fails};

/// The name of the object `x` beside the directory `x`.
const BESIDE: &str = "x\u{201b}file";

/// Every byte alone, and what shells, URLs, XML, Unicode and this program give a meaning.
fn awkward() -> BTreeSet<OsString> {
    let mut names: Vec<Vec<u8>> = (1..=u8::MAX).map(|byte| vec![byte]).collect();
    names.retain(|name| *name != b"/" && *name != b".");
    let texts = [
        "...",
        ".hidden",
        " leading",
        "trailing ",
        "new\nline",
        "crlf\r\n",
        "-rf",
        "a+b c",
        "%41",
        "%00",
        "%2F",
        "a?b=c&d#e",
        "&amp;&#1;<x>]]>",
        "\u{e9}",
        "e\u{301}",
        "\u{1f600}",
        "\u{ffff}\u{10ffff}",
        "caf\u{201b}E9",
        "caf\u{201b}\u{201b}E9",
        "y\u{201b}\u{201b}file",
    ];
    names.extend(texts.map(|text| text.as_bytes().to_vec()));
    names.extend([
        b"caf\xe9".to_vec(),
        b"\xf0\x9f\x98 cut".to_vec(),
        b"\xed\xa0\x80".to_vec(),
        vec![b'n'; 255],
        vec![b' '; 255],
        [0xc3, 0xa9].repeat(127),
        vec![0xff; 180],
    ]);
    let names = names.iter().map(|name| OsStr::from_bytes(name).to_owned());
    names.collect()
}

/// Every file is there, once, and holds its name.
fn check(dir: &Path, names: &BTreeSet<OsString>) {
    let listed: Vec<OsString> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(listed.len(), names.len());
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), *names);
    for name in names {
        let path = dir.join(name);
        let stat = fs::metadata(&path).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        assert_eq!(stat.len(), name.len() as u64, "{name:?}");
        assert_eq!(fs::read(&path).unwrap(), name.as_bytes(), "{name:?}");
    }
}

#[test]
fn names_of_any_bytes_are_made_listed_renamed_copied_and_removed() {
    let rig = Rig::new();
    let names = awkward();
    let mounted = rig.mount();
    for name in &names {
        fs::write(mounted.path("").join(name), name.as_bytes())
            .unwrap_or_else(|error| panic!("{name:?}: {error}"));
    }
    check(&mounted.dir(), &names);
    assert_eq!(rig.sim.keys(BUCKET).len(), names.len());
    assert!(rig.sim.keys(BUCKET).contains(&"caf\u{201b}E9".to_owned()));
    mounted.unmount();

    let mounted = rig.mount();
    check(&mounted.dir(), &names);
    let dir = mounted.dir().join(OsStr::from_bytes(b"d\xff\n"));
    fs::create_dir(&dir).unwrap();
    for name in &names {
        fs::rename(mounted.path("").join(name), dir.join(name))
            .unwrap_or_else(|error| panic!("{name:?}: {error}"));
    }
    check(&dir, &names);
    let renamed = mounted.dir().join(OsStr::from_bytes(b"%\xfe "));
    fs::rename(&dir, &renamed).unwrap();
    check(&renamed, &names);
    sh(&mounted.dir(), "cp -r %* copy");
    check(&mounted.path("copy"), &names);
    mounted.unmount();

    let mounted = rig.mount();
    check(&mounted.dir().join(renamed.file_name().unwrap()), &names);
    for name in &names {
        fs::remove_file(mounted.path("copy").join(name)).unwrap();
    }
    sh(
        &mounted.dir(),
        "rmdir copy; rm -r ./%*; test -z \"$(ls -A)\"",
    );
    assert_eq!(rig.sim.keys(BUCKET), Vec::<String>::new());
    mounted.unmount();
}

#[test]
fn a_key_has_1024_bytes_at_most_and_a_name_255() {
    let rig = Rig::new();
    let mounted = rig.mount();
    let errno = |made: std::io::Result<()>| made.map_err(|error| error.raw_os_error());
    let too_long = Err(Some(Errno::ENAMETOOLONG as i32));
    let mut dir = mounted.dir();
    for _ in 0..3 {
        dir.push("d".repeat(255));
        fs::create_dir(&dir).unwrap();
    }
    dir.push("e");
    fs::create_dir(&dir).unwrap();
    // The directories are 770 bytes.
    let longest = dir.join("f".repeat(254));
    fs::write(&longest, "content").unwrap();
    assert_eq!(rig.sim.keys(BUCKET).last().map(String::len), Some(1024));
    assert_eq!(fs::read(&longest).unwrap(), b"content");
    assert_eq!(errno(fs::write(dir.join("f".repeat(255)), "")), too_long);
    assert_eq!(
        errno(fs::rename(&longest, dir.join("g".repeat(255)))),
        too_long
    );
    assert_eq!(errno(fs::create_dir(dir.join("d".repeat(254)))), too_long);
    fs::create_dir(dir.join("d".repeat(253))).unwrap();
    // What is written longer in the key than it is as a name.
    let bytes = [0xff; 255];
    let name = OsStr::from_bytes(&bytes);
    assert_eq!(errno(fs::write(mounted.dir().join(name), "")), too_long);
    assert_eq!(
        errno(fs::write(mounted.path(&"n".repeat(256)), "")),
        too_long
    );
    // A move of the directory above would make the keys longer, so nothing is moved.
    let kept = rig.sim.keys(BUCKET);
    let (from, to) = (
        dir,
        mounted.path("d".repeat(255).as_str()).join("d".repeat(255)),
    );
    let to = to.join("d".repeat(255)).join("longer");
    assert!(fs::rename(from, to).is_err());
    assert_eq!(rig.sim.keys(BUCKET), kept);
    mounted.unmount();
}

#[test]
fn an_object_and_a_directory_of_one_name_both_show_and_neither_is_lost() {
    let rig = Rig::new();
    for (key, content) in [("p/x", "object\n"), ("p/x/y", "y\n"), ("p/x.z", "z\n")] {
        rig.sim.put(BUCKET, key, content);
    }
    let mounted = rig.mount();
    let dir = mounted.path("p");
    assert_eq!(sh(&dir, "ls | sort"), format!("x\nx.z\n{BESIDE}\n"));
    assert_eq!(sh(&dir, &format!("cat {BESIDE} x/y")), "object\ny\n");
    sh(
        &dir,
        &format!("echo more >> {BESIDE}; sed -i s/object/edited/ {BESIDE}"),
    );
    assert_eq!(rig.sim.content(BUCKET, "p/x").unwrap(), b"edited\nmore\n");
    assert_eq!(rig.sim.content(BUCKET, "p/x/y").unwrap(), b"y\n");
    sh(
        &dir,
        &format!("mv {BESIDE} w; cp w {BESIDE}; cmp w {BESIDE}"),
    );
    assert_eq!(rig.sim.keys(BUCKET), ["p/w", "p/x", "p/x.z", "p/x/y"]);
    // Without the directory it is no name, and nothing can be made under it.
    let refused = sh_fails(&dir, "echo lost > w\u{201b}file");
    assert!(refused.contains("Operation not permitted"), "{refused}");
    // Without what is below it the object has its own name again.
    sh(&dir, "rm -r x; sleep 1.1; cat x; rm x; rm w");
    assert_eq!(rig.sim.keys(BUCKET), ["p/x.z"]);
    // Another client makes both again; all of it goes at once.
    rig.sim.put(BUCKET, "p/x", "object");
    rig.sim.put(BUCKET, "p/x/y", "y");
    sh(&mounted.dir(), "sleep 1.1; rm -r p; test -z \"$(ls -A)\"");
    assert_eq!(rig.sim.keys(BUCKET), Vec::<String>::new());
    mounted.unmount();
}
