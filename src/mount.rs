//! The composition root: from validated options to a live mount and back.
//!
//! Knows no command line and no environment. The descriptor of a session comes from
//! `mount::kernel` and goes to [`Session::from_fd`]: nothing in between relies on this process
//! having mounted it.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
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

use crate::config::{Config, ShownSource};
use crate::file::{FileError, Shared};
use crate::fs::Fs;
use crate::fuse::FuseFs;
use crate::object::{BucketName, ObjectKey};
use crate::store::Buckets;
use crate::store::s3::S3Store;

mod control;
mod error;
mod kernel;
mod point;
mod sharing;
mod table;

pub use error::MountError;
pub use kernel::is_kernel_word;
pub use table::{Unmount, is_mounted, remount, unmount};

use control::{Control, Served};
use kernel::{Detach, KernelMount};
use point::Fitness;
use sharing::Turn;

/// Threads that read requests. They only unpack, look into memory and reply, so a few keep up with
/// the kernel; each has a buffer of which at most one WRITE request is ever touched.
const SESSION_THREADS: usize = 4;

/// How often a busy mount is tried to be unmounted again.
const BUSY_RETRY: Duration = Duration::from_millis(200);

/// A key whose content could not be committed before a mount ended, and why.
pub type Uncommitted = (ObjectKey, FileError);

/// What a mount came to.
#[derive(Debug)]
pub enum Started {
    /// It is served by this process.
    Live(Box<LiveMount>),
    /// It is served by another, which serves other mounts, too.
    Joined,
}

/// One or more mounts of a superblock that this process answers requests for.
#[derive(Debug)]
pub struct LiveMount {
    fs: Arc<Fs>,
    /// Where the first was mounted.
    path: PathBuf,
    /// `major:minor` of the superblock; what is mounted somewhere later is ours only if it has it.
    device: Option<String>,
    ended: oneshot::Receiver<io::Result<()>>,
    /// Lets others join, and umount(8) wait.
    control: Option<Control>,
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
        let wanted = wanted(config)?;
        let store = reach(config).await?;
        let work = Work {
            config,
            wanted: &wanted,
            runtime,
        };
        work.alone(store).await
    }

    /// As [`Self::start`], unless a process that serves other mounts can serve this one, too.
    ///
    /// # Errors
    /// [`MountError`]; nothing is mounted then.
    pub async fn join_or_start(config: &Config, runtime: &Handle) -> Result<Started, MountError> {
        let wanted = wanted(config)?;
        let store = reach(config).await?;
        let work = Work {
            config,
            wanted: &wanted,
            runtime,
        };
        let live = match shareable(config) {
            Some((shown, turn)) => {
                if turn.join(config, &shown, &wanted)? {
                    return Ok(Started::Joined);
                }
                work.begin(store, &shown, &turn).await?
            }
            None => work.alone(store).await?,
        };
        Ok(Started::Live(Box::new(live)))
    }

    /// Where the first was mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until all of them are unmounted.
    pub async fn ended(&mut self) {
        match (&mut self.ended).await {
            Ok(Err(error)) => warn!("{}: the session failed: {error}", self.path.display()),
            // The sender goes without a word only when its thread panicked, which is in the log.
            Ok(Ok(())) | Err(_) => info!("{} unmounted", self.path.display()),
        }
    }

    /// Tells those who wait for the end what could not be committed.
    pub async fn tell(&mut self, left: &[Uncommitted]) {
        if let Some(control) = self.control.take() {
            let said = left.iter().map(|(key, error)| format!("{key}: {error}"));
            control.end(said.collect()).await;
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

    /// Takes the mounts out of the tree at once, whatever is in use.
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

    /// Unmounts what there is of this superblock; all that can be, when something cannot.
    fn detach(&self, how: Detach) -> io::Result<()> {
        let Some(device) = &self.device else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let mut result = Ok(());
        for mount in point::mounts_of(device)? {
            result = result.and(kernel::detach(&mount.path, how));
        }
        result
    }
}

/// What the kernel is to be told; checks what can be without asking the store.
fn wanted(config: &Config) -> Result<KernelMount, MountError> {
    let path = free_point(&config.mountpoint, config.nonempty)?;
    check_staging_dir(&config.bounds.staging_dir)?;
    Ok(KernelMount {
        source: config.shown_source.clone(),
        path,
        allow_other: config.allow_other,
        read_only: config.read_only,
        words: config.kernel_options.clone(),
    })
}

/// What a new mount is made from.
#[derive(Clone, Copy, Debug)]
struct Work<'a> {
    config: &'a Config,
    wanted: &'a KernelMount,
    runtime: &'a Handle,
}

