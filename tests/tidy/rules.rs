//! The house rules as tables: who may import whom, which crate lives where, which words and calls
//! are banned, and the few exceptions with their reasons.

/// A rule, for exceptions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    Imports,
    Crates,
    Opening,
    Text,
    FileSize,
    Functions,
    Words,
    Calls,
    Unsafe,
}

/// Something that breaks a rule and may.
pub struct Exception {
    pub rule: Rule,
    /// The file, from the root.
    pub file: &'static str,
    /// Part of the report that is excused.
    pub what: &'static str,
    pub reason: &'static str,
}

pub const EXCEPTIONS: &[Exception] = &[
    Exception {
        rule: Rule::Words,
        file: "src/mount/kernel.rs",
        what: "helper",
        reason: "mount(8)'s own word for a program such as fusermount3",
    },
    Exception {
        rule: Rule::Words,
        file: "src/store/s3/get.rs",
        what: "get_object",
        reason: "the S3 API's name of the operation",
    },
    Exception {
        rule: Rule::FileSize,
        file: "src/fuse.rs",
        what: "825 lines",
        reason: "one impl of fuser's trait, which cannot be spread over files",
    },
];

/// What a module may import beside itself and its submodules.
pub struct Row {
    pub module: &'static str,
    pub may_import: &'static [&'static str],
}

const fn row(module: &'static str, may_import: &'static [&'static str]) -> Row {
    Row { module, may_import }
}

/// Lowest first; a row may import only rows above it here.
pub const IMPORTS: &[Row] = &[
    row("interrupt", &[]),
    row("range", &[]),
    row("lock", &[]),
    row("attributes", &[]),
    row("limits", &[]),
    row("object", &["range"]),
    row("extent", &["range", "object"]),
    row("plan", &["range", "object", "limits", "extent"]),
    row("config", &["limits", "object"]),
    row("store", &["interrupt", "range", "limits", "object"]),
    row("store::dialect", &["limits", "config", "store"]),
    row(
        "store::probe",
        &["limits", "config", "store", "store::dialect"],
    ),
    row(
        "store::s3",
        &[
            "interrupt",
            "range",
            "limits",
            "object",
            "config",
            "store",
            "store::dialect",
            "store::probe",
        ],
    ),
    row("journal", &["range", "lock"]),
    row("staging", &["range", "limits", "lock", "journal"]),
    row("readahead", &["range", "limits"]),
    row(
        "cache",
        &["interrupt", "range", "limits", "lock", "object", "store"],
    ),
    row(
        "commit",
        &[
            "interrupt",
            "range",
            "limits",
            "lock",
            "object",
            "extent",
            "plan",
            "store",
            "journal",
            "staging",
        ],
    ),
    row(
        "file",
        &[
            "interrupt",
            "range",
            "attributes",
            "limits",
            "lock",
            "object",
            "extent",
            "plan",
            "config",
            "store",
            "journal",
            "staging",
            "readahead",
            "cache",
            "commit",
        ],
    ),
    row("namespace", &["attributes", "object", "config", "store"]),
    row(
        "fs",
        &[
            "interrupt",
            "range",
            "attributes",
            "limits",
            "lock",
            "object",
            "config",
            "store",
            "journal",
            "staging",
            "readahead",
            "cache",
            "commit",
            "file",
            "namespace",
        ],
    ),
    row(
        "fuse",
        &[
            "interrupt",
            "range",
            "lock",
            "attributes",
            "plan",
            "store",
            "journal",
            "staging",
            "file",
            "fs",
        ],
    ),
    row("telemetry", &["fuse"]),
    row(
        "mount",
        &[
            "interrupt",
            "limits",
            "object",
            "config",
            "store",
            "store::dialect",
            "store::s3",
            "staging",
            "cache",
            "file",
            "fs",
            "journal",
            "fuse",
            "telemetry",
        ],
    ),
    row("sim", &["range", "limits", "object", "store"]),
    row(
        "cli",
        &[
            "limits",
            "object",
            "config",
            "store::dialect",
            "store::probe",
            "store::s3",
            "mount",
            "telemetry",
            "sim",
        ],
    ),
    row("main", &["cli"]),
];

/// The row of a module: its own, or that of the nearest module around it.
pub fn row_of(module: &str) -> Option<&'static Row> {
    IMPORTS
        .iter()
        .filter(|row| is_within(module, row.module))
        .max_by_key(|row| row.module.len())
}

/// The row's module that a path such as `store::s3::client::Client` leads into.
pub fn module_of_path(path: &str) -> &str {
    row_of(path).map_or(path, |row| row.module)
}

