#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Rules that no compiler checks: unsafe code only at the C boundary and around system calls, no circles of imports, nothing
# unfinished or switched off, no path of a machine, clean ends of lines and files, clean shell scripts.
set -eu
cd "$(dirname "$0")/.."
failed=0

# refuse RULE VIOLATIONS
refuse() {
	if [ "$2" ]; then
		printf 'FAILED %s:\n%s\n' "$1" "$2"
		failed=1
	else
		printf 'ok     %s\n' "$1"
	fi
}

# The files that are, or are about to be, in the repository; a tarball has no git and no rubbish either.
files() {
	git ls-files --cached --others --exclude-standard 2>/dev/null ||
		find . -type f -not -path './target/*' -not -path './build/*' -not -path './fuzz/target/*'
}

search() {
	pattern=$1
	shift
	files | grep -E "$@" | grep -v 'check-tree\.sh$' | tr '\n' '\0' | xargs -0 -r grep -nIE "$pattern" /dev/null || true
}

# In lines that are more than a comment. The boundary is all of src; tests of it and of namespaces are free, as is the crate that has
# what fuzzing does, and the codec's do without.
unsafe='^[[:space:]]*(|[^/[:space:]].*|/[^/].*)\b(unsafe|unsafe_code|no_mangle|export_name)\b'
refuse 'unsafe only at the C boundary (src) and in crates/ctrack/src/sys.rs; the codec and its tests have none' \
	"$(search "$unsafe" '(^|/)src/.*\.rs$|^(\./)?crates/ctnetlink/.*\.rs$' |
		grep -vE '^(\./)?(src/|crates/ctrack/src/sys\.rs:|crates/fuzz-bodies/)' |
		grep -vE ':#!\[forbid\(unsafe_code\)\]$' || true)"

refuse 'the codec forbids unsafe code' \
	"$(grep -qx '#!\[forbid(unsafe_code)\]' crates/ctnetlink/src/lib.rs || echo 'crates/ctnetlink/src/lib.rs does not')"

refuse 'no circles of imports, and layers import from lower ones' "$(python3 scripts/check-circles.py 2>&1 || true)"

refuse 'nothing unfinished or switched off' \
	"$(search 'todo!\(|unimplemented!\(|#\[ignore|FIXME|XXX' '\.(rs|c|h|sh|py|go)$')"

# Directories of build systems and languages count as one.
refuse 'every example has a line in examples/README.md' \
	"$(for example in examples-c/[0-9]*.c examples-c/*/ go/examples/*/ python/examples/*.py crates/*/examples/*.rs; do
		grep -qF "(../${example%/})" examples/README.md || echo "$example"
	done)"

refuse 'no path of a machine' \
	"$(search '(^|[^.a-zA-Z0-9_-])/(home|root|Users|builds?)/[a-z]' -v '\.lock$')"

# Where each function is to be named, so that one that is new is not forgotten there (CONTRIBUTING.md, "Add a verb"). What makes
# filters works on no table, and has tests of its own.
forgotten() {
	[ -s abi/symbols.txt ] || echo 'abi/symbols.txt is missing'
	sed -n 's/^[^ */#].*[ *]\(ct_[a-z_0-9]*\)(.*/\1/p' include/ctrack.h | while read -r function; do
		grep -qx "$function" abi/symbols.txt || echo "abi/symbols.txt: no $function"
	done
	while read -r function; do
		places='include/ctrack.h abi/libctrack.map abi/libctrack.abi debian/libctrack0.symbols README.md tests/memory/calls.c
			tests/boundary/stacks.c'
		case $function in
		ct_filter_*) ;;
		ct_watch_* | ct_event_*) places="$places src/tests/watches.rs python/ctrack/_native.py" ;;
		*) places="$places src/tests.rs python/ctrack/_native.py" ;;
		esac
		for place in $places; do
			grep -qw "$function" "$place" || echo "$place: no $function"
		done
	done <abi/symbols.txt
}
refuse 'every exported function is where all of them are' "$(forgotten 2>&1)"

refuse 'links and paths in the documents lead somewhere' "$(python3 scripts/check-documents.py 2>&1 || true)"

refuse 'no white space at the end of a line (.editorconfig)' "$(search '[[:space:]]$' '.')"

refuse 'a text ends with a new line' "$(files | while read -r file; do
	[ -z "$(tail -c 1 "$file" | tr -d '\0')" ] || ! grep -qI . "$file" || echo "$file"
done)"

if command -v shellcheck >/dev/null; then
	refuse 'shell scripts are clean' "$(files | grep -E '\.sh$|\.ci/run$' | xargs shellcheck -x 2>&1 || true)"
else
	refuse 'shell scripts are clean' 'shellcheck is not installed'
fi

exit "$failed"
