//! The composition root: from validated options to a live mount and back.
//!
//! Knows no command line and no environment. The descriptor of a session comes from
//! `mount::kernel` and goes to [`Session::from_fd`]: nothing in between relies on this process
//! having mounted it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fuser::{Session, SessionACL};
use futures_util::future::try_join_all;
use log::{debug, info, warn};
use nix::unistd::{AccessFlags, access};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use crate::config::{AttributeSource, Config};
use crate::file::{FileError, Shared};
use crate::fs::Fs;
use crate::fuse::FuseFs;
use crate::object::{BucketName, ObjectKey};
use crate::store::s3::{ConnectError, S3Store};
use crate::store::{Bucket, Buckets, StoreError};

mod drain;
mod kernel;
mod point;
mod table;

pub use kernel::is_kernel_word;
pub use table::{Unmount, is_mounted, remount, unmount};

use drain::Claim;
use kernel::{Detach, KernelMount};
use point::{Fitness, TableEntry};

/// Threads that read requests. They only unpack, look into memory and reply, so a few keep up with
/// the kernel; each has a buffer of which at most one WRITE request is ever touched.
const SESSION_THREADS: usize = 4;

/// How often a busy mount is tried to be unmounted again.
const BUSY_RETRY: Duration = Duration::from_millis(200);

