#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# expected-output.sh EXAMPLE.c: what the program should print: its first comment from the line "Expected output:" on.
exec awk '/^ \*\/$/ && found { exit } found { sub(/^ \* ?/, ""); print } /^ \* Expected output:$/ { found = 1 }' "$1"
