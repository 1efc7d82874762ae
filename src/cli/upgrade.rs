//! A daemon that goes on in another program, as the same process: an upgrade on purpose.

use std::convert::Infallible;
use std::ffi::CString;
use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use log::{info, warn};
use nix::sys::signal::SigmaskHow;
use nix::unistd::execv;

use super::called::AS_SUCCESSOR;
use super::inherit;
use super::run::{Failure, ending_signals};
use super::supervise::Link;
use crate::mount::{Asker, Handover, LiveMount, MountError, Upgrade};

/// How long requests that were begun may take until they are answered.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// What of this process the next program has to know, beside the mount.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) log_level: String,
    /// None of a process in front.
    pub(super) link: Option<Link>,
}

impl Standing {
    /// Becomes the program that somebody wishes for. Returns only when that cannot be; whoever asks
    /// is told so.
    pub(super) async fn upgrade(&self, live: &LiveMount, upgrade: &Upgrade) {
        let Err(failure) = self.become_it(live, upgrade).await;
        Self::stay(live, upgrade, &failure);
    }

    /// Stays the program that it is.
    pub(super) fn stay(live: &LiveMount, upgrade: &Upgrade, why: &dyn Display) {
        live.go_on();
        warn!("the daemon stays the program that it is: {why}");
        upgrade.asker().refused(why);
    }

    async fn become_it(&self, live: &LiveMount, upgrade: &Upgrade) -> Result<Infallible, Failure> {
        let program = upgrade.program()?;
        if live.has(program)? {
            return Err(MountError::ProgramInside.into());
        }
        let handover = live.handover()?.ok_or(MountError::NotKept)?;
        info!(
            "{}: goes on in {}",
            live.path().display(),
            program.display()
        );
        if !live.quiesce(ANSWER_PATIENCE).await {
            info!("what is not answered yet is begun anew");
        }
        Ok(self.exec(program, &handover, upgrade.asker())?)
    }

    fn exec(&self, program: &Path, handover: &Handover, asker: &Asker) -> io::Result<Infallible> {
        let (numbers, _held) = inherit::leave_handover(handover)?;
        let asker = inherit::leave(asker.as_fd())?;
        let link = self.link.as_ref().map(|link| inherit::leave(link.as_fd()));
        let link = link.transpose()?;
        let number = |descriptor: &OwnedFd| descriptor.as_raw_fd().to_string();
        let mut arguments = vec![AS_SUCCESSOR.to_owned()];
        arguments.extend(["--log-level".to_owned(), self.log_level.clone()]);
        arguments.extend(["--handover".to_owned(), numbers]);
        arguments.extend(["--asker".to_owned(), number(&asker)]);
        if let Some(link) = &link {
            arguments.extend(["--link".to_owned(), number(link)]);
        }
        let program = CString::new(program.as_os_str().as_bytes())?;
        let arguments = arguments.into_iter().map(CString::new);
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        // They wait for the program that listens to them.
        let before = ending_signals().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        // Not Command::exec(), which changes this process even when it fails.
        let Err(refused) = execv(&program, &arguments);
        before.thread_set_mask()?;
        Err(refused.into())
    }
}
