//! A mount that outlives the process that serves it: what is handed over, and how the next process
//! goes on with it. Starts no process.
//!
//! As long as somebody holds the descriptors, the kernel keeps the connection when its server is
//! killed: requests wait, and those that were under way are sent again when the next one asks.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;

use log::info;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::{LiveMount, MountError, Work, descriptors, session};
use crate::config::Config;
use crate::file::{Kept, Shared};
use crate::fs::{Fs, kept_sources};
use crate::fuse::FuseFs;
use crate::store::Buckets;
use crate::store::s3::S3Store;

/// What is said of the mount beside what its files and inodes are.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) config: Config,
    /// Whether other mounts can join.
    pub(super) is_joinable: bool,
    /// Where the first was mounted.
    pub(super) path: PathBuf,
    /// `major:minor` of the superblock.
    pub(super) number: String,
    /// The control socket's name.
    pub(super) socket: PathBuf,
}

/// All that the next process needs.
#[derive(Debug)]
pub struct Handover {
    /// An [`About`], in memory that holds secrets.
    about: OwnedFd,
    device: OwnedFd,
    control: OwnedFd,
    kept: Kept,
}

impl Handover {
    pub(super) fn new(
        about: &About,
        device: OwnedFd,
        control: OwnedFd,
        kept: Kept,
    ) -> io::Result<Self> {
        let mut memory = crate::journal::memory("s3fs-about")?;
        memory.write_all(&serde_json::to_vec(about)?)?;
        Ok(Self {
            about: memory.into(),
            device,
            control,
            kept,
        })
    }

    /// Gives it to another process.
    ///
    /// # Errors
    /// The socket's.
    pub fn send(&self, socket: &UnixStream) -> io::Result<()> {
        let ours = [&self.about, &self.device, &self.control].map(AsFd::as_fd);
        let all: Vec<_> = ours.into_iter().chain(self.kept.descriptors()).collect();
        descriptors::send(socket, &all)
    }

    /// What another process gives with the next byte; `None` when that is nothing.
    ///
    /// # Errors
    /// The socket's.
    pub fn receive(socket: &UnixStream) -> io::Result<Option<Self>> {
        const DESCRIPTORS: usize = 3 + Kept::DESCRIPTORS;
        let received = descriptors::receive::<DESCRIPTORS>(socket)?;
        Ok(received.map(|[about, device, control, kept @ ..]| Self {
            about,
            device,
            control,
            kept: Kept::of_descriptors(kept),
        }))
    }
}

impl LiveMount {
    /// Goes on with a mount whose process was killed.
    ///
    /// # Errors
    /// [`MountError`]; what was handed over is as it was, for another try.
    pub async fn resume(handover: Handover, runtime: &Handle) -> Result<Self, MountError> {
        let failed = |source| MountError::Session { source };
        let Handover {
            about,
            device,
            control,
            kept,
        } = handover;
        let about = read_about(about).map_err(failed)?;
        let config = &about.config;
        let store = S3Store::connect(&config.store).await?;
        let sources = config.sources.iter();
        let buckets = Buckets::new(sources.map(|source| store.bucket(&source.bucket)));
        let (bounds, own) = (config.bounds.clone(), kept.try_clone()?);
        let (shared, values) = Shared::resuming(buckets.clone(), bounds, runtime.clone(), own)?;
        for shown in kept_sources(&values)? {
            buckets.add(store.bucket(&shown.source.bucket));
        }
        let fs = Arc::new(Fs::restore(config, shared, &values)?);
        let work = Work {
            config,
            runtime,
            is_joinable: about.is_joinable,
        };
        let session = {
            let fs = FuseFs::new(Arc::clone(&fs), runtime.clone(), config.bounds.attr_ttl);
            session::adopt(fs, &device).map_err(failed)?
        };
        let control = (UnixListener::from(control), about.socket);
        let mounted = (about.path, Some(about.number));
        let live = work.serve(
            (fs, store, Some(kept)),
            (session, device),
            mounted,
            Some(control),
        )?;
        info!(
            "{}: served by this process from now on",
            live.path.display()
        );
        Ok(live)
    }
}

fn read_about(memory: OwnedFd) -> io::Result<About> {
    let mut memory = File::from(memory);
    memory.rewind()?;
    let mut about = Vec::new();
    memory.read_to_end(&mut about)?;
    Ok(serde_json::from_slice(&about)?)
}
