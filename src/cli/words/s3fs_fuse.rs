//! The words of s3fs-fuse 1.90 to 1.97 and later: a table, in the order of its manual
//! (doc/man/s3fs.1.in and src/s3fs.cpp of github.com/s3fs-fuse/s3fs-fuse).

use super::Meaning::{
    Acl, DebugLevel, Encryption, Flag, Ignored, Optional, Refused, Unless, Value,
};
use super::{Meaning, Section, Word};

const fn word(name: &'static str, meaning: Meaning, about: &'static str) -> Word {
    Word {
        name,
        meaning,
        about,
    }
}

const NO_DISK_CACHE: &str = "there is no cache on disk: blocks are cached in memory \
                             (memory_limit=SIZE), and fetched again when they do not fit";
const COPIES: &str = "a copy that the store refuses is made by reading and writing; what it offers \
                      provider=NAME says";
const KEYS_OF_IBM: &str = "create HMAC credentials for the service, and put them into passwd_file";
const BY_PROCESS: &str = "name a program that prints credentials as credential_process in a \
                          profile of ~/.aws/config, and the profile with profile=NAME";
const STREAMED: &str = "parts are sent while a file is written, always; parallel_count= says how \
                        many at a time";

pub(super) const REACHING: Section = Section {
    title: "s3fs-fuse: reaching the store",
    words: &[
        word(
            "bucket",
            Value("--bucket"),
            "`BUCKET[:/PREFIX]`: the source, where it is not given in front of the mount point",
        ),
        word(
            "passwd_file",
            Value("--passwd-file"),
            "a file of `ACCESS:SECRET` and `BUCKET:ACCESS:SECRET` lines",
        ),
        word(
            "profile",
            Value("--profile"),
            "the profile of the AWS configuration files",
        ),
        word(
            "public_bucket",
            Flag("--no-sign-request"),
            "send unsigned requests; `public_bucket=1` and `=0`, too",
        ),
        word(
            "iam_role",
            Optional("--iam-role", "auto"),
            "credentials of the instance's metadata alone; of the named role where one is named",
        ),
        word(
            "ecs",
            Flag("--ecs"),
            "credentials of the container alone (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI)",
        ),
        word(
            "imdsv1only",
            Ignored,
            "the instance's metadata is asked by version 2, which every instance of AWS answers",
        ),
        word(
            "use_session_token",
            Ignored,
            "AWS_SESSION_TOKEN is used whenever it is set",
        ),
        word("ibm_iam_auth", Refused, KEYS_OF_IBM),
        word("ibm_iam_endpoint", Refused, KEYS_OF_IBM),
        word("credlib", Refused, BY_PROCESS),
        word("credlib_opts", Refused, BY_PROCESS),
        word(
            "url",
            Value("--endpoint-url"),
            "the endpoint of the store, for any but AWS",
        ),
        word("host", Value("--endpoint-url"), "the same as `url`"),
        word(
            "servicepath",
            Value("--service-path"),
            "the path behind the host of `url`",
        ),
        word("endpoint", Value("--region"), "the region, as `region`"),
        word(
            "use_path_request_style",
            Flag("--path-style"),
            "name the bucket in the path, not in the host name, whatever the provider says",
        ),
        word(
            "sigv2",
            Refused,
            "requests are signed by version 4, which every store takes by now; leave it out",
        ),
        word("sigv4", Ignored, "requests are signed by version 4, always"),
        word(
            "listobjectsv2",
            Ignored,
            "provider=NAME says how listings are asked for",
        ),
        word(
            "noxmlns",
            Ignored,
            "answers are understood with and without a namespace",
        ),
        word(
            "noua",
            Ignored,
            "the User-Agent tells the versions of the program and its library, and nothing of the \
             user",
        ),
        word(
            "requester_pays",
            Flag("--requester-pays"),
            "pay for requests and transfer",
        ),
        word(
            "no_check_certificate",
            Refused,
            "certificates are checked, always; name the one to believe with ca_bundle=FILE",
        ),
        word(
            "ssl_verify_hostname",
            Unless(
                "certificates are checked, always; give a url= whose host the certificate names",
            ),
            "the host is compared with the certificate, always",
        ),
        word(
            "ssl_client_cert",
            Refused,
            "there are no client certificates; reach the store through a proxy that has one",
        ),
        word(
            "cipher_suites",
            Ignored,
            "only suites with forward secrecy of TLS 1.2 and 1.3 are offered",
        ),
        word(
            "nodnscache",
            Ignored,
            "a name is looked up for every connection",
        ),
        word(
            "nosscache",
            Ignored,
            "a session that is not resumed costs one exchange for a connection",
        ),
        word("ipresolve", Ignored, "addresses of both kinds are tried"),
        word(
            "proxy",
            Value("--proxy"),
            "the proxy to the store; before the usual variables",
        ),
        word(
            "proxy_cred_file",
            Value("--proxy-cred-file"),
            "a file of `USER:PASSPHRASE` for it, both as in a URL",
        ),
        word(
            "retries",
            Value("--retries"),
            "how often a failed request is sent again at most, 7 by default",
        ),
        word(
            "connect_timeout",
            Value("--connect-timeout"),
            "seconds until a connection has to stand, 10 by default",
        ),
        word(
            "readwrite_timeout",
            Value("--readwrite-timeout"),
            "seconds without a byte of a body until a request is given up, 30 by default, and \
             until an answer has to begin, 60 by default",
        ),
    ],
};

