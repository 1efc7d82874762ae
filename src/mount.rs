//! The composition root: from validated options to a live mount and back.
//!
//! Knows no command line and no environment. The descriptor of a session comes from
//! `mount::kernel` and goes to `session::begin`: nothing in between relies on this process
//! having mounted it.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::try_join_all;
use log::{debug, info, warn};
use nix::unistd::{AccessFlags, access};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use crate::config::{Config, ShownSource};
use crate::file::{Kept, Shared};
use crate::fs::Fs;
use crate::fuse::{FuseFs, UnderWay};
use crate::object::BucketName;
use crate::store::s3::S3Store;
use crate::store::{Buckets, is_archive};

mod control;
mod descriptors;
mod error;
mod kernel;
mod live;
mod point;
mod resume;
mod session;
mod sharing;
mod table;
mod upgrade;

pub use error::MountError;
pub use kernel::is_kernel_word;
pub use live::Event;
pub use resume::Handover;
pub use table::{Unmount, is_mounted, remount, unmount, upgrade};
pub use upgrade::{Asker, Upgrade};

use control::{Control, Served};
use kernel::{Detach, KernelMount};
use point::Fitness;
use resume::About;
use session::Ready;
use sharing::Turn;

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
    under_way: UnderWay,
    ended: oneshot::Receiver<io::Result<()>>,
    /// Lets others join, and umount(8) wait.
    control: Option<Control>,
    /// What the next process needs beside the connection and the socket.
    kept: Option<(About, Kept, OwnedFd)>,
    /// Stores changed attributes of closed files.
    _storing: AbortOnDropHandle<()>,
    /// Ends the requests of callers that are to end.
    _watching: AbortOnDropHandle<()>,
}

impl LiveMount {
    /// Reaches every bucket, mounts, and answers requests from then on. When it returns, the first
    /// access to the mount point succeeds. `runtime` must outlive the mount. It ends with this
    /// process.
    ///
    /// # Errors
    /// [`MountError`]; nothing is mounted then.
    pub async fn start(config: &Config, runtime: &Handle) -> Result<Self, MountError> {
        let wanted = wanted(config)?;
        let (store, config) = reach(config).await?;
        Work::new(&config, runtime)
            .alone(store, &wanted, None)
            .await
    }

    /// As [`Self::start`], unless a process that serves other mounts can serve this one, too; and
    /// another process can go on with it ([`Self::handover`]).
    ///
    /// # Errors
    /// [`MountError`]; nothing is mounted then.
    pub async fn join_or_start(config: &Config, runtime: &Handle) -> Result<Started, MountError> {
        let wanted = wanted(config)?;
        let (store, config) = reach(config).await?;
        let config = &config;
        let kept = || Kept::create(&config.bounds.staging_dir);
        let live = match shareable(config) {
            Some((shown, turn)) => {
                if turn.join(config, &shown, &wanted)? {
                    return Ok(Started::Joined);
                }
                begin(config, runtime, store, (&shown, &wanted), (&turn, kept()?)).await?
            }
            None => {
                let work = Work::new(config, runtime);
                work.alone(store, &wanted, Some(kept()?)).await?
            }
        };
        Ok(Started::Live(Box::new(live)))
    }

    /// What another process needs to go on with this mount when this one is killed; `None` when
    /// that cannot be.
    ///
    /// # Errors
    /// The kernel's.
    pub fn handover(&self) -> io::Result<Option<Handover>> {
        let (Some((about, kept, device)), Some(control)) = (&self.kept, &self.control) else {
            return Ok(None);
        };
        let kept = kept.try_clone().map_err(io::Error::other)?;
        let handover = Handover::new(about, device.try_clone()?, control.try_clone()?, kept);
        handover.map(Some)
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

/// What a mount is made from.
#[derive(Clone, Copy, Debug)]
struct Work<'a> {
    config: &'a Config,
    runtime: &'a Handle,
    /// Whether other mounts can join.
    is_joinable: bool,
}

/// The first mount of a superblock that others can join.
async fn begin(
    config: &Config,
    runtime: &Handle,
    store: S3Store,
    (shown, wanted): (&ShownSource, &KernelMount),
    (turn, kept): (&Turn, Kept),
) -> Result<LiveMount, MountError> {
    let (begun, device) = match turn.begin(wanted) {
        // Root without CAP_SYS_ADMIN, as in a container.
        Err(MountError::Refused { source, .. }) if source.raw_os_error() == Some(libc::EPERM) => {
            let work = Work::new(config, runtime);
            return work.alone(store, wanted, Some(kept)).await;
        }
        begun => begun?,
    };
    let none = Config {
        sources: Vec::new(),
        ..config.clone()
    };
    let work = Work {
        is_joinable: true,
        ..Work::new(&none, runtime)
    };
    let fs = work.assemble(&store, Some(&kept))?;
    fs.buckets().add(store.bucket(&shown.source.bucket));
    let name = fs.add_source(shown).await;
    let failed = |source| MountError::Session { source };
    let number = point::mounted_at(begun.path()).map_err(failed)?;
    let number = number.map(|entry| entry.device);
    let session = work.session(&fs, &device, number.as_deref())?;
    let mounted = (wanted.path.clone(), number);
    let connection = (session, device.try_clone().map_err(failed)?);
    let live = work.serve((fs, store, Some(kept)), connection, mounted, None)?;
    turn.mount(&device, &name, wanted)?;
    live.raise_readahead(&wanted.path);
    info!("{} mounted at {}", wanted.source, wanted.path.display());
    Ok(live)
}

impl<'a> Work<'a> {
    const fn new(config: &'a Config, runtime: &'a Handle) -> Self {
        Self {
            config,
            runtime,
            is_joinable: false,
        }
    }

