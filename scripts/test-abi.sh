#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Checks that a program linked today runs with every later libctrack.so.0, and that these checks notice when it would not:
# the recorded ABI (abi/libctrack.abi, by abidiff), the headers of all releases (abi/ctrack-X.Y.h), programs compiled with
# them, and a mock of the next release (tests/abi/next.py). docs/abi-policy.md says how a release changes these files.
#
#   test-abi.sh            all checks
#   test-abi.sh --record   writes abi/libctrack.abi anew, for a change that was meant
#
# Honours CARGO, CARGOFLAGS and CARGO_TARGET_DIR. A missing tool is a failure. Programs run in a network namespace of their own;
# where none can be made that part is skipped, but with CTRACK_REQUIRE_NETNS=1 it fails.

set -eu
cd "$(dirname "$0")/.."

unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR PREFIX LIBDIR INCLUDEDIR
unset CPATH C_INCLUDE_PATH LIBRARY_PATH LD_LIBRARY_PATH LD_PRELOAD
export LC_ALL=C CARGO_TERM_COLOR=never PYTHONDONTWRITEBYTECODE=1
./scripts/setup.sh abi
# shellcheck source=scripts/path.sh
. scripts/path.sh
mkdir -p "${CARGO_TARGET_DIR:-target}"
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)

. ./scripts/checks.sh
# The copy lies where the build output lies, always in the same place: what it depends on is compiled once.
tree=$target/abi-mock/tree
trap 'rm -rf "$work" "$tree"' EXIT

# returns NAME STATUS COMMAND...: its output is in $work/log.
returns() {
	name=$1
	wanted=$2
	shift 2
	status=0
	"$@" >"$work/log" 2>&1 || status=$?
	if [ "$status" -eq "$wanted" ]; then
		ok "$name"
	else
		printf 'exit status %d instead of %d\n' "$status" "$wanted" >>"$work/log"
		failed "$name" "$work/log"
	fi
}

# log_says NAME TEXT
log_says() {
	if grep -qF -- "$2" "$work/log"; then
		ok "$1"
	else
		failed "$1" "$work/log"
	fi
}

for tool in gcc make python3 nm readelf unshare conntrack abidw abidiff; do
	command -v "$tool" >"$work/log" || failed "$tool is installed"
done
[ "$failures" -eq 0 ] || finish

# --- What a C compiler and the linker make of a header and a version script ---------------------------------------------------

# twin HEADER MAP OUT: a shared object with the functions and types of HEADER and the symbol versions of MAP, and nothing
# inside. The debug information of the Rust library will not do: it is full of what no caller sees.
twin() {
	mkdir -p "$work/twin/include"
	cp "$1" "$work/twin/include/ctrack.h"
	cp "$2" "$work/twin/map"
	(
		cd "$work/twin"
		echo '#include "include/ctrack.h"' >twin.c
		gcc -std=c99 -fsyntax-only -aux-info prototypes twin.c
		# Every declaration becomes a definition; that C has no unnamed parameters there is no matter to this compiler.
		sed -n -e 's/;$/ { __builtin_trap(); }/' -e 's|^/\* include/ctrack\.h:[0-9]*:NC \*/ extern ||p' prototypes >>twin.c
		gcc -std=gnu99 -w -g -O0 -fPIC -shared -o twin.so twin.c -Wl,-soname,libctrack.so.0 -Wl,--version-script=map
	)
	mv "$work/twin/twin.so" "$3"
}

record() {
	abidw --no-corpus-path --no-comp-dir-path --no-show-locs --no-architecture --type-id-style hash "$1"
}

# The exit status of abidiff: 4 something changed, 8 (always with 4) in a way that breaks programs for certain.
differ() {
	abidiff --no-architecture "$1" "$2"
}

twin include/ctrack.h abi/libctrack.map "$work/now.so"
case ${1-} in
	--record)
		record "$work/now.so" >abi/libctrack.abi
		exit
		;;
esac

returns 'the ABI is the recorded one (otherwise, if it was meant: test-abi.sh --record)' 0 \
	differ abi/libctrack.abi "$work/now.so"
grep -oE "elf-symbol-id='[^']*'" abi/libctrack.abi | sed -e "s/.*='//" -e "s/'//" -e 's/@.*//' | sort >"$work/found"
sort abi/symbols.txt >"$work/expected"
same 'the record has every function of abi/symbols.txt' "$work/expected" "$work/found"
sed -n 's/^\([a-z_]*\) [0-9]*$/\1/p' abi/layout.txt | sort >"$work/expected"
sed -n "s/.*<class-decl name='\([a-z_]*\)' size-in-bits=.*/\1/p" abi/libctrack.abi | sort >"$work/found"
same 'the record has every struct of abi/layout.txt' "$work/expected" "$work/found"

