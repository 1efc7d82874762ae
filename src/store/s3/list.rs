//! ListObjectsV2, ListObjects and the check at mount: pages of keys, decoded only when the store
//! says that it encoded them, folded and sorted here when the store did not.

use std::borrow::Cow;
use std::time::SystemTime;

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{CommonPrefix, EncodingType, Object};
use percent_encoding::percent_decode_str;

use super::S3Bucket;
use super::call::{Attempt, LOG_TARGET};
use super::fault::Fault;
use super::headers::etag;
use crate::object::ObjectKey;
use crate::store::dialect::ListVersion;
use crate::store::{ListPage, ListRequest, ListedObject, StoreError, StoreResult};

/// Attempts at the first request of a mount: someone is waiting for the word that the endpoint
/// is wrong.
const CHECK_ATTEMPTS_MAX: u32 = 3;

/// What both versions of the operation answer.
struct Listed {
    objects: Vec<Object>,
    prefixes: Vec<CommonPrefix>,
    is_encoded: bool,
    is_truncated: bool,
    /// The token of version 2, the marker of version 1, where the store gave one.
    next: Option<String>,
}

impl S3Bucket {
    pub(super) async fn check_reachable(&self, prefix: &str) -> StoreResult<()> {
        let call = self
            .call(self.list_operation())
            .attempts_max(CHECK_ATTEMPTS_MAX);
        let request = &ListRequest {
            prefix: prefix.to_owned(),
            page_max: Some(1),
            ..ListRequest::default()
        };
        self.run_simply(call, |attempt| self.list_attempt(request, attempt))
            .await?;
        Ok(())
    }

    /// Whether a listing says that there is no object of this key. Its own key is the first of
    /// those that begin with it, where listings are sorted.
    pub(super) async fn is_not_listed(&self, key: &ObjectKey) -> bool {
        if !self.connection.dialect.listing.is_sorted {
            return false;
        }
        let request = ListRequest {
            prefix: key.as_str().to_owned(),
            fold: true,
            page_max: Some(1),
            continuation: None,
        };
        let page = self.list_as_sent(&request).await;
        page.is_ok_and(|page| page.objects.first().is_none_or(|first| first.key != *key))
    }

    pub(super) async fn list_objects(&self, request: &ListRequest) -> StoreResult<ListPage> {
        let listing = self.connection.dialect.listing;
        let mut page = self.list_page(request).await?;
        if !listing.is_sorted {
            match request.page_max {
                Some(_) => self.put_marker_first(&mut page, request).await?,
                None => self.append_all_pages(&mut page, request).await?,
            }
            page.objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            page.prefixes.sort_unstable();
            page.prefixes.dedup();
        }
        if !listing.is_consistent {
            self.correct_all(&mut page, request).await?;
        }
        Ok(page)
    }

    /// Corrects a page, and goes on to the next one while it is empty: a caller takes that for the
    /// end.
    async fn correct_all(&self, page: &mut ListPage, request: &ListRequest) -> StoreResult<()> {
        let mut request = request.clone();
        self.correct(page, &request).await?;
        while page.objects.is_empty() && page.prefixes.is_empty() {
            let Some(continuation) = page.continuation.take() else {
                break;
            };
            request.continuation = Some(continuation);
            *page = self.list_page(&request).await?;
            self.correct(page, &request).await?;
        }
        if let Some(max) = request.page_max {
            page.objects.truncate(max as usize);
            page.prefixes.truncate(max as usize - page.objects.len());
        }
        Ok(())
    }

    /// One page in the store's order.
    async fn list_page(&self, request: &ListRequest) -> StoreResult<ListPage> {
        let mut page = self.list_as_sent(request).await?;
        if request.fold {
            fold(&mut page, &request.prefix);
        }
        Ok(page)
    }

