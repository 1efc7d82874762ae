//! What is recorded of a change that happens often, and the change made once more. Knows no
//! staging.

use std::time::SystemTime;

use crate::attributes::Attributes;
use crate::extent::ExtentMap;
use crate::file::state::State;
use crate::journal::codec::{Record, record};
use crate::range::ByteRange;
use crate::store::{ObjectHeaders, PartNumber, StoredPart};

/// A change of a file's state.
#[derive(Debug)]
pub(in crate::file) enum Edit {
    /// The content was changed at that time.
    Touch(SystemTime),
    /// Staged bytes were put at a position.
    Write { at: u64, address: u64, len: u64 },
    /// It was cut or extended to a length.
    Truncate { len: u64 },
    /// A range was made zeros.
    Punch(ByteRange),
    /// Another map was put at a position.
    Splice { at: u64, from: ExtentMap },
    /// Headers or attributes were set.
    Describe(Description),
    /// So many bytes behind the last part are sent ahead as the next, copied from an object or not.
    SendPart { len: u64, is_copied: bool },
    /// The upload that they are sent to, by the store's id, and the headers it was started with.
    StartUpload(String, ObjectHeaders),
    /// The store has a part, with what the file has there.
    StorePart(StoredPart),
    /// The bytes of a part were left to the upload alone.
    ReturnPart(PartNumber),
}

/// What travels beside the content.
#[derive(Debug)]
pub(in crate::file) struct Description {
    /// Where they are others.
    pub headers: Option<ObjectHeaders>,
    pub attributes: Attributes,
    pub modified: SystemTime,
    pub is_time_set: bool,
    pub is_appendable: bool,
}

record!(Description {
    headers,
    attributes,
    modified,
    is_time_set,
    is_appendable,
});

impl Edit {
    /// Makes it once more, in a state that is being restored.
    pub(super) fn make(self, state: &mut State) {
        let map = &mut state.map;
        match self {
            Self::Touch(now) => state.touch_at(now),
            Self::Write { at, address, len } => map.write(at, address, len),
            Self::Truncate { len } => {
                map.truncate(len);
                state.lent.take_if(|lent| lent.len() > len);
            }
            Self::Punch(range) => map.punch(range),
            Self::Splice { at, from } => map.splice(at, &from),
            Self::Describe(description) => state.describe_again(description),
            Self::SendPart { len, is_copied } => {
                let lent = state.lent.get_or_insert_default();
                lent.send_part(len, is_copied);
            }
            Self::StartUpload(id, headers) => {
                if let Some(lent) = &mut state.lent {
                    lent.upload = Some((id, headers));
                }
            }
            Self::StorePart(part) => {
                if let Some((range, stored)) =
                    state.lent.as_mut().and_then(|lent| lent.part(part.number))
                {
                    *stored = Some((part, map.slice(*range)));
                }
            }
            Self::ReturnPart(number) => {
                if let Some((range, Some((_, content)))) =
                    state.lent.as_mut().and_then(|lent| lent.part(number))
                {
                    map.send(*range);
                    *content = map.slice(*range);
                }
            }
        }
    }
}

impl Record for Edit {
    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { at, address, len } => {
                0_u8.write(to);
                (*at, *address, *len).write(to);
            }
            Self::Truncate { len } => {
                1_u8.write(to);
                len.write(to);
            }
            Self::Punch(range) => {
                2_u8.write(to);
                range.write(to);
            }
            Self::Splice { at, from } => {
                3_u8.write(to);
                at.write(to);
                from.write(to);
            }
            Self::Touch(now) => {
                4_u8.write(to);
                now.write(to);
            }
            Self::Describe(description) => {
                5_u8.write(to);
                description.write(to);
            }
            Self::SendPart { len, is_copied } => {
                6_u8.write(to);
                len.write(to);
                is_copied.write(to);
            }
            Self::StartUpload(id, headers) => {
                7_u8.write(to);
                id.write(to);
                headers.write(to);
            }
            Self::StorePart(part) => {
                8_u8.write(to);
                part.write(to);
            }
            Self::ReturnPart(number) => {
                9_u8.write(to);
                number.write(to);
            }
        }
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        Some(match u8::read(from)? {
            0 => {
                let (at, address, len) = Record::read(from)?;
                Self::Write { at, address, len }
            }
            1 => Self::Truncate {
                len: Record::read(from)?,
            },
            2 => Self::Punch(Record::read(from)?),
            3 => Self::Splice {
                at: Record::read(from)?,
                from: Record::read(from)?,
            },
            4 => Self::Touch(Record::read(from)?),
            5 => Self::Describe(Record::read(from)?),
            6 => Self::SendPart {
                len: Record::read(from)?,
                is_copied: Record::read(from)?,
            },
            7 => Self::StartUpload(Record::read(from)?, Record::read(from)?),
            8 => Self::StorePart(Record::read(from)?),
            9 => Self::ReturnPart(Record::read(from)?),
            _ => return None,
        })
    }
}
