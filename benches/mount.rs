//! The mount beside bare requests: the same work, the same simulated store, one run. Prints
//! seconds, requests and object bytes; the ratio of two rows says something, a row alone does not.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures_util::{StreamExt, TryStreamExt, stream};
use s3fs::config::Bounds;
use s3fs::limits::{Limits, MIB};
use s3fs::sim::{Counters, Pace, Sim};
use tokio::runtime::Runtime;

#[path = "../tests/e2e/access.rs"]
mod access;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/e2e/mounted.rs"]
mod mounted;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/e2e/shell.rs"]
mod shell;

use access::Access;
use mounted::Mounted;

const BUCKET: &str = "bucket";
const LIMITS: Limits = Limits::aws();

/// The store, a mount of it, and a bare client with the mount's part sizes and parallelism.
struct Bench {
    runtime: Runtime,
    sim: Sim,
    client: Client,
    mounted: Mounted,
    size: u64,
}

fn main() {
    // `cargo bench` adds words of its own, such as `--bench`.
    let mib = std::env::args()
        .skip(1)
        .find_map(|word| word.parse().ok())
        .unwrap_or(2048_u64);
    println!("files of {mib} MiB; times are of this machine, now: compare within this run");
    let bench = Bench::new(mib * MIB);
    for delay in [Duration::ZERO, Duration::from_millis(20)] {
        bench.sim.set_pace(Pace {
            delay,
            ..Pace::default()
        });
        println!("\n{} ms added to every request", delay.as_millis());
        println!(
            "{:<44} {:>9} {:>9} {:>12} {:>12}",
            "", "seconds", "requests", "MiB up", "MiB down"
        );
        bench.copies();
        bench.append();
        bench.reads();
        bench.writes();
    }
    bench.mounted.unmount();
}

