# SPDX-License-Identifier: MIT OR Apache-2.0
"""The same table from Python: one line, by zone."""

from collections import Counter

import ctrack

with ctrack.open() as ct:
    zones = Counter(entry.zone for entry in ct.stream())
by_zone = ", ".join(f"{flows} in zone {zone}" for zone, flows in sorted(zones.items()))
print(f"From Python (ct.stream): {sum(zones.values())} flows, {by_zone}")
