#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Fuzzes the decoder, the operations, the C functions, the encoder, events, the texts and the planner.
#
#   scripts/fuzz.sh [SECONDS [TARGET...]]   each target (by default all) for so many seconds (by default 600)
#   scripts/fuzz.sh --replay                only the inputs that are there, without instrumentation, on any toolchain
#   scripts/fuzz.sh --keep [TARGET...]      writes the fewest inputs in fuzz/corpus that reach as much, to fuzz/seeds
#
# Fuzzing needs a nightly toolchain and installs cargo-fuzz if it is missing; both need python3 and a C++ compiler.
# What is found lies in fuzz/artifacts, and the exit status is not 0.
set -eu
cd "$(dirname "$0")/.."

# A directory of its own: the files of a library for C have no hash in their names, and two workspaces make them of other crates.
[ -z "${CARGO_TARGET_DIR-}" ] || export CARGO_TARGET_DIR="$CARGO_TARGET_DIR/fuzz"

all='decode_entry conversation cboundary encode events format planner'
python3 fuzz/seeds.py fuzz/corpus crates/ctnetlink/tests/data/*.bin

if [ "${1-}" = --replay ]; then
    log=fuzz/corpus/log
    for target in $all; do
        cargo build --quiet --locked --manifest-path fuzz/Cargo.toml --bin "$target"
        # Every input is an argument: then each is run once, and nothing else is.
        if ! find "fuzz/corpus/$target" -type f -print0 |
            xargs -0 cargo run --quiet --manifest-path fuzz/Cargo.toml --bin "$target" -- -timeout=60 2>"$log"; then
            cat "$log" >&2
            exit 1
        fi
        echo "$target: $(grep -c '^Executed ' "$log") inputs"
    done
    rm "$log"
    exit 0
fi

keep=
seconds=600
if [ "${1-}" = --keep ]; then
    keep=1
    shift
elif [ $# -gt 0 ]; then
    seconds=$1
    shift
fi
# shellcheck disable=SC2086 # a list of words
[ $# -gt 0 ] || set -- $all

if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    cargo install --locked cargo-fuzz
fi

# The list reserves what the kernel counts, if it can; an answer that claims 2^32 entries is not to end the run.
export ASAN_OPTIONS="allocator_may_return_null=1:max_allocation_size_mb=1024"

if [ "$keep" ]; then
    for target in "$@"; do
        cargo +nightly fuzz cmin --debug-assertions "$target"
        python3 fuzz/seeds.py --keep "fuzz/corpus/$target" "fuzz/seeds/$target"
    done
    exit 0
fi

for target in "$@"; do
    echo "== $target for $seconds seconds"
    # Optimised, but with debug assertions and overflow checks.
    cargo +nightly fuzz run --debug-assertions "$target" -- \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
done
