# SPDX-License-Identifier: MIT OR Apache-2.0

"""Runs the measurements, each in a network namespace of its own."""

import os
import random
import subprocess
import time

from . import build, check
from .catalogue import FLOOR, OPERATIONS, OURS
from .plan import SERIES_ROUNDS
from .settings import Wrong

# Ours must not fail. Another peer that does is reported, and left alone from then on.
MUST_WORK = (FLOOR, *OURS)


def namespace():
    """The command that gives its arguments a network namespace of their own."""
    for command in (["unshare", "-n"], ["unshare", "-Urn"]):
        try:
            if subprocess.run([*command, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
                return command
        except OSError:
            break
    raise Wrong("no right to make a network namespace (unshare -n, unshare -Urn)")


def limit(inside):
    """How many entries a table may have: nf_conntrack_max, which is the host's."""
    try:
        done = subprocess.run(
            [*inside, "cat", "/proc/sys/net/netfilter/nf_conntrack_max"], capture_output=True, text=True, check=True
        )
    except subprocess.CalledProcessError as error:
        raise Wrong(f"connection tracking is not there: {error.stderr.strip()}") from error
    return int(done.stdout)


def record(inside, raw, kind, count):
    """Has a dump recorded and returns its file, or why that failed."""
    path = build.OUT / f"dump-{kind}.bin"
    failure = build.run([*inside, "sh", build.BENCHES / "record.sh", raw, kind, count, path])
    return (None, failure) if failure else (path, None)


class Runner:
    """Takes measurements in rounds, interleaved and shuffled anew, so that a slow minute hits every peer."""

    def __init__(self, settings, built, inside, recorded, chance=None):
        self.settings, self.built, self.inside, self.recorded = settings, built, inside, recorded
        self.results, self.failed = [], {}
        self.checker = check.Checker()
        self.chance = chance or random.Random()
        self._spent = {}

    def run(self, tasks):
        begun = time.monotonic()
        for number in range(1, self.settings.rounds + 1):
            todo = [task for task in tasks if self._is_due(task, number)]
            self.chance.shuffle(todo)
            build.say(f"round {number} of {self.settings.rounds}: {len(todo)} measurements{self._left(begun, number)}")
            for task in todo:
                self._measure(task, number)
        if self.checker.errors:
            raise Wrong("\n".join(self.checker.errors))

    def _left(self, begun, number):
        if number == 1:
            return ""
        minutes = (time.monotonic() - begun) / 60
        return f"; {minutes:.0f} minutes so far, at most {minutes / (number - 1) * (self.settings.rounds - number + 1):.0f} more"

    def _is_due(self, task, number):
        """The slow have fewer rounds, but at least one; the series have few."""
        series_rounds = 1 if self.settings.quick else SERIES_ROUNDS
        if task in self.failed or (task.series and number > series_rounds):
            return False
        spent, last = self._spent.get(task, (0, 0))
        return number == 1 or spent + last <= self.settings.patience

    def command(self, task):
        """What measures a task: measure.sh, or for a recorded dump the peer alone."""
        peer = self.built.commands[task.peer]
        operation = OPERATIONS[task.op]
        if operation.recorded:
            return [*peer, task.op, str(task.size), str(self.recorded[operation.recorded])]
        some = [str(task.some)] if task.some else []
        script = [str(build.BENCHES / "measure.sh"), *self.built.commands[FLOOR], operation.fill, str(task.size)]
        script += ["emptied" if operation.emptied else "full", "inside" if operation.inside else "here"]
        return [*self.inside, "sh", *script, *peer, task.op, str(task.calls), *some]

    def _measure(self, task, number):
        environment = {
            **os.environ,
            "ACCT": "1" if self.settings.acct else "0",
            "SETTLE": "0.05" if self.settings.quick else "0.2",
        }
        begun = time.monotonic()
        done = subprocess.run(
            self.command(task), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment
        )
        try:
            if done.returncode != 0:
                raise ValueError(f"{task.peer} {task.op}: {build.reason(done.stderr)}")
            result = check.parse(done.stdout, task.peer, task.op)
        except ValueError as error:
            if task.peer in MUST_WORK:
                raise Wrong(str(error)) from error
            build.say(f"{error}: left out")
            self.failed[task] = str(error)
            return
        result = {"round": number, **result, "size": task.size, "some": task.some}
        self.checker.add(result)
        self.results.append(result)
        spent, _ = self._spent.get(task, (0, 0))
        # With its preparation, which can take as long.
        seconds = time.monotonic() - begun
        self._spent[task] = (spent + seconds, seconds)
