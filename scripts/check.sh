#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# check.sh [PART...]: what `make check` runs, for before each commit. No network namespace, no root, no library built with `make`.
#
#   format   Rust, C, Go and the Python package are laid out as their formatters do it (scripts/format.sh)
#   lints    the rules of scripts/check-tree.sh, clippy, rustdoc, ruff
#   tests    the tests that need no kernel: units, codec, scripted operations, C boundary, layout, memory
#   go       the Go tests that need neither cgo nor libctrack, if Go is installed
#
# Default: all of them. `make test` runs the first two, and the others as parts of all tests. Each part says how long it took.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh
export PYTHONDONTWRITEBYTECODE=1

check_format() {
	./scripts/format.sh --check
}

check_lints() {
	./scripts/check-tree.sh
	cargo clippy --quiet --locked --workspace --all-targets --features libctrack/header -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --quiet --locked --workspace --no-deps
	# shellcheck disable=SC2154 # of path.sh
	"$checkers/bin/ruff" check --no-cache --quiet python tests/fields tests/abi/next.py
}

# The others in tests/ make network namespaces.
check_tests() {
	cargo test --quiet --locked --workspace --exclude libctrack
	cargo test --quiet --locked --package libctrack --lib --test layout --test memory
}

check_go() {
	if ! command -v go >/dev/null; then
		echo 'skipped: Go is not installed'
		return
	fi
	(
		cd go
		CGO_ENABLED=0
		export CGO_ENABLED
		go vet ./...
		go test ./...
	)
}

case $# in
0) set -- format lints tests go ;;
1)
	case $1 in
	format | lints | tests | go) ;;
	*)
		echo 'usage: check.sh [format|lints|tests|go]...' >&2
		exit 2
		;;
	esac
	./scripts/setup.sh check
	# What was just installed is found.
	. ./scripts/path.sh
	"check_$1"
	exit
	;;
esac

# Each part in a process of its own, so that all are run.
failed=
for part; do
	began=$(date +%s)
	printf '\n== %s\n' "$part"
	./scripts/check.sh "$part" || failed="$failed $part"
	printf -- '-- %s: %d seconds\n' "$part" "$(($(date +%s) - began))"
done
if [ "$failed" ]; then
	printf '\nfailed:%s\n' "$failed"
	exit 1
fi
printf '\nall checks passed\n'
