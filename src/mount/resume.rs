//! A mount that outlives the process that serves it: what is handed over, and how the next process
//! goes on with it. Starts no process.
//!
//! As long as somebody holds the descriptors, the kernel keeps the connection when its server is
//! killed: requests wait, and those that were under way are sent again when the next one asks
//! (before Linux 6.9 they fail).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;

use log::info;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::{LiveMount, MountError, Work, control, descriptors, session};
use crate::config::Config;
use crate::file::{Kept, Shared};
use crate::fs::{Fs, kept_sources};
use crate::fuse::FuseFs;
use crate::store::Buckets;
use crate::store::s3::S3Store;

/// The form of all that is handed over. To be raised by whoever changes what a journal or an
/// [`About`] says, so that no program goes on from what it would misread.
pub(super) const FORMAT: u32 = 5;

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
    /// The program that can go on with it.
    program: OwnedFd,
    /// A [`FORMAT`] and an [`About`], a line each, in memory that holds secrets.
    about: OwnedFd,
    device: OwnedFd,
    control: OwnedFd,
    kept: Kept,
}

impl Handover {
    /// How many descriptors there are.
    pub const DESCRIPTORS: usize = 4 + Kept::DESCRIPTORS;

    pub(super) fn new(
        about: &About,
        device: OwnedFd,
        control: OwnedFd,
        kept: Kept,
    ) -> io::Result<Self> {
        let mut memory = crate::journal::memory("s3fs-about")?;
        writeln!(memory, "{FORMAT}")?;
        memory.write_all(&serde_json::to_vec(about)?)?;
        let mut program = OpenOptions::new();
        program.read(true).custom_flags(libc::O_PATH);
        Ok(Self {
            program: program.open("/proc/self/exe")?.into(),
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
        descriptors::send(socket, &self.descriptors())
    }

    /// The program that can go on with it.
    pub fn program(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }

    /// What somebody has to hold, in this order.
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let ours = [&self.program, &self.about, &self.device, &self.control].map(AsFd::as_fd);
        ours.into_iter().chain(self.kept.descriptors()).collect()
    }

    /// Of what the process before had, in the same order; `None` when something is missing.
    pub fn of_descriptors(descriptors: Vec<OwnedFd>) -> Option<Self> {
        let all: [OwnedFd; Self::DESCRIPTORS] = descriptors.try_into().ok()?;
        let [program, about, device, control, kept @ ..] = all;
        Some(Self {
            program,
            about,
            device,
            control,
            kept: Kept::of_descriptors(kept),
        })
    }

    /// What another process gives with the next byte; `None` when that is nothing.
    ///
    /// # Errors
    /// The socket's.
    pub fn receive(socket: &UnixStream) -> io::Result<Option<Self>> {
        let received = descriptors::receive::<{ Self::DESCRIPTORS }>(socket)?;
        Ok(received.and_then(|all| Self::of_descriptors(all.into())))
    }

    /// Whether something is mounted by the connection.
    pub fn is_connected(&self) -> bool {
        !control::is_disconnected(&self.device)
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
            ..
        } = handover;
        let about = read_about(about)?;
        let config = &about.config;
        let store = S3Store::connect(&config.store).await?;
        let sources = config.sources.iter();
        let buckets = Buckets::new(sources.map(|source| store.bucket(&source.bucket)));
        let (bounds, own) = (config.bounds.clone(), kept.try_clone()?);
        let (shared, values) = Shared::resuming(buckets.clone(), bounds, runtime.clone(), own)?;
        for shown in kept_sources(&values) {
            buckets.add(store.bucket(&shown.source.bucket));
        }
        let fs = Arc::new(Fs::restore(config, shared, &values)?);
        let work = Work {
            config,
            runtime,
            is_joinable: about.is_joinable,
        };
        let session = {
            let fs = FuseFs::new(
                Arc::clone(&fs),
                runtime.clone(),
                config.bounds.attr_ttl,
                Some(&about.number),
            );
            session::adopt(fs, &device, config.kernel_resends).map_err(failed)?
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

fn read_about(memory: OwnedFd) -> Result<About, MountError> {
    let failed = |source| MountError::Session { source };
    let mut memory = File::from(memory);
    let mut said = String::new();
    let read = memory
        .rewind()
        .and_then(|()| memory.read_to_string(&mut said));
    read.map_err(failed)?;
    let (format, about) = said.split_once('\n').unwrap_or_default();
    match format.parse() {
        Ok(FORMAT) => serde_json::from_str(about).map_err(|error| failed(error.into())),
        kept => Err(MountError::OtherFormat {
            kept: kept.unwrap_or(0),
            known: FORMAT,
        }),
    }
}
