//! The control socket of a daemon, by which another process of the same user joins its superblock,
//! and umount(8) waits until what it unmounted is stored. Mounts nothing.
//!
//! Both sides speak in lines of JSON, a question and its answer. What is asked for may carry
//! secrets, so the socket is the user's alone.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use log::{debug, info, warn};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::UnixListener;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::descriptors;
use super::resume::FORMAT;
use super::upgrade::{Asker, Upgrade};
use crate::config::{Config, ShownSource};
use crate::fs::Fs;
use crate::store::s3::S3Store;

/// Where the sockets of root's daemons are.
const RUN_DIR: &str = "/run/s3fs";
/// Where a user's directory for such files is (pam_systemd(8)).
const USER_RUN_DIR: &str = "/run/user";
/// Where a user makes one who has no session, as in cron(8).
const NO_SESSION_DIR: &str = "/tmp";
/// How long a daemon may take to say whether it can be joined: it looks at a few objects.
const JOIN_PATIENCE: Duration = Duration::from_secs(30);
/// How long one may take to say that it waits for an unmount.
const ATTEND_PATIENCE: Duration = Duration::from_secs(5);
/// How long one that goes on in another program may take: until requests under way are answered,
/// and everything is restored.
const UPGRADE_PATIENCE: Duration = Duration::from_secs(60);
/// How long those who wait for the end may take to read that it is reached.
const TELL_PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of a line: many times what options come to.
const LINE_BYTES_MAX: usize = 1 << 20;

/// What a daemon is asked.
#[derive(Debug, Serialize, Deserialize)]
enum Question {
    /// To show one more source, to a mount with these options.
    Join {
        common: Box<Config>,
        shown: ShownSource,
    },
    /// To say when all is stored of what is mounted from this directory of the root and is about
    /// to be unmounted; an empty line says that it is.
    Attend { name: String },
    /// To go on in another program, which goes on from what is kept in this format.
    Upgrade { program: PathBuf, format: u32 },
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The source is the directory of that name; the descriptor of the connection follows.
    Joined { name: String },
    /// It cannot be joined, by mounts with other options for the same store if so.
    Apart { is_same_store: bool },
    /// It waits for the unmount.
    Attending,
    /// All is stored but this.
    Stored { failed: Vec<String> },
    /// The other program serves.
    Upgraded,
    /// It does not.
    Refused { why: String },
}

/// Where the sockets of a user's daemons may be, the best first.
fn run_dirs(uid: u32) -> Vec<PathBuf> {
    match uid {
        0 => vec![RUN_DIR.into()],
        uid => vec![
            Path::new(USER_RUN_DIR).join(uid.to_string()).join("s3fs"),
            Path::new(NO_SESSION_DIR).join(format!("s3fs-{uid}")),
        ],
    }
}

/// Whether nobody else has made this directory.
fn is_of(dir: &Path, uid: u32) -> bool {
    dir.symlink_metadata()
        .is_ok_and(|about| about.is_dir() && about.uid() == uid)
}

/// Where the sockets of this user's daemons are, made if it is missing.
///
/// # Errors
/// When there can be no such directory.
pub(super) fn make_run_dir() -> io::Result<PathBuf> {
    let uid = geteuid().as_raw();
    let mut refused = io::Error::from(io::ErrorKind::NotFound);
    for dir in run_dirs(uid) {
        match DirBuilder::new().mode(0o755).create(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => refused = error,
            _ if is_of(&dir, uid) => return Ok(dir),
            _ => refused = io::ErrorKind::PermissionDenied.into(),
        }
    }
    Err(refused)
}

/// What a daemon answers from.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) fs: Arc<Fs>,
    pub(super) store: S3Store,
    /// What mounts that join have to agree with; `None` when none can.
    pub(super) common: Option<Config>,
    /// The connection to the kernel.
    pub(super) device: OwnedFd,
}

/// The socket of this daemon. Its name goes with it.
#[derive(Debug)]
pub(super) struct Control {
    path: PathBuf,
    listener: std::os::unix::net::UnixListener,
    ended: watch::Sender<Option<Vec<String>>>,
    upgrades: mpsc::Receiver<Upgrade>,
    accepting: AbortOnDropHandle<()>,
}

/// What the answers to one question come from.
#[derive(Clone, Debug)]
struct Answering {
    served: Arc<Served>,
    told: watch::Receiver<Option<Vec<String>>>,
    upgrades: mpsc::Sender<Upgrade>,
}

impl Drop for Control {
    fn drop(&mut self) {
        // One that stays is taken away by the next of that number.
        let _ = fs::remove_file(&self.path);
    }
}

