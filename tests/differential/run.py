# SPDX-License-Identifier: MIT OR Apache-2.0
"""The differential run: random filters over random tables, while another process changes what they are about.

    run.py LIBRARY HEADER [--sets N] [--seed WORD] [--only WORD/NUMBER]... [--seeds FILE] [--self-test]

One process makes a table, calls the library and judges what it did by the kernel's events; a second one changes, replaces and
removes entries meanwhile, in half of the sets. Each set has its own seed, WORD/NUMBER, which is printed with what is wrong.
"""

import argparse
import collections
import ctypes
import datetime
import mmap
import os
import pickle
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from judge import Broken, Case, Tracker, Verdict, judge_delete, judge_entries, judge_flush, judge_list
from library import Library, Refused
from reference import BITS, decides_alone, draw_filter, pinned, selected
from selftest import self_test
from table import LOOK, MARKER, Flow, random_changes, random_table
from wire import Events, Lost, Requests, delete_request, new_network_namespace, names_asked_for

# How often a set is tried whose events the kernel dropped.
ATTEMPTS = 10
# Of 2,000 sets, in how many each condition must decide alone; for fewer sets in proportion.
DECIDING = 50
# The share of sets that must delete something and leave something.
SELECTIVE = 0.30
# At most so many of the deletes in sets with changes may be of entries that changed between the look at them and their delete. On
# Linux 6.18 with two processors it was 0.1 to 0.5 %, more on a busy machine.
WINDOW = 0.02
# At most so many of entries that were replaced by one with the same id then, of which a request names only one direction with its
# zone. It was 0 to 2 of 30,000.
REPLACED = 0.001


class Mutator:
    """The other process. It sends batch after batch until it is told to stop."""

    def __init__(self):
        self.flag = mmap.mmap(-1, 2)
        self.ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.ours.close()
                self._serve(theirs)
            finally:
                os._exit(0)
        theirs.close()
        self.portid = struct.unpack("=I", self.ours.recv(4))[0]

    def _serve(self, pipe):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        requests = Requests()
        pipe.sendall(struct.pack("=I", requests.portid))
        stream = pipe.makefile("rb")
        while True:
            try:
                seed, pause, batches = pickle.load(stream)
            except EOFError:
                return
            rng = random.Random(seed)
            requests.socket.setblocking(False)
            for batch in batches:
                if self.flag[1]:
                    break
                requests.socket.send(batch)
                self.flag[0] = 1
                if rng.random() < pause:
                    time.sleep(rng.choice((0, 0.00002, 0.0001)))
            # What was refused is of no interest.
            try:
                while requests.socket.recv(65536):
                    pass
            except OSError:
                pass
            requests.socket.settimeout(30)
            pipe.sendall(b"!")

    def start(self, seed, pause, batches):
        self.flag[0] = self.flag[1] = 0
        self.ours.sendall(pickle.dumps((seed, pause, batches)))
        while not self.flag[0]:
            time.sleep(0)

    def stop(self):
        self.flag[1] = 1
        if self.ours.recv(1) != b"!":
            raise Broken("the mutator died")

    def close(self):
        self.ours.close()
        os.waitpid(self.pid, 0)


class Statistics:
    def __init__(self):
        self.count = collections.Counter()
        self.deciding = collections.Counter()
        self.violations = collections.Counter()


