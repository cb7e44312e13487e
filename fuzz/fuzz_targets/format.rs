//! Any entries as text: see crates/fuzz-bodies.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_bodies::format::run(input);
});
