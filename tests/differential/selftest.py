# SPDX-License-Identifier: MIT OR Apache-2.0
"""Whether the judge notices: a library of a few lines that does right, and the same with one fault after the other.

The right one must pass, and each fault must be found, as what it is. Without this nobody would know whether 2,000 sets without a
violation say anything.
"""

import errno
import struct
import time

from library import Result
from reference import State, selected
from wire import CT_DELETE, REQUEST, Requests, delete_request, get_request, message, tuple_attr

NO_LABELS = b"\0" * 16


class Seen:
    """An entry as this library lists it; it is its own key."""

    def __init__(self, m):
        self.ident, self.id = m.ident, m.id
        self.state = State(m.status, m.mark or 0, m.tcp_state, m.labels or NO_LABELS, m.helper)
        self.with_id = True

    def key(self, with_id):
        self.with_id = with_id
        return self


class Honest:
    """What the library promises, done one entry at a time."""

    compare_start = False

    def __init__(self, setting):
        self.requests, self.setting = Requests(), setting

    def close(self):
        self.requests.socket.close()

    def list(self, filters):
        return [s for s in map(Seen, self.requests.dump()) if selected(filters, s, s.state)]

    def dump(self, filters, batch=64):
        return self.list(filters)

    def _delete(self, seen, filters=None):
        """0 deleted, -ENOENT gone, -ENOTUNIQ hidden, None no longer selected."""
        if not self._is_meant(seen, filters):
            return None
        for by_reply in (True, False):
            self.setting.mark_look(get_request(seen.ident, by_reply))
            found = self.requests.get([seen.ident], by_reply)[0]
            # Without an id, whatever has the tuples and the zone is meant.
            if found and found.ident == seen.ident and (found.id == seen.id or not seen.with_id):
                if filters and not selected(filters, found, Seen(found).state):
                    return None
                if not self.requests.transact([delete_request(found.ident, found.id, by_reply)]):
                    return 0
        there = any((m.ident, m.id) == (seen.ident, seen.id) for m in self.requests.dump())
        return -errno.ENOTUNIQ if there else -errno.ENOENT

    def _is_meant(self, seen, filters):
        return True

    def _delete_all(self, seen, filters=None):
        codes = [self._delete(entry, filters) for entry in seen]
        done, gone, spared = codes.count(0), codes.count(-errno.ENOENT), codes.count(None)
        failed = len(codes) - done - gone - spared
        first = -errno.ENOTUNIQ if failed else 0
        packed = struct.pack("=IIQQQQiIQ", 56, 0, len(codes), done, gone, failed, first, 0, spared)
        return Result(first, packed, ""), codes

    def delete(self, filters, uncounted=False):
        return self._delete_all(self.list(filters), filters)[0]

    def delete_entries(self, keys):
        return self._delete_all(keys)

    def flush(self, scope):
        return self.delete([scope]).code, ""


class DeletesOneMore(Honest):
    def delete(self, filters, uncounted=False):
        result = super().delete(filters)
        others = [s for s in map(Seen, self.requests.dump()) if not selected(filters, s, s.state)]
        if others and self._delete(others[0]) == 0:
            result.matched, result.done = result.matched + 1, result.done + 1
        return result


class ForgetsOne(Honest):
    def delete(self, filters, uncounted=False):
        return self._delete_all(self.list(filters)[1:], filters)[0]


class SaysThatOneIsGone(Honest):
    """As a hidden entry that the kernel does not find."""

    def _delete(self, seen, filters=None):
        code = super()._delete(seen, filters)
        return -errno.ENOENT if code == -errno.ENOTUNIQ else code


class DoesNotLookAgain(Honest):
    """Deletes by the list, however old that is, by tuple, zone and id."""

    def _delete_all(self, seen, filters=None):
        time.sleep(0.02)
        return super()._delete_all(seen, filters)

    def _delete(self, seen, filters=None):
        return -errno.ENOENT if self.requests.transact([delete_request(seen.ident, seen.id)]) else 0


class DeletesLongAfterLooking(Honest):
    """Looks at all of them, and then deletes them at its leisure."""

    def _delete_all(self, seen, filters=None):
        self.setting.mark_look(b"".join(get_request(entry.ident) for entry in seen))
        now = {(s.ident, s.id) for s in self.list(filters or [])}
        self.still = {s for s in seen if (s.ident, s.id) in now}
        time.sleep(0.02)
        return super()._delete_all(seen, filters)

    def _delete(self, seen, filters=None):
        if seen not in self.still:
            return None
        return -errno.ENOENT if self.requests.transact([delete_request(seen.ident, seen.id)]) else 0


