//! Each rule by which a provider refuses a request for what it names: a bucket, a region, a
//! version, a session. [`Naive`] is refused; the filesystem works, or says which option to change.

use std::sync::Mutex;

use s3fs::config::Provider;
use s3fs::limits::{Limits, MIB};
use s3fs::object::BucketName;
use s3fs::sim::{Fault, How, Operation, Rules, Sim, pattern_byte};
use s3fs::store::dialect::Dialect;
use s3fs::store::s3::S3Store;

use crate::cells::{DIRECTORY, Run, SMALL_PARTS, check, check_no_upload};
use crate::hazards::sweep;
use crate::naive::{Naive, Refused, refused};
use crate::world::{BUCKET, World};

/// What the client has logged so far, all tests of this process together.
static LOGGED: Lines = Lines(Mutex::new(Vec::new()));

struct Lines(Mutex<Vec<String>>);

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

/// How many lines say that the store does not copy to that bucket.
fn lines_about(bucket: &str) -> usize {
    let word = format!("the store refuses to copy it to s3://{bucket} ");
    let lines = LOGGED.0.lock().unwrap();
    lines.iter().filter(|line| line.contains(&word)).count()
}

/// The dialect of the same name, with copies by parts from 5 MiB on.
fn dialect(rules: &Rules) -> Dialect {
    let dialect = Dialect::of(Provider::of_name(rules.name).unwrap());
    let limits = Limits {
        copy_object_preferred_max: SMALL_PARTS,
        copy_part_size: SMALL_PARTS,
        ..dialect.limits.clone()
    };
    Dialect { limits, ..dialect }
}

/// Puts an object there without a word about anything.
fn put(world: &World, naive: &Naive, bucket: &str) -> Result<(), Refused> {
    let request = naive.client.put_object().bucket(bucket).key("wrong");
    world.run(request.send()).map(|_| ()).map_err(refused)
}

#[test]
fn a_bucket_in_the_path_is_refused_by_oss_and_the_option_is_named() {
    // Whoever comes to an address names the bucket in the path: here that is the service's host.
    let host = "127.0.0.1";
    let builder = Sim::builder().rules(Rules::oss()).host(host).bucket(BUCKET);
    let world = World::built(builder, Dialect::strict(), |_| ());
    let naive = Naive::new(&world.sim);
    let stopped = put(&world, &naive, BUCKET).unwrap_err();
    assert_eq!(stopped, (403, "SecondLevelDomainForbidden".to_owned()));
    // A mount that does not know the provider is told by the store, and asks that first.
    let bucket = BucketName::new(BUCKET);
    let connect = |dialect| {
        let store = S3Store::connect_with(&world.config.store, dialect);
        world.run(store).unwrap()
    };
    let unknown = connect(Dialect::strict()).bucket(&bucket);
    let said = world.run(unknown.check("")).unwrap_err().to_string();
    assert!(said.contains("leave out use_path_request_style"), "{said}");
    // One that does asks nobody.
    let asked = world.sim.requests().len();
    let said = connect(Dialect::oss()).check_name(&bucket).unwrap_err();
    let said = said.to_string();
    assert!(said.contains("use_path_request_style"), "{said}");
    assert_eq!(world.sim.requests().len(), asked);
    assert!(world.sim.keys(BUCKET).is_empty());
}

