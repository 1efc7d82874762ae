//! What a store was seen to do, beside what its dialect claims. Pure: sends nothing.

use super::dialect::{Conditions, Dialect, Markers, MultipartETag, SizeCheck, Tagging};
use crate::config::Provider;
use crate::limits::{MIB, PartCopy};

/// How a store was seen to take a condition that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kept {
    /// It refused the request for that reason.
    Honoured,
    /// It did what was asked all the same.
    Ignored,
    /// It refused the request for another reason: the code or the status.
    Refused(String),
}

impl Kept {
    /// In a word or two.
    pub fn word(&self) -> String {
        match self {
            Self::Honoured => "honoured".to_owned(),
            Self::Ignored => "ignored".to_owned(),
            Self::Refused(code) => format!("refused ({code})"),
        }
    }
}

/// What a store was seen to do. `None` is what could not be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// A PutObject that must overwrite nothing.
    pub put_absent: Kept,
    /// A PutObject over an object that is another by now.
    pub put_unchanged: Kept,
    /// A CompleteMultipartUpload that must overwrite nothing.
    pub complete_absent: Kept,
    /// A DeleteObject of an object that is another by now.
    pub delete_unchanged: Kept,
    /// The same in DeleteObjects.
    pub delete_many_unchanged: Kept,
    /// `x-amz-copy-source-if-match` on CopyObject.
    pub copy_source: Kept,
    /// The same on UploadPartCopy.
    pub part_source: Kept,
    /// Whether a range was copied as a part: the size ListParts tells, or the reason why not.
    pub part_copied: Result<u64, String>,
    /// A range that ends behind the source.
    pub range_past_end: Kept,
    /// `x-amz-mp-object-size` that is not the size.
    pub object_size: Kept,
    /// Bytes of the least part tried that was taken before another.
    pub part_size_min: Option<u64>,
    /// Whether parts of different sizes were taken.
    pub unequal_parts: bool,
    /// The entity tag of an object made of two parts.
    pub multipart_etag: String,
    /// Whether a key with `%`, `+`, a blank, `//` and a letter beyond ASCII was listed, read and
    /// copied as it is.
    pub odd_keys: bool,
    /// Whether a key with a backslash was listed as it is.
    pub backslash: bool,
    /// Whether an object whose key ends in a slash kept its metadata.
    pub marker_metadata: bool,
    /// Whether the listing was in the order of keys.
    pub is_sorted: bool,
    /// Whether the store folded keys at `/` by itself.
    pub folds: bool,
    /// Whether a listing showed at once what was stored just before.
    pub lists_at_once: bool,
    /// Content-MD5 that is not the body's.
    pub content_md5: Kept,
    /// Whether DeleteObjects deleted.
    pub deletes_many: bool,
    /// Whether tags came back as they were set.
    pub tags: bool,
    /// Whether the bucket keeps versions.
    pub versions: bool,
}

/// A line of the comparison.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compared {
    /// What is compared.
    pub rule: &'static str,
    /// What the dialect says; empty where it says nothing.
    pub claimed: String,
    /// What was seen.
    pub seen: String,
    /// Whether the dialect trusts in more than was seen.
    pub is_contradicted: bool,
}

impl Seen {
    /// The comparison with a dialect, in a fixed order.
    pub fn compared(&self, dialect: &Dialect) -> Vec<Compared> {
        let mut lines = self.compared_writes(dialect);
        lines.extend(self.compared_copies(dialect));
        lines.extend(self.compared_parts(dialect));
        lines.extend(self.compared_names(dialect));
        lines
    }

