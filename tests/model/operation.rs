//! What the two clients of the bucket may do, and how sequences of it are drawn. Few names, so
//! that they clash often. Knows neither the filesystem nor what is expected of it.

use proptest::prelude::*;
use s3fs::fs::{OpenMode, SetExtended, WriteAt};

/// Changes of owner, mode and time.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    Mode(u16),
    Owner(Option<u32>, Option<u32>),
    /// Seconds since the epoch.
    Modified(u64),
}

/// Handles from here on are counted from the one opened last.
const FROM_LAST: usize = 1_000;

/// Which of `count` things, at least one, a number means: modulo their number.
pub const fn nth(number: usize, count: usize) -> usize {
    match number.checked_sub(FROM_LAST) {
        Some(number) => count - 1 - number % count,
        None => number % count,
    }
}

/// One call, or the calls that a program makes in one go. A handle is the [`nth`] of those that are
/// open; lengths and positions are bytes.
#[derive(Clone, Debug)]
pub enum Op {
    Create {
        path: String,
        mode: OpenMode,
        permissions: u16,
    },
    Open {
        path: String,
        mode: OpenMode,
    },
    Write {
        handle: usize,
        at: WriteAt,
        len: usize,
    },
    Read {
        handle: usize,
        at: u64,
        len: u64,
    },
    SetLen {
        handle: usize,
        len: u64,
    },
    Zero {
        handle: usize,
        at: u64,
        len: u64,
        keep_size: bool,
    },
    Extend {
        handle: usize,
        end: u64,
    },
    Copy {
        from: usize,
        at: u64,
        len: u64,
        to: usize,
        to_at: u64,
    },
    Sync {
        handle: usize,
    },
    Close {
        handle: usize,
    },
    ChangeOpen {
        handle: usize,
        change: Change,
    },
    Truncate {
        path: String,
        len: u64,
    },
    Change {
        path: String,
        change: Change,
    },
    SetExtended {
        path: String,
        name: &'static str,
        len: usize,
        how: SetExtended,
    },
    RemoveExtended {
        path: String,
        name: &'static str,
    },
    MakeDirectory {
        path: String,
        permissions: u16,
    },
    RemoveDirectory {
        path: String,
    },
    Unlink {
        path: String,
    },
    Rename {
        from: String,
        to: String,
        replace: bool,
    },
    Link {
        path: String,
        len: usize,
    },
    /// fsync(2) of a directory, which stores all changed attributes that wait.
    SyncAttributes,
    OtherPut {
        path: String,
        len: usize,
        mode: Option<u16>,
    },
    OtherDelete {
        path: String,
    },
    OtherMark {
        path: String,
    },
    OtherUnmark {
        path: String,
    },
}

/// A path, or what [`Op::resolved`] makes one of: `#N` is the N-th thing there is, `#N/NAME` a
/// name in the N-th directory, `@N` what the N-th handle is of, and `@N/..` the directory that is
/// in. Else most calls would name nothing that matters.
fn path() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(vec!["a", "b"]);
    let first = prop::sample::select(vec!["a", "b", "a-"]);
    prop_oneof![
        1 => first.clone().prop_map(String::from),
        1 => (first, name()).prop_map(|(one, two)| format!("{one}/{two}")),
        4 => (0_usize..60).prop_map(|number| format!("#{number}")),
        3 => (0_usize..60, name()).prop_map(|(number, name)| format!("#{number}/{name}")),
        3 => handle().prop_map(|number| format!("@{number}")),
    ]
}

const ABOVE: &str = "/..";

/// Directories are not nested deeper.
const DEPTH_MAX: usize = 3;

fn resolved(path: &str, [things, directories, open]: &[&[String]; 3]) -> String {
    let nth = |all: &[String], number: &str| {
        let number: usize = number.parse().expect("a number stands behind the sign");
        (!all.is_empty()).then(|| all[nth(number, all.len())].clone())
    };
    if let Some(number) = path.strip_prefix('@') {
        let open = nth(open, number.trim_end_matches(ABOVE)).unwrap_or_default();
        let path = match number.ends_with(ABOVE) {
            true => open.rsplit_once('/').map_or("", |(above, _)| above),
            false => &open,
        };
        return if path.is_empty() { "a" } else { path }.to_owned();
    }
    let Some(rest) = path.strip_prefix('#') else {
        return path.to_owned();
    };
    match rest.split_once('/') {
        None => nth(things, rest).unwrap_or_else(|| "a".to_owned()),
        Some((number, name)) => match nth(directories, number) {
            Some(directory) if !directory.is_empty() => format!("{directory}/{name}"),
            _ => name.to_owned(),
        },
    }
}

