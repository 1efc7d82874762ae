//! The words mean what they say, and the document made of the tables says what they say.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::Parser;

use super::*;
use crate::cli::typed::Typed;
use crate::mount::is_kernel_word;

fn flags(list: &str) -> Result<Vec<String>, WordError> {
    let translated = translate(&[vec![list.to_owned()]], Unknown::Refused)?;
    Ok(translated
        .flags()
        .map(|flag| flag.into_string().unwrap())
        .collect())
}

/// The options of s3fs-fuse: `s3fs --help` of 1.90 to 1.97, and what its later sources take.
const S3FS_FUSE: &str = "bucket default_acl retries tmpdir use_cache check_cache_dir_exist \
    del_cache storage_class use_rrs use_sse load_sse_c public_bucket passwd_file ahbe_conf profile \
    connect_timeout readwrite_timeout list_object_max_keys max_stat_cache_size stat_cache_expire \
    stat_cache_interval_expire enable_noobj_cache disable_noobj_cache no_check_certificate \
    ssl_verify_hostname ssl_client_cert nodnscache nosscache multireq_max parallel_count \
    multipart_size multipart_copy_size max_dirty_data bucket_size ensure_diskfree \
    free_space_ratio multipart_threshold singlepart_copy_limit host servicepath url region \
    endpoint sigv2 sigv4 mp_umask umask nomultipart streamupload max_thread_count \
    enable_content_md5 enable_unsigned_payload ecs iam_role imdsv1only ibm_iam_auth \
    ibm_iam_endpoint credlib credlib_opts use_xattr noxmlns nomixupload nocopyapi norenameapi \
    use_path_request_style listobjectsv2 noua cipher_suites instance_name complement_stat \
    notsup_compat_dir compat_dir use_wtf8 use_session_token requester_pays mime proxy \
    proxy_cred_file ipresolve logfile dbglevel curldbg no_time_stamp_msg \
    set_check_cache_sigusr1 update_parent_dir_stat allow_other nonempty uid gid \
    enable_negative_cache disable_negative_cache insecure_logging putheader_mp_threshold \
    parallel_upload fd_page_size fake_diskfree f2 accessKeyId secretAccessKey";

/// The options of fuse(8) and mount(8) that any filesystem has.
const GENERIC: &str = "default_permissions allow_other rootmode blkdev blksize max_read fd user_id \
    group_id fsname subtype allow_root auto_unmount kernel_cache auto_cache umask uid gid \
    entry_timeout negative_timeout attr_timeout ac_attr_timeout noforget remember modules setuid \
    drop_privileges ro rw suid nosuid dev nodev exec noexec atime noatime diratime nodiratime \
    relatime norelatime strictatime nostrictatime lazytime nolazytime iversion noiversion mand \
    nomand silent loud sync async dirsync auto noauto user nouser users owner group defaults \
    _netdev nofail remount nosymfollow context fscontext defcontext rootcontext";

#[test]
fn every_documented_option_of_s3fs_fuse_fuse_and_mount_is_known() {
    for name in S3FS_FUSE.split(' ').chain(GENERIC.split(' ')) {
        assert!(words().any(|word| word.name == name), "{name}");
    }
}

#[test]
fn no_word_is_there_twice_and_none_is_too_long_to_be_repeated() {
    let mut names = BTreeSet::new();
    for word in words() {
        assert!(names.insert(word.name), "{}", word.name);
        assert!(word.name.len() <= WORD_BYTES_MAX, "{}", word.name);
        assert!(
            !word.about.is_empty() && !word.about.contains("  "),
            "{}",
            word.name
        );
    }
}

#[test]
fn every_flag_that_a_word_stands_for_is_one_of_the_command_line() {
    let command = <Typed as clap::CommandFactory>::command();
    let longs: BTreeSet<&str> = command
        .get_arguments()
        .filter_map(|arg| arg.get_long())
        .collect();
    for word in words() {
        if let Flag(flag) | Value(flag) | Optional(flag, _) = word.meaning {
            let long = flag.trim_start_matches("--").split('=').next().unwrap();
            assert!(longs.contains(long), "{}: {flag}", word.name);
        }
    }
}

#[test]
fn the_kernel_acts_on_the_words_of_the_kernel() {
    for word in words() {
        assert_eq!(
            word.meaning == Kernel,
            is_kernel_word(word.name),
            "{}",
            word.name
        );
    }
}

#[test]
fn every_value_word_becomes_its_flag_with_the_value() {
    for word in words() {
        let name = word.name;
        if let Value(flag) = word.meaning {
            assert_eq!(flags(&format!("{name}=7")).unwrap(), [format!("{flag}=7")]);
            assert!(
                matches!(flags(name), Err(WordError::NoValue { .. })),
                "{name}"
            );
        }
    }
}