    /// One page in the store's order, folded only if the store did.
    pub(super) async fn list_as_sent(&self, request: &ListRequest) -> StoreResult<ListPage> {
        let call = self.call(self.list_operation());
        let listed = self
            .run_simply(call, |attempt| self.list_attempt(request, attempt))
            .await?;
        let mut page = page(&listed);
        page.continuation = self.continuation(request, &listed, &page)?;
        Ok(page)
    }

    /// Nothing of a listing without order is certain before its end.
    async fn append_all_pages(
        &self,
        page: &mut ListPage,
        request: &ListRequest,
    ) -> StoreResult<()> {
        let mut request = request.clone();
        while let Some(continuation) = page.continuation.take() {
            request.continuation = Some(continuation);
            let next = self.list_page(&request).await?;
            page.objects.extend(next.objects);
            page.prefixes.extend(next.prefixes);
            page.continuation = next.continuation;
        }
        Ok(())
    }

    /// Who asks for a few keys below a prefix asks whether there are any, and for the object of
    /// that very key, which comes first in an ordered listing.
    async fn put_marker_first(
        &self,
        page: &mut ListPage,
        request: &ListRequest,
    ) -> StoreResult<()> {
        let key = ObjectKey::new(request.prefix.as_str());
        let is_listed = page.objects.iter().any(|object| object.key == key);
        if is_listed || page.continuation.is_none() || request.prefix.is_empty() {
            return Ok(());
        }
        match self.head_object(&key).await {
            Ok(stat) => {
                page.objects.pop();
                page.objects.push(ListedObject {
                    key,
                    etag: Some(stat.version.etag.clone()),
                    size: stat.version.size,
                    modified: stat.modified,
                    storage_class: stat.headers.storage_class,
                });
                Ok(())
            }
            Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn list_operation(&self) -> &'static str {
        match self.connection.dialect.listing.version {
            ListVersion::One => "ListObjects",
            ListVersion::Two => "ListObjectsV2",
        }
    }

    async fn list_attempt(&self, request: &ListRequest, attempt: Attempt) -> Result<Listed, Fault> {
        let listing = self.connection.dialect.listing;
        let page_max = request.page_max.and_then(|max| i32::try_from(max).ok());
        let delimiter = request.fold.then(|| "/".to_owned());
        let encoding = listing.is_url_encoded.then_some(EncodingType::Url);
        // Both have fields of the same names.
        macro_rules! listed {
            ($answer:expr, $next:expr) => {
                Listed {
                    is_encoded: $answer.encoding_type() == Some(&EncodingType::Url),
                    is_truncated: $answer.is_truncated().unwrap_or(false),
                    next: $next.map(str::to_owned),
                    objects: $answer.contents.unwrap_or_default(),
                    prefixes: $answer.common_prefixes.unwrap_or_default(),
                }
            };
        }
        match listing.version {
            ListVersion::One => {
                let answer = attempt
                    .client
                    .list_objects()
                    .bucket(self.name.as_str())
                    .prefix(&request.prefix)
                    .set_delimiter(delimiter)
                    .set_max_keys(page_max)
                    .set_marker(request.continuation.clone())
                    .set_encoding_type(encoding)
                    .send()
                    .await?;
                Ok(listed!(answer, answer.next_marker()))
            }
            ListVersion::Two => {
                let answer = attempt
                    .client
                    .list_objects_v2()
                    .bucket(self.name.as_str())
                    .prefix(&request.prefix)
                    .set_delimiter(delimiter)
                    .set_max_keys(page_max)
                    .set_continuation_token(request.continuation.clone())
                    .set_encoding_type(encoding)
                    .send()
                    .await?;
                Ok(listed!(answer, answer.next_continuation_token()))
            }
        }
    }

    /// Where the next page starts. A store that hands out the same place for ever (OSS and OBS
    /// were seen to) is an error, not an endless directory.
    fn continuation(
        &self,
        request: &ListRequest,
        listed: &Listed,
        page: &ListPage,
    ) -> StoreResult<Option<String>> {
        if !listed.is_truncated {
            return Ok(None);
        }
        let next = match (self.connection.dialect.listing.version, &listed.next) {
            (ListVersion::Two, next) => next.clone(),
            (ListVersion::One, Some(marker)) => {
                decoded(marker, listed.is_encoded).map(Cow::into_owned)
            }
            // Told only with a delimiter (Amazon S3 API reference, ListObjects, NextMarker).
            (ListVersion::One, None) => last_of(page),
        };
        let is_further = match self.connection.dialect.listing.version {
            ListVersion::One => next > request.continuation,
            ListVersion::Two => next.is_some() && next != request.continuation,
        };
        if is_further {
            return Ok(next);
        }
        Err(StoreError::Failed {
            operation: self.list_operation(),
            resource: format!("s3://{}/{}", self.name, request.prefix),
            status: 200,
            code: "bad answer".to_owned(),
            message: "a page does not say where the next one starts".to_owned(),
            attempts: 1,
        })
    }
}

/// The last key or common prefix of a page.
fn last_of(page: &ListPage) -> Option<String> {
    let object = page.objects.last().map(|object| object.key.as_str());
    let prefix = page.prefixes.last().map(String::as_str);
    object.max(prefix).map(str::to_owned)
}

fn page(listed: &Listed) -> ListPage {
    let is_encoded = listed.is_encoded;
    let mut page = ListPage::default();
    for object in &listed.objects {
        let Some(key) = object.key().and_then(|key| decoded(key, is_encoded)) else {
            continue;
        };
        // Ceph and MinIO list milliseconds, which no HEAD tells: a file's time must not change by
        // being looked at.
        page.objects.push(ListedObject {
            key: ObjectKey::new(key.as_ref()),
            etag: etag(object.e_tag()),
            size: object
                .size()
                .and_then(|size| u64::try_from(size).ok())
                .unwrap_or(0),
            modified: object
                .last_modified()
                .and_then(|time| SystemTime::try_from(DateTime::from_secs(time.secs())).ok())
                .unwrap_or(SystemTime::UNIX_EPOCH),
            storage_class: object
                .storage_class()
                .map(|class| class.as_str())
                .filter(|class| !matches!(*class, "STANDARD" | ""))
                .map(str::to_owned),
        });
    }
    for prefix in &listed.prefixes {
        if let Some(prefix) = prefix
            .prefix()
            .and_then(|prefix| decoded(prefix, is_encoded))
        {
            page.prefixes.push(prefix.into_owned());
        }
    }
    page
}

/// A key as it is; `None`, and a word in the log, when it is not UTF-8. The encoding is that of
/// forms: a blank is `+`.
pub(super) fn decoded(key: &str, is_encoded: bool) -> Option<Cow<'_, str>> {
    if !is_encoded {
        return Some(Cow::Borrowed(key));
    }
    let key = key.replace('+', " ");
    match percent_decode_str(&key).decode_utf8() {
        Ok(key) => Some(Cow::Owned(key.into_owned())),
        Err(_) => {
            log::warn!(target: LOG_TARGET, "a key that is not UTF-8 is left out: {key}");
            None
        }
    }
}

/// Folds keys that hold a `/` after the prefix: some stores ignore the delimiter.
fn fold(page: &mut ListPage, prefix: &str) {
    let mut folded: Vec<String> = Vec::new();
    page.objects.retain(|object| {
        let rest = object.key.as_str().strip_prefix(prefix);
        let Some((name, _)) = rest.and_then(|rest| rest.split_once('/')) else {
            return true;
        };
        let common = format!("{prefix}{name}/");
        if folded.last() != Some(&common) {
            folded.push(common);
        }
        false
    });
    if !folded.is_empty() {
        page.prefixes.append(&mut folded);
        page.prefixes.sort_unstable();
        page.prefixes.dedup();
    }
}
