//! Any entries as requests: see fuzz/bodies.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    ctrack::fuzz::encode::run(input);
});
