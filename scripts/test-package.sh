#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What docs/packaging.md promises: the source archive and the builds of it are the same twice and need no network; the Debian and
# RPM packages can be built from it and satisfy lintian and rpmlint; the packaged library is as it should be; in a Debian with nothing
# else of ours the packages install, programs build and run with them, the tests of debian/tests pass, and nothing stays behind.
#
# As root, on Debian 12 or newer with any Rust; what else is missing is installed with apt-get. The Debian is made by mmdebstrap out
# of the apt sources of this one, which needs no right to mount or to make devices. Only that and the tools need network.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh

unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR PREFIX LIBDIR INCLUDEDIR PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_LIBDIR
unset CPATH C_INCLUDE_PATH LIBRARY_PATH LD_LIBRARY_PATH LD_PRELOAD CFLAGS LDFLAGS RUSTFLAGS CARGO_TARGET_DIR RPMFLAGS
unset SOURCE_DATE_EPOCH DEB_BUILD_OPTIONS CDPATH
export LC_ALL=C.UTF-8 CARGO_TERM_COLOR=never PYTHONDONTWRITEBYTECODE=1

. ./scripts/checks.sh
# A root that was made by another user, and a shell with a strict umask, are to give the same.
chmod 755 "$work"

# --- Tools -----------------------------------------------------------------------------------------------------------------

if [ "$(id -u)" -ne 0 ]; then
	echo 'test-package: only root can install packages into a root directory' >&2
	exit 1
fi
./scripts/setup.sh package
. ./scripts/path.sh

succeeds 'there are namespaces without network' isolated true || finish
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
release=libctrack-$version

# --- The source archive ----------------------------------------------------------------------------------------------------

succeeds 'make dist' make dist || finish
cp "build/$release.tar.xz" "$work/archive"
(umask 077 && TZ=Asia/Kathmandu LC_ALL=C ./scripts/dist.sh) >"$work/log" 2>&1 || failed 'dist.sh works again' "$work/log"
succeeds 'make dist twice: the same archive, bit for bit' cmp "$work/archive" "build/$release.tar.xz" || :
for at in one another/deeper; do
	mkdir -p "$work/$at"
	tar -C "$work/$at" -xf "$work/archive"
done
one=$work/one/$release
two=$work/another/deeper/$release
(cd "$one" && find . ! -perm -g=r -o -perm -o=w ! -type l) >"$work/found"
empty 'everybody can read what is in it, only the owner can write' "$work/found"

# build TREE CARGO-HOME COMMAND...: without network. rustup looks for toolchains in HOME.
# shellcheck disable=SC2317 # called through succeeds
build() (
	cd "$1"
	mkdir -p "$2"
	export CARGO_HOME="$2"
	shift 2
	isolated "$@"
)

succeeds 'make, without network and with an empty CARGO_HOME' build "$one" "$work/home1" make || finish
succeeds 'make, in another folder and with another CARGO_HOME' build "$two" "$work/home2" make || finish
for file in "libctrack.so.$version" libctrack.a; do
	succeeds "two builds give the same $file, bit for bit" cmp "$one/build/$file" "$two/build/$file" || :
done
stage=$work/stage
succeeds 'make install, without network' build "$one" "$work/home1" make install DESTDIR="$stage" PREFIX=/usr || :
succeeds 'the examples build with what was installed' env PKG_CONFIG_LIBDIR="$stage/usr/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$stage" \
	make -C examples-c OUT="$work/examples" || :

for source in examples-c/[0-9]*.c; do
	example=$(basename "$source" .c)
	./scripts/expected-output.sh "$source" >"$work/expected"
	isolated env LD_LIBRARY_PATH="$stage/usr/lib" "$work/examples/$example" >"$work/found" 2>&1 || echo failed >>"$work/found"
	same "example $example prints what it promises" "$work/expected" "$work/found"
done
succeeds 'make dist in the unpacked archive, without network' build "$one" "$work/home1" make dist || :
succeeds 'it gives the archive that it came from' cmp "$work/archive" "$one/build/$release.tar.xz" || :

# --- Debian packages -------------------------------------------------------------------------------------------------------

succeeds 'make deb, without network; lintian finds no error and no warning' build "$one" "$work/home1" make deb || finish
debs=$one/build/deb
passed=$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$debs/log" | awk '{ n += $1 } END { print n + 0 }')
if [ "$passed" -ge 130 ]; then ok "unit tests and codec have passed, without network ($passed)"; else failed "only $passed unit tests have passed"; fi
mkdir "$work/deb"
packages='libctrack0 libctrack0-dbgsym libctrack-dev python3-ctrack golang-ctrack-dev'
for package in $packages; do
	deb=$(find "$debs" -name "${package}_*.deb")
	succeeds "there is $package" dpkg-deb -x "${deb:-nothing}" "$work/deb/$package" || finish
