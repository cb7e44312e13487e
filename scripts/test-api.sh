#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test-api.sh [--record | --semver [COMMIT]]: compares the public Rust API of each published crate with its record,
# crates/*/public-api.txt, so that a change of it shows in the difference of a commit. --record writes the records anew.
# Builds the documentation as docs.rs does, too, and says which function has no example there.
#
# --semver compares the crate ctrack with that of COMMIT (the last release, tag v*; HEAD while there is none), by cargo-semver-checks,
# which says of each change whether it is a break.
#
# Installs a dated nightly toolchain with rustup, whose rustdoc writes what it knows, and builds the tools once, into the user's cache,
# which takes minutes. Without rustup it is skipped; with CI=true it fails.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh
unset RUSTFLAGS RUSTDOCFLAGS CARGO_BUILD_TARGET
export CARGO_TERM_COLOR=never LC_ALL=C
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/api
case $CARGO_TARGET_DIR in /*) ;; *) CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR ;; esac
export CARGO_TARGET_DIR

public_api_release=0.52.0
semver_release=0.51.0
crates='ctnetlink ctrack'

. ./scripts/checks.sh

if ! command -v rustup >/dev/null; then
	if [ "${CI:-}" ]; then
		failed 'public API: there is rustup'
		finish
	fi
	echo 'SKIPPED the public API: no rustup, for a nightly toolchain'
	exit
fi

# --- semver-checks ------------------------------------------------------------------------------------------------------------

if [ "${1-}" = --semver ]; then
	. ./scripts/cargo-tool.sh
	cargo_tool cargo-semver-checks "$semver_release" cargo-semver-checks
	release=${2:-$(git tag --list 'v*' --sort=-v:refname | head -n 1)}
	release=${release:-HEAD}
	mkdir "$work/release"
	git archive "$release" | tar -x -C "$work/release"
	# As if nothing but a new function were allowed, whatever the versions are.
	succeeds "semver-checks: the crate ctrack breaks nothing since $release" \
		"$tool" semver-checks --release-type minor -p ctrack --baseline-root "$work/release" || :
	lib=$work/release/crates/ctrack/src/lib.rs
	[ -e "$lib" ] || lib=$work/release/src/lib.rs
	printf '\n/// To be missed.\npub fn added_by_a_test() {}\n' >>"$lib"
	if "$tool" semver-checks --release-type minor -p ctrack --baseline-root "$work/release" >"$work/log" 2>&1 ||
		! grep -q added_by_a_test "$work/log"; then
		failed 'semver-checks: a function that is gone is noticed' "$work/log"
	else
		ok 'semver-checks: a function that is gone is noticed'
	fi
	finish
fi

# --- The records --------------------------------------------------------------------------------------------------------------

. ./scripts/cargo-tool.sh
cargo_tool cargo-public-api "$public_api_release" cargo-public-api
# shellcheck disable=SC2154 # of path.sh
rustup run "$nightly" rustc --version >/dev/null 2>&1 ||
	rustup -q toolchain install "$nightly" --profile minimal --no-self-update >&2

# public_api TREE CRATE OUT: without what every type has, and what follows from its fields and nobody asks for.
public_api() {
	(cd "$1" && RUSTUP_TOOLCHAIN=$nightly "$tool" public-api -p "$2" --omit blanket-impls) >"$work/api" 2>"$work/log" || {
		failed "$2: its public API can be listed" "$work/log"
		finish
	}
	grep -vE '^impl(<.*>)? core::(marker::(Freeze|Unpin|UnsafeUnpin)|panic::unwind_safe::(Ref)?UnwindSafe) for ' "$work/api" >"$3"
}

for crate in $crates; do
	public_api . "$crate" "$work/$crate.txt"
	if [ "${1-}" = --record ]; then
		cp "$work/$crate.txt" "crates/$crate/public-api.txt"
	fi
	same "$crate: the public API is that of crates/$crate/public-api.txt; if a change is meant: ./scripts/test-api.sh --record" \
		"crates/$crate/public-api.txt" "$work/$crate.txt"
	# By what cargo-public-api had rustdoc write.
	python3 scripts/check-api-docs.py "$CARGO_TARGET_DIR/doc/$crate.json" >"$work/lacking" 2>&1 || :
	empty "$crate: every public function has an example, and no text is in words of C" "$work/lacking"
done
[ "${1-}" != --record ] || finish

# A function more in one crate, one less in the other: these and nothing else is noticed.
tree=$work/tree
: >"$work/differences"
mkdir "$tree"
cp -R Cargo.toml Cargo.lock build.rs src include crates "$tree/"
printf '\n/// To be noticed by C callers of ct_list(), who get -EBUSY.\npub fn added_by_a_test() {}\n' >>"$tree/crates/ctnetlink/src/lib.rs"
lost='pub fn count(&mut self) -> Result<u64, Error>'
grep -qF "$lost" "$tree/crates/ctrack/src/conntrack.rs" || failed "there is: $lost"
sed -i "s/$lost/pub(crate) &/; s/pub(crate) pub fn/pub(crate) fn/" "$tree/crates/ctrack/src/conntrack.rs"
for crate in $crates; do
	public_api "$tree" "$crate" "$work/mutant"
	diff "$work/$crate.txt" "$work/mutant" | grep '^[<>]' >>"$work/differences" || :
	python3 scripts/check-api-docs.py "$CARGO_TARGET_DIR/doc/$crate.json" >>"$work/differences" || :
done
cat >"$work/expected" <<'EXPECTED'
> pub fn ctnetlink::added_by_a_test()
ctnetlink::added_by_a_test has no example
ctnetlink::added_by_a_test: its text says -EBUSY
ctnetlink::added_by_a_test: its text says C callers
ctnetlink::added_by_a_test: its text says ct_list
< pub fn ctrack::Conntrack::count(&mut self) -> core::result::Result<u64, ctrack::Error>
EXPECTED
same 'a function that was added without an example and in words of C, and one that is gone, are noticed' "$work/expected" "$work/differences"

# --- docs.rs ------------------------------------------------------------------------------------------------------------------

# What their metadata say, and what docs.rs adds to it.
for crate in $crates; do
	targets=$(sed -n '/^\[package\.metadata\.docs\.rs\]/,/^\[/s/^targets = \["\(.*\)"\]/\1/p' "crates/$crate/Cargo.toml")
	equal "docs.rs: $crate is documented for one target" x86_64-unknown-linux-gnu "$targets"
	succeeds "docs.rs: the documentation of $crate is built as there, without a warning" env RUSTUP_TOOLCHAIN="$nightly" \
		RUSTDOCFLAGS='--cfg docsrs -D warnings' cargo doc --locked --lib --no-deps -p "$crate" --target "$targets" || :
done
finish
