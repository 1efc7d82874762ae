//! A mount that is served, until it ends: what happens to it, and what it is told to do.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Command, Stdio};
use std::time::Duration;

use log::{info, warn};
use nix::sys::stat::{major, minor};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::LiveMount;
use super::kernel::{self, Detach};
use super::point::{self, FSTYPE};
use super::upgrade::Upgrade;
use crate::file::FileError;
use crate::interrupt;
use crate::object::ObjectKey;

/// How often a busy mount is tried to be unmounted again.
const BUSY_RETRY: Duration = Duration::from_millis(200);

/// What happens to a mount that is served.
#[derive(Debug)]
pub enum Event {
    /// It was unmounted.
    Ended,
    /// Somebody wishes it to go on in another program.
    Upgrade(Upgrade),
}

impl LiveMount {
    /// From now on requests of the kernel are held and not begun. Whether all that were begun are
    /// answered, for which it waits no longer than `patience`. When another program goes on, what
    /// is held or not answered is as if this process had been killed: the kernel sends it again,
    /// or, before Linux 6.9, tells its callers ECONNABORTED.
    pub async fn quiesce(&self, patience: Duration) -> bool {
        self.under_way.stop(patience).await
    }

    /// Answers requests again after [`Self::quiesce`], those that were held too.
    pub fn go_on(&self) {
        self.under_way.go_on();
    }

    /// Whether this is inside.
    ///
    /// # Errors
    /// stat(2)'s.
    pub fn has(&self, path: &Path) -> io::Result<bool> {
        let device = std::fs::metadata(path)?.dev();
        let number = format!("{}:{}", major(device), minor(device));
        Ok(self.device.as_ref() == Some(&number))
    }

    /// Where the first was mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until all of them are unmounted.
    pub async fn ended(&mut self) {
        say_ended(&self.path, (&mut self.ended).await);
    }

