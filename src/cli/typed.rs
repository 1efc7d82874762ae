//! The command line exactly as it was typed. Knows no default that has to be computed and no
//! meaning of a value beyond its form.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

use super::values::{
    OfBucket, encryption, file_of_bucket, octal, owner_of_bucket, provider_names, seconds, size,
    storage_class, tags,
};
use crate::config::{CANNED_ACLS, Encryption, StaticCredentials};

/// The command line.
#[derive(Parser, Debug)]
#[command(
    name = "s3fs",
    version,
    about = "Mounts S3 buckets as a filesystem in which copying is done by the store",
    override_usage = "s3fs [mount] SOURCE... MNT [-o WORD[=VALUE],...] [OPTIONS]\n       \
                      s3fs upgrade MNT\n       \
                      s3fs probe s3://BUCKET[/PREFIX] [-o WORD[=VALUE],...]\n       \
                      s3fs demo [DIR]",
    after_help = super::words::HELP,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    args_override_self = true
)]
pub(super) struct Typed {
    /// One of the commands, where it was named.
    #[command(subcommand)]
    pub(super) command: Option<TypedCommand>,
    /// Else: a mount.
    #[command(flatten)]
    pub(super) mount: TypedMount,
}

/// A command.
#[derive(Subcommand, Debug)]
pub(super) enum TypedCommand {
    /// Mount buckets (the default command)
    #[command(
        args_override_self = true,
        override_usage = "s3fs mount SOURCE... MNT [-o WORD[=VALUE],...] [OPTIONS]"
    )]
    Mount(Box<TypedMount>),
    /// Have a mount go on in this program, as after an update, with everything that is open
    Upgrade(TypedUpgrade),
    /// Try what an S3 service does against what its provider's rules claim, and print both
    #[command(
        args_override_self = true,
        override_usage = "s3fs probe s3://BUCKET[/PREFIX] [-o WORD[=VALUE],...] [OPTIONS]"
    )]
    Probe(Box<TypedProbe>),
    /// Mount buckets made up by an S3 service inside the program, to try it out
    #[cfg(feature = "sim")]
    Demo(TypedDemo),
}

/// The arguments of a mount.
#[derive(Args, Debug)]
pub(super) struct TypedMount {
    /// What to mount: s3://BUCKET[/PREFIX] or BUCKET[:/PREFIX]; several become the top-level
    /// directories of one mount. And last: where
    #[arg(value_names = ["SOURCE", "MNT"], num_args = 1.., required = true)]
    pub(super) operands: Vec<OsString>,

    /// Options as fstab writes them, separated by commas; see below
    #[arg(short = 'o', value_name = "WORD[=VALUE],...", action = clap::ArgAction::Append)]
    pub(super) words: Vec<String>,

    /// What to mount, where it is not an operand
    #[arg(long, value_name = "SOURCE", hide = true)]
    pub(super) bucket: Option<String>,

    /// Stay in front and log to stderr
    #[arg(short, long)]
    pub(super) foreground: bool,

    /// Stay in front and log every request
    #[arg(short, long)]
    pub(super) debug: bool,

    /// What to log: error, warn, info, debug, trace, or a list like info,s3fs::store=debug
    /// [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub(super) log_level: Option<String>,

    #[command(flatten)]
    pub(super) store: TypedStore,

    #[command(flatten)]
    pub(super) shown: TypedShown,

    #[command(flatten)]
    pub(super) bounds: TypedBounds,

    /// One thread, as libfuse has it: requests never wait for each other here
    #[arg(short = 's', hide = true)]
    pub(super) single_threaded: bool,

    /// List unfinished uploads, as s3fs-fuse does: refused
    #[arg(short = 'u', long, hide = true)]
    pub(super) incomplete_mpu_list: bool,

    /// Abort unfinished uploads, as s3fs-fuse does: refused
    #[arg(long, hide = true, value_name = "AGE", num_args = 0..=1, require_equals = true)]
    pub(super) incomplete_mpu_abort: Option<Option<String>>,

    /// Words that the kernel acts on; they exist only within -o.
    #[arg(skip)]
    pub(super) kernel_words: Vec<String>,

