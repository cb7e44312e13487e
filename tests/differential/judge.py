# SPDX-License-Identifier: MIT OR Apache-2.0
"""What really happened, from the kernel's events alone, and whether the library was allowed to do it."""

import errno
from reference import State, selected
from table import LOOK, MARKER
from wire import CT_DELETE, decode

NO_LABELS = b"\0" * 16
# Sent by the kernel in events of destroyed entries.
DYING = 0x200
# The library looks at entries again and deletes them in batches of so many.
BATCH = 32


def bare(tuple_):
    return tuple_.replaced(zone=None)


class Broken(Exception):
    """The judge itself lost track: a fault of the test, never to be passed over."""


class Instance:
    """One life of an entry: from the event that it was made to the one that it was destroyed."""

    __slots__ = ("ident", "id", "start", "history", "born", "maker", "died", "killer")

    def __init__(self, ident, number, state, born, maker):
        self.ident, self.id, self.start = ident, number, None
        # Where in the stream it got which state.
        self.history = [(born, state)]
        self.born, self.maker, self.died, self.killer = born, maker, None, None

    @property
    def state(self):
        return self.history[-1][1]

    def states_within(self, first, last):
        """Every state that it had at some moment from `first` to `last`."""
        states = []
        for at, (born, state) in enumerate(self.history):
            ended = self.history[at + 1][0] if at + 1 < len(self.history) else self.died
            if born <= last and (ended is None or ended > first):
                states.append(state)
        return states

    def alive_at(self, position):
        return self.born <= position and (self.died is None or self.died > position)

    def same_key(self, other):
        """Whether no request can tell the two apart, by include/ctrack.h on ct_delete().

        Same tuples, zone and id; or a zone for both directions in one and for the reply direction alone in the other; or none in
        one and a zone for the original direction alone in the other.
        """
        if self.id != other.id:
            return False
        if self.ident == other.ident:
            return True
        if any(bare(a) != bare(b) for a, b in ((self.ident.orig, other.ident.orig), (self.ident.reply, other.ident.reply))):
            return False
        (a, first), (b, second) = sorted((i.zones() for i in (self.ident, other.ident)), key=lambda kind: kind[0])
        return (a, b) == ("both", "reply") and first == second or (a, b) == ("none", "orig")

    def __str__(self):
        lives = "; ".join(f"@{at} {state}" for at, state in self.history)
        end = f" destroyed @{self.died} by {self.killer}" if self.died is not None else ""
        return f"{self.ident} id {self.id:#x} made by {self.maker}: {lives}{end}"


