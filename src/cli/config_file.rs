//! The configuration file: words of `-o` for buckets and endpoints, in TOML. Understands no word.
//!
//! ```toml
//! [endpoint."https://s3.example.com"]
//! provider = "minio"
//! use_path_request_style = true
//!
//! [bucket.photos]
//! url = "https://s3.example.com"
//! access_key_id = "..."
//! secret_access_key = "..."
//! ```

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::credentials::home;
use super::secret_file::{self, Demands, OWNER_ONLY, SecretFileError};
use super::store::normal_url;
use super::words::{self, Unknown, WordError};
use crate::config::StaticCredentials;

/// That of the machine; what it says, that of the user may say otherwise.
const OF_MACHINE: &str = "/etc/s3fs/s3fs.toml";
/// That of the user, in their directory.
const OF_USER: &str = ".config/s3fs/s3fs.toml";
/// Anybody may read it as long as there is no secret in it; nobody else may write it.
const READABLE: Demands = Demands {
    option: "config",
    mode_max: 0o644,
    bytes_max: 1 << 20,
};
const SECRET: Demands = Demands {
    mode_max: OWNER_ONLY,
    ..READABLE
};

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// The file.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// It is no TOML, or not of the form above.
    #[error("{}:{line}: {reason}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// One of its words.
    #[error("{}:{line}: {source}", path.display())]
    Word {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: WordError,
    },
    /// One mount cannot have the options of both.
    #[error(
        "buckets \"{first}\" and \"{second}\" have different options in the configuration file; \
         mount them apart"
    )]
    Different {
        /// A bucket.
        first: String,
        /// Another.
        second: String,
    },
}

/// What configuration files say of a mount.
#[derive(Default, Debug)]
pub(super) struct Configured {
    /// Words as for `-o`: of the endpoint, then, more important, of the bucket.
    pub(super) layers: Vec<Vec<String>>,
    /// The credentials.
    pub(super) credentials: Option<StaticCredentials>,
}

/// What the file says of a mount of these buckets at this endpoint, which the file may tell itself;
/// without a file, those say it that are there by default.
pub(super) fn of_mount(
    file: Option<&Path>,
    buckets: &[String],
    endpoint: Option<String>,
) -> Result<Configured, ConfigFileError> {
    let files = match file {
        Some(path) => vec![read(path)?],
        None => defaults()?,
    };
    let of_bucket = common(&files, buckets)?;
    let endpoint = endpoint.or_else(|| words::last_value(&of_bucket.words, "--endpoint-url"));
    let of_endpoint = endpoint.map(|url| {
        let sections = files.iter().map(|file| &file.endpoints);
        joined(sections, &normal_url(&url))
    });
    let of_endpoint = of_endpoint.unwrap_or_default();
    let credentials = of_bucket
        .credentials()
        .or_else(|| of_endpoint.credentials());
    Ok(Configured {
        layers: vec![of_endpoint.words, of_bucket.words],
        credentials,
    })
}