#[test]
fn a_bucket_with_dots_is_refused_by_oss_and_used_elsewhere() {
    const DOTTED: &str = "my.photos";
    let dotted = |rules: Rules| {
        let dialect = dialect(&rules);
        let builder = Sim::builder().rules(rules).bucket(DOTTED);
        World::built(builder, dialect, |config| {
            config.sources[0].bucket = BucketName::new(DOTTED);
            config.store.path_style = false;
        })
    };
    let world = dotted(Rules::oss());
    let naive = Naive::new(&world.sim);
    let stopped = put(&world, &naive, DOTTED).unwrap_err();
    assert_eq!(stopped, (400, "InvalidBucketName".to_owned()));
    let store = S3Store::connect_with(&world.config.store, Dialect::oss());
    let store = world.run(store).unwrap();
    let said = store.check_name(&BucketName::new(DOTTED)).unwrap_err();
    let said = said.to_string();
    assert!(said.contains(DOTTED) && said.contains("dots"), "{said}");
    assert_eq!(world.sim.requests().len(), 1);

    let world = dotted(Rules::aws());
    world.sim.put_pattern(DOTTED, "a", 12 * MIB, 1);
    world.run(world.concatenate(&["a"], "b")).unwrap();
    assert_eq!(world.sim.stat(DOTTED, "b").unwrap().size, 12 * MIB);
    assert_eq!(world.sim.counters().total().bytes_up, 0);
}

#[test]
fn a_delete_marker_is_no_source_and_the_version_before_it_is() {
    for (rules, named) in [
        (Rules::aws(), 400),
        (Rules::oss(), 400),
        (Rules::cos(), 400),
        (Rules::obs(), 404),
    ] {
        let dialect = dialect(&rules);
        let builder = Sim::builder().rules(rules).versioned(BUCKET);
        let world = World::built(builder, dialect, |_| ());
        let naive = Naive::new(&world.sim);
        world.sim.put_pattern(BUCKET, "a", 12 * MIB, 1);
        world.sim.settle();
        world.run(world.look("a")).unwrap();
        let marker = naive.client.delete_object().bucket(BUCKET).key("a");
        let marker = world.run(marker.send()).unwrap().version_id.unwrap();
        let stopped = world.run(async {
            let id = naive.create("wrong").await;
            let mut stopped = Vec::new();
            for source in ["a".to_owned(), format!("a?versionId={marker}")] {
                let copied = naive.copy_part(("wrong", &id), 1, (&source, None), None);
                stopped.push(copied.await.unwrap_err());
            }
            stopped
        });
        assert_eq!(stopped[0], (404, "NoSuchKey".to_owned()));
        assert_eq!(stopped[1], (named, "InvalidRequest".to_owned()));
        assert_eq!(world.sim.uploads(BUCKET).len(), 1);
        sweep(&world, &naive);
        // What was looked at before is a version of its own.
        world.run(world.concatenate(&["a"], "right")).unwrap();
        check(&world.sim, "right", &[Run::Pattern(1, 0, 12 * MIB)]);
        // Whoever looks now finds nothing, and may take the name.
        world.sim.put(BUCKET, "b", "theirs");
        world.sim.delete(BUCKET, "b");
        assert!(world.run(world.look("b")).is_err());
        world.run(world.create_exclusively("b", b"ours")).unwrap();
        assert_eq!(world.sim.content(BUCKET, "b").unwrap(), b"ours");
        check_no_upload(&world.sim);
    }
}

/// Two buckets of one service, of which the second is in another region.
fn apart(rules: Rules, far: &str) -> World {
    let dialect = dialect(&rules);
    let builder = Sim::builder().rules(rules).bucket(BUCKET).bucket(far);
    World::built(builder.region(far, "eu-west-1"), dialect, |config| {
        let mut other = config.sources[0].clone();
        other.bucket = BucketName::new(far);
        other.name = far.to_owned();
        config.sources.push(other);
    })
}

