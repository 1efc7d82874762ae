//! The words of `-o`, as fstab and mount(8) use them: what each stands for, by the tables in
//! `words`, and lists of them. Understands no value.

use std::ffi::OsString;
use std::fmt;

use clap::error::{ContextKind, ContextValue, ErrorKind};

mod fuse;
mod mount8;
mod ours;
mod s3fs_fuse;
#[cfg(test)]
mod tests;

/// What `--help` tells of them.
pub(super) const HELP: &str = "\
Words of -o:
  url=URL provider=NAME use_path_request_style region=NAME endpoint=NAME
  passwd_file=FILE profile=NAME iam_role[=NAME] ecs no_sign_request public_bucket
  proxy=URL proxy_cred_file=FILE ca_bundle=FILE dual_stack fips accelerate
  retries=N connect_timeout=SECONDS readwrite_timeout=SECONDS
  requester_pays expected_bucket_owner=[BUCKET:]ACCOUNT
  sse=s3|kms|kms:KEYID sse_c_key=[BUCKET:]FILE use_sse[=kmsid:KEYID|custom:FILE]
  storage_class=CLASS acl=CANNED default_acl=CANNED tags=NAME=VALUE&...
  ro rw allow_other nonempty uid=N gid=N umask=OCTAL mp_umask=OCTAL
  default_uid=N default_gid=N default_umask=OCTAL file_mode=OCTAL dir_mode=OCTAL
  actimeo=SECONDS attr_ttl=SECONDS stat_cache_expire=SECONDS noac cto nocto
  save_killed
  attributes=auto|objects|listing bucket_size=SIZE multireq_max=N
  memory_limit=SIZE staging_dir=DIR tmpdir=DIR staging_disk=SIZE ensure_diskfree=MIB
  parallel_count=N multipart_size=MIB multipart_copy_size=MIB log_level=LEVEL dbglevel=LEVEL
  bucket=SOURCE config=FILE
  nosuid nodev noexec noatime relatime sync ... as in mount(8), which also says what _netdev,
  nofail, user and x-... do; here they do nothing.
Those of s3fs-fuse and FUSE that are not here are ignored, and the log says so, or refused, with
what to do instead: doc/options.md has them all.

Credentials are those of passwd_file=FILE or profile=NAME where one is given; else they are found
as the AWS command line finds them (environment, profile, SSO, web identity, container, instance),
with ~/.passwd-s3fs and /etc/passwd-s3fs where the environment and ~/.aws/credentials have none.
They are never taken from the command line, where every user can read them.

Examples:
  s3fs s3://bucket/photos /mnt
  s3fs bucket /mnt -o url=http://localhost:9000,provider=minio
  s3fs s3://one s3://two /mnt     (cp /mnt/one/x /mnt/two/ copies without a download)";

/// Why `-o` cannot be understood. The value of a word that is not known is not repeated: it may be
/// a secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WordError {
    /// No such word.
    #[error("unknown option \"{word}\"{}", suggestion(nearest))]
    Unknown {
        /// The word.
        word: String,
        /// The known word most like it.
        nearest: Option<&'static str>,
    },
    /// It cannot be a word, and may be anything, so it is not repeated.
    #[error(
        "something in -o is no option: options are words of letters, digits and '_', as in \
         -o ro,url=URL; a comma within a value is written \\,"
    )]
    NoWord,
    /// It needs a value.
    #[error("option \"{word}\" needs a value: {word}=...")]
    NoValue {
        /// The word.
        word: String,
    },
    /// It takes no value.
    #[error("option \"{word}\" takes no value")]
    UnwantedValue {
        /// The word.
        word: String,
    },
    /// Its value makes no sense.
    #[error("option \"{word}\": \"{value}\": {reason}")]
    Value {
        /// The word.
        word: String,
        /// The value.
        value: String,
        /// What is wrong with it, or what to give.
        reason: String,
    },
    /// It is known, and refused.
    #[error("option \"{word}\": {advice}")]
    Refused {
        /// The word.
        word: String,
        /// What to do instead.
        advice: &'static str,
    },
}

fn suggestion(nearest: &Option<&'static str>) -> String {
    nearest
        .map(|word| format!("; did you mean \"{word}\"?"))
        .unwrap_or_default()
}

/// Words that are documented together.
pub(super) struct Section {
    /// The heading.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the documents"))]
    pub(super) title: &'static str,
    pub(super) words: &'static [Word],
}

