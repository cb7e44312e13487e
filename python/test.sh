#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# test.sh STAGE [PYTEST-OPTIONS...]: every test of the Python package against the libctrack in STAGE, the DESTDIR of `make install`.
#
# Makes a virtual environment in ../build/python (CTRACK_VENV says where else) and installs what it needs there with pip. Wants
# python3 with venv, cc, objdump, conntrack, nft, ip and unshare. CTRACK_SOAK=60s lets the soak test run that long; with
# CTRACK_REQUIRE_NETNS=1 a test that cannot have its network namespace fails instead of being skipped. Each processor runs tests of its
# own (CTRACK_JOBS says how many do): every test has its own namespaces and files.
set -eu

if [ $# -lt 1 ]; then
	echo 'usage: test.sh STAGE [PYTEST-OPTIONS...]' >&2
	exit 2
fi
stage=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
PYTHONDONTWRITEBYTECODE=1
export PATH PYTHONDONTWRITEBYTECODE
unset PYTHONPATH LD_LIBRARY_PATH CTRACK_LIBRARY

step() {
	printf '\n-- %s\n' "$*"
}

library=$(find "$stage"/usr/local/lib "$stage"/usr/lib "$stage"/lib -name libctrack.so.0 2>/dev/null | head -n 1)
if [ -z "$library" ]; then
	echo "test.sh: no libctrack.so.0 in $stage" >&2
	exit 1
fi
libdir=$(dirname "$library")

step 'tools'
venv=${CTRACK_VENV:-../build/python}
# Without venv's own pip there is nothing to install with: Debian has it in python3-venv.
[ -x "$venv/bin/pip" ] || "${PYTHON:-python3}" -m venv "$venv"
venv=$(cd "$venv" && pwd)
"$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/requirements.txt
"$venv/bin/python" --version

step 'mypy --strict'
"$venv/bin/mypy" --strict --cache-dir "$venv/mypy"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# There the tests have what an sdist has, and nothing of the repository.
step 'pytest, in an unpacked sdist'
mkdir "$work/sdist"
cp -RL . "$work/source"
rm -rf "$work"/source/*.egg-info
(cd "$work/source" && "$venv/bin/python" -c 'import sys, setuptools.build_meta as backend; backend.build_sdist(sys.argv[1])' "$work/sdist" >"$work/log" 2>&1) || {
	cat "$work/log" >&2
	exit 1
}
tar -C "$work/sdist" -xf "$work"/sdist/ctrack-*.tar.gz
(cd "$work"/sdist/ctrack-*/ && LD_LIBRARY_PATH=$libdir PYTHONPATH=. "$venv/bin/python" -m pytest -q -rs -n "${CTRACK_JOBS:-logical}" --dist worksteal "$@")

step 'wheels'
PYTHON=$venv/bin/python ./build-wheels.sh "$stage" "$work/wheels"

# Installs a wheel into an environment of its own, uses it without anything of the sources around, and removes it again.
try_wheel() {
	wheel=$1
	"$venv/bin/python" -m venv "$work/env"
	files >"$work/before"
	"$work/env/bin/pip" install --quiet --disable-pip-version-check --no-index "$wheel"
	(
		cd "$work"
		env -u PYTHONDONTWRITEBYTECODE ${2:+LD_LIBRARY_PATH="$2"} "$work/env/bin/python" - "$work/env" <<-'END'
			import os, subprocess, sys
			import ctrack, ctrack.neutron
			assert ctrack.__file__.startswith(sys.argv[1]), ctrack.__file__
			loaded = {line.split()[-1] for line in open("/proc/self/maps") if "libctrack.so" in line}
			print(f"ctrack {ctrack.__version__} with libctrack {ctrack.version()}")
			inside = os.path.exists(os.path.join(os.path.dirname(ctrack.__file__), "libctrack.so.0"))
			assert len(loaded) == 1 and loaded.pop().startswith(sys.argv[1]) == inside
			assert os.path.exists(os.path.join(os.path.dirname(ctrack.__file__), "py.typed"))
		END
		in_netns env -u PYTHONDONTWRITEBYTECODE ${2:+LD_LIBRARY_PATH="$2"} "$work/env/bin/python" - <<-'END'
			import ctrack
			with ctrack.open() as ct:
			    flow = ctrack.Entry(proto="udp", orig_src="10.0.0.1", orig_sport=1, orig_dst="10.0.0.2", orig_dport=2, timeout=60)
			    assert ct.create([flow]).done == 1
			    print(*ct.list())
			    assert ct.delete(*ctrack.dead_endpoint("10.0.0.1")).done == 1 and ct.count() == 0
		END
	)
	"$work/env/bin/pip" uninstall --quiet --disable-pip-version-check --yes ctrack
	files >"$work/after"
	diff "$work/before" "$work/after"
	rm -rf "$work/env"
	printf 'ok     %s\n' "$(basename "$wheel")"
}

# What is in that environment, but for what pip compiles of itself.
files() {
	(cd "$work/env" && find . -not -path '*/pip/*' -not -path '*/__pycache__/*' -o -path '*ctrack*' | sort)
}

in_netns() {
	if unshare -n true 2>/dev/null; then
		unshare -n "$@"
	elif unshare -Urn true 2>/dev/null; then
		unshare -Urn "$@"
	elif [ "${CTRACK_REQUIRE_NETNS:-}" = 1 ]; then
		echo 'no network namespace can be made' >&2
		return 1
	else
		echo 'skipped: no network namespace can be made' >&2
	fi
}

step 'the wheel that carries the library, without any other'
try_wheel "$(echo "$work"/wheels/*manylinux*.whl)" ''
step 'the pure wheel, with the library of the stage'
try_wheel "$(echo "$work"/wheels/*-none-any.whl)" "$libdir"

step 'ok'
