//! Tests of the block cache: what it asks of the store, and that its bounds hold.

use std::sync::atomic::Ordering;

use super::*;
use crate::object::{BucketName, ETag, ObjectKey};
use crate::readahead::Window;
use crate::store::StoreError;

mod pattern;

use pattern::{OPEN, PatternBucket, expected};

fn stale() -> StoreError {
    StoreError::Stale {
        bucket: BucketName::new("pattern"),
        key: ObjectKey::new("key"),
    }
}

fn version(etag: &str, size: u64) -> Arc<ObjectVersion> {
    Arc::new(ObjectVersion {
        bucket: BucketName::new("pattern"),
        key: ObjectKey::new("key"),
        etag: ETag::new(etag),
        version_id: None,
        size,
    })
}

fn part(version: &Arc<ObjectVersion>, start: u64, end: u64) -> ObjectRange {
    ObjectRange {
        version: Arc::clone(version),
        range: ByteRange::new(start, end),
    }
}

/// Blocks of 10 bytes, GETs of at most 40, and a bound of 100 bytes, two GETs ahead.
fn cache() -> Arc<BlockCache> {
    let bounds = CacheBounds {
        bytes_max: 100,
        block_bytes: 10,
        request_bytes_max: 40,
        prefetch_requests_max: 2,
        ..CacheBounds::default()
    };
    BlockCache::new(bounds, Handle::current())
}

fn bucket(permits: usize) -> (Arc<PatternBucket>, Arc<dyn Bucket>) {
    let pattern = PatternBucket::with_permits(permits);
    (Arc::clone(&pattern), pattern)
}

/// Lets tasks of this one-threaded runtime run until each has to wait.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn ranges(pairs: &[(u64, u64)]) -> Vec<ByteRange> {
    pairs
        .iter()
        .map(|&(start, end)| ByteRange::new(start, end))
        .collect()
}

#[tokio::test]
async fn a_read_fetches_whole_blocks_and_the_next_of_them_asks_nothing() {
    let (pattern, bucket) = bucket(OPEN);
    let (cache, version) = (cache(), version("a", 1000));
    for (start, end) in [(15, 18), (10, 20), (12, 13)] {
        let source = part(&version, start, end);
        let read = cache.read(&bucket, &source).await.unwrap();
        assert_eq!(read.concat(), expected(&source));
    }
    assert_eq!(pattern.gets(), ranges(&[(10, 20)]));
    assert_eq!(cache.bytes(), 10);
}

#[tokio::test]
async fn missing_neighbours_are_one_request_up_to_its_bound() {
    let (pattern, bucket) = bucket(OPEN);
    let (cache, version) = (cache(), version("a", 1000));
    cache.read(&bucket, &part(&version, 20, 21)).await.unwrap();
    let source = part(&version, 5, 95);
    assert_eq!(
        cache.read(&bucket, &source).await.unwrap().concat(),
        expected(&source)
    );
    assert_eq!(
        pattern.gets(),
        ranges(&[(20, 30), (0, 20), (30, 70), (70, 100)])
    );
}

#[tokio::test]
async fn the_last_block_ends_where_the_object_ends() {
    let (pattern, bucket) = bucket(OPEN);
    let (cache, version) = (cache(), version("a", 33));
    let source = part(&version, 31, 33);
    assert_eq!(
        cache.read(&bucket, &source).await.unwrap().concat(),
        expected(&source)
    );
    cache.prefetch(&bucket, &part(&version, 25, 500));
    settle().await;
    assert_eq!(pattern.gets(), ranges(&[(30, 33), (20, 30)]));
    assert_eq!(
        cache.read(&bucket, &part(&version, 33, 33)).await.unwrap(),
        [] as [Bytes; 0]
    );
}

#[tokio::test]
async fn readers_of_one_missing_block_share_one_request() {
    let (pattern, bucket) = bucket(0);
    let (cache, version) = (cache(), version("a", 1000));
    let readers: Vec<_> = (0..10)
        .map(|i| {
            let (cache, bucket) = (Arc::clone(&cache), Arc::clone(&bucket));
            let source = part(&version, 10 + i, 20);
            tokio::spawn(async move {
                assert_eq!(
                    cache.read(&bucket, &source).await.unwrap().concat(),
                    expected(&source)
                );
            })
        })
        .collect();
    settle().await;
    pattern.gate.add_permits(OPEN);
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(pattern.gets().len(), 1);
}

