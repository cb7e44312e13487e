#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0

# build.sh TREE PROGRAM: builds tests/kernels/matrix of this tree, with what it has of tests/watch, as one static PROGRAM, with the
# library of TREE.

set -eu

tree=$(cd "$1" && pwd)
program=$2
here=$(dirname "$0")
target=${CARGO_TARGET_DIR:-$tree/target}

"${MAKE:-make}" -C "$tree" --no-print-directory -s CARGO_TARGET_DIR="$target" build/libctrack.a >&2
# --wrap: the program looks at every datagram that the library sends, and counts its memory. The linker warns of look-ups by name,
# which nothing here makes; it is only heard if it fails.
warnings=$(mktemp)
trap 'rm -f "$warnings"' EXIT
# shellcheck disable=SC2086 # $CFLAGS are words
"${CC:-cc}" -std=c99 -Wall -Wextra -Wpedantic -Wmissing-prototypes -Werror -O2 -static -s ${CFLAGS:-} -I"$tree/include" -o "$program" \
    "$here"/matrix/*.c "$here"/../watch/wire.c "$here"/../watch/churn.c "$here"/../watch/follower.c \
    "$here"/../watch/equality.c "$tree/build/libctrack.a" -Wl,--wrap=sendto \
    -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=posix_memalign,--wrap=free -lgcc_eh -lpthread -lm -ldl 2>"$warnings" || {
    cat "$warnings" >&2
    exit 1
}
