# SPDX-License-Identifier: MIT OR Apache-2.0
"""A network namespace for each test that needs the kernel.

Without the privilege for that, the whole run is started again as root of a user namespace (`unshare -Urn`). Where that is not
allowed either these tests are skipped with the reason, or fail if CTRACK_REQUIRE_NETNS=1.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from support import CLONE_NEWNET, missing_programs, new_netns, run, setns

import ctrack

_INSIDE = "CTRACK_PYTHON_TEST_INSIDE"
_libc = ctypes.CDLL(None, use_errno=True)


def pytest_configure(config: pytest.Config) -> None:
    if _refusal() is None or os.environ.get(_INSIDE):
        return
    if subprocess.run(["unshare", "-Urn", "true"], capture_output=True, check=False).returncode == 0:
        capture = config.pluginmanager.getplugin("capturemanager")
        if capture is not None:
            capture.stop_global_capturing()
        os.environ[_INSIDE] = "1"
        os.execvp("unshare", ["unshare", "-Urn", sys.executable, "-m", "pytest", *config.invocation_params.args])


def _refusal() -> str | None:
    """Why no network namespace can be made; None if it can."""
    try:
        os.close(new_netns())
    except OSError as error:
        return f"no network namespace can be made: {error}"
    return None


@pytest.fixture
def netns() -> Iterator[int]:
    """Moves the main thread, and what it starts, into a network namespace of its own; a descriptor of that."""
    reason = f"missing: {missing_programs()}" if missing_programs() else _refusal()
    if reason:
        if os.environ.get("CTRACK_REQUIRE_NETNS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    inside = new_netns()
    setns(inside, CLONE_NEWNET)
    try:
        run("ip", "link", "set", "lo", "up")
        yield inside
    finally:
        setns(home, CLONE_NEWNET)
        os.close(inside)
        os.close(home)


@pytest.fixture
def ct(netns: int) -> Iterator[ctrack.Conntrack]:
    """An open Conntrack in a network namespace of its own."""
    with ctrack.open() as opened:
        yield opened