    /// Whether -o has `remount`.
    #[arg(skip)]
    pub(super) remount: bool,

    /// What the log has to say of words that nothing is done about.
    #[arg(skip)]
    pub(super) ignored: Vec<String>,
}

/// How to reach the store.
#[derive(Args, Debug)]
#[command(next_help_heading = "Store")]
pub(super) struct TypedStore {
    /// The endpoint of the S3 service, for any but AWS
    #[arg(long, value_name = "URL", visible_alias = "url")]
    pub(super) endpoint_url: Option<String>,

    /// What follows the host in it
    #[arg(long, value_name = "PATH", hide = true)]
    pub(super) service_path: Option<String>,

    /// Whose rules the service keeps: the limits it has, and what need not be verified by further
    /// requests [default: aws without --endpoint-url, express for buckets named so; other with it]
    #[arg(long, value_name = "NAME", value_parser = provider_names())]
    pub(super) provider: Option<String>,

    /// Put the bucket into the path instead of the host name, whatever the provider says; those
    /// that run on one's own machines have it there anyway
    #[arg(long, visible_alias = "use-path-request-style")]
    pub(super) path_style: bool,

    /// The region; from the AWS configuration by default
    #[arg(long, value_name = "NAME")]
    pub(super) region: Option<String>,

    /// The profile of the AWS configuration files
    #[arg(long, value_name = "NAME")]
    pub(super) profile: Option<String>,

    /// A file of credentials, as s3fs-fuse has them: lines of ACCESS:SECRET or
    /// BUCKET:ACCESS:SECRET, that only the owner may read
    #[arg(long, value_name = "FILE")]
    pub(super) passwd_file: Option<PathBuf>,

    /// Take the credentials from the metadata of this instance of AWS alone: those of the role that
    /// is there (auto), or of the one named
    #[arg(long, value_name = "NAME")]
    pub(super) iam_role: Option<String>,

    /// Take the credentials from this container of AWS alone
    #[arg(long)]
    pub(super) ecs: bool,

    /// A file of certificates in PEM to believe instead of the system's [default: AWS_CA_BUNDLE]
    #[arg(long, value_name = "FILE")]
    pub(super) ca_bundle: Option<PathBuf>,

    /// The proxy to the store [default: that of HTTPS_PROXY and the like]
    #[arg(long, value_name = "URL")]
    pub(super) proxy: Option<String>,

    /// A file of USER:PASSPHRASE for the proxy, both as in a URL, that only the owner may read
    #[arg(long, value_name = "FILE", requires = "proxy")]
    pub(super) proxy_cred_file: Option<PathBuf>,

    /// How often a request that failed is sent again, at most [default: 7]
    #[arg(long, value_name = "COUNT")]
    pub(super) retries: Option<u16>,

    /// Until a connection stands [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) connect_timeout: Option<std::time::Duration>,

    /// Without a byte moving, and until an answer begins [default: 30, and 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) readwrite_timeout: Option<std::time::Duration>,

    /// The credentials that the configuration file has.
    #[arg(skip)]
    pub(super) configured_credentials: Option<StaticCredentials>,

    /// Use AWS's endpoints that are reached by IPv6 too
    #[arg(long)]
    pub(super) dual_stack: bool,

    /// Use AWS's endpoints whose cryptography is validated by FIPS 140
    #[arg(long)]
    pub(super) fips: bool,

    /// Use AWS's endpoints near the client (Transfer Acceleration), for buckets that have it on
    #[arg(long, conflicts_with_all = ["fips", "path_style"])]
    pub(super) accelerate: bool,

    /// Pay for requests and transfer, for buckets whose owner does not
    #[arg(long)]
    pub(super) requester_pays: bool,

    /// The account that owns the buckets, or one of them; the store then refuses requests to a
    /// bucket that is another's by now [default: not checked]
    #[arg(long, value_name = "[BUCKET:]ACCOUNT", value_parser = owner_of_bucket)]
    pub(super) expected_bucket_owner: Vec<OfBucket<String>>,

