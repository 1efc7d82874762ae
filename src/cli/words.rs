//! The words of `-o`, as fstab and mount(8) use them: one table that says for each which flag it
//! stands for. Understands no value.

use std::ffi::OsString;

use crate::mount::is_kernel_word;

/// What `--help` tells of them.
pub(super) const HELP: &str = "\
Words of -o:
  url=URL endpoint_url=URL provider=NAME use_path_request_style region=NAME endpoint=NAME
  profile=NAME
  requester_pays no_sign_request public_bucket
  expected_bucket_owner=[BUCKET:]ACCOUNT sse=s3|kms|kms:KEYID sse_c_key=[BUCKET:]FILE
  dual_stack fips accelerate storage_class=CLASS acl=CANNED tags=NAME=VALUE&...
  ro rw allow_other nonempty uid=N gid=N umask=OCTAL file_mode=OCTAL dir_mode=OCTAL
  actimeo=SECONDS attr_ttl=SECONDS stat_cache_expire=SECONDS noac cto nocto
  attributes=auto|objects|listing
  memory_limit=SIZE staging_dir=DIR tmpdir=DIR staging_disk=SIZE
  parallel_count=N multipart_size=MIB multipart_copy_size=MIB log_level=LEVEL dbglevel=LEVEL
  nosuid nodev noexec noatime sync ... as in mount(8), which also says what _netdev, nofail,
  user and x-... do; here they do nothing.

Credentials are found as the AWS command line finds them: environment, profile, SSO, web identity,
container, instance. They are never taken from the command line, where every user can read them.

Examples:
  s3fs s3://bucket/photos /mnt
  s3fs bucket /mnt -o url=http://localhost:9000,provider=minio
  s3fs s3://one s3://two /mnt     (cp /mnt/one/x /mnt/two/ copies without a download)";

/// Why `-o` cannot be understood. Values are not repeated: one of them may be a secret.
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

