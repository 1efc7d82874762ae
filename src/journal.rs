//! The record of what a process must not forget when it is killed: a log of keyed values in
//! memory that outlives it. Knows no key's meaning.
//!
//! The log is written to memory files (memfd_create(2)), whose descriptors somebody else holds too
//! and hands to the next process. What write(2) has put there stays when the writer is killed, and
//! a record that was only written in part fails its checksum: so whatever the instruction at which
//! a process is killed, its successor finds the state after some record, and all that were written
//! before it. Nothing here outlives the machine.

use crate::lock::{Guarded, Locked};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::memfd::{MFdFlags, memfd_create};

pub mod codec;
#[cfg(test)]
mod tests;

/// Bytes of a log at most: about five million inodes.
const LOG_BYTES_MAX: u64 = 1 << 30;
/// Bytes of a log before it is first written anew; small under test.
const COMPACTED_BYTES_MIN: u64 = if cfg!(test) { 512 } else { 1 << 20 };
/// Bytes that wait after a failure before the log is written anew to make room for them.
const RETRY_BYTES: usize = 1 << 20;

/// How a log begins: these bytes, its generation, and a checksum of both.
const MAGIC: [u8; 8] = *b"s3fsjrn1";
/// Where the first record is.
const HEADER_BYTES: u64 = 32;
/// Length and checksum before the content of a record.
const FRAME_BYTES: usize = 8;

/// What a value is kept under.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    /// What kind of thing.
    pub kind: u8,
    /// Which.
    pub id: u64,
}

/// The values of a log by key.
pub type Values = BTreeMap<Key, Vec<u8>>;

/// Why nothing more can be kept. What was kept before is whole.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The log is as large as it may be.
    #[error(
        "the journal is full: what a next process would need is more than {LOG_BYTES_MAX} bytes"
    )]
    Full,
    /// The log cannot be written or read.
    #[error("the journal: {0}")]
    Log(#[from] io::Error),
    /// The descriptors hold no log of this program, or one of another release.
    #[error("the journal is of another release, or none")]
    Unknown,
}

/// Changes that are kept all at once or not at all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
}

/// What a change does to the value of its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    Put = 1,
    Add = 2,
    Delete = 3,
}

impl Batch {
    /// Keeps what `value` writes in place of what is there.
    pub fn put(&mut self, key: Key, value: impl FnOnce(&mut Vec<u8>)) {
        self.change(Change::Put, key, value);
    }

    /// Keeps what `value` writes behind what is there.
    pub fn add(&mut self, key: Key, value: impl FnOnce(&mut Vec<u8>)) {
        self.change(Change::Add, key, value);
    }

    /// Keeps nothing any more.
    pub fn delete(&mut self, key: Key) {
        self.change(Change::Delete, key, |_| ());
    }

    /// Whether nothing changes.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes it takes in the log.
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    fn change(&mut self, change: Change, key: Key, value: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.push(change as u8);
        self.bytes.push(key.kind);
        self.bytes.extend(key.id.to_le_bytes());
        let at = self.bytes.len();
        self.bytes.extend([0; 4]);
        value(&mut self.bytes);
        let len = (self.bytes.len() - at - 4) as u32;
        self.bytes[at..at + 4].copy_from_slice(&len.to_le_bytes());
    }
}

/// A log that a successor restores from, or nothing where there will be none.
#[derive(Debug, Default)]
pub struct Journal {
    log: Option<Guarded<Log>>,
    /// The log is another process's.
    is_handed_over: AtomicBool,
}

/// The descriptors of a journal, as many as there will ever be.
#[derive(Debug)]
pub struct LogFiles(pub [File; 2]);

impl LogFiles {
    /// Empty memory.
    ///
    /// # Errors
    /// memfd_create(2)'s.
    pub fn create() -> io::Result<Self> {
        Ok(Self([memory("s3fs-journal-0")?, memory("s3fs-journal-1")?]))
    }

    /// The same memory by other descriptors.
    ///
    /// # Errors
    /// dup(2)'s.
    pub fn try_clone(&self) -> io::Result<Self> {
        let [one, other] = &self.0;
        Ok(Self([one.try_clone()?, other.try_clone()?]))
    }
}

/// A memory file, closed in what this process executes.
///
/// # Errors
/// memfd_create(2)'s.
pub fn memory(name: &str) -> io::Result<File> {
    Ok(File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC)?))
}