/// A word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) name: &'static str,
    pub(super) meaning: Meaning,
    /// For the documents: what it does. Of an ignored one why nothing is lost by it, of a refused
    /// one what to do instead; both are what users are told, too.
    pub(super) about: &'static str,
}

/// What a word stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    /// A flag without a value; `word=1` is the same, `word=0` takes it back (s3fs-fuse writes so).
    Flag(&'static str),
    /// A flag with the word's value.
    Value(&'static str),
    /// A flag with the word's value, or with this one where it has none.
    Optional(&'static str, &'static str),
    /// The canned ACL of s3fs-fuse, whose lines also have `_` for `-`.
    Acl,
    /// The level of s3fs-fuse's log.
    DebugLevel,
    /// The encryption of s3fs-fuse.
    Encryption,
    /// The file of options: looked for before all else.
    Config,
    /// The kernel acts on it.
    Kernel,
    /// The kernel acts on this word, which mount(8) keeps to itself.
    KernelBy(&'static str),
    /// A change of a mount that is there.
    Remount,
    /// Nothing to be done: it is always so, or somebody else has acted on it.
    Always,
    /// Nothing is done, and the log says so.
    Ignored,
    /// As `Ignored`, but `=0` asks for what there is not, with what to do instead.
    Unless(&'static str),
    /// A mistake.
    Refused,
}

use Meaning::{
    Acl, Always, Config, DebugLevel, Encryption, Flag, Ignored, Kernel, KernelBy, Optional,
    Refused, Remount, Unless, Value,
};

/// Every word, in the order of doc/options.md.
pub(super) const SECTIONS: &[&Section] = &[
    &ours::STORE,
    &ours::MOUNT,
    &ours::SECRETS,
    &s3fs_fuse::REACHING,
    &s3fs_fuse::WRITING,
    &s3fs_fuse::SHOWING,
    &s3fs_fuse::KEEPING,
    &fuse::SECTION,
    &mount8::SECTION,
];

fn words() -> impl Iterator<Item = &'static Word> {
    SECTIONS.iter().flat_map(|section| section.words)
}

/// Flags of which one takes the place of another that an earlier layer has.
const ALTERNATIVES: &[&[&str]] = &[
    &[
        "--passwd-file",
        "--profile",
        "--iam-role",
        "--ecs",
        "--no-sign-request",
    ],
    &["--sse", "--sse-c-key"],
    &["--uid", "--default-uid"],
    &["--gid", "--default-gid"],
    &["--umask", "--default-umask"],
];

/// Longest word that is repeated in a message: longer than any there is, shorter than the 40
/// characters of a secret key.
const WORD_BYTES_MAX: usize = 32;
/// Parts of words that are likely to have a secret behind them.
const SECRET_HINTS: &[&str] = &["secret", "pass", "pwd", "token", "key", "credential"];

/// The words of `-o`, understood.
#[derive(Debug, Default)]
pub(super) struct Translated {
    flags: Vec<TranslatedFlag>,
    /// How many lists have been taken in before the one that is being taken in.
    layer: usize,
    /// What the kernel acts on, in the order given.
    pub(super) kernel_words: Vec<String>,
    /// What nothing is done about.
    pub(super) ignored: Vec<IgnoredWord>,
    /// Whether what is mounted is to be changed.
    pub(super) remount: bool,
}

/// What becomes of words that nobody knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unknown {
    /// They are a mistake.
    Refused,
    /// They are nothing: mount(8), `-s`. Those that look like secrets are a mistake all the same.
    Ignored,
}

/// A flag, and the word that stands for it.
#[derive(Debug)]
struct TranslatedFlag {
    flag: String,
    word: &'static str,
    layer: usize,
}

/// A word that nothing is done about, and why nothing is lost by it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct IgnoredWord {
    word: &'static str,
    why: &'static str,
}

impl fmt::Display for IgnoredWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "option \"{}\" is ignored: {}", self.word, self.why)
    }
}

impl Translated {
    /// The flags that the words stand for, in the order given.
    pub(super) fn flags(&self) -> impl Iterator<Item = OsString> {
        self.flags.iter().map(|given| given.flag.clone().into())
    }

