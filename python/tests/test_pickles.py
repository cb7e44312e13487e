# SPDX-License-Identifier: MIT OR Apache-2.0
"""What other processes and earlier releases pickled can be read, and what 0.1 called by another name still has it."""

from __future__ import annotations

import base64
import copy
import pickle
from typing import Any

import pytest

import ctrack
from ctrack import Entry, Family, Filter, Has, Match, Proto, Result, Status, TcpState

# Made by the package 0.1.0 with pickle.dumps(value, 4).
OLD = {
    "Entry": [
        "gASVSgEAAAAAAACMCGJ1aWx0aW5zlIwHZ2V0YXR0cpSTlIwMY3RyYWNrLmVudHJ5lIwFRW50cnmUk5SMCGZyb21fcmF3lIaUUpRCAAEAAHcCBQAA",
        "AAAAAAAAAI4BAAAFAAAAHgAAAAAAAAAHAAAAAgYDAAAAAAAAAAAAAAAAAAAAAAAAAAAACgAAAQAAAAAAAAAAAAAAAAoAAAIAAAAAAAAAAAAAAABA",
        "nFAAAAAAAAcAAAAKCQABAAAAAAAAAAAAAAAACgAAAQAAAAAAAAAAAAAAAFAAQJwAAAAABwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAkAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACU",
        "hZRSlC4=",
    ],
    "Entry6": [
        "gASVSgEAAAAAAACMCGJ1aWx0aW5zlIwHZ2V0YXR0cpSTlIwMY3RyYWNrLmVudHJ5lIwFRW50cnmUk5SMCGZyb21fcmF3lIaUUpRCAAEAAAkAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACjoAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/QAAAAAAAAAAAAAAAAAAAf0AAAAAAAAAAAAAAAAAAAIA",
        "AAAABwCAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACU",
        "hZRSlC4=",
    ],
    "Filter": [
        "gASVwwEAAAAAAACMDWN0cmFjay5maWx0ZXKUjAZGaWx0ZXKUk5QpgZR9lCiMB2V4Y2x1ZGWUiIwGZmFtaWx5lE6MBXByb3RvlIwQY3RyYWNrLmNv",
        "bnN0YW50c5SMBVByb3RvlJOUSwaFlFKUjAR6b25llEsHjARtYXJrlEsBjAltYXJrX21hc2uUSwOMCnN0YXR1c19zZXSUaAiMBlN0YXR1c5STlEsC",
        "hZRSlIwMc3RhdHVzX2NsZWFylE6MCG9yaWdfc3JjlIwJaXBhZGRyZXNzlIwLSVB2NE5ldHdvcmuUk5SMCjEwLjAuMC4wLziUhZRSlIwIb3JpZ19k",
        "c3SUTowJcmVwbHlfc3JjlE6MCXJlcGx5X2RzdJROjApvcmlnX3Nwb3J0lE6MCm9yaWdfZHBvcnSUS1BLWoaUjAtyZXBseV9zcG9ydJROjAtyZXBs",
        "eV9kcG9ydJROjAlpY21wX3R5cGWUTowJaWNtcF9jb2RllE6MB2ljbXBfaWSUTowKdGNwX3N0YXRlc5QoaAiMCFRjcFN0YXRllJOUSwOFlFKUkZSM",
        "BmxhYmVsc5ROjAtsYWJlbHNfbWFza5ROjAZoZWxwZXKUjANmdHCUdWIu",
    ],
    "FilterEmpty": [
        "gASVPwEAAAAAAACMDWN0cmFjay5maWx0ZXKUjAZGaWx0ZXKUk5QpgZR9lCiMB2V4Y2x1ZGWUiYwGZmFtaWx5lE6MBXByb3RvlE6MBHpvbmWUTowE",
        "bWFya5ROjAltYXJrX21hc2uUTowKc3RhdHVzX3NldJROjAxzdGF0dXNfY2xlYXKUTowIb3JpZ19zcmOUTowIb3JpZ19kc3SUTowJcmVwbHlfc3Jj",
        "lE6MCXJlcGx5X2RzdJROjApvcmlnX3Nwb3J0lE6MCm9yaWdfZHBvcnSUTowLcmVwbHlfc3BvcnSUTowLcmVwbHlfZHBvcnSUTowJaWNtcF90eXBl",
        "lE6MCWljbXBfY29kZZROjAdpY21wX2lklE6MCnRjcF9zdGF0ZXOUTowGbGFiZWxzlE6MC2xhYmVsc19tYXNrlE6MBmhlbHBlcpROdWIu",
    ],
    "Result": [
        "gASVPAAAAAAAAACMDWN0cmFjay5lcnJvcnOUjAZSZXN1bHSUk5QoSwVLAksBSwJLEIkoSwBLAEsCSxBLEHSUSwCJdJSBlC4=",
    ],
    "enums": [
        "gASVhQAAAAAAAABdlCiMEGN0cmFjay5jb25zdGFudHOUjAZGYW1pbHmUk5RLCoWUUpRoAYwFUHJvdG+Uk5RLBoWUUpRoAYwIVGNwU3RhdGWUk5RL",
        "CIWUUpRoAYwGU3RhdHVzlJOUSwaFlFKUaAGMA0hhc5STlEsBhZRSlGgBjAVNYXRjaJSTlEsEhZRSlGUu",
    ],
    "InvalidArgument": [
        "gASVbAAAAAAAAACMDWN0cmFjay5lcnJvcnOUjA9JbnZhbGlkQXJndW1lbnSUk5RLFowJc29tZSB0ZXh0lIaUUpR9lIwGcmVzdWx0lGgAjAZSZXN1",
        "bHSUk5QoSwNLAUsASwJLFolLAEsWSxaHlEsAiXSUgZRzYi4=",
    ],
    "PermissionDenied": [
        "gASVbQAAAAAAAACMDWN0cmFjay5lcnJvcnOUjBBQZXJtaXNzaW9uRGVuaWVklJOUSxaMCXNvbWUgdGV4dJSGlFKUfZSMBnJlc3VsdJRoAIwGUmVz",
        "dWx0lJOUKEsDSwFLAEsCSxaJSwBLFksWh5RLAIl0lIGUc2Iu",
    ],
    "Timeout": [
        "gASVZAAAAAAAAACMDWN0cmFjay5lcnJvcnOUjAdUaW1lb3V0lJOUSxaMCXNvbWUgdGV4dJSGlFKUfZSMBnJlc3VsdJRoAIwGUmVzdWx0lJOUKEsD",
        "SwFLAEsCSxaJSwBLFksWh5RLAIl0lIGUc2Iu",
    ],
    "TableChanged": [
        "gASVaQAAAAAAAACMDWN0cmFjay5lcnJvcnOUjAxUYWJsZUNoYW5nZWSUk5RLFowJc29tZSB0ZXh0lIaUUpR9lIwGcmVzdWx0lGgAjAZSZXN1bHSU",
        "k5QoSwNLAUsASwJLFolLAEsWSxaHlEsAiXSUgZRzYi4=",
    ],
    "Forked": [
        "gASVYwAAAAAAAACMDWN0cmFjay5lcnJvcnOUjAZGb3JrZWSUk5RLFowJc29tZSB0ZXh0lIaUUpR9lIwGcmVzdWx0lGgAjAZSZXN1bHSUk5QoSwNL",
        "AUsASwJLFolLAEsWSxaHlEsAiXSUgZRzYi4=",
    ],
    "Closed": [
        "gASVYwAAAAAAAACMDWN0cmFjay5lcnJvcnOUjAZDbG9zZWSUk5RLFowJc29tZSB0ZXh0lIaUUpR9lIwGcmVzdWx0lGgAjAZSZXN1bHSUk5QoSwNL",
        "AUsASwJLFolLAEsWSxaHlEsAiXSUgZRzYi4=",
    ],
    "Error": [
        "gASVYgAAAAAAAACMDWN0cmFjay5lcnJvcnOUjAVFcnJvcpSTlEsWjAlzb21lIHRleHSUhpRSlH2UjAZyZXN1bHSUaACMBlJlc3VsdJSTlChLA0sB",
        "SwBLAksWiUsASxZLFoeUSwCJdJSBlHNiLg==",
    ],
    "Hidden": [
        "gASVYwAAAAAAAACMDWN0cmFjay5lcnJvcnOUjAZIaWRkZW6Uk5RLFowJc29tZSB0ZXh0lIaUUpR9lIwGcmVzdWx0lGgAjAZSZXN1bHSUk5QoSwNL",
        "AUsASwJLFolLAEsWSxaHlEsAiXSUgZRzYi4=",
    ],
}