done
for package in libctrack0 libctrack-dev; do
	equal "$package is for many architectures at once" same "$(dpkg-deb -f "$debs/${package}"_*.deb Multi-Arch)"
done
awk '/^#/ || /^$/ { why = why || /^#/; next } { if (!why) print FILENAME ": " $0; why = 0 }' "$one"/debian/source/lintian-overrides \
	"$one"/debian/*.lintian-overrides >"$work/found" 2>"$work/log" || :
empty 'what lintian is not to say has its reason beside it' "$work/found"
awk '/^ ct_/ { sub(/@.*/, "", $1); print $1 }' debian/libctrack0.symbols | sort >"$work/found"
sort abi/symbols.txt >"$work/symbols"
same 'debian/libctrack0.symbols has the functions of abi/symbols.txt' "$work/symbols" "$work/found"
find "$work/deb/libctrack-dev" -type f -name 'ct_*.3.gz' -o -type l -name 'ct_*.3.gz' | sed 's|.*/\(.*\)\.3\.gz|\1|' | sort >"$work/pages"
comm -23 "$work/symbols" "$work/pages" >"$work/found"
empty 'every function has a manual page in libctrack-dev' "$work/found"

succeeds 'debian/copyright is what the crates say' build "$one" "$work/home1" ./scripts/dist.sh --check-copyright || :
find "$one"/vendor -mindepth 1 -maxdepth 1 -printf '%f\n' | while read -r crate; do
	[ ! -s "$one/vendor/$crate/src/lib.rs" ] || grep -qxF "Files: vendor/$crate/*" "$work/deb/libctrack0/usr/share/doc/libctrack0/copyright" ||
		echo "$crate"
done >"$work/found"
empty 'every crate with sources is in the copyright file of the package' "$work/found"

# --- The packaged library --------------------------------------------------------------------------------------------------

multiarch=$(dpkg-architecture -q DEB_HOST_MULTIARCH)
shared=$work/deb/libctrack0/usr/lib/$multiarch/libctrack.so.$version
readelf -dW "$shared" >"$work/dynamic"
readelf -lW "$shared" >"$work/segments"
readelf -rW "$shared" >"$work/relocations"
equal 'the soname is libctrack.so.0' libctrack.so.0 "$(sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p' "$work/dynamic")"
sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$work/dynamic" >"$work/needed"
succeeds 'it needs the C library' grep -x 'libc\.so\.6' "$work/needed" || :
grep -vxE 'libc\.so\.6|libgcc_s\.so\.1|ld-linux[^/]*\.so\.[0-9]+' "$work/needed" >"$work/found" || :
empty 'it needs nothing but libc, libgcc_s and the loader' "$work/found"
equal 'so does the package' 'libc6 libgcc-s1' "$(dpkg-deb -f "$debs"/libctrack0_*.deb Depends | sed 's/ ([^)]*)//g; s/,//g')"
succeeds 'all symbols are bound at load time (BIND_NOW)' grep -w BIND_NOW "$work/dynamic" || :
succeeds 'relocated data is read-only afterwards (RELRO)' grep GNU_RELRO "$work/segments" || :
succeeds 'the stack is not executable' grep -E 'GNU_STACK.* RW +0x' "$work/segments" || :
grep -E 'LOAD.* RWE ' "$work/segments" >"$work/found" || :
empty 'no segment can be written and executed' "$work/found"
grep -E '\((RPATH|RUNPATH|TEXTREL|PREINIT_ARRAY)\)' "$work/dynamic" >"$work/found" || :
empty 'it has no run path and no text relocations' "$work/found"

nm -D --defined-only --with-symbol-versions "$shared" | sed 's/^[0-9a-f]* //' | sort >"$work/found"
# Each function with its version, and the version nodes, which are absolute symbols.
awk '/^CTRACK_/ { node = $1; print "A " node; next } /^\tct_[a-z_]+;/ { sub(/;.*/, "", $1); print "T " $1 "@@" node }' abi/libctrack.map |
	sort >"$work/expected"
