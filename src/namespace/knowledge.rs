//! What is known of names and objects, and since when. Asks nobody: whoever holds it compares its
//! age with the trust time.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lru::LruCache;

use crate::attributes::{Attributes, Kind, extended};
use crate::namespace::InodeId;
use crate::object::{BucketName, ETag, ObjectKey, ObjectVersion, VersionId};
use crate::store::{ListedObject, ObjectHeaders, ObjectStat};

/// Names without an inode whose knowledge is kept: 16 listing pages of 1,000, about 4 MiB.
pub const NAMES_KEPT_MAX: NonZeroUsize = NonZeroUsize::new(16 * 1024).unwrap();

/// The content type of a marker object, as s3fs-fuse and others write it.
pub const DIRECTORY_CONTENT_TYPE: &str = "application/x-directory";

/// How far the store's clock may be ahead of ours for its date of our own write to be believed.
const CLOCKS_DIFFER_MAX: Duration = Duration::from_secs(5);

/// What is known of an object, free of where it is: a rename of a directory above changes the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// When the store was asked, or the change was made.
    pub at: Instant,
    /// Bytes.
    pub size: u64,
    /// Last-Modified.
    pub modified: SystemTime,
    /// Whether that is our own guess: no answer to a PUT or a copy tells it.
    pub is_guessed: bool,
    /// Its entity tag; some stores leave it out of listings.
    pub etag: Option<ETag>,
    /// Its version id; a listing does not tell it.
    pub version_id: Option<VersionId>,
    /// Its storage class; `None` for the usual one.
    pub storage_class: Option<String>,
    /// What its metadata tells; a listing does not.
    pub attributes: Option<Attributes>,
    /// Whether it has extended attributes; only known with `attributes`.
    pub has_extended: bool,
    /// Whether it marks a directory by the directory's key without the slash, as s3fs-fuse once
    /// did.
    pub is_old_marker: bool,
    /// Its headers, where they are kept: with their metadata they take about a KiB, the attributes
    /// alone a tenth of that.
    pub headers: Option<Arc<ObjectHeaders>>,
    /// Whether nothing is left open: its attributes are known, or nothing pointed to any when it
    /// was listed.
    pub is_told: bool,
}

impl Known {
    /// What HEAD told.
    pub fn of_stat(stat: &ObjectStat, at: Instant) -> Self {
        Self {
            modified: stat.modified,
            is_guessed: false,
            is_old_marker: is_old_marker(stat),
            ..Self::guessed(&stat.version, Some(Arc::new(stat.headers.clone())), at)
        }
    }

    /// What our own write made: when exactly, the store does not tell.
    pub fn guessed(
        version: &ObjectVersion,
        headers: Option<Arc<ObjectHeaders>>,
        at: Instant,
    ) -> Self {
        let told = headers.as_deref();
        Self {
            at,
            size: version.size,
            modified: SystemTime::now(),
            is_guessed: true,
            etag: Some(version.etag.clone()),
            version_id: version.version_id.clone(),
            storage_class: told.and_then(|told| told.storage_class.clone()),
            attributes: told.map(|told| Attributes::of_metadata(&told.metadata)),
            has_extended: told
                .is_some_and(|told| !extended::of_metadata(&told.metadata).is_empty()),
            is_old_marker: false,
            is_told: headers.is_some(),
            headers,
        }
    }

    /// Without the headers, unless these tell what the object has grown from.
    #[must_use]
    pub fn brief(self) -> Self {
        let headers = self.headers.filter(|told| !told.growth().is_empty());
        Self { headers, ..self }
    }

    /// What a listing told.
    pub fn of_listed(listed: &ListedObject, at: Instant) -> Self {
        Self {
            at,
            size: listed.size,
            modified: listed.modified,
            is_guessed: false,
            etag: listed.etag.clone(),
            version_id: None,
            storage_class: listed.storage_class.clone(),
            attributes: None,
            has_extended: false,
            is_old_marker: false,
            headers: None,
            is_told: false,
        }
    }

    /// Takes over, from what was known before, what a listing does not tell of the same version.
    /// A copy of an object onto itself may leave its entity tag as it was, but not its date.
    #[must_use]
    pub fn after(self, before: Option<&Self>) -> Self {
        let Some(before) = before.filter(|before| self.is_still(before)) else {
            return self;
        };
        Self {
            version_id: self.version_id.or_else(|| before.version_id.clone()),
            attributes: self.attributes.or(before.attributes),
            has_extended: self.has_extended || before.has_extended,
            headers: self.headers.or_else(|| before.headers.clone()),
            is_told: self.is_told || before.is_told,
            ..self
        }
    }

    fn is_still(&self, before: &Self) -> bool {
        let same = |one: &ETag| before.etag.as_ref().is_some_and(|other| one.matches(other));
        self.etag.as_ref().is_some_and(same) && self.is_of_the_time_of(before)
    }

    /// Whether both are of one size, and stored at one time as far as can be told.
    pub fn is_dated_as(&self, other: &Self) -> bool {
        self.size == other.size && other.is_of_the_time_of(self)
    }

