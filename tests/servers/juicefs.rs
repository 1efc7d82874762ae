//! The gateway of JuiceFS: MinIO's S3 of 2022 over a filesystem, here with its metadata in SQLite
//! and its blocks in a directory.

use super::processes::{Processes, free_ports, installed};
use super::{ACCESS_KEY, SECRET_KEY};

const METADATA: &str = "sqlite3://meta.db";

/// Starts it; returns its port.
pub fn start(processes: &mut Processes) -> u16 {
    let dir = processes.dir().to_owned();
    let blocks = dir.join("blocks/");
    let mut format = installed("juicefs");
    format
        .args(["format", "--storage", "file", "--trash-days", "0"])
        .arg("--bucket")
        .arg(blocks)
        .args([METADATA, "tests"]);
    processes.run(&mut format);
    let [port, metrics] = free_ports();
    let mut gateway = installed("juicefs");
    gateway
        .args(["gateway", METADATA, &format!("127.0.0.1:{port}")])
        .args(["--multi-buckets", "--keep-etag", "--object-meta"])
        .args(["--object-tag", "--no-banner", "--no-usage-report"])
        .args(["--no-bgjob", "--cache-size", "0"])
        .args(["--metrics", &format!("127.0.0.1:{metrics}")])
        .arg("--cache-dir")
        .arg(dir.join("cache"))
        .arg("--log")
        .arg(dir.join("log"))
        .env("MINIO_ROOT_USER", ACCESS_KEY)
        .env("MINIO_ROOT_PASSWORD", SECRET_KEY);
    processes.spawn(&mut gateway);
    port
}
