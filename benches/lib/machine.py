# SPDX-License-Identifier: MIT OR Apache-2.0

"""What kind of machine this is. Not which one."""

import os
import platform


def _first(path, field):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == field:
                    return value.strip()
    except OSError:
        pass
    return ""


def _number(path):
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def kind():
    return {
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "processors": os.cpu_count(),
        "processor": _first("/proc/cpuinfo", "model name"),
        "memory_mb": int(_first("/proc/meminfo", "MemTotal").split()[0] or 0) // 1024,
        "buckets": _number("/proc/sys/net/netfilter/nf_conntrack_buckets"),
        "python": platform.python_version(),
    }
