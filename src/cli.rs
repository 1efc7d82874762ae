//! Arguments, `-o` options and going to the background; the only reader of the environment.
//!
//! In two stages: `Typed` is exactly what was typed, with the words of `-o` translated to the
//! flags they stand for; `resolve` makes of it, once, what the program runs on.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;

use crate::config::{Config, Source, StoreConfig};
use crate::mount::Unmount;
use crate::object::BucketName;

mod background;
mod called;
mod config_file;
mod credentials;
#[cfg(feature = "sim")]
mod demo;
mod fuse_conf;
mod inherit;
mod key_file;
mod passwd_file;
mod probe;
mod resolve;
mod run;
mod secret_file;
mod service;
mod source;
mod store;
mod supervise;
#[cfg(test)]
mod tests;
mod typed;
mod upgrade;
mod values;
mod words;

pub use called::{ResumeCommand, SuperviseCommand};
pub use config_file::ConfigFileError;
pub use key_file::KeyFileError;
pub use passwd_file::PasswdFileError;
pub use run::main;
pub use secret_file::SecretFileError;
pub use source::SourceError;
pub use words::WordError;

use called::{Called, TypedByMount, TypedByUmount};
use config_file::Configured;
use typed::{Typed, TypedCommand};

/// What the program was asked to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Mount.
    Mount(Box<MountCommand>),
    /// Change a mount.
    Remount(RemountCommand),
    /// Unmount, and wait until everything is in the store.
    Unmount(UnmountCommand),
    /// Have the daemon of a mount go on in this program.
    Upgrade {
        /// Where it is mounted.
        mountpoint: PathBuf,
    },
    /// Go on with a mount that another process has served.
    Resume(ResumeCommand),
    /// Go on with a daemon that another process has supervised.
    Supervise(SuperviseCommand),
    /// Nothing: it was only to be seen whether the options make sense.
    Nothing,
    /// Try what a store does.
    Probe(Box<ProbeCommand>),
    /// Mount buckets that a service inside the program makes up.
    #[cfg(feature = "sim")]
    Demo(DemoCommand),
}

/// A mount, as asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MountCommand {
    /// What to mount, where and how.
    pub config: Config,
    /// What the log has to say of options that nothing is done about.
    pub ignored: Vec<String>,
    /// Stay in front instead of going to the background.
    pub foreground: bool,
    /// Which lines to log: a level or a filter.
    pub log_level: String,
    /// Whether a mount of the same source that is there already is all that was asked for, as
    /// `mount -a` does.
    pub may_be_there: bool,
}

/// A change of a mount, as asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemountCommand {
    /// Where it is mounted.
    pub mountpoint: PathBuf,
    /// Whether to refuse changes from now on.
    pub read_only: bool,
    /// Words of mount(8) that the kernel acts on, in the order given.
    pub kernel_options: Vec<String>,
}

/// An unmount, as asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnmountCommand {
    /// Where it is mounted.
    pub mountpoint: PathBuf,
    /// How.
    pub how: Unmount,
}

/// A probe, as asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeCommand {
    /// The bucket, and the prefix below which to try.
    pub source: Source,
    /// How to reach it.
    pub store: StoreConfig,
    /// Which lines to log: a level or a filter.
    pub log_level: String,
}

/// A demo, as asked for.
#[cfg(feature = "sim")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DemoCommand {
    /// Where to mount.
    pub dir: PathBuf,
    /// Where the buckets are kept; in memory when `None`.
    pub keep: Option<PathBuf>,
    /// Which lines to log: a level or a filter.
    pub log_level: String,
}