/// Those of the machine and of the user, as far as they are there for this user.
fn defaults() -> Result<Vec<ConfigFile>, ConfigFileError> {
    let of_user = home().map(|home| home.join(OF_USER));
    let mut files = Vec::new();
    for path in [PathBuf::from(OF_MACHINE)].into_iter().chain(of_user) {
        match read(&path) {
            Ok(file) => files.push(file),
            Err(ConfigFileError::File(error)) if error.is_absence() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// What all these buckets have in common; they have to.
fn common(files: &[ConfigFile], buckets: &[String]) -> Result<Entries, ConfigFileError> {
    let of = |bucket: &String| joined(files.iter().map(|file| &file.buckets), bucket);
    let Some((first, others)) = buckets.split_first() else {
        return Ok(Entries::default());
    };
    let entries = of(first);
    match others.iter().find(|other| of(other) != entries) {
        None => Ok(entries),
        Some(second) => Err(ConfigFileError::Different {
            first: first.clone(),
            second: second.clone(),
        }),
    }
}

fn joined<'a>(files: impl Iterator<Item = &'a BTreeMap<String, Entries>>, name: &str) -> Entries {
    let mut all = Entries::default();
    for entries in files.filter_map(|sections| sections.get(name)) {
        all.words.extend(entries.words.iter().cloned());
        all.access_key_id = entries.access_key_id.clone().or(all.access_key_id);
        all.secret_access_key = entries.secret_access_key.clone().or(all.secret_access_key);
    }
    all
}

/// A file, understood.
#[derive(Default)]
struct ConfigFile {
    endpoints: BTreeMap<String, Entries>,
    buckets: BTreeMap<String, Entries>,
}

/// One section.
#[derive(Clone, PartialEq, Eq, Default)]
struct Entries {
    words: Vec<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
}

impl Entries {
    fn credentials(&self) -> Option<StaticCredentials> {
        Some(StaticCredentials {
            access_key_id: self.access_key_id.clone()?,
            secret_access_key: self.secret_access_key.clone()?,
        })
    }
}

fn read(path: &Path) -> Result<ConfigFile, ConfigFileError> {
    let (content, mode) = secret_file::read_any(path, READABLE)?;
    secret_file::check(path, READABLE, mode)?;
    let reader = match String::from_utf8(content) {
        Ok(text) => Reader { path, text },
        Err(_) => {
            let text = String::new();
            return Err(Reader { path, text }.form(0..0, "not UTF-8"));
        }
    };
    let file = reader.file()?;
    let mut sections = file.endpoints.values().chain(file.buckets.values());
    if sections.any(|entries| entries.secret_access_key.is_some()) {
        secret_file::check(path, SECRET, mode)?;
    }
    Ok(file)
}

/// Finds its way through the text of a file.
struct Reader<'a> {
    path: &'a Path,
    text: String,
}

impl Reader<'_> {
    fn file(&self) -> Result<ConfigFile, ConfigFileError> {
        let table = DeTable::parse(&self.text)
            .map_err(|error| self.form(error.span().unwrap_or(0..0), error.message()))?;
        let mut file = ConfigFile::default();
        for (kind, sections) in table.get_ref() {
            let into = match kind.get_ref().as_ref() {
                "endpoint" => &mut file.endpoints,
                "bucket" => &mut file.buckets,
                _ => {
                    let reason = "give [bucket.NAME] and [endpoint.\"URL\"], and options in them";
                    return Err(self.form(kind.span(), reason));
                }
            };
            for (name, section) in self.table(sections.get_ref(), sections.span())? {
                let entries = self.entries(section.get_ref(), section.span())?;
                let name = normal_url(name.get_ref());
                if into.insert(name, entries).is_some() {
                    return Err(self.form(section.span(), "the section is there already"));
                }
            }
        }
        Ok(file)
    }

    fn table<'t, 'd>(
        &self,
        value: &'t DeValue<'d>,
        at: Range<usize>,
    ) -> Result<&'t DeTable<'d>, ConfigFileError> {
        match value {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.form(at, "give a section, [bucket.NAME] or [endpoint.\"URL\"]")),
        }
    }

    fn entries(&self, value: &DeValue<'_>, at: Range<usize>) -> Result<Entries, ConfigFileError> {
        let mut entries = Entries::default();
        for (name, value) in self.table(value, at.clone())? {
            let (at, name) = (name.span(), name.get_ref().as_ref());
            match (name, value.get_ref()) {
                ("access_key_id", DeValue::String(id)) => {
                    entries.access_key_id = Some(id.clone().into_owned());
                }
                ("secret_access_key", DeValue::String(secret)) => {
                    entries.secret_access_key = Some(secret.clone().into_owned());
                }
                ("config" | "bucket" | "remount", _) => {
                    return Err(self.form(at, "this is for the command line alone"));
                }
                (name, value) => entries.words.push(self.word(name, value, at)?),
            }
        }
        if entries.access_key_id.is_some() != entries.secret_access_key.is_some() {
            let reason = "access_key_id and secret_access_key have to be there both";
            return Err(self.form(at, reason));
        }
        Ok(entries)
    }

    /// The word as `-o` takes it, which it does.
    fn word(
        &self,
        name: &str,
        value: &DeValue<'_>,
        at: Range<usize>,
    ) -> Result<String, ConfigFileError> {
        let (said, tried) = match value {
            DeValue::String(text) => (words::written(name, text), None),
            DeValue::Integer(number) => (words::written(name, &number.to_string()), None),
            DeValue::Float(number) => (words::written(name, &number.to_string()), None),
            DeValue::Boolean(true) => (name.to_owned(), None),
            // Only what can be on can be off.
            DeValue::Boolean(false) => (words::written(name, "0"), Some(name.to_owned())),
            _ => return Err(self.form(at, "give a text, a number, true or false")),
        };
        for tried in [Some(said.clone()), tried].into_iter().flatten() {
            words::translate(&[vec![tried]], Unknown::Refused).map_err(|source| {
                ConfigFileError::Word {
                    path: self.path.to_owned(),
                    line: self.line(&at),
                    source,
                }
            })?;
        }
        Ok(said)
    }

    fn form(&self, at: Range<usize>, reason: &str) -> ConfigFileError {
        ConfigFileError::Form {
            path: self.path.to_owned(),
            line: self.line(&at),
            reason: reason.to_owned(),
        }
    }

    fn line(&self, at: &Range<usize>) -> usize {
        let before = self.text.bytes().take(at.start);
        1 + before.filter(|byte| *byte == b'\n').count()
    }
}