class Setting:
    """A network namespace with all that sets need."""

    def __init__(self, open_library):
        self._prepare()
        self.mutator = Mutator()
        self.events, self.maker, self.looker = Events(), Requests(), Requests()
        self._show_looks()
        self.library, self.careful = open_library(False), open_library(True)
        self.others = {self.maker.portid, self.mutator.portid}

    @staticmethod
    def _prepare():
        # Labels are kept only while a rule uses some. No packet ever passes it: loopback stays down.
        rules = "table inet t {\n chain c {\n  type filter hook output priority 0;\n  ct label set 1\n }\n}\n"
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
        for name in ("events", "timestamp"):
            with open(f"/proc/sys/net/netfilter/nf_conntrack_{name}", "w", encoding="ascii") as file:
                file.write("1")

    def _show_looks(self):
        """What is preloaded (looks.c) marks where the library looks at entries again, and keeps what it asks."""
        self.mark = Flow(MARKER.orig, timeout=60, mark=LOOK).request() + delete_request(MARKER)
        self.kept = ctypes.create_string_buffer(4 << 20)
        self.preloaded = preloaded = ctypes.CDLL(None)
        preloaded.show_looks.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t)
        preloaded.take_looks.restype = ctypes.c_long
        preloaded.show_looks(self.looker.socket.fileno(), self.mark, len(self.mark), self.kept, len(self.kept))

    def mark_look(self, data):
        """For look-ups that the preloaded code does not see."""
        self.preloaded.mark_look(data, ctypes.c_size_t(len(data)))

    def take_looks(self):
        """The look-ups since the last time, datagram by datagram: what was asked for."""
        used = self.preloaded.take_looks()
        if used < 0:
            raise Broken("too many look-ups to keep")
        data, looks, at = self.kept.raw[:used], [], 0
        while at < used:
            (length,) = struct.unpack_from("=I", data, at)
            looks.append(names_asked_for(data[at + 4 : at + 4 + length]))
            at += 4 + length
        return looks

    def close(self):
        self.library.close()
        self.careful.close()
        self.mutator.close()