impl Control {
    /// Answers on the socket `name` of `dir` from now on.
    ///
    /// # Errors
    /// When there can be no such socket.
    pub(super) fn listen(
        dir: &Path,
        name: &str,
        served: Arc<Served>,
        runtime: &Handle,
    ) -> io::Result<Self> {
        let path = dir.join(name);
        // One of a daemon that was killed: the number is ours now.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = std::os::unix::net::UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Self::resume(listener, path, served, runtime)
    }

    /// Answers on a socket that the process before had.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn resume(
        listener: std::os::unix::net::UnixListener,
        path: PathBuf,
        served: Arc<Served>,
        runtime: &Handle,
    ) -> io::Result<Self> {
        let _runtime = runtime.enter();
        listener.set_nonblocking(true)?;
        let accepted = UnixListener::from_std(listener.try_clone()?)?;
        let (ended, told) = watch::channel(None);
        let (wish, upgrades) = mpsc::channel(1);
        let answering = Answering {
            served,
            told,
            upgrades: wish,
        };
        let accepting = accept(accepted, answering);
        Ok(Self {
            path,
            listener,
            ended,
            upgrades,
            accepting: AbortOnDropHandle::new(runtime.spawn(accepting)),
        })
    }

    /// The socket's name.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The socket, for the next process.
    ///
    /// # Errors
    /// dup(2)'s.
    pub(super) fn try_clone(&self) -> io::Result<OwnedFd> {
        Ok(self.listener.try_clone()?.into())
    }

    /// The next wish that the mount goes on in another program.
    pub(super) async fn upgrade(&mut self) -> Option<Upgrade> {
        self.upgrades.recv().await
    }

    /// The mount has ended, and all is stored but this: tells those who wait for it.
    pub(super) async fn end(self, failed: Vec<String>) {
        let Self {
            ended, accepting, ..
        } = &self;
        accepting.abort();
        // Nobody waits in the usual case.
        let _ = ended.send(Some(failed));
        // Who has been answered lets go of the receiver.
        let _ = tokio::time::timeout(TELL_PATIENCE, ended.closed()).await;
    }
}

async fn accept(listener: UnixListener, answering: Answering) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!("control socket: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let answering = answering.clone();
        tokio::spawn(async move {
            if let Err(error) = answering.answer(stream).await {
                debug!("control socket: {error}");
            }
        });
    }
}

impl Answering {
    async fn answer(self, stream: tokio::net::UnixStream) -> io::Result<()> {
        let uid = stream.peer_cred()?.uid();
        if uid != 0 && uid != geteuid().as_raw() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut stream = BufReader::new(stream);
        match serde_json::from_slice(&line_of(&mut stream).await?)? {
            Question::Join { common, shown } => {
                let answer = self.served.join(&common, &shown).await;
                write(&mut stream, &answer).await?;
                if let Answer::Joined { .. } = answer {
                    let stream = stream.get_ref();
                    let send = || descriptors::send(stream, &[self.served.device.as_fd()]);
                    stream.async_io(Interest::WRITABLE, send).await?;
                }
                Ok(())
            }
            Question::Attend { name } => self.attend(stream, &name).await,
            Question::Upgrade { program, format } => {
                let asker = Asker::new(stream.into_inner().into_std()?)?;
                let upgrade = Upgrade::new(program, format, asker);
                self.upgrades.send(upgrade).await.map_err(io::Error::other)
            }
        }
    }

    async fn attend(
        mut self,
        mut stream: BufReader<tokio::net::UnixStream>,
        name: &str,
    ) -> io::Result<()> {
        write(&mut stream, &Answer::Attending).await?;
        let is_over = tokio::select! {
            line = line_of(&mut stream) => {
                line?;
                is_disconnected(&self.served.device)
            }
            _ = self.told.wait_for(Option::is_some) => true,
        };
        let failed = match is_over {
            false => self.served.store(name).await,
            // That was the last mount: all there is gets stored, and then the daemon ends.
            true => {
                let ended = self.told.wait_for(Option::is_some).await;
                ended.map_err(io::Error::other)?.clone().unwrap_or_default()
            }
        };
        write(&mut stream, &Answer::Stored { failed }).await
    }
}

async fn line_of(stream: &mut BufReader<tokio::net::UnixStream>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut bounded = stream.take(LINE_BYTES_MAX as u64);
    match bounded.read_until(b'\n', &mut line).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line),
    }
}

async fn write(stream: &mut BufReader<tokio::net::UnixStream>, answer: &Answer) -> io::Result<()> {
    stream.write_all(&answer.line()?).await
}

