//! Tests of file content against a bucket in memory, under limits of a few bytes.

mod ahead;
mod disk;
mod memory;
mod recorded;

use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use tokio::runtime::Handle;

use crate::commit::Place;
use crate::config::Bounds;
use crate::file::{Creation, File, FileError, Salvaged, Seen, Shared};
use crate::limits::{Limits, PartCopy};
use crate::lock::Guarded;
use crate::object::ObjectKey;
use crate::range::ByteRange;
use crate::readahead::Window;
use crate::store::{Bucket, Buckets, StoreError};
use memory::MemoryBucket;

fn toy_limits() -> Limits {
    Limits {
        part_size_min: 4,
        part_size_max: 64,
        part_count_max: 1000,
        parts_equal: false,
        part_copy: PartCopy::Ranges,
        copy_object_max: 100,
        put_max: 64,
        append_max: 0,
        object_size_max: 4000,
        metadata_bytes_max: 2_048,
        backslash_is_slash: false,
        copy_object_preferred_max: 50,
        copy_part_size: 20,
        upload_part_size: 16,
    }
}

struct Toy {
    bucket: Arc<MemoryBucket>,
    shared: Arc<Shared>,
}

impl Toy {
    fn new() -> Self {
        Self::chosen(toy_limits(), Bounds::default())
    }

    fn chosen(limits: Limits, bounds: Bounds) -> Self {
        Self::with(limits, bounds, Shared::new)
    }

    fn with(
        limits: Limits,
        bounds: Bounds,
        share: impl FnOnce(Buckets, Bounds, Handle) -> Arc<Shared>,
    ) -> Self {
        let bucket = MemoryBucket::new(limits);
        let buckets = Buckets::new([bucket.clone() as Arc<dyn Bucket>]);
        let bounds = Bounds {
            block_bytes: 8,
            ..bounds
        };
        let shared = share(buckets, bounds, Handle::current());
        Self { bucket, shared }
    }

    fn place(&self, key: &str) -> Place {
        Place {
            bucket: self.bucket.clone(),
            key: ObjectKey::new(key),
        }
    }

    fn object(&self, key: &str, bytes: &[u8]) -> Arc<File> {
        let stat = self.bucket.replace(key, bytes);
        File::of_object(
            &self.shared,
            self.place(key),
            &Seen::of_stat(&stat, Instant::now()),
        )
    }

    /// A second, clean view of an object: what an open finds in a store that others write to.
    fn object_view(&self, key: &str) -> Arc<File> {
        File::of_object(
            &self.shared,
            self.place(key),
            &Seen::of_stat(&self.bucket.stat(key), Instant::now()),
        )
    }

    fn create(&self, key: &str) -> Arc<File> {
        File::create(
            &self.shared,
            self.place(key),
            Creation::Replace,
            Default::default(),
        )
    }
}

async fn read_all(file: &Arc<File>) -> Result<Vec<u8>, FileError> {
    let window = Guarded::new(Window::new(0));
    let range = ByteRange::new(0, file.stat().size);
    file.read(range, &window).await.map(|bytes| bytes.to_vec())
}

fn is_stale(result: Result<(), FileError>) -> bool {
    matches!(result, Err(error) if error.is_stale())
}

/// Different bytes at every position.
fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len)
        .map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed))
        .collect()
}

#[tokio::test]
async fn a_small_new_file_is_one_put() {
    let toy = Toy::new();
    let file = toy.create("a");
    file.write(0, b"hello").await.unwrap();
    file.commit().await.unwrap();
    assert_eq!(toy.bucket.take_requests(), ["PUT a 5"]);
    assert_eq!(toy.bucket.content("a").unwrap(), b"hello");
    file.commit().await.unwrap();
    assert!(
        toy.bucket.take_requests().is_empty(),
        "a clean file commits nothing"
    );
}

#[tokio::test]
async fn a_file_to_which_nothing_was_written_is_published_empty() {
    let toy = Toy::new();
    toy.create("a").commit().await.unwrap();
    assert_eq!(toy.bucket.content("a").unwrap(), b"");
}

