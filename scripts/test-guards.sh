#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0

# test-guards.sh [NAME...]: whether tests/kernels/matrix.c would notice. Takes one guard at a time out of a copy of the library
# and runs the matrix with it: where the guard matters, it must fail. Kernels and settings are those of test-kernels.sh.

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

# copy: a fresh copy of what the library is built from.
copy() {
    rm -rf "$work/tree/src"
    mkdir -p "$work/tree"
    cp -r Cargo.toml Cargo.lock build.rs Makefile abi include examples src "$work/tree/"
    [ ! -d benches ] || cp -r benches "$work/tree/"
}

# build NAME: the matrix with the library in the copy. Its own target directory: what is built here must never be taken for
# the library.
build() {
    CARGO_TARGET_DIR=$work/target ./tests/kernels/build.sh "$work/tree" "$work/$1" >"$work/build.log" 2>&1 || {
        cat "$work/build.log"
        say "test-guards: $1 does not build"
        exit 1
    }
}

# change FILE SED: takes a guard out. It must be there.
change() {
    sed "$2" "$work/tree/src/$1" >"$work/changed"
    if cmp -s "$work/changed" "$work/tree/src/$1"; then
        say "test-guards: $name: src/$1 has no such guard any more: $2"
        exit 1
    fi
    cp "$work/changed" "$work/tree/src/$1"
}

# guard NAME: begins one. False if it is not wanted.
guard() {
    name=$1
    case " ${chosen:-$1} " in
        *" $1 "*) copy ;;
        *) return 1 ;;
    esac
}

# must_fail GROUPS KERNEL...: the matrix must fail there, by a check and not by not running at all.
must_fail() {
    groups=$1
    shift
    build "$name"
    MATRIX=$work/$name GROUPS_ONLY=$groups ./scripts/test-kernels.sh "$@" >"$work/log" 2>&1 || true
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
    rm -f "${work:?}/$name"
}

traps='filters flushes zone zone-0 status family ipv6-one ipv6-some ipv6-many ipv6-after-empty ports inexact overlap directions
tuple-zone reversed guard naive reuse offload'
traps=$(echo "$traps" | tr '\n' ' ')

# Without any change the same tests pass; else nothing below would mean anything.
copy
name=nothing
build nothing
MATRIX=$work/nothing GROUPS_ONLY=$traps ./scripts/test-kernels.sh 5.10 6.1 6.12 >"$work/log" 2>&1 || {
    cat "$work/log"
    say 'test-guards: the library fails as it is'
    [ -n "${ALLOW_MISSING:-}" ] && ! grep -q '^FAILED' "$work/log" || exit 1
}
grep -E '^(ok|MISSING) ' "$work/log" | grep ' honours ' || true

if guard guard-in-message; then
    change wire/kernel_filter.rs '/^    put_impossible_tuple(buffer, filter.family);$/d
        /^    put_nested(buffer, CTA_FILTER, |_| {});$/d'
    must_fail 'family zone' 5.10 6.1 6.12
fi
if guard zone-and-status-measured; then
    change caps.rs 's/zone: known(link, ZONE, .*,$/zone: true,/; s/status: known(link, STATUS, .*,$/status: true,/'
    must_fail 'zone status' 5.10 6.1
fi
if guard both-of-them; then
    change wire/kernel_filter.rs '/^    put_impossible_tuple(buffer, filter.family);$/d
        /^    put_nested(buffer, CTA_FILTER, |_| {});$/d'
    change caps.rs 's/zone: known(link, ZONE, .*,$/zone: true,/; s/status: known(link, STATUS, .*,$/status: true,/'
    must_fail 'zone' 5.10 6.1
fi
if guard flush-measured; then
    change caps.rs 's/flush: known(link, FLUSH, .*,$/flush: true,/'
    must_fail 'tuple-zone' 5.10 6.1
fi
if guard ipv6-measured; then
    change caps.rs 's/ipv6: ipv6 && known(link, IPV6, .*,$/ipv6,/'
    must_fail 'ipv6-one ipv6-some ipv6-many' 5.10 6.1
fi
if guard ipv6-never-flushed; then
    change plan.rs 's/let caps = Caps { ipv6: false, \.\.caps };/let caps = Caps { ipv6: true, ..caps };/'
    must_fail 'ipv6-some' 6.12
fi
if guard ports-of-tcp-and-udp; then
    change plan.rs 's/matches!(matcher.proto, Some(CT_PROTO_TCP | CT_PROTO_UDP))/matcher.proto.is_some_and(proto_has_ports)/'
    must_fail 'ports' 6.12
fi
if guard zone-0-never-flushed; then
    change plan.rs 's/filter.zone.is_some_and(|zone| zone != 0)/filter.zone.is_some()/'
    must_fail 'zone-0' 6.12
fi
if guard exact-addresses-and-ports; then
    change plan.rs 's/\.all(|(net, side)| net.is_none_or(.*));/.all(|_| true);/
        s/\.all(|(range, side)| range.is_none() || side.is_some());/.all(|_| true);/'
    must_fail 'inexact' 6.12
fi
if guard excludes-never-flushed; then
    change ops/delete.rs 's/if selection.excludes() || selection.include().is_empty()/if selection.include().is_empty()/'
    must_fail 'inexact' 6.12
fi
if guard entries-compared; then
    change ops/select.rs 's/if by.is_some() && (self.number.is_none() || self.number == by)/if true/'
    must_fail 'inexact' 5.10 6.12
fi
if guard each-entry-once; then
    change ops/select.rs 's/(self.number.is_none() || self.number == by)/true/'
    must_fail 'overlap' 5.10 6.12
fi
if guard in-common; then
    change plan.rs 's/zone: same(a.zone, b.zone),/zone: a.zone,/'
    must_fail 'filters zone-0' 6.12
fi
if guard both-directions-looked-up; then
    change plan.rs '/^            keys.push((number, key));$/d'
    must_fail 'directions' 5.10 6.12
fi
if guard id-with-delete; then
    change wire/encode.rs '/fn put_delete/,/^}/s/if key.has(CT_HAS_ID)/if key.has(CT_HAS_ID) \&\& false/'
    must_fail 'reuse' 5.10 6.12
fi
if guard zone-with-key; then
    change wire/encode.rs 's/^    put_zone(buffer, key);$//'
    must_fail 'tuple-zone' 5.10 6.12
fi
if guard skipped-by-the-flush; then
    change ops/flush.rs 's/^    delete_skipped(link)$/    Ok(())/'
    must_fail 'offload' 5.10 6.1
fi
if guard refusals-told; then
    change ops/flush.rs 's/^    outcome.error.map_or(Ok(()), Err)$/    Ok(())/'
    must_fail 'offload' 5.10 6.1
fi
if guard everything-refused; then
    change filter.rs '/pub fn refuse_everything/,/^    }/s/any(Matcher::matches_everything)/any(|_| false)/'
    must_fail 'filters' 6.12
fi

echo
cat "$work/table"
[ -s "$work/table" ] || {
    say 'test-guards: nothing was run'
    exit 2
}
exit "$failed"