    /// The lines of what a dialect trusts in and was not seen.
    pub fn contradicted(&self, dialect: &Dialect) -> Vec<&'static str> {
        let lines = self.compared(dialect).into_iter();
        let lines = lines.filter(|line| line.is_contradicted);
        lines.map(|line| line.rule).collect()
    }

    /// The provider to mount with: the one given if what was seen bears it, else AWS, which needs
    /// the fewest requests, else nobody's rules, else those of the only provider that does without
    /// the same. What every dialect trusts in and was not seen rules out none of them.
    pub fn suggested(&self, given: Provider) -> Provider {
        let [first, others @ ..] =
            Provider::ALL.map(|provider| self.contradicted(&Dialect::of(provider)));
        let mut by_all = first;
        by_all.retain(|rule| {
            others
                .iter()
                .all(|contradicted| contradicted.contains(rule))
        });
        let is_borne = |provider: &Provider| {
            let contradicted = self.contradicted(&Dialect::of(*provider));
            contradicted.iter().all(|rule| by_all.contains(rule))
        };
        let named = (given != Provider::Other).then_some(given);
        let known = named.into_iter().chain([Provider::Aws, Provider::Other]);
        if let Some(borne) = known.into_iter().find(is_borne) {
            return borne;
        }
        let mut borne = Provider::ALL.into_iter().filter(is_borne);
        match (borne.next(), borne.next()) {
            (Some(only), None) => only,
            _ => Provider::Other,
        }
    }

    /// `multipart_size` in MiB where the usual parts would be refused.
    pub fn suggested_part_mib(&self, dialect: &Dialect) -> Option<u64> {
        let min = self.part_size_min?;
        (min > dialect.limits.upload_part_size).then(|| min.div_ceil(MIB))
    }

    fn compared_writes(&self, dialect: &Dialect) -> Vec<Compared> {
        let absent = match dialect.forbid_overwrite {
            Some(header) => format!("{header}, and looked at"),
            None => conditions(dialect.write_conditions),
        };
        let trusts = dialect.write_conditions == Conditions::Honoured;
        let trusts_deletes = dialect.delete_conditions;
        let deletes = if trusts_deletes {
            "honoured"
        } else {
            "not sent"
        };
        vec![
            condition(
                "PutObject If-None-Match: *",
                &absent,
                trusts,
                &self.put_absent,
            ),
            condition(
                "PutObject If-Match",
                &conditions(dialect.write_conditions),
                trusts,
                &self.put_unchanged,
            ),
            condition(
                "CompleteMultipartUpload If-None-Match: *",
                &absent,
                trusts,
                &self.complete_absent,
            ),
            condition("PutObject Content-MD5", "", false, &self.content_md5),
            condition(
                "DeleteObject If-Match",
                deletes,
                trusts_deletes,
                &self.delete_unchanged,
            ),
            condition(
                "DeleteObjects with an ETag",
                deletes,
                trusts_deletes,
                &self.delete_many_unchanged,
            ),
        ]
    }

    fn compared_copies(&self, dialect: &Dialect) -> Vec<Compared> {
        let claimed = conditions(dialect.copy_conditions);
        let trusts = dialect.copy_conditions == Conditions::Honoured;
        let offers = dialect.limits.part_copy == PartCopy::Ranges;
        let part_copied = match &self.part_copied {
            Ok(bytes) => format!("a part of {bytes} bytes"),
            Err(code) => format!("refused ({code})"),
        };
        let is_lax = self.range_past_end == Kept::Ignored;
        vec![
            condition(
                "CopyObject x-amz-copy-source-if-match",
                &claimed,
                trusts,
                &self.copy_source,
            ),
            Compared {
                rule: "UploadPartCopy of a range",
                claimed: if offers { "offered" } else { "not offered" }.to_owned(),
                seen: part_copied,
                is_contradicted: offers && self.part_copied.is_err(),
            },
            condition(
                "UploadPartCopy x-amz-copy-source-if-match",
                &claimed,
                trusts && self.part_copied.is_ok(),
                &self.part_source,
            ),
            Compared {
                rule: "UploadPartCopy of a range past the end",
                claimed: match dialect.size_check {
                    SizeCheck::ByStore => "refused".to_owned(),
                    SizeCheck::ByParts => "verified by ListParts".to_owned(),
                },
                seen: match &self.range_past_end {
                    Kept::Honoured => "refused".to_owned(),
                    other => other.word(),
                },
                is_contradicted: is_lax && dialect.size_check == SizeCheck::ByStore,
            },
        ]
    }

    fn compared_parts(&self, dialect: &Dialect) -> Vec<Compared> {
        let limits = &dialect.limits;
        let by_store = dialect.size_check == SizeCheck::ByStore;
        let size = if by_store { "honoured" } else { "" };
        let is_numbered = self.multipart_etag.trim_matches('"').ends_with("-2");
        let numbered = match dialect.multipart_etag {
            MultipartETag::Numbered => "ends in -2",
            MultipartETag::Opaque => "anything",
        };
        vec![
            condition("x-amz-mp-object-size", size, by_store, &self.object_size),
            Compared {
                rule: "least part",
                claimed: format!("{} bytes", limits.part_size_min),
                seen: self
                    .part_size_min
                    .map_or("none tried was taken".to_owned(), |min| {
                        format!("{min} bytes or less")
                    }),
                is_contradicted: self
                    .part_size_min
                    .is_none_or(|min| min > limits.part_size_min),
            },
            Compared {
                rule: "parts of different sizes",
                claimed: if limits.parts_equal {
                    "refused"
                } else {
                    "taken"
                }
                .to_owned(),
                seen: if self.unequal_parts {
                    "taken"
                } else {
                    "refused"
                }
                .to_owned(),
                is_contradicted: !limits.parts_equal && !self.unequal_parts,
            },
            Compared {
                rule: "ETag of two parts",
                claimed: numbered.to_owned(),
                seen: self.multipart_etag.clone(),
                is_contradicted: dialect.multipart_etag == MultipartETag::Numbered && !is_numbered,
            },
        ]
    }

    fn compared_names(&self, dialect: &Dialect) -> Vec<Compared> {
        let plain = |rule, claimed: &str, is_so: bool, is_contradicted| Compared {
            rule,
            claimed: claimed.to_owned(),
            seen: if is_so { "yes" } else { "no" }.to_owned(),
            is_contradicted,
        };
        let is_sorted = dialect.listing.is_sorted;
        let is_consistent = dialect.listing.is_consistent;
        let tags = dialect.tagging == Tagging::Offered;
        let backslash = !dialect.limits.backslash_is_slash;
        let word = |is_so| if is_so { "yes" } else { "no" };
        vec![
            plain(
                "keys of any characters",
                "yes",
                self.odd_keys,
                !self.odd_keys,
            ),
            plain(
                "keys with a backslash",
                word(backslash),
                self.backslash,
                backslash && !self.backslash,
            ),
            plain(
                "metadata of a key that ends in a slash",
                match dialect.markers {
                    Markers::Objects => "yes",
                    Markers::Unverified => "looked at",
                    Markers::Directories => "no",
                },
                self.marker_metadata,
                dialect.markers == Markers::Objects && !self.marker_metadata,
            ),
            plain(
                "listing in the order of keys",
                word(is_sorted),
                self.is_sorted,
                is_sorted && !self.is_sorted,
            ),
            plain("listing folded by the store", "", self.folds, false),
            plain(
                "listing shows what was just stored",
                word(is_consistent),
                self.lists_at_once,
                is_consistent && !self.lists_at_once,
            ),
            plain("DeleteObjects", "", self.deletes_many, false),
            plain("tags", word(tags), self.tags, tags && !self.tags),
            plain("the bucket keeps versions", "", self.versions, false),
        ]
    }
}

fn condition(rule: &'static str, claimed: &str, trusts: bool, seen: &Kept) -> Compared {
    Compared {
        rule,
        claimed: claimed.to_owned(),
        seen: seen.word(),
        is_contradicted: trusts && *seen != Kept::Honoured,
    }
}

fn conditions(conditions: Conditions) -> String {
    match conditions {
        Conditions::Honoured => "honoured",
        Conditions::Unverified => "sent, and looked at",
        Conditions::AbsentOnly => "sent for absence, and looked at",
        Conditions::None => "not sent",
    }
    .to_owned()
}