class Set:
    """One set: a table, filters, a call, and the verdict."""

    def __init__(self, setting, seed, gentle=False):
        # `gentle`: slower and smaller, for receive buffers that are too small.
        self.setting, self.seed, self.gentle = setting, seed, gentle
        self.rng = random.Random(seed)
        self.verdict, self.note = Verdict(), ""
        number = int(seed.rpartition("/")[2])
        self.quiet = number % 2 == 0
        self.operation = self.rng.choices(("delete", "uncounted", "entries", "flush", "list"), (9, 4, 5, 2, 3))[0]
        features = ("family", "zone", "mark", "status") if self.operation == "flush" else BITS
        self.feature = features[number // 2 % len(features)]
        self.deciding, self.selective, self.deleted, self.hidden = set(), False, 0, 0
        self.changes, self.interleaved, self.use_careful = 0, False, False

    def run(self):
        s = self.setting
        s.maker.flush()
        s.events.receive()
        # What is lost of that is no matter.
        s.events.check(ignore=True)
        s.take_looks()
        self.tracker = Tracker()
        size = self.rng.choices((40, 80, 130, 500), (3, 4, 2, 1) if self.quiet else (2, 3, 2, 2))[0]
        requests = [flow.request() for flow in random_table(self.rng, min(size, 80) if self.gentle else size)]
        for first in range(0, len(requests), 100):
            s.maker.transact(requests[first : first + 100])
            self._follow()
        self.table = list(self.tracker.live.values())
        self._draw()
        listed, hidden = self._before()
        self._call(listed, hidden)

    def _follow(self, messages=()):
        queued = self.setting.events.receive()
        self.setting.events.check()
        for raw in [*messages, *queued]:
            self.tracker.feed(raw)

    # --- filters ---

    def _draw(self):
        """Filters among which the featured condition decides alone, if that can be had."""
        for attempt in range(25):
            filters = self._filters()
            if not filters:
                continue
            featured = [f for f in filters if self.feature in f.conditions]
            chosen = sum(selected(filters, i, i.state) for i in self.table)
            selective = 0 < chosen < len(self.table)
            if attempt == 24 or (selective and any(decides_alone(filters, f, self.feature, self.table) for f in featured)):
                break
        if not filters:
            filters = [draw_filter(self.rng, self.table, exact=self.operation == "uncounted")]
        self.filters = filters
        self.wanted = [i for i in self.table if selected(filters, i, i.state)]
        self.selective = 0 < len(self.wanted) < len(self.table)
        for filter_ in filters:
            for name in filter_.conditions:
                if name not in self.deciding and decides_alone(filters, filter_, name, self.table):
                    self.deciding.add(name)

    def _filters(self):
        rng, table = self.rng, self.table
        if self.operation == "flush":
            for _ in range(20):
                filter_ = draw_filter(rng, table, self.feature)
                if filter_:
                    keep = {n: v for n, v in filter_.conditions.items() if n in ("family", "zone", "mark", "status")}
                    if keep.get("mark") != (0, 0):
                        filter_.conditions = keep
                        return [filter_]
            return None
        exact = self.operation == "uncounted" and rng.random() < 0.85
        filters = [draw_filter(rng, table, self.feature, exact=exact)]
        if filters[0] is None:
            return None
        recipe = rng.random()
        if recipe < 0.12:
            # Whole tuples are looked up, not dumped.
            filters = [pinned(rng, entry) for entry in rng.sample(table, min(len(table), rng.choice((1, 2, 6))))]
        elif recipe < 0.20:
            # The same entry twice, with different values of what may change while the library looks.
            entry = rng.choice(table)
            one, two = pinned(rng, entry, zone=rng.random() < 0.7), pinned(rng, entry)
            one.conditions["mark"], two.conditions["mark"] = (0, 1), (1, 1)
            filters = [one, two, *filters]
            if rng.random() < 0.5:
                return filters[:2]
        for _ in range(rng.choice((0, 0, 1, 3))):
            filters.append(draw_filter(rng, table, exact=exact))
        if rng.random() < (0.0 if exact else 0.35):
            excluded = self.feature if rng.random() < 0.4 else None
            filters.append(draw_filter(rng, table, excluded, exclude=True))
        if self.operation in ("entries", "list") and rng.random() < 0.1:
            filters = [f for f in filters if f.exclude] or filters
        rng.shuffle(filters)
        return filters

    # --- before the call ---

    def _before(self):
        """What there is to know before anybody changes anything: lists are compared here; what look-ups do not find."""
        s = self.setting
        listed, hidden = None, None
        if self.quiet or self.operation == "entries":
            self._mark()
            listed = s.library.list(self.filters)
            dumped = s.library.dump(self.filters, self.rng.choice((1, 7, 64, 1000))) if self.quiet else None
            self._mark()
            self._follow()
            case = Case(self.tracker, self.filters, s.others, quiet=True)
            judge_list(case, self.verdict, listed, "ct_list")
            if dumped is not None:
                judge_list(case, self.verdict, dumped, "ct_dump")
        if self.quiet:
            found = [{m.id for m in (a, b) if m} for a, b in zip(*(s.maker.get([i.ident for i in self.wanted], by) for by in (False, True)))]
            hidden = {i for i, ids in zip(self.wanted, found) if i.id not in ids}
            self.hidden = len(hidden)
        return listed, hidden

    def _mark(self):
        self.setting.maker.transact([Flow(MARKER.orig, timeout=60).request(), delete_request(MARKER)])

    # --- the call ---

    def _call(self, listed, hidden):
        s, rng = self.setting, self.rng
        arguments = None
        if self.operation == "entries":
            arguments = self._keys(listed)
        if not self.quiet:
            batches = random_changes(rng, self.table, self.wanted, 900)
            pause = 1 if self.gentle else rng.choice((0.02, 0.1, 0.5))
        messages, done = [], threading.Event()

        def read():
            # More happens during the call than a small buffer holds.
            while not done.is_set():
                s.events.wait(0.002)
                messages.extend(s.events.receive())

        reader = threading.Thread(target=read)
        reader.start()
        try:
            if not self.quiet:
                s.mutator.start(self.seed, pause, batches)
            try:
                self._mark()
                judge = getattr(self, "_" + self.operation)(arguments)
                self._mark()
            finally:
                if not self.quiet:
                    s.mutator.stop()
        finally:
            done.set()
            reader.join()
        self._follow(messages)
        self.tracker.looked(s.take_looks())
        self.tracker.compare(s.maker.dump())
        # Entries that expired meanwhile would be gone by now; none may.
        self._follow()
        case = Case(self.tracker, self.filters, s.others, self.quiet, self.use_careful)
        if any(i.killer == 0 for i in self.tracker.destroyed):
            raise Broken("an entry expired")
        judge(case, hidden)
        ours = case.ours()
        self.deleted = len(ours)
        self.selective = self.selective and bool(ours)
        others = [at for at, portid in self.tracker.changes if portid == s.mutator.portid and case.first < at < case.last]
        self.changes = len(others)
        self.interleaved = bool(ours) and any(ours[0].died < at < ours[-1].died for at in others)

    def _keys(self, listed):
        """Some of what was listed, as keys: with or without an id."""
        rng = self.rng
        chosen = [entry for entry in listed if rng.random() < 0.8]
        self.with_id = rng.random() < 0.7
        self.use_careful = rng.random() < 0.3
        return [(entry, entry.key(self.with_id)) for entry in chosen]

    def _delete(self, _):
        self.use_careful = self.rng.random() < 0.2
        result = (self.setting.careful if self.use_careful else self.setting.library).delete(self.filters)
        self.note = f"{result}, compare_start {self.use_careful}"
        return lambda case, hidden: judge_delete(case, self.verdict, result, hidden)

    def _uncounted(self, _):
        result = self.setting.library.delete(self.filters, uncounted=True)
        self.note = str(result)
        self.by_kernel = bool(result.flags & 1)
        if not self.by_kernel:
            return lambda case, hidden: judge_delete(case, self.verdict, result, hidden)
        return lambda case, hidden: judge_flush(case, self.verdict, result.code, hidden, result)

    def _flush(self, _):
        code, text = self.setting.library.flush(self.filters[0])
        self.note = f"returned {code} {text!r}"
        return lambda case, hidden: judge_flush(case, self.verdict, code, hidden)

    def _entries(self, keys):
        s = self.setting
        library = s.careful if self.use_careful else s.library
        result, status = library.delete_entries([key for _, key in keys])
        self.note = f"{result}, keys with id {self.with_id}, compare_start {self.use_careful}"
        known = {(i.ident, i.id): i for i in self.table}
        instances = [known[entry.ident, entry.id] for entry, _ in keys]
        return lambda case, hidden: judge_entries(case, self.verdict, instances, self.with_id, result, status, hidden)

    def _list(self, _):
        library = self.setting.library
        if self.rng.random() < 0.5:
            listed = library.list(self.filters)
        else:
            listed = library.dump(self.filters, self.rng.choice((1, 7, 64)))
        return lambda case, hidden: judge_list(case, self.verdict, listed, "ct_list or ct_dump")

    def describe(self):
        lines = [f"set {self.seed}: {self.operation}, {'nobody else at work' if self.quiet else 'with changes'}, {self.note}"]
        lines += [f"    filter {number}: {filter_}" for number, filter_ in enumerate(self.filters)]
        lines += [f"    VIOLATION ({kind}): {text}" for kind, text in self.verdict.violations[:4]]
        if len(self.verdict.violations) > 4:
            lines.append(f"    and {len(self.verdict.violations) - 4} more")
        return "\n".join(lines)


def run_set(setting, seed, statistics):
    """Runs one set, again if events were lost. Returns it."""
    for attempt in range(ATTEMPTS):
        one = Set(setting, seed, gentle=attempt >= 3)
        try:
            one.run()
        except Lost:
            statistics.count["repeated, events were lost"] += 1
            continue
        except Refused as refused:
            one.verdict.violation("refused", str(refused))
        except Broken as broken:
            raise Broken(f"set {seed}: {broken}") from None
        count(statistics, one)
        return one
    raise Broken(f"set {seed}: events were lost {ATTEMPTS} times")


def count(statistics, one):
    c = statistics.count
    c["sets"] += 1
    c[f"sets: {one.operation}"] += 1
    c["sets made gentle, events were lost"] += one.gentle
    c["sets with changes"] += not one.quiet
    c["sets with changes during the call"] += one.changes > 0
    c["sets with changes between deletes"] += one.interleaved
    c["changes during calls"] += one.changes
    c["deleted"] += one.deleted
    c["deleted in sets with changes"] += 0 if one.quiet else one.deleted
    c["sets that delete and leave something"] += one.selective
    c["sets left to the kernel"] += getattr(one, "by_kernel", False)
    c["deleted, changed between look and delete"] += one.verdict.windows
    c["deleted, a successor that no request tells apart"] += one.verdict.successors
    c["deleted, replaced between look and delete"] += one.verdict.replaced
    c["left, hidden"] += one.verdict.hidden_failed
    c["selected, found by no simple look-up"] += one.hidden
    c["excluding filters"] += sum(f.exclude for f in one.filters)
    c["set with violations"] += bool(one.verdict.violations)
    for name in one.deciding:
        statistics.deciding[name] += 1
    for kind, _ in one.verdict.violations:
        statistics.violations[kind] += 1


def report(statistics):
    for name, number in sorted(statistics.count.items()):
        print(f"  {number:8d} {name}")
    print("  decides alone, in sets: " + ", ".join(f"{name} {statistics.deciding[name]}" for name in BITS))
    if statistics.violations:
        print("  violations: " + ", ".join(f"{kind} {n}" for kind, n in statistics.violations.most_common()))


def window(statistics):
    """What is wrong with the number of entries that were deleted although they had just changed; None: nothing."""
    c = statistics.count
    for name, share in (("changed", WINDOW), ("replaced", REPLACED)):
        number = c[f"deleted, {name} between look and delete"]
        most = max(10, int(share * c["deleted in sets with changes"]))
        if number > most:
            return f"{number} entries were deleted that had been {name} since they were looked at; {most} is the most"
    return None


def shortcomings(statistics):
    """What a run lacks to say anything; too few sets are not asked for it."""
    c, wrong = statistics.count, []
    if c["sets"] < 200:
        return wrong
    if c["sets that delete and leave something"] < SELECTIVE * c["sets"]:
        wrong.append("too few sets delete something and leave something")
    least = DECIDING * c["sets"] // 2000
    wrong += [f"{name} decides alone in {statistics.deciding[name]} sets, {least} is the least" for name in BITS
              if statistics.deciding[name] < least]
    for name in ("sets with changes during the call", "changes during calls", "excluding filters", "sets left to the kernel",
                 "deleted in sets with changes", "sets with changes between deletes", "left, hidden"):
        if not c[name]:
            wrong.append(f"none: {name}")
    return wrong


def fixed_seeds(path):
    """The seeds that once found something."""
    with open(path, encoding="utf-8") as file:
        return [line.split("#")[0].strip() for line in file if line.split("#")[0].strip()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library")
    parser.add_argument("header")
    parser.add_argument("--sets", type=int, default=300, help="how many")
    parser.add_argument("--seed", default=datetime.date.today().strftime("%Y%m%d"), help="from which they are drawn; the day")
    parser.add_argument("--only", action="append", default=[], metavar="SEED/NUMBER", help="only this set, again")
    parser.add_argument("--seeds", help="a file of sets to run as well")
    parser.add_argument("--self-test", action="store_true", help="only show that faults are noticed")
    options = parser.parse_args()
    if not enter_namespace(parser):
        return 0
    setting = Setting(lambda careful: Library(options.library, options.header, careful))
    try:
        if options.self_test:
            print(f"self-test, seed {options.seed}")
            return bool(self_test(setting, options.seed, run_set, Statistics, window))
        return run(setting, options)
    finally:
        setting.close()


def enter_namespace(parser):
    """A network namespace of its own, as root of a user namespace where that is needed. False: there is none to be had."""
    try:
        new_network_namespace()
        return True
    except OSError as error:
        inside = os.environ.get("CTRACK_DIFFERENTIAL_INSIDE")
        if not inside and subprocess.run(["unshare", "-Urn", "true"], capture_output=True, check=False).returncode == 0:
            os.environ["CTRACK_DIFFERENTIAL_INSIDE"] = "1"
            os.execvp("unshare", ["unshare", "-Urn", sys.executable, *sys.argv])
        reason = f"no network namespace can be made: {error}"
        if os.environ.get("CTRACK_REQUIRE_NETNS") == "1":
            parser.error(reason)
        print(f"SKIPPED differential run: {reason}")
        return False


def run(setting, options):
    if options.only:
        seeds = options.only
    else:
        seeds = fixed_seeds(options.seeds) if options.seeds else []
        print(f"seed {options.seed}, {options.sets} sets, and {len(seeds)} that are always run", flush=True)
        seeds += [f"{options.seed}/{number}" for number in range(options.sets)]
    statistics, shown = Statistics(), 0
    for seed in seeds:
        one = run_set(setting, seed, statistics)
        if one.verdict.violations and shown < 20:
            print(one.describe(), flush=True)
            shown += 1
    report(statistics)
    wrong = shortcomings(statistics) if not options.only else []
    if window(statistics):
        wrong.append(window(statistics))
    if statistics.violations:
        wrong.append(f"{sum(statistics.violations.values())} violations; to repeat a set: --only SEED/NUMBER")
    for line in wrong:
        print(f"FAILED {line}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
