//! The targets on the stable toolchain: inputs that once were worth keeping, and random ones.
//!
//! The seed is the day, so that each day tries others, and is printed. `CTRACK_FUZZ_SEED` sets it, `CTRACK_FUZZ_INPUTS` says how
//! many inputs each target gets.

use super::random::Random;
use super::Reached;
use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{catch_unwind, AssertUnwindSafe};

impl Random {
    fn up_to(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 56) as u8
    }

    /// The input of a number: short ones, long ones, and every second one close to one that was kept.
    fn input(seed: u64, number: u64, kept: &[Vec<u8>]) -> Vec<u8> {
        let mut random = Random((seed << 32 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        if number % 2 == 0 || kept.is_empty() {
            let most = [64, 256, 512, 1024][random.up_to(4)];
            return (0..random.up_to(most)).map(|_| random.byte()).collect();
        }
        let mut input = kept[random.up_to(kept.len())].clone();
        for _ in 0..random.up_to(4) {
            let at = random.up_to(input.len() + 1);
            match random.up_to(4) {
                0 => input.insert(at, random.byte()),
                1 => input.truncate(at),
                _ if at == input.len() => {}
                2 => input[at] = random.byte(),
                _ => input[at] ^= 1 << random.up_to(8),
            }
        }
        input
    }
}

fn number_from(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

fn seed() -> u64 {
    number_from("CTRACK_FUZZ_SEED").unwrap_or_else(|| {
        if cfg!(miri) {
            // It is not told the time.
            return 1;
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.expect("a time after 1970").as_secs() / 86_400
    })
}

/// Runs a target on what was kept (`fuzz/seeds`, one input a line, in hexadecimal) and on random inputs. `wanted` says what at
/// least one in so many of the random ones must lead to, or the test would tell nothing.
fn soak(name: &str, kept: &str, inputs: u64, run: fn(&[u8]) -> Reached, wanted: &[(&str, u64)]) {
    // Miri takes seconds for each.
    let every = if cfg!(miri) { 100 } else { 1 };
    let kept: Vec<Vec<u8>> = kept.lines().step_by(every).map(from_hex).collect();
    for (at, input) in kept.iter().enumerate() {
        one(&format!("line {} of fuzz/seeds/{name}", at * every + 1), input, run);
    }
    let seed = seed();
    let default = if cfg!(miri) { 4 } else { inputs };
    let inputs = number_from("CTRACK_FUZZ_INPUTS").unwrap_or(default);
    // Not through the test harness, which would lose it if the program is killed.
    let _ = writeln!(std::io::stderr(), "{name}: CTRACK_FUZZ_SEED={seed}, {inputs} inputs");
    let mut reached = BTreeMap::new();
    for number in 0..inputs {
        let input = Random::input(seed, number, &kept);
        for what in one(&format!("input {number} of CTRACK_FUZZ_SEED={seed}"), &input, run) {
            *reached.entry(what).or_insert(0u64) += 1;
        }
    }
    println!("{name}: {reached:?}");
    if !cfg!(miri) && inputs >= default {
        for (what, one_in) in wanted {
            let times = reached.get(what).copied().unwrap_or_default();
            assert!(times >= inputs / one_in, "{what:?} only {times} times: the test tells too little");
        }
    }
}

fn one(which: &str, input: &[u8], run: fn(&[u8]) -> Reached) -> Reached {
    catch_unwind(AssertUnwindSafe(|| run(input))).unwrap_or_else(|panic| {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("{which}: {hex}");
        std::panic::resume_unwind(panic)
    })
}

fn from_hex(text: &str) -> Vec<u8> {
    assert!(text.len() % 2 == 0, "half a byte: {text}");
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap_or_else(|_| panic!("no byte: {text}"));
    (0..text.len()).step_by(2).map(byte).collect()
}

#[test]
fn any_arrays_through_the_c_functions_do_what_the_manual_says() {
    let wanted = [
        ("ct_list", 10),
        ("ct_dump_start", 20),
        ("ct_delete", 10),
        ("ct_flush", 50),
        ("ct_flush of everything", 500),
        ("ct_delete_entries", 10),
        ("ct_create_entries", 20),
        ("ct_update_entries", 20),
        ("ct_get", 20),
        ("ct_zone_find_free", 40),
        ("done", 5),
        ("EINVAL", 5),
        ("E2BIG", 100),
        ("ENOENT", 100),
    ];
    soak("cboundary", include_str!("../../../fuzz/seeds/cboundary"), 8_000, super::cboundary::run, &wanted);
}

#[test]
fn any_datagrams_as_answers_end_every_operation_and_none_deletes_without_a_tuple() {
    // Right answers are among those that were kept; random bytes are wrong ones.
    soak(
        "conversation",
        include_str!("../../../fuzz/seeds/conversation"),
        20_000,
        super::conversation::run,
        &[("failed", 2), ("done", 200)],
    );
}

#[test]
fn any_entry_that_is_let_through_is_put_as_the_kernel_wants_it_and_means_the_same() {
    let wanted =
        [("key", 8), ("create", 20), ("update", 20), ("zone in the tuple", 10), ("zone beside it", 5), ("refused", 20)];
    soak("encode", include_str!("../../../fuzz/seeds/encode"), 20_000, super::encode::run, &wanted);
}

#[test]
fn any_256_bytes_are_a_text_that_says_what_they_say() {
    let wanted = [("line", 3), ("json", 8), ("refused", 10), ("whole", 5), ("cut", 20)];
    soak("format", include_str!("../../../fuzz/seeds/format"), 20_000, super::format::run, &wanted);
}

#[test]
fn any_bytes_are_events_or_none_and_any_event_is_a_text_that_says_what_it_says() {
    // Right messages are among those that were kept, and like them.
    let wanted = [("event", 100), ("wrong", 100), ("line", 20), ("json", 40), ("refused", 10)];
    soak("events", include_str!("../../../fuzz/seeds/events"), 20_000, super::events::run, &wanted);
}

#[test]
fn no_plan_asks_for_too_little_and_each_entry_is_taken_once() {
    let wanted = [
        ("selected", 2),
        ("look-ups", 10),
        ("one dump of everything", 10),
        ("one filtered dump", 10),
        ("a dump for each", 1000),
        ("nothing", 200),
        ("flush", 400),
    ];
    soak("planner", include_str!("../../../fuzz/seeds/planner"), 12_000, super::planner::run, &wanted);
}
