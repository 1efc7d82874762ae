//! Short sequences of calls that once went wrong, found by the reference model.

use bytes::Bytes;
use s3fs::fs::OpenMode;
use s3fs::limits::Limits;
use s3fs::range::ByteRange;

use super::world::{NEW, World};
use super::{READ, ROOT};

#[test]
fn what_a_read_had_to_publish_is_what_the_next_open_shows() {
    let limits = Limits {
        part_size_min: 4,
        upload_part_size: 16,
        ..Limits::aws()
    };
    let world = World::chosen(limits, |_| ());
    let mode = OpenMode {
        write: true,
        ..READ
    };
    world.run(async {
        let (_, opened) = world.fs.create(ROOT, name("f"), NEW, mode).await.unwrap();
        world.fs.fsync(opened.fh).await.unwrap();
        // Uploaded ahead, and published for the sake of the read.
        let bytes = Bytes::from(vec![1; 64]);
        world.fs.write(opened.fh, 0, bytes.clone()).await.unwrap();
        let all = ByteRange::at(0, 100);
        assert_eq!(world.fs.read(opened.fh, all).await.unwrap(), bytes);
        assert_eq!(world.read("f", all).await.unwrap(), bytes);
        assert_eq!(world.fs.read(opened.fh, all).await.unwrap(), bytes);
        world.close(opened.fh).await.unwrap();
    });
}
