//! The parts of an upload: all of a plan's at once, or one.

use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, TryStreamExt};

use crate::commit::slots::Want;
use crate::commit::{CommitError, Committer, OpenUpload, Target};
use crate::extent::ExtentMap;
use crate::lock::Guarded;
use crate::object::ObjectVersion;
use crate::plan::{Part, sources_of};
use crate::staging::Staging;
use crate::store::{PartNumber, StoreError, StoredPart};

impl Committer {
    /// Makes an object of parts.
    pub(super) async fn upload(
        &self,
        parts: &[Part],
        base: Option<&Arc<ObjectVersion>>,
        staging: &Guarded<Staging>,
        target: Target<'_>,
    ) -> Result<Arc<ObjectVersion>, CommitError> {
        let Target {
            place,
            headers,
            precondition,
            ..
        } = target;
        let upload = self.create_upload(place, headers, base).await?;
        let numbered: Vec<_> = (1..).map(PartNumber).zip(parts.iter().cloned()).collect();
        match self.run_parts(&upload, &numbered, staging).await {
            Ok(stored) => {
                let sources = sources_of(parts);
                upload.complete(&stored, &sources, precondition).await
            }
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    /// Runs parts in parallel; the answers in order.
    ///
    /// # Errors
    /// The first failure; the others are given up. The upload is still there.
    pub async fn run_parts(
        &self,
        upload: &OpenUpload,
        parts: &[(PartNumber, Part)],
        staging: &Guarded<Staging>,
    ) -> Result<Vec<StoredPart>, CommitError> {
        // Every part waits for its slot inside, so all may be started; the slots bound them.
        let running: FuturesUnordered<_> = parts
            .iter()
            .map(|(number, part)| self.run_part(upload, *number, part, staging))
            .collect();
        let mut stored: Vec<StoredPart> = running.try_collect().await?;
        stored.sort_by_key(|part| part.number);
        Ok(stored)
    }

    /// Runs one part.
    ///
    /// # Errors
    /// [`CommitError`]; the upload is still there.
    pub async fn run_part(
        &self,
        upload: &OpenUpload,
        number: PartNumber,
        part: &Part,
        staging: &Guarded<Staging>,
    ) -> Result<StoredPart, CommitError> {
        let bucket = &upload.place().bucket;
        let want = |bytes| Want {
            bucket: bucket.name(),
            turn: upload.turn(),
            bytes,
        };
        let fetched;
        let map = match part {
            Part::Copy(source) => {
                let copied = {
                    let want = want(source.range.len());
                    let _slot = self.copies.take(want).await.map_err(StoreError::from)?;
                    bucket.copy_part(upload.upload(), number, source).await
                };
                match copied {
                    // Garage refuses sources stored inline, of a few KiB; so little is fetched
                    // here. A larger refusal is for the whole plan to answer.
                    Err(StoreError::CopyRefused { .. })
                        if source.range.len() <= bucket.limits().part_size_min =>
                    {
                        fetched = ExtentMap::of_object(source.version.clone()).slice(source.range);
                        &fetched
                    }
                    result => return Ok(result?),
                }
            }
            Part::Upload(map) => map,
            Part::Stored(_) => unreachable!("what an upload has already is not sent again"),
        };
        let want = want(map.len());
        let _slot = self.uploads.take(want).await.map_err(StoreError::from)?;
        let body = self.payload(map, staging).await?;
        Ok(bucket.upload_part(upload.upload(), number, body).await?)
    }
}