    /// What the store encrypts by: s3 (keys of the store), kms (the account's key of the key
    /// service) or kms:KEYID [default: as the bucket's own settings say]
    #[arg(long, value_name = "KEYS", value_parser = encryption)]
    pub(super) sse: Option<Encryption>,

    /// A file with a key of one's own (SSE-C) for all sources, or for one bucket: 32 bytes, as they
    /// are or in base64, that only the owner may read. What has another key or none cannot be read
    #[arg(long, value_name = "[BUCKET:]FILE", value_parser = file_of_bucket)]
    pub(super) sse_c_key: Vec<OfBucket<String>>,

    /// Storage class of new files [default: the bucket's]
    #[arg(long, value_name = "CLASS", value_parser = storage_class)]
    pub(super) storage_class: Option<String>,

    /// Canned ACL of what is written [default: the store's, on AWS private]
    #[arg(long, value_name = "CANNED", value_parser = PossibleValuesParser::new(CANNED_ACLS))]
    pub(super) acl: Option<String>,

    /// Tags of new objects, as a URL's query, at most 10; for stores that keep tags
    #[arg(long, value_name = "NAME=VALUE&...", value_parser = tags)]
    pub(super) tags: Option<BTreeMap<String, String>>,

    /// Send unsigned requests, for public buckets
    #[arg(long)]
    pub(super) no_sign_request: bool,
}

/// Where attributes of listed objects come from.
#[derive(Clone, Copy, clap::ValueEnum, Debug)]
pub(super) enum TypedAttributes {
    /// The objects, where there is a sign that a filesystem wrote there; else the listing
    Auto,
    /// The objects: one HEAD request each
    Objects,
    /// The listing alone: what is stored with the objects is not shown
    Listing,
}

/// How the mount shows itself.
#[derive(Args, Debug)]
#[command(next_help_heading = "Mount")]
pub(super) struct TypedShown {
    /// Refuse every change
    #[arg(long, overrides_with = "read_write")]
    pub(super) read_only: bool,

    /// Allow changes
    #[arg(long, hide = true, overrides_with = "read_only")]
    pub(super) read_write: bool,

    /// Let other users in (without root: needs user_allow_other in /etc/fuse.conf)
    #[arg(long)]
    pub(super) allow_other: bool,

    /// Mount over a directory that has entries
    #[arg(long)]
    pub(super) nonempty: bool,

    /// Owner that every file shows, whatever is stored
    #[arg(long, value_name = "UID")]
    pub(super) uid: Option<u32>,

    /// Group that every file shows, whatever is stored
    #[arg(long, value_name = "GID")]
    pub(super) gid: Option<u32>,

    /// Permission bits taken from every file and directory (of 777), whatever is stored
    #[arg(long, value_name = "OCTAL", value_parser = octal)]
    #[arg(conflicts_with_all = ["default_umask", "file_mode", "dir_mode"])]
    pub(super) umask: Option<u16>,

    /// Owner of what has none stored [default: the user who mounts]
    #[arg(long, value_name = "UID", conflicts_with = "uid")]
    pub(super) default_uid: Option<u32>,

    /// Group of what has none stored [default: the group who mounts]
    #[arg(long, value_name = "GID", conflicts_with = "gid")]
    pub(super) default_gid: Option<u32>,

    /// Permission bits taken from files (of 666) and directories (of 777) that have none stored
    /// [default: 022]
    #[arg(long, value_name = "OCTAL", value_parser = octal)]
    pub(super) default_umask: Option<u16>,

    /// Permission bits taken from the top directory (of 777) [default: those of directories]
    #[arg(long, value_name = "OCTAL", value_parser = octal)]
    pub(super) mp_umask: Option<u16>,

    /// Permission bits of files that have none stored [default: from the umask]
    #[arg(long, value_name = "OCTAL", value_parser = octal)]
    pub(super) file_mode: Option<u16>,

    /// Permission bits of directories that have none stored [default: from the umask]
    #[arg(long, value_name = "OCTAL", value_parser = octal)]
    pub(super) dir_mode: Option<u16>,

    /// Size of the filesystem, for df(1) [default: 1 EiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) bucket_size: Option<u64>,