/// Why the command line makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The form of the arguments; also a request for help or the version.
    #[error(transparent)]
    Form(#[from] clap::Error),
    /// A word of `-o`.
    #[error(transparent)]
    Word(#[from] WordError),
    /// A source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Sources that would have one name.
    #[error(
        "{first} and {second} would both be shown as the directory \"{name}\"; mount one of them \
         on its own, or a prefix of it with another last name"
    )]
    SameName {
        /// The name.
        name: String,
        /// A source, as typed.
        first: String,
        /// Another.
        second: String,
    },
    /// The value of an option.
    #[error("{option}: {reason}")]
    Value {
        /// The option.
        option: &'static str,
        /// What is wrong and what to do.
        reason: &'static str,
    },
    /// An option of a bucket that is not mounted.
    #[error("{option}: bucket \"{bucket}\" is no source of this mount")]
    NotMounted {
        /// The option.
        option: &'static str,
        /// The bucket it names.
        bucket: BucketName,
    },
    /// There is nothing to mount.
    #[error("no source: write s3fs SOURCE... MNT, or name it with -o bucket=BUCKET[:/PREFIX]")]
    NoSource,
    /// Two options about whose credentials to use.
    #[error("{first} and {second}: both say where credentials come from; leave one of them out")]
    TwoCredentials {
        /// An option.
        first: &'static str,
        /// Another.
        second: &'static str,
    },
    /// The file of a key.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// A file of credentials.
    #[error(transparent)]
    PasswdFile(#[from] PasswdFileError),
    /// Another file with a secret.
    #[error(transparent)]
    SecretFile(#[from] SecretFileError),
    /// The configuration file.
    #[error(transparent)]
    ConfigFile(#[from] ConfigFileError),
    /// The current directory is needed for a relative path and cannot be told.
    #[error("{}: {source}", path.display())]
    Path {
        /// The relative path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Understands the command line.
///
/// # Errors
/// [`UsageError`]; it names the option and says what to do.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let args: Vec<OsString> = args.into_iter().collect();
    match Called::of(args.first()) {
        Called::S3fs => understand(&args, words::Unknown::Refused),
        Called::Mount => {
            let typed = TypedByMount::try_parse_from(&args)?;
            let unknown = match typed.sloppy {
                true => words::Unknown::Ignored,
                false => words::Unknown::Refused,
            };
            match understand(&typed.arguments(), unknown)? {
                _ if typed.fake => Ok(Command::Nothing),
                Command::Mount(mut mount) => {
                    mount.may_be_there = true;
                    Ok(Command::Mount(mount))
                }
                command => Ok(command),
            }
        }
        Called::Resume => Ok(Command::Resume(ResumeCommand::try_parse_from(&args)?)),
        Called::Supervise => Ok(Command::Supervise(SuperviseCommand::try_parse_from(&args)?)),
        Called::Umount => {
            let typed = TypedByUmount::try_parse_from(&args)?;
            Ok(Command::Unmount(UnmountCommand {
                mountpoint: resolve::absolute(typed.dir)?,
                how: Unmount {
                    lazy: typed.lazy,
                    force: typed.force,
                    read_only: typed.read_only,
                },
            }))
        }
    }
}

fn understand(args: &[OsString], unknown: words::Unknown) -> Result<Command, UsageError> {
    let typed = Typed::try_parse_from(args)?;
    let configured = match words::is_remount(given_words(&typed)) {
        // It says nothing of what can be changed.
        true => Configured::default(),
        false => configured(&typed)?,
    };
    let mut layers = configured.layers;
    layers.push(given_words(&typed).to_vec());
    let translated = words::translate(&layers, unknown)?;
    // In front of what was typed as flags, so that these win.
    let first = 1 + usize::from(typed.command.is_some());
    let (head, tail) = args.split_at(first.min(args.len()));
    let all = head
        .iter()
        .cloned()
        .chain(translated.flags())
        .chain(tail.iter().cloned());
    let mut typed = match Typed::try_parse_from(all) {
        Ok(typed) => typed,
        Err(error) => return Err(translated.blame(error)?.into()),
    };
    let mount = match &mut typed.command {
        Some(TypedCommand::Mount(mount)) => &mut **mount,
        Some(TypedCommand::Probe(probe)) => {
            probe.store.configured_credentials = configured.credentials;
            return resolve::resolve(typed);
        }
        _ => &mut typed.mount,
    };
    mount.store.configured_credentials = configured.credentials;
    mount.kernel_words = translated.kernel_words;
    mount.remount = translated.remount;
    mount.ignored = translated.ignored.iter().map(ToString::to_string).collect();
    resolve::resolve(typed)
}

/// The lists of words that were typed.
fn given_words(typed: &Typed) -> &[String] {
    match &typed.command {
        Some(TypedCommand::Mount(mount)) => &mount.words,
        Some(TypedCommand::Probe(probe)) => &probe.words,
        _ => &typed.mount.words,
    }
}

/// What configuration files say of what was typed.
fn configured(typed: &Typed) -> Result<Configured, ConfigFileError> {
    let words = given_words(typed);
    let (store, operands) = match &typed.command {
        Some(TypedCommand::Mount(mount)) => (&mount.store, &mount.operands[..]),
        Some(TypedCommand::Probe(probe)) => (&probe.store, std::slice::from_ref(&probe.source)),
        #[cfg(feature = "sim")]
        Some(TypedCommand::Demo(_)) => return Ok(Configured::default()),
        Some(TypedCommand::Upgrade(_)) => return Ok(Configured::default()),
        None => (&typed.mount.store, &typed.mount.operands[..]),
    };
    // The mount point, which is the last operand, names no bucket.
    let sources = match &typed.command {
        Some(TypedCommand::Probe(_)) => operands,
        _ => operands
            .split_last()
            .map_or(operands, |(_, sources)| sources),
    };
    let named = sources.iter().filter_map(|source| source.to_str());
    let named = named.map(str::to_owned);
    let by_word = words::last_value(words, "--bucket");
    // What is no source is told of where it is resolved.
    let buckets: Vec<String> = named
        .chain(by_word)
        .filter_map(|text| source::parse(&text).ok())
        .map(|source| source.bucket.as_str().to_owned())
        .collect();
    let endpoint = store.endpoint_url.clone();
    let endpoint = endpoint.or_else(|| words::last_value(words, "--endpoint-url"));
    let file = words::last_value(words, "config").map(PathBuf::from);
    config_file::of_mount(file.as_deref(), &buckets, endpoint)
}