/// Whether `module` is `outer` or inside it.
pub fn is_within(module: &str, outer: &str) -> bool {
    module
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// A path that only these modules may name.
pub struct Room {
    pub path: &'static str,
    pub modules: &'static [&'static str],
}

pub const ROOMS: &[Room] = &[
    Room {
        path: "fuser::",
        modules: &["fuse", "mount"],
    },
    Room {
        path: "aws_config::",
        modules: &["store::s3"],
    },
    Room {
        path: "aws_sdk_s3::",
        modules: &["store::s3"],
    },
    Room {
        path: "aws_smithy_http_client::",
        modules: &["store::s3"],
    },
    Room {
        path: "aws_smithy_runtime_api::",
        modules: &["store::s3"],
    },
    Room {
        path: "aws_smithy_types::",
        modules: &["store::s3"],
    },
    Room {
        path: "rustls::",
        modules: &["store::s3"],
    },
    Room {
        path: "s3s::",
        modules: &["sim"],
    },
    Room {
        path: "hyper::",
        modules: &["sim"],
    },
    Room {
        path: "hyper_util::",
        modules: &["sim"],
    },
    Room {
        path: "clap::",
        modules: &["cli"],
    },
    Room {
        path: "toml::",
        modules: &["cli"],
    },
    Room {
        path: "anyhow::",
        modules: &["cli", "main"],
    },
    Room {
        path: "std::env::",
        modules: &["cli"],
    },
    Room {
        path: "env::var",
        modules: &["cli"],
    },
    Room {
        path: "env::args",
        modules: &["cli"],
    },
    Room {
        path: "env_logger::",
        modules: &["telemetry"],
    },
    Room {
        path: "syslog::",
        modules: &["telemetry"],
    },
    Room {
        path: "systemd_journal_logger::",
        modules: &["telemetry"],
    },
    Room {
        path: "libc::",
        modules: &["fuse", "mount", "cli", "staging"],
    },
    Room {
        path: "nix::",
        modules: &["fuse", "mount", "cli", "journal", "staging", "telemetry"],
    },
    Room {
        path: "memmap2::",
        modules: &["staging"],
    },
    Room {
        path: "tempfile::",
        modules: &["staging", "file", "cli"],
    },
    Room {
        path: "md5::",
        modules: &["store::grown", "store::s3", "namespace::number", "sim"],
    },
];

/// The pure core: decides, waits for nothing.
pub const PURE: &[&str] = &[
    "range",
    "limits",
    "object",
    "extent",
    "plan",
    "readahead",
    "config",
];

pub const BANNED_IN_PURE: &[&str] = &[
    "async fn",
    ".await",
    "tokio::",
    "futures_util::",
    "std::fs",
    "std::io",
    "std::net",
    "SystemTime",
    "Instant::",
    "log::",
    "Mutex",
    "std::thread",
];

pub const BANNED_MODULES: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "misc", "types", "prelude",
];

pub fn is_banned_word(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "manager", "helper", "handler", "context", "chunk", "segment", "piece", "data", "info",
    ];
    WORDS
        .iter()
        .any(|banned| word == *banned || word.strip_suffix('s') == Some(banned))
}

/// A call that only these modules may make.
pub struct Call {
    pub text: &'static str,
    pub except: &'static [&'static str],
}

pub const BANNED_CALLS: &[Call] = &[
    Call {
        text: ".unwrap()",
        except: &[],
    },
    Call {
        text: ".unwrap_err()",
        except: &[],
    },
    Call {
        text: "todo!",
        except: &[],
    },
    Call {
        text: "unimplemented!",
        except: &[],
    },
    Call {
        text: "dbg!",
        except: &[],
    },
    Call {
        text: "print!",
        except: &["cli"],
    },
    Call {
        text: "println!",
        except: &["cli"],
    },
    Call {
        text: "eprint!",
        except: &["cli", "main"],
    },
    Call {
        text: "eprintln!",
        except: &["cli", "main"],
    },
    Call {
        text: "thread::sleep",
        // It has no runtime, and nothing else to do.
        except: &["cli::supervise"],
    },
    Call {
        text: "process::exit",
        except: &["cli", "main"],
    },
    Call {
        text: "block_on(",
        except: &["mount", "cli", "main", "sim"],
    },
    // Queues have bounds.
    Call {
        text: "unbounded_channel",
        except: &[],
    },
    Call {
        text: "mpsc::channel::<",
        except: &[],
    },
    // State that a panic leaves in between ends the process.
    Call {
        text: "PoisonError",
        except: &["lock", "store", "sim"],
    },
    Call {
        text: "static mut",
        except: &[],
    },
    Call {
        text: "transmute",
        except: &[],
    },
];
