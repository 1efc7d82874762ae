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
    /// It is the ARN of something else than an access point of one region.
    #[error(
        "source \"{source_text}\": write an access point as \
         arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME[:/PREFIX]; there is no mount of any other ARN"
    )]
    BadArn {
        /// What was typed.
        source_text: String,
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
    if let Some(arn) = text
        .strip_prefix("s3://")
        .unwrap_or(text)
        .strip_prefix("arn:")
    {
        return access_point(arn).ok_or_else(|| SourceError::BadArn {
            source_text: source_text(),
        });
    }
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
    Ok(shown_as(bucket, bucket, prefix))
}

/// The source of that bucket; its directory has the prefix's last name, else `name`.
fn shown_as(bucket: &str, name: &str, prefix: &str) -> Source {
    let mut prefix = prefix.to_owned();
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    let name = directory_name(name, &prefix).to_owned();
    Source {
        bucket: BucketName::new(bucket),
        prefix,
        name,
    }
}

/// An access point by what follows `arn:`, with or without a prefix; none if it is something else.
/// A multi-region access point has no region in its ARN: its requests would need another signature.
fn access_point(arn: &str) -> Option<Source> {
    let (partition, rest) = arn.split_once(":s3:")?;
    let (region, rest) = rest.split_once(':')?;
    let (account, rest) = rest.split_once(":accesspoint/")?;
    let (name, prefix) = match rest.split_once('/') {
        None => (rest, ""),
        Some((name, prefix)) => (name, prefix),
    };
    let name = name.strip_suffix(':').unwrap_or(name);
    let is_label = |text: &str| {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !text.is_empty() && text.chars().all(allowed)
    };
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = partition.starts_with("aws") && is_account;
    (is_whole && [partition, region, name].into_iter().all(is_label)).then(|| {
        let bucket = format!("arn:{partition}:s3:{region}:{account}:accesspoint/{name}");
        shown_as(&bucket, name, prefix)
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
    fn an_access_point_is_named_by_its_arn_in_both_grammars() {
        let arn = "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/my-ap";
        let rows = [
            (arn.to_owned(), "", "my-ap"),
            (format!("{arn}:"), "", "my-ap"),
            (format!("s3://{arn}"), "", "my-ap"),
            (format!("s3://{arn}/"), "", "my-ap"),
            (format!("s3://{arn}/a/b"), "a/b/", "b"),
            (format!("{arn}:/a/b"), "a/b/", "b"),
        ];
        for (text, prefix, name) in rows {
            let source = parse(&text).unwrap();
            assert_eq!(source.bucket.as_str(), arn, "{text}");
            assert_eq!((&*source.prefix, &*source.name), (prefix, name), "{text}");
        }
        // An alias and a directory bucket are names as others.
        for name in ["my-ap-1a2b-s3alias", "b--usw2-az1--x-s3"] {
            assert_eq!(
                parse(&format!("s3://{name}")).unwrap().bucket.as_str(),
                name
            );
        }
        for text in [
            "arn:aws:s3:::bkt",
            "arn:aws:s3::123456789012:accesspoint/ap.mrap",
            "arn:aws:s3:us-west-2:12:accesspoint/ap",
            "arn:aws:s3:us-west-2:123456789012:accesspoint/",
            "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op/accesspoint/ap",
            "s3://arn:aws:s3-object-lambda:us-west-2:123456789012:accesspoint/ap",
        ] {
            let refused = parse(text);
            assert!(matches!(refused, Err(SourceError::BadArn { .. })), "{text}");
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
