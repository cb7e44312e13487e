#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Builds the C examples against a staged install, as a user of the library would, runs each in a network namespace of its
# own, and compares what it prints with what its first comment promises. Those of Rust, too; and those that watch are shown real flows.
#
# Honours CARGO, CARGOFLAGS, CARGO_TARGET_DIR, CFLAGS and LDFLAGS. A missing tool is a failure.

set -eu
cd "$(dirname "$0")/.."

# Nothing but the staged install may be found, whatever the caller's environment says.
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR PKG_CONFIG_PATH CPATH C_INCLUDE_PATH LIBRARY_PATH LD_LIBRARY_PATH LD_PRELOAD
export LC_ALL=C

. ./scripts/checks.sh

# run NAME EXAMPLE COMMAND...: runs it and compares. No example takes seconds, so that the limit only ends one that hangs.
run() {
	name=$1
	example=$2
	shift 2
	status=0
	timeout 120 unshare "$namespace" "$@" >"$work/stdout" 2>"$work/stderr" </dev/null || status=$?
	if ! diff -u --label expected --label printed "$work/expected/$example" "$work/stdout" >"$work/diff"; then
		cat "$work/stderr" >>"$work/diff"
		failed "$name prints what it promises (exit status $status)" "$work/diff"
	elif [ "$status" -ne 0 ]; then
		failed "$name exits with 0, not $status" "$work/stderr"
	elif [ -s "$work/stderr" ]; then
		failed "$name leaves stderr alone" "$work/stderr"
	else
		ok "$name prints what it promises"
	fi
}

if [ "$(id -u)" -eq 0 ]; then
	namespace=-n
else
	namespace=-Urn
fi
if ! unshare "$namespace" true 2>"$work/log"; then
	failed "a network namespace can be made with unshare $namespace" "$work/log"
	finish
fi

libdir=/usr/lib/test-multiarch
if ! make install DESTDIR="$work/stage" PREFIX=/usr LIBDIR=$libdir INCLUDEDIR=/usr/include >"$work/log" 2>&1; then
	failed 'make install' "$work/log"
	finish
fi
export PKG_CONFIG_SYSROOT_DIR="$work/stage" PKG_CONFIG_LIBDIR="$work/stage$libdir/pkgconfig"

mkdir "$work/expected"
examples=
for source in examples-c/[0-9]*.c; do
	example=$(basename "$source" .c)
	./scripts/expected-output.sh "$source" >"$work/expected/$example"
	if [ -s "$work/expected/$example" ]; then
		examples="$examples $example"
	else
		failed "$source says what it prints"
	fi
done

# Fails unless the program uses the libctrack that it was meant to use.
linked_as_meant() {
	needed=$(readelf -d "$2" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
	case "$1" in
	shared) LD_LIBRARY_PATH="$work/stage$libdir" ldd "$2" | grep -q "libctrack.so.0 => $work/stage$libdir/" ;;
	static) [ -n "$needed" ] && ! printf '%s\n' "$needed" | grep -q libctrack ;;
	static-full) [ -z "$needed" ] ;;
	esac
}

# build_and_run COMPILER KIND STATIC
build_and_run() {
	compiler=$1
	kind=$2
	out=$work/$compiler-$kind
	if ! make -C examples-c CC="$compiler" STATIC="$3" OUT="$out" PKG_CONFIG=pkg-config >"$work/log" 2>&1; then
		failed "the examples build with $compiler, $kind" "$work/log"
		return
	fi
	ok "the examples build with $compiler, $kind"
	for example in $examples; do
		name="$example ($compiler, $kind)"
		if ! linked_as_meant "$kind" "$out/$example"; then
			readelf -d "$out/$example" >"$work/log"
			failed "$name is linked with the staged library, $kind" "$work/log"
		elif [ "$kind" = shared ]; then
			run "$name" "$example" env LD_LIBRARY_PATH="$work/stage$libdir" "$out/$example"
		else
			run "$name" "$example" "$out/$example"
		fi
	done
}

for compiler in gcc clang; do
	if ! command -v "$compiler" >"$work/log"; then
		failed "$compiler is installed"
		continue
	fi
	build_and_run "$compiler" shared ''
	build_and_run "$compiler" static 1
done

if command -v gcc >"$work/log"; then
	build_and_run gcc static-full full
fi

