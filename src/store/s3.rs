//! The aws-sdk-s3 client of one bucket; one file an operation family.
