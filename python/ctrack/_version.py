# SPDX-License-Identifier: MIT OR Apache-2.0
"""The version of the package: that of the library it was made with."""

__version__ = "0.2.0"
