//! Tests of the extent map against plain bytes, and of its size.

use std::sync::Arc;

use proptest::prelude::*;

use self::oracle::{Edit, Model, object};
use super::{Extent, ExtentMap};
use crate::range::ByteRange;

pub(crate) mod oracle;

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    prop::collection::vec(any::<[u8; 4]>().prop_map(Edit::decode), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn a_map_stands_for_the_same_bytes_as_plain_bytes_after_every_edit(edits in edits()) {
        let mut model = Model::default();
        for edit in edits {
            model.apply(edit);
            model.check();
        }
    }

    #[test]
    fn any_range_of_a_map_stands_for_the_bytes_of_that_range(
        edits in edits(), start in 0_u64..80, len in 0_u64..80,
    ) {
        let mut model = Model::default();
        edits.into_iter().for_each(|edit| model.apply(edit));
        model.check_range(ByteRange::at(start, len));
    }

    #[test]
    fn a_map_cut_anywhere_and_appended_again_is_the_same_map(edits in edits(), at in 0_u64..80) {
        let mut model = Model::default();
        edits.into_iter().for_each(|edit| model.apply(edit));
        let at = at.min(model.map.len());
        let mut rejoined = model.map.slice(ByteRange::new(0, at));
        rejoined.append(&model.map.slice(ByteRange::new(at, model.map.len())));
        prop_assert_eq!(rejoined, model.map);
    }
}

fn count(map: &ExtentMap) -> usize {
    map.extents().count()
}

#[test]
fn consecutive_copies_of_one_object_are_one_extent() {
    let source = ExtentMap::of_object(object(1, 100));
    let mut copy = ExtentMap::new();
    for start in (0..100).step_by(7) {
        // A version known from another HEAD is equal, yet not the same pointer.
        let source = ExtentMap::of_object(object(1, 100));
        copy.append(&source.slice(ByteRange::at(start, 7)));
        copy.check();
    }
    assert_eq!(copy, source);
}

#[test]
fn writes_contiguous_in_the_file_but_not_in_the_staging_stay_apart() {
    let mut map = ExtentMap::new();
    map.write(0, 0, 10);
    map.write(10, 10, 10);
    assert_eq!(count(&map), 1);
    map.write(20, 21, 10);
    assert_eq!(count(&map), 2);
    map.check();
}

#[test]
fn a_write_beyond_the_end_leaves_a_hole_and_writing_nothing_leaves_none() {
    let mut map = ExtentMap::new();
    map.write(10, 0, 0);
    map.splice(10, &ExtentMap::new());
    assert_eq!(map, ExtentMap::new());
    map.write(10, 0, 1);
    let extents: Vec<Extent> = map.extents().cloned().collect();
    assert_eq!(
        extents,
        [
            Extent::Hole { len: 10 },
            Extent::Dirty { offset: 0, len: 1 }
        ]
    );
}

#[test]
fn putting_back_the_bytes_of_an_object_makes_it_whole_again() {
    let whole = ExtentMap::of_object(object(0, 50));
    let mut map = whole.clone();
    map.write(20, 0, 5);
    map.truncate(40);
    map.splice(20, &whole.slice(ByteRange::at(20, 5)));
    map.splice(40, &whole.slice(ByteRange::new(40, 50)));
    assert_eq!(map, whole);
}

#[test]
fn the_versions_are_each_named_once_in_the_order_they_appear() {
    let (first, second) = (object(1, 20), object(2, 20));
    let mut map = ExtentMap::of_object(Arc::clone(&second));
    map.append(&ExtentMap::of_object(Arc::clone(&first)));
    map.append(&ExtentMap::of_object(object(2, 20)));
    assert_eq!(map.versions(), [second, first]);
}

#[test]
fn the_last_bytes_a_file_can_have_are_edited_without_overflow() {
    const END: u64 = i64::MAX as u64;
    let mut map = ExtentMap::new();
    map.write(END - 1, END - 1, 1);
    map.truncate(END);
    map.punch(ByteRange::new(0, u64::MAX));
    assert_eq!(count(&map), 1);
    map.splice(END, &map.clone());
    assert_eq!(map.len(), 2 * END);
    map.write(END, END, END);
    map.check();
    assert!(map.slice(ByteRange::new(u64::MAX, u64::MAX)).is_empty());
    assert_eq!(map.walk(ByteRange::new(5, 5)).count(), 0);
}

#[test]
fn a_database_may_write_a_hundred_thousand_pages_at_random() {
    let mut map = ExtentMap::of_object(object(0, 1 << 40));
    let mut random = 1_u64;
    for number in 0..100_000 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        map.write((random >> 36) << 12, number * 8192, 4096);
    }
    map.check();
    assert!(count(&map) > 190_000);
    map.punch(ByteRange::new(0, 1 << 40));
    assert_eq!(count(&map), 1);
}
