//! Extended attributes: `user.*` in the object's metadata, and what S3 knows of an object under
//! `user.s3.*`, which is not listed so that no copy takes it along.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Instant;

use crate::attributes::extended::{self, Extended};
use crate::attributes::{Attributes, Kind};
use crate::file::{File, Place};
use crate::fs::lookup::Want;
use crate::fs::state::State;
use crate::fs::{Fs, FsError, FsResult, Ino, SetExtended};
use crate::namespace::knowledge::Known;
use crate::namespace::tree::NodeState;
use crate::object::ObjectVersion;
use crate::store::{ObjectHeaders, Tags};

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
    /// As a URL's query: `name=value&name=value`.
    Tags,
}

impl Property {
    fn of_name(name: &str) -> Option<Self> {
        Some(match name.strip_prefix(OF_STORE)? {
            "etag" => Self::ETag,
            "version_id" => Self::VersionId,
            "content_type" => Self::ContentType,
            "storage_class" => Self::StorageClass,
            "tags" => Self::Tags,
            _ => return None,
        })
    }
}

/// An object as far as extended attributes go.
struct Described {
    place: Place,
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
            Some(Property::Tags) => Some(object.tags().await?.into_bytes()),
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
            let not_text = FsError::Invalid {
                what: "text that is not UTF-8",
            };
            let value = str::from_utf8(value).map_err(|_| not_text)?;
            if property == Property::Tags {
                return self.set_tags(ino, value).await;
            }
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

    /// Tags are stored at once: the store has a request for them that copies nothing.
    async fn set_tags(&self, ino: Ino, query: &str) -> FsResult<()> {
        let tags: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let _pin = self.pin(ino)?;
        let file = self.content(ino, Want::Headers).await?;
        // What is to be committed goes first, with the tags there were.
        let stored = match self.commit(ino).await {
            Ok(()) => {
                let Place { bucket, key } = file.place();
                bucket.set_tags(&key, &tags).await.map_err(FsError::from)
            }
            Err(error) => Err(error),
        };
        if stored.is_ok() {
            file.note_tags(Tags::These(tags));
            self.state().learn_content(ino, &file);
        }
        self.close(ino).await;
        stored
    }

    /// Changes the headers of a file or directory; nothing when `change` fails.
    async fn change_headers(
        &self,
        ino: Ino,
        change: impl FnOnce(&mut ObjectHeaders) -> FsResult<()>,
    ) -> FsResult<()> {
        let _pin = self.pin(ino)?;
        if self.state().is_top(ino) {
            return Err(FsError::NotSupported {
                what: "extended attributes of a top directory",
            });
        }
        let file = self.described(ino).await?;
        let bytes_max = file.place().bucket.limits().metadata_bytes_max;
        let changed = file.change_headers(|headers| {
            change(headers)?;
            check_size(headers, bytes_max)
        });
        if changed.is_err() {
            self.close_unchanged(ino, &file).await;
            return changed;
        }
        self.close_described(ino).await
    }

    /// Asks for a directory's marker, if that was not done within the trust time.
    async fn ask_marker(&self, ino: Ino) -> FsResult<()> {
        let ttl = self.shared.bounds.attr_ttl;
        let place = {
            let state = self.state();
            let NodeState::Directory(directory) = &state.node(ino)?.state else {
                return Ok(());
            };
            let is_told = match &directory.marker {
                Some(marker) => marker.headers.is_some() && marker.is_fresh(ttl),
                None => directory.marker_at.is_some_and(|at| at.elapsed() < ttl),
            };
            if is_told || state.is_top(ino) || state.open.file(ino).is_some() {
                return Ok(());
            }
            state.marker_place(ino)?
        };
        let asked = Instant::now();
        let marker = self.head_if_any(&place).await?;
        if let Some(directory) = self.state().tree.directory_mut(ino) {
            directory.marker = marker.map(|stat| Known::of_stat(&stat, asked));
            directory.marker_at = Some(asked);
        }
        Ok(())
    }

    /// What is stored with a file or a directory; `None` when that has no object.
    async fn described_object(&self, ino: Ino) -> FsResult<Option<Described>> {
        let _pin = self.pin(ino)?;
        self.ask_marker(ino).await?;
        let directory = {
            let state = self.state();
            match (&state.node(ino)?.state, state.open.file(ino)) {
                (NodeState::Directory(_), Some(open)) => Some(Some(Described::of_file(&open.file))),
                (NodeState::Directory(directory), None) => {
                    let place = state.marker_place(ino)?;
                    let marker = directory.marker.as_ref();
                    Some(marker.and_then(|marker| Described::of_known(place, marker)))
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
    /// Whether a file is known to have no extended attributes without its headers.
    fn is_plain(&self, ino: Ino) -> bool {
        let known = self.tree.file(ino).and_then(|file| file.known.as_ref());
        let is_listed = known
            .is_some_and(|known| known.is_told && !known.has_extended && known.headers.is_none());
        let open = self.open.file(ino).map(|open| open.file.stat());
        is_listed && open.is_none_or(|stat| !stat.is_described)
    }
}

impl Described {
    fn of_file(file: &File) -> Self {
        Self {
            place: file.place(),
            version: file.stat().version,
            headers: file.headers(),
        }
    }

    fn of_known(place: Place, known: &Known) -> Option<Self> {
        let headers = known.headers.as_deref().cloned()?;
        Some(Self {
            version: known.version(place.bucket.name(), &place.key),
            place,
            headers,
        })
    }

    async fn tags(self) -> FsResult<String> {
        let tags = match (self.headers.tags, &self.version) {
            (Tags::These(tags), _) => tags,
            (Tags::Untold, Some(version)) => self.place.bucket.tags(version).await?,
            (Tags::Untold, None) => BTreeMap::new(),
        };
        let mut query = form_urlencoded::Serializer::new(String::new());
        Ok(query.extend_pairs(tags).finish())
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
            Property::Tags => None,
        }
    }
}

fn set_property(headers: &mut ObjectHeaders, property: Property, value: &str) -> FsResult<()> {
    match property {
        Property::ETag | Property::VersionId | Property::Tags => Err(FsError::NotPermitted {
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

/// Stores bound the metadata of an object: names and values together. The attributes that an edit
/// may give the object are to fit in, too, or its content could not be stored.
fn check_size(headers: &ObjectHeaders, bytes_max: u64) -> FsResult<()> {
    let mut with_all = headers.clone();
    Attributes::longest().write_to(&mut with_all.metadata, Kind::File);
    with_all.note_size(u64::MAX);
    if with_all.metadata_bytes() > bytes_max {
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