#[tokio::test]
async fn an_error_reaches_all_who_wait_and_the_next_reader_asks_again() {
    let (pattern, bucket) = bucket(0);
    let (cache, version) = (cache(), version("a", 1000));
    pattern.failing.store(true, Ordering::SeqCst);
    let source = part(&version, 0, 10);
    let opened = async {
        settle().await;
        pattern.gate.add_permits(OPEN);
    };
    let (first, second, ()) = tokio::join!(
        cache.read(&bucket, &source),
        cache.read(&bucket, &source),
        opened
    );
    assert_eq!(
        (first.unwrap_err(), second.unwrap_err()),
        (stale(), stale())
    );
    assert_eq!((pattern.gets().len(), cache.bytes()), (1, 0));
    pattern.failing.store(false, Ordering::SeqCst);
    assert_eq!(
        cache.read(&bucket, &source).await.unwrap().concat(),
        expected(&source)
    );
}

#[tokio::test]
async fn a_reader_that_gives_up_does_not_hold_up_another() {
    let (pattern, bucket) = bucket(0);
    let (cache, version) = (cache(), version("a", 1000));
    let source = part(&version, 0, 10);
    {
        let mut given_up = Box::pin(cache.read(&bucket, &source));
        tokio::select! {
            biased;
            _ = &mut given_up => panic!("the store has not answered"),
            () = settle() => {}
        }
    }
    let opened = async { pattern.gate.add_permits(OPEN) };
    let (read, ()) = tokio::join!(cache.read(&bucket, &source), opened);
    assert_eq!(read.unwrap().concat(), expected(&source));
    assert_eq!(pattern.gets().len(), 1);
}

#[tokio::test]
async fn a_fetch_whose_runtime_ends_is_made_up_for_by_the_reader() {
    let (pattern, bucket) = bucket(0);
    let fetching = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let cache = BlockCache::new(CacheBounds::default(), fetching.handle().clone());
    let source = part(&version("a", 10), 0, 10);
    let ended = async {
        settle().await;
        fetching.shutdown_background();
        pattern.gate.add_permits(OPEN);
    };
    let (read, ()) = tokio::join!(cache.read(&bucket, &source), ended);
    assert_eq!(read.unwrap().concat(), expected(&source));
    let read = cache.read(&bucket, &source).await;
    assert_eq!(read.unwrap().concat(), expected(&source));
}

#[tokio::test]
async fn versions_of_one_key_do_not_mix() {
    let (_, bucket) = bucket(OPEN);
    let cache = cache();
    for etag in ["a", "b", "a"] {
        let source = part(&version(etag, 1000), 3, 27);
        assert_eq!(
            cache.read(&bucket, &source).await.unwrap().concat(),
            expected(&source)
        );
    }
}

#[tokio::test]
async fn the_least_recently_used_is_evicted_first() {
    let (pattern, bucket) = bucket(OPEN);
    let (cache, version) = (cache(), version("a", 1000));
    for block in 0..10 {
        cache
            .read(&bucket, &part(&version, block * 10, block * 10 + 1))
            .await
            .unwrap();
    }
    cache.read(&bucket, &part(&version, 0, 1)).await.unwrap();
    cache
        .read(&bucket, &part(&version, 500, 501))
        .await
        .unwrap();
    assert_eq!((cache.bytes(), pattern.gets().len()), (100, 11));
    cache.read(&bucket, &part(&version, 0, 1)).await.unwrap();
    assert_eq!(pattern.gets().len(), 11, "used again, so kept");
    cache.read(&bucket, &part(&version, 10, 11)).await.unwrap();
    assert_eq!(pattern.gets().len(), 12, "used longest ago, so evicted");
}

#[tokio::test]
async fn prefetch_asks_only_for_what_is_neither_there_nor_under_way() {
    let (pattern, bucket) = bucket(OPEN);
    let (cache, version) = (cache(), version("a", 1000));
    cache.read(&bucket, &part(&version, 20, 30)).await.unwrap();
    cache.prefetch(&bucket, &part(&version, 0, 50));
    cache.prefetch(&bucket, &part(&version, 5, 60));
    settle().await;
    assert_eq!(
        pattern.gets(),
        ranges(&[(20, 30), (0, 20), (30, 50), (50, 60)])
    );
    let source = part(&version, 0, 60);
    assert_eq!(
        cache.read(&bucket, &source).await.unwrap().concat(),
        expected(&source)
    );
    assert_eq!(pattern.gets().len(), 4);
}

