//! DeleteObject and DeleteObjects.

use s3s::dto::*;
use s3s::{S3Response, s3_error};

use super::super::buckets::names;
use super::super::rules::Conditions;
use super::super::state::State;
use super::Reply;

pub(super) fn one(state: &State, input: DeleteObjectInput) -> Reply<DeleteObjectOutput> {
    let mut buckets = state.buckets();
    let is_looked_at = state.rules.writes.delete_conditions == Conditions::Kept;
    if let Some(condition) = input.if_match.as_ref().filter(|_| is_looked_at) {
        match buckets.bucket(&input.bucket)?.current(&input.key) {
            None if state.rules.writes.absent_is_412 => return Err(s3_error!(PreconditionFailed)),
            None => return Err(s3_error!(NoSuchKey)),
            Some(stored) if names(condition, &stored.etag) => {}
            Some(_) => return Err(s3_error!(PreconditionFailed)),
        }
    }
    let deleted = buckets.delete(&input.bucket, &input.key, input.version_id.as_deref())?;
    Ok(S3Response::new(DeleteObjectOutput {
        delete_marker: deleted.marker.then_some(true),
        version_id: deleted.version_id,
        ..Default::default()
    }))
}

pub(super) fn many(state: &State, input: DeleteObjectsInput) -> Reply<DeleteObjectsOutput> {
    let objects = input.delete.objects;
    if objects.is_empty() || objects.len() > state.rules.writes.delete_keys_max {
        return Err(s3_error!(MalformedXML));
    }
    let mut buckets = state.buckets();
    buckets.bucket(&input.bucket)?;
    let mut deleted = Vec::new();
    let rules = &state.rules.writes;
    let is_looked_at = rules.delete_conditions == Conditions::Kept && rules.delete_many_conditions;
    let mut errors = Vec::new();
    for object in objects {
        let current = buckets.bucket(&input.bucket)?.current(&object.key);
        if let (Some(wanted), Some(stored)) = (&object.e_tag, current)
            && is_looked_at
            && wanted.value() != stored.etag
        {
            errors.push(Error {
                code: Some("PreconditionFailed".into()),
                key: Some(object.key),
                ..Default::default()
            });
            continue;
        }
        let gone = buckets.delete(&input.bucket, &object.key, object.version_id.as_deref())?;
        deleted.push(DeletedObject {
            delete_marker: gone.marker.then_some(true),
            delete_marker_version_id: gone.version_id.filter(|_| gone.marker),
            key: Some(object.key),
            version_id: object.version_id,
        });
    }
    let quiet = input.delete.quiet.unwrap_or(false);
    let deleted = (!quiet).then_some(deleted);
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted,
        errors: (!errors.is_empty()).then_some(errors),
        ..Default::default()
    }))
}
