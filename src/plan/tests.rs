//! Tests of the planner under toy limits of a few bytes, and of the budgets under real ones.

use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;

use self::oracle::judge_after;
use super::{Part, Plan, PlanError, plan, plan_after};
use crate::extent::ExtentMap;
use crate::extent::tests::oracle::{Edit, Model, materialise, object};
use crate::limits::{GIB, Limits, MIB, PartCopy};
use crate::object::ObjectVersion;
use crate::range::ByteRange;

mod oracle;

/// Limits of a few bytes.
fn toy() -> Limits {
    Limits {
        part_size_min: 5,
        part_size_max: 1_000,
        part_count_max: 100,
        parts_equal: false,
        part_copy: PartCopy::Ranges,
        copy_object_max: 1_000,
        put_max: 1_000,
        append_max: 0,
        object_size_max: 10_000,
        metadata_bytes_max: 2_048,
        backslash_is_slash: false,
        copy_object_preferred_max: 100,
        copy_part_size: 100,
        upload_part_size: 10,
    }
}

/// A map from a notation: `O100` is 100 bytes of an object of its own (from its start, and not all
/// of it), `W100` the whole of one, `D1` a dirty byte, `H7` a hole.
fn map(notation: &str) -> ExtentMap {
    let mut map = ExtentMap::new();
    for (number, word) in (0_u8..).zip(notation.split_whitespace()) {
        let (kind, len) = word.split_at(1);
        let len: u64 = len.parse().unwrap();
        let at = map.len();
        match kind {
            "W" => map.append(&ExtentMap::of_object(object(number, len))),
            "O" => {
                let whole = ExtentMap::of_object(object(number, len + 1));
                map.append(&whole.slice(ByteRange::new(0, len)));
            }
            "D" => map.write(at, 10 * at, len),
            "H" => map.truncate(at + len),
            _ => panic!("{word}"),
        }
    }
    map
}

/// A plan in the same notation: `C100` is a copied part, `U6` an uploaded one.
fn told(plan: &Result<Plan, PlanError>) -> String {
    match plan {
        Ok(Plan::Unchanged) => "unchanged".to_owned(),
        Ok(Plan::Put(map)) => format!("put {}", map.len()),
        Ok(Plan::Append(map)) => format!("append {}", map.len()),
        Ok(Plan::CopyObject(version)) => format!("copy {}", version.size),
        Ok(Plan::Multipart(parts)) => told_parts(parts),
        Err(PlanError::ObjectTooLarge { .. }) => "object too large".to_owned(),
        Err(PlanError::TooManyParts { .. }) => "too many parts".to_owned(),
    }
}

fn told_parts(parts: &[Part]) -> String {
    let mut told = String::new();
    for part in parts {
        let kind = if matches!(part, Part::Copy(_)) {
            'C'
        } else {
            'U'
        };
        let space = if told.is_empty() { "" } else { " " };
        write!(told, "{space}{kind}{}", part.len()).unwrap();
    }
    told
}

/// Plans, and judges the plan by everything known of a right one.
fn judge(
    map: &ExtentMap,
    base: Option<&Arc<ObjectVersion>>,
    limits: &Limits,
) -> Result<Plan, PlanError> {
    let planned = oracle::judge(map, base, limits);
    if let Ok(plan) = &planned {
        assert!(
            materialise(&plan.content(base)) == materialise(map),
            "other bytes"
        );
    }
    planned
}

#[track_caller]
fn check_rows(limits: &Limits, rows: &[(&str, &str)]) {
    for (file, expected) in rows {
        assert_eq!(told(&judge(&map(file), None, limits)), *expected, "{file}");
    }
}

