//! Where the bytes of a file go that could not be committed: into a file of their own, each at its
//! position, with a note beside it that says what they were, and which are in an unfinished upload.

use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::NamedTempFile;

use crate::extent::{Extent, ExtentMap};
use crate::file::eager::{Eager, KeptEager};
use crate::file::publish::Reading;
use crate::file::state::State;
use crate::file::{File, FileError, Salvaged};
use crate::limits::MIB;
use crate::range::ByteRange;
use crate::staging::{self, StagingError};

/// How the names of what is kept begin; a note has `.txt` behind the name of its bytes.
const PREFIX: &str = "s3fs-salvaged-";

/// Bytes that are read from staging at a time.
const STRIDE_BYTES: u64 = MIB;

impl File {
    /// Writes the staged bytes, each at its position in the file, to a new file in the staging
    /// directory that only its owner can read. What is in an unfinished upload alone stays there,
    /// and the note beside the file says what to complete it with.
    ///
    /// # Errors
    /// [`FileError::Staging`].
    ///
    /// # Panics
    /// If the runtime ends meanwhile.
    pub async fn salvage(self: &Arc<Self>) -> Result<Salvaged, FileError> {
        let (job, upload) = {
            let mut state = self.state();
            let has_sent = state.has_sent();
            if !has_sent && !state.map.has_dirty() {
                return Ok(Salvaged::Nothing);
            }
            let eager = state.eager.as_ref().map(|eager| eager.kept(&state.map));
            let eager = eager.or_else(|| state.lent.clone()).filter(|_| has_sent);
            let upload = eager.as_ref().and_then(|eager| eager.upload.clone());
            let job = Job {
                map: state.map.clone(),
                note: state.note(eager.as_ref()),
                dir: self.shared.bounds.staging_dir.clone(),
                file: Arc::clone(self),
                _reading: self.freeze(&mut state),
            };
            (job, upload.map(|(id, _)| id))
        };
        let saving = self.shared.runtime.spawn_blocking(move || job.run());
        let path = saving
            .await
            .expect("saving neither panics nor is aborted")?;
        if upload.is_some()
            && let Some(eager) = &self.state().eager
        {
            Eager::preserve(eager);
        }
        Ok(Salvaged::Bytes { path, upload })
    }
}

/// All that is needed to save a file's bytes without its lock.
struct Job {
    map: ExtentMap,
    note: String,
    dir: PathBuf,
    file: Arc<File>,
    _reading: Reading,
}

impl Job {
    fn run(self) -> Result<PathBuf, StagingError> {
        let spill = |source| StagingError::Spill {
            dir: self.dir.clone(),
            source,
        };
        // Only their owner can read files that tempfile makes.
        let begin = |suffix| {
            let mut named = tempfile::Builder::new();
            named
                .prefix(PREFIX)
                .suffix(suffix)
                .tempfile_in(&self.dir)
                .map_err(spill)
        };
        let bytes = begin("")?;
        for (at, extent) in self.map.walk(ByteRange::new(0, self.map.len())) {
            let Extent::Dirty { offset, len } = extent else {
                continue;
            };
            for done in (0..len).step_by(STRIDE_BYTES as usize) {
                let stride = ByteRange::at(offset + done, STRIDE_BYTES.min(len - done));
                let staged = self.file.staging.lock().hold(stride);
                let mut to = at + done;
                for buffer in staging::read(staged)? {
                    bytes.as_file().write_all_at(&buffer, to).map_err(spill)?;
                    to += buffer.len() as u64;
                }
            }
        }
        let mut note = begin(".txt")?;
        note.write_all(self.note.as_bytes()).map_err(spill)?;
        let path = bytes.path().to_path_buf();
        let beside = path.with_added_extension("txt");
        keep(bytes, &path)
            .and_then(|()| keep(note, &beside))
            .map_err(spill)?;
        Ok(path)
    }
}

impl State {
    /// What the bytes were: a word and its value in each line; ranges of the file in bytes, the
    /// end not included. With the parts that an upload has, if some bytes are nowhere else.
    fn note(&self, eager: Option<&KeptEager>) -> String {
        let url = format!("s3://{}/{}", self.place.bucket.name(), self.place.key);
        let mut note = format!("object: {url:?}\nsize: {}\n", self.map.len());
        let mut line = |word: &str, value: &dyn Display| {
            writeln!(note, "{word}: {value}").expect("a string takes what is written to it");
        };
        match &self.base {
            Some(base) => line("replaces", &base.etag),
            None => line("replaces", &"nothing"),
        }
        if let Some((_, Some(error))) = &self.refused {
            line("refused", error);
        }
        for (at, extent) in self.map.walk(ByteRange::new(0, self.map.len())) {
            let range = ByteRange::at(at, extent.len());
            match extent {
                Extent::Dirty { .. } => line("written", &range),
                Extent::Sent { .. } => line("in the upload", &range),
                Extent::Hole { .. } => line("zeros", &range),
                Extent::Object {
                    version, offset, ..
                } => {
                    let source = format!("s3://{}/{}", version.bucket, version.key);
                    let etag = &version.etag;
                    line(
                        "copied",
                        &format_args!("{range} from {offset} of {source:?} {etag}"),
                    );
                }
            }
        }
        let Some(eager) = eager else { return note };
        if let Some((id, _)) = &eager.upload {
            line("upload", id);
        }
        for (number, (range, stored)) in (1..).zip(&eager.parts) {
            match stored {
                Some((part, _)) => {
                    line("part", &format_args!("{number} {range} {}", part.etag));
                }
                None => line("part", &format_args!("{number} {range} missing")),
            }
        }
        note
    }
}

/// Makes a temporary file last.
fn keep(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    if file.path() == path {
        file.keep()?;
    } else {
        file.persist_noclobber(path)?;
    }
    Ok(())
}