RENAMED = {
    "InvalidArgument": ctrack.InvalidArgumentError,
    "PermissionDenied": ctrack.PermissionDeniedError,
    "Timeout": ctrack.TimedOutError,
    "TableChanged": ctrack.TableChangedError,
    "Hidden": ctrack.HiddenError,
    "Forked": ctrack.ForkedError,
    "Closed": ctrack.ClosedError,
}


def old(name: str) -> Any:
    return pickle.loads(base64.b64decode("".join(OLD[name])))


def test_every_error_has_a_name_that_says_error() -> None:
    kinds = {name for name in ctrack.__all__ if isinstance(kind := getattr(ctrack, name), type) and issubclass(kind, OSError)}
    assert {name for name in kinds if not name.endswith("Error")} == RENAMED.keys()
    assert all(getattr(ctrack, name).__name__.endswith("Error") for name in kinds)
    assert {getattr(ctrack, name) for name in kinds} == {*RENAMED.values(), ctrack.Error}


@pytest.mark.parametrize("name", [*RENAMED, "Error"])
def test_errors_that_0_1_pickled_load_with_text_and_result(name: str) -> None:
    error = old(name)
    assert type(error) is RENAMED.get(name, ctrack.Error) and type(error) is getattr(ctrack, name)
    assert (error.errno, error.strerror) == (22, "some text")
    assert error.result == Result(3, 1, 0, 2, 22, False, (0, 22, 22), 0, False)


