//! The password file of s3fs-fuse: lines with credentials of one bucket or of all. Shows nothing of
//! them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::secret_file::{self, Demands, OWNER_ONLY, SecretFileError};
use crate::config::{Source, StaticCredentials};
use crate::object::BucketName;

/// The file of the whole machine, which a group may read.
pub(super) const OF_MACHINE: &str = "/etc/passwd-s3fs";
const GROUP_TOO: u32 = 0o640;
const BYTES_MAX: u64 = 1 << 20;
const OPTION: &str = "passwd_file";

/// Why there are no credentials in a password file.
#[derive(Debug, thiserror::Error)]
pub enum PasswdFileError {
    /// The file.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// A line is none of its lines.
    #[error("{}: {}: line {line}: {reason}", OPTION, path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which one, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no line for a bucket.
    #[error(
        "{}: {}: no line for bucket \"{bucket}\", and none for all; write ACCESS:SECRET or \
         {bucket}:ACCESS:SECRET",
        OPTION,
        path.display()
    )]
    NoneFor {
        /// The file.
        path: PathBuf,
        /// The bucket.
        bucket: BucketName,
    },
    /// The sources of one mount have different lines.
    #[error(
        "{}: {}: buckets \"{first}\" and \"{second}\" have different credentials; mount them \
         apart",
        OPTION,
        path.display()
    )]
    Different {
        /// The file.
        path: PathBuf,
        /// A bucket.
        first: BucketName,
        /// Another.
        second: BucketName,
    },
}

/// The credentials that the file has for the sources.
pub(super) fn of_named(
    path: &Path,
    sources: &[Source],
) -> Result<StaticCredentials, PasswdFileError> {
    let pairs = read(path)?;
    match pairs.of(path, sources)? {
        Ok(found) => Ok(found),
        Err(bucket) => Err(PasswdFileError::NoneFor {
            path: path.to_owned(),
            bucket: bucket.clone(),
        }),
    }
}

/// The credentials that a file which need not be there has for the sources.
pub(super) fn of_default(
    path: &Path,
    sources: &[Source],
) -> Result<Option<StaticCredentials>, PasswdFileError> {
    match read(path) {
        Ok(pairs) => Ok(pairs.of(path, sources)?.ok()),
        Err(PasswdFileError::File(error)) if error.is_absence() => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> Result<Pairs, PasswdFileError> {
    let mode_max = if path == Path::new(OF_MACHINE) {
        GROUP_TOO
    } else {
        OWNER_ONLY
    };
    let demands = Demands {
        option: OPTION,
        mode_max,
        bytes_max: BYTES_MAX,
    };
    let content = secret_file::read(path, demands)?;
    let bad = |(line, reason): BadLine| PasswdFileError::Line {
        path: path.to_owned(),
        line,
        reason,
    };
    match str::from_utf8(secret_file::text(&content)) {
        Ok(text) => Pairs::parse(text).map_err(bad),
        Err(_) => Err(bad((1, "not UTF-8"))),
    }
}

/// Which line, from 1, and what is wrong with it.
type BadLine = (usize, &'static str);

/// The credentials of a file, by bucket; of all others those of `None`.
struct Pairs(BTreeMap<Option<String>, StaticCredentials>);

impl Pairs {
    fn parse(text: &str) -> Result<Self, BadLine> {
        let mut pairs = Self(BTreeMap::new());
        let mut assigned = Assigned::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let taken = pairs.take_line(line, &mut assigned);
                taken.map_err(|reason| (at + 1, reason))?;
            }
        }
        match assigned {
            Assigned {
                id: Some(id),
                secret: Some(secret),
            } => pairs
                .insert(None, id, secret)
                .map_err(|reason| (1, reason))?,
            Assigned {
                id: None,
                secret: None,
            } => {}
            _ => return Err((1, "AWSAccessKeyId and AWSSecretKey have to be there both")),
        }
        Ok(pairs)
    }

    fn take_line(&mut self, line: &str, assigned: &mut Assigned) -> Result<(), &'static str> {
        const FORMS: &str = "give ACCESS:SECRET or BUCKET:ACCESS:SECRET";
        if line.starts_with('[') {
            return Err(
                "a profile of the AWS command line: name it with profile=NAME, and another file \
                 than ~/.aws/credentials with AWS_SHARED_CREDENTIALS_FILE",
            );
        }
        if let Some(id) = line.strip_prefix("AWSAccessKeyId=") {
            assigned.id = Some(id.trim().to_owned());
            return Ok(());
        }
        if let Some(secret) = line.strip_prefix("AWSSecretKey=") {
            assigned.secret = Some(secret.trim().to_owned());
            return Ok(());
        }
        if line.contains(char::is_whitespace) {
            return Err("there is a blank in it; give ACCESS:SECRET or BUCKET:ACCESS:SECRET");
        }
        // From the end: the name of a bucket may be an ARN.
        let mut parts = line.rsplitn(3, ':');
        let (Some(secret), Some(id)) = (parts.next(), parts.next()) else {
            return Err(FORMS);
        };
        let bucket = parts.next();
        if secret.is_empty() || id.is_empty() || bucket == Some("") {
            return Err(FORMS);
        }
        self.insert(bucket.map(str::to_owned), id.to_owned(), secret.to_owned())
    }

    fn insert(
        &mut self,
        bucket: Option<String>,
        access_key_id: String,
        secret_access_key: String,
    ) -> Result<(), &'static str> {
        let pair = StaticCredentials {
            access_key_id,
            secret_access_key,
        };
        match self.0.insert(bucket, pair) {
            None => Ok(()),
            Some(_) => Err("there is a line for the same bucket, or for all, already"),
        }
    }

    /// The pair of every source, which has to be the same; else the first bucket without one.
    fn of<'a>(
        &self,
        path: &Path,
        sources: &'a [Source],
    ) -> Result<Result<StaticCredentials, &'a BucketName>, PasswdFileError> {
        let mut common: Option<(&BucketName, &StaticCredentials)> = None;
        for Source { bucket, .. } in sources {
            let own = self.0.get(&Some(bucket.as_str().to_owned()));
            let Some(pair) = own.or_else(|| self.0.get(&None)) else {
                return Ok(Err(bucket));
            };
            match common {
                Some((first, other)) if other != pair => {
                    return Err(PasswdFileError::Different {
                        path: path.to_owned(),
                        first: first.clone(),
                        second: bucket.clone(),
                    });
                }
                _ => common = Some((bucket, pair)),
            }
        }
        let (_, pair) = common.expect("a mount has a source");
        Ok(Ok(pair.clone()))
    }
}

