//! Extended attributes: `user.*` in the object's metadata, and what S3 knows of an object under
//! `user.s3.*`, which is not listed so that no copy takes it along.

use std::ffi::OsStr;
use std::sync::Arc;

use crate::attributes::extended::{self, Extended};
use crate::file::File;
use crate::fs::lookup::Want;
use crate::fs::state::State;
use crate::fs::{Fs, FsError, FsResult, Ino, SetExtended};
use crate::namespace::knowledge::Known;
use crate::namespace::tree::NodeState;
use crate::object::ObjectVersion;
use crate::store::ObjectHeaders;

/// The names that users may choose: xattr(7).
const USER: &str = "user.";
/// What S3 knows of an object.
const OF_STORE: &str = "user.s3.";
/// The storage class of an object that tells none.
const USUAL_STORAGE_CLASS: &str = "STANDARD";

/// A property of an object behind a name that starts with [`OF_STORE`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Property {
    ETag,
    VersionId,
    ContentType,
    StorageClass,
}

impl Property {
    fn of_name(name: &str) -> Option<Self> {
        Some(match name.strip_prefix(OF_STORE)? {
            "etag" => Self::ETag,
            "version_id" => Self::VersionId,
            "content_type" => Self::ContentType,
            "storage_class" => Self::StorageClass,
            _ => return None,
        })
    }
}

/// An object as far as extended attributes go.
struct Described {
    version: Option<Arc<ObjectVersion>>,
    headers: ObjectHeaders,
}

impl Fs {
    /// The value of an extended attribute.
    ///
    /// # Errors
    /// [`FsError::NoAttribute`]; [`FsError::NotSupported`] for names that are not `user.*`; errors
    /// of the store.
    pub async fn extended(&self, ino: Ino, name: &OsStr) -> FsResult<Vec<u8>> {
        let name = user_name(name)?;
        let property = Property::of_name(name);
        if property.is_none() && self.state().is_plain(ino) {
            return Err(FsError::NoAttribute);
        }
        let Some(object) = self.described_object(ino).await? else {
            return Err(FsError::NoAttribute);
        };
        let value = match property {
            Some(property) => object.property(property).map(String::into_bytes),
            None => extended::of_metadata(&object.headers.metadata).remove(name),
        };
        value.ok_or(FsError::NoAttribute)
    }

    /// The names of the extended attributes.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn extended_names(&self, ino: Ino) -> FsResult<Vec<String>> {
        if self.state().is_plain(ino) {
            return Ok(Vec::new());
        }
        let object = self.described_object(ino).await?;
        let told = object.map(|object| extended::of_metadata(&object.headers.metadata));
        let names = told.unwrap_or_default().into_keys();
        Ok(names.filter(|name| name.starts_with(USER)).collect())
    }

    /// Sets an extended attribute, to be stored as any other attribute is.
    ///
    /// # Errors
    /// [`FsError::Exists`], [`FsError::NoAttribute`] as `how` asks; [`FsError::NoRoom`] when the
    /// store takes no more metadata; [`FsError::NotSupported`], [`FsError::NotPermitted`] for names
    /// that cannot be set; errors of the store.
    pub async fn set_extended(
        &self,
        ino: Ino,
        name: &OsStr,
        value: &[u8],
        how: SetExtended,
    ) -> FsResult<()> {
        let name = user_name(name)?;
        if let Some(property) = Property::of_name(name) {
            let value = str::from_utf8(value).map_err(|_| FsError::Invalid { what: "not text" })?;
            return self
                .change_headers(ino, |headers| set_property(headers, property, value))
                .await;
        }
        self.change_headers(ino, |headers| {
            change_extended(headers, |all| match (how, all.contains_key(name)) {
                (SetExtended::Create, true) => Err(FsError::Exists),
                (SetExtended::Replace, false) => Err(FsError::NoAttribute),
                _ => {
                    all.insert(name.to_owned(), value.to_owned());
                    Ok(())
                }
            })
        })
        .await
    }

    /// Removes an extended attribute.
    ///
    /// # Errors
    /// [`FsError::NoAttribute`]; as [`Self::set_extended`].
    pub async fn remove_extended(&self, ino: Ino, name: &OsStr) -> FsResult<()> {
        let name = user_name(name)?;
        if Property::of_name(name).is_some() {
            return Err(FsError::NotPermitted {
                what: "what the store knows of an object cannot be removed",
            });
        }
        self.change_headers(ino, |headers| {
            change_extended(headers, |all| {
                all.remove(name).map(drop).ok_or(FsError::NoAttribute)
            })
        })
        .await
    }

    /// Changes the headers of a file or directory; nothing when `change` fails.
    async fn change_headers(
        &self,
        ino: Ino,
        change: impl FnOnce(&mut ObjectHeaders) -> FsResult<()>,
    ) -> FsResult<()> {
        self.check_writable()?;
        let _pin = self.pin(ino)?;
        if self.state().is_top(ino) {
            return Err(FsError::NotSupported {
                what: "extended attributes of a top directory",
            });
        }
        let file = self.described(ino).await?;
        let mut headers = file.headers();
        let changed = change(&mut headers).and_then(|()| check_size(&file, &headers));
        if changed.is_err() {
            self.close_unchanged(ino, &file).await;
            return changed;
        }
        file.describe(|now, _| *now = headers);
        self.close_described(ino).await
    }

    /// What is stored with a file or a directory; `None` when that has no object.
    async fn described_object(&self, ino: Ino) -> FsResult<Option<Described>> {
        let _pin = self.pin(ino)?;
        let directory = {
            let state = self.state();
            match (&state.node(ino)?.state, state.open.file(ino)) {
                (NodeState::Directory(_), Some(open)) => Some(Some(Described::of_file(&open.file))),
                (NodeState::Directory(directory), None) => {
                    Some(directory.marker.as_ref().and_then(Described::of_known))
                }
                (NodeState::File(_), _) => None,
            }
        };
        if let Some(directory) = directory {
            return Ok(directory);
        }
        let file = self.content(ino, Want::Headers).await?;
        let described = Described::of_file(&file);
        self.close(ino).await;
        Ok(Some(described))
    }
}

