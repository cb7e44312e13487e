#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Checks what `make install` installs: files, shared object, symbols, pkg-config file, header and versions, against Cargo.toml
# and the promises in abi/. Everything is staged in a temporary directory.
#
# Honours CARGO, CARGOFLAGS, CARGO_TARGET_DIR, CFLAGS and LDFLAGS. A missing tool is a failure.

set -eu
cd "$(dirname "$0")/.."

# Nothing but the staged install may be found, whatever the caller's environment says.
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR PREFIX LIBDIR INCLUDEDIR MANDIR PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
unset CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH LIBRARY_PATH LD_LIBRARY_PATH LD_PRELOAD
export LC_ALL=C CARGO_TERM_COLOR=never
cargo=${CARGO:-cargo}
cargoflags=${CARGOFLAGS---locked}
target=${CARGO_TARGET_DIR:-target}

. ./scripts/checks.sh

for tool in gcc g++ clang clang++ pkg-config python3 readelf strings nm; do
	command -v "$tool" >"$work/log" || failed "$tool is installed"
done
[ "$failures" -eq 0 ] || finish

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)

# --- Files -----------------------------------------------------------------------------------------------------------------

listing() {
	(cd "$1" && find . ! -type d -printf '%m %P %l\n' | sed -e 's/^777 \(.* .\)/link \1/' -e 's/ $//' | sort)
}

