//! The validated options of a mount: what the composition root needs, with every default. Reads
//! no environment and no command line.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::MIB;
use crate::object::BucketName;

/// A bucket, or a part of one, that a mount shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Source {
    /// The bucket.
    pub bucket: BucketName,
    /// What every key starts with: empty, or ending in `/`.
    pub prefix: String,
    /// The name of its top-level directory when the mount has several sources.
    pub name: String,
}

/// A source, and the owner and modes it is shown with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ShownSource {
    /// The source.
    pub source: Source,
    /// Owner and modes that it shows.
    pub ownership: Ownership,
}

/// Whose rules a store keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Provider {
    /// AWS S3, and stores that do all that it does.
    Aws,
    /// Directory buckets of AWS S3 (S3 Express One Zone).
    Express,
    /// Alibaba Cloud OSS.
    Oss,
    /// Tencent Cloud COS.
    Cos,
    /// Huawei Cloud and Open Telekom Cloud OBS.
    Obs,
    /// Naver Cloud Ncloud Storage.
    Ncloud,
    /// Cloudflare R2.
    R2,
    /// Backblaze B2.
    B2,
    /// Google Cloud Storage, by its XML API.
    Gcs,
    /// Wasabi.
    Wasabi,
    /// Ceph RADOS Gateway.
    Ceph,
    /// Garage.
    Garage,
    /// MinIO.
    Minio,
    /// RustFS.
    Rustfs,
    /// SeaweedFS.
    Seaweedfs,
    /// One of which nothing is taken on trust.
    Other,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Aws,
        Self::Express,
        Self::Oss,
        Self::Cos,
        Self::Obs,
        Self::Ncloud,
        Self::R2,
        Self::B2,
        Self::Gcs,
        Self::Wasabi,
        Self::Ceph,
        Self::Garage,
        Self::Minio,
        Self::Rustfs,
        Self::Seaweedfs,
        Self::Other,
    ];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Express => "express",
            Self::Oss => "oss",
            Self::Cos => "cos",
            Self::Obs => "obs",
            Self::Ncloud => "ncloud",
            Self::R2 => "r2",
            Self::B2 => "b2",
            Self::Gcs => "gcs",
            Self::Wasabi => "wasabi",
            Self::Ceph => "ceph",
            Self::Garage => "garage",
            Self::Minio => "minio",
            Self::Rustfs => "rustfs",
            Self::Seaweedfs => "seaweedfs",
            Self::Other => "other",
        }
    }

    /// The one with that word.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|provider| provider.name() == name)
    }
}

/// How to reach the store.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StoreConfig {
    /// The endpoint's URL; AWS S3 of the region when `None`.
    pub endpoint: Option<String>,
    /// Whose rules it keeps; AWS's when no endpoint is given either, else nobody's.
    pub provider: Option<Provider>,
    /// The region; from the AWS chain when `None`.
    pub region: Option<String>,
    /// The profile of the AWS configuration files.
    pub profile: Option<String>,
    /// AWS's endpoints that are reached by IPv6 too.
    pub dual_stack: bool,
    /// AWS's endpoints whose cryptography is validated by FIPS 140.
    pub fips: bool,
    /// AWS's endpoints at the edge of its network (S3 Transfer Acceleration).
    pub accelerate: bool,
    /// Certificates in PEM to believe instead of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// `endpoint/bucket/key` instead of `bucket.endpoint/key`.
    pub path_style: bool,
    /// The requester pays for requests and transfer.
    pub requester_pays: bool,
    /// Send unsigned requests: for public buckets.
    pub anonymous: bool,
    /// The account that owns the buckets: the store refuses requests to buckets of others.
    pub expected_owner: PerBucket<Option<String>>,
    /// How the store encrypts what is written to the buckets.
    pub encryption: PerBucket<Encryption>,
    /// The canned ACL of what is written: one of [`CANNED_ACLS`].
    pub acl: Option<String>,
    /// What new objects get.
    pub new_objects: NewObjects,
    /// Credentials to use instead of looking for any.
    pub credentials: Option<StaticCredentials>,
    /// Where to look for credentials that are not given.
    pub credential_source: CredentialSource,
    /// What the environment says to whoever looks.
    pub environment: Environment,
    /// The proxy; that of the usual variables when `None`.
    pub proxy: Option<Proxy>,
    /// How long a connection may take to stand; the store's usual time when `None`.
    pub connect_timeout: Option<Duration>,
    /// How long nothing may move, before an answer and in a body; the usual times when `None`.
    pub idle_timeout: Option<Duration>,
    /// How often a failed request is sent again at most; the usual number when `None`.
    pub retries_max: Option<u32>,
    /// Bytes of an uploaded part to aim at; the store's usual size when `None`.
    pub upload_part_size: Option<u64>,
    /// Bytes of a copied part to aim at; the store's usual size when `None`.
    pub copy_part_size: Option<u64>,
}

