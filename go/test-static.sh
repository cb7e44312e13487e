#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Builds examples/endpoint-cleaner as a fully static program, for scratch images: no interpreter, no shared library. Then runs it
# in a directory that holds nothing else, on a real table in a network namespace of its own.
#
# The caller says where libctrack is installed, with its static library: PKG_CONFIG_PATH, PKG_CONFIG_SYSROOT_DIR. CC is honoured,
# for example CC=musl-gcc with a libctrack that was built for musl. Where no network namespace can be made the second half is
# skipped, or fails if CTRACK_REQUIRE_NETNS=1.
set -eu
cd "$(dirname "$0")"
PATH=$PATH:/usr/sbin:/sbin
# shellcheck source-path=SCRIPTDIR
. ./stamp.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

fail() {
	printf 'FAILED %s\n' "$*"
	exit 1
}

mkdir "$work/root"
program=$work/root/endpoint-cleaner
CGO_ENABLED=1 go build -tags ctrack_static,netgo,osusergo -ldflags '-linkmode external -extldflags "-static -Wl,--gc-sections"' \
	-o "$program" ./examples/endpoint-cleaner >"$work/log" 2>&1 || {
	cat "$work/log"
	fail 'static build'
}
# glibc warns of functions that want shared libraries at run time after all, even where the linker then leaves them out: Rust's
# standard library has two of them, which libctrack never calls.
if grep -v -e '^#' -e ': in function ' -e "'getpwuid_r' in statically linked" -e "'getaddrinfo' in statically linked" "$work/log"; then
	fail 'the static build is not silent'
fi
! nm "$program" | grep -E ' (getpwuid_r|getaddrinfo)$' || fail 'it has functions that want shared libraries at run time'

LC_ALL=C readelf -lW "$program" >"$work/headers"
LC_ALL=C readelf -dW "$program" >"$work/dynamic"
grep -q 'LOAD' "$work/headers" || fail 'readelf shows no program headers'
! grep -q 'INTERP' "$work/headers" || fail 'it has an interpreter'
! grep -q 'NEEDED' "$work/dynamic" || fail 'it needs shared libraries'
case $(file "$program") in
*'statically linked'* | *'static-pie linked'*) ;;
*) fail "$(file "$program")" ;;
esac
printf 'ok     static: no interpreter, no shared library, %s bytes\n' "$(wc -c <"$program")"

if [ "$(id -u)" -eq 0 ] && unshare -n true 2>/dev/null; then
	unshare='unshare -n'
elif unshare -Urn true 2>/dev/null; then
	unshare='unshare -Urn'
else
	[ "${CTRACK_REQUIRE_NETNS:-}" != 1 ] || fail 'no network namespace can be made'
	printf 'skipped: no network namespace can be made\n'
	exit 0
fi

cat >"$work/inside.sh" <<'SCRIPT'
set -eu
for source in 10.0.0.7 10.0.0.8; do
	for port in 1 2 3; do
		conntrack -I -s "$source" -d 10.0.0.9 -p udp --sport "$port" --dport 53 -t 3000
	done
done
conntrack -I -w 7 -s fd00::9 -d fd00::7 -p tcp --sport 4 --dport 80 -t 3000 --state ESTABLISHED
ls -A "$1"
printf '10.0.0.7\nfd00::7\n' | chroot "$1" /endpoint-cleaner -once
conntrack -L -f ipv4 | sed 's/.*\(src=10[^ ]*\) dst.*\(sport=[^ ]*\) .*src.*/\1 \2/' | sort
conntrack -L -f ipv6
SCRIPT
# shellcheck disable=SC2086 # two words
$unshare sh "$work/inside.sh" "$work/root" >"$work/out" 2>"$work/err" || {
	cat "$work/out" "$work/err"
	fail 'the run in an empty directory'
}
grep -v 'conntrack v.*have been' "$work/out" >"$work/said" || :
cat >"$work/expected" <<'OUTPUT'
endpoint-cleaner
4 entries deleted of 10.0.0.7, fd00::7
src=10.0.0.8 sport=1
src=10.0.0.8 sport=2
src=10.0.0.8 sport=3
OUTPUT
sed -E 's/(sport=[0-9]+).*/\1/' "$work/said" | diff -u "$work/expected" - || fail 'what the static program did'
printf 'ok     static: alone in a directory without /proc it deletes exactly what it should\n'
