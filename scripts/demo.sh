#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0

# demo.sh: builds the library and shows it at work on real flows, in a network namespace of its own. Needs no root.
# Exit code: 0 all steps did what they must, 1 otherwise.

set -eu

cd "$(dirname "$0")/.."
. ./scripts/path.sh

say() {
    printf '%s\n' "$*" >&2
}

# flow WORDS: one real flow, which must work
flow() {
    "$work/traffic" "$@" >/dev/null
    flows=$((flows + 1))
}

# What runs in the namespace: rules, flows, then the demo itself.
inside() {
    work=$1
    flows=0
    ip link set lo up
    for address in fd00:1::5 fd00:1::a fd00:2::5 fd00:2::a; do
        ip address add "$address/128" dev lo nodad
    done
    # Zones by address, in both directions: all loopback traffic passes the output hook.
    nft -f - <<'RULES'
table inet demo {
    chain zones {
        type filter hook output priority -300;
        ip saddr 127.0.1.0/24 ct zone set 1
        ip6 saddr fd00:1::/32 ct zone set 1
        ip saddr 127.0.2.0/24 ct zone set 2
        ip6 saddr fd00:2::/32 ct zone set 2
    }
    chain marks {
        type filter hook output priority 0;
        tcp dport 443 ct mark set 16
        udp dport 53 ct mark set 53
    }
}
RULES
    # After the rules, which load the kernel's module where it is one.
    echo 1 >/proc/sys/net/netfilter/nf_conntrack_acct
    # By default nobody is told what becomes of flows that were made while nobody watched.
    echo 1 >/proc/sys/net/netfilter/nf_conntrack_events
    # Held connections end with the process namespace.
    for zone in 1 2; do
        v4=127.0.$zone v6=fd00:$zone:
        flow tcp "$v4.5" 40001 "$v4.10" 443 --hold 600
        flow tcp "$v4.5" 40002 "$v4.10" 80 --close
        flow udp "$v4.5" 40003 "$v4.10" 53 --answer
        flow icmp "$v4.5" 1 "$v4.10"
        flow tcp "$v6:5" 40001 "$v6:a" 443 --hold 600
        flow udp "$v6:5" 40002 "$v6:a" 53 --answer
        flow icmp "$v6:5" 1 "$v6:a"
    done
    flow tcp 127.0.1.7 40004 127.0.1.10 443 --half-open
    flow udp 127.0.1.7 40005 127.0.1.10 53
    flow tcp 127.0.1.5 40006 127.0.1.7 8080 --hold 600
    flow tcp 127.0.0.1 40007 127.0.0.1 22 --hold 600
    flow udp ::1 40008 ::1 4789
    "$work/demo-go"
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=python python3 demo/demo.py
    echo
    echo 'From C:'
    "$work/demo" "$flows"
}

# Builds into $1, as a program elsewhere would: against an installed tree, through pkg-config. Here that tree is staged.
build() {
    work=$1
    ./scripts/setup.sh build go
    # What was built last may be for another machine, which only `make` itself looks at.
    "${MAKE:-make}" --no-print-directory -s all
    "${MAKE:-make}" --no-print-directory -s install DESTDIR="$work/stage" PREFIX=/usr/local LIBDIR=/usr/local/lib \
        INCLUDEDIR=/usr/local/include
    export PKG_CONFIG_SYSROOT_DIR="$work/stage" PKG_CONFIG_PATH="$work/stage/usr/local/lib/pkgconfig"
    flags=$(pkg-config --cflags --libs libctrack)
    # shellcheck disable=SC2086 # $flags are words
    "${CC:-cc}" -std=c99 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -O2 -o "$work/demo" demo/demo.c $flags
    "${CC:-cc}" -std=c99 -Wall -Wextra -Wpedantic -O2 -o "$work/traffic" tests/traffic/traffic.c
    # Without it Go takes what it compiled for the last demo from its cache, and looks for the library where that one was staged.
    . ./go/stamp.sh
    (cd go && go build -o "$work/demo-go" ../demo/demo.go)
}

case ${1:-} in
    --build)
        build "$2"
        exit
        ;;
    --inside)
        inside "$2"
        exit
        ;;
esac

./scripts/setup.sh demo
# --kill-child with a process namespace: nothing outlives the demo.
if [ "$(id -u)" -eq 0 ]; then
    enter='unshare -npf --kill-child'
else
    enter='unshare -Urnpf --kill-child'
fi
if ! why=$($enter ip link set lo up 2>&1); then
    say "demo: this machine does not let $(id -un) make a network namespace ($why)."
    [ "$(id -u)" -eq 0 ] || say 'demo: please run: sudo make demo'
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

if [ "$(id -u)" -eq 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
    # The compiler may be the user's own, and what is built must stay theirs.
    chown "$SUDO_USER" "$work"
    home=$(getent passwd "$SUDO_USER" | cut -d : -f 6)
    runuser -u "$SUDO_USER" -- env HOME="$home" ./scripts/demo.sh --build "$work"
else
    build "$work"
fi

echo 'Real TCP, UDP and ICMP flows on loopback, in a network namespace of their own: nothing of yours is touched.'
# shellcheck disable=SC2086 # $enter are words
LD_LIBRARY_PATH="$work/stage/usr/local/lib" $enter ./scripts/demo.sh --inside "$work" || {
    say 'demo: failed'
    exit 1
}
echo
echo 'The programs are demo/demo.c, demo.go and demo.py, the library is in build/.'
