//! A filesystem over a simulated store in the test's own process, driven as the kernel would:
//! lookups, handles, 4 GiB copy requests, a flush at close. Knows no FUSE.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use s3fs::config::{
    AttributeSource, Bounds, Config, Forced, Ownership, Source, StaticCredentials, StoreConfig,
};
use s3fs::file::{Kept, Shared};
use s3fs::fs::{
    Attr, CopyRequest, Fh, Fs, FsResult, Ino, Kind, NewNode, OpenMode, RenameMode, WriteAt,
};
use s3fs::journal::{Batch, Journal, LogFiles};
use s3fs::limits::Limits;
use s3fs::object::BucketName;
use s3fs::range::ByteRange;
use s3fs::sim::{Rules, Sim, SimBuilder};
use s3fs::store::Buckets;
use s3fs::store::dialect::Dialect;
use s3fs::store::retry::Timeouts;
use s3fs::store::s3::S3Store;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub const BUCKET: &str = "bucket";
const ROOT: Ino = Ino(1);
/// What the kernel asks to copy at most in one request: UINT_MAX rounded down to a page.
const COPY_REQUEST_MAX: u64 = 0xffff_f000;

/// A filesystem, its store and the runtime both work on.
pub struct World {
    /// The filesystem's own, which ends with its process.
    daemon: Option<Runtime>,
    pub sim: Sim,
    pub fs: Arc<Fs>,
    pub staging: TempDir,
    pub config: Config,
    dialect: Dialect,
    shared: Arc<Shared>,
    kept: Kept,
    /// The descriptors of `kept` that are the process's own.
    own: Vec<RawFd>,
    /// The service's.
    _runtime: Runtime,
}

const READ: OpenMode = OpenMode {
    read: true,
    write: false,
    truncate: false,
    exclusive: false,
};
const WRITE: OpenMode = OpenMode {
    read: false,
    write: true,
    ..READ
};

/// A file of root's.
pub const NEW: NewNode = NewNode {
    kind: Kind::File,
    permissions: 0o644,
    uid: 0,
    gid: 0,
    rdev: 0,
};

impl World {
    /// An empty bucket of a store that answers as AWS does; names are trusted for the whole test.
    pub fn new() -> Self {
        Self::chosen(Limits::aws(), |_| ())
    }

    /// As [`Self::new`], with a store of these limits and a mount of other options.
    pub fn chosen(limits: Limits, choose: impl FnOnce(&mut Config)) -> Self {
        let runtime = Runtime::new().unwrap();
        let mut rules = Rules::aws();
        rules.writes.appends = limits.append_max > 0;
        let builder = Sim::builder().rules(rules).limits(limits.clone());
        let builder = builder.bucket(BUCKET);
        let sim = runtime.block_on(builder.start("127.0.0.1:0")).unwrap();
        Self::mounted(runtime, sim, aws(limits), choose)
    }

    /// A bucket of a store that keeps these rules, mounted as one of that dialect.
    pub fn of(rules: Rules, dialect: Dialect, keeps_versions: bool) -> Self {
        let builder = Sim::builder().rules(rules);
        let builder = match keeps_versions {
            true => builder.versioned(BUCKET),
            false => builder.bucket(BUCKET),
        };
        Self::built(builder, dialect, |_| ())
    }

    /// A mount, of other options, of such a store, as one of that dialect.
    pub fn built(builder: SimBuilder, dialect: Dialect, choose: impl FnOnce(&mut Config)) -> Self {
        let runtime = Runtime::new().unwrap();
        let sim = runtime.block_on(builder.start("127.0.0.1:0")).unwrap();
        Self::mounted(runtime, sim, dialect, choose)
    }

    /// As [`Self::new`], of a bucket that keeps versions.
    pub fn versioned() -> Self {
        let runtime = Runtime::new().unwrap();
        let started = Sim::builder().versioned(BUCKET).start("127.0.0.1:0");
        let sim = runtime.block_on(started).unwrap();
        Self::mounted(runtime, sim, Dialect::aws(), |_| ())
    }

    /// Another filesystem over what the store of `other` holds, which knows nothing of it yet.
    pub fn over(other: &Self) -> Self {
        Self::over_as(other, Dialect::aws())
    }

    /// The same, as one of that dialect.
    pub fn over_as(other: &Self, dialect: Dialect) -> Self {
        let runtime = Runtime::new().unwrap();
        let served = Sim::serve(other.sim.state(), "127.0.0.1:0");
        let sim = runtime.block_on(served).unwrap();
        Self::mounted(runtime, sim, dialect, |_| ())
    }

