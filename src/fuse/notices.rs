//! Notices to the kernel of what it is not to go by any more. Decides nothing.
//!
//! Sources: fuse_reverse_inval_inode(), fuse_reverse_inval_entry(), fuse_notify_prune() in fs/fuse
//! of Linux 6.18.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fuser::{INodeNo, Notifier};
use log::debug;
use nix::unistd::write;
use tokio::runtime::Handle;

use crate::fs::{Fs, Ino, Invalidation};
use crate::interrupt;

/// How long an answer waits for pages that are being read, or held for an upgrade, to be dropped.
const PAGES_PATIENCE: Duration = Duration::from_secs(1);

/// Says to [`Notifier::inval_inode`] that the pages are to stay.
const ATTRIBUTES_ONLY: i64 = -1;

/// The connection, by the library and for what the library lacks.
#[derive(Debug)]
struct Kernel {
    notifier: Notifier,
    device: OwnedFd,
}

impl Kernel {
    /// Has the kernel drop the names of these inodes that nothing uses. EINVAL before Linux 6.18.
    fn prune(&self, inodes: &[Ino]) -> io::Result<()> {
        write(&self.device, &prune_notification(inodes))?;
        Ok(())
    }
}

/// A notification with the code FUSE_NOTIFY_PRUNE (include/uapi/linux/fuse.h).
fn prune_notification(inodes: &[Ino]) -> Vec<u8> {
    const FUSE_NOTIFY_PRUNE: i32 = 9;
    /// fuse_out_header and fuse_notify_prune_out.
    const HEADERS_BYTES: usize = 16 + 16;
    let bytes = HEADERS_BYTES + size_of::<u64>() * inodes.len();
    let mut notification = Vec::with_capacity(bytes);
    notification.extend((bytes as u32).to_ne_bytes());
    notification.extend(FUSE_NOTIFY_PRUNE.to_ne_bytes());
    notification.extend(0_u64.to_ne_bytes());
    notification.extend((inodes.len() as u32).to_ne_bytes());
    notification.resize(HEADERS_BYTES, 0);
    for ino in inodes {
        notification.extend(ino.0.to_ne_bytes());
    }
    notification
}

/// Writes notices once there is a session.
#[derive(Clone, Debug)]
pub struct Notices {
    pub(super) fs: Arc<Fs>,
    runtime: Handle,
    kernel: Arc<OnceLock<Kernel>>,
}

impl Notices {
    pub(super) fn new(fs: &Arc<Fs>, runtime: &Handle) -> Self {
        Self {
            fs: Arc::clone(fs),
            runtime: runtime.clone(),
            kernel: Arc::default(),
        }
    }

    /// Writes what comes from now on until [`Self::end`], on threads that hold no lock and answer
    /// no request: the kernel may wait for requests that are being answered. Many in a row are
    /// written by the same thread.
    pub fn begin(&self, notifier: Notifier, device: OwnedFd) {
        let kernel = Kernel { notifier, device };
        if kernel.prune(&[]).is_ok() {
            self.fs.has_pruning();
        } else {
            debug!("the kernel is not asked to forget directories: it does not know how");
        }
        // A session begins once.
        let _ = self.kernel.set(kernel);
        let notices = self.clone();
        self.runtime.spawn(async move {
            while let Some(first) = notices.fs.next_invalidation().await {
                let notices = notices.clone();
                let written = tokio::task::spawn_blocking(move || {
                    notices.write_one(&first);
                    while let Some(next) = notices.fs.waiting_invalidation() {
                        notices.write_one(&next);
                    }
                });
                // It cannot panic, and the runtime ends with the process.
                let _ = written.await;
            }
        });
    }

    fn write_one(&self, invalidation: &Invalidation) {
        match invalidation {
            Invalidation::Attributes(ino) => self.attributes(*ino),
            Invalidation::Content(ino) => {
                self.write(|kernel| kernel.notifier.inval_inode(INodeNo(ino.0), 0, 0));
                self.fs.content_written(*ino);
            }
            Invalidation::UnusedDirectory(ino) => self.write(|kernel| kernel.prune(&[*ino])),
            Invalidation::Entry(parent, name) | Invalidation::Unused(parent, name) => {
                self.entry(*parent, name);
            }
        }
    }

    /// Nothing more is to come.
    pub fn end(&self) {
        self.fs.end_invalidations();
    }

    /// Writes those of attributes, which the kernel is to have before the answer that follows. It
    /// takes no lock for them.
    pub(super) fn write_attributes(&self) {
        for ino in self.fs.take_stale_attributes() {
            self.attributes(ino);
        }
    }

    /// Writes that of an inode's pages, which the kernel is to have before the answer that follows,
    /// on a thread that may wait. The pages may wait for the store, the answer does so no longer
    /// than [`PAGES_PATIENCE`]: the bytes that it is about are stored.
    pub(super) async fn write_content(&self, ino: Ino) {
        let written = async {
            if self.fs.claim_content(ino).await {
                let notices = self.clone();
                let write = move || notices.write_one(&Invalidation::Content(ino));
                // It cannot panic, and the runtime ends with the process.
                let _ = tokio::task::spawn_blocking(write).await;
            }
        };
        // Later it is written all the same.
        let _ = interrupt::or(tokio::time::timeout(PAGES_PATIENCE, written)).await;
    }

    fn attributes(&self, ino: Ino) {
        self.write(|kernel| {
            kernel
                .notifier
                .inval_inode(INodeNo(ino.0), ATTRIBUTES_ONLY, 0)
        });
    }

    fn entry(&self, parent: Ino, name: &OsStr) {
        self.write(|kernel| kernel.notifier.inval_entry(INodeNo(parent.0), name));
    }

    fn write(&self, notice: impl FnOnce(&Kernel) -> io::Result<()>) {
        if let Some(kernel) = self.kernel.get()
            && let Err(error) = notice(kernel)
        {
            // The connection has ended, or the directory is gone: nothing is cached there.
            debug!("a notice to the kernel: {error}");
        }
    }
}
