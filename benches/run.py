#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0

"""Shows where libctrack stands on this machine beside the raw kernel and beside its peers.

Prints tables of ratios and writes them, pictures and all single results to build/bench. Every measurement has a network
namespace of its own; the host's table is not touched. docs/benchmarks.md says how to read the result.

Variables: QUICK=1 a short form, too small to judge by; ROUNDS how often everything is measured; PATIENCE seconds that
one peer may take for one operation in all rounds, with its preparation; SIZE entries for lists and flushes; TABLE entries for creates and
deletes; KNOWN how many of them are deleted; ONLY operations to measure, for example "stream delete"; PEERS peers to
measure, for example "ctrack lnfct"; ACCT=1 entries with counters and timestamps; CC, CFLAGS.
"""

import dataclasses
import json
import os
import sys

sys.dont_write_bytecode = True
from lib import build, catalogue, machine, measure, plan, plots, report, settings, table  # noqa: E402


def main():
    s = settings.read(os.environ)
    built = build.everything(s)
    inside = measure.namespace()
    limit = measure.limit(inside)
    if max(s.size, s.table) > limit:
        raise settings.Wrong(
            f"{max(s.size, s.table)} entries do not fit, nf_conntrack_max is {limit}; use a smaller SIZE and TABLE"
        )
    tasks = plan.tasks(s, list(built.commands), limit)
    if not any(task.peer != catalogue.FLOOR or task.op in s.only for task in tasks):
        raise settings.Wrong("ONLY and PEERS leave nothing to measure")
    recorded, failed = {}, []
    for kind in sorted({catalogue.OPERATIONS[task.op].recorded for task in tasks} - {""}):
        path, why = measure.record(inside, built.commands[catalogue.FLOOR][0], kind, s.size)
        if why:
            failed.append(f"decode-{kind}: no dump could be recorded: {why}")
            tasks = [task for task in tasks if catalogue.OPERATIONS[task.op].recorded != kind]
        else:
            recorded[kind] = path
    runner = measure.Runner(s, built, inside, recorded)
    runner.run(tasks)
    failed += runner.failed.values()
    publish(s, built, failed, runner.results, tasks, limit)


def publish(s, built, failed, single, tasks, limit):
    """Prints the tables and writes everything to build/bench."""
    results, rows = table.Results(single), catalogue.rows(s)
    data = {
        "floor": table.floor_lines(s, rows, results),
        "peer": table.peer_lines(s, rows, results),
        "memory": table.stream_memory(results, tasks),
        "lost": table.lost_lines(s, results),
    }
    data["noise"] = report.noise(single, [line.verdict for line in data["floor"] + data["peer"]])
    pictures = []
    if not plots.GNUPLOT:
        failed.append("the pictures: gnuplot is not installed")
    for name, (title, text) in plots.pictures(s, results, limit).items():
        (build.OUT / name).unlink(missing_ok=True)
        if text:
            (build.OUT / name).write_text(text, encoding="utf-8")
            pictures.append((name, title))
    kind = machine.kind()
    text = report.markdown(s, kind, built, failed, data, pictures)
    (build.OUT / "results.md").write_text(text, encoding="utf-8")
    everything = {
        "machine": kind,
        "settings": dataclasses.asdict(s),
        "versions": built.versions,
        "missing": built.missing,
        "failed": failed,
        "summary": {
            "floor": [dataclasses.asdict(line) for line in data["floor"]],
            "peer": [dataclasses.asdict(line) for line in data["peer"]],
            "stream_memory": data["memory"],
            "lost": data["lost"],
            "noise": data["noise"],
        },
        "results": single,
    }
    (build.OUT / "results.json").write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    print(text)
    print("Single results: build/bench/results.json; the tables and pictures: build/bench/results.md")


if __name__ == "__main__":
    try:
        main()
    except settings.Wrong as error:
        sys.exit("\n".join(f"benches: {line}" for line in str(error).splitlines()))
    except KeyboardInterrupt:
        sys.exit(130)
