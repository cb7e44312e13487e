# SPDX-License-Identifier: MIT OR Apache-2.0
"""What type checkers see, and the types of values."""

from __future__ import annotations

import sys
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Optional, Union

import pytest

import ctrack
from ctrack import Conntrack, Entry, Family, Filter, Has, Proto, Status, TcpState

if TYPE_CHECKING:
    from typing_extensions import assert_type

    def properties_have_the_types_of_their_names(entry: Entry, filter: Filter) -> None:
        """`mypy --strict` checks this: it is not run."""
        assert_type(entry.family, Family)
        assert_type(entry.proto, Union[Proto, int])
        assert_type(entry.status, Optional[Status])
        assert_type(entry.tcp_state, Union[TcpState, int, None])
        assert_type(entry.has, Has)
        assert_type(entry.orig_src, ctrack.Address)
        assert_type(entry.orig_sport, Optional[int])
        assert_type(entry.to_dict(), dict[str, Any])
        assert_type(filter.family, Optional[Family])
        assert_type(filter.proto, Union[Proto, int, None])
        assert_type(filter.status_set, Optional[Status])
        assert_type(filter.tcp_states, Optional[frozenset[TcpState]])
        assert_type(filter.orig_src, Optional[ctrack.Network])

    def names_are_values() -> None:
        """`mypy --strict` checks this: it is not run."""
        Filter(proto="tcp", tcp_states=["ESTABLISHED", TcpState.CLOSE], status_set="ASSURED", status_clear=["DYING", 1])
        Entry(proto="tcp", orig_src="::1", orig_dst="::2", tcp_state="CLOSE", status=[Status.ASSURED, "DYING"])

    def a_wrapper(
        ct: Conntrack,
        proto: ctrack.ProtoLike,
        address: ctrack.AddressLike,
        net: ctrack.NetworkLike,
        ports: ctrack.PortsLike,
        family: ctrack.FamilyLike,
        status: ctrack.StatusLike,
        state: ctrack.TcpStateLike,
        states: ctrack.TcpStatesLike,
        netns: ctrack.NetnsLike,
    ) -> ctrack.Result:
        """Whoever wraps the package can name everything that it takes."""
        Entry(proto=proto, orig_src=address, orig_dst=address, family=family, status=status, tcp_state=state)
        with ctrack.open(netns) as other:
            filter = Filter(proto=proto, orig_src=net, orig_dport=ports, tcp_states=states, status_clear=status)
            assert_type(other.get(proto=proto, reply_src=address, reply_dst=address), Optional[Entry])
            return other.delete(filter)


def test_numbers_without_a_name_stay_numbers() -> None:
    entry = Entry(proto=50, orig_src="10.0.0.1", orig_dst="10.0.0.2")
    assert entry.proto == 50 and type(entry.proto) is int
    assert type(Entry(proto=6, orig_src="::1", orig_dst="::2", orig_sport=1, orig_dport=2).proto) is Proto
    raw = bytearray(Entry(proto="tcp", orig_src="::1", orig_dst="::2", orig_sport=1, orig_dport=2, tcp_state=3, status=8).raw)
    assert type(Entry.from_raw(raw).tcp_state) is TcpState
    raw[34], raw[12:16] = 11, (0x10008).to_bytes(4, sys.byteorder)
    entry = Entry.from_raw(raw)
    assert entry.tcp_state == 11 and type(entry.tcp_state) is int
    assert entry.status == 0x10008 and entry.to_dict()["status"] == ["CONFIRMED", "0x10000"]
    assert entry.to_dict()["state"] == "UNKNOWN"


@pytest.mark.parametrize("names", [str.upper, str.lower, str.title])
def test_an_entry_takes_the_names_that_its_plain_values_have(names: Callable[[str], str]) -> None:
    ends: dict[str, Any] = {"proto": "tcp", "orig_src": "10.0.0.1", "orig_sport": 1, "orig_dst": "10.0.0.2", "orig_dport": 2}
    for state in TcpState:
        for status in (Status(0), Status.SEEN_REPLY | Status.ASSURED | Status.CONFIRMED, Status.DYING):
            entry = Entry(**ends, tcp_state=state, status=status)
            plain = entry.to_dict()
            assert Entry(**ends, tcp_state=names(plain["state"]), status=map(names, plain["status"])) == entry
            assert Entry(**ends, tcp_state=int(state), status=int(status)) == entry
    key = Entry(**ends)
    change = key.change(tcp_state=names("CLOSE"), status=[names("ASSURED"), Status.SEEN_REPLY, 8])
    assert change == key.change(tcp_state=TcpState.CLOSE, status=14)
    assert key.change(status=names("ASSURED")).status == Status.ASSURED


def test_an_entry_refuses_what_is_no_name_and_says_which_there_are() -> None:
    ends: dict[str, Any] = {"proto": "tcp", "orig_src": "10.0.0.1", "orig_sport": 1, "orig_dst": "10.0.0.2", "orig_dport": 2}
    refused: list[tuple[dict[str, Any], str]] = [
        ({"tcp_state": "CLOSED"}, f"tcp_state: 'CLOSED' is none of {', '.join(TcpState.__members__)}"),
        ({"tcp_state": ["CLOSE"]}, "tcp_state: ['CLOSE'] is a list, not an int"),
        ({"tcp_state": True}, "tcp_state: True is a bool, not an int"),
        ({"tcp_state": 10}, "tcp_state: 10 is not from 0 to 9"),
        ({"status": "ASSURED,DYING"}, f"status: 'ASSURED,DYING' is none of {', '.join(Status.__members__)}"),
        ({"status": ["ASSURED", "0x10000"]}, f"status: '0x10000' is none of {', '.join(Status.__members__)}"),
        ({"status": [True]}, "status: True is a bool, not an int"),
        ({"status": 0x10000}, "status: 65536 is not from 0 to 65535"),
        ({"status": b"\x04"}, "status: b'\\x04' is neither a number nor a name"),
        ({"mark": "7"}, "mark: '7' is a str, not an int"),
    ]
    for fields, text in refused:
        with pytest.raises(ctrack.InvalidArgumentError) as of_entry:
            Entry(**ends, **fields)
        with pytest.raises(ctrack.InvalidArgumentError) as of_change:
            Entry(**ends).change(**fields)
        assert of_entry.value.strerror == of_change.value.strerror == text


@pytest.mark.parametrize("name", [name for name in ctrack.__all__ if name.endswith("Like")] + ["Address", "Network"])
def test_public_types_can_be_used_at_run_time(name: str) -> None:
    assert getattr(ctrack, name).__args__
    assert ctrack.Address == Union[IPv4Address, IPv6Address]
