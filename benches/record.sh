#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Records a dump for the decoders. run.py starts this in a network namespace of its own.
#
# Usage: record.sh RAW plain|counted|labels COUNT FILE
set -eu
raw=$1 kind=$2 count=$3 file=$4
fill=fill
PATH=$PATH:/usr/sbin:/sbin

if [ "$kind" != plain ]; then
    echo 1 >/proc/sys/net/netfilter/nf_conntrack_acct
    echo 1 >/proc/sys/net/netfilter/nf_conntrack_timestamp
fi
if [ "$kind" = labels ]; then
    # The kernel keeps labels only while a rule uses some.
    nft -f - <<RULES
table inet bench {
    chain used {
        ct label 1 accept
    }
}
RULES
    fill='fill-labels'
fi
"$raw" "$fill" "$count" >/dev/null
"$raw" record "$count" "$file" >/dev/null
"$raw" flush "$count" >/dev/null