    /// Waits for what happens next.
    pub async fn next(&mut self) -> Event {
        let upgrade = async {
            match &mut self.control {
                Some(control) => control.upgrade().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(upgrade) = upgrade => return Event::Upgrade(upgrade),
            ended = &mut self.ended => say_ended(&self.path, ended),
        }
        Event::Ended
    }

    /// Tells those who wait for the end what could not be committed.
    pub async fn tell(&mut self, left: Vec<String>) {
        if let Some(control) = self.control.take() {
            control.end(left).await;
        }
    }

    /// Commits what is dirty and unmounts. While something inside is in use, waits for at most
    /// `patience`, then detaches the mount; what is still open fails when this process ends.
    /// Returns what is to be said of what could not be committed.
    pub async fn stop(&mut self, patience: Duration) -> Vec<String> {
        // Before unmounting: afterwards nobody is left who could be told of a failure, or try
        // again.
        self.write_back(patience).await;
        let (failed, copies) = self.sync_or_copy(patience).await;
        for failed in failed {
            warn!("{failed}");
        }
        if tokio::time::timeout(patience, self.detach_when_idle())
            .await
            .is_ok()
        {
            self.ended().await;
            // As in `finish`.
            self.quiesce(patience).await;
        } else {
            warn!("{}: still in use", self.path.display());
            self.abandon();
        }
        // What was written meanwhile, and a second chance for what failed.
        let left = self.settle().await;
        // Where something is left its copy may be all there is: the disk may be full by now.
        for copy in copies.iter().filter(|_| left.is_empty()) {
            if let Err(error) = std::fs::remove_file(copy) {
                warn!("{}: cannot be removed: {error}", copy.display());
            }
        }
        left
    }

    /// After the end of the connection: commits what is dirty. Where it was ended by force, as by
    /// `umount -f`, what is open is half written, and the store may be what it was ended for: that
    /// is saved, and the rest has `patience`. Returns as [`Self::stop`].
    pub async fn finish(&self, patience: Duration) -> Vec<String> {
        if self.is_left_dead() {
            warn!("{}: ended by force", self.path.display());
            self.abandon();
            self.under_way.in_flight.give_up();
            self.quiesce(patience).await;
            return self.give_up(patience).await;
        }
        // The last closes, which nobody waits for, publish or save what they can.
        self.quiesce(patience).await;
        self.settle().await
    }

    /// Whether it is in the tree although the connection has ended. Who unmounts by force finds it
    /// in use only after that. Its number alone may be another's by now.
    fn is_left_dead(&self) -> bool {
        let mounts = self.device.as_deref().map(point::mounts_of);
        let Some(Ok(mounts)) = mounts else {
            return false;
        };
        let mut ours = mounts.iter().filter(|mount| mount.fstype == FSTYPE);
        ours.any(|mount| point::is_dead(&mount.path))
    }

    /// Commits what nobody has open within `patience`, and saves all else. Returns as
    /// [`Self::stop`].
    pub async fn give_up(&self, patience: Duration) -> Vec<String> {
        let over = CancellationToken::new();
        let mut closed = pin!(interrupt::scope(over.clone(), self.fs.sync_closed(None)));
        let is_in_time = tokio::time::timeout(patience, &mut closed).await.is_ok();
        if !is_in_time {
            over.cancel();
            closed.await;
        }
        let mut left = self.save().await;
        left.extend(not_committed(self.fs.unreported()));
        left
    }

    /// Commits what is dirty, and saves what cannot be. Returns as [`Self::stop`].
    async fn settle(&self) -> Vec<String> {
        let mut failed = self.sync().await;
        if !failed.is_empty() {
            failed.extend(self.save().await);
        }
        failed
    }

    /// Saves what is not committed, and answers nothing from then on: what is written later would
    /// be neither saved nor stored, and its fsync(2) must not succeed.
    async fn save(&self) -> Vec<String> {
        self.quiesce(Duration::ZERO).await;
        self.fs.save_unstored().await
    }

    /// Has the kernel send what was written through mappings, for which it waits no longer than
    /// `patience`: of that this process knows nothing before. By another process: one that waits
    /// for its own answers in the kernel can neither be killed nor end.
    async fn write_back(&self, patience: Duration) {
        let mounts = self.device.as_deref().map(point::mounts_of);
        let Some(Ok(mounts)) = mounts else { return };
        let Some(mount) = mounts.into_iter().next() else {
            return;
        };
        let synced = tokio::task::spawn_blocking(move || {
            let mut sync = Command::new("sync");
            let sync = sync.arg("-f").arg(&mount.path);
            sync.stdin(Stdio::null()).stderr(Stdio::null()).status()
        });
        let synced = tokio::time::timeout(patience, synced).await;
        if !matches!(synced, Ok(Ok(Ok(status))) if status.success()) {
            warn!(
                "{}: what was written through mappings may be missing: sync -f failed, or took \
                 too long",
                self.path.display()
            );
        }
    }

    /// As [`Self::sync`]. Who told this process to end kills it when it takes long (systemd after
    /// 90 seconds, Docker after 10), so what is not stored within `patience` is saved as well, in
    /// the files that are returned, too.
    async fn sync_or_copy(&self, patience: Duration) -> (Vec<String>, Vec<PathBuf>) {
        let mut sync = pin!(self.sync());
        if let Ok(failed) = tokio::time::timeout(patience, &mut sync).await {
            return (failed, Vec::new());
        }
        let copies = self.fs.copy_unstored().await;
        (sync.await, copies)
    }

    /// Commits everything that is dirty. Returns what is to be said of what could not be.
    async fn sync(&self) -> Vec<String> {
        not_committed(self.fs.sync_all().await).collect()
    }

    /// Takes the mounts out of the tree at once, whatever is in use.
    pub fn abandon(&self) {
        match self.detach(Detach::Lazy) {
            Ok(()) => info!("{} detached", self.path.display()),
            Err(error) => warn!("{}: cannot be unmounted: {error}", self.path.display()),
        }
    }

    pub(super) fn raise_readahead(&self, path: &Path) {
        if let Some(number) = &self.device {
            kernel::raise_readahead(path, number);
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

/// What is to be said of these.
fn not_committed(failed: Vec<(ObjectKey, FileError)>) -> impl Iterator<Item = String> {
    let said = |(key, error): (ObjectKey, FileError)| format!("{key}: not committed: {error}");
    failed.into_iter().map(said)
}

fn say_ended(path: &Path, outcome: Result<io::Result<()>, oneshot::error::RecvError>) {
    match outcome {
        Ok(Err(error)) => warn!("{}: the session failed: {error}", path.display()),
        // The sender goes without a word only when its thread panicked, which is in the log.
        Ok(Ok(())) | Err(_) => info!("{} unmounted", path.display()),
    }
}
