#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# One measurement: makes the table that the operation needs, runs it, prints its line. run.sh starts this in a network
# namespace of its own. Usage: measure.sh DIRECTORY PEER OPERATION, with SIZE, TABLE, KNOWN and ACCT in the environment.
set -eu
bench=$1
peer=$2
op=$3
elsewhere=

if [ "$ACCT" = 1 ]; then
    echo 1 >/proc/sys/net/netfilter/nf_conntrack_acct
    echo 1 >/proc/sys/net/netfilter/nf_conntrack_timestamp
fi

raw() {
    "$bench/raw" "$@" >/dev/null
}

case $op in
dump | walk | stream | list | list-free | list-zone | flush)
    n=$SIZE
    raw fill "$n"
    ;;
list-pod-* | delete-pod-* | delete-pods | delete-one)
    n=$SIZE
    raw fill-pods "$n"
    ;;
delete | delete-without-id | delete-zone | delete-zone-uncounted | flush-zone)
    n=$TABLE
    raw fill "$n"
    ;;
count)
    n=10000
    raw fill "$TABLE"
    ;;
create)
    # Whether the kernel's allocator has pages at hand makes a difference of a half; so it has them for everybody.
    n=$TABLE
    raw fill "$n"
    raw flush "$n"
    ;;
empty | empty-delete)
    # A dump of an empty table takes a thousand times as long as a count.
    case $peer in
    lnfct | conntrack) n=10 ;;
    *) n=1000 ;;
    esac
    # This namespace is the full neighbour of the empty one in which the operation runs.
    raw fill "$SIZE"
    elsewhere='unshare -n'
    ;;
*)
    echo "measure.sh: no operation $op" >&2
    exit 1
    ;;
esac

# What the kernel does later than it says, such as freeing memory, is not part of the operation.
sleep 0.2
# shellcheck disable=SC2086 # a command and its option, or nothing
$elsewhere "$bench/$peer" "$op" "$n" "$KNOWN"

# A namespace that ends with entries in it is cleaned up in the background, during the next measurement.
raw flush "$SIZE"
