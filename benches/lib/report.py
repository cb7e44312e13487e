# SPDX-License-Identifier: MIT OR Apache-2.0

"""The tables in Markdown."""

from . import stats
from .catalogue import PEERS


def table(head, lines):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for line in lines:
        yield "| " + " | ".join(line) + " |"
    yield ""


def number(value):
    """Three digits that count."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(summary, form):
    """The range of the rounds; with fewer rounds than the others have, how many."""
    if summary.rounds == 1:
        return "one round"
    return f"{form(summary.smallest)} to {form(summary.largest)}" + (" (two rounds)" if summary.rounds == 2 else "")


def floor_table(lines):
    def ratio(value):
        return f"{value:.3f}" if value < 10 else number(value)

    head = ["work", "peer", "of the floor", "by round", "CPU time", "budget", "", "user ns/entry", "kernel ns/entry", "peak MB"]
    return table(
        head,
        (
            [
                line.work,
                line.peer,
                ratio(line.ratio.median),
                spread(line.ratio, ratio),
                ratio(line.cpu),
                line.budget,
                line.verdict,
                f"{line.user:.0f}",
                f"{line.kernel:.0f}",
                f"{line.peak_mb:.1f}",
            ]
            for line in lines
        ),
    )


def peer_table(lines):
    return table(
        ["work", "libctrack", "beside", "times as fast", "by round", "in CPU time", "goal", ""],
        (
            [
                line.work,
                line.ours,
                line.peer,
                number(line.factor.median),
                spread(line.factor, number),
                number(line.cpu),
                line.goal,
                line.verdict,
            ]
            for line in lines
        ),
    )


def noise(results, verdicts):
    """What must be said about the machine, or "". `verdicts`: of all comparisons, "" where nothing is promised."""
    disturbed = sum(map(stats.disturbed, results))
    said = []
    if disturbed:
        said.append(
            f"{disturbed} of {len(results)} measurements had to wait for a processor: something else is running here, "
            "and the ratios of CPU time say more than those of time."
        )
    wide = sum(verdict.startswith(stats.TOO_WIDE) for verdict in verdicts)
    if wide * 4 > len(verdicts):
        said.append(
            f"{wide} of {len(verdicts)} comparisons spread too widely even in CPU time: the machine is too noisy to "
            "conclude anything; run it again on a quiet one."
        )
    return " ".join(said)


def markdown(settings, machine, built, failed, data, pictures):
    """The whole report. `data`: what table.py made of the results."""
    out = ["# libctrack beside the raw kernel and its peers", ""]
    if settings.quick:
        out += ["QUICK=1: the tables are too small to judge by.", ""]
    missing = [f"{peer} ({PEERS[peer].what}) was not measured: {why}" for peer, why in built.missing.items()]
    missing += [f"left out after a failure: {text}" for text in failed]
    out += [f"- {line}" for line in missing] + ([""] if missing else [])
    if data["noise"]:
        out += [data["noise"], ""]
    out += [f"![{title}]({name})\n" for name, title in pictures]
    if data["peer"]:
        out += ["## Beside the peers", "", *peer_table(data["peer"])]
    if data["floor"]:
        out += ["## Beside the floor", "", *floor_table(data["floor"])]
    if data["memory"]:
        peaks, verdict = data["memory"]
        sizes = ", ".join(f"{peak:.1f} MB for {size}" for size, peak in peaks.items())
        out += [f"Memory of `ct_dump_next()` by entries: {sizes}. Budget 4 MB whatever the size: {verdict}.", ""]
    if data["lost"]:
        parts = ", ".join(f"{peer} {100 * part:.1f} %" for peer, part in data["lost"].items())
        out += [f"Lost of 20,000 events a second, with the defaults of each: {parts}.", ""]
    versions = ", ".join(f"{peer} {version}" for peer, version in built.versions.items())
    out.append(
        f"Kernel {machine['kernel']}, {machine['processors']} processors ({machine['processor']}), "
        f"{machine['buckets']} buckets, {settings.rounds} rounds. {versions}."
    )
    return "\n".join(out) + "\n"
