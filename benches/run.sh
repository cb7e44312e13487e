#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Compares libctrack with libnetfilter_conntrack, with the conntrack program and with the floor, plain netlink loops
# that do the least possible, and prints a table of ratios. Every measurement has a network namespace of its own; the
# host's table is not touched. docs/benchmarks.md says how to read the result.
#
# Variables: QUICK=1 a short form, too small to judge by; ROUNDS how often everything is measured; SIZE entries for
# lists and flushes; TABLE entries for creates and deletes; KNOWN how many of them are deleted; ONLY operations to
# measure, for example "stream delete"; ACCT=1 entries with counters and timestamps; CC, CFLAGS.
set -eu
cd "$(dirname "$0")/.."

if [ "${QUICK:-0}" = 1 ]; then
    : "${ROUNDS:=3}" "${SIZE:=25000}" "${TABLE:=20000}" "${KNOWN:=4000}"
else
    : "${ROUNDS:=7}" "${SIZE:=250000}" "${TABLE:=100000}" "${KNOWN:=10000}"
fi
: "${ONLY:=dump walk list list-free stream list-zone list-pod-zone list-pod-address list-pod-mark delete \
    delete-without-id delete-zone delete-zone-uncounted delete-pod-zone delete-pod-address delete-pod-mark delete-one \
    delete-pods create flush flush-zone count empty empty-delete}"
: "${ACCT:=0}" "${CC:=cc}" "${CFLAGS:=-O2}"
export SIZE TABLE KNOWN ACCT

bench=build/bench

# --- What is compared: the work, its operation, the floor's operation (for some peers the same), the budget ---

rows() {
    cat <<ROWS
receive $SIZE entries unseen|dump|dump|
look at their headers only|walk|dump|
list $SIZE entries, all kept|list|dump|1.15
the same, and release them|list-free|dump|
stream $SIZE entries|stream|dump|1.03
list one zone, a tenth of $SIZE|list-zone|list-zone|1.05
list 10 of $SIZE by zone|list-pod-zone|list-pod-zone|1.05
list 10 of $SIZE by IPv4 address|list-pod-address|list-pod-address|1.05
list 10 of $SIZE by mark|list-pod-mark|list-pod-mark|1.05
delete 10 of $SIZE by zone|delete-pod-zone|delete-pod-zone|1.05
delete 10 of $SIZE by IPv4 address|delete-pod-address|delete-pod-address|1.05
delete 10 of $SIZE by mark|delete-pod-mark|delete-pod-mark|1.05
delete one of $SIZE by tuple and zone|delete-one|delete-one|
delete $((SIZE / 25)) of $SIZE by $((SIZE / 250)) addresses|delete-pods|delete-pods|1.10
delete $KNOWN known of $TABLE|delete|delete|1.05
the same without the id|delete-without-id|delete|
delete one zone, a tenth of $TABLE, counted|delete-zone|delete-zone|1.05
the same, uncounted|delete-zone-uncounted|flush-zone|1.05
create $TABLE|create|create|1.05
flush $SIZE|flush|flush|1.02
flush one zone, a tenth of $TABLE|flush-zone|flush-zone|
count|count|count|
open, list nothing, close|empty|empty|20 us
open, delete nothing, close|empty-delete|empty|20 us
ROWS
}

# Which peers know which operations.
peers_of() {
    case $1 in
    dump | walk | delete-without-id) echo raw ;;
    list | list-free) echo ctrack lnfct ;;
    stream | empty-delete) echo ctrack lnfct conntrack ;;
    flush-zone | count) echo raw ctrack ;;
    delete-zone-uncounted) echo ctrack ;;
    delete | create | flush) echo raw ctrack lnfct ;;
    *) echo raw ctrack lnfct conntrack ;;
    esac
}

# --- Build ---

"${MAKE:-make}" all >&2
mkdir -p "$bench"

compile() {
    peer=$1
    shift
    # shellcheck disable=SC2086 # CFLAGS are several words
    "$CC" -std=c99 -D_GNU_SOURCE $CFLAGS -Wall -Wextra -Iinclude -o "$bench/$peer" "benches/$peer.c" benches/bench.c \
        "$@"
}

compile raw
compile ctrack -Lbuild -lctrack -Wl,-rpath,"$PWD/build"
peers='raw ctrack'
if echo '#include <libnetfilter_conntrack/libnetfilter_conntrack.h>' | "$CC" -E -x c - >/dev/null 2>&1; then
    compile lnfct -lnetfilter_conntrack
    peers="$peers lnfct"
fi
if command -v conntrack >/dev/null; then
    compile conntrack
    peers="$peers conntrack"
fi

# --- Measure ---

if unshare -n true 2>/dev/null; then
    namespace='unshare -n'
elif unshare -Urn true 2>/dev/null; then
    namespace='unshare -Urn'
else
    echo "benches: no right to make a network namespace (unshare -n, unshare -Urn)" >&2
    exit 1
fi
largest=$SIZE
[ "$TABLE" -le "$largest" ] || largest=$TABLE
max=$($namespace cat /proc/sys/net/netfilter/nf_conntrack_max)
if [ "$largest" -gt "$max" ]; then
    echo "benches: $largest entries do not fit, nf_conntrack_max is $max; use a smaller SIZE and TABLE" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Every wanted operation, and the floor that it is compared with, once per peer.
rows >"$work/rows"
while IFS='|' read -r _ op floor _; do
    case " $ONLY " in
    *" $op "*) ;;
    *) continue ;;
    esac
    echo "raw $floor"
    for peer in $(peers_of "$op"); do
        case " $peers " in
        *" $peer "*) echo "$peer $op" ;;
        esac
    done
done <"$work/rows" | sort -u >"$work/plan"
[ -s "$work/plan" ] || { echo "benches: ONLY names no operation" >&2; exit 1; }

round=0
while [ "$round" -lt "$ROUNDS" ]; do
    round=$((round + 1))
    echo "round $round of $ROUNDS" >&2
    shuf "$work/plan" >"$work/order"
    while read -r peer op; do
        # shellcheck disable=SC2086 # the command and its option
        line=$($namespace sh benches/measure.sh "$bench" "$peer" "$op" </dev/null)
        echo "round=$round $line" >>"$work/results"
    done <"$work/order"
done
cp "$work/results" "$bench/results.txt"

# --- Report ---

case " $peers " in
*" lnfct "*) ;;
*) printf '%s\n\n' "libnetfilter_conntrack was not measured: libnetfilter-conntrack-dev is not installed." ;;
esac
case " $peers " in
*" conntrack "*) ;;
*) printf '%s\n\n' "The conntrack program was not measured: it is not installed." ;;
esac
[ "${QUICK:-0}" != 1 ] || printf '%s\n\n' "QUICK=1: the table is too small to judge by."
awk -f benches/summary.awk "$work/rows" "$work/results"
echo
echo "Kernel $(uname -r), $(getconf _NPROCESSORS_ONLN) processors, $ROUNDS rounds. Single results: $bench/results.txt"