pub(super) const WRITING: Section = Section {
    title: "s3fs-fuse: what is written and how",
    words: &[
        word(
            "default_acl",
            Acl,
            "the same as `acl`; `public_read` is `public-read`, and so are the others",
        ),
        word(
            "storage_class",
            Value("--storage-class"),
            "the storage class of new files",
        ),
        word(
            "use_rrs",
            Flag("--storage-class=REDUCED_REDUNDANCY"),
            "the same as `storage_class=reduced_redundancy`",
        ),
        word(
            "use_sse",
            Encryption,
            "`use_sse`, `use_sse=1`: as `sse=s3`; `use_sse=kmsid:KEYID`: as `sse=kms:KEYID`; \
             `use_sse=custom:FILE`, `use_sse=FILE`: as `sse_c_key=FILE`, which may hold one key; \
             `kmsid` and `custom` alone are refused",
        ),
        word(
            "load_sse_c",
            Refused,
            "one key reads and writes: sse_c_key=FILE; what has another is to be copied to it \
             first",
        ),
        word(
            "ahbe_conf",
            Refused,
            "headers are not set by rules: the content type follows from the name, and \
             Content-Encoding is for another tool to set, and kept",
        ),
        word(
            "mime",
            Ignored,
            "content types follow from names by a table inside the program",
        ),
        word(
            "enable_content_md5",
            Ignored,
            "with an https:// endpoint TLS keeps what is sent whole, and the size of every object \
             is verified",
        ),
        word(
            "enable_unsigned_payload",
            Ignored,
            "payloads are not signed, always",
        ),
        word(
            "multipart_size",
            Value("--multipart-size"),
            "the size of an uploaded part in MiB",
        ),
        word(
            "multipart_copy_size",
            Value("--multipart-copy-size"),
            "the size of a copied part in MiB",
        ),
        word(
            "multipart_threshold",
            Ignored,
            "what is larger than a part is sent in parts",
        ),
        word(
            "singlepart_copy_limit",
            Ignored,
            "provider=NAME says up to which size one request copies",
        ),
        word(
            "parallel_count",
            Value("--parallel-count"),
            "parts uploaded at a time; twice as many part copies; a quarter more for small files",
        ),
        word(
            "parallel_upload",
            Value("--parallel-count"),
            "the same as `parallel_count`",
        ),
        word(
            "multireq_max",
            Value("--multireq-max"),
            "HEAD requests of one listing under way at a time, 32 by default",
        ),
        word("streamupload", Ignored, STREAMED),
        word("max_thread_count", Ignored, STREAMED),
        word(
            "max_dirty_data",
            Ignored,
            "parts are sent while a file is written; what waits is bounded by memory_limit=SIZE \
             and staging_disk=SIZE",
        ),
        word(
            "nomultipart",
            Ignored,
            "what is larger than a part is sent in parts; multipart_size= says how large that is",
        ),
        word("putheader_mp_threshold", Ignored, COPIES),
        word("nomixupload", Ignored, COPIES),
        word("nocopyapi", Ignored, COPIES),
        word("norenameapi", Ignored, COPIES),
    ],
};

