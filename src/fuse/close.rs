//! The close of a descriptor: whether what was written is published by it depends on the process
//! that closes. Knows no reply.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::caller::{self, Fate};
use super::notices::Notices;
use crate::fs::{Fh, FsError, FsResult, Ino};
use crate::interrupt;

/// A descriptor that is closed, and by whom.
#[derive(Debug)]
pub(super) struct Close {
    pub notices: Notices,
    /// `major:minor` of the superblock, if it is known.
    pub device: Option<Arc<str>>,
    /// The thread that closes.
    pub caller: u32,
    pub ino: Ino,
    pub fh: Fh,
}

/// What is known of the process that closes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    /// It waits, and hears of a failure.
    Living,
    /// It closes another descriptor of the file later.
    Again,
    /// It ends because of a signal, and hears nothing.
    Killed,
}

/// FUSE_FSYNC.
pub(super) async fn fsync(notices: Notices, ino: Ino, fh: Fh) -> FsResult<()> {
    let synced = notices.fs.fsync(fh).await;
    notices.write_content(ino).await;
    synced
}

impl Close {
    /// FUSE_FLUSH.
    pub(super) async fn flush(self) -> FsResult<()> {
        let fs = &self.notices.fs;
        if !fs.is_unpublished(self.fh) {
            return fs.flush(self.fh).await;
        }
        match self.by().await? {
            By::Living => {
                let flushed = fs.flush(self.fh).await;
                self.notices.write_content(self.ino).await;
                flushed
            }
            By::Again => Ok(()),
            By::Killed if fs.saves_killed() => {
                // As if the close had been interrupted: nothing is begun, and it is saved when the
                // last descriptor goes.
                let over = CancellationToken::new();
                over.cancel();
                interrupt::scope(over, fs.flush(self.fh)).await
            }
            By::Killed => {
                // A process that ends takes no further signal: it must not wait for the store.
                let (fs, fh) = (Arc::clone(fs), self.fh);
                let flushed = tokio::spawn(async move { fs.flush(fh).await });
                match interrupt::or(flushed).await {
                    Ok(Ok(flushed)) => flushed,
                    Ok(Err(_)) | Err(_) => Ok(()),
                }
            }
        }
    }

    async fn by(&self) -> FsResult<By> {
        // A shell that opens the target of a redirection moves the descriptor and closes the
        // first: publishing then would show every such file empty before it has its content.
        let device = self.device.clone();
        let device = device.filter(|_| self.notices.fs.is_still_empty(self.fh));
        let (caller, ino) = (self.caller, self.ino);
        let seen = tokio::task::spawn_blocking(move || {
            let is_again =
                device.is_some_and(|device| caller::writes_elsewhere(caller, ino, &device));
            match caller::fate(caller) {
                _ if is_again => By::Again,
                Fate::Killed => By::Killed,
                Fate::Waits | Fate::Interrupted => By::Living,
            }
        });
        // No answer: the runtime ends.
        seen.await
            .map_err(|_| FsError::from(interrupt::Interrupted))
    }
}
