//! Directory renames that stopped half way: what is reported of them, and when a rename of the same
//! names continues one, so that its target may have entries. Moves nothing.
//!
//! A rename that stopped before any delete was sent has taken its copies back, but the store may
//! make some late. It is continued only while everything below the new name is a copy of an
//! original. Once deletes were sent the new name holds the only copies, and it is continued in any
//! case; nothing there is replaced that is no copy.

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::ends::{Ends, name};
use crate::attributes::Attributes;
use crate::commit::Place;
use crate::fs::rename::Move;
use crate::fs::stopped::Begun;
use crate::fs::{Fs, FsError, FsResult, Ino, RenameMode};
use crate::interrupt;
use crate::object::{ObjectKey, ObjectVersion};
use crate::store::{ListRequest, ObjectStat, StoreError, StoreResult};

impl Fs {
    /// Whether an earlier rename of these names stopped: what has the new name may be part of it.
    pub(in crate::fs) fn has_stopped(&self, plan: &Move) -> bool {
        let ends = self.state().ends(plan);
        ends.is_ok_and(|ends| self.stopped.begun(&ends.names()).is_some())
    }

    /// A directory was renamed to or from there, or made there: earlier renames are not continued.
    pub(in crate::fs) fn forget_stopped(&self, end: &Place) {
        let end = name(end);
        self.stopped
            .forget_of(&format!("{}/", end.trim_end_matches('/')));
    }

    /// How far an earlier rename came that this one continues.
    ///
    /// # Errors
    /// [`FsError::Exists`] when there is none and the target is to stay; the store's.
    pub(super) async fn earlier(&self, plan: &Move, ends: &Ends) -> FsResult<Option<Begun>> {
        let begun = self.stopped.begun(&ends.names());
        let Some(target) = plan.target else {
            return Ok(begun);
        };
        let continues = match begun {
            Some(Begun::UnderWay | Begun::Stopped) => true,
            Some(Begun::TakenBack) => self.holds_only_copies(target, ends).await?,
            None => false,
        };
        if !continues && plan.mode == RenameMode::NoReplace {
            return Err(FsError::Exists);
        }
        Ok(begun.filter(|_| continues))
    }

    /// Whether there is something below the new name, and all of it is a copy of an original.
    async fn holds_only_copies(&self, target: Ino, ends: &Ends) -> FsResult<bool> {
        if self.state().has_own_entries(target) {
            return Ok(false);
        }
        let mut has_any = false;
        let mut request = below(&ends.to);
        loop {
            let page = ends.to.bucket.list(&request).await?;
            has_any |= !page.objects.is_empty();
            let compared = stream::iter(page.objects).map(|object| self.foreign(ends, object.key));
            let requests_max = self.shared.bounds.rename_requests_max.max(1);
            let compared = compared.buffer_unordered(requests_max);
            let foreign = compared.try_filter_map(|foreign| ready(Ok(foreign)));
            if let Some(key) = pin!(foreign).try_next().await? {
                let (from, to) = ends.names();
                log::error!(
                    "rename of s3://{from} to s3://{to} cannot be finished: s3://{}/{key} is no \
                     copy of what is moved; move it away, and repeat the rename",
                    ends.to.bucket.name(),
                );
                return Ok(false);
            }
            match page.continuation {
                Some(continuation) => request.continuation = Some(continuation),
                None => return Ok(has_any),
            }
        }
    }

    /// The key of what is under the new name, if it is no copy of an original.
    async fn foreign(&self, ends: &Ends, key: ObjectKey) -> StoreResult<Option<ObjectKey>> {
        let (original, copy) = (
            Place {
                bucket: Arc::clone(&ends.from.bucket),
                key: ends.original(&key),
            },
            Place {
                bucket: Arc::clone(&ends.to.bucket),
                key,
            },
        );
        let stats = (
            self.head_if_any(&original).await?,
            self.head_if_any(&copy).await?,
        );
        let is_foreign = match &stats {
            (Some(original), Some(copy)) => !is_copy_of(copy, original),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        Ok(is_foreign.then_some(copy.key))
    }

    /// The copy of an object that an earlier rename has made, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when another object is there.
    pub(super) async fn copied_before(
        &self,
        source: &Arc<ObjectVersion>,
        to: &Place,
    ) -> StoreResult<Option<Arc<ObjectVersion>>> {
        let Some(there) = self.head_if_any(to).await? else {
            return Ok(None);
        };
        let from = self.shared.buckets.bucket(&source.bucket);
        let original = from.head(&source.key).await?;
        let is_known = original.version.etag.matches(&source.etag);
        if is_known && is_copy_of(&there, &original) {
            return Ok(Some(there.version));
        }
        Err(StoreError::Exists {
            bucket: to.bucket.name().clone(),
            key: to.key.clone(),
        })
    }

    /// Remembers a rename that stopped, after copies of so many objects whose originals were to be
    /// deleted then. When its caller was interrupted the originals are counted later.
    pub(super) async fn stop(&self, ends: Ends, copied: u64, source: StoreError) -> FsError {
        let names = ends.names();
        if copied == 0 && !ends.may_have_deleted() {
            if interrupt::is_interrupted() {
                let (from, to) = &names;
                log::warn!(
                    "rename of s3://{from} to s3://{to} interrupted: nothing was moved; `mv -T OLD \
                     NEW` repeats it, also when the store still makes copies"
                );
            }
            self.stopped.note(names, Begun::TakenBack);
            return source.into();
        }
        self.stopped.note(names.clone(), Begun::Stopped);
        let is_interrupted = interrupt::is_interrupted();
        let error = async move {
            FsError::RenamedInPart {
                from: names.0,
                to: names.1,
                copied,
                left: count(&ends.from).await,
                source: Box::new(source),
            }
        };
        if is_interrupted {
            self.shared
                .runtime
                .spawn(async move { log::warn!("{}", error.await) });
            return interrupt::Interrupted.into();
        }
        error.await
    }
}

/// What is left to do of a rename that stopped, with so many objects under the old name.
pub(in crate::fs) fn rest(left: Option<u64>) -> String {
    let left = match left {
        Some(0) => return "none left under the old name, so nothing is left to do".to_owned(),
        Some(left) => left.to_string(),
        None => "an unknown number".to_owned(),
    };
    format!(
        "{left} left under the old name; `mv -T OLD NEW` moves them, and NEW has to stay, since \
         the store may still delete originals"
    )
}

fn below(directory: &Place) -> ListRequest {
    ListRequest {
        prefix: directory.key.as_str().to_owned(),
        ..ListRequest::default()
    }
}

/// How many objects are below a name; `None` when the store does not answer.
async fn count(directory: &Place) -> Option<u64> {
    let mut count = 0;
    let mut request = below(directory);
    loop {
        let page = directory.bucket.list(&request).await.ok()?;
        count += page.objects.len() as u64;
        match page.continuation {
            Some(continuation) => request.continuation = Some(continuation),
            None => return Some(count),
        }
    }
}

/// Whether an object is a copy of another that kept its headers. Entity tags of copies differ where
/// objects are encrypted or made of parts; the times of this filesystem then tell.
fn is_copy_of(copy: &ObjectStat, original: &ObjectStat) -> bool {
    let has_times = || {
        Attributes::of_metadata(&original.headers.metadata)
            .ctime
            .is_some()
    };
    copy.version.size == original.version.size
        && copy.headers.metadata == original.headers.metadata
        && copy.headers.content_type == original.headers.content_type
        && (copy.version.etag.matches(&original.version.etag) || has_times())
}
