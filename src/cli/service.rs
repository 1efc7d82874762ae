//! What systemd knows of a mount in front that it runs as a service: how it stands, and the
//! descriptors by which another process goes on with it when this one is killed (sd_notify(3),
//! FDSTORE). Anywhere else nobody listens.

use std::io;
use std::os::fd::OwnedFd;

use log::warn;
use sd_notify::NotifyState;

use super::inherit;
use crate::mount::Handover;

/// Its descriptors are stored as this and their place.
const NAME: &str = "s3fs-";
/// Not to be dropped when the kernel reports an error on one.
const UNPOLLED: NotifyState<'_> = NotifyState::Custom("FDPOLL=0");

/// Tells how the mount stands.
pub(super) fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!("systemd cannot be told: {error}");
    }
}

/// Has systemd hold what the next process needs, in place of what it held before.
pub(super) fn store(handover: &Handover) {
    forget();
    for (place, descriptor) in handover.descriptors().into_iter().enumerate() {
        let name = format!("{NAME}{place}");
        let state = [NotifyState::FdStore, NotifyState::FdName(&name), UNPOLLED];
        if let Err(error) = sd_notify::notify_with_fds(&state, &[descriptor]) {
            warn!("the mount ends if this process is killed: {error}");
        }
    }
}

/// Has it hold nothing any more: what is still open fails when this process ends.
pub(super) fn forget() {
    for place in 0..Handover::DESCRIPTORS {
        let name = format!("{NAME}{place}");
        tell(&[NotifyState::FdStoreRemove, NotifyState::FdName(&name)]);
    }
}

/// What systemd held for this process, whose predecessor was killed; none if that has unmounted.
pub(super) fn stored() -> Option<Handover> {
    match taken().map(Handover::of_descriptors) {
        Ok(handover) => handover.filter(Handover::is_connected),
        Err(error) => {
            warn!("what systemd held cannot be taken: {error}");
            None
        }
    }
}

fn taken() -> io::Result<Vec<OwnedFd>> {
    let mut named = Vec::new();
    for (number, name) in sd_notify::listen_fds_with_names()? {
        let place = name.strip_prefix(NAME).and_then(|place| place.parse().ok());
        named.push((place.unwrap_or(usize::MAX), inherit::take(number)?));
    }
    // systemd keeps no order.
    named.sort_by_key(|(place, _)| *place);
    Ok(named
        .into_iter()
        .map(|(_, descriptor)| descriptor)
        .collect())
}
