//! From what was typed to what the program runs on: every default and every rule between options,
//! once. The environment is read here.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;

#[cfg(feature = "sim")]
use super::DemoCommand;
use super::fuse_conf;
use super::source::{self, SourceError};
#[cfg(feature = "sim")]
use super::typed::TypedDemo;
use super::typed::{
    Typed, TypedAttributes, TypedBounds, TypedCommand, TypedMount, TypedProbe, TypedShown,
};
use super::{Command, MountCommand, ProbeCommand, RemountCommand, UsageError, store};
use crate::config::{AttributeSource, Bounds, Config, Forced, Ownership, Source};
use crate::limits::MIB;

/// What `memory_limit` is by default.
const MEMORY_LIMIT: u64 = 256 * MIB;
/// The least `memory_limit`: room for a few parts and a few cached blocks.
const MEMORY_LIMIT_MIN: u64 = 64 * MIB;
/// Permission bits taken away by default: others may look, not write.
const UMASK: u16 = 0o022;
/// The variable that has the daemon do as on a kernel that sends no request again.
const WITHOUT_RESEND: &str = "S3FS_WITHOUT_RESEND";

/// What the program was asked to do.
pub(super) fn resolve(typed: Typed) -> Result<Command, UsageError> {
    match typed.command {
        #[cfg(feature = "sim")]
        Some(TypedCommand::Demo(demo)) => Ok(Command::Demo(demo_command(demo)?)),
        Some(TypedCommand::Mount(mount)) => mount_or_remount(*mount),
        Some(TypedCommand::Probe(probe)) => Ok(Command::Probe(Box::new(probe_command(*probe)?))),
        Some(TypedCommand::Upgrade(upgrade)) => Ok(Command::Upgrade {
            mountpoint: absolute(upgrade.mountpoint)?,
        }),
        None => mount_or_remount(typed.mount),
    }
}

fn mount_or_remount(mut typed: TypedMount) -> Result<Command, UsageError> {
    if !typed.remount {
        return Ok(Command::Mount(Box::new(mount_command(typed)?)));
    }
    // Of all else, also of the source, the mount that is there has its own.
    Ok(Command::Remount(RemountCommand {
        kernel_options: kernel_options(typed.kernel_words, &typed.shown),
        mountpoint: mountpoint(&mut typed.operands)?,
        read_only: typed.shown.read_only,
    }))
}

/// Where to mount: the last operand, which is taken away.
fn mountpoint(operands: &mut Vec<OsString>) -> Result<PathBuf, UsageError> {
    absolute(operands.pop().map(PathBuf::from).unwrap_or_default())
}

fn kernel_options(mut words: Vec<String>, shown: &TypedShown) -> Vec<String> {
    if shown.noac {
        // As nfs(5): noac is actimeo=0 with sync.
        words.push("sync".to_owned());
    }
    words
}

#[cfg(feature = "sim")]
fn demo_command(typed: TypedDemo) -> Result<DemoCommand, UsageError> {
    Ok(DemoCommand {
        dir: absolute(typed.dir)?,
        keep: typed.keep.map(absolute).transpose()?,
        log_level: typed.log_level,
    })
}

fn probe_command(typed: TypedProbe) -> Result<ProbeCommand, UsageError> {
    let source = source::parse(&source_text(typed.source)?)?;
    let sources = std::slice::from_ref(&source);
    Ok(ProbeCommand {
        store: store::resolve(typed.store, &TypedBounds::default(), sources)?,
        source,
        log_level: typed.log_level,
    })
}

fn mount_command(typed: TypedMount) -> Result<MountCommand, UsageError> {
    check_is_mount(&typed)?;
    if typed.shown.allow_other {
        fuse_conf::check_allow_other()?;
    }
    let mut operands = typed.operands;
    let mountpoint = mountpoint(&mut operands)?;
    let texts = source_texts(operands, typed.bucket)?;
    let kernel_options = kernel_options(typed.kernel_words, &typed.shown);
    let sources = sources(&texts)?;
    let foreground = typed.foreground || typed.debug;
    let default_level = if typed.debug { "debug" } else { "info" };
    let config = Config {
        shown_source: texts.join("+"),
        mountpoint,
        store: store::resolve(typed.store, &typed.bounds, &sources)?,
        sources,
        ownership: ownership(&typed.shown),
        attributes: match typed.shown.attributes {
            TypedAttributes::Auto => AttributeSource::Auto,
            TypedAttributes::Objects => AttributeSource::Objects,
            TypedAttributes::Listing => AttributeSource::Listing,
        },
        close_to_open: !typed.shown.nocto,
        save_killed: typed.shown.save_killed,
        bounds: bounds(typed.bounds, &typed.shown)?,
        read_only: typed.shown.read_only,
        allow_other: typed.shown.allow_other,
        nonempty: typed.shown.nonempty,
        kernel_options,
        // One in front ends with its mount, and only root may mount a superblock once more.
        share_cache: !typed.shown.nosharecache && !foreground && geteuid().is_root(),
        kernel_resends: env::var_os(WITHOUT_RESEND).is_none(),
    };
    Ok(MountCommand {
        config,
        ignored: typed.ignored,
        foreground,
        log_level: typed.log_level.unwrap_or_else(|| default_level.to_owned()),
        may_be_there: false,
    })
}

/// What s3fs-fuse does beside mounting is left to others.
fn check_is_mount(typed: &TypedMount) -> Result<(), UsageError> {
    let option = match (typed.incomplete_mpu_list, &typed.incomplete_mpu_abort) {
        (true, _) => "--incomplete-mpu-list",
        (false, Some(_)) => "--incomplete-mpu-abort",
        (false, None) => return Ok(()),
    };
    Err(UsageError::Value {
        option,
        reason: "a lifecycle rule with AbortIncompleteMultipartUpload removes what a killed daemon \
                 leaves; aws s3api list-multipart-uploads --bucket NAME lists it",
    })
}