class Tracker:
    """Follows the stream of events."""

    def __init__(self):
        self.live, self.all, self.position = {}, [], 0
        # Where calls begin and end, and where the library looked at entries again.
        self.markers, self.looks = [], []
        # Every destroyed instance, in order, and where others changed something.
        self.destroyed, self.changes, self.makers = [], [], set()

    def feed(self, raw):
        m = decode(raw)
        self.position += 1
        if m.ident == MARKER:
            if m.kind != CT_DELETE and m.flags:
                (self.looks if m.mark == LOOK else self.markers).append(self.position)
            return
        if m.kind == CT_DELETE:
            self._destroyed(m)
        elif m.flags & 0x400:
            self._made(m)
        else:
            self._changed(m)
        self.changes.append((self.position, m.portid))

    def _made(self, m):
        if m.id in self.live:
            raise Broken(f"made although there is one with this id: {m.ident} {self.live[m.id]}")
        state = State(m.status, m.mark or 0, m.tcp_state, m.labels or NO_LABELS, m.helper)
        instance = Instance(m.ident, m.id, state, self.position, m.portid)
        self.live[m.id] = instance
        self.all.append(instance)

    def _known(self, m):
        instance = self.live.get(m.id)
        if instance is None or instance.ident != m.ident:
            raise Broken(f"an event of an unknown entry: {m.ident} id {m.id:#x} kind {m.kind:#x}")
        return instance

    def _changed(self, m):
        instance = self._known(m)
        old = instance.state
        # A change over netlink reports the mark if it is not 0 or has changed, and the helper if there is one.
        state = State(
            m.status,
            m.mark or 0,
            old.tcp_state if m.tcp_state is None else m.tcp_state,
            m.labels or old.labels,
            m.helper,
        )
        instance.history.append((self.position, state))

    def _destroyed(self, m):
        instance = self._known(m)
        del self.live[m.id]
        old = instance.state
        last = (m.status & ~DYING, m.mark or 0, m.tcp_state if m.tcp_state is not None else old.tcp_state)
        if last != (old.status & ~DYING, old.mark, old.tcp_state):
            raise Broken(f"destroyed in another state than followed: {last} {instance}")
        instance.died, instance.killer = self.position, m.portid
        self.destroyed.append(instance)

    def looked(self, asked):
        """What was asked for in the look-ups of which the stream has the marks."""
        if len(asked) != len(self.looks):
            raise Broken(f"{len(asked)} look-ups, but {len(self.looks)} marks of them")
        self.looks = list(zip(self.looks, asked))

    def compare(self, dumped):
        """The table as followed must be the table as dumped."""
        followed = {(i.ident, i.id, i.state) for i in self.live.values()}
        listed = {
            (m.ident, m.id, State(m.status, m.mark or 0, m.tcp_state, m.labels or NO_LABELS, m.helper)) for m in dumped
        }
        if followed != listed:
            only = [" ".join(map(str, entry)) for entry in followed - listed], [" ".join(map(str, e)) for e in listed - followed]
            raise Broken(f"followed only: {only[0]}, dumped only: {only[1]}")
        for m in dumped:
            self.live[m.id].start = m.start


class Verdict:
    """What was found in one set."""

    def __init__(self):
        self.violations = []
        # Deletes of entries that no longer matched, all of whose changes can have come after the last look.
        self.windows, self.successors, self.hidden_failed = 0, 0, 0
        # Deletes of successors with the same id but another zone or reply tuple, made after the last look.
        self.replaced = 0

    def violation(self, kind, text):
        self.violations.append((kind, text))


class Case:
    """One call, and what there is to judge it by."""

    def __init__(self, tracker, filters, others, quiet, compare_start=False):
        self.tracker, self.filters, self.quiet, self.compare_start = tracker, filters, quiet, compare_start
        # The port ids of everybody but the library.
        self.others = others
        self.first, self.last = tracker.markers[-2:]
        self._known = {}

    def selects(self, instance, state):
        key = (instance, state)
        if key not in self._known:
            self._known[key] = selected(self.filters, instance, state)
        return self._known[key]

    def during(self):
        """The instances that lived at some moment of the call."""
        return [i for i in self.tracker.all if i.born < self.last and (i.died is None or i.died > self.first)]

    def throughout(self):
        """Those that nobody but the library removed during the call."""
        return [i for i in self.during() if i.born < self.first and (i.alive_at(self.last) or i.killer not in self.others)]

    def ever_selected(self, instance):
        return any(self.selects(instance, state) for state in instance.states_within(self.first, self.last))

    def always_selected(self, instance):
        return all(self.selects(instance, state) for state in instance.states_within(self.first, self.last))

    def last_looks(self, instance):
        """Where the library looked at an entry before it destroyed it, while it did not yet delete another batch.

        Mostly one place. Where another entry has one of the tuples as its own there may be more, of which one is of that entry.
        """
        names = instance.ident.names()
        deaths = [other.died for other in self.ours() if other.died < instance.died]
        earliest = max(self.first, deaths[-BATCH] if len(deaths) >= BATCH else 0)
        return [at for at, asked in self.tracker.looks if earliest < at < instance.died and names & asked]

    def replaced_after_look(self, instance, meant):
        """Whether the library looked at a predecessor that was meant, which then gave way to this one, of the same id.

        An id covers the original tuple. A request names one direction besides, with its zone: where the other one differs in its
        zone or its tuple, no request can tell the two apart.
        """
        looks = [look for look in self.last_looks(instance) if look < instance.born]
        return any(old.id == instance.id and old.alive_at(look) and meant(old) for look in looks for old in self.during())

    def ours(self):
        """What the library destroyed."""
        return [i for i in self.tracker.destroyed if i.killer not in self.others]

    def trail(self, instance):
        """The instance and those before it with the same original tuple, for the report."""
        family = [i for i in self.tracker.all if i.ident.orig.replaced(zone=None) == instance.ident.orig.replaced(zone=None)]
        return "\n      ".join(["", *(str(i) for i in family[-6:]), f"call from @{self.first} to @{self.last}"])


