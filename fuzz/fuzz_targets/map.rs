//! Fuzzes the extent map: any edits leave it equal to plain bytes edited likewise. Knows no plan.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3fs_fuzz::map_oracle::{Edit, Model};
use s3fs_fuzz::range::ByteRange;

fuzz_target!(|input: &[u8]| {
    let mut model = Model::default();
    for edit in input.as_chunks().0 {
        model.apply(Edit::decode(*edit));
        model.check();
        model.check_range(ByteRange::at(
            u64::from(edit[1]) % 80,
            u64::from(edit[2]) % 80,
        ));
    }
});
