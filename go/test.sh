#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# All checks of the Go module but its layout (scripts/format.sh), against the libctrack that the caller names: PKG_CONFIG_PATH,
# PKG_CONFIG_SYSROOT_DIR and LD_LIBRARY_PATH. CTRACK_SOAK says how long the soak takes (5s); CTRACK_REQUIRE_NETNS=1 makes a test fail
# that cannot have its network namespace. Needs go, cc, pkg-config, conntrack, nft, ip, unshare, readelf and file; better with
# qemu-user.
set -eu
cd "$(dirname "$0")"
PATH=$PATH:/usr/sbin:/sbin:/usr/local/go/bin
for tool in go cc pkg-config conntrack nft ip unshare readelf nm file; do
	command -v "$tool" >/dev/null || {
		printf 'FAILED %s is not installed\n' "$tool"
		exit 1
	}
done
pkg-config --exists --print-errors libctrack || exit 1
# shellcheck source-path=SCRIPTDIR
. ./stamp.sh
export GOFLAGS="${GOFLAGS:-} -mod=readonly"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM
failed=0

# check NAME COMMAND...: its output is shown if it fails, and what was skipped in any case.
check() {
	name=$1
	shift
	if "$@" >"$work/log" 2>&1; then
		printf 'ok     %s\n' "$name"
		grep -E '^(SKIPPED|skipped|--- SKIP)' "$work/log" || :
	else
		printf 'FAILED %s\n' "$name"
		grep -v '^=== ' "$work/log" | sed 's/^/       /'
		failed=1
	fi
}

# What is plain Go: vet for a system and a machine, with tests.
vet_for() {
	env CGO_ENABLED=0 GOOS="$1" GOARCH="$2" go vet ./...
}

# Its tests, run and not only compiled. 386 runs on amd64; other machines want an emulator, and are only compiled without.
plain() {
	env CGO_ENABLED=0 GOARCH="$1" go test -count=1 ./...
}

emulated() {
	if command -v "$2" >/dev/null; then
		env CGO_ENABLED=0 GOARCH="$1" go test -count=1 -exec "$2" ./...
	else
		echo "skipped: $2 is not installed: the tests for $1 are only compiled"
		env CGO_ENABLED=0 GOARCH="$1" go test -count=1 -exec true ./...
	fi
}

# The program of README.md, in a module of its own, on an empty table.
consumer() {
	mkdir "$work/consumer"
	awk '/^```/ { if (inside) exit; inside = $0 == "```go"; next } inside' README.md >"$work/consumer/main.go"
	here=$PWD
	unshare=$([ "$(id -u)" -eq 0 ] && echo 'unshare -n' || echo 'unshare -Urn')
	(
		cd "$work/consumer"
		go mod init example.org/consumer
		go mod edit -require=ctrack@v0.0.0 -replace=ctrack="$here"
		go vet .
		go build -o consumer .
		if ! $unshare true && [ "${CTRACK_REQUIRE_NETNS:-}" != 1 ]; then
			echo 'skipped: no network namespace to run it in'
			exit 0
		fi
		said=$($unshare ./consumer)
		echo "$said"
		[ "$said" = '0 deleted, 0 were gone already' ]
	)
}

# A copy with the module path of a host, and of another one after that.
renamed() {
	mkdir "$work/renamed"
	cp -R . "$work/renamed/go"
	cp -R ../include ../abi "$work/renamed/"
	(
		cd "$work/renamed/go"
		for path in example.org/libctrack/go example.com/mirror/ctrack; do
			./rename-module.sh "$path" || exit 1
			if grep -rnE '^[[:space:]]*(import )?"ctrack["/]' --include='*.go' --include='*.md' . ||
				grep -n 'replace=ctrack=' README.md || ! grep -q -e "-require=$path@v0" test.sh; then
				echo 'the old path is left'
				exit 1
			fi
			if grep -n 'without a host' README.md || ! grep -qxF "The module path is \`$path\`: get it from its host, or point your \`go.mod\` at a copy of this directory." README.md; then
				echo 'README.md does not say that the path has a host'
				exit 1
			fi
			CGO_ENABLED=0 go vet ./... && CGO_ENABLED=1 go vet ./... && CGO_ENABLED=0 go test -count=1 ./... || exit 1
		done
		for wrong in ctrack example.com/mirror/ctrack '' /a.b/c 'a b.c/d' nohost/go; do
			! ./rename-module.sh "$wrong" || exit 1
		done
	)
}

benchmarks() {
	CTRACK_BENCH_ENTRIES=20000 go test -run '^$' -bench . -benchmem -benchtime 2x .
}

check 'go vet' go vet ./...
check 'go vet, static' go vet -tags ctrack_static ./...
check 'go vet, linux/amd64 without cgo' vet_for linux amd64
for machine in arm64 386 s390x; do
	check "go vet, linux/$machine" vet_for linux "$machine"
done
# Systems that lack one errno or another are among them.
for system in darwin/amd64 windows/amd64 freebsd/amd64 netbsd/amd64 js/wasm wasip1/wasm; do
	check "go vet, $system" vet_for "${system%/*}" "${system#*/}"
done
check 'go test without cgo' plain "$(go env GOARCH)"
[ "$(go env GOARCH)" != amd64 ] || check 'go test, 386' plain 386
check 'go test, arm64' emulated arm64 qemu-aarch64
check 'go test, s390x: the other byte order' emulated s390x qemu-s390x
check 'go test -race, with the soak' go test -v -race -count=1 ./...
CTRACK_SOAK=0
export CTRACK_SOAK
check 'go test, cgocheck=1' env GODEBUG=cgocheck=1 go test -v -count=1 ./...
check 'go test, cgocheck2' env GOEXPERIMENT=cgocheck2 go test -v -count=1 ./...
check 'benchmarks run' benchmarks
check 'the program of README.md, in another module' consumer
check 'the module renamed, in a copy' renamed
check 'static program' ./test-static.sh
[ "$failed" -eq 0 ] || exit 1
printf 'all Go tests passed\n'