# symbols OBJECT: each with its version.
symbols() {
	nm -D --defined-only --with-symbol-versions "$1" | sed -e '/ A CTRACK_[0-9.]*$/d' -e 's/^[0-9a-f]* //' | sort
}

if ! make all CARGO="${CARGO:-cargo}" CARGOFLAGS="${CARGOFLAGS---locked}" >"$work/log" 2>&1; then
	failed 'the library can be built' "$work/log"
	finish
fi
symbols "$work/now.so" >"$work/expected"
symbols build/libctrack.so >"$work/found"
same 'the library exports what the record was made of, with the same versions' "$work/expected" "$work/found"

# --- The headers of all releases ------------------------------------------------------------------------------------------

# shellcheck disable=SC2317 # called through returns
compare() {
	python3 tests/abi/compare.py "$@"
}

frozen=$(find abi -name 'ctrack-*.h' | sort -V)
first=$(echo "$frozen" | head -n 1)
last=$(echo "$frozen" | tail -n 1)
current=$(sed -n 's/^version = "\([0-9]*\.[0-9]*\)\..*/\1/p' Cargo.toml | head -n 1)
[ "$first" = abi/ctrack-0.1.h ] || failed 'the header of the first release is there'
if [ "$last" = "abi/ctrack-$current.h" ]; then
	ok "the header of this release, $current, is there"
else
	failed "abi/ctrack-$current.h is missing (docs/abi-policy.md, \"A release\")"
fi
for header in $frozen; do
	returns "programs compiled with $header may use this library" 0 compare "$header" include/ctrack.h abi/libctrack.map
	twin "$header" abi/libctrack.map "$work/old.so"
	status=0
	differ "$work/old.so" "$work/now.so" >"$work/log" 2>&1 || status=$?
	case $status in
		0 | 4) ok "abidiff finds nothing incompatible between $header and this library" ;;
		*) failed "abidiff finds nothing incompatible between $header and this library" "$work/log" ;;
	esac
done

# --- What these checks notice ---------------------------------------------------------------------------------------------

# notices WHAT HEADER-SED MAP-SED ABIDIFF-STATUS: a change that breaks programs.
notices() {
	sed -e "$2" include/ctrack.h >"$work/mutant.h"
	sed -e "$3" abi/libctrack.map >"$work/mutant.map"
	if cmp -s include/ctrack.h "$work/mutant.h" && cmp -s abi/libctrack.map "$work/mutant.map"; then
		failed "the change can be made: $1"
		return
	fi
	if ! twin "$work/mutant.h" "$work/mutant.map" "$work/mutant.so" >"$work/log" 2>&1; then
		failed "the change can be made: $1" "$work/log"
		return
	fi
	returns "abidiff notices $1" "$4" differ abi/libctrack.abi "$work/mutant.so"
	returns "compare.py notices $1" 1 compare "$last" "$work/mutant.h" "$work/mutant.map"
}

notices 'a removed function' '/^int ct_count(/d' '/ct_count;/d' 12
notices 'a function that moved to another version' '' '/ct_count;/d; /^};/s/$/\nCTRACK_0.9 {\nglobal:\n\tct_count;\n} CTRACK_0.1;/' 12
notices 'a renamed node' '' 's/CTRACK_0\.1\>/CTRACK_0.9/' 12
notices 'a struct that is larger' 's/^  uint64_t reserved\[[0-9]*\];/  uint64_t reserved[9];/' '' 4
notices 'a struct that is smaller' 's/^  uint64_t reserved\[[0-9]*\];/  uint64_t reserved[1];/' '' 4
notices 'a field at another offset' '/^struct ct_entry {/,/^};/{s/ id;$/ @;/; s/ status;$/ id;/; s/ @;$/ status;/}' '' 4
notices 'a field of another type' 's/^  int32_t netns_fd;/  uint32_t netns_fd;/' '' 4
notices 'a field in the midst of a struct that may grow' 's/^  int32_t first_error;/  uint64_t mock;\n&/' '' 4
notices 'a parameter of another type' 's/^int ct_count(struct ct_handle \*h, uint64_t/int ct_count(struct ct_handle *h, uint32_t/' '' 4
notices 'another parameter' 's/^int ct_dump_end(struct ct_handle \*h/&, int flags/' '' 4
notices 'another return type' 's/^uint32_t ct_version_number(/uint64_t ct_version_number(/' '' 4