#[test]
fn a_copy_to_another_region_goes_through_the_client_with_one_line_in_the_log() {
    let _ = log::set_logger(&LOGGED);
    log::set_max_level(log::LevelFilter::Warn);
    for rules in Rules::all() {
        let Some(refusal) = rules.requests.other_region else {
            continue;
        };
        let far = format!("far-{}", rules.name);
        let world = apart(rules, &far);
        let naive = Naive::new(&world.sim);
        world.sim.put_pattern(BUCKET, "a", 12 * MIB, 1);
        world.sim.put(BUCKET, "small", "little");
        world.sim.settle();
        let copy = naive.client.copy_object().bucket(&far).key("wrong");
        let copy = copy.copy_source(format!("{BUCKET}/a")).send();
        let stopped = refused(world.run(copy).unwrap_err());
        assert_eq!(stopped, (refusal.status, refusal.code.to_owned()), "{far}");
        assert!(world.sim.stat(&far, "wrong").is_none());

        for name in ["a", "small"] {
            let (from, to) = (format!("{BUCKET}/{name}"), format!("{far}/{name}"));
            world.run(world.concatenate(&[&from], &to)).unwrap();
        }
        let copy = world.sim.content(&far, "a").unwrap();
        assert_eq!(copy.len() as u64, 12 * MIB);
        assert!((0..12 * MIB).all(|o| copy[o as usize] == pattern_byte(1, o)));
        assert_eq!(world.sim.content(&far, "small").unwrap(), b"little");
        assert!(world.sim.uploads(&far).is_empty());
        assert_eq!(lines_about(&far), 1, "{far}");
    }
}

#[test]
fn aws_copies_to_another_region() {
    let world = apart(Rules::aws(), "far");
    world.sim.put_pattern(BUCKET, "a", 300 * MIB, 1);
    world
        .run(world.concatenate(&["bucket/a"], "far/a"))
        .unwrap();
    let moved = world.sim.counters().total();
    assert_eq!((moved.bytes_up, moved.bytes_down), (0, 0));
    assert_eq!(world.sim.stat("far", "a").unwrap().size, 300 * MIB);
}

/// A directory bucket, as the row of the matrix has it.
fn of_sessions() -> World {
    crate::row(Rules::express()).world()
}

#[test]
fn a_directory_bucket_refuses_who_is_of_no_session() {
    let world = of_sessions();
    let plain = Naive::new(&world.sim).client.config().to_builder();
    let plain = plain.disable_s3_express_session_auth(true);
    let naive = Naive {
        client: aws_sdk_s3::Client::from_conf(plain.force_path_style(false).build()),
    };
    let stopped = put(&world, &naive, DIRECTORY).unwrap_err();
    assert_eq!(stopped, (403, "AccessDenied".to_owned()));
    world.sim.put_pattern(DIRECTORY, "a", 12 * MIB, 1);
    let get = naive.client.get_object().bucket(DIRECTORY).key("a");
    let stopped = refused(world.run(get.send()).unwrap_err());
    assert_eq!(stopped, (403, "AccessDenied".to_owned()));

    world.run(world.concatenate(&["a"], "b")).unwrap();
    assert_eq!(world.sim.stat(DIRECTORY, "b").unwrap().size, 12 * MIB);
    world.run(world.write_new("c", b"body".to_vec())).unwrap();
    assert_eq!(world.sim.content(DIRECTORY, "c").unwrap(), b"body");
    // One serves for all that needs one.
    let sessions = world.sim.counters().of(Operation::CreateSession);
    assert_eq!(sessions.requests, 1);
}

#[test]
fn an_upload_that_a_lost_answer_left_in_a_directory_bucket_is_found_and_aborted() {
    let world = of_sessions();
    world.sim.put_pattern(DIRECTORY, "dir/a", 300 * MIB, 1);
    let lost = Fault::on(Operation::CreateMultipartUpload, How::ResetAfter);
    world.sim.fault(lost);
    let list = |prefix: &str| {
        let naive = Naive::new(&world.sim);
        let sessions = naive.client.config().to_builder().force_path_style(false);
        let client = aws_sdk_s3::Client::from_conf(sessions.build());
        let request = client.list_multipart_uploads().bucket(DIRECTORY);
        world.run(request.prefix(prefix).send()).map_err(refused)
    };
    world.run(world.concatenate(&["dir/a"], "dir/b")).unwrap();
    assert_eq!(world.sim.stat(DIRECTORY, "dir/b").unwrap().size, 300 * MIB);
    // Whoever asks for the uploads of the key itself is told of none.
    let stopped = list("dir/b").unwrap_err();
    assert_eq!(stopped, (400, "InvalidArgument".to_owned()));
    assert!(list("dir/").unwrap().uploads().is_empty());
}
