//! Any filters, kernels and tables: see fuzz/bodies.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    ctrack::fuzz::planner::run(input);
});
