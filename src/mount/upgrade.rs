//! A mount that goes on in another program on purpose: who asks for it, and what they are told.
//! Starts no program.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::debug;

use super::MountError;
use super::control::Answer;
use super::resume::FORMAT;

/// How long who asks may take to read the answer.
const TELL_PATIENCE: Duration = Duration::from_secs(1);

/// A wish that a mount goes on in another program.
#[derive(Debug)]
pub struct Upgrade {
    program: PathBuf,
    format: u32,
    asker: Asker,
}

impl Upgrade {
    pub(super) const fn new(program: PathBuf, format: u32, asker: Asker) -> Self {
        Self {
            program,
            format,
            asker,
        }
    }

    /// The program.
    ///
    /// # Errors
    /// [`MountError::OtherFormat`]: it cannot go on from what this one keeps.
    pub fn program(&self) -> Result<&Path, MountError> {
        match self.format {
            FORMAT => Ok(&self.program),
            known => Err(MountError::OtherFormat {
                kept: FORMAT,
                known,
            }),
        }
    }

    /// Who asks, and waits for an answer.
    pub const fn asker(&self) -> &Asker {
        &self.asker
    }
}

/// Who waits for a mount to go on in another program.
#[derive(Debug)]
pub struct Asker(UnixStream);

impl Asker {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(TELL_PATIENCE))?;
        Ok(Self(stream))
    }

    /// That of the process before.
    pub fn of_descriptor(descriptor: OwnedFd) -> Self {
        Self(descriptor.into())
    }

    /// Says that this program serves.
    pub fn upgraded(&self) {
        self.tell(&Answer::Upgraded);
    }

    /// Says why the other program does not serve.
    pub fn refused(&self, why: &dyn std::fmt::Display) {
        let why = why.to_string();
        self.tell(&Answer::Refused { why });
    }

    fn tell(&self, answer: &Answer) {
        let told = answer.line().and_then(|line| (&self.0).write_all(&line));
        if let Err(error) = told {
            debug!("control socket: {error}");
        }
    }
}

impl AsFd for Asker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