/// The two lines of the form that Amazon's first tools had.
#[derive(Default)]
struct Assigned {
    id: Option<String>,
    secret: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::source;

    fn sources(names: &[&str]) -> Vec<Source> {
        let parsed = names.iter().map(|name| source::parse(name));
        parsed.map(Result::unwrap).collect()
    }

    fn id_of(text: &str, names: &[&str]) -> Option<String> {
        let pairs = Pairs::parse(text).map_err(|(_, reason)| reason).unwrap();
        let sources = sources(names);
        let found = pairs.of(Path::new("/f"), &sources).unwrap();
        found.ok().map(|pair| pair.access_key_id)
    }

    #[test]
    fn a_bucket_has_its_own_line_or_that_of_all() {
        let text = "# keys\n\n  ID:secret  \r\none:ID1:secret\nmy.b-2:ID2:secret\n";
        assert_eq!(id_of(text, &["other"]).as_deref(), Some("ID"));
        assert_eq!(id_of(text, &["one"]).as_deref(), Some("ID1"));
        assert_eq!(id_of(text, &["my.b-2:/p"]).as_deref(), Some("ID2"));
        assert_eq!(id_of("one:ID1:secret", &["other"]), None);
        assert_eq!(id_of("#ID:secret", &["other"]), None);
        let arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap";
        let line = format!("{arn}:ID3:secret");
        assert_eq!(id_of(&line, &[arn]).as_deref(), Some("ID3"));
        let assigned = "AWSAccessKeyId=ID4\nAWSSecretKey=a/b+c=\n";
        assert_eq!(id_of(assigned, &["any"]).as_deref(), Some("ID4"));
    }

    #[test]
    fn sources_of_one_mount_have_to_have_the_same_credentials() {
        let text = "one:ID:s\ntwo:ID:s\nthree:ID3:s";
        assert_eq!(id_of(text, &["one", "two"]).as_deref(), Some("ID"));
        let pairs = Pairs::parse(text).map_err(|(_, reason)| reason).unwrap();
        let named = sources(&["one", "three"]);
        let different = pairs.of(Path::new("/f"), &named);
        let said = different.unwrap_err().to_string();
        assert!(
            said.contains("\"one\"") && said.contains("\"three\""),
            "{said}"
        );
    }

    #[test]
    fn what_is_no_line_is_refused_by_its_number_and_not_shown() {
        for text in [
            "A:b\nhunter2",
            "A:b\n:hunter2",
            "A:b\nhunter2:",
            "A:b\n:A:hunter2",
            "A:b\nB:hunter2",
            "A:b\nB: hunter2",
            "A:b\n[hunter2]",
        ] {
            let (line, reason) = Pairs::parse(text).err().unwrap();
            assert!(line == 2 && !reason.contains("hunter2"), "{text}: {reason}");
        }
        assert!(Pairs::parse("AWSSecretKey=hunter2").is_err());
    }
}