#[test]
fn files_become_parts_as_the_table_says() {
    check_rows(
        &toy(),
        &[
            ("", "put 0"),
            ("D1", "put 1"),
            ("D10", "put 10"),
            ("D11", "U6 U5"),
            ("D30", "U10 U10 U10"),
            ("H30", "U10 U10 U10"),
            ("D4 H4", "put 8"),
            // A whole object is one copy, or parts when it is large; a single part would be no
            // faster than the one copy.
            ("W100", "copy 100"),
            ("W101", "C51 C50"),
            ("W250", "C84 C83 C83"),
            // Truncated.
            ("O100", "C100"),
            ("O3", "C3"),
            ("O250", "C84 C83 C83"),
            // Appended to; concatenated.
            ("O100 D1", "C100 U1"),
            ("O100 D25", "C100 U9 U8 U8"),
            ("W100 W100", "C100 C100"),
            ("O4 D1", "put 5"),
            ("O5 D1", "C5 U1"),
            ("W3 W3", "U5 C1"),
            // Overwritten in the middle: the upload is filled up from the copy before.
            ("O100 D1 O100", "C96 U5 C100"),
            ("O6 D1 O100", "C5 U5 C97"),
            ("O5 D1 O100", "C5 U5 C96"),
            ("O4 D1 O100", "U5 C100"),
            ("O100 D1 O4", "C100 U5"),
            ("O100 D1 O5", "C96 U5 C5"),
            ("D1 O100", "U5 C96"),
            ("H1 O100", "U5 C96"),
            ("D6 O100", "U6 C100"),
            ("O100 H30 O100", "C100 U10 U10 U10 C100"),
            // Short runs between edits are uploaded with them.
            ("O100 D1 O3 D1 O100", "C100 U5 C100"),
            ("O100 D1 O4 D2 O100", "C100 U7 C100"),
            ("O100 D1 O7 D1 O100", "C100 U9 C100"),
            ("O100 D1 O20 D1 O100", "C96 U5 C16 U5 C100"),
            ("O5 D1 O5 D1 O5 D1", "C5 U7 C5 U1"),
            // Copying the first run would leave the next nothing to spare for the last.
            ("O5 D2 O8 D3 O5 D1", "U7 C6 U5 C5 U1"),
        ],
    );
}

#[test]
fn a_whole_object_that_would_be_one_part_is_one_copy_even_above_the_preferred_size() {
    let limits = Limits {
        copy_object_preferred_max: 0,
        ..toy()
    };
    check_rows(&limits, &[("W100", "copy 100"), ("W101", "C51 C50")]);
}

#[test]
fn without_part_copies_all_but_a_whole_object_goes_through_the_client() {
    let limits = Limits {
        part_copy: PartCopy::None,
        ..toy()
    };
    check_rows(
        &limits,
        &[
            ("W100", "copy 100"),
            ("W1000", "copy 1000"),
            ("O10", "put 10"),
            ("O20", "U10 U10"),
            ("O20 D1", "U7 U7 U7"),
        ],
    );
    let small_copies = Limits {
        copy_object_max: 15,
        ..limits
    };
    check_rows(&small_copies, &[("W15", "copy 15"), ("W16", "U8 U8")]);
}

#[test]
fn equal_parts_are_equal_and_let_extents_start_where_parts_do() {
    let limits = Limits {
        parts_equal: true,
        ..toy()
    };
    check_rows(
        &limits,
        &[
            ("W100", "copy 100"),
            ("W250", "C84 C84 C82"),
            ("D11", "U6 U5"),
            ("D30", "U10 U10 U10"),
            ("W60 W60", "C60 C60"),
            ("W60 W30 W60", "C30 C30 C30 C30 C30"),
            ("O100 D1", "C100 U1"),
            ("O250 D1", "C50 C50 C50 C50 C50 U1"),
            ("O251 D1", "C50 C50 C50 C50 C50 U2"),
            (
                "D1 O99",
                "U5 C5 C5 C5 C5 C5 C5 C5 C5 C5 C5 C5 C5 C5 C5 C5 C5 C5 C5 C5",
            ),
            ("O20 D5 O20", "C5 C5 C5 C5 U5 C5 C5 C5 C5"),
        ],
    );
}

#[test]
fn parts_grow_and_short_copies_are_fetched_when_parts_run_out() {
    let limits = Limits {
        part_count_max: 5,
        put_max: 10,
        part_size_max: 200,
        ..toy()
    };
    check_rows(
        &limits,
        &[
            // Copied parts grow first: an uploaded one is held in memory.
            ("O400 D20", "C134 C133 C133 U10 U10"),
            ("O900 D10", "C182 C182 C182 C182 U182"),
            ("D100", "U20 U20 U20 U20 U20"),
            ("O50 D5 O50 D5 O50", "C50 U5 C50 U5 C50"),
            ("O50 D5 O50 D5 O40 D5 O50", "C50 U5 C50 U50 C50"),
            ("D1000", "U200 U200 U200 U200 U200"),
            ("D1001", "too many parts"),
            ("O1001", "too many parts"),
            ("D10001", "object too large"),
        ],
    );
}

#[test]
fn a_file_that_no_parts_can_hold_may_still_be_one_request() {
    let limits = Limits {
        part_count_max: 2,
        part_size_max: 10,
        copy_object_max: 500,
        put_max: 30,
        ..toy()
    };
    let rows = [
        ("W500", "copy 500"),
        ("W501", "too many parts"),
        ("D30", "put 30"),
    ];
    check_rows(&limits, &rows);
    check_rows(
        &limits,
        &[("D31", "too many parts"), ("O31", "too many parts")],
    );
}

