#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test-watch.sh [--all N]: watches of the kernel while entries come, change and go at random (tests/watch), judged by a table that another
# decoder reads and by `conntrack -L`. A few runs that take less than a minute, or N of them (200 take ten minutes), of which half must lose
# events.
#
# SEED: of the first run; each has the next one. One that failed is repeated with SEED and `--all 1`. Each run is in a network namespace of
# its own; where none can be made they are skipped, with CTRACK_REQUIRE_NETNS=1 that fails.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh

runs=10
lossy=1
counts=3
case ${1:-} in
	'') ;;
	--all)
		runs=${2:-200}
		lossy=$((runs / 2))
		counts=$(((runs + 9) / 10))
		;;
	*)
		sed -n '4,10s/^# \{0,1\}//p' "$0" >&2
		exit 2
		;;
esac
# Runs in a network namespace of one's own need no root; whose receive buffers are large does.
if [ "$(id -u)" -eq 0 ]; then
	alone=
else
	alone='unshare -Urn'
fi
if ! ${alone:-unshare -n} true 2>/dev/null; then
	echo 'test-watch: no network namespace can be made: skipped' >&2
	[ "${CTRACK_REQUIRE_NETNS:-}" != 1 ]
	exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

make -s all
# shellcheck disable=SC2086 # $CFLAGS are words
"${CC:-cc}" -std=c99 -Wall -Wextra -Wpedantic -Wmissing-prototypes -Werror -O2 ${CFLAGS:-} -Iinclude -o "$work/equality" tests/watch/*.c \
	-Lbuild -lctrack -lpthread
seed=${SEED:-$(date +%s)}
watch() {
	LD_LIBRARY_PATH=build $alone "$work/equality" --seed "$seed" "$@"
}
echo "SEED=$seed"
status=0
watch --runs "$runs" --lossy "$lossy" equality || status=1
watch --runs "$counts" counts || status=1
watch silent || status=1
exit "$status"
