//! Inode numbers outlive the process and the mount: backup programs take them for names.

use super::*;
use s3fs::config::Source;
use s3fs::object::BucketName;

/// What is in the store, in two directories, and as a file and a directory of one name.
fn stored() -> World {
    let world = World::new();
    for key in ["a", "d/x", "d/y", "e/x", "both", "both/x"] {
        world.sim.put(BUCKET, key, "content");
    }
    world
}

/// Numbers by path, looked up in this order.
fn looked_up(world: &World, paths: &[&str]) -> BTreeMap<String, Ino> {
    let number = |path: &&str| world.run(world.look(path)).unwrap().ino;
    let numbers = paths.iter().map(|path| ((*path).to_owned(), number(path)));
    numbers.collect()
}

/// Numbers by name, as readdir(3) gives them.
fn listed(world: &World, directory: Ino) -> BTreeMap<String, Ino> {
    let fh = world.run(world.fs.opendir(directory)).unwrap().fh;
    let mut numbers = BTreeMap::new();
    let mut take = |entry: &s3fs::fs::DirEntry| {
        numbers.insert(
            entry.name.to_str().unwrap().to_owned(),
            entry.attr.value.ino,
        );
        true
    };
    world
        .run(world.fs.readdir(fh, 0, false, &mut take))
        .unwrap();
    world.fs.releasedir(fh);
    numbers
}

#[test]
fn numbers_are_the_same_in_every_mount_in_whatever_order_names_are_looked_up() {
    let world = stored();
    let mut paths = ["a", "d", "d/x", "d/y", "e", "e/x", "both", "both/x"];
    let first = looked_up(&world, &paths);
    let other = World::over(&world);
    paths.reverse();
    assert_eq!(looked_up(&other, &paths), first);
    let distinct: std::collections::BTreeSet<_> = first.values().collect();
    assert_eq!(distinct.len(), paths.len());
    for number in first.values() {
        assert!((2..1 << 63).contains(&number.0), "{number:?}");
    }
}

#[test]
fn readdir_gives_the_numbers_that_names_have_when_they_are_looked_up() {
    let world = stored();
    let before = listed(&world, ROOT);
    let names = ["a", "d", "e", "both"];
    for (name, number) in looked_up(&world, &names) {
        assert_eq!(before[&name], number, "{name}");
    }
    assert_eq!(listed(&world, ROOT), before);
    let file = world.run(world.fs.lookup(ROOT, name("both\u{201b}file")));
    let file = file.unwrap().value.ino;
    assert_eq!(before["both\u{201b}file"], file);
    assert_ne!(before["both"], file);
}

#[test]
fn what_is_made_here_has_the_number_that_another_mount_gives_it() {
    let world = World::new();
    world
        .run(world.fs.mkdir(ROOT, name("d"), DIRECTORY))
        .unwrap();
    world.run(world.write_new("d/f", b"x".to_vec())).unwrap();
    world.run(world.write_new("g", b"x".to_vec())).unwrap();
    let numbers = looked_up(&world, &["d", "d/f", "g"]);
    let other = World::over(&world);
    assert_eq!(looked_up(&other, &["g", "d/f", "d"]), numbers);
}

#[test]
fn a_replaced_object_has_another_number_while_the_old_one_is_open_and_then_its_own_again() {
    let world = World::chosen(Limits::aws(), |config| {
        config.bounds.attr_ttl = Duration::ZERO;
        config.close_to_open = true;
    });
    world.sim.put(BUCKET, "f", "AAAA");
    let own = world.run(world.look("f")).unwrap().ino;
    let old = world.run(world.fs.open(own, READ)).unwrap();
    world.sim.put(BUCKET, "f", "BBBBBBBB");
    let other = world.run(world.look("f")).unwrap().ino;
    assert_ne!(other, own);
    let shown = world.run(world.fs.getattr(own, Some(old.fh))).unwrap();
    assert_eq!(shown.value.ino, own);
    world.run(world.close(old.fh)).unwrap();
    world.fs.forget(own, 1);
    // As long as it is open it stays what it is.
    let open = world.run(world.fs.open(other, READ)).unwrap();
    assert_eq!(world.run(world.look("f")).unwrap().ino, other);
    world.run(world.close(open.fh)).unwrap();
    assert_eq!(world.run(world.look("f")).unwrap().ino, own);
    assert_eq!(listed(&world, ROOT)["f"], own);
    let again = world.run(world.fs.open(own, READ)).unwrap();
    let read = world.run(world.fs.read(again.fh, ByteRange::new(0, 9)));
    assert_eq!(&read.unwrap()[..], b"BBBBBBBB");
}

