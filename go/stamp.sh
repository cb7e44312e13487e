# shellcheck shell=sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# For test.sh and test-static.sh. Go's build cache does not see the header and the flags of the libctrack that is installed: name
# them in a flag that it does see, so that nothing is tested that was built with another one.

stamp=$({
	pkg-config --modversion libctrack
	pkg-config --static --cflags --libs libctrack
	# shellcheck disable=SC2046 # words
	echo '#include <ctrack.h>' | ${CC:-cc} -E $(pkg-config --cflags libctrack) -
} | cksum | cut -d ' ' -f 1)
CGO_CFLAGS="${CGO_CFLAGS:--O2 -g} -DCTRACK_TESTED=$stamp"
export CGO_CFLAGS
