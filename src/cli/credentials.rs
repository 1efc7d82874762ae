//! Whose credentials a mount uses: the order in which they are looked for. Asks no store and no
//! service.

use std::env;
use std::path::PathBuf;

use super::UsageError;
use super::passwd_file;
use super::resolve::absolute;
use super::typed::TypedStore;
use crate::config::{CredentialSource, Source, StaticCredentials};

/// Variables that tell the AWS chain of credentials other than those of an instance.
const VARIABLES: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// Variables that s3fs-fuse reads where those of the usual names are not set; the first decides.
const OLDER_NAMES: &[(&str, &str)] = &[
    ("AWSACCESSKEYID", "AWS_ACCESS_KEY_ID"),
    ("AWSSECRETACCESSKEY", "AWS_SECRET_ACCESS_KEY"),
    ("AWSSESSIONTOKEN", "AWS_SESSION_TOKEN"),
];

/// What is known of credentials before the store is reached: the pair, or where to look for one.
pub(super) type Found = (Option<StaticCredentials>, CredentialSource);

/// Those that an option names; else those of the configuration file; else those of the environment
/// and of ~/.aws/credentials, as the AWS chain finds them; else those of ~/.passwd-s3fs and of
/// /etc/passwd-s3fs; else whatever the chain finds.
pub(super) fn resolve(typed: &TypedStore, sources: &[Source]) -> Result<Found, UsageError> {
    check_exclusive(typed)?;
    if let Some(role) = &typed.iam_role {
        let role = (role != "auto").then(|| role.clone());
        return Ok((None, CredentialSource::Instance { role }));
    }
    if typed.ecs {
        return Ok((None, CredentialSource::Container));
    }
    let pair = match (&typed.passwd_file, &typed.configured_credentials) {
        (Some(path), _) => {
            let path = absolute(path.clone())?;
            Some(passwd_file::of_named(&path, sources)?)
        }
        _ if typed.profile.is_some() || typed.no_sign_request => None,
        (None, Some(pair)) => Some(pair.clone()),
        (None, None) => of_default_files(sources)?,
    };
    Ok((pair, CredentialSource::Chain))
}

fn of_default_files(sources: &[Source]) -> Result<Option<StaticCredentials>, UsageError> {
    let is_set = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let home = home();
    let of_aws = home.as_ref().map(|home| home.join(".aws/credentials"));
    if VARIABLES.iter().any(is_set) || of_aws.is_some_and(|path| path.exists()) {
        return Ok(None);
    }
    let of_user = home.map(|home| home.join(".passwd-s3fs"));
    for path in of_user
        .into_iter()
        .chain([PathBuf::from(passwd_file::OF_MACHINE)])
    {
        if let Some(found) = passwd_file::of_default(&path, sources)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Gives variables of older names the usual ones; to be called before there is a second thread.
pub(super) fn take_older_names() {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let (older, usual) = OLDER_NAMES[0];
    if is_set(usual) || !is_set(older) {
        return;
    }
    for (older, usual) in OLDER_NAMES {
        if let Some(value) = env::var_os(older) {
            // SAFETY: the process has one thread.
            unsafe { env::set_var(usual, value) };
        }
    }
}

/// Two options about credentials are a mistake.
fn check_exclusive(typed: &TypedStore) -> Result<(), UsageError> {
    let given = [
        ("passwd_file", typed.passwd_file.is_some()),
        ("profile", typed.profile.is_some()),
        ("iam_role", typed.iam_role.is_some()),
        ("ecs", typed.ecs),
        ("no_sign_request", typed.no_sign_request),
    ];
    let mut given = given.into_iter().filter(|(_, is_given)| *is_given);
    match (given.next(), given.next()) {
        (Some((first, _)), Some((second, _))) => Err(UsageError::TwoCredentials { first, second }),
        _ => Ok(()),
    }
}

/// The user's directory.
pub(super) fn home() -> Option<PathBuf> {
    let home = env::var_os("HOME").map(PathBuf::from);
    home.filter(|home| home.is_absolute())
}