    /// Takes in one word with its value.
    fn add(&mut self, word: &'static Word, value: Option<&str>) -> Result<(), WordError> {
        let name = || word.name.to_owned();
        let refused = |advice| {
            let word = name();
            Err(WordError::Refused { word, advice })
        };
        match (word.meaning, value) {
            (Always | Config, _) => {}
            (Remount, _) => self.remount = true,
            (Ignored, _) => self.ignore(word),
            (Unless(advice), Some("0")) => return refused(advice),
            (Unless(_), _) => self.ignore(word),
            (Refused, _) => return refused(word.about),
            (Flag(flag) | Optional(flag, _), Some("0")) => self.take_back(flag),
            (Flag(flag), None | Some("1")) => self.push(word, flag.to_owned()),
            (Kernel, None) => self.kernel_words.push(name()),
            // mount(8) puts its own words first, and `nosuid` is to count all the same.
            (KernelBy(word), None) => self.kernel_words.insert(0, word.to_owned()),
            (Flag(_) | Kernel | KernelBy(_), Some(_)) => {
                return Err(WordError::UnwantedValue { word: name() });
            }
            (Value(_) | Acl | DebugLevel, None | Some("")) => {
                return Err(WordError::NoValue { word: name() });
            }
            (Value(flag) | Optional(flag, _), Some(value)) => {
                self.push(word, format!("{flag}={value}"));
            }
            (Optional(flag, value), None) => self.push(word, format!("{flag}={value}")),
            (Acl, Some(value)) => self.push(word, format!("--acl={}", value.replace('_', "-"))),
            (DebugLevel, Some(value)) => {
                self.push(word, format!("--log-level={}", level(value)));
            }
            (Encryption, value) => match encryption(value) {
                Ok(flag) => self.push(word, flag),
                Err(advice) => return refused(advice),
            },
        }
        Ok(())
    }

    fn push(&mut self, word: &Word, flag: String) {
        let mut alternatives = ALTERNATIVES.iter().filter(|group| is_in(group, &flag));
        if let Some(group) = alternatives.next() {
            let layer = self.layer;
            self.flags
                .retain(|given| given.layer == layer || !is_in(group, &given.flag));
        }
        let (word, layer) = (word.name, self.layer);
        self.flags.push(TranslatedFlag { flag, word, layer });
    }

    fn take_back(&mut self, flag: &str) {
        self.flags.retain(|given| !is_in(&[flag], &given.flag));
    }

    fn ignore(&mut self, word: &Word) {
        let ignored = IgnoredWord {
            word: word.name,
            why: word.about,
        };
        if !self.ignored.contains(&ignored) {
            self.ignored.push(ignored);
        }
    }

    /// What is wrong with the value of a flag, said of the word that the flag stands for; the error
    /// as it is when it is about something else.
    pub(super) fn blame(&self, error: clap::Error) -> Result<WordError, clap::Error> {
        let (Some(ContextValue::String(argument)), Some(ContextValue::String(value))) = (
            error.get(ContextKind::InvalidArg),
            error.get(ContextKind::InvalidValue),
        ) else {
            return Err(error);
        };
        // As in "--uid <UID>".
        let flag = argument.split(' ').next().unwrap_or_default();
        let flag = format!("{flag}={value}");
        let Some(given) = self.flags.iter().rfind(|given| given.flag == flag) else {
            return Err(error);
        };
        let reason = match (error.kind(), error.get(ContextKind::ValidValue)) {
            (ErrorKind::InvalidValue, Some(ContextValue::Strings(valid))) => {
                format!("give one of {}", valid.join(", "))
            }
            _ => std::error::Error::source(&error)
                .map_or_else(|| error.kind().to_string(), ToString::to_string),
        };
        Ok(WordError::Value {
            word: given.word.to_owned(),
            value: value.clone(),
            reason,
        })
    }
}

/// Understands every list of words: of each layer as many as there are, and a later layer says
/// otherwise than those before.
pub(super) fn translate(layers: &[Vec<String>], unknown: Unknown) -> Result<Translated, WordError> {
    let mut translated = Translated::default();
    for (layer, lists) in layers.iter().enumerate() {
        translated.layer = layer;
        for text in each(lists) {
            let (name, value) = with_value(&text);
            if name.starts_with("x-") || name.starts_with("X-") {
                continue;
            }
            match words().find(|word| word.name == name) {
                Some(word) => translated.add(word, value)?,
                None => match (unknown_word(name, value), unknown) {
                    (WordError::Unknown { .. } | WordError::NoWord, Unknown::Ignored) => {}
                    (error, _) => return Err(error),
                },
            }
        }
    }
    Ok(translated)
}

