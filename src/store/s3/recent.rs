//! What this client stored and deleted lately, for stores whose listings may not have it yet
//! (Tencent COS, GET Bucket: a listing "may not include the newly uploaded object"). Corrects a
//! page by HEADs, so that other clients' changes are not hidden by it either.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use lru::LruCache;

use super::S3Bucket;
use crate::object::{BucketName, ObjectKey};
use crate::store::{ListPage, ListRequest, ListedObject, ObjectStat, StoreError, StoreResult};

/// How long a listing may lag behind. No store says; most settle within seconds.
const LAG_MAX: Duration = Duration::from_secs(60);
/// Keys remembered: about 4 MiB. The oldest are forgotten first.
const KEYS_MAX: usize = 16 * 1024;
/// HEADs under way at a time.
const HEADS_MAX: usize = 16;

/// Keys that were written or deleted here, and when: the latest first.
pub(super) struct Recent(Mutex<LruCache<(BucketName, ObjectKey), Instant>>);

impl Default for Recent {
    fn default() -> Self {
        // A table for all keys is made when there are any: most stores list at once.
        Self(Mutex::new(LruCache::unbounded()))
    }
}

impl Recent {
    /// Remembers a key.
    fn note(&self, bucket: &BucketName, key: &ObjectKey) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.put((bucket.clone(), key.clone()), Instant::now());
        if keys.len() > KEYS_MAX {
            keys.pop_lru();
        }
    }

    /// The keys below `prefix` that were noted lately.
    fn below(&self, bucket: &BucketName, prefix: &str) -> Vec<ObjectKey> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        keys.iter()
            .take_while(|(_, at)| now.saturating_duration_since(**at) < LAG_MAX)
            .filter(|((of, key), _)| of == bucket && key.as_str().starts_with(prefix))
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
        let listed: HashSet<&ObjectKey> = page.objects.iter().map(|object| &object.key).collect();
        let folded: HashSet<&str> = page.prefixes.iter().map(String::as_str).collect();
        let asked = self
            .connection
            .recent
            .below(&self.name, &request.prefix)
            .into_iter()
            .filter(|key| !is_sorted || is_within(page, request, key))
            .filter(|key| !folded.contains(shown(request, key)));
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
        let mut gone = HashSet::new();
        for (key, is_listed, stat) in found {
            match (is_listed, stat) {
                (false, Some(stat)) => add(page, request, &stat),
                (true, None) => drop(gone.insert(key)),
                (true, Some(_)) | (false, None) => {}
            }
        }
        page.objects.retain(|object| !gone.contains(&object.key));
        page.objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        page.prefixes.sort_unstable();
        page.prefixes.dedup();
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

/// Shows an object, or, as often as it is found anew, the prefix it is folded to.
fn add(page: &mut ListPage, request: &ListRequest, stat: &ObjectStat) {
    let key = &stat.version.key;
    let name = shown(request, key);
    if name != key.as_str() {
        page.prefixes.push(name.to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_oldest_keys_are_forgotten_and_only_the_prefix_is_told() {
        let (recent, bucket) = (Recent::default(), BucketName::new("b"));
        let key = |n: usize| ObjectKey::new(format!("d/{n:05}"));
        for n in 0..KEYS_MAX {
            recent.note(&bucket, &key(n));
        }
        // Noted again, the first is not the oldest any more.
        recent.note(&bucket, &key(0));
        recent.note(&bucket, &ObjectKey::new("e"));
        recent.note(&BucketName::new("other"), &key(1));
        let kept = recent.below(&bucket, "d/");
        assert_eq!(kept.len(), KEYS_MAX - 2);
        assert_eq!(kept[0], key(0));
        assert!(!kept.contains(&key(1)) && !kept.contains(&key(2)));
    }
}