#[tokio::test]
async fn a_copy_of_a_small_object_is_one_request() {
    let toy = Toy::new();
    let source = toy.object("a", &bytes(40, 1));
    let copy = toy.create("b");
    assert_eq!(
        copy.copy_from(0, &source, ByteRange::new(0, 1000))
            .await
            .unwrap(),
        40
    );
    copy.commit().await.unwrap();
    assert_eq!(toy.bucket.take_requests(), ["COPY a -> b"]);
    assert_eq!(toy.bucket.content("b").unwrap(), bytes(40, 1));
}

#[tokio::test]
async fn a_source_replaced_before_the_commit_is_stale_and_nothing_is_published() {
    for len in [40, 90] {
        let toy = Toy::new();
        let source = toy.object("a", &bytes(len, 1));
        let copy = toy.object("b", b"as before");
        copy.truncate(0).await.unwrap();
        copy.copy_from(0, &source, ByteRange::new(0, 1000))
            .await
            .unwrap();
        toy.bucket.replace("a", b"other");
        assert!(is_stale(copy.commit().await));
        assert_eq!(toy.bucket.content("b").unwrap(), b"as before");
        assert_eq!(toy.bucket.open_uploads(), 0);
    }
}

#[tokio::test]
async fn an_edit_of_an_object_replaced_by_another_writer_is_stale() {
    let toy = Toy::new();
    let file = toy.object("a", &bytes(90, 1));
    file.write(50, b"edit").await.unwrap();
    toy.bucket.replace("a", b"other");
    assert!(is_stale(file.commit().await));
    assert_eq!(toy.bucket.content("a").unwrap(), b"other");
    assert_eq!(toy.bucket.open_uploads(), 0);
}

#[tokio::test]
async fn a_read_of_an_object_replaced_by_another_writer_is_stale() {
    let toy = Toy::new();
    let file = toy.object("a", &bytes(90, 1));
    toy.bucket.replace("a", &bytes(90, 2));
    assert!(is_stale(read_all(&file).await.map(|_| ())));
}

#[tokio::test]
async fn a_whole_new_content_replaces_what_another_writer_put_there() {
    let toy = Toy::new();
    let file = toy.object("a", &bytes(90, 1));
    file.set_len(0).await.unwrap();
    file.write(0, b"mine").await.unwrap();
    toy.bucket.replace("a", b"other");
    file.commit().await.unwrap();
    assert_eq!(toy.bucket.content("a").unwrap(), b"mine");
}

#[tokio::test]
async fn an_exclusive_creation_fails_when_another_client_was_first() {
    let toy = Toy::new();
    let file = File::create(
        &toy.shared,
        toy.place("a"),
        Creation::Exclusive,
        Default::default(),
    );
    toy.bucket.replace("a", b"other");
    let error = file.commit().await.unwrap_err();
    assert!(
        matches!(error, FileError::Store(StoreError::Exists { .. })),
        "{error}"
    );
    assert_eq!(toy.bucket.content("a").unwrap(), b"other");
}

#[tokio::test]
async fn a_dirty_range_is_copied_without_publishing_its_file() {
    let toy = Toy::new();
    let source = toy.object("a", &bytes(90, 1));
    source.write(10, b"new").await.unwrap();
    let copy = toy.create("b");
    copy.copy_from(0, &source, ByteRange::new(0, 90))
        .await
        .unwrap();
    copy.commit().await.unwrap();
    assert_eq!(toy.bucket.content("a").unwrap(), bytes(90, 1));
    let mut expected = bytes(90, 1);
    expected[10..13].copy_from_slice(b"new");
    assert_eq!(toy.bucket.content("b").unwrap(), expected);
    source.commit().await.unwrap();
    assert_eq!(toy.bucket.content("a").unwrap(), expected);
}

#[tokio::test]
async fn staged_bytes_of_an_unlinked_source_are_copied_without_publishing_it() {
    let toy = Toy::new();
    let source = toy.create("a");
    source.write(0, b"temporary").await.unwrap();
    source.hold().await.unwrap().orphan();
    let copy = toy.create("b");
    copy.copy_from(0, &source, ByteRange::new(0, 90))
        .await
        .unwrap();
    copy.commit().await.unwrap();
    assert_eq!(toy.bucket.content("b").unwrap(), b"temporary");
    assert_eq!(toy.bucket.content("a"), None);
}

