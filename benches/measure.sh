#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# One measurement: makes a table, runs a peer, which prints its line, and removes the table. run.py starts this in a
# network namespace of its own, with ACCT and SETTLE in the environment.
#
# Usage: measure.sh RAW FILL COUNT full|emptied here|inside COMMAND...
set -eu
raw=$1 fill=$2 count=$3 state=$4 place=$5
shift 5

if [ "$ACCT" = 1 ]; then
    echo 1 >/proc/sys/net/netfilter/nf_conntrack_acct
    echo 1 >/proc/sys/net/netfilter/nf_conntrack_timestamp
fi

# Who reads events has them made by it.
export RAW="$raw"

"$raw" "$fill" "$count" >/dev/null
if [ "$state" = emptied ]; then
    "$raw" flush "$count" >/dev/null
fi

# What the kernel does later than it says, such as freeing memory, is not part of the operation.
sleep "$SETTLE"
if [ "$place" = inside ]; then
    # This namespace is the full neighbour of the empty one in which the operation runs.
    unshare -n "$@"
else
    "$@"
fi

# A namespace that ends with entries in it is cleaned up in the background, during the next measurement.
"$raw" flush "$count" >/dev/null
