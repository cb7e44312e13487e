//! Any datagrams as the kernel's answers: see fuzz/bodies.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    ctrack::fuzz::conversation::run(input);
});
