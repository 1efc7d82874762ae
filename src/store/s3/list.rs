//! ListObjectsV2 and the check at mount: pages of keys, decoded only when the store says that it
//! encoded them, folded here when the store did not.

use std::borrow::Cow;
use std::time::SystemTime;

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode_str;

use super::S3Bucket;
use super::call::LOG_TARGET;
use super::headers::etag;
use crate::object::ObjectKey;
use crate::store::{ListPage, ListRequest, ListedObject, StoreError, StoreResult};

/// Attempts at the first request of a mount: someone is waiting for the word that the endpoint
/// is wrong.
const CHECK_ATTEMPTS_MAX: u32 = 3;

impl S3Bucket {
    pub(super) async fn check_reachable(&self) -> StoreResult<()> {
        let call = self.call("ListObjectsV2").attempts_max(CHECK_ATTEMPTS_MAX);
        self.run_simply(call, |attempt| async move {
            let request = attempt.client.list_objects_v2().bucket(self.name.as_str());
            request.max_keys(1).send().await?;
            Ok(())
        })
        .await
    }

    pub(super) async fn list_objects(&self, request: &ListRequest) -> StoreResult<ListPage> {
        let page_max = request.page_max.and_then(|max| i32::try_from(max).ok());
        let answer = self
            .run_simply(self.call("ListObjectsV2"), |attempt| async move {
                let answer = attempt
                    .client
                    .list_objects_v2()
                    .bucket(self.name.as_str())
                    .prefix(&request.prefix)
                    .set_delimiter(request.fold.then(|| "/".to_owned()))
                    .set_max_keys(page_max)
                    .set_continuation_token(request.continuation.clone())
                    .encoding_type(EncodingType::Url)
                    .send()
                    .await?;
                Ok(answer)
            })
            .await?;
        let continuation = self.continuation(request, &answer)?;
        let mut page = page(&answer);
        page.continuation = continuation;
        if request.fold {
            fold(&mut page, &request.prefix);
        }
        Ok(page)
    }

    /// Where the next page starts. A store that hands out the same place for ever (OSS and OBS
    /// were seen to) is an error, not an endless directory.
    fn continuation(
        &self,
        request: &ListRequest,
        answer: &ListObjectsV2Output,
    ) -> StoreResult<Option<String>> {
        if !answer.is_truncated().unwrap_or(false) {
            return Ok(None);
        }
        let next = answer.next_continuation_token().map(str::to_owned);
        if next.is_some() && next != request.continuation {
            return Ok(next);
        }
        Err(StoreError::Failed {
            operation: "ListObjectsV2",
            resource: format!("s3://{}/{}", self.name, request.prefix),
            status: 200,
            code: "bad answer".to_owned(),
            message: "a page does not say where the next one starts".to_owned(),
            attempts: 1,
        })
    }
}

fn page(answer: &ListObjectsV2Output) -> ListPage {
    let is_encoded = answer.encoding_type() == Some(&EncodingType::Url);
    let mut page = ListPage::default();
    for object in answer.contents() {
        let Some(key) = object.key().and_then(|key| decoded(key, is_encoded)) else {
            continue;
        };
        page.objects.push(ListedObject {
            key: ObjectKey::new(key.as_ref()),
            etag: etag(object.e_tag()),
            size: object
                .size()
                .and_then(|size| u64::try_from(size).ok())
                .unwrap_or(0),
            modified: object
                .last_modified()
                .and_then(|time| SystemTime::try_from(*time).ok())
                .unwrap_or(SystemTime::UNIX_EPOCH),
            storage_class: object
                .storage_class()
                .map(|class| class.as_str())
                .filter(|class| !matches!(*class, "STANDARD" | ""))
                .map(str::to_owned),
        });
    }
    for prefix in answer.common_prefixes() {
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
