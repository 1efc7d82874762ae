//! Sources that came while the mount was there, kept for the next process. Knows no bucket.

use std::sync::Arc;

use super::{SOURCE, key, of_kind};
use crate::config::{Forced, Ownership, ShownSource, Source};
use crate::fs::Ino;
use crate::journal::codec::{Record, record, whole};
use crate::journal::{Batch, Journal, Values};
use crate::object::BucketName;

/// A source that came while the mount was there.
pub(super) struct KeptSource {
    pub(super) ino: Ino,
    pub(super) name: Arc<str>,
    bucket: String,
    prefix: String,
    source_name: String,
    owner: (u32, u32),
    modes: (u16, u16, Option<u16>),
    forced: (Option<u32>, Option<u32>, Option<u16>),
}

record!(KeptSource {
    ino,
    name,
    bucket,
    prefix,
    source_name,
    owner,
    modes,
    forced
});

impl KeptSource {
    /// The source.
    pub(super) fn shown(&self) -> ShownSource {
        let ((uid, gid), (file_mode, dir_mode, root_mode)) = (self.owner, self.modes);
        let (forced_uid, forced_gid, forced_mode) = self.forced;
        ShownSource {
            source: Source {
                bucket: BucketName::new(self.bucket.as_str()),
                prefix: self.prefix.clone(),
                name: self.source_name.clone(),
            },
            ownership: Ownership {
                uid,
                gid,
                file_mode,
                dir_mode,
                root_mode,
                forced: Forced {
                    uid: forced_uid,
                    gid: forced_gid,
                    mode: forced_mode,
                },
            },
        }
    }
}

/// Keeps a source that came while the mount was there: the one of this number.
pub(in crate::fs) fn keep_source(
    journal: &Journal,
    number: usize,
    (ino, name): (Ino, &Arc<str>),
    shown: &ShownSource,
) {
    let ShownSource { source, ownership } = shown;
    let forced = ownership.forced;
    let kept = KeptSource {
        ino,
        name: Arc::clone(name),
        bucket: source.bucket.to_string(),
        prefix: source.prefix.clone(),
        source_name: source.name.clone(),
        owner: (ownership.uid, ownership.gid),
        modes: (ownership.file_mode, ownership.dir_mode, ownership.root_mode),
        forced: (forced.uid, forced.gid, forced.mode),
    };
    let mut batch = Batch::default();
    batch.put(key(SOURCE, number as u64), |to| kept.write(to));
    journal.write(&batch);
}

/// The sources that came while the process before served, whose buckets `Fs::restore` needs.
///
/// One that cannot be read is reported by that.
pub fn kept_sources(values: &Values) -> Vec<ShownSource> {
    let kept = of_kind(values, SOURCE);
    let kept = kept.filter_map(|(_, value)| whole::<KeptSource>(value));
    kept.map(|kept| kept.shown()).collect()
}
