//! Any bytes as the payload of an entry: no panic, the same result as the independent decoder unless there is a reason,
//! and an entry that makes sense.

#![no_main]

#[allow(dead_code, reason = "shared with the tests of the codec")]
#[path = "../../crates/ctnetlink/tests/support/differential.rs"]
mod differential;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    differential::compare(payload);
});