impl Bench {
    fn new(size: u64) -> Self {
        let runtime = Runtime::new().unwrap();
        let sim = runtime
            .block_on(Sim::builder().bucket(BUCKET).start("127.0.0.1:0"))
            .unwrap();
        let (access_key, secret_key) = Sim::ACCESS_KEY;
        let access = Access {
            url: sim.endpoint(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
        };
        let client = access.client();
        let mounted = Mounted::new(&access, &[BUCKET], "provider=aws");
        Self {
            runtime,
            sim,
            client,
            mounted,
            size,
        }
    }

    /// Zeros: the service keeps them without taking memory.
    fn fresh(&self) {
        for key in self.sim.keys(BUCKET) {
            self.sim.delete(BUCKET, &key);
        }
        self.sim.put_pattern(BUCKET, "a", self.size, 0);
        // Names are trusted for a second.
        std::thread::sleep(Duration::from_millis(1100));
    }

    fn copies(&self) {
        let size = format!("{} MiB", self.size / MIB);
        self.shell(&format!("cp, {size}"), "cp a b");
        self.bare("  bare parallel UploadPartCopy", async {
            self.bare_copy().await
        });
        // A name of its own: the kernel takes its time to drop the pages of a file that is cut.
        self.shell("  read and written: cat a | cat > d", "cat a | cat > d");
    }

    fn append(&self) {
        self.shell("append of 1 byte", "printf x >> a");
    }

    fn reads(&self) {
        self.shell("sequential read", "dd if=a of=/dev/null bs=1M status=none");
        self.bare("  bare parallel GET", async { self.bare_get().await });
    }

    fn writes(&self) {
        let script = format!(
            "dd if=/dev/zero of=c bs=1M count={} status=none",
            self.size / MIB
        );
        self.shell("sequential write", &script);
        self.bare("  bare parallel PUT of parts", async {
            self.bare_put().await
        });
    }

    fn shell(&self, what: &str, script: &str) {
        self.fresh();
        self.measure(what, || run(&self.mounted.dir(), script));
    }

    fn bare(&self, what: &str, work: impl Future<Output = ()>) {
        self.fresh();
        self.measure(what, || self.runtime.block_on(work));
    }

    fn measure(&self, what: &str, step: impl FnOnce()) {
        let before = self.sim.counters();
        let started = Instant::now();
        step();
        let seconds = started.elapsed().as_secs_f64();
        let cost: Counters = self.sim.counters() - &before;
        let total = cost.total();
        let mib = |bytes: u64| bytes as f64 / MIB as f64;
        println!(
            "{what:<44} {seconds:>9.2} {:>9} {:>12.3} {:>12.3}",
            total.requests,
            mib(total.bytes_up),
            mib(total.bytes_down)
        );
    }

    async fn bare_copy(&self) {
        let upload = self.start_upload("b").await;
        let part = LIMITS.copy_part_size;
        let copies = self.ranges(part).map(|(number, start, end)| {
            let request = self
                .client
                .upload_part_copy()
                .bucket(BUCKET)
                .key("b")
                .upload_id(&upload)
                .part_number(number)
                .copy_source(format!("{BUCKET}/a"))
                .copy_source_range(format!("bytes={start}-{}", end - 1));
            async move {
                let answer = request.send().await?;
                let etag = answer.copy_part_result().and_then(|part| part.e_tag());
                Ok::<_, anyhow::Error>(completed(number, etag))
            }
        });
        let parallel = Bounds::default().copy_requests_max;
        let parts = stream::iter(copies)
            .buffered(parallel)
            .try_collect()
            .await
            .unwrap();
        self.complete("b", &upload, parts).await;
    }

    async fn bare_get(&self) {
        // What the mount fetches with one request while it reads ahead.
        let gets = self.ranges(8 * MIB).map(|(_, start, end)| {
            let range = format!("bytes={start}-{}", end - 1);
            let request = self
                .client
                .get_object()
                .bucket(BUCKET)
                .key("a")
                .range(range);
            async move {
                let mut body = request.send().await?.body;
                while let Some(bytes) = body.try_next().await? {
                    std::hint::black_box(&bytes);
                }
                Ok::<_, anyhow::Error>(())
            }
        });
        stream::iter(gets)
            .buffered(8)
            .try_collect::<Vec<()>>()
            .await
            .unwrap();
    }

    async fn bare_put(&self) {
        let upload = self.start_upload("c").await;
        let part = LIMITS.upload_part_size;
        let zeros = bytes::Bytes::from(vec![0; part as usize]);
        let puts = self.ranges(part).map(|(number, start, end)| {
            let body = ByteStream::from(zeros.slice(..(end - start) as usize));
            let request = self
                .client
                .upload_part()
                .bucket(BUCKET)
                .key("c")
                .upload_id(&upload)
                .part_number(number)
                .body(body);
            async move {
                let answer = request.send().await?;
                Ok::<_, anyhow::Error>(completed(number, answer.e_tag()))
            }
        });
        let parallel = Bounds::default().upload_requests_max;
        let parts = stream::iter(puts)
            .buffered(parallel)
            .try_collect()
            .await
            .unwrap();
        self.complete("c", &upload, parts).await;
    }

    /// Part numbers with the range of each.
    fn ranges(&self, part: u64) -> impl Iterator<Item = (i32, u64, u64)> {
        let size = self.size;
        (0..size.div_ceil(part))
            .map(move |at| (at as i32 + 1, at * part, ((at + 1) * part).min(size)))
    }

    async fn start_upload(&self, key: &str) -> String {
        let request = self
            .client
            .create_multipart_upload()
            .bucket(BUCKET)
            .key(key);
        request
            .send()
            .await
            .unwrap()
            .upload_id()
            .unwrap()
            .to_owned()
    }

    async fn complete(&self, key: &str, upload: &str, parts: Vec<CompletedPart>) {
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(parts))
            .build();
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(BUCKET)
            .key(key);
        request
            .upload_id(upload)
            .multipart_upload(parts)
            .send()
            .await
            .unwrap();
    }
}

fn completed(number: i32, etag: Option<&str>) -> CompletedPart {
    CompletedPart::builder()
        .part_number(number)
        .e_tag(etag.unwrap_or_default())
        .build()
}

fn run(dir: &Path, script: &str) {
    let status = Command::new("bash")
        .args(["-ec", script])
        .current_dir(dir)
        .status()
        .unwrap();
    assert!(status.success(), "{script}: {status}");
}