    fn mounted(
        runtime: Runtime,
        sim: Sim,
        dialect: Dialect,
        choose: impl FnOnce(&mut Config),
    ) -> Self {
        let staging = tempfile::tempdir().unwrap();
        let mut config = config(&sim, staging.path().into());
        choose(&mut config);
        let daemon = Runtime::new().unwrap();
        let buckets = connected(&daemon, &config, &dialect);
        let kept = Kept::create(staging.path()).unwrap();
        let (bounds, handle) = (config.bounds.clone(), daemon.handle().clone());
        let (kept_own, own) = shared_out(&kept);
        let shared = Shared::keeping(buckets, bounds, handle, kept_own).unwrap();
        let fs = Arc::new(Fs::new(&config, Arc::clone(&shared)));
        let background = Arc::clone(&fs);
        daemon.spawn(async move { background.store_attributes().await });
        Self {
            daemon: Some(daemon),
            sim,
            fs,
            staging,
            config,
            dialect,
            shared,
            kept,
            own,
            _runtime: runtime,
        }
    }

    /// The filesystem's process is killed in the middle of this work: after the last record of it,
    /// and before the next one.
    pub fn kill_before_records_of(&mut self, work: impl Future<Output = ()>) {
        self.shared.hand_over();
        self.run(work);
        self.kill();
    }

    /// The filesystem's process is killed, and the records of that kind cannot be read any more:
    /// of those, the first so many.
    pub fn kill_and_spoil(&mut self, kind: u8, count: usize) {
        self.shared.hand_over();
        let [one, other, ..] = self.kept.descriptors();
        let log = [one, other].map(|log| File::from(log.try_clone_to_owned().unwrap()));
        let (journal, values) = Journal::resume(LogFiles(log)).unwrap();
        let mut batch = Batch::default();
        let of_kind = values.keys().filter(|key| key.kind == kind);
        for key in of_kind.take(count) {
            batch.put(*key, |to| to.extend(b"spoilt"));
        }
        assert!(!batch.is_empty());
        journal.write(&batch);
        self.kill();
    }

    /// The filesystem's process is killed, and another goes on with what it kept.
    pub fn kill(&mut self) {
        self.shared.hand_over();
        // No value of the process is dropped: nothing is tidied up.
        std::mem::forget((Arc::clone(&self.fs), Arc::clone(&self.shared)));
        let killed = self.daemon.replace(Runtime::new().unwrap());
        killed.unwrap().shutdown_timeout(Duration::from_secs(10));
        // But its descriptors, which would be too many after hundreds of kills.
        for descriptor in self.own.drain(..) {
            nix::unistd::close(descriptor).unwrap();
        }
        let buckets = connected(self.daemon(), &self.config, &self.dialect);
        let (bounds, handle) = (self.config.bounds.clone(), self.daemon().handle().clone());
        let (kept_own, own) = shared_out(&self.kept);
        self.own = own;
        let (shared, values) = Shared::resuming(buckets, bounds, handle, kept_own).unwrap();
        let restored = Fs::restore(&self.config, Arc::clone(&shared), &values);
        (self.shared, self.fs) = (shared, Arc::new(restored.unwrap()));
        let background = Arc::clone(&self.fs);
        self.daemon()
            .spawn(async move { background.store_attributes().await });
    }

    /// Bytes staged for all files.
    pub fn staged_bytes(&self) -> u64 {
        self.shared.staging.memory_bytes() + self.shared.staging.disk_bytes()
    }

    /// Bytes of objects in the cache, and on their way there.
    pub fn cached_bytes(&self) -> u64 {
        self.shared.cache.bytes()
    }

