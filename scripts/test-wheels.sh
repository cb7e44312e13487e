#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What scripts/wheels.sh builds. The sdist has all that its tests need. The tags of the wheels are true; the libraries in them
# export, need and run at load time what they should. The wheel for glibc is installed by the pip of Debian 11 in a root with nothing
# else, and creates, lists, deletes and flushes there. The library for musl does so under the musl of Debian 11.
#
# As root, on Debian 12 or newer. The root is made by mmdebstrap from the mirror that apt uses, or from DEBIAN_MIRROR. What cannot be
# downloaded is a failure. Honours CARGO_TARGET_DIR. SEED: of what is random; it is printed.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR PREFIX LIBDIR INCLUDEDIR CPATH C_INCLUDE_PATH LIBRARY_PATH LD_LIBRARY_PATH LD_PRELOAD
unset CFLAGS LDFLAGS RUSTFLAGS PYTHONPATH CTRACK_LIBRARY SOURCE_DATE_EPOCH CDPATH
export LC_ALL=C.UTF-8 CARGO_TERM_COLOR=never PYTHONDONTWRITEBYTECODE=1

. ./scripts/checks.sh
chmod 755 "$work"
if [ "$(id -u)" -ne 0 ]; then
	echo 'test-wheels: only root can make a root directory' >&2
	exit 1
fi
./scripts/setup.sh wheels demo abi
. ./scripts/path.sh

succeeds 'there are namespaces without network' isolated true || finish
machine=$(uname -m)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
wheels=$work/wheels

# --- A Debian 11, made while the wheels are built --------------------------------------------------------------------------

root=$work/root
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format "\$(REPO_URI) \$(COMPONENT) \$(ORIGIN)" 'Created-By: Packages' |
	sed -n '/-security/d; s/ main Debian$//p' | head -n 1)}
# shellcheck disable=SC2016 # for the shell of mmdebstrap
mmdebstrap --quiet --variant=minbase --mode=root --include=python3,python3-pip \
	--customize-hook='mkdir "$1/musl" && cd "$1/musl" && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -qq download musl' \
	bullseye "$root" "deb $mirror bullseye main" >"$work/root.log" 2>&1 &
debootstrap=$!
succeeds 'the wheels are built' ./scripts/wheels.sh "$wheels" || :
cat "$work/log"
if wait "$debootstrap"; then ok 'Debian 11 can be downloaded'; else failed 'Debian 11 can be downloaded' "$work/root.log"; fi
[ "$failures" -eq 0 ] || finish

pure=ctrack-$version-py3-none-any.whl
manylinux=ctrack-$version-py3-none-manylinux_2_17_$machine.whl
musllinux=ctrack-$version-py3-none-musllinux_1_2_$machine.whl
(cd "$wheels" && ls -- *) >"$work/found"
printf '%s\n' "$pure" "$manylinux" "$musllinux" "ctrack-$version.tar.gz" | LC_ALL=C sort >"$work/expected"
LC_ALL=C sort -o "$work/found" "$work/found"
same 'there are three wheels and an sdist' "$work/expected" "$work/found"

# --- What is in the wheels -------------------------------------------------------------------------------------------------

