//! `s3fs demo`: buckets made up by the S3 service inside the program, mounted, with what to try.
//! Needs no network, no account and no configuration.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::run::{Failure, NOT_MOUNTED, Told, USAGE, fail, runtime, serve_until_told};
use super::upgrade::Standing;
use super::{DemoCommand, resolve};
use crate::config::{
    AttributeSource, Bounds, Config, Provider, Source, StaticCredentials, StoreConfig,
};
use crate::limits::{GIB, MIB};
use crate::mount::LiveMount;
use crate::object::BucketName;
use crate::sim::{Counters, REGION, Sim};
use crate::telemetry::{self, Filter, Sink};

/// The buckets, and so the top-level directories.
const BUCKETS: [&str; 2] = ["demo", "demo2"];
/// The key id the service knows; the secret is made up for each run.
const ACCESS_KEY_ID: &str = "S3FSDEMO";
/// The large object: made of a pattern, so it takes no memory and no disk.
const BIG: (&str, u64) = ("big.bin", 10 * GIB);
/// How long no request must have come before a line is printed of those that did.
const QUIET: Duration = Duration::from_millis(500);

const KIB: u64 = 1 << 10;

/// Runs until the mount ends or the program is told to; returns the exit code.
pub(super) fn run(command: &DemoCommand) -> u8 {
    let filter = match Filter::parse(&command.log_level) {
        Ok(filter) => filter,
        Err(error) => return fail(USAGE, &error),
    };
    telemetry::start(&filter, Sink::Stderr);
    let made = match make_dir(&command.dir) {
        Ok(made) => made,
        Err(error) => return fail(NOT_MOUNTED, &format!("{}: {error}", command.dir.display())),
    };
    let code = serve(command).unwrap_or_else(|failure| fail(failure.code, &failure));
    if made {
        // Only if it is empty, as it should be; somebody may have put something there.
        let _ = fs::remove_dir(&command.dir);
    }
    code
}

/// Whether the directory had to be made.
fn make_dir(dir: &Path) -> io::Result<bool> {
    match fs::create_dir(dir) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn serve(command: &DemoCommand) -> Result<u8, Failure> {
    let runtime = runtime()?;
    let code = runtime.block_on(async {
        let secret = format!("{:032x}", fastrand::u128(..));
        let sim = service(command, &secret).await?;
        let config = config(command, &sim, secret);
        let mut live = LiveMount::start(&config, runtime.handle()).await?;
        let standing = Standing {
            log_level: command.log_level.clone(),
            link: None,
        };
        println!("{}", introduction(live.path(), &sim.endpoint()));
        let code = tokio::select! {
            code = serve_until_told(&mut live, &standing, Told::listen()?) => code?,
            () = narrate(&sim) => 0,
        };
        println!("In all: {}", Line(&sim.counters()));
        Ok::<_, Failure>(code)
    })?;
    runtime.shutdown_background();
    Ok(code)
}

async fn service(command: &DemoCommand, secret: &str) -> io::Result<Sim> {
    let mut builder = Sim::builder().access_key(ACCESS_KEY_ID, secret);
    for bucket in BUCKETS {
        builder = builder.bucket(bucket);
    }
    if let Some(dir) = &command.keep {
        builder = builder.dir(dir);
    }
    let sim = builder.start("127.0.0.1:0").await?;
    let [first, second] = BUCKETS;
    if sim.stat(first, BIG.0).is_none() {
        sim.put(first, "hello.txt", "Hello from an object.\n");
        sim.put(first, "a", "first, ");
        sim.put(first, "b", "second\n");
        sim.put(
            first,
            "docs/guide.txt",
            "Every file here is one object, every object one file.\n",
        );
        sim.put(second, "other.txt", "Another bucket of the same store.\n");
        sim.put_pattern(first, BIG.0, BIG.1, 0);
    }
    sim.reset_counters();
    Ok(sim)
}

fn config(command: &DemoCommand, sim: &Sim, secret: String) -> Config {
    let source = |name: &str| Source {
        bucket: BucketName::new(name),
        prefix: String::new(),
        name: name.to_owned(),
    };
    Config {
        sources: BUCKETS.map(source).to_vec(),
        shown_source: "s3fs-demo".to_owned(),
        mountpoint: command.dir.clone(),
        store: StoreConfig {
            endpoint: Some(sim.endpoint()),
            provider: Some(Provider::Aws),
            region: Some(REGION.to_owned()),
            path_style: true,
            // Made up for this run: what the user has is neither needed nor looked at.
            credentials: Some(StaticCredentials {
                access_key_id: ACCESS_KEY_ID.to_owned(),
                secret_access_key: secret,
            }),
            ..StoreConfig::default()
        },
        ownership: resolve::default_ownership(None),
        attributes: AttributeSource::default(),
        close_to_open: true,
        save_killed: false,
        bounds: Bounds::default(),
        read_only: false,
        allow_other: false,
        nonempty: false,
        kernel_options: Vec::new(),
        share_cache: false,
        kernel_resends: true,
    }
}

fn introduction(dir: &Path, endpoint: &str) -> String {
    let [first, second] = BUCKETS;
    let (dir, big) = (dir.display(), BIG.0);
    format!(
        "\
Two buckets of an S3 service inside this program ({endpoint}) are mounted at
    {dir}
In another terminal, try

    ls -l {dir}/{first}
    cp {dir}/{first}/{big} {dir}/{first}/copy.bin      # 10 GiB, copied by the service
    cp {dir}/{first}/{big} {dir}/{second}/             # from bucket to bucket, too
    cat {dir}/{first}/{big} {dir}/{first}/copy.bin > {dir}/{second}/both.bin
    mv {dir}/{first}/copy.bin {dir}/{second}/moved.bin
    echo one more line >> {dir}/{second}/both.bin    # sends a few MiB of 20 GiB
    cat {dir}/{first}/hello.txt

and see below what the service was asked for. Ctrl-C here, or umount {dir}, ends it.
"
    )
}

/// Prints what the service was asked for, whenever it has been quiet for a while.
async fn narrate(sim: &Sim) {
    let mut told = sim.counters();
    let mut seen = told.clone();
    let mut ticks = tokio::time::interval(QUIET);
    loop {
        ticks.tick().await;
        let now = sim.counters();
        let under_way = BUCKETS.iter().any(|bucket| !sim.uploads(bucket).is_empty());
        if now != told && now == seen && !under_way {
            println!("{}", Line(&(now.clone() - &told)));
            told = now.clone();
        }
        seen = now;
    }
}

/// Counters in a line.
struct Line<'a>(&'a Counters);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.total();
        let (up, down) = (Size(total.bytes_up), Size(total.bytes_down));
        write!(
            f,
            "object bytes sent {up}, fetched {down}; requests {}:",
            total.requests
        )?;
        for (operation, requests) in self.0.requests() {
            write!(f, " {operation:?} {requests}")?;
        }
        Ok(())
    }
}

/// Bytes as people read them.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes < 10 * KIB => write!(f, "{bytes} B"),
            bytes if bytes < 10 * MIB => write!(f, "{} KiB", bytes / KIB),
            bytes if bytes < 10 * GIB => write!(f, "{} MiB", bytes / MIB),
            bytes => write!(f, "{} GiB", bytes / GIB),
        }
    }
}
