//! Keys and listings, tried on the live endpoint. Decides nothing.

use std::time::Duration;

use bytes::Bytes;

use super::Scratch;
use crate::store::s3::headers::copy_source;
use crate::store::{Bucket, ListRequest, StoreResult};

/// Listings that are waited for to show what was stored, and the pause between two.
const LISTINGS_MAX: u32 = 20;
const LISTING_PAUSE: Duration = Duration::from_millis(250);
/// A key of characters that stores and clients have been seen to trip over.
const ODD_NAME: &str = "odd/a b+c%25//\u{e9}";

/// A key that SeaweedFS takes for `back/sl/ash`.
const BACKSLASHED: &str = "back/sl\\ash";

/// Names as they were seen.
pub(super) struct Names {
    pub odd_keys: bool,
    pub backslash: bool,
    pub is_sorted: bool,
    pub folds: bool,
    pub lists_at_once: bool,
}

impl Scratch<'_> {
    pub(super) async fn try_names(&self) -> StoreResult<Names> {
        // Out of order, one below the other, and with characters that sort before `/`.
        let mut wanted = vec![
            "names/z",
            "names/a/b",
            "names/a-",
            "names/A",
            "names/\u{e9}",
        ];
        for name in &wanted {
            self.put(name, Bytes::from_static(b"n")).await?;
        }
        let (listed, _) = self.listed("names/", false).await?;
        let lists_at_once = listed.len() == wanted.len();
        wanted.sort_unstable();
        let listed = self.listed_whole("names/", wanted.len()).await?;
        // Of a folded listing the two orders are one.
        let mut by_path = wanted.clone();
        by_path.sort_by_key(|name| name.replace('/', "\0"));
        let is_sorted = listed == wanted || listed == by_path;
        let (_, folds) = self.listed("names/", true).await?;
        let odd = self.put(ODD_NAME, Bytes::from_static(b"odd")).await?;
        let below = self.listed_whole("odd/", 1).await?;
        let copied = self.client.copy_object().bucket(self.bucket.name.as_str());
        let copied = copied
            .key(self.key("odd/copy").as_str())
            .copy_source(copy_source(&odd))
            .send()
            .await;
        let is_there = self.bucket.head(&odd.key).await.is_ok();
        self.put(BACKSLASHED, Bytes::from_static(b"b")).await?;
        let backslashed = self.listed_whole("back/", 1).await?;
        Ok(Names {
            backslash: backslashed == [BACKSLASHED],
            odd_keys: below == [ODD_NAME] && copied.is_ok() && is_there,
            is_sorted,
            folds,
            lists_at_once,
        })
    }

    /// The names below a prefix in the store's order, and whether the store folded any at `/`.
    async fn listed(&self, prefix: &str, fold: bool) -> StoreResult<(Vec<String>, bool)> {
        let request = ListRequest {
            prefix: format!("{}{prefix}", self.prefix),
            fold,
            ..ListRequest::default()
        };
        let page = self.bucket.list_as_sent(&request).await?;
        let names = page.objects.iter().map(|object| object.key.as_str());
        let names = names.filter_map(|key| key.strip_prefix(self.prefix));
        Ok((
            names.map(str::to_owned).collect(),
            !page.prefixes.is_empty(),
        ))
    }

    /// The names below a prefix once there are so many, or as they are after a few seconds.
    async fn listed_whole(&self, prefix: &str, count: usize) -> StoreResult<Vec<String>> {
        let mut listings = 1;
        loop {
            let (names, _) = self.listed(prefix, false).await?;
            if names.len() >= count || listings >= LISTINGS_MAX {
                return Ok(names);
            }
            listings += 1;
            tokio::time::sleep(LISTING_PAUSE).await;
        }
    }
}