same 'it exports the functions of abi/libctrack.map and nothing else' "$work/expected" "$work/found"
sed -n 's/^T \(.*\)@@.*/\1/p' "$work/found" >"$work/functions"
same 'these are the functions of abi/symbols.txt' "$work/symbols" "$work/functions"
succeeds 'abidiff: it has the functions of the recorded ABI' abidiff --no-architecture abi/libctrack.abi "$shared" || :
succeeds 'the header is the one that the ABI is recorded of' cmp include/ctrack.h "$work/deb/libctrack-dev/usr/include/ctrack.h" || :

# What runs when it is loaded is the C compiler's own frame_dummy, which does nothing.
build_id=$(readelf -nW "$shared" | sed -n 's/.*Build ID: \(..\)\(.*\)/\1\/\2/p')
debug=$work/deb/libctrack0-dbgsym/usr/lib/debug/.build-id/$build_id.debug
if [ -s "$debug" ]; then ok 'its debug symbols are in libctrack0-dbgsym'; else failed 'its debug symbols are in libctrack0-dbgsym'; fi
equal 'it has one constructor, of the C compiler' 8 "$(sed -n 's/.*(INIT_ARRAYSZ) *\([0-9]*\) .*/\1/p' "$work/dynamic")"
constructor=$(sed -n 's/.*(INIT_ARRAY) *0x0*\([0-9a-f]*\).*/\1/p' "$work/dynamic" | xargs -I{} sed -n 's/^0*{} .* 0*\([0-9a-f]*\)$/\1/p' "$work/relocations")
equal 'it is frame_dummy' "$(nm "$debug" | sed -n 's/^0*\([0-9a-f]*\) t frame_dummy$/\1/p')" "${constructor:-none}"
readelf -SW "$shared" | grep -E ' \.(debug_.*|symtab) ' >"$work/found" || :
empty 'it is stripped' "$work/found"
size=$(stat -c %s "$shared")
if [ "$size" -lt 655360 ]; then ok "it is small ($size bytes)"; else failed "it has $size bytes"; fi
for file in "$shared" "$work/deb/libctrack-dev/usr/lib/$multiarch/libctrack.a"; do
	strings -a "$file" | grep -F -e "$work" -e "${HOME:-/nonexistent}/" -e 'registry/' >"$work/found" || :
	empty "no path of the machine that built it is in ${file##*/}" "$work/found"
done
succeeds 'pkg-config --validate' env PKG_CONFIG_LIBDIR="$work/deb/libctrack-dev/usr/lib/$multiarch/pkgconfig" pkg-config --validate libctrack || :

# --- In a Debian with nothing else of ours ---------------------------------------------------------------------------------

root=$work/root
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
apt-get indextargets --format "deb \$(REPO_URI) \$(RELEASE) \$(COMPONENT) \$(ORIGIN)" 'Created-By: Packages' |
	sed -n 's/ Debian$//p' | sort -u >"$work/sources.list"
succeeds 'a minimal Debian with compiler and Python can be made' mmdebstrap --quiet --variant=apt --mode=root \
	--include=apt-utils,dpkg-dev,gcc,libc6-dev,make,pkgconf,python3 "$codename" "$root" "$work/sources.list" || finish

