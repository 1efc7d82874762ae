//! How values become the bytes of a record and values again. The reader is this program, of the
//! same release: there is no version in it, and what cannot be read is `None`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::range::ByteRange;

/// A value that can be kept.
pub trait Record: Sized {
    /// Puts its bytes behind those that are there.
    fn write(&self, to: &mut Vec<u8>);

    /// Takes its bytes from the front.
    fn read(from: &mut &[u8]) -> Option<Self>;
}

/// Makes a record of a struct, which is one field after the other. A field that is left out does
/// not compile.
macro_rules! record {
    ($name:ty { $($field:ident),* $(,)? }) => {
        impl $crate::journal::codec::Record for $name {
            fn write(&self, to: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($crate::journal::codec::Record::write($field, to);)*
            }

            fn read(from: &mut &[u8]) -> Option<Self> {
                $(let $field = $crate::journal::codec::Record::read(from)?;)*
                Some(Self { $($field),* })
            }
        }
    };
}
pub(crate) use record;

/// A value of which nothing is left unread.
pub fn whole<T: Record>(mut from: &[u8]) -> Option<T> {
    let value = T::read(&mut from)?;
    from.is_empty().then_some(value)
}

macro_rules! number {
    ($($number:ty),*) => {
        $(impl Record for $number {
            fn write(&self, to: &mut Vec<u8>) {
                to.extend(self.to_le_bytes());
            }

            fn read(from: &mut &[u8]) -> Option<Self> {
                let (bytes, rest) = from.split_first_chunk()?;
                *from = rest;
                Some(Self::from_le_bytes(*bytes))
            }
        })*
    };
}
number!(u8, u16, u32, u64);

impl Record for bool {
    fn write(&self, to: &mut Vec<u8>) {
        to.push(u8::from(*self));
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        Some(u8::read(from)? != 0)
    }
}

impl Record for Arc<str> {
    fn write(&self, to: &mut Vec<u8>) {
        (self.len() as u32).write(to);
        to.extend(self.as_bytes());
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let len = u32::read(from)? as usize;
        let (text, rest) = from.split_at_checked(len)?;
        *from = rest;
        str::from_utf8(text).ok().map(Self::from)
    }
}

impl Record for String {
    fn write(&self, to: &mut Vec<u8>) {
        (self.len() as u32).write(to);
        to.extend(self.as_bytes());
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        <Arc<str>>::read(from).map(|text| text.as_ref().to_owned())
    }
}

impl<T: Record> Record for Option<T> {
    fn write(&self, to: &mut Vec<u8>) {
        self.is_some().write(to);
        if let Some(value) = self {
            value.write(to);
        }
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        Some(match bool::read(from)? {
            true => Some(T::read(from)?),
            false => None,
        })
    }
}

impl<T: Record> Record for Arc<T> {
    fn write(&self, to: &mut Vec<u8>) {
        T::write(self, to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        T::read(from).map(Self::new)
    }
}

impl<T: Record> Record for Vec<T> {
    fn write(&self, to: &mut Vec<u8>) {
        (self.len() as u32).write(to);
        self.iter().for_each(|item| item.write(to));
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        (0..u32::read(from)?).map(|_| T::read(from)).collect()
    }
}

impl<K: Record + Ord, V: Record> Record for BTreeMap<K, V> {
    fn write(&self, to: &mut Vec<u8>) {
        (self.len() as u32).write(to);
        for (key, value) in self {
            key.write(to);
            value.write(to);
        }
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let pair = |from: &mut &[u8]| Some((K::read(from)?, V::read(from)?));
        (0..u32::read(from)?).map(|_| pair(from)).collect()
    }
}

impl<A: Record, B: Record> Record for (A, B) {
    fn write(&self, to: &mut Vec<u8>) {
        self.0.write(to);
        self.1.write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        Some((A::read(from)?, B::read(from)?))
    }
}

impl<A: Record, B: Record, C: Record> Record for (A, B, C) {
    fn write(&self, to: &mut Vec<u8>) {
        self.0.write(to);
        self.1.write(to);
        self.2.write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        Some((A::read(from)?, B::read(from)?, C::read(from)?))
    }
}

impl Record for SystemTime {
    /// Whether it is before 1970, and how far it is from there.
    fn write(&self, to: &mut Vec<u8>) {
        let since = self.duration_since(UNIX_EPOCH);
        let away = since.clone().unwrap_or_else(|before| before.duration());
        since.is_err().write(to);
        away.as_secs().write(to);
        away.subsec_nanos().write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let is_before = bool::read(from)?;
        let (secs, nanos) = (u64::read(from)?, u32::read(from)?);
        let away = Duration::from_secs(secs) + Duration::from_nanos(nanos.into());
        match is_before {
            true => UNIX_EPOCH.checked_sub(away),
            false => UNIX_EPOCH.checked_add(away),
        }
    }
}

impl Record for ByteRange {
    fn write(&self, to: &mut Vec<u8>) {
        self.start().write(to);
        self.len().write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        Some(Self::at(u64::read(from)?, u64::read(from)?))
    }
}