    /// Bytes of the log of what the next process needs.
    pub fn journal_bytes(&self) -> u64 {
        let [one, other, ..] = self.kept.descriptors();
        let len = |log: BorrowedFd<'_>| {
            let log = File::from(log.try_clone_to_owned().unwrap());
            log.metadata().unwrap().len()
        };
        len(one) + len(other)
    }

    /// Has work done while the test goes on.
    pub fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) {
        self.daemon().spawn(work);
    }

    fn daemon(&self) -> &Runtime {
        self.daemon.as_ref().unwrap()
    }

    /// Waits for what happens in the background.
    ///
    /// # Panics
    /// If it does not happen in time.
    pub fn wait_until(&self, happened: impl Fn() -> bool) {
        let start = Instant::now();
        while !happened() {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "it never happened"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        // And its answer arrives.
        std::thread::sleep(Duration::from_millis(100));
    }

    /// Runs `work` to its end.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.daemon().block_on(work)
    }

    /// Lists the root, so that every name and size in it is known.
    pub fn list(&self) -> Vec<String> {
        let names = self.list_raw().into_iter();
        names.map(|name| name.into_string().unwrap()).collect()
    }

    /// The same, with names that need not be text.
    pub fn list_raw(&self) -> Vec<OsString> {
        self.run(async {
            let fh = self.fs.opendir(ROOT).await.unwrap().fh;
            let mut names = Vec::new();
            let mut offset = 0;
            loop {
                let listed_before = names.len();
                let mut next = offset;
                let mut take = |entry: &s3fs::fs::DirEntry| {
                    names.push(entry.name.clone());
                    next = entry.next_offset;
                    true
                };
                self.fs.readdir(fh, offset, true, &mut take).await.unwrap();
                if names.len() == listed_before {
                    break;
                }
                offset = next;
            }
            self.fs.releasedir(fh);
            names.retain(|name| name != "." && name != "..");
            names
        })
    }

    /// What is now known of a name.
    pub async fn look(&self, name: &str) -> FsResult<Attr> {
        let (parent, name) = self.parent(name).await?;
        Ok(self.fs.lookup(parent, name).await?.value)
    }

    /// The directory of a path of at most two names, and the last of them.
    async fn parent<'a>(&self, path: &'a str) -> FsResult<(Ino, &'a OsStr)> {
        let Some((directory, name)) = path.split_once('/') else {
            return Ok((ROOT, OsStr::new(path)));
        };
        let parent = self.fs.lookup(ROOT, OsStr::new(directory)).await?;
        Ok((parent.value.ino, OsStr::new(name)))
    }

    /// Opens a file for writing, made if there is none.
    pub async fn open_to_write(&self, name: &str, mode: OpenMode) -> FsResult<Fh> {
        match self.look(name).await {
            Ok(attr) => Ok(self.fs.open(attr.ino, mode).await?.fh),
            Err(_) => {
                let (parent, name) = self.parent(name).await?;
                Ok(self.fs.create(parent, name, NEW, mode).await?.1.fh)
            }
        }
    }

    /// close(2): the flush whose answer the caller sees, then the release.
    pub async fn close(&self, fh: Fh) -> FsResult<()> {
        let flushed = self.fs.flush(fh).await;
        let _ = self.fs.release(fh).await;
        flushed
    }

    /// open(2) with O_CREAT and O_EXCL, write(2), close(2).
    pub async fn create_exclusively(&self, name: &str, bytes: &'static [u8]) -> FsResult<()> {
        let mode = OpenMode {
            exclusive: true,
            ..WRITE
        };
        let (_, opened) = self.fs.create(ROOT, OsStr::new(name), NEW, mode).await?;
        let written = self.fs.write(opened.fh, 0, Bytes::from_static(bytes)).await;
        let closed = self.close(opened.fh).await;
        written.and(closed)
    }

    pub async fn write_new(&self, name: &str, bytes: Vec<u8>) -> FsResult<()> {
        let fh = self
            .open_to_write(
                name,
                OpenMode {
                    truncate: true,
                    ..WRITE
                },
            )
            .await?;
        let written = self.fs.write(fh, 0, Bytes::from(bytes)).await;
        let closed = self.close(fh).await;
        written.and(closed)
    }

    pub async fn overwrite(&self, name: &str, at: u64, bytes: &'static [u8]) -> FsResult<()> {
        let fh = self.open_to_write(name, WRITE).await?;
        let written = self.fs.write(fh, at, Bytes::from_static(bytes)).await;
        let closed = self.close(fh).await;
        written.and(closed)
    }

    pub async fn append(&self, name: &str, bytes: &'static [u8]) -> FsResult<()> {
        let fh = self.open_to_write(name, WRITE).await?;
        let written = self
            .fs
            .write(fh, WriteAt::End(0), Bytes::from_static(bytes));
        let written = written.await;
        let closed = self.close(fh).await;
        written.and(closed)
    }

    pub async fn truncate(&self, name: &str, size: u64) -> FsResult<()> {
        let fh = self.open_to_write(name, WRITE).await?;
        let ino = self.look(name).await?.ino;
        let set = s3fs::fs::SetAttr {
            size: Some(size),
            ..Default::default()
        };
        let cut = self.fs.setattr(ino, Some(fh), set).await.map(|_| ());
        let closed = self.close(fh).await;
        cut.and(closed)
    }

    /// `cat FROM... > TO`, and `cp FROM TO`.
    pub async fn concatenate(&self, from: &[&str], to: &str) -> FsResult<()> {
        let target = self
            .open_to_write(
                to,
                OpenMode {
                    truncate: true,
                    ..WRITE
                },
            )
            .await?;
        let mut at = 0;
        let mut copied = Ok(());
        for name in from {
            let copy = async {
                self.copy_whole(self.look(name).await?.ino, target, at)
                    .await
            };
            match copy.await {
                Ok(bytes) => at += bytes,
                Err(error) => copied = Err(error),
            }
        }
        let closed = self.close(target).await;
        copied.and(closed)
    }

    /// Puts bytes of a file behind those of another, by copy_file_range(2).
    pub async fn append_range(&self, to: &str, from: &str, range: ByteRange) -> FsResult<()> {
        let target = self.open_to_write(to, WRITE).await?;
        let source = self.fs.open(self.look(from).await?.ino, READ).await?.fh;
        let at = self.look(to).await?.size;
        let request = CopyRequest {
            from: source,
            range,
            to: target,
            at,
        };
        let copied = self.fs.copy_file_range(request).await.map(|_| ());
        self.close(source).await?;
        let closed = self.close(target).await;
        copied.and(closed)
    }

    /// Copies all of a file; returns its bytes.
    pub async fn copy_whole(&self, from: Ino, to: Fh, at: u64) -> FsResult<u64> {
        let source = self.fs.open(from, READ).await?.fh;
        let mut copied = 0;
        let result = loop {
            let range = ByteRange::at(copied, COPY_REQUEST_MAX);
            let request = CopyRequest {
                from: source,
                range,
                to,
                at: at + copied,
            };
            match self.fs.copy_file_range(request).await {
                Ok(0) => break Ok(copied),
                Ok(bytes) => copied += u64::from(bytes),
                Err(error) => break Err(error),
            }
        };
        self.close(source).await?;
        result
    }

    pub async fn rename(&self, from: &str, to: &str) -> FsResult<()> {
        let (from, to) = (self.parent(from).await?, self.parent(to).await?);
        self.fs.rename(from, to, RenameMode::Replace).await
    }

    pub async fn read(&self, name: &str, range: ByteRange) -> FsResult<Bytes> {
        let fh = self.fs.open(self.look(name).await?.ino, READ).await?.fh;
        let bytes = self.fs.read(fh, range).await;
        self.close(fh).await?;
        bytes
    }
}

