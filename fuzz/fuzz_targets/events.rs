//! Any bytes as events: see crates/fuzz-bodies.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_bodies::events::run(input);
});