# No type: only compare.py can see these.
sed 's/^#define CT_MATCH_ZONE .*/#define CT_MATCH_ZONE (1ull << 40)/' include/ctrack.h >"$work/mutant.h"
returns 'compare.py notices a constant with another value' 1 compare "$last" "$work/mutant.h" abi/libctrack.map
sed '/^#define CT_TCP_STATE_NONE /d' include/ctrack.h >"$work/mutant.h"
returns 'compare.py notices a constant that is gone' 1 compare "$last" "$work/mutant.h" abi/libctrack.map
sed 's/ct_count;/&\n\tct_mock;/' abi/libctrack.map >"$work/mutant.map"
returns 'compare.py notices a symbol that came into a sealed node' 1 compare "$last" include/ctrack.h "$work/mutant.map"
sed 's/^uint32_t ct_version_number(void);/&\nint ct_mock(int);/' include/ctrack.h >"$work/mutant.h"
returns 'compare.py notices a function that came into a release' 1 compare "$last" "$work/mutant.h" abi/libctrack.map

# --- The next release ---------------------------------------------------------------------------------------------------

rm -rf "$tree"
mkdir -p "$tree"
cp -rp Cargo.toml Cargo.lock Makefile build.rs cbindgen.toml abi crates include pkgconfig scripts src tests "$tree/"
if ! next=$(python3 tests/abi/next.py "$tree" 2>"$work/log"); then
	failed 'a mock of the next release can be made' "$work/log"
	finish
fi
# make_mock TARGET...: optimised little and without debug information, for it is only built to be asked.
make_mock() {
	CARGO_TARGET_DIR="$target/abi-mock" CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
		CARGO_PROFILE_RELEASE_CODEGEN_UNITS=4 CARGO_PROFILE_DEV_DEBUG=0 \
		make -C "$tree" "$@" CARGO="${CARGO:-cargo}" CARGOFLAGS="${CARGOFLAGS---locked}" >"$work/log" 2>&1
}
# Without manual pages, which a release must be given by hand.
if ! make_mock header "build/libctrack.so.$next.0" build/libctrack.pc; then
	failed 'the mock of the next release can be built' "$work/log"
	finish
fi
ok "a mock of the next release, $next, can be built"

printf 'CTRACK_0.1\nCTRACK_%s\n' "$next" >"$work/expected"
readelf -VW "$tree/build/libctrack.so" | sed -n 's/.*Flags: none .*Name: \(CTRACK_.*\)/\1/p' | sort -uV | sed -n '1p;$p' >"$work/found"
same 'it has the nodes of both releases' "$work/expected" "$work/found"
symbols build/libctrack.so >"$work/expected"
echo "T ct_mock_added@@CTRACK_$next" >>"$work/expected"
sort -o "$work/expected" "$work/expected"
symbols "$tree/build/libctrack.so" >"$work/found"
same 'it exports what this one exports, and one function in its own node' "$work/expected" "$work/found"
for header in $frozen; do
	returns "programs compiled with $header may use it" 0 compare "$header" "$tree/include/ctrack.h" "$tree/abi/libctrack.map"
done
twin "$tree/include/ctrack.h" "$tree/abi/libctrack.map" "$work/next.so"
returns 'abidiff finds changes from this release to the next, none incompatible' 4 differ abi/libctrack.abi "$work/next.so"
log_says 'it removes none' 'summary: 0 Removed'
log_says 'it adds one function' '1 Added function'
returns 'abidiff finds the way back incompatible' 12 differ "$work/next.so" abi/libctrack.abi
log_says 'it removes one function' 'summary: 1 Removed'
returns 'compare.py finds the way back incompatible' 1 compare "$tree/include/ctrack.h" include/ctrack.h abi/libctrack.map

# --- Programs -----------------------------------------------------------------------------------------------------------

# program SOURCE HEADER LIBRARY OUT [FLAG...]: compiled with HEADER and linked with LIBRARY, as at the time of that release.
program() {
	source=$1
	mkdir -p "$work/include" "$work/lib"
	cp "$2" "$work/include/ctrack.h"
	cp "$3" "$work/lib/libctrack.so"
	out=$4
	shift 4
	gcc -std=gnu11 -Wall -Wextra -Werror -O1 -g -Itests/abi -I"$work/include" "$@" -o "$out" "tests/abi/$source.c" \
		-L"$work/lib" -lctrack
}

# needs PROGRAM: the symbol versions of libctrack that it asks for.
needs() {
	readelf -VW "$1" | sed -n 's/.*Name: \(CTRACK_[0-9.]*\) .*/\1/p' | sort -u
}

for header in $frozen; do
	release=$(basename "$header" .h | sed 's/ctrack-//')
	twin "$header" abi/libctrack.map "$work/old.so"
	# The sizes of the first release are written down in the program.
	flag=-DLATER_RELEASE
	[ "$header" != "$first" ] || flag=-DFIRST_RELEASE
	program caller "$header" "$work/old.so" "$work/caller-$release" "$flag"