# expected_listing LIBDIR INCLUDEDIR MANDIR: a manual page for each function and each struct, and the overview.
expected_listing() {
	{
		cat <<-LIST
			755 ${1#/}/libctrack.so.$version
			link ${1#/}/libctrack.so.0 libctrack.so.$version
			link ${1#/}/libctrack.so libctrack.so.0
			644 ${1#/}/libctrack.a
			644 ${1#/}/pkgconfig/libctrack.pc
			644 ${2#/}/ctrack.h
			644 ${3#/}/man3/libctrack.3
			644 ${3#/}/man3/ct_handle.3
			644 ${3#/}/man3/ct_watch.3
		LIST
		{ cat abi/symbols.txt && awk 'NF == 2 { print $1 }' abi/layout.txt; } | sed "s|.*|644 ${3#/}/man3/&.3|"
	} | sort
}

# install_and_uninstall TITLE STAGE PREFIX LIBDIR INCLUDEDIR MANDIR [VARIABLE=VALUE...]: the stage is left installed.
install_and_uninstall() {
	title=$1
	stage=$2
	prefix=$3
	libdir=$4
	includedir=$5
	mandir=$6
	shift 6
	expected_listing "$libdir" "$includedir" "$mandir" >"$work/files"

	# Whatever else lives there is not ours to touch.
	mkdir -p "$stage$libdir/pkgconfig" "$stage$includedir" "$stage$mandir/man3"
	for other in "$libdir/libctrack.so.9" "$libdir/pkgconfig/other.pc" "$includedir/other.h" "$mandir/man3/ct_other.3"; do
		echo other >"$stage$other"
	done
	listing "$stage" >"$work/others"
	sort "$work/files" "$work/others" >"$work/all"

	if ! make install DESTDIR="$stage" "$@" >"$work/log" 2>&1; then
		failed "$title: make install" "$work/log"
		finish
	fi
	listing "$stage" >"$work/installed"
	same "$title: exactly the promised files are installed" "$work/all" "$work/installed"

	succeeds "$title: make install works again over itself" make install DESTDIR="$stage" "$@" || :
	succeeds "$title: make uninstall" make uninstall DESTDIR="$stage" "$@" || :
	listing "$stage" >"$work/left"
	same "$title: uninstall leaves nothing of ours and all of others" "$work/others" "$work/left"
	succeeds "$title: make install after uninstall" make install DESTDIR="$stage" "$@" || :

	export PKG_CONFIG_LIBDIR="$stage$libdir/pkgconfig"
	succeeds "$title: pkg-config --validate" pkg-config --validate libctrack || :
	equal "$title: pkg-config knows version and directories" "$version $prefix $libdir $includedir" \
		"$(pkg-config --modversion libctrack) $(pkg-config --variable=prefix libctrack) $(
			pkg-config --variable=libdir libctrack
		) $(pkg-config --variable=includedir libctrack)"
	grep '@' "$stage$libdir/pkgconfig/libctrack.pc" >"$work/found" || :
	empty "$title: no placeholder is left in libctrack.pc" "$work/found"
}

install_and_uninstall 'defaults, DESTDIR with a space' "$work/with space" \
	/usr/local /usr/local/lib /usr/local/include /usr/local/share/man
install_and_uninstall 'directories outside the prefix' "$work/outside" \
	/opt/c+t.1 /srv/odd/lib64 /srv/include-x /srv/odd/man \
	PREFIX=/opt/c+t.1 LIBDIR=/srv/odd/lib64 INCLUDEDIR=/srv/include-x MANDIR=/srv/odd/man
install_and_uninstall 'multiarch' "$work/multiarch" \
	/usr /usr/lib/test-multiarch /usr/include/ctrack-0 /usr/share/man \
	PREFIX=/usr LIBDIR=/usr/lib/test-multiarch INCLUDEDIR=/usr/include/ctrack-0

# `sudo make install` after `make`: root may have none of these, and must build nothing as root.
succeeds 'make install after make needs neither cargo nor python' \
	make install DESTDIR="$work/again" CARGO=false PYTHON=false CC=false || :

# From here on the last one is looked at.
export PKG_CONFIG_SYSROOT_DIR="$stage"
shared=$stage$libdir/libctrack.so
header=$stage$includedir/ctrack.h
pc=$stage$libdir/pkgconfig/libctrack.pc
equal 'directories below the prefix stay relative to it in libctrack.pc' \
	"libdir=\${prefix}/lib/test-multiarch includedir=\${prefix}/include/ctrack-0" \
	"$(grep '^libdir=' "$pc") $(grep '^includedir=' "$pc")"

# --- Shared object ---------------------------------------------------------------------------------------------------------

readelf -dW "$shared" >"$work/dynamic"
readelf -lW "$shared" >"$work/segments"
equal 'the soname is libctrack.so.0' libctrack.so.0 "$(sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p' "$work/dynamic")"

sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$work/dynamic" >"$work/needed"
succeeds 'it needs the C library' grep -x 'libc\.so\.6' "$work/needed" || :
grep -vxE 'libc\.so\.6|libm\.so\.6|libgcc_s\.so\.1|ld-linux[^/]*\.so\.[0-9]+' "$work/needed" >"$work/found" || :
empty 'it needs nothing but libc, libm, libgcc_s and the loader' "$work/found"
grep -E '\((RPATH|RUNPATH|TEXTREL)\)' "$work/dynamic" >"$work/found" || :
empty 'it has no run path and no text relocations' "$work/found"
succeeds 'all symbols are bound at load time (BIND_NOW)' grep -w BIND_NOW "$work/dynamic" || :
succeeds 'relocated data is read-only afterwards (RELRO)' grep GNU_RELRO "$work/segments" || :
succeeds 'the stack is not executable' grep -E 'GNU_STACK.* RW +0x' "$work/segments" || :

# The version node itself is an absolute symbol.
nm -D --defined-only --with-symbol-versions "$shared" | sed -e '/ A CTRACK_[0-9.]*$/d' -e 's/^[0-9a-f]* //' | sort >"$work/exported"
awk '/^CTRACK_/ { node = $1 } /^\tct_[a-z_]+;/ { sub(/;.*/, "", $1); print "T " $1 "@@" node }' abi/libctrack.map | sort >"$work/promised"
same 'exactly the functions of abi/libctrack.map are exported, each by its version' "$work/promised" "$work/exported"

# Only one test build can be made wrong (crates/ctnetlink/src/mutants.rs). What is installed has neither the names nor the variable
# that chooses one.
{ echo CTRACK_MUTANT && python3 tests/mutants/run.py --list; } >"$work/mutants"
strings -a "$shared" "$stage$libdir/libctrack.a" | grep -wF -f "$work/mutants" >"$work/found" || :
empty 'neither library has anything of the mutants' "$work/found"

# --- Header ----------------------------------------------------------------------------------------------------------------

# The header without its comments, and without what it includes.
gcc -fpreprocessed -dD -E -P -x c "$header" >"$work/bare.h"
sed -n 's/^#define \([A-Za-z_0-9]*\).*/\1/p' "$work/bare.h" | sort >"$work/macros"
grep -v '^#' "$work/bare.h" | grep -oE '\bct_[a-z_0-9]+\(' | tr -d '(' | sort >"$work/functions"
sort abi/symbols.txt >"$work/promised"
same 'the header declares exactly the functions of abi/symbols.txt' "$work/promised" "$work/functions"

# Every word of the header counts: functions, struct tags, fields and macros.
grep -oE '\b[A-Za-z_][A-Za-z_0-9]*\b' "$work/bare.h" | sort -u >"$work/words"
# Not nm: for the bitcode in a Rust archive it asks a linker plugin, which may be of another LLVM.
readelf -sW "$stage$libdir/libctrack.a" 2>"$work/log" | awk '$5 == "GLOBAL" && $7 != "UND" { print $8 }' | sort -u >"$work/archive"
comm -23 "$work/promised" "$work/archive" >"$work/found"
empty 'the static library defines the functions of abi/symbols.txt' "$work/found"
sed -e '/^#/d' -e 's/\*/[A-Za-z_0-9]*/' abi/freetds-names.txt >"$work/denied"
# A list that finds none of the names it was made of would find none here either.
succeeds 'the list of FreeTDS names is in use' sh -c "printf 'ct_init\nct_ds_x\nCT_LABELS\n' | grep -cxf '$work/denied' | grep -x 3" || :
sort -u "$work/words" "$work/archive" | grep -xf "$work/denied" >"$work/found" || :
empty 'no name in the header or the static library is one of FreeTDS' "$work/found"

# shellcheck disable=SC2086 # a list of flags
if $cargo run --quiet --features header --example print-header $cargoflags >"$work/ctrack.h" 2>"$work/log"; then
	same 'the committed header is the generated one (otherwise: make header)' "$work/ctrack.h" include/ctrack.h
else
	failed 'the header can be generated' "$work/log"
fi

# --- Layout ----------------------------------------------------------------------------------------------------------------

# A C program that prints every struct with its size, and every field with offset and size, in the order of the header.
if ! awk '
	BEGIN { print "#include <ctrack.h>\n#include <stddef.h>\n#include <stdio.h>\n\nint main(void)\n{" }
	/^struct [a-z_0-9]+ \{$/ {
		name = $2
		printf "\tprintf(\"%s %%zu\\n\", sizeof(struct %s));\n", name, name
		next
	}
	name != "" && /^\};$/ { name = ""; next }
	name != "" {
		if ($0 !~ /^ *(struct )?[a-z_0-9]+ [a-z_0-9]+(\[[0-9]+\])?;$/) {
			print "a field that this script cannot read: " $0 >"/dev/stderr"
			exit 1
		}
		field = $NF
		sub(/(\[[0-9]+\])?;$/, "", field)
		printf "\tprintf(\"%s.%s %%zu %%zu\\n\", offsetof(struct %s, %s), sizeof ((struct %s *)0)->%s);\n", \
			name, field, name, field, name, field
	}
	END { print "\treturn 0;\n}" }
' "$work/bare.h" >"$work/layout.c" 2>"$work/log"; then
	failed 'the structs of the header can be read' "$work/log"
	finish
fi

cflags=$(pkg-config --cflags libctrack)
libs=$(pkg-config --libs libctrack)
warnings='-Wall -Wextra -Wpedantic -Wpadded -Werror'

: >"$work/layout.txt"
for compiler in gcc clang; do
	# shellcheck disable=SC2086 # lists of flags
	if ! $compiler -std=c99 $warnings $cflags -o "$work/layout" "$work/layout.c" >"$work/log" 2>&1; then
		failed "the layout can be printed by a program built with $compiler" "$work/log"
		continue
	fi
	"$work/layout" >"$work/layout.txt"
	# The chapters of the header may be moved; where a field is in its struct is said by its offset.
	sort "$work/layout.txt" >"$work/found"
	sort abi/layout.txt >"$work/expected"
	same "the structs have the layout of abi/layout.txt ($compiler)" "$work/expected" "$work/found"
done
# Each field begins where the one before ended: no hidden padding, and no field was missed above.
awk '
	NF == 2 { if (name != "" && at != size) print name, "has padding at its end"; name = $1; size = $2; at = 0 }
	NF == 3 { if ($2 != at) print $1, "begins at", $2, "instead of", at; at = $2 + $3 }
	END { if (name == "") print "no struct was found"; else if (at != size) print name, "has padding at its end" }
' "$work/layout.txt" >"$work/found"
empty 'no struct has hidden padding' "$work/found"

# --- The header in every language -------------------------------------------------------------------------------------------

# First, alone, twice; the arrays make the compiler lay the structs out, and #if reads the version.
{
	printf '#include <ctrack.h>\n#include <ctrack.h>\n'
	printf '#if CT_VERSION_NUMBER != CT_VERSION_MAJOR * 65536 + CT_VERSION_MINOR * 256 + CT_VERSION_PATCH\n'
	printf '#error the version number is not made of its parts\n#endif\n'
	awk 'NF == 2 { printf "extern char %s_bytes[sizeof(struct %s)];\n", $1, $1 }' abi/layout.txt
} >"$work/twice.c"
# Every macro but the include guard is a constant that can be used.
{
	cat "$work/twice.c"
	printf 'extern const unsigned long long macros[];\nconst unsigned long long macros[] = {\n'
	sed -e '/^CTRACK_H$/d' -e 's/$/,/' "$work/macros"
	printf '};\n'
} >"$work/macros.c"

# The versions as the header and as the running library know them.
cat >"$work/version.c" <<'SOURCE'
#include <ctrack.h>
#include <stdio.h>

int main(void)
{
	printf("header %d.%d.%d %d\n", CT_VERSION_MAJOR, CT_VERSION_MINOR, CT_VERSION_PATCH, CT_VERSION_NUMBER);
	printf("library %s %lu\n", ct_version_string(), (unsigned long)ct_version_number());
	return 0;
}
SOURCE
number=$(echo "$version" | awk -F. '{ print $1 * 65536 + $2 * 256 + $3 }')
printf 'header %s %s\nlibrary %s %s\n' "$version" "$number" "$version" "$number" >"$work/versions"

# in_language COMPILER LANGUAGE STANDARD
in_language() {
	title="$1 -std=$3"
	# shellcheck disable=SC2086 # lists of flags
	succeeds "the header compiles alone and twice: $title" \
		"$1" -x "$2" -std="$3" $warnings $cflags -c -o "$work/twice.o" "$work/twice.c" || :
	# shellcheck disable=SC2086
	succeeds "every macro of the header is a constant: $title" \
		"$1" -x "$2" -std="$3" $warnings $cflags -c -o "$work/macros.o" "$work/macros.c" || :
	rm -f "$work/version"
	# shellcheck disable=SC2086
	if ! "$1" -x "$2" -std="$3" $warnings $cflags -o "$work/version" "$work/version.c" $libs >"$work/log" 2>&1; then
		failed "a program links with the library: $title" "$work/log"
		return
	fi
	LD_LIBRARY_PATH="$stage$libdir" "$work/version" >"$work/found" 2>&1 || echo 'failed' >>"$work/found"
	same "Cargo.toml, header and running library have one version: $title" "$work/versions" "$work/found"
}

# The programs of the README, and the flags as programs use them: combined, taken away, in conditions.
awk -v "work=$work" '/^```c$/ { on = 1; file = work (n++ ? "/watching.c" : "/first.c"); next } /^```$/ { on = 0 } on { print >file }' README.md
cat >"$work/flags.c" <<'SOURCE'
#include <ctrack.h>

uint32_t without(uint32_t status);
uint32_t without(uint32_t status)
{
	status &= ~CT_STATUS_DYING;
	status |= CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED;
	return status & CT_STATUS_HW_OFFLOAD ? CT_FORMAT_LINE | CT_FORMAT_ID : CT_DELETE_UNCOUNTED;
}

uint64_t announced(struct ct_entry *e, struct ct_filter *f);
uint64_t announced(struct ct_entry *e, struct ct_filter *f)
{
	e->has |= CT_HAS_STATUS;
	e->has &= ~CT_HAS_ID;
	e->proto = CT_PROTO_UDP;
	e->family = CT_FAMILY_IPV6;
	f->match &= ~CT_MATCH_ZONE;
	f->flags |= CT_FILTER_EXCLUDE;
	f->status_set = CT_STATUS_ASSURED;
	f->tcp_states |= 1u << CT_TCP_STATE_ESTABLISHED;
	return e->has & CT_HAS_STATUS ? f->match : 0;
}
SOURCE
# Initializers that name a few members are what a program writes; g++ warns of those that they leave out, gcc does not.
in_use() {
	for source in flags first watching; do
		# shellcheck disable=SC2086
		succeeds "$source.c compiles without a conversion of sign: $1 -std=$3" \
			"$1" -x "$2" -std="$3" -Wall -Wextra -pedantic -Werror -Wsign-conversion -Wno-missing-field-initializers $cflags -c -o "$work/$source.o" \
			"$work/$source.c" || :
	done
}
for compiler in gcc clang; do
	in_use $compiler c c99
done
for compiler in g++ clang++; do
	in_use $compiler c++ c++20
done

for standard in c99 c11; do
	in_language gcc c $standard
	in_language clang c $standard
done
for standard in c++11 c++17; do
	in_language g++ c++ $standard
	in_language clang++ c++ $standard
done

# --- Static linking ---------------------------------------------------------------------------------------------------------

# A directory of its own: the library in the other one stays as it is. Cargo repeats the note when it has nothing to build. What is
# needed does not depend on how much is optimised.
sorted_words() {
	tr -s ' ' '\n' | sed '/^$/d' | sort -u
}
# shellcheck disable=SC2086 # a list of flags
if CARGO_TARGET_DIR="$target/native-static-libs" CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0 $cargo rustc --release --lib $cargoflags --crate-type staticlib -- \
	--print native-static-libs >"$work/log" 2>&1 && grep -q 'native-static-libs:' "$work/log"; then
	# The compiler driver adds its own libgcc.
	sed -n 's/.*native-static-libs: *//p' "$work/log" | sorted_words | grep -vx -- '-lgcc_s' >"$work/wanted"
	sed -n 's/^Libs.private: *//p' "$pc" | sorted_words >"$work/private"
	same 'Libs.private is what rustc says that the static library needs' "$work/wanted" "$work/private"
else
	failed 'rustc says what the static library needs' "$work/log"
fi

strings -a build/libctrack.so | grep -E 'registry/|/home/|/root/' >"$work/paths" || true
if [ -s "$work/paths" ]; then
	failed 'no path of the machine that built it is in the library' "$work/paths"
else
	ok 'no path of the machine that built it is in the library'
fi

finish
