//! Tests of the block cache: what it asks of the store, and that its bounds hold.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::limits::Limits;
use crate::object::{BucketName, ETag, ObjectKey};
use crate::store::{
    CopyHeaders, ListPage, ListRequest, ObjectHeaders, ObjectStat, PartNumber, Payload,
    Precondition, StoreError, StoredPart, Upload,
};

/// Answers GETs with bytes that tell their version and position; counts them, and can hold them
/// back or fail them.
#[derive(Debug)]
struct PatternBucket {
    name: BucketName,
    gets: Mutex<Vec<ByteRange>>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    gate: Semaphore,
    failing: AtomicBool,
}

/// Permits enough for every GET of a test.
const OPEN: usize = 1 << 20;

impl PatternBucket {
    fn with_permits(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            name: BucketName::new("pattern"),
            gets: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
            gate: Semaphore::new(permits),
            failing: AtomicBool::new(false),
        })
    }

    fn gets(&self) -> Vec<ByteRange> {
        self.gets.lock().unwrap().clone()
    }
}

fn byte_at(version: &ObjectVersion, position: u64) -> u8 {
    let salt = version
        .etag
        .as_str()
        .bytes()
        .fold(0_u64, |sum, byte| sum * 7 + u64::from(byte));
    (((position + salt) * 131) >> 3) as u8
}

fn expected(source: &ObjectRange) -> Vec<u8> {
    (source.range.start()..source.range.end())
        .map(|at| byte_at(&source.version, at))
        .collect()
}

#[async_trait]
impl Bucket for PatternBucket {
    fn name(&self) -> &BucketName {
        &self.name
    }
    async fn get(&self, source: &ObjectRange) -> StoreResult<Bytes> {
        self.gets.lock().unwrap().push(source.range);
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(now, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        if self.failing.load(Ordering::SeqCst) {
            return Err(stale());
        }
        Ok(Bytes::from(expected(source)))
    }
    fn limits(&self) -> &Limits {
        unimplemented!()
    }
    async fn check(&self) -> StoreResult<()> {
        unimplemented!()
    }
    async fn head(&self, _: &ObjectKey) -> StoreResult<ObjectStat> {
        unimplemented!()
    }
    async fn list(&self, _: &ListRequest) -> StoreResult<ListPage> {
        unimplemented!()
    }
    async fn put(
        &self,
        _: &ObjectKey,
        _: Payload,
        _: &ObjectHeaders,
        _: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        unimplemented!()
    }
    async fn copy(
        &self,
        _: &ObjectVersion,
        _: &ObjectKey,
        _: &CopyHeaders,
        _: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        unimplemented!()
    }
    async fn create_upload(&self, _: &ObjectKey, _: &ObjectHeaders) -> StoreResult<Upload> {
        unimplemented!()
    }
    async fn upload_part(&self, _: &Upload, _: PartNumber, _: Payload) -> StoreResult<StoredPart> {
        unimplemented!()
    }
    async fn copy_part(
        &self,
        _: &Upload,
        _: PartNumber,
        _: &ObjectRange,
    ) -> StoreResult<StoredPart> {
        unimplemented!()
    }
    async fn complete_upload(
        &self,
        _: &Upload,
        _: &[StoredPart],
        _: &[Arc<ObjectVersion>],
        _: &Precondition,
    ) -> StoreResult<ObjectVersion> {
        unimplemented!()
    }
    async fn abort_upload(&self, _: &Upload) -> StoreResult<()> {
        unimplemented!()
    }
    async fn uploads(&self, _: &str) -> StoreResult<Vec<Upload>> {
        unimplemented!()
    }
    async fn delete(&self, _: &ObjectKey) -> StoreResult<()> {
        unimplemented!()
    }
    async fn delete_many(&self, _: &[ObjectKey]) -> StoreResult<Vec<(ObjectKey, StoreError)>> {
        unimplemented!()
    }
}

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
        cache.prefetch(&bucket, &part(&version, start, start + 10));
    }
    cache.prefetch(&bucket, &part(&version, 100, 400));
    settle().await;
    assert_eq!(pattern.under_way.load(Ordering::SeqCst), 2);
    assert_eq!(
        cache.bytes(),
        60,
        "a run of 40 more is over three quarters of 100"
    );
    let read = tokio::spawn({
        let (cache, bucket) = (Arc::clone(&cache), Arc::clone(&bucket));
        let source = part(&version, 900, 930);
        async move { cache.read(&bucket, &source).await.unwrap().concat() }
    });
    settle().await;
    assert_eq!(
        pattern.under_way.load(Ordering::SeqCst),
        3,
        "a read waits for no prefetch"
    );
    pattern.gate.add_permits(OPEN);
    assert_eq!(read.await.unwrap(), expected(&part(&version, 900, 930)));
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
