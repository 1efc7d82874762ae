//! setattr: size; until attributes are stored, everything else only if it already is what is
//! asked for.

use crate::fs::{Fh, Fs, FsError, FsResult, Ino, SetAttr, SetTime, Trusted};
use crate::namespace::{Attr, Kind};

/// The bits of a mode that chmod(2) changes.
const PERMISSION_BITS: u32 = 0o7777;

impl Fs {
    /// Changes attributes.
    ///
    /// The size can be changed; of a file that is not open the new content is durable on return.
    /// Modes, owners and times are not stored: asking for what is shown succeeds, anything else
    /// fails, with two exceptions for the sake of `touch` and `cp -a`. Setting the time to now
    /// succeeds without effect, and a file that is open keeps a modification time it is given, and
    /// shows it until it is changed or forgotten.
    ///
    /// # Errors
    /// [`FsError::NotPermitted`], [`FsError::IsDirectory`], [`FsError::BadHandle`],
    /// [`FsError::ReadOnly`], [`FsError::File`].
    pub async fn setattr(&self, ino: Ino, fh: Option<Fh>, set: SetAttr) -> FsResult<Trusted<Attr>> {
        self.check_writable()?;
        let SetAttr {
            size,
            mode,
            uid,
            gid,
            atime,
            mtime,
        } = set;
        let _pin = self.pin(ino)?;
        let now = self.getattr(ino, fh).await?.value;
        check_ownership(&now, mode, uid, gid)?;
        self.check_time(&now, atime)?;
        if let Some(size) = size {
            self.set_size(ino, fh, size).await?;
        } else {
            self.check_time(&now, mtime)?;
        }
        if let Some(SetTime::At(time)) = mtime
            && let Some(open) = self.state().open.file_mut(ino)
        {
            open.set_modified = Some(time);
        }
        self.getattr(ino, fh).await
    }

    /// Whether a time may be set: now, the present one, or any on an open file.
    fn check_time(&self, now: &Attr, set: Option<SetTime>) -> FsResult<()> {
        match set {
            None | Some(SetTime::Now) => Ok(()),
            Some(SetTime::At(time)) if time == now.modified => Ok(()),
            Some(SetTime::At(_)) if self.state().open.file(now.ino).is_some() => Ok(()),
            Some(SetTime::At(_)) => Err(FsError::NotPermitted {
                what: "times are not stored",
            }),
        }
    }

    async fn set_size(&self, ino: Ino, fh: Option<Fh>, size: u64) -> FsResult<()> {
        if let Some(fh) = fh {
            let handle = self.handles.writable(fh)?;
            handle.check_not_stale()?;
            handle.file.truncate(size).await?;
            self.state().content_changed(ino);
            return Ok(());
        }
        if self
            .state()
            .tree
            .node(ino)
            .is_some_and(|node| node.kind() == Kind::Directory)
        {
            return Err(FsError::IsDirectory);
        }
        let file = self.content(ino, true).await?;
        let mut done = file.truncate(size).await.map_err(FsError::from);
        let alone = {
            let mut state = self.state();
            state.content_changed(ino);
            state.open.file(ino).is_some_and(|open| open.handles == 1)
        };
        // With other handles open, their close publishes, together with what they write.
        if done.is_ok() && alone {
            done = self.commit(ino).await;
        }
        self.close(ino).await;
        done
    }
}

fn check_ownership(
    now: &Attr,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
) -> FsResult<()> {
    if mode.is_some_and(|mode| mode & PERMISSION_BITS != u32::from(now.mode)) {
        return Err(FsError::NotPermitted {
            what: "modes are not stored",
        });
    }
    if uid.is_some_and(|uid| uid != now.uid) || gid.is_some_and(|gid| gid != now.gid) {
        return Err(FsError::NotPermitted {
            what: "owners are not stored",
        });
    }
    Ok(())
}
