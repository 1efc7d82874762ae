//! The table of providers agrees with itself, and with the document made of it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{
    Addressing, Conditions, Dialect, ListVersion, Markers, MultipartETag, SizeCheck, Tagging,
};
use crate::config::Provider;
use crate::limits::{GIB, PartCopy};

#[test]
fn five_decimal_gigabytes_bound_parts_and_puts_of_an_unknown_store() {
    let limits = Dialect::strict().limits;
    assert!(limits.part_size_max < 5_000_000_000);
    assert!(limits.put_max < 5_000_000_000);
}

#[test]
fn every_dialect_has_a_word_of_its_own_and_limits_that_agree() {
    let dialects = Provider::ALL.map(Dialect::of);
    for (at, dialect) in dialects.iter().enumerate() {
        let Dialect { name, limits, .. } = dialect;
        assert_eq!(Provider::of_name(name), Some(Provider::ALL[at]));
        assert!(limits.part_size_max >= 2 * limits.part_size_min, "{name}");
        assert!(
            limits.copy_object_preferred_max <= limits.copy_object_max,
            "{name}"
        );
        assert!(limits.copy_part_size <= limits.part_size_max, "{name}");
        assert!(limits.upload_part_size >= limits.part_size_min, "{name}");
        // Else a page does not tell which keys belong on it.
        let listing = dialect.listing;
        assert!(
            listing.is_consistent || !listing.is_sorted || listing.version == ListVersion::One,
            "{name}"
        );
        assert!((1..=1000).contains(&dialect.delete_many_max), "{name}");
    }
}

#[test]
fn a_provider_is_suggested_by_the_end_of_its_host_names() {
    let suggested = |host| Dialect::suggested(host).map(|dialect| dialect.name);
    assert_eq!(suggested("s3.oss-cn-hangzhou.aliyuncs.com"), Some("oss"));
    assert_eq!(suggested("cos.ap-guangzhou.myqcloud.com"), Some("cos"));
    assert_eq!(suggested("obs.eu-de.otc.t-systems.com"), Some("obs"));
    assert_eq!(suggested("kr.ncloudstorage.com"), Some("ncloud"));
    assert_eq!(suggested("ncloudstorage.com"), Some("ncloud"));
    assert_eq!(suggested("notamazonaws.com"), None);
    assert_eq!(suggested("s3.example.com"), None);
}

#[test]
fn the_document_of_providers_says_what_the_table_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let written = fs::read_to_string(root.join("doc/providers.md")).unwrap_or_default();
    let wanted = document();
    if written != wanted {
        let new = root.join("target/providers.md");
        fs::write(&new, wanted).expect("the build directory can be written to");
        panic!(
            "doc/providers.md is not what the table says; see {}",
            new.display()
        );
    }
}

fn document() -> String {
    let mut text = String::from(
        "# Providers\n\n\
         What `provider=NAME` stands for: the table in `src/store/dialect`. What no\n\
         source states has the safe value: a limit the least of those known, and a promise is\n\
         verified by a HEAD. Sizes are in bytes unless they have a unit.\n",
    );
    for dialect in Provider::ALL.map(Dialect::of) {
        describe(&mut text, &dialect).expect("a string takes what is written to it");
    }
    text
}

fn describe(text: &mut String, dialect: &Dialect) -> std::fmt::Result {
    let (name, title) = (dialect.name, dialect.title);
    writeln!(text, "\n## `{name}`: {title}\n\n| | |\n| --- | --- |")?;
    for (what, value) in reached(dialect)
        .into_iter()
        .chain(allowed(dialect))
        .chain(kept(dialect))
    {
        writeln!(text, "| {what} | {value} |")?;
    }
    if !dialect.sources.is_empty() {
        writeln!(text, "\nSources:\n")?;
    }
    for (fields, source) in dialect.sources {
        writeln!(text, "- {fields}: {source}")?;
    }
    Ok(())
}