    /// A mount with a superblock of its own.
    async fn alone(
        self,
        store: S3Store,
        wanted: &KernelMount,
        kept: Option<Kept>,
    ) -> Result<LiveMount, MountError> {
        let fs = self.assemble(&store, kept.as_ref())?;
        fs.look_for_attributes().await;
        let device = kernel::attach(wanted)?;
        let number = point::mounted_at(&wanted.path).ok().flatten();
        let number = number.map(|entry| entry.device);
        let session = self.session(&fs, &device, number.as_deref());
        let mounted = (wanted.path.clone(), number);
        let served = session
            .and_then(|session| self.serve((fs, store, kept), (session, device), mounted, None));
        match &served {
            Ok(live) => {
                live.raise_readahead(&wanted.path);
                info!("{} mounted at {}", wanted.source, wanted.path.display());
            }
            Err(_) => {
                if let Err(error) = kernel::detach(&wanted.path, Detach::Lazy) {
                    warn!("{}: cannot be unmounted: {error}", wanted.path.display());
                }
            }
        }
        served
    }

    /// The filesystem over the buckets of a store.
    fn assemble(self, store: &S3Store, kept: Option<&Kept>) -> Result<Arc<Fs>, MountError> {
        let names = bucket_names(self.config).into_iter();
        let buckets = Buckets::new(names.map(|name| store.bucket(name)));
        let (bounds, runtime) = (self.config.bounds.clone(), self.runtime.clone());
        let shared = match kept {
            Some(kept) => Shared::keeping(buckets, bounds, runtime, kept.try_clone()?)?,
            None => Shared::new(buckets, bounds, runtime),
        };
        Ok(Arc::new(Fs::new(self.config, shared)))
    }

    /// A session on a new connection.
    fn session(
        self,
        fs: &Arc<Fs>,
        device: &OwnedFd,
        number: Option<&str>,
    ) -> Result<Ready, MountError> {
        let ttl = self.config.bounds.attr_ttl;
        let filesystem = FuseFs::new(Arc::clone(fs), self.runtime.clone(), ttl, number);
        session::begin(filesystem, device, self.config.kernel_resends)
            .map_err(|source| MountError::Session { source })
    }

    /// Answers the requests of what was mounted first at a path, with a number, and on a control
    /// socket.
    fn serve(
        self,
        (fs, store, kept): (Arc<Fs>, S3Store, Option<Kept>),
        (session, device): (Ready, OwnedFd),
        (path, number): (PathBuf, Option<String>),
        control: Option<(UnixListener, PathBuf)>,
    ) -> Result<LiveMount, MountError> {
        let failed = |source| MountError::Session { source };
        let Self {
            config, runtime, ..
        } = self;
        let background = Arc::clone(&fs);
        let storing = runtime.spawn(async move { background.store_attributes().await });
        let storing = AbortOnDropHandle::new(storing);
        let served = Arc::new(Served {
            fs: Arc::clone(&fs),
            store,
            common: self.is_joinable.then(|| config.common()),
            device: device.try_clone().map_err(failed)?,
        });
        let listening = match (control, &number) {
            (Some((listener, socket)), _) => {
                Control::resume(listener, socket, served, runtime).map(Some)
            }
            (None, Some(number)) => control::make_run_dir()
                .and_then(|dir| Control::listen(&dir, number, served, runtime))
                .map(Some),
            (None, None) => Ok(None),
        };
        let control = listening.unwrap_or_else(|error| {
            debug!("umount will not wait until everything is stored: {error}");
            None
        });
        let under_way = session.under_way.clone();
        let in_flight = under_way.in_flight.clone();
        let watching =
            AbortOnDropHandle::new(runtime.spawn(async move { in_flight.watch().await }));
        let ended = session::answer(session).map_err(failed)?;
        let about = |control: &Control| About {
            config: config.clone(),
            is_joinable: self.is_joinable,
            path: path.clone(),
            number: number.clone().unwrap_or_default(),
            socket: control.path().to_owned(),
        };
        let about = control.as_ref().map(about);
        Ok(LiveMount {
            kept: about.zip(kept).map(|(about, kept)| (about, kept, device)),
            fs,
            path,
            device: number,
            under_way,
            ended,
            control,
            _storing: storing,
            _watching: watching,
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

/// The store, all buckets of which can be reached, and the configuration with the provider that the
/// store is recognised as: the next process and mounts that join have to know it.
async fn reach(config: &Config) -> Result<(S3Store, Config), MountError> {
    let mut config = config.clone();
    let store = connect(&config).await?;
    let class = config.store.new_objects.storage_class.as_deref();
    if let Some(class) = class.filter(|class| is_archive(class)) {
        warn!(
            "storage_class={class}: new files cannot be read before they are restored from there"
        );
    }
    let checks = config.sources.iter().map(|source| {
        let bucket = store.bucket(&source.bucket);
        async move { bucket.check(&source.prefix).await }
    });
    try_join_all(checks).await?;
    let Some(provider) = store.recognised() else {
        return Ok((store, config));
    };
    config.store.provider = Some(provider);
    Ok((connect(&config).await?, config))
}

async fn connect(config: &Config) -> Result<S3Store, MountError> {
    let store = S3Store::connect(&config.store).await?;
    for name in bucket_names(config) {
        store.check_name(name)?;
    }
    Ok(store)
}

fn bucket_names(config: &Config) -> BTreeSet<&BucketName> {
    config.sources.iter().map(|source| &source.bucket).collect()
}