#[tokio::test]
async fn a_copy_is_committed_before_its_source_is_overwritten() {
    let toy = Toy::new();
    let source = toy.object("a", &bytes(90, 1));
    let copy = toy.create("b");
    copy.copy_from(0, &source, ByteRange::new(0, 90))
        .await
        .unwrap();
    source.write(0, b"changed").await.unwrap();
    source.commit().await.unwrap();
    assert_eq!(toy.bucket.content("b").unwrap(), bytes(90, 1));
    assert_eq!(&toy.bucket.content("a").unwrap()[..7], b"changed");
    assert!(!copy.stat().dirty);
}

#[tokio::test]
async fn two_files_that_copy_from_each_other_are_both_published() {
    let toy = Toy::new();
    let (one, two) = (
        toy.object("a", &bytes(90, 1)),
        toy.object("b", &bytes(80, 2)),
    );
    let view_of_one = toy.object_view("a");
    one.copy_from(0, &two, ByteRange::new(40, 80))
        .await
        .unwrap();
    two.copy_from(0, &view_of_one, ByteRange::new(60, 90))
        .await
        .unwrap();
    one.commit().await.unwrap();
    two.commit().await.unwrap();
    let (mut a, mut b) = (bytes(90, 1), bytes(80, 2));
    a[..40].copy_from_slice(&bytes(80, 2)[40..80]);
    b[..30].copy_from_slice(&bytes(90, 1)[60..90]);
    assert_eq!(toy.bucket.content("a").unwrap(), a);
    assert_eq!(toy.bucket.content("b").unwrap(), b);
}

#[tokio::test]
async fn a_file_written_sequentially_is_uploaded_while_it_is_written() {
    let toy = Toy::new();
    let file = toy.create("a");
    let content = bytes(1000, 3);
    for (at, run) in content.chunks(10).enumerate() {
        file.write(at as u64 * 10, run).await.unwrap();
        tokio::task::yield_now().await;
    }
    file.wait_for_parts().await.unwrap();
    let sent = toy.bucket.take_requests();
    let parts = sent
        .iter()
        .filter(|request| request.starts_with("PART"))
        .count();
    assert!(parts > 50, "{sent:?}");
    file.commit().await.unwrap();
    assert_eq!(toy.bucket.content("a").unwrap(), content);
    assert_eq!(toy.bucket.open_uploads(), 0);
}

#[tokio::test]
async fn what_was_uploaded_ahead_can_be_read_and_changed_before_the_close() {
    let toy = Toy::new();
    let file = toy.create("a");
    let mut content = bytes(300, 3);
    for (at, run) in content.chunks(10).enumerate() {
        file.append(run).await.unwrap();
        assert_eq!(file.stat().size, at as u64 * 10 + 10);
    }
    file.write(5, b"header").await.unwrap();
    content[5..11].copy_from_slice(b"header");
    assert_eq!(read_all(&file).await.unwrap(), content);
    file.commit().await.unwrap();
    assert_eq!(toy.bucket.content("a").unwrap(), content);
    assert_eq!(toy.bucket.open_uploads(), 0);
}

#[tokio::test]
async fn holes_are_found_until_a_commit_makes_bytes_of_them() {
    let toy = Toy::new();
    let file = toy.object("a", &bytes(100, 1));
    file.zero(ByteRange::at(40, 20), false).await.unwrap();
    file.extend(120).await.unwrap();
    file.extend(50).await.unwrap();
    let seek = |hole| [0, 40, 59, 60, 99, 100, 119, 120].map(|at| file.seek(at, hole));
    let (some, none) = (Some, None);
    let data = [
        some(0),
        some(60),
        some(60),
        some(60),
        some(99),
        none,
        none,
        none,
    ];
    let holes = [40, 40, 59, 100, 100, 100, 119].map(Some);
    assert_eq!(seek(false), data);
    assert_eq!(seek(true)[..7], holes);
    assert_eq!(file.seek(120, true), None);
    file.commit().await.unwrap();
    assert_eq!(file.seek(0, true), Some(120));
    let mut expected = bytes(100, 1);
    expected[40..60].fill(0);
    expected.resize(120, 0);
    assert_eq!(toy.bucket.content("a").unwrap(), expected);
}

