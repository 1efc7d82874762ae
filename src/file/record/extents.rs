//! What is kept of an extent map. Knows no file.

use std::collections::HashMap;

use crate::extent::{Extent, ExtentMap};
use crate::journal::codec::Record;
use crate::object::ObjectVersion;
use crate::range::ByteRange;

impl Record for ExtentMap {
    /// The versions it refers to, then the extents, which name them by their places among those.
    fn write(&self, to: &mut Vec<u8>) {
        let versions = self.versions();
        versions.write(to);
        let numbers: HashMap<_, _> = versions.iter().zip(0_u64..).collect();
        (self.extents().count() as u32).write(to);
        for extent in self.extents() {
            let (kind, number, offset) = match extent {
                Extent::Object {
                    version, offset, ..
                } => (0_u8, numbers[version], *offset),
                Extent::Dirty { offset, .. } => (1, 0, *offset),
                Extent::Hole { .. } => (2, 0, 0),
                Extent::Sent { offset, .. } => (3, 0, *offset),
            };
            kind.write(to);
            (number, offset, extent.len()).write(to);
        }
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let versions: Vec<std::sync::Arc<ObjectVersion>> = Vec::read(from)?;
        let mut map = Self::new();
        for _ in 0..u32::read(from)? {
            let kind = u8::read(from)?;
            let (number, offset, len) = <(u64, u64, u64)>::read(from)?;
            match kind {
                0 => {
                    let version = versions.get(usize::try_from(number).ok()?)?;
                    let object = Self::of_object(version.clone());
                    map.append(&object.slice(ByteRange::at(offset, len)));
                }
                1 => {
                    let end = map.len();
                    Self::write(&mut map, end, offset, len);
                }
                3 => {
                    let range = ByteRange::at(offset, len);
                    let mut upload = Self::new();
                    upload.truncate(range.end());
                    upload.send(range);
                    map.append(&upload.slice(range));
                }
                _ => map.truncate(map.len() + len),
            }
        }
        Some(map)
    }
}
