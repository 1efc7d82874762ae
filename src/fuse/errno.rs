//! Which errno an error becomes, and whether it is worth a line in the log.
//!
//! The only place where errors by meaning become numbers. The table is PROVIDERS' experience of
//! what applications do with each: EIO makes them stop, ENOENT makes them create, so a store that
//! merely could not answer must never look like a missing file.

use fuser::Errno;
use log::Level;

use crate::file::FileError;
use crate::fs::FsError;
use crate::journal::JournalError;
use crate::staging::StagingError;
use crate::store::StoreError;

/// An errno, and at which level the error is logged: `Debug` for what is an answer rather than a
/// failure.
pub(super) type Verdict = (Errno, Level);

/// The errno of an error.
pub(super) fn of(error: &FsError) -> Verdict {
    match error {
        FsError::NoEntry => (Errno::ENOENT, Level::Debug),
        FsError::Exists => (Errno::EEXIST, Level::Debug),
        FsError::IsDirectory => (Errno::EISDIR, Level::Debug),
        FsError::NotDirectory => (Errno::ENOTDIR, Level::Debug),
        FsError::NotEmpty => (Errno::ENOTEMPTY, Level::Debug),
        FsError::Busy => (Errno::EBUSY, Level::Warn),
        FsError::NoSuchOffset => (Errno::ENXIO, Level::Debug),
        FsError::NameTooLong => (Errno::ENAMETOOLONG, Level::Debug),
        FsError::NoAttribute => (Errno::ENODATA, Level::Debug),
        FsError::NoRoom => (Errno::ENOSPC, Level::Debug),
        // The kernel looks the path up again and comes back: do_filp_open, fs/namei.c.
        FsError::StaleInode => (Errno::ESTALE, Level::Debug),
        FsError::NotPermitted { .. } => (Errno::EPERM, Level::Debug),
        FsError::Invalid { .. } => (Errno::EINVAL, Level::Debug),
        FsError::NotSupported { .. } => (Errno::EOPNOTSUPP, Level::Debug),
        FsError::BadHandle => (Errno::EBADF, Level::Warn),
        FsError::UnknownInode => (Errno::ESTALE, Level::Warn),
        FsError::Lost => (Errno::EIO, Level::Warn),
        FsError::RenamedInPart { .. } => (Errno::EIO, Level::Error),
        FsError::Store(error) => of_store(error),
        FsError::File(error) => of_file(error),
        FsError::NotKept(error) => match &**error {
            JournalError::Full => (Errno::ENOMEM, Level::Error),
            JournalError::Log(_) | JournalError::Unknown => (Errno::EIO, Level::Error),
        },
    }
}

fn of_file(error: &FileError) -> Verdict {
    match error {
        FileError::Store(error) => of_store(error),
        FileError::Plan(_) => (Errno::EFBIG, Level::Warn),
        FileError::Staging(error) => of_staging(error),
        FileError::Stale { .. } => (Errno::ESTALE, Level::Warn),
    }
}

fn of_staging(error: &StagingError) -> Verdict {
    match error {
        StagingError::Full { .. } => (Errno::ENOSPC, Level::Error),
        StagingError::Spill { source, .. } => match source.raw_os_error() {
            Some(libc::ENOSPC) => (Errno::ENOSPC, Level::Error),
            Some(libc::EDQUOT) => (Errno::EDQUOT, Level::Error),
            _ => (Errno::EIO, Level::Error),
        },
    }
}

const fn of_store(error: &StoreError) -> Verdict {
    match error {
        StoreError::NotFound { .. } => (Errno::ENOENT, Level::Debug),
        StoreError::Exists { .. } => (Errno::EEXIST, Level::Debug),
        StoreError::Stale { .. } | StoreError::Overtaken { .. } => (Errno::ESTALE, Level::Warn),
        StoreError::AccessDenied { .. }
        | StoreError::NoCredentials { .. }
        | StoreError::Archived { .. } => (Errno::EACCES, Level::Warn),
        StoreError::Locked { .. } => (Errno::EPERM, Level::Warn),
        StoreError::InvalidTags { .. } => (Errno::EINVAL, Level::Warn),
        StoreError::TooLarge { .. } => (Errno::EFBIG, Level::Warn),
        StoreError::KeyTooLong { .. } => (Errno::ENAMETOOLONG, Level::Warn),
        StoreError::Full { .. } => (Errno::ENOSPC, Level::Error),
        StoreError::Quota { .. } => (Errno::EDQUOT, Level::Error),
        StoreError::NotOffered { .. } => (Errno::EOPNOTSUPP, Level::Warn),
        StoreError::Conflict { .. } | StoreError::UploadSpent { .. } => (Errno::EBUSY, Level::Warn),
        StoreError::Interrupted(_) => (Errno::EINTR, Level::Debug),
        // The mount's own business, or nobody's fault that the caller could act on.
        StoreError::NoSuchBucket { .. }
        | StoreError::WrongRegion { .. }
        | StoreError::Redirected { .. }
        | StoreError::CopyRefused { .. }
        | StoreError::WrongDialect { .. }
        | StoreError::NoSuchUpload { .. }
        | StoreError::Unreachable { .. }
        | StoreError::Failed { .. } => (Errno::EIO, Level::Error),
    }
}
