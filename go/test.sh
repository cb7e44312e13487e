#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# All checks of the Go module, against the libctrack that the caller names: PKG_CONFIG_PATH, PKG_CONFIG_SYSROOT_DIR and
# LD_LIBRARY_PATH. CTRACK_SOAK says how long the soak takes (5s); CTRACK_REQUIRE_NETNS=1 makes a test fail that cannot have its
# network namespace. Needs go, cc, pkg-config, conntrack, nft, ip, unshare, readelf and file.
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

formatted() {
	gofmt -l . >"$work/unformatted"
	cat "$work/unformatted"
	[ ! -s "$work/unformatted" ]
}

# The program of README.md, in a module of its own, on an empty table.
consumer() {
	mkdir "$work/consumer"
	awk '/^```/ { inside = $0 == "```go"; next } inside' README.md >"$work/consumer/main.go"
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

benchmarks() {
	CTRACK_BENCH_ENTRIES=20000 go test -run '^$' -bench . -benchmem -benchtime 2x .
}

check 'gofmt' formatted
check 'go vet' go vet ./...
check 'go vet, static' go vet -tags ctrack_static ./...
check 'go test -race, with the soak' go test -v -race -count=1 ./...
CTRACK_SOAK=0
export CTRACK_SOAK
check 'go test, cgocheck=1' env GODEBUG=cgocheck=1 go test -v -count=1 ./...
check 'go test, cgocheck2' env GOEXPERIMENT=cgocheck2 go test -v -count=1 ./...
check 'benchmarks run' benchmarks
check 'the program of README.md, in another module' consumer
check 'static program' ./test-static.sh
[ "$failed" -eq 0 ] || exit 1
printf 'all Go tests passed\n'
