//! The scenarios of `copy`, `edit` and `files` against a real server: SeaweedFS.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::access::Access;
use crate::shell::spawn;
use crate::store::Store;
use crate::{copy, edit, files};

const BUCKET: &str = "bucket";

/// A running server; it ends with the value.
struct SeaweedFs {
    child: Child,
    access: Access,
    store: Store,
    _dir: TempDir,
}

impl SeaweedFs {
    fn start() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let weed = std::env::var_os("S3FS_TEST_WEED")
            .map_or_else(|| root.join("target/venv/bin/weed"), PathBuf::from);
        assert!(
            weed.exists(),
            "{} is not there: tests/run installs it",
            weed.display()
        );
        let dir = tempfile::tempdir().unwrap();
        let (id, secret) = ("tests", "0123456789abcdef");
        let config = format!(
            r#"{{"identities": [{{"name": "tests", "actions": ["Admin"],
            "credentials": [{{"accessKey": "{id}", "secretKey": "{secret}"}}]}}]}}"#
        );
        std::fs::write(dir.path().join("s3.json"), config).unwrap();
        let ports = free_ports::<8>();
        let log = File::create(dir.path().join("log")).unwrap();
        let child = spawn(
            Command::new(weed)
                .arg("server")
                .arg(format!("-dir={}", dir.path().display()))
                .args([
                    "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1",
                    "-filer",
                    "-s3",
                    "-volume.max=0",
                ])
                .arg(format!(
                    "-s3.config={}",
                    dir.path().join("s3.json").display()
                ))
                .args(["-master.volumeSizeLimitMB=1024", "-master.telemetry=false"])
                .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
                .args(["-s3.allowDeleteBucketNotEmpty=false"])
                .arg(format!("-master.port={}", ports[0]))
                .arg(format!("-master.port.grpc={}", ports[1]))
                .arg(format!("-volume.port={}", ports[2]))
                .arg(format!("-volume.port.grpc={}", ports[3]))
                .arg(format!("-filer.port={}", ports[4]))
                .arg(format!("-filer.port.grpc={}", ports[5]))
                .arg(format!("-s3.port={}", ports[6]))
                .arg(format!("-s3.port.grpc={}", ports[7]))
                .current_dir(dir.path())
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log),
        );
        let access = Access {
            url: format!("http://127.0.0.1:{}", ports[6]),
            access_key: id.to_owned(),
            secret_key: secret.to_owned(),
        };
        let store = Store::new(&access);
        let server = Self {
            child,
            access,
            store,
            _dir: dir,
        };
        server.wait_until_ready();
        server
    }

    /// It answers before it can store: a bucket and an object in it tell.
    fn wait_until_ready(&self) {
        let started = Instant::now();
        while !self.store.try_put(BUCKET, "ready") {
            self.store.make_bucket(BUCKET);
            assert!(
                started.elapsed() < Duration::from_secs(90),
                "SeaweedFS does not start"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for SeaweedFs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

#[test]
fn copies_edits_and_conflicts_are_right_against_seaweedfs() {
    let server = SeaweedFs::start();
    let (access, store) = (&server.access, &server.store);
    copy::copies(access, store, BUCKET);
    edit::edits(access, store, BUCKET);
    copy::source_replaced(access, store, BUCKET);
    files::replaced_while_edited(access, store, BUCKET);
    files::replaced_while_read(access, store, BUCKET);
}
