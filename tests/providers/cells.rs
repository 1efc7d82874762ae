//! What is done to each provider: one function a column. A cell panics, passes, or says in the
//! words of the provider's sources why it is not offered.

use s3fs::config::{CustomerKey, Encryption};
use s3fs::fs::FsResult;
use s3fs::limits::{GIB, Limits, MIB, PartCopy};
use s3fs::object::BucketName;
use s3fs::range::ByteRange;
use s3fs::sim::rules::{Conditions, CustomerKeys, PartCopies};
use s3fs::sim::{Counters, Operation, Rules, Sim, State, pattern_byte};
use s3fs::store::ObjectHeaders;
use s3fs::store::dialect::Dialect;

use crate::world::{BUCKET, World};

/// The bucket under another key.
pub const OTHER: &str = "other";
/// The bucket of a row whose buckets are directory buckets: by such a name, and no other, the
/// client library makes sessions.
pub const DIRECTORY: &str = "bucket--usw2-az1--x-s3";
/// Bytes of a part that every provider takes.
pub const SMALL_PARTS: u64 = 5 * MIB;

/// How a cell ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    Pass,
    /// The provider has it not; where that is written.
    NotOffered(String),
}

pub type Cell = fn(&Row) -> Outcome;

/// The columns of the matrix.
pub const COLUMNS: &[(&str, Cell)] = &[
    ("cp small", cp_small),
    ("cp above single-copy limit", cp_large),
    ("cat of two", cat),
    ("append", append),
    ("overwrite in the middle", overwrite),
    ("truncate", truncate),
    ("mv file", mv_file),
    ("mv directory", mv_directory),
    ("replaced source", replaced),
    ("exclusive create", exclusive),
    ("cold source refused", cold),
    ("deleted source", deleted),
    ("versioned source", versioned),
    ("SSE-C to another key", rekeyed),
];

/// A provider: what it does, and what the client takes it to do.
pub struct Row {
    rules: Rules,
    dialect: Dialect,
    bucket: &'static str,
}

/// What an object must hold, run after run.
pub enum Run {
    /// Bytes of a pattern: its seed, where they start in it, how many.
    Pattern(u64, u64, u64),
    Bytes(&'static [u8]),
}

impl Row {
    pub fn new(mut rules: Rules, dialect: Dialect) -> Self {
        // A second between two writes of a key is waited for in a test of its own.
        rules.requests.write_interval = std::time::Duration::ZERO;
        let bucket = match rules.requests.no_session {
            Some(_) => DIRECTORY,
            None => BUCKET,
        };
        Self {
            rules,
            dialect,
            bucket,
        }
    }

    pub const fn name(&self) -> &'static str {
        self.rules.name
    }

    pub fn world(&self) -> World {
        let builder = Sim::builder().rules(self.rules.clone()).bucket(self.bucket);
        World::built(builder, self.dialect.clone(), |config| {
            if self.bucket == DIRECTORY {
                config.sources[0].bucket = BucketName::new(DIRECTORY);
                // A directory bucket is never named in the path, but behind an address.
                config.store.path_style = false;
            }
        })
    }

    fn versioned(&self) -> World {
        World::of(self.rules.clone(), self.dialect.clone(), true)
    }

    fn check(&self, world: &World, key: &str, runs: &[Run]) {
        check_in(self.bucket, &world.sim, key, runs);
    }

    /// Two buckets, each under a key of its own, that are copied in parts of that size.
    pub fn keyed(&self, copy_part_size: u64) -> World {
        let builder = Sim::builder().rules(self.rules.clone());
        let limits = Limits {
            copy_object_preferred_max: copy_part_size,
            copy_part_size,
            ..self.dialect.limits.clone()
        };
        let dialect = Dialect {
            limits,
            ..self.dialect.clone()
        };
        World::built(builder.bucket(BUCKET).bucket(OTHER), dialect, |config| {
            let mut other = config.sources[0].clone();
            other.bucket = BucketName::new(OTHER);
            other.name = OTHER.to_owned();
            config.sources.push(other);
            let encryption = &mut config.store.encryption;
            encryption.usual = Encryption::Customer(CustomerKey::new([1; 32]));
            let key = Encryption::Customer(CustomerKey::new([2; 32]));
            encryption.otherwise.insert(BucketName::new(OTHER), key);
        })
    }

    /// Why the provider has not what a field tells of.
    fn not_offered(&self, field: &str) -> Outcome {
        let has = |(fields, _): &&(&str, &str)| fields.split(", ").any(|name| name == field);
        let (_, source) = self.rules.sources.iter().find(has).unwrap();
        Outcome::NotOffered(format!("{}: {source}", self.name()))
    }