impl Work<'_> {
    /// A mount with a superblock of its own.
    async fn alone(self, store: S3Store) -> Result<LiveMount, MountError> {
        let fs = assemble(self.config, &store, self.runtime);
        fs.look_for_attributes().await;
        let device = kernel::attach(self.wanted)?;
        let path = &self.wanted.path;
        let served = self.serve(fs, store, device, path, None);
        served.inspect_err(|_| {
            if let Err(error) = kernel::detach(path, Detach::Lazy) {
                warn!("{}: cannot be unmounted: {error}", path.display());
            }
        })
    }

    /// The first mount of a superblock that others can join.
    async fn begin(
        self,
        store: S3Store,
        shown: &ShownSource,
        turn: &Turn,
    ) -> Result<LiveMount, MountError> {
        let none = Config {
            sources: Vec::new(),
            ..self.config.clone()
        };
        let (begun, device) = match turn.begin(self.wanted) {
            // Root without CAP_SYS_ADMIN, as in a container.
            Err(MountError::Refused { source, .. })
                if source.raw_os_error() == Some(libc::EPERM) =>
            {
                return self.alone(store).await;
            }
            begun => begun?,
        };
        let fs = assemble(&none, &store, self.runtime);
        fs.buckets().add(store.bucket(&shown.source.bucket));
        let name = fs.add_source(shown).await;
        let again = device
            .try_clone()
            .map_err(|source| MountError::Session { source })?;
        let live = self.serve(fs, store, device, begun.path(), Some(turn.dir()))?;
        turn.mount(&again, &name, self.wanted)?;
        Ok(live)
    }

    /// Answers the requests that come from what is mounted at `path`, and on a control socket:
    /// those who join, too, when they know the directory it is in.
    fn serve(
        self,
        fs: Arc<Fs>,
        store: S3Store,
        device: OwnedFd,
        path: &Path,
        joined_in: Option<&Path>,
    ) -> Result<LiveMount, MountError> {
        let failed = |source| MountError::Session { source };
        let Self {
            config, runtime, ..
        } = self;
        let number = point::mounted_at(path).ok().flatten();
        let number = number.map(|entry| entry.device);
        let background = Arc::clone(&fs);
        let storing = runtime.spawn(async move { background.store_attributes().await });
        let storing = AbortOnDropHandle::new(storing);
        let served = Served {
            fs: Arc::clone(&fs),
            store,
            common: joined_in.map(|_| config.common()),
            device: device.try_clone().map_err(failed)?,
        };
        let filesystem = FuseFs::new(Arc::clone(&fs), runtime.clone(), config.bounds.attr_ttl);
        let ended = serve(filesystem, device).map_err(failed)?;
        let mut control = None;
        if let Some(number) = &number {
            kernel::raise_readahead(path, number);
            let dir = match joined_in {
                Some(dir) => Ok(dir.to_owned()),
                None => control::make_run_dir(),
            };
            let listens = |dir: PathBuf| Control::listen(&dir, number, Arc::new(served), runtime);
            match dir.and_then(listens) {
                Ok(listening) => control = Some(listening),
                Err(error) => {
                    debug!("umount will not wait until everything is stored: {error}");
                }
            }
        }
        info!(
            "{} mounted at {}",
            self.wanted.source,
            self.wanted.path.display()
        );
        Ok(LiveMount {
            fs,
            path: self.wanted.path.clone(),
            device: number,
            ended,
            control,
            _storing: storing,
        })
    }
}

/// What a mount that may share a superblock shows of it, once it is its turn to look for one; the
/// log says why it may not although it was to.
fn shareable(config: &Config) -> Option<(ShownSource, Turn)> {
    let [source] = &config.sources[..] else {
        return None;
    };
    let apart = match (config.share_cache, sharing::is_possible()) {
        (false, _) => return None,
        (true, false) => "this kernel is older than 5.15".to_owned(),
        (true, true) => match Turn::wait() {
            Ok(turn) => {
                let (source, ownership) = (source.clone(), config.ownership);
                return Some((ShownSource { source, ownership }, turn));
            }
            Err(error) => error.to_string(),
        },
    };
    info!(
        "{}: apart from other mounts, copies between them go through this machine: {apart}",
        config.shown_source
    );
    None
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

/// The store, all buckets of which can be reached.
async fn reach(config: &Config) -> Result<S3Store, MountError> {
    let store = S3Store::connect(&config.store).await?;
    for name in bucket_names(config) {
        store.check_name(name)?;
    }
    let buckets: Vec<_> = bucket_names(config)
        .into_iter()
        .map(|name| store.bucket(name))
        .collect();
    try_join_all(buckets.iter().map(|bucket| bucket.check())).await?;
    Ok(store)
}

fn bucket_names(config: &Config) -> BTreeSet<&BucketName> {
    config.sources.iter().map(|source| &source.bucket).collect()
}

/// The filesystem over the buckets of a store.
fn assemble(config: &Config, store: &S3Store, runtime: &Handle) -> Arc<Fs> {
    let names = bucket_names(config).into_iter();
    let buckets = Buckets::new(names.map(|name| store.bucket(name)));
    let shared = Shared::new(buckets, config.bounds.clone(), runtime.clone());
    Arc::new(Fs::new(config, shared))
}

/// Answers the requests that come through `device` until the kernel closes it; the receiver then
/// gets the outcome.
fn serve(filesystem: FuseFs, device: OwnedFd) -> io::Result<oneshot::Receiver<io::Result<()>>> {
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