def judge_destroyed(case, verdict, allowed=None, with_id=True):
    """Each entry that the library destroyed must have been one that it was told to.

    By a filter: in the last state before that, or, of fields that may change, in one before a change that came after the last
    look at the entry. By `allowed`, the instances whose keys were given: exactly those, or without ids those with the same tuples and zone.
    """
    ours = case.ours()
    for instance in ours:
        if not case.first < instance.died < case.last:
            verdict.violation("outside", f"destroyed outside of the call:{case.trail(instance)}")
            continue
        if allowed is not None:
            def meant(one):
                return one in allowed or (not with_id and any(one.ident == key.ident for key in allowed))

            if meant(instance):
                continue
            if case.replaced_after_look(instance, meant):
                verdict.replaced += 1
            elif not case.compare_start and any(instance.same_key(key) for key in allowed):
                verdict.successors += 1
            else:
                verdict.violation("identity", f"destroyed, but not one of the keys:{case.trail(instance)}")
            continue
        if case.selects(instance, instance.state):
            continue
        # When it was last selected; a predecessor that no request can tell from it counts as the same entry.
        line = [i for i in case.during() if i.ident == instance.ident and i.same_key(instance) and i.born <= instance.born]
        ended = None
        for life in line:
            for at, (_, state) in enumerate(life.history):
                end = life.history[at + 1][0] if at + 1 < len(life.history) else life.died
                if case.selects(life, state) and end > case.first:
                    ended = max(ended or 0, end)
        if ended is None and case.replaced_after_look(instance, lambda old: case.selects(old, old.state)):
            verdict.replaced += 1
            continue
        twins = [i for i in case.during() if i is not instance and i.same_key(instance) and i.born < instance.born]
        if ended is None and not case.compare_start and any(case.ever_selected(twin) for twin in twins):
            verdict.successors += 1
            continue
        if ended is None:
            kind = "successor" if instance.born > case.first else "unselected"
            verdict.violation(kind, f"destroyed, never selected:{case.trail(instance)}")
            continue
        looks = case.last_looks(instance)
        if not any(look < ended for look in looks):
            text = f"no longer selected @{ended}, looked at @{looks}, destroyed all the same:{case.trail(instance)}"
            verdict.violation("late", text)
            continue
        verdict.windows += 1


def judge_sums(case, verdict, result):
    """The numbers must be those of what happened."""
    ours = len(case.ours())
    if result.done != ours:
        verdict.violation("sums", f"{ours} destroyed, but {result}")
    if result.matched != result.done + result.gone + result.failed + (result.spared or 0):
        verdict.violation("sums", f"matched is not the sum of the others: {result}")
    if (result.failed > 0) != (result.first_error < 0) or result.code != (result.first_error if result.failed else 0):
        verdict.violation("sums", f"failed and first_error disagree: {result}")
    # An entry that comes and goes each time that it is asked for is given up as well.
    if result.failed and result.first_error not in (-errno.ENOTUNIQ, 0 if case.quiet else -errno.EAGAIN):
        verdict.violation("failed", f"failed otherwise than by being hidden: {result}")


