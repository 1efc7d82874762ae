//! The grammar of sources: `s3://bucket/prefix`, and s3fs-fuse's `bucket:/prefix`. Asks nobody
//! whether a bucket exists.

use crate::config::Source;
use crate::object::BucketName;

/// Longest bucket name in bytes: 63 today, 255 for old ones of us-east-1 (Amazon S3 user guide,
/// "General purpose bucket naming rules").
const NAME_BYTES_MAX: usize = 255;

/// Why a source cannot be understood.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no bucket in it.
    #[error(
        "source \"{source_text}\": names no bucket; write s3://BUCKET[/PREFIX] or BUCKET[:/PREFIX]"
    )]
    NoBucket {
        /// What was typed.
        source_text: String,
    },
    /// The bucket's name cannot be one.
    #[error(
        "source \"{source_text}\": \"{bucket}\" cannot be the name of a bucket (letters, digits, \
         '.', '-' and '_'); write s3://BUCKET[/PREFIX] or BUCKET[:/PREFIX]"
    )]
    BadBucket {
        /// What was typed.
        source_text: String,
        /// The part taken for the bucket.
        bucket: String,
    },
    /// Between the colon and the prefix there is no slash.
    #[error("source \"{source_text}\": write the prefix with a slash in front: {bucket}:/PREFIX")]
    NoSlash {
        /// What was typed.
        source_text: String,
        /// The bucket.
        bucket: String,
    },
    /// It is no text.
    #[error("source \"{source_text}\": not UTF-8, so no bucket and no key")]
    NotUtf8 {
        /// What was typed, as far as it can be shown.
        source_text: String,
    },
}

/// Understands a source.
pub(super) fn parse(text: &str) -> Result<Source, SourceError> {
    let source_text = || text.to_owned();
    let (bucket, prefix) = match text.strip_prefix("s3://") {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None if text.contains("://") => ("", ""),
        None => match text.split_once(':') {
            None => (text, ""),
            Some((bucket, "")) => (bucket, ""),
            Some((bucket, path)) => match path.strip_prefix('/') {
                Some(prefix) => (bucket, prefix),
                None => {
                    let bucket = bucket.to_owned();
                    return Err(SourceError::NoSlash {
                        source_text: source_text(),
                        bucket,
                    });
                }
            },
        },
    };
    if bucket.is_empty() {
        return Err(SourceError::NoBucket {
            source_text: source_text(),
        });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let dots = bucket == "." || bucket == "..";
    if dots || bucket.len() > NAME_BYTES_MAX || !bucket.chars().all(allowed) {
        let bucket = bucket.to_owned();
        return Err(SourceError::BadBucket {
            source_text: source_text(),
            bucket,
        });
    }
    let mut prefix = prefix.to_owned();
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    let name = directory_name(bucket, &prefix).to_owned();
    Ok(Source {
        bucket: BucketName::new(bucket),
        prefix,
        name,
    })
}

/// The last name of the prefix, as for any path; the bucket's where the prefix has none.
fn directory_name<'a>(bucket: &'a str, prefix: &'a str) -> &'a str {
    let last = prefix
        .strip_suffix('/')
        .and_then(|path| path.rsplit('/').next());
    match last {
        None | Some("" | "." | "..") => bucket,
        Some(name) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::{SourceError, parse};

    #[test]
    fn both_grammars_name_the_same_bucket_prefix_and_directory() {
        let rows = [
            ("s3://bkt", "bkt", "", "bkt"),
            ("s3://bkt/", "bkt", "", "bkt"),
            ("bkt", "bkt", "", "bkt"),
            ("bkt:", "bkt", "", "bkt"),
            ("bkt:/", "bkt", "", "bkt"),
            ("s3://bkt/a/b", "bkt", "a/b/", "b"),
            ("bkt:/a/b/", "bkt", "a/b/", "b"),
            ("s3://bkt/a b/\u{e9}", "bkt", "a b/\u{e9}/", "\u{e9}"),
            ("s3://bkt//x", "bkt", "/x/", "x"),
            ("s3://bkt/x//", "bkt", "x//", "bkt"),
            ("My_Old.Bucket", "My_Old.Bucket", "", "My_Old.Bucket"),
        ];
        for (text, bucket, prefix, name) in rows {
            let source = parse(text).unwrap();
            let found = (
                source.bucket.as_str(),
                source.prefix.as_str(),
                source.name.as_str(),
            );
            assert_eq!(found, (bucket, prefix, name), "{text}");
        }
    }

    #[test]
    fn what_is_no_source_is_refused_by_name() {
        assert!(matches!(
            parse("s3:///x"),
            Err(SourceError::NoBucket { .. })
        ));
        assert!(matches!(parse(""), Err(SourceError::NoBucket { .. })));
        assert!(matches!(parse("bkt:x"), Err(SourceError::NoSlash { .. })));
        for text in ["/bkt", "a/b", "http://host/bkt", "..", "s3://a b/c"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(
                error.contains(text) && error.contains("BUCKET[:/PREFIX]")
                    || text.starts_with("http"),
                "{error}"
            );
        }
    }
}