impl Op {
    /// The same with paths of what is there now: everything, the directories, and what is open.
    pub fn resolved(&self, [things, directories, open]: &[&[String]; 3]) -> Self {
        let mut op = self.clone();
        let shallow = |path: &&String| path.matches('/').count() + 1 < DEPTH_MAX;
        let directories: Vec<String> = directories.iter().filter(shallow).cloned().collect();
        for path in op.paths() {
            *path = resolved(path, &[things, &directories, open]);
        }
        op
    }

    fn paths(&mut self) -> Vec<&mut String> {
        match self {
            Self::Rename { from, to, .. } => vec![from, to],
            Self::Create { path, .. }
            | Self::Open { path, .. }
            | Self::Truncate { path, .. }
            | Self::Change { path, .. }
            | Self::SetExtended { path, .. }
            | Self::RemoveExtended { path, .. }
            | Self::MakeDirectory { path, .. }
            | Self::RemoveDirectory { path }
            | Self::Unlink { path }
            | Self::Link { path, .. }
            | Self::OtherPut { path, .. }
            | Self::OtherDelete { path }
            | Self::OtherMark { path }
            | Self::OtherUnmark { path } => vec![path],
            Self::Write { .. }
            | Self::Read { .. }
            | Self::SetLen { .. }
            | Self::Zero { .. }
            | Self::Extend { .. }
            | Self::Copy { .. }
            | Self::Sync { .. }
            | Self::Close { .. }
            | Self::ChangeOpen { .. }
            | Self::SyncAttributes => Vec::new(),
        }
    }
}

/// A path of objects that are there at first.
fn first_path() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(vec!["a", "b"]);
    prop_oneof![
        1 => name().prop_map(String::from),
        2 => (name(), name()).prop_map(|(one, two)| format!("{one}/{two}")),
        1 => (name(), name(), name()).prop_map(|(one, two, three)| format!("{one}/{two}/{three}")),
    ]
}

fn mode() -> impl Strategy<Value = OpenMode> {
    let flags = prop_oneof![
        4 => Just((true, true, false)),
        3 => Just((true, false, false)),
        1 => Just((false, true, false)),
        2 => Just((true, true, true)),
    ];
    flags.prop_map(|(read, write, truncate)| OpenMode {
        read,
        write,
        truncate,
        exclusive: false,
    })
}

fn permissions() -> impl Strategy<Value = u16> {
    prop::sample::select(vec![0o644, 0o600, 0o755, 0o6755, 0o2755, 0o4640, 0o2644])
}

fn change() -> impl Strategy<Value = Change> {
    let id = || prop::option::of(0_u32..3);
    prop_oneof![
        permissions().prop_map(Change::Mode),
        (id(), id())
            .prop_map(|(uid, gid)| Change::Owner(uid.or((gid.is_none()).then_some(1)), gid)),
        (1_000_000_000_u64..2_000_000_000).prop_map(Change::Modified),
    ]
}

/// Mostly less than an uploaded part, sometimes several.
fn len() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1_u64..30, 1 => 30_u64..250]
}

fn at() -> impl Strategy<Value = u64> {
    prop_oneof![2 => Just(0_u64), 4 => 0_u64..30, 1 => 30_u64..200]
}

fn write_at() -> impl Strategy<Value = WriteAt> {
    prop_oneof![8 => at().prop_map(WriteAt::Offset), 1 => Just(WriteAt::End(0))]
}

fn handle() -> impl Strategy<Value = usize> {
    0_usize..12
}