impl Journal {
    /// Keeps nothing: no process will follow this one.
    pub const fn off() -> Self {
        Self {
            log: None,
            is_handed_over: AtomicBool::new(false),
        }
    }

    /// An empty journal in these files, whatever they hold.
    ///
    /// # Errors
    /// [`JournalError::Log`].
    pub fn begin(files: LogFiles) -> Result<Self, JournalError> {
        let mut log = Log::new(files.0, 1, 0);
        log.rewrite(&Values::new())?;
        Ok(Self::of(log))
    }

    /// Goes on with what a process kept in these files until it was killed.
    ///
    /// # Errors
    /// [`JournalError`]; the files are as before then.
    pub fn resume(files: LogFiles) -> Result<(Self, Values), JournalError> {
        let [one, other] = &files.0;
        let generations = (generation(one)?, generation(other)?);
        let (active, generation) = match generations {
            (None, None) => return Err(JournalError::Unknown),
            (Some(one), other) if other.is_none_or(|other| one > other) => (0, one),
            (_, other) => (1, other.unwrap_or_default()),
        };
        let values = replay(&contents(&files.0[active])?);
        let mut log = Log::new(files.0, active, generation);
        log.rewrite(&values)?;
        Ok((Self::of(log), values))
    }

    const fn of(log: Log) -> Self {
        Self {
            log: Some(Guarded::new(log)),
            is_handed_over: AtomicBool::new(false),
        }
    }

    /// Whether anything is kept.
    pub const fn is_on(&self) -> bool {
        self.log.is_some()
    }

    /// Keeps changes. When they cannot be written now they wait, in order, for the next call, and
    /// [`Self::check`] fails until then.
    pub fn write(&self, batch: &Batch) {
        let Some(mut log) = self.log() else { return };
        if batch.is_empty() || self.is_handed_over() {
            return;
        }
        log.unwritten.extend(&batch.bytes);
        if let Err(error) = log.flush()
            && !std::mem::replace(&mut log.is_behind, true)
        {
            log::error!("{error}; a process that follows now would not find everything");
        }
    }

    /// Fails when something could not be kept: nothing that needs more of it is to be begun.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn check(&self) -> Result<(), JournalError> {
        match self.log() {
            Some(mut log) if log.is_behind => log.flush(),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the log has every change so far, and is this process's: what an earlier record
    /// referred to, and no later one does, may be used for something else.
    pub fn is_complete(&self) -> bool {
        !self.is_handed_over() && self.log().is_none_or(|log| !log.is_behind)
    }

    /// What is kept is another process's from now on: nothing of it is changed any more.
    pub fn hand_over(&self) {
        // Under the lock: whoever is writing now is done before this returns.
        let _log = self.log();
        self.is_handed_over.store(true, Ordering::Release);
    }

    /// Whether [`Self::hand_over`] was called.
    pub fn is_handed_over(&self) -> bool {
        self.is_handed_over.load(Ordering::Acquire)
    }

    /// Has the log fail, or work again.
    #[cfg(test)]
    pub fn fail_writes(&self, fails: bool) {
        if let Some(mut log) = self.log() {
            log.fails = fails;
        }
    }

    fn log(&self) -> Option<Locked<'_, Log>> {
        let log = self.log.as_ref()?;
        Some(log.lock())
    }
}

/// The two files of a journal: one holds the log, the other the next, shorter one while it is
/// written, and else nothing.
#[derive(Debug)]
struct Log {
    files: [File; 2],
    /// Which of them.
    active: usize,
    /// Of two whole logs the one with the higher number counts.
    generation: u64,
    /// Where the next record goes.
    end: u64,
    /// The length at which the log is written anew without what no longer counts.
    compacted_at: u64,
    /// Room for a frame, then the changes that are yet to be written.
    unwritten: Vec<u8>,
    /// Bytes of them at which it is worth to look for room again.
    retried_at: usize,
    is_behind: bool,
    #[cfg(test)]
    fails: bool,
}

