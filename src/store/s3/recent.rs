//! What this client stored and deleted lately, for stores whose listings may not have it yet
//! (Tencent COS, GET Bucket: a listing "may not include the newly uploaded object"). Corrects a
//! page by HEADs, so that other clients' changes are not hidden by it either.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::S3Bucket;
use crate::object::{BucketName, ObjectKey};
use crate::store::{ListPage, ListRequest, ListedObject, ObjectStat, StoreError, StoreResult};

/// How long a listing may lag behind. No store says; most settle within seconds.
const LAG_MAX: Duration = Duration::from_secs(60);
/// Keys remembered: about 4 MiB. The oldest are forgotten first.
const KEYS_MAX: usize = 16 * 1024;
/// HEADs under way at a time.
const HEADS_MAX: usize = 16;

/// Keys that were written or deleted here, and when.
#[derive(Default)]
pub(super) struct Recent(Mutex<BTreeMap<(BucketName, ObjectKey), Instant>>);

impl Recent {
    /// Remembers a key.
    fn note(&self, bucket: &BucketName, key: &ObjectKey) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert((bucket.clone(), key.clone()), Instant::now());
        if keys.len() > KEYS_MAX {
            keys.retain(|_, at| at.elapsed() < LAG_MAX);
        }
        while keys.len() > KEYS_MAX {
            let oldest = keys.iter().min_by_key(|(_, at)| **at);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            keys.remove(&oldest);
        }
    }

    /// The keys below `prefix` that were noted lately, in order.
    fn below(&self, bucket: &BucketName, prefix: &str) -> Vec<ObjectKey> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = (bucket.clone(), ObjectKey::new(prefix));
        keys.range(first..)
            .take_while(|((of, key), _)| of == bucket && key.as_str().starts_with(prefix))
            .filter(|(_, at)| at.elapsed() < LAG_MAX)
            .map(|((_, key), _)| key.clone())
            .collect()
    }
}

impl S3Bucket {
    /// Remembers that a key was written or deleted, if listings may not show it yet.
    pub(super) fn note(&self, key: &ObjectKey) {
        if !self.connection.dialect.listing.is_consistent {
            self.connection.recent.note(&self.name, key);
        }
    }

    /// Corrects a page by what was stored and deleted lately in its range of keys.
    pub(super) async fn correct(
        &self,
        page: &mut ListPage,
        request: &ListRequest,
    ) -> StoreResult<()> {
        let is_sorted = self.connection.dialect.listing.is_sorted;
        let listed: BTreeSet<&ObjectKey> = page.objects.iter().map(|object| &object.key).collect();
        let asked = self
            .connection
            .recent
            .below(&self.name, &request.prefix)
            .into_iter()
            .filter(|key| !is_sorted || is_within(page, request, key))
            .filter(|key| !is_folded(page, request, key));
        let asked: Vec<(ObjectKey, bool)> = asked
            .map(|key| {
                let is_listed = listed.contains(&key);
                (key, is_listed)
            })
            .collect();
        let found: Vec<(ObjectKey, bool, Option<ObjectStat>)> = stream::iter(asked)
            .map(|(key, is_listed)| async move {
                match self.head_object(&key).await {
                    Ok(stat) => Ok((key, is_listed, Some(stat))),
                    Err(StoreError::NotFound { .. }) => Ok((key, is_listed, None)),
                    Err(error) => Err(error),
                }
            })
            .buffered(HEADS_MAX)
            .try_collect()
            .await?;
        for (key, is_listed, stat) in found {
            match (is_listed, stat) {
                (false, Some(stat)) => add(page, request, &stat),
                (true, None) => page.objects.retain(|object| object.key != key),
                (true, Some(_)) | (false, None) => {}
            }
        }
        page.objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        page.prefixes.sort_unstable();
        Ok(())
    }
}

/// The name under which a listing shows a key: itself, or the prefix it is folded to.
fn shown<'a>(request: &ListRequest, key: &'a ObjectKey) -> &'a str {
    let key = key.as_str();
    let rest = request.prefix.len();
    match key.get(rest..).and_then(|name| name.find('/')) {
        Some(slash) if request.fold => &key[..=rest + slash],
        _ => key,
    }
}

/// Whether a key belongs on this page: behind the end of the one before, up to its own end.
fn is_within(page: &ListPage, request: &ListRequest, key: &ObjectKey) -> bool {
    let name = Some(shown(request, key));
    let is_behind = name > request.continuation.as_deref();
    is_behind && (page.continuation.is_none() || name <= page.continuation.as_deref())
}

/// Whether the page has the prefix that a key is folded to.
fn is_folded(page: &ListPage, request: &ListRequest, key: &ObjectKey) -> bool {
    let name = shown(request, key);
    page.prefixes.iter().any(|prefix| prefix == name)
}

fn add(page: &mut ListPage, request: &ListRequest, stat: &ObjectStat) {
    let key = &stat.version.key;
    let name = shown(request, key);
    if name != key.as_str() {
        if !page.prefixes.iter().any(|prefix| prefix == name) {
            page.prefixes.push(name.to_owned());
        }
        return;
    }
    page.objects.push(ListedObject {
        key: key.clone(),
        etag: Some(stat.version.etag.clone()),
        size: stat.version.size,
        modified: stat.modified,
        storage_class: stat.headers.storage_class.clone(),
    });
}