fn content() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (handle(), write_at(), len()).prop_map(|(handle, at, len)| {
            Op::Write { handle, at, len: len as usize }
        }),
        3 => (handle(), at(), len()).prop_map(|(handle, at, len)| Op::Read { handle, at, len }),
        3 => (handle(), at()).prop_map(|(handle, len)| Op::SetLen { handle, len }),
        1 => (handle(), at(), len(), any::<bool>()).prop_map(|(handle, at, len, keep_size)| {
            Op::Zero { handle, at, len, keep_size }
        }),
        1 => (handle(), at()).prop_map(|(handle, end)| Op::Extend { handle, end }),
        8 => (handle(), at(), len(), handle(), at()).prop_map(|(from, at, len, to, to_at)| {
            Op::Copy { from, at, len, to, to_at }
        }),
    ]
}

fn attributes() -> impl Strategy<Value = Op> {
    let name = || prop::sample::select(vec!["user.a", "user.b"]);
    let how = prop::sample::select(vec![
        SetExtended::Either,
        SetExtended::Create,
        SetExtended::Replace,
    ]);
    prop_oneof![
        4 => (path(), change()).prop_map(|(path, change)| Op::Change { path, change }),
        1 => (handle(), change()).prop_map(|(handle, change)| Op::ChangeOpen { handle, change }),
        3 => (path(), name(), 0_usize..9, how).prop_map(|(path, name, len, how)| {
            Op::SetExtended { path, name, len, how }
        }),
        1 => (path(), name()).prop_map(|(path, name)| Op::RemoveExtended { path, name }),
        2 => Just(Op::SyncAttributes),
    ]
}

fn names() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (path(), permissions()).prop_map(|(path, permissions)| {
            Op::MakeDirectory { path, permissions }
        }),
        2 => path().prop_map(|path| Op::RemoveDirectory { path }),
        3 => path().prop_map(|path| Op::Unlink { path }),
        7 => (path(), path(), prop::bool::weighted(0.85)).prop_map(|(from, to, replace)| {
            Op::Rename { from, to, replace }
        }),
        1 => (path(), 1_usize..20).prop_map(|(path, len)| Op::Link { path, len }),
    ]
}

fn handles() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (path(), mode(), any::<bool>(), permissions()).prop_map(
            |(path, mode, exclusive, permissions)| Op::Create {
                path,
                mode: OpenMode { exclusive, ..mode },
                permissions,
            }
        ),
        5 => (path(), mode()).prop_map(|(path, mode)| Op::Open { path, mode }),
        3 => handle().prop_map(|handle| Op::Sync { handle }),
        6 => handle().prop_map(|handle| Op::Close { handle }),
        1 => (path(), at()).prop_map(|(path, len)| Op::Truncate { path, len }),
    ]
}

fn others() -> impl Strategy<Value = Op> {
    let mode = prop::option::of(permissions());
    prop_oneof![
        6 => (path(), 1_usize..120, mode).prop_map(|(path, len, mode)| {
            Op::OtherPut { path, len, mode }
        }),
        3 => path().prop_map(|path| Op::OtherDelete { path }),
        1 => path().prop_map(|path| Op::OtherMark { path }),
        1 => path().prop_map(|path| Op::OtherUnmark { path }),
    ]
}

/// What this mount may do.
fn own() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => handles(),
        4 => content(),
        2 => attributes(),
        3 => names(),
    ]
}

/// Objects that are there before the mount is, without attributes: paths and sizes.
pub fn objects() -> impl Strategy<Value = Vec<(String, usize)>> {
    prop::collection::vec((first_path(), 1_usize..120), 0..4)
}

const LAST: usize = FROM_LAST;
const BEFORE_LAST: usize = FROM_LAST + 1;

fn at_last(handle: usize) -> String {
    format!("@{handle}")
}

const BOTH: OpenMode = OpenMode {
    read: true,
    write: true,
    truncate: false,
    exclusive: false,
};

fn made(path: String) -> Op {
    Op::Create {
        path,
        mode: BOTH,
        permissions: 0o644,
    }
}

