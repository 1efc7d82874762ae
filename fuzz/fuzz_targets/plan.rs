//! Fuzzes the planner: under any small limits the plan of any file is legal, makes that file, and
//! fetches no more than it must. Knows no store.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3fs_fuzz::map_oracle::{Edit, Model, materialise, object};
use s3fs_fuzz::plan_oracle::{decode_limits, judge, judge_after};

fuzz_target!(|input: &[u8]| {
    let Some((limits, edits)) = input.split_first_chunk() else {
        return;
    };
    let limits = decode_limits(*limits);
    let mut model = Model::default();
    for edit in edits.as_chunks().0 {
        model.apply(Edit::decode(*edit));
    }
    let base = object(0, 64);
    if let Ok(plan) = judge(&model.map, Some(&base), &limits) {
        assert_eq!(materialise(&plan.content(Some(&base))), model.bytes);
    }
    judge_after(&model.map, edits.len() as u32 % 6, &limits);
});