/// The canned ACLs of objects (Amazon S3 user guide, "Access control list (ACL) overview").
pub const CANNED_ACLS: [&str; 7] = [
    "private",
    "public-read",
    "public-read-write",
    "aws-exec-read",
    "authenticated-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
];

/// What new objects get beside their content and attributes. One that is written anew keeps its
/// own.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct NewObjects {
    /// The storage class of files; the bucket's default when `None`. Directories and symbolic
    /// links, which have to be read to be shown, get the default.
    pub storage_class: Option<String>,
    /// The tags.
    pub tags: BTreeMap<String, String>,
}

/// A setting of all buckets, and those that have it otherwise.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PerBucket<T> {
    /// Of every bucket not named in `otherwise`.
    pub usual: T,
    /// Of single buckets.
    pub otherwise: BTreeMap<BucketName, T>,
}

impl<T> PerBucket<T> {
    /// That of a bucket.
    pub fn of(&self, bucket: &BucketName) -> &T {
        self.otherwise.get(bucket).unwrap_or(&self.usual)
    }

    /// Those of all buckets there may be.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.usual).chain(self.otherwise.values())
    }
}

/// How a store encrypts what is written to a bucket (Amazon S3 user guide, "Protecting data with
/// server-side encryption").
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Encryption {
    /// As the bucket's own settings say.
    #[default]
    BucketDefault,
    /// SSE-S3: by keys that the store keeps.
    StoreKeys,
    /// SSE-KMS: by a key of the key management service.
    KeyService {
        /// The key's id or ARN; the account's key for S3 when `None`.
        key_id: Option<String>,
    },
    /// SSE-C: by a key that every request carries and the store does not keep. What was written
    /// with another key or none cannot be read then.
    Customer(CustomerKey),
}

/// A key of 256 bits for SSE-C. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerKey([u8; Self::BYTES]);

impl CustomerKey {
    /// Its size: AES256 is the only algorithm of SSE-C.
    pub const BYTES: usize = 32;

    /// Takes a key.
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The key itself.
    pub const fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerKey(..)")
    }
}

/// Credentials that are given, not looked for. Neither half is ever shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticCredentials {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
}

impl fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaticCredentials(..)")
    }
}

/// The variables that credentials, proxies and certificates are looked for by. Never shown.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Environment(pub BTreeMap<String, String>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment(..)")
    }
}

/// Where credentials are looked for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum CredentialSource {
    /// Everywhere, in the order of the AWS command line: choose this unless told otherwise.
    #[default]
    Chain,
    /// In the metadata of this instance of AWS alone.
    Instance {
        /// The role; the one that the instance has when `None`.
        role: Option<String>,
    },
    /// In this container of AWS alone.
    Container,
}

/// A proxy to the store.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// Its address, with a scheme and without a user.
    pub url: String,
    /// The user it lets through, and the passphrase. Never shown.
    pub user: Option<(String, String)>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// What files and directories show as owner and mode: the defaults of what has none stored, and
/// what is shown whatever is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ownership {
    /// Default owner.
    pub uid: u32,
    /// Default group.
    pub gid: u32,
    /// Default permission bits of files.
    pub file_mode: u16,
    /// Default permission bits of directories.
    pub dir_mode: u16,
    /// Permission bits of the top directory whatever is stored, also in place of
    /// [`Forced::mode`]; as of directories when `None`.
    pub root_mode: Option<u16>,
    /// What everything shows.
    pub forced: Forced,
}

/// What everything shows in place of what is stored, which stays as it is (s3fs-fuse's `uid`,
/// `gid` and `umask`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Forced {
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Permission bits of files of any kind and of directories.
    pub mode: Option<u16>,
}

/// Where owners, modes and times of listed objects come from. A listing tells size and date only;
/// what a filesystem stored with an object, HEAD tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum AttributeSource {
    /// From HEAD where there is a sign that a filesystem wrote there, else from the listing:
    /// choose this unless one of the others is known to be right.
    #[default]
    Auto,
    /// From HEAD always: where rclone or others stored times without leaving another sign.
    Objects,
    /// From the listing alone: the fastest, for buckets that no filesystem has written to.
    Listing,
}

