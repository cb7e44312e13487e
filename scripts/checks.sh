# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=sh
#
# To be sourced by test scripts: a temporary directory, $work, and checks that are counted. Each says "ok" or "FAILED", its name and
# what is known of a failure; `finish` says how many there were, and exits with 0 if none failed.

began=$(date +%s)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM
checks=0
failures=0

ok() {
	checks=$((checks + 1))
	printf 'ok      %s\n' "$1"
}

# failed NAME [FILE]: FILE says more.
failed() {
	checks=$((checks + 1))
	failures=$((failures + 1))
	printf 'FAILED  %s\n' "$1"
	if [ -n "${2-}" ]; then
		sed 's/^/        /' "$2"
	fi
}

finish() {
	printf '%s: %d checks, %d failed, %d seconds\n' "$(basename "$0" .sh)" "$checks" "$failures" "$(($(date +%s) - began))"
	[ "$failures" -eq 0 ]
	exit
}

# succeeds NAME COMMAND...: what it says is in $work/log. Returns 1 if it fails.
succeeds() {
	name=$1
	shift
	if "$@" >"$work/log" 2>&1; then
		ok "$name"
	else
		failed "$name" "$work/log"
		return 1
	fi
}

# same NAME EXPECTED FOUND: two files.
same() {
	if diff -u --label expected --label found "$2" "$3" >"$work/diff" 2>&1; then
		ok "$1"
	else
		failed "$1" "$work/diff"
	fi
}

# equal NAME EXPECTED FOUND: two strings.
equal() {
	printf '%s\n' "$2" >"$work/expected"
	printf '%s\n' "$3" >"$work/found"
	same "$1" "$work/expected" "$work/found"
}

# empty NAME FILE: nothing was found that must not be there.
empty() {
	if [ -s "$2" ]; then
		failed "$1" "$2"
	else
		ok "$1"
	fi
}

# enough NAME COUNT: of the Rust tests in $work/log at least so many passed.
enough() {
	passed=$(awk '/^test result: ok/ { n += $4 } END { print n + 0 }' "$work/log")
	if [ "$passed" -ge "$2" ]; then ok "$1: enough were run ($passed)"; else failed "$1: enough were run ($passed)"; fi
}

# isolated COMMAND...: with a network of its own, a loopback that is down, and mounts of its own.
isolated() {
	if unshare -n -m true 2>/dev/null; then
		unshare -n -m "$@"
	else
		unshare -U -r -n -m "$@"
	fi
}
