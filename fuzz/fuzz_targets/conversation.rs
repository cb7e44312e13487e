//! Any datagrams as the kernel's answers: see crates/fuzz-bodies.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_bodies::conversation::run(input);
});
