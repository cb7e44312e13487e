#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# What `make test` runs: everything. In CI (CI=true) a test that cannot have its network namespace fails.
set -eu
cd "$(dirname "$0")/.."

if [ "${CI:-}" ]; then
	CTRACK_REQUIRE_NETNS=1
	export CTRACK_REQUIRE_NETNS
fi

step() {
	printf '\n== %s\n' "$*"
}

# beside NAME COMMAND: begins something that takes one processor and waits for nobody. heard NAME: waits for its end, and says what
# it said.
logs=$(mktemp -d)
trap 'cat "$logs"/*.pid 2>/dev/null | xargs -r kill 2>/dev/null || :; rm -rf "$logs"' EXIT
trap 'exit 130' HUP INT TERM
beside() {
	sh -c "$2" >"$logs/$1" 2>&1 &
	echo $! >"$logs/$1.pid"
}
heard() {
	step "$1, meanwhile"
	status=0
	wait "$(cat "$logs/$1.pid")" || status=$?
	cat "$logs/$1"
	[ "$status" -eq 0 ] || exit "$status"
}

step 'tools'
./scripts/setup.sh build go python demo check test
. ./scripts/path.sh

# The rest of `make check` is a part of what follows.
./scripts/check.sh format lints

step 'cargo test'
cargo test --locked --workspace

step 'mistakes that the fast tests must notice'
./scripts/test-mutants.sh

step 'lines that the fast tests execute'
./scripts/test-coverage.sh

step 'install, header and ABI'
./scripts/test-install.sh

step 'old and new programs'
./scripts/test-abi.sh

step 'threads, children and sockets of C programs'
./scripts/test-boundary.sh

step 'crates'
./scripts/test-crates.sh

step 'public Rust API'
./scripts/test-api.sh

step 'other ways to the library'
./scripts/test-other-ways.sh

step 'C examples'
./scripts/test-examples.sh

step 'memory that is short'
./scripts/test-memory.sh

step 'instructions'
./scripts/test-instructions.sh

step 'benchmark runner'
python3 -m unittest discover -q -t benches -s benches/tests

step 'Go and Python'
./scripts/test-bindings.sh

# Both need it, and only one can make it.
make -s all
beside 'random filters over random tables' ./scripts/test-differential.sh
beside 'watches of random changes' ./scripts/test-watch.sh

step 'fields that are added, and places that are forgotten'
./scripts/test-fields.sh --bindings

heard 'random filters over random tables'
heard 'watches of random changes'

step 'fuzz seeds'
./scripts/fuzz.sh --replay

if [ "${CI:-}" ]; then
	# Before they begin: two at once cannot install anything.
	./scripts/setup.sh build go python demo package wheels abi cross kernels
	beside 'undefined behaviour' './scripts/test-miri.sh --sampled'
	beside 'archive and packages, Python wheels' './scripts/test-package.sh && ./scripts/test-wheels.sh'

	step 'other machines'
	./scripts/test-cross.sh --sampled

	step 'other kernels'
	# What the mirror does not have is reported; it is no fault of ours.
	ALLOW_MISSING=1 ./scripts/test-kernels.sh

	step 'a million entries'
	ALLOW_MISSING=1 GROUPS_ONLY=million MEMORY=1024 ./scripts/test-kernels.sh 6.12

	heard 'archive and packages, Python wheels'
	heard 'undefined behaviour'
fi

step 'demo'
./scripts/demo.sh

# Compilers keep things; what one demo leaves in their caches is no good to the next.
step 'demo, a second time'
./scripts/demo.sh >/dev/null

printf '\nall tests passed\n'