/// What a process is given of what is kept, and the descriptors of that.
fn shared_out(kept: &Kept) -> (Kept, Vec<RawFd>) {
    let own = kept.try_clone().unwrap();
    let descriptors = own.descriptors().map(|descriptor| descriptor.as_raw_fd());
    (own, descriptors.into())
}

/// The buckets of a mount, by connections of this runtime.
fn connected(runtime: &Runtime, config: &Config, dialect: &Dialect) -> Buckets {
    // Faults are injected: the pauses after them prove nothing.
    let timeouts = Timeouts {
        backoff_first: Duration::from_millis(1),
        backoff_max: Duration::from_millis(4),
        ..Timeouts::default()
    };
    let connecting = S3Store::connect_within(&config.store, dialect.clone(), timeouts);
    let store = runtime.block_on(connecting).unwrap();
    let sources = config.sources.iter();
    Buckets::new(sources.map(|source| store.bucket(&source.bucket)))
}

fn aws(limits: Limits) -> Dialect {
    Dialect {
        limits,
        ..Dialect::aws()
    }
}

fn config(sim: &Sim, staging_dir: PathBuf) -> Config {
    let (id, secret) = Sim::ACCESS_KEY;
    Config {
        sources: vec![Source {
            bucket: BucketName::new(BUCKET),
            prefix: String::new(),
            name: BUCKET.to_owned(),
        }],
        shown_source: BUCKET.to_owned(),
        mountpoint: PathBuf::from("/nowhere"),
        store: StoreConfig {
            endpoint: Some(sim.endpoint()),
            region: Some(s3fs::sim::REGION.to_owned()),
            path_style: true,
            credentials: Some(StaticCredentials {
                access_key_id: id.to_owned(),
                secret_access_key: secret.to_owned(),
            }),
            ..StoreConfig::default()
        },
        ownership: Ownership {
            uid: 0,
            gid: 0,
            file_mode: 0o644,
            dir_mode: 0o755,
            root_mode: None,
            forced: Forced::default(),
        },
        attributes: AttributeSource::Auto,
        // Budgets are of what is needed when everything is known.
        close_to_open: false,
        save_killed: false,
        bounds: Bounds {
            staging_dir,
            attr_ttl: Duration::from_secs(600),
            ..Bounds::default()
        },
        read_only: false,
        allow_other: false,
        nonempty: false,
        kernel_options: Vec::new(),
        share_cache: false,
        kernel_resends: true,
    }
}
