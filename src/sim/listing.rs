//! Pages of keys: prefix, delimiter and position over the ordered keys of a bucket, each page in
//! time of its own length unless it has no order. Knows no S3 message.

use std::ops::Bound;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::buckets::{BucketState, Stored};
use super::content::digest_of;
use super::rules::{Delimiter, ListRules, Order};

/// What to list.
#[derive(Debug)]
pub(super) struct Query<'a> {
    pub(super) prefix: &'a str,
    pub(super) delimiter: &'a str,
    /// Only what comes after this; a common prefix before it or equal to it is not repeated.
    pub(super) after: &'a str,
    pub(super) max: usize,
    pub(super) rules: &'a ListRules,
    /// Whether directories show that hold nothing ([`WriteRules`](super::rules::WriteRules)).
    pub(super) has_directories: bool,
}

/// An entry of a page.
#[derive(Debug)]
pub(super) enum Entry {
    Object(String, Arc<Stored>),
    Prefix(String),
}

impl Entry {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Object(key, _) => key,
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// One page and whether more follows.
pub(super) fn page(bucket: &BucketState, query: &Query<'_>) -> (Vec<Entry>, bool) {
    match query.rules.order {
        Order::Sorted => sorted_page(bucket, query),
        Order::ByPath => ordered_page(bucket, query, |name| name.replace('/', "\0")),
        // An order that is none: that of the digests of names.
        Order::Unsorted => ordered_page(bucket, query, digest_of),
    }
}

/// One page in the order of what `place` makes of names.
fn ordered_page(
    bucket: &BucketState,
    query: &Query<'_>,
    place: fn(&str) -> String,
) -> (Vec<Entry>, bool) {
    let all = Query {
        after: "",
        max: usize::MAX,
        ..*query
    };
    let (mut entries, _) = sorted_page(bucket, &all);
    if query.rules.delimiter == Delimiter::Slash {
        add_prefixes_of_uploads(bucket, query, &mut entries);
    }
    if query.has_directories && !query.delimiter.is_empty() {
        add_directories(bucket, query, &mut entries);
    }
    entries.sort_by_cached_key(|entry| place(entry.name()));
    if !query.after.is_empty() {
        let after = place(query.after);
        entries.retain(|entry| place(entry.name()) > after);
    }
    let is_truncated = entries.len() > query.max;
    entries.truncate(query.max);
    (entries, is_truncated)
}

/// Uploads under way show as common prefixes, though nothing is there yet (API reference,
/// ListObjectsV2, directory buckets).
fn add_prefixes_of_uploads(bucket: &BucketState, query: &Query<'_>, entries: &mut Vec<Entry>) {
    for (key, _) in bucket.uploads.keys() {
        let Some(rest) = key.strip_prefix(query.prefix) else {
            continue;
        };
        let Some(at) = fold(rest, query.delimiter) else {
            continue;
        };
        let prefix = &key[..query.prefix.len() + at];
        if !entries.iter().any(|entry| entry.name() == prefix) {
            entries.push(Entry::Prefix(prefix.to_owned()));
        }
    }
}

/// Directories right below the prefix, and the one that it names if nothing is below.
fn add_directories(bucket: &BucketState, query: &Query<'_>, entries: &mut Vec<Entry>) {
    let is_empty = entries.is_empty();
    for directory in bucket.directories.range(query.prefix.to_owned()..) {
        let Some(rest) = directory.strip_prefix(query.prefix) else {
            break;
        };
        if fold(rest, query.delimiter) == Some(rest.len())
            && !entries.iter().any(|entry| entry.name() == directory)
        {
            entries.push(Entry::Prefix(directory.clone()));
        }
    }
    if is_empty
        && entries.is_empty()
        && let Some(itself) = bucket.directory(query.prefix)
    {
        entries.push(Entry::Object(query.prefix.to_owned(), itself));
    }
}

/// Whether a listing shows a key already.
fn is_shown(bucket: &BucketState, key: &str, rules: &ListRules) -> bool {
    let born = bucket.born.get(key);
    born.is_none_or(|born| bucket.listings.saturating_sub(*born) > rules.lag)
}

/// One page in UTF-8 byte order.
fn sorted_page(bucket: &BucketState, query: &Query<'_>) -> (Vec<Entry>, bool) {
    let mut entries: Vec<Entry> = Vec::new();
    let mut from = if query.after.as_bytes() >= query.prefix.as_bytes() {
        after(query.after, query)
    } else {
        Some(Bound::Included(query.prefix.to_owned()))
    };
    while let Some(start) = from.take() {
        for (key, versions) in bucket.objects.range((start, Bound::Unbounded)) {
            let Some(rest) = key.strip_prefix(query.prefix) else {
                break;
            };
            let Some(stored) = versions.last().and_then(|version| version.object.as_ref()) else {
                continue;
            };
            if !is_shown(bucket, key, query.rules) {
                continue;
            }
            if entries.len() >= query.max {
                return (entries, true);
            }
            if let Some(at) = fold(rest, query.delimiter) {
                let prefix = key[..query.prefix.len() + at].to_owned();
                from = beyond(&prefix);
                entries.push(Entry::Prefix(prefix));
                break;
            }
            entries.push(Entry::Object(key.clone(), Arc::clone(stored)));
        }
    }
    (entries, false)
}

/// Where in `rest` the first delimiter ends.
fn fold(rest: &str, delimiter: &str) -> Option<usize> {
    if delimiter.is_empty() {
        return None;
    }
    rest.find(delimiter).map(|at| at + delimiter.len())
}

/// Where a page that follows `name` starts: beyond all a common prefix folds.
fn after(name: &str, query: &Query<'_>) -> Option<Bound<String>> {
    let rest = name.strip_prefix(query.prefix).unwrap_or("");
    match fold(rest, query.delimiter) {
        Some(at) if at == rest.len() => beyond(name),
        _ => Some(Bound::Excluded(name.to_owned())),
    }
}

/// The first position beyond all keys that start with `prefix`: its last character raised by
/// one. UTF-8 orders as code points do.
fn beyond(prefix: &str) -> Option<Bound<String>> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        let raised = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            _ => char::from_u32(last as u32 + 1),
        };
        if let Some(raised) = raised {
            text.push(raised);
            return Some(Bound::Included(text));
        }
    }
    None
}

/// What `encoding-type=url` leaves as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'/')
    .remove(b'*')
    .remove(b' ');

/// A name as `encoding-type=url` sends it: a blank is `+`, as in a form.
pub(super) fn encode(name: &str) -> String {
    utf8_percent_encode(name, KEPT)
        .to_string()
        .replace(' ', "+")
}