#[test]
fn a_renamed_file_keeps_its_number_and_what_gets_its_old_name_has_another() {
    let world = World::new();
    world.run(world.write_new("f", b"x".to_vec())).unwrap();
    let number = world.run(world.look("f")).unwrap().ino;
    world.run(world.rename("f", "g")).unwrap();
    assert_eq!(world.run(world.look("g")).unwrap().ino, number);
    world.run(world.write_new("f", b"y".to_vec())).unwrap();
    let other = world.run(world.look("f")).unwrap().ino;
    assert_ne!(other, number);
    assert_eq!(world.run(world.look("g")).unwrap().ino, number);
    // Another mount knows of no rename.
    let later = World::over(&world);
    assert_eq!(world.run(later.look("f")).unwrap().ino, number);
}

#[test]
fn numbers_of_several_buckets_and_prefixes_in_one_mount_are_distinct_and_stable() {
    let numbers = |names: [&str; 3]| {
        let world = World::chosen(Limits::aws(), |config| {
            config.sources = ["", "p/", "p/q/"]
                .map(|prefix| Source {
                    bucket: BucketName::new(BUCKET),
                    prefix: prefix.to_owned(),
                    name: format!("s{}", prefix.len()),
                })
                .into();
        });
        for key in ["x", "p/x", "p/q/x"] {
            world.sim.put(BUCKET, key, "x");
        }
        let paths = names.map(|top| format!("{top}/x"));
        let paths: Vec<&str> = paths.iter().map(String::as_str).chain(names).collect();
        looked_up(&world, &paths)
    };
    let first = numbers(["s0", "s2", "s4"]);
    assert_eq!(numbers(["s4", "s2", "s0"]), first);
    let distinct: std::collections::BTreeSet<_> = first.values().collect();
    assert_eq!(distinct.len(), 6);
}

#[test]
fn a_killed_process_leaves_numbers_and_generations_to_the_next() {
    let mut world = stored();
    let paths = ["d", "d/x", "a"];
    let known = |world: &World| {
        let of = |path: &&str| world.run(world.look(path)).unwrap();
        let pair = |attr: s3fs::fs::Attr| (attr.ino, attr.generation);
        paths.iter().map(|path| pair(of(path))).collect::<Vec<_>>()
    };
    let before = known(&world);
    // One with a number that is not its own.
    world.run(world.rename("a", "b")).unwrap();
    world.run(world.write_new("a", b"y".to_vec())).unwrap();
    let stand_in = world.run(world.look("a")).unwrap();
    assert_ne!(stand_in.ino, before[2].0);
    world.kill();
    assert_eq!(known(&world)[..2], before[..2]);
    let renamed = world.run(world.look("b")).unwrap();
    assert_eq!((renamed.ino, renamed.generation), before[2]);
    let kept = world.run(world.look("a")).unwrap();
    assert_eq!(
        (kept.ino, kept.generation),
        (stand_in.ino, stand_in.generation)
    );
    let made = world.run(world.look("d/y")).unwrap().generation;
    assert!(
        known(&world).iter().all(|(_, other)| *other != made),
        "{made} was given out before"
    );
}

#[test]
fn what_is_made_again_and_what_another_mount_shows_is_of_another_generation() {
    let world = stored();
    let attr = world.run(world.look("a")).unwrap();
    world.run(world.fs.unlink(ROOT, name("a"))).unwrap();
    world.fs.forget(attr.ino, 1);
    world.run(world.write_new("a", b"x".to_vec())).unwrap();
    let again = world.run(world.look("a")).unwrap();
    assert_eq!(again.ino, attr.ino);
    assert_ne!(again.generation, attr.generation);
    let other = World::over(&world);
    let there = world.run(other.look("a")).unwrap();
    assert_eq!(there.ino, attr.ino);
    assert!(![attr.generation, again.generation].contains(&there.generation));
}

#[test]
fn what_was_known_below_a_directory_is_not_known_of_one_that_gets_its_number() {
    let world = World::new();
    let make = |path| {
        world
            .run(world.fs.mkdir(ROOT, name(path), DIRECTORY))
            .unwrap()
            .value
    };
    let old = make("d");
    world.run(world.write_new("d/f", b"x".to_vec())).unwrap();
    world.sim.put(BUCKET, "d/g", "x");
    listed(&world, old.ino);
    world.run(world.rename("d", "e")).unwrap();
    let there = ["e", "e/f", "e/g"].map(|path| world.run(world.look(path)).unwrap().ino);
    assert_eq!(there[0], old.ino);
    let new = make("d");
    assert_ne!(new.ino, old.ino);
    for path in ["d/f", "d/g"] {
        assert!(world.run(world.look(path)).is_err(), "{path}");
    }
}