# All is there; nothing may be looked for elsewhere.
rm -f "$root/etc/apt/sources.list" "$root"/etc/apt/sources.list.d/*

# in_root COMMAND...: without network.
in_root() {
	# shellcheck disable=SC2016 # for the other shell
	isolated sh -c 'mount --rbind /dev "$0/dev" && mount --rbind /proc "$0/proc" && exec chroot "$0" "$@"' "$root" "$@"
}

# All files but what dpkg, ldconfig and apt write for themselves.
snapshot() {
	(cd "$root" && find . -xdev \( -path ./proc -o -path ./dev -o -path ./packages -o -path ./var/lib/dpkg -o -path ./var/log -o \
		-path ./var/cache \) -prune -o ! -path ./etc/ld.so.cache ! -type d -printf '%m %U %G %s %P %l\n' -o -type d -printf '%m %P/\n') | sort
	(cd "$root/var/lib/dpkg" && find info triggers -printf '%P\n' | grep ctrack) || :
}

mkdir "$root/packages"
cp "$debs"/*.deb "$root/packages"
snapshot >"$work/before"
succeeds 'the library alone installs' in_root sh -c 'dpkg -i /packages/libctrack0_*.deb' || finish
succeeds 'and can be purged' in_root dpkg --purge libctrack0 || finish
snapshot >"$work/after"
same 'nothing of it stays behind' "$work/before" "$work/after"
succeeds 'all packages install' in_root sh -c 'dpkg -i /packages/*.deb && dpkg --audit && dpkg --verify' || finish
./scripts/expected-output.sh examples-c/01-list.c >"$work/expected"
for static in '' --static; do
	# shellcheck disable=SC2016 # for the other shell
	if succeeds "a C program builds ${static:-shared}" in_root sh -c 'cd /tmp && cc ${0:+-static} -o list \
		/usr/share/doc/libctrack-dev/examples/01-list.c $(pkg-config $0 --cflags --libs libctrack)' "$static"; then
		in_root /tmp/list >"$work/found" 2>&1 || echo failed >>"$work/found"
		same 'and prints what it should' "$work/expected" "$work/found"
	fi
	rm -f "$root/tmp/list"
done
for how in remove purge; do
	# shellcheck disable=SC2086 # one word per package
	succeeds "dpkg --$how of all packages" in_root dpkg --$how $packages || finish
	snapshot >"$work/after"
	same 'nothing stays behind' "$work/before" "$work/after"
	[ $how = purge ] || succeeds 'all packages install again' in_root sh -c 'dpkg -i /packages/*.deb' || finish
done

# debian/tests, with the Go of this machine as the package that they ask for, since Debian 12 has an older one.
goroot=$(cd go && go env GOROOT)
mkdir -p "$work/go/DEBIAN" "$work/go/usr/lib/go" "$work/go/usr/bin"
cp -r "$goroot/bin" "$goroot/pkg" "$goroot/src" "$goroot/VERSION" "$work/go/usr/lib/go"
[ ! -e "$goroot/go.env" ] || cp "$goroot/go.env" "$work/go/usr/lib/go"
ln -s ../lib/go/bin/go "$work/go/usr/bin/go"
printf 'Package: golang-go\nVersion: 2:%s\nArchitecture: all\nMaintainer: root <root@localhost>\nDescription: Go\n' \
	"$(cd go && go env GOVERSION | sed 's/^go//')" >"$work/go/DEBIAN/control"
dpkg-deb --root-owner-group -Znone -b "$work/go" "$root/packages/go.deb" >"$work/log"
succeeds 'Go installs' in_root dpkg -i /packages/go.deb || :
rm -rf "$work/go" "$root/packages/go.deb"
# autopkgtest runs outside of the root directory and calls chroot itself.
# shellcheck disable=SC2016 # for the other shell
succeeds 'the tests of debian/tests pass' isolated sh -c '
	root=$1 tree=$2
	shift 2
	mount --rbind /dev "$root/dev" && mount --rbind /proc "$root/proc" &&
		exec autopkgtest -B --env=CTRACK_REQUIRE_NETNS=1 "$@" "$tree/" -- chroot "$root"' sh "$root" "$one" "$debs"/*.deb || :
for test in c-examples python go; do
	if grep -qE "^$test +PASS" "$work/log"; then ok "debian/tests: $test"; else failed "debian/tests: $test"; fi
done

# --- RPM -------------------------------------------------------------------------------------------------------------------

# What it asks for was installed by dpkg, of which rpm knows nothing; the tests of %check have passed above.
if succeeds 'make rpm, without network' build "$two" "$work/home2" make rpm RPMFLAGS='--nodeps --nocheck'; then
	find "$two/build/rpm" -name '*.rpm' >"$work/rpms"
	equal 'a source package and three packages' 4 "$(grep -c . "$work/rpms")"
	# shellcheck disable=SC2046 # one word per package
	succeeds 'rpmlint finds no error' rpmlint -c packaging/rpm/rpmlint.toml packaging/rpm/libctrack.spec $(cat "$work/rpms") || :
	if grep -q '; 0 errors, 0 warnings' "$work/log"; then ok 'and no warning'; else failed 'and no warning' "$work/log"; fi
	mkdir "$work/rpm"
	grep -v '\.src\.rpm$' "$work/rpms" | while read -r rpm; do
		rpm2cpio "$rpm" | (cd "$work/rpm" && cpio -idm --quiet)
	done
	library=$(find "$work/rpm" -type f -name "libctrack.so.$version")
	nm -D --defined-only --with-symbol-versions "${library:-nothing}" 2>&1 | sed 's/^[0-9a-f]* //' | sort >"$work/found"
	nm -D --defined-only --with-symbol-versions "$shared" | sed 's/^[0-9a-f]* //' | sort >"$work/expected"
	same 'its library exports the same' "$work/expected" "$work/found"
	size=$(stat -c %s "${library:-/dev/null}")
	if [ "$size" -gt 0 ] && [ "$size" -lt 655360 ]; then ok "its library is small ($size bytes)"; else failed "its library has $size bytes"; fi
fi

finish
