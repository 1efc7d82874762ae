//! An in-process S3 service with AWS's rules, faults, delays and request counters: it backs `s3fs demo` and the tests.