done
program caller "$tree/include/ctrack.h" "$tree/build/libctrack.so" "$work/caller-next" -DLATER_RELEASE
program newcomer "$tree/include/ctrack.h" "$tree/build/libctrack.so" "$work/newcomer"
program needs-new "$tree/include/ctrack.h" "$tree/build/libctrack.so" "$work/needs-new"

echo CTRACK_0.1 >"$work/expected"
needs "$work/caller-0.1" >"$work/found"
same 'a program of 0.1 asks for CTRACK_0.1 alone' "$work/expected" "$work/found"
needs "$work/caller-next" >"$work/found"
same 'so does one of the next release that uses nothing new' "$work/expected" "$work/found"
sed -n '/^CTRACK_0\.1 {/,/^}/s/.*\(ct_[a-z_]*\);/\1/p' abi/libctrack.map | sort >"$work/expected"
nm -D --undefined-only "$work/caller-0.1" | sed -n 's/.* \(ct_[a-z_]*\).*/\1/p' | sort >"$work/found"
same 'the program of 0.1 calls every function of 0.1' "$work/expected" "$work/found"

now=$PWD/build
later=$tree/build

# The dynamic loader needs no namespace.
status=0
LD_LIBRARY_PATH="$now" "$work/needs-new" >"$work/log" 2>&1 || status=$?
echo "exit status $status" >>"$work/log"
log_says 'a program that needs a new function does not start with this library' 'exit status 1'
log_says 'the loader names the symbol version that is missing' "version \`CTRACK_$next' not found"
LD_LIBRARY_PATH="$later" "$work/needs-new" >"$work/log" 2>&1 || :
log_says 'it starts with the next one' 42

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

# runs NAME LIBDIR VERSION PROGRAM [ARGUMENT]: in a namespace of its own. What is left there then is in $work/left.
runs() {
	: >"$work/left"
	# shellcheck disable=SC2016,SC2086 # expanded by the inner shell; $alone is words
	returns "$1" 0 $alone sh -c '
		left=$1; libdir=$2; shift 2
		LD_LIBRARY_PATH=$libdir "$@" || exit
		conntrack -L 2>/dev/null >"$left"
	' sh "$work/left" "$2" "$4" ${5+"$5"}
	log_says "$1: it was that library" "running $3."
}

# leaves NAME: the same two entries, as conntrack sees them.
leaves() {
	printf '10.0.0.2 mark=102\n10.0.0.4 mark=7\n' >"$work/expected"
	sed -n 's/^udp .* src=\(10\.0\.0\.[0-9]*\) dst=10\.9\.9\.9 sport=1000 dport=53 .* \(mark=[0-9]*\) .*/\1 \2/p' "$work/left" | sort >"$work/found"
	[ "$(wc -l <"$work/left")" -eq 2 ] || cat "$work/left" >>"$work/found"
	same "$1" "$work/expected" "$work/found"
}

for header in $frozen; do
	release=$(basename "$header" .h | sed 's/ctrack-//')
	runs "a program of $release with this library" "$now" "$current" "$work/caller-$release"
	leaves "a program of $release with this library: conntrack finds what it should have left"
	runs "a program of $release with the next library" "$later" "$next" "$work/caller-$release"
	leaves "a program of $release with the next library: conntrack finds what it should have left"
done
runs 'a program of the next release that uses nothing new, with this library' "$now" "$current" "$work/caller-next"
leaves 'the same: conntrack finds what it should have left'
runs 'the same with its own library' "$later" "$next" "$work/caller-next"
leaves 'the same with its own library: conntrack finds what it should have left'
runs 'new fields are refused by this library, with nothing done' "$now" "$current" "$work/newcomer" old
runs 'new fields count in the next library' "$later" "$next" "$work/newcomer" new

# A library that writes to where an old caller has no room, or reads there, must not pass.
# Both fields that old callers do not have are in it: `spared`, and the mock's (crates/ctnetlink/src/mutants.rs).
if RUSTFLAGS="${RUSTFLAGS-} --cfg ctrack_mutants" make_mock BUILD=build-mutants "build-mutants/libctrack.so.$next.0"; then
	runs 'a library with mistakes on demand makes none by itself' "$tree/build-mutants" "$next" "$work/caller-0.1"
	# 128 and SIGSEGV.
	# shellcheck disable=SC2016,SC2086
	returns 'a library that writes to where an old caller has no room is noticed' 139 \
		$alone sh -c 'CTRACK_MUTANT=result-room LD_LIBRARY_PATH=$1 "$2"; exit $?' sh "$tree/build-mutants" "$work/caller-0.1"
else
	failed 'a library with mistakes on demand can be built' "$work/log"
fi

finish
