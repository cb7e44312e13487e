//! Any filters, kernels and tables: see crates/fuzz-bodies.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_bodies::planner::run(input);
});