impl Log {
    fn new(files: [File; 2], active: usize, generation: u64) -> Self {
        Self {
            files,
            active,
            generation,
            end: HEADER_BYTES,
            compacted_at: COMPACTED_BYTES_MIN,
            unwritten: vec![0; FRAME_BYTES],
            retried_at: 0,
            is_behind: false,
            #[cfg(test)]
            fails: false,
        }
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        #[cfg(test)]
        if self.fails {
            return Err(io::Error::other("as the test wants it").into());
        }
        let len = self.unwritten.len() as u64;
        if self.end + len > self.compacted_at {
            if self.unwritten.len() < self.retried_at {
                return Err(JournalError::Full);
            }
            let mut values = replay(&contents(&self.files[self.active])?);
            apply(&mut values, &self.unwritten[FRAME_BYTES..]);
            self.retried_at = self.unwritten.len() + RETRY_BYTES;
            self.rewrite(&values)?;
        } else {
            frame(&mut self.unwritten);
            self.files[self.active].write_all_at(&self.unwritten, self.end)?;
            self.end += len;
        }
        self.unwritten.truncate(FRAME_BYTES);
        self.retried_at = 0;
        self.is_behind = false;
        Ok(())
    }

    /// Writes the values to the other file; from the moment its header is written it is the log.
    fn rewrite(&mut self, values: &Values) -> Result<(), JournalError> {
        let mut bytes = vec![0; HEADER_BYTES as usize];
        for (key, value) in values {
            let mut batch = Batch {
                bytes: vec![0; FRAME_BYTES],
            };
            batch.put(*key, |to| to.extend(value));
            frame(&mut batch.bytes);
            bytes.extend(batch.bytes);
        }
        let len = bytes.len() as u64;
        if len > LOG_BYTES_MAX {
            return Err(JournalError::Full);
        }
        let (old, new) = (&self.files[self.active], &self.files[1 - self.active]);
        new.set_len(0)?;
        new.write_all_at(&bytes, 0)?;
        new.write_all_at(&header(self.generation + 1), 0)?;
        // A failure leaves two whole logs, of which the new one counts.
        let _ = old.set_len(0);
        self.active = 1 - self.active;
        self.generation += 1;
        self.end = len;
        self.compacted_at = (2 * len).clamp(COMPACTED_BYTES_MIN, LOG_BYTES_MAX);
        Ok(())
    }
}

/// The header of a log of this generation.
fn header(generation: u64) -> [u8; 20] {
    let mut header = [0; 20];
    header[..8].copy_from_slice(&MAGIC);
    header[8..16].copy_from_slice(&generation.to_le_bytes());
    let sum = crc32fast::hash(&header[..16]);
    header[16..].copy_from_slice(&sum.to_le_bytes());
    header
}

/// The generation of the log in a file; `None` when there is none, or it is not whole.
fn generation(file: &File) -> io::Result<Option<u64>> {
    let mut found = [0; 20];
    match file.read_exact_at(&mut found, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let [_, _, _, _, _, _, _, _, number @ .., _, _, _, _] = found;
    let generation = u64::from_le_bytes(number);
    Ok((header(generation) == found).then_some(generation))
}

fn contents(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Puts length and checksum before the content of a record.
fn frame(record: &mut [u8]) {
    let (frame, content) = record.split_at_mut(FRAME_BYTES);
    frame[..4].copy_from_slice(&(content.len() as u32).to_le_bytes());
    frame[4..].copy_from_slice(&crc32fast::hash(content).to_le_bytes());
}

/// The values after the last whole record of a log.
fn replay(log: &[u8]) -> Values {
    let mut values = Values::new();
    let mut rest = log.get(HEADER_BYTES as usize..).unwrap_or_default();
    while let Some((frame, behind)) = rest.split_first_chunk::<FRAME_BYTES>() {
        let [l0, l1, l2, l3, sum @ ..] = *frame;
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let Some((content, behind)) = behind.split_at_checked(len) else {
            break;
        };
        if len == 0 || crc32fast::hash(content) != u32::from_le_bytes(sum) {
            break;
        }
        apply(&mut values, content);
        rest = behind;
    }
    values
}

/// Does the changes of a record.
fn apply(values: &mut Values, mut changes: &[u8]) {
    while let Some((head, rest)) = changes.split_first_chunk::<14>() {
        let [change, kind, id @ .., l0, l1, l2, l3] = *head;
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let key = Key {
            kind,
            id: u64::from_le_bytes(id),
        };
        let (value, rest) = rest.split_at(len.min(rest.len()));
        match change {
            put if put == Change::Put as u8 => drop(values.insert(key, value.to_vec())),
            add if add == Change::Add as u8 => values.entry(key).or_default().extend(value),
            _ => drop(values.remove(&key)),
        }
        changes = rest;
    }
}
