# SPDX-License-Identifier: MIT OR Apache-2.0
"""What an agent has behind oslo.privsep: functions that run in a process with the privileges. For test_privsep.py."""

from __future__ import annotations

import os
from typing import Any

from oslo_privsep import capabilities, priv_context

import ctrack

context = priv_context.PrivContext(
    "privileged", cfg_section="privileged", pypath=f"{__name__}.context", capabilities=[capabilities.CAP_NET_ADMIN]
)


@context.entrypoint
def delete(*addresses: str) -> Any:
    """What was deleted, and by which process."""
    with ctrack.open() as ct:
        return os.getpid(), ct.delete(*ctrack.dead_endpoint(*addresses))


@context.entrypoint
def create(port: int, count: int) -> Any:
    """Creates entries, the first of which may be there."""
    with ctrack.open() as ct:
        shared: dict[str, Any] = {"proto": "udp", "orig_src": "10.0.0.1", "orig_dst": "10.0.0.2", "orig_dport": 53}
        return ct.create([ctrack.Entry(orig_sport=port + n, timeout=600, **shared) for n in range(count)])


@context.entrypoint
def listed() -> Any:
    """All entries, as plain values and as bytes."""
    with ctrack.open() as ct:
        return [(entry.to_dict(), entry.raw) for entry in ct]


@context.entrypoint
def refused() -> Any:
    """A call that makes no sense."""
    with ctrack.open() as ct:
        return ct.delete(ctrack.Filter())
