//! Any arrays through the C functions: see fuzz/bodies.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    ctrack::fuzz::cboundary::run(input);
});