/// What a word stands for.
#[derive(Clone, Copy, Debug)]
enum Meaning {
    /// A flag without a value; `word=1` is the same, `word=0` is nothing (s3fs-fuse writes so).
    Flag(&'static str),
    /// A flag with the word's value.
    Value(&'static str),
    /// The level of s3fs-fuse's log.
    DebugLevel,
    /// What is mounted there is to be changed.
    Remount,
    /// Nothing here: mount(8) or systemd has acted on it, or it is always so.
    Ignored,
    /// A mistake, with what to do instead.
    Refused(&'static str),
}

use Meaning::{DebugLevel, Flag, Ignored, Refused, Remount, Value};

const SECRET: &str = "secrets are not taken from the command line or fstab, where every user can \
                      read them; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a \
                      profile of ~/.aws/credentials with profile=";

/// Every word but those of the kernel. Names on the right of s3fs-fuse and mount(8) where these
/// have one.
const WORDS: &[(&str, Meaning)] = &[
    ("url", Value("--endpoint-url")),
    ("endpoint_url", Value("--endpoint-url")),
    ("provider", Value("--provider")),
    ("use_path_request_style", Flag("--path-style")),
    ("dual_stack", Flag("--dual-stack")),
    ("fips", Flag("--fips")),
    ("accelerate", Flag("--accelerate")),
    ("region", Value("--region")),
    ("endpoint", Value("--region")),
    ("profile", Value("--profile")),
    ("requester_pays", Flag("--requester-pays")),
    ("expected_bucket_owner", Value("--expected-bucket-owner")),
    ("storage_class", Value("--storage-class")),
    ("acl", Value("--acl")),
    ("tags", Value("--tags")),
    ("sse", Value("--sse")),
    ("sse_c_key", Value("--sse-c-key")),
    ("no_sign_request", Flag("--no-sign-request")),
    ("public_bucket", Flag("--no-sign-request")),
    ("ro", Flag("--read-only")),
    ("rw", Flag("--read-write")),
    ("allow_other", Flag("--allow-other")),
    ("nonempty", Flag("--nonempty")),
    ("uid", Value("--uid")),
    ("gid", Value("--gid")),
    ("umask", Value("--umask")),
    ("file_mode", Value("--file-mode")),
    ("dir_mode", Value("--dir-mode")),
    ("actimeo", Value("--attr-ttl")),
    ("attr_ttl", Value("--attr-ttl")),
    ("stat_cache_expire", Value("--attr-ttl")),
    ("noac", Flag("--noac")),
    ("ac", Ignored),
    ("cto", Flag("--cto")),
    ("nocto", Flag("--nocto")),
    ("attributes", Value("--attributes")),
    ("memory_limit", Value("--memory-limit")),
    ("staging_dir", Value("--staging-dir")),
    ("tmpdir", Value("--staging-dir")),
    ("staging_disk", Value("--staging-disk")),
    ("parallel_count", Value("--parallel-count")),
    ("multipart_size", Value("--multipart-size")),
    ("multipart_copy_size", Value("--multipart-copy-size")),
    ("log_level", Value("--log-level")),
    ("dbglevel", DebugLevel),
    ("default_permissions", Ignored),
    ("_netdev", Ignored),
    ("nofail", Ignored),
    ("auto", Ignored),
    ("noauto", Ignored),
    ("defaults", Ignored),
    ("user", Ignored),
    ("users", Ignored),
    ("nouser", Ignored),
    ("owner", Ignored),
    ("group", Ignored),
    ("comment", Ignored),
    ("remount", Remount),
    // What the kernel shows of a mount, and mount(8) repeats to change it.
    ("user_id", Ignored),
    ("group_id", Ignored),
    ("access_key", Refused(SECRET)),
    ("access_key_id", Refused(SECRET)),
    ("aws_access_key_id", Refused(SECRET)),
    ("secret", Refused(SECRET)),
    ("secret_key", Refused(SECRET)),
    ("secret_access_key", Refused(SECRET)),
    ("aws_secret_access_key", Refused(SECRET)),
    ("session_token", Refused(SECRET)),
    ("aws_session_token", Refused(SECRET)),
    ("token", Refused(SECRET)),
    ("password", Refused(SECRET)),
    ("passwd", Refused(SECRET)),
    ("credentials", Refused(SECRET)),
];

/// The words of `-o`, understood.
#[derive(Debug, Default)]
pub(super) struct Translated {
    /// The flags they stand for.
    pub(super) flags: Vec<OsString>,
    /// What the kernel acts on, in the order given.
    pub(super) kernel_words: Vec<String>,
    /// Whether what is mounted is to be changed.
    pub(super) remount: bool,
}

/// What becomes of words that nobody knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unknown {
    /// They are a mistake.
    Refused,
    /// They are nothing: mount(8), `-s`.
    Ignored,
}

/// Understands every list of words given with `-o`.
pub(super) fn translate(lists: &[String], unknown: Unknown) -> Result<Translated, WordError> {
    let mut translated = Translated::default();
    for text in lists
        .iter()
        .flat_map(|list| split(list))
        .filter(|text| !text.is_empty())
    {
        let (word, value) = match text.split_once('=') {
            Some((word, value)) => (word, Some(value)),
            None => (text.as_str(), None),
        };
        if word.starts_with("x-") || word.starts_with("X-") {
            continue;
        }
        if is_kernel_word(word) {
            if value.is_some() {
                return Err(WordError::UnwantedValue {
                    word: word.to_owned(),
                });
            }
            translated.kernel_words.push(word.to_owned());
            continue;
        }
        let Some((_, meaning)) = WORDS.iter().find(|(name, _)| *name == word) else {
            if unknown == Unknown::Ignored {
                continue;
            }
            return Err(WordError::Unknown {
                word: word.to_owned(),
                nearest: nearest(word),
            });
        };
        translated.remount |= matches!(meaning, Remount);
        translated.flags.extend(flag(word, *meaning, value)?);
    }
    Ok(translated)
}

/// The flag that a word stands for, if any.
fn flag(word: &str, meaning: Meaning, value: Option<&str>) -> Result<Option<OsString>, WordError> {
    let word = || word.to_owned();
    match (meaning, value) {
        (Ignored | Remount, _) | (Flag(_), Some("0")) => Ok(None),
        (Flag(flag), None | Some("1")) => Ok(Some(flag.into())),
        (Flag(_), Some(_)) => Err(WordError::UnwantedValue { word: word() }),
        (Value(_) | DebugLevel, None | Some("")) => Err(WordError::NoValue { word: word() }),
        (Value(flag), Some(value)) => Ok(Some(format!("{flag}={value}").into())),
        (DebugLevel, Some(value)) => {
            // s3fs-fuse: silent, crit, err, warn, info, debug.
            let level = match value {
                "silent" => "off",
                "crit" | "critical" | "err" => "error",
                "wan" | "warning" => "warn",
                "inf" | "information" => "info",
                "dbg" => "debug",
                other => other,
            };
            Ok(Some(format!("--log-level={level}").into()))
        }
        (Refused(advice), _) => Err(WordError::Refused {
            word: word(),
            advice,
        }),
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
    let known = WORDS
        .iter()
        .filter(|(_, meaning)| !matches!(meaning, Refused(_)));
    let scored = known.map(|(name, _)| (*name, strsim::jaro_winkler(word, name)));
    let best = scored.max_by(|a, b| a.1.total_cmp(&b.1));
    best.filter(|(_, score)| *score >= SIMILARITY_MIN)
        .map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(list: &str) -> Result<Vec<String>, WordError> {
        let translated = translate(&[list.to_owned()], Unknown::Refused)?;
        Ok(translated
            .flags
            .into_iter()
            .map(|flag| flag.into_string().unwrap())
            .collect())
    }

    #[test]
    fn every_value_word_becomes_its_flag_with_the_value() {
        for (word, meaning) in WORDS {
            if let Value(flag) = meaning {
                assert_eq!(flags(&format!("{word}=7")).unwrap(), [format!("{flag}=7")]);
                assert!(
                    matches!(flags(word), Err(WordError::NoValue { .. })),
                    "{word}"
                );
            }
        }
    }

    #[test]
    fn every_refused_word_is_refused_and_its_value_is_not_shown() {
        for (word, meaning) in WORDS {
            if let Refused(_) = meaning {
                let error = flags(&format!("{word}=hunter2")).unwrap_err();
                let shown = format!("{error} {error:?}");
                assert!(
                    shown.contains(word) && !shown.contains("hunter2"),
                    "{shown}"
                );
            }
        }
    }

    #[test]
    fn an_unknown_word_is_named_with_the_nearest_and_without_its_value() {
        let error = flags("use_path_request_stlye=hunter2")
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "unknown option \"use_path_request_stlye\"; did you mean \"use_path_request_style\"?"
        );
        assert_eq!(
            flags("zzz").unwrap_err().to_string(),
            "unknown option \"zzz\""
        );
    }

    #[test]
    fn what_mount_and_systemd_act_on_is_ignored() {
        let list = "rw,_netdev,nofail,x-systemd.requires=a,X-mount.mkdir,user,comment=hi,defaults";
        assert_eq!(flags(list).unwrap(), ["--read-write"]);
    }

    #[test]
    fn words_of_the_kernel_keep_their_order() {
        let lists = ["suid,noexec".to_owned(), "nosuid".to_owned()];
        let translated = translate(&lists, Unknown::Refused).unwrap();
        assert_eq!(translated.kernel_words, ["suid", "noexec", "nosuid"]);
    }

    #[test]
    fn unknown_words_may_be_let_pass_and_secrets_not() {
        let lists = ["ro,what=ever,remount".to_owned()];
        let translated = translate(&lists, Unknown::Ignored).unwrap();
        assert_eq!(translated.flags, ["--read-only"]);
        assert!(translated.remount);
        let secret = ["secret_key=hunter2".to_owned()];
        assert!(translate(&secret, Unknown::Ignored).is_err());
    }

    #[test]
    fn an_escaped_comma_belongs_to_the_value() {
        assert_eq!(
            flags("tmpdir=/a\\,b,ro").unwrap(),
            ["--staging-dir=/a,b", "--read-only"]
        );
    }

    #[test]
    fn the_switches_of_s3fs_fuse_can_be_off() {
        assert_eq!(flags("public_bucket=1").unwrap(), ["--no-sign-request"]);
        assert!(flags("public_bucket=0").unwrap().is_empty());
        assert_eq!(flags("dbglevel=err").unwrap(), ["--log-level=error"]);
    }
}