    /// How long attributes, names and listings are trusted [default: 1]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, visible_alias = "actimeo")]
    pub(super) attr_ttl: Option<std::time::Duration>,

    /// Trust nothing for any time, and store every write before it returns
    #[arg(long)]
    pub(super) noac: bool,

    /// Ask at every open whether the object was replaced (the default)
    #[arg(long, overrides_with = "nocto")]
    pub(super) cto: bool,

    /// Believe at an open what is known for less than the trust time: a request less
    #[arg(long, overrides_with = "cto")]
    pub(super) nocto: bool,

    /// Publish nothing of what a process has written that a signal kills: keep the old object, and
    /// the bytes in the staging directory
    #[arg(long)]
    pub(super) save_killed: bool,

    /// Share a daemon with mounts that have the same options, so that copies between them are the
    /// store's work (the default, for root and in the background)
    #[arg(long, overrides_with = "nosharecache")]
    pub(super) sharecache: bool,

    /// Have a daemon of its own
    #[arg(long, overrides_with = "sharecache")]
    pub(super) nosharecache: bool,

    /// Where owners, modes and times of listed objects come from: a listing tells none that were
    /// stored with them
    #[arg(long, value_name = "FROM", default_value = "auto")]
    pub(super) attributes: TypedAttributes,
}

/// What the mount may use.
#[derive(Args, Default, Debug)]
#[command(next_help_heading = "Bounds")]
pub(super) struct TypedBounds {
    /// Memory for cached and staged bytes and everything else [default: 256M]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) memory_limit: Option<u64>,

    /// Where written bytes go that fit neither memory nor, yet, the store [default: $TMPDIR or
    /// /var/tmp]
    #[arg(long, value_name = "DIR")]
    pub(super) staging_dir: Option<PathBuf>,

    /// Most bytes there [default: 10G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) staging_disk: Option<u64>,

    /// Leave so many MiB free there: most bytes are lowered to that when mounting
    #[arg(long, value_name = "MIB")]
    pub(super) ensure_diskfree: Option<u32>,

    /// HEAD requests of one listing under way at a time [default: 32]
    #[arg(long, value_name = "COUNT")]
    pub(super) multireq_max: Option<u16>,

    /// Uploads and copies of one file under way at a time [default: 8]
    #[arg(long, value_name = "COUNT")]
    pub(super) parallel_count: Option<u16>,

    /// Size of an uploaded part in MiB, 5 to 5120 [default: 8]
    #[arg(long, value_name = "MIB")]
    pub(super) multipart_size: Option<u32>,

    /// Size of a copied part in MiB, 5 to 5120 [default: 256]
    #[arg(long, value_name = "MIB")]
    pub(super) multipart_copy_size: Option<u32>,
}

/// The arguments of a probe.
#[derive(Args, Debug)]
pub(super) struct TypedProbe {
    /// Where to try: objects are stored below a new prefix in it, and removed again
    pub(super) source: OsString,

    /// How to reach the store, as for a mount
    #[arg(short = 'o', value_name = "WORD[=VALUE],...", action = clap::ArgAction::Append)]
    pub(super) words: Vec<String>,

    /// What to log: error, warn, info, debug, trace, or a list like info,s3fs::store=debug
    #[arg(long, value_name = "LEVEL", default_value = "off")]
    pub(super) log_level: String,

    #[command(flatten)]
    pub(super) store: TypedStore,
}

/// The arguments of an upgrade.
#[derive(Args, Debug)]
pub(super) struct TypedUpgrade {
    /// Where it is mounted
    #[arg(value_name = "MNT")]
    pub(super) mountpoint: PathBuf,
}

/// The arguments of a demo.
#[cfg(feature = "sim")]
#[derive(Args, Debug)]
pub(super) struct TypedDemo {
    /// Where to mount; made when missing
    #[arg(default_value = "s3fs-demo")]
    pub(super) dir: PathBuf,

    /// Keep the buckets in this directory instead of in memory
    #[arg(long, value_name = "PATH")]
    pub(super) keep: Option<PathBuf>,

    /// What to log: error, warn, info, debug, trace, or a list like info,s3fs::store=debug
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    pub(super) log_level: String,
}