#[tokio::test]
async fn prefetch_leaves_room_for_reads_and_keeps_to_its_requests() {
    let (pattern, bucket) = bucket(0);
    let (cache, version) = (cache(), version("a", 1000));
    for start in [0, 10, 30, 50, 70, 90] {
        assert_eq!(
            cache.prefetch(&bucket, &part(&version, start, start + 10)),
            10
        );
    }
    assert_eq!(
        cache.prefetch(&bucket, &part(&version, 105, 400)),
        5,
        "one block has room"
    );
    settle().await;
    assert_eq!(pattern.under_way.load(Ordering::SeqCst), 2);
    assert_eq!(cache.bytes(), 70, "three quarters of 100");
    let _joined = tokio::spawn({
        let (cache, bucket) = (Arc::clone(&cache), Arc::clone(&bucket));
        let source = part(&version, 70, 80);
        async move { cache.read(&bucket, &source).await.map(drop) }
    });
    settle().await;
    assert_eq!(
        pattern.gets()[2..],
        ranges(&[(70, 80)]),
        "what is read now jumps the queue"
    );
    let read = tokio::spawn({
        let (cache, bucket) = (Arc::clone(&cache), Arc::clone(&bucket));
        let source = part(&version, 900, 930);
        async move { cache.read(&bucket, &source).await.unwrap().concat() }
    });
    settle().await;
    assert_eq!(
        pattern.under_way.load(Ordering::SeqCst),
        4,
        "a read waits for no prefetch"
    );
    pattern.gate.add_permits(OPEN);
    assert_eq!(read.await.unwrap(), expected(&part(&version, 900, 930)));
}

/// Bytes fetched when several readers in turn read an object each from start to end.
async fn fetched_by_sequential_readers(etags: &[&str], size: u64, bytes_max: u64) -> u64 {
    let (pattern, bucket) = bucket(OPEN);
    let bounds = CacheBounds {
        bytes_max,
        request_bytes_max: 2 * MIB,
        ..CacheBounds::default()
    };
    let cache = BlockCache::new(bounds, Handle::current());
    let mut readers: Vec<_> = etags
        .iter()
        .map(|etag| (version(etag, size), Window::new(4 * MIB)))
        .collect();
    for position in (0..size).step_by(1 << 18) {
        for (version, window) in &mut readers {
            let range = ByteRange::at(position, MIB / 4);
            if let Some(ahead) = window.read(range) {
                let source = part(version, ahead.start(), ahead.end());
                window.cut(ahead.start() + cache.prefetch(&bucket, &source));
                settle().await;
            }
            let source = part(version, range.start(), range.end());
            cache.read(&bucket, &source).await.unwrap();
        }
    }
    pattern.gets().iter().map(|range| range.len()).sum()
}

#[tokio::test]
async fn sequential_readers_whose_windows_fit_the_cache_fetch_each_byte_once() {
    // A window, the run being read, and a block begun at its end: 7 MiB each, in 3/4 of the cache.
    let fetched = fetched_by_sequential_readers(&["a", "b"], 16 * MIB, 20 * MIB).await;
    assert_eq!(fetched, 2 * 16 * MIB);
}

#[tokio::test]
async fn sequential_readers_whose_windows_do_not_fit_the_cache_fetch_little_twice() {
    let fetched = fetched_by_sequential_readers(&["a", "b", "c", "d"], 16 * MIB, 15 * MIB).await;
    assert!(fetched <= 4 * 17 * MIB, "{fetched} bytes for 64 MiB");
}

#[tokio::test]
async fn readahead_recovers_from_readers_that_went_away() {
    let (_, bucket) = bucket(OPEN);
    let (cache, gone, version) = (cache(), version("gone", 1000), version("a", 1000));
    cache.prefetch(&bucket, &part(&gone, 0, 500));
    settle().await;
    assert_eq!(cache.prefetch(&bucket, &part(&version, 10, 50)), 0);
    for block in 1..7 {
        cache
            .read(&bucket, &part(&version, block * 10, block * 10 + 1))
            .await
            .unwrap();
    }
    assert_eq!(cache.prefetch(&bucket, &part(&version, 70, 100)), 30);
}

#[tokio::test]
async fn a_read_larger_than_the_cache_goes_past_it() {
    let (pattern, bucket) = bucket(OPEN);
    let (cache, version) = (cache(), version("a", 1000));
    let source = part(&version, 15, 955);
    assert_eq!(
        cache.read(&bucket, &source).await.unwrap().concat(),
        expected(&source)
    );
    assert!(cache.bytes() <= 100);
    let fetched: u64 = pattern.gets().iter().map(|range| range.len()).sum();
    assert!(fetched <= 940 + 10, "nothing is fetched twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bounds_hold_under_random_load() {
    let (pattern, bucket) = bucket(OPEN);
    let cache = cache();
    let load = (0..8).map(|seed| {
        let (cache, bucket) = (Arc::clone(&cache), Arc::clone(&bucket));
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            for _ in 0..500 {
                let version = version(["a", "b", "c"][random.usize(0..3)], 777);
                let start = random.u64(0..777);
                let source = part(&version, start, random.u64(start..=777.min(start + 90)));
                if random.u8(0..4) == 0 {
                    cache.prefetch(&bucket, &source);
                } else {
                    let read = cache.read(&bucket, &source).await.unwrap();
                    assert_eq!(read.concat(), expected(&source));
                }
                assert!(cache.bytes() <= 100);
            }
        })
    });
    for task in load.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert!(!pattern.gets().is_empty());
}