/// The bounds on what a mount holds and has under way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bounds {
    /// Bytes of the block cache in memory.
    pub cache_bytes_max: u64,
    /// Bytes of one block of the cache.
    pub block_bytes: u64,
    /// Requests of readahead under way at a time, over all readers.
    pub prefetch_requests_max: usize,
    /// Bytes a sequential reader may be ahead of, at most.
    pub readahead_bytes_max: u64,
    /// Staged bytes in memory, over all files.
    pub staging_memory_bytes_max: u64,
    /// Staged bytes in spill files, over all files.
    pub staging_disk_bytes_max: u64,
    /// Where spill files are made.
    pub staging_dir: PathBuf,
    /// Inodes known at a time; beyond that the kernel is asked to forget files that are not open.
    pub inodes_max: usize,
    /// Objects whose headers are known at a time, of about a KiB each.
    pub headers_max: NonZeroUsize,
    /// GETs that readers wait for under way at a time, over all files; more wait in their order.
    pub read_requests_max: usize,
    /// PUTs and part uploads under way at a time, over all files.
    pub upload_requests_max: usize,
    /// Part copies under way at a time, over all files.
    pub copy_requests_max: usize,
    /// Object copies and deletes of one directory rename under way at a time.
    pub rename_requests_max: usize,
    /// How long attributes, names and listings are trusted.
    pub attr_ttl: Duration,
    /// HEAD requests of one listing under way at a time.
    pub head_requests_max: usize,
    /// How long changed attributes of a closed file may wait to be stored with further ones.
    pub attributes_delay: Duration,
    /// Files whose changed attributes wait; beyond that each change is stored at once.
    pub attributes_waiting_max: usize,
    /// Bytes that statfs(2) tells of, in all, free and available: a bucket has no end.
    pub shown_bytes: u64,
}

const HEADERS_MAX: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

impl Default for Bounds {
    fn default() -> Self {
        Self {
            cache_bytes_max: 96 * MIB,
            block_bytes: 128 << 10,
            prefetch_requests_max: 16,
            readahead_bytes_max: 32 * MIB,
            staging_memory_bytes_max: 96 * MIB,
            staging_disk_bytes_max: 10 * 1024 * MIB,
            // /tmp may be memory, which staging on disk is meant to spare; /var/tmp is for large
            // files (file-hierarchy(7)).
            staging_dir: PathBuf::from("/var/tmp"),
            inodes_max: 100_000,
            headers_max: HEADERS_MAX,
            read_requests_max: 64,
            upload_requests_max: 8,
            copy_requests_max: 16,
            rename_requests_max: 32,
            attr_ttl: Duration::from_secs(1),
            head_requests_max: 32,
            attributes_delay: Duration::from_secs(1),
            attributes_waiting_max: 1024,
            // 1 EiB, which every tool's arithmetic still holds.
            shown_bytes: 1 << 60,
        }
    }
}

/// Everything a mount is made of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// What to show; at least one. One source is the root; several are its directories.
    pub sources: Vec<Source>,
    /// What the mount table shows as the source: what was typed, so that mount(8) knows its
    /// fstab line again.
    pub shown_source: String,
    /// Where.
    pub mountpoint: PathBuf,
    /// How to reach the store.
    pub store: StoreConfig,
    /// Owner and modes shown.
    pub ownership: Ownership,
    /// Where attributes of listed objects come from.
    pub attributes: AttributeSource,
    /// Every open asks whether the object was replaced (NFS's close-to-open); else what is known
    /// for less than the trust time is believed.
    pub close_to_open: bool,
    /// What a process has written that a signal kills is not published but saved.
    pub save_killed: bool,
    /// The bounds.
    pub bounds: Bounds,
    /// Refuse every change.
    pub read_only: bool,
    /// Let users other than the mounting one in.
    pub allow_other: bool,
    /// Mount over a directory that has entries, and hide them.
    pub nonempty: bool,
    /// Words of mount(8) that the kernel acts on, such as `noexec`, in the order given.
    pub kernel_options: Vec<String>,
    /// Share a daemon and a superblock with mounts that differ in nothing but source, owner and
    /// modes, mount point and flags: copies between them are then the store's work.
    pub share_cache: bool,
    /// Let the kernel send again what a killed process has read and not answered, if it can; else
    /// such calls fail, as on a kernel before 6.9.
    pub kernel_resends: bool,
}

impl Config {
    /// What mounts have to have in common to share a superblock: the rest is of each alone.
    pub fn common(&self) -> Self {
        // The kernel keeps these for a superblock, all other flags for a mount (mount(2)).
        let is_common = |word: &&String| matches!(word.as_str(), "sync" | "async" | "dirsync");
        let words = self.kernel_options.iter().filter(is_common);
        let ownership = Ownership::default();
        Self {
            sources: Vec::new(),
            shown_source: String::new(),
            mountpoint: PathBuf::new(),
            ownership,
            read_only: false,
            nonempty: false,
            kernel_options: words.cloned().collect(),
            ..self.clone()
        }
    }
}
