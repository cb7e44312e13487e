#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# One measurement: makes the table that the operation needs, runs it, prints its line. run.sh starts this in a network
# namespace of its own. Usage: measure.sh DIRECTORY PEER OPERATION, with SIZE, TABLE, KNOWN and ACCT in the environment.
set -eu
bench=$1
peer=$2
op=$3

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
delete | delete-without-id | delete-zone | flush-zone)
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
empty)
    # A dump of an empty table takes a thousand times as long as a count.
    n=1000
    [ "$peer" != lnfct ] || n=50
    ;;
*)
    echo "measure.sh: no operation $op" >&2
    exit 1
    ;;
esac

# What the kernel does later than it says, such as freeing memory, is not part of the operation.
sleep 0.2
"$bench/$peer" "$op" "$n" "$KNOWN"

# A namespace that ends with entries in it is cleaned up in the background, during the next measurement.
raw flush "$SIZE"
