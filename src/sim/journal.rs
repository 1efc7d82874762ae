//! A service kept in a directory: bodies as files, all else as lines of JSON replayed at start.
//! Survives the death of the process, not of the machine: nothing is synced. Uploads under way
//! are not kept.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::buckets::{Buckets, Stored, Version};
use super::content::{BlobFile, Content, Extent, Home};
use crate::store::{ObjectHeaders, Tags};

/// The directory and the open journal in it.
#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    lines: File,
    stopping: Arc<AtomicBool>,
}

impl Drop for Journal {
    fn drop(&mut self) {
        // From here on files belong to the next start.
        self.stopping.store(true, Ordering::Relaxed);
    }
}

impl Journal {
    /// Takes up what is kept in `dir` and writes it down anew, in short; deletes files that
    /// nothing refers to.
    pub(super) fn open(dir: &Path) -> io::Result<Buckets> {
        fs::create_dir_all(dir.join("blobs"))?;
        let mut buckets = Buckets::new();
        // Nothing is deleted before all of the journal made sense.
        let stopping = Arc::new(AtomicBool::new(true));
        let blobs = open_blobs(&dir.join("blobs"), &stopping)?;
        let path = dir.join("journal");
        if path.exists() {
            for line in BufReader::new(File::open(&path)?).split(b'\n') {
                // The last line may be cut short.
                let Ok(record) = serde_json::from_slice::<Value>(&line?) else {
                    break;
                };
                if replay(&mut buckets, &record, &blobs).is_none() {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("{}: unknown record {record}", path.display()),
                    ));
                }
            }
        }
        let fresh = dir.join("journal.new");
        let lines = File::create(&fresh)?;
        let mut journal = Self {
            dir: dir.into(),
            lines,
            stopping,
        };
        journal.snapshot(&buckets)?;
        fs::rename(&fresh, &path)?;
        journal.lines = OpenOptions::new().append(true).open(&path)?;
        journal.stopping.store(false, Ordering::Relaxed);
        buckets.journal = Some(journal);
        drop(blobs);
        Ok(buckets)
    }

    fn snapshot(&mut self, buckets: &Buckets) -> io::Result<()> {
        for (name, bucket) in &buckets.by_name {
            self.bucket(name, bucket.versioned)?;
            for (key, versions) in &bucket.objects {
                for version in versions {
                    self.version(name, key, version)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps a body.
    pub(super) fn keep(&self, id: u64, bytes: &[u8]) -> io::Result<Content> {
        let path = self.dir.join("blobs").join(id.to_string());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        file.write_all(bytes)?;
        let blob = BlobFile {
            file,
            path,
            id,
            stopping: Arc::clone(&self.stopping),
        };
        let mut content = Content::default();
        let len = bytes.len() as u64;
        content.push(Extent {
            home: Home::File(Arc::new(blob)),
            offset: 0,
            len,
        });
        Ok(content)
    }

    pub(super) fn bucket(&mut self, name: &str, versioned: bool) -> io::Result<()> {
        self.line(&json!({"bucket": name, "versioned": versioned}))
    }

    pub(super) fn version(&mut self, bucket: &str, key: &str, version: &Version) -> io::Result<()> {
        let object = version.object.as_ref().map(|stored| {
            let since = stored
                .modified
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            json!({
                "etag": stored.etag,
                "modified": since.as_secs(),
                "headers": headers_to_json(&stored.headers),
                "customer_key": stored.customer_key,
                "extents": stored.content.extents().iter().map(extent_to_json).collect::<Vec<_>>(),
            })
        });
        self.line(&json!({"in": bucket, "key": key, "version": version.id, "object": object}))
    }

    pub(super) fn delete(
        &mut self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
    ) -> io::Result<()> {
        self.line(&json!({"in": bucket, "delete": key, "version": version_id}))
    }

    pub(super) fn tags(
        &mut self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
        tags: &BTreeMap<String, String>,
    ) -> io::Result<()> {
        self.line(&json!({"in": bucket, "tag": key, "version": version_id, "tags": tags}))
    }

    fn line(&mut self, record: &Value) -> io::Result<()> {
        self.lines.write_all(format!("{record}\n").as_bytes())
    }
}

fn open_blobs(dir: &Path, stopping: &Arc<AtomicBool>) -> io::Result<HashMap<u64, Arc<BlobFile>>> {
    let mut blobs = HashMap::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let id = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.parse().ok());
        let Some(id) = id else { continue };
        let file = File::open(&path)?;
        blobs.insert(
            id,
            Arc::new(BlobFile {
                file,
                path,
                id,
                stopping: Arc::clone(stopping),
            }),
        );
    }
    Ok(blobs)
}

/// `None` for a record that makes no sense.
fn replay(
    buckets: &mut Buckets,
    record: &Value,
    blobs: &HashMap<u64, Arc<BlobFile>>,
) -> Option<()> {
    if let Some(name) = record.get("bucket") {
        buckets.restore_bucket(name.as_str()?, record["versioned"].as_bool()?);
        return Some(());
    }
    let bucket = record["in"].as_str()?;
    let id = record["version"].as_str().map(str::to_owned);
    if let Some(key) = record.get("delete") {
        buckets.restore_delete(bucket, key.as_str()?, id.as_deref());
        return Some(());
    }
    if let Some(key) = record.get("tag") {
        let tags = Tags::These(texts(&record["tags"])?);
        buckets.restore_tags(bucket, key.as_str()?, id.as_deref(), &tags);
        return Some(());
    }
    let object = match &record["object"] {
        Value::Null => None,
        object => {
            let mut content = Content::default();
            for extent in object["extents"].as_array()? {
                content.push(extent_from_json(extent, blobs)?);
            }
            Some(Arc::new(Stored {
                content,
                etag: object["etag"].as_str()?.into(),
                headers: headers_from_json(&object["headers"])?,
                customer_key: object["customer_key"].as_str().map(str::to_owned),
                modified: UNIX_EPOCH + Duration::from_secs(object["modified"].as_u64()?),
            }))
        }
    };
    buckets.restore_version(bucket, record["key"].as_str()?, Version { id, object });
    Some(())
}

fn extent_to_json(extent: &Extent) -> Value {
    let (kind, number) = match &extent.home {
        Home::File(blob) => ("file", blob.id),
        Home::Pattern(seed) => ("pattern", *seed),
        Home::Memory(_) => unreachable!("a kept service has no body in memory only"),
    };
    json!([kind, number, extent.offset, extent.len])
}

fn extent_from_json(extent: &Value, blobs: &HashMap<u64, Arc<BlobFile>>) -> Option<Extent> {
    let number = extent[1].as_u64()?;
    let home = match extent[0].as_str()? {
        "file" => Home::File(match blobs.get(&number) {
            Some(blob) => Arc::clone(blob),
            None => absent_blob(number)?,
        }),
        "pattern" => Home::Pattern(number),
        _ => return None,
    };
    Some(Extent {
        home,
        offset: extent[2].as_u64()?,
        len: extent[3].as_u64()?,
    })
}

/// A file that is gone because a later record takes the object away; reading it fails.
fn absent_blob(id: u64) -> Option<Arc<BlobFile>> {
    let file = File::open("/dev/null").ok()?;
    let stopping = Arc::new(AtomicBool::new(true));
    Some(Arc::new(BlobFile {
        file,
        path: PathBuf::new(),
        id,
        stopping,
    }))
}

fn headers_to_json(headers: &ObjectHeaders) -> Value {
    json!([
        headers.content_type,
        headers.content_encoding,
        headers.content_disposition,
        headers.content_language,
        headers.cache_control,
        headers.expires,
        headers.storage_class,
        headers.metadata,
        headers.tags.told(),
    ])
}

fn headers_from_json(headers: &Value) -> Option<ObjectHeaders> {
    let text = |index: usize| headers[index].as_str().map(str::to_owned);
    // A journal written before there were tags ends with the metadata.
    let tags = match &headers[8] {
        Value::Null => BTreeMap::new(),
        tags => texts(tags)?,
    };
    Some(ObjectHeaders {
        content_type: text(0),
        content_encoding: text(1),
        content_disposition: text(2),
        content_language: text(3),
        cache_control: text(4),
        expires: text(5),
        storage_class: text(6),
        metadata: texts(&headers[7])?,
        tags: Tags::These(tags),
    })
}

fn texts(object: &Value) -> Option<BTreeMap<String, String>> {
    let pairs = object.as_object()?.iter();
    pairs
        .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}