    fn is_of_the_time_of(&self, before: &Self) -> bool {
        if before.is_guessed {
            // Our own write; clocks differ a little.
            return self.modified <= before.modified + CLOCKS_DIFFER_MAX;
        }
        // HEAD tells whole seconds, a listing of some stores more.
        let seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            since.map_or(0, |since| since.as_secs())
        };
        seconds(self.modified) == seconds(before.modified)
    }

    /// Whether it is this version that is known: where no entity tag is, its size tells.
    pub fn is_of(&self, version: &ObjectVersion) -> bool {
        match &self.etag {
            Some(etag) => etag.matches(&version.etag),
            None => self.size == version.size,
        }
    }

    /// The version at this place; `None` when the entity tag is not known.
    pub fn version(&self, bucket: &BucketName, key: &ObjectKey) -> Option<Arc<ObjectVersion>> {
        Some(Arc::new(ObjectVersion {
            bucket: bucket.clone(),
            key: key.clone(),
            etag: self.etag.clone()?,
            version_id: self.version_id.clone(),
            size: self.size,
        }))
    }

    /// Whether it may still be trusted.
    pub fn is_fresh(&self, ttl: Duration) -> bool {
        self.at.elapsed() < ttl
    }
}

/// Whether an object is a directory to s3fs-fuse, which says so by its mode or, where that tells no
/// kind, by the content type (`get_mode` in its src/metaheader.cpp). What holds bytes is a file
/// here.
fn is_old_marker(stat: &ObjectStat) -> bool {
    let ObjectStat {
        version, headers, ..
    } = stat;
    let is_directory = match Attributes::of_metadata(&headers.metadata).kind {
        Some(kind) => kind == Kind::Directory,
        None => {
            let content_type = headers.content_type.as_deref().unwrap_or_default();
            content_type.split(';').next().unwrap_or_default().trim() == DIRECTORY_CONTENT_TYPE
        }
    };
    is_directory && version.size == 0 && !version.key.as_str().ends_with('/')
}

/// What is under a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Named {
    /// Nothing.
    Absent,
    /// An object.
    File(Known),
    /// A prefix; its marker object, as far as it was looked for.
    Directory(Option<Known>),
}

impl Named {
    /// What an inode of the name would be; of a file no more than that is known.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::File(_) => Kind::File,
            Self::Absent | Self::Directory(_) => Kind::Directory,
        }
    }

    /// The object of a file.
    pub const fn object(&self) -> Option<&Known> {
        match self {
            Self::File(known) => Some(known),
            Self::Absent | Self::Directory(_) => None,
        }
    }
}

/// What is known of a name that has no inode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameKnown {
    /// Since when.
    pub at: Instant,
    /// What is there.
    pub named: Named,
    /// Whether nothing is left open: of an object by [`Known::is_told`], of a directory when its
    /// marker was looked for, or nothing pointed to one.
    pub is_told: bool,
}

/// The knowledge of names without an inode: absent ones, and listed ones not yet looked up. The
/// least recently used are given up beyond [`NAMES_KEPT_MAX`].
#[derive(Debug)]
pub struct NameCache {
    names: LruCache<(InodeId, Arc<str>), NameKnown>,
}

impl Default for NameCache {
    fn default() -> Self {
        Self {
            names: LruCache::new(NAMES_KEPT_MAX),
        }
    }
}

impl NameCache {
    /// The names in a directory.
    pub const fn of(&mut self, directory: InodeId) -> NamesIn<'_> {
        let names = &mut self.names;
        NamesIn { names, directory }
    }

    /// Knows nothing of any name any more.
    pub fn clear(&mut self) {
        self.names.clear();
    }
}

/// The knowledge of names in one directory.
#[derive(Debug)]
pub struct NamesIn<'a> {
    names: &'a mut LruCache<(InodeId, Arc<str>), NameKnown>,
    directory: InodeId,
}

impl<'a> NamesIn<'a> {
    /// What is known of a name, however old.
    pub fn name(self, name: &Arc<str>) -> Option<&'a NameKnown> {
        self.names.get(&(self.directory, Arc::clone(name)))
    }

    /// Notes what is under a name.
    pub fn note(self, name: &Arc<str>, known: NameKnown) {
        self.names.put((self.directory, Arc::clone(name)), known);
    }

    /// Since when a name is known to stand for nothing.
    pub fn absent_since(self, name: &Arc<str>) -> Option<Instant> {
        let known = self.name(name)?;
        (known.named == Named::Absent).then_some(known.at)
    }

    /// Notes that nothing is under a name, since then.
    pub fn note_absent(self, name: &Arc<str>, at: Instant) {
        let known = NameKnown {
            at,
            named: Named::Absent,
            is_told: true,
        };
        self.note(name, known);
    }

    /// Knows nothing of a name any more.
    pub fn forget(self, name: &Arc<str>) {
        self.names.pop(&(self.directory, Arc::clone(name)));
    }
}