#[test]
fn every_refused_word_is_refused_and_its_value_is_not_shown() {
    for word in words().filter(|word| word.meaning == Refused) {
        let error = flags(&format!("{}=hunter2", word.name)).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(
            shown.contains(word.name) && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}

#[test]
fn every_ignored_word_is_told_of_once_with_and_without_a_value() {
    for word in words().filter(|word| matches!(word.meaning, Ignored | Unless(_))) {
        let name = word.name;
        let translated = translate(&[vec![format!("{name},{name}=2")]], Unknown::Refused).unwrap();
        let told: Vec<String> = translated.ignored.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [format!("option \"{name}\" is ignored: {}", word.about)]
        );
        assert_eq!(translated.flags().count(), 0, "{name}");
    }
    assert!(matches!(
        flags("ssl_verify_hostname=0"),
        Err(WordError::Refused { .. })
    ));
}

#[test]
fn an_unknown_word_is_named_with_the_nearest_and_without_its_value() {
    let error = flags("use_path_request_stlye=hunter2").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown option \"use_path_request_stlye\"; did you mean \"use_path_request_style\"?"
    );
    assert_eq!(
        flags("zzz").unwrap_err().to_string(),
        "unknown option \"zzz\""
    );
}

#[test]
fn what_is_likely_to_be_a_secret_is_refused_with_advice_and_never_repeated() {
    for name in [
        "acess_key",
        "AWS_SECRET_ACCESS_KEY",
        "mysecret",
        "s3_password",
        "passphrase",
        "auth-token",
        "apiKey",
    ] {
        let error = flags(&format!("{name}=hunter2")).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("passwd_file=FILE"), "{shown}");
        assert!(
            shown.contains(name) && !shown.contains("hunter2"),
            "{shown}"
        );
    }
    // What cannot be a word may be a secret that went astray.
    for text in [
        "AKIAIOSFODNN7EXAMPLE:hunter2",
        "hunter2hunter2hunter2hunter2hunter2hunter2",
        "ro,hunter2/hunter2+",
    ] {
        let error = flags(text).unwrap_err();
        assert_eq!(error, WordError::NoWord);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn what_mount_and_systemd_act_on_is_accepted() {
    let list = "rw,_netdev,nofail,x-systemd.requires=a,X-mount.mkdir,user,comment=hi,defaults";
    assert_eq!(flags(list).unwrap(), ["--read-write"]);
}

#[test]
fn words_of_the_kernel_keep_their_order() {
    let translated = translate(
        &[vec!["suid,noexec".to_owned(), "nosuid".to_owned()]],
        Unknown::Refused,
    )
    .unwrap();
    assert_eq!(translated.kernel_words, ["suid", "noexec", "nosuid"]);
    let list = "nosuid,allow_suid,allow_dev".to_owned();
    let translated = translate(&[vec![list]], Unknown::Refused).unwrap();
    assert_eq!(translated.kernel_words, ["dev", "suid", "nosuid"]);
    assert!(matches!(
        flags("noexec=1"),
        Err(WordError::UnwantedValue { .. })
    ));
}

#[test]
fn unknown_words_may_be_let_pass_and_secrets_not() {
    let lists = ["ro,what=ever,remount".to_owned()];
    let translated = translate(&[lists.to_vec()], Unknown::Ignored).unwrap();
    assert_eq!(translated.flags().collect::<Vec<_>>(), ["--read-only"]);
    assert!(translated.remount);
    for secret in ["secret_key=hunter2", "my_secret=hunter2"] {
        assert!(translate(&[vec![secret.to_owned()]], Unknown::Ignored).is_err());
    }
}

#[test]
fn an_escaped_comma_belongs_to_the_value() {
    assert_eq!(
        flags("tmpdir=/a\\,b,ro").unwrap(),
        ["--staging-dir=/a,b", "--read-only"]
    );
    assert_eq!(
        flags(&written("tmpdir", "/a,b\\c")).unwrap(),
        ["--staging-dir=/a,b\\c"]
    );
}

#[test]
fn the_switches_of_s3fs_fuse_can_be_off_and_taken_back() {
    assert_eq!(flags("public_bucket=1").unwrap(), ["--no-sign-request"]);
    assert!(flags("public_bucket=0").unwrap().is_empty());
    assert!(
        flags("public_bucket,ro,ro=0,no_sign_request=0")
            .unwrap()
            .is_empty()
    );
    assert_eq!(flags("dbglevel=ERR").unwrap(), ["--log-level=error"]);
    assert_eq!(
        flags("use_rrs").unwrap(),
        ["--storage-class=REDUCED_REDUNDANCY"]
    );
    assert_eq!(flags("iam_role").unwrap(), ["--iam-role=auto"]);
    assert_eq!(flags("iam_role=r").unwrap(), ["--iam-role=r"]);
}

#[test]
fn the_encryption_of_s3fs_fuse_is_ours() {
    for (list, flag) in [
        ("use_sse", "--sse=s3"),
        ("use_sse=1", "--sse=s3"),
        (
            "use_sse=kmsid:arn:aws:kms:r:1:key/a",
            "--sse=kms:arn:aws:kms:r:1:key/a",
        ),
        ("use_sse=k:id", "--sse=kms:id"),
        ("use_sse=custom:/k", "--sse-c-key=/k"),
        ("use_sse=c:/k", "--sse-c-key=/k"),
        ("use_sse=/k", "--sse-c-key=/k"),
    ] {
        assert_eq!(flags(list).unwrap(), [flag], "{list}");
    }
    for list in ["kmsid", "k", "k:", "custom", "c", "custom:", "2", ""] {
        let refused = flags(&format!("use_sse={list}"));
        assert!(matches!(refused, Err(WordError::Refused { .. })), "{list}");
    }
}

#[test]
fn the_last_of_several_words_for_one_flag_counts() {
    let lists = [
        "url=a,endpoint=r".to_owned(),
        "host=b,ro,config=/c".to_owned(),
    ];
    assert_eq!(last_value(&lists, "--endpoint-url").as_deref(), Some("b"));
    assert_eq!(last_value(&lists, "config").as_deref(), Some("/c"));
    assert_eq!(last_value(&lists, "--profile"), None);
}

#[test]
fn a_later_layer_says_otherwise_than_an_earlier_one() {
    let layers = [
        "ro,allow_other,passwd_file=/f,sse=s3,uid=1,region=a",
        "allow_other=0,profile=p,sse_c_key=/k,default_uid=2,region=b",
    ];
    let translated =
        translate(&layers.map(|list| vec![list.to_owned()]), Unknown::Refused).unwrap();
    let left: Vec<_> = translated.flags().collect();
    let expected = [
        "--read-only",
        "--region=a",
        "--profile=p",
        "--sse-c-key=/k",
        "--default-uid=2",
        "--region=b",
    ];
    assert_eq!(left, expected);
    // In one list they are left to be refused.
    assert_eq!(flags("sse=s3,sse_c_key=/k").unwrap().len(), 2);
}

#[test]
fn a_bad_value_is_blamed_on_the_word_that_was_typed() {
    for (list, parts) in [
        ("uid=me", ["option \"uid\"", "\"me\""]),
        ("stat_cache_expire=x", ["\"stat_cache_expire\"", "seconds"]),
        ("default_acl=all", ["\"default_acl\"", "public-read"]),
        ("provider=acme", ["\"provider\"", "minio"]),
    ] {
        let translated = translate(&[vec![list.to_owned()]], Unknown::Refused).unwrap();
        let args = ["s3fs".into(), "bkt".into(), "/mnt".into()];
        let error = Typed::try_parse_from(args.into_iter().chain(translated.flags())).unwrap_err();
        let said = translated.blame(error).unwrap().to_string();
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
}

#[test]
fn the_document_of_options_says_what_the_tables_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let written = fs::read_to_string(root.join("doc/options.md")).unwrap_or_default();
    let wanted = document();
    if written != wanted {
        let new = root.join("target/options.md");
        fs::write(&new, wanted).expect("the build directory can be written to");
        panic!(
            "doc/options.md is not what the tables say; copy {} to it",
            new.display()
        );
    }
}

const OPENING: &str = "# Options

Every word of `-o`: this program's own, those of s3fs-fuse 1.90 to 1.95, of FUSE and of mount(8).
The same words are the keys of the configuration file. Made of the tables in `src/cli/words`.

A word is one of these:

- `--flag`: it does what that flag of the command line does, as `s3fs --help` tells;
- kernel: the kernel acts on it;
- accepted: there is nothing to do; it is always so, or mount(8) or systemd has acted on it;
- ignored: nothing is done, and one line of the log says so and why nothing is lost by it;
- refused: the mount fails, and the message says what to do instead.

A switch of s3fs-fuse may be written as `word=1`; `word=0` takes it back. What is in no table is
refused by its name, and with the advice for secrets if it looks like one.
";

fn document() -> String {
    let mut text = OPENING.to_owned();
    for section in SECTIONS {
        let title = section.title;
        let heading = format!("\n## {title}\n\n| word | is | |\n| --- | --- | --- |\n");
        text.push_str(&heading);
        for word in section.words {
            writeln!(text, "{}", row(word)).expect("a string takes what is written to it");
        }
    }
    text
}

fn row(word: &Word) -> String {
    let Word { name, about, .. } = word;
    let (value, is) = match word.meaning {
        Flag(flag) => ("", format!("`{flag}`")),
        Value(flag) => ("=", format!("`{flag}`")),
        Optional(flag, _) => ("[=]", format!("`{flag}`")),
        Acl => ("=", "`--acl`".to_owned()),
        DebugLevel => ("=", "`--log-level`".to_owned()),
        Encryption => ("[=]", "`--sse`, `--sse-c-key`".to_owned()),
        Config => ("=", "accepted".to_owned()),
        Kernel | KernelBy(_) => ("", "kernel".to_owned()),
        Always | Remount => ("", "accepted".to_owned()),
        Ignored | Unless(_) => ("", "ignored".to_owned()),
        Refused => ("", "refused".to_owned()),
    };
    let except = match word.meaning {
        Unless(advice) => format!("; `{name}=0` is refused: {advice}"),
        _ => String::new(),
    };
    let about = about.replace('|', "\\|");
    format!("| `{name}{value}` | {is} | {about}{except} |")
}
