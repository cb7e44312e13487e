#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Programs that put the installed library into a bad place: threads that are cancelled, children, a library that is unloaded,
# sockets that are silent or take little, small stacks; or that watch. Each runs in a network namespace of its own.
#
# SEED: of what is random; it is printed. Honours CARGO, CARGOFLAGS and CARGO_TARGET_DIR. A missing tool is a failure.

set -eu
cd "$(dirname "$0")/.."

unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR PREFIX LD_LIBRARY_PATH LD_PRELOAD
export LC_ALL=C CARGO_TERM_COLOR=never

. ./scripts/checks.sh

for tool in gcc make readelf nm unshare ip; do
	command -v "$tool" >"$work/log" || failed "$tool is installed"
done
[ "$failures" -eq 0 ] || finish

if ! make all CARGO="${CARGO:-cargo}" CARGOFLAGS="${CARGOFLAGS---locked}" >"$work/log" 2>&1; then
	failed 'the library can be built' "$work/log"
	finish
fi
library=$PWD/build

# --- What a thread that is cancelled at once meets ----------------------------------------------------------------------------

# An exported function must be a plain frame: with a table of what to do when it is unwound (an L in the augmentation of its
# frame description) a thread could only be cancelled at its calls, and anywhere else the process would end.
nm -D --defined-only "$library/libctrack.so" | awk '$2 == "T" { sub(/@.*/, "", $3); print $1, $3 }' >"$work/functions"
readelf -W --debug-dump=frames "$library/libctrack.so" 2>"$work/log" | awk '
	/ CIE$/ { cie = $1 }
	/Augmentation:/ { gsub(/"/, "", $2); kind[cie] = $2 }
	/ FDE / {
		split($5, c, "="); split($6, p, "="); sub(/\.\..*/, "", p[2])
		print p[2], kind[c[2]]
	}
' | sort >"$work/frames"
sort "$work/functions" | join - "$work/frames" >"$work/kinds"
equal 'every exported function has a frame description' "$(wc -l <"$work/functions")" "$(wc -l <"$work/kinds")"
grep -E ' [a-zA-Z]*[LP][a-zA-Z]*$' "$work/kinds" >"$work/found" || :
empty 'no exported function has anything to do when it is unwound' "$work/found"

# --- Programs -----------------------------------------------------------------------------------------------------------------

# program NAME FLAG...: linked with the library, unless FLAG says otherwise.
program() {
	name=$1
	shift
	succeeds "$name: is built" gcc -std=gnu11 -Wall -Wextra -Werror -O1 -g -Itests/boundary -Iinclude -o "$work/$name" \
		"tests/boundary/$name.c" "$@" -lpthread -ldl
}

program cancel "-L$library" -lctrack || :
program children "-L$library" -lctrack || :
program unload -rdynamic || :
program silence "-L$library" -lctrack || :
program sendbuf "-L$library" -lctrack || :
program stacks "-L$library" -lctrack || :
program watch "-L$library" -lctrack || :
program watch-children "-L$library" -lctrack || :
program watch-places "-L$library" -lctrack || :
[ "$failures" -eq 0 ] || finish

if [ "$(id -u)" -eq 0 ]; then
	alone='unshare -n'
else
	alone='unshare -Urn'
fi
if ! $alone true >"$work/log" 2>&1; then
	if [ "${CTRACK_REQUIRE_NETNS:-}" = 1 ]; then
		failed 'a network namespace can be made' "$work/log"
	else
		printf 'skipped the programs: no network namespace can be made\n'
	fi
	finish
fi

# runs NAME PROGRAM [ARGUMENT]
runs() {
	title=$1
	shift
	command=$work/$1
	shift
	# shellcheck disable=SC2086 # words
	succeeds "$title" $alone env LD_LIBRARY_PATH="$library" "$command" "$@" || :
}

seed=${SEED:-$(date +%s)}
echo "seed $seed"
runs 'threads are cancelled in and around every call' cancel "$seed"
runs 'no child uses a handle of its parent' children
runs 'the same on a kernel that wipes no memory' children old
runs 'an unloaded library leaves nothing behind' unload
runs 'the same on a kernel that wipes no memory' unload old
runs 'a readable socket that has nothing' silence
runs 'a small send buffer' sendbuf
runs '32 KiB of stack are enough for every call' stacks
runs 'no wake-up of a watch is lost, and nothing that is asked of it wrongly is done' watch "$seed"
runs 'no child uses a watch of its parent, and a watch that is closed hears nothing' watch-children
runs 'a watch of a network namespace that is gone, of nobody, and of all; what is not permitted' watch-places

# --- The same with musl, statically ---------------------------------------------------------------------------------------------

# Only rustup has Rust's target for it. Nothing is unloaded from a static program.
target=$(uname -m)-unknown-linux-musl
if ! command -v rustup >/dev/null 2>&1 || ! command -v musl-gcc >/dev/null 2>&1 ||
	! rustup target add "$target" >"$work/log" 2>&1; then
	if [ "${CI:-}" ]; then
		failed "rustup has $target, and musl-gcc is installed" "$work/log"
	else
		printf 'skipped musl: %s or musl-gcc cannot be had\n' "$target"
	fi
	finish
fi
if ! make install-musl DESTDIR="$work/musl" CARGO="${CARGO:-cargo}" CARGOFLAGS="${CARGOFLAGS---locked}" >"$work/log" 2>&1; then
	failed 'the library can be built for musl' "$work/log"
	finish
fi
prefix=$work/musl/usr/local/lib/libctrack-musl
# The kernel's headers are in the directories of the other C library.
multiarch=$(gcc -print-multiarch)
for name in cancel children silence sendbuf stacks watch watch-children watch-places; do
	succeeds "$name: is built with musl" musl-gcc -static -std=gnu11 -Wall -Wextra -Werror -O1 -g -Itests/boundary \
		-I"$prefix/include" -idirafter /usr/include -idirafter "/usr/include/$multiarch" -o "$work/musl-$name" "tests/boundary/$name.c" "-L$prefix/lib" -lctrack -lunwind -lpthread || finish
done
runs 'musl: threads are cancelled in and around every call' musl-cancel "$seed"
runs 'musl: no child uses a handle of its parent' musl-children
runs 'musl: the same on a kernel that wipes no memory' musl-children old
runs 'musl: a readable socket that has nothing' musl-silence
runs 'musl: a small send buffer' musl-sendbuf
runs 'musl: 32 KiB of stack are enough for every call' musl-stacks
runs 'musl: no wake-up of a watch is lost, and nothing that is asked of it wrongly is done' musl-watch "$seed"
runs 'musl: no child uses a watch of its parent, and a watch that is closed hears nothing' musl-watch-children
runs 'musl: a watch of a network namespace that is gone, of nobody, and of all; what is not permitted' musl-watch-places

finish