impl State {
    /// Whether a listing told of a file, and nothing points to attributes that it does not tell.
    fn is_plain(&self, ino: Ino) -> bool {
        let known = self.tree.file(ino).and_then(|file| file.known.as_ref());
        let is_listed = known.is_some_and(|known| known.is_told && known.headers.is_none());
        is_listed && self.open.file(ino).is_none()
    }
}

impl Described {
    fn of_file(file: &File) -> Self {
        Self {
            version: file.stat().version,
            headers: file.headers(),
        }
    }

    fn of_known(known: &Known) -> Option<Self> {
        let headers = known.headers.as_deref().cloned()?;
        Some(Self {
            version: None,
            headers,
        })
    }

    fn property(self, property: Property) -> Option<String> {
        let version = self.version.as_deref();
        match property {
            Property::ETag => Some(version?.etag.as_str().trim_matches('"').to_owned()),
            Property::VersionId => Some(version?.version_id.as_ref()?.as_str().to_owned()),
            Property::ContentType => self.headers.content_type,
            Property::StorageClass => {
                let told = self.headers.storage_class;
                Some(told.unwrap_or_else(|| USUAL_STORAGE_CLASS.to_owned()))
            }
        }
    }
}

fn set_property(headers: &mut ObjectHeaders, property: Property, value: &str) -> FsResult<()> {
    match property {
        Property::ETag | Property::VersionId => Err(FsError::NotPermitted {
            what: "the store gives out entity tags and version ids",
        }),
        Property::ContentType => {
            headers.content_type = Some(value.to_owned());
            Ok(())
        }
        Property::StorageClass => {
            headers.storage_class = Some(value.to_owned());
            Ok(())
        }
    }
}

fn change_extended(
    headers: &mut ObjectHeaders,
    change: impl FnOnce(&mut Extended) -> FsResult<()>,
) -> FsResult<()> {
    let mut all = extended::of_metadata(&headers.metadata);
    change(&mut all)?;
    extended::write_to(&all, &mut headers.metadata);
    Ok(())
}

/// Stores bound the metadata of an object: names and values together.
fn check_size(file: &File, headers: &ObjectHeaders) -> FsResult<()> {
    let bytes_max = file.place().bucket.limits().metadata_bytes_max;
    let words = headers.metadata.iter();
    let bytes: usize = words.map(|(name, value)| name.len() + value.len()).sum();
    if bytes as u64 > bytes_max {
        return Err(FsError::NoRoom);
    }
    Ok(())
}

/// The name, if it is one that users may choose.
fn user_name(name: &OsStr) -> FsResult<&str> {
    name.to_str()
        .filter(|name| name.starts_with(USER))
        .ok_or(FsError::NotSupported {
            what: "extended attributes other than user.*",
        })
}
