//! The forms of option values: from text to what it stands for, or what to give instead. Knows no
//! option.

use std::collections::BTreeMap;

use clap::builder::PossibleValuesParser;

use crate::config::{Encryption, Provider};

/// A value for all buckets or for one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct OfBucket<T> {
    /// The one.
    pub(super) bucket: Option<String>,
    /// The value.
    pub(super) value: T,
}

pub(super) fn octal(text: &str) -> Result<u16, String> {
    match u16::from_str_radix(text, 8) {
        Ok(bits) if bits <= 0o777 => Ok(bits),
        _ => Err("give permission bits in octal, at most 777".to_owned()),
    }
}

pub(super) fn seconds(text: &str) -> Result<std::time::Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "give a number of seconds, like 60 or 0.5".to_owned())
}

pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => Some(0),
        "K" | "KB" | "KIB" => Some(10),
        "M" | "MB" | "MIB" => Some(20),
        "G" | "GB" | "GIB" => Some(30),
        "T" | "TB" | "TIB" => Some(40),
        "P" | "PB" | "PIB" => Some(50),
        "E" | "EB" | "EIB" => Some(60),
        _ => None,
    };
    shift
        .and_then(|shift| digits.parse::<u64>().ok()?.checked_mul(1 << shift))
        .ok_or_else(|| "give a size in bytes, or with K, M, G or T, like 256M".to_owned())
}

pub(super) fn provider_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Provider::ALL.map(Provider::name))
}

pub(super) fn encryption(text: &str) -> Result<Encryption, String> {
    match text.split_once(':') {
        None if text == "s3" => Ok(Encryption::StoreKeys),
        None if text == "kms" => Ok(Encryption::KeyService { key_id: None }),
        Some(("kms", id)) if is_printable(id) => Ok(Encryption::KeyService {
            key_id: Some(id.to_owned()),
        }),
        _ => Err("give s3, kms or kms:KEYID; for a key of your own sse_c_key=FILE".to_owned()),
    }
}

/// Whether a header can carry it and there is something to carry.
fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A class, in capitals where it is one of AWS's as s3fs-fuse writes them.
pub(super) fn storage_class(text: &str) -> Result<String, String> {
    const OF_S3FS_FUSE: &[&str] = &[
        "standard",
        "standard_ia",
        "onezone_ia",
        "reduced_redundancy",
        "intelligent_tiering",
        "glacier",
        "glacier_ir",
        "deep_archive",
    ];
    if OF_S3FS_FUSE.contains(&text) {
        return Ok(text.to_ascii_uppercase());
    }
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if text.is_empty() || !text.bytes().all(is_word) {
        return Err("give a class of the store, like STANDARD_IA".to_owned());
    }
    Ok(text.to_owned())
}

/// Within what AWS takes: 10 tags, names of up to 128 characters, values of up to 256 (Amazon S3
/// user guide, "Categorizing your objects using tags").
pub(super) fn tags(text: &str) -> Result<BTreeMap<String, String>, String> {
    const COUNT_MAX: usize = 10;
    const NAME_CHARS: std::ops::RangeInclusive<usize> = 1..=128;
    const VALUE_CHARS_MAX: usize = 256;
    let mut tags = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let fits = NAME_CHARS.contains(&name.chars().count());
        if !fits || value.chars().count() > VALUE_CHARS_MAX {
            return Err(
                "a tag has a name of 1 to 128 characters and a value of at most 256".to_owned(),
            );
        }
        if tags.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err("a tag is there twice".to_owned());
        }
    }
    match tags.len() {
        1..=COUNT_MAX => Ok(tags),
        _ => Err("give 1 to 10 tags, like team=a&purpose=b".to_owned()),
    }
}

/// `BUCKET:/FILE`, as sources are written; any other is a file for all.
pub(super) fn file_of_bucket(text: &str) -> Result<OfBucket<String>, String> {
    let of_bucket = text
        .find(":/")
        .filter(|_| !text.starts_with(['/', '.']))
        .map(|at| (&text[..at], &text[at + 1..]));
    match of_bucket {
        Some(("", _)) => Err("give FILE or BUCKET:/FILE".to_owned()),
        Some((bucket, file)) => Ok(OfBucket {
            bucket: Some(bucket.to_owned()),
            value: file.to_owned(),
        }),
        None => Ok(OfBucket {
            bucket: None,
            value: text.to_owned(),
        }),
    }
}

/// AWS numbers accounts by 12 digits, Backblaze by as many hexadecimal ones.
pub(super) fn owner_of_bucket(text: &str) -> Result<OfBucket<String>, String> {
    const ACCOUNT_BYTES: usize = 12;
    let (bucket, account) = match text.rsplit_once(':') {
        Some((bucket, account)) => (Some(bucket), account),
        None => (None, text),
    };
    let is_account =
        account.len() == ACCOUNT_BYTES && account.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_account || bucket == Some("") {
        return Err("give the 12 digits of an account, alone or as BUCKET:ACCOUNT".to_owned());
    }
    Ok(OfBucket {
        bucket: bucket.map(str::to_owned),
        value: account.to_owned(),
    })
}
