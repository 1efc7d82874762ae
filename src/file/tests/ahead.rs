//! What is sent while a file is written: nothing shows before the commit, what memory has room for
//! is read, changed and copied as if nothing was sent, and what it has none for goes on.

use std::sync::Arc;

use super::{Toy, bytes, read_all, toy_limits, until};
use crate::config::Bounds;
use crate::file::{Creation, File, Salvaged};
use crate::limits::{Limits, PartCopy};
use crate::range::ByteRange;

const KIB: u64 = 1024;

/// Parts of one block of staging, memory for eight of them and disk for two.
fn small_memory() -> (Limits, Bounds) {
    let limits = Limits {
        part_size_min: 4 * KIB,
        part_size_max: 1024 * KIB,
        copy_object_max: 1 << 30,
        put_max: 1 << 30,
        object_size_max: 16_000 * KIB,
        copy_object_preferred_max: 1 << 30,
        copy_part_size: 64 * KIB,
        upload_part_size: 16 * KIB,
        ..toy_limits()
    };
    let bounds = Bounds {
        staging_memory_bytes_max: 128 * KIB,
        staging_disk_bytes_max: 32 * KIB,
        ..Bounds::default()
    };
    (limits, bounds)
}

/// Content that differs from part to part.
fn content(kib: u64) -> Vec<u8> {
    (0..kib * KIB)
        .map(|at| (at / 1000 * 7 + at) as u8)
        .collect()
}

async fn append(file: &Arc<File>, content: &[u8]) {
    for run in content.chunks(1000) {
        file.append(run).await.unwrap();
        tokio::task::yield_now().await;
    }
}

fn published(toy: &Toy) -> usize {
    let sent = toy.bucket.take_requests().into_iter();
    sent.filter(|request| request.starts_with("COMPLETE") || request.starts_with("PUT"))
        .count()
}

#[tokio::test]
async fn a_write_into_what_was_sent_ahead_shows_nothing_before_the_commit() {
    let toy = Toy::new();
    let file = toy.create("a");
    let mut content = bytes(300, 3);
    for run in content.chunks(10) {
        file.append(run).await.unwrap();
        tokio::task::yield_now().await;
    }
    file.write(0, b"head").await.unwrap();
    content[..4].copy_from_slice(b"head");
    assert_eq!(read_all(&file).await.unwrap(), content);
    let copy = toy.create("b");
    let all = ByteRange::at(0, 1000);
    assert_eq!(copy.copy_from(0, &file, all).await.unwrap(), 300);
    assert_eq!(published(&toy), 0);
    assert_eq!(toy.bucket.content("a"), None);
    file.commit().await.unwrap();
    assert_eq!(toy.bucket.content("a").unwrap(), content);
    copy.commit().await.unwrap();
    assert_eq!(toy.bucket.content("b").unwrap(), content);
    // The first part again, and the rest as it was.
    let sent = toy.bucket.take_requests();
    assert_eq!(toy.bucket.open_uploads(), 0);
    let parts = sent.iter().filter(|request| request.starts_with("PART 1 "));
    assert!(parts.count() >= 1, "{sent:?}");
}

#[tokio::test]
async fn only_the_part_that_changed_is_sent_again() {
    let toy = Toy::new();
    let file = toy.create("a");
    file.append(&bytes(300, 3)).await.unwrap();
    file.wait_for_parts().await.unwrap();
    toy.bucket.take_requests();
    file.write(40, b"!").await.unwrap();
    file.commit().await.unwrap();
    let mut expected = bytes(300, 3);
    expected[40] = b'!';
    assert_eq!(toy.bucket.content("a").unwrap(), expected);
    let sent = toy.bucket.take_requests();
    let parts: Vec<_> = sent
        .iter()
        .filter(|sent| sent.starts_with("PART"))
        .collect();
    // Part 3, and what follows the last that was sent.
    assert!(parts.len() <= 3, "{sent:?}");
    assert!(
        parts.iter().any(|part| part.starts_with("PART 3 ")),
        "{sent:?}"
    );
}

#[tokio::test]
async fn a_file_larger_than_memory_and_disk_is_written_and_its_header_at_the_end() {
    let (limits, bounds) = small_memory();
    let toy = Toy::chosen(limits, bounds);
    let file = toy.create("a");
    let mut content = content(2000);
    append(&file, &content).await;
    assert_eq!(toy.shared.staging.disk_bytes(), 0, "spilled");
    file.write(10, b"header").await.unwrap();
    content[10..16].copy_from_slice(b"header");
    assert_eq!(published(&toy), 0);
    assert_eq!(toy.bucket.content("a"), None);
    file.commit().await.unwrap();
    assert!(toy.bucket.content("a").unwrap() == content);
    assert_eq!(toy.bucket.open_uploads(), 0);
}

