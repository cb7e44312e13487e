//! Any arrays through the C functions: see crates/fuzz-bodies.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_bodies::cboundary::run(input);
});