/// Whether it is one of these flags, with a value or without.
fn is_in(flags: &[&str], given: &str) -> bool {
    let name = given.split('=').next().unwrap_or_default();
    flags.iter().any(|flag| *flag == given || *flag == name)
}

/// The last value of a word that stands for that flag; and that of `config`, by its own name.
pub(super) fn last_value(lists: &[String], flag: &str) -> Option<String> {
    let is_meant = |name: &str| {
        words().any(|word| match word.meaning {
            Value(of) => word.name == name && of == flag,
            Config => word.name == name && name == flag,
            _ => false,
        })
    };
    let values = each(lists).filter_map(|text| {
        let (name, value) = with_value(&text);
        value.filter(|_| is_meant(name)).map(str::to_owned)
    });
    values.last()
}

/// Whether a mount that is there is to be changed.
pub(super) fn is_remount(lists: &[String]) -> bool {
    let remounts = |name: &str| words().any(|word| word.name == name && word.meaning == Remount);
    each(lists).any(|text| remounts(with_value(&text).0))
}

/// A word with a value as `-o` takes it.
pub(super) fn written(name: &str, value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace(',', "\\,");
    format!("{name}={escaped}")
}

fn each(lists: &[String]) -> impl Iterator<Item = String> {
    lists
        .iter()
        .flat_map(|list| split(list))
        .filter(|text| !text.is_empty())
}

fn with_value(text: &str) -> (&str, Option<&str>) {
    match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    }
}

fn unknown_word(name: &str, value: Option<&str>) -> WordError {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > WORD_BYTES_MAX || !name.bytes().all(is_part) {
        return WordError::NoWord;
    }
    let word = name.to_owned();
    let lower = name.to_ascii_lowercase();
    if value.is_some() && SECRET_HINTS.iter().any(|hint| lower.contains(hint)) {
        let advice = ours::SECRET;
        return WordError::Refused { word, advice };
    }
    let nearest = nearest(name);
    WordError::Unknown { word, nearest }
}

/// Our level for one of s3fs-fuse, which has silent, crit, err, warn, info and debug, and longer
/// and shorter names for them.
fn level(value: &str) -> String {
    let lower = value.to_ascii_lowercase();
    let level = match lower.as_str() {
        "silent" => "off",
        "crit" | "critical" | "err" => "error",
        "wan" | "warning" => "warn",
        "inf" | "information" => "info",
        "dbg" => "debug",
        other => other,
    };
    level.to_owned()
}

/// The flag for a value of `use_sse`; else what to do instead.
fn encryption(value: Option<&str>) -> Result<String, &'static str> {
    const KEY: &str = "give the file of the key: use_sse=custom:FILE, or sse_c_key=FILE";
    const ID: &str = "give the key's id: use_sse=kmsid:KEYID; or sse=kms for the account's own key";
    let Some(value) = value else {
        return Ok("--sse=s3".to_owned());
    };
    match value.split_once(':') {
        _ if value == "1" => Ok("--sse=s3".to_owned()),
        Some(("custom" | "c", file)) if !file.is_empty() => Ok(format!("--sse-c-key={file}")),
        Some(("kmsid" | "k", id)) if !id.is_empty() => Ok(format!("--sse=kms:{id}")),
        _ if value.starts_with('/') => Ok(format!("--sse-c-key={value}")),
        Some(("kmsid" | "k", _)) => Err(ID),
        None if matches!(value, "kmsid" | "k") => Err(ID),
        _ => Err(KEY),
    }
}

/// Splits at commas; a backslash takes the meaning from the character behind it, as in fstab.
fn split(list: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut chars = list.chars();
    while let Some(c) = chars.next() {
        match c {
            ',' => words.push(String::new()),
            '\\' => words.last_mut().expect("never empty").extend(chars.next()),
            _ => words.last_mut().expect("never empty").push(c),
        }
    }
    words
}

/// The known word most like `word`, when one is like it at all.
fn nearest(word: &str) -> Option<&'static str> {
    /// Below this, two words have less in common than a slip of the finger leaves.
    const SIMILARITY_MIN: f64 = 0.8;
    let known = words().filter(|known| known.meaning != Refused);
    let scored = known.map(|known| (known.name, strsim::jaro_winkler(word, known.name)));
    let best = scored.max_by(|a, b| a.1.total_cmp(&b.1));
    best.filter(|(_, score)| *score >= SIMILARITY_MIN)
        .map(|(name, _)| name)
}