for wheel in "$pure" "$manylinux" "$musllinux"; do
	case $wheel in
	*-any.whl) kind=pure ;;
	*manylinux*) kind=manylinux ;;
	*) kind=musllinux ;;
	esac
	python3 -m zipfile -e "$wheels/$wheel" "$work/$kind"
	info=$work/$kind/ctrack-$version.dist-info
	tag=${wheel#"ctrack-$version-"}
	equal "$kind: its metadata have the tag of its name" "Tag: ${tag%.whl}" "$(grep ^Tag: "$info/WHEEL")"
	for file in LICENSE-MIT LICENSE-APACHE; do
		succeeds "$kind: $file is in its metadata" cmp "$file" "$info/licenses/$file" || :
	done
	equal "$kind: the licence is an expression" 'License-Expression: MIT OR Apache-2.0' "$(grep '^License-Expression:' "$info/METADATA")"
	(cd "$work/$kind" && find . -type f) | grep -vE '^\./ctrack/[a-z_]+\.py$|^\./ctrack/py\.typed$|\.dist-info/' >"$work/found" || :
	if [ "$kind" = pure ]; then
		empty 'pure: nothing but Python is in it' "$work/found"
	else
		echo ./ctrack/libctrack.so.0 >"$work/expected"
		same "$kind: the library is in it, and nothing else but Python" "$work/expected" "$work/found"
	fi
done
succeeds 'auditwheel shows what manylinux wants' build/wheel-tools/bin/auditwheel show "$wheels/$manylinux" || :
tr '\n' ' ' <"$work/log" | grep -o 'platform tag to "[^"]*"' >"$work/found" || cp "$work/log" "$work/found"
echo "platform tag to \"manylinux_2_17_$machine\"" >"$work/expected"
same 'and its tag is true' "$work/expected" "$work/found"

# library KIND NEEDED...: what is in the wheel is the library that `make` links, but for the C library.
library() {
	kind=$1
	shift
	shared=$work/$kind/ctrack/libctrack.so.0
	readelf -dW "$shared" >"$work/dynamic"
	readelf -lW "$shared" >"$work/segments"
	equal "$kind: the soname is libctrack.so.0" libctrack.so.0 "$(sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p' "$work/dynamic")"
	sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$work/dynamic" | sort >"$work/found"
	printf '%s\n' "$@" | sort >"$work/expected"
	same "$kind: it needs $*" "$work/expected" "$work/found"
	nm -D --defined-only --with-symbol-versions "$shared" | sed 's/^[0-9a-f]* //' | sort >"$work/found"
	# Zig's linker has no symbols for the version nodes themselves.
	awk '/^CTRACK_/ { node = $1; next } /^\tct_[a-z_]+;/ { sub(/;.*/, "", $1); print "T " $1 "@@" node }' abi/libctrack.map |
		sort >"$work/expected"
	same "$kind: it exports the functions of abi/libctrack.map, with their versions, and nothing else" "$work/expected" "$work/found"
	succeeds "$kind: all symbols are bound at load time (BIND_NOW)" grep -w BIND_NOW "$work/dynamic" || :
	succeeds "$kind: relocated data is read-only afterwards (RELRO)" grep GNU_RELRO "$work/segments" || :
	succeeds "$kind: the stack is not executable" grep -E 'GNU_STACK.* RW +0' "$work/segments" || :
	grep -E 'LOAD.* RWE ' "$work/segments" >"$work/found" || :
	grep -E '\((RPATH|RUNPATH|TEXTREL|PREINIT_ARRAY|INIT_ARRAY|INIT)\)' "$work/dynamic" >>"$work/found" || :
	empty "$kind: it has no run path, no text relocations, no segment to write and execute, and runs nothing when loaded" "$work/found"
	readelf -SW "$shared" | grep -E ' \.(debug_.*|symtab) ' >"$work/found" || :
	empty "$kind: it is stripped" "$work/found"
	strings -a "$shared" | grep -F -e "$work" -e "$PWD" -e "${HOME:-/nonexistent}/" -e 'registry/' >"$work/found" || :
	empty "$kind: it names no path of the machine that built it" "$work/found"
	size=$(stat -c %s "$shared")
	if [ "$size" -lt 690000 ]; then ok "$kind: it is small ($size bytes)"; else failed "$kind: it has $size bytes"; fi
}
loader=$(readelf -lW /bin/sh | sed -n 's/.*interpreter: .*\/\(.*\)\]/\1/p')
library manylinux libc.so.6 libgcc_s.so.1 libpthread.so.0 "$loader"
library musllinux libc.so

# --- The sdist -------------------------------------------------------------------------------------------------------------

# python/test.sh runs all tests of an unpacked sdist; here are those that need other files than the package's own.
mkdir "$work/sdist"
tar -C "$work/sdist" -xf "$wheels/ctrack-$version.tar.gz"
(cd "$work/sdist/ctrack-$version" && find . ! -type d ! -path './*.egg-info/*' ! -name PKG-INFO ! -name setup.cfg |
	LC_ALL=C sort) >"$work/found"
(cd python && find . ! -type d ! -path '*/__pycache__/*' ! -path './*.egg-info/*' ! -name '*.sh' | LC_ALL=C sort) >"$work/expected"
same 'sdist: it has every file of python/, but for the scripts' "$work/expected" "$work/found"
(cd "$work/sdist/ctrack-$version" && find . -type l) >"$work/found"
empty 'sdist: it has files, and no links out of it' "$work/found"
for file in LICENSE-MIT LICENSE-APACHE; do
	succeeds "sdist: $file is that of the repository" cmp "$file" "$work/sdist/ctrack-$version/$file" || :
done
equal 'sdist: the licence is an expression' 'License-Expression: MIT OR Apache-2.0' \
	"$(grep '^License-Expression:' "$work/sdist/ctrack-$version/PKG-INFO")"
venv=$work/venv
succeeds 'a virtual environment can be made' python3 -m venv "$venv" || finish
succeeds 'pip can install pytest' "$venv/bin/pip" install --quiet --disable-pip-version-check 'pytest>=7' || finish
# shellcheck disable=SC2016 # for the other shell
if succeeds 'sdist: its tests pass in its own tree, with an installed library' env CTRACK_REQUIRE_NETNS=1 \
	LD_LIBRARY_PATH="$work/manylinux/ctrack" sh -c 'cd "$1" && PYTHONPATH=. "$2" -m pytest -q \
	tests/test_package.py tests/test_examples.py tests/test_real_flows.py tests/test_scenario.py' sh "$work/sdist/ctrack-$version" "$venv/bin/python"; then
	tail -n 1 "$work/log"
	if grep -q skipped "$work/log"; then failed 'sdist: no test is skipped' "$work/log"; else ok 'sdist: no test is skipped'; fi
fi

# --- Debian 11 with its own pip --------------------------------------------------------------------------------------------

# in_root COMMAND...: with no network, in a network namespace of its own.
in_root() {
	# shellcheck disable=SC2016 # for the other shell
	isolated sh -c 'mount --rbind /dev "$0/dev" && mount --rbind /proc "$0/proc" &&
		exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1 chroot "$0" "$@"' "$root" "$@"
}

mkdir "$root/wheels"
cp "$wheels"/*.whl tests/wheels/use.py "$root/wheels"
find "$root" -xdev \( -name 'libctrack*' -o -path '*/bin/*cc' -o -path '*/bin/*gcc*' -o -path '*/bin/ld' \) >"$work/found"
empty 'it has no compiler, no linker and no libctrack' "$work/found"
equal 'its pip is that of Debian 11' 'pip 20.3.4' "$(in_root python3 -m pip --version | cut -d ' ' -f 1,2)"

# uses NAME LIBRARY: each step is a process of its own; the conntrack program of this machine counts.
uses() {
	# shellcheck disable=SC2016 # for the other shell
	succeeds "$1: creates, lists, deletes and flushes" isolated sh -euc '
		mount --rbind /dev "$0/dev" && mount --rbind /proc "$0/proc"
		for step in create:40 list:40 delete:20 flush:10; do
			env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$0" \
				python3 -B /wheels/use.py "${step%:*}" /usr/local/lib/python3.9/dist-packages/ctrack/
			count=$(conntrack -C)
			[ "$count" -eq "${step#*:}" ] || {
				echo "after ${step%:*} there are $count entries, not ${step#*:}"
				exit 1
			}
		done' "$root" || return 0
	equal "$1: with the library where it should be" "ctrack $version with libctrack $version in $2" "$(cat "$work/log")"
}

if succeeds 'pip installs the wheel, without network' in_root python3 -m pip install "/wheels/$manylinux"; then
	uses 'the wheel' /usr/local/lib/python3.9/dist-packages/ctrack/libctrack.so.0
	succeeds 'pip uninstalls it' in_root python3 -m pip uninstall --yes ctrack || :
	find "$root/usr/local" -name '*ctrack*' >"$work/found"
	empty 'nothing of it stays behind' "$work/found"
fi
if in_root python3 -m pip install "/wheels/$musllinux" >"$work/log" 2>&1; then
	failed 'pip refuses the wheel for musl'
elif grep -q 'not a supported wheel on this platform' "$work/log"; then
	ok 'pip refuses the wheel for musl'
else
	failed 'pip refuses the wheel for musl' "$work/log"
fi
if succeeds 'pip chooses among the three' in_root python3 -m pip install --no-index --find-links /wheels ctrack; then
	uses 'the chosen one' /usr/local/lib/python3.9/dist-packages/ctrack/libctrack.so.0
	succeeds 'and uninstalls it' in_root python3 -m pip uninstall --yes ctrack || :
fi
# The other way: the package without, and a library that is installed.
install -D -m 755 "$work/manylinux/ctrack/libctrack.so.0" "$root/usr/local/lib/libctrack.so.0"
if succeeds 'pip installs the wheel without library' in_root sh -c "ldconfig && python3 -m pip install /wheels/$pure"; then
	uses 'the wheel without library' /usr/local/lib/libctrack.so.0
fi

# --- Threads that are cancelled, children (tests/boundary), and musl -------------------------------------------------------

seed=${SEED:-$(date +%s)}
echo "seed $seed"

# boundary KIND COMPILER-AND-FLAGS...: programs that cancel threads and fork, with the library of that wheel. $run runs them.
boundary() {
	kind=$1
	shift
	libdir=$work/$kind/ctrack
	mkdir -p "$work/$kind-bin"
	for program in cancel children; do
		succeeds "$kind: $program is built" "$@" -std=gnu11 -Wall -Wextra -Werror -O1 -Itests/boundary -Iinclude \
			-o "$work/$kind-bin/$program" "tests/boundary/$program.c" "$libdir/libctrack.so.0" -lpthread || continue
		argument=
		[ "$program" != cancel ] || argument=$seed
		# shellcheck disable=SC2086 # words
		succeeds "$kind: $program passes" isolated $run "$work/$kind-bin/$program" $argument || :
	done
}

run="env LD_LIBRARY_PATH=$work/manylinux/ctrack"
boundary manylinux gcc

# The musl that the tag promises to be enough for is 1.2.0; Debian 11 has 1.2.2, the oldest 1.2 of any distribution.
dpkg-deb -x "$root"/musl/musl_*.deb "$work/musl"
# shellcheck disable=SC2012 # one name
musl=$(ls "$work"/musl/lib/*-linux-musl/libc.so | head -n 1)
"$musl" >"$work/log" 2>&1 || :
equal 'the musl of Debian 11' 'Version 1.2.2' "$(grep ^Version "$work/log")"
# The kernel's headers are in the directories of the other C library.
multiarch=$(gcc -print-multiarch)
# shellcheck disable=SC2317 # called through succeeds
musl_gcc() {
	musl-gcc -idirafter /usr/include -idirafter "/usr/include/$multiarch" "$@"
}
run="$musl --library-path $work/musllinux/ctrack"
boundary musllinux musl_gcc
bin=$work/musllinux-bin
if succeeds 'musl: a program that opens the library is built' musl_gcc -std=gnu11 -Wall -Wextra -Werror -Iinclude -o "$bin/open" \
	tests/wheels/open.c -ldl; then
	equal 'it is for the loader of musl' "/lib/ld-musl-$machine.so.1" \
		"$(readelf -lW "$bin/open" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')"
	shared=$work/musllinux/ctrack/libctrack.so.0
	succeeds 'musl: it opens the library, creates, lists and deletes' isolated "$musl" "$bin/open" "$shared" || :
	equal 'and prints the version' "$version 1" "$(cat "$work/log")"
	succeeds 'the same with the musl of this machine' isolated "$bin/open" "$shared" || :
fi
for source in examples-c/[0-9]*.c; do
	program=$(basename "$source" .c)
	succeeds "musl: $program is built" musl_gcc -std=gnu11 -Iinclude -o "$bin/$program" "$source" \
		"$work/musllinux/ctrack/libctrack.so.0" || continue
	./scripts/expected-output.sh "$source" >"$work/expected"
	# shellcheck disable=SC2086 # words
	isolated $run "$bin/$program" >"$work/found" 2>&1 || echo failed >>"$work/found"
	same "musl: $program prints what it should" "$work/expected" "$work/found"
done

finish