def judge_delete(case, verdict, result, hidden=None):
    """ct_delete(), counted. `hidden`: the instances that no look-up by tuple finds, if nobody changes the table meanwhile."""
    judge_destroyed(case, verdict)
    judge_sums(case, verdict, result)
    throughout = case.throughout()
    missed = [i for i in throughout if i.alive_at(case.last) and case.always_selected(i)]
    verdict.hidden_failed += len(missed)
    if len(missed) > result.failed:
        trails = "".join(case.trail(i) for i in missed[:3])
        verdict.violation("missed", f"{len(missed)} selected entries still there, but {result}:{trails}")
    if result.matched > sum(1 for i in case.during() if case.ever_selected(i)):
        verdict.violation("sums", f"more matched than were ever selected: {result}")
    if case.quiet:
        wanted = [i for i in case.during() if case.always_selected(i)]
        if (result.matched, result.gone, result.spared or 0) != (len(wanted), 0, 0) or result.failed != len(missed):
            verdict.violation("sums", f"{len(wanted)} selected, {len(missed)} of them left, nobody else at work, but {result}")
        judge_reachable(case, verdict, missed, hidden)


def judge_reachable(case, verdict, missed, hidden):
    for instance in missed:
        if instance not in hidden:
            verdict.violation("missed", f"left, although a look-up finds it:{case.trail(instance)}")


def judge_flush(case, verdict, code, hidden=None, uncounted=None):
    """ct_flush() of a scope, and ct_delete() that left it to the kernel."""
    judge_destroyed(case, verdict)
    missed = [i for i in case.throughout() if i.alive_at(case.last) and case.always_selected(i)]
    verdict.hidden_failed += len(missed)
    if code not in (0, -errno.ENOTUNIQ, 0 if case.quiet else -errno.EAGAIN) or (missed and code == 0):
        trails = "".join(case.trail(i) for i in missed[:3])
        verdict.violation("missed", f"{len(missed)} selected entries still there, returned {code} {uncounted or ''}:{trails}")
    if case.quiet:
        judge_reachable(case, verdict, missed, hidden)


def judge_entries(case, verdict, keys, with_id, result, status, hidden=None):
    """ct_delete_entries() of the instances `keys`."""
    judge_destroyed(case, verdict, set(keys), with_id)
    judge_sums(case, verdict, result)
    counts = (status.count(0), status.count(-errno.ENOENT), len(status))
    if counts != (result.done, result.gone, result.matched) and not result.spared:
        verdict.violation("sums", f"statuses say {counts}, but {result}")
    for instance, code in zip(keys, status):
        there = instance.alive_at(case.last)
        if there and code in (0, -errno.ENOENT):
            verdict.violation("missed", f"still there with status {code}:{case.trail(instance)}")
        elif there and case.quiet:
            judge_reachable(case, verdict, [instance], hidden)
        elif case.quiet and code != 0:
            verdict.violation("sums", f"destroyed with status {code}:{case.trail(instance)}")


def judge_list(case, verdict, listed, what):
    """ct_list() and ct_dump_next(): every entry that was selected all the time once, and nothing that never was."""
    seen = {}
    for entry in listed:
        seen.setdefault((entry.ident, entry.id), []).append(entry)
    lives = {}
    for instance in case.during():
        lives.setdefault((instance.ident, instance.id), []).append(instance)
    for key, entries in seen.items():
        if len(entries) > len(lives.get(key, ())):
            verdict.violation("list", f"{what}: {len(entries)} times {key[0]}, which lived {len(lives.get(key, ()))} times")
        for entry in entries:
            # In a dump, an entry that is being removed may show it.
            states = [state for i in lives.get(key, ()) for state in i.states_within(case.first, case.last)]
            plain = State(entry.state.status & ~DYING, *entry.state.key()[1:])
            if not any(plain == state for state in states):
                verdict.violation("list", f"{what}: {key[0]} as it never was: {entry.state}, but {[str(s) for s in states]}")
            elif not selected(case.filters, entry, entry.state):
                verdict.violation("list", f"{what}: not selected: {key[0]} {entry.state}")
    for instance in case.during():
        whole = instance.born < case.first and instance.alive_at(case.last)
        if whole and case.always_selected(instance) and (instance.ident, instance.id) not in seen:
            verdict.violation("list", f"{what}: missing:{case.trail(instance)}")