/// What happens to a file while another has bytes of it, or it is being edited.
fn disturbance(path: String) -> impl Strategy<Value = Op> {
    let (from, to, above) = (path.clone(), path.clone(), format!("{path}{ABOVE}"));
    prop_oneof![
        2 => Just(Op::Unlink { path: path.clone() }),
        2 => super::operation::path().prop_map(move |to| {
            Op::Rename { from: from.clone(), to, replace: true }
        }),
        2 => super::operation::path().prop_map(move |from| {
            Op::Rename { from, to: to.clone(), replace: true }
        }),
        1 => (0_u64..20).prop_map(move |len| Op::Truncate { path: path.clone(), len }),
        2 => super::operation::path().prop_map(move |to| {
            Op::Rename { from: above.clone(), to, replace: true }
        }),
    ]
}

/// A file takes bytes from another, which then changes or goes.
fn copied() -> impl Strategy<Value = Vec<Op>> {
    let lens = (1_usize..60, 0_u64..20, 1_u64..60, 0_u64..20);
    let disturbed = disturbance(at_last(BEFORE_LAST));
    (path(), path(), lens, disturbed).prop_map(
        |(from, to, (written, at, len, to_at), disturbance)| {
            let copy = Op::Copy {
                from: BEFORE_LAST,
                at,
                len,
                to: LAST,
                to_at,
            };
            let sync = Op::Sync { handle: LAST };
            let close = Op::Close { handle: LAST };
            vec![
                made(from),
                self::written(written),
                sync,
                made(to),
                copy,
                disturbance,
                close,
            ]
        },
    )
}

fn written(len: usize) -> Op {
    Op::Write {
        handle: LAST,
        at: WriteAt::Offset(0),
        len,
    }
}

/// A file is edited while another client replaces or removes it.
fn edited() -> impl Strategy<Value = Vec<Op>> {
    let others = prop_oneof![
        3 => (1_usize..120).prop_map(|len| Op::OtherPut { path: at_last(LAST), len, mode: None }),
        1 => Just(Op::OtherDelete { path: at_last(LAST) }),
    ];
    let lens = (1_usize..250, 1_usize..150);
    (path(), lens, others).prop_map(|(path, (there, written), other)| {
        let put = Op::OtherPut {
            path: path.clone(),
            len: there,
            mode: None,
        };
        let close = Op::Close { handle: LAST };
        vec![put, made(path), self::written(written), other, close]
    })
}

/// A directory gets attributes, perhaps while a file below it is open, and another client changes
/// or removes its marker.
fn marked() -> impl Strategy<Value = Vec<Op>> {
    let directory = || prop::sample::select(vec!["a", "b", "a-", "a/b"]);
    (directory(), directory(), any::<[bool; 4]>(), change()).prop_map(
        |(at, to, [is_held, is_synced, is_moved, is_removed], change)| {
            let mut path = at.to_owned();
            let permissions = 0o700;
            let mut ops = vec![Op::MakeDirectory {
                path: path.clone(),
                permissions,
            }];
            if is_held {
                let below = format!("{path}/a");
                ops.push(Op::OtherPut {
                    path: below.clone(),
                    len: 1,
                    mode: None,
                });
                ops.push(made(below));
            }
            ops.push(Op::Change {
                path: path.clone(),
                change,
            });
            if is_synced {
                ops.push(Op::SyncAttributes);
            }
            if is_moved {
                ops.push(Op::Rename {
                    from: path,
                    to: to.to_owned(),
                    replace: true,
                });
                path = to.to_owned();
            }
            ops.push(match is_removed {
                true => Op::OtherUnmark { path },
                false => Op::OtherMark { path },
            });
            ops
        },
    )
}

fn flat(parts: impl Strategy<Value = Vec<Op>>) -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(parts, 1..50).prop_map(|parts| parts.concat())
}

fn one(op: impl Strategy<Value = Op>) -> impl Strategy<Value = Vec<Op>> {
    op.prop_map(|op| vec![op])
}

/// A sequence with nobody else in the bucket.
pub fn alone() -> impl Strategy<Value = Vec<Op>> {
    flat(prop_oneof![20 => one(own()), 1 => copied()])
}

/// A sequence in which another client writes too.
pub fn beside_another() -> impl Strategy<Value = Vec<Op>> {
    flat(prop_oneof![
        20 => one(own()),
        5 => one(others()),
        1 => copied(),
        1 => edited(),
        1 => marked(),
    ])
}
