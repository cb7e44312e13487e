# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=sh
#
# To be sourced after path.sh and checks.sh: tools that are crates.

# cargo_tool NAME RELEASE PROGRAM: from its crate into the cache, unless it is there; the program is $tool then.
cargo_tool() {
	# shellcheck disable=SC2154 # of path.sh
	tool=$cache/$1/bin/$3
	# shellcheck disable=SC2154 # of checks.sh
	"$tool" --version 2>"$work/log" | grep -qF " $2" && return
	# Unoptimized: it is used once. With the system's libraries, not those of a stage.
	succeeds "$1: built" env -u PKG_CONFIG_SYSROOT_DIR -u PKG_CONFIG_LIBDIR -u CARGO_BUILD_TARGET \
		cargo install --quiet --locked --debug --force --root "$cache/$1" --target-dir "$work/$1" "$1@$2" || finish
}
