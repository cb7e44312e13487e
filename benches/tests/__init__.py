# SPDX-License-Identifier: MIT OR Apache-2.0
"""Tests of the parts of benches/run.py that measure nothing. Run them by: python3 -m unittest discover -t benches -s benches/tests"""