/// The sources as typed: operands, or s3fs-fuse's option in their place.
fn source_texts(
    operands: Vec<OsString>,
    bucket: Option<String>,
) -> Result<Vec<String>, UsageError> {
    match (operands.is_empty(), bucket) {
        (false, None) => Ok(operands
            .into_iter()
            .map(source_text)
            .collect::<Result<_, _>>()?),
        (true, Some(bucket)) => Ok(vec![bucket]),
        (false, Some(_)) => Err(UsageError::Value {
            option: "bucket",
            reason: "the source is given in front of the mount point, too; leave one of them out",
        }),
        (true, None) => Err(UsageError::NoSource),
    }
}

fn source_text(operand: OsString) -> Result<String, SourceError> {
    operand.into_string().map_err(|raw| SourceError::NotUtf8 {
        source_text: raw.to_string_lossy().into_owned(),
    })
}

/// The sources; where there are several, their names are directories and must differ.
fn sources(texts: &[String]) -> Result<Vec<Source>, UsageError> {
    let sources = texts
        .iter()
        .map(|text| source::parse(text))
        .collect::<Result<Vec<_>, _>>()?;
    for (at, source) in sources.iter().enumerate() {
        if let Some(earlier) = sources[..at]
            .iter()
            .position(|other| other.name == source.name)
        {
            return Err(UsageError::SameName {
                name: source.name.clone(),
                first: texts[earlier].clone(),
                second: texts[at].clone(),
            });
        }
    }
    Ok(sources)
}

/// The path as the daemon, whose directory is `/`, can use it.
pub(super) fn absolute(path: PathBuf) -> Result<PathBuf, UsageError> {
    std::path::absolute(&path).map_err(|source| UsageError::Path { path, source })
}

/// Owner and modes that nobody asked to be otherwise.
pub(super) fn default_ownership(umask: Option<u16>) -> Ownership {
    let umask = umask.unwrap_or(UMASK);
    Ownership {
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
        file_mode: 0o666 & !umask,
        dir_mode: 0o777 & !umask,
        root_mode: None,
        forced: Forced::default(),
    }
}

fn ownership(typed: &TypedShown) -> Ownership {
    let default = default_ownership(typed.default_umask);
    Ownership {
        uid: typed.default_uid.unwrap_or(default.uid),
        gid: typed.default_gid.unwrap_or(default.gid),
        file_mode: typed.file_mode.unwrap_or(default.file_mode),
        dir_mode: typed.dir_mode.unwrap_or(default.dir_mode),
        root_mode: typed.mp_umask.map(|umask| 0o777 & !umask),
        forced: Forced {
            uid: typed.uid,
            gid: typed.gid,
            mode: typed.umask.map(|umask| 0o777 & !umask),
        },
    }
}

fn bounds(typed: TypedBounds, shown: &TypedShown) -> Result<Bounds, UsageError> {
    let default = Bounds::default();
    let memory = typed.memory_limit.unwrap_or(MEMORY_LIMIT);
    if memory < MEMORY_LIMIT_MIN {
        return Err(UsageError::Value {
            option: "memory_limit",
            reason: "give at least 64M",
        });
    }
    for (option, count) in [
        ("parallel_count", typed.parallel_count),
        ("multireq_max", typed.multireq_max),
    ] {
        if count == Some(0) {
            let reason = "give at least 1";
            return Err(UsageError::Value { option, reason });
        }
    }
    let staging_dir = match typed.staging_dir {
        Some(dir) => absolute(dir)?,
        None => staging_dir(&default.staging_dir),
    };
    let disk = typed.staging_disk.unwrap_or(default.staging_disk_bytes_max);
    let uploads = typed
        .parallel_count
        .map_or(default.upload_requests_max, usize::from);
    // Three eighths each for what is read and what is written; the rest is for requests under way,
    // the runtime and the program itself. The default limit yields the default bounds.
    let share = memory / 8 * 3;
    Ok(Bounds {
        cache_bytes_max: share,
        readahead_bytes_max: share / 3,
        staging_memory_bytes_max: share,
        staging_disk_bytes_max: match typed.ensure_diskfree {
            Some(mib) => disk.min(room(&staging_dir, u64::from(mib) * MIB)?),
            None => disk,
        },
        staging_dir,
        upload_requests_max: uploads,
        // A copy keeps the store busy and this machine idle, so twice as many.
        copy_requests_max: 2 * uploads,
        attr_ttl: match shown.noac {
            true => Duration::ZERO,
            false => shown.attr_ttl.unwrap_or(default.attr_ttl),
        },
        head_requests_max: typed
            .multireq_max
            .map_or(default.head_requests_max, usize::from),
        shown_bytes: shown.bucket_size.unwrap_or(default.shown_bytes),
        ..default
    })
}

/// The bytes that can be written to `dir` until no more than `kept` are free.
fn room(dir: &Path, kept: u64) -> Result<u64, UsageError> {
    let about = nix::sys::statvfs::statvfs(dir).map_err(|errno| UsageError::Path {
        path: dir.to_owned(),
        source: errno.into(),
    })?;
    let free = about.blocks_available() * about.fragment_size();
    match free.saturating_sub(kept) {
        0 => Err(UsageError::Value {
            option: "ensure_diskfree",
            reason: "no more than that is free in staging_dir; give less, or name another \
                     staging_dir=DIR",
        }),
        room => Ok(room),
    }
}

fn staging_dir(default: &Path) -> PathBuf {
    match env::var_os("TMPDIR") {
        Some(dir) if Path::new(&dir).is_absolute() => PathBuf::from(dir),
        _ => default.to_owned(),
    }
}