#[test]
fn the_base_itself_needs_no_request_and_another_version_of_it_needs_a_copy() {
    let base = object(0, 50);
    let whole = ExtentMap::of_object(Arc::clone(&base));
    assert_eq!(told(&judge(&whole, Some(&base), &toy())), "unchanged");
    assert_eq!(
        told(&judge(&whole, Some(&object(1, 50)), &toy())),
        "copy 50"
    );
    assert_eq!(told(&judge(&whole, None, &toy())), "copy 50");
    let empty = object(0, 0);
    assert_eq!(
        told(&judge(&ExtentMap::new(), Some(&empty), &toy())),
        "unchanged"
    );
    assert_eq!(
        told(&judge(&ExtentMap::new(), Some(&base), &toy())),
        "put 0"
    );
    let too_large = Limits {
        object_size_max: 10,
        ..toy()
    };
    assert_eq!(told(&judge(&whole, Some(&base), &too_large)), "unchanged");
}

#[test]
fn what_is_added_to_the_base_is_all_that_is_sent_where_it_can_be_added_in_its_place() {
    let limits = Limits {
        append_max: 8,
        ..toy()
    };
    let base = object(0, 50);
    let grown = |tail: &str| {
        let mut map = ExtentMap::of_object(Arc::clone(&base));
        map.append(&self::map(tail));
        map
    };
    for (tail, expected) in [
        ("D3", "append 3"),
        ("H2 D1", "append 3"),
        ("D8", "append 8"),
        // More than one request adds.
        ("D9", "C50 U9"),
        // Copied as a part, it does not go through the client.
        ("O3", "C50 C3"),
    ] {
        let plan = judge(&grown(tail), Some(&base), &limits);
        assert_eq!(told(&plan), expected, "{tail}");
    }
    // Of another object, or of less of it, nothing can be added to it.
    let other = object(1, 50);
    let plan = judge(&grown("D3"), Some(&other), &limits);
    assert_eq!(told(&plan), "C50 U3");
    let mut less = grown("").slice(ByteRange::new(0, 49));
    less.append(&map("D3"));
    assert_eq!(told(&judge(&less, Some(&base), &limits)), "C49 U3");
}

#[test]
fn a_plan_of_parts_is_counted_with_its_create_complete_and_fetches() {
    let cost = plan(&map("O100 D1 O2 D1 O100"), None, &toy())
        .unwrap()
        .cost();
    // Create, copy, upload with one fetch of 2 bytes from the middle and one of 1 from the first,
    // copy, complete.
    assert_eq!((cost.up, cost.down, cost.requests), (5, 3, 7));
    let cost = plan(&map("O3 D1"), None, &toy()).unwrap().cost();
    assert_eq!((cost.up, cost.down, cost.requests), (4, 3, 2));
}

#[test]
fn an_upload_begun_before_the_size_was_known_is_finished_with_the_parts_left() {
    let limits = Limits {
        part_count_max: 4,
        ..toy()
    };
    let parts = |file: &str, uploaded, done| {
        plan_after(&map(file), uploaded, done, &limits).map(|parts| told_parts(&parts))
    };
    assert_eq!(parts("D20", 20, 2).unwrap(), "");
    assert_eq!(parts("D23", 20, 2).unwrap(), "U3");
    assert_eq!(parts("D20 O50", 20, 2).unwrap(), "C50");
    assert_eq!(parts("D60", 20, 2).unwrap(), "U20 U20");
    let too_many = PlanError::TooManyParts {
        size: 31,
        parts_max: 4,
    };
    let full = Limits {
        part_size_max: 10,
        ..limits.clone()
    };
    assert_eq!(plan_after(&map("D31"), 30, 4, &full), Err(too_many));
    let small = Limits {
        object_size_max: 30,
        ..limits.clone()
    };
    let too_large = PlanError::ObjectTooLarge { size: 31, max: 30 };
    assert_eq!(plan_after(&map("D31"), 20, 2, &small), Err(too_large));
    let equal = Limits {
        parts_equal: true,
        ..limits
    };
    let parts = plan_after(&map("D20 O6 D1"), 20, 2, &equal).unwrap();
    assert_eq!(told_parts(&parts), "U7");
    let too_many = PlanError::TooManyParts {
        size: 41,
        parts_max: 4,
    };
    assert_eq!(plan_after(&map("D20 O21"), 20, 2, &equal), Err(too_many));
}