type Rows = Vec<(&'static str, String)>;

fn reached(dialect: &Dialect) -> Rows {
    let mut rows = Rows::new();
    let hosts: Vec<String> = dialect
        .hosts
        .iter()
        .map(|end| format!("`*.{end}`"))
        .collect();
    if !hosts.is_empty() {
        rows.push(("endpoints", hosts.join(", ")));
    }
    if let Some(start) = dialect.server {
        rows.push(("recognised by `Server`", format!("`{start}...`")));
    }
    let named = match dialect.addressing {
        Addressing::Host => "host name",
        Addressing::HostOnly => "host name only",
        Addressing::Path => "path",
    };
    rows.push(("bucket named in the", named.to_owned()));
    rows.push((
        "region where none is configured",
        format!("`{}`", dialect.region),
    ));
    rows
}

fn allowed(dialect: &Dialect) -> Rows {
    let limits = &dialect.limits;
    let (min, max) = (bytes(limits.part_size_min), bytes(limits.part_size_max));
    let equal = if limits.parts_equal {
        ", all but the last equal"
    } else {
        ""
    };
    let count = limits.part_count_max;
    let copied = match limits.part_copy {
        PartCopy::Ranges => "yes",
        PartCopy::None => "no",
    };
    let backslash = match limits.backslash_is_slash {
        false => "as it is",
        true => "U+201B and `5C`",
    };
    vec![
        ("a backslash in a name is stored as", backslash.to_owned()),
        ("parts", format!("{min} to {max}, at most {count}{equal}")),
        ("parts copied from objects", copied.to_owned()),
        ("one PutObject", bytes(limits.put_max)),
        (
            "added to an object in its place",
            match limits.append_max {
                0 => "nothing".to_owned(),
                max => bytes(max),
            },
        ),
        ("one CopyObject", bytes(limits.copy_object_max)),
        ("object", bytes(limits.object_size_max)),
        (
            "keys of one DeleteObjects",
            dialect.delete_many_max.to_string(),
        ),
    ]
}

fn kept(dialect: &Dialect) -> Rows {
    let mut rows = vec![
        ("conditions on copies", conditions(dialect.copy_conditions)),
        ("conditions on writes", conditions(dialect.write_conditions)),
        (
            "conditions on deletes",
            match dialect.delete_conditions {
                true => "honoured".to_owned(),
                false => "not sent".to_owned(),
            },
        ),
    ];
    if dialect.decodes_part_source_twice {
        let whence = "keys without a percent sign only";
        rows.push(("parts copied from", whence.to_owned()));
    }
    if let Some(name) = dialect.forbid_overwrite {
        rows.push(("header for `If-None-Match: *`", format!("`{name}`")));
    }
    let renamed = if dialect.renames {
        "by RenameObject"
    } else {
        "by a copy and a delete"
    };
    rows.push(("objects renamed", renamed.to_owned()));
    rows.push(("listed by", listing(dialect)));
    let size = match dialect.size_check {
        SizeCheck::ByStore => "by the store (`x-amz-mp-object-size`)",
        SizeCheck::ByParts => "by ListParts, before it is published",
    };
    let etag = match dialect.multipart_etag {
        MultipartETag::Numbered => "ends in `-` and the number of parts",
        MultipartETag::Opaque => "anything",
    };
    let tags = match dialect.tagging {
        Tagging::Offered => "kept",
        Tagging::None => "not asked for",
        Tagging::Dropped => "dropped by copies",
    };
    rows.push(("size of what was made of parts, verified", size.to_owned()));
    rows.push(("its entity tag", etag.to_owned()));
    rows.push(("tags", tags.to_owned()));
    let markers = match dialect.markers {
        Markers::Objects => "with the metadata of its object `dir/`",
        Markers::Unverified => "with the metadata of its object `dir/`; the first is looked at",
        Markers::Directories => "with parameters of its Content-Type",
    };
    rows.push(("attributes of a directory stored", markers.to_owned()));
    rows
}

fn listing(dialect: &Dialect) -> String {
    let mut text = match dialect.listing.version {
        ListVersion::One => "ListObjects".to_owned(),
        ListVersion::Two => "ListObjectsV2".to_owned(),
    };
    if !dialect.listing.is_url_encoded {
        text.push_str(", keys not encoded");
    }
    if !dialect.listing.is_sorted {
        text.push_str(", in no order");
    }
    if !dialect.listing.is_consistent {
        text.push_str(", own changes of the last minute looked at by HEAD");
    }
    text
}

fn conditions(conditions: Conditions) -> String {
    let text = match conditions {
        Conditions::Honoured => "honoured",
        Conditions::Unverified => "sent, and verified by HEAD",
        Conditions::AbsentOnly => "`If-None-Match: *` sent, and all verified by HEAD",
        Conditions::None => "not sent; HEAD instead",
    };
    text.to_owned()
}

/// A size in the largest unit that divides it.
fn bytes(count: u64) -> String {
    let units = [
        ("TiB", 1024 * GIB),
        ("GiB", GIB),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
    ];
    let exact = units.iter().find(|(_, unit)| count.is_multiple_of(*unit));
    exact.map_or_else(
        || count.to_string(),
        |(name, unit)| format!("{} {name}", count / unit),
    )
}
