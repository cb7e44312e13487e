# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=sh
#
# To be sourced. in_namespace COMMAND... runs it in a network namespace of its own, where conntrack must be to be had; without,
# the test is skipped.

# shellcheck disable=SC2034 # for those who source this
work=${AUTOPKGTEST_TMP:-$(mktemp -d)}

in_namespace() {
	timeout 120 unshare -n "$@"
}

if ! in_namespace true; then
	echo 'no network namespace can be made here'
	[ "${CTRACK_REQUIRE_NETNS:-}" != 1 ] || exit 1
	exit 77
fi