/// What section 7 of the design allows under the limits of AWS, for a file of `len` bytes.
#[test]
fn append_overwrite_and_truncate_move_at_most_a_few_least_parts() {
    let limits = Limits::aws();
    let least = limits.part_size_min;
    for len in [
        least,
        least + 1,
        2 * least,
        3 * least - 1,
        100 * MIB + 1,
        GIB,
        3000 * GIB,
    ] {
        let whole = ExtentMap::of_object(object(0, len));
        for k in [1, 4096, least - 1, least, 3 * least, 100 * MIB] {
            let mut appended = whole.clone();
            appended.write(len, 0, k);
            let cost = plan(&appended, None, &limits).unwrap().cost();
            assert!(
                cost.up <= k + least && cost.down < least,
                "append {k} to {len}: {cost:?}"
            );
            for at in [
                0,
                1,
                least - 1,
                least,
                len / 2,
                (len - least).saturating_sub(k),
            ] {
                if at + k > len {
                    continue;
                }
                let mut overwritten = whole.clone();
                overwritten.write(at, 0, k);
                let cost = plan(&overwritten, None, &limits).unwrap().cost();
                let told = format!("overwrite {k} at {at} of {len}: {cost:?}");
                assert!(cost.up <= k + 2 * least && cost.down <= 2 * least, "{told}");
            }
        }
        for cut in [least, len / 2, len - 1] {
            let plan = plan(&whole.slice(ByteRange::new(0, cut)), None, &limits).unwrap();
            assert_eq!(plan.cost().client_bytes(), 0, "truncate {len} to {cut}");
        }
    }
}

#[test]
fn a_large_copy_is_cut_into_equal_parts_near_the_size_aimed_at() {
    let limits = Limits::aws();
    let whole = ExtentMap::of_object(object(0, 10 * GIB));
    let Ok(Plan::Multipart(parts)) = plan(&whole, None, &limits) else {
        panic!("not in parts")
    };
    assert_eq!(
        parts.iter().map(Part::len).collect::<Vec<_>>(),
        vec![256 * MIB; 40]
    );
    let most = ExtentMap::of_object(object(0, limits.object_size_max));
    let Ok(Plan::Multipart(parts)) = plan(&most, None, &limits) else {
        panic!("not in parts")
    };
    assert_eq!(parts.len(), 10_000);
    let more = ExtentMap::of_object(object(0, limits.object_size_max + 1));
    let too_large = PlanError::ObjectTooLarge {
        size: limits.object_size_max + 1,
        max: limits.object_size_max,
    };
    assert_eq!(plan(&more, None, &limits), Err(too_large));
}

#[test]
fn more_edits_than_there_are_parts_make_a_plan_within_the_part_count() {
    for parts_equal in [false, true] {
        let limits = Limits {
            parts_equal,
            ..Limits::aws()
        };
        let mut database = ExtentMap::of_object(object(0, 1 << 40));
        for number in 0..20_000 {
            database.write(number * number * 2749, number * 8192, 4096);
        }
        let plan = plan(&database, None, &limits).unwrap();
        let Plan::Multipart(parts) = &plan else {
            panic!("not in parts")
        };
        assert!(parts.len() <= 10_000);
        // Copying the longest 5,000 runs, with as many uploads between, leaves 56 % to fetch.
        assert!(
            parts_equal || plan.cost().down < (1 << 40) / 10 * 6,
            "{:?}",
            plan.cost()
        );
        assert_eq!(plan.content(None), database);
    }
}

/// Every combination of small limits.
fn limits() -> impl Strategy<Value = Limits> {
    any::<[u8; 11]>().prop_map(oracle::decode_limits)
}

/// A file after some edits of nothing or of a whole object.
fn edited() -> impl Strategy<Value = ExtentMap> {
    let edits = prop::collection::vec(any::<[u8; 4]>().prop_map(Edit::decode), 0..12);
    (any::<bool>(), edits).prop_map(|(empty, edits)| {
        let mut model = Model::default();
        if !empty {
            model.apply(Edit::Append {
                object: 0,
                range: ByteRange::new(0, 64),
            });
        }
        edits.into_iter().for_each(|edit| model.apply(edit));
        model.map
    })
}

/// A file of many runs of lengths near the least part, which leave little to spare.
fn patched() -> impl Strategy<Value = ExtentMap> {
    prop::collection::vec((0_u8..3, 1_u64..14), 0..14).prop_map(|runs| {
        let words = runs.iter().map(|(kind, len)| match kind {
            0 => format!("D{}", len.div_ceil(3)),
            _ => format!("O{len}"),
        });
        map(&words.collect::<Vec<_>>().join(" "))
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn a_plan_under_any_limits_is_legal_makes_the_file_and_is_never_dearer_than_the_naive_one(
        limits in limits(), map in edited(),
    ) {
        let _ = judge(&map, Some(&object(0, 64)), &limits);
    }

    #[test]
    fn no_division_fetches_less_even_when_runs_have_nothing_to_spare(
        limits in limits(), map in patched(),
    ) {
        let _ = judge(&map, None, &limits);
    }

    #[test]
    fn a_plan_for_the_rest_of_an_upload_is_legal_and_makes_the_file(
        limits in limits(), map in edited(), parts_sent in 0_u32..6,
    ) {
        judge_after(&map, parts_sent, &limits);
    }
}