    fn copies_parts(&self) -> bool {
        let copies = &self.rules.copies;
        copies.part_copies == PartCopies::Offered && self.rules.limits.part_copy == PartCopy::Ranges
    }

    /// Checks that no more object bytes than these went up and down, where parts can be copied and
    /// need not be equal.
    fn check_moved(&self, cost: &Counters, (up_max, down_max): (u64, u64)) {
        let (up, down) = (cost.total().bytes_up, cost.total().bytes_down);
        if self.copies_parts() && !self.rules.limits.parts_equal {
            assert!(up <= up_max && down <= down_max, "{up} up, {down} down");
        }
    }
}

/// What `step` costs.
fn cost(world: &World, step: impl AsyncFnOnce(&World)) -> Counters {
    world.sim.settle();
    let before = world.sim.counters();
    world.run(step(world));
    world.sim.counters() - &before
}

/// Checks that an object holds that, and that no upload was left on the way.
pub fn check(sim: &State, key: &str, runs: &[Run]) {
    check_in(BUCKET, sim, key, runs);
}

fn check_in(bucket: &str, sim: &State, key: &str, runs: &[Run]) {
    let is_right = holds_in(bucket, sim, key, runs);
    assert!(is_right, "{key}: {:?}", sim.stat(bucket, key));
    check_no_upload_in(bucket, sim);
}

/// Whether an object holds that: both ends of every run and its middle are looked at.
pub fn holds(sim: &State, key: &str, runs: &[Run]) -> bool {
    holds_in(BUCKET, sim, key, runs)
}

fn holds_in(bucket: &str, sim: &State, key: &str, runs: &[Run]) -> bool {
    let Some(stat) = sim.stat(bucket, key) else {
        return false;
    };
    let mut at = 0;
    for run in runs {
        let (len, byte): (u64, &dyn Fn(u64) -> u8) = match run {
            Run::Pattern(seed, from, len) => {
                (*len, &move |o| s3fs::sim::pattern_byte(*seed, from + o))
            }
            Run::Bytes(bytes) => (bytes.len() as u64, &move |o| bytes[o as usize]),
        };
        for from in [0, len / 2, len.saturating_sub(50)] {
            let to = len.min(from + 50);
            if at + to > stat.size {
                return false;
            }
            let range = ByteRange::new(at + from, at + to);
            let expected: Vec<u8> = (from..to).map(byte).collect();
            if sim.content_of(bucket, key, range) != Some(expected) {
                return false;
            }
        }
        at += len;
    }
    stat.size == at
}

/// Uploads that failed are aborted, if not at once.
pub fn check_no_upload(sim: &State) {
    check_no_upload_in(BUCKET, sim);
}