# Those of Rust have what they print between marks.
target=${CARGO_TARGET_DIR:-target}
# shellcheck disable=SC2086 # words
if succeeds 'the examples of the crate ctrack are built' "${CARGO:-cargo}" build ${CARGOFLAGS---locked} -p ctrack --examples --target-dir "$target"; then
	for source in crates/ctrack/examples/*.rs; do
		example=$(basename "$source" .rs)
		# shellcheck disable=SC2016 # marks, not commands
		sed -n '/^\/\/! ```text$/,/^\/\/! ```$/s/^\/\/! \([^`]\)/\1/p' "$source" >"$work/expected/$example"
		if [ -s "$work/expected/$example" ]; then
			run "$example (Rust)" "$example" "$target/debug/examples/$example"
		else
			failed "$source says what it prints"
		fi
	done
fi

# at_work NAME COMMAND...: with real flows; what it must come to is on stdin.
at_work() {
	name=$1
	shift
	cat >"$work/expected/$name"
	mkdir "$work/$name"
	cp "$work/traffic" "$work/$name"
	# Nothing outlives it.
	if timeout 120 unshare "${namespace}pf" --kill-child ./tests/examples-at-work.sh "$work/$name" "$name" "$@" \
		>"$work/found" 2>"$work/log" </dev/null; then
		same "$name: at work it does what it says" "$work/expected/$name" "$work/found"
	else
		failed "$name: at work it does what it says" "$work/log"
	fi
}

if [ -d "$work/gcc-shared" ] && succeeds 'what makes flows is built' gcc -O2 -o "$work/traffic" tests/traffic/traffic.c; then
	at_work destroyed env LD_LIBRARY_PATH="$work/stage$libdir" "$work/gcc-shared/11-destroyed" <<'EXPECTED'
udp 127.0.0.1:40001 -> 127.0.0.53:53, packets 1 there 1 back, bytes 72 there 72 back, N s
udp 127.0.0.1:40002 -> 127.0.0.53:5353, zone 7, packets 1 there 1 back, bytes 72 there 72 back, N s
EXPECTED
	awk '/^```c$/ { on = ++n == 2; next } /^```$/ { on = 0 } on' README.md >"$work/readme.c"
	# shellcheck disable=SC2046 # words
	if succeeds "the README's watch is built" gcc -std=c99 -Wall -Wextra -Werror -o "$work/readme-watch" "$work/readme.c" \
		$(pkg-config --cflags --libs libctrack); then
		at_work readme env LD_LIBRARY_PATH="$work/stage$libdir" "$work/readme-watch" <<'EXPECTED'
    [NEW] udp 127.0.0.53 sport=40001 dport=53
 [SYNCED]
    [NEW] udp 127.0.0.53 sport=40002 dport=53
[DESTROY] udp 127.0.0.53 sport=40002 dport=53
EXPECTED
	fi
	at_work react env LD_LIBRARY_PATH="$work/stage$libdir" "$work/gcc-shared/12-react" <<'EXPECTED'
40001 mark=53
40002 mark=53
40003 mark=0
EXPECTED
	at_work exporter "$target/debug/examples/zone_exporter" <<'EXPECTED'
# HELP conntrack_entries Entries of the table, by zone.
# TYPE conntrack_entries gauge
conntrack_entries{zone="0"} 1
conntrack_entries{zone="7"} 1
# HELP conntrack_watch_synced Whether the numbers add up to the kernel's table.
# TYPE conntrack_watch_synced gauge
conntrack_watch_synced 1
# HELP conntrack_watch_lost_total Events that the kernel had no room for.
# TYPE conntrack_watch_lost_total counter
conntrack_watch_lost_total 0
EXPECTED
	at_work mirror "$target/debug/examples/service_mirror" <<'EXPECTED'
live: 127.0.0.53:53
live: 127.0.0.54:53 [::1]:53
40002
EXPECTED
fi

# It does not know the ioctl that tells a socket's network namespace, and would say so.
if ! command -v valgrind >"$work/log"; then
	failed 'valgrind is installed'
elif [ -d "$work/gcc-shared" ]; then
	for example in $examples; do
		run "$example (valgrind)" "$example" env LD_LIBRARY_PATH="$work/stage$libdir" valgrind -q --sim-hints=lax-ioctls --error-exitcode=9 \
			--leak-check=full --errors-for-leak-kinds=all "$work/gcc-shared/$example"
	done
fi

finish
