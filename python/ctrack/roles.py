# SPDX-License-Identifier: MIT OR Apache-2.0
"""The name that ctrack.presets had in 0.1, for programs and pickles of that release. It goes with 0.3."""

from .presets import changed_service, dead_endpoint, everything_but, port_on_any_address, security_rule, whole_table

__all__ = ["changed_service", "dead_endpoint", "everything_but", "port_on_any_address", "security_rule", "whole_table"]
