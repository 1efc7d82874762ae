//! Mounts S3 buckets as a filesystem in which copying is done by the store. See ARCHITECTURE.md
//! for the map of the code; modules are listed lowest first.

pub mod attributes;
pub mod interrupt;
pub mod limits;
pub mod object;
pub mod range;

pub mod extent;
pub mod plan;

pub mod store;

pub mod lock;

pub mod journal;

pub mod cache;
pub mod readahead;
pub mod staging;

pub mod config;

pub mod commit;
pub mod file;
pub mod namespace;

pub mod fs;

pub mod fuse;
pub mod mount;

pub mod cli;
#[cfg(feature = "sim")]
pub mod sim;
pub mod telemetry;
