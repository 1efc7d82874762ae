//! The words that are this program's own: a table, in the order in which they are documented.
//! Those it shares with s3fs-fuse stand there.

use super::Meaning::{Always, Config, Flag, Refused, Value};
use super::{Meaning, Section, Word};

const fn word(name: &'static str, meaning: Meaning, about: &'static str) -> Word {
    Word {
        name,
        meaning,
        about,
    }
}

pub(super) const STORE: Section = Section {
    title: "The store",
    words: &[
        word(
            "endpoint_url",
            Value("--endpoint-url"),
            "the endpoint of the store, for any but AWS; the same as `url`",
        ),
        word(
            "provider",
            Value("--provider"),
            "whose rules the store keeps (doc/providers.md)",
        ),
        word("region", Value("--region"), "the region"),
        word(
            "dual_stack",
            Flag("--dual-stack"),
            "AWS's endpoints that are reached by IPv6 too",
        ),
        word(
            "fips",
            Flag("--fips"),
            "AWS's endpoints whose cryptography is validated by FIPS 140",
        ),
        word(
            "accelerate",
            Flag("--accelerate"),
            "AWS's endpoints near the client (S3 Transfer Acceleration)",
        ),
        word(
            "ca_bundle",
            Value("--ca-bundle"),
            "a file of certificates in PEM to believe instead of the system's; before the variable \
             AWS_CA_BUNDLE and `ca_bundle` of the profile",
        ),
        word(
            "no_sign_request",
            Flag("--no-sign-request"),
            "send unsigned requests, for public buckets",
        ),
        word(
            "expected_bucket_owner",
            Value("--expected-bucket-owner"),
            "`[BUCKET:]ACCOUNT`: the account that owns the buckets, or one of them; the store \
             refuses requests when it is another",
        ),
        word(
            "sse",
            Value("--sse"),
            "`s3`, `kms` or `kms:KEYID`: what the store encrypts by",
        ),
        word(
            "sse_c_key",
            Value("--sse-c-key"),
            "`[BUCKET:]FILE`: a key of one's own (SSE-C) for all sources, or for one",
        ),
        word("acl", Value("--acl"), "the canned ACL of what is written"),
        word(
            "tags",
            Value("--tags"),
            "`NAME=VALUE&...`: the tags of new objects",
        ),
    ],
};

pub(super) const MOUNT: Section = Section {
    title: "The mount",
    words: &[
        word(
            "config",
            Config,
            "a file of options for buckets and endpoints, read instead of /etc/s3fs/s3fs.toml and \
             ~/.config/s3fs/s3fs.toml",
        ),
        word(
            "default_uid",
            Value("--default-uid"),
            "the owner of what has none stored; else the user who mounts",
        ),
        word(
            "default_gid",
            Value("--default-gid"),
            "the group of what has none stored; else the group who mounts",
        ),
        word(
            "default_umask",
            Value("--default-umask"),
            "permission bits taken from files (of 666) and directories (of 777) that have none \
             stored, 022 by default",
        ),
        word(
            "file_mode",
            Value("--file-mode"),
            "permission bits of files that have none stored",
        ),
        word(
            "dir_mode",
            Value("--dir-mode"),
            "permission bits of directories that have none stored",
        ),
        word(
            "actimeo",
            Value("--attr-ttl"),
            "seconds for which names, attributes and listings are trusted, 1 by default (NFS's \
             word)",
        ),
        word("attr_ttl", Value("--attr-ttl"), "the same as `actimeo`"),
        word(
            "noac",
            Flag("--noac"),
            "trust nothing for any time, and store every write before it returns",
        ),
        word("ac", Always, "the opposite of `noac`, and the default"),
        word(
            "cto",
            Flag("--cto"),
            "ask at every open for the object as it is now (the default)",
        ),
        word(
            "nocto",
            Flag("--nocto"),
            "believe at an open what is known for less than `actimeo`",
        ),
        word(
            "save_killed",
            Flag("--save-killed"),
            "publish nothing of what a process has written that a signal kills: the object stays \
             as it was, and the bytes are in `staging_dir`",
        ),
        word(
            "sharecache",
            Flag("--sharecache"),
            "share a daemon with mounts that differ in source, owner, modes and flags only, so \
             that copies between them are the store's work (the default of mounts by root in the \
             background, of one source each; NFS's word)",
        ),
        word(
            "nosharecache",
            Flag("--nosharecache"),
            "have a daemon of one's own",
        ),
        word(
            "attributes",
            Value("--attributes"),
            "`auto`, `objects` or `listing`: where owners, modes and times of listed objects come \
             from",
        ),
        word(
            "memory_limit",
            Value("--memory-limit"),
            "memory for cached and staged bytes and everything else, 256M by default",
        ),
        word(
            "staging_dir",
            Value("--staging-dir"),
            "where written bytes go that fit neither memory nor, yet, the store",
        ),
        word(
            "staging_disk",
            Value("--staging-disk"),
            "most bytes there, 10G by default",
        ),
        word(
            "log_level",
            Value("--log-level"),
            "`error`, `warn`, `info`, `debug`, `trace`, or a list like `info\\,s3fs::store=debug`",
        ),
    ],
};

/// What a secret in an option is answered.
pub(super) const SECRET: &str = "secrets are not taken from the command line or fstab, where every \
                                 user can read them; name a file with passwd_file=FILE, or a \
                                 profile of ~/.aws/credentials with profile=NAME, or set \
                                 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";

pub(super) const SECRETS: Section = Section {
    title: "Secrets",
    words: &[
        word("access_key", Refused, SECRET),
        word("access_key_id", Refused, SECRET),
        word("aws_access_key_id", Refused, SECRET),
        word("accessKeyId", Refused, SECRET),
        word("secret", Refused, SECRET),
        word("secret_key", Refused, SECRET),
        word("secret_access_key", Refused, SECRET),
        word("aws_secret_access_key", Refused, SECRET),
        word("secretAccessKey", Refused, SECRET),
        word("session_token", Refused, SECRET),
        word("aws_session_token", Refused, SECRET),
        word("token", Refused, SECRET),
        word("password", Refused, SECRET),
        word("passwd", Refused, SECRET),
        word("credentials", Refused, SECRET),
    ],
};
