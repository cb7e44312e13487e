# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=sh
#
# To be sourced. A user's PATH may lack where nft and ip live, where rustup puts cargo, and where setup.sh puts a Go that the
# distribution's is too old for. $checkers is where setup.sh puts clang-format and ruff, which are called by their paths.

# shellcheck disable=SC2034 # for those who source this
cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/libctrack
go_dir=$cache/go
# shellcheck disable=SC2034
checkers=$cache/checkers
# For tools that need an unstable compiler. Dated, so that it does not break by itself; not older than rust-version in Cargo.toml.
# shellcheck disable=SC2034
nightly='nightly-2026-05-20'
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin:${CARGO_HOME:-${HOME:-/nonexistent}/.cargo}/bin"
[ ! -x "$go_dir/bin/go" ] || PATH="$go_dir/bin:$PATH"
export PATH