impl Answer {
    /// As it is sent.
    ///
    /// # Errors
    /// When it cannot be said in JSON.
    pub(super) fn line(&self) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

impl Served {
    async fn join(&self, common: &Config, shown: &ShownSource) -> Answer {
        let bucket = &shown.source.bucket;
        match &self.common {
            Some(ours) if ours == common && self.store.check_name(bucket).is_ok() => {}
            ours => {
                let is_same = |ours: &Config| ours.store.endpoint == common.store.endpoint;
                return Answer::Apart {
                    is_same_store: ours.as_ref().is_some_and(is_same),
                };
            }
        }
        self.fs.buckets().add(self.store.bucket(bucket));
        let name = self.fs.add_source(shown).await;
        info!("{bucket}/{}: shown, too, as {name}", shown.source.prefix);
        Answer::Joined {
            name: name.to_string(),
        }
    }

    async fn store(&self, name: &str) -> Vec<String> {
        let failed = self.fs.sync_closed(Some(name)).await;
        let said = failed.iter().map(|(key, error)| format!("{key}: {error}"));
        said.collect()
    }
}

/// Whether the last mount of a connection is gone: fuse_dev_poll() says so by POLLERR.
pub(super) fn is_disconnected(device: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(device.as_fd(), PollFlags::empty())];
    poll(&mut polled, PollTimeout::ZERO).is_ok_and(|_| {
        let seen = polled[0].revents().unwrap_or(PollFlags::empty());
        seen.contains(PollFlags::POLLERR)
    })
}

/// What asking a daemon to join it came to.
#[derive(Debug)]
pub(super) enum Reply {
    /// This is the connection, and the name of the source's directory in its root.
    Joined { device: OwnedFd, name: String },
    /// Its mounts have other options.
    Apart { is_same_store: bool },
}

/// A daemon that can be asked.
#[derive(Debug)]
pub(super) struct Daemon(UnixStream);

impl Daemon {
    /// The daemon with this socket.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).map(Self)
    }

    /// The daemon of the superblock `device`, mounted by `uid`; `None` when it is not known.
    pub(super) fn of(device: &str, uid: u32) -> Option<Self> {
        let mut dirs = run_dirs(uid).into_iter().filter(|dir| is_of(dir, uid));
        dirs.find_map(|dir| Self::at(&dir.join(device)).ok())
    }

    /// Asks it to show one more source, to a mount with these options.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) fn join(mut self, common: Config, shown: ShownSource) -> io::Result<Reply> {
        self.0.set_read_timeout(Some(JOIN_PATIENCE))?;
        let common = Box::new(common);
        match self.ask(&Question::Join { common, shown })? {
            Answer::Joined { name } => {
                let received = descriptors::receive(&self.0)?;
                let [device] = received.ok_or(io::ErrorKind::UnexpectedEof)?;
                Ok(Reply::Joined { device, name })
            }
            Answer::Apart { is_same_store } => Ok(Reply::Apart { is_same_store }),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Says that what is mounted from this directory of its root is about to be unmounted.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) fn attend(mut self, name: &str) -> io::Result<Attending> {
        self.0.set_read_timeout(Some(ATTEND_PATIENCE))?;
        let name = name.to_owned();
        match self.ask(&Question::Attend { name })? {
            Answer::Attending => Ok(Attending(self)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Asks it to go on in another program, which knows the same format as this one. Returns why
    /// it does not, if so.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) fn upgrade(mut self, program: &Path) -> io::Result<Option<String>> {
        self.0.set_read_timeout(Some(UPGRADE_PATIENCE))?;
        let question = Question::Upgrade {
            program: program.to_owned(),
            format: FORMAT,
        };
        match self.ask(&question)? {
            Answer::Upgraded => Ok(None),
            Answer::Refused { why } => Ok(Some(why)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn ask(&mut self, question: &Question) -> io::Result<Answer> {
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        self.0.write_all(&line)?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Answer> {
        // Not a byte more than the line: a descriptor may come with the next.
        let mut line = Vec::new();
        let mut byte = [0];
        // Root asks a user's daemon, too, which may say anything.
        while line.len() < LINE_BYTES_MAX {
            self.0.read_exact(&mut byte)?;
            match byte {
                [b'\n'] => return Ok(serde_json::from_slice(&line)?),
                [byte] => line.push(byte),
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// A daemon that waits for an unmount.
#[derive(Debug)]
pub(super) struct Attending(Daemon);

impl Attending {
    /// It is unmounted: waits until everything is stored that nobody has open; if nothing else is
    /// mounted, until the daemon is about to end. Returns what could not be stored.
    ///
    /// # Errors
    /// When it has ended without an answer.
    pub(super) fn wait(self) -> io::Result<Vec<String>> {
        let Self(mut daemon) = self;
        daemon.0.set_read_timeout(None)?;
        // It may have answered, and ended, already.
        let _ = daemon.0.write_all(b"\n");
        match daemon.answer()? {
            Answer::Stored { failed } => Ok(failed),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
