#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makes, changes and destroys entries of every kind in a table of its own, and writes the events as the kernel sends them.

    python3 tests/data/capture-events.py tests/data/events-KERNEL

writes events-KERNEL.bin (the netlink messages, one after the other), events-KERNEL.lines (what `conntrack -E` says of them)
and events-KERNEL.txt (how they were made). Works where capture.py does, which makes the entries.
"""

import os
import platform
import signal
import socket
import subprocess
import sys
import time

import capture
from capture import attr, be, run

SOL_NETLINK, ADD_MEMBERSHIP = 270, 1


def join():
    """A socket that hears of all entries."""
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    events.bind((0, 0))
    events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    for group in (3, 2, 1):
        events.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)
    events.settimeout(0.5)
    return events


def drain(events):
    """All that waits."""
    messages = []
    while True:
        try:
            messages.append(events.recv(65536))
        except TimeoutError:
            return messages


def main():
    base = capture.prepare(__file__, "acct", "timestamp", "events")
    command = ["conntrack", "-E", "-o", "extended,id", "--buffer-size", "8388608"]
    witness = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    time.sleep(1)
    events = join()
    netlink = capture.Netlink()
    sockets = capture.traffic()
    capture.fill(netlink)
    changed = capture.conntrack_tuple(1, capture.UDP, "10.3.0.1", "10.3.0.2", (1, 1))
    for value in (attr(8, be(4, 7)), attr(8, be(4, 0)), attr(22, bytes(range(2, 18)))):
        netlink.send(capture.NEW, capture.ACK, 2, changed + value)
        netlink.socket.recv(65536)
    for each in sockets:
        each.close()
    run("conntrack", "-F", stderr=subprocess.DEVNULL)
    messages = drain(events)
    witness.send_signal(signal.SIGINT)
    lines = witness.communicate()[0]
    if not messages or len(lines.splitlines()) != len(messages):
        sys.exit(f"{len(messages)} events, {len(lines.splitlines())} lines")
    version = run("conntrack", "-V", stdout=subprocess.PIPE).stdout.strip()
    with open(base + ".bin", "wb") as file:
        file.writelines(message + bytes(-len(message) % 4) for message in messages)
    with open(base + ".lines", "w") as file:
        file.write(lines)
    name = os.path.basename(base)
    with open(base + ".txt", "w") as file:
        release = platform.release().split("-")[0]
        file.write(
            f"{name}.bin: {len(messages)} events as Linux {release} ({platform.machine()}) sends them, one netlink message after the other.\n"
            f"{name}.lines: what `{' '.join(command[:4])}` says of them, {version}.\n\n"
            f"Made by: python3 tests/data/capture-events.py tests/data/{name}\n"
            "(which see for what was made, changed and destroyed.)\n"
        )


main()