#[tokio::test]
async fn a_file_cut_to_nothing_gives_up_what_was_uploaded_ahead() {
    let toy = Toy::new();
    let file = toy.create("a");
    file.write(0, &bytes(300, 3)).await.unwrap();
    file.truncate(0).await.unwrap();
    file.write(0, b"again").await.unwrap();
    file.commit().await.unwrap();
    assert_eq!(toy.bucket.content("a").unwrap(), b"again");
    until(|| toy.bucket.open_uploads() == 0).await;
}

#[tokio::test]
async fn a_commit_that_waits_for_parts_goes_on_when_they_are_given_up() {
    let toy = Toy::new();
    let file = toy.create("a");
    file.write(0, &bytes(300, 3)).await.unwrap();
    // The commit waits first; then the file is cut.
    let both = async { futures_util::join!(file.commit(), file.truncate(0)) };
    let (committed, cut) = tokio::time::timeout(std::time::Duration::from_secs(10), both)
        .await
        .expect("the commit was not told");
    committed.unwrap();
    cut.unwrap();
    file.commit().await.unwrap();
    assert_eq!(toy.bucket.content("a").unwrap(), b"");
}

#[tokio::test]
async fn nothing_is_uploaded_ahead_to_the_key_a_file_is_moved_from() {
    let toy = Toy::new();
    let file = toy.object("a", &bytes(40, 1));
    let of = file.stat().version.unwrap();
    let held = file.hold().await.unwrap();
    file.truncate(0).await.unwrap();
    file.write(0, &bytes(300, 3)).await.unwrap();
    let moved = toy.bucket.replace("b", &bytes(40, 1));
    assert!(held.relocate(toy.place("b"), Some(&of), Some(moved.version)));
    drop(held);
    file.commit().await.unwrap();
    assert_eq!(toy.bucket.content("b").unwrap(), bytes(300, 3));
    assert_eq!(toy.bucket.content("a").unwrap(), bytes(40, 1));
}

#[tokio::test]
async fn a_file_that_was_published_meanwhile_is_not_taken_for_what_was_copied_before() {
    let toy = Toy::new();
    let file = toy.object("a", b"old");
    let of = file.stat().version.unwrap();
    let copy = toy.bucket.replace("b", b"old").version;
    file.write(0, b"new").await.unwrap();
    file.commit().await.unwrap();
    assert!(!file.relocate(toy.place("b"), Some(&of), Some(copy)));
    assert_eq!(file.place().key.as_str(), "a");
    file.write(0, b"NEW").await.unwrap();
    file.commit().await.unwrap();
    assert_eq!(toy.bucket.content("a").unwrap(), b"NEW");
}