class DeletesWithoutId(DoesNotLookAgain):
    """Whatever holds the tuple now."""

    def _delete(self, seen, filters=None):
        return -errno.ENOENT if self.requests.transact([delete_request(seen.ident)]) else 0


class DeletesInTheWrongZone(Honest):
    def _delete(self, seen, filters=None):
        if not seen.ident.zone:
            return super()._delete(seen, filters)
        bare = tuple_attr(1, seen.ident.orig)
        refused = self.requests.transact([message(CT_DELETE, REQUEST, seen.ident.family, bare)])
        return -errno.ENOENT if refused else 0


class DeletesTwiceAsMuchAsItSays(Honest):
    def delete(self, filters, uncounted=False):
        result = super().delete(filters)
        result.done = (result.done + 1) // 2
        result.matched = result.done + result.gone + result.failed + result.spared
        return result


class IgnoresExclusion(Honest):
    def list(self, filters):
        return super().list([f for f in filters if not f.exclude])

    def _delete(self, seen, filters=None):
        return super()._delete(seen, [f for f in filters if not f.exclude] if filters else filters)


class ListsTwice(Honest):
    def list(self, filters):
        return super().list(filters) + super().list(filters)[:1]


class ListsTooFew(Honest):
    def list(self, filters):
        return super().list(filters)[1:]


class ListsWrongMarks(Honest):
    def list(self, filters):
        listed = super().list(filters)
        for entry in listed:
            entry.state.mark ^= 8
        return listed


# Each with the kinds of violation of which one must be found, and whether it takes somebody else's changes.
FAULTS = (
    (DeletesOneMore, {"unselected"}, False),
    (ForgetsOne, {"missed"}, False),
    (SaysThatOneIsGone, {"missed"}, False),
    (DeletesInTheWrongZone, {"unselected", "identity"}, False),
    (DeletesTwiceAsMuchAsItSays, {"sums"}, False),
    (IgnoresExclusion, {"unselected"}, False),
    (ListsTwice, {"list"}, False),
    (ListsTooFew, {"list"}, False),
    (ListsWrongMarks, {"list"}, False),
    (DoesNotLookAgain, {"late"}, True),
    (DeletesLongAfterLooking, {"window"}, True),
    (DoesNotLookAgain, {"successor", "identity"}, True),
    (DeletesWithoutId, {"identity"}, True),
)
# How many sets each fault gets to show itself. Most take a few.
SETS = 200
HONEST_SETS = 80


def self_test(setting, seed, run_set, statistics, window):
    """The number of faults that went unnoticed."""
    failures = 0
    with_library = setting.library, setting.careful
    honest = Honest(setting)
    setting.library = setting.careful = honest
    # In sets without changes: between its look and its delete lie whole turns of an interpreter, in which entries are replaced.
    quiet = [f"{seed}-Honest/{2 * number}" for number in range(HONEST_SETS)]
    wrong = [run_set(setting, each, statistics()).verdict.violations for each in quiet]
    wrong = [violation for violations in wrong for violation in violations]
    failures += bool(wrong)
    print(f"{'FAILED ' if wrong else 'ok     '} Honest: {len(wrong)} violations in {HONEST_SETS} sets {wrong[:1] or ''}")
    honest.close()
    for fault, kinds, changes in FAULTS:
        setting.library = setting.careful = faulty = fault(setting)
        noticed, stats = None, statistics()
        for number in range(SETS):
            one = run_set(setting, f"{seed}-{fault.__name__}/{2 * number + changes}", stats)
            found = {kind for kind, _ in one.verdict.violations}
            if "window" in kinds and number >= 20 and window(stats) is not None:
                found.add("window")
            if found & kinds:
                noticed = number + 1
                break
        failures += noticed is None
        what = f"noticed after {noticed} sets" if noticed else f"NOT noticed in {SETS} sets"
        print(f"{'ok     ' if noticed else 'FAILED '} {fault.__name__}: {what}, as {' or '.join(sorted(kinds))}")
        faulty.close()
    setting.library, setting.careful = with_library
    return failures
