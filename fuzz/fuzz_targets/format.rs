//! Any entries as text: see fuzz/bodies.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    ctrack::fuzz::format::run(input);
});
