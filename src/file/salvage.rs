//! Where the bytes of a file go that could not be committed: into a file of their own, each at its
//! position, with a note beside it that says what they were.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::extent::Extent;
use crate::file::Salvaged;
use crate::file::state::State;
use crate::range::ByteRange;
use crate::staging::{Staging, StagingError};

/// How the names of what is kept begin; a note has `.txt` behind the name of its bytes.
const PREFIX: &str = "s3fs-salvaged-";

impl State {
    pub fn salvage(&self, staging: &Staging, dir: &Path) -> Result<Salvaged, StagingError> {
        if self.ahead > 0 {
            return Ok(Salvaged::SentAhead);
        }
        if !self.map.has_dirty() {
            return Ok(Salvaged::Nothing);
        }
        let spill = |source| StagingError::Spill {
            dir: dir.to_path_buf(),
            source,
        };
        // Only their owner can read files that tempfile makes.
        let begin = |suffix| {
            let mut named = tempfile::Builder::new();
            named.prefix(PREFIX).suffix(suffix).tempfile_in(dir)
        };
        let bytes = begin("").map_err(spill)?;
        for (at, extent) in self.map.walk(ByteRange::new(0, self.map.len())) {
            let Extent::Dirty { offset, len } = extent else {
                continue;
            };
            let mut to = at;
            for staged in staging.read(ByteRange::at(offset, len))? {
                bytes.as_file().write_all_at(&staged, to).map_err(spill)?;
                to += staged.len() as u64;
            }
        }
        let mut note = begin(".txt").map_err(spill)?;
        note.write_all(self.note().as_bytes()).map_err(spill)?;
        let path = bytes.path().to_path_buf();
        let beside = path.with_added_extension("txt");
        keep(bytes, &path)
            .and_then(|()| keep(note, &beside))
            .map_err(spill)?;
        Ok(Salvaged::Bytes(path))
    }

    /// What the bytes were: a word and its value in each line; ranges of the file in bytes, the
    /// end not included.
    fn note(&self) -> String {
        let url = format!("s3://{}/{}", self.place.bucket.name(), self.place.key);
        let mut note = format!("object: {url:?}\nsize: {}\n", self.map.len());
        let mut line = |word: &str, value: &dyn std::fmt::Display| {
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
