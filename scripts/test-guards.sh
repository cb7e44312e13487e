#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0

# test-guards.sh [NAME...]: whether tests/kernels/matrix would notice. Takes one guard of the library at a time out, by its mutants
# (crates/ctnetlink/src/mutants.rs), and runs the matrix with it: where the guard matters, it must fail. Kernels and settings are
# those of test-kernels.sh.

set -eu
cd "$(dirname "$0")/.."

say() {
    printf '%s\n' "$*" >&2
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
failed=0
: >"$work/table"
SETS=${SETS:-60}
export SETS
chosen=$*

# guard NAME [MUTANT...]: begins one: what is wrong without it has its name in the sources, or these names.
# False if it is not wanted.
guard() {
    name=$1
    shift
    mutants=$(echo "${*:-$name}" | tr ' ' ,)
    case " ${chosen:-$name} " in
        *" $name "*) ;;
        *) return 1 ;;
    esac
}

# must_fail GROUPS KERNEL...: the matrix must fail there, by a check and not by not running at all.
must_fail() {
    groups=$1
    shift
    CTRACK_MUTANT=$mutants MATRIX=$work/matrix GROUPS_ONLY=$groups ./scripts/test-kernels.sh "$@" >"$work/log" 2>&1 || true
    for kernel; do
        line=$(grep -E "^(ok|FAILED|MISSING) +${kernel}[ :]" "$work/log" | tail -n 1)
        case $line in
            FAILED*', 0 failed;'* | FAILED*'no result'* | '') verdict='NOT RUN' ;;
            FAILED*) verdict=noticed ;;
            ok*) verdict=MISSED ;;
            *) verdict='NOT RUN' ;;
        esac
        if [ "$verdict" = 'NOT RUN' ] && [ -n "${ALLOW_MISSING:-}" ]; then
            case $line in
                MISSING*) verdict='no such kernel' ;;
            esac
        fi
        case $verdict in
            MISSED | NOT*) failed=1 ;;
        esac
        # The log of this kernel begins with its name. First what came of it, then what was seen to be sent.
        sed -n "/^--- $kernel\$/,/^\(---\|FAILED *$kernel\) /p" "$work/log" | grep '^FAILED [a-z0-9-]*: ' >"$work/failures" || true
        {
            printf '%-8s %-26s on %s\n' "$verdict" "$name" "$kernel"
            grep -v -m 1 ': sent ' "$work/failures" | cut -c 8-160 | sed 's/^/         came of it: /' || true
            grep -m 1 ': sent ' "$work/failures" | cut -c 8-160 | sed 's/^/         was sent:   /' || true
        } | tee -a "$work/table"
    done
}

traps='filters flushes zone zone-0 status family ipv6-one ipv6-some ipv6-many ipv6-after-empty ports inexact overlap directions
tuple-zone reversed guard naive reuse offload'
traps=$(echo "$traps" | tr '\n' ' ')

# One build has them all. Its own target directory: what is built here must never be taken for the library.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/mutants-release RUSTFLAGS="${RUSTFLAGS:-} --cfg ctrack_mutants" \
    ./tests/kernels/build.sh . "$work/matrix" >"$work/build.log" 2>&1 || {
    cat "$work/build.log"
    say 'test-guards: the matrix does not build'
    exit 1
}
# A name that is nowhere in the library would be a guard that is never taken out.
for name in guard-in-message zone-measured status-measured flush-measured ipv6-measured ipv6-never-flushed ports-of-tcp-and-udp \
    zone-0-never-flushed flush-addresses flush-ports excludes-never-flushed entries-compared each-entry-once common-zone \
    look-up-in-both-directions id-with-delete zone-with-key skipped-by-the-flush refusals-told \
    everything-refused; do
    grep -rqE "\"$name\"" src crates/*/src || {
        say "test-guards: no mutant $name in the sources"
        exit 1
    }
done

# Without any change the same tests pass; else nothing below would mean anything.
name=nothing
MATRIX=$work/matrix GROUPS_ONLY=$traps ./scripts/test-kernels.sh 5.10 6.1 6.12 >"$work/log" 2>&1 || {
    cat "$work/log"
    say 'test-guards: the library fails as it is'
    [ -n "${ALLOW_MISSING:-}" ] && ! grep -q '^FAILED' "$work/log" || exit 1
}
grep -E '^(ok|MISSING) ' "$work/log" | grep ' honours ' || true

! guard guard-in-message || must_fail 'family zone' 5.10 6.1 6.12
! guard zone-and-status-measured zone-measured status-measured || must_fail 'zone status' 5.10 6.1
! guard both-of-them guard-in-message zone-measured status-measured || must_fail 'zone' 5.10 6.1
! guard flush-measured || must_fail 'tuple-zone' 5.10 6.1
! guard ipv6-measured || must_fail 'ipv6-one ipv6-some ipv6-many' 5.10 6.1
! guard ipv6-never-flushed || must_fail 'ipv6-some' 6.12
! guard ports-of-tcp-and-udp || must_fail 'ports' 6.12
! guard zone-0-never-flushed || must_fail 'zone-0' 6.12
! guard exact-addresses-and-ports flush-addresses flush-ports || must_fail 'inexact' 6.12
! guard excludes-never-flushed || must_fail 'inexact' 6.12
! guard entries-compared || must_fail 'inexact' 5.10 6.12
! guard each-entry-once || must_fail 'overlap' 5.10 6.12
! guard in-common common-zone || must_fail 'filters zone-0' 6.12
! guard both-directions-looked-up look-up-in-both-directions || must_fail 'directions' 5.10 6.12
! guard id-with-delete || must_fail 'reuse' 5.10 6.12
! guard zone-with-key || must_fail 'tuple-zone' 5.10 6.12
! guard skipped-by-the-flush || must_fail 'offload' 5.10 6.1
! guard refusals-told || must_fail 'offload' 5.10 6.1
! guard everything-refused || must_fail 'filters' 6.12

echo
cat "$work/table"
[ -s "$work/table" ] || {
    say 'test-guards: nothing was run'
    exit 2
}
exit "$failed"