/// Why there is no mount.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The store, a bucket or the credentials.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store's configuration.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The mount point does not exist.
    #[error("{}: no such directory; make it first", path.display())]
    PointMissing {
        /// The mount point.
        path: PathBuf,
    },
    /// The mount point is no directory.
    #[error("{}: not a directory", path.display())]
    PointNotDirectory {
        /// The mount point.
        path: PathBuf,
    },
    /// The mount point has entries that would be hidden.
    #[error("{}: directory not empty; mount over it with -o nonempty", path.display())]
    PointNotEmpty {
        /// The mount point.
        path: PathBuf,
    },
    /// A mount of this program is there.
    #[error("{}: already mounted; umount it first", path.display())]
    AlreadyMounted {
        /// The mount point.
        path: PathBuf,
    },
    /// The mount point cannot be looked at.
    #[error("{}: {source}", path.display())]
    PointUnusable {
        /// The mount point.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The FUSE device cannot be opened.
    #[error("/dev/fuse: {source}; is the fuse module loaded (modprobe fuse)?")]
    Device {
        /// Why.
        source: io::Error,
    },
    /// mount(2) refused.
    #[error("{}: mount: {source}", path.display())]
    Refused {
        /// The mount point.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not root, and no fusermount3.
    #[error("fusermount3 not found; install the package fuse3, or mount as root")]
    HelperMissing,
    /// fusermount3 could not be run or talked to.
    #[error("{}: fusermount3: {source}", path.display())]
    HelperFailed {
        /// The mount point.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// fusermount3 refused.
    #[error("fusermount3: {said}")]
    HelperRefused {
        /// The mount point.
        path: PathBuf,
        /// What it said.
        said: String,
    },
    /// No mount of this program is there.
    #[error("{}: no s3fs is mounted there", path.display())]
    NotMounted {
        /// Where.
        path: PathBuf,
    },
    /// umount(8) refused, and has said why.
    #[error("umount: exit status {code}")]
    UmountRefused {
        /// Its exit status.
        code: u8,
    },
    /// Spill files cannot be made.
    #[error("{}: {source}; name another with -o staging_dir=DIR", dir.display())]
    StagingDir {
        /// Where.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel and this program did not come to terms.
    #[error("FUSE session: {source}")]
    Session {
        /// Why.
        source: io::Error,
    },
}

/// A key whose content could not be committed before a mount ended, and why.
pub type Uncommitted = (ObjectKey, FileError);

/// A mount that answers requests.
#[derive(Debug)]
pub struct LiveMount {
    fs: Arc<Fs>,
    path: PathBuf,
    /// The table's line right after mounting; what is there later is ours only if it is the same.
    entry: Option<TableEntry>,
    ended: oneshot::Receiver<io::Result<()>>,
    /// Lets umount(8) wait for the end of this process.
    _claim: Option<Claim>,
    /// Stores changed attributes of closed files.
    _storing: AbortOnDropHandle<()>,
}

impl LiveMount {
    /// Reaches every bucket, mounts, and answers requests from then on. When it returns, the first
    /// access to the mount point succeeds. `runtime` must outlive the mount.
    ///
    /// # Errors
    /// [`MountError`]; nothing is mounted then.
    pub async fn start(config: &Config, runtime: &Handle) -> Result<Self, MountError> {
        let path = free_point(&config.mountpoint, config.nonempty)?;
        check_staging_dir(&config.bounds.staging_dir)?;
        let fs = Arc::new(assemble(config, runtime).await?);
        if config.attributes == AttributeSource::Auto {
            fs.look_for_attributes().await;
        }
        let wanted = KernelMount {
            source: config.shown_source.clone(),
            path: path.clone(),
            allow_other: config.allow_other,
            read_only: config.read_only,
            words: config.kernel_options.clone(),
        };
        let device = kernel::attach(&wanted)?;
        let entry = point::mounted_at(&path).ok().flatten();
        let background = Arc::clone(&fs);
        let storing = AbortOnDropHandle::new(
            runtime.spawn(async move { background.store_attributes().await }),
        );
        let filesystem = FuseFs::new(Arc::clone(&fs), runtime.clone(), config.bounds.attr_ttl);
        match serve(filesystem, device) {
            Ok(ended) => {
                if let Some(entry) = &entry {
                    kernel::raise_readahead(&path, &entry.device);
                }
                let claim = entry.as_ref().and_then(claim);
                info!("{} mounted at {}", wanted.source, path.display());
                Ok(Self {
                    fs,
                    path,
                    entry,
                    ended,
                    _claim: claim,
                    _storing: storing,
                })
            }
            Err(source) => {
                if let Err(error) = kernel::detach(&path, Detach::Lazy) {
                    warn!("{}: cannot be unmounted: {error}", path.display());
                }
                Err(MountError::Session { source })
            }
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until somebody has unmounted it.
    pub async fn ended(&mut self) {
        match (&mut self.ended).await {
            Ok(Err(error)) => warn!("{}: the session failed: {error}", self.path.display()),
            // The sender goes without a word only when its thread panicked, which is in the log.
            Ok(Ok(())) | Err(_) => info!("{} unmounted", self.path.display()),
        }
    }

    /// Commits everything that is dirty. Returns what could not be.
    pub async fn sync(&self) -> Vec<Uncommitted> {
        self.fs.sync_all().await
    }

    /// Commits what is dirty and unmounts. While something inside is in use, waits for at most
    /// `patience`, then detaches the mount; what is still open fails when this process ends.
    /// Returns the keys that could not be committed.
    pub async fn stop(&mut self, patience: Duration) -> Vec<Uncommitted> {
        // Before unmounting: afterwards nobody is left who could be told of a failure, or try
        // again.
        let failed = self.sync().await;
        for (key, error) in &failed {
            warn!("{key}: not committed yet: {error}");
        }
        if tokio::time::timeout(patience, self.detach_when_idle())
            .await
            .is_ok()
        {
            self.ended().await;
        } else {
            warn!("{}: still in use", self.path.display());
            self.abandon();
        }
        // What was written meanwhile, and a second chance for what failed.
        let failed = self.sync().await;
        if !failed.is_empty() {
            self.fs.save_unstored();
        }
        failed
    }

    /// Takes the mount out of the tree at once, whatever is in use.
    pub fn abandon(&self) {
        match self.detach(Detach::Lazy) {
            Ok(()) => info!("{} detached", self.path.display()),
            Err(error) => warn!("{}: cannot be unmounted: {error}", self.path.display()),
        }
    }

    async fn detach_when_idle(&self) {
        loop {
            match self.detach(Detach::Idle) {
                Ok(()) => return,
                Err(error) if kernel::is_busy(&error) => tokio::time::sleep(BUSY_RETRY).await,
                Err(error) => {
                    warn!("{}: cannot be unmounted: {error}", self.path.display());
                    // Only a detached mount can be left; the caller gives up after its patience.
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// Unmounts, if what is at the path is still this mount.
    fn detach(&self, how: Detach) -> io::Result<()> {
        if point::mounted_at(&self.path)? != self.entry {
            return Ok(());
        }
        kernel::detach(&self.path, how)
    }
}

/// What lets umount(8) wait for this daemon.
fn claim(entry: &TableEntry) -> Option<Claim> {
    match drain::claim(&entry.device, nix::unistd::geteuid().as_raw()) {
        Ok(claim) => Some(claim),
        Err(error) => {
            debug!("umount will not wait until everything is stored: {error}");
            None
        }
    }
}

/// The mount point, after a mount of a dead daemon has been taken away from it.
fn free_point(path: &Path, nonempty: bool) -> Result<PathBuf, MountError> {
    let unusable = |source| MountError::PointUnusable {
        path: path.to_owned(),
        source,
    };
    match point::inspect(path, nonempty)? {
        Fitness::Ready(path) => Ok(path),
        Fitness::Dead(dead) => {
            warn!("{}: its daemon is gone; unmounted", dead.display());
            kernel::detach(&dead, Detach::Lazy).map_err(unusable)?;
            match point::inspect(path, nonempty)? {
                Fitness::Ready(path) => Ok(path),
                Fitness::Dead(_) => Err(unusable(io::Error::from_raw_os_error(libc::ENOTCONN))),
            }
        }
    }
}

/// Spilling begins when memory is used up, far too late to find out that it cannot work.
fn check_staging_dir(dir: &Path) -> Result<(), MountError> {
    let unusable = |source| MountError::StagingDir {
        dir: dir.to_owned(),
        source,
    };
    if !dir.metadata().map_err(unusable)?.is_dir() {
        return Err(unusable(io::Error::from_raw_os_error(libc::ENOTDIR)));
    }
    access(dir, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|errno| unusable(errno.into()))
}

/// The filesystem over buckets that can all be reached.
async fn assemble(config: &Config, runtime: &Handle) -> Result<Fs, MountError> {
    let store = S3Store::connect(&config.store).await?;
    let mut names: Vec<&BucketName> = config.sources.iter().map(|source| &source.bucket).collect();
    names.sort_unstable();
    names.dedup();
    for name in &names {
        store.check_name(name)?;
    }
    let buckets: Vec<Arc<dyn Bucket>> = names.into_iter().map(|name| store.bucket(name)).collect();
    try_join_all(buckets.iter().map(|bucket| bucket.check())).await?;
    let buckets = Buckets::new(buckets);
    let shared = Shared::new(buckets, config.bounds.clone(), runtime.clone());
    Ok(Fs::new(config, shared))
}

/// Answers the requests that come through `device` until the kernel closes it; the receiver then
/// gets the outcome.
fn serve(
    filesystem: FuseFs,
    device: std::os::fd::OwnedFd,
) -> io::Result<oneshot::Receiver<io::Result<()>>> {
    let mut settings = fuser::Config::default();
    settings.n_threads = Some(SESSION_THREADS);
    // One description for all threads: requests read from a clone are lost with it in a crash.
    settings.clone_fd = false;
    // Who may come in is the kernel's decision (allow_other, default_permissions); the library's
    // own check would also refuse a process that changed its user after open.
    let session = Session::from_fd(filesystem, device, SessionACL::All, settings)?;
    let (sender, ended) = oneshot::channel();
    thread::Builder::new()
        .name("fuse-session".to_owned())
        .spawn(move || {
            // Nobody listens when the process is on its way out.
            let _ = sender.send(session.run());
        })?;
    Ok(ended)
}
