//! Which permissions of AWS IAM an S3 operation needs: the words of a refusal. Knows no request and
//! no client library.

/// An operation and what a policy has to allow for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Needed {
    /// The S3 operations.
    pub operations: &'static [&'static str],
    /// Always.
    pub always: &'static str,
    /// Only in the cases named there; empty when there are none.
    pub sometimes: &'static str,
}

const fn row(
    operations: &'static [&'static str],
    always: &'static str,
    sometimes: &'static str,
) -> Needed {
    Needed {
        operations,
        always,
        sometimes,
    }
}

/// What each operation needs (Amazon S3 API reference, "Permissions" of each operation; Amazon S3
/// user guide, "Required permissions for Amazon S3 API operations" and "Using server-side
/// encryption with AWS KMS keys"). Directory buckets need `s3express:CreateSession` for all.
pub const TABLE: &[Needed] = &[
    row(
        &["ListObjectsV2", "ListObjects", "HeadBucket"],
        "s3:ListBucket on the bucket",
        "",
    ),
    row(
        &["HeadObject", "GetObject"],
        "s3:GetObject on the object",
        "s3:GetObjectVersion where the bucket keeps versions, s3:ListBucket on the bucket to learn \
         that an object is absent, kms:Decrypt on the key",
    ),
    row(
        &["PutObject"],
        "s3:PutObject on the object",
        "s3:PutObjectTagging with tags, s3:PutObjectAcl with acl, kms:GenerateDataKey on the key",
    ),
    row(
        &[
            "CreateMultipartUpload",
            "UploadPart",
            "CompleteMultipartUpload",
        ],
        "s3:PutObject on the object",
        "s3:PutObjectTagging with tags, s3:PutObjectAcl with acl, kms:GenerateDataKey and \
         kms:Decrypt on the key",
    ),
    row(
        &["CopyObject", "UploadPartCopy"],
        "s3:GetObject on the source and s3:PutObject on the destination",
        "s3:GetObjectVersion where the source's bucket keeps versions, s3:GetObjectTagging on the \
         source and s3:PutObjectTagging on the destination with tags, s3:PutObjectAcl with acl, \
         kms:Decrypt on the source's key and kms:GenerateDataKey on the destination's",
    ),
    row(
        &["RenameObject"],
        "s3express:CreateSession on the bucket",
        "",
    ),
    row(
        &["AbortMultipartUpload"],
        "s3:AbortMultipartUpload on the object",
        "",
    ),
    row(
        &["ListParts"],
        "s3:ListMultipartUploadParts on the object",
        "",
    ),
    row(
        &["ListMultipartUploads"],
        "s3:ListBucketMultipartUploads on the bucket",
        "",
    ),
    row(
        &["DeleteObject", "DeleteObjects"],
        "s3:DeleteObject on the object",
        "",
    ),
    row(
        &["GetObjectTagging"],
        "s3:GetObjectTagging on the object",
        "s3:GetObjectVersionTagging where the bucket keeps versions",
    ),
    row(
        &["PutObjectTagging"],
        "s3:PutObjectTagging on the object",
        "",
    ),
    row(
        &["DeleteObjectTagging"],
        "s3:DeleteObjectTagging on the object",
        "",
    ),
];

/// What to do about a refusal of that operation with that code.
pub fn advice(operation: &str, code: &str) -> String {
    // The store does not know who asks: no policy has been looked at.
    let is_unknown = matches!(
        code,
        "SignatureDoesNotMatch"
            | "InvalidAccessKeyId"
            | "InvalidSecurity"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidToken"
            | "Unauthorized"
            | "401"
    );
    const KEY: &str = "it needs the key of one's own that the object was stored with (sse_c_key), \
                       or none where it was stored without";
    match (operation, code) {
        ("HeadObject", "400") => return format!("{KEY}; or the credentials have expired"),
        (_, "InvalidRequest") => return KEY.to_owned(),
        _ => {}
    }
    let needed = TABLE.iter().find(|row| row.operations.contains(&operation));
    match needed {
        _ if is_unknown => "check the credentials".to_owned(),
        None => "check the credentials and the policy".to_owned(),
        Some(Needed {
            always,
            sometimes: "",
            ..
        }) => format!("it needs {always}; check the credentials and the policy"),
        Some(Needed {
            always, sometimes, ..
        }) => format!("it needs {always} (and {sometimes}); check the credentials and the policy"),
    }
}

#[cfg(test)]
mod tests {
    use super::{TABLE, advice};

    #[test]
    fn the_readme_has_the_table_of_permissions() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let readme = std::fs::read_to_string(path).unwrap();
        let rows = TABLE.iter().map(|row| {
            let operations = row.operations.join(", ");
            format!("| {operations} | {} | {} |\n", row.always, row.sometimes)
        });
        let table = rows.collect::<String>();
        assert!(readme.contains(&table), "README.md should have\n{table}");
    }

    #[test]
    fn every_operation_is_in_one_row() {
        let all = TABLE.iter().flat_map(|row| row.operations);
        let mut names: Vec<_> = all.collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_refusal_of_an_unknown_caller_asks_for_no_permission() {
        assert_eq!(
            advice("PutObject", "InvalidAccessKeyId"),
            "check the credentials"
        );
        let said = advice("ListObjectsV2", "AccessDenied");
        assert!(
            said.starts_with("it needs s3:ListBucket on the bucket;"),
            "{said}"
        );
        let said = advice("UploadPartCopy", "403");
        assert!(said.contains("s3:GetObject on the source"), "{said}");
        assert!(said.contains("s3:PutObject on the destination"), "{said}");
    }
}
