#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What `make` checks of a build before it calls it one. TARGET is the file that build-library.py writes; each mode prints nothing
# and exits with 0, or says what is wrong and exits with 1.
#
# check-built.sh TARGET compiler CC OPTION...   the C compiler makes code for the machine that the library was built for
# check-built.sh TARGET objects FILE            every object in it is for that machine
# check-built.sh TARGET archive FILE            every member of the static library is for that machine, and it has every function
# check-built.sh TARGET shared FILE             the shared library is for that machine, and exports every function by its version
#
# The functions are those of abi/symbols.txt, the versions those of abi/libctrack.map, in the current directory. Needs readelf,
# which every C compiler of Linux comes with: $READELF, or that of $CC, or of binutils or LLVM.

set -eu
export LC_ALL=C

wrong() {
	printf 'check-built: %s\n' "$*" >&2
	exit 1
}

[ $# -ge 3 ] || {
	echo 'usage: check-built.sh TARGET compiler CC OPTION... | objects FILE | archive FILE | shared FILE' >&2
	exit 2
}
read -r triple arch bits order host <"$1" || wrong "$1 does not say for what was built; run make again"
mode=$2
shift 2
file=$1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

find_readelf() {
	# shellcheck disable=SC2086 # CC may have options
	for readelf in "${READELF:-}" "$(${CC:-cc} -print-prog-name=readelf 2>/dev/null || :)" readelf llvm-readelf; do
		[ -z "$readelf" ] || ! command -v "$readelf" >/dev/null 2>&1 || return 0
	done
	wrong 'readelf is needed to look at what was built; install binutils, or name it: make READELF=llvm-readelf'
}

# machines FILE: class, byte order and machine of each object in FILE, each once. Fails for what is no object.
machines() {
	"$readelf" -hW "$1" 2>"$work/errors" | awk '
		/^ *Class:/ { class = $2 }
		/^ *Data:/ { order = /little/ ? "little" : "big" }
		/^ *Machine:/ { sub(/^ *Machine: */, ""); print class, order, $0 }' | sort -u >"$work/machines"
	[ ! -s "$work/errors" ] || wrong "$1 has something in it that is no ELF object: $(head -n 1 "$work/errors")"
	[ -s "$work/machines" ] || wrong "$1 has no ELF object in it; remove it and run make again"
	cat "$work/machines"
}

# A part of what readelf calls it. Of a machine that is not here, class and byte order are compared.
case $arch in
	x86_64) name=X86-64 ;;
	x86) name=80386 ;;
	aarch64) name=AArch64 ;;
	arm) name=ARM ;;
	s390x) name=S/390 ;;
	riscv32 | riscv64) name=RISC-V ;;
	powerpc) name=PowerPC ;;
	powerpc64) name=PowerPC64 ;;
	loongarch64) name=LoongArch ;;
	mips*) name=MIPS ;;
	*) name= ;;
esac

# foreign FILE: what of its objects is for another machine, if anything is.
foreign() {
	machines "$1" >"$work/found" || exit 1
	grep -v "^ELF$bits $order .*$name" "$work/found" || :
}

# How the GNU compiler for a target is called, mostly.
gnu_name() {
	printf '%s-gcc' "$triple" | sed -e 's/-unknown-/-/' -e 's/^armv7[a-z]*-/arm-/' -e 's/^i[3-6]86-/i686-/' -e 's/^riscv64[a-z]*-/riscv64-/'
}

# symbols OPTION: what readelf says of the defined global functions of the file, names alone.
symbols() {
	"$readelf" "$1" -W "$file" 2>"$work/errors" | awk '/ FUNC +GLOBAL +(DEFAULT|PROTECTED) / && !/ UND / { print $NF }' | sort -u
}

find_readelf
case $mode in
	compiler)
		case $triple in
			"$host") ;;
			*musl*) wrong "the library for $triple contains the C library, so no shared library can be made of it;" \
				"install the static one: make install-musl MUSL_TARGET=$triple" ;;
		esac
		# Not link-time optimised: clang's code would be no object.
		"$@" -fno-lto -c -x c -o "$work/probe.o" /dev/null 2>"$work/log" || {
			cat "$work/log" >&2
			wrong "the C compiler does not work: $*"
		}
		other=$(foreign "$work/probe.o")
		[ -z "$other" ] || wrong "the C compiler makes code for another machine ($other) than $triple, which cargo built for;" \
			"name one for it (for example make CC=$(gnu_name)), or another target (CARGO_BUILD_TARGET)"
		;;
	objects | archive)
		other=$(foreign "$file")
		[ -z "$other" ] || wrong "$file is not all for $triple: $(printf '%s' "$other" | tr '\n' ',')"
		[ "$mode" = archive ] || exit 0
		symbols -s >"$work/has"
		sort -u abi/symbols.txt | comm -23 - "$work/has" >"$work/missing"
		;;
	shared)
		other=$(foreign "$file")
		[ -z "$other" ] || wrong "$file is not for $triple: $other"
		symbols --dyn-syms >"$work/has"
		# A function without a version is in the list as it is, and so is missed.
		awk 'NR == FNR && /^CTRACK_/ { node = $1 } NR == FNR { sub(/;.*/, "", $1); version[$1] = node; next }
			{ print $1 "@@" version[$1] }' abi/libctrack.map abi/symbols.txt | sort -u | comm -23 - "$work/has" >"$work/missing"
		;;
	*) wrong "there is no check called $mode" ;;
esac
if [ -s "${work}/missing" ]; then
	wrong "$file lacks $(tr '\n' ' ' <"$work/missing")of abi/symbols.txt"
fi
