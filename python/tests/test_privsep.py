# SPDX-License-Identifier: MIT OR Apache-2.0
"""Results, entries and errors come through a real daemon of oslo.privsep, which speaks msgpack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

AGENT = """
import json, os, sys
from oslo_config import cfg
from oslo_privsep import priv_context
import ctrack
import privileged

cfg.CONF([], project="agent")
privileged.context.start(priv_context.Method.FORK)

arrived = privileged.create(1000, 3)
assert type(arrived) is tuple and arrived == (3, 3, 0, 0, 0, False, (0, 0, 0), 0, False), arrived
result = ctrack.Result(*arrived)
assert (result.done, result.statuses, result.spared) == (3, (0, 0, 0), 0)

plain = privileged.listed()
assert len(plain) == 3
for values, raw in plain:
    entry = ctrack.Entry.from_raw(raw)
    # What was a list is a tuple now.
    assert json.loads(json.dumps(values)) == entry.to_dict()
    assert values["orig"]["src"] == "10.0.0.1" and type(values["status"]) is tuple

try:
    privileged.create(1002, 2)
except ctrack.Error as error:
    assert type(error) is ctrack.Error and error.errno == 17
    assert error.strerror == "entry[0]: create_entries: entry exists", error
    assert type(error.result) is ctrack.Result and error.result == (2, 1, 0, 1, 17, False, (17, 0), 0, False), error.result
    assert error.filename is None
else:
    raise AssertionError("not refused")

try:
    privileged.refused()
except ctrack.InvalidArgumentError as error:
    assert isinstance(error, ValueError) and "matches every entry" in str(error)
else:
    raise AssertionError("not refused")

pid, arrived = privileged.delete("10.0.0.1")
assert pid != os.getpid() and ctrack.Result(*arrived).done == 4
print(json.dumps({"done": ctrack.Result(*arrived).done}))
"""


def test_results_entries_and_errors_come_through_privsep(netns: int) -> None:
    here = str(Path(__file__).parent)
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", AGENT],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"done": 4}
