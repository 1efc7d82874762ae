//! A disk that takes nothing for a while holds up who writes to it, and nothing else; what happens
//! meanwhile is not lost, nor is what was written.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{Toy, read_all, toy_limits};
use crate::config::Bounds;
use crate::file::{File, FileError};
use crate::limits::Limits;
use crate::range::ByteRange;

/// Staged bytes go to the disk, and nothing is sent ahead.
fn on_disk() -> Toy {
    let limits = Limits {
        put_max: 1 << 30,
        upload_part_size: 1 << 30,
        object_size_max: 1 << 30,
        ..toy_limits()
    };
    let bounds = Bounds {
        staging_memory_bytes_max: 0,
        staging_disk_bytes_max: 16 << 20,
        ..Bounds::default()
    };
    Toy::chosen(limits, bounds)
}

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Does work that ends although the disk takes nothing since before an edit was begun; then it
/// takes that. Whether the work has ended in time, and not the edit.
async fn while_stalled<T: Send + 'static>(toy: &Toy, edit: Work<T>, meanwhile: Work<()>) -> T {
    let stall = toy.shared.staging.stall_disk();
    let edit = tokio::spawn(edit);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let waits = !edit.is_finished();
    let meanwhile = tokio::spawn(meanwhile);
    let ended = tokio::time::timeout(Duration::from_secs(5), meanwhile).await;
    drop(stall);
    assert!(waits, "the edit needed no disk");
    ended.expect("what needs no disk waited for it").unwrap();
    edit.await.unwrap()
}

fn write(file: &Arc<File>, at: u64, bytes: Vec<u8>) -> Work<Result<(), FileError>> {
    let file = Arc::clone(file);
    Box::pin(async move { file.write(at, &bytes).await })
}

fn append(file: &Arc<File>, bytes: &'static [u8]) -> Work<Result<u64, FileError>> {
    let file = Arc::clone(file);
    Box::pin(async move { file.append(bytes).await })
}

/// Waits until so much room on the disk is taken: it is given back in the background.
async fn room_is(toy: &Toy, bytes: u64) {
    let taken = || toy.shared.staging.disk_bytes();
    for _ in 0..500 {
        if taken() == bytes {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} bytes are taken, not {bytes}", taken());
}

/// What every other caller may ask of a file.
fn looks(file: &Arc<File>) -> Work<()> {
    let file = Arc::clone(file);
    Box::pin(async move {
        assert_eq!(file.stat().size, 40_000);
        assert_eq!(file.map().len(), 40_000);
        assert_eq!(read_all(&file).await.unwrap().len(), 40_000);
        file.describe(|_, attributes| attributes.permissions = Some(0o600));
        assert!(file.salvage().await.is_ok());
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_looked_at_while_the_disk_takes_what_is_written_to_it() {
    let toy = on_disk();
    let file = toy.create("a");
    file.write(0, &[1; 40_000]).await.unwrap();
    let wrote = while_stalled(&toy, write(&file, 100, vec![2; 30_000]), looks(&file));
    wrote.await.unwrap();
    let wrote = while_stalled(&toy, write(&file, 39_000, vec![3; 30_000]), looks(&file));
    wrote.await.unwrap();
    assert_eq!(file.stat().size, 69_000);
    file.truncate(40_000).await.unwrap();
    let at = while_stalled(&toy, append(&file, b"more"), looks(&file));
    assert_eq!(at.await.unwrap(), 40_000);
    let (copy, source) = (toy.create("b"), Arc::clone(&file));
    copy.write(0, &[9; 40_000]).await.unwrap();
    let to = Arc::clone(&copy);
    let copied = async move { to.copy_from(0, &source, ByteRange::at(0, 50_000)).await };
    let copied = while_stalled(&toy, Box::pin(copied), looks(&copy)).await;
    assert_eq!(copied.unwrap(), 40_004);
    let mut expected = vec![1; 40_000];
    expected[100..30_100].fill(2);
    expected[39_000..].fill(3);
    expected.extend(b"more");
    for file in [file, copy] {
        file.commit().await.unwrap();
        let key = file.place().key;
        assert!(
            toy.bucket.content(key.as_str()).unwrap() == expected,
            "{key}"
        );
    }
    room_is(&toy, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_the_file_is_published_is_published_next() {
    let toy = on_disk();
    let file = toy.create("a");
    file.write(0, &[1; 40_000]).await.unwrap();
    let committing = Arc::clone(&file);
    let commit: Work<()> = Box::pin(async move { committing.commit().await.unwrap() });
    // Where the bytes are, and the commit reads them meanwhile.
    let wrote = while_stalled(&toy, write(&file, 100, vec![2; 30_000]), commit).await;
    wrote.unwrap();
    assert!(file.stat().dirty);
    file.commit().await.unwrap();
    let mut expected = vec![1; 40_000];
    expected[100..30_100].fill(2);
    assert!(toy.bucket.content("a").unwrap() == expected);
    room_is(&toy, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_the_same_bytes_come_one_before_the_other() {
    let toy = on_disk();
    let file = toy.create("a");
    file.write(0, &[1; 40_000]).await.unwrap();
    // The end that is written to goes.
    let cutting = Arc::clone(&file);
    let cut: Work<()> = Box::pin(async move { cutting.truncate(10_000).await.unwrap() });
    let wrote = while_stalled(&toy, write(&file, 20_000, vec![2; 10_000]), cut).await;
    wrote.unwrap();
    let mut expected = vec![1; 10_000];
    expected.resize(20_000, 0);
    expected.resize(30_000, 2);
    assert!(read_all(&file).await.unwrap() == expected);
    // The end that is appended to grows.
    let growing = Arc::clone(&file);
    let grow: Work<()> = Box::pin(async move { growing.extend(31_000).await.unwrap() });
    let at = while_stalled(&toy, append(&file, b"line"), grow).await;
    assert_eq!(at.unwrap(), 31_000);
    // What cannot be put anywhere leaves nothing.
    let staged = toy.shared.staging.disk_bytes();
    assert!(file.write((1 << 30) - 10, &[1; 20_000]).await.is_err());
    room_is(&toy, staged).await;
    file.discard().await;
    drop(file);
    room_is(&toy, 0).await;
}