def test_entries_that_0_1_pickled_load() -> None:
    tcp: dict[str, Any] = {"orig_src": "10.0.0.1", "orig_sport": 40000, "orig_dst": "10.0.0.2", "orig_dport": 80}
    more: dict[str, Any] = {"timeout": 30, "status": 0x18E, "mark": 5, "tcp_state": 3, "labels": 9}
    assert old("Entry") == Entry(proto="tcp", reply_src="10.9.0.1", zone=7, **tcp, **more)
    ping = Entry(proto="icmpv6", orig_src="fd00::1", orig_dst="fd00::2", icmp_type=128, icmp_code=0, icmp_id=7)
    assert old("Entry6") == ping


def test_filters_that_0_1_pickled_load_without_the_fields_that_came_later() -> None:
    more: dict[str, Any] = {"status_set": 2, "tcp_states": [TcpState.ESTABLISHED], "exclude": True, "helper": "ftp"}
    wanted = Filter(proto="tcp", orig_src="10.0.0.0/8", orig_dport=(80, 90), zone=7, mark=1, mark_mask=3, **more)
    loaded = old("Filter")
    assert loaded == wanted and hash(loaded) == hash(wanted) and repr(loaded) == repr(wanted)
    assert old("FilterEmpty") == Filter() and old("FilterEmpty").orig_zone is None


def test_results_and_numbers_that_0_1_pickled_load() -> None:
    assert old("Result") == Result(5, 2, 1, 2, 16, False, (0, 0, 2, 16, 16), 0, False)
    numbers = [Family.IPV6, Proto.TCP, TcpState.CLOSE, Status.SEEN_REPLY | Status.ASSURED, Has.ORIG, Match.ZONE]
    assert old("enums") == numbers and [type(number) for number in old("enums")] == [type(number) for number in numbers]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_is_pickled_or_copied_is_the_same_afterwards(protocol: int) -> None:
    entry = Entry(proto="udp", orig_src="10.0.0.1", orig_dst="10.0.0.2", orig_sport=1, orig_dport=2)
    result = Result(3, 1, 0, 2, 22, False, (0, 22, 22), 1, True)
    for value in (entry, Filter(orig_zone=5, reply_zone=0, id=7), result):
        again = pickle.loads(pickle.dumps(value, protocol))
        assert again == value and type(again) is type(value)
        assert copy.copy(value) == value == copy.deepcopy(value)
    for kind in {*RENAMED.values(), ctrack.Error}:
        error = kind(22, "some text")
        error.result = result
        again = pickle.loads(pickle.dumps(error, protocol))
        assert type(again) is kind and (again.errno, again.strerror, again.result) == (22, "some text", result)


# Made by the package 0.1.0: functions are pickled by the module that they are in.
OLD_FUNCTIONS = {
    "dead_endpoint": b"cctrack.roles\ndead_endpoint\n.",
    "changed_service": b"cctrack.roles\nchanged_service\n.",
    "security_rule": b"cctrack.roles\nsecurity_rule\n.",
}


@pytest.mark.parametrize("name", OLD_FUNCTIONS)
def test_the_functions_of_0_1_are_found_where_they_were(name: str) -> None:
    assert pickle.loads(OLD_FUNCTIONS[name]) is getattr(ctrack, name)