pub(super) const SHOWING: Section = Section {
    title: "s3fs-fuse: how it shows itself",
    words: &[
        word(
            "nonempty",
            Flag("--nonempty"),
            "mount over a directory that has entries",
        ),
        word(
            "uid",
            Value("--uid"),
            "the owner that everything shows, whatever is stored, which stays as it is; \
             `default_uid` is of what has none stored",
        ),
        word(
            "gid",
            Value("--gid"),
            "the group that everything shows, whatever is stored, which stays as it is; \
             `default_gid` is of what has none stored",
        ),
        word(
            "umask",
            Value("--umask"),
            "permission bits taken from files and directories (of 777, so files may be executed), \
             whatever is stored, which stays as it is; `default_umask`, `file_mode` and `dir_mode` \
             are of what has none stored",
        ),
        word(
            "mp_umask",
            Value("--mp-umask"),
            "permission bits taken from the mount's top directory (of 777), in place of `umask`, \
             `dir_mode` and what is stored",
        ),
        word(
            "bucket_size",
            Value("--bucket-size"),
            "the size that df(1) shows, 1 EiB by default",
        ),
        word(
            "stat_cache_expire",
            Value("--attr-ttl"),
            "the same as `actimeo`",
        ),
        word(
            "stat_cache_interval_expire",
            Value("--attr-ttl"),
            "the same as `actimeo`, from when it was learnt",
        ),
        word(
            "max_stat_cache_size",
            Ignored,
            "what is remembered of names is bounded already",
        ),
        word(
            "enable_noobj_cache",
            Ignored,
            "that a name is absent is trusted for actimeo seconds, as everything is",
        ),
        word(
            "disable_noobj_cache",
            Ignored,
            "that a name is absent is trusted for actimeo seconds, 1 by default; noac trusts \
             nothing",
        ),
        word(
            "enable_negative_cache",
            Ignored,
            "that a name is absent is trusted for actimeo seconds, as everything is",
        ),
        word(
            "disable_negative_cache",
            Ignored,
            "that a name is absent is trusted for actimeo seconds, 1 by default; noac trusts \
             nothing",
        ),
        word(
            "list_object_max_keys",
            Ignored,
            "a listing is read in pages as large as the store gives, 1000 names",
        ),
        word("use_xattr", Ignored, "extended attributes are kept, always"),
        word(
            "complement_stat",
            Ignored,
            "what has no owner or mode stored shows those of default_uid=, default_gid= and \
             default_umask=",
        ),
        word(
            "notsup_compat_dir",
            Ignored,
            "directories without a marker are shown, always, and cost no further request",
        ),
        word(
            "compat_dir",
            Ignored,
            "directories without a marker are shown, always; a marker dir_$folder$ shows as a file \
             beside its directory",
        ),
        word(
            "use_wtf8",
            Ignored,
            "names that are not UTF-8 are kept, always; what s3fs-fuse wrote with it shows under \
             the name that is in the key",
        ),
        word(
            "update_parent_dir_stat",
            Ignored,
            "directories show when their entries changed, always",
        ),
    ],
};

pub(super) const KEEPING: Section = Section {
    title: "s3fs-fuse: disk, log and process",
    words: &[
        word(
            "tmpdir",
            Value("--staging-dir"),
            "the same as `staging_dir`",
        ),
        word("use_cache", Ignored, NO_DISK_CACHE),
        word("check_cache_dir_exist", Ignored, NO_DISK_CACHE),
        word("del_cache", Ignored, NO_DISK_CACHE),
        word("set_check_cache_sigusr1", Ignored, NO_DISK_CACHE),
        word("fd_page_size", Ignored, NO_DISK_CACHE),
        word(
            "ensure_diskfree",
            Value("--ensure-diskfree"),
            "MiB to leave free where written bytes go: `staging_disk` is lowered to that when \
             mounting",
        ),
        word(
            "free_space_ratio",
            Ignored,
            "nothing is cached on disk; ensure_diskfree=MIB and staging_disk=SIZE bound what is \
             staged there",
        ),
        word("fake_diskfree", Ignored, "it is for the tests of s3fs-fuse"),
        word(
            "logfile",
            Ignored,
            "the log is in the journal, or in syslog where there is no journal, or on stderr \
             with -f",
        ),
        word(
            "dbglevel",
            DebugLevel,
            "`silent`, `crit`, `err`, `warn`, `info` or `debug`, as `log_level`",
        ),
        word("f2", Ignored, "log_level=debug logs every request"),
        word("curldbg", Ignored, "log_level=debug logs every request"),
        word(
            "insecure_logging",
            Ignored,
            "no credentials and no signatures are logged at any level",
        ),
        word(
            "no_time_stamp_msg",
            Ignored,
            "the journal keeps the times by itself",
        ),
        word(
            "instance_name",
            Ignored,
            "lines of the log name the bucket or mount point they are about",
        ),
    ],
};
