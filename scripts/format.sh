#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# format.sh [--check]: lays out all Rust, C and Go here, and the Python package. --check changes nothing and fails if
# something would change. What the header's generator writes, and the headers of releases (abi/), stay as they are.
#
# Without Go its files are left out, in CI (CI=true) that is a failure.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh

case "$#:${1-}" in
0:) check= ;;
1:--check) check=1 ;;
*)
	echo 'usage: format.sh [--check]' >&2
	exit 2
	;;
esac
failed=0

# report WHAT FILES: those that are not laid out; none is fine.
report() {
	if [ "$2" ]; then
		printf 'FAILED %s (make format):\n%s\n' "$1" "$2"
		failed=1
	else
		printf 'ok     %s\n' "$1"
	fi
}

# The files of a language. No links: the Python package has some to files that are here anyway.
files() {
	{ git ls-files --cached --others --exclude-standard 2>/dev/null || find . -type f -not -path '*/target/*' -not -path './build/*'; } |
		sed 's|^\./||' | grep -E "\\.($1)\$" | while read -r file; do
			[ ! -f "$file" ] || [ -L "$file" ] || echo "$file"
		done
}

c_files() {
	files 'c|h' | grep -vE '^(include|abi)/'
}

# --- Rust, the crates that are no members of the workspace too -------------------------------------------------------------------

for manifest in Cargo.toml fuzz/Cargo.toml benches/rust/Cargo.toml; do
	if [ "$check" ]; then
		report "Rust is laid out: $manifest" "$(cargo fmt --all --manifest-path "$manifest" -- --check -l 2>&1 || :)"
	else
		cargo fmt --all --manifest-path "$manifest"
	fi
done

# --- C -------------------------------------------------------------------------------------------------------------------------

# checkers: of path.sh.
# shellcheck disable=SC2154
clang_format=$checkers/bin/clang-format
# The names of files that would change, or what else went wrong.
unlike() {
	said=$(c_files | xargs "$clang_format" --dry-run --Werror 2>&1) ||
		printf '%s\n' "$said" | sed -n 's/^\([^:]*\):[0-9:]* error: code should be .*/\1/p' | sort -u | grep . || printf '%s\n' "$said"
}
if [ "$check" ]; then
	report 'C is laid out' "$(unlike)"
else
	c_files | xargs "$clang_format" -i
fi

# --- Python --------------------------------------------------------------------------------------------------------------------

if [ "$check" ]; then
	report 'Python is laid out' "$("$checkers/bin/ruff" format --no-cache --quiet --check --output-format concise python 2>&1 || :)"
else
	"$checkers/bin/ruff" format --no-cache --quiet python
fi

# --- Go ------------------------------------------------------------------------------------------------------------------------

if ! command -v gofmt >/dev/null; then
	if [ "${CI:-}" ]; then
		report 'Go is laid out' 'gofmt is not installed'
	else
		echo 'skipped: gofmt is not installed'
	fi
elif [ "$check" ]; then
	report 'Go is laid out' "$(files go | xargs gofmt -l 2>&1 || :)"
else
	files go | xargs gofmt -w
fi

exit "$failed"