#[tokio::test]
async fn sending_goes_on_after_a_look_at_what_was_sent() {
    for parts_equal in [false, true] {
        let (limits, bounds) = small_memory();
        let limits = Limits {
            parts_equal,
            ..limits
        };
        let toy = Toy::chosen(limits, bounds);
        let file = toy.create("a");
        let content = content(3000);
        let (before, after) = content.split_at(700_001);
        append(&file, before).await;
        // Far behind what memory holds: the file is published as far as it is.
        let window = crate::lock::Guarded::new(crate::readahead::Window::new(0));
        let read = file.read(ByteRange::at(300_000, 1), &window).await.unwrap();
        assert_eq!(read[0], content[300_000]);
        assert!(toy.bucket.content("a").unwrap() == before);
        append(&file, after).await;
        assert!(toy.bucket.content("a").unwrap() == before);
        file.commit().await.unwrap();
        assert!(toy.bucket.content("a").unwrap() == content);
        until(|| toy.bucket.open_uploads() == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writes_into_what_was_sent_publish_it_once_however_many_wait() {
    let (limits, bounds) = small_memory();
    let toy = Toy::chosen(limits, bounds);
    let file = toy.create("a");
    let mut content = content(2000);
    append(&file, &content).await;
    assert_eq!(published(&toy), 0);
    let mut writes = tokio::task::JoinSet::new();
    for at in (0..32).map(|number| number * 20_000) {
        content[at..at + 4].copy_from_slice(b"here");
        let file = Arc::clone(&file);
        writes.spawn(async move { file.write(at as u64, b"here").await });
    }
    while let Some(written) = writes.join_next().await {
        written.unwrap().unwrap();
    }
    assert_eq!(published(&toy), 1);
    assert!(read_all(&file).await.unwrap() == content);
    file.commit().await.unwrap();
    assert!(toy.bucket.content("a").unwrap() == content);
}

#[tokio::test]
async fn who_waits_for_a_commit_asks_for_no_other_of_what_came_later() {
    let toy = Toy::new();
    let file = toy.create("a");
    let mut commits = tokio::task::JoinSet::new();
    for number in 0..20_u64 {
        file.write(number, b"!").await.unwrap();
        let file = Arc::clone(&file);
        commits.spawn(async move {
            file.commit().await.unwrap();
            // Another edit follows each.
            file.write(number, b"?").await.unwrap();
        });
    }
    while let Some(committed) = commits.join_next().await {
        committed.unwrap();
    }
    assert_eq!(published(&toy), 1);
    file.commit().await.unwrap();
    assert_eq!(toy.bucket.content("a").unwrap(), [b'?'; 20]);
}

#[tokio::test]
async fn where_parts_cannot_be_copied_the_disk_is_the_bound() {
    let (limits, bounds) = small_memory();
    let limits = Limits {
        part_copy: PartCopy::None,
        ..limits
    };
    let toy = Toy::chosen(limits, bounds);
    let file = toy.create("a");
    append(&file, &content(500)).await;
    file.commit().await.unwrap();
    let mut full = None;
    for run in content(500).chunks(1000) {
        if let Err(error) = file.append(run).await {
            full = Some(error.to_string());
            break;
        }
    }
    let full = full.expect("staging is bounded");
    assert!(full.contains("no room to stage"), "{full}");
}

#[tokio::test]
async fn an_edit_of_what_is_copied_into_the_upload_publishes_when_bytes_are_nowhere_else() {
    let (limits, bounds) = small_memory();
    let toy = Toy::chosen(limits, bounds);
    let mut content = content(900);
    let file = toy.object("a", &content[..300 * 1024]);
    append(&file, &content[300 * 1024..]).await;
    file.write(5, b"edited").await.unwrap();
    content[5..11].copy_from_slice(b"edited");
    file.truncate(800_000).await.unwrap();
    content.truncate(800_000);
    file.commit().await.unwrap();
    assert!(toy.bucket.content("a").unwrap() == content);
    until(|| toy.bucket.open_uploads() == 0).await;
}

#[tokio::test]
async fn what_is_in_the_upload_alone_is_named_in_the_note_and_stays() {
    let (limits, bounds) = small_memory();
    let toy = Toy::chosen(limits, bounds);
    let file = File::create(
        &toy.shared,
        toy.place("a"),
        Creation::Exclusive,
        Default::default(),
    );
    let content = content(500);
    append(&file, &content).await;
    toy.bucket.replace("a", b"another's");
    assert!(file.commit().await.unwrap_err().is_conflict());
    let Salvaged::Bytes { path, upload } = file.salvage().await.unwrap() else {
        panic!("nothing was saved");
    };
    let id = upload.expect("bytes are in the upload alone");
    file.discard().await;
    drop(file);
    let beside = path.with_added_extension("txt");
    let note = std::fs::read_to_string(&beside).unwrap();
    let saved = std::fs::read(&path).unwrap();
    for path in [path, beside] {
        std::fs::remove_file(path).unwrap();
    }
    let ranges = |word: &str| {
        let of = format!("{word}: ");
        let ranges = note.lines().filter_map(|line| line.strip_prefix(&of));
        let of_text = |text: &str| {
            let (start, end) = text.split_once("..").unwrap();
            start.parse::<usize>().unwrap()..end.parse().unwrap()
        };
        ranges.map(of_text).collect::<Vec<_>>()
    };
    let (written, sent) = (ranges("written"), ranges("in the upload"));
    let covered = written.iter().chain(&sent).map(ExactSizeIterator::len);
    assert_eq!(covered.sum::<usize>(), content.len(), "{note}");
    for range in written {
        assert!(saved[range.clone()] == content[range]);
    }
    assert!(note.contains(&format!("upload: {id}\n")), "{note}");
    assert!(note.contains("\npart: 2 16384..32768 "), "{note}");
    until(|| toy.bucket.open_uploads() == 1).await;
    assert_eq!(toy.bucket.content("a").unwrap(), b"another's");
}

#[tokio::test]
async fn up_to_the_staging_memory_nothing_is_in_the_upload_alone() {
    let toy = Toy::new();
    let file = File::create(
        &toy.shared,
        toy.place("a"),
        Creation::Exclusive,
        Default::default(),
    );
    file.append(&bytes(300, 3)).await.unwrap();
    file.wait_for_parts().await.unwrap();
    toy.bucket.replace("a", b"another's");
    assert!(file.commit().await.unwrap_err().is_conflict());
    let Salvaged::Bytes { path, upload } = file.salvage().await.unwrap() else {
        panic!("nothing was saved");
    };
    assert_eq!(upload, None);
    assert_eq!(std::fs::read(&path).unwrap(), bytes(300, 3));
    std::fs::remove_file(path.with_added_extension("txt")).unwrap();
    std::fs::remove_file(path).unwrap();
    until(|| toy.bucket.open_uploads() == 0).await;
}

#[tokio::test]
async fn a_failing_commit_gives_back_what_was_overwritten_meanwhile() {
    let (limits, bounds) = small_memory();
    let toy = Toy::chosen(limits, bounds);
    let file = toy.create("a");
    for round in 0..100 {
        file.write(0, &[round; 15_000]).await.unwrap();
        toy.bucket.fail_in(Some(0));
        file.commit().await.unwrap_err();
    }
    assert!(toy.shared.staging.memory_bytes() <= 32 * KIB);
    file.commit().await.unwrap();
    assert_eq!(toy.bucket.content("a").unwrap(), [99; 15_000]);
    assert_eq!(toy.shared.staging.memory_bytes(), 0);
}

/// Nanoseconds that this thread has run.
fn ran() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_small_write_costs_the_same_however_many_there_were() {
    let toy = Toy::chosen(Limits::aws(), Bounds::default());
    let size = 64 * 1024 * KIB;
    let file = toy.object("a", &vec![7; size as usize]);
    let mut random = 1_u64;
    let mut costs = Vec::new();
    for _ in 0..300 {
        let before = ran();
        for _ in 0..100 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            file.write((random >> 33) % size, b"!").await.unwrap();
        }
        costs.push(ran() - before);
    }
    // The cheapest hundred of a thousand: what else the machine does only adds to it.
    let cheapest = |thousand: &[u64]| *thousand.iter().min().unwrap();
    let (first, last) = (cheapest(&costs[20..30]), cheapest(&costs[290..]));
    assert!(last <= 3 * first, "{first} ns, then {last} ns");
}