#[tokio::test]
async fn a_held_file_is_published_when_it_is_let_go() {
    let toy = Toy::new();
    let file = toy.create("a");
    file.write(0, b"bytes").await.unwrap();
    let held = file.hold().await.unwrap();
    let committing = tokio::spawn({
        let file = Arc::clone(&file);
        async move { file.commit().await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert!(!committing.is_finished() && toy.bucket.content("a").is_none());
    assert!(held.relocate(toy.place("b"), None, None));
    drop(held);
    committing.await.unwrap().unwrap();
    assert!(toy.bucket.content("a").is_none());
    assert_eq!(toy.bucket.content("b").unwrap(), b"bytes");
}

async fn until(condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came true");
}

/// Commits `file` while the n-th request fails, for every n, until a commit meets no failure;
/// after each failure the old content stands, no upload is left, and the next commit succeeds.
async fn fails_cleanly_at_every_request<F, Fut>(prepare: F)
where
    F: Fn(Arc<Toy>) -> Fut,
    Fut: Future<Output = (Arc<File>, Vec<u8>)>,
{
    for n in 0.. {
        let toy = Arc::new(Toy::new());
        let (file, expected) = prepare(toy.clone()).await;
        let key = file.place().key;
        let before = toy.bucket.content(key.as_str());
        toy.bucket.fail_in(Some(n));
        let result = file.commit().await;
        let not_reached = toy.bucket.fails_in().is_some();
        toy.bucket.fail_in(None);
        if result.is_err() {
            assert_eq!(toy.bucket.content(key.as_str()), before, "request {n}");
            until(|| toy.bucket.open_uploads() == 0).await;
            file.commit().await.unwrap();
        }
        assert_eq!(
            toy.bucket.content(key.as_str()).unwrap(),
            expected,
            "request {n}"
        );
        if not_reached {
            assert!(n > 0, "nothing was sent");
            return;
        }
    }
}

#[tokio::test]
async fn a_failed_append_leaves_the_old_object_and_can_be_repeated() {
    fails_cleanly_at_every_request(|toy| async move {
        let file = toy.object("a", &bytes(90, 1));
        file.append(b"more").await.unwrap();
        (file, [bytes(90, 1), b"more".to_vec()].concat())
    })
    .await;
}

#[tokio::test]
async fn a_failed_overwrite_leaves_the_old_object_and_can_be_repeated() {
    fails_cleanly_at_every_request(|toy| async move {
        let file = toy.object("a", &bytes(90, 1));
        file.write(45, b"!").await.unwrap();
        let mut expected = bytes(90, 1);
        expected[45] = b'!';
        (file, expected)
    })
    .await;
}

#[tokio::test]
async fn salvaged_bytes_are_in_a_file_only_the_owner_can_read_with_a_note_beside_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let toy = Toy::new();
    let file = toy.object("a", &bytes(90, 1));
    file.write(95, b"mine").await.unwrap();
    toy.bucket.replace("a", &bytes(90, 2));
    assert!(is_stale(file.commit().await));
    let Salvaged::Bytes { path, .. } = file.salvage().await.unwrap() else {
        panic!("nothing was saved");
    };
    let beside = path.with_added_extension("txt");
    let saved = std::fs::read(&path).unwrap();
    let note = std::fs::read_to_string(&beside).unwrap();
    for path in [path, beside] {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::remove_file(&path).unwrap();
    }
    assert_eq!(&saved[95..], b"mine");
    let bucket = toy.bucket.name();
    for line in [
        format!("object: \"s3://{bucket}/a\""),
        "size: 99".to_owned(),
        "zeros: 90..95".to_owned(),
        "written: 95..99".to_owned(),
    ] {
        assert!(note.lines().any(|found| found == line), "{line}: {note}");
    }
    assert!(
        note.contains("replaces: ") && note.contains("refused: "),
        "{note}"
    );
    let copied = format!("copied: 0..90 from 0 of \"s3://{bucket}/a\"");
    assert!(note.contains(&copied), "{note}");
}

#[derive(Clone, Debug)]
enum Op {
    Write {
        file: usize,
        at: u64,
        len: usize,
    },
    Append {
        file: usize,
        len: usize,
    },
    Truncate {
        file: usize,
        len: u64,
    },
    Zero {
        file: usize,
        at: u64,
        len: u64,
        extend: bool,
    },
    Copy {
        from: usize,
        to: usize,
        start: u64,
        len: u64,
        at: u64,
    },
    Commit {
        file: usize,
    },
    Read {
        file: usize,
        start: u64,
        len: u64,
    },
}

const FILES: usize = 3;

fn op() -> impl Strategy<Value = Op> {
    let file = 0..FILES;
    prop_oneof![
        4 => (file.clone(), 0u64..400, 1usize..60)
            .prop_map(|(file, at, len)| Op::Write { file, at, len }),
        6 => (file.clone(), 1usize..60).prop_map(|(file, len)| Op::Append { file, len }),
        2 => (file.clone(), 0u64..400).prop_map(|(file, len)| Op::Truncate { file, len }),
        2 => (file.clone(), 0u64..400, 1u64..80, any::<bool>())
            .prop_map(|(file, at, len, extend)| Op::Zero { file, at, len, extend }),
        4 => (file.clone(), file.clone(), 0u64..300, 0u64..200, 0u64..300)
            .prop_map(|(from, to, start, len, at)| Op::Copy { from, to, start, len, at }),
        2 => file.clone().prop_map(|file| Op::Commit { file }),
        2 => (file, 0u64..400, 0u64..200)
            .prop_map(|(file, start, len)| Op::Read { file, start, len }),
    ]
}

/// What the files should hold.
#[derive(Default)]
struct Model {
    files: [Vec<u8>; FILES],
    seed: u8,
}

impl Model {
    fn put(&mut self, file: usize, at: usize, bytes: &[u8]) {
        let content = &mut self.files[file];
        content.resize(content.len().max(at + bytes.len()), 0);
        content[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn fresh(&mut self, len: usize) -> Vec<u8> {
        self.seed = self.seed.wrapping_add(17);
        bytes(len, self.seed)
    }

    fn slice(&self, file: usize, start: u64, len: u64) -> Vec<u8> {
        let content = &self.files[file];
        let start = (start as usize).min(content.len());
        content[start..(start + len as usize).min(content.len())].to_vec()
    }
}

async fn run(op: &Op, files: &[Arc<File>; FILES], model: &mut Model) {
    match *op {
        Op::Write { file, at, len } => {
            let fresh = model.fresh(len);
            model.put(file, at as usize, &fresh);
            files[file].write(at, &fresh).await.unwrap();
        }
        Op::Append { file, len } => {
            let fresh = model.fresh(len);
            let at = model.files[file].len();
            model.put(file, at, &fresh);
            assert_eq!(files[file].append(&fresh).await.unwrap(), at as u64);
        }
        Op::Truncate { file, len } => {
            model.files[file].resize(len as usize, 0);
            files[file].truncate(len).await.unwrap();
        }
        Op::Zero {
            file,
            at,
            len,
            extend,
        } => {
            let content = &mut model.files[file];
            if extend {
                content.resize(content.len().max((at + len) as usize), 0);
            }
            let end = content.len().min((at + len) as usize);
            content[end.min(at as usize)..end].fill(0);
            let range = ByteRange::at(at, len);
            files[file].zero(range, extend).await.unwrap();
        }
        Op::Copy {
            from,
            to,
            start,
            len,
            at,
        } => {
            let copied = model.slice(from, start, len);
            // The kernel answers EINVAL to an overlap itself.
            let overlap = from == to && start < at + len && at < start + len;
            if !copied.is_empty() && !overlap {
                model.put(to, at as usize, &copied);
                let range = ByteRange::at(start, len);
                let taken = files[to].copy_from(at, &files[from], range).await.unwrap();
                assert_eq!(taken, copied.len() as u64);
            }
        }
        Op::Commit { file } => files[file].commit().await.unwrap(),
        Op::Read { file, start, len } => {
            let window = Guarded::new(Window::new(64));
            let read = files[file]
                .read(ByteRange::at(start, len), &window)
                .await
                .unwrap();
            assert_eq!(read, model.slice(file, start, len));
        }
    }
}

async fn check_against_model(ops: Vec<Op>, committing: bool) {
    let toy = Toy::new();
    let files = ["a", "b", "c"].map(|key| toy.create(key));
    let mut model = Model::default();
    for (count, op) in ops.iter().enumerate() {
        if committing && count % 2 == 1 {
            // What the operation before changed is being committed while this one runs.
            let commits = futures_util::future::join_all(files.iter().map(File::commit));
            let (results, ()) = futures_util::join!(commits, run(op, &files, &mut model));
            results.into_iter().for_each(|result| result.unwrap());
        } else {
            run(op, &files, &mut model).await;
        }
        for (file, content) in files.iter().zip(&model.files) {
            file.map().check();
            assert_eq!(file.stat().size, content.len() as u64, "{op:?}");
        }
    }
    for (file, content) in files.iter().zip(&model.files) {
        assert_eq!(read_all(file).await.unwrap(), *content);
    }
    for (file, content) in files.iter().zip(&model.files) {
        file.commit().await.unwrap();
        assert_eq!(
            toy.bucket.content(file.place().key.as_str()).unwrap(),
            *content
        );
        assert_eq!(read_all(file).await.unwrap(), *content);
    }
    until(|| toy.bucket.open_uploads() == 0).await;
    assert_eq!(
        toy.shared.staging.memory_bytes(),
        0,
        "staged bytes are left"
    );
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_sequence_of_edits_publishes_what_a_local_file_would_hold(
        ops in proptest::collection::vec(op(), 1..40)
    ) {
        block_on(check_against_model(ops, false));
    }

    #[test]
    fn edits_during_commits_are_neither_lost_nor_torn(
        ops in proptest::collection::vec(op(), 1..40)
    ) {
        block_on(check_against_model(ops, true));
    }
}