fn check_no_upload_in(bucket: &str, sim: &State) {
    for _ in 0..1000 {
        if sim.uploads(bucket).is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("left under way: {:?}", sim.uploads(bucket));
}

/// Whether it failed, and by that meaning.
pub fn is_of(result: &FsResult<()>, meaning: &str) -> bool {
    matches!(result, Err(error) if format!("{error:?}").contains(meaning))
}

/// `cp a b` where `a` is one object of `size` bytes.
fn copy_one(row: &Row, size: u64) -> Outcome {
    let world = row.world();
    world.sim.put_pattern(row.bucket, "a", size, 1);
    let cost = cost(&world, async |world| {
        world.concatenate(&["a"], "b").await.unwrap();
    });
    assert_eq!((cost.total().bytes_up, cost.total().bytes_down), (0, 0));
    row.check(&world, "b", &[Run::Pattern(1, 0, size)]);
    Outcome::Pass
}

fn cp_small(row: &Row) -> Outcome {
    copy_one(row, 4096)
}

/// Where one CopyObject takes any object there is, a large one has more than AWS would take.
fn cp_large(row: &Row) -> Outcome {
    copy_one(row, row.rules.limits.copy_object_max.min(5 * GIB) + MIB)
}

fn cat(row: &Row) -> Outcome {
    let world = row.world();
    world.sim.put_pattern(row.bucket, "a", 24 * MIB, 1);
    world.sim.put_pattern(row.bucket, "b", 16 * MIB + 1, 2);
    let cost = cost(&world, async |world| {
        world.concatenate(&["a", "b"], "c").await.unwrap();
    });
    row.check_moved(&cost, (0, 0));
    let runs = [
        Run::Pattern(1, 0, 24 * MIB),
        Run::Pattern(2, 0, 16 * MIB + 1),
    ];
    row.check(&world, "c", &runs);
    Outcome::Pass
}

fn append(row: &Row) -> Outcome {
    let world = row.world();
    world.sim.put_pattern(row.bucket, "a", 16 * MIB, 1);
    let cost = cost(&world, async |world| {
        world.append("a", b"tail").await.unwrap();
    });
    row.check_moved(&cost, (5 * MIB + 4, 5 * MIB));
    let runs = [Run::Pattern(1, 0, 16 * MIB), Run::Bytes(b"tail")];
    row.check(&world, "a", &runs);
    Outcome::Pass
}

fn overwrite(row: &Row) -> Outcome {
    let world = row.world();
    let (size, at) = (64 * MIB, 32 * MIB + 7);
    world.sim.put_pattern(row.bucket, "a", size, 1);
    let cost = cost(&world, async |world| {
        world.overwrite("a", at, b"new").await.unwrap();
    });
    row.check_moved(&cost, (10 * MIB + 3, 10 * MIB));
    let runs = [
        Run::Pattern(1, 0, at),
        Run::Bytes(b"new"),
        Run::Pattern(1, at + 3, size - at - 3),
    ];
    row.check(&world, "a", &runs);
    Outcome::Pass
}

fn truncate(row: &Row) -> Outcome {
    let world = row.world();
    world.sim.put_pattern(row.bucket, "a", 20 * MIB, 1);
    let cost = cost(&world, async |world| {
        world.truncate("a", 11 * MIB + 3).await.unwrap();
    });
    row.check_moved(&cost, (5 * MIB, 5 * MIB));
    row.check(&world, "a", &[Run::Pattern(1, 0, 11 * MIB + 3)]);
    Outcome::Pass
}

fn mv_file(row: &Row) -> Outcome {
    let world = row.world();
    world.sim.put_pattern(row.bucket, "a", 300 * MIB, 1);
    let cost = cost(&world, async |world| {
        world.rename("a", "b").await.unwrap();
    });
    assert_eq!((cost.total().bytes_up, cost.total().bytes_down), (0, 0));
    assert_eq!(world.sim.keys(row.bucket), ["b"]);
    row.check(&world, "b", &[Run::Pattern(1, 0, 300 * MIB)]);
    Outcome::Pass
}

fn mv_directory(row: &Row) -> Outcome {
    let world = row.world();
    let names = ["a", "b", "c", "sub/d", "sub/e", "sub/deep/f"];
    for (seed, name) in (1..).zip(names) {
        let key = format!("dir/{name}");
        world.sim.put_pattern(row.bucket, &key, seed * 1000, seed);
    }
    let cost = cost(&world, async |world| {
        world.rename("dir", "moved").await.unwrap();
    });
    assert_eq!((cost.total().bytes_up, cost.total().bytes_down), (0, 0));
    let kept = world.sim.keys(row.bucket);
    assert!(kept.iter().all(|key| !key.starts_with("dir/")), "{kept:?}");
    for (seed, name) in (1..).zip(names) {
        let key = format!("moved/{name}");
        row.check(&world, &key, &[Run::Pattern(seed, 0, seed * 1000)]);
    }
    Outcome::Pass
}

/// Copies whose source another client has done something to since it was looked at: by one
/// request, and by parts.
fn spoilt(row: &Row, meaning: &str, spoil: impl Fn(&State, u64)) -> Outcome {
    for size in [MIB, 300 * MIB] {
        let world = row.world();
        world.sim.put_pattern(row.bucket, "a", size, 1);
        world.sim.settle();
        world.run(world.look("a")).unwrap();
        spoil(&world.sim, size);
        let copied = world.run(world.concatenate(&["a"], "b"));
        assert!(is_of(&copied, meaning), "{copied:?}");
        assert!(world.sim.stat(row.bucket, "b").is_none());
        check_no_upload_in(row.bucket, &world.sim);
    }
    Outcome::Pass
}

fn replaced(row: &Row) -> Outcome {
    spoilt(row, "Stale", |sim, size| {
        sim.put_pattern(row.bucket, "a", size, 2);
    })
}

fn deleted(row: &Row) -> Outcome {
    spoilt(row, "Stale", |sim, _| sim.delete(row.bucket, "a"))
}

fn cold(row: &Row) -> Outcome {
    let Some(class) = row.rules.copies.cold_classes.first() else {
        return row.not_offered("copies.cold_classes");
    };
    let headers = ObjectHeaders {
        storage_class: Some((*class).to_owned()),
        ..ObjectHeaders::default()
    };
    for size in [MIB, 300 * MIB] {
        let world = row.world();
        let pattern = (size, 1);
        world
            .sim
            .put_pattern_with(row.bucket, "a", pattern, headers.clone());
        let cost = cost(&world, async |world| {
            let copied = world.concatenate(&["a"], "b").await;
            assert!(is_of(&copied, "Archived"), "{copied:?}");
        });
        assert_eq!(cost.of(Operation::GetObject).requests, 0);
        assert!(world.sim.stat(row.bucket, "b").is_none());
        check_no_upload_in(row.bucket, &world.sim);
    }
    Outcome::Pass
}

fn exclusive(row: &Row) -> Outcome {
    // What is there already is never overwritten, whatever the provider offers.
    let world = row.world();
    world.sim.put(row.bucket, "new", "theirs");
    world.sim.settle();
    let made = world.run(world.create_exclusively("new", b"ours"));
    assert!(is_of(&made, "Exists"), "{made:?}");
    assert_eq!(world.sim.content(row.bucket, "new").unwrap(), b"theirs");

    let world = row.world();
    let bucket = row.bucket;
    world.sim.on_request(move |sim, request| {
        if request.operation == Operation::PutObject && sim.stat(bucket, "new").is_none() {
            sim.put(bucket, "new", "theirs");
        }
    });
    let made = world.run(world.create_exclusively("new", b"ours"));
    let writes = &row.rules.writes;
    let is_kept = match writes.put_conditions {
        Conditions::Kept | Conditions::KeptNotModified => true,
        Conditions::QuotedNever | Conditions::NoneMatchOnly => true,
        Conditions::Ignored | Conditions::Refused => writes.forbid_overwrite.is_some(),
    };
    if !is_kept {
        return row.not_offered("writes.put_conditions");
    }
    assert!(is_of(&made, "Exists"), "{made:?}");
    assert_eq!(world.sim.content(row.bucket, "new").unwrap(), b"theirs");
    check_no_upload_in(row.bucket, &world.sim);
    Outcome::Pass
}

/// A copy is of the version that was looked at, though the key has another by now, or none.
fn versioned(row: &Row) -> Outcome {
    if !row.rules.requests.versions {
        return row.not_offered("requests.versions");
    }
    for size in [MIB, 300 * MIB] {
        for is_deleted in [false, true] {
            let world = row.versioned();
            world.sim.put_pattern(row.bucket, "a", size, 1);
            world.sim.settle();
            world.run(world.look("a")).unwrap();
            if is_deleted {
                world.sim.delete(row.bucket, "a");
            } else {
                world.sim.put_pattern(row.bucket, "a", size, 2);
            }
            let cost = cost(&world, async |world| {
                world.concatenate(&["a"], "b").await.unwrap();
            });
            assert_eq!((cost.total().bytes_up, cost.total().bytes_down), (0, 0));
            row.check(&world, "b", &[Run::Pattern(1, 0, size)]);
        }
    }
    Outcome::Pass
}

/// A copy from a bucket under one key of the customer's to a bucket under another.
fn rekeyed(row: &Row) -> Outcome {
    if row.rules.requests.customer_keys == CustomerKeys::None {
        return row.not_offered("requests.customer_keys");
    }
    for size in [1000, 12 * MIB] {
        let world = row.keyed(SMALL_PARTS);
        let body = (0..size).map(|o| pattern_byte(1, o)).collect();
        world.run(world.write_new("bucket/a", body)).unwrap();
        let cost = cost(&world, async |world| {
            world.concatenate(&["bucket/a"], "other/b").await.unwrap();
        });
        if row.rules.requests.customer_keys == CustomerKeys::Offered {
            row.check_moved(&cost, (0, 0));
        }
        let (from, to) = (world.sim.stat(BUCKET, "a"), world.sim.stat(OTHER, "b"));
        let keys = [from, to].map(|stat| stat.unwrap().customer_key.unwrap());
        assert_ne!(keys[0], keys[1]);
        let copy = world.sim.content(OTHER, "b").unwrap();
        assert!(
            copy.len() as u64 == size && (0..size).all(|o| copy[o as usize] == pattern_byte(1, o))
        );
        let read = world
            .run(world.read("other/b", ByteRange::new(0, 100)))
            .unwrap();
        assert_eq!(read, copy[..100]);
        assert!(world.sim.uploads(OTHER).is_empty());
    }
    Outcome::Pass
}
